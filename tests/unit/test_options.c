/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "plugin/options.h"

struct conf {
	const char *path, *mode, *password, *slot;
	bool fast;
	int64_t level, size, wait, least;
	const char *const *tables, *const *modes;
};

#define O(n, t, f, m, d, c)                                     \
	{                                                       \
		.name = (n), .type = (t), .flags = (f),         \
		.offset = offsetof(struct conf, m), .def = (d), \
		.choices = (c), .help = "what it is"            \
	}

static const struct hf_option table[] = {
	O("path", HF_OPT_PATH, HF_OPT_REQUIRED, path, NULL, NULL),
	O("mode", HF_OPT_ENUM, 0, mode, "online", "online|offline|auto"),
	O("password", HF_OPT_STRING, HF_OPT_SECRET, password, NULL, NULL),
	O("wal.slot", HF_OPT_STRING, 0, slot, NULL, NULL),
	O("wal.fast", HF_OPT_BOOL, 0, fast, "true", NULL),
	O("level", HF_OPT_INT, 0, level, "6", "1..9"),
	O("least", HF_OPT_INT, 0, least, NULL, "0.."),
	O("size", HF_OPT_SIZE, 0, size, "16MiB", NULL),
	O("wait", HF_OPT_DURATION, 0, wait, "90s", NULL),
	O("tables", HF_OPT_STRING, HF_OPT_LIST, tables, NULL, NULL),
	O("modes", HF_OPT_ENUM, HF_OPT_LIST, modes, "a|b", "a|b|c"),
	{ .name = NULL },
};

static char scratch[64];

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(scratch, sizeof scratch, "/tmp/hf-options-XXXXXX");
	return mkdtemp(scratch) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	secret_forget();
	return rmdir(scratch);
}

/* What the callback saw: "path|text|hint\n" each. */
static char seen[4096];
static int problems;

static void
note(void *arg, const char *path, const char *text, const char *hint)
{
	size_t len = strlen(seen);

	assert_null(arg);
	(void)snprintf(seen + len, sizeof seen - len, "%s|%s|%s\n", path, text,
	    hint == NULL ? "" : hint);
	problems++;
}

static const char *const reserved[] = { "type", "through", NULL };

static struct options_input
input(json_t *object)
{
	return (struct options_input){ .table = table,
		.stride = sizeof *table,
		.conf_size = sizeof(struct conf),
		.object = object,
		.reserved = reserved,
		.base_dir = "/base",
		.resolve = true };
}

static json_t *
json(const char *text)
{
	json_error_t e;
	json_t *j = json_loads(text, 0, &e);

	if (j == NULL)
		fail_msg("%s in %s", e.text, text);
	return j;
}

static struct options *
parse(const char *text)
{
	struct hf_error err = { .status = HF_OK };
	json_t *j = json(text);
	struct options_input in = input(j);
	struct options *o;

	if (options_parse(&in, &o, note, NULL, &err) != HF_OK)
		fail_msg("%s: %s", text, err.cause);
	assert_non_null(o);
	json_decref(j);
	return o;
}

/* The text has just this problem, with these words in it. */
static void
wrong(const char *text, const char *problem)
{
	struct hf_error err = { .status = HF_OK };
	json_t *j = json(text);
	struct options_input in = input(j);
	struct options *o;

	seen[0] = '\0';
	problems = 0;
	if (options_parse(&in, &o, note, NULL, &err) != HF_E_INVALID)
		fail_msg("nothing is wrong with %s", text);
	assert_null(o);
	if (problems != 1 || strstr(seen, problem) == NULL)
		fail_msg("%s: \"%s\" is not in \"%s\"", text, problem, seen);
	json_decref(j);
}

static void
defaults_are_taken(void **state)
{
	struct options *o = parse("{\"path\": \"a.db\"}");
	const struct conf *c = options_conf(o);

	(void)state;
	assert_string_equal(c->path, "/base/a.db");
	assert_string_equal(c->mode, "online");
	assert_null(c->password);
	assert_null(c->slot);
	assert_true(c->fast);
	assert_int_equal(c->level, 6);
	assert_int_equal(c->least, 0);
	assert_int_equal(c->size, 16 << 20);
	assert_int_equal(c->wait, 90000);
	assert_null(c->tables);
	assert_string_equal(c->modes[0], "a");
	assert_string_equal(c->modes[1], "b");
	assert_null(c->modes[2]);
	options_free(o);
}

