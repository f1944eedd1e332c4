/* SPDX-License-Identifier: BSD-2-Clause */
/* A sink that failed in a backup is completed by the next run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "repo/repo_private.h"
#include "support/copykit.h"

static void
forget_sinks(json_t *doc, const char *unused)
{
	(void)unused;
	assert_int_equal(json_object_del(doc, "sinks"), 0);
}

static void
backup(struct repo_backup_result *res)
{
	struct hf_error err = { 0 };

	copykit_must(
	    repo_backup(copykit_fix.repo, REPO_BACKUP_CONFIGURED, res, &err),
	    &err);
}

static void
the_next_run_completes_a_partial_backup(void **state)
{
	struct repo_backup_result res;
	struct repo_status st;
	struct hf_error err = { 0 };
	char ids[2][40];

	(void)state;
	for (int i = 0; i < 2; i++)
		copykit_backup_without_b(FROM(THREE) TO_TWO GZ, ids[i]);
	copykit_must(repo_status(copykit_fix.repo, &st, &err), &err);
	assert_int_equal(st.copies_missing, 1);
	backup(&res);
	assert_int_equal(res.ncompleted, 2);
	assert_int_equal(res.nincomplete, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(res.completed[i].how, REPO_COPIED_DONE);
		assert_string_equal(res.completed[i].from, "a");
		assert_string_equal(res.completed[i].to, "b");
		copykit_state_of(ids[i], 1, REPO_COPY_PRESENT);
	}
	repo_backup_result_clear(&res);
	assert_int_equal(copykit_all_whole("b"), 3);
	copykit_must(repo_status(copykit_fix.repo, &st, &err), &err);
	assert_int_equal(st.copies_missing, 0);
	backup(&res);
	assert_int_equal(res.ncompleted, 0);
	repo_backup_result_clear(&res);
}

/* The database is not touched for it: it need not even be there. */
static void
a_run_whose_source_fails_completes_all_the_same(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ, id);
	repofix_open(&copykit_fix, COPYKIT_SINKS,
	    FROM(SMALL ",\"fail_at\":1") TO_TWO GZ);
	assert_int_not_equal(
	    repo_backup(copykit_fix.repo, REPO_BACKUP_CONFIGURED, &res, &err),
	    HF_OK);
	assert_false(res.published);
	assert_int_equal(res.ncompleted, 1);
	assert_string_equal(res.completed[0].id, id);
	repo_backup_result_clear(&res);
	assert_int_equal(copykit_all_whole("b"), 1);
}

static void
a_sink_that_fails_again_is_left_alone(void **state)
{
	char ids[2][40];
	struct repo_backup_result res;

	(void)state;
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, ids[0]);
	/* This run has no b either, and does not ask it again. */
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, ids[1]);
	backup(&res);
	assert_int_equal(res.ncompleted, 2);
	repo_backup_result_clear(&res);
}

static void
what_was_removed_from_a_sink_is_not_brought_back(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	char id[40], other[40];
	size_t n;

	(void)state;
	repofix_open(
	    &copykit_fix, COPYKIT_SINKS, FROM(SMALL) TO_TWO GZ NO_VERIFY);
	repofix_backup(&copykit_fix, id);
	/* One that was completed, too. */
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, other);
	backup(&res);
	assert_int_equal(res.ncompleted, 1);
	repo_backup_result_clear(&res);
	assert_int_equal(
	    unlink(repofix_find(&copykit_fix, "b/shop/catalog", id)), 0);
	assert_int_equal(
	    unlink(repofix_find(&copykit_fix, "b/shop/catalog", other)), 0);
	copykit_must(
	    clean_data(copykit_fix.repo->sinks[1].store, "shop", id, &n, &err),
	    &err);
	backup(&res);
	assert_int_equal(res.ncompleted, 0);
	assert_int_equal(res.nincomplete, 0);
	repo_backup_result_clear(&res);
	copykit_state_of(id, 1, REPO_COPY_ABSENT);
	/* Who wants it, says so. */
	copykit_must(copykit_copy_id(id, &err), &err);
	copykit_state_of(id, 1, REPO_COPY_PRESENT);
}

static void
history_from_before_a_sink_was_added_stays_where_it_is(void **state)
{
	struct repo_backup_result res;
	char id[40], old[40];

	(void)state;
	repofix_open(
	    &copykit_fix, REPOFIX_ONE, FROM(SMALL) TO_ONE GZ NO_VERIFY);
	repofix_backup(&copykit_fix, id);
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, old);
	/* As earlier versions wrote them. */
	copykit_edit_manifest(0, old, forget_sinks, NULL);
	backup(&res);
	assert_int_equal(res.ncompleted, 0);
	assert_int_equal(res.nincomplete, 0);
	repo_backup_result_clear(&res);
	copykit_state_of(id, 1, REPO_COPY_ABSENT);
	copykit_state_of(old, 1, REPO_COPY_ABSENT);
}

