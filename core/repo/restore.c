/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "plugin/engine.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "repo/links.h"
#include "repo/logs.h"
#include "repo/repo_private.h"

struct job {
	struct repo *r;
	const struct repo_backup_entry *e;
	const struct repo_restore_options *opts;
	struct repo_restore_result *res;
	struct links *chain;
	uint64_t base, total;
	pthread_mutex_t lock; /* res->results: engines tell from any thread */
	const char *prefix;   /* of what the source under way tells, or NULL */
};

static void
on_progress(void *arg, uint64_t done)
{
	struct job *job = arg;

	repo_progress(job->r, "restore", job->base + done, job->total);
}

static void
on_result(void *arg, const char *key, const char *value)
{
	struct job *job = arg;
	struct repo_restore_result *res = job->res;
	char *name = job->prefix == NULL
			 ? strdup(key)
			 : text_format("%s.%s", job->prefix, key);

	if (name == NULL)
		return;
	pthread_mutex_lock(&job->lock);
	(void)pairs_add(&res->results, &res->nresults, name, value);
	pthread_mutex_unlock(&job->lock);
	repo_told(job->r, name, value);
	free(name);
}

/* As the chain found it: a copy that cannot be used. */
static int
on_left(void *arg, const char *id, size_t sink, const struct hf_error *why)
{
	struct job *job = arg;
	struct repo_restore_result *res = job->res;
	struct repo_fallback *grown;
	char line[1024];

	error_line(why, line, sizeof line);
	log_write(HF_LOG_WARN, "restore.fallback", job->r->sinks[sink].who,
	    "pipeline %s: this copy of %s cannot be used: %s",
	    job->r->pipeline->name, id, line);
	grown = realloc(res->fallbacks, (res->nfallbacks + 1) * sizeof *grown);
	if (grown == NULL)
		return HF_E_NOMEM;
	res->fallbacks = grown;
	grown[res->nfallbacks] =
	    (struct repo_fallback){ .sink = job->r->sinks[sink].name,
		    .why = *why };
	(void)snprintf(grown[res->nfallbacks].id, sizeof grown->id, "%s", id);
	res->nfallbacks++;
	return HF_OK;
}

static int
run_engine(struct job *job, const struct config_item *item, const char *target,
    struct hf_error *err)
{
	struct hf_in *const *ins;
	struct source_hooks hooks = { NULL, on_result, job };
	struct hf_request request = { .struct_size = sizeof request,
		.kind = HF_KIND_FULL,
		.max_streams = repo_streams(job->r),
		.flags = (job->opts->in_place ? HF_RESTORE_IN_PLACE : 0) |
			 (job->opts->force ? HF_RESTORE_FORCE : 0),
		.target = target };
	struct options *options = NULL;
	struct logs_attached log;
	struct source source;
	size_t n;
	int rc;

	if ((rc = source_restore_options(job->r, item->plugin, job->opts->args,
		 &options, err)) != HF_OK)
		return rc;
	if ((rc = source_open(job->r, item, &hooks, &source, err)) != HF_OK)
		goto out;
	if ((rc = logs_attach(job->r, item->name, source.engine, &request, &log,
		 err)) == HF_OK) {
		/* Without a log the backup that was chosen is the answer. */
		if (request.log != NULL)
			request.until = job->opts->until;
		if (options != NULL)
			request.restore_conf = options_conf(options);
		ins = links_ins(job->chain, &n);
		rc = engine_restore(source.engine, &request, ins, n, err);
		logs_detach(&log);
	}
	source_close(&source);
out:
	options_free(options);
	return rc;
}

static int
try_options(
    struct job *job, const struct config_item *item, struct hf_error *err)
{
	struct options *options = NULL;
	int rc = source_restore_options(
	    job->r, item->plugin, job->opts->args, &options, err);

	options_free(options);
	return rc;
}

/* Once, from the copies that were chosen.  HF_EOF: others may do better. */
static int
restore_from(struct job *job, const struct config_item *item,
    const char *target, struct hf_error *err)
{
	int rc;

	if (job->opts->dry_run) {
		rc = try_options(job, item, err);
		return rc == HF_OK ? links_look(job->chain, err) : rc;
	}
	rc = run_engine(job, item, target, err);
	/* What the readers saw says more than what the engine made of it. */
	return rc != HF_OK && links_failed(job->chain) ? HF_EOF : rc;
}

static char *
target_of(struct job *job, const struct manifest_source *s, size_t chosen,
    struct hf_error *err)
{
	char *target;

	if (chosen == 1)
		target = strdup(job->opts->target);
	else
		target = text_format("%s/%s", job->opts->target, s->name);
	if (target == NULL)
		(void)repo_nomem(err);
	return target;
}

static int
restore_source(struct job *job, const char *name, const struct manifest *any,
    const char *target, struct hf_error *err)
{
	const struct manifest_source *s = manifest_source(any, name);
	const struct config_item *item;
	const char *sink;
	int rc;

	if ((rc = source_find(job->r, s, any, &item, err)) != HF_OK ||
	    (rc = links_source(job->chain, name, err)) != HF_OK)
		return rc;
	job->total += links_size(job->chain) - manifest_source_size(s);
	do {
		struct hf_error why = { 0 };

		error_clear(err);
		if ((rc = links_read(job->chain, err)) != HF_OK)
			return rc;
		if ((rc = restore_from(job, item, target, &why)) < HF_OK) {
			*err = why;
			return error_context(err, "restoring source %s from %s",
			    name, job->r->sinks[links_sink(job->chain)].who);
		}
	} while (rc == HF_EOF);
	sink = job->r->sinks[links_sink(job->chain)].name;
	(void)snprintf(job->res->sink, sizeof job->res->sink, "%s", sink);
	job->base += links_size(job->chain);
	return HF_OK;
}

