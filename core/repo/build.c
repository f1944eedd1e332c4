/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "flow/out.h"
#include "plugin/filter.h"
#include "plugin/host.h"
#include "plugin/loader.h"
#include "repo/repo_private.h"

/* A copy, or NULL for NULL; false without memory. */
static bool
copy(char **to, const char *from)
{
	*to = from == NULL ? NULL : strdup(from);
	return from == NULL || *to != NULL;
}

static bool
copy_filter(struct manifest_filter *to, const struct filter *f)
{
	return copy(&to->name, filter_name(f)) &&
	       copy(&to->type, filter_type(f));
}

bool
build_object(const struct build *b, const struct flow_object *f,
    struct manifest_object *o)
{
	o->raw_size = f->raw_size;
	o->stored_size = f->stored_size;
	o->frame_size = f->frame_size;
	o->index_size = f->index_key == NULL ? 0 : f->index_size;
	memcpy(o->raw_sha256, f->raw_sha256, SHA256_HEX);
	memcpy(o->stored_sha256, f->stored_sha256, SHA256_HEX);
	memcpy(o->index_sha256, f->index_sha256, SHA256_HEX);
	o->filters = calloc(b->ncommon + b->nown + 1, sizeof *o->filters);
	if (o->filters == NULL || !copy(&o->name, f->name) ||
	    !copy(&o->key, f->key) ||
	    !copy(&o->index_key, f->index_size > 0 ? f->index_key : NULL))
		return false;
	for (size_t i = 0; i < b->ncommon; i++)
		if (!copy_filter(&o->filters[o->nfilters++], b->common[i]))
			return false;
	for (size_t i = 0; i < b->nown; i++)
		if (!copy_filter(&o->filters[o->nfilters++], b->own[i]))
			return false;
	return true;
}

static bool
build_facts(const struct hf_out *out, char ***facts)
{
	const char *key, *value;
	size_t n = 0;

	while (out_fact_at(out, n, &key, &value))
		n++;
	if ((*facts = calloc(2 * n + 1, sizeof **facts)) == NULL)
		return false;
	for (size_t i = 0; i < n && out_fact_at(out, i, &key, &value); i++)
		if (!copy(&(*facts)[2 * i], key) ||
		    !copy(&(*facts)[2 * i + 1], value))
			return false;
	return true;
}

static bool
build_source(
    struct repo *r, const struct build *b, size_t i, struct manifest_source *s)
{
	const struct config_item *item = &r->pipeline->sources[i];
	const struct flow_object *f;
	size_t n = 0;

	while (out_object(b->outs[i], b->lane, n) != NULL)
		n++;
	s->incremental = b->parent != NULL && b->incremental[i];
	if ((s->objects = calloc(n + 1, sizeof *s->objects)) == NULL ||
	    !copy(&s->name, item->name) ||
	    !copy(&s->engine, item->plugin->desc.name) ||
	    !copy(&s->engine_version, item->plugin->desc.version) ||
	    !copy(&s->prefix, b->prefixes[i]) ||
	    !build_facts(b->outs[i], &s->facts))
		return false;
	for (; s->nobjects < n; s->nobjects++) {
		f = out_object(b->outs[i], b->lane, s->nobjects);
		if (!build_object(b, f, &s->objects[s->nobjects])) {
			s->nobjects++;
			return false;
		}
	}
	return true;
}

static bool
build_labels(const json_t *labels, char ***out)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	if (labels == NULL)
		return true;
	*out = calloc(2 * json_object_size(labels) + 1, sizeof **out);
	if (*out == NULL)
		return false;
	json_object_foreach((json_t *)(uintptr_t)labels, key, value)
	{
		const char *text = json_string_value(value);

		if (!copy(&(*out)[n++], key) ||
		    !copy(&(*out)[n++], text == NULL ? "" : text))
			return false;
	}
	return true;
}

/* Where this run was to go, whatever became of it: a sink that failed is known
 * by this to lack the backup, and completed later. */
static bool
build_sinks(const struct config_pipeline *p, char ***out)
{
	if ((*out = calloc(p->nto + 1, sizeof **out)) == NULL)
		return false;
	for (size_t i = 0; i < p->nto; i++)
		if (!copy(&(*out)[i], p->to[i]->item.name))
			return false;
	return true;
}

static bool
build_head(struct repo *r, const struct build *b, struct manifest *m)
{
	const struct config *config = r->env.config;
	char host[64];

	repo_host(host, sizeof host);
	m->started_ms = b->started_ms;
	m->ended_ms = b->ended_ms;
	return copy(&m->id, b->id) && copy(&m->pipeline, r->pipeline->name) &&
	       copy(&m->kind,
		   b->parent == NULL ? MANIFEST_FULL : MANIFEST_INCREMENTAL) &&
	       copy(&m->parent, b->parent) && copy(&m->host, host) &&
	       copy(&m->environment, config->environment) &&
	       copy(&m->operator_name, config->operator_name) &&
	       copy(&m->program_version, host_table.version) &&
	       build_labels(r->pipeline->labels, &m->labels) &&
	       build_sinks(r->pipeline, &m->sinks);
}

int
build_manifest(struct repo *r, const struct build *b, struct manifest **out,
    struct hf_error *err)
{
	struct manifest *m = calloc(1, sizeof *m);

	if (m == NULL)
		return repo_nomem(err);
	m->sources = calloc(r->pipeline->nsources + 1, sizeof *m->sources);
	if (m->sources == NULL || !build_head(r, b, m))
		goto nomem;
	for (size_t i = 0; i < r->pipeline->nsources; i++) {
		m->nsources++;
		if (!build_source(r, b, i, &m->sources[i]))
			goto nomem;
	}
	*out = m;
	return HF_OK;
nomem:
	manifest_free(m);
	return repo_nomem(err);
}
