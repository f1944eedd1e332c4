/* SPDX-License-Identifier: BSD-2-Clause */
/* Small things done with a SQLite connection. */
#ifndef HF_SQLITE_DATABASE_H
#define HF_SQLITE_DATABASE_H

#include <holdfast/plugin.h>

#include <sqlite3.h>

/* Waiting for locks, and long statements, that end when the run is
 * cancelled. */
struct database_wait {
	const struct hf_ctx *ctx;
	int64_t limit_ms, since;
};

/* Install both on a connection.  The struct must live as long as it. */
void database_wait(
    sqlite3 *, struct database_wait *, const struct hf_ctx *, int64_t limit_ms);

/* Monotonic milliseconds. */
int64_t database_clock(void);

/* Each returns a SQLite result code: SQLITE_OK, SQLITE_DONE when there was no
 * row, else an error.  A text that does not fit is cut. */
int database_exec(sqlite3 *, const char *sql);
int database_int(sqlite3 *, const char *sql, int64_t *out);
int database_text(sqlite3 *, const char *sql, char *buf, size_t cap);

/* Open a file that nobody else uses and nobody changes: no locks, no sidecar
 * files.  Application-defined collations are replaced by memcmp; *foreign
 * (may be NULL) tells whether there was one, and must live as long as the
 * connection. */
int database_open_immutable(
    const char *path, sqlite3 **, bool *foreign, struct hf_error *);

/* The same stand-in collations for any connection. */
void database_any_collation(sqlite3 *, bool *foreign);

enum database_verdict {
	DATABASE_SOUND,
	DATABASE_DAMAGED,
	/* It needs functions that only its application has. */
	DATABASE_UNCHECKED
};

/* Run "quick_check" or "integrity_check".  first gets the first line that
 * says what is wrong; each line (at most 10) goes to cb (may be NULL).
 * HF_OK whenever a verdict was reached. */
int database_check(sqlite3 *, const char *pragma, enum database_verdict *,
    char *first, size_t cap, void (*cb)(void *arg, const char *line), void *arg,
    struct hf_error *);

/* sqlite3_close, which cannot fail here: every statement is finalized. */
void database_close(sqlite3 *);

#endif
