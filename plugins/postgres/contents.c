/* SPDX-License-Identifier: BSD-2-Clause */
#include "layout.h"

#include "postgres.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
contents_clear(struct contents *c)
{
	char *const strings[] = { c->database, c->encoding, c->stored_encoding,
		c->owner, c->collate, c->ctype, c->provider, c->locale,
		c->icu_rules, c->tablespace, c->content };

	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
		free(strings[i]);
	for (size_t i = 0; i < c->ntables; i++) {
		struct table *t = &c->tables[i];

		free(t->schema);
		free(t->name);
		for (size_t k = 0; k < t->npieces; k++)
			free(t->pieces[k].object);
		free(t->pieces);
		for (char **s = t->toc; s != NULL && *s != NULL; s++)
			free(*s);
		free(t->toc);
	}
	free(c->tables);
	for (size_t i = 0; i < c->nlarge_object_objects; i++)
		free(c->large_object_objects[i]);
	free(c->large_object_objects);
	memset(c, 0, sizeof *c);
}

/* ---- writing ---- */

/* A name in no known encoding, of a database in SQL_ASCII, has to come back
 * byte for byte: JSON has no strings for that. */
static json_t *
bytes_json(const char *s)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(s);
	char *hex = malloc(2 * len + 1);
	json_t *json;

	if (hex == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		hex[2 * i] = digits[(unsigned char)s[i] >> 4];
		hex[2 * i + 1] = digits[(unsigned char)s[i] & 15];
	}
	hex[2 * len] = '\0';
	json = json_pack("{s:s}", "hex", hex);
	free(hex);
	return json;
}

static json_t *
string_json(const char *s)
{
	json_t *json = json_string(s);

	return json != NULL ? json : bytes_json(s);
}

/* Each of these steals value, and remembers what could not be had. */
static void
put(json_t *object, const char *key, json_t *value, bool *bad)
{
	if (json_object_set_new(object, key, value) != 0)
		*bad = true;
}

static void
append(json_t *array, json_t *value, bool *bad)
{
	if (json_array_append_new(array, value) != 0)
		*bad = true;
}

static void
put_string(json_t *object, const char *key, const char *s, bool *bad)
{
	if (s != NULL)
		put(object, key, string_json(s), bad);
}

static void
put_count(json_t *object, const char *key, uint64_t n, bool *bad)
{
	if (n > INT64_MAX)
		*bad = true;
	else
		put(object, key, json_integer((json_int_t)n), bad);
}

static json_t *
database_json(const struct contents *c, bool *bad)
{
	json_t *o = json_object();

	put_string(o, "name", c->database, bad);
	put_string(o, "encoding", c->encoding, bad);
	put_string(o, "stored_encoding", c->stored_encoding, bad);
	put_string(o, "owner", c->owner, bad);
	put_string(o, "collate", c->collate, bad);
	put_string(o, "ctype", c->ctype, bad);
	put_string(o, "provider", c->provider, bad);
	put_string(o, "locale", c->locale, bad);
	put_string(o, "icu_rules", c->icu_rules, bad);
	put_string(o, "tablespace", c->tablespace, bad);
	put(o, "connection_limit", json_integer(c->connection_limit), bad);
	return o;
}

static json_t *
table_json(const struct table *t, bool *bad)
{
	json_t *o = json_object(), *pieces = json_array(), *toc = json_array();

	put_count(o, "oid", t->oid, bad);
	put_string(o, "schema", t->schema, bad);
	put_string(o, "name", t->name, bad);
	put_count(o, "rows", t->rows, bad);
	put_count(o, "bytes", t->bytes, bad);
	for (size_t i = 0; i < t->npieces; i++) {
		const struct piece *p = &t->pieces[i];
		json_t *piece = json_object();

		put_string(piece, "object", p->object, bad);
		put_count(piece, "offset", p->offset, bad);
		put_count(piece, "size", p->size, bad);
		put_count(piece, "rows", p->rows, bad);
		append(pieces, piece, bad);
	}
	put(o, "pieces", pieces, bad);
	for (char *const *s = t->toc; s != NULL && *s != NULL; s++)
		append(toc, string_json(*s), bad);
	put(o, "toc", toc, bad);
	return o;
}

