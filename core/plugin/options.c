/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "plugin/value.h"

#define PATH_TEXT_MAX 512
#define FILE_MAX ((size_t)64 * 1024)

/* Memory of strings and lists, freed and wiped together. */
struct chunk {
	struct chunk *next;
	size_t len;
};

struct options {
	void *conf;
	size_t conf_size;
	struct chunk *chunks;
};

struct parse {
	const struct options_input *in;
	struct options *out; /* NULL when only shapes are checked */
	options_problem_fn *cb;
	void *arg;
	struct hf_error *err;
	int rc; /* the first problem's status */
};

const struct hf_option *
options_at(const struct hf_option *table, size_t stride, size_t n)
{
	const struct hf_option *o;

	if (table == NULL)
		return NULL;
	o = (const struct hf_option *)(const void *)((const char *)table +
						     n * stride);
	return o->name == NULL ? NULL : o;
}

const char *
options_type_name(uint32_t type)
{
	static const char *const names[] = { "string", "path", "enum", "bool",
		"int", "size", "duration" };

	if (type < HF_OPT_STRING || type > HF_OPT_DURATION)
		return "unknown";
	return names[type - HF_OPT_STRING];
}

const void *
options_conf(const struct options *o)
{
	return o == NULL ? NULL : o->conf;
}

void
options_free(struct options *o)
{
	if (o == NULL)
		return;
	while (o->chunks != NULL) {
		struct chunk *c = o->chunks;

		o->chunks = c->next;
		explicit_bzero(c + 1, c->len);
		free(c);
	}
	free(o->conf);
	free(o);
}

static void problem(struct parse *, const char *path, const char *hint,
    const char *fmt, ...) HF_PRINTF(4, 5);

static void
problem(
    struct parse *p, const char *path, const char *hint, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (hint != NULL && *hint == '\0')
		hint = NULL;
	if (p->rc == HF_OK) {
		p->rc = error_fail(p->err, HF_E_INVALID, "%s: %s", path, text);
		if (hint != NULL)
			error_note(p->err, "hint", hint);
	}
	if (p->cb != NULL)
		p->cb(p->arg, path, text, hint);
}

static void
no_memory(struct parse *p)
{
	p->rc = error_fail(p->err, HF_E_NOMEM, "no memory for options");
}

static void *
keep_room(struct parse *p, size_t len)
{
	struct chunk *c = calloc(1, sizeof *c + len);

	if (c == NULL) {
		no_memory(p);
		return NULL;
	}
	c->len = len;
	c->next = p->out->chunks;
	p->out->chunks = c;
	return c + 1;
}

static const char *
keep(struct parse *p, const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = keep_room(p, len);

	if (copy != NULL)
		memcpy(copy, s, len);
	return copy;
}

/* ---- keys ---- */

/* "from" and "a.b" make from["a.b"], so that a path can be followed. */
static void
join(char out[PATH_TEXT_MAX], const char *prefix, const char *key)
{
	if (strpbrk(key, ".[]") != NULL)
		(void)snprintf(out, PATH_TEXT_MAX, "%s[\"%s\"]", prefix, key);
	else
		(void)snprintf(out, PATH_TEXT_MAX, "%s%s%s", prefix,
		    *prefix == '\0' ? "" : ".", key);
}

enum match { MATCH_NONE, MATCH_OPTION, MATCH_OBJECT };

static enum match
match(const struct options_input *in, const char *path)
{
	const struct hf_option *o;
	size_t len = strlen(path);

	for (size_t n = 0; (o = options_at(in->table, in->stride, n)) != NULL;
	     n++) {
		if (strcmp(o->name, path) == 0)
			return MATCH_OPTION;
		if (strncmp(o->name, path, len) == 0 && o->name[len] == '.')
			return MATCH_OBJECT;
	}
	return MATCH_NONE;
}

static bool
reserved(const struct options_input *in, const char *key)
{
	for (const char *const *r = in->reserved; r != NULL && *r != NULL; r++)
		if (strcmp(*r, key) == 0)
			return true;
	return false;
}

struct valid {
	char **names; /* NULL ends */
	size_t n;
};

static void
valid_add(struct valid *v, const char *name, size_t len)
{
	for (size_t i = 0; i < v->n; i++)
		if (strlen(v->names[i]) == len &&
		    memcmp(v->names[i], name, len) == 0)
			return;
	if ((v->names[v->n] = strndup(name, len)) != NULL)
		v->n++;
}

