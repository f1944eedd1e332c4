/* SPDX-License-Identifier: BSD-2-Clause */
/* Incremental backups: restored, checked, listed, with all they build on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "config/config.h"
#include "repo/links.h"
#include "repo/logs.h"
#include "repo/repo_private.h"
#include "support/deltakit.h"

static struct repofix *const x = &copykit_fix;

static void
open_with(const char *pipeline)
{
	repofix_open(x, COPYKIT_SINKS, pipeline);
}

static void
is_value(
    const struct repo_restore_result *res, const char *key, const char *value)
{
	for (size_t i = 0; i < res->nresults; i++)
		if (strcmp(res->results[i].key, key) == 0) {
			assert_string_equal(res->results[i].value, value);
			return;
		}
	fail_msg("%s was not told", key);
}

static int
verify(const char *id, const char *sink, bool deep, struct hf_error *err)
{
	struct repo_verify_result v;
	struct repo_backup_entry e;
	int rc;

	error_clear(err);
	copykit_must(catalog_entry(x->repo, id, &e, err), err);
	error_clear(err);
	rc = repo_verify(x->repo, &e, sink, deep, &v, err);
	repo_verify_result_clear(&v);
	catalog_entry_clear(&e, repo_sinks(x->repo));
	return rc;
}

/* ---- restoring ---- */

