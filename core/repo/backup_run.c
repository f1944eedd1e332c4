/* SPDX-License-Identifier: BSD-2-Clause */
#include "backup_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "flow/in.h"
#include "flow/out.h"
#include "plugin/engine.h"
#include "repo/logs.h"

void
backup_run_tell_dropped(
    struct run *run, size_t sink, const struct hf_error *why)
{
	/* The frames come with the result; here the cause is enough. */
	log_write(HF_LOG_WARN, "backup.sink", run->r->sinks[sink].who,
	    "pipeline %s: left out of backup %s: %s", run->r->pipeline->name,
	    run->res->id, why->cause);
}

void
backup_run_drop(struct run *run, size_t sink, const struct hf_error *why)
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

int
backup_run_left(const struct run *run, struct hf_error *err)
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

/* Called from any thread, as soon as it is known. */
static void
notice(void *arg, size_t lane, const char *event, const struct hf_error *why)
{
	struct run *run = arg;
	size_t sink = run->lanes[lane];

	if (why != NULL)
		backup_run_tell_dropped(run, sink, why);
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

/* A sink that dropped out of the backup need not have its log either. */
static bool
takes_part(void *arg, size_t sink)
{
	const struct run *run = arg;
	const struct part *part = &run->parts[sink];

	return part->live && outflow_sink_ok(run->flow, part->lane, NULL);
}

/* One call of the engine, into an out of its own: what an earlier one told is
 * gone with that. */
static int
ask(struct run *run, size_t i, struct engine *engine, uint32_t kind,
    struct hf_in *parent, struct hf_error *err)
{
	struct repo *r = run->r;
	struct hf_request request = { .struct_size = sizeof request,
		.kind = kind,
		.parent = parent,
		.max_streams = repo_streams(r) };
	struct logs_attached log;
	int rc;

	if ((rc = out_new(run->flow, run->prefixes[i], &run->outs[i], err)) !=
		HF_OK ||
	    (rc = logs_attach(r, r->pipeline->sources[i].name, engine, &request,
		 &log, err)) != HF_OK)
		return rc;
	logs_safe(&log, &request, takes_part, run);
	rc = engine_backup(engine, &request, run->outs[i], err);
	if (rc != HF_OK)
		logs_failed(&log, err);
	logs_detach(&log);
	return rc;
}

static bool
begun(const struct run *run, size_t i)
{
	return run->outs[i] != NULL && out_begun(run->outs[i]);
}

/* It stands in the result unless another source is incremental. */
static void
tell_full(struct run *run, size_t i, const struct hf_error *why)
{
	struct repo_backup_result *res = run->res;
	const char *hint = error_get(why, "hint");
	char line[400];

	error_line(why, line, sizeof line);
	(void)snprintf(res->full_because, sizeof res->full_because, "%s%s%s",
	    line, hint == NULL ? "" : "; ", hint == NULL ? "" : hint);
	log_write(HF_LOG_WARN, "backup.full", run->r->pipeline->sources[i].name,
	    "pipeline %s: a full backup, and not what has changed since %s: %s",
	    run->r->pipeline->name, run->parent.id, res->full_because);
}

/* By one sink's copy of the parent.  HF_EOF: it cannot be used, why says how.
 */
static int
ask_with(struct run *run, size_t i, struct engine *engine, size_t sink,
    struct hf_error *why)
{
	const struct manifest_source *s =
	    parent_source(&run->parent, sink, &run->r->pipeline->sources[i]);
	struct hf_error bad = { 0 };
	struct reading reading;
	int rc, status;

	rc = reading_open(run->r, sink, s, NULL, NULL, &reading, why);
	if (rc != HF_OK)
		return reading_at_fault(rc) ? HF_EOF : rc;
	rc = ask(run, i, engine, HF_KIND_INCR, reading.in, why);
	status = in_failure(reading.in, &bad);
	reading_close(&reading);
	/* What was begun cannot be begun again. */
	if (rc == HF_OK || begun(run, i) || !reading_at_fault(status))
		return rc;
	*why = bad;
	return HF_EOF;
}

/* HF_EOF: it has to be a full one. */
static int
ask_increment(
    struct run *run, size_t i, struct engine *engine, struct hf_error *err)
{
	const struct config_item *item = &run->r->pipeline->sources[i];
	struct hf_error first = { 0 };

	for (size_t s = 0; s < run->r->nsinks; s++) {
		struct hf_error why = { 0 };
		char line[400];
		int rc;

		if (parent_source(&run->parent, s, item) == NULL)
			continue;
		rc = ask_with(run, i, engine, s, &why);
		if (rc == HF_OK) {
			run->incremental[i] = true;
			return HF_OK;
		}
		if (rc == HF_E_UNSUPPORTED && !begun(run, i)) {
			tell_full(run, i, &why);
			return HF_EOF;
		}
		if (rc != HF_EOF) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		error_line(&why, line, sizeof line);
		log_write(HF_LOG_WARN, "backup.parent", run->r->sinks[s].who,
		    "pipeline %s: this copy of %s cannot be built on: %s",
		    run->r->pipeline->name, run->parent.id, line);
		if (first.status == HF_OK)
			first = why;
		/* An increment in that sink could not be restored from it. */
		if (why.status == HF_E_CORRUPT || why.status == HF_E_NOTFOUND)
			break;
	}
	if (first.status != HF_OK)
		tell_full(run, i, &first);
	return HF_EOF;
}

static int
run_source(struct run *run, size_t i, struct hf_error *err)
{
	struct repo *r = run->r;
	const struct config_item *item = &r->pipeline->sources[i];
	struct source_hooks hooks = { on_progress, on_result, run };
	struct source source;
	int rc;

	run->prefixes[i] = r->pipeline->nsources == 1
			       ? strdup("")
			       : text_format("%s/", item->name);
	if (run->prefixes[i] == NULL)
		return repo_nomem(err);
	if ((rc = source_open(r, item, &hooks, &source, err)) != HF_OK)
		return rc;
	rc = ask_increment(run, i, source.engine, err);
	if (rc == HF_EOF)
		rc = ask(run, i, source.engine, HF_KIND_FULL, NULL, err);
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

/* What no source builds on is no parent. */
static void
settle_kind(struct run *run)
{
	struct repo_backup_result *res = run->res;
	bool any = false;

	for (size_t i = 0; i < run->r->pipeline->nsources; i++)
		any = any || run->incremental[i];
	if (any) {
		memcpy(res->parent, run->parent.id, sizeof res->parent);
		res->full_because[0] = '\0';
	} else {
		parent_clear(&run->parent, run->r->nsinks);
	}
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
			backup_run_drop(run, sink, &why);
		if (outflow_sink_stuck(run->flow, lane))
			repo_sink_stuck(run->r, sink, run->parts[sink].own);
	}
}

int
backup_run_sources(struct run *run, struct hf_error *err)
{
	size_t n = run->r->pipeline->nsources;
	struct hf_error finish = { 0 };
	int rc = HF_OK, finished;

	run->outs = calloc(n + 1, sizeof(struct hf_out *));
	run->prefixes = calloc(n + 1, sizeof *run->prefixes);
	run->incremental = calloc(n + 1, sizeof *run->incremental);
	if (run->outs == NULL || run->prefixes == NULL ||
	    run->incremental == NULL)
		return repo_nomem(err);
	if ((rc = open_outflow(run, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < n && rc == HF_OK; i++)
		rc = run_source(run, i, err);
	finished = outflow_finish(run->flow, &finish);
	outflow_close(run->flow);
	settle(run);
	settle_kind(run);
	run->res->raw = outflow_raw_bytes(run->flow);
	run->res->ended_ms = text_now();
	if (rc == HF_OK && finished != HF_OK) {
		rc = finished;
		if (err != NULL)
			*err = finish;
	}
	if (rc == HF_OK && (rc = backup_run_left(run, err)) == HF_OK)
		rc = check_objects(run, err);
	return rc;
}
