/* SPDX-License-Identifier: BSD-2-Clause */
/* Restores in place: what is kept of what was there, and who may hold them up. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/postgres/loadkit.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- in place ---- */

static void
in_place_keeps_the_former_one_under_another_name(void **state)
{
	(void)state;
	loadkit_restore_ok(loadkit.shop, "live", 0);
	pgkit_sql(&loadkit.pg, "live",
	    "BEGIN READ WRITE; DROP TABLE public.items CASCADE; "
	    "CREATE TABLE public.later(x int); COMMIT");
	loadkit_restore_ok(loadkit.shop, "live", HF_RESTORE_IN_PLACE);
	loadkit_same("shop", "live");
	assert_int_equal(pgkit_int(&loadkit.pg, loadkit.safety,
			     "SELECT count(*) FROM public.later"),
	    0);
	loadkit_drop("live");
	loadkit_drop(loadkit.safety);
	loadkit_nothing_left();
}

static void
run_undo(const char *undo)
{
	char command[1400];

	(void)snprintf(command, sizeof command, "PATH='%s':$PATH %s -q",
	    loadkit.pg.bin, undo);
	assert_int_equal(system(command), 0);
}

static void
every_undo_that_was_told_can_be_done(void **state)
{
	char first[1024], second[1024];

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE live");
	pgkit_sql(&loadkit.pg, "live", "CREATE TABLE public.oldest(x int)");
	loadkit_restore_ok(loadkit.shop, "live", HF_RESTORE_IN_PLACE);
	(void)snprintf(first, sizeof first, "%s", loadkit_result("undo"));
	loadkit_restore_ok(loadkit.shop, "live", HF_RESTORE_IN_PLACE);
	(void)snprintf(second, sizeof second, "%s", loadkit_result("undo"));
	run_undo(second);
	loadkit_same("shop", "live");
	run_undo(first);
	assert_int_equal(pgkit_int(&loadkit.pg, "live",
			     "SELECT count(*) FROM public.oldest"),
	    0);
	assert_int_equal(pgkit_int(&loadkit.pg, "postgres",
			     "SELECT count(*) FROM pg_database WHERE datname ~ "
			     "'^live.after-restore-[0-9]{8}T'"),
	    2);
	for (unsigned i = 0; i < 2; i++) {
		char *name = pgkit_psql(&loadkit.pg, "postgres",
		    "SELECT min(datname) FROM pg_database WHERE datname LIKE "
		    "'live.after-restore-%'");

		loadkit_drop(name);
		free(name);
	}
	loadkit_drop("live");
	loadkit_nothing_left();
}

static void
a_database_in_use_is_refused_before_any_work(void **state)
{
	unsigned reads;

	(void)state;
	loadkit_restore_ok(loadkit.shop, "live", 0);
	loadkit_hold("live");
	reads = memout_calls(loadkit.shop, MEMOUT_OPEN);
	assert_int_equal(
	    loadkit_restore(loadkit.shop, "live", HF_RESTORE_IN_PLACE),
	    HF_E_TRANSIENT);
	loadkit_error_has("in use by 1: holder (pid ");
	/* contents.json alone. */
	assert_int_equal(memout_calls(loadkit.shop, MEMOUT_OPEN), reads + 1);
	loadkit_restore_ok(
	    loadkit.shop, "live", HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE);
	(void)wait(NULL);
	loadkit_same("live", loadkit.safety);
	loadkit_drop("live");
	loadkit_drop(loadkit.safety);
	loadkit_nothing_left();
}

static atomic_bool clients_stop;
static atomic_uint clients_answers;

/* Connects again and again; always finds the one or the other. */
static void *
client(void *arg)
{
	(void)arg;
	while (!atomic_load(&clients_stop)) {
		PGconn *c = PQconnectdb(pgkit_conninfo(&loadkit.pg, "live"));
		PGresult *r = PQexec(c,
		    "SELECT count(*) FROM sales.orders; SELECT pg_sleep(0.02)");

		if (PQresultStatus(r) == PGRES_TUPLES_OK)
			atomic_fetch_add(&clients_answers, 1);
		PQclear(r);
		PQfinish(c);
	}
	return NULL;
}

static void
clients_that_reconnect_cannot_hold_a_forced_swap_up(void **state)
{
	pthread_t t[4];

	(void)state;
	loadkit_restore_ok(loadkit.shop, "live", 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, client, NULL), 0);
	while (atomic_load(&clients_answers) < 10)
		(void)usleep(1000);
	for (unsigned i = 0; i < 3; i++) {
		loadkit_restore_ok(loadkit.shop, "live",
		    HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE);
		loadkit_drop(loadkit.safety);
	}
	atomic_store(&clients_stop, true);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	loadkit_same("shop", "live");
	loadkit_drop("live");
	loadkit_nothing_left();
}

