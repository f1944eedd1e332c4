/* SPDX-License-Identifier: BSD-2-Clause */
/* Backups beside applications that write: what they see, what they keep. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/sqkit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Wait for something the writer does to be seen. */
static void
wait_for_commits(const char *path, int64_t more)
{
	int64_t from = sqkit_int(path, "SELECT count(*) FROM journal");
	int tries;

	for (tries = 0; tries < 2000; tries++) {
		if (sqkit_int(path, "SELECT count(*) FROM journal") >=
		    from + more)
			return;
		(void)usleep(5000);
	}
	fail_msg("the writer does not write");
}

/* End it by a signal; what it counted. */
static void
end_writer(struct sqkit_process *p, long *committed, long *failed)
{
	assert_int_equal(kill(p->pid, SIGTERM), 0);
	if (fscanf(p->out, "%ld committed, %ld failed", committed, failed) != 2)
		*committed = *failed = -1;
	assert_int_equal(sqkit_finish(p), 0);
}

/* ---- what the -wal looks like ---- */

struct wal {
	ino_t ino;
	off_t size;
	uint8_t head[32]; /* with the salts */
};

/* A plain look is allowed only because no connection of this process is open:
 * closing the descriptor would drop its locks. */
static void
look_at_wal(const char *path, struct wal *w)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	memset(w, 0, sizeof *w);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fstat(fd, &st), 0);
	w->ino = st.st_ino;
	w->size = st.st_size;
	(void)!pread(fd, w->head, sizeof w->head, 0);
	(void)close(fd);
}

static void
copies_beside_a_steady_writer_keep_the_invariant(void **state)
{
	struct sqkit *k = *state;
	const char *copy = sqkit_path(k, "copy.db");
	long committed, failed;
	struct memout *m;
	struct sqkit_process p;
	int i;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL");
	assert_int_equal(sqkit_program(k->path, "init", "2000", NULL), 0);
	sqkit_start(&p, k->path, "run", "60", "0");
	wait_for_commits(k->path, 100);
	for (i = 0; i < 15; i++) {
		m = sqkit_backup_ok(k);
		assert_string_equal(memout_fact(m, "method"), "direct");
		(void)unlink(copy);
		assert_int_equal(sqkit_restore(k, m, copy, 0), HF_OK);
		memout_free(m);
		assert_int_equal(sqkit_program(copy, "check", NULL, NULL), 0);
	}
	wait_for_commits(k->path, 100);
	end_writer(&p, &committed, &failed);
	assert_true(committed > 200);
	assert_int_equal(failed, 0);
	assert_int_equal(sqkit_program(k->path, "check", NULL, NULL), 0);
}

static void
a_rollback_database_under_writers_is_consistent_too(void **state)
{
	struct sqkit *k = *state;
	const char *copy = sqkit_path(k, "copy.db");
	long committed, failed;
	struct memout *m;
	struct sqkit_process p;
	int i;

	sqkit_open(k, "app.db", NULL);
	assert_int_equal(sqkit_program(k->path, "init", "2000", NULL), 0);
	sqkit_start(&p, k->path, "run", "60", "200");
	wait_for_commits(k->path, 20);
	for (i = 0; i < 8; i++) {
		m = sqkit_backup_ok(k);
		assert_string_equal(memout_fact(m, "method"), "direct");
		(void)unlink(copy);
		assert_int_equal(sqkit_restore(k, m, copy, 0), HF_OK);
		memout_free(m);
		assert_int_equal(sqkit_program(copy, "check", NULL, NULL), 0);
	}
	end_writer(&p, &committed, &failed);
	assert_int_equal(failed, 0);
	assert_int_equal(sqkit_program(k->path, "check", NULL, NULL), 0);
}

static const char some_frames[] =
    "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
    "CREATE TABLE t(x); INSERT INTO t VALUES(randomblob(20000));"
    "INSERT INTO t VALUES(randomblob(20000))";

static void
the_wal_of_an_application_is_neither_checkpointed_nor_deleted(void **state)
{
	struct sqkit *k = *state;
	struct wal before, after;
	struct sqkit_process p;
	int round;

	sqkit_open(k, "app.db", NULL);
	sqkit_hold(&p, k->path, some_frames);
	for (round = 0; round < 2; round++) {
		look_at_wal(sqkit_path(k, "app.db-wal"), &before);
		assert_true(before.size > 40000);
		memout_free(sqkit_backup_ok(k));
		look_at_wal(sqkit_path(k, "app.db-wal"), &after);
		assert_int_equal(after.ino, before.ino);
		assert_int_equal(after.size, before.size);
		assert_memory_equal(after.head, before.head, 32);
		/* The file has only what it had: one page. */
		assert_int_equal(sqkit_size(k->path), 4096);
		/* The second time we are the last to close, after the
		 * application was killed. */
		if (round == 0)
			assert_int_equal(sqkit_finish(&p), 0);
	}
	assert_int_equal(sqkit_int(k->path, "SELECT count(*) FROM t"), 2);
}

