/* SPDX-License-Identifier: BSD-2-Clause */
#include "inspect.h"

#include "code.h"
#include "direct.h"
#include "facts.h"
#include "intent.h"
#include "path.h"
#include "sqlite.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LARGE_WAL (1LL << 30)

/* Where findings go; the first answer that says stop is kept. */
struct report {
	hf_finding_fn *fn;
	void *arg;
	int rc;
};

static void HF_PRINTF(5, 6) tell(struct report *r, enum hf_verdict verdict,
    const char *check, const char *hint, const char *fmt, ...)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = (int32_t)verdict,
		.check = check,
		.hint = hint };
	char text[512];
	va_list ap;

	if (r->rc != HF_OK)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	f.result = text;
	r->rc = r->fn(r->arg, &f);
}

static bool
on_network(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) != 0)
		return false;
	switch ((uint32_t)fs.f_type) {
	case 0x6969u:     /* NFS */
	case 0xff534d42u: /* CIFS */
	case 0xfe534d42u: /* SMB2 */
	case 0x517bu:     /* SMB */
		return true;
	default:
		return false;
	}
}

static void
tell_mode(struct source *s, struct report *r)
{
	int64_t size;

	if (!s->wal) {
		tell(r, HF_WARN, "journal_mode",
		    "PRAGMA journal_mode=WAL lets writers go on during a "
		    "backup.",
		    "rollback journal: a backup blocks writers while it "
		    "reads");
		return;
	}
	tell(r, HF_PASS, "journal_mode", NULL, "wal");
	size = path_size(s->path, "-wal");
	if (size >= LARGE_WAL)
		tell(r, HF_WARN, "wal_size",
		    "Checkpoints do not get through: look for a connection "
		    "that never ends its read transaction.",
		    "%" PRId64 " bytes", size);
	else
		tell(r, HF_PASS, "wal_size", NULL, "%" PRId64 " bytes",
		    size < 0 ? 0 : size);
}

static void
tell_schema(struct source *s, struct report *r)
{
	char hash[FACTS_HASH];
	int64_t tables;

	if (facts_schema(s->db, hash, &tables) == SQLITE_OK)
		tell(r, HF_PASS, "schema", NULL, "%" PRId64 " tables", tables);
	else
		tell(r, HF_WARN, "schema",
		    "The pages are backed up all the same; run PRAGMA "
		    "integrity_check with the application's own SQLite.",
		    "cannot be read: %s", sqlite3_errmsg(s->db));
}

static void
tell_method(struct source *s, struct report *r)
{
	const char *method = s->engine->conf.method;
	struct hf_error *none = NULL;
	struct direct d;
	char why[128] = "";

	if (strcmp(method, "api") == 0) {
		tell(r, HF_PASS, "method", NULL, "backup API, as configured");
		return;
	}
	source_end(s);
	if (direct_begin(s, &d, why, sizeof why, none) == HF_OK) {
		tell(r, HF_PASS, "method", NULL, "direct");
		direct_end(&d);
		return;
	}
	tell(r, strcmp(method, "direct") == 0 ? HF_FAIL : HF_WARN, "method",
	    "Backups need scratch space of the database's size.",
	    "not direct: %s", why[0] != '\0' ? why : "it cannot be read");
}

int
inspect_source(
    struct hf_engine *e, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct report r = { fn, arg, HF_OK };
	struct source s;
	int rc;

	if ((rc = source_open(e, &s, err)) != HF_OK)
		return rc;
	if ((rc = source_begin(&s, err)) != HF_OK)
		goto done;
	tell(&r, HF_PASS, "open", NULL,
	    "%" PRId64 " pages of %" PRId64 " bytes", s.page_count,
	    s.page_size);
	tell_mode(&s, &r);
	tell_schema(&s, &r);
	tell_method(&s, &r);
	if (on_network(s.path))
		tell(&r, HF_WARN, "filesystem",
		    "Run Holdfast on the host that has the disk: SQLite's "
		    "locks and its WAL index do not work across hosts.",
		    "a network filesystem");
	if (path_exists(s.path, INTENT_SUFFIX))
		tell(&r, HF_WARN, "restore",
		    "The next restore of this database finishes or undoes "
		    "it.",
		    "a restore in place was interrupted");
	tell(&r, HF_PASS, "sqlite_library", NULL, "%s%s", sqlite3_libversion(),
	    sqlite3_libversion_number() < 3051003
		? " (before 3.51.3: has the WAL-reset bug, which needs "
		  "checkpoints, and this program makes none)"
		: "");
	rc = r.rc;
	source_end(&s);
done:
	source_close(&s);
	return rc;
}