/* The names that may stand in the object at prefix. */
static void
valid_names(const struct options_input *in, const char *prefix, struct valid *v)
{
	const struct hf_option *o;
	size_t len = strlen(prefix), count = 1, n;

	for (n = 0; options_at(in->table, in->stride, n) != NULL; n++)
		count++;
	for (n = 0; in->reserved != NULL && in->reserved[n] != NULL; n++)
		count++;
	*v = (struct valid){ calloc(count, sizeof *v->names), 0 };
	if (v->names == NULL)
		return;
	for (n = 0; (o = options_at(in->table, in->stride, n)) != NULL; n++) {
		const char *rest = o->name;

		if (len > 0) {
			if (strncmp(rest, prefix, len) != 0 || rest[len] != '.')
				continue;
			rest += len + 1;
		}
		valid_add(v, rest, strcspn(rest, "."));
	}
	for (n = 0; len == 0 && in->reserved != NULL && in->reserved[n] != NULL;
	     n++)
		valid_add(v, in->reserved[n], strlen(in->reserved[n]));
}

static void
unknown_key(
    struct parse *p, const char *prefix, const char *key, const char *path)
{
	char hint[488] = "";
	const char *near, *dot = strchr(key, '.');
	struct valid v;
	size_t at = 0;

	valid_names(p->in, prefix, &v);
	near =
	    v.n == 0 ? NULL : text_nearest(key, (const char *const *)v.names);
	if (dot != NULL && *prefix == '\0' && match(p->in, key) == MATCH_OPTION)
		at = (size_t)snprintf(hint, sizeof hint,
		    "Write { \"%.*s\": { \"%.64s\": ... } }.", (int)(dot - key),
		    key, dot + 1);
	else if (near != NULL)
		at = (size_t)snprintf(
		    hint, sizeof hint, "Did you mean \"%s\"?", near);
	for (size_t i = 0; i < v.n && at < sizeof hint; i++) {
		int n = snprintf(hint + at, sizeof hint - at, "%s%s%s",
		    i > 0    ? ", "
		    : at > 0 ? "  Valid here: "
			     : "Valid here: ",
		    v.names[i], i + 1 == v.n ? "." : "");
		at += n > 0 ? (size_t)n : 0;
	}
	problem(p, path, v.n == 0 ? "There are no options here." : hint,
	    "unknown key");
	for (size_t i = 0; i < v.n; i++)
		free(v.names[i]);
	free(v.names);
}

static void
check_keys(struct parse *p, const json_t *object, const char *prefix)
{
	char path[PATH_TEXT_MAX];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		enum match m;

		if (strcmp(key, "$comment") == 0 ||
		    (*prefix == '\0' && reserved(p->in, key)))
			continue;
		join(path, prefix, key);
		m = match(p->in, path);
		if (m == MATCH_NONE)
			unknown_key(p, prefix, key, path);
		else if (m == MATCH_OBJECT && json_is_object(value))
			check_keys(p, value, path);
		else if (m == MATCH_OBJECT)
			problem(p, path, NULL, "expected an object");
	}
}

static json_t *
lookup(const json_t *object, const char *name)
{
	json_t *at = (json_t *)object;
	char part[128];

	while (at != NULL) {
		size_t len = strcspn(name, ".");

		if (len >= sizeof part)
			return NULL;
		memcpy(part, name, len);
		part[len] = '\0';
		at = json_object_get(at, part);
		if (name[len] == '\0')
			return at;
		name += len + 1;
	}
	return NULL;
}

/* ---- values ---- */