static json_t *
contents_json(const struct contents *c, bool *bad)
{
	json_t *o = json_object(), *tables = json_array();
	json_t *large = json_object(), *objects = json_array();

	put(o, "format", json_integer(LAYOUT_FORMAT), bad);
	put(o, "server_version", json_integer(c->server_version), bad);
	put(o, "pg_dump_version", json_integer(c->pg_dump_version), bad);
	put(o, "database", database_json(c, bad), bad);
	put_string(o, "content", c->content, bad);
	for (size_t i = 0; i < c->ntables; i++)
		append(tables, table_json(&c->tables[i], bad), bad);
	put(o, "tables", tables, bad);
	put_count(large, "count", c->large_objects, bad);
	for (size_t i = 0; i < c->nlarge_object_objects; i++)
		append(objects, string_json(c->large_object_objects[i]), bad);
	put(large, "objects", objects, bad);
	put(o, "large_objects", large, bad);
	put_count(o, "sequences", c->sequences, bad);
	put_count(o, "refresh", c->refresh, bad);
	return o;
}

int
contents_write(
    const struct contents *c, char **text, size_t *len, struct hf_error *err)
{
	bool bad = false;
	json_t *json = contents_json(c, &bad);
	char *s = NULL;

	if (json != NULL && !bad)
		s = json_dumps(json, JSON_INDENT(1));
	json_decref(json);
	if (s == NULL)
		return postgres_nomem(err);
	*text = s;
	*len = strlen(s);
	return HF_OK;
}

/* ---- reading ---- */

/* What is read now, for messages: "tables[3].pieces[0]". */
struct reading {
	struct hf_error *err;
	const char *part; /* "", "database", "tables", "large_objects" */
	size_t i, piece;  /* SIZE_MAX: none */
};

static int
wrong(const struct reading *r, const char *key, const char *what)
{
	char at[96] = "";
	int n = 0;

	if (r->piece != SIZE_MAX)
		n = snprintf(at, sizeof at, "%s[%zu].pieces[%zu].", r->part,
		    r->i, r->piece);
	else if (r->i != SIZE_MAX)
		n = snprintf(at, sizeof at, "%s[%zu].", r->part, r->i);
	else if (r->part[0] != '\0')
		n = snprintf(at, sizeof at, "%s.", r->part);
	(void)n;
	return H->fail(
	    r->err, HF_E_CORRUPT, LAYOUT_CONTENTS ": %s%s %s", at, key, what);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
get_bytes(
    const struct reading *r, const json_t *json, const char *key, char **out)
{
	const char *hex = json_string_value(json_object_get(json, "hex"));
	size_t len = hex == NULL ? 0 : strlen(hex);
	char *s;

	if (len == 0 || len % 2 != 0)
		return wrong(r, key, "is no text");
	if ((s = malloc(len / 2 + 1)) == NULL)
		return postgres_nomem(r->err);
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_digit(hex[2 * i]);
		int low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0 || high + low == 0) {
			free(s);
			return wrong(r, key, "has bad bytes in hex");
		}
		s[i] = (char)(high << 4 | low);
	}
	s[len / 2] = '\0';
	*out = s;
	return HF_OK;
}

static int
get_value(
    const struct reading *r, const json_t *json, const char *key, char **out)
{
	if (json_is_object(json))
		return get_bytes(r, json, key, out);
	if (!json_is_string(json))
		return wrong(r, key, "is no text");
	if ((*out = strdup(json_string_value(json))) == NULL)
		return postgres_nomem(r->err);
	return HF_OK;
}

/* Absent is NULL. */
static int
get_optional(
    const struct reading *r, const json_t *object, const char *key, char **out)
{
	const json_t *json = json_object_get(object, key);

	return json == NULL ? HF_OK : get_value(r, json, key, out);
}

static int
get_string(
    const struct reading *r, const json_t *object, const char *key, char **out)
{
	int rc = get_optional(r, object, key, out);

	if (rc != HF_OK)
		return rc;
	if (*out == NULL)
		return wrong(r, key, "is missing");
	return (*out)[0] == '\0' ? wrong(r, key, "is empty") : HF_OK;
}

static int
get_integer(const struct reading *r, const json_t *object, const char *key,
    json_int_t min, json_int_t max, json_int_t *out)
{
	const json_t *json = json_object_get(object, key);

	if (json == NULL)
		return wrong(r, key, "is missing");
	if (!json_is_integer(json))
		return wrong(r, key, "is no whole number");
	*out = json_integer_value(json);
	if (*out < min || *out > max)
		return wrong(r, key, "is out of range");
	return HF_OK;
}

static int
get_int(const struct reading *r, const json_t *object, const char *key, int min,
    int *out)
{
	json_int_t n = 0;
	int rc = get_integer(r, object, key, min, INT32_MAX, &n);

	*out = (int)n;
	return rc;
}

