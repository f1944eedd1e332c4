/* SPDX-License-Identifier: BSD-2-Clause */
/* SQL text cut into statements where psql cuts it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"

/* The statements of text, each in brackets; behind them in parentheses what
 * was left.  From memory of exactly that size, for the sanitizer. */
static void
cuts(const char *text, const char *want)
{
	size_t len = strlen(text), start, n, out = 0;
	char *exact = malloc(len == 0 ? 1 : len), got[4096];
	const char *s = exact;

	assert_non_null(exact);
	memcpy(exact, text, len);
	while ((n = sql_statement(s, len, &start)) > 0) {
		assert_true(start + n <= len);
		out += (size_t)snprintf(
		    got + out, sizeof got - out, "[%.*s]", (int)n, s + start);
		s += start + n;
		len -= start + n;
	}
	assert_true(start <= len);
	if (start < len)
		out += (size_t)snprintf(got + out, sizeof got - out, "(%.*s)",
		    (int)(len - start), s + start);
	got[out] = '\0';
	assert_string_equal(got, want);
	free(exact);
}

static void
statements_end_at_their_semicolon(void **state)
{
	(void)state;
	cuts("", "");
	cuts(" \n\t ", "");
	cuts("SELECT 1; SELECT 2 ;\nSELECT", "[SELECT 1;][SELECT 2 ;](SELECT)");
	cuts(";; SELECT 1;;", "[SELECT 1;]");
	cuts("-", "(-)");
	cuts("$", "($)");
	cuts("a - b; a / b;", "[a - b;][a / b;]");
}

static void
quotes_hide_semicolons(void **state)
{
	(void)state;
	cuts("a 'x;''y;'; b;", "[a 'x;''y;';][b;]");
	cuts("a \"x;\"\"y;\"; b;", "[a \"x;\"\"y;\";][b;]");
	cuts("a '\\'; b;", "[a '\\';][b;]");
	cuts("a E'\\';'; b;", "[a E'\\';';][b;]");
	cuts("a e'x''\\';\\\\'; b;", "[a e'x''\\';\\\\';][b;]");
	cuts("a U&'\\'; b;", "[a U&'\\';][b;]");
	cuts("a U&\"x;\"\"\\\"; b;", "[a U&\"x;\"\"\\\";][b;]");
	cuts("a fooE'\\'; b;", "[a fooE'\\';][b;]");
	cuts("a 'open; b;", "(a 'open; b;)");
	cuts("a E'open\\", "(a E'open\\)");
	cuts("a \"open;", "(a \"open;)");
	cuts("a E'open\\';", "(a E'open\\';)");
}

/* It is one string, and its second line has escapes as the first. */
static void
a_string_goes_on_behind_a_line_end(void **state)
{
	(void)state;
	cuts("a E'x'\n'\\';'; b;", "[a E'x'\n'\\';';][b;]");
	cuts("a E'x' -- c\n  '\\';'; b;", "[a E'x' -- c\n  '\\';';][b;]");
	/* On the same line it is another string. */
	cuts("a E'x' '\\'; b;", "[a E'x' '\\';][b;]");
}

static void
dollar_quotes_hide_everything(void **state)
{
	(void)state;
	cuts("a $$x;'$a$\"$$; b;", "[a $$x;'$a$\"$$;][b;]");
	cuts("a $f$x; $g$ $$ $f $f$; b;", "[a $f$x; $g$ $$ $f $f$;][b;]");
	cuts("a $\xc3\xa4$;$\xc3\xa4$; b;", "[a $\xc3\xa4$;$\xc3\xa4$;][b;]");
	/* Part of a name; a parameter; nothing. */
	cuts("a$b$; c$b$;", "[a$b$;][c$b$;]");
	cuts("a $1; b;", "[a $1;][b;]");
	cuts("a $ b; c;", "[a $ b;][c;]");
	cuts("a $x b; c;", "[a $x b;][c;]");
	cuts("a $$ open;", "(a $$ open;)");
	cuts("a $f$ open; $f", "(a $f$ open; $f)");
}

static void
comments_are_skipped_and_nest(void **state)
{
	(void)state;
	cuts("-- x;\nSELECT 1;", "[SELECT 1;]");
	cuts("/* x; /* y; */ z; */ SELECT 1; b;", "[SELECT 1;][b;]");
	cuts("a -- x;\n; b;", "[a -- x;\n;][b;]");
	cuts("a /* ; */; b;", "[a /* ; */;][b;]");
	cuts("a '--'; b;", "[a '--';][b;]");
	cuts("a */* ; */ 1; b;", "[a */* ; */ 1;][b;]");
	/* What may still go on is not given up. */
	cuts("-- open", "(-- open)");
	cuts("  /* open /* */", "(/* open /* */)");
	cuts("a; -- open", "[a;](-- open)");
}

static void
commands_of_psql_are_lines_before_statements(void **state)
{
	(void)state;
	cuts(
	    "\\restrict abc;'\nSELECT 1;\n\\unrestrict abc;'\n", "[SELECT 1;]");
	cuts("\\set ON_ERROR_STOP on\n\n\\connect x\nb;", "[b;]");
	cuts("a \\ b; c;", "[a \\ b;][c;]");
	cuts("\\open", "(\\open)");
}

