/* SPDX-License-Identifier: BSD-2-Clause */
/* Restores: what they make, what they keep, what they refuse. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/sqkit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char first_state[] =
    "PRAGMA journal_mode=WAL; CREATE TABLE t(x, note);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT "
    "400) INSERT INTO t SELECT i, hex(randomblob(100)) FROM n";
static const char second_state[] =
    "DELETE FROM t WHERE x > 200; UPDATE t SET note = 'changed';"
    "CREATE TABLE later(y); INSERT INTO later VALUES(1)";

/* A database, its backup, and then another content. */
static struct memout *
prepare(struct sqkit *k, char old[65], char new[65])
{
	struct memout *m;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, first_state);
	(void)snprintf(new, 65, "%s", sqkit_hash(k->path));
	m = sqkit_backup_ok(k);
	sqkit_run(k->path, second_state);
	(void)snprintf(old, 65, "%s", sqkit_hash(k->path));
	return m;
}

/* Only these files are there: nothing of ours is left behind. */
static void
only(struct sqkit *k, unsigned safety_copies)
{
	assert_int_equal(sqkit_count(k, "app.db-"), 0);
	assert_int_equal(sqkit_count(k, "app.db.holdfast"), 0);
	assert_int_equal(
	    sqkit_count(k, "app.db.before-restore"), safety_copies);
}

static void
a_new_file_is_ours_alone_and_durable_under_its_name(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	const char *target = sqkit_path(k, "new.db");
	struct stat st;

	assert_int_equal(sqkit_restore(k, m, target, 0), HF_OK);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_string_equal(sqkit_hash(target), new);
	assert_true(sqkit_is_wal(target));
	assert_string_equal(sqkit_hash(k->path), old);
	memout_free(m);
}

static void
what_is_there_is_not_overwritten(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	const char *target = sqkit_path(k, "new.db");

	assert_int_equal(sqkit_restore(k, m, NULL, 0), HF_E_EXISTS);
	assert_string_equal(sqkit_hash(k->path), old);
	assert_int_equal(
	    sqkit_restore(k, m, sqkit_path(k, "scratch"), 0), HF_E_EXISTS);
	assert_int_equal(sqkit_restore(k, m, sqkit_path(k, "no/such/x.db"), 0),
	    HF_E_NOTFOUND);
	/* A stale -wal would be replayed into the new database. */
	sqkit_write_file(sqkit_path(k, "new.db-wal"), "stale", 5);
	assert_int_equal(sqkit_restore(k, m, target, 0), HF_E_EXISTS);
	sqkit_error_has(k, "-wal");
	assert_int_equal(sqkit_size(target), -1);
	/* In place it is kept under another name. */
	assert_int_equal(
	    sqkit_restore(k, m, target, HF_RESTORE_IN_PLACE), HF_OK);
	assert_string_equal(sqkit_hash(target), new);
	assert_int_equal(sqkit_count(k, "new.db.before-restore"), 1);
	memout_free(m);
}

static void
in_place_keeps_the_former_one_whole(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	struct stat st;

	assert_int_equal(chmod(k->path, 0664), 0);
	assert_int_equal(
	    chown(k->path, geteuid() == 0 ? 12 : geteuid(), getegid()), 0);
	if (sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE) != HF_OK)
		fail_msg("%s", k->err.cause);
	only(k, 1);
	assert_string_equal(sqkit_hash(k->path), new);
	assert_true(sqkit_is_wal(k->path));
	assert_string_equal(sqkit_hash(k->safety), old);
	assert_int_equal(stat(k->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0664);
	if (geteuid() == 0)
		assert_int_equal(st.st_uid, 12);
	/* A second one at once has a name of its own. */
	assert_int_equal(sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_OK);
	only(k, 2);
	memout_free(m);
}

