/* SPDX-License-Identifier: BSD-2-Clause */
/* Backups copied from sink to sink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "config/config.h"
#include "repo/lease_private.h"
#include "repo/repo_private.h"
#include "support/copykit.h"

static void
set_raw_hash(json_t *doc, const char *hash)
{
	json_t *source = json_array_get(json_object_get(doc, "sources"), 0);

	(void)json_object_set_new(
	    json_array_get(json_object_get(source, "objects"), 1), "raw_sha256",
	    json_string(hash));
}

/* ---- what is copied ---- */

static void
the_same_filters_keep_the_stored_bytes(void **state)
{
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	copykit_backup_without_b(TWO_SOURCES TO_TWO GZ, id);
	copykit_must(copykit_copy(&err), &err);
	assert_int_equal(copykit_ntold, 1);
	assert_string_equal(copykit_told[0].id, id);
	assert_int_equal(copykit_told[0].how, REPO_COPIED_DONE);
	assert_int_equal(copykit_told[0].nobjects, 6);
	assert_int_equal(copykit_told[0].as_is, 6);
	assert_int_equal(copykit_told[0].raw, 6 * 150000);
	/* Indexes and SHA256SUMS too. */
	assert_true(repofix_same(repofix_path(&copykit_fix, "a/shop/data"),
	    repofix_path(&copykit_fix, "b/shop/data")));
	assert_int_equal(copykit_all_whole("b"), 1);
	/* It was read back, as the pipeline wants of any backup. */
	assert_non_null(
	    repofix_find(&copykit_fix, "b/shop/checks", "-verify.json"));
	assert_non_null(repofix_find(&copykit_fix, "a/shop/reports", "-copy-"));
	assert_non_null(repofix_find(&copykit_fix, "b/shop/reports", "-copy-"));
}

static void
other_filters_make_other_bytes_of_the_same_backup(void **state)
{
	/* More filters, fewer, none on either side. */
	static const char *const sinks[] = { FILTERED, REPOFIX_TWO, FILTERED };
	static const char *const now[] = { GZ, "", "" };
	static const char *const before[] = { GZ, GZ, "" };
	struct hf_error err = { 0 };
	char id[40], pipeline[512];

	(void)state;
	for (size_t i = 0; i < sizeof sinks / sizeof *sinks; i++) {
		repofix_end(&copykit_fix);
		repofix_begin(&copykit_fix);
		(void)snprintf(pipeline, sizeof pipeline, "%s%s%s", TWO_SOURCES,
		    TO_TWO, before[i]);
		copykit_backup_without_b(pipeline, id);
		(void)snprintf(pipeline, sizeof pipeline, "%s%s%s", TWO_SOURCES,
		    TO_TWO, now[i]);
		repofix_open(&copykit_fix, sinks[i], pipeline);
		copykit_must(copykit_copy(&err), &err);
		assert_int_equal(copykit_told[0].nobjects, 6);
		assert_int_equal(copykit_told[0].as_is, 0);
		assert_false(
		    repofix_same(repofix_path(&copykit_fix, "a/shop/data"),
			repofix_path(&copykit_fix, "b/shop/data")));
		assert_int_equal(copykit_all_whole("b"), 1);
		copykit_restore(id, "a", repofix_path(&copykit_fix, "from-a"));
		copykit_restore(id, "b", repofix_path(&copykit_fix, "from-b"));
		assert_true(repofix_same(repofix_path(&copykit_fix, "from-a"),
		    repofix_path(&copykit_fix, "from-b")));
	}
}

static void
empty_objects_are_copied_too(void **state)
{
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	copykit_backup_without_b(
	    FROM(",\"objects\":2,\"size\":0,\"path\":\"%D/h\"") TO_TWO GZ, id);
	copykit_must(copykit_copy(&err), &err);
	assert_int_equal(copykit_all_whole("b"), 1);
	assert_int_equal(copykit_told[0].as_is, 2);
}