static void
each_one_is_restored_with_all_it_builds_on(void **state)
{
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char ids[5][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(5, ids);
	for (unsigned i = 0; i < 5; i++) {
		deltakit_restores(ids[i], NULL, i);
		deltakit_restores(ids[i], "a", i);
		deltakit_restores(ids[i], "b", i);
	}
	copykit_must(deltakit_restore(ids[3], NULL, &res, &err), &err);
	is_value(&res, "links", "4");
	assert_int_equal(res.nfallbacks, 0);
	/* What was read: of all of them. */
	assert_true(res.raw > 40000);
	repo_restore_result_clear(&res);
	/* By a program that knows one sink alone. */
	repofix_open(x, REPOFIX_ONE, DELTA("") TO_ONE);
	deltakit_restores(ids[4], NULL, 4);
}

static void
an_increment_holds_what_has_changed_alone(void **state)
{
	struct repo_backup_entry e;
	struct hf_error err = { 0 };
	const struct manifest *m;
	char ids[2][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(2, ids);
	copykit_must(catalog_entry(x->repo, ids[1], &e, &err), &err);
	for (size_t i = 0; i < 2; i++) {
		m = e.copies[i].manifest;
		assert_string_equal(m->kind, "incremental");
		assert_string_equal(m->parent, ids[0]);
		assert_true(m->sources[0].incremental);
		assert_true(manifest_raw_size(m) < 5000);
	}
	catalog_entry_clear(&e, 2);
}

static void
links_that_are_damaged_in_different_sinks_make_a_whole(void **state)
{
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char ids[4][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(4, ids);
	copykit_flip_middle(deltakit_object("a", ids[0], "data"));
	copykit_flip_middle(deltakit_object("b", ids[1], "delta"));
	assert_int_equal(unlink(deltakit_object("a", ids[2], "delta")), 0);
	deltakit_lose("b", ids[3]);
	copykit_must(deltakit_restore(ids[3], NULL, &res, &err), &err);
	assert_true(deltakit_is(repofix_path(x, "out"), 3));
	assert_string_equal(res.sink, "a");
	assert_int_equal(res.nfallbacks, 2);
	repo_restore_result_clear(&res);
	/* Neither sink alone has it. */
	assert_int_equal(
	    deltakit_restore(ids[3], "a", &res, &err), HF_E_CORRUPT);
	repo_restore_result_clear(&res);
	assert_int_equal(
	    deltakit_restore(ids[2], "b", &res, &err), HF_E_CORRUPT);
	assert_non_null(strstr(err.cause, "damaged"));
	repo_restore_result_clear(&res);
	assert_false(repofix_exists(repofix_path(x, "out")));
	/* The last copy of a link. */
	copykit_flip_middle(deltakit_object("b", ids[0], "data"));
	assert_int_equal(
	    deltakit_restore(ids[3], NULL, &res, &err), HF_E_CORRUPT);
	assert_non_null(error_get(&err, "b"));
	repo_restore_result_clear(&res);
}

static void
a_missing_link_is_named_with_who_needs_it(void **state)
{
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char ids[3][40], line[1024];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(3, ids);
	deltakit_lose("a", ids[0]);
	/* The other sink has it. */
	deltakit_restores(ids[2], NULL, 2);
	assert_int_equal(
	    deltakit_restore(ids[2], "a", &res, &err), HF_E_NOTFOUND);
	repo_restore_result_clear(&res);
	deltakit_lose("b", ids[0]);
	assert_int_equal(
	    deltakit_restore(ids[2], NULL, &res, &err), HF_E_NOTFOUND);
	repo_restore_result_clear(&res);
	error_line(&err, line, sizeof line);
	assert_non_null(strstr(line, ids[0]));
	assert_non_null(strstr(line, ids[1]));
	assert_non_null(error_get(&err, "a"));
	assert_non_null(error_get(&err, "b"));
	assert_false(repofix_exists(repofix_path(x, "out")));
}

static void
a_dry_run_looks_at_every_link(void **state)
{
	struct repo_restore_options opts = { .target = "/nowhere/out",
		.dry_run = true };
	struct repo_restore_result res;
	struct repo_backup_entry e;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(3, ids);
	copykit_must(catalog_entry(x->repo, ids[2], &e, &err), &err);
	copykit_must(repo_restore(x->repo, &e, &opts, &res, &err), &err);
	repo_restore_result_clear(&res);
	repofix_truncate(deltakit_object("a", ids[0], "data"), 10);
	copykit_must(repo_restore(x->repo, &e, &opts, &res, &err), &err);
	assert_int_equal(res.nfallbacks, 1);
	repo_restore_result_clear(&res);
	assert_int_equal(unlink(deltakit_object("b", ids[0], "data")), 0);
	assert_int_equal(
	    repo_restore(x->repo, &e, &opts, &res, &err), HF_E_CORRUPT);
	repo_restore_result_clear(&res);
	catalog_entry_clear(&e, 2);
}

/* One source builds on its parent, the other is full in each backup. */
static void
sources_of_both_kinds_stand_in_one_backup(void **state)
{
	static const char pipeline[] =
	    "\"from\":[{\"name\":\"d\",\"engine\":\"testdelta\",\"path\":"
	    "\"%D/home\"},{\"name\":\"e\",\"engine\":\"testengine\"}]" TO_TWO
		INCREMENTAL;
	struct repo_restore_options opts = { .target = NULL };
	struct repo_restore_result res;
	struct repo_backup_entry e;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	open_with(pipeline);
	deltakit_chain(3, ids);
	copykit_must(catalog_entry(x->repo, ids[2], &e, &err), &err);
	assert_true(e.copies[0].manifest->sources[0].incremental);
	assert_false(e.copies[0].manifest->sources[1].incremental);
	opts.target = repofix_path(x, "both");
	copykit_must(repo_restore(x->repo, &e, &opts, &res, &err), &err);
	assert_true(deltakit_is(repofix_path(x, "both/d"), 2));
	is_value(&res, "d.links", "3");
	repo_restore_result_clear(&res);
	/* The full one needs no parent. */
	deltakit_lose("a", ids[0]);
	deltakit_lose("b", ids[0]);
	opts.target = repofix_path(x, "one");
	opts.source = "e";
	copykit_must(repo_restore(x->repo, &e, &opts, &res, &err), &err);
	repo_restore_result_clear(&res);
	catalog_entry_clear(&e, 2);
}

/* ---- checking ---- */

static void
a_copy_without_its_parent_fails_its_check(void **state)
{
	struct hf_error err = { 0 };
	char ids[3][40], line[1024];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(3, ids);
	copykit_must(verify(ids[2], NULL, false, &err), &err);
	deltakit_lose("b", ids[0]);
	assert_int_equal(verify(ids[2], NULL, false, &err), HF_E_CORRUPT);
	error_line(&err, line, sizeof line);
	assert_non_null(strstr(line, "sink b"));
	assert_non_null(strstr(line, ids[0]));
	assert_non_null(strstr(line, "does not have"));
	copykit_must(verify(ids[2], "a", false, &err), &err);
	/* Bytes are the business of the parent's own check, sizes are not. */
	copykit_flip_middle(deltakit_object("a", ids[0], "data"));
	copykit_must(verify(ids[2], "a", false, &err), &err);
	assert_int_equal(verify(ids[0], "a", false, &err), HF_E_CORRUPT);
	repofix_truncate(deltakit_object("a", ids[1], "delta"), 20);
	assert_int_equal(verify(ids[2], "a", false, &err), HF_E_CORRUPT);
	error_line(&err, line, sizeof line);
	assert_non_null(strstr(line, ids[1]));
}

static void
a_deep_check_restores_the_chain_of_that_sink(void **state)
{
	struct hf_error err = { 0 };
	char ids[3][40], line[1024];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(3, ids);
	copykit_must(verify(ids[2], NULL, true, &err), &err);
	assert_non_null(strstr(x->findings, "contents|as backed up"));
	copykit_flip_middle(deltakit_object("b", ids[0], "data"));
	copykit_must(verify(ids[2], "a", true, &err), &err);
	assert_int_equal(verify(ids[2], "b", true, &err), HF_E_CORRUPT);
	error_line(&err, line, sizeof line);
	assert_non_null(strstr(line, ids[0]));
	assert_non_null(strstr(line, "data"));
}

/* ---- looking ---- */

static void
one_without_its_parent_does_not_look_good(void **state)
{
	struct repo_catalog c;
	struct repo_status st;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(3, ids);
	copykit_must(repo_status(x->repo, &st, &err), &err);
	assert_int_equal(st.copies_failed, 0);
	deltakit_lose("b", ids[0]);
	copykit_must(repo_list(x->repo, &c, &err), &err);
	assert_int_equal(c.n, 3);
	assert_string_equal(c.entries[2].copies[0].lacks, "");
	assert_string_equal(c.entries[2].copies[1].lacks, ids[0]);
	assert_false(c.entries[2].copies[1].lacks_damaged);
	assert_true(links_whole(x->repo, &c, &c.entries[2], NULL, NULL));
	assert_false(links_whole(x->repo, &c, &c.entries[2], "b", NULL));
	repo_catalog_clear(&c);
	copykit_must(repo_status(x->repo, &st, &err), &err);
	assert_int_equal(st.copies_failed, 1);
	assert_int_equal(st.copies_broken, 1);
	/* One that is known to be damaged is no better. */
	copykit_flip_middle(deltakit_object("a", ids[0], "data"));
	assert_int_equal(verify(ids[0], "a", false, &err), HF_E_CORRUPT);
	copykit_must(repo_list(x->repo, &c, &err), &err);
	assert_string_equal(c.entries[1].copies[0].lacks, ids[0]);
	assert_true(c.entries[1].copies[0].lacks_damaged);
	repo_catalog_clear(&c);
	copykit_must(repo_status(x->repo, &st, &err), &err);
	assert_int_equal(st.copies_failed, 2);
}

static void
the_newest_whole_one_is_chosen_unless_one_is_named(void **state)
{
	const struct repo_restore_options any = { 0 }, only_a = { .sink = "a" };
	const struct repo_backup_entry *e;
	struct repo_backup_result res;
	struct repo_catalog c;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_write(0);
	deltakit_backup(REPO_BACKUP_FULL, &res);
	repo_backup_result_clear(&res);
	deltakit_backup(REPO_BACKUP_FULL, &res);
	memcpy(ids[0], res.id, sizeof res.id);
	repo_backup_result_clear(&res);
	deltakit_backup(REPO_BACKUP_INCREMENTAL, &res);
	memcpy(ids[1], res.id, sizeof res.id);
	repo_backup_result_clear(&res);
	deltakit_lose("a", ids[0]);
	copykit_must(repo_list(x->repo, &c, &err), &err);
	memcpy(ids[2], c.entries[0].id, sizeof ids[2]);
	copykit_must(logs_pick(x->repo, &c, "latest", 0, &any, &e, &err), &err);
	assert_string_equal(e->id, ids[1]);
	/* What sink a has of it is worth nothing alone, and it lacks the one
	 * before. */
	copykit_must(logs_pick(x->repo, &c, NULL, 0, &only_a, &e, &err), &err);
	assert_string_equal(e->id, ids[2]);
	repo_catalog_clear(&c);
	deltakit_lose("b", ids[0]);
	copykit_must(repo_list(x->repo, &c, &err), &err);
	copykit_must(logs_pick(x->repo, &c, "latest", 0, &any, &e, &err), &err);
	assert_string_equal(e->id, ids[2]);
	copykit_must(
	    logs_pick(x->repo, &c, NULL, text_now(), &any, &e, &err), &err);
	assert_string_equal(e->id, ids[2]);
	copykit_must(logs_pick(x->repo, &c, ids[1], 0, &any, &e, &err), &err);
	assert_string_equal(e->id, ids[1]);
	repo_catalog_clear(&c);
}

/* ---- copies ---- */

static void
a_copy_brings_what_it_builds_on(void **state)
{
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	repofix_open(x, COPYKIT_SINKS, DELTA("") TO_ONE NO_VERIFY INCREMENTAL);
	deltakit_chain(3, ids);
	open_with(DELTA_TWO);
	copykit_must(copykit_copy_id(ids[2], &err), &err);
	assert_int_equal(copykit_ntold, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(copykit_told[i].id, ids[i]);
		deltakit_restores(ids[i], "b", i);
	}
	assert_int_equal(copykit_all_whole("b"), 3);
}

/* A sink that was away for two runs gets its chain from the third. */
static void
a_run_completes_chains(void **state)
{
	struct repo_backup_result res;
	char ids[4][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(1, ids);
	for (unsigned i = 1; i < 3; i++) {
		deltakit_write(i);
		copykit_backup_without_b(DELTA_TWO, ids[i]);
	}
	deltakit_write(3);
	deltakit_backup(REPO_BACKUP_CONFIGURED, &res);
	/* Of what both have. */
	assert_string_equal(res.parent, ids[0]);
	assert_int_equal(res.ncompleted, 2);
	memcpy(ids[3], res.id, sizeof res.id);
	repo_backup_result_clear(&res);
	for (unsigned i = 0; i < 4; i++) {
		deltakit_restores(ids[i], "a", i);
		deltakit_restores(ids[i], "b", i);
	}
	assert_int_equal(copykit_all_whole("b"), 4);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, copykit_setup, copykit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_one_is_restored_with_all_it_builds_on),
		TEST(an_increment_holds_what_has_changed_alone),
		TEST(links_that_are_damaged_in_different_sinks_make_a_whole),
		TEST(a_missing_link_is_named_with_who_needs_it),
		TEST(a_dry_run_looks_at_every_link),
		TEST(sources_of_both_kinds_stand_in_one_backup),
		TEST(a_copy_without_its_parent_fails_its_check),
		TEST(a_deep_check_restores_the_chain_of_that_sink),
		TEST(one_without_its_parent_does_not_look_good),
		TEST(the_newest_whole_one_is_chosen_unless_one_is_named),
		TEST(a_copy_brings_what_it_builds_on),
		TEST(a_run_completes_chains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
