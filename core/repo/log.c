/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "plugin/store.h"
#include "repo/log_private.h"

/* So many failures in a row, and a sink that need not have the object is left
 * alone for a while: else each object would wait for it as long as it takes a
 * dead sink to say so. */
#define FAILURES_MAX 3
#define PAUSE_MS 10000
#define PAUSE_MAX_MS ((int64_t)5 * 60 * 1000)

/* ---- life ---- */

int
repo_log_open(struct repo *r, struct repo_log **out, struct hf_error *err)
{
	struct repo_log *log = calloc(1, sizeof *log);

	*out = NULL;
	if (log == NULL)
		return repo_nomem(err);
	log->r = r;
	log->out.log = log->in.log = log->safe.log = log;
	log->out.base.ops = &log_out_ops;
	log->in.base.ops = &log_in_ops;
	log->safe.base.ops = &log_safe_ops;
	log->prefix = repo_key(r->pipeline->name, "wal/");
	log->sinks = calloc(r->nsinks + 1, sizeof *log->sinks);
	if (log->prefix == NULL || log->sinks == NULL) {
		free(log->prefix);
		free(log->sinks);
		free(log);
		return repo_nomem(err);
	}
	(void)pthread_mutex_init(&log->lock, NULL);
	for (size_t i = 0; i < r->nsinks; i++)
		(void)pthread_mutex_init(&log->sinks[i].lock, NULL);
	*out = log;
	return HF_OK;
}

void
repo_log_close(struct repo_log *log)
{
	if (log == NULL)
		return;
	for (size_t i = 0; i < log->r->nsinks; i++) {
		(void)pthread_mutex_destroy(&log->sinks[i].lock);
		free(log->sinks[i].own);
		for (size_t n = 0; n < log->sinks[i].naside; n++)
			if (!log->r->sinks[i].stuck)
				store_close(log->sinks[i].aside[n]);
		free(log->sinks[i].aside);
	}
	(void)pthread_mutex_destroy(&log->lock);
	free(log->common);
	free(log->sinks);
	free(log->prefix);
	free(log);
}

struct hf_in *
repo_log_in(struct repo_log *log)
{
	return &log->in.base;
}

struct hf_out *
repo_log_out(struct repo_log *log)
{
	return &log->out.base;
}

size_t
log_required(const struct repo_log *log)
{
	size_t want = log->r->pipeline->require;

	return want > log->r->nsinks ? log->r->nsinks : want;
}

int
log_not_missing(struct hf_error *err, int status)
{
	if (status != HF_E_NOTFOUND)
		return status;
	if (err != NULL)
		err->status = HF_E_IO;
	return HF_E_IO;
}

bool
log_ends_all(int status)
{
	return status == HF_E_CANCELLED || status == HF_E_NOMEM;
}

/* ---- opening ---- */

int
log_common(struct repo_log *log, struct filter ***out, struct hf_error *err)
{
	const struct config_pipeline *p = log->r->pipeline;
	int rc = HF_OK;

	(void)pthread_mutex_lock(&log->lock);
	if (log->common == NULL)
		rc = open_filters(
		    log->r, p->through, p->nthrough, &log->common, err);
	if (rc != HF_OK)
		log->common = NULL;
	*out = log->common;
	(void)pthread_mutex_unlock(&log->lock);
	return rc;
}

/* The disk that a sink is on can be mounted again, or be another one: what was
 * open then stays where it was, and what was found out is not true any more.
 * The sink's lock is held. */
static int
open_again(struct repo_log *log, size_t i, struct hf_error *err)
{
	struct repo_sink *rs = &log->r->sinks[i];
	struct log_sink *s = &log->sinks[i];
	int64_t now = text_monotonic();
	struct store **grown;

	if (!s->stale || rs->store == NULL || rs->stuck || now < s->again_at)
		return open_sink(log->r, i, err);
	grown = realloc(s->aside, (s->naside + 1) * sizeof(struct store *));
	if (grown == NULL)
		return repo_nomem(err);
	s->aside = grown;
	s->aside[s->naside++] = rs->store;
	rs->store = NULL;
	s->stale = s->writable = s->held_repo = false;
	s->again_pause = s->again_pause == 0 ? PAUSE_MS : s->again_pause * 2;
	if (s->again_pause > PAUSE_MAX_MS)
		s->again_pause = PAUSE_MAX_MS;
	s->again_at = now + s->again_pause;
	return open_sink(log->r, i, err);
}

int
log_sink_read(
    struct repo_log *log, size_t i, struct store **store, struct hf_error *err)
{
	struct log_sink *s = &log->sinks[i];
	int rc;

	(void)pthread_mutex_lock(&s->lock);
	rc = open_again(log, i, err);
	*store = log->r->sinks[i].store;
	(void)pthread_mutex_unlock(&s->lock);
	return log_not_missing(err, rc);
}

/* The sink's lock is held. */
static int
make_writable(struct repo_log *log, size_t i, struct hf_error *err)
{
	struct repo_sink *rs = &log->r->sinks[i];
	struct log_sink *s = &log->sinks[i];
	int rc;

	if ((rc = repo_sink_shareable(rs->store, rs->name, err)) != HF_OK ||
	    (rc = layout_ready(log->r, rs, err)) != HF_OK)
		return rc;
	(void)pthread_mutex_lock(&log->lock);
	rc = s->own != NULL ? HF_OK
			    : open_filters(log->r, rs->config->through,
				  rs->config->nthrough, &s->own, err);
	(void)pthread_mutex_unlock(&log->lock);
	if (rc == HF_OK)
		s->writable = s->held_repo = true;
	return rc;
}

