/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "manifest.h"
#include "repo/repo_private.h"

/* Members are put one by one in the order people read them; a failure (no
 * memory, a name that is not UTF-8) is kept until the end. */
struct writer {
	bool failed;
};

static void
put(struct writer *w, json_t *object, const char *name, json_t *value)
{
	/* Takes value over, NULL included. */
	if (json_object_set_new(object, name, value) != 0)
		w->failed = true;
}

static void
put_text(struct writer *w, json_t *object, const char *name, const char *s)
{
	if (s != NULL)
		put(w, object, name, repo_text(s));
}

/* What has to come back byte for byte: names and keys. */
static void
put_exact(struct writer *w, json_t *object, const char *name, const char *s)
{
	put(w, object, name, s == NULL ? NULL : json_string(s));
}

static void
put_size(struct writer *w, json_t *object, const char *name, uint64_t n)
{
	if (n > INT64_MAX)
		w->failed = true;
	put(w, object, name, json_integer((json_int_t)(n & INT64_MAX)));
}

static void
append(struct writer *w, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		w->failed = true;
}

static json_t *
pairs_json(struct writer *w, char *const *pairs)
{
	json_t *object = json_object();

	for (; pairs != NULL && pairs[0] != NULL && pairs[1] != NULL;
	     pairs += 2)
		put_text(w, object, pairs[0], pairs[1]);
	return object;
}

static json_t *
names_json(struct writer *w, char *const *names)
{
	json_t *array = json_array();

	for (; *names != NULL; names++)
		append(w, array, json_string(*names));
	return array;
}

static json_t *
object_json(struct writer *w, const struct manifest_object *o)
{
	json_t *json = json_object(), *filters = json_array(), *index;

	put_exact(w, json, "name", o->name);
	put_exact(w, json, "key", o->key);
	put_size(w, json, "raw_size", o->raw_size);
	put_exact(w, json, "raw_sha256", o->raw_sha256);
	put_size(w, json, "stored_size", o->stored_size);
	put_exact(w, json, "stored_sha256", o->stored_sha256);
	for (size_t i = 0; i < o->nfilters; i++) {
		json_t *f = json_object();

		put_exact(w, f, "name", o->filters[i].name);
		put_exact(w, f, "type", o->filters[i].type);
		append(w, filters, f);
	}
	put(w, json, "filters", filters);
	put_size(w, json, "frame_size", o->frame_size);
	if (o->index_key != NULL) {
		index = json_object();
		put_exact(w, index, "key", o->index_key);
		put_size(w, index, "size", o->index_size);
		put_exact(w, index, "sha256", o->index_sha256);
		put(w, json, "index", index);
	}
	return json;
}

json_t *
manifest_object_to_json(const struct manifest_object *o)
{
	struct writer w = { false };
	json_t *json = object_json(&w, o);

	if (!w.failed)
		return json;
	json_decref(json);
	return NULL;
}

static json_t *
source_json(struct writer *w, const struct manifest_source *s)
{
	json_t *json = json_object(), *objects = json_array();

	put_exact(w, json, "name", s->name);
	put_exact(w, json, "engine", s->engine);
	put_text(w, json, "engine_version", s->engine_version);
	if (s->incremental)
		put_exact(w, json, "kind", MANIFEST_INCREMENTAL);
	if (s->prefix != NULL)
		put_exact(w, json, "prefix", s->prefix);
	put(w, json, "facts", pairs_json(w, s->facts));
	for (size_t i = 0; i < s->nobjects; i++)
		append(w, objects, object_json(w, &s->objects[i]));
	put(w, json, "objects", objects);
	return json;
}

static json_t *
check_json(struct writer *w, const struct manifest_check *c)
{
	static const char *const verdicts[] = { "pass", "warn", "fail" };
	json_t *json = json_object();

	put_text(w, json, "source", c->source);
	put_text(w, json, "check", c->check);
	put_exact(w, json, "verdict",
	    verdicts[c->verdict >= HF_PASS && c->verdict <= HF_FAIL ? c->verdict
								    : HF_FAIL]);
	put_text(w, json, "result", c->result);
	return json;
}

static void
put_head(struct writer *w, json_t *json, const struct manifest *m)
{
	json_t *program = json_object(), *features = json_array();

	put(w, json, "format", json_integer(MANIFEST_FORMAT));
	if (m->parent != NULL)
		append(w, features, json_string(MANIFEST_INCREMENTAL));
	put(w, json, "features", features);
	put_exact(w, json, "id", m->id);
	put_exact(w, json, "pipeline", m->pipeline);
	put_exact(w, json, "kind", m->kind);
	if (m->parent != NULL)
		put_exact(w, json, "parent", m->parent);
	put_exact(w, json, "started", repo_time(m->started_ms).s);
	put_exact(w, json, "ended", repo_time(m->ended_ms).s);
	put_text(w, json, "host", m->host);
	put_text(w, json, "environment", m->environment);
	put_text(w, json, "operator", m->operator_name);
	put_exact(w, program, "name", PROGRAM_NAME);
	put_text(w, program, "version", m->program_version);
	put(w, json, "program", program);
	if (m->labels != NULL)
		put(w, json, "labels", pairs_json(w, m->labels));
	if (m->sinks != NULL)
		put(w, json, "sinks", names_json(w, m->sinks));
}

int
manifest_to_json(const struct manifest *m, json_t **out, struct hf_error *err)
{
	struct writer w = { false };
	json_t *json = json_object(), *sources = json_array(),
	       *checks = json_array();

	put_head(&w, json, m);
	for (size_t i = 0; i < m->nsources; i++)
		append(&w, sources, source_json(&w, &m->sources[i]));
	for (size_t i = 0; i < m->nchecks; i++)
		append(&w, checks, check_json(&w, &m->checks[i]));
	put(&w, json, "sources", sources);
	put(&w, json, "checks", checks);
	if (!w.failed) {
		*out = json;
		return HF_OK;
	}
	json_decref(json);
	return error_fail(err, HF_E_INVALID,
	    "the manifest of %s cannot be written: a name in it is not UTF-8, "
	    "or there is no memory",
	    m->id);
}