static int
get_count(const struct reading *r, const json_t *object, const char *key,
    uint64_t *out)
{
	json_int_t n = 0;
	int rc = get_integer(r, object, key, 0, INT64_MAX, &n);

	*out = (uint64_t)n;
	return rc;
}

static int
get_array(const struct reading *r, const json_t *object, const char *key,
    const json_t **out)
{
	*out = json_object_get(object, key);
	return json_is_array(*out) ? HF_OK : wrong(r, key, "is no list");
}

/* The name of an object of this backup, without prefix. */
static int
get_object(
    const struct reading *r, const json_t *json, const char *key, char **out)
{
	int rc = get_value(r, json, key, out);

	if (rc == HF_OK && ((*out)[0] == '\0' || strchr(*out, '/') != NULL))
		return wrong(r, key, "is no name of an object");
	return rc;
}

static int
read_database(struct reading *r, const json_t *o, struct contents *c)
{
	const struct {
		const char *key;
		char **to;
		bool needed;
	} strings[] = {
		{ "name", &c->database, true },
		{ "encoding", &c->encoding, true },
		{ "stored_encoding", &c->stored_encoding, true },
		{ "owner", &c->owner, false },
		{ "collate", &c->collate, false },
		{ "ctype", &c->ctype, false },
		{ "provider", &c->provider, false },
		{ "locale", &c->locale, false },
		{ "icu_rules", &c->icu_rules, false },
		{ "tablespace", &c->tablespace, false },
	};
	int rc;

	r->part = "database";
	if (!json_is_object(o))
		return wrong(r, "it", "is missing");
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		if (strings[i].needed)
			rc = get_string(r, o, strings[i].key, strings[i].to);
		else
			rc = get_optional(r, o, strings[i].key, strings[i].to);
		if (rc != HF_OK)
			return rc;
	}
	if (c->provider != NULL && strcmp(c->provider, "c") != 0 &&
	    strcmp(c->provider, "i") != 0 && strcmp(c->provider, "b") != 0)
		return wrong(r, "provider", "is none that is known");
	return get_int(
	    r, o, "connection_limit", INT32_MIN, &c->connection_limit);
}

static int
read_piece(const struct reading *r, const json_t *o, struct piece *p)
{
	int rc;

	if (!json_is_object(o))
		return wrong(r, "it", "is no object");
	rc = get_object(r, json_object_get(o, "object"), "object", &p->object);
	if (rc != HF_OK || (rc = get_count(r, o, "offset", &p->offset)) ||
	    (rc = get_count(r, o, "size", &p->size)) ||
	    (rc = get_count(r, o, "rows", &p->rows)))
		return rc;
	if (p->size > INT64_MAX - p->offset)
		return wrong(r, "size", "is out of range");
	return HF_OK;
}

static int
read_pieces(struct reading *r, const json_t *list, struct table *t)
{
	size_t n = json_array_size(list);
	int rc = HF_OK;

	if (n > 0 && (t->pieces = calloc(n, sizeof *t->pieces)) == NULL)
		return postgres_nomem(r->err);
	for (r->piece = 0; r->piece < n && rc == HF_OK; r->piece++) {
		t->npieces++;
		rc = read_piece(
		    r, json_array_get(list, r->piece), &t->pieces[r->piece]);
		if (rc != HF_OK)
			return rc;
	}
	r->piece = SIZE_MAX;
	return HF_OK;
}

/* "1259:16385" */
static bool
is_toc_id(const char *s)
{
	size_t first = strspn(s, "0123456789"), second;

	if (first == 0 || first > 10 || s[first] != ':')
		return false;
	s += first + 1;
	second = strspn(s, "0123456789");
	return second > 0 && second <= 10 && s[second] == '\0';
}

static int
read_toc(const struct reading *r, const json_t *list, struct table *t)
{
	size_t n = json_array_size(list);

	if ((t->toc = calloc(n + 1, sizeof *t->toc)) == NULL)
		return postgres_nomem(r->err);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (s == NULL || !is_toc_id(s))
			return wrong(r, "toc", "has what is no CATALOG:OID");
		if ((t->toc[i] = strdup(s)) == NULL)
			return postgres_nomem(r->err);
	}
	return HF_OK;
}