/* Between the manifests of two sinks: no report tells of it. */
static void
a_run_that_was_killed_between_two_sinks_is_completed(void **state)
{
	struct repo_backup_result res;
	const char *report;
	char id[40];

	(void)state;
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, id);
	report = repofix_find(&copykit_fix, "a/shop/reports", id);
	assert_int_equal(unlink(report), 0);
	backup(&res);
	assert_int_equal(res.ncompleted, 1);
	repo_backup_result_clear(&res);
	assert_int_equal(copykit_all_whole("b"), 2);
}

static void
a_failing_completion_is_a_warning_in_the_report(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	struct buf text = BUF_INIT;
	char id[40];

	(void)state;
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, id);
	copykit_flip_middle(
	    repofix_find(&copykit_fix, "a/shop/data", "part=201"));
	backup(&res);
	assert_true(res.published);
	assert_false(res.partial);
	assert_int_equal(res.ncompleted, 1);
	assert_int_equal(res.completed[0].how, REPO_COPIED_FAILED);
	assert_true(res.completed[0].damaged);
	assert_int_equal(res.nincomplete, 1);
	copykit_must(
	    file_read(repofix_find(&copykit_fix, "b/shop/reports", res.id),
		1 << 20, &text, &err),
	    &err);
	assert_non_null(strstr((char *)text.data, "\"completed\""));
	assert_non_null(strstr((char *)text.data, "\"incomplete\": 1"));
	assert_non_null(strstr((char *)text.data, "part 1"));
	buf_free(&text);
	repo_backup_result_clear(&res);
	copykit_state_of(id, 1, REPO_COPY_ABSENT);
	assert_int_equal(copykit_all_whole("b"), 1);
}

static void
a_good_copy_is_taken_where_another_is_damaged(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	char id[40];
	const char *c = repofix_path(&copykit_fix, "c");

	(void)state;
	copykit_must(file_write(c, "x", 1, &err), &err);
	repofix_open(&copykit_fix, THREE_SINKS,
	    FROM(SMALL) ",\"to\":[\"a\",\"b\",\"c\"]" GZ NO_VERIFY);
	backup(&res);
	assert_true(res.partial);
	memcpy(id, res.id, sizeof id);
	repo_backup_result_clear(&res);
	assert_int_equal(unlink(c), 0);
	copykit_flip_middle(
	    repofix_find(&copykit_fix, "a/shop/data", "part=201"));
	backup(&res);
	assert_int_equal(res.ncompleted, 1);
	assert_int_equal(res.completed[0].how, REPO_COPIED_DONE);
	assert_string_equal(res.completed[0].from, "b");
	repo_backup_result_clear(&res);
	copykit_state_of(id, 2, REPO_COPY_PRESENT);
}

/* A sink that was away for long: ten at a time, the newest first; and what
 * retention would remove anyway is not copied. */
static void
a_long_absence_is_made_up_for_in_steps(void **state)
{
	struct repo_backup_result res;
	char ids[13][40];

	(void)state;
	for (int i = 0; i < 13; i++) {
		copykit_backup_without_b(
		    FROM(SMALL) TO_TWO GZ NO_VERIFY, ids[i]);
		if (i == 0 || i == 11)
			(void)sleep(1);
	}
	repofix_open(&copykit_fix, COPYKIT_SINKS,
	    FROM(SMALL) TO_TWO GZ NO_VERIFY
	    ",\"retention\":{\"last\":13,\"min_keep\":1}");
	backup(&res);
	assert_int_equal(res.ncompleted, 10);
	/* Of fourteen there are thirteen to keep, and one is the new one. */
	assert_int_equal(res.nincomplete, 2);
	assert_string_equal(res.completed[0].id, ids[12]);
	repo_backup_result_clear(&res);
	copykit_state_of(ids[0], 1, REPO_COPY_ABSENT);
	assert_int_equal(copykit_all_whole("b"), 11);
	backup(&res);
	assert_int_equal(res.nincomplete, 0);
	assert_int_equal(res.ncompleted, 1);
	repo_backup_result_clear(&res);
	copykit_state_of(ids[0], 1, REPO_COPY_ABSENT);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, copykit_setup, copykit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_next_run_completes_a_partial_backup),
		TEST(a_run_whose_source_fails_completes_all_the_same),
		TEST(a_sink_that_fails_again_is_left_alone),
		TEST(what_was_removed_from_a_sink_is_not_brought_back),
		TEST(history_from_before_a_sink_was_added_stays_where_it_is),
		TEST(a_run_that_was_killed_between_two_sinks_is_completed),
		TEST(a_failing_completion_is_a_warning_in_the_report),
		TEST(a_good_copy_is_taken_where_another_is_damaged),
		TEST(a_long_absence_is_made_up_for_in_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
