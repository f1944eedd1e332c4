/* SPDX-License-Identifier: BSD-2-Clause */
/* How a dump is cut into objects, and what its scripts say. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "dump/cut.h"
#include "dump/globals.h"
#include "dump/object.h"
#include "dump/run.h"
#include "dump/settings.h"
#include "dump/utf8.h"
#include "plugin/host.h"
#include "support/memout.h"

#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static int
set_host(void **state)
{
	(void)state;
	H = &host_table;
	return 0;
}

/* ---- cutting ---- */

static void
parts_are_a_multiple_of_the_jobs(void **state)
{
	(void)state;
	assert_int_equal(cut_parts(128 * MIB, 128 * MIB, 2, 1000), 1);
	assert_int_equal(cut_parts(128 * MIB + 1, 128 * MIB, 2, 1000), 2);
	assert_int_equal(cut_parts(257 * MIB, 128 * MIB, 2, 1000), 4);
	assert_int_equal(cut_parts(257 * MIB, 128 * MIB, 4, 1000), 4);
	assert_int_equal(cut_parts(640 * MIB, 128 * MIB, 3, 1000), 6);
	assert_int_equal(cut_parts(640 * MIB, 128 * MIB, 0, 1000), 5);
}

static void
there_are_never_more_parts_than_blocks(void **state)
{
	(void)state;
	/* All of it is TOAST. */
	assert_int_equal(cut_parts(900 * MIB, 1 * MIB, 4, 3), 3);
	assert_int_equal(cut_parts(900 * MIB, 1 * MIB, 4, 1), 1);
	assert_int_equal(cut_parts(900 * MIB, 1 * MIB, 4, 0), 1);
	assert_true(cut_parts(UINT64_MAX, 1, 64, UINT64_MAX) < 11000);
}

static void
parts_cover_all_blocks_once(void **state)
{
	struct source s = {
		.oid = 1, .size = 700 * MIB, .blocks = 89601, .heap = true
	};
	struct cut c;
	uint64_t at = 0;

	(void)state;
	assert_true(cut_make(&c, &s, 1, 16 * MIB, 4, true));
	assert_int_equal(c.ntasks, 44);
	assert_int_equal(s.parts, 44);
	for (unsigned i = 0; i < c.ntasks; i++) {
		assert_int_equal(c.tasks[i].part, i + 1);
		assert_int_equal(c.tasks[i].from, at);
		assert_true(c.tasks[i].to > at);
		at = c.tasks[i].to;
	}
	assert_int_equal(at, s.blocks);
	cut_clear(&c);
}

static void
only_plain_heap_tables_of_newer_servers_are_cut(void **state)
{
	char filter[] = "WHERE true";
	struct source s[] = {
		{ .oid = 1, .size = 64 * MIB, .blocks = 8192, .heap = true },
		{ .oid = 2, .size = 64 * MIB, .blocks = 8192 },
		{ .oid = 3,
		    .size = 64 * MIB,
		    .blocks = 8192,
		    .heap = true,
		    .filter = filter },
	};
	struct cut c;

	(void)state;
	assert_true(cut_make(&c, s, 3, 16 * MIB, 2, true));
	assert_int_equal(s[0].parts, 4);
	assert_int_equal(s[1].parts, 1);
	assert_int_equal(s[2].parts, 1);
	cut_clear(&c);
	assert_true(cut_make(&c, s, 3, 16 * MIB, 2, false));
	assert_int_equal(c.ntasks, 3);
	assert_int_equal(s[0].parts, 1);
	cut_clear(&c);
}

static void
the_largest_tasks_come_first(void **state)
{
	struct source s[] = {
		{ .oid = 1, .size = 1 * MIB, .blocks = 128, .heap = true },
		{ .oid = 2, .size = 100, .blocks = 1, .heap = true },
		{ .oid = 3, .size = 90 * MIB, .blocks = 9000, .heap = true },
		{ .oid = 4, .size = 20 * MIB, .blocks = 2560, .heap = true },
	};
	struct cut c;

	(void)state;
	assert_true(cut_make(&c, s, 4, 64 * MIB, 2, true));
	/* 2 parts of 45 MiB, 20 MiB, 1 MiB, the small one. */
	assert_int_equal(c.ntasks, 5);
	for (size_t i = 1; i < c.ntasks; i++)
		assert_true(c.tasks[i - 1].size >= c.tasks[i].size);
	assert_int_equal(c.order[c.tasks[0].first]->oid, 3);
	assert_int_equal(c.order[c.tasks[2].first]->oid, 4);
	assert_true(c.tasks[4].bundle);
	cut_clear(&c);
}