static int
read_table(struct reading *r, const json_t *o, struct table *t)
{
	const json_t *pieces, *toc;
	json_int_t oid = 0;
	int rc;

	if (!json_is_object(o))
		return wrong(r, "it", "is no object");
	if ((rc = get_integer(r, o, "oid", 1, UINT32_MAX, &oid)) != HF_OK ||
	    (rc = get_string(r, o, "schema", &t->schema)) != HF_OK ||
	    (rc = get_string(r, o, "name", &t->name)) != HF_OK ||
	    (rc = get_count(r, o, "rows", &t->rows)) != HF_OK ||
	    (rc = get_count(r, o, "bytes", &t->bytes)) != HF_OK ||
	    (rc = get_array(r, o, "pieces", &pieces)) != HF_OK ||
	    (rc = get_array(r, o, "toc", &toc)) != HF_OK ||
	    (rc = read_pieces(r, pieces, t)) != HF_OK)
		return rc;
	t->oid = (uint32_t)oid;
	return read_toc(r, toc, t);
}

static int
read_tables(struct reading *r, const json_t *list, struct contents *c)
{
	size_t n = json_array_size(list);
	int rc;

	r->part = "tables";
	if (n > 0 && (c->tables = calloc(n, sizeof *c->tables)) == NULL)
		return postgres_nomem(r->err);
	for (r->i = 0; r->i < n; r->i++) {
		c->ntables++;
		rc =
		    read_table(r, json_array_get(list, r->i), &c->tables[r->i]);
		if (rc != HF_OK)
			return rc;
	}
	r->i = SIZE_MAX;
	return HF_OK;
}

static int
read_large(struct reading *r, const json_t *o, struct contents *c)
{
	const json_t *list;
	size_t n;
	int rc;

	r->part = "large_objects";
	if (!json_is_object(o))
		return wrong(r, "it", "is missing");
	if ((rc = get_count(r, o, "count", &c->large_objects)) != HF_OK ||
	    (rc = get_array(r, o, "objects", &list)) != HF_OK)
		return rc;
	n = json_array_size(list);
	if (n == 0)
		return HF_OK;
	c->large_object_objects = calloc(n, sizeof *c->large_object_objects);
	if (c->large_object_objects == NULL)
		return postgres_nomem(r->err);
	for (size_t i = 0; i < n; i++) {
		c->nlarge_object_objects++;
		rc = get_object(r, json_array_get(list, i), "objects",
		    &c->large_object_objects[i]);
		if (rc != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
read_format(struct reading *r, const json_t *json)
{
	int format, rc = get_int(r, json, "format", 1, &format);

	if (rc != HF_OK || format == LAYOUT_FORMAT)
		return rc;
	return postgres_fail_hint(r->err, HF_E_UNSUPPORTED,
	    "Read it with the version of Holdfast that wrote it, or a newer "
	    "one.",
	    LAYOUT_CONTENTS " has format %d, and this program knows only %d",
	    format, LAYOUT_FORMAT);
}

static int
read_all(struct reading *r, const json_t *json, struct contents *c)
{
	const json_t *tables;
	int rc;

	if (!json_is_object(json))
		return wrong(r, "it", "is no object");
	if ((rc = read_format(r, json)) != HF_OK ||
	    (rc = get_int(r, json, "server_version", 0, &c->server_version)) ||
	    (rc = get_int(
		 r, json, "pg_dump_version", 0, &c->pg_dump_version)) ||
	    (rc = get_string(r, json, "content", &c->content)) ||
	    (rc = get_count(r, json, "sequences", &c->sequences)) ||
	    (rc = get_count(r, json, "refresh", &c->refresh)) ||
	    (rc = get_array(r, json, "tables", &tables)))
		return rc;
	if (strcmp(c->content, "all") != 0 &&
	    strcmp(c->content, "schema") != 0 &&
	    strcmp(c->content, "data") != 0)
		return wrong(r, "content", "is none that is known");
	rc = read_database(r, json_object_get(json, "database"), c);
	if (rc == HF_OK)
		rc = read_tables(r, tables, c);
	if (rc == HF_OK)
		rc = read_large(r, json_object_get(json, "large_objects"), c);
	return rc;
}

int
contents_read(
    const char *text, size_t len, struct contents *c, struct hf_error *err)
{
	struct reading r = { err, "", SIZE_MAX, SIZE_MAX };
	json_error_t why;
	json_t *json;
	int rc;

	memset(c, 0, sizeof *c);
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (json == NULL)
		return H->fail(err, HF_E_CORRUPT,
		    LAYOUT_CONTENTS " is no JSON, line %d: %s", why.line,
		    why.text);
	if ((rc = read_all(&r, json, c)) != HF_OK)
		contents_clear(c);
	json_decref(json);
	return rc;
}
