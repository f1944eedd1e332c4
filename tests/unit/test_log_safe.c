/* SPDX-License-Identifier: BSD-2-Clause */
/* What a backup is shown of its log: only what will not be missing later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "plugin/host.h"
#include "support/logfix.h"

#define H (&host_table)

static struct logfix l;

static int
setup(void **state)
{
	(void)state;
	logfix_begin(&l);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	logfix_end(&l);
	return 0;
}

static int
add_name(void *arg, const struct hf_object *o)
{
	char *names = arg;
	size_t len = strlen(names);

	(void)snprintf(names + len, 256 - len, "%s ", o->key);
	return 0;
}

/* Those that begin so, each followed by a space. */
static const char *
names(struct hf_in *in, const char *prefix)
{
	static char text[256];

	text[0] = '\0';
	assert_int_equal(
	    H->log_list(in, prefix, add_name, text, &l.err), HF_OK);
	return text;
}

static int
no_fact(void *arg, const char *key, const char *value)
{
	(void)arg;
	(void)key;
	(void)value;
	return 0;
}

static int
facts(struct hf_in *in, const char *name)
{
	return H->log_facts(in, name, no_fact, NULL, &l.err);
}

/* A failure of the backup, with what the log has to say about it. */
static const char *
why(void)
{
	static char line[1024];
	struct hf_error err = { .status = HF_OK };

	(void)error_fail(&err, HF_E_IO, "it did not arrive");
	repo_log_held_back(l.log, &err);
	error_line(&err, line, sizeof line);
	return line;
}

static bool
all_but_b(void *arg, size_t sink)
{
	(void)arg;
	return sink == 0;
}

static void
name_is_shown_when_every_required_sink_has_it(void **state)
{
	struct hf_in *safe;

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	safe = repo_log_safe(l.log, NULL, NULL);
	assert_int_equal(logfix_push_text(&l, "1/s1", "one"), HF_OK);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "1/s2", "two"), HF_E_IO);
	logfix_mark(&l, "b.down", false);
	assert_string_equal(logfix_names(&l), "1/s1 1/s2 ");
	assert_string_equal(names(safe, ""), "1/s1 ");
	assert_non_null(strstr(why(), "sink b does not have 1/s2"));
	assert_int_equal(facts(safe, "1/s1"), HF_OK);
	assert_int_equal(facts(safe, "1/s2"), HF_E_NOTFOUND);
	/* for a restore one sink is enough */
	assert_int_equal(logfix_get_text(&l, "1/s2", "two"), HF_OK);
	assert_int_equal(facts(repo_log_in(l.log), "1/s2"), HF_OK);

	assert_int_equal(logfix_push_text(&l, "1/s2", "two"), HF_OK);
	assert_string_equal(names(safe, ""), "1/s1 1/s2 ");
	assert_int_equal(facts(safe, "1/s2"), HF_OK);
	assert_string_equal(why(), "it did not arrive");
}

static void
name_that_nobody_has_blames_no_sink(void **state)
{
	struct hf_in *safe;

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	safe = repo_log_safe(l.log, NULL, NULL);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(facts(safe, "s9"), HF_E_NOTFOUND);
	assert_string_equal(why(), "it did not arrive");
}

static void
sink_that_dropped_out_of_the_backup_does_not_count(void **state)
{
	struct hf_in *safe;

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	safe = repo_log_safe(l.log, all_but_b, NULL);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_E_IO);
	assert_string_equal(names(safe, ""), "s1 ");
	assert_int_equal(facts(safe, "s1"), HF_OK);
	assert_string_equal(why(), "it did not arrive");
}

static void
sink_that_cannot_be_asked_has_nothing(void **state)
{
	struct hf_in *safe;

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	safe = repo_log_safe(l.log, NULL, NULL);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	logfix_mark(&l, "b.down", true);
	assert_string_equal(names(safe, ""), "");
	assert_non_null(strstr(why(), "sink b could not be asked"));
	assert_int_equal(facts(safe, "s1"), HF_E_NOTFOUND);
}

static void
sink_that_is_not_required_is_not_waited_for(void **state)
{
	struct hf_in *safe;

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ LOGFIX_ANY);
	safe = repo_log_safe(l.log, NULL, NULL);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	logfix_mark(&l, "b.down", false);
	assert_string_equal(names(safe, ""), "s1 ");
	assert_int_equal(facts(safe, "s1"), HF_OK);
}

static void
part_of_a_long_log_is_listed_by_itself(void **state)
{
	struct hf_in *in;

	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	in = repo_log_in(l.log);
	assert_int_equal(logfix_push_text(&l, "1/a1", "x"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "1/a1.from-2", "x"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "1/a2", "x"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "2/a1", "x"), HF_OK);
	for (int safe = 0; safe < 2; safe++) {
		assert_string_equal(
		    names(in, ""), "1/a1 1/a1.from-2 1/a2 2/a1 ");
		assert_string_equal(names(in, "1/a1"), "1/a1 1/a1.from-2 ");
		assert_string_equal(names(in, "1/"), "1/a1 1/a1.from-2 1/a2 ");
		assert_string_equal(names(in, "3"), "");
		in = repo_log_safe(l.log, NULL, NULL);
	}
	assert_int_equal(
	    H->log_list(in, "../", add_name, NULL, &l.err), HF_E_BUG);
}

/* ---- backups ---- */

#define NEEDS "\"from\":{\"engine\":\"testengine\",\"needs\":\"s2\"},"

static int
back_up(struct repo_backup_result *res)
{
	logfix_close(&l);
	repofix_open(&l.x, LOGFIX_DOWN, NEEDS LOGFIX_TWO LOGFIX_GZ);
	return repo_backup(l.x.repo, REPO_BACKUP_CONFIGURED, res, &l.err);
}

static void
backup_waits_until_every_required_sink_has_its_log(void **state)
{
	struct repo_backup_result res;
	char line[1024];

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_E_IO);
	logfix_mark(&l, "b.down", false);
	assert_int_equal(back_up(&res), HF_E_IO);
	assert_false(res.published);
	repo_backup_result_clear(&res);
	error_line(&l.err, line, sizeof line);
	assert_non_null(strstr(line, "s2 does not arrive"));
	assert_non_null(strstr(line, "sink b does not have s2"));
	assert_false(repofix_exists(repofix_path(&l.x, "a/shop/catalog")));
	assert_false(repofix_exists(repofix_path(&l.x, "b/shop/catalog")));

	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_OK);
	assert_int_equal(back_up(&res), HF_OK);
	assert_true(res.sinks[0].ok && res.sinks[1].ok);
	repo_backup_result_clear(&res);
}

static void
backup_does_not_wait_for_a_sink_that_it_lost(void **state)
{
	struct repo_backup_result res;

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_E_IO);
	assert_int_equal(back_up(&res), HF_OK);
	assert_true(res.sinks[0].ok && !res.sinks[1].ok);
	assert_true(res.partial);
	repo_backup_result_clear(&res);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(name_is_shown_when_every_required_sink_has_it),
		T(name_that_nobody_has_blames_no_sink),
		T(sink_that_dropped_out_of_the_backup_does_not_count),
		T(sink_that_cannot_be_asked_has_nothing),
		T(sink_that_is_not_required_is_not_waited_for),
		T(part_of_a_long_log_is_listed_by_itself),
		T(backup_waits_until_every_required_sink_has_its_log),
		T(backup_does_not_wait_for_a_sink_that_it_lost),
	};

	return cmocka_run_group_tests_name("log_safe", tests, NULL, NULL);
}
