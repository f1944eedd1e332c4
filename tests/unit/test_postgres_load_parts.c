/* SPDX-License-Identifier: BSD-2-Clause */
/* Restores of single objects, of rows alone, and by roles with little rights. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/postgres/loadkit.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parts ---- */

static void
one_table_comes_with_all_that_belongs_to_it(void **state)
{
	static const char *const only[] = { "type mood", "table sales.orders",
		"parted", NULL };

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE part");
	pgkit_sql(&loadkit.pg, "part", "CREATE TABLE public.mine(x int)");
	loadkit.conf.only = only;
	loadkit_restore_ok(loadkit.shop, "part", 0);
	assert_int_equal(loadkit_restore(loadkit.shop, "part", 0), HF_E_EXISTS);
	assert_int_equal(
	    loadkit_restore(loadkit.shop, "part", HF_RESTORE_IN_PLACE),
	    HF_E_INVALID);
	assert_int_equal(loadkit_restore(loadkit.shop, NULL, 0), HF_E_INVALID);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "part",
		"SELECT count(*) FROM sales.orders WHERE "
		"has_table_privilege('reader', 'sales.orders', 'SELECT') AND "
		"col_description('sales.orders'::regclass, 2) IS NOT NULL AND "
		"(SELECT last_value FROM sales.orders_id_seq) = 3000 AND "
		"(SELECT count(*) FROM pg_constraint WHERE conrelid = "
		"'sales.orders'::regclass) = 1"),
	    3000);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "part",
		"SELECT count(*) FROM public.parted WHERE (SELECT count(*) "
		"FROM pg_inherits) = 6"),
	    200);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "part",
		"SELECT count(*) FROM pg_class WHERE relname IN ('items', "
		"'counted', 'mine')"),
	    1);
	loadkit_drop("part");
	loadkit_nothing_left();
}

static void
single_objects_go_again_after_a_failure(void **state)
{
	static const char *const only[] = { "type mood", "schema sales",
		"parted", NULL };
	struct memout *m = loadkit_spoiled(
	    "contents.json", "\"rows\": 3000", "\"rows\": 3001");
	char *before, *after;

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE part");
	pgkit_sql(&loadkit.pg, "part", "CREATE TABLE public.mine(x int)");
	before = loadkit_dumped("part");
	loadkit.conf.only = only;
	assert_int_equal(loadkit_restore(m, "part", 0), HF_E_CORRUPT);
	after = loadkit_dumped("part");
	assert_string_equal(before, after);
	free(before);
	free(after);
	memout_free(m);
	loadkit_drop("part");
	loadkit_nothing_left();
}

static void
an_object_that_is_not_there_is_told(void **state)
{
	static const char *const none[] = { "table nosuch", NULL };
	static const char *const lacks[] = { "table sales.orders", NULL };

	(void)state;
	loadkit.conf.only = none;
	assert_int_equal(
	    loadkit_restore(loadkit.shop, "part", 0), HF_E_NOTFOUND);
	loadkit_error_has("table nosuch");
	loadkit.conf.only = lacks;
	assert_true(loadkit_restore(loadkit.shop, "part", 0) < 0);
	loadkit_error_has("mood");
	assert_false(loadkit_exists("part"));
	loadkit_nothing_left();
}

static void
a_key_to_a_table_that_is_not_there_is_left_out(void **state)
{
	static const char *const only[] = { "items", NULL };

	(void)state;
	loadkit.conf.only = only;
	loadkit_restore_ok(loadkit.shop, "part", 0);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "part",
		"SELECT count(*) FROM pg_constraint WHERE conrelid = "
		"'public.items'::regclass AND contype <> 'f'"),
	    pgkit_int(&loadkit.pg, "part",
		"SELECT count(*) FROM pg_constraint WHERE conrelid = "
		"'public.items'::regclass"));
	loadkit_drop("part");
	loadkit_nothing_left();
}

