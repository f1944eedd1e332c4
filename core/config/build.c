/* SPDX-License-Identifier: BSD-2-Clause */
#include "build.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "check.h"
#include "config.h"
#include "item.h"
#include "keys.h"
#include "plugin/options.h"
#include "raw.h"
#include "settings.h"
#include "source.h"

static int
no_memory(struct hf_error *err)
{
	return error_fail(err, HF_E_NOMEM, "no memory");
}

/* Is the item whole enough to be one? */
static bool
usable(const char *name, const json_t *v, const char *plugin)
{
	const json_t *type = json_object_get(v, plugin);

	return !keys_everywhere(name) && keys_name_valid(name) &&
	       json_string_length(type) > 0;
}

static int
build_item(struct config_item *item, const char *map, const char *name,
    const json_t *v, struct hf_error *err)
{
	struct path path = PATH_INIT;

	(void)path_key(&path, map);
	(void)path_key(&path, name);
	item->name = strdup(name);
	item->json = v;
	item->json_path = strdup(path_text(&path));
	path_free(&path);
	if (item->name == NULL || item->json_path == NULL || path.failed)
		return no_memory(err);
	return HF_OK;
}

/* Names of filters to pointers; unknown ones were reported. */
static int
build_through(const struct config *c, const json_t *names,
    const struct config_item ***out, size_t *n, struct hf_error *err)
{
	size_t size = json_array_size(names);

	if (size == 0)
		return HF_OK;
	if ((*out = calloc(size, sizeof **out)) == NULL)
		return no_memory(err);
	for (size_t i = 0; i < size; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		const struct config_item *item =
		    name == NULL ? NULL : config_filter(c, name);

		if (item != NULL)
			(*out)[(*n)++] = item;
	}
	return HF_OK;
}

