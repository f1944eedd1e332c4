/* SPDX-License-Identifier: BSD-2-Clause */
/* What a backup does to others while it holds its read transaction.
 *
 * With a rollback journal our SHARED lock lets nobody write to the file: the
 * time during which somebody holds RESERVED (a writer that is about to commit
 * or tries to) is counted, with a warning at half of the budget.  In WAL mode
 * nobody waits, but the WAL cannot start anew: its growth is watched.
 *
 * A thread of its own does this, because the copy may be held up by a sink.
 */
#ifndef HF_SQLITE_WATCH_H
#define HF_SQLITE_WATCH_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hf_error;
struct source;

struct watch {
	const struct source *source;
	sqlite3_file *db, *wal; /* one of them is NULL */
	int64_t wal_start, wal_limit, seen, stalled;
	bool warned, running;
	atomic_bool over;
	pthread_t thread;
	/* guards stop */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stop;
};

/* db: look for waiting writers.  wal: look at its size. */
int watch_start(struct watch *, const struct source *, sqlite3_file *db,
    sqlite3_file *wal, struct hf_error *);

/* HF_OK, or HF_E_TRANSIENT when writers waited for longer than the budget. */
int watch_verdict(struct watch *, struct hf_error *);

void watch_stop(struct watch *);

#endif
