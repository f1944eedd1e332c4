/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/key.h"
#include "base/log.h"
#include "config/config.h"
#include "plugin/ctx.h"
#include "plugin/engine.h"
#include "plugin/filter.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "plugin/store.h"
#include "repo/repo_private.h"

static struct hf_ctx
make_ctx(const struct repo *r, const char *who)
{
	return (struct hf_ctx){ .who = who,
		.cancel = r->env.cancel,
		.state_dir = r->env.config->state_dir,
		.scratch_dir = r->env.config->scratch_dir };
}

int
open_sink(struct repo *r, size_t i, struct hf_error *err)
{
	struct repo_sink *s = &r->sinks[i];
	const struct config_item *item = &s->config->item;
	struct hf_ctx ctx = make_ctx(r, s->who);
	struct options *options;
	int rc;

	if (s->stuck)
		return error_fail(err, HF_E_IO,
		    "%s hangs: it did not come back from an earlier call",
		    s->who);
	if (s->store != NULL)
		return HF_OK;
	/* store_open says by itself what it was doing. */
	if ((rc = config_resolve(r->env.config, item, &options, err)) != HF_OK)
		return error_context(err, "opening %s", s->who);
	if ((rc = store_open(item->plugin, &ctx, options, &s->store, err)) !=
	    HF_OK)
		s->store = NULL;
	return rc;
}

/* What the table's defaults give, for a filter that nobody configured. */
static int
default_options(const struct repo *r, const struct plugin *p,
    struct options **out, struct hf_error *err)
{
	struct options_input in = { .table = p->desc.options,
		.stride = p->desc.option_size,
		.conf_size = p->desc.conf_size,
		.base_dir = r->env.config->dir,
		.resolve = true };

	return options_parse(&in, out, NULL, NULL, err);
}

static int
add_filter(struct repo *r, const struct config_item *item,
    const struct plugin *plugin, const char *name, struct filter **out,
    struct hf_error *err)
{
	struct repo_filter *grown, *f;
	struct options *options;
	struct hf_ctx ctx;
	int rc;

	grown = realloc(r->filters, (r->nfilters + 1) * sizeof *grown);
	if (grown == NULL)
		return repo_nomem(err);
	r->filters = grown;
	f = &grown[r->nfilters];
	*f = (struct repo_filter){ .item = item, .plugin = plugin };
	if ((f->name = strdup(name)) == NULL ||
	    (f->who = text_format("filter %s", name)) == NULL) {
		rc = repo_nomem(err);
		goto err;
	}
	ctx = make_ctx(r, f->who);
	rc = item != NULL ? config_resolve(r->env.config, item, &options, err)
			  : default_options(r, plugin, &options, err);
	if (rc == HF_OK)
		rc = filter_open(
		    plugin, f->name, &ctx, options, &f->filter, err);
	if (rc != HF_OK) {
		(void)error_context(err, "opening filter %s", name);
		goto err;
	}
	r->nfilters++;
	*out = f->filter;
	return HF_OK;
err:
	free(f->name);
	free(f->who);
	return rc;
}

static int
get_filter(struct repo *r, const struct config_item *item, struct filter **out,
    struct hf_error *err)
{
	for (size_t i = 0; i < r->nfilters; i++)
		if (r->filters[i].item == item) {
			*out = r->filters[i].filter;
			return HF_OK;
		}
	return add_filter(r, item, item->plugin, item->name, out, err);
}

int
open_filters(struct repo *r, const struct config_item *const *items, size_t n,
    struct filter ***out, struct hf_error *err)
{
	struct filter **chain = calloc(n + 1, sizeof *chain);
	int rc;

	if (chain == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < n; i++)
		if ((rc = get_filter(r, items[i], &chain[i], err)) != HF_OK) {
			free(chain);
			return rc;
		}
	*out = chain;
	return HF_OK;
}

static int
no_filter(const struct manifest_filter *f, struct hf_error *err)
{
	(void)error_fail(err, HF_E_NOTFOUND,
	    "the backup went through filter \"%s\" of type %s, which the "
	    "configuration does not have",
	    f->name, f->type);
	error_hint(err, "Add { \"%s\": { \"type\": \"%s\" } } to \"filters\".",
	    f->name, f->type);
	return HF_E_NOTFOUND;
}

/* A name may have been given to another type since: what was written decides,
 * and what the configuration says is only a help (keys, levels). */
static int
get_filter_of(struct repo *r, const struct manifest_filter *f,
    struct filter **out, struct hf_error *err)
{
	const struct config *config = r->env.config;
	const struct config_item *item = config_filter(config, f->name);
	const struct plugin *plugin;
	int rc;

