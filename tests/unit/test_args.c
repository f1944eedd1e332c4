/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/args.h"

enum {
	OPT_FILE = 1,
	OPT_VERBOSE,
	OPT_HELP,
	OPT_VERSION,
	OPT_FORMAT,
	OPT_DRY,
	OPT_JOBS,
	OPT_PAIR,
	OPT_ONLY
};

static const struct arg_option program_options[] = {
	{ OPT_FILE, 'c', "config", "FILE", NULL, false, "the file" },
	{ OPT_VERBOSE, 'v', "verbose", NULL, NULL, true, "say more" },
	{ OPT_HELP, 'h', "help", NULL, NULL, false, "help" },
	{ OPT_VERSION, 'V', "version", NULL, NULL, false, "version" },
	{ OPT_FORMAT, 0, "format", "FORMAT", "text|json", false, "format" },
	{ .id = 0 },
};

static const struct arg_option run_options[] = {
	{ OPT_DRY, 'n', "dry-run", NULL, NULL, false, "only look" },
	{ OPT_JOBS, 'j', "jobs", "N", NULL, false, "how many at once" },
	{ OPT_PAIR, 'o', "option", "KEY=VALUE", NULL, true, "a pair" },
	{ OPT_ONLY, 0, "only", "KIND NAME", NULL, true, "two words" },
	{ .id = 0 },
};

static const struct arg_verb verbs[] = {
	{ "run", "[NAME...]", 0, ARGS_MANY, NULL, "Run them", "A text.\n",
	    run_options, NULL },
	{ "show", "NAME", 1, 1, NULL, "Show one", NULL, NULL, NULL },
	{ "set", "on|off", 1, 1, "on|off", "Set it", NULL, NULL, NULL },
	{ .name = NULL },
};

static const struct arg_table table = {
	.program = "prog",
	.summary = "A program",
	.text = "The end.\n",
	.verbs = verbs,
	.options = program_options,
	.help = OPT_HELP,
	.bare = OPT_VERSION,
};

#define PARSE(...)                                          \
	char *argv[] = { (char[]){ "prog" }, __VA_ARGS__ }; \
	struct args *args = NULL;                           \
	struct hf_error err;                                \
	int status;                                         \
	error_clear(&err);                                  \
	status = args_parse(                                \
	    &table, (int)(sizeof argv / sizeof *argv), argv, &args, &err)
#define W(s) ((char[]){ s })

