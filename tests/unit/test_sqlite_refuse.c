/* SPDX-License-Identifier: BSD-2-Clause */
/* What cannot be backed up is refused, and the error says why. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/sqkit.h"
#include "support/skipped.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

/* Files of mode 0444 in a folder of mode 0555 deny writing to their owner, but
 * not to root: then be somebody else for a while. */
static void
be_somebody(void)
{
	if (geteuid() == 0) {
		assert_int_equal(setegid(NOBODY), 0);
		assert_int_equal(seteuid(NOBODY), 0);
	}
}

static void
be_root_again(void)
{
	if (getuid() == 0) {
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(setegid(0), 0);
	}
}

static int
ignore_finding(void *arg, const struct hf_finding *f)
{
	(void)arg;
	(void)f;
	return HF_OK;
}

/* Backup and check refuse alike, and leave the folder as it was. */
static void
refused(struct sqkit *k, int status, const char *text)
{
	unsigned before = sqkit_count(k, "");
	struct memout *m = memout_new();
	int rc;

	rc = sqkit_backup(k, m);
	if (rc != status)
		fail_msg("%d (%s) instead of %d", rc, k->err.cause, status);
	sqkit_error_has(k, text);
	assert_int_equal(memout_count(m) + memout_open(m), 0);
	memout_free(m);
	error_clear(&k->err);
	assert_int_equal(
	    engine_check(k->engine, ignore_finding, NULL, &k->err), status);
	sqkit_error_has(k, text);
	assert_int_equal(sqkit_count(k, ""), before);
}

static void
a_missing_file_is_not_made(void **state)
{
	struct sqkit *k = *state;

	sqkit_open(k, "none.db", NULL);
	refused(k, HF_E_NOTFOUND, "no such database");
	assert_int_equal(sqkit_size(k->path), -1);
}

static void
a_folder_is_no_database(void **state)
{
	struct sqkit *k = *state;

	sqkit_open(k, "scratch", NULL);
	refused(k, HF_E_INVALID, "is a folder");
}

static void
what_is_not_a_database_is_not_taken(void **state)
{
	struct sqkit *k = *state;
	uint8_t noise[8192];
	size_t i;

	sqkit_open(k, "text.db", NULL);
	sqkit_write_file(k->path, "hello, world\n", 13);
	refused(k, HF_E_INVALID, "not a SQLite database, or it is encrypted");

	/* Without a header, as an encrypted one is. */
	sqkit_open(k, "noise.db", NULL);
	for (i = 0; i < sizeof noise; i++)
		noise[i] = (uint8_t)(i * 167 + (i >> 3));
	sqkit_write_file(k->path, noise, sizeof noise);
	refused(k, HF_E_INVALID, "not a SQLite database, or it is encrypted");
}

static void
an_empty_file_with_a_full_wal_is_not_touched(void **state)
{
	struct sqkit *k = *state;
	struct sqkit_process p;

	sqkit_open(k, "app.db", NULL);
	sqkit_hold(&p, k->path,
	    "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
	    "CREATE TABLE t(x)");
	assert_int_equal(sqkit_finish(&p), 0);
	assert_int_equal(truncate(k->path, 0), 0);
	assert_true(sqkit_size(sqkit_path(k, "app.db-wal")) > 0);
	refused(k, HF_E_CORRUPT, "its -wal is not");
	assert_true(sqkit_size(sqkit_path(k, "app.db-wal")) > 0);
}

static void
a_cut_off_database_is_not_taken_for_a_whole_one(void **state)
{
	struct sqkit *k = *state;
	struct memout *m = memout_new();

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path,
	    "CREATE TABLE t(x); INSERT INTO t VALUES(randomblob(200000))");
	assert_int_equal(truncate(k->path, 100000), 0);
	assert_int_equal(sqkit_backup(k, m), HF_E_CORRUPT);
	assert_int_equal(memout_count(m), 0);
	memout_free(m);
}

static void
no_permission_to_read_is_said(void **state)
{
	struct sqkit *k = *state;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "CREATE TABLE t(x)");
	assert_int_equal(chmod(k->path, 0), 0);
	assert_int_equal(chmod(k->dir, 0755), 0);
	be_somebody();
	refused(k, HF_E_DENIED, "no permission to read");
	be_root_again();
}

static void
a_wal_database_in_a_folder_that_cannot_be_written_is_refused(void **state)
{
	struct sqkit *k = *state;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL; CREATE TABLE t(x)");
	assert_int_equal(chmod(k->path, 0444), 0);
	assert_int_equal(chmod(k->dir, 0555), 0);
	be_somebody();
	refused(k, HF_E_DENIED, "WAL mode");
	be_root_again();
	assert_int_equal(chmod(k->dir, 0755), 0);
}

static void
a_rollback_database_is_read_without_permission_to_write(void **state)
{
	struct sqkit *k = *state;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "CREATE TABLE t(x)");
	assert_int_equal(chmod(k->path, 0444), 0);
	assert_int_equal(chmod(k->dir, 0555), 0);
	be_somebody();
	memout_free(sqkit_backup_ok(k));
	be_root_again();
	assert_int_equal(chmod(k->dir, 0755), 0);
}