static void
values_of_every_type_are_parsed(void **state)
{
	struct options *o = parse(
	    "{\"type\": \"x\", \"through\": [], \"$comment\": 1,"
	    " \"path\": \"/abs/a.db\", \"mode\": \"auto\","
	    " \"wal\": {\"slot\": \"s\", \"fast\": false, \"$comment\": \"\"},"
	    " \"level\": 9, \"least\": \"77\", \"size\": 4096,"
	    " \"wait\": \"1h30m\", \"tables\": [\"a\", \"b c\", \"\"],"
	    " \"modes\": []}");
	const struct conf *c = options_conf(o);

	(void)state;
	assert_string_equal(c->path, "/abs/a.db");
	assert_string_equal(c->mode, "auto");
	assert_string_equal(c->slot, "s");
	assert_false(c->fast);
	assert_int_equal(c->level, 9);
	assert_int_equal(c->least, 77);
	assert_int_equal(c->size, 4096);
	assert_int_equal(c->wait, 5400000);
	assert_string_equal(c->tables[1], "b c");
	assert_string_equal(c->tables[2], "");
	assert_null(c->tables[3]);
	assert_non_null(c->modes);
	assert_null(c->modes[0]);
	options_free(o);
}

static void
unknown_keys_name_the_nearest_and_the_valid(void **state)
{
	(void)state;
	wrong("{\"path\": \"a\", \"levle\": 3}",
	    "levle|unknown key|Did you mean \"level\"?  Valid here: path, mode,"
	    " password, wal, level, least, size, wait, tables, modes, type,"
	    " through.");
	wrong("{\"path\": \"a\", \"wal\": {\"slto\": \"x\"}}",
	    "wal.slto|unknown key|Did you mean \"slot\"?  Valid here: slot, "
	    "fast.");
	wrong("{\"path\": \"a\", \"wal.slot\": \"x\"}",
	    "[\"wal.slot\"]|unknown key|Write { \"wal\": { \"slot\": ... } }.");
	wrong("{\"path\": \"a\", \"wal\": {\"type\": \"x\"}}",
	    "wal.type|unknown key|");
	wrong("{\"path\": \"a\", \"wal\": true}", "wal|expected an object|");
}

static void
wrong_values_say_what_was_expected_and_found(void **state)
{
	(void)state;
	wrong("{}", "path|is required (path)|what it is");
	wrong("{\"path\": 5}", "path|expected a path, found 5|");
	wrong("{\"path\": \"\"}", "path|expected a path, found \"\"|");
	wrong("{\"path\": null}", "path|expected a path, found null|");
	wrong("{\"path\": [\"a\"]}", "path|expected a path, found a list|");
	wrong("{\"path\": \"a\", \"mode\": \"onlin\"}",
	    "mode|expected one of online, offline, auto, found \"onlin\"|Did "
	    "you mean \"online\"?");
	wrong("{\"path\": \"a\", \"level\": 10}",
	    "level|expected a whole number from 1 to 9, found 10|");
	wrong("{\"path\": \"a\", \"level\": 1.5}",
	    "level|expected a whole number from 1 to 9, found 1.5|");
	wrong("{\"path\": \"a\", \"level\": \"7x\"}",
	    "level|expected a whole number from 1 to 9, found \"7x\"|");
	wrong("{\"path\": \"a\", \"least\": -1}",
	    "least|expected a whole number of at least 0, found -1|");
	wrong("{\"path\": \"a\", \"size\": \"16 apples\"}",
	    "size|expected a size such as \"16MiB\", found \"16 apples\"|");
	wrong("{\"path\": \"a\", \"size\": -1}",
	    "size|expected a size such as \"16MiB\", found -1|");
	wrong("{\"path\": \"a\", \"wait\": 90}",
	    "wait|expected a duration such as \"90s\", found 90|Write a unit: "
	    "\"90s\", \"90m\".");
	wrong("{\"path\": \"a\", \"wait\": \"90\"}",
	    "wait|expected a duration such as \"90s\", found \"90\"|Write a "
	    "unit");
	wrong("{\"path\": \"a\", \"wal\": {\"fast\": \"perhaps\"}}",
	    "wal.fast|expected true or false, found \"perhaps\"|");
	wrong("{\"path\": \"a\", \"wal\": {\"fast\": 1}}",
	    "wal.fast|expected true or false, found 1|");
	wrong("{\"path\": \"a\", \"tables\": [\"a\", 5]}",
	    "tables[1]|expected text, found 5|");
	wrong("{\"path\": \"a\", \"modes\": [\"a\", \"d\"]}",
	    "modes[1]|expected one of a, b, c, found \"d\"|");
	wrong("{\"path\": \"a\", \"size\": {\"enviroment\": \"X\"}}",
	    "size|expected a size such as \"16MiB\", found an object|A value "
	    "from elsewhere");
	wrong("{\"path\": \"a\", \"size\": {\"env\": \"X\", \"x\": 1}}",
	    "size.x|unknown key|");
	wrong("{\"path\": \"a\", \"size\": {\"env\": 5}}",
	    "size|expected a name in \"env\"|");
	wrong("{\"path\": \"a\", \"size\": {\"file\": \"x\","
	      " \"default\": 1}}",
	    "size.default|unknown key|");
}