static void
option_takes_two_words(void **state)
{
	PARSE(W("run"), W("--only"), W("table"), W("public.orders"), W("one"),
	    W("--only=view"), W("public.totals"), W("--only"), W("table"),
	    W("-x"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_int_equal(args_count(args, OPT_ONLY), 3);
	assert_string_equal(args_value(args, OPT_ONLY, 0), "table");
	assert_string_equal(args_second(args, OPT_ONLY, 0), "public.orders");
	assert_string_equal(args_value(args, OPT_ONLY, 1), "view");
	assert_string_equal(args_second(args, OPT_ONLY, 1), "public.totals");
	assert_string_equal(args_second(args, OPT_ONLY, 2), "-x");
	assert_null(args_second(args, OPT_ONLY, 3));
	assert_null(args_second(args, OPT_PAIR, 0));
	assert_int_equal(args_noperands(args), 1);
	args_free(args);
}

#define TOO_FEW(...)                                                        \
	do {                                                                \
		PARSE(__VA_ARGS__);                                         \
		assert_int_equal(status, HF_E_INVALID);                     \
		assert_null(args);                                          \
		assert_string_equal(                                        \
		    err.cause, "--only needs two words: --only KIND NAME"); \
	} while (0)

static void
option_of_two_words_is_not_content_with_one(void **state)
{
	(void)state;
	TOO_FEW(W("run"), W("--only"));
	TOO_FEW(W("run"), W("--only"), W("table"));
	TOO_FEW(W("run"), W("--only"), W("table"), W("--dry-run"));
	TOO_FEW(W("run"), W("--only"), W("--dry-run"), W("table"));
	TOO_FEW(W("run"), W("--only=table"));
}

static void
options_stand_before_and_behind_the_verb(void **state)
{
	PARSE(W("-c"), W("a.json"), W("run"), W("-v"), W("one"), W("-n"),
	    W("two"), W("--verbose"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_string_equal(args_verb(args)->name, "run");
	assert_string_equal(args_value(args, OPT_FILE, 0), "a.json");
	assert_null(args_value(args, OPT_FILE, 1));
	assert_int_equal(args_count(args, OPT_VERBOSE), 2);
	assert_int_equal(args_count(args, OPT_DRY), 1);
	assert_int_equal(args_noperands(args), 2);
	assert_string_equal(args_operands(args)[0], "one");
	assert_string_equal(args_operands(args)[1], "two");
	assert_null(args_operands(args)[2]);
	args_free(args);
}

static void
values_are_attached_or_follow(void **state)
{
	PARSE(W("run"), W("--config=x"), W("-j4"), W("-o"), W("a=1"),
	    W("--option"), W("b=2"), W("--option=c=3"), W("-vvn"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_string_equal(args_value(args, OPT_FILE, 0), "x");
	assert_string_equal(args_value(args, OPT_JOBS, 0), "4");
	assert_string_equal(args_value(args, OPT_PAIR, 0), "a=1");
	assert_string_equal(args_value(args, OPT_PAIR, 1), "b=2");
	assert_string_equal(args_value(args, OPT_PAIR, 2), "c=3");
	assert_int_equal(args_count(args, OPT_VERBOSE), 2);
	assert_int_equal(args_count(args, OPT_DRY), 1);
	args_free(args);
}

static void
switches_before_a_value_share_its_word(void **state)
{
	PARSE(W("run"), W("-nj"), W("7"), W("-vcfile"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_int_equal(args_count(args, OPT_DRY), 1);
	assert_string_equal(args_value(args, OPT_JOBS, 0), "7");
	assert_int_equal(args_count(args, OPT_VERBOSE), 1);
	assert_string_equal(args_value(args, OPT_FILE, 0), "file");
	args_free(args);
}

static void
nothing_behind_two_dashes_is_an_option(void **state)
{
	PARSE(W("run"), W("--"), W("-n"), W("--jobs"), W("-"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_int_equal(args_count(args, OPT_DRY), 0);
	assert_int_equal(args_noperands(args), 3);
	assert_string_equal(args_operands(args)[1], "--jobs");
	assert_string_equal(args_operands(args)[2], "-");
	args_free(args);
}

static void
a_value_may_begin_with_a_dash(void **state)
{
	PARSE(W("run"), W("-c"), W("-n"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_string_equal(args_value(args, OPT_FILE, 0), "-n");
	assert_int_equal(args_count(args, OPT_DRY), 0);
	args_free(args);
}

static void
unknown_option_gets_the_nearest(void **state)
{
	PARSE(W("run"), W("--jbos=3"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_null(args);
	assert_string_equal(err.cause, "unknown option \"--jbos\" for run");
	assert_string_equal(
	    error_get(&err, "hint"), "Did you mean \"--jobs\"?");
}

static void
names_are_not_abbreviated(void **state)
{
	PARSE(W("run"), W("--dry"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_null(args);
}

static void
option_of_a_verb_before_it_is_told_its_place(void **state)
{
	PARSE(W("--dry-run"), W("run"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_non_null(strstr(error_get(&err, "hint"), "\"run\""));
}

static void
option_of_another_verb_is_refused(void **state)
{
	PARSE(W("show"), W("x"), W("-n"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_string_equal(err.cause, "unknown option \"-n\" for show");
}

static void
unknown_verb_gets_the_nearest(void **state)
{
	PARSE(W("shwo"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_string_equal(err.cause, "unknown command \"shwo\"");
	assert_string_equal(error_get(&err, "hint"), "Did you mean \"show\"?");
}

static void
value_is_required_where_one_is_declared(void **state)
{
	PARSE(W("run"), W("--jobs"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_non_null(strstr(err.cause, "--jobs needs a value"));
}

static void
switch_takes_no_value(void **state)
{
	PARSE(W("run"), W("--dry-run=yes"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_string_equal(err.cause, "--dry-run takes no value");
}

static void
value_given_twice_is_refused(void **state)
{
	PARSE(W("-c"), W("a"), W("run"), W("--config"), W("b"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_string_equal(err.cause, "--config is given twice");
}

static void
value_outside_the_choices_is_refused(void **state)
{
	PARSE(W("run"), W("--format"), W("js"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_non_null(strstr(err.cause, "text|json"));
}

static void
operand_outside_the_choices_is_refused(void **state)
{
	PARSE(W("set"), W("of"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_string_equal(err.cause, "set: \"of\" is not one of on|off");
}

static void
too_few_operands_are_refused(void **state)
{
	PARSE(W("show"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_string_equal(err.cause, "show needs NAME");
}

static void
too_many_operands_are_refused(void **state)
{
	PARSE(W("show"), W("a"), W("b"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_string_equal(err.cause, "show: \"b\" is one word too many");
}

static void
no_verb_is_refused(void **state)
{
	PARSE(W("-v"));
	(void)state;
	assert_int_equal(status, HF_E_INVALID);
	assert_string_equal(err.cause, "no command was given");
}

static void
help_needs_no_operands(void **state)
{
	PARSE(W("show"), W("-h"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_int_equal(args_count(args, OPT_HELP), 1);
	assert_string_equal(args_verb(args)->name, "show");
	args_free(args);
}

static void
version_needs_no_verb(void **state)
{
	PARSE(W("--version"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_null(args_verb(args));
	args_free(args);
}

static void
check_number(const char *text, bool good, int64_t expected)
{
	char *argv[] = { W("prog"), W("run"), W("-j"), strdup(text) };
	struct args *args = NULL;
	struct hf_error err;
	int64_t n = 0;

	error_clear(&err);
	assert_int_equal(args_parse(&table, 4, argv, &args, &err), HF_OK);
	if (good) {
		assert_int_equal(
		    args_number(args, OPT_JOBS, 1, 64, 1, &n, &err), HF_OK);
		assert_int_equal(n, expected);
	} else {
		assert_int_equal(
		    args_number(args, OPT_JOBS, 1, 64, 1, &n, &err),
		    HF_E_INVALID);
		assert_non_null(strstr(err.cause, "--jobs"));
		assert_non_null(strstr(err.cause, "from 1 to 64"));
	}
	args_free(args);
	free(argv[3]);
}

static void
numbers_are_whole_and_within_bounds(void **state)
{
	(void)state;
	check_number("1", true, 1);
	check_number("64", true, 64);
	check_number("0", false, 0);
	check_number("65", false, 0);
	check_number("-1", false, 0);
	check_number("", false, 0);
	check_number("3x", false, 0);
	check_number("1.5", false, 0);
	check_number("99999999999999999999", false, 0);
}

static void
absent_number_is_the_default(void **state)
{
	int64_t n = 0;

	PARSE(W("run"));
	(void)state;
	assert_int_equal(status, HF_OK);
	assert_int_equal(
	    args_number(args, OPT_JOBS, 1, 64, 5, &n, &err), HF_OK);
	assert_int_equal(n, 5);
	args_free(args);
}

static void
assert_help_has(const struct arg_verb *verb, const char *const *words)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	args_help(&table, verb, f);
	assert_int_equal(fclose(f), 0);
	for (; *words != NULL; words++)
		assert_non_null(strstr(text, *words));
	for (const char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n");

		assert_in_range(n, 0, 79);
		line += n + (line[n] == '\n');
	}
	free(text);
}

static void
help_names_every_option_of_the_table(void **state)
{
	const char *of_verb[16], *const of_program[] = { "run", "show", "set",
		"Run them", "--config FILE", "The end.", NULL };
	char forms[8][40];
	size_t n = 0;

	(void)state;
	for (const struct arg_option *o = run_options; o->id != 0; o++) {
		(void)snprintf(
		    forms[n], sizeof forms[n], "-%c, --%s", o->letter, o->name);
		of_verb[n] = forms[n];
		n++;
	}
	of_verb[n++] = "A text.";
	of_verb[n++] = "Usage: prog run [OPTION...] [NAME...]";
	of_verb[n++] = "--config FILE";
	of_verb[n] = NULL;
	assert_help_has(args_find_verb(&table, "run", NULL), of_verb);
	assert_help_has(NULL, of_program);
}

static void
help_in_json_has_the_same_table(void **state)
{
	json_t *doc = args_help_json(&table, NULL), *list, *one;
	size_t i;

	(void)state;
	assert_non_null(doc);
	list = json_object_get(doc, "commands");
	assert_int_equal(json_array_size(list), 3);
	json_array_foreach(list, i, one) assert_string_equal(
	    json_string_value(json_object_get(one, "name")), verbs[i].name);
	one = json_array_get(list, 0);
	assert_int_equal(json_array_size(json_object_get(one, "options")), 4);
	json_decref(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(option_takes_two_words),
		cmocka_unit_test(option_of_two_words_is_not_content_with_one),
		cmocka_unit_test(options_stand_before_and_behind_the_verb),
		cmocka_unit_test(values_are_attached_or_follow),
		cmocka_unit_test(switches_before_a_value_share_its_word),
		cmocka_unit_test(nothing_behind_two_dashes_is_an_option),
		cmocka_unit_test(a_value_may_begin_with_a_dash),
		cmocka_unit_test(unknown_option_gets_the_nearest),
		cmocka_unit_test(names_are_not_abbreviated),
		cmocka_unit_test(option_of_a_verb_before_it_is_told_its_place),
		cmocka_unit_test(option_of_another_verb_is_refused),
		cmocka_unit_test(unknown_verb_gets_the_nearest),
		cmocka_unit_test(value_is_required_where_one_is_declared),
		cmocka_unit_test(switch_takes_no_value),
		cmocka_unit_test(value_given_twice_is_refused),
		cmocka_unit_test(value_outside_the_choices_is_refused),
		cmocka_unit_test(operand_outside_the_choices_is_refused),
		cmocka_unit_test(too_few_operands_are_refused),
		cmocka_unit_test(too_many_operands_are_refused),
		cmocka_unit_test(no_verb_is_refused),
		cmocka_unit_test(help_needs_no_operands),
		cmocka_unit_test(version_needs_no_verb),
		cmocka_unit_test(numbers_are_whole_and_within_bounds),
		cmocka_unit_test(absent_number_is_the_default),
		cmocka_unit_test(help_names_every_option_of_the_table),
		cmocka_unit_test(help_in_json_has_the_same_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