static void
frames_that_were_never_checkpointed_are_in_the_safety_copy(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	struct sqkit_process p;

	sqkit_hold(&p, k->path,
	    "PRAGMA wal_autocheckpoint=0; INSERT INTO later VALUES(42)");
	assert_int_equal(sqkit_finish(&p), 0);
	assert_true(sqkit_size(sqkit_path(k, "app.db-wal")) > 0);
	assert_int_equal(sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_OK);
	only(k, 1);
	assert_string_equal(sqkit_hash(k->path), new);
	assert_int_equal(
	    sqkit_int(k->safety, "SELECT count(*) FROM later WHERE y = 42"), 1);
	memout_free(m);
}

static void
a_link_to_the_database_stays_a_link(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	struct stat st;

	assert_int_equal(mkdir(sqkit_path(k, "other"), 0700), 0);
	assert_int_equal(
	    symlink("../app.db", sqkit_path(k, "other/link.db")), 0);
	assert_int_equal(sqkit_restore(k, m, sqkit_path(k, "other/link.db"),
			     HF_RESTORE_IN_PLACE),
	    HF_OK);
	assert_int_equal(lstat(sqkit_path(k, "other/link.db"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	only(k, 1);
	assert_string_equal(sqkit_hash(k->path), new);
	memout_free(m);
}

static void
a_damaged_database_is_kept_with_all_that_belongs_to_it(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65], wal[PATH_MAX];
	struct memout *m = prepare(k, old, new);
	uint8_t noise[4096];
	struct sqkit_process p;
	int64_t size;

	sqkit_hold(&p, k->path,
	    "PRAGMA wal_autocheckpoint=0; INSERT INTO later VALUES(42)");
	assert_int_equal(sqkit_finish(&p), 0);
	size = sqkit_size(sqkit_path(k, "app.db-wal"));
	assert_true(size > 0);
	/* The -wal is whole: it would be replayed into the new database. */
	memset(noise, 0x5a, sizeof noise);
	sqkit_write_file(k->path, noise, sizeof noise);
	assert_int_equal(sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_OK);
	assert_int_equal(sqkit_count(k, "app.db-"), 0);
	assert_string_equal(sqkit_hash(k->path), new);
	assert_int_equal(sqkit_size(k->safety), sizeof noise);
	(void)snprintf(wal, sizeof wal, "%.4000s-wal", k->safety);
	assert_int_equal(sqkit_size(wal), size);
	memout_free(m);
}

static void
an_empty_file_with_a_wal_is_kept_as_well(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65], wal[PATH_MAX];
	struct memout *m = prepare(k, old, new);

	assert_int_equal(truncate(k->path, 0), 0);
	sqkit_write_file(sqkit_path(k, "app.db-wal"), "what is left", 12);
	assert_int_equal(sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_OK);
	assert_string_equal(sqkit_hash(k->path), new);
	(void)snprintf(wal, sizeof wal, "%.4000s-wal", k->safety);
	assert_int_equal(sqkit_size(wal), 12);
	memout_free(m);
}

static void
a_database_in_use_is_refused_and_the_user_named(void **state)
{
	static const char *const modes[] = {
		"SELECT count(*) FROM t", /* WAL, idle */
		"PRAGMA journal_mode=DELETE; SELECT count(*) FROM t"
	};
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	struct sqkit_process p;
	int i;

	for (i = 0; i < 2; i++) {
		sqkit_hold(&p, k->path, modes[i]);
		assert_int_equal(sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE),
		    HF_E_TRANSIENT);
		sqkit_error_has(k, "sqlite_writer (pid ");
		assert_int_equal(sqkit_finish(&p), 0);
		assert_string_equal(sqkit_hash(k->path), old);
		only(k, 0);
	}
	memout_free(m);
}

static void
a_connection_of_this_process_is_noticed_too(void **state)
{
	static const char *const options[] = { "busy_timeout=100ms", NULL };
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	sqlite3 *db;

	sqkit_open(k, "app.db", options);
	db = sqkit_db(k->path);
	sqkit_sql(db, "BEGIN; SELECT count(*) FROM t");
	assert_int_equal(
	    sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_E_TRANSIENT);
	sqkit_sql(db, "COMMIT; INSERT INTO later VALUES(2)");
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(sqkit_int(k->path, "SELECT count(*) FROM later"), 2);
	assert_true(sqkit_is_wal(k->path));
	only(k, 0);
	memout_free(m);
}