static void
found(const json_t *j, char *out, size_t cap)
{
	const char *text = "an object";

	switch (json_typeof(j)) {
	case JSON_STRING:
		(void)snprintf(out, cap, "\"%.64s\"", json_string_value(j));
		return;
	case JSON_INTEGER:
		(void)snprintf(
		    out, cap, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
		return;
	case JSON_REAL:
		(void)snprintf(out, cap, "%g", json_real_value(j));
		return;
	case JSON_TRUE:
		text = "true";
		break;
	case JSON_FALSE:
		text = "false";
		break;
	case JSON_NULL:
		text = "null";
		break;
	case JSON_ARRAY:
		text = "a list";
		break;
	default:
		break;
	}
	(void)snprintf(out, cap, "%s", text);
}

static bool
is_secret(const struct hf_option *o)
{
	return (o->flags & HF_OPT_SECRET) != 0;
}

static bool
inline_refused(struct parse *p, const struct hf_option *o, const char *path)
{
	if (!is_secret(o) || p->in->allow_inline_secrets)
		return false;
	problem(p, path,
	    "Write {\"env\": \"NAME\"} or {\"file\": \"PATH\"} instead.",
	    "a secret may not be written here");
	return true;
}

/* Put what was parsed into memory of its own; false on a problem. */
static bool
own(struct parse *p, const struct hf_option *o, const char *path,
    struct value *v)
{
	char *absolute;

	if (v->s == NULL || p->out == NULL)
		return true;
	if ((o->flags & HF_OPT_REQUIRED) != 0 && *v->s == '\0') {
		problem(p, path, NULL, "is required, and found empty");
		return false;
	}
	if (o->type == HF_OPT_PATH) {
		if ((absolute = file_absolute(v->s, p->in->base_dir)) == NULL) {
			no_memory(p);
			return false;
		}
		v->s = keep(p, absolute);
		free(absolute);
	} else {
		v->s = keep(p, v->s);
	}
	if (v->s != NULL && is_secret(o))
		secret_add(v->s);
	return v->s != NULL;
}

static bool
literal(struct parse *p, const struct hf_option *o, const char *path,
    const json_t *j, struct value *v)
{
	struct value_problem why;
	char what[128];

	if (value_from_json(o, j, v, &why)) {
		if (inline_refused(p, o, path))
			return false;
		return own(p, o, path, v);
	}
	found(j, what, sizeof what);
	/* It may be the secret all the same, written without quotes. */
	problem(p, path, why.hint, "expected %s, found %s", why.expected,
	    is_secret(o) ? "something else" : what);
	return false;
}

/* Text from outside; from: "the environment variable X". */
static bool
foreign(struct parse *p, const struct hf_option *o, const char *path,
    const char *from, const char *text, struct value *v)
{
	struct value_problem why;

	if (value_from_text(o, text, v, &why))
		return own(p, o, path, v);
	problem(p, path, why.hint, "expected %s, found \"%.64s\" in %s",
	    why.expected, text, from);
	return false;
}

static bool
from_env(struct parse *p, const struct hf_option *o, const char *path,
    const json_t *j, struct value *v)
{
	const char *name = json_string_value(json_object_get(j, "env"));
	const json_t *def = json_object_get(j, "default");
	const char *text;
	char from[192];
	struct value ignored;

	if (p->out == NULL)
		return def == NULL || literal(p, o, path, def, &ignored);
	text = getenv(name);
	/* Compose files pass on what is not set as an empty text. */
	if (text == NULL || *text == '\0') {
		if (def != NULL)
			return literal(p, o, path, def, v);
		problem(p, path,
		    is_secret(o)
			? "Set it where this program is started."
			: "Set it where this program is started, or write "
			  "{\"env\": ..., \"default\": ...}.",
		    "the environment variable %.128s is %s", name,
		    text == NULL ? "not set" : "empty");
		return false;
	}
	(void)snprintf(
	    from, sizeof from, "the environment variable %.128s", name);
	return foreign(p, o, path, from, text, v);
}

static bool
from_file(struct parse *p, const struct hf_option *o, const char *path,
    const json_t *j, struct value *v)
{
	const char *name = json_string_value(json_object_get(j, "file"));
	struct hf_error why = { .status = HF_OK };
	struct buf b = BUF_INIT;
	char *file, line[600];
	bool ok = false;

	if (p->out == NULL)
		return true;
	if ((file = file_absolute(name, p->in->base_dir)) == NULL) {
		no_memory(p);
		return false;
	}
	if (file_read(file, FILE_MAX, &b, &why) != HF_OK) {
		error_line(&why, line, sizeof line);
		problem(p, path, error_get(&why, "hint"), "%s", line);
		goto out;
	}
	if (b.len > 0 && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	if (strlen((const char *)b.data) != b.len) {
		problem(p, path, NULL, "%s holds a NUL byte, so it is no text",
		    file);
		goto out;
	}
	ok = foreign(p, o, path, file, (const char *)b.data, v);
out:
	if (b.data != NULL)
		explicit_bzero(b.data, b.cap);
	buf_free(&b);
	free(file);
	return ok;
}

/* {"env": N}, {"env": N, "default": V} or {"file": P} */
static bool
indirect(struct parse *p, const struct hf_option *o, const char *path,
    const json_t *j, struct value *v)
{
	static const char forms[] =
	    "A value from elsewhere is written {\"env\": \"NAME\"}, "
	    "{\"env\": \"NAME\", \"default\": ...} or {\"file\": \"PATH\"}.";
	const json_t *env = json_object_get(j, "env");
	const json_t *file = json_object_get(j, "file");
	const json_t *name = env != NULL ? env : file;
	struct value_problem why;
	struct value ignored;
	const char *key;
	json_t *value;

	if ((env == NULL) == (file == NULL)) {
		(void)value_from_json(o, j, &ignored, &why);
		problem(p, path, forms, "expected %s, found an object",
		    why.expected);
		return false;
	}
	json_object_foreach((json_t *)j, key, value)
	{
		char at[PATH_TEXT_MAX];

		if (value == name || strcmp(key, "$comment") == 0 ||
		    (env != NULL && strcmp(key, "default") == 0))
			continue;
		join(at, path, key);
		problem(p, at, forms, "unknown key");
		return false;
	}
	if (!json_is_string(name) || *json_string_value(name) == '\0') {
		problem(p, path, forms, "expected a name in \"%s\"",
		    env != NULL ? "env" : "file");
		return false;
	}
	return env != NULL ? from_env(p, o, path, j, v)
			   : from_file(p, o, path, j, v);
}

/* False on a problem.  v is set only when values are resolved. */
static bool
scalar(struct parse *p, const struct hf_option *o, const char *path,
    const json_t *j, struct value *v)
{
	*v = (struct value){ 0 };
	return json_is_object(j) ? indirect(p, o, path, j, v)
				 : literal(p, o, path, j, v);
}

/* ---- options ---- */

static void
set(struct parse *p, const struct hf_option *o, const void *value)
{
	memcpy((char *)p->out->conf + o->offset, value, value_size(o));
}

static void
set_scalar(struct parse *p, const struct hf_option *o, const struct value *v)
{
	if (p->out == NULL)
		return;
	switch (o->type) {
	case HF_OPT_STRING:
	case HF_OPT_PATH:
	case HF_OPT_ENUM:
		set(p, o, &v->s);
		break;
	case HF_OPT_BOOL:
		set(p, o, &v->b);
		break;
	default:
		set(p, o, &v->i);
		break;
	}
}

static void
parse_list(struct parse *p, const struct hf_option *o, const json_t *j)
{
	size_t n = json_is_array(j) ? json_array_size(j) : 1;
	const char **list = NULL;
	char path[PATH_TEXT_MAX];

	if (n == 0 && (o->flags & HF_OPT_REQUIRED) != 0) {
		problem(p, o->name, NULL, "is required, and found empty");
		return;
	}
	if (p->out != NULL &&
	    (list = keep_room(p, (n + 1) * sizeof *list)) == NULL)
		return;
	for (size_t i = 0; i < n && p->rc != HF_E_NOMEM; i++) {
		struct value v;

		if (json_is_array(j))
			(void)snprintf(
			    path, sizeof path, "%s[%zu]", o->name, i);
		else
			(void)snprintf(path, sizeof path, "%s", o->name);
		if (scalar(p, o, path,
			json_is_array(j) ? json_array_get(j, i) : j, &v) &&
		    list != NULL)
			list[i] = v.s;
	}
	if (p->out != NULL)
		set(p, o, &list);
}

static void
parse_default(struct parse *p, const struct hf_option *o)
{
	struct value_problem why;
	json_t *list = NULL;
	const char *part;
	struct value v;
	size_t len;

	if (p->out == NULL || o->def == NULL)
		return;
	if ((o->flags & HF_OPT_LIST) == 0) {
		if (!value_from_text(o, o->def, &v, &why))
			problem(p, o->name, why.hint,
			    "its default \"%s\" is not %s", o->def,
			    why.expected);
		else if (own(p, o, o->name, &v))
			set_scalar(p, o, &v);
		return;
	}
	list = json_array();
	for (size_t n = 0; value_part(o->def, n, &part, &len); n++)
		if (json_array_append_new(list, json_stringn(part, len)) != 0) {
			no_memory(p);
			goto out;
		}
	parse_list(p, o, list);
out:
	json_decref(list);
}

static void
parse_option(struct parse *p, const struct hf_option *o)
{
	const json_t *j = lookup(p->in->object, o->name);
	struct value v;

	if (j == NULL && (o->flags & HF_OPT_REQUIRED) != 0)
		problem(p, o->name, o->help, "is required (%s)",
		    options_type_name(o->type));
	else if (j == NULL)
		parse_default(p, o);
	else if ((o->flags & HF_OPT_LIST) != 0)
		parse_list(p, o, j);
	else if (scalar(p, o, o->name, j, &v))
		set_scalar(p, o, &v);
}

int
options_parse(const struct options_input *in, struct options **out,
    options_problem_fn *cb, void *arg, struct hf_error *err)
{
	struct parse p = { .in = in, .cb = cb, .arg = arg, .err = err };
	const struct hf_option *o;

	if (out != NULL)
		*out = NULL;
	if (in->resolve) {
		/* One byte more: a plugin without options has a size of 0. */
		p.out = calloc(1, sizeof *p.out);
		if (p.out != NULL)
			p.out->conf = calloc(1, in->conf_size + 1);
		if (p.out == NULL || p.out->conf == NULL) {
			no_memory(&p);
			goto err0;
		}
		p.out->conf_size = in->conf_size;
	}
	if (in->object != NULL && !json_is_object(in->object))
		problem(&p, "", NULL, "expected an object");
	else if (in->object != NULL)
		check_keys(&p, in->object, "");
	for (size_t n = 0; p.rc != HF_E_NOMEM &&
			   (o = options_at(in->table, in->stride, n)) != NULL;
	     n++)
		parse_option(&p, o);
	if (p.rc != HF_OK)
		goto err0;
	if (out != NULL)
		*out = p.out;
	else
		options_free(p.out);
	return HF_OK;

err0:
	options_free(p.out);
	return p.rc;
}
