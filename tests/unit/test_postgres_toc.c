/* SPDX-License-Identifier: BSD-2-Clause */
/* What pg_restore --list prints, read back into kinds and OIDs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plugin/host.h"
#include "postgres.h"
#include "toc.h"

static struct hf_error err;

static int
setup(void **state)
{
	(void)state;
	H = &host_table;
	error_clear(&err);
	return 0;
}

/* As programs of 15 and 17 wrote them; every kind that they have. */
static const struct {
	const char *line, *kind, *rest;
} lines[] = {
	{ "11; 2615 16401 SCHEMA - ACL postgres", "SCHEMA", "- ACL postgres" },
	{ "966; 2612 16475 PROCEDURAL LANGUAGE - plx postgres",
	    "PROCEDURAL LANGUAGE", "- plx postgres" },
	{ "3011; 3456 16430 COLLATION public co postgres", "COLLATION",
	    "public co postgres" },
	{ "2; 3079 16489 EXTENSION - hstore ", "EXTENSION", "- hstore " },
	{ "3557; 0 0 COMMENT - EXTENSION hstore ", "COMMENT",
	    "- EXTENSION hstore " },
	{ "933; 1247 16425 DOMAIN public d postgres", "DOMAIN",
	    "public d postgres" },
	{ "932; 1247 16423 SHELL TYPE public sh postgres", "SHELL TYPE",
	    "public sh postgres" },
	{ "929; 1247 16421 TYPE public e postgres", "TYPE",
	    "public e postgres" },
	{ "233; 1255 16408 FUNCTION public f(integer, integer) postgres",
	    "FUNCTION", "public f(integer, integer) postgres" },
	{ "3365; 2605 16429 CAST - CAST (public.e AS integer) ", "CAST",
	    "- CAST (public.e AS integer) " },
	{ "234; 1255 16418 PROCEDURE public pr() postgres", "PROCEDURE",
	    "public pr() postgres" },
	{ "967; 1255 16419 AGGREGATE public agg(integer) postgres", "AGGREGATE",
	    "public agg(integer) postgres" },
	{ "1795; 2601 16432 ACCESS METHOD - am2 ", "ACCESS METHOD", "- am2 " },
	{ "2124; 2753 16410 OPERATOR FAMILY public of1 postgres",
	    "OPERATOR FAMILY", "public of1 postgres" },
	{ "1973; 2616 16411 OPERATOR CLASS public oc1 postgres",
	    "OPERATOR CLASS", "public oc1 postgres" },
	{ "3140; 2607 16431 CONVERSION public cv postgres", "CONVERSION",
	    "public cv postgres" },
	{ "3366; 3576 16440 TRANSFORM - TRANSFORM FOR integer LANGUAGE x ",
	    "TRANSFORM", "- TRANSFORM FOR integer LANGUAGE x " },
	{ "2130; 3601 16473 TEXT SEARCH PARSER public tsp ",
	    "TEXT SEARCH PARSER", "public tsp " },
	{ "2136; 3764 16474 TEXT SEARCH TEMPLATE public tst ",
	    "TEXT SEARCH TEMPLATE", "public tst " },
	{ "2166; 3600 16472 TEXT SEARCH DICTIONARY public tsd postgres",
	    "TEXT SEARCH DICTIONARY", "public tsd postgres" },
	{ "2196; 3602 16471 TEXT SEARCH CONFIGURATION public tsc postgres",
	    "TEXT SEARCH CONFIGURATION", "public tsc postgres" },
	{ "2197; 2328 16435 FOREIGN DATA WRAPPER - fdw postgres",
	    "FOREIGN DATA WRAPPER", "- fdw postgres" },
	{ "2198; 1417 16436 SERVER - srv postgres", "SERVER",
	    "- srv postgres" },
	{ "3558; 0 0 USER MAPPING - USER MAPPING postgres SERVER srv postgres",
	    "USER MAPPING", "- USER MAPPING postgres SERVER srv postgres" },
	{ "3559; 0 0 SEQUENCE OWNED BY ACL t_j_seq postgres",
	    "SEQUENCE OWNED BY", "ACL t_j_seq postgres" },
	{ "226; 1259 16438 FOREIGN TABLE public ft postgres", "FOREIGN TABLE",
	    "public ft postgres" },
	{ "231; 1259 16482 TABLE public new line postgres", "TABLE",
	    "public new line postgres" },
	{ "3560; 0 0 ACL Sp ace TABLE \"TABLE DATA x\" postgres", "ACL",
	    "Sp ace TABLE \"TABLE DATA x\" postgres" },
	{ "3561; 0 0 SECURITY LABEL public TABLE x postgres", "SECURITY LABEL",
	    "public TABLE x postgres" },
	{ "230; 1259 16476 VIEW public v postgres", "VIEW",
	    "public v postgres" },
	{ "3369; 0 0 TABLE ATTACH public p1 postgres", "TABLE ATTACH",
	    "public p1 postgres" },
	{ "3370; 2604 16407 DEFAULT public t j postgres", "DEFAULT",
	    "public t j postgres" },
	{ "3547; 2613 16481 BLOB - 16481 postgres", "BLOB",
	    "- 16481 postgres" },
	{ "3549; 2613 16481 BLOB METADATA - 16481 postgres", "BLOB METADATA",
	    "- 16481 postgres" },
	{ "3548; 0 0 BLOBS - BLOBS ", "BLOBS", "- BLOBS " },
	{ "3544; 0 16451 TABLE DATA public fk postgres", "TABLE DATA",
	    "public fk postgres" },
	{ "3564; 0 0 SEQUENCE SET public t_j_seq postgres", "SEQUENCE SET",
	    "public t_j_seq postgres" },
	{ "935; 2606 16427 CHECK CONSTRAINT public d dc postgres",
	    "CHECK CONSTRAINT", "public d dc postgres" },
	{ "3379; 2606 16445 CONSTRAINT public p p_pkey postgres", "CONSTRAINT",
	    "public p p_pkey postgres" },
	{ "3375; 1259 16399 INDEX DATA ix postgres", "INDEX",
	    "DATA ix postgres" },
	{ "3382; 0 0 INDEX ATTACH public p1_pkey postgres", "INDEX ATTACH",
	    "public p1_pkey postgres" },
	{ "3383; 3381 16461 STATISTICS public st postgres", "STATISTICS",
	    "public st postgres" },
	{ "3529; 2618 16463 RULE public fk ru postgres", "RULE",
	    "public fk ru postgres" },
	{ "3385; 2620 16465 TRIGGER public fk tr postgres", "TRIGGER",
	    "public fk tr postgres" },
	{ "3384; 2606 16455 FK CONSTRAINT public fk fk_i_fkey postgres",
	    "FK CONSTRAINT", "public fk fk_i_fkey postgres" },
	{ "3531; 0 16451 ROW SECURITY public fk postgres", "ROW SECURITY",
	    "public fk postgres" },
	{ "3532; 3256 16462 POLICY public fk pol postgres", "POLICY",
	    "public fk pol postgres" },
	{ "3533; 6104 16466 PUBLICATION - pub postgres", "PUBLICATION",
	    "- pub postgres" },
	{ "3535; 6106 16467 PUBLICATION TABLE public pub fk postgres",
	    "PUBLICATION TABLE", "public pub fk postgres" },
	{ "3536; 6237 16469 PUBLICATION TABLES IN SCHEMA DATA pub2 DATA "
	  "postgres",
	    "PUBLICATION TABLES IN SCHEMA", "DATA pub2 DATA postgres" },
	{ "3537; 6100 16470 SUBSCRIPTION - sub postgres", "SUBSCRIPTION",
	    "- sub postgres" },
	{ "3538; 6102 16471 SUBSCRIPTION TABLE - sub t postgres",
	    "SUBSCRIPTION TABLE", "- sub t postgres" },
	{ "2199; 826 16480 DEFAULT ACL - DEFAULT PRIVILEGES FOR TABLES "
	  "postgres",
	    "DEFAULT ACL", "- DEFAULT PRIVILEGES FOR TABLES postgres" },
	{ "3368; 3466 16434 EVENT TRIGGER - evt postgres", "EVENT TRIGGER",
	    "- evt postgres" },
	{ "3600; 1262 5 DATABASE - postgres postgres", "DATABASE",
	    "- postgres postgres" },
	{ "3601; 0 0 DATABASE PROPERTIES - postgres postgres",
	    "DATABASE PROPERTIES", "- postgres postgres" },
	/* A schema may be called as the rest of another kind. */
	{ "221; 1259 16388 TABLE DATA x postgres", "TABLE", "DATA x postgres" },
	{ "3542; 0 16388 TABLE DATA DATA x postgres", "TABLE DATA",
	    "DATA x postgres" },
	{ "223; 1259 16395 MATERIALIZED VIEW DATA mv postgres",
	    "MATERIALIZED VIEW", "DATA mv postgres" },
	{ "3540; 0 16395 MATERIALIZED VIEW DATA DATA mv postgres",
	    "MATERIALIZED VIEW DATA", "DATA mv postgres" },
	{ "222; 1259 16394 SEQUENCE SET s postgres", "SEQUENCE",
	    "SET s postgres" },
	{ "3372; 2604 16407 DEFAULT ACL t j postgres", "DEFAULT",
	    "ACL t j postgres" },
	{ "1767; 2617 16409 OPERATOR CLASS === postgres", "OPERATOR",
	    "CLASS === postgres" },
	{ "300; 1255 16500 FUNCTION DATA f() postgres", "FUNCTION",
	    "DATA f() postgres" },
	/* One that a later version may have. */
	{ "301; 9999 1 PROPERTY GRAPH public g postgres", "PROPERTY GRAPH",
	    "public g postgres" },
};

