/* SPDX-License-Identifier: BSD-2-Clause */
/* What is found out about a source and about a restored copy. */
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
#include <sys/stat.h>
#include <unistd.h>

/* All findings of one look, "check=verdict;" each. */
struct findings {
	char text[2048];
};

static int
collect(void *arg, const struct hf_finding *f)
{
	static const char *const words[] = { "pass", "warn", "fail" };
	struct findings *all = arg;
	size_t n = strlen(all->text);

	assert_non_null(f->result);
	(void)snprintf(all->text + n, sizeof all->text - n, "%s=%s;", f->check,
	    words[f->verdict]);
	return HF_OK;
}

static void
has(const struct findings *all, const char *one)
{
	if (strstr(all->text, one) == NULL)
		fail_msg("%s is not in %s", one, all->text);
}

static void
has_not(const struct findings *all, const char *one)
{
	if (strstr(all->text, one) != NULL)
		fail_msg("%s is in %s", one, all->text);
}

static void
check(struct sqkit *k, struct findings *all)
{
	all->text[0] = '\0';
	if (engine_check(k->engine, collect, all, &k->err) != HF_OK)
		fail_msg("%s", k->err.cause);
}

static void
inspect(
    struct sqkit *k, const char *target, struct memout *m, struct findings *all)
{
	all->text[0] = '\0';
	if (engine_inspect(k->engine, target, m != NULL ? memout_in(m) : NULL,
		collect, all, &k->err) != HF_OK)
		fail_msg("%s", k->err.cause);
}

static const char data[] =
    "PRAGMA user_version=4; CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT);"
    "CREATE INDEX t_x ON t(x);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT "
    "900) INSERT INTO t SELECT i, hex(randomblob(30)) FROM n";

static void
doctor_warns_of_a_rollback_journal(void **state)
{
	struct sqkit *k = *state;
	struct findings all;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, data);
	check(k, &all);
	has(&all, "open=pass;journal_mode=warn;schema=pass;method=pass;");
	sqkit_run(k->path, "PRAGMA journal_mode=WAL");
	check(k, &all);
	has(&all, "open=pass;journal_mode=pass;wal_size=pass;schema=pass;");
	has(&all, "sqlite_library=pass;");
	has_not(&all, "fail");
	sqkit_write_file(sqkit_path(k, "app.db.holdfast-restore"), "x", 1);
	check(k, &all);
	has(&all, "restore=warn;");
}

static int
stop_at_once(void *arg, const struct hf_finding *f)
{
	(void)f;
	++*(int *)arg;
	return HF_E_CANCELLED;
}

static void
findings_can_be_stopped(void **state)
{
	struct sqkit *k = *state;
	int n = 0;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, data);
	assert_int_equal(
	    engine_check(k->engine, stop_at_once, &n, &k->err), HF_E_CANCELLED);
	assert_int_equal(n, 1);
}

/* A restored copy in a scratch place. */
static void
restore_scratch(struct sqkit *k, struct memout *m, char target[PATH_MAX])
{
	char second[PATH_MAX];

	assert_int_equal(engine_scratch(k->engine, sqkit_path(k, "scratch"),
			     target, PATH_MAX, &k->err),
	    HF_OK);
	assert_int_equal(engine_scratch(k->engine, sqkit_path(k, "scratch"),
			     second, PATH_MAX, &k->err),
	    HF_OK);
	assert_string_not_equal(target, second);
	assert_int_equal(sqkit_restore(k, m, target, 0), HF_OK);
}

static void
a_sound_copy_passes_and_leaves_nothing(void **state)
{
	struct sqkit *k = *state;
	struct findings all;
	char target[PATH_MAX], value[64], tiny[16];
	struct memout *m;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL");
	sqkit_run(k->path, data);
	m = sqkit_backup_ok(k);
	restore_scratch(k, m, target);
	inspect(k, target, m, &all);
	has(&all, "integrity_check=pass;foreign_key_check=pass;");
	has(&all, "page_count=pass;user_version=pass;application_id=pass;");
	has(&all, "schema_sha256=pass;");
	inspect(k, target, NULL, &all);
	has(&all, "integrity_check=pass;");

	assert_int_equal(
	    engine_query(k->engine, target, "SELECT count(*), 'more' FROM t",
		value, sizeof value, &k->err),
	    HF_OK);
	assert_string_equal(value, "900");
	assert_int_equal(engine_query(k->engine, target, "SELECT NULL", value,
			     sizeof value, &k->err),
	    HF_OK);
	assert_string_equal(value, "");
	assert_int_equal(
	    engine_query(k->engine, target, "SELECT x FROM t WHERE id < 0",
		value, sizeof value, &k->err),
	    HF_E_NOTFOUND);
	assert_int_equal(engine_query(k->engine, target, "SELECT x FROM t",
			     tiny, sizeof tiny, &k->err),
	    HF_E_INVALID);
	assert_int_equal(engine_query(k->engine, target, "SELECT nonsense",
			     value, sizeof value, &k->err),
	    HF_E_INVALID);
	assert_true(engine_query(k->engine, target, "DELETE FROM t", value,
			sizeof value, &k->err) < 0);

	engine_discard(k->engine, target);
	assert_int_equal(rmdir(sqkit_path(k, "scratch")), 0);
	memout_free(m);
}