static void
a_body_in_sql_is_one_statement(void **state)
{
	static const char body[] =
	    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT "
	    "CASE WHEN true THEN 1 ELSE 2 END; SELECT 'end;'; END;";
	char text[512], want[512];

	(void)state;
	(void)snprintf(text, sizeof text, "%s b;", body);
	(void)snprintf(want, sizeof want, "[%s][b;]", body);
	cuts(text, want);
	cuts("create or replace procedure p() begin atomic; end; b;",
	    "[create or replace procedure p() begin atomic; end;][b;]");
	cuts("/**/ CREATE /**/ PROCEDURE p() BEGIN ATOMIC a; END ; b;",
	    "[CREATE /**/ PROCEDURE p() BEGIN ATOMIC a; END ;][b;]");
	/* Elsewhere these words are nothing. */
	cuts("BEGIN; b; END;", "[BEGIN;][b;][END;]");
	cuts("CREATE TABLE t (\"begin\" int); b;",
	    "[CREATE TABLE t (\"begin\" int);][b;]");
	cuts("CREATE VIEW begin AS x; b;", "[CREATE VIEW begin AS x;][b;]");
	cuts("CREATE FUNCTION begin_x() AS 'x'; b;",
	    "[CREATE FUNCTION begin_x() AS 'x';][b;]");
	cuts("CREATE FUNCTION f(\"begin\" int) AS 'x'; b;",
	    "[CREATE FUNCTION f(\"begin\" int) AS 'x';][b;]");
}

static void
parentheses_keep_the_parts_of_a_rule_together(void **state)
{
	(void)state;
	cuts("CREATE RULE r AS ON INSERT TO t DO (a; b;); c;",
	    "[CREATE RULE r AS ON INSERT TO t DO (a; b;);][c;]");
	cuts("a ')' (b '(' ; c) ; d;", "[a ')' (b '(' ; c) ;][d;]");
	cuts("a ); b;", "[a );][b;]");
}

/* ---- tokens ---- */

static void
token(const char *s, size_t n, const char *want, bool want_quoted)
{
	char buf[32];
	bool quoted = !want_quoted;

	assert_true(sql_token(s, strlen(s), n, buf, sizeof buf, &quoted));
	assert_string_equal(buf, want);
	assert_int_equal(quoted, want_quoted);
}

static void
tokens_are_unquoted_and_folded(void **state)
{
	static const char s[] = "-- c\nCOPY Sales.\"Or;d\"\"er\"(a,\xc3\x84$1) "
				"E'x\\'' $$y$$ 12.5 U&\"d\\0061t\" ;";
	static const struct {
		const char *text;
		bool quoted;
	} want[] = { { "copy", false }, { "sales", false }, { ".", false },
		{ "Or;d\"er", true }, { "(", false }, { "a", false },
		{ ",", false }, { "\xc3\x84$1", false }, { ")", false },
		{ "E'x\\''", false }, { "$$y$$", false }, { "12.5", false },
		{ "d\\0061t", true }, { ";", false } };
	char buf[8];

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		token(s, i, want[i].text, want[i].quoted);
	assert_false(sql_token(
	    s, strlen(s), sizeof want / sizeof *want, buf, sizeof buf, NULL));
	assert_true(sql_token("abcdefghijk", 11, 0, buf, sizeof buf, NULL));
	assert_string_equal(buf, "abcdefg");
	assert_false(sql_token("a 'open", 7, 1, buf, sizeof buf, NULL));
	token("\"\"", 0, "", true);
}

static void
a_statement_begins_with_words_not_with_names(void **state)
{
	static const char s[] = " /* x */ Create\nROLE \"login\" LOGIN;";

	(void)state;
	assert_true(sql_begins(s, strlen(s), "create role"));
	assert_true(sql_begins(s, strlen(s), "create"));
	assert_true(sql_begins(s, strlen(s), ""));
	assert_false(sql_begins(s, strlen(s), "create role login"));
	assert_false(sql_begins(s, strlen(s), "create rol"));
	assert_false(sql_begins(s, strlen(s), "create roles"));
	assert_false(sql_begins("create", 6, "create role"));
	assert_false(sql_begins("", 0, "create"));
	assert_false(sql_begins("\"copy\" x", 8, "copy"));
	assert_true(sql_begins("copyx", 4, "copy"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_end_at_their_semicolon),
		cmocka_unit_test(quotes_hide_semicolons),
		cmocka_unit_test(a_string_goes_on_behind_a_line_end),
		cmocka_unit_test(dollar_quotes_hide_everything),
		cmocka_unit_test(comments_are_skipped_and_nest),
		cmocka_unit_test(commands_of_psql_are_lines_before_statements),
		cmocka_unit_test(a_body_in_sql_is_one_statement),
		cmocka_unit_test(parentheses_keep_the_parts_of_a_rule_together),
		cmocka_unit_test(tokens_are_unquoted_and_folded),
		cmocka_unit_test(a_statement_begins_with_words_not_with_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