/* SQLite does not look at checksums of frames that are in its index. */
static void
a_flipped_bit_in_a_wal_is_found(void **state)
{
	struct sqkit *k = *state;
	struct memout *m = memout_new();
	struct sqkit_process p;
	const off_t at[] = { 24 + 32 + 1000, 32 + 8, 32 + 3, 16, 8 };
	uint8_t byte;
	size_t i;
	int fd;

	sqkit_open(k, "app.db", NULL);
	sqkit_hold(&p, k->path, some_frames);
	for (i = 0; i < sizeof at / sizeof *at; i++) {
		fd = open(sqkit_path(k, "app.db-wal"), O_RDWR | O_CLOEXEC);
		assert_int_equal(pread(fd, &byte, 1, at[i]), 1);
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at[i]), 1);
		assert_int_equal(sqkit_backup(k, m), HF_E_CORRUPT);
		assert_int_equal(memout_count(m) + memout_open(m), 0);
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at[i]), 1);
		(void)close(fd);
	}
	memout_free(m);
	memout_free(sqkit_backup_ok(k));
	assert_int_equal(sqkit_finish(&p), 0);
}

static void
a_closed_wal_database_is_left_as_it_was_found(void **state)
{
	struct sqkit *k = *state;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, some_frames);
	assert_int_equal(sqkit_count(k, "app.db"), 1);
	memout_free(sqkit_backup_ok(k));
	assert_int_equal(sqkit_count(k, "app.db"), 1);
}

struct cut {
	const char *path;
	off_t size;
	unsigned after; /* writes */
};

static void
cut_the_file(void *arg)
{
	struct cut *cut = arg;

	if (cut->after-- == 1)
		assert_int_equal(truncate(cut->path, cut->size), 0);
}

/* No lock keeps somebody from copying another file over the database. */
static void
a_file_that_becomes_shorter_while_it_is_read_is_no_backup(void **state)
{
	static const char rows[] =
	    "CREATE TABLE t(x); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL "
	    "SELECT i+1 FROM c WHERE i<200) INSERT INTO t "
	    "SELECT randomblob(4000) FROM c;";
	const char *const modes[] = { "WAL", "DELETE" };
	struct sqkit *k = *state;
	struct memout *m;
	struct cut cut;
	char name[32], sql[64];
	int64_t size;

	for (unsigned i = 0; i < 2; i++)
		for (unsigned after = 1; after <= 3; after++) {
			(void)snprintf(
			    name, sizeof name, "cut%u-%u.db", i, after);
			sqkit_open(k, name, NULL);
			(void)snprintf(sql, sizeof sql,
			    "PRAGMA journal_mode=%s", modes[i]);
			sqkit_run(k->path, sql);
			sqkit_run(k->path, rows);
			size = sqkit_size(k->path);
			cut = (struct cut){ k->path, size / 2 / 4096 * 4096,
				after };
			m = memout_new();
			memout_on_write(m, cut_the_file, &cut);
			assert_int_equal(sqkit_backup(k, m), HF_E_TRANSIENT);
			sqkit_error_has(k, "became shorter");
			assert_int_equal(memout_count(m) + memout_open(m), 0);
			memout_free(m);
		}
}

/* The same when a part of the pages is in the WAL. */
static void
a_file_cut_beside_a_wal_is_no_backup(void **state)
{
	struct sqkit *k = *state;
	struct sqkit_process p;
	struct memout *m = memout_new();
	struct cut cut;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path,
	    "PRAGMA journal_mode=WAL; CREATE TABLE t(x); WITH RECURSIVE "
	    "c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<200) "
	    "INSERT INTO t SELECT randomblob(4000) FROM c;");
	sqkit_hold(&p, k->path,
	    "PRAGMA wal_autocheckpoint=0; CREATE TABLE u(x);"
	    "INSERT INTO u VALUES(randomblob(20000))");
	cut = (struct cut){ k->path, 200 * 1024, 1 };
	memout_on_write(m, cut_the_file, &cut);
	assert_int_equal(sqkit_backup(k, m), HF_E_TRANSIENT);
	sqkit_error_has(k, "became shorter");
	assert_int_equal(memout_count(m) + memout_open(m), 0);
	memout_free(m);
	(void)sqkit_finish(&p);
}