static void
all_problems_are_told_and_the_first_is_the_error(void **state)
{
	struct hf_error err = { .status = HF_OK };
	json_t *j = json("{\"level\": 0, \"wiat\": 1, \"mode\": \"x\"}");
	struct options_input in = input(j);
	struct options *o;

	(void)state;
	seen[0] = '\0';
	problems = 0;
	assert_int_equal(
	    options_parse(&in, &o, note, NULL, &err), HF_E_INVALID);
	assert_int_equal(problems, 4);
	assert_string_equal(err.cause, "wiat: unknown key");
	assert_non_null(strstr(error_get(&err, "hint"), "\"wait\""));
	json_decref(j);
	in.object = NULL;
	assert_int_equal(
	    options_parse(&in, &o, NULL, NULL, NULL), HF_E_INVALID);
	in.object = j = json("[]");
	assert_int_equal(
	    options_parse(&in, &o, NULL, NULL, NULL), HF_E_INVALID);
	json_decref(j);
}

static void
environment_gives_values(void **state)
{
	struct options *o;
	const struct conf *c;

	(void)state;
	(void)setenv("HF_TEST_PATH", "data/x.db", 1);
	(void)setenv("HF_TEST_LEVEL", "2", 1);
	(void)setenv("HF_TEST_BAD", "two", 1);
	(void)setenv("HF_TEST_EMPTY", "", 1);
	(void)unsetenv("HF_TEST_UNSET");
	o = parse("{\"path\": {\"env\": \"HF_TEST_PATH\"},"
		  " \"level\": {\"env\": \"HF_TEST_LEVEL\", \"default\": 3},"
		  " \"size\": {\"env\": \"HF_TEST_UNSET\","
		  "  \"default\": \"1KiB\", \"$comment\": \"why\"},"
		  " \"least\": {\"env\": \"HF_TEST_EMPTY\", \"default\": 4},"
		  " \"tables\": [{\"env\": \"HF_TEST_LEVEL\"}, \"t\"]}");
	c = options_conf(o);
	assert_string_equal(c->path, "/base/data/x.db");
	assert_int_equal(c->level, 2);
	assert_int_equal(c->size, 1024);
	assert_int_equal(c->least, 4);
	assert_string_equal(c->tables[0], "2");
	assert_string_equal(c->tables[1], "t");
	options_free(o);
	wrong("{\"path\": {\"env\": \"HF_TEST_UNSET\"}}",
	    "path|the environment variable HF_TEST_UNSET is not set|Set it");
	wrong("{\"path\": {\"env\": \"HF_TEST_EMPTY\"}}",
	    "path|the environment variable HF_TEST_EMPTY is empty|Set it");
	wrong("{\"path\": \"a\", \"level\": {\"env\": \"HF_TEST_BAD\"}}",
	    "level|expected a whole number from 1 to 9, found \"two\" in the "
	    "environment variable HF_TEST_BAD|");
	wrong("{\"path\": \"a\", \"level\": {\"env\": \"HF_TEST_UNSET\","
	      " \"default\": 12}}",
	    "level|expected a whole number from 1 to 9, found 12|");
}