static void
many_small_tables_share_objects(void **state)
{
	enum { N = 20000 };
	struct source *s = calloc(N, sizeof *s);
	bool *seen = calloc(N, sizeof *seen);
	struct cut c;

	(void)state;
	assert_true(s != NULL && seen != NULL);
	for (uint32_t i = 0; i < N; i++) {
		s[i].oid = i;
		s[i].size = i % 3 == 0 ? CUT_SMALL - 1 : 8192;
		s[i].heap = true;
	}
	assert_true(cut_make(&c, s, N, 16 * MIB, 2, true));
	assert_true(c.ntasks < 300);
	for (size_t i = 0; i < c.ntasks; i++) {
		assert_true(c.tasks[i].bundle);
		assert_true(c.tasks[i].n <= CUT_BUNDLE_TABLES);
		assert_true(c.tasks[i].size <= CUT_BUNDLE);
		for (size_t k = 0; k < c.tasks[i].n; k++) {
			uint32_t oid = c.order[c.tasks[i].first + k]->oid;

			assert_false(seen[oid]);
			seen[oid] = true;
		}
	}
	for (size_t i = 0; i < N; i++)
		assert_true(seen[i]);
	cut_clear(&c);
	free(s);
	free(seen);
}

static void
no_table_is_no_task(void **state)
{
	struct cut c;

	(void)state;
	assert_true(cut_make(&c, NULL, 0, 16 * MIB, 2, true));
	assert_int_equal(c.ntasks, 0);
	cut_clear(&c);
}

/* ---- scripts ---- */

static void
a_script_sets_what_it_needs(void **state)
{
	struct text t = { 0 };

	(void)state;
	object_header(&t, "LATIN1", "Rows of table a\nDROP TABLE b, part 1");
	assert_int_equal(strncmp(t.s, "-- ", 3), 0);
	/* A line end in a name does not end the comment. */
	assert_null(strstr(t.s, "\nDROP"));
	assert_non_null(strstr(t.s, "\n\\set ON_ERROR_STOP on\n"));
	assert_non_null(strstr(t.s, "\nSET client_encoding = 'LATIN1';\n"));
	assert_non_null(strstr(t.s, "\nSET search_path = '';\n"));
	assert_non_null(strstr(t.s, "\nSET row_security = off;\n"));
	text_free(&t);
}

static void
an_object_is_what_was_written_whatever_the_blocks(void **state)
{
	struct memout *m = memout_new();
	struct object o = { 0 };
	struct hf_error err = { 0 };
	size_t n = 700000, size, at = 0;
	char *big = malloc(n);
	const char *got;

	(void)state;
	assert_non_null(big);
	for (size_t i = 0; i < n; i++)
		big[i] = (char)('a' + i % 23);
	assert_int_equal(
	    object_begin(&o, memout_out(m), "shop/", "x.sql", 0, &err), HF_OK);
	/* Small ones, one of just a block, one larger than a block. */
	const size_t pieces[] = { 1, 7, 262144, 3, 437844, 1 };
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(
		    object_write(&o, big + at, pieces[i], &err), HF_OK);
		at += pieces[i];
	}
	assert_int_equal(at, n);
	assert_int_equal(o.size, n);
	assert_int_equal(object_commit(&o, &err), HF_OK);
	object_free(&o);
	assert_int_equal(memout_count(m), 1);
	assert_string_equal(memout_name(m, 0), "shop/x.sql");
	got = memout_bytes(m, 0, &size);
	assert_int_equal(size, n);
	assert_memory_equal(got, big, n);
	memout_free(m);
	free(big);
}

static void
a_failed_write_leaves_no_writer_open(void **state)
{
	struct memout *m = memout_new();
	struct object o = { 0 };
	struct hf_error err = { 0 };

	(void)state;
	memout_fail(m, MEMOUT_WRITE, 1, HF_E_NOSPACE);
	assert_int_equal(
	    object_begin(&o, memout_out(m), "", "x.sql", 0, &err), HF_OK);
	assert_int_equal(object_write(&o, "abc", 3, &err), HF_OK);
	assert_int_equal(object_commit(&o, &err), HF_E_NOSPACE);
	object_free(&o);
	assert_int_equal(memout_open(m), 0);
	assert_int_equal(memout_count(m), 0);
	memout_free(m);
}