static void
only_what_is_lacking_is_copied_the_newest_first(void **state)
{
	struct repo_copy_request q = { .latest = true };
	struct repo_copy_result res;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	for (int i = 0; i < 3; i++) {
		copykit_backup_without_b(
		    FROM(SMALL) TO_TWO GZ NO_VERIFY, ids[i]);
		/* Ids sort by seconds. */
		(void)sleep(i < 2 ? 1 : 0);
	}
	copykit_must(copykit_copy_id(ids[1], &err), &err);
	assert_int_equal(copykit_ntold, 1);
	q.dry_run = true;
	copykit_must(copykit_copy_with(&q, &res, &err), &err);
	assert_int_equal(res.ncopied, 1);
	assert_string_equal(copykit_told[0].id, ids[2]);
	assert_int_equal(copykit_told[0].how, REPO_COPIED_WOULD);
	assert_int_equal(copykit_told[0].raw, 6000);
	copykit_state_of(ids[2], 1, REPO_COPY_ABSENT);
	copykit_must(copykit_copy(&err), &err);
	assert_int_equal(copykit_ntold, 2);
	assert_string_equal(copykit_told[0].id, ids[2]);
	assert_string_equal(copykit_told[1].id, ids[0]);
	assert_int_equal(copykit_all_whole("b"), 3);
	copykit_must(copykit_copy(&err), &err);
	assert_int_equal(copykit_ntold, 0);
	/* Named, it is told that it is there. */
	copykit_must(copykit_copy_id(ids[0], &err), &err);
	assert_int_equal(copykit_told[0].how, REPO_COPIED_THERE);
}

static void
what_does_not_exist_is_not_found(void **state)
{
	struct repo_copy_request q = { .to = "z" };
	struct repo_copy_result res;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(
	    &copykit_fix, REPOFIX_TWO, FROM(SMALL) TO_TWO GZ NO_VERIFY);
	assert_int_equal(copykit_copy(&err), HF_E_NOTFOUND);
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, id);
	assert_int_equal(copykit_copy_id("2001", &err), HF_E_NOTFOUND);
	assert_int_equal(copykit_copy_with(&q, &res, &err), HF_E_NOTFOUND);
	q = (struct repo_copy_request){ .from = "b", .to = "a" };
	assert_int_equal(copykit_copy_with(&q, &res, &err), HF_E_NOTFOUND);
	q = (struct repo_copy_request){ .from = "b", .to = "b" };
	assert_int_equal(copykit_copy_with(&q, &res, &err), HF_E_INVALID);
	assert_int_equal(copykit_all_whole("b"), 0);
}

static void
a_sink_that_is_none_of_the_pipelines_can_be_copied_to(void **state)
{
	struct hf_error err = { 0 };
	const struct config_sink *sinks[2];
	struct repo_copy_request q = { .from = "b", .to = "c" };
	struct repo_copy_result res;
	struct repo_env env;
	struct repo *other, *own;
	char id[40];

	(void)state;
	repofix_open(&copykit_fix, THREE_SINKS, FROM(THREE) TO_TWO GZ);
	repofix_backup(&copykit_fix, id);
	sinks[0] = config_sink(copykit_fix.config, "b");
	sinks[1] = config_sink(copykit_fix.config, "c");
	env = (struct repo_env){ .config = copykit_fix.config,
		.flow = copykit_fix.flow,
		.plugins = copykit_fix.plugins,
		.sinks = sinks,
		.nsinks = 2 };
	copykit_must(
	    repo_open(&env, copykit_fix.repo->pipeline, &other, &err), &err);
	own = copykit_fix.repo;
	copykit_fix.repo = other;
	copykit_must(copykit_copy_with(&q, &res, &err), &err);
	assert_int_equal(copykit_all_whole("c"), 1);
	copykit_fix.repo = own;
	repo_close(other);
	assert_true(repofix_same(repofix_path(&copykit_fix, "b/shop/data"),
	    repofix_path(&copykit_fix, "c/shop/data")));
}

/* ---- damage ---- */

