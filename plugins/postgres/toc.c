/* SPDX-License-Identifier: BSD-2-Clause */
#include "toc.h"

#include "postgres.h"

#include <stdlib.h>
#include <string.h>

/* The kinds of more than one word that pg_dump 13 to 18 writes; all others
 * are one word. */
static const struct {
	const char *kind;
	/* Its catalog, where a shorter kind and a schema in capitals would
	 * look the same: "TABLE DATA" has none, a TABLE in the schema "DATA"
	 * is of pg_class.  -1: cannot be mistaken. */
	int64_t catalog;
} kinds[] = {
	{ "ACCESS METHOD", -1 },
	{ "BLOB COMMENTS", -1 },
	{ "BLOB METADATA", -1 },
	{ "CHECK CONSTRAINT", -1 },
	{ "DATABASE PROPERTIES", -1 },
	{ "DEFAULT ACL", 826 },
	{ "EVENT TRIGGER", -1 },
	{ "FK CONSTRAINT", -1 },
	{ "FOREIGN DATA WRAPPER", -1 },
	{ "FOREIGN SERVER", -1 },
	{ "FOREIGN TABLE", -1 },
	{ "INDEX ATTACH", 0 },
	{ "LARGE OBJECT", -1 },
	{ "LARGE OBJECTS", -1 },
	{ "MATERIALIZED VIEW", -1 },
	{ "MATERIALIZED VIEW DATA", 0 },
	{ "OPERATOR CLASS", 2616 },
	{ "OPERATOR FAMILY", 2753 },
	{ "PROCEDURAL LANGUAGE", -1 },
	{ "PUBLICATION TABLE", -1 },
	{ "PUBLICATION TABLES IN SCHEMA", -1 },
	{ "ROW SECURITY", -1 },
	{ "SECURITY LABEL", -1 },
	{ "SEQUENCE OWNED BY", 0 },
	{ "SEQUENCE SET", 0 },
	{ "SHELL TYPE", -1 },
	{ "STATISTICS DATA", 0 },
	{ "SUBSCRIPTION TABLE", -1 },
	{ "TABLE ATTACH", 0 },
	{ "TABLE DATA", 0 },
	{ "TEXT SEARCH CONFIGURATION", -1 },
	{ "TEXT SEARCH DICTIONARY", -1 },
	{ "TEXT SEARCH PARSER", -1 },
	{ "TEXT SEARCH TEMPLATE", -1 },
	{ "USER MAPPING", -1 },
};

static size_t
known_kind(const char *s, uint32_t catalog)
{
	size_t longest = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t len = strlen(kinds[i].kind);

		if (len > longest && strncmp(s, kinds[i].kind, len) == 0 &&
		    s[len] == ' ' &&
		    (kinds[i].catalog < 0 || kinds[i].catalog == catalog))
			longest = len;
	}
	return longest;
}

/* The length of the kind that s begins with, 0: none.  One that is not known,
 * of a later version, is as many words in capitals as there are. */
static size_t
kind_length(const char *s, uint32_t catalog)
{
	static const char *const singles[] = { "ACL", "AGGREGATE", "BLOB",
		"BLOBS", "CAST", "COLLATION", "COMMENT", "CONSTRAINT",
		"CONVERSION", "DATABASE", "DEFAULT", "DOMAIN", "ENCODING",
		"EXTENSION", "FUNCTION", "INDEX", "OPERATOR", "POLICY",
		"PROCEDURE", "PUBLICATION", "RULE", "SCHEMA", "SEARCHPATH",
		"SEQUENCE", "SERVER", "STATISTICS", "STDSTRINGS",
		"SUBSCRIPTION", "TABLE", "TABLESPACE", "TRANSFORM", "TRIGGER",
		"TYPE", "VIEW" };
	size_t len = known_kind(s, catalog), end = 0, n;

	if (len > 0)
		return len;
	n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
		if (strlen(singles[i]) == n && s[n] == ' ' &&
		    strncmp(s, singles[i], n) == 0)
			return n;
	while (n > 0 && s[end + n] == ' ') {
		end += n + 1;
		n = strspn(s + end, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	}
	return end == 0 ? 0 : end - 1;
}

/* A number and the byte behind it; the rest, or NULL. */
static const char *
number(const char *s, char behind, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > max)
			return NULL;
	}
	*out = n;
	return *s == behind ? s + 1 : NULL;
}

/* e->line is set.  HF_OK, HF_E_NOMEM, or HF_E_CORRUPT: it is no entry. */
static int
parse(struct toc_entry *e)
{
	uint64_t id, catalog, oid;
	const char *s = e->line;
	size_t len;

	if ((s = number(s, ';', INT32_MAX, &id)) == NULL || *s++ != ' ' ||
	    (s = number(s, ' ', UINT32_MAX, &catalog)) == NULL ||
	    (s = number(s, ' ', UINT32_MAX, &oid)) == NULL ||
	    (len = kind_length(s, (uint32_t)catalog)) == 0)
		return HF_E_CORRUPT;
	e->id = (int)id;
	e->catalog = (uint32_t)catalog;
	e->oid = (uint32_t)oid;
	e->kind = strndup(s, len);
	e->rest = strdup(s + len + 1);
	return e->kind == NULL || e->rest == NULL ? HF_E_NOMEM : HF_OK;
}

static int
add(struct toc *toc, size_t *cap, const char *line, size_t len,
    struct hf_error *err)
{
	struct toc_entry *more, *e;
	int rc;

	if (toc->n == *cap) {
		*cap = *cap == 0 ? 256 : *cap * 2;
		more = realloc(toc->entries, *cap * sizeof *more);
		if (more == NULL)
			return postgres_nomem(err);
		toc->entries = more;
	}
	e = &toc->entries[toc->n];
	memset(e, 0, sizeof *e);
	if ((e->line = malloc(len + 1)) == NULL)
		return postgres_nomem(err);
	memcpy(e->line, line, len);
	e->line[len] = '\0';
	toc->n++;
	/* A NUL would hide what stands behind it. */
	rc = strlen(e->line) == len ? parse(e) : HF_E_CORRUPT;
	if (rc == HF_E_NOMEM)
		return postgres_nomem(err);
	if (rc != HF_OK)
		return H->fail(err, HF_E_CORRUPT,
		    "a line of the schema's contents cannot be read: %.200s",
		    e->line);
	return HF_OK;
}

int
toc_read(const char *text, size_t len, struct toc *toc, struct hf_error *err)
{
	const char *p = text, *end = text + len;
	size_t cap = 0;
	int rc = HF_OK;

	memset(toc, 0, sizeof *toc);
	while (p < end && rc == HF_OK) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (eol == NULL)
			eol = end;
		if (p < eol && *p != ';')
			rc = add(toc, &cap, p, (size_t)(eol - p), err);
		p = eol < end ? eol + 1 : end;
	}
	if (rc != HF_OK)
		toc_clear(toc);
	return rc;
}

void
toc_clear(struct toc *toc)
{
	for (size_t i = 0; i < toc->n; i++) {
		free(toc->entries[i].kind);
		free(toc->entries[i].rest);
		free(toc->entries[i].line);
	}
	free(toc->entries);
	memset(toc, 0, sizeof *toc);
}
