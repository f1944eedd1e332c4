/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/log.h"
#include "config/config.h"
#include "flow/out.h"
#include "plugin/engine.h"
#include "plugin/store.h"
#include "repo/copy.h"
#include "repo/lease_private.h"
#include "repo/logs.h"
#include "repo/repo_private.h"

/* What one run has of a sink. */
struct part {
	bool live; /* still in the backup */
	struct lease *lease;
	struct filter **own;
	size_t lane;  /* among the outflow's sinks */
	bool written; /* data of this run may lie there */
	bool keep;    /* a manifest may be there: the data stays */
};

struct run {
	struct repo *r;
	struct repo_backup_result *res;
	struct part *parts; /* one a sink of the repo */
	struct filter **common;
	struct outflow *flow;
	size_t *lanes; /* lane to sink */
	size_t nlanes;
	struct hf_out **outs; /* one a source */
	char **prefixes;
	char *key_prefix;
	/* Progress of the source under way; only its engine's threads
	 * write, between two sources nobody does. */
	uint64_t base, done, total;
	pthread_mutex_t lock; /* the three above */
};

static void
tell_dropped(struct run *run, size_t sink, const struct hf_error *why)
{
	/* The frames come with the result; here the cause is enough. */
	log_write(HF_LOG_WARN, "backup.sink", run->r->sinks[sink].who,
	    "pipeline %s: left out of backup %s: %s", run->r->pipeline->name,
	    run->res->id, why->cause);
}

static void
drop(struct run *run, size_t sink, const struct hf_error *why)
{
	struct repo_sink_result *res = &run->res->sinks[sink];

	run->parts[sink].live = false;
	res->ok = false;
	res->why = *why;
}

static size_t
count_live(const struct run *run)
{
	size_t n = 0;

	for (size_t i = 0; i < run->r->nsinks; i++)
		n += run->parts[i].live;
	return n;
}

/* HF_OK while a sink is left, else what the first one failed of. */
static int
any_left(const struct run *run, struct hf_error *err)
{
	if (count_live(run) > 0)
		return HF_OK;
	if (run->r->nsinks == 0)
		return error_fail(err, HF_E_INVALID, "pipeline %s has no sink",
		    run->r->pipeline->name);
	if (err != NULL)
		*err = run->res->sinks[0].why;
	return run->res->sinks[0].why.status;
}

static int
interrupted(const struct run *run, struct hf_error *err)
{
	if (!cancel_requested(run->r->env.cancel))
		return HF_OK;
	return error_fail(err, HF_E_CANCELLED, "interrupted");
}

static int
prepare_sink(struct run *run, size_t i, struct hf_error *err)
{
	struct repo *r = run->r;
	struct repo_sink *s = &r->sinks[i];
	struct part *part = &run->parts[i];
	char text[400];
	int rc;

	if ((rc = open_sink(r, i, err)) != HF_OK ||
	    (rc = layout_ready(r, s, err)) != HF_OK ||
	    (rc = open_filters(r, s->config->through, s->config->nthrough,
		 &part->own, err)) != HF_OK ||
	    (rc = lease_acquire(s->store, s->name, r->pipeline->name,
		 run->res->id, "backup", &part->lease, err)) != HF_OK)
		return rc;
	if (fleets_share(r, i, text, sizeof text))
		log_write(HF_LOG_WARN, "backup.shared", s->who,
		    "pipeline %s: two fleets seem to share it: "
		    "%s. " FLEETS_HINT,
		    r->pipeline->name, text);
	if ((rc = clean_leftovers(s->store, s->who, r->pipeline->name,
		 lease_epoch(part->lease), err)) != HF_OK) {
		char line[512];

		/* Rubbish costs room, not backups. */
		error_line(err, line, sizeof line);
		log_write(HF_LOG_WARN, "clean.failed", s->who,
		    "pipeline %s: what earlier runs left could not be "
		    "cleared: %s",
		    r->pipeline->name, line);
		error_clear(err);
	}
	return HF_OK;
}

