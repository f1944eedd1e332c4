/* SPDX-License-Identifier: BSD-2-Clause */
/* A live database, opened the way its applications do, for reading. */
#ifndef HF_SQLITE_SOURCE_H
#define HF_SQLITE_SOURCE_H

#include "database.h"

struct hf_engine;

struct source {
	const struct hf_engine *engine;
	char *path; /* links resolved: where the sidecars stand */
	sqlite3 *db;
	struct database_wait wait;
	bool had_wal;     /* a -wal stood there before us */
	bool had_journal; /* ... a -journal that was not empty */
	/* Valid after source_begin: */
	bool wal;        /* the database is in WAL mode */
	bool odd_schema; /* this library cannot parse all of it */
	int64_t page_size, page_count;
};

/* Open, and read once, so that what must be recovered is recovered.  Refuses
 * with a clear error whatever is not a database that can be read. */
int source_open(const struct hf_engine *, struct source *, struct hf_error *);

/* Start a read transaction and take the sizes in it. */
int source_begin(struct source *, struct hf_error *);
void source_end(struct source *);

/* The transaction alone, without the sizes: a SQLite result code. */
int source_begin_quick(struct source *);
int source_measure(struct source *, struct hf_error *);

/* Leaves a -wal that somebody has written to exactly as it is. */
void source_close(struct source *);

#endif