static void
cut_end(const char *path)
{
	repofix_truncate(path, repofix_size(path) - 1);
}
static void
take_away(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

/* The bad one is between two good ones. */
static void
damage_stops_one_backup_and_not_the_others(void **state)
{
	static void (*const harm[])(
	    const char *) = { copykit_flip_middle, cut_end, take_away };
	static const char *const file[] = { "part=202.bin.gz",
		"part=201.bin.gz.frames" };
	static const char *const sinks[] = { REPOFIX_TWO, FILTERED };
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	for (int i = 0; i < 12; i++) {
		const char *name = file[i / 3 % 2];

		repofix_end(&copykit_fix);
		repofix_begin(&copykit_fix);
		for (int n = 0; n < 3; n++)
			copykit_backup_without_b(
			    FROM(THREE) TO_TWO GZ NO_VERIFY, ids[n]);
		harm[i % 3](repofix_find(&copykit_fix,
		    repofix_path(&copykit_fix, "a/shop/data/%s", ids[1]) +
			strlen(copykit_fix.dir) + 1,
		    name));
		repofix_open(&copykit_fix, sinks[i / 6],
		    FROM(THREE) TO_TWO GZ NO_VERIFY);
		assert_int_equal(copykit_copy(&err), HF_E_CORRUPT);
		assert_int_equal(copykit_ntold, 3);
		assert_non_null(
		    strstr(err.cause, i / 3 % 2 == 0 ? "part 2" : "part 1"));
		assert_non_null(error_get(&err, "hint"));
		copykit_state_of(ids[1], 1, REPO_COPY_ABSENT);
		assert_null(repofix_find(&copykit_fix, "b/shop/data", ids[1]));
		assert_int_equal(copykit_all_whole("b"), 2);
	}
}

/* The stored bytes are those that were written, but they are not the
 * database's: a copy of them would be no backup. */
static void
stored_bytes_that_decode_to_something_else_are_not_spread(void **state)
{
	struct hf_error err = { 0 };
	char id[40], hash[SHA256_HEX];

	(void)state;
	memset(hash, 'a', sizeof hash - 1);
	hash[sizeof hash - 1] = '\0';
	copykit_backup_without_b(FROM(THREE) TO_TWO GZ NO_VERIFY, id);
	copykit_edit_manifest(0, id, set_raw_hash, hash);
	assert_int_equal(copykit_copy(&err), HF_E_CORRUPT);
	assert_true(copykit_told[0].damaged);
	assert_non_null(strstr(err.cause, "part 1"));
	assert_int_equal(copykit_all_whole("b"), 0);
}

static void
a_manifest_that_cannot_be_read_is_damage(void **state)
{
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, id);
	copykit_flip_middle(repofix_find(&copykit_fix, "a/shop/catalog", id));
	assert_int_equal(copykit_copy_id(id, &err), HF_E_CORRUPT);
	assert_true(copykit_told[0].damaged);
	/* In the target it stands in the way, and is said to. */
	repofix_end(&copykit_fix);
	repofix_begin(&copykit_fix);
	repofix_open(
	    &copykit_fix, REPOFIX_TWO, FROM(SMALL) TO_TWO GZ NO_VERIFY);
	repofix_backup(&copykit_fix, id);
	copykit_flip_middle(repofix_find(&copykit_fix, "b/shop/catalog", id));
	assert_int_equal(copykit_copy(&err), HF_E_CORRUPT);
	assert_non_null(strstr(error_get(&err, "hint"), "Remove"));
	assert_int_equal(
	    unlink(repofix_find(&copykit_fix, "b/shop/catalog", id)), 0);
	copykit_must(copykit_copy(&err), &err);
	assert_int_equal(copykit_all_whole("b"), 1);
}

/* ---- parents ---- */