int
log_sink_write(
    struct repo_log *log, size_t i, struct store **store, struct hf_error *err)
{
	struct log_sink *s = &log->sinks[i];
	int rc;

	(void)pthread_mutex_lock(&s->lock);
	if ((rc = open_again(log, i, err)) == HF_OK && !s->writable)
		rc = make_writable(log, i, err);
	*store = log->r->sinks[i].store;
	(void)pthread_mutex_unlock(&s->lock);
	return log_not_missing(err, rc);
}

void
repo_log_prepare(struct repo_log *log)
{
	struct store *store;

	for (size_t i = 0; i < log->r->nsinks; i++)
		if (log_sink_read(log, i, &store, NULL) == HF_OK &&
		    known_no_place(&log->r->sinks[i]))
			(void)log_sink_write(log, i, &store, NULL);
}

int
log_sink_proved(struct repo_log *log, size_t i, struct hf_error *err)
{
	struct hf_object object = { .struct_size = sizeof object };
	struct repo_sink *rs = &log->r->sinks[i];
	struct log_sink *s = &log->sinks[i];
	int rc = HF_OK;

	(void)pthread_mutex_lock(&s->lock);
	if (!s->held_repo && (rc = open_sink(log->r, i, err)) == HF_OK) {
		rc = store_stat(rs->store, REPO_KEY, &object, err);
		s->held_repo = rc == HF_OK;
		if (rc == HF_E_NOTFOUND) {
			error_clear(err);
			rc = known_there(log->r, rs, err);
		}
	}
	(void)pthread_mutex_unlock(&s->lock);
	return log_not_missing(err, rc);
}

bool
log_sink_has_repo(struct repo_log *log, size_t i)
{
	bool has;

	(void)pthread_mutex_lock(&log->sinks[i].lock);
	has = log->sinks[i].held_repo;
	(void)pthread_mutex_unlock(&log->sinks[i].lock);
	return has;
}

/* ---- sinks that fail ---- */

bool
log_sink_paused(struct repo_log *log, size_t i, struct hf_error *why)
{
	struct log_sink *s = &log->sinks[i];
	bool paused;

	(void)pthread_mutex_lock(&s->lock);
	paused = s->paused_until > text_monotonic();
	if (paused && why != NULL)
		*why = s->why;
	(void)pthread_mutex_unlock(&s->lock);
	return paused;
}

/* The sink's lock is held. */
static void
count_failure(struct repo_log *log, size_t i, const struct hf_error *why)
{
	struct log_sink *s = &log->sinks[i];
	unsigned beyond;
	int64_t pause = PAUSE_MS;
	char line[512];
	bool news;

	error_line(why, line, sizeof line);
	/* One bad object says nothing of the next one. */
	if (why->status == HF_E_CORRUPT) {
		log_write(HF_LOG_WARN, "log.damaged", log->r->sinks[i].who,
		    "pipeline %s: %s", log->r->pipeline->name, line);
		return;
	}
	/* Away before, and full now. */
	news = s->failures == 0 || s->why.status != why->status;
	s->why = *why;
	s->stale = true;
	s->failures++;
	if (news)
		log_write(HF_LOG_WARN, "log.sink", log->r->sinks[i].who,
		    "pipeline %s: an object of its log could not be kept "
		    "there: %s",
		    log->r->pipeline->name, line);
	if (s->failures < FAILURES_MAX || log_required(log) >= log->r->nsinks)
		return;
	for (beyond = s->failures - FAILURES_MAX;
	     beyond > 0 && pause < PAUSE_MAX_MS; beyond--)
		pause *= 2;
	if (pause > PAUSE_MAX_MS)
		pause = PAUSE_MAX_MS;
	s->paused_until = text_monotonic() + pause;
	log_write(HF_LOG_INFO, "log.pause", log->r->sinks[i].who,
	    "pipeline %s: it failed %u times in a row and is left alone for "
	    "%s",
	    log->r->pipeline->name, s->failures, text_duration(pause).s);
}

void
log_sink_wrote(struct repo_log *log, size_t i, const struct hf_error *why)
{
	struct log_sink *s = &log->sinks[i];

	/* That is no fault of the sink's. */
	if (why != NULL && log_ends_all(why->status))
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (why != NULL && why->status != HF_OK) {
		count_failure(log, i, why);
	} else {
		if (s->failures > 0)
			log_write(HF_LOG_INFO, "log.sink", log->r->sinks[i].who,
			    "pipeline %s: its log is kept there again",
			    log->r->pipeline->name);
		s->failures = 0;
		s->paused_until = 0;
		s->stale = false;
		s->again_pause = 0;
	}
	(void)pthread_mutex_unlock(&s->lock);
}

void
log_sink_stuck(struct repo_log *log, size_t i)
{
	struct log_sink *s = &log->sinks[i];

	(void)pthread_mutex_lock(&s->lock);
	(void)pthread_mutex_lock(&log->lock);
	repo_sink_stuck(log->r, i, s->own);
	(void)pthread_mutex_unlock(&log->lock);
	(void)pthread_mutex_unlock(&s->lock);
}
