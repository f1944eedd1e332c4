/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of every kind of database agree with their source. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/sqkit.h"
#include "support/skipped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Tables of several kinds, and some thousand rows. */
static const char fill[] =
    "PRAGMA user_version=7; PRAGMA application_id=12345;"
    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, v REAL);"
    "CREATE INDEX t_name ON t(name);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT "
    "3000) INSERT INTO t SELECT i, 'name ' || i || hex(randomblob(20)), "
    "i / 3.0 FROM n;"
    "CREATE TABLE w(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;"
    "INSERT INTO w SELECT name, randomblob(id % 300) FROM t LIMIT 500;"
    "CREATE TABLE g(a INT, b INT GENERATED ALWAYS AS (a * 2) STORED,"
    " c INT GENERATED ALWAYS AS (a + 1) VIRTUAL);"
    "INSERT INTO g(a) SELECT id FROM t LIMIT 100;"
    "CREATE INDEX g_c ON g(c);"
    "CREATE VIEW v AS SELECT name FROM t WHERE v > 10;"
    "CREATE TRIGGER tr AFTER INSERT ON g BEGIN DELETE FROM w WHERE k = "
    "new.a; END;";

static void
every_page_size_in_both_modes_comes_back_the_same(void **state)
{
	static const char *const modes[] = { "DELETE", "WAL" };
	struct sqkit *k = *state;
	char sql[128], name[32];
	int size, mode;
	sqlite3 *db;

	for (size = 512; size <= 65536; size *= 2)
		for (mode = 0; mode < 2; mode++) {
			(void)snprintf(
			    name, sizeof name, "p%d-%d.db", size, mode);
			sqkit_open(k, name, NULL);
			(void)snprintf(sql, sizeof sql,
			    "PRAGMA page_size=%d; PRAGMA journal_mode=%s", size,
			    modes[mode]);
			db = sqkit_db(k->path);
			sqkit_sql(db, sql);
			sqkit_sql(db, fill);
			assert_int_equal(sqlite3_close(db), SQLITE_OK);
			assert_int_equal(
			    sqkit_int(k->path, "PRAGMA page_size"), size);
			(void)sqkit_round_trip(k, sqkit_hash(k->path));
		}
}

static void
uncheckpointed_frames_are_in_the_copy(void **state)
{
	struct sqkit *k = *state;
	struct memout *m;
	sqlite3 *db;
	char hash[65];

	sqkit_open(k, "app.db", NULL);
	db = sqkit_db(k->path);
	sqkit_sql(db, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0");
	sqkit_sql(db, fill);
	/* Some pages several times, so that the newest frame counts. */
	sqkit_sql(db, "UPDATE t SET v = v + 1; UPDATE t SET v = v * 2;"
		      "DELETE FROM t WHERE id % 7 = 0");
	assert_true(sqkit_size(sqkit_path(k, "app.db-wal")) > 100000);
	(void)snprintf(hash, sizeof hash, "%s", sqkit_hash(k->path));
	(void)sqkit_round_trip(k, hash);
	/* Half of it in the file: checkpointed, then written on. */
	sqkit_sql(db, "PRAGMA wal_checkpoint(PASSIVE); UPDATE t SET v = -v "
		      "WHERE id < 500");
	(void)sqkit_round_trip(k, sqkit_hash(k->path));
	/* All of it in the file, but the WAL still there. */
	sqkit_sql(db, "PRAGMA wal_checkpoint(PASSIVE)");
	(void)sqkit_round_trip(k, sqkit_hash(k->path));
	m = sqkit_backup_ok(k);
	assert_string_equal(memout_fact(m, "journal_mode"), "wal");
	assert_string_equal(memout_fact(m, "method"), "direct");
	assert_non_null(memout_fact(m, "wal_frames"));
	memout_free(m);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
a_commit_that_shrinks_the_database_shrinks_the_copy(void **state)
{
	static const char *const kinds[] = { "FULL", "INCREMENTAL" };
	struct sqkit *k = *state;
	char sql[128], name[32];
	int64_t before;
	sqlite3 *db;
	int i;

	for (i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof name, "vacuum%d.db", i);
		sqkit_open(k, name, NULL);
		(void)snprintf(sql, sizeof sql,
		    "PRAGMA auto_vacuum=%s; PRAGMA journal_mode=WAL", kinds[i]);
		db = sqkit_db(k->path);
		sqkit_sql(db, sql);
		sqkit_sql(db, fill);
		sqkit_sql(db, "PRAGMA wal_checkpoint(TRUNCATE);"
			      "PRAGMA wal_autocheckpoint=0");
		before = sqkit_int(k->path, "PRAGMA page_count");
		sqkit_sql(db, "DELETE FROM t; DELETE FROM w;"
			      "PRAGMA incremental_vacuum");
		assert_true(
		    sqkit_int(k->path, "PRAGMA page_count") < before / 2);
		assert_true(sqkit_size(k->path) > before * 4096 / 2);
		(void)sqkit_round_trip(k, sqkit_hash(k->path));
		assert_int_equal(sqlite3_close(db), SQLITE_OK);
	}
}

static void
empty_databases_are_databases(void **state)
{
	struct sqkit *k = *state;
	struct memout *m;

	sqkit_open(k, "empty.db", NULL);
	sqkit_write_file(k->path, "", 0);
	m = sqkit_backup_ok(k);
	assert_string_equal(memout_fact(m, "page_count"), "0");
	assert_int_equal(
	    sqkit_restore(k, m, sqkit_path(k, "empty.copy"), 0), HF_OK);
	assert_int_equal(sqkit_size(sqkit_path(k, "empty.copy")), 0);
	memout_free(m);

	sqkit_open(k, "bare.db", NULL); /* one page, no table */
	sqkit_run(k->path, "PRAGMA journal_mode=WAL; PRAGMA user_version=3");
	assert_int_equal(sqkit_int(k->path, "PRAGMA page_count"), 1);
	(void)sqkit_round_trip(k, sqkit_hash(k->path));

	sqkit_open(k, "bare2.db", NULL);
	sqkit_run(k->path, "CREATE TABLE t(x); DROP TABLE t");
	(void)sqkit_round_trip(k, sqkit_hash(k->path));
}

static void
fts5_answers_in_the_copy(void **state)
{
	struct sqkit *k = *state;
	const char *copy;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path,
	    "PRAGMA journal_mode=WAL;"
	    "CREATE VIRTUAL TABLE d USING fts5(title, body);"
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
	    "LIMIT 500) INSERT INTO d SELECT 'title ' || i, 'body number ' "
	    "|| i || ' word' || (i % 50) FROM n");
	copy = sqkit_round_trip(k, sqkit_hash(k->path));
	assert_int_equal(
	    sqkit_int(copy, "SELECT count(*) FROM d WHERE d MATCH 'word7'"),
	    10);
	sqkit_run(copy, "INSERT INTO d(d) VALUES('integrity-check')");
}

