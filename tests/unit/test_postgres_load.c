/* SPDX-License-Identifier: BSD-2-Clause */
/* Restores of whole databases: what they make, what they refuse, what a failure
 * leaves. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/postgres/loadkit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- whole databases ---- */

static void
a_database_comes_back_as_it_was(void **state)
{
	(void)state;
	loadkit_restore_ok(loadkit.shop, "new", 0);
	loadkit_same("shop", "new");
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "new", "SELECT n FROM public.counted"),
	    3000);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "new",
		"SELECT count(*) FROM pg_stat_all_tables WHERE relname IN "
		"('orders', 'items') AND n_live_tup = 3000"),
	    2);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "postgres",
		"SELECT count(*) FROM pg_database d "
		"JOIN pg_db_role_setting s ON s.setdatabase = d.oid "
		"WHERE datname = 'new' AND "
		"'default_transaction_read_only=on' = ANY (setconfig) AND "
		"shobj_description(d.oid, 'pg_database') = 'the shop'"),
	    1);
	loadkit_nothing_left();
	loadkit_drop("new");
}

static void
a_table_in_parts_comes_back_whole(void **state)
{
	struct memout *m;

	(void)state;
	loadkit.chunk_size = 128 * 1024;
	m = loadkit_backup("shop", "all");
	assert_true(memout_count(m) > memout_count(loadkit.shop) + 3);
	loadkit_restore_ok(m, "new", 0);
	loadkit_same("shop", "new");
	loadkit_drop("new");
	memout_free(m);
	loadkit_nothing_left();
}

static void
rows_of_a_new_table_are_frozen(void **state)
{
	char *s;

	(void)state;
	loadkit_restore_ok(loadkit.shop, "new", 0);
	pgkit_sql(&loadkit.pg, "new",
	    "BEGIN READ WRITE; CREATE EXTENSION pg_visibility; COMMIT");
	/* Servers make a table longer by some pages at once (16 and later):
	 * only those that have rows count. */
	s = pgkit_psql(&loadkit.pg, "new",
	    "SELECT all_frozen, count(*) > 100 FROM pg_visibility_map("
	    "'sales.orders') WHERE blkno IN (SELECT (ctid::text::point)[0] "
	    "FROM sales.orders) GROUP BY 1");
	assert_string_equal(s, "t|t");
	free(s);
	loadkit_drop("new");
	loadkit_nothing_left();
}

static void
a_name_of_63_bytes_is_no_trouble(void **state)
{
	static const char name[] =
	    "sixty-three bytes \xc3\xa4\xc3\xb6 are the longest name that "
	    "there may be!!";

	(void)state;
	assert_int_equal(strlen(name), 63);
	loadkit_restore_ok(loadkit.shop, name, 0);
	loadkit_restore_ok(loadkit.shop, name, HF_RESTORE_IN_PLACE);
	loadkit_same("shop", name);
	assert_true(loadkit_exists(loadkit.safety));
	loadkit_drop(loadkit.safety);
	loadkit_drop(name);
	loadkit_nothing_left();
}

static void
what_is_there_is_not_replaced(void **state)
{
	char *before = loadkit_dumped("shop"), *after;

	(void)state;
	assert_int_equal(loadkit_restore(loadkit.shop, "shop", 0), HF_E_EXISTS);
	loadkit_error_has("not empty");
	assert_int_equal(loadkit_restore(loadkit.shop, NULL, 0), HF_E_EXISTS);
	after = loadkit_dumped("shop");
	assert_string_equal(before, after);
	free(before);
	free(after);
	loadkit_nothing_left();
}

static void
an_empty_database_keeps_its_owner_and_grants(void **state)
{
	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE e OWNER reader");
	pgkit_sql(&loadkit.pg, "postgres",
	    "GRANT CREATE ON DATABASE e TO shop_owner");
	loadkit_restore_ok(loadkit.shop, "e", 0);
	loadkit_same("shop", "e");
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "e",
		"SELECT count(*) FROM pg_database WHERE datname = 'e' AND "
		"datdba = 'reader'::regrole AND "
		"has_database_privilege('shop_owner', 'e', 'CREATE')"),
	    1);
	loadkit_drop("e");
	loadkit_nothing_left();
}