static void
names_that_are_not_utf8_are_written_in_percent(void **state)
{
	static const char *const cases[][2] = {
		{ "orders", "orders" },
		{ "gr\xc3\xb6\xc3\x9f"
		  "e",
		    "gr\xc3\xb6\xc3\x9f"
		    "e" },
		{ "gr\xf6"
		  "e",
		    "gr%F6e" },
		{ "\xc0\xaf", "%C0%AF" },        /* too long a form */
		{ "\xed\xa0\x80", "%ED%A0%80" }, /* a surrogate */
		{ "\xe2\x82", "%E2%82" },        /* cut off */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xf5\x80\x80\x80", "%F5%80%80%80" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *s = utf8_copy(cases[i][0]);

		assert_string_equal(s, cases[i][1]);
		free(s);
	}
}

/* ---- settings ---- */

static void
value_is(const char *name, const char *value, const char *want)
{
	struct text t = { 0 };

	settings_value(&t, name, value);
	assert_string_equal(text_get(&t), want);
	text_free(&t);
}

static void
values_of_settings_are_literals(void **state)
{
	(void)state;
	value_is("work_mem", "7MB", "'7MB'");
	value_is("DateStyle", "ISO, DMY", "'ISO, DMY'");
	value_is("my.text", "it's", "'it''s'");
}

static void
lists_of_names_stay_lists(void **state)
{
	(void)state;
	value_is("search_path", "\"$user\", public", "'$user', 'public'");
	value_is("Search_Path", "a,b ,  c", "'a', 'b', 'c'");
	value_is(
	    "search_path", "\"odd \"\", x\", public", "'odd \", x', 'public'");
	value_is("search_path", "", "''");
	value_is("search_path", "\"\"", "''");
	value_is("temp_tablespaces", "ts1", "'ts1'");
}

static void
a_dollar_quote_is_not_in_its_text(void **state)
{
	char tag[16];

	(void)state;
	settings_tag(tag, sizeof tag, "plain");
	assert_string_equal(tag, "$hf$");
	settings_tag(tag, sizeof tag, "has $hf$ and $hf1$");
	assert_string_equal(tag, "$hf2$");
}

/* ---- globals ---- */

static const char dumped[] =
    "--\n-- PostgreSQL database cluster dump\n--\n\n"
    "\\restrict abc\n\n"
    "SET default_transaction_read_only = off;\n\n"
    "SET client_encoding = 'UTF8';\n"
    "CREATE ROLE alice;\n"
    "ALTER ROLE alice WITH NOSUPERUSER LOGIN PASSWORD 'md5$hf$';\n"
    "COMMENT ON ROLE alice IS 'it''s; $hf$ here';\n"
    "CREATE ROLE \"Odd; Role\";\n"
    "ALTER ROLE \"Odd; Role\" WITH NOLOGIN;\n"
    "ALTER ROLE alice SET work_mem TO '8MB';\n"
    "GRANT alice TO \"Odd; Role\" WITH ADMIN OPTION GRANTED BY boss;\n"
    "GRANT bob TO alice;\n"
    "GRANT SET ON PARAMETER work_mem TO alice;\n"
    "CREATE TABLESPACE ts1 OWNER alice LOCATION '/mnt/it''s';\n"
    "ALTER TABLESPACE ts1 SET (seq_page_cost=2);\n"
    "GRANT ALL ON TABLESPACE ts1 TO alice;\n"
    "COMMENT ON TABLESPACE ts1 IS 'hm';\n"
    "\\unrestrict abc\n";

static char *
rewritten(const char *sql)
{
	struct hf_error err = { 0 };
	struct text t = { 0 };

	assert_int_equal(globals_rewrite(sql, strlen(sql), &t, &err), HF_OK);
	return t.s;
}

/* Where b stands after a, and there is one of each. */
static void
follows(const char *script, const char *a, const char *b)
{
	const char *x = strstr(script, a), *y = strstr(script, b);

	if (x == NULL || y == NULL)
		fail_msg("missing: %s", x == NULL ? a : b);
	assert_null(strstr(x + 1, a));
	assert_true(x < y);
}