static const char half_done[] =
    "PRAGMA cache_size=5; PRAGMA cache_spill=5; BEGIN IMMEDIATE;"
    "UPDATE t SET x = randomblob(900)";

static void
make_hot_journal(struct sqkit *k)
{
	struct sqkit_process p;

	sqkit_run(k->path,
	    "CREATE TABLE t(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
	    "SELECT i+1 FROM n LIMIT 300) INSERT INTO t SELECT 'old' FROM n;"
	    "UPDATE t SET x = zeroblob(900)");
	sqkit_hold(&p, k->path, half_done);
	assert_int_equal(sqkit_finish(&p), 0);
	assert_true(sqkit_size(sqkit_path(k, "app.db-journal")) > 0);
}

static void
a_hot_journal_that_may_not_be_rolled_back_is_refused(void **state)
{
	struct sqkit *k = *state;
	int64_t size;

	sqkit_open(k, "app.db", NULL);
	make_hot_journal(k);
	size = sqkit_size(sqkit_path(k, "app.db-journal"));
	assert_int_equal(chmod(k->path, 0444), 0);
	assert_int_equal(chmod(sqkit_path(k, "app.db-journal"), 0444), 0);
	assert_int_equal(chmod(k->dir, 0555), 0);
	be_somebody();
	refused(k, HF_E_DENIED, "hot journal");
	be_root_again();
	assert_int_equal(chmod(k->dir, 0755), 0);
	assert_int_equal(sqkit_size(sqkit_path(k, "app.db-journal")), size);
}

static void
a_hot_journal_is_rolled_back_as_the_application_would(void **state)
{
	struct sqkit *k = *state;
	struct memout *m;
	const char *copy = sqkit_path(k, "copy.db");

	sqkit_open(k, "app.db", NULL);
	make_hot_journal(k);
	m = sqkit_backup_ok(k);
	assert_int_equal(sqkit_restore(k, m, copy, 0), HF_OK);
	memout_free(m);
	assert_int_equal(
	    sqkit_int(copy, "SELECT count(*) FROM t WHERE x = zeroblob(900)"),
	    300);
}

static void
a_holder_of_an_exclusive_lock_is_named(void **state)
{
	static const char *const options[] = { "busy_timeout=150ms", NULL };
	static const char *const modes[] = { "WAL", "DELETE" };
	struct sqkit *k = *state;
	struct sqkit_process p;
	char sql[160], name[16];
	int i;

	for (i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof name, "excl%d.db", i);
		sqkit_open(k, name, options);
		(void)snprintf(sql, sizeof sql,
		    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=%s;"
		    "CREATE TABLE t(x); INSERT INTO t VALUES(1)",
		    modes[i]);
		sqkit_hold(&p, k->path, sql);
		refused(k, HF_E_TRANSIENT, "sqlite_writer");
		assert_non_null(
		    strstr(error_get(&k->err, "hint"), "EXCLUSIVE"));
		assert_int_equal(sqkit_finish(&p), 0);
	}
}

/* A tmpfs of our own that turns read-only; where that is not allowed there is
 * nothing to try. */
static void
a_wal_database_on_a_readonly_medium_is_refused(void **state)
{
	struct sqkit *k = *state;
	const char *mnt = sqkit_path(k, "mnt");

	assert_int_equal(mkdir(mnt, 0700), 0);
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", mnt, "tmpfs", 0, NULL) != 0)
		SKIP();
	sqkit_open(k, "mnt/app.db", NULL);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL; CREATE TABLE t(x)");
	if (mount("none", mnt, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL) != 0) {
		(void)umount(mnt);
		SKIP();
	}
	refused(k, HF_E_DENIED, "read-only");
	assert_int_equal(umount(mnt), 0);
}

static void
only_full_backups_are_made(void **state)
{
	struct sqkit *k = *state;
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_INCR,
		.max_streams = 1 };
	struct memout *m = memout_new();

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "CREATE TABLE t(x)");
	assert_int_equal(engine_backup(k->engine, &req, memout_out(m), &k->err),
	    HF_E_UNSUPPORTED);
	req.kind = HF_KIND_FULL;
	req.flags = 1u << 5;
	assert_int_equal(engine_backup(k->engine, &req, memout_out(m), &k->err),
	    HF_E_UNSUPPORTED);
	memout_free(m);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sqkit_setup, sqkit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_missing_file_is_not_made),
		TEST(a_folder_is_no_database),
		TEST(what_is_not_a_database_is_not_taken),
		TEST(an_empty_file_with_a_full_wal_is_not_touched),
		TEST(a_cut_off_database_is_not_taken_for_a_whole_one),
		TEST(no_permission_to_read_is_said),
		TEST(
		    a_wal_database_in_a_folder_that_cannot_be_written_is_refused),
		TEST(a_rollback_database_is_read_without_permission_to_write),
		TEST(a_hot_journal_that_may_not_be_rolled_back_is_refused),
		TEST(a_hot_journal_is_rolled_back_as_the_application_would),
		TEST(a_holder_of_an_exclusive_lock_is_named),
		TEST(a_wal_database_on_a_readonly_medium_is_refused),
		TEST(only_full_backups_are_made),
	};

	return skipped_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