static void
parents_are_copied_first(void **state)
{
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	for (int i = 0; i < 3; i++) {
		copykit_backup_without_b(
		    FROM(SMALL) TO_TWO GZ NO_VERIFY, ids[i]);
	}
	copykit_edit_manifest(0, ids[1], copykit_set_parent, ids[0]);
	copykit_edit_manifest(0, ids[2], copykit_set_parent, ids[1]);
	copykit_must(copykit_copy_id(ids[2], &err), &err);
	assert_int_equal(copykit_ntold, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(copykit_told[i].id, ids[i]);
	assert_int_equal(copykit_all_whole("b"), 3);
}

static void
a_child_is_not_copied_without_its_parent(void **state)
{
	struct hf_error err = { 0 };
	char ids[2][40];

	(void)state;
	for (int i = 0; i < 2; i++)
		copykit_backup_without_b(
		    FROM(SMALL) TO_TWO GZ NO_VERIFY, ids[i]);
	copykit_edit_manifest(0, ids[1], copykit_set_parent, ids[0]);
	copykit_flip_middle(repofix_find(&copykit_fix,
	    repofix_path(&copykit_fix, "a/shop/data/%s", ids[0]) +
		strlen(copykit_fix.dir) + 1,
	    "part=201"));
	assert_int_equal(copykit_copy_id(ids[1], &err), HF_E_CORRUPT);
	assert_int_equal(copykit_ntold, 2);
	assert_int_equal(copykit_told[1].why.status, HF_E_NOTFOUND);
	assert_false(copykit_told[1].damaged);
	assert_int_equal(copykit_all_whole("b"), 0);
	/* A ring of parents comes to an end. */
	copykit_edit_manifest(0, ids[0], copykit_set_parent, ids[1]);
	assert_int_not_equal(copykit_copy(&err), HF_OK);
	assert_int_equal(copykit_all_whole("b"), 0);
}

/* ---- the lease ---- */

static void
a_copy_waits_for_nobody_and_nobody_for_a_copy(void **state)
{
	struct repo_backup_result res;
	struct lease *lease = NULL;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, id);
	copykit_must(open_sink(copykit_fix.repo, 1, &err), &err);
	copykit_must(
	    layout_ready(copykit_fix.repo, &copykit_fix.repo->sinks[1], &err),
	    &err);
	copykit_must(
	    lease_acquire(copykit_fix.repo->sinks[1].store, "b", "shop",
		"20261121T000000Z-00000001", "backup", &lease, &err),
	    &err);
	assert_int_equal(copykit_copy(&err), HF_E_EXISTS);
	assert_non_null(strstr(err.cause, "locked"));
	assert_int_equal(copykit_all_whole("b"), 0);
	lease_release(lease);
	/* A backup goes to the sinks where no copy is at work. */
	copykit_must(
	    lease_acquire(copykit_fix.repo->sinks[1].store, "b", "shop",
		"20261121T000000Z-00000002", "copy", &lease, &err),
	    &err);
	copykit_must(
	    repo_backup(copykit_fix.repo, REPO_BACKUP_CONFIGURED, &res, &err),
	    &err);
	assert_true(res.published && res.partial);
	assert_true(res.sinks[0].ok);
	assert_int_equal(res.sinks[1].why.status, HF_E_EXISTS);
	assert_int_equal(res.ncompleted, 0);
	repo_backup_result_clear(&res);
	lease_release(lease);
	/* And the run after makes up for both. */
	copykit_must(
	    repo_backup(copykit_fix.repo, REPO_BACKUP_CONFIGURED, &res, &err),
	    &err);
	assert_false(res.partial);
	assert_int_equal(res.ncompleted, 2);
	repo_backup_result_clear(&res);
	assert_int_equal(copykit_all_whole("b"), 3);
}

static void
what_an_earlier_copy_left_is_cleared(void **state)
{
	struct hf_error err = { 0 };
	char id[40];
	const char *rest;

	(void)state;
	copykit_backup_without_b(FROM(SMALL) TO_TWO GZ NO_VERIFY, id);
	rest = repofix_path(&copykit_fix, "b/shop/data/%s/part=209.bin.gz", id);
	assert_int_equal(mkdir(repofix_path(&copykit_fix, "b"), 0700), 0);
	copykit_must(
	    file_mkdirs(repofix_path(&copykit_fix, "b/shop/data/%s", id), &err),
	    &err);
	copykit_must(file_write(rest, "x", 1, &err), &err);
	copykit_must(copykit_copy(&err), &err);
	assert_false(repofix_exists(rest));
	assert_int_equal(copykit_all_whole("b"), 1);
}