/* Can another process get the write lock? */
static bool
other_process_can_write(const char *path)
{
	return sqkit_program(path, "sql", "BEGIN IMMEDIATE; ROLLBACK", "0") ==
	       0;
}

static int
ignore_finding(void *arg, const struct hf_finding *f)
{
	(void)arg;
	(void)f;
	return HF_OK;
}

static void
locks_of_other_connections_in_this_process_survive(void **state)
{
	static const char *const modes[] = { "journal_mode=WAL",
		"journal_mode=DELETE" };
	struct sqkit *k = *state;
	char sql[64], name[16];
	sqlite3 *db;
	int i;

	for (i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof name, "lock%d.db", i);
		sqkit_open(k, name, NULL);
		db = sqkit_db(k->path);
		(void)snprintf(sql, sizeof sql, "PRAGMA %s", modes[i]);
		sqkit_sql(db, sql);
		sqkit_sql(db, "CREATE TABLE t(x); INSERT INTO t VALUES(1);"
			      "BEGIN IMMEDIATE; INSERT INTO t VALUES(2)");
		assert_false(other_process_can_write(k->path));
		memout_free(sqkit_backup_ok(k));
		assert_int_equal(
		    engine_check(k->engine, ignore_finding, NULL, &k->err),
		    HF_OK);
		assert_false(other_process_can_write(k->path));
		/* A refused restore must not drop them either. */
		struct memout *m = sqkit_backup_ok(k);
		assert_true(sqkit_restore(k, m, NULL, 0) < 0);
		memout_free(m);
		assert_false(other_process_can_write(k->path));
		sqkit_sql(db, "COMMIT");
		assert_int_equal(sqlite3_close(db), SQLITE_OK);
		assert_int_equal(
		    sqkit_int(k->path, "SELECT count(*) FROM t"), 2);
	}
}

/* ---- stalls ---- */

struct slow {
	struct sqkit_process p;
	const char *path;
	bool rollback;
	unsigned n;
};

/* At the first write of the copy another process begins to write: with a
 * rollback journal it gets as far as making that, and waits for us.  Then the
 * sink takes its time. */
static void
sink_that_waits(void *arg)
{
	struct slow *s = arg;
	char journal[PATH_MAX];
	int tries;

	if (s->n++ > 0)
		return;
	sqkit_start(&s->p, s->path, "sql", "INSERT INTO t VALUES(1)", "20000");
	(void)snprintf(journal, sizeof journal, "%.4000s-journal", s->path);
	for (tries = 0; s->rollback && tries < 2000; tries++) {
		if (sqkit_size(journal) >= 0)
			break;
		(void)usleep(5000);
	}
	(void)usleep(1000000);
}

static void
sink_that_is_slow(void *arg)
{
	(void)arg;
	(void)usleep(50000);
}

static const char rollback_data[] =
    "CREATE TABLE t(x); INSERT INTO t VALUES(randomblob(600000))";

static void
starving_writers_end_a_backup_with_a_clear_error(void **state)
{
	static const char *const options[] = { "stall_budget=300ms", NULL };
	struct sqkit *k = *state;
	struct memout *m = memout_new();
	struct slow slow = { .path = k->path, .rollback = true };

	sqkit_open(k, "app.db", options);
	sqkit_run(k->path, rollback_data);
	memout_on_write(m, sink_that_waits, &slow);
	assert_int_equal(sqkit_backup(k, m), HF_E_TRANSIENT);
	sqkit_error_has(k, "300 ms");
	assert_non_null(strstr(error_get(&k->err, "hint"), "WAL"));
	assert_int_equal(memout_count(m) + memout_open(m), 0);
	/* And the writer got its turn. */
	assert_int_equal(sqkit_finish(&slow.p), 0);
	memout_free(m);
}