static void
what_differs_from_the_facts_fails(void **state)
{
	static const char *const keys[] = { "page_size", "page_count",
		"user_version", "application_id", "schema_sha256" };
	struct sqkit *k = *state;
	struct findings all;
	char target[PATH_MAX], want[64];
	struct memout *m;
	size_t i;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, data);
	m = sqkit_backup_ok(k);
	restore_scratch(k, m, target);
	for (i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *told = memout_fact(m, keys[i]);
		char *kept = strdup(told);

		assert_non_null(kept);
		memout_set_fact(m, keys[i], "8675309");
		inspect(k, target, m, &all);
		(void)snprintf(want, sizeof want, "%s=fail;", keys[i]);
		has(&all, want);
		memout_set_fact(m, keys[i], kept);
		free(kept);
	}
	inspect(k, target, m, &all);
	has_not(&all, "fail");
	memout_free(m);
}

static void
damage_is_found(void **state)
{
	struct sqkit *k = *state;
	struct findings all;
	struct memout *m;
	uint8_t noise[200];
	int fd;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, data);
	memset(noise, 0xa5, sizeof noise);
	fd = open(k->path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(
	    pwrite(fd, noise, sizeof noise, 3 * 4096), sizeof noise);
	(void)close(fd);
	inspect(k, k->path, NULL, &all);
	has(&all, "integrity_check=fail;");

	/* Not a database at all. */
	sqkit_write_file(k->path, noise, sizeof noise);
	inspect(k, k->path, NULL, &all);
	has(&all, "integrity_check=fail;");
	m = memout_new();
	memout_set_fact(m, "page_count", "3");
	memout_set_fact(m, "schema_sha256", "0");
	inspect(k, k->path, m, &all);
	has(&all, "integrity_check=fail;");
	has(&all, "page_count=fail;");
	memout_free(m);
}

static void
rows_without_a_parent_are_a_warning(void **state)
{
	struct sqkit *k = *state;
	struct findings all;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path,
	    "PRAGMA foreign_keys=OFF; CREATE TABLE p(id INTEGER PRIMARY KEY);"
	    "CREATE TABLE c(p REFERENCES p(id)); INSERT INTO c VALUES(5)");
	inspect(k, k->path, NULL, &all);
	has(&all, "integrity_check=pass;foreign_key_check=warn;");
}

/* ---- databases that only their application understands ---- */

static int
backwards(void *arg, int na, const void *a, int nb, const void *b)
{
	int rc = memcmp(b, a, (size_t)(na < nb ? na : nb));

	(void)arg;
	return rc != 0 ? rc : nb - na;
}

static void
twice(sqlite3_context *c, int n, sqlite3_value **v)
{
	(void)n;
	sqlite3_result_int64(c, 2 * sqlite3_value_int64(v[0]));
}

static void
a_collation_of_the_application_hinders_neither_backup_nor_restore(void **state)
{
	struct sqkit *k = *state;
	char target[PATH_MAX];
	struct findings all;
	struct memout *m;
	sqlite3 *db;

	sqkit_open(k, "app.db", NULL);
	db = sqkit_db(k->path);
	assert_int_equal(sqlite3_create_collation(
			     db, "BACKWARDS", SQLITE_UTF8, NULL, backwards),
	    SQLITE_OK);
	sqkit_sql(db, "CREATE TABLE t(x TEXT COLLATE BACKWARDS UNIQUE);"
		      "INSERT INTO t VALUES('a'), ('b'), ('c'), ('d')");
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	m = sqkit_backup_ok(k);
	restore_scratch(k, m, target);
	inspect(k, target, m, &all);
	has(&all, "quick_check=warn;");
	has_not(&all, "fail");
	memout_free(m);
}

static void
a_function_of_the_application_hinders_neither_backup_nor_restore(void **state)
{
	struct sqkit *k = *state;
	char target[PATH_MAX];
	struct findings all;
	struct memout *m;
	sqlite3 *db;

	sqkit_open(k, "app.db", NULL);
	db = sqkit_db(k->path);
	assert_int_equal(
	    sqlite3_create_function(db, "twice", 1,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
		twice, NULL, NULL),
	    SQLITE_OK);
	sqkit_sql(db, "CREATE TABLE t(x INT CHECK (twice(x) < 1000));"
		      "CREATE INDEX t_x ON t(twice(x));"
		      "INSERT INTO t VALUES(1), (2), (3)");
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	m = sqkit_backup_ok(k);
	restore_scratch(k, m, target);
	inspect(k, target, m, &all);
	has(&all, "integrity_check=warn;");
	has_not(&all, "fail");
	memout_free(m);
}

static void
a_schema_that_this_library_cannot_parse_is_copied_all_the_same(void **state)
{
	struct sqkit *k = *state;
	char target[PATH_MAX];
	struct findings all;
	struct memout *m;

	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, data);
	sqkit_run(k->path,
	    "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = "
	    "'CREATE TABLE t(id FROM THE FUTURE' WHERE name = 't'");
	m = sqkit_backup_ok(k);
	assert_int_equal(
	    sqkit_restore(k, m, sqkit_path(k, "copy.db"), 0), HF_OK);
	assert_int_equal(
	    sqkit_size(sqkit_path(k, "copy.db")), sqkit_size(k->path));
	restore_scratch(k, m, target);
	inspect(k, target, m, &all);
	memout_free(m);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, sqkit_setup_fast, sqkit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(doctor_warns_of_a_rollback_journal),
		TEST(findings_can_be_stopped),
		TEST(a_sound_copy_passes_and_leaves_nothing),
		TEST(what_differs_from_the_facts_fails),
		TEST(damage_is_found),
		TEST(rows_without_a_parent_are_a_warning),
		TEST(
		    a_collation_of_the_application_hinders_neither_backup_nor_restore),
		TEST(
		    a_function_of_the_application_hinders_neither_backup_nor_restore),
		TEST(
		    a_schema_that_this_library_cannot_parse_is_copied_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