int
inspect_scratch(struct hf_engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	static atomic_uint counter;
	int n;

	(void)e;
	n = snprintf(target, cap, "%s/restored-%ld-%u.db", dir, (long)getpid(),
	    atomic_fetch_add(&counter, 1));
	if (n < 0 || (size_t)n >= cap)
		return H->fail(err, HF_E_INVALID, "path too long: %s", dir);
	return HF_OK;
}

/* Lines of one check. */
struct lines {
	struct report *report;
	const char *check;
};

static void
on_line(void *arg, const char *line)
{
	const struct lines *l = arg;

	tell(l->report, HF_FAIL, l->check,
	    "Restore an earlier backup, and look at the source: it was "
	    "damaged when this one was made.",
	    "%s", line);
}

/* An index ordered by a collation that only the application has cannot be
 * compared with its table. */
static int
check_integrity(
    sqlite3 *db, bool *foreign, struct report *r, struct hf_error *err)
{
	enum database_verdict verdict;
	struct lines lines = { r, "integrity_check" };
	const char *pragma = "integrity_check";
	sqlite3_stmt *st = NULL;
	char first[256];
	int rc;

	/* A statement over all indexes asks for their collations. */
	(void)sqlite3_prepare_v2(db, "PRAGMA main.quick_check", -1, &st, NULL);
	(void)sqlite3_finalize(st);
	if (*foreign)
		pragma = lines.check = "quick_check";
	rc = database_check(
	    db, pragma, &verdict, first, sizeof first, on_line, &lines, err);
	if (rc != HF_OK)
		return rc;
	if (verdict == DATABASE_UNCHECKED)
		tell(r, HF_WARN, pragma,
		    "Check a restored copy with the application itself.",
		    "cannot run here: %s", first);
	else if (verdict == DATABASE_SOUND && *foreign)
		tell(r, HF_WARN, pragma,
		    "Check a restored copy with the application itself.",
		    "ok; the order of indexes was not checked, it needs "
		    "collations that only the application has");
	else if (verdict == DATABASE_SOUND)
		tell(r, HF_PASS, pragma, NULL, "ok");
	return HF_OK;
}

