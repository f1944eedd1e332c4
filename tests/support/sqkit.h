/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the sqlite engine share.  Programs that use it link to
 * SQLite themselves.  Every failure is a failed cmocka assertion. */
#ifndef HF_TESTS_SQKIT_H
#define HF_TESTS_SQKIT_H

#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/engine.h"
#include "support/memout.h"

#include <sqlite3.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* A folder of its own, the plugin, and an engine for the database "path". */
struct sqkit {
	char dir[64];
	char path[PATH_MAX]; /* dir/app.db, unless sqkit_open was told */
	struct plugins *plugins;
	const struct plugin *plugin;
	struct engine *engine;
	struct cancel cancel;
	struct hf_ctx ctx;
	struct hf_error err;
	char safety[PATH_MAX]; /* result "safety_copy" of the last restore */
};

int sqkit_setup(void **state); /* *state is the kit */
/* In memory where there is room: for what syncs all the time, and is not
 * about that. */
int sqkit_setup_fast(void **state);
int sqkit_teardown(void **state); /* removes the folder */

/* Open an engine for dir/name, with "key=value" options, NULL ends. */
void sqkit_open(struct sqkit *, const char *name, const char *const *options);
void sqkit_close(struct sqkit *);

/* dir/name, in one of a few turning buffers. */
const char *sqkit_path(struct sqkit *, const char *name);

sqlite3 *sqkit_db(const char *path);
void sqkit_sql(sqlite3 *, const char *sql);
/* The same on a connection of its own. */
void sqkit_run(const char *path, const char *sql);
int64_t sqkit_int(const char *path, const char *sql);

/* A hash over everything that SQL shows, in a turning buffer: schema, rows of
 * every table, and the pragmas that a copy must keep; not the journal mode. */
const char *sqkit_hash(const char *path);
bool sqkit_is_wal(const char *path);

/* Back up; the status, which is checked by the caller. */
int sqkit_backup(struct sqkit *, struct memout *);
/* The same, and it must work. */
struct memout *sqkit_backup_ok(struct sqkit *);

/* Restore to target (NULL: the source). */
int sqkit_restore(
    struct sqkit *, struct memout *, const char *target, uint32_t flags);

/* Everything is as in the source: back up, restore to a new path, compare
 * hashes, inspect; returns the restored path, which the caller may look at. */
const char *sqkit_round_trip(struct sqkit *, const char *source_hash);

/* The program sqlite_writer, which stands beside the test: another process,
 * and not a fork, whose SQLite would believe that it has our locks. */
struct sqkit_process {
	pid_t pid;
	int in; /* its stdin */
	FILE *out;
};
void sqkit_start(struct sqkit_process *, const char *db, const char *verb,
    const char *arg, const char *arg2);
/* "hold SQL", and wait until it does. */
void sqkit_hold(struct sqkit_process *, const char *db, const char *sql);
/* Close its stdin, wait; its exit code, -1 after a signal. */
int sqkit_finish(struct sqkit_process *);
/* All at once. */
int sqkit_program(
    const char *db, const char *verb, const char *arg, const char *arg2);

/* The text of the last error has this in it. */
void sqkit_error_has(struct sqkit *, const char *text);

/* Names in the folder that begin with prefix. */
unsigned sqkit_count(struct sqkit *, const char *prefix);

void sqkit_write_file(const char *path, const void *, size_t);
int64_t sqkit_size(const char *path); /* -1: none */

#endif