/* A sink that cannot be used is left out, as is one that a copy writes to; one
 * where another run is at work ends this run. */
static int
prepare(struct run *run, struct hf_error *err)
{
	const struct config_pipeline *p = run->r->pipeline;
	int rc;

	if ((rc = open_filters(
		 run->r, p->through, p->nthrough, &run->common, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < run->r->nsinks; i++) {
		struct hf_error why = { 0 };

		run->parts[i].live = true;
		rc = prepare_sink(run, i, &why);
		if ((rc == HF_E_EXISTS && !copy_at_work(run->r, i)) ||
		    rc == HF_E_CANCELLED || rc == HF_E_NOMEM) {
			run->res->sinks[i].why = why;
			if (err != NULL)
				*err = why;
			return rc;
		}
		if (rc != HF_OK) {
			tell_dropped(run, i, &why);
			drop(run, i, &why);
		}
	}
	return any_left(run, err);
}

/* Called from any thread, as soon as it is known. */
static void
notice(void *arg, size_t lane, const char *event, const struct hf_error *why)
{
	struct run *run = arg;
	size_t sink = run->lanes[lane];

	if (why != NULL)
		tell_dropped(run, sink, why);
	else
		log_write(HF_LOG_INFO, event, run->r->sinks[sink].who,
		    "pipeline %s: it takes bytes slower than they come; they "
		    "wait in the spool so that the source need not",
		    run->r->pipeline->name);
}

static int
open_outflow(struct run *run, struct hf_error *err)
{
	struct repo *r = run->r;
	struct out_sink *sinks = calloc(r->nsinks + 1, sizeof *sinks);
	struct out_options options = { .filters = run->common,
		.nfilters = r->pipeline->nthrough,
		.sinks = sinks,
		.notice = notice,
		.arg = run };
	int rc;

	run->lanes = calloc(r->nsinks + 1, sizeof *run->lanes);
	run->key_prefix = manifest_data_prefix(r->pipeline->name, run->res->id);
	if (sinks == NULL || run->lanes == NULL || run->key_prefix == NULL) {
		rc = repo_nomem(err);
		goto out;
	}
	for (size_t i = 0; i < r->nsinks; i++) {
		if (!run->parts[i].live)
			continue;
		run->parts[i].lane = run->nlanes;
		run->parts[i].written = true;
		run->lanes[run->nlanes] = i;
		sinks[run->nlanes++] =
		    (struct out_sink){ .name = r->sinks[i].name,
			    .store = r->sinks[i].store,
			    .filters = run->parts[i].own,
			    .nfilters = r->sinks[i].config->nthrough,
			    .stall_ms = r->sinks[i].config->stall_ms };
	}
	options.nsinks = run->nlanes;
	options.key_prefix = run->key_prefix;
	rc = outflow_new(r->env.flow, &options, &run->flow, err);
	if (rc != HF_OK)
		run->flow = NULL;
out:
	free(sinks);
	return rc;
}

static void
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct run *run = arg;
	uint64_t all, sum;

	pthread_mutex_lock(&run->lock);
	run->done = done;
	run->total = total;
	all = run->base + done;
	sum = total == 0 ? 0 : run->base + total;
	pthread_mutex_unlock(&run->lock);
	repo_progress(run->r, "backup", all, sum);
}

static void
on_result(void *arg, const char *key, const char *value)
{
	struct run *run = arg;

	repo_told(run->r, key, value);
}

static int
run_source(struct run *run, size_t i, struct hf_error *err)
{
	struct repo *r = run->r;
	const struct config_item *item = &r->pipeline->sources[i];
	struct source_hooks hooks = { on_progress, on_result, run };
	struct hf_request request = { .struct_size = sizeof request,
		.kind = HF_KIND_FULL,
		.max_streams = repo_streams(r) };
	struct logs_attached log;
	struct source source;
	int rc;

	run->prefixes[i] = r->pipeline->nsources == 1
			       ? strdup("")
			       : text_format("%s/", item->name);
	if (run->prefixes[i] == NULL)
		return repo_nomem(err);
	if ((rc = source_open(r, item, &hooks, &source, err)) != HF_OK)
		return rc;
	if ((rc = out_new(run->flow, run->prefixes[i], &run->outs[i], err)) ==
		HF_OK &&
	    (rc = logs_attach(
		 r, item->name, source.engine, &request, &log, err)) == HF_OK) {
		rc = engine_backup(source.engine, &request, run->outs[i], err);
		logs_detach(&log);
	}
	source_close(&source);
	if (rc != HF_OK)
		(void)error_context(err, "backing up source %s of pipeline %s",
		    item->name, r->pipeline->name);
	pthread_mutex_lock(&run->lock);
	run->base += run->total > run->done ? run->total : run->done;
	run->done = run->total = 0;
	pthread_mutex_unlock(&run->lock);
	return rc;
}

/* An engine that says "done" and wrote nothing has not made a backup. */
static int
check_objects(struct run *run, struct hf_error *err)
{
	for (size_t i = 0; i < run->r->pipeline->nsources; i++)
		for (size_t lane = 0; lane < run->nlanes; lane++)
			if (run->parts[run->lanes[lane]].live &&
			    out_object(run->outs[i], lane, 0) == NULL)
				return error_fail(err, HF_E_BUG,
				    "source %s of pipeline %s wrote no object",
				    run->r->pipeline->sources[i].name,
				    run->r->pipeline->name);
	return HF_OK;
}

/* Which sinks came through, and which ones must not be touched any more. */
static void
settle(struct run *run)
{
	for (size_t lane = 0; lane < run->nlanes; lane++) {
		struct hf_error why = { 0 };
		size_t sink = run->lanes[lane];

		if (!outflow_sink_ok(run->flow, lane, &why))
			drop(run, sink, &why);
		if (outflow_sink_stuck(run->flow, lane))
			repo_sink_stuck(run->r, sink, run->parts[sink].own);
	}
}

static int
run_sources(struct run *run, struct hf_error *err)
{
	size_t n = run->r->pipeline->nsources;
	struct hf_error finish = { 0 };
	int rc = HF_OK, finished;

	run->outs = calloc(n + 1, sizeof(struct hf_out *));
	run->prefixes = calloc(n + 1, sizeof *run->prefixes);
	if (run->outs == NULL || run->prefixes == NULL)
		return repo_nomem(err);
	if ((rc = open_outflow(run, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < n && rc == HF_OK; i++)
		rc = run_source(run, i, err);
	finished = outflow_finish(run->flow, &finish);
	outflow_close(run->flow);
	settle(run);
	run->res->raw = outflow_raw_bytes(run->flow);
	run->res->ended_ms = text_now();
	if (rc == HF_OK && finished != HF_OK) {
		rc = finished;
		if (err != NULL)
			*err = finish;
	}
	if (rc == HF_OK && (rc = any_left(run, err)) == HF_OK)
		rc = check_objects(run, err);
	return rc;
}

static int
publish_one(struct run *run, size_t i, struct hf_error *err)
{
	struct part *part = &run->parts[i];
	struct build build = { .id = run->res->id,
		.started_ms = run->res->started_ms,
		.ended_ms = run->res->ended_ms,
		.outs = run->outs,
		.prefixes = (const char *const *)run->prefixes,
		.common = run->common,
		.ncommon = run->r->pipeline->nthrough,
		.own = part->own,
		.nown = run->r->sinks[i].config->nthrough,
		.lane = part->lane };
	struct manifest *m = NULL;
	int rc;

	if ((rc = build_manifest(run->r, &build, &m, err)) != HF_OK)
		return rc;
	run->res->sinks[i].stored = manifest_stored_size(m);
	if (run->res->nobjects == 0)
		for (size_t s = 0; s < m->nsources; s++)
			run->res->nobjects += m->sources[s].nobjects;
	rc = publish_copy(
	    run->r->sinks[i].store, m, part->lease, &part->keep, err);
	manifest_free(m);
	if (rc != HF_OK)
		(void)error_context(err, "publishing backup %s", run->res->id);
	return rc;
}

static int
publish(struct run *run, struct hf_error *err)
{
	size_t published = 0;
	int rc;

	for (size_t i = 0; i < run->r->nsinks; i++) {
		struct hf_error why = { 0 };

		if (!run->parts[i].live)
			continue;
		rc = interrupted(run, &why);
		if (rc == HF_OK)
			rc = publish_one(run, i, &why);
		/* A lost lease is another run's lock, not the user's wish to
		 * stop. */
		if (rc == HF_E_CANCELLED &&
		    !cancel_requested(run->r->env.cancel))
			why.status = HF_E_EXISTS;
		if (rc != HF_OK) {
			tell_dropped(run, i, &why);
			drop(run, i, &why);
			continue;
		}
		run->res->sinks[i].ok = true;
		published++;
	}
	run->res->published = published > 0;
	run->res->partial =
	    published > 0 && published < run->r->pipeline->require;
	return any_left(run, err);
}

static int
collect_facts(struct run *run)
{
	bool many = run->r->pipeline->nsources > 1;
	const char *key, *value;

	for (size_t i = 0; i < run->r->pipeline->nsources; i++)
		for (size_t n = 0; run->outs[i] != NULL &&
				   out_fact_at(run->outs[i], n, &key, &value);
		     n++) {
			char *name =
			    many ? text_format("%s.%s",
				       run->r->pipeline->sources[i].name, key)
				 : strdup(key);
			int rc = name == NULL
				     ? HF_E_NOMEM
				     : pairs_append(&run->res->facts,
					   &run->res->nfacts, name, value);

			free(name);
			if (rc != HF_OK)
				return rc;
		}
	return HF_OK;
}

/* What this run left where it is not published.  Best effort: a later run
 * clears what stays. */
static void
remove_own(struct run *run)
{
	for (size_t i = 0; i < run->r->nsinks; i++) {
		struct repo_sink *s = &run->r->sinks[i];
		struct part *part = &run->parts[i];
		struct hf_error err = { 0 };
		char line[512];
		size_t n;

		if (!part->written || part->keep || s->stuck ||
		    s->store == NULL ||
		    clean_data(s->store, run->r->pipeline->name, run->res->id,
			&n, &err) == HF_OK)
			continue;
		error_line(&err, line, sizeof line);
		log_write(HF_LOG_INFO, "backup.leftover", s->who,
		    "pipeline %s: what backup %s left is still there, a later "
		    "run clears it: %s",
		    run->r->pipeline->name, run->res->id, line);
	}
}

/* The copies that were published, read back as any other verify would. */
static int
verify(struct run *run, struct hf_error *err)
{
	struct repo *r = run->r;
	bool deep = r->pipeline->verify == CONFIG_VERIFY_DEEP;
	struct repo_backup_result *res = run->res;
	struct repo_backup_entry e = { .started_ms = res->started_ms,
		.ended_ms = res->ended_ms };
	struct repo_verify_result v = { 0 };
	int rc;

	if (r->pipeline->verify == CONFIG_VERIFY_NONE)
		return HF_OK;
	if ((e.copies = calloc(r->nsinks + 1, sizeof *e.copies)) == NULL)
		return repo_nomem(err);
	memcpy(e.id, res->id, sizeof e.id);
	for (size_t i = 0; i < r->nsinks; i++)
		if (res->sinks[i].ok)
			e.copies[i].state = REPO_COPY_PRESENT;
	rc = verify_entry(r, &e, NULL, deep, &v, err);
	res->verified = rc == HF_OK;
	res->verify_failed = rc != HF_OK && rc != HF_E_CANCELLED;
	if (res->verify_failed) {
		char line[1024];

		error_line(err, line, sizeof line);
		log_write(HF_LOG_ERROR, "backup.verify", NULL,
		    "pipeline %s: backup %s was published, but its "
		    "verification failed: %s",
		    r->pipeline->name, res->id, line);
	}
	for (size_t i = 0; i < v.nsinks && i < r->nsinks; i++)
		if (res->sinks[i].ok && v.sinks[i].why.status != HF_OK) {
			res->sinks[i].ok = false;
			res->sinks[i].why = v.sinks[i].why;
		}
	repo_verify_result_clear(&v);
	catalog_entry_clear(&e, r->nsinks);
	if (rc == HF_E_CANCELLED)
		return rc;
	error_clear(err);
	return HF_OK;
}

static void
release(struct run *run)
{
	for (size_t i = 0; i < run->r->nsinks; i++) {
		if (run->r->sinks[i].stuck)
			lease_abandon(run->parts[i].lease);
		else
			lease_release(run->parts[i].lease);
		run->parts[i].lease = NULL;
	}
}

/* Last, so that the new backup never waits for old ones; with the leases given
 * back, so that nobody else waits either; and also after a source failed. */
static void
complete(struct run *run)
{
	bool *worked = calloc(run->r->nsinks + 1, sizeof *worked);

	for (size_t i = 0; i < run->r->nsinks && worked != NULL; i++)
		worked[i] = run->parts[i].live;
	release(run);
	if (worked != NULL && !cancel_requested(run->r->env.cancel))
		complete_earlier(run->r, worked, run->res);
	free(worked);
}

static void
close_run(struct run *run)
{
	if (run->flow != NULL)
		outflow_free(run->flow);
	for (size_t i = 0; i < run->r->nsinks && run->parts != NULL; i++)
		free(run->parts[i].own);
	for (char **p = run->prefixes; p != NULL && *p != NULL; p++)
		free(*p);
	free(run->prefixes);
	free(run->outs);
	free(run->lanes);
	free(run->key_prefix);
	free(run->common);
	free(run->parts);
	pthread_mutex_destroy(&run->lock);
}

static int
begin(struct run *run, struct repo *r, struct repo_backup_result *res,
    struct hf_error *err)
{
	*run = (struct run){ .r = r, .res = res };
	(void)pthread_mutex_init(&run->lock, NULL);
	*res = (struct repo_backup_result){ .started_ms = text_now() };
	manifest_new_id(res->started_ms, res->id);
	res->sinks = calloc(r->nsinks + 1, sizeof *res->sinks);
	run->parts = calloc(r->nsinks + 1, sizeof *run->parts);
	if (res->sinks == NULL || run->parts == NULL)
		return repo_nomem(err);
	res->nsinks = r->nsinks;
	for (size_t i = 0; i < r->nsinks; i++)
		res->sinks[i].name = r->sinks[i].name;
	return HF_OK;
}

int
repo_backup(
    struct repo *r, struct repo_backup_result *res, struct hf_error *err)
{
	struct hf_error own = { 0 };
	struct run run;
	int rc;

	if (err == NULL)
		err = &own;
	if ((rc = begin(&run, r, res, err)) != HF_OK ||
	    (rc = prepare(&run, err)) != HF_OK)
		goto out;
	if ((rc = run_sources(&run, err)) == HF_OK &&
	    (rc = interrupted(&run, err)) == HF_OK)
		rc = publish(&run, err);
	if (run.flow != NULL && collect_facts(&run) != HF_OK && rc == HF_OK)
		rc = repo_nomem(err);
	remove_own(&run);
	if (rc == HF_OK)
		rc = verify(&run, err);
	if (res->ended_ms == 0)
		res->ended_ms = text_now();
	complete(&run);
	report_backup(r, res, err);
out:
	if (res->ended_ms == 0)
		res->ended_ms = text_now();
	if (run.parts != NULL)
		release(&run);
	close_run(&run);
	return rc;
}

void
repo_backup_result_clear(struct repo_backup_result *res)
{
	free(res->sinks);
	free(res->completed);
	pairs_free(&res->facts, &res->nfacts);
	*res = (struct repo_backup_result){ 0 };
}