static int
build_filters(struct config *c, struct hf_error *err)
{
	const json_t *map = json_object_get(c->merged, "filters");
	const char *name;
	json_t *v;
	int rc;

	c->filters = calloc(json_object_size(map) + 1, sizeof *c->filters);
	if (c->filters == NULL)
		return no_memory(err);
	json_object_foreach((json_t *)map, name, v)
	{
		if (!usable(name, v, "type"))
			continue;
		rc = build_item(
		    &c->filters[c->nfilters++], "filters", name, v, err);
		if (rc != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
build_sinks(struct config *c, struct hf_error *err)
{
	const json_t *map = json_object_get(c->merged, "sinks");
	const char *name;
	json_t *v;
	int rc;

	c->sinks = calloc(json_object_size(map) + 1, sizeof *c->sinks);
	if (c->sinks == NULL)
		return no_memory(err);
	json_object_foreach((json_t *)map, name, v)
	{
		struct config_sink *sink;

		if (!usable(name, v, "type"))
			continue;
		sink = &c->sinks[c->nsinks++];
		sink->stall_ms =
		    settings_number(v, keys_find(&keys_sink, "stall_timeout"));
		rc = build_item(&sink->item, "sinks", name, v, err);
		if (rc == HF_OK)
			rc = build_through(c, json_object_get(v, "through"),
			    &sink->through, &sink->nthrough, err);
		if (rc != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
build_to(const struct config *c, const json_t *names, struct config_pipeline *p,
    struct hf_error *err)
{
	size_t size = json_array_size(names);

	if ((p->to = calloc(size + 1, sizeof *p->to)) == NULL)
		return no_memory(err);
	for (size_t i = 0; i < size; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		const struct config_sink *sink =
		    name == NULL ? NULL : config_sink(c, name);

		if (sink != NULL)
			p->to[p->nto++] = sink;
	}
	return HF_OK;
}

static void
build_require(struct config *c, const json_t *v, struct config_pipeline *p)
{
	struct path origin = PATH_INIT;

	p->require = p->nto;
	if (json_is_string(v) && strcmp(json_string_value(v), "any") == 0)
		p->require = 1;
	if (!json_is_integer(v) || json_integer_value(v) < 1)
		return;
	if ((uint64_t)json_integer_value(v) <= p->nto) {
		p->require = (size_t)json_integer_value(v);
		return;
	}
	check_origin(c->raw->doc, p->name, "require", &origin);
	problem_add(&c->raw->problems, 0, path_text(&origin), NULL,
	    "requires %" JSON_INTEGER_FORMAT
	    " sinks, but pipeline \"%s\" has %zu",
	    json_integer_value(v), p->name, p->nto);
	c->raw->problems.failed |= origin.failed;
	path_free(&origin);
}

static enum config_verify
build_verify(const json_t *v)
{
	const char *s = json_string_value(v);

	if (s == NULL)
		s = keys_find(&keys_pipeline, "verify")->def;
	if (strcmp(s, "none") == 0)
		return CONFIG_VERIFY_NONE;
	return strcmp(s, "deep") == 0 ? CONFIG_VERIFY_DEEP
				      : CONFIG_VERIFY_READBACK;
}

static void
build_retention(const json_t *v, struct config_retention *r)
{
	const struct keys *keys = keys_find(&keys_pipeline, "retention")->sub;
	const struct {
		const char *name;
		int64_t *value;
	} rules[] = {
		{ "last", &r->last },
		{ "hourly", &r->hourly },
		{ "daily", &r->daily },
		{ "weekly", &r->weekly },
		{ "monthly", &r->monthly },
		{ "yearly", &r->yearly },
		{ "within", &r->within_ms },
		{ "wal", &r->wal_ms },
		{ "reports", &r->reports_ms },
		{ "min_keep", &r->min_keep },
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		*rules[i].value =
		    settings_number(v, keys_find(keys, rules[i].name));
}

static void
build_incremental(const json_t *v, struct config_incremental *i)
{
	const struct keys *keys = keys_find(&keys_pipeline, "incremental")->sub;

	i->on = v != NULL;
	i->full_every_ms = settings_number(v, keys_find(keys, "full_every"));
	i->max_chain = settings_number(v, keys_find(keys, "max_chain"));
}

static int
build_pipeline(struct config *c, struct check *check, json_t *v,
    struct config_pipeline *p, struct hf_error *err)
{
	int rc;

	check_complete(check, p->name, v);
	if ((rc = source_build(c, p, v, err)) != HF_OK)
		return rc;
	rc = build_through(
	    c, json_object_get(v, "through"), &p->through, &p->nthrough, err);
	if (rc == HF_OK)
		rc = build_to(c, json_object_get(v, "to"), p, err);
	if (rc != HF_OK)
		return rc;
	build_require(c, json_object_get(v, "require"), p);
	p->verify = build_verify(json_object_get(v, "verify"));
	p->rpo_ms = settings_number(v, keys_find(&keys_pipeline, "rpo"));
	p->rto_ms = settings_number(v, keys_find(&keys_pipeline, "rto"));
	build_retention(json_object_get(v, "retention"), &p->retention);
	build_incremental(json_object_get(v, "incremental"), &p->incremental);
	return settings_labels(c, p, json_object_get(v, "labels"), err);
}

static int
build_pipelines(struct config *c, struct check *check, struct hf_error *err)
{
	json_t *map = json_object_get(c->merged, "pipelines"), *v;
	const char *name;
	int rc;

	c->pipelines = calloc(json_object_size(map) + 1, sizeof *c->pipelines);
	if (c->pipelines == NULL)
		return no_memory(err);
	json_object_foreach(map, name, v)
	{
		struct config_pipeline *p;

		if (!json_is_object(v) || !keys_name_valid(name))
			continue;
		p = &c->pipelines[c->npipelines++];
		if ((p->name = strdup(name)) == NULL)
			return no_memory(err);
		if ((rc = build_pipeline(c, check, v, p, err)) != HF_OK)
			return rc;
	}
	return HF_OK;
}

/* Which filters and sinks does a pipeline need? */
static void
mark_used(const struct config *c, bool *filters, bool *sinks)
{
	for (size_t i = 0; i < c->npipelines; i++) {
		const struct config_pipeline *p = &c->pipelines[i];

		for (size_t j = 0; j < p->nthrough; j++)
			filters[p->through[j] - c->filters] = true;
		for (size_t j = 0; j < p->nto; j++) {
			const struct config_sink *sink = p->to[j];

			sinks[sink - c->sinks] = true;
			for (size_t k = 0; k < sink->nthrough; k++)
				filters[sink->through[k] - c->filters] = true;
		}
	}
}

static int
load_item(struct config *c, struct config_item *item, struct plugins *plugins,
    bool used, struct hf_error *err)
{
	struct options *none;

	item_load(c, item, plugins, used ? 0 : PROBLEM_WARNING);
	if (item->plugin == NULL)
		return HF_OK;
	return item_parse(c, item, false, 0, &c->raw->problems, &none, err);
}

static int
load_all(struct config *c, struct plugins *plugins, struct hf_error *err)
{
	bool *filters = calloc(c->nfilters + 1, sizeof *filters);
	bool *sinks = calloc(c->nsinks + 1, sizeof *sinks);
	int rc = HF_OK;

	if (filters == NULL || sinks == NULL) {
		rc = no_memory(err);
		goto done;
	}
	mark_used(c, filters, sinks);
	for (size_t i = 0; i < c->nfilters && rc == HF_OK; i++)
		rc = load_item(c, &c->filters[i], plugins, filters[i], err);
	for (size_t i = 0; i < c->nsinks && rc == HF_OK; i++)
		rc = load_item(c, &c->sinks[i].item, plugins, sinks[i], err);
	for (size_t i = 0; i < c->npipelines; i++) {
		struct config_pipeline *p = &c->pipelines[i];

		for (size_t j = 0; j < p->nsources && rc == HF_OK; j++)
			rc = load_item(c, &p->sources[j], plugins, true, err);
	}
done:
	free(filters);
	free(sinks);
	return rc;
}

/* The options alone: what the core reads of a sink does not make it another
 * place. */
static json_t *
only_options(const json_t *sink)
{
	json_t *copy = json_copy((json_t *)sink);

	(void)json_object_del(copy, "through");
	(void)json_object_del(copy, "stall_timeout");
	(void)json_object_del(copy, "$comment");
	(void)json_object_del(copy, "$schema");
	return copy;
}

/* Two names for one place: two copies that are one. */
static void
warn_same_sinks(struct config *c)
{
	for (size_t i = 1; i < c->nsinks; i++) {
		json_t *a = only_options(c->sinks[i].item.json);

		for (size_t j = 0; j < i; j++) {
			json_t *b = only_options(c->sinks[j].item.json);
			bool same = a != NULL && json_equal(a, b);

			json_decref(b);
			if (!same)
				continue;
			problem_add(&c->raw->problems,
			    PROBLEM_WARNING | PROBLEM_KEY,
			    c->sinks[i].item.json_path,
			    "Two copies in one place are lost together.",
			    "is the same place as sink \"%s\"",
			    c->sinks[j].item.name);
			break;
		}
		json_decref(a);
	}
}

int
build_config(struct config *c, struct check *check, struct plugins *plugins,
    struct hf_error *err)
{
	int rc;

	if ((rc = settings_build(c, err)) != HF_OK)
		return rc;
	if ((rc = build_filters(c, err)) != HF_OK)
		return rc;
	if ((rc = build_sinks(c, err)) != HF_OK)
		return rc;
	if ((rc = build_pipelines(c, check, err)) != HF_OK)
		return rc;
	if ((rc = load_all(c, plugins, err)) != HF_OK)
		return rc;
	warn_same_sinks(c);
	return HF_OK;
}

static void
free_item(struct config_item *item)
{
	free(item->name);
	free((char *)item->json_path);
}

void
build_free(struct config *c)
{
	for (size_t i = 0; i < c->nfilters; i++)
		free_item(&c->filters[i]);
	for (size_t i = 0; i < c->nsinks; i++) {
		free_item(&c->sinks[i].item);
		free(c->sinks[i].through);
	}
	for (size_t i = 0; i < c->npipelines; i++) {
		struct config_pipeline *p = &c->pipelines[i];

		for (size_t j = 0; j < p->nsources; j++)
			free_item(&p->sources[j]);
		free(p->sources);
		free(p->through);
		free(p->to);
		free(p->name);
		json_decref(p->labels);
	}
	free(c->filters);
	free(c->sinks);
	free(c->pipelines);
	free(c->state_dir);
	free(c->scratch_dir);
	free(c->environment);
	free(c->operator_name);
}