static void
an_empty_database_is_empty_again_after_a_failure(void **state)
{
	struct memout *late = loadkit_spoiled(
	    "800-sequences.sql", "catalog.setval", "catalog.setvax");
	char *before, *after;

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE e");
	pgkit_sql(&loadkit.pg, "e",
	    "GRANT CREATE ON SCHEMA public TO reader; COMMENT ON SCHEMA public "
	    "IS 'prepared'");
	before = loadkit_dumped("e");
	assert_int_not_equal(loadkit_restore(late, "e", 0), HF_OK);
	after = loadkit_dumped("e");
	assert_string_equal(before, after);
	/* Nothing that pg_dump does not show, either. */
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "e",
		"SELECT (SELECT count(*) FROM pg_largeobject_metadata) + "
		"(SELECT count(*) FROM pg_default_acl) + "
		"(SELECT count(*) FROM pg_class WHERE oid >= 16384)"),
	    0);
	loadkit_restore_ok(loadkit.shop, "e", 0);
	free(before);
	free(after);
	memout_free(late);
	loadkit_drop("e");
	loadkit_nothing_left();
}

static void
an_empty_database_that_somebody_uses_is_refused(void **state)
{
	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE e");
	loadkit_hold("e");
	assert_int_equal(loadkit_restore(loadkit.shop, "e", 0), HF_E_TRANSIENT);
	loadkit_error_has("in use by 1: holder (pid ");
	loadkit_drop("e");
	(void)wait(NULL);
	loadkit_nothing_left();
}

/* ---- failures ---- */

static void
a_count_that_differs_names_the_table(void **state)
{
	struct memout *m = loadkit_spoiled(
	    "contents.json", "\"rows\": 3000", "\"rows\": 3001");

	(void)state;
	assert_int_equal(loadkit_restore(m, "bad", 0), HF_E_CORRUPT);
	loadkit_error_has("got 3000 rows");
	assert_false(loadkit_exists("bad"));
	loadkit_nothing_left();
	memout_free(m);
}

static void
rows_that_break_a_constraint_are_named(void **state)
{
	struct memout *m = loadkit_spoiled(
	    "110-small.0001.sql", "\n17\t17\t17", "\n17\t17\t-7");

	(void)state;
	assert_true(loadkit_restore(m, "bad", 0) < 0);
	loadkit_error_has("items_qty_check");
	loadkit_error_has("110-small.0001.sql");
	assert_non_null(strstr(error_get(&loadkit.err, "where"), "line "));
	assert_false(loadkit_exists("bad"));
	memout_free(m);
	m = loadkit_spoiled(
	    "110-small.0001.sql", "\n17\t17\t17", "\n17\t99\t17");
	loadkit_restore_ok(m, "good", 0);
	loadkit_drop("good");
	memout_free(m);
	m = loadkit_spoiled(
	    "110-small.0001.sql", "\n1700\t1700\t", "\n1700\t9999\t");
	assert_true(loadkit_restore(m, "bad", 0) < 0);
	loadkit_error_has("items_order_id_fkey");
	assert_false(loadkit_exists("bad"));
	memout_free(m);
	loadkit_nothing_left();
}

static void
every_failing_read_leaves_nothing(void **state)
{
	unsigned n = 1;
	int rc;

	(void)state;
	for (;; n++) {
		memout_fail(loadkit.shop, MEMOUT_READ, n, HF_E_IO);
		rc = loadkit_restore(loadkit.shop, "never", 0);
		memout_fail(loadkit.shop, MEMOUT_READ, 0, HF_OK);
		if (rc == HF_OK)
			break;
		assert_int_equal(rc, HF_E_IO);
		assert_false(loadkit_exists("never"));
	}
	assert_true(n > 20);
	loadkit_drop("never");
	loadkit_nothing_left();
}

struct later {
	const char *sql; /* on the server, until true; then cancel */
	bool kill;
	pid_t pid;
};

static void *
cancel_later(void *arg)
{
	struct later *l = arg;

	pgkit_until(&loadkit.pg, "postgres", l->sql);
	cancel_request(&loadkit.cancel);
	return NULL;
}

static void
a_cancelled_restore_leaves_nothing(void **state)
{
	static const char *const moments[] = {
		"SELECT count(*) > 0 FROM pg_database WHERE datname LIKE "
		"'never.holdfast-%'",
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE datname LIKE "
		"'never.holdfast-%' AND query LIKE 'COPY%'",
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE datname LIKE "
		"'never.holdfast-%' AND application_name = 'pg_restore'",
	};

	(void)state;
	for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
		struct later l = { .sql = moments[i] };
		pthread_t t;
		int rc, tries = 0;

		/* It may be over before it is seen. */
		do {
			assert_int_equal(
			    pthread_create(&t, NULL, cancel_later, &l), 0);
			do {
				loadkit_drop("never");
				rc = loadkit_restore(loadkit.shop, "never", 0);
			} while (rc == HF_OK && ++tries < 50);
			assert_int_equal(pthread_join(t, NULL), 0);
			atomic_store(&loadkit.cancel.requested, 0);
		} while (rc == HF_OK && tries < 50);
		assert_int_equal(rc, HF_E_CANCELLED);
		assert_false(loadkit_exists("never"));
		loadkit_nothing_left();
	}
}

