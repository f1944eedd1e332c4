/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/plugin.h>

#include "base/error.h"
#include "cli/exit.h"
#include "cli/progress.h"
#include "base/text.h"
#include "cli/render.h"

static void
assert_quoted(const char *text, const char *expected)
{
	char *quoted = text_quote(text);

	assert_non_null(quoted);
	assert_string_equal(quoted, expected);
	free(quoted);
}

static void
words_for_a_shell_are_quoted_where_they_must_be(void **state)
{
	(void)state;
	assert_quoted("/var/backups/app.db", "/var/backups/app.db");
	assert_quoted("", "''");
	assert_quoted("with space", "'with space'");
	assert_quoted("it's", "'it'\\''s'");
	assert_quoted("$(rm -rf /)", "'$(rm -rf /)'");
	assert_quoted("Größe", "'Größe'");
}

/* A shell is the judge. */
static void
quoted_words_come_through_a_shell(void **state)
{
	static const char *const words[] = { "a b", "'", "\"", "\\", "$HOME",
		"`id`", "*", "~", "a;b", "!x", "#c", "日本", "a'b'c" };

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		char *quoted = text_quote(words[i]);
		char command[200], got[100] = "";
		FILE *f;

		(void)snprintf(
		    command, sizeof command, "printf %%s %s", quoted);
		f = popen(command, "r");
		assert_non_null(f);
		assert_non_null(fgets(got, sizeof got, f));
		(void)pclose(f);
		assert_string_equal(got, words[i]);
		free(quoted);
	}
}

static char *
printed(enum render_style style, const char *text)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	assert_non_null(f);
	render_word(f, style, text);
	assert_int_equal(fclose(f), 0);
	return out;
}

static void
control_characters_never_reach_a_terminal(void **state)
{
	char *out = printed(RENDER_BAD, "a\033[31mb\nc\177d\302\233e\303\274");

	(void)state;
	assert_string_equal(out, "a?[31mb?c?d?e\303\274");
	free(out);
}

static void
table_columns_are_aligned_by_characters(void **state)
{
	static const char *const heads[] = { "NAME", ">SIZE", "END", NULL };
	struct render_table *t = render_table_new(heads);
	struct hf_error err;
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	(void)state;
	assert_non_null(f);
	error_clear(&err);
	render_cell(t, RENDER_PLAIN, "%s", "Größe");
	render_cell(t, RENDER_PLAIN, "%d", 7);
	render_cell(t, RENDER_GOOD, "ok");
	render_cell(t, RENDER_PLAIN, "%s", "b");
	render_cell(t, RENDER_PLAIN, "%d", 12345);
	render_cell(t, RENDER_BAD, "bad");
	assert_int_equal(render_table_print(t, f, &err), HF_OK);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(out, "NAME    SIZE  END\n"
				 "Größe      7  ok\n"
				 "b      12345  bad\n");
	free(out);
}

static void
text_that_is_not_utf8_is_still_json(void **state)
{
	json_t *s = render_string("a\377b");

	(void)state;
	assert_non_null(s);
	assert_string_equal(json_string_value(s), "a?b");
	json_decref(s);
	s = render_string("日本");
	assert_string_equal(json_string_value(s), "日本");
	json_decref(s);
}

static void
error_in_json_has_all_its_parts(void **state)
{
	struct hf_error err;
	json_t *doc;

	(void)state;
	error_clear(&err);
	error_fail(&err, HF_E_DENIED, "no");
	error_context(&err, "inner");
	error_context(&err, "outer");
	error_note(&err, "http", "403");
	error_hint(&err, "Ask.");
	doc = render_json_error(&err);
	assert_string_equal(
	    json_string_value(json_object_get(doc, "status")), "DENIED");
	assert_string_equal(
	    json_string_value(json_object_get(doc, "message")), "no");
	assert_string_equal(
	    json_string_value(json_object_get(doc, "hint")), "Ask.");
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(doc, "while"), 0)),
	    "outer");
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(doc, "notes"), "http")),
	    "403");
	json_decref(doc);
}

static void
progress_says_what_is_known(void **state)
{
	char text[200];

	(void)state;
	progress_text(text, sizeof text, "shop", "backup", 1 << 20, 0, 0);
	assert_string_equal(text, "shop backup  1.0 MiB");
	progress_text(text, sizeof text, "shop", "backup", 1 << 20, 4 << 20, 0);
	assert_string_equal(text, "shop backup  1.0 MiB of 4.0 MiB  25%");
	progress_text(
	    text, sizeof text, "shop", "backup", 1 << 20, 4 << 20, 1 << 20);
	assert_non_null(strstr(text, "  1.0 MiB/s  "));
	assert_non_null(strstr(text, " left"));
	/* More than was expected: no percentage above 100. */
	progress_text(text, sizeof text, "shop", "backup", 5 << 20, 4 << 20, 1);
	assert_null(strstr(text, "%"));
	assert_null(strstr(text, "left"));
}

static void
each_status_has_its_exit_code(void **state)
{
	(void)state;
	assert_int_equal(exit_from_status(HF_OK), 0);
	assert_int_equal(exit_from_status(HF_E_IO), 1);
	assert_int_equal(exit_from_status(HF_E_NOSPACE), 1);
	assert_int_equal(exit_from_status(HF_E_EXISTS), 1);
	assert_int_equal(exit_from_status(HF_E_INVALID), 2);
	assert_int_equal(exit_from_status(HF_E_CORRUPT), 4);
	assert_int_equal(exit_from_status(HF_E_NOTFOUND), 10);
	assert_int_equal(exit_from_status(HF_E_DENIED), 12);
	assert_int_equal(exit_from_status(HF_E_CANCELLED), 130);
}

static void
worst_of_two_codes_says_more(void **state)
{
	static const int rising[] = { 0, 5, 3, 11, 4, 1, 130 };

	(void)state;
	for (size_t a = 0; a < 7; a++)
		for (size_t b = 0; b < 7; b++)
			assert_int_equal(exit_worst(rising[a], rising[b]),
			    rising[a > b ? a : b]);
	assert_int_equal(exit_worst(10, 10), 10);
	assert_int_equal(exit_worst(10, 3), 10);
	assert_int_equal(exit_worst(10, 12), 1);
	assert_int_equal(exit_worst(2, 1), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    words_for_a_shell_are_quoted_where_they_must_be),
		cmocka_unit_test(quoted_words_come_through_a_shell),
		cmocka_unit_test(control_characters_never_reach_a_terminal),
		cmocka_unit_test(table_columns_are_aligned_by_characters),
		cmocka_unit_test(text_that_is_not_utf8_is_still_json),
		cmocka_unit_test(error_in_json_has_all_its_parts),
		cmocka_unit_test(progress_says_what_is_known),
		cmocka_unit_test(each_status_has_its_exit_code),
		cmocka_unit_test(worst_of_two_codes_says_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