static void
file_gives_a_value_without_its_last_newline(void **state)
{
	struct hf_error err = { .status = HF_OK };
	json_t *j = json("{\"path\": \"a\","
			 " \"password\": {\"file\": \"secret\"}}");
	struct options_input in = input(j);
	char path[128], line[] = "tellmenot 7";
	char *big = calloc(1, 70000);
	struct options *o;

	(void)state;
	in.base_dir = scratch;
	(void)snprintf(path, sizeof path, "%s/secret", scratch);
	assert_int_equal(file_write(path, "tellmenot\n\n", 11, &err), HF_OK);
	assert_int_equal(options_parse(&in, &o, NULL, NULL, &err), HF_OK);
	assert_string_equal(
	    ((const struct conf *)options_conf(o))->password, "tellmenot\n");
	options_free(o);
	assert_int_equal(file_write(path, "tellmenot", 9, &err), HF_OK);
	assert_int_equal(options_parse(&in, &o, NULL, NULL, &err), HF_OK);
	assert_string_equal(
	    ((const struct conf *)options_conf(o))->password, "tellmenot");
	options_free(o);
	/* It is a secret now, for the log too. */
	secret_scrub(line);
	assert_string_equal(line, "********* 7");

	assert_int_equal(file_write(path, "a\0b", 3, &err), HF_OK);
	assert_int_equal(
	    options_parse(&in, &o, NULL, NULL, &err), HF_E_INVALID);
	assert_non_null(strstr(err.cause, "NUL"));
	assert_non_null(big);
	memset(big, 'x', 70000);
	assert_int_equal(file_write(path, big, 70000, &err), HF_OK);
	assert_int_equal(
	    options_parse(&in, &o, NULL, NULL, &err), HF_E_INVALID);
	assert_non_null(strstr(err.cause, "larger than 65536"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(
	    options_parse(&in, &o, NULL, NULL, &err), HF_E_INVALID);
	assert_non_null(strstr(err.cause, path));
	free(big);
	json_decref(j);
}

static void
secret_inline_is_refused_unless_allowed(void **state)
{
	const char *text = "{\"path\": \"a\", \"password\": \"hunter2\"}";
	json_t *j = json(text);
	struct options_input in = input(j);
	struct options *o;

	(void)state;
	wrong(text, "password|a secret may not be written here|Write {\"env\": "
		    "\"NAME\"} or {\"file\": \"PATH\"} instead.");
	assert_null(strstr(seen, "hunter2"));
	wrong("{\"path\": \"a\", \"password\": {\"env\": \"HF_TEST_UNSET\","
	      " \"default\": \"hunter2\"}}",
	    "password|a secret may not be written here|");
	wrong("{\"path\": \"a\", \"password\": 12345}",
	    "password|expected text, found something else|");
	in.allow_inline_secrets = true;
	assert_int_equal(options_parse(&in, &o, NULL, NULL, NULL), HF_OK);
	assert_string_equal(
	    ((const struct conf *)options_conf(o))->password, "hunter2");
	options_free(o);
	json_decref(j);
}

static void
shapes_are_checked_without_reading_anything(void **state)
{
	json_t *j = json("{\"path\": {\"env\": \"HF_TEST_UNSET\"},"
			 " \"password\": {\"file\": \"/nowhere\"},"
			 " \"tables\": [{\"env\": \"HF_TEST_UNSET\"}]}");
	struct options_input in = input(j);
	struct options *o;

	(void)state;
	in.resolve = false;
	assert_int_equal(options_parse(&in, &o, note, NULL, NULL), HF_OK);
	assert_null(o);
	json_decref(j);
	in.object = j = json("{\"path\": {\"env\": \"X\", \"default\": 5}}");
	assert_int_equal(
	    options_parse(&in, &o, NULL, NULL, NULL), HF_E_INVALID);
	json_decref(j);
}

static void
plugin_without_options_takes_none(void **state)
{
	json_t *j = json("{\"type\": \"x\"}");
	struct options_input in = input(j);
	struct options *o;

	(void)state;
	in.table = NULL;
	in.conf_size = 0;
	assert_int_equal(options_parse(&in, &o, NULL, NULL, NULL), HF_OK);
	assert_non_null(options_conf(o));
	options_free(o);
	json_decref(j);
	in.object = j = json("{\"level\": 1}");
	assert_int_equal(
	    options_parse(&in, &o, NULL, NULL, NULL), HF_E_INVALID);
	json_decref(j);
}

static void
arguments_become_json(void **state)
{
	static const char *const args[] = { "path=a=b", "wal.slot=s",
		"wal.fast=no", "tables=x", "tables=y", "tables=z",
		"password={\"env\": \"HF_TEST_PW\"}", "mode={x", NULL };
	static const char *const wrongs[][2] = { { "level", NULL },
		{ "=x", NULL }, { ".=x", NULL }, { "a..b=x", NULL },
		{ "a=\xff\xfe", NULL } };
	struct hf_error err = { .status = HF_OK };
	json_t *j,
	    *want = json(
		"{\"path\": \"a=b\", \"wal\": {\"slot\": \"s\", \"fast\": "
		"\"no\"},"
		" \"tables\": [\"x\", \"y\", \"z\"],"
		" \"password\": {\"env\": \"HF_TEST_PW\"}, \"mode\": \"{x\"}");

	(void)state;
	assert_int_equal(options_from_args(args, &j, &err), HF_OK);
	assert_true(json_equal(j, want));
	json_decref(j);
	json_decref(want);
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		assert_int_equal(
		    options_from_args(wrongs[i], &j, &err), HF_E_INVALID);
		assert_null(j);
	}
	assert_int_equal(options_from_args(NULL, &j, &err), HF_OK);
	assert_int_equal(json_object_size(j), 0);
	json_decref(j);
}

static void
arguments_parse_as_options(void **state)
{
	static const char *const args[] = { "path=a", "wal.fast=no",
		"tables=one", "level=3", NULL };
	struct options_input in;
	struct options *o;
	const struct conf *c;
	json_t *j;

	(void)state;
	assert_int_equal(options_from_args(args, &j, NULL), HF_OK);
	in = input(j);
	assert_int_equal(options_parse(&in, &o, NULL, NULL, NULL), HF_OK);
	c = options_conf(o);
	assert_false(c->fast);
	assert_int_equal(c->level, 3);
	assert_string_equal(c->tables[0], "one");
	assert_null(c->tables[1]);
	options_free(o);
	json_decref(j);
}

static void
schema_says_the_same_as_the_table(void **state)
{
	json_t *s = options_schema(table, sizeof *table);
	json_t *p = json_object_get(s, "properties"), *j;

	(void)state;
	assert_non_null(s);
	assert_true(json_is_false(json_object_get(s, "additionalProperties")));
	j = json("[\"path\"]");
	assert_true(json_equal(json_object_get(s, "required"), j));
	json_decref(j);
	/* Ten names at the top, and $comment. */
	assert_int_equal(json_object_size(p), 11);
	j = json("{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 9}");
	assert_true(json_equal(
	    json_array_get(
		json_object_get(json_object_get(p, "level"), "oneOf"), 0),
	    j));
	json_decref(j);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(p, "level"), "default")),
	    6);
	/* A secret has only the two indirect forms. */
	j = json("[{\"$ref\": \"#/$defs/env\"}, {\"$ref\": \"#/$defs/file\"}]");
	assert_true(json_equal(
	    json_object_get(json_object_get(p, "password"), "oneOf"), j));
	json_decref(j);
	j = json("[\"a\", \"b\"]");
	assert_true(json_equal(
	    json_object_get(json_object_get(p, "modes"), "default"), j));
	json_decref(j);
	j = json_object_get(json_object_get(p, "wal"), "properties");
	assert_non_null(json_object_get(j, "slot"));
	assert_true(json_is_true(
	    json_object_get(json_object_get(j, "fast"), "default")));
	json_decref(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_taken),
		cmocka_unit_test(values_of_every_type_are_parsed),
		cmocka_unit_test(unknown_keys_name_the_nearest_and_the_valid),
		cmocka_unit_test(wrong_values_say_what_was_expected_and_found),
		cmocka_unit_test(
		    all_problems_are_told_and_the_first_is_the_error),
		cmocka_unit_test(environment_gives_values),
		cmocka_unit_test(file_gives_a_value_without_its_last_newline),
		cmocka_unit_test(secret_inline_is_refused_unless_allowed),
		cmocka_unit_test(shapes_are_checked_without_reading_anything),
		cmocka_unit_test(plugin_without_options_takes_none),
		cmocka_unit_test(arguments_become_json),
		cmocka_unit_test(arguments_parse_as_options),
		cmocka_unit_test(schema_says_the_same_as_the_table),
	};

	return cmocka_run_group_tests_name("options", tests, setup, teardown);
}