static void
a_killed_run_leaves_the_target_and_the_next_one_clears(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	if ((pid = fork()) == 0) {
		/* A worker's pause would do; this never ends by itself. */
		for (;;) {
			(void)loadkit_restore(
			    loadkit.shop, "killed", HF_RESTORE_IN_PLACE);
			if (loadkit.safety[0] != '\0')
				loadkit_drop(loadkit.safety);
		}
	}
	pgkit_until(&loadkit.pg, "postgres",
	    "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname LIKE "
	    "'killed.holdfast-%' AND query LIKE 'COPY%'");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	pgkit_until(&loadkit.pg, "postgres",
	    "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname LIKE "
	    "'killed%'");
	loadkit_restore_ok(loadkit.shop, "killed", HF_RESTORE_IN_PLACE);
	loadkit_same("shop", "killed");
	if (loadkit.safety[0] != '\0') {
		loadkit_same("shop", loadkit.safety);
		loadkit_drop(loadkit.safety);
	}
	loadkit_drop("killed");
	pgkit_sql(&loadkit.pg, "postgres",
	    "SELECT 1"); /* the folder's file is the kill's, not ours */
	(void)snprintf(loadkit.safety, sizeof loadkit.safety,
	    "rm -f %s/schema.*", loadkit.scratch);
	assert_int_equal(system(loadkit.safety), 0);
	loadkit_nothing_left();
}

static void
leftovers_of_others_and_of_living_runs_stay(void **state)
{
	(void)state;
	/* Not ours: no comment, and something in it. */
	pgkit_sql(
	    &loadkit.pg, "postgres", "CREATE DATABASE \"n.holdfast-0123abcd\"");
	pgkit_sql(
	    &loadkit.pg, "n.holdfast-0123abcd", "CREATE TABLE kept(x int)");
	/* Of a run that was killed before it made the comment. */
	pgkit_sql(
	    &loadkit.pg, "postgres", "CREATE DATABASE \"n.holdfast-cdefabcd\"");
	/* Of a run that lives: somebody is connected. */
	pgkit_sql(
	    &loadkit.pg, "postgres", "CREATE DATABASE \"n.holdfast-4567abcd\"");
	pgkit_sql(&loadkit.pg, "postgres",
	    "COMMENT ON DATABASE \"n.holdfast-4567abcd\" IS "
	    "'holdfast: being restored as \"n\"'");
	/* Of a dead one. */
	pgkit_sql(
	    &loadkit.pg, "postgres", "CREATE DATABASE \"n.holdfast-89ababcd\"");
	pgkit_sql(&loadkit.pg, "postgres",
	    "COMMENT ON DATABASE \"n.holdfast-89ababcd\" IS "
	    "'holdfast: being restored as \"n\"'");
	loadkit_hold("n.holdfast-4567abcd");
	loadkit_restore_ok(loadkit.shop, "n", 0);
	assert_true(loadkit_exists("n.holdfast-0123abcd"));
	assert_true(loadkit_exists("n.holdfast-4567abcd"));
	assert_false(loadkit_exists("n.holdfast-89ababcd"));
	assert_false(loadkit_exists("n.holdfast-cdefabcd"));
	loadkit_drop("n");
	loadkit_drop("n.holdfast-0123abcd");
	loadkit_drop("n.holdfast-4567abcd");
	(void)wait(NULL);
	loadkit_nothing_left();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOADKIT_TEST(a_database_comes_back_as_it_was),
		LOADKIT_TEST(a_table_in_parts_comes_back_whole),
		LOADKIT_TEST(rows_of_a_new_table_are_frozen),
		LOADKIT_TEST(a_name_of_63_bytes_is_no_trouble),
		LOADKIT_TEST(what_is_there_is_not_replaced),
		LOADKIT_TEST(an_empty_database_keeps_its_owner_and_grants),
		LOADKIT_TEST(an_empty_database_is_empty_again_after_a_failure),
		LOADKIT_TEST(an_empty_database_that_somebody_uses_is_refused),
		LOADKIT_TEST(a_count_that_differs_names_the_table),
		LOADKIT_TEST(rows_that_break_a_constraint_are_named),
		LOADKIT_TEST(every_failing_read_leaves_nothing),
		LOADKIT_TEST(a_cancelled_restore_leaves_nothing),
		LOADKIT_TEST(
		    a_killed_run_leaves_the_target_and_the_next_one_clears),
		LOADKIT_TEST(leftovers_of_others_and_of_living_runs_stay),
	};

	return cmocka_run_group_tests(tests, loadkit_begin, loadkit_end);
}