static const char triggers_sql[] =
    "CREATE SCHEMA f; CREATE FUNCTION f.stamp() RETURNS trigger LANGUAGE "
    "plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE FUNCTION f.\"Odd one\"() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN RETURN NEW; END';"
    "CREATE FUNCTION f.fold(text) RETURNS text LANGUAGE sql IMMUTABLE AS "
    "'SELECT $1';"
    "CREATE TABLE public.u(id int PRIMARY KEY);"
    "CREATE TABLE public.t(id int CONSTRAINT to_u REFERENCES public.u,"
    " \"on\" int);"
    "COMMENT ON CONSTRAINT to_u ON public.t IS 'a key';"
    "CREATE TRIGGER \"Odd\" AFTER UPDATE OF id, \"on\" ON public.t FOR EACH "
    "ROW WHEN (NEW.\"on\" > 0) EXECUTE FUNCTION f.\"Odd one\"('execute "
    "function x.y()');"
    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON public.t DEFERRABLE FOR "
    "EACH ROW EXECUTE FUNCTION f.stamp();"
    "COMMENT ON TRIGGER \"Odd\" ON public.t IS 'odd';"
    "COMMENT ON TRIGGER late ON public.t IS 'late';"
    "CREATE TRIGGER kept BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE "
    "FUNCTION suppress_redundant_updates_trigger();"
    "COMMENT ON TRIGGER kept ON public.t IS 'kept';"
    "CREATE TABLE public.p(k int) PARTITION BY LIST (k);"
    "CREATE TABLE public.p1 PARTITION OF public.p FOR VALUES IN (1);"
    "CREATE TRIGGER all_p AFTER INSERT ON public.p FOR EACH ROW EXECUTE "
    "FUNCTION f.stamp();"
    "ALTER TABLE public.p1 DISABLE TRIGGER all_p;"
    "CREATE TABLE public.folded(x text);"
    "CREATE INDEX folded_x ON public.folded(f.fold(x))";

static void
a_trigger_whose_function_is_not_there_is_left_out(void **state)
{
	static const char *const only[] = { "t", "p", NULL };
	static const char *const both[] = { "t", "p", "schema f", NULL };
	static const char names[] =
	    "SELECT string_agg(tgname || coalesce(obj_description(oid, "
	    "'pg_trigger'), ''), ',' ORDER BY tgrelid::regclass::text, tgname "
	    "COLLATE \"C\") FROM pg_trigger WHERE NOT tgisinternal";
	struct memout *m;
	char *s;

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE trig");
	pgkit_sql(&loadkit.pg, "trig", triggers_sql);
	m = loadkit_backup("trig", "all");
	loadkit.conf.only = only;
	loadkit_restore_ok(m, "part", 0);
	s = pgkit_psql(&loadkit.pg, "part", names);
	assert_string_equal(s, "keptkept");
	free(s);
	loadkit_result_has("skipped",
	    "trigger late of public.t: there is no function "
	    "f.stamp()");
	loadkit_result_has("skipped",
	    "trigger Odd of public.t: there is no function "
	    "f.Odd one()");
	loadkit_result_has("skipped", "trigger all_p of public.p: ");
	loadkit_result_has("skipped", "foreign key to_u of public.t: ");
	loadkit_drop("part");
	/* Those that come with them, or are there, are used. */
	loadkit.conf.only = both;
	loadkit_restore_ok(m, "part", 0);
	s = pgkit_psql(&loadkit.pg, "part", names);
	assert_string_equal(s, "all_p,all_p,Oddodd,keptkept,latelate");
	free(s);
	assert_null(strstr(loadkit_result("skipped"), "trigger"));
	pgkit_sql(&loadkit.pg, "part", "DROP TABLE public.t, public.p");
	loadkit.conf.only = only;
	loadkit_restore_ok(m, "part", 0);
	assert_null(strstr(loadkit_result("skipped"), "trigger"));
	loadkit_drop("part");
	loadkit_drop("trig");
	memout_free(m);
	loadkit_nothing_left();
}

static void
what_single_objects_lack_is_named_with_a_way_out(void **state)
{
	static const char *const type[] = { "table sales.orders", NULL };
	static const char *const index[] = { "folded", NULL };
	struct memout *m;

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE trig");
	pgkit_sql(&loadkit.pg, "trig", triggers_sql);
	m = loadkit_backup("trig", "all");
	loadkit.conf.only = index;
	assert_int_equal(loadkit_restore(m, "part", 0), HF_E_NOTFOUND);
	loadkit_error_has("schema \"f\" does not exist");
	assert_null(strstr(loadkit.err.cause, "worker process"));
	assert_non_null(strstr(error_get(&loadkit.err, "hint"), "--only"));
	assert_null(strstr(error_get(&loadkit.err, "hint"), "Create it first"));
	loadkit.conf.only = type;
	assert_int_equal(
	    loadkit_restore(loadkit.shop, "part", 0), HF_E_NOTFOUND);
	loadkit_error_has("public.mood");
	assert_non_null(strstr(error_get(&loadkit.err, "hint"), "--only"));
	assert_null(strstr(error_get(&loadkit.err, "hint"), "Create it first"));
	assert_false(loadkit_exists("part"));
	loadkit_drop("trig");
	memout_free(m);
	loadkit_nothing_left();
}