/* ---- any call of a store fails ---- */

#define FAULTY                                                             \
	"{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\",\"fail_at\":%d" \
	",\"after\":%s,\"dead\":%s},"                                      \
	"\"b\":{\"type\":\"teststore\",\"path\":\"%%D/b\",\"fail_at\":%d"  \
	",\"after\":%s,\"dead\":%s%s}}"
#define UNVERIFIED FROM(SMALL) TO_TWO GZ NO_VERIFY

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
wipe(const char *name)
{
	(void)nftw(repofix_path(&copykit_fix, "%s", name), remove_one, 16,
	    FTW_DEPTH | FTW_PHYS);
}

/* The n-th call of one sink fails; false when it had fewer. */
static bool
one_fault(size_t sink, int n, bool after, bool dead, bool recode)
{
	static const char *const yes[] = { "false", "true" };
	struct repo_copy_request q = { .from = "a" };
	struct repo_copy_result res;
	struct hf_error err = { 0 };
	char sinks[512];
	size_t listed;
	bool hit;
	int rc;

	(void)snprintf(sinks, sizeof sinks, FAULTY, sink == 0 ? n : 0,
	    yes[after], yes[dead], sink == 1 ? n : 0, yes[after], yes[dead],
	    recode ? ",\"through\":[\"gz\"]" : "");
	repofix_open(&copykit_fix, sinks, UNVERIFIED);
	rc = copykit_copy_with(&q, &res, &err);
	hit = repofix_exists(repofix_path(&copykit_fix, "%c.hit", "ab"[sink]));
	/* What was told is true. */
	repofix_open(&copykit_fix, COPYKIT_SINKS, UNVERIFIED);
	listed = copykit_all_whole("b");
	assert_true(rc != HF_OK || listed == 1);
	assert_true(res.ncopied == 0 || rc == HF_OK);
	/* The next one makes up for it, whatever was left. */
	copykit_must(copykit_copy(&err), &err);
	assert_int_equal(copykit_all_whole("b"), 1);
	wipe("b");
	wipe("a.hit");
	wipe("b.hit");
	wipe("a/shop/reports");
	/* Where it is remembered that b held something. */
	wipe("state");
	return hit;
}

/* Lost before it was done, lost behind it, and all that follow. */
static void
any_failing_call_leaves_a_whole_backup_or_none(void **state)
{
	char id[40];

	(void)state;
	repofix_open(
	    &copykit_fix, COPYKIT_SINKS, FROM(SMALL) TO_ONE GZ NO_VERIFY);
	repofix_backup(&copykit_fix, id);
	for (int way = 0; way < 6; way++) {
		size_t sink = (size_t)way / 3;
		bool recode = way == 1 || way == 4;
		int n = 1;

		while (one_fault(sink, n, way % 3 == 1, way % 3 == 2, recode))
			n++;
		assert_true(n > (sink == 0 ? 8 : 15));
		/* Nobody wrote it again: the source is as it was. */
		assert_int_equal(copykit_all_whole("a"), 1);
	}
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, copykit_setup, copykit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_same_filters_keep_the_stored_bytes),
		TEST(other_filters_make_other_bytes_of_the_same_backup),
		TEST(empty_objects_are_copied_too),
		TEST(only_what_is_lacking_is_copied_the_newest_first),
		TEST(what_does_not_exist_is_not_found),
		TEST(a_sink_that_is_none_of_the_pipelines_can_be_copied_to),
		TEST(damage_stops_one_backup_and_not_the_others),
		TEST(stored_bytes_that_decode_to_something_else_are_not_spread),
		TEST(a_manifest_that_cannot_be_read_is_damage),
		TEST(parents_are_copied_first),
		TEST(a_child_is_not_copied_without_its_parent),
		TEST(a_copy_waits_for_nobody_and_nobody_for_a_copy),
		TEST(what_an_earlier_copy_left_is_cleared),
		TEST(any_failing_call_leaves_a_whole_backup_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
