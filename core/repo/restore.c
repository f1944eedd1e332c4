/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "flow/in.h"
#include "plugin/engine.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "plugin/store.h"
#include "repo/logs.h"
#include "repo/repo_private.h"

struct job {
	struct repo *r;
	const struct repo_backup_entry *e;
	const struct repo_restore_options *opts;
	struct repo_restore_result *res;
	bool *bad; /* one a sink: do not try it again */
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

/* Another copy may be better where the world or the bytes are at fault; what
 * we lack ourselves it lacks too. */
static bool
of_the_copy(int status)
{
	return status == HF_E_CORRUPT || status == HF_E_NOTFOUND ||
	       status == HF_E_IO || status == HF_E_DENIED ||
	       status == HF_E_TRANSIENT;
}

static int
give_up(struct job *job, size_t sink, const struct hf_error *why)
{
	struct repo_restore_result *res = job->res;
	struct repo_sink_result *grown;
	char line[1024];

	job->bad[sink] = true;
	error_line(why, line, sizeof line);
	log_write(HF_LOG_WARN, "restore.fallback", job->r->sinks[sink].who,
	    "pipeline %s: this copy of %s cannot be used: %s",
	    job->r->pipeline->name, job->e->id, line);
	grown = realloc(res->fallbacks, (res->nfallbacks + 1) * sizeof *grown);
	if (grown == NULL)
		return HF_E_NOMEM;
	res->fallbacks = grown;
	grown[res->nfallbacks++] =
	    (struct repo_sink_result){ .name = job->r->sinks[sink].name,
		    .why = *why };
	return HF_OK;
}

static const struct manifest_source *
find_source(const struct manifest *m, const char *name)
{
	for (size_t i = 0; i < m->nsources; i++)
		if (strcmp(m->sources[i].name, name) == 0)
			return &m->sources[i];
	return NULL;
}

static int
run_engine(struct job *job, const struct config_item *item, const char *target,
    struct reading *reading, struct hf_error *err)
{
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
		rc = engine_restore(
		    source.engine, &request, &reading->in, 1, err);
		logs_detach(&log);
	}
	source_close(&source);
out:
	options_free(options);
	return rc;
}

/* Cheap questions only: is everything there, with its size? */
static int
look_at(
    struct store *store, const char *key, uint64_t size, struct hf_error *err)
{
	struct hf_object object = { .struct_size = sizeof object };
	int rc = store_stat(store, key, &object, err);

	if (rc == HF_OK && object.size != size)
		rc = error_fail(err, HF_E_CORRUPT,
		    "%s has %llu bytes instead of %llu", key,
		    (unsigned long long)object.size, (unsigned long long)size);
	return rc;
}

static int
look_at_all(struct job *job, size_t sink, const struct manifest_source *s,
    struct hf_error *err)
{
	struct store *store = job->r->sinks[sink].store;
	int rc = HF_OK;

	for (size_t i = 0; i < s->nobjects && rc == HF_OK; i++) {
		const struct manifest_object *o = &s->objects[i];

		rc = look_at(store, o->key, o->stored_size, err);
		if (rc == HF_OK && o->index_key != NULL)
			rc = look_at(store, o->index_key, o->index_size, err);
	}
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

/* One source from one copy.  *copy_bad: the failure is the copy's. */
static int
restore_from(struct job *job, size_t sink, const struct manifest_source *s,
    const struct config_item *item, const char *target, bool *copy_bad,
    struct hf_error *err)
{
	struct hf_error why = { 0 };
	struct reading reading;
	int rc;

