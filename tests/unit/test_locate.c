/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/locate.h"
#include "config/path.h"

static const char text[] =
    "{\n"
    "\t\"version\": 1,\n"
    "  \"sinks\": { \"nas\": { \"type\": \"dir\" } },\n"
    "  \"a.b\": { \"x]y\": [ 1, [2, {\"deep\": 3}] ] },\n"
    "  \"q\\\"uote\": 4, \"caf\\u00e9\": 5,\n"
    "  \"\\ud83d\\ude00\": 6, \"h\xc3\xa9\": \"\xc3\xa9\", "
    "\"after\": 7,\n"
    "  \"text\": \"}, \\\" {[\", \"empty\": [], \"\": 8,\n"
    "  \"last\": {}\n"
    "}\n";

static void
at(const char *path, bool key, bool there, int line, int column)
{
	int l = 0, c = 0;
	bool found = locate_path(text, path, key, &l, &c);

	if (found != there || l != line || c != column)
		fail_msg("%s (%s): %d:%d %s, expected %d:%d %s", path,
		    key ? "key" : "value", l, c, found ? "found" : "missing",
		    line, column, there ? "found" : "missing");
}

static void
keys_and_values_have_their_own_places(void **state)
{
	(void)state;
	at("", false, true, 1, 1);
	at("version", true, true, 2, 2);
	at("version", false, true, 2, 13);
	at("sinks.nas.type", true, true, 3, 23);
	at("sinks.nas.type", false, true, 3, 31);
	at("last", false, true, 8, 11);
}

static void
keys_that_are_not_plain_are_found(void **state)
{
	(void)state;
	at("[\"a.b\"]", true, true, 4, 3);
	at("[\"a.b\"][\"x]y\"]", true, true, 4, 12);
	at("[\"a.b\"][\"x]y\"][1][1].deep", true, true, 4, 29);
	at("[\"a.b\"][\"x]y\"][1][1].deep", false, true, 4, 37);
	at("[\"q\\\"uote\"]", false, true, 5, 14);
	at("[\"\"]", false, true, 7, 40);
}

static void
escapes_in_the_text_are_the_characters_that_they_mean(void **state)
{
	(void)state;
	at("caf\xc3\xa9", false, true, 5, 30);
	at("\xf0\x9f\x98\x80", false, true, 6, 19);
}

static void
columns_count_characters_not_bytes(void **state)
{
	(void)state;
	at("h\xc3\xa9", false, true, 6, 28);
	at("after", true, true, 6, 33);
}

static void
brackets_and_quotes_inside_of_texts_are_text(void **state)
{
	(void)state;
	at("text", false, true, 7, 11);
	at("empty", false, true, 7, 32);
}

static void
a_path_is_followed_as_far_as_it_goes(void **state)
{
	(void)state;
	at("sinks.nas.path", false, false, 3, 21);
	at("sinks.nas.path", true, false, 3, 14);
	at("sinks.offsite.type", true, false, 3, 3);
	at("empty[0]", false, false, 7, 32);
	at("[\"a.b\"][\"x]y\"][7]", false, false, 4, 19);
	at("version.deeper", false, false, 2, 13);
	at("nothing", false, false, 1, 1);
	at("sinks[0]", false, false, 3, 12);
}

static void
what_is_no_path_points_at_the_root_and_ends(void **state)
{
	(void)state;
	at("[", false, false, 1, 1);
	at("[\"open", false, false, 1, 1);
	at("[99999999999999999999]", false, false, 1, 1);
	at("..", false, false, 1, 1);
}

static void
text_that_ends_early_is_no_danger(void **state)
{
	char cut[sizeof text];
	int line, column;

	(void)state;
	for (size_t i = 0; i < sizeof text; i++) {
		memcpy(cut, text, i);
		cut[i] = '\0';
		(void)locate_path(
		    cut, "[\"a.b\"][\"x]y\"][1][1].deep", true, &line, &column);
		(void)locate_path(
		    cut, "\xf0\x9f\x98\x80", false, &line, &column);
		(void)locate_path(cut, "last", false, &line, &column);
		assert_true(line >= 1 && column >= 1);
	}
}

static void
paths_that_are_built_are_found_again(void **state)
{
	static const char *const keys[] = { "plain", "a.b", "x]y", "q\"uote",
		"back\\slash", "", "caf\xc3\xa9", "sp ace" };
	struct path path = PATH_INIT;
	json_t *doc, *inner;

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		char *json;
		int line, column;

		inner = json_pack("[i, {s:i}]", 1, keys[i], 2);
		doc = json_pack("{s:o}", keys[i], inner);
		json = json_dumps(doc, 0);
		path_cut(&path, 0);
		(void)path_key(&path, keys[i]);
		(void)path_index(&path, 1);
		(void)path_key(&path, keys[i]);
		assert_int_equal(
		    json_integer_value(path_find(doc, path_text(&path))), 2);
		assert_true(
		    locate_path(json, path_text(&path), false, &line, &column));
		if (strchr(keys[i], '\xc3') == NULL)
			assert_int_equal(json[column - 1], '2');
		free(json);
		json_decref(doc);
	}
	path_free(&path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_values_have_their_own_places),
		cmocka_unit_test(keys_that_are_not_plain_are_found),
		cmocka_unit_test(
		    escapes_in_the_text_are_the_characters_that_they_mean),
		cmocka_unit_test(columns_count_characters_not_bytes),
		cmocka_unit_test(brackets_and_quotes_inside_of_texts_are_text),
		cmocka_unit_test(a_path_is_followed_as_far_as_it_goes),
		cmocka_unit_test(what_is_no_path_points_at_the_root_and_ends),
		cmocka_unit_test(text_that_ends_early_is_no_danger),
		cmocka_unit_test(paths_that_are_built_are_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