static bool
wanted(const struct job *job, size_t sink)
{
	return job->opts->sink == NULL ||
	       strcmp(job->opts->sink, job->r->sinks[sink].name) == 0;
}

/* Sizes and sources are the same in every copy: any manifest tells. */
static const struct manifest *
any_manifest(const struct job *job)
{
	for (size_t i = 0; i < job->r->nsinks; i++)
		if (job->e->copies[i].manifest != NULL && wanted(job, i))
			return job->e->copies[i].manifest;
	return NULL;
}

static int
no_manifest(struct job *job, struct hf_error *err)
{
	const char *sink = job->opts->sink;
	bool known = sink == NULL;
	int rc;

	for (size_t i = 0; i < job->r->nsinks && !known; i++)
		known = strcmp(sink, job->r->sinks[i].name) == 0;
	if (!known)
		return error_fail(err, HF_E_NOTFOUND,
		    "pipeline %s has no sink \"%s\"", job->r->pipeline->name,
		    sink);
	if (job->r->nsinks == 0)
		return error_fail(err, HF_E_NOTFOUND, "pipeline %s has no sink",
		    job->r->pipeline->name);
	/* Every copy is bad: the chain says how. */
	if ((rc = links_source(job->chain, "", err)) == HF_OK)
		rc = links_read(job->chain, err);
	return rc;
}

static int
no_source(struct job *job, const struct manifest *m, struct hf_error *err)
{
	(void)error_fail(err, HF_E_NOTFOUND, "backup %s has no source \"%s\"",
	    job->e->id, job->opts->source);
	for (size_t i = 0; i < m->nsources; i++)
		error_hint(err, "It has \"%s\"%s.", m->sources[i].name,
		    m->nsources > 1 ? " and others" : "");
	return HF_E_NOTFOUND;
}

/* One target for several sources is a folder with a place in it for each: a
 * server has nothing like that. */
static int
one_by_one(struct job *job, const struct manifest *m, struct hf_error *err)
{
	const struct config_item *item;
	int rc;

	for (size_t i = 0; i < m->nsources; i++) {
		const struct manifest_source *s = &m->sources[i];

		if ((rc = source_find(job->r, s, m, &item, err)) != HF_OK)
			return rc;
		if ((item->plugin->engine.flags & HF_ENGINE_SERVER) == 0)
			continue;
		(void)error_fail(err, HF_E_INVALID,
		    "backup %s has %zu sources, and source %s (%s) cannot be "
		    "restored below a common place",
		    job->e->id, m->nsources, s->name, s->engine);
		error_hint(err,
		    "Restore one after the other: --source %s --to PLACE.",
		    s->name);
		return HF_E_INVALID;
	}
	return HF_OK;
}

static int
restore_all(struct job *job, struct hf_error *err)
{
	const struct manifest *m = any_manifest(job);
	const char *only = job->opts->source;
	size_t chosen;
	int rc = HF_OK;

	if (m == NULL)
		return no_manifest(job, err);
	if (only != NULL && manifest_source(m, only) == NULL)
		return no_source(job, m, err);
	chosen = only != NULL ? 1 : m->nsources;
	for (size_t i = 0; i < m->nsources; i++)
		if (only == NULL || strcmp(only, m->sources[i].name) == 0)
			job->total += manifest_source_size(&m->sources[i]);
	if (chosen > 1 && job->opts->target != NULL &&
	    (rc = one_by_one(job, m, err)) != HF_OK)
		return rc;
	if (chosen > 1 && job->opts->target != NULL && !job->opts->dry_run &&
	    (rc = file_mkdirs(job->opts->target, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < m->nsources && rc == HF_OK; i++) {
		const struct manifest_source *s = &m->sources[i];
		char *target = NULL;

		if (only != NULL && strcmp(only, s->name) != 0)
			continue;
		if (job->opts->target != NULL &&
		    (target = target_of(job, s, chosen, err)) == NULL)
			return HF_E_NOMEM;
		job->prefix = chosen > 1 ? s->name : NULL;
		rc = restore_source(job, s->name, m, target, err);
		free(target);
	}
	return rc;
}

int
repo_restore(struct repo *r, const struct repo_backup_entry *e,
    const struct repo_restore_options *opts, struct repo_restore_result *res,
    struct hf_error *err)
{
	struct job job = { .r = r, .e = e, .opts = opts, .res = res };
	struct links_hooks hooks = { on_progress, on_left, &job };
	struct hf_error own = { 0 };
	int rc;

	if (err == NULL)
		err = &own;
	*res = (struct repo_restore_result){ .started_ms = text_now() };
	if ((rc = links_open(r, e, opts->sink, &hooks, &job.chain, err)) !=
	    HF_OK)
		return rc;
	(void)pthread_mutex_init(&job.lock, NULL);
	rc = restore_all(&job, err);
	if (rc == HF_OK)
		error_clear(err);
	res->ended_ms = text_now();
	res->raw = opts->dry_run ? 0 : job.base;
	if (!opts->dry_run)
		report_restore(r, e, opts, res, err);
	pthread_mutex_destroy(&job.lock);
	links_close(job.chain);
	return rc;
}

void
repo_restore_result_clear(struct repo_restore_result *res)
{
	pairs_free(&res->results, &res->nresults);
	free(res->fallbacks);
	*res = (struct repo_restore_result){ 0 };
}