	*copy_bad = false;
	rc = reading_open(job->r, sink, s, on_progress, job, &reading, err);
	if (rc != HF_OK) {
		*copy_bad = of_the_copy(rc);
		return rc;
	}
	if (job->opts->dry_run) {
		if ((rc = try_options(job, item, err)) == HF_OK) {
			rc = look_at_all(job, sink, s, err);
			*copy_bad = of_the_copy(rc);
		}
		reading_close(&reading);
		return rc;
	}
	rc = run_engine(job, item, target, &reading, err);
	/* What the reader saw says more than what the engine made of it. */
	if (rc != HF_OK && of_the_copy(in_failure(reading.in, &why))) {
		*copy_bad = true;
		*err = why;
		rc = why.status;
	}
	reading_close(&reading);
	return rc;
}

static bool
wanted(const struct job *job, size_t sink)
{
	return !job->bad[sink] &&
	       (job->opts->sink == NULL ||
		   strcmp(job->opts->sink, job->r->sinks[sink].name) == 0);
}

/* A copy that cannot even be begun with: say why before going on. */
static int
skip_copy(struct job *job, size_t sink, struct hf_error *err)
{
	struct repo_copy copy;
	struct hf_error why = { 0 };

	job->bad[sink] = true;
	if (job->e->copies[sink].state == REPO_COPY_ABSENT) {
		(void)error_fail(err, HF_E_NOTFOUND, "%s has no copy of %s",
		    job->r->sinks[sink].who, job->e->id);
		return HF_OK;
	}
	(void)catalog_copy(job->r, sink, job->e->id, &copy, &why);
	/* It may be well again by now; what was chosen by was not. */
	if (copy.state == REPO_COPY_PRESENT)
		(void)error_fail(&why, HF_E_IO,
		    "it could not be read when the backups were listed");
	else if (why.status == HF_OK)
		(void)error_fail(&why, HF_E_NOTFOUND, "it is gone");
	catalog_copy_clear(&copy);
	*err = why;
	return give_up(job, sink, &why);
}

/* The first copy's trouble is the error, that of the others stands beside it;
 * a copy that was never there tells least. */
static void
blame(struct hf_error *err, const char *sink, const struct hf_error *why)
{
	char line[400];

	if (err->status == HF_OK) {
		*err = *why;
		return;
	}
	error_line(why, line, sizeof line);
	error_note(err, sink, line);
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
	const struct config_item *item;
	bool copy_bad;
	int rc;

	if ((rc = source_find(
		 job->r, find_source(any, name), any, &item, err)) != HF_OK)
		return rc;
	error_clear(err);
	for (size_t i = 0; i < job->r->nsinks; i++) {
		const struct manifest *m = job->e->copies[i].manifest;
		const struct manifest_source *s =
		    m == NULL ? NULL : find_source(m, name);
		struct hf_error why = { 0 };

		if (!wanted(job, i))
			continue;
		if (s == NULL) {
			if (skip_copy(job, i, &why) != HF_OK)
				return repo_nomem(err);
			blame(err, job->r->sinks[i].name, &why);
			continue;
		}
		rc = restore_from(job, i, s, item, target, &copy_bad, &why);
		if (rc == HF_OK) {
			error_clear(err);
			(void)snprintf(job->res->sink, sizeof job->res->sink,
			    "%s", job->r->sinks[i].name);
			return HF_OK;
		}
		(void)error_context(&why, "restoring source %s from %s", name,
		    job->r->sinks[i].who);
		if (!copy_bad) {
			*err = why;
			return rc;
		}
		if (give_up(job, i, &why) != HF_OK)
			return repo_nomem(err);
		blame(err, job->r->sinks[i].name, &why);
	}
	if (err->status == HF_OK)
		(void)error_fail(err, HF_E_NOTFOUND,
		    "no sink has a copy of %s that can be used", job->e->id);
	return err->status;
}

static uint64_t
raw_size(const struct manifest_source *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->nobjects; i++)
		n += s->objects[i].raw_size;
	return n;
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

	for (size_t i = 0; i < job->r->nsinks && !known; i++)
		known = strcmp(sink, job->r->sinks[i].name) == 0;
	if (!known)
		return error_fail(err, HF_E_NOTFOUND,
		    "pipeline %s has no sink \"%s\"", job->r->pipeline->name,
		    sink);
	error_clear(err);
	for (size_t i = 0; i < job->r->nsinks; i++) {
		struct hf_error why = { 0 };

		if (!wanted(job, i))
			continue;
		if (skip_copy(job, i, &why) != HF_OK)
			return repo_nomem(err);
		blame(err, job->r->sinks[i].name, &why);
	}
	return err->status != HF_OK
		   ? err->status
		   : error_fail(err, HF_E_NOTFOUND, "pipeline %s has no sink",
			 job->r->pipeline->name);
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
	if (only != NULL && find_source(m, only) == NULL)
		return no_source(job, m, err);
	chosen = only != NULL ? 1 : m->nsources;
	for (size_t i = 0; i < m->nsources; i++)
		if (only == NULL || strcmp(only, m->sources[i].name) == 0)
			job->total += raw_size(&m->sources[i]);
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
		if (rc == HF_OK)
			job->base += raw_size(s);
	}
	return rc;
}

int
repo_restore(struct repo *r, const struct repo_backup_entry *e,
    const struct repo_restore_options *opts, struct repo_restore_result *res,
    struct hf_error *err)
{
	struct job job = { .r = r, .e = e, .opts = opts, .res = res };
	struct hf_error own = { 0 };
	int rc;

	if (err == NULL)
		err = &own;
	*res = (struct repo_restore_result){ .started_ms = text_now() };
	if ((job.bad = calloc(r->nsinks + 1, sizeof *job.bad)) == NULL)
		return repo_nomem(err);
	(void)pthread_mutex_init(&job.lock, NULL);
	rc = restore_all(&job, err);
	if (rc == HF_OK)
		error_clear(err);
	res->ended_ms = text_now();
	res->raw = opts->dry_run ? 0 : job.base;
	if (!opts->dry_run)
		report_restore(r, e, opts, res, err);
	pthread_mutex_destroy(&job.lock);
	free(job.bad);
	return rc;
}

void
repo_restore_result_clear(struct repo_restore_result *res)
{
	pairs_free(&res->results, &res->nresults);
	free(res->fallbacks);
	*res = (struct repo_restore_result){ 0 };
}
