/* SPDX-License-Identifier: BSD-2-Clause */
#include "watch.h"

#include "source.h"
#include "sqlite.h"

#include <string.h>
#include <time.h>

#define PERIOD_MS 20

/* Only time between two looks that both saw a writer counts. */
static void
look_for_writers(struct watch *w, int64_t now, int64_t last)
{
	int64_t budget = w->source->engine->conf.stall_budget;
	int reserved = 0;

	if (w->db->pMethods->xCheckReservedLock(w->db, &reserved) !=
		SQLITE_OK ||
	    reserved == 0) {
		w->seen = 0;
		return;
	}
	if (w->seen != 0)
		w->stalled += now - last;
	w->seen = now;
	if (!w->warned && w->stalled * 2 >= budget) {
		w->warned = true;
		H->log(w->source->engine->ctx, HF_LOG_WARN, "sqlite.stall",
		    "%s: writers have been waiting for this backup for %lld "
		    "ms; it gives up at %lld ms (stall_budget)",
		    w->source->path, (long long)w->stalled, (long long)budget);
	}
	if (w->stalled > budget)
		atomic_store(&w->over, true);
}

static void
look_at_wal(struct watch *w)
{
	sqlite3_int64 size = 0;

	if (w->wal->pMethods->xFileSize(w->wal, &size) != SQLITE_OK)
		return;
	if (w->wal_start < 0)
		w->wal_start = size;
	if (w->wal_limit <= 0 || size - w->wal_start < w->wal_limit)
		return;
	H->log(w->source->engine->ctx, HF_LOG_WARN, "sqlite.wal_growth",
	    "%s: the -wal grew by %lld bytes to %lld while it is being read; "
	    "it cannot start anew before the backup has read everything",
	    w->source->path, (long long)(size - w->wal_start), (long long)size);
	w->wal_limit *= 2;
}

static void *
watch_main(void *arg)
{
	struct watch *w = arg;
	int64_t now, last = database_clock();
	struct timespec until;

	(void)pthread_mutex_lock(&w->mutex);
	while (!w->stop) {
		(void)pthread_mutex_unlock(&w->mutex);
		now = database_clock();
		if (w->db != NULL)
			look_for_writers(w, now, last);
		if (w->wal != NULL)
			look_at_wal(w);
		last = now;
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PERIOD_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_nsec -= 1000000000L;
			until.tv_sec++;
		}
		(void)pthread_mutex_lock(&w->mutex);
		if (!w->stop)
			(void)pthread_cond_timedwait(
			    &w->wake, &w->mutex, &until);
	}
	(void)pthread_mutex_unlock(&w->mutex);
	return NULL;
}

int
watch_start(struct watch *w, const struct source *s, sqlite3_file *db,
    sqlite3_file *wal, struct hf_error *err)
{
	pthread_condattr_t attr;

	memset(w, 0, sizeof *w);
	w->source = s;
	w->db = db;
	w->wal = wal;
	w->wal_start = -1;
	w->wal_limit = s->engine->conf.wal_warn;
	atomic_init(&w->over, false);
	if (pthread_condattr_init(&attr) != 0)
		goto err0;
	if (pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&w->wake, &attr) != 0)
		goto err1;
	if (pthread_mutex_init(&w->mutex, NULL) != 0)
		goto err2;
	if (pthread_create(&w->thread, NULL, watch_main, w) != 0)
		goto err3;
	(void)pthread_condattr_destroy(&attr);
	w->running = true;
	return HF_OK;
err3:
	(void)pthread_mutex_destroy(&w->mutex);
err2:
	(void)pthread_cond_destroy(&w->wake);
err1:
	(void)pthread_condattr_destroy(&attr);
err0:
	return H->fail(err, HF_E_NOMEM, "starting a thread");
}

int
watch_verdict(struct watch *w, struct hf_error *err)
{
	if (!atomic_load(&w->over))
		return HF_OK;
	return sqlite_fail_hint(err, HF_E_TRANSIENT,
	    "Switch the database to WAL (PRAGMA journal_mode=WAL), where "
	    "nobody waits for a backup, or raise stall_budget.",
	    "writers of %s have been waiting for this backup for more than "
	    "%lld ms",
	    w->source->path, (long long)w->source->engine->conf.stall_budget);
}

void
watch_stop(struct watch *w)
{
	if (!w->running)
		return;
	(void)pthread_mutex_lock(&w->mutex);
	w->stop = true;
	(void)pthread_cond_signal(&w->wake);
	(void)pthread_mutex_unlock(&w->mutex);
	(void)pthread_join(w->thread, NULL);
	(void)pthread_mutex_destroy(&w->mutex);
	(void)pthread_cond_destroy(&w->wake);
	w->running = false;
}