static void
a_slow_sink_is_no_stall_when_nobody_writes_or_in_wal_mode(void **state)
{
	static const char *const options[] = { "stall_budget=100ms", NULL };
	struct sqkit *k = *state;
	struct memout *m = memout_new();
	struct slow slow = { .path = k->path };

	/* WAL: the writer commits while we read. */
	sqkit_open(k, "app.db", options);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL");
	sqkit_run(k->path, rollback_data);
	memout_on_write(m, sink_that_waits, &slow);
	if (sqkit_backup(k, m) != HF_OK)
		fail_msg("%s", k->err.cause);
	assert_int_equal(sqkit_finish(&slow.p), 0);
	memout_free(m);

	/* Rollback journal, nobody writes: only time passes. */
	sqkit_open(k, "quiet.db", options);
	sqkit_run(k->path, rollback_data);
	m = memout_new();
	memout_on_write(m, sink_that_is_slow, NULL);
	assert_int_equal(sqkit_backup(k, m), HF_OK);
	memout_free(m);
}

/* What is said on stderr meanwhile. */
static void
said_during_backup(struct sqkit *k, struct memout *m, char *text, size_t cap)
{
	const char *path = sqkit_path(k, "said");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int kept = dup(2);
	ssize_t n;

	assert_int_not_equal(fd, -1);
	(void)dup2(fd, 2);
	(void)sqkit_backup(k, m);
	(void)dup2(kept, 2);
	(void)close(kept);
	n = pread(fd, text, cap - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	(void)close(fd);
}

static void
a_wal_that_grows_meanwhile_is_mentioned(void **state)
{
	static const char *const options[][2] = { { "wal_warn=1KiB", NULL },
		{ "wal_warn=1GiB", NULL } };
	struct sqkit *k = *state;
	struct memout *m;
	char text[1024];
	int i;

	for (i = 0; i < 2; i++) {
		struct slow slow = { .path = k->path };

		sqkit_open(k, i == 0 ? "a.db" : "b.db", options[i]);
		sqkit_run(k->path, "PRAGMA journal_mode=WAL");
		sqkit_run(k->path, rollback_data);
		m = memout_new();
		memout_on_write(m, sink_that_waits, &slow);
		said_during_backup(k, m, text, sizeof text);
		assert_int_equal(sqkit_finish(&slow.p), 0);
		assert_int_equal(memout_count(m), 1);
		assert_int_equal(strstr(text, "the -wal grew") != NULL, i == 0);
		memout_free(m);
	}
}

/* ---- another VFS ---- */

static void
an_unknown_vfs_falls_back_to_the_backup_api(void **state)
{
	static const char *const direct[] = { "method=direct", NULL };
	static const char *const modes[] = { "journal_mode=DELETE",
		"journal_mode=WAL" };
	struct sqkit *k = *state;
	sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix"), shim = *unix_vfs;
	struct memout *m;
	char sql[64], name[16];
	int i;

	shim.zName = "shim";
	assert_int_equal(sqlite3_vfs_register(&shim, 1), SQLITE_OK);
	for (i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof name, "vfs%d.db", i);
		sqkit_open(k, name, NULL);
		(void)snprintf(sql, sizeof sql, "PRAGMA %s", modes[i]);
		sqkit_run(k->path, sql);
		sqkit_run(k->path, rollback_data);
		m = sqkit_backup_ok(k);
		assert_string_equal(memout_fact(m, "method"), "api");
		memout_free(m);
		(void)sqkit_round_trip(k, sqkit_hash(k->path));
		sqkit_open(k, name, direct);
		m = memout_new();
		assert_int_equal(sqkit_backup(k, m), HF_E_UNSUPPORTED);
		memout_free(m);
	}
	assert_int_equal(sqlite3_vfs_register(unix_vfs, 1), SQLITE_OK);
	assert_int_equal(sqlite3_vfs_unregister(&shim), SQLITE_OK);
	assert_int_equal(rmdir(sqkit_path(k, "scratch")), 0);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, sqkit_setup_fast, sqkit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(copies_beside_a_steady_writer_keep_the_invariant),
		TEST(a_rollback_database_under_writers_is_consistent_too),
		TEST(
		    the_wal_of_an_application_is_neither_checkpointed_nor_deleted),
		TEST(a_flipped_bit_in_a_wal_is_found),
		TEST(a_closed_wal_database_is_left_as_it_was_found),
		TEST(a_file_that_becomes_shorter_while_it_is_read_is_no_backup),
		TEST(a_file_cut_beside_a_wal_is_no_backup),
		TEST(locks_of_other_connections_in_this_process_survive),
		TEST(starving_writers_end_a_backup_with_a_clear_error),
		TEST(a_slow_sink_is_no_stall_when_nobody_writes_or_in_wal_mode),
		TEST(a_wal_that_grows_meanwhile_is_mentioned),
		TEST(an_unknown_vfs_falls_back_to_the_backup_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