static void
check_foreign_keys(sqlite3 *db, struct report *r)
{
	sqlite3_stmt *st = NULL;
	int64_t n = 0;
	int rc;

	rc = sqlite3_prepare_v2(
	    db, "PRAGMA main.foreign_key_check", -1, &st, NULL);
	while (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n++;
	rc = rc == SQLITE_OK ? sqlite3_finalize(st) : rc;
	if (rc != SQLITE_OK)
		tell(r, HF_WARN, "foreign_key_check", NULL,
		    "cannot run here: %s", sqlite3_errmsg(db));
	else if (n > 0)
		tell(r, HF_WARN, "foreign_key_check",
		    "The source has them too: the copy is page for page.",
		    "%" PRId64 " rows without a parent", n);
	else
		tell(r, HF_PASS, "foreign_key_check", NULL, "ok");
}

static void
compare(struct report *r, struct hf_in *in, const char *key, const char *seen)
{
	const char *told = H->in_fact(in, key);

	if (told == NULL)
		return;
	if (strcmp(told, seen) == 0)
		tell(r, HF_PASS, key, NULL, "%s", seen);
	else
		tell(r, HF_FAIL, key,
		    "The restored database is not the one that was backed "
		    "up.",
		    "%s, but the backup says %s", seen, told);
}

/* What cannot be read does not agree; only our own troubles are errors. */
static int
cannot_read(sqlite3 *db, int rc, const char *key, struct report *r,
    struct hf_error *err)
{
	if (code_status(rc) == HF_E_NOMEM || code_status(rc) == HF_E_CANCELLED)
		return code_fail(db, rc, err, "%s", key);
	tell(r, HF_FAIL, key, NULL, "cannot be read: %s", sqlite3_errmsg(db));
	return HF_OK;
}

static int
check_facts(
    sqlite3 *db, struct hf_in *in, struct report *r, struct hf_error *err)
{
	static const char *const keys[] = { "page_size", "page_count",
		"user_version", "application_id", NULL };
	char sql[64], text[64], hash[FACTS_HASH];
	int64_t tables;
	size_t i;
	int rc;

	for (i = 0; keys[i] != NULL; i++) {
		(void)snprintf(sql, sizeof sql, "PRAGMA main.%s", keys[i]);
		rc = database_text(db, sql, text, sizeof text);
		if (rc != SQLITE_OK)
			rc = cannot_read(db, rc, keys[i], r, err);
		else
			compare(r, in, keys[i], text);
		if (rc != HF_OK)
			return rc;
	}
	if ((rc = facts_schema(db, hash, &tables)) != SQLITE_OK)
		return cannot_read(db, rc, "schema_sha256", r, err);
	compare(r, in, "schema_sha256", hash);
	return HF_OK;
}

int
inspect_target(struct hf_engine *e, const char *target, struct hf_in *in,
    hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct report r = { fn, arg, HF_OK };
	struct database_wait wait;
	bool foreign = false;
	sqlite3 *db;
	int rc;

	if ((rc = database_open_immutable(target, &db, &foreign, err)) != HF_OK)
		return rc;
	database_wait(db, &wait, e->ctx, 0);
	if (in != NULL && H->in_fact(in, "schema_readable") != NULL) {
		/* As for the backup: read on past what cannot be parsed. */
		(void)database_exec(db, "PRAGMA writable_schema=ON");
		tell(&r, HF_WARN, "integrity_check",
		    "Check a restored copy with the application itself.",
		    "cannot run here: this SQLite (%s) cannot parse the "
		    "schema",
		    sqlite3_libversion());
	} else {
		rc = check_integrity(db, &foreign, &r, err);
		if (rc != HF_OK)
			goto done;
		check_foreign_keys(db, &r);
	}
	if (in != NULL)
		rc = check_facts(db, in, &r, err);
done:
	database_close(db);
	return rc != HF_OK ? rc : r.rc;
}

int
inspect_query(struct hf_engine *e, const char *target, const char *sql,
    char *value, size_t cap, struct hf_error *err)
{
	struct database_wait wait;
	const unsigned char *text;
	sqlite3_stmt *st = NULL;
	sqlite3 *db;
	int rc;

	if ((rc = database_open_immutable(target, &db, NULL, err)) != HF_OK)
		return rc;
	database_wait(db, &wait, e->ctx, 0);
	rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK && st == NULL)
		rc = SQLITE_DONE;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_DONE) {
		rc = H->fail(err, HF_E_NOTFOUND, "no row: %s", sql);
	} else if (rc != SQLITE_ROW) {
		rc = code_fail(db, rc, err, "%s", sql);
	} else {
		text = sqlite3_column_text(st, 0);
		rc = HF_OK;
		if (text == NULL)
			text = (const unsigned char *)"";
		if (strlen((const char *)text) >= cap)
			rc = H->fail(err, HF_E_INVALID,
			    "the value is longer than %zu bytes: %s", cap - 1,
			    sql);
		else
			(void)snprintf(value, cap, "%s", (const char *)text);
	}
	(void)sqlite3_finalize(st);
	database_close(db);
	return rc;
}

void
inspect_discard(struct hf_engine *e, const char *target)
{
	int i;

	(void)e;
	(void)path_unlink(target, "", NULL);
	for (i = 0; path_sidecars[i] != NULL; i++)
		(void)path_unlink(target, path_sidecars[i], NULL);
}