static void
a_prepared_transaction_holds_a_swap_up_and_is_named(void **state)
{
	(void)state;
	loadkit_restore_ok(loadkit.shop, "live", 0);
	pgkit_sql(&loadkit.pg, "live",
	    "BEGIN READ WRITE; SELECT lo_create(1); PREPARE TRANSACTION "
	    "'half done'");
	assert_int_equal(
	    loadkit_restore(loadkit.shop, "live", HF_RESTORE_IN_PLACE),
	    HF_E_TRANSIENT);
	loadkit_error_has("prepared transaction half done");
	assert_true(loadkit_restore(loadkit.shop, "live",
			HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE) < 0);
	loadkit_error_has("half done");
	loadkit_nothing_left();
	pgkit_sql(&loadkit.pg, "live", "ROLLBACK PREPARED 'half done'");
	loadkit_drop("live");
}

static void
one_that_cannot_be_used_gives_the_former_its_name_back(void **state)
{
	/* Found out only under its name: nobody can connect any more. */
	struct memout *m =
	    loadkit_spoiled("970-database.sql", "\"work_mem\" TO ''8MB''",
		"session_preload_libraries TO ''nosuch''");

	(void)state;
	loadkit_restore_ok(loadkit.shop, "live", 0);
	assert_true(loadkit_restore(m, "live", HF_RESTORE_IN_PLACE) < 0);
	loadkit_error_has("in place again");
	loadkit_same("shop", "live");
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "postgres",
		"SELECT count(*) FROM pg_database WHERE datname LIKE "
		"'live%'"),
	    1);
	memout_free(m);
	loadkit_drop("live");
	loadkit_nothing_left();
}

static void
all_databases_of_a_backup_go_under_their_own_names(void **state)
{
	struct memout *m;
	static const char *const both[] = { "shop", "other", NULL };

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE other");
	pgkit_sql(&loadkit.pg, "other",
	    "CREATE TABLE public.t(x int); INSERT INTO public.t VALUES (7)");
	loadkit.databases = both;
	m = loadkit_backup("shop", "all");
	loadkit.databases = NULL;
	assert_int_equal(loadkit_restore(m, "one", 0), HF_E_INVALID);
	loadkit.conf.database = "other";
	loadkit_restore_ok(m, "one", 0);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "one", "SELECT x FROM public.t"), 7);
	loadkit.conf.database = "nosuch";
	assert_int_equal(loadkit_restore(m, "two", 0), HF_E_NOTFOUND);
	loadkit.conf.database = NULL;
	/* The first goes, and stays, whatever becomes of the second. */
	loadkit_drop("other");
	assert_int_equal(loadkit_restore(m, NULL, 0), HF_E_EXISTS);
	loadkit_error_has("these are done: other");
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "other", "SELECT x FROM public.t"), 7);
	loadkit_drop("one");
	loadkit_drop("other");
	memout_free(m);
	loadkit_nothing_left();
}

static void
what_became_of_each_of_several_databases_is_told(void **state)
{
	static const char *const both[] = { "ant", "bee", NULL };
	struct memout *m;

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE ant");
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE bee");
	pgkit_sql(&loadkit.pg, "ant",
	    "CREATE TABLE public.t AS SELECT 1 FROM generate_series(1, 7)");
	pgkit_sql(&loadkit.pg, "bee",
	    "CREATE TABLE public.t AS SELECT 1 FROM generate_series(1, 20)");
	loadkit.databases = both;
	m = loadkit_backup("ant", "all");
	loadkit.databases = NULL;
	loadkit_restore_ok(m, NULL, HF_RESTORE_IN_PLACE);
	assert_string_equal(loadkit_result("databases"), "ant, bee");
	assert_string_equal(loadkit_result("rows"), "27");
	assert_string_equal(loadkit_result("ant.rows"), "7");
	assert_string_equal(loadkit_result("bee.rows"), "20");
	loadkit_result_has("server", loadkit.pg.dir);
	loadkit_result_has("ant.undo", loadkit_result("ant.safety_copy"));
	assert_true(loadkit_exists(loadkit_result("ant.safety_copy")));
	loadkit_drop(loadkit_result("ant.safety_copy"));
	assert_true(loadkit_exists(loadkit_result("bee.safety_copy")));
	loadkit_drop(loadkit_result("bee.safety_copy"));
	loadkit_drop("ant");
	loadkit_drop("bee");
	memout_free(m);
	loadkit_nothing_left();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOADKIT_TEST(in_place_keeps_the_former_one_under_another_name),
		LOADKIT_TEST(every_undo_that_was_told_can_be_done),
		LOADKIT_TEST(a_database_in_use_is_refused_before_any_work),
		LOADKIT_TEST(
		    clients_that_reconnect_cannot_hold_a_forced_swap_up),
		LOADKIT_TEST(
		    a_prepared_transaction_holds_a_swap_up_and_is_named),
		LOADKIT_TEST(
		    one_that_cannot_be_used_gives_the_former_its_name_back),
		LOADKIT_TEST(
		    all_databases_of_a_backup_go_under_their_own_names),
		LOADKIT_TEST(what_became_of_each_of_several_databases_is_told),
	};

	return cmocka_run_group_tests(tests, loadkit_begin, loadkit_end);
}