	if (item != NULL && strcmp(item->plugin->desc.name, f->type) == 0)
		return get_filter(r, item, out, err);
	for (size_t i = 0; i < config->nfilters; i++) {
		item = &config->filters[i];
		if (strcmp(item->plugin->desc.name, f->type) == 0)
			return get_filter(r, item, out, err);
	}
	for (size_t i = 0; i < r->nfilters; i++)
		if (r->filters[i].item == NULL &&
		    strcmp(r->filters[i].plugin->desc.name, f->type) == 0) {
			*out = r->filters[i].filter;
			return HF_OK;
		}
	if (r->env.plugins == NULL)
		return no_filter(f, err);
	if ((rc = plugins_get(r->env.plugins, f->type, PLUGIN_FILTER, &plugin,
		 err)) != HF_OK)
		return error_context(err,
		    "looking for the filter \"%s\" of the backup", f->name);
	return add_filter(r, NULL, plugin, f->name, out, err);
}

int
open_filters_of(struct repo *r, const struct manifest_filter *filters, size_t n,
    struct filter ***out, struct hf_error *err)
{
	struct filter **chain = calloc(n + 1, sizeof *chain);
	int rc;

	if (chain == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < n; i++)
		if ((rc = get_filter_of(r, &filters[i], &chain[i], err)) !=
		    HF_OK) {
			free(chain);
			return rc;
		}
	*out = chain;
	return HF_OK;
}

/* Of this source alone: what it notes about one pipeline's sinks is not true of
 * another's. */
char *
source_state_dir(const struct repo *r, const struct config_item *item)
{
	char pipeline[KEY_MAX + 1], name[KEY_MAX + 1];

	if (r->env.config->state_dir == NULL ||
	    !key_escape(r->pipeline->name, pipeline, sizeof pipeline) ||
	    !key_escape(item->name, name, sizeof name))
		return NULL;
	return text_format(
	    "%s/sources/%s/%s", r->env.config->state_dir, pipeline, name);
}

int
source_open(struct repo *r, const struct config_item *item,
    const struct source_hooks *hooks, struct source *s, struct hf_error *err)
{
	struct options *options;
	struct hf_ctx ctx;
	int rc;

	*s = (struct source){ 0 };
	s->who = text_format("source %s", item->name);
	s->state_dir = source_state_dir(r, item);
	if (s->who == NULL ||
	    (s->state_dir == NULL && r->env.config->state_dir != NULL)) {
		source_close(s);
		return repo_nomem(err);
	}
	ctx = make_ctx(r, s->who);
	ctx.state_dir = s->state_dir;
	if (hooks != NULL) {
		ctx.progress = hooks->progress;
		ctx.result = hooks->result;
		ctx.arg = hooks->arg;
	}
	if ((rc = config_resolve(r->env.config, item, &options, err)) == HF_OK)
		rc = engine_open(item->plugin, &ctx, options, &s->engine, err);
	if (rc != HF_OK) {
		s->engine = NULL;
		(void)error_context(err, "opening source %s of pipeline %s",
		    item->name, r->pipeline->name);
		source_close(s);
	}
	return rc;
}

void
source_close(struct source *s)
{
	if (s->engine != NULL)
		engine_close(s->engine);
	free(s->state_dir);
	free(s->who);
	*s = (struct source){ 0 };
}

int
source_find(struct repo *r, const struct manifest_source *ms,
    const struct manifest *m, const struct config_item **out,
    struct hf_error *err)
{
	const struct config_pipeline *p = r->pipeline;
	const struct config_item *item = NULL;

	for (size_t i = 0; i < p->nsources && item == NULL; i++)
		if (strcmp(p->sources[i].name, ms->name) == 0)
			item = &p->sources[i];
	/* Renamed since: with one on each side there is no doubt. */
	if (item == NULL && p->nsources == 1 && m->nsources == 1)
		item = &p->sources[0];
	if (item == NULL) {
		(void)error_fail(err, HF_E_NOTFOUND,
		    "the backup has a source \"%s\", which pipeline %s does "
		    "not have any more",
		    ms->name, p->name);
		error_hint(err,
		    "Add a source of that \"name\" with \"engine\": \"%s\", "
		    "or choose another one.",
		    ms->engine);
		return HF_E_NOTFOUND;
	}
	if (strcmp(item->plugin->desc.name, ms->engine) != 0)
		return error_fail(err, HF_E_INVALID,
		    "source %s of pipeline %s is now of engine %s, but the "
		    "backup was made by %s",
		    item->name, p->name, item->plugin->desc.name, ms->engine);
	*out = item;
	return HF_OK;
}

int
source_restore_options(struct repo *r, const struct plugin *p,
    const char *const *args, struct options **out, struct hf_error *err)
{
	struct options_input in = { .table = p->engine.restore_options,
		.stride = p->desc.option_size,
		.conf_size = p->engine.restore_conf_size,
		.base_dir = r->env.config->dir,
		.resolve = true,
		.allow_inline_secrets = r->env.config->allow_inline_secrets };
	bool given = args != NULL && args[0] != NULL;
	json_t *object = NULL;
	int rc = HF_OK;

	*out = NULL;
	if (in.table == NULL && !given)
		return HF_OK;
	if (given)
		rc = options_from_args(args, &object, err);
	in.object = object;
	if (rc == HF_OK)
		rc = options_parse(&in, out, NULL, NULL, err);
	if (rc != HF_OK)
		(void)error_context(err,
		    "reading the restore options of engine %s", p->desc.name);
	json_decref(object);
	return rc;
}