static void
every_kind_of_entry_is_read(void **state)
{
	const size_t n = sizeof lines / sizeof *lines;
	char text[8192] = ";\n; Archive created at ...\n;     dbname: x\n;\n";
	size_t len = strlen(text);
	struct toc toc;

	(void)state;
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof text - len,
		    "%s\n;\tdepends on: 1 2\n", lines[i].line);
	assert_true(len < sizeof text);
	assert_int_equal(toc_read(text, len, &toc, &err), HF_OK);
	assert_int_equal(toc.n, n);
	for (size_t i = 0; i < n; i++) {
		const struct toc_entry *e = &toc.entries[i];
		char again[512];

		assert_string_equal(e->kind, lines[i].kind);
		assert_string_equal(e->rest, lines[i].rest);
		(void)snprintf(again, sizeof again, "%d; %u %u %s %s", e->id,
		    e->catalog, e->oid, e->kind, e->rest);
		assert_string_equal(again, lines[i].line);
		assert_string_equal(e->line, lines[i].line);
	}
	toc_clear(&toc);
	assert_int_equal(toc.n, 0);
	toc_clear(&toc);
}

static void
the_largest_numbers_fit_and_larger_ones_are_refused(void **state)
{
	static const char good[] =
	    "2147483647; 4294967295 4294967295 TABLE a b c";
	struct toc toc;

	(void)state;
	assert_int_equal(toc_read(good, strlen(good), &toc, &err), HF_OK);
	assert_int_equal(toc.entries[0].id, 2147483647);
	assert_int_equal(toc.entries[0].catalog, 4294967295u);
	assert_int_equal(toc.entries[0].oid, 4294967295u);
	toc_clear(&toc);
	assert_int_equal(toc_read("", 0, &toc, &err), HF_OK);
	assert_int_equal(toc.n, 0);
}

static void
a_line_that_is_none_is_corrupt(void **state)
{
	static const char *const bad[] = { "x", "1", "1; ", "1; 2 3", "1; 2 3 ",
		"1; 2 3 table a b c", "1; 2 3 TABLE", "1;2 3 TABLE a b c",
		"1; 2  TABLE a b c", "2147483648; 1 1 TABLE a b c",
		"1; 4294967296 1 TABLE a b c", "1; 1 4294967296 TABLE a b c",
		"-1; 1 1 TABLE a b c",
		"99999999999999999999999; 1 1 TABLE a b c" };
	struct toc toc;
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		(void)snprintf(
		    text, sizeof text, "1; 1 1 TABLE a b c\n%s\n", bad[i]);
		assert_int_equal(
		    toc_read(text, strlen(text), &toc, &err), HF_E_CORRUPT);
		assert_non_null(strstr(err.cause, bad[i]));
		assert_int_equal(toc.n, 0);
	}
	assert_int_equal(
	    toc_read("1; 1 1 TABLE a\0b c", 18, &toc, &err), HF_E_CORRUPT);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_kind_of_entry_is_read),
		T(the_largest_numbers_fit_and_larger_ones_are_refused),
		T(a_line_that_is_none_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