static void
rows_alone_fill_tables_that_are_there(void **state)
{
	struct memout *schema = loadkit_backup("shop", "schema");
	struct memout *data = loadkit_backup("shop", "data");

	(void)state;
	loadkit_restore_ok(schema, "two", 0);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "two", "SELECT count(*) FROM public.items"),
	    0);
	assert_true(loadkit_restore(data, "nosuch", 0) < 0);
	memout_fail(data, MEMOUT_READ, 5, HF_E_IO);
	assert_true(loadkit_restore(data, "two", 0) < 0);
	memout_fail(data, MEMOUT_READ, 0, HF_OK);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "two",
		"SELECT (SELECT count(*) FROM public.items) + (SELECT "
		"count(*) FROM sales.orders)"),
	    0);
	loadkit_restore_ok(data, "two", 0);
	loadkit_same("shop", "two");
	assert_int_equal(loadkit_restore(data, "two", 0), HF_E_EXISTS);
	loadkit_error_has("is not empty");
	loadkit_drop("two");
	memout_free(schema);
	memout_free(data);
	loadkit_nothing_left();
}

/* ---- roles ---- */

static void
a_role_that_may_not_create_roles_is_told_which_are_missing(void **state)
{
	struct memout *m;

	(void)state;
	pgkit_sql(&loadkit.pg, "postgres",
	    "CREATE ROLE visitor LOGIN CREATEDB; CREATE ROLE passing PASSWORD "
	    "'opensesame'");
	m = loadkit_backup("shop", "all");
	pgkit_sql(&loadkit.pg, "postgres", "DROP ROLE passing");
	loadkit.user = "visitor";
	assert_int_equal(loadkit_restore(m, "theirs", 0), HF_E_DENIED);
	loadkit_error_has("'passing'");
	assert_null(strstr(loadkit.err.cause, "SCRAM"));
	assert_false(loadkit_exists("theirs"));
	loadkit.conf.no_owner = loadkit.conf.no_privileges = true;
	loadkit_restore_ok(m, "theirs", 0);
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "theirs",
		"SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid "
		"= relnamespace WHERE c.oid >= 16384 AND nspname IN ('public', "
		"'sales') AND relowner <> 'visitor'::regrole"),
	    0);
	loadkit.user = "postgres";
	loadkit_restore_ok(m, "mine", 0);
	assert_string_equal(loadkit_result("roles"), "created passing");
	assert_int_equal(
	    pgkit_int(&loadkit.pg, "postgres",
		"SELECT count(*) FROM pg_authid WHERE rolname = 'passing' AND "
		"rolpassword LIKE 'SCRAM%'"),
	    1);
	loadkit_drop("mine");
	loadkit_drop("theirs");
	pgkit_sql(
	    &loadkit.pg, "postgres", "DROP ROLE passing; DROP ROLE visitor");
	memout_free(m);
	loadkit_nothing_left();
}

static void
a_tablespace_that_was_created_is_told(void **state)
{
	char sql[256];
	struct memout *m;

	(void)state;
	(void)snprintf(sql, sizeof sql,
	    "COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; mkdir %s/space'",
	    loadkit.pg.dir);
	pgkit_sql(&loadkit.pg, "postgres", sql);
	(void)snprintf(sql, sizeof sql,
	    "CREATE TABLESPACE \"Odd space\" LOCATION '%s/space'",
	    loadkit.pg.dir);
	pgkit_sql(&loadkit.pg, "postgres", sql);
	m = loadkit_backup("shop", "all");
	loadkit_restore_ok(m, "new", 0);
	assert_string_equal(loadkit_result("tablespaces"), "");
	assert_string_equal(loadkit_result("roles"), "");
	loadkit_drop("new");
	pgkit_sql(&loadkit.pg, "postgres", "DROP TABLESPACE \"Odd space\"");
	loadkit_restore_ok(m, "new", 0);
	assert_string_equal(loadkit_result("tablespaces"), "created Odd space");
	loadkit_drop("new");
	pgkit_sql(&loadkit.pg, "postgres", "DROP TABLESPACE \"Odd space\"");
	memout_free(m);
	loadkit_nothing_left();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOADKIT_TEST(one_table_comes_with_all_that_belongs_to_it),
		LOADKIT_TEST(single_objects_go_again_after_a_failure),
		LOADKIT_TEST(an_object_that_is_not_there_is_told),
		LOADKIT_TEST(a_key_to_a_table_that_is_not_there_is_left_out),
		LOADKIT_TEST(a_trigger_whose_function_is_not_there_is_left_out),
		LOADKIT_TEST(what_single_objects_lack_is_named_with_a_way_out),
		LOADKIT_TEST(rows_alone_fill_tables_that_are_there),
		LOADKIT_TEST(
		    a_role_that_may_not_create_roles_is_told_which_are_missing),
		LOADKIT_TEST(a_tablespace_that_was_created_is_told),
	};

	return cmocka_run_group_tests(tests, loadkit_begin, loadkit_end);
}