static void
large_blobs_come_back_the_same(void **state)
{
	struct sqkit *k = *state;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL; CREATE TABLE b(x BLOB);"
			   "INSERT INTO b VALUES(randomblob(20000000))");
	(void)sqkit_round_trip(k, sqkit_hash(k->path));
}

static void
names_with_spaces_quotes_and_utf8_are_kept(void **state)
{
	static const char *const names[] = { "my data.db", "it's \"it\".db",
		"данные 資料.db", "a?b#c%20d.db", "new\nline.db", "-x.db",
		"file:x.db" };
	struct sqkit *k = *state;
	struct memout *m;
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++) {
		sqkit_open(k, names[i], NULL);
		sqkit_run(k->path,
		    "PRAGMA journal_mode=WAL; "
		    "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
		(void)sqkit_round_trip(k, sqkit_hash(k->path));
		m = sqkit_backup_ok(k);
		assert_string_equal(memout_name(m, 0), names[i]);
		memout_free(m);
	}
}

static void
a_name_that_is_not_utf8_becomes_one(void **state)
{
	struct sqkit *k = *state;
	struct memout *m;
	sqlite3 *db;

	sqkit_open(k, "bad\xff.db", NULL);
	if (sqlite3_open(k->path, &db) != SQLITE_OK) {
		(void)sqlite3_close(db);
		SKIP();
	}
	sqkit_sql(db, "CREATE TABLE t(x)");
	(void)sqlite3_close(db);
	m = sqkit_backup_ok(k);
	assert_string_equal(memout_name(m, 0), "bad_.db");
	memout_free(m);
}

static void
the_copy_is_the_source_byte_for_byte(void **state)
{
	struct sqkit *k = *state;
	struct memout *m;
	char *file;
	size_t n;
	FILE *f;
	void *bytes;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL");
	sqkit_run(k->path, fill); /* closing checkpoints */
	m = sqkit_backup_ok(k);
	bytes = memout_bytes(m, 0, &n);
	assert_int_equal(n, sqkit_size(k->path));
	file = malloc(n);
	assert_non_null(file);
	f = fopen(k->path, "rb");
	assert_non_null(f);
	assert_int_equal(fread(file, 1, n, f), n);
	(void)fclose(f);
	assert_memory_equal(file, bytes, n);
	free(file);
	/* Nothing was left beside a database that was closed. */
	assert_int_equal(sqkit_count(k, "app.db"), 1);
	memout_free(m);
}