static void
a_role_is_made_only_where_it_is_missing(void **state)
{
	char *s = rewritten(dumped);

	(void)state;
	assert_int_equal(strncmp(s, "\\set ON_ERROR_STOP on\n", 22), 0);
	assert_null(strstr(s, "restrict"));
	follows(s, "rolname = 'alice') THEN\nCREATE ROLE alice;",
	    "ALTER ROLE alice WITH");
	/* The tag of its DO is not in its text. */
	assert_non_null(strstr(s, "DO $hf1$\nBEGIN\n\tIF NOT EXISTS (SELECT "
				  "FROM pg_catalog.pg_roles WHERE rolname = "
				  "'alice')"));
	follows(s, "ALTER ROLE alice WITH", "COMMENT ON ROLE alice");
	follows(s, "COMMENT ON ROLE alice", "ALTER ROLE alice SET work_mem");
	follows(s, "ALTER ROLE alice SET work_mem",
	    "GRANT SET ON PARAMETER work_mem TO alice;");
	follows(s, "GRANT SET ON PARAMETER work_mem TO alice;",
	    "CREATE ROLE \"Odd; Role\";");
	free(s);
}

static void
memberships_come_after_all_roles_and_only_where_missing(void **state)
{
	char *s = rewritten(dumped);

	(void)state;
	follows(s, "CREATE ROLE \"Odd; Role\";",
	    "\t\tGRANT alice TO \"Odd; Role\" WITH ADMIN OPTION GRANTED BY "
	    "boss;");
	/* Where the grantor may not, it is granted without. */
	follows(s, "EXCEPTION WHEN insufficient_privilege",
	    "\t\tGRANT alice TO \"Odd; Role\" WITH ADMIN OPTION;");
	assert_non_null(strstr(s, "WHERE rolname = 'boss'))"));
	assert_non_null(strstr(s, "\t\tGRANT bob TO alice;"));
	free(s);
}

static void
a_tablespace_is_made_by_gexec(void **state)
{
	char *s = rewritten(dumped);

	(void)state;
	follows(s, "'holdfast.new', (NOT EXISTS",
	    "SELECT 'CREATE TABLESPACE ts1 OWNER alice LOCATION "
	    "''/mnt/it''''s'''\n    WHERE NOT EXISTS (SELECT FROM "
	    "pg_catalog.pg_tablespace WHERE spcname = 'ts1') \\gexec\n");
	follows(s, " \\gexec\n", "ALTER TABLESPACE ts1 SET");
	follows(s, "ALTER TABLESPACE ts1 SET",
	    "GRANT ALL ON TABLESPACE ts1 TO alice;");
	follows(s, "GRANT ALL ON TABLESPACE ts1", "COMMENT ON TABLESPACE ts1");
	free(s);
}

static void
globals_cut_off_are_refused(void **state)
{
	static const char cut[] = "CREATE ROLE a;\nALTER ROLE a PASSWORD 'md";
	struct hf_error err = { 0 };
	struct text t = { 0 };

	(void)state;
	assert_int_equal(
	    globals_rewrite(cut, sizeof cut - 1, &t, &err), HF_E_CORRUPT);
	text_free(&t);
}

static void
ten_thousand_roles_are_soon_rewritten(void **state)
{
	struct text sql = { 0 };
	char *s;

	(void)state;
	for (int i = 0; i < 10000; i++)
		text_addf(
		    &sql, "CREATE ROLE r%d;\nALTER ROLE r%d LOGIN;\n", i, i);
	s = rewritten(sql.s);
	assert_non_null(strstr(s, "CREATE ROLE r9999;"));
	free(s);
	text_free(&sql);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_a_multiple_of_the_jobs),
		cmocka_unit_test(there_are_never_more_parts_than_blocks),
		cmocka_unit_test(parts_cover_all_blocks_once),
		cmocka_unit_test(
		    only_plain_heap_tables_of_newer_servers_are_cut),
		cmocka_unit_test(the_largest_tasks_come_first),
		cmocka_unit_test(many_small_tables_share_objects),
		cmocka_unit_test(no_table_is_no_task),
		cmocka_unit_test(a_script_sets_what_it_needs),
		cmocka_unit_test(
		    an_object_is_what_was_written_whatever_the_blocks),
		cmocka_unit_test(a_failed_write_leaves_no_writer_open),
		cmocka_unit_test(
		    names_that_are_not_utf8_are_written_in_percent),
		cmocka_unit_test(values_of_settings_are_literals),
		cmocka_unit_test(lists_of_names_stay_lists),
		cmocka_unit_test(a_dollar_quote_is_not_in_its_text),
		cmocka_unit_test(a_role_is_made_only_where_it_is_missing),
		cmocka_unit_test(
		    memberships_come_after_all_roles_and_only_where_missing),
		cmocka_unit_test(a_tablespace_is_made_by_gexec),
		cmocka_unit_test(globals_cut_off_are_refused),
		cmocka_unit_test(ten_thousand_roles_are_soon_rewritten),
	};

	return cmocka_run_group_tests(tests, set_host, NULL);
}
