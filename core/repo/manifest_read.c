/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/key.h"
#include "manifest.h"
#include "repo/repo_private.h"

/* Numbers that an honest manifest stays far below. */
#define SOURCES_MAX 10000
#define FILTERS_MAX 32
#define SINKS_MAX 1000
#define SIZE_LIMIT (INT64_MAX / 4)

struct reader {
	struct hf_error *err;
	const char *prefix; /* all keys stand below */
	uint64_t sum;       /* of all sizes so far */
};

static int
bad(struct reader *r, const char *where, const char *what)
{
	return error_fail(
	    r->err, HF_E_CORRUPT, "manifest: %s: %s", where, what);
}

/* A copy of a text member.  Absent: NULL when optional. */
static int
get_text(struct reader *r, const json_t *object, const char *name,
    bool optional, char **out)
{
	const json_t *value = json_object_get(object, name);

	*out = NULL;
	if (value == NULL && optional)
		return HF_OK;
	if (!json_is_string(value))
		return bad(r, name, "a text was expected");
	if (!optional && json_string_length(value) == 0)
		return bad(r, name, "empty");
	if ((*out = strdup(json_string_value(value))) == NULL)
		return repo_nomem(r->err);
	return HF_OK;
}

static int
get_size(
    struct reader *r, const json_t *object, const char *name, uint64_t *out)
{
	const json_t *value = json_object_get(object, name);
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0 || n > SIZE_LIMIT)
		return bad(r, name, "a size was expected");
	*out = (uint64_t)n;
	return HF_OK;
}

static int
get_hash(struct reader *r, const json_t *object, const char *name,
    char out[SHA256_HEX])
{
	const char *s = json_string_value(json_object_get(object, name));

	if (s == NULL || strlen(s) != SHA256_HEX - 1 ||
	    strspn(s, "0123456789abcdef") != SHA256_HEX - 1)
		return bad(r, name, "64 hex digits were expected");
	memcpy(out, s, SHA256_HEX);
	return HF_OK;
}

static int
get_key(struct reader *r, const json_t *object, const char *name, char **out)
{
	size_t len = strlen(r->prefix);
	int rc = get_text(r, object, name, false, out);

	if (rc != HF_OK)
		return rc;
	/* A manifest that somebody planted must not make us read, count or
	 * remove what belongs to others. */
	if (!key_valid(*out) || strncmp(*out, r->prefix, len) != 0 ||
	    strcmp(*out + len, "SHA256SUMS") == 0)
		return bad(r, *out, "a key outside the backup's own folder");
	return HF_OK;
}

static int
get_pairs(struct reader *r, const json_t *object, const char *name, char ***out)
{
	json_t *pairs = json_object_get(object, name), *value;
	const char *key;
	size_t n = 0;

	if (pairs == NULL)
		return HF_OK;
	if (!json_is_object(pairs))
		return bad(r, name, "an object was expected");
	*out = calloc(2 * json_object_size(pairs) + 1, sizeof **out);
	if (*out == NULL)
		return repo_nomem(r->err);
	json_object_foreach(pairs, key, value)
	{
		if (!json_is_string(value))
			return bad(r, name, "a text was expected");
		if (((*out)[n++] = strdup(key)) == NULL ||
		    ((*out)[n++] = strdup(json_string_value(value))) == NULL)
			return repo_nomem(r->err);
	}
	return HF_OK;
}

static int
get_array(struct reader *r, const json_t *object, const char *name,
    size_t limit, json_t **out)
{
	*out = json_object_get(object, name);
	if (!json_is_array(*out) || json_array_size(*out) > limit)
		return bad(r, name, "a list was expected");
	return HF_OK;
}

static int
get_names(struct reader *r, const json_t *object, const char *name, char ***out)
{
	json_t *list = json_object_get(object, name), *value;
	size_t i;
	int rc;

	if (list == NULL)
		return HF_OK;
	if ((rc = get_array(r, object, name, SINKS_MAX, &list)) != HF_OK)
		return rc;
	*out = calloc(json_array_size(list) + 1, sizeof **out);
	if (*out == NULL)
		return repo_nomem(r->err);
	json_array_foreach(list, i, value)
	{
		if (!json_is_string(value))
			return bad(r, name, "a text was expected");
		if (((*out)[i] = strdup(json_string_value(value))) == NULL)
			return repo_nomem(r->err);
	}
	return HF_OK;
}