static void
facts_tell_what_the_database_is(void **state)
{
	struct sqkit *k = *state;
	struct memout *m;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, fill);
	assert_int_equal(chmod(k->path, 0640), 0);
	m = sqkit_backup_ok(k);
	assert_string_equal(
	    memout_fact(m, "sqlite_version"), sqlite3_libversion());
	assert_string_equal(memout_fact(m, "user_version"), "7");
	assert_string_equal(memout_fact(m, "application_id"), "12345");
	assert_string_equal(memout_fact(m, "encoding"), "UTF-8");
	assert_string_equal(memout_fact(m, "journal_mode"), "delete");
	assert_string_equal(memout_fact(m, "file_mode"), "0640");
	assert_string_equal(memout_fact(m, "tables"), "3");
	assert_string_equal(memout_fact(m, "path"), k->path);
	assert_int_equal(strlen(memout_fact(m, "schema_sha256")), 64);
	assert_non_null(memout_fact(m, "schema_version"));
	assert_non_null(memout_fact(m, "freelist_count"));
	assert_non_null(memout_fact(m, "change_counter"));
	memout_free(m);
}

static void
the_backup_api_gives_the_same_content(void **state)
{
	static const char *const options[] = { "method=api", NULL };
	static const char *const modes[] = { "DELETE", "WAL" };
	struct sqkit *k = *state;
	char sql[64], name[32];
	struct memout *m;
	int mode;

	for (mode = 0; mode < 2; mode++) {
		(void)snprintf(name, sizeof name, "api%d.db", mode);
		sqkit_open(k, name, options);
		(void)snprintf(
		    sql, sizeof sql, "PRAGMA journal_mode=%s", modes[mode]);
		sqkit_run(k->path, sql);
		sqkit_run(k->path, fill);
		(void)sqkit_round_trip(k, sqkit_hash(k->path));
		m = sqkit_backup_ok(k);
		assert_string_equal(memout_fact(m, "method"), "api");
		memout_free(m);
	}
	/* Nothing is left in the scratch folder. */
	assert_int_equal(rmdir(sqkit_path(k, "scratch")), 0);
}

static void
every_failing_call_of_the_core_is_a_clean_failure(void **state)
{
	static const char *const methods[][2] = { { "method=direct", NULL },
		{ "method=api", NULL } };
	struct sqkit *k = *state;
	struct memout *m;
	unsigned n, calls;
	int call, i, failures = 0;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL");
	sqkit_run(k->path, fill);
	for (i = 0; i < 2; i++) {
		sqkit_open(k, "app.db", methods[i]);
		for (call = MEMOUT_BEGIN; call <= MEMOUT_FACT; call++) {
			m = sqkit_backup_ok(k);
			calls = memout_calls(m, (enum memout_call)call);
			memout_free(m);
			for (n = 1; n <= calls; n++) {
				m = memout_new();
				memout_fail(
				    m, (enum memout_call)call, n, HF_E_NOSPACE);
				assert_int_equal(
				    sqkit_backup(k, m), HF_E_NOSPACE);
				assert_int_equal(memout_open(m), 0);
				memout_free(m);
				failures++;
			}
		}
	}
	assert_true(failures > 20);
	assert_int_equal(rmdir(sqkit_path(k, "scratch")), 0);
	assert_int_equal(sqkit_int(k->path, "SELECT count(*) FROM t"), 3000);
}

static void
cancel_now(void *arg)
{
	struct sqkit *k = arg;

	cancel_request(&k->cancel);
}

static void
a_cancelled_backup_stops(void **state)
{
	struct sqkit *k = *state;
	struct memout *m = memout_new();

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, fill);
	memout_on_write(m, cancel_now, k);
	assert_int_equal(sqkit_backup(k, m), HF_E_CANCELLED);
	assert_int_equal(memout_count(m) + memout_open(m), 0);
	memout_free(m);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sqkit_setup, sqkit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_page_size_in_both_modes_comes_back_the_same),
		TEST(uncheckpointed_frames_are_in_the_copy),
		TEST(a_commit_that_shrinks_the_database_shrinks_the_copy),
		TEST(empty_databases_are_databases),
		TEST(fts5_answers_in_the_copy),
		TEST(large_blobs_come_back_the_same),
		TEST(names_with_spaces_quotes_and_utf8_are_kept),
		TEST(a_name_that_is_not_utf8_becomes_one),
		TEST(the_copy_is_the_source_byte_for_byte),
		TEST(facts_tell_what_the_database_is),
		TEST(the_backup_api_gives_the_same_content),
		TEST(every_failing_call_of_the_core_is_a_clean_failure),
		TEST(a_cancelled_backup_stops),
	};

	return skipped_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
