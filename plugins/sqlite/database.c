/* SPDX-License-Identifier: BSD-2-Clause */
#include "database.h"

#include "code.h"
#include "path.h"
#include "sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Virtual machine steps between two looks at the cancel flag. */
#define STEPS 20000

int64_t
database_clock(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
on_busy(void *arg, int count)
{
	struct database_wait *w = arg;
	int64_t left, pause = count < 5 ? 2 : count < 20 ? 10 : 50;

	if (count == 0)
		w->since = database_clock();
	left = w->limit_ms - (database_clock() - w->since);
	if (left <= 0)
		return 0;
	return H->sleep(w->ctx, pause < left ? pause : left) ? 1 : 0;
}

static int
on_steps(void *arg)
{
	const struct database_wait *w = arg;

	return H->cancelled(w->ctx) ? 1 : 0;
}

void
database_wait(sqlite3 *db, struct database_wait *w, const struct hf_ctx *ctx,
    int64_t limit_ms)
{
	w->ctx = ctx;
	w->limit_ms = limit_ms;
	w->since = 0;
	(void)sqlite3_busy_handler(db, on_busy, w);
	sqlite3_progress_handler(db, STEPS, on_steps, w);
}

int
database_exec(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* One row of the statement, or what went wrong.  NULL st after an error. */
static int
first_row(sqlite3 *db, const char *sql, sqlite3_stmt **st)
{
	int rc;

	*st = NULL;
	if ((rc = sqlite3_prepare_v2(db, sql, -1, st, NULL)) != SQLITE_OK)
		return rc;
	if ((rc = sqlite3_step(*st)) == SQLITE_ROW)
		return SQLITE_OK;
	(void)sqlite3_finalize(*st);
	*st = NULL;
	return rc;
}

int
database_int(sqlite3 *db, const char *sql, int64_t *out)
{
	sqlite3_stmt *st;
	int rc;

	*out = 0;
	if ((rc = first_row(db, sql, &st)) != SQLITE_OK)
		return rc;
	*out = sqlite3_column_int64(st, 0);
	return sqlite3_finalize(st);
}

int
database_text(sqlite3 *db, const char *sql, char *buf, size_t cap)
{
	const unsigned char *text;
	sqlite3_stmt *st;
	int rc;

	buf[0] = '\0';
	if ((rc = first_row(db, sql, &st)) != SQLITE_OK)
		return rc;
	if ((text = sqlite3_column_text(st, 0)) != NULL)
		(void)snprintf(buf, cap, "%s", (const char *)text);
	return sqlite3_finalize(st);
}

static int
compare_bytes(void *arg, int na, const void *a, int nb, const void *b)
{
	int rc = memcmp(a, b, (size_t)(na < nb ? na : nb));

	(void)arg;
	return rc != 0 ? rc : na - nb;
}

static void
on_collation(void *arg, sqlite3 *db, int enc, const char *name)
{
	bool *foreign = arg;

	if (sqlite3_create_collation(db, name, enc, NULL, compare_bytes) ==
		SQLITE_OK &&
	    foreign != NULL)
		*foreign = true;
}

void
database_any_collation(sqlite3 *db, bool *foreign)
{
	(void)sqlite3_collation_needed(db, foreign, on_collation);
}

int
database_open_immutable(
    const char *path, sqlite3 **out, bool *foreign, struct hf_error *err)
{
	sqlite3 *db = NULL;
	char *uri;
	int rc;

	*out = NULL;
	if ((uri = path_immutable_uri(path, err)) == NULL)
		return HF_E_NOMEM;
	rc = sqlite3_open_v2(uri, &db,
	    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	free(uri);
	if (rc != SQLITE_OK) {
		rc = code_fail(db, rc, err, "opening %s", path);
		database_close(db);
		return rc;
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_db_config(
	    db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
	if (foreign != NULL)
		*foreign = false;
	database_any_collation(db, foreign);
	*out = db;
	return HF_OK;
}

/* What only the application can provide says nothing about the file. */
static bool
needs_application(sqlite3 *db)
{
	static const char *const texts[] = { "no such function: ",
		"unknown function: ", "no such module: ", "no such tokenizer: ",
		"unsafe use of ", "unknown tokenizer", NULL };
	const char *msg = sqlite3_errmsg(db);
	size_t i;

	for (i = 0; texts[i] != NULL; i++)
		if (strncmp(msg, texts[i], strlen(texts[i])) == 0)
			return true;
	return false;
}

/* An error of the check itself: about the file, the application, or us? */
static int
check_failed(sqlite3 *db, int rc, const char *pragma,
    enum database_verdict *verdict, char *first, size_t cap,
    void (*cb)(void *, const char *), void *arg, struct hf_error *err)
{
	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
	case SQLITE_SCHEMA:
		*verdict = needs_application(db) ? DATABASE_UNCHECKED
						 : DATABASE_DAMAGED;
		(void)snprintf(first, cap, "%s", sqlite3_errmsg(db));
		if (cb != NULL && *verdict == DATABASE_DAMAGED)
			cb(arg, first);
		return HF_OK;
	default:
		return code_fail(db, rc, err, "%s", pragma);
	}
}

/* A page that the disk does not give is a line of the result like any other
 * finding: "unable to get the page. error code=266".  It says nothing about
 * the database. */
static int
unreadable(const char *line)
{
	const char *code = strstr(line, "error code=");
	long value = code == NULL ? 0 : strtol(code + 11, NULL, 10);

	return (value & 0xff) == SQLITE_IOERR ? (int)value : SQLITE_OK;
}

int
database_check(sqlite3 *db, const char *pragma, enum database_verdict *verdict,
    char *first, size_t cap, void (*cb)(void *, const char *), void *arg,
    struct hf_error *err)
{
	const char *line;
	sqlite3_stmt *st = NULL;
	char sql[64];
	int rc, failed = SQLITE_OK;

	*verdict = DATABASE_SOUND;
	first[0] = '\0';
	(void)snprintf(sql, sizeof sql, "PRAGMA main.%s(10)", pragma);
	if ((rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL)) != SQLITE_OK)
		return check_failed(
		    db, rc, pragma, verdict, first, cap, cb, arg, err);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		line = (const char *)sqlite3_column_text(st, 0);
		if (line != NULL && strcmp(line, "ok") == 0)
			continue;
		if (line == NULL)
			line = "no text";
		if (*verdict == DATABASE_SOUND)
			(void)snprintf(first, cap, "%s", line);
		if (failed == SQLITE_OK)
			failed = unreadable(line);
		*verdict = DATABASE_DAMAGED;
		if (cb != NULL)
			cb(arg, line);
	}
	if (failed != SQLITE_OK)
		rc = code_fail(
		    NULL, failed, err, "%s could not read on", pragma);
	else if (rc != SQLITE_DONE && *verdict == DATABASE_SOUND)
		rc = check_failed(
		    db, rc, pragma, verdict, first, cap, cb, arg, err);
	else
		rc = HF_OK;
	(void)sqlite3_finalize(st);
	return rc;
}

void
database_close(sqlite3 *db)
{
	(void)sqlite3_close(db);
}