static void
forced_it_goes_on_and_the_user_cannot_harm_the_new_one(void **state)
{
	static const char *const options[] = { "busy_timeout=100ms", NULL };
	static const char *const modes[] = { "INSERT INTO later VALUES(9)",
		"PRAGMA journal_mode=DELETE; SELECT count(*) FROM t" };
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	struct sqkit_process p;
	int i;

	for (i = 0; i < 2; i++) {
		sqkit_open(k, "app.db", options);
		sqkit_hold(&p, k->path, modes[i]);
		if (sqkit_restore(k, m, NULL,
			HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE) != HF_OK)
			fail_msg("%s", k->err.cause);
		assert_string_equal(sqkit_hash(k->path), new);
		assert_int_equal(sqkit_finish(&p), 0);
		assert_string_equal(sqkit_hash(k->path), new);
		assert_true(
		    sqkit_int(k->safety, "SELECT count(*) FROM later") > 0 ||
		    i == 1);
		sqkit_run(k->path, second_state);
	}
	memout_free(m);
}

/* It has opened the old file and waits for our lock while we swap: what it
 * then writes must not land in the new database. */
static void
a_process_that_waited_for_the_lock_cannot_write_into_the_new_one(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	sqlite3 *db;
	int64_t n;

	/* A connection that holds no lock, as an idle one in rollback mode. */
	sqkit_run(k->path, "PRAGMA journal_mode=DELETE");
	db = sqkit_db(k->path);
	sqkit_sql(db, "SELECT count(*) FROM t");
	assert_int_equal(sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_OK);
	assert_int_not_equal(
	    sqlite3_exec(
		db, "INSERT INTO t VALUES(-1, 'lost')", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_string_equal(sqkit_hash(k->path), new);
	n = sqkit_int(k->path, "SELECT count(*) FROM t WHERE x = -1");
	assert_int_equal(n, 0);
	memout_free(m);
}

static void
two_restores_of_one_target_do_not_mix(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	int fd = open(sqkit_path(k, "app.db.holdfast-restore"),
	    O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(
	    sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_E_TRANSIENT);
	sqkit_error_has(k, "another restore");
	(void)close(fd);
	assert_int_equal(sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_OK);
	only(k, 1);
	memout_free(m);
}

static void
every_failing_read_leaves_the_target_as_it_was(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	const char *target = sqkit_path(k, "new.db");
	unsigned n, call;

	for (call = MEMOUT_OPEN; call <= MEMOUT_READ; call++)
		for (n = 1; n <= (call == MEMOUT_OPEN ? 1 : 2); n++) {
			memout_fail(m, (enum memout_call)call, n, HF_E_CORRUPT);
			assert_int_equal(
			    sqkit_restore(k, m, target, 0), HF_E_CORRUPT);
			assert_int_equal(sqkit_count(k, "new.db"), 0);
			memout_fail(m, (enum memout_call)call, n, HF_E_CORRUPT);
			assert_int_equal(
			    sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE),
			    HF_E_CORRUPT);
			assert_string_equal(sqkit_hash(k->path), old);
			only(k, 0);
		}
	memout_fail(m, MEMOUT_READ, 0, HF_OK);
	memout_free(m);
}

static void
a_copy_that_is_not_sound_never_takes_the_place(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new), *bad;
	size_t size, i;
	uint8_t *bytes = memout_bytes(m, 0, &size), *copy = malloc(size);
	int kind;

	assert_non_null(copy);
	for (kind = 0; kind < 5; kind++) {
		memcpy(copy, bytes, size);
		bad = memout_new();
		if (kind == 0) /* a page inside */
			for (i = 2 * 4096; i < 3 * 4096; i++)
				copy[i] ^= 0xff;
		if (kind == 1)
			copy[0] = 'X';
		if (kind == 2 || kind == 3)
			memout_set_fact(bad, "page_size", "4096");
		if (kind == 2)
			memout_set_fact(bad, "page_count", "1");
		if (kind == 3)
			memout_set_fact(bad, "page_count", "4503599627370496");
		memout_add(bad, "app.db", copy, size);
		if (kind == 4)
			memout_add(bad, "more.db", copy, size);
		assert_int_equal(
		    sqkit_restore(k, bad, sqkit_path(k, "new.db"), 0),
		    HF_E_CORRUPT);
		assert_int_equal(sqkit_count(k, "new.db"), 0);
		assert_int_equal(
		    sqkit_restore(k, bad, NULL, HF_RESTORE_IN_PLACE),
		    HF_E_CORRUPT);
		assert_string_equal(sqkit_hash(k->path), old);
		only(k, 0);
		memout_free(bad);
	}
	free(copy);
	memout_free(m);
}

static void
leftovers_of_killed_runs_are_cleared_but_not_those_of_living_ones(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	int fd;

	sqkit_write_file(sqkit_path(k, "app.db.holdfast-aaaaaa.tmp"), "x", 1);
	sqkit_write_file(sqkit_path(k, "app.db.holdfast-bbbbbb.tmp"), "x", 1);
	sqkit_write_file(sqkit_path(k, "app.db.holdfast-note"), "x", 1);
	fd = open(
	    sqkit_path(k, "app.db.holdfast-bbbbbb.tmp"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_OK);
	assert_int_equal(
	    sqkit_size(sqkit_path(k, "app.db.holdfast-aaaaaa.tmp")), -1);
	assert_int_equal(
	    sqkit_size(sqkit_path(k, "app.db.holdfast-bbbbbb.tmp")), 1);
	assert_int_equal(sqkit_size(sqkit_path(k, "app.db.holdfast-note")), 1);
	(void)close(fd);
	memout_free(m);
}

static void
a_cancelled_restore_leaves_the_target_as_it_was(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);

	cancel_request(&k->cancel);
	assert_int_equal(
	    sqkit_restore(k, m, NULL, HF_RESTORE_IN_PLACE), HF_E_CANCELLED);
	only(k, 0);
	assert_true(sqkit_is_wal(k->path));
	assert_string_equal(sqkit_hash(k->path), old);
	memout_free(m);
}

static void
requests_it_cannot_keep_are_refused(void **state)
{
	struct sqkit *k = *state;
	char old[65], new[65];
	struct memout *m = prepare(k, old, new);
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.until = "2026-01-01T00:00:00Z" };
	struct hf_in *in[2] = { memout_in(m), memout_in(m) };

	assert_int_equal(
	    engine_restore(k->engine, &req, in, 1, &k->err), HF_E_UNSUPPORTED);
	req.until = NULL;
	assert_int_equal(
	    engine_restore(k->engine, &req, in, 2, &k->err), HF_E_UNSUPPORTED);
	req.flags = 1u << 9;
	assert_int_equal(
	    engine_restore(k->engine, &req, in, 1, &k->err), HF_E_UNSUPPORTED);
	memout_free(m);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sqkit_setup, sqkit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_new_file_is_ours_alone_and_durable_under_its_name),
		TEST(what_is_there_is_not_overwritten),
		TEST(in_place_keeps_the_former_one_whole),
		TEST(
		    frames_that_were_never_checkpointed_are_in_the_safety_copy),
		TEST(a_link_to_the_database_stays_a_link),
		TEST(a_damaged_database_is_kept_with_all_that_belongs_to_it),
		TEST(an_empty_file_with_a_wal_is_kept_as_well),
		TEST(a_database_in_use_is_refused_and_the_user_named),
		TEST(a_connection_of_this_process_is_noticed_too),
		TEST(forced_it_goes_on_and_the_user_cannot_harm_the_new_one),
		TEST(
		    a_process_that_waited_for_the_lock_cannot_write_into_the_new_one),
		TEST(two_restores_of_one_target_do_not_mix),
		TEST(every_failing_read_leaves_the_target_as_it_was),
		TEST(a_copy_that_is_not_sound_never_takes_the_place),
		TEST(
		    leftovers_of_killed_runs_are_cleared_but_not_those_of_living_ones),
		TEST(a_cancelled_restore_leaves_the_target_as_it_was),
		TEST(requests_it_cannot_keep_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