static int
read_filters(struct reader *r, const json_t *json, struct manifest_object *o)
{
	json_t *list, *f;
	size_t i;
	int rc;

	if ((rc = get_array(r, json, "filters", FILTERS_MAX, &list)) != HF_OK)
		return rc;
	o->filters = calloc(json_array_size(list) + 1, sizeof *o->filters);
	if (o->filters == NULL)
		return repo_nomem(r->err);
	json_array_foreach(list, i, f)
	{
		o->nfilters++;
		rc = get_text(r, f, "name", false, &o->filters[i].name);
		if (rc == HF_OK)
			rc = get_text(r, f, "type", false, &o->filters[i].type);
		if (rc != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
read_index(struct reader *r, const json_t *json, struct manifest_object *o)
{
	const json_t *index = json_object_get(json, "index");
	int rc;

	if (index == NULL)
		return HF_OK;
	if (!json_is_object(index) || o->frame_size == 0)
		return bad(r, o->name, "an index that cannot be");
	if ((rc = get_key(r, index, "key", &o->index_key)) != HF_OK ||
	    (rc = get_size(r, index, "size", &o->index_size)) != HF_OK)
		return rc;
	r->sum += o->index_size;
	return get_hash(r, index, "sha256", o->index_sha256);
}

static int
read_object(struct reader *r, const json_t *json, struct manifest_object *o)
{
	int rc;

	if (!json_is_object(json))
		return bad(r, "objects", "an object was expected");
	if ((rc = get_text(r, json, "name", false, &o->name)) != HF_OK ||
	    (rc = get_key(r, json, "key", &o->key)) != HF_OK ||
	    (rc = get_size(r, json, "raw_size", &o->raw_size)) != HF_OK ||
	    (rc = get_hash(r, json, "raw_sha256", o->raw_sha256)) != HF_OK ||
	    (rc = get_size(r, json, "stored_size", &o->stored_size)) != HF_OK ||
	    (rc = get_hash(r, json, "stored_sha256", o->stored_sha256)) !=
		HF_OK ||
	    (rc = read_filters(r, json, o)) != HF_OK ||
	    (rc = get_size(r, json, "frame_size", &o->frame_size)) != HF_OK ||
	    (rc = read_index(r, json, o)) != HF_OK)
		return rc;
	r->sum += o->raw_size / 2 + o->stored_size / 2;
	if (r->sum > SIZE_LIMIT)
		return bad(r, "objects", "sizes that cannot be");
	return HF_OK;
}

int
manifest_object_from_json(const json_t *json, const char *prefix,
    struct manifest_object *o, struct hf_error *err)
{
	struct reader r = { .err = err, .prefix = prefix };
	int rc;

	*o = (struct manifest_object){ 0 };
	if ((rc = read_object(&r, json, o)) != HF_OK)
		manifest_object_clear(o);
	return rc;
}

/* Full ones do not say it. */
static int
read_source_kind(
    struct reader *r, const json_t *json, struct manifest_source *s)
{
	const json_t *value = json_object_get(json, "kind");
	const char *kind = json_string_value(value);

	if (value == NULL)
		return HF_OK;
	if (kind == NULL || strcmp(kind, MANIFEST_INCREMENTAL) != 0)
		return bad(r, "kind", "not one that a source can have");
	s->incremental = true;
	return HF_OK;
}

static int
read_source(struct reader *r, const json_t *json, struct manifest_source *s)
{
	json_t *objects, *o;
	size_t i;
	int rc;

	if (!json_is_object(json))
		return bad(r, "sources", "an object was expected");
	if ((rc = get_text(r, json, "name", false, &s->name)) != HF_OK ||
	    (rc = get_text(r, json, "engine", false, &s->engine)) != HF_OK ||
	    (rc = get_text(r, json, "engine_version", true,
		 &s->engine_version)) != HF_OK ||
	    (rc = get_text(r, json, "prefix", true, &s->prefix)) != HF_OK ||
	    (rc = read_source_kind(r, json, s)) != HF_OK ||
	    (rc = get_pairs(r, json, "facts", &s->facts)) != HF_OK ||
	    (rc = get_array(r, json, "objects", SIZE_MAX, &objects)) != HF_OK)
		return rc;
	s->objects = calloc(json_array_size(objects) + 1, sizeof *s->objects);
	if (s->objects == NULL)
		return repo_nomem(r->err);
	json_array_foreach(objects, i, o)
	{
		s->nobjects++;
		if ((rc = read_object(r, o, &s->objects[i])) != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
read_check(struct reader *r, const json_t *json, struct manifest_check *c)
{
	const char *verdict;
	int rc;

	if (!json_is_object(json))
		return bad(r, "checks", "an object was expected");
	if ((rc = get_text(r, json, "source", true, &c->source)) != HF_OK ||
	    (rc = get_text(r, json, "check", false, &c->check)) != HF_OK ||
	    (rc = get_text(r, json, "result", true, &c->result)) != HF_OK)
		return rc;
	verdict = json_string_value(json_object_get(json, "verdict"));
	if (verdict == NULL)
		return bad(r, "checks", "a verdict was expected");
	c->verdict = strcmp(verdict, "pass") == 0   ? HF_PASS
		     : strcmp(verdict, "warn") == 0 ? HF_WARN
						    : HF_FAIL;
	return HF_OK;
}

static int
read_lists(struct reader *r, const json_t *json, struct manifest *m)
{
	json_t *list, *item;
	size_t i;
	int rc;

	if ((rc = get_array(r, json, "sources", SOURCES_MAX, &list)) != HF_OK)
		return rc;
	m->sources = calloc(json_array_size(list) + 1, sizeof *m->sources);
	if (m->sources == NULL)
		return repo_nomem(r->err);
	json_array_foreach(list, i, item)
	{
		m->nsources++;
		if ((rc = read_source(r, item, &m->sources[i])) != HF_OK)
			return rc;
	}
	if (json_object_get(json, "checks") == NULL)
		return HF_OK;
	if ((rc = get_array(r, json, "checks", SIZE_MAX, &list)) != HF_OK)
		return rc;
	m->checks = calloc(json_array_size(list) + 1, sizeof *m->checks);
	if (m->checks == NULL)
		return repo_nomem(r->err);
	json_array_foreach(list, i, item)
	{
		m->nchecks++;
		if ((rc = read_check(r, item, &m->checks[i])) != HF_OK)
			return rc;
	}
	return HF_OK;
}

/* What this program knows beyond format 1. */
static const char *const known_features[] = { MANIFEST_INCREMENTAL };

static bool
is_known(const char *feature)
{
	for (size_t i = 0; i < sizeof known_features / sizeof *known_features;
	     i++)
		if (feature != NULL && strcmp(feature, known_features[i]) == 0)
			return true;
	return false;
}

static int
check_features(struct reader *r, const json_t *features)
{
	const char *name = NULL;
	size_t i, n = json_array_size(features);

	for (i = 0; i < n; i++) {
		name = json_string_value(json_array_get(features, i));
		if (!is_known(name))
			break;
	}
	if (i == n)
		return HF_OK;
	(void)error_fail(r->err, HF_E_UNSUPPORTED,
	    "manifest: needs the feature \"%s\", which this program does not "
	    "know",
	    name == NULL ? "?" : name);
	error_hint(r->err, "Use a later version of " PROGRAM_NAME ".");
	return HF_E_UNSUPPORTED;
}

/* Newer writers say what a reader must know; guessing would restore wrong. */
static int
check_format(struct reader *r, const json_t *json)
{
	const json_t *format = json_object_get(json, "format");

	if (!json_is_integer(format) || json_integer_value(format) < 1)
		return bad(r, "format", "a number was expected");
	if (json_integer_value(format) > MANIFEST_FORMAT) {
		(void)error_fail(r->err, HF_E_UNSUPPORTED,
		    "manifest: format %lld is newer than this program, which "
		    "reads %d",
		    (long long)json_integer_value(format), MANIFEST_FORMAT);
		error_hint(r->err, "Use the version of " PROGRAM_NAME
				   " that wrote it, or a later one.");
		return HF_E_UNSUPPORTED;
	}
	return check_features(r, json_object_get(json, "features"));
}

static int
read_head(struct reader *r, const json_t *json, struct manifest *m)
{
	int rc;

	if ((rc = get_text(r, json, "id", false, &m->id)) != HF_OK ||
	    (rc = get_text(r, json, "pipeline", false, &m->pipeline)) !=
		HF_OK ||
	    (rc = get_text(r, json, "kind", false, &m->kind)) != HF_OK ||
	    (rc = get_text(r, json, "parent", true, &m->parent)) != HF_OK ||
	    (rc = get_text(r, json, "host", true, &m->host)) != HF_OK ||
	    (rc = get_text(r, json, "environment", true, &m->environment)) !=
		HF_OK ||
	    (rc = get_text(r, json, "operator", true, &m->operator_name)) !=
		HF_OK ||
	    (rc = get_text(r, json_object_get(json, "program"), "version", true,
		 &m->program_version)) != HF_OK ||
	    (rc = get_pairs(r, json, "labels", &m->labels)) != HF_OK ||
	    (rc = get_names(r, json, "sinks", &m->sinks)) != HF_OK)
		return rc;
	m->started_ms = repo_get_time(json, "started");
	m->ended_ms = repo_get_time(json, "ended");
	if (!manifest_valid_id(m->id) ||
	    (m->parent != NULL && !manifest_valid_id(m->parent)))
		return bad(r, "id", "not the id of a backup");
	if (m->started_ms < 0 || m->ended_ms < 0)
		return bad(r, "started, ended", "times were expected");
	return HF_OK;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No two objects may stand on the same key. */
static int
check_keys(struct reader *r, const struct manifest *m)
{
	const char **keys;
	size_t n = 0, count = 0;
	int rc = HF_OK;

	for (size_t s = 0; s < m->nsources; s++)
		count += 2 * m->sources[s].nobjects;
	if ((keys = calloc(count + 1, sizeof *keys)) == NULL)
		return repo_nomem(r->err);
	for (size_t s = 0; s < m->nsources; s++)
		for (size_t i = 0; i < m->sources[s].nobjects; i++) {
			keys[n++] = m->sources[s].objects[i].key;
			if (m->sources[s].objects[i].index_key != NULL)
				keys[n++] = m->sources[s].objects[i].index_key;
		}
	qsort(keys, n, sizeof *keys, by_text);
	for (size_t i = 1; i < n && rc == HF_OK; i++)
		if (strcmp(keys[i - 1], keys[i]) == 0)
			rc = bad(r, keys[i], "a key of two objects");
	free(keys);
	return rc;
}

/* What is restored without its parent, or with one that it does not have, is
 * something else than was backed up.  A parent is older, so that no ring of
 * them is possible. */
static int
check_kind(struct reader *r, const struct manifest *m)
{
	bool incremental = strcmp(m->kind, MANIFEST_INCREMENTAL) == 0,
	     source = false;

	if (!incremental && strcmp(m->kind, MANIFEST_FULL) != 0)
		return bad(r, "kind", "not one that a backup can have");
	for (size_t i = 0; i < m->nsources; i++)
		source = source || m->sources[i].incremental;
	if (incremental != source)
		return bad(r, "kind", "its sources are of another one");
	if (incremental != (m->parent != NULL))
		return bad(r, "parent",
		    incremental ? "missing" : "not of a full backup");
	if (incremental && strcmp(m->parent, m->id) >= 0)
		return bad(r, "parent", "not older than the backup itself");
	return HF_OK;
}

int
manifest_from_json(
    const json_t *json, struct manifest **out, struct hf_error *err)
{
	struct reader r = { .err = err };
	struct manifest *m = NULL;
	char *prefix = NULL;
	int rc;

	if (!json_is_object(json))
		return bad(&r, "it", "not an object");
	if ((rc = check_format(&r, json)) != HF_OK)
		return rc;
	if ((m = calloc(1, sizeof *m)) == NULL)
		return repo_nomem(err);
	if ((rc = read_head(&r, json, m)) != HF_OK)
		goto err;
	if ((prefix = manifest_data_prefix(m->pipeline, m->id)) == NULL) {
		rc = bad(&r, "pipeline", "not a name that can be in a key");
		goto err;
	}
	r.prefix = prefix;
	if ((rc = read_lists(&r, json, m)) != HF_OK ||
	    (rc = check_kind(&r, m)) != HF_OK ||
	    (rc = check_keys(&r, m)) != HF_OK)
		goto err;
	free(prefix);
	*out = m;
	return HF_OK;
err:
	free(prefix);
	manifest_free(m);
	return rc;
}
