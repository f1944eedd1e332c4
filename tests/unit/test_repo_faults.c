/* SPDX-License-Identifier: BSD-2-Clause */
/* Sinks that fail, hold, lie or are busy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/text.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/lease_private.h"
#include "repo/repo_private.h"
#include "support/repofix.h"

#define FROM(options) "\"from\":{\"engine\":\"testengine\"" options "}"
#define TO_ONE ",\"to\":[\"a\"]"
#define TO_TWO ",\"to\":[\"a\",\"b\"]"
#define GZ ",\"through\":[\"gz\"]"
#define SMALL ",\"objects\":2,\"size\":3000"
#define THREE ",\"objects\":3,\"size\":150000"

static struct repofix x;

static int
setup(void **state)
{
	(void)state;
	repofix_begin(&x);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	repofix_end(&x);
	return 0;
}

static void
must(int rc, const struct hf_error *err)
{
	if (rc == HF_OK)
		return;
	error_render(err, NULL, stderr);
	fail_msg("status %d", rc);
}

static void
list(struct repo_catalog *c)
{
	struct hf_error err = { 0 };

	must(repo_list(x.repo, c, &err), &err);
}

static int
verify(const struct repo_backup_entry *e, struct hf_error *err)
{
	struct repo_verify_result res;
	int rc;

	error_clear(err);
	rc = repo_verify(x.repo, e, NULL, false, &res, err);
	repo_verify_result_clear(&res);
	return rc;
}

/* ---- a sink is missing ---- */

static void
a_sink_that_cannot_be_used_makes_it_partial(void **state)
{
	struct repo_backup_result res;
	struct repo_status st;
	struct repo_catalog c;
	struct hf_error err = { 0 };

	(void)state;
	/* A file stands where the folder should be. */
	must(file_write(repofix_path(&x, "b"), "x", 1, &err), &err);
	repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
	must(repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err), &err);
	assert_true(res.published);
	assert_true(res.partial);
	assert_true(res.sinks[0].ok);
	assert_true(res.verified);
	assert_false(res.sinks[1].ok);
	assert_int_not_equal(res.sinks[1].why.status, HF_OK);
	repo_backup_result_clear(&res);
	list(&c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.sink_errors[0].status, HF_OK);
	assert_int_not_equal(c.sink_errors[1].status, HF_OK);
	assert_int_equal(c.entries[0].copies[1].state, REPO_COPY_UNREACHABLE);
	repo_catalog_clear(&c);
	must(repo_status(x.repo, &st, &err), &err);
	assert_int_equal(st.copies_missing, 1);
	/* With one being enough it is not partial. */
	repofix_open(
	    &x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ ",\"require\":\"any\"");
	must(repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err), &err);
	assert_true(res.published);
	assert_false(res.partial);
	repo_backup_result_clear(&res);
}

static void
without_any_sink_there_is_no_backup(void **state)
{
	struct repo_backup_result res;
	struct repo_catalog c;
	struct hf_error err = { 0 };

	(void)state;
	must(file_write(repofix_path(&x, "a"), "x", 1, &err), &err);
	must(file_write(repofix_path(&x, "b"), "x", 1, &err), &err);
	repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
	assert_int_not_equal(
	    repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err), HF_OK);
	assert_false(res.published);
	assert_int_equal(err.status, res.sinks[0].why.status);
	repo_backup_result_clear(&res);
	assert_int_not_equal(repo_list(x.repo, &c, &err), HF_OK);
}

/* Its thread stays in the plugin for ever, and nothing waits for it. */
static void
a_sink_that_hangs_is_left_behind(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };

	(void)state;
	repofix_open(&x,
	    "{\"a\":{\"type\":\"dir\",\"path\":\"%D/a\"},\"b\":{\"type\":"
	    "\"teststore\",\"path\":\"%D/b\",\"hang\":true,\"stall_timeout\":"
	    "\"1s\"}}",
	    FROM(SMALL) TO_TWO GZ);
	assert_false(repo_stuck(x.repo));
	must(repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err), &err);
	assert_true(res.published && res.partial && res.verified);
	assert_true(res.sinks[0].ok);
	assert_false(res.sinks[1].ok);
	assert_non_null(strstr(res.sinks[1].why.cause, "took nothing"));
	repo_backup_result_clear(&res);
	assert_true(repo_stuck(x.repo));
	/* Nor does anything that comes after. */
	must(repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err), &err);
	assert_true(res.published && res.partial);
	repo_backup_result_clear(&res);
	x.stuck = true;
}

/* ---- a copy is bad ---- */

static int
restore(
    const char *target, struct repo_restore_result *res, struct hf_error *err)
{
	struct repo_restore_options opts = { .target = target };
	struct repo_catalog c;
	int rc;

	error_clear(err);
	list(&c);
	assert_int_equal(c.n, 1);
	rc = repo_restore(x.repo, &c.entries[0], &opts, res, err);
	repo_catalog_clear(&c);
	return rc;
}

static void
flip_middle(const char *path)
{
	repofix_flip(path, repofix_size(path) / 2, 2);
}
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

static void
a_restore_falls_back_to_a_good_copy(void **state)
{
	static void (*const harm[])(
	    const char *) = { flip_middle, cut_end, take_away };
	static const char *const file[] = { "part=200", "part=202",
		"catalog/" };
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char id[40], target[32];

	(void)state;
	for (int h = 0; h < 3; h++)
		for (int f = 0; f < 3; f++) {
			bool gone = h == 2 && f == 2;

			repofix_end(&x);
			repofix_begin(&x);
			repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
			repofix_backup(&x, id);
			harm[h](repofix_find(&x, "a/shop", file[f]));
			(void)snprintf(target, sizeof target, "t%d%d", h, f);
			must(
			    restore(repofix_path(&x, "%s", target), &res, &err),
			    &err);
			assert_string_equal(res.sink, "b");
			assert_int_equal(err.status, HF_OK);
			/* A manifest that is not there is no bad copy. */
			assert_int_equal(res.nfallbacks, gone ? 0 : 1);
			if (!gone) {
				assert_string_equal(res.fallbacks[0].sink, "a");
				assert_int_not_equal(
				    res.fallbacks[0].why.status, HF_OK);
			}
			repo_restore_result_clear(&res);
		}
	/* What came out of b is what went in. */
	assert_true(repofix_exists(repofix_path(&x, "t22/part 2.bin")));
}

static void
without_a_good_copy_the_restore_fails_and_leaves_nothing(void **state)
{
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
	repofix_backup(&x, id);
	flip_middle(repofix_find(&x, "a/shop/data", "part=202"));
	take_away(repofix_find(&x, "b/shop/data", "part=201"));
	assert_int_equal(
	    restore(repofix_path(&x, "t"), &res, &err), HF_E_CORRUPT);
	assert_non_null(error_get(&err, "b"));
	assert_int_equal(res.nfallbacks, 2);
	repo_restore_result_clear(&res);
	assert_false(repofix_exists(repofix_path(&x, "t")));
}

static void
a_taken_target_is_no_reason_to_try_another_copy(void **state)
{
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
	repofix_backup(&x, id);
	assert_int_equal(mkdir(repofix_path(&x, "t"), 0700), 0);
	assert_int_equal(
	    restore(repofix_path(&x, "t"), &res, &err), HF_E_EXISTS);
	assert_int_equal(res.nfallbacks, 0);
	repo_restore_result_clear(&res);
}

/* ---- any call of the store fails ---- */

#define FAULTY_FMT                                                       \
	"{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\",\"fail_at\":" \
	"%d,\"after\":%s,\"dead\":%s}}"
#define HEALTHY "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\"}}"

#define VERIFIED FROM(SMALL) TO_ONE GZ
#define UNVERIFIED VERIFIED ",\"verify\":\"none\""

/* All that is listed must be whole, whatever was done before. */
static size_t
all_are_whole(void)
{
	struct repo_catalog c;
	struct hf_error err = { 0 };
	size_t n;

	repofix_open(&x, HEALTHY, UNVERIFIED);
	list(&c);
	for (size_t i = 0; i < c.n; i++) {
		assert_int_equal(
		    c.entries[i].copies[0].state, REPO_COPY_PRESENT);
		must(verify(&c.entries[i], &err), &err);
	}
	n = c.n;
	repo_catalog_clear(&c);
	return n;
}

/* A backup whose n-th call of the store fails; false when it had fewer. */
static bool
one_fault(int n, bool after, bool dead, const char *pipeline)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	char sinks[256], id[40];
	bool hit, published;
	size_t listed;

	repofix_end(&x);
	repofix_begin(&x);
	repofix_open(&x, HEALTHY, UNVERIFIED);
	repofix_backup(&x, id);
	(void)snprintf(sinks, sizeof sinks, FAULTY_FMT, n,
	    after ? "true" : "false", dead ? "true" : "false");
	repofix_open(&x, sinks, pipeline);
	(void)repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err);
	published = res.published;
	if (!published)
		assert_int_not_equal(err.status, HF_OK);
	repo_backup_result_clear(&res);
	hit = repofix_exists(repofix_path(&x, "a.hit"));
	listed = all_are_whole();
	/* What was said to be published is there; what was not may be, when
	 * only the answer was lost, but then it is whole. */
	assert_true(listed >= (published ? 2 : 1));
	repofix_backup(&x, id);
	assert_int_equal(all_are_whole(), listed + 1);
	return hit;
}

static void
any_failing_call_leaves_only_whole_backups(void **state)
{
	int n = 1;

	(void)state;
	while (one_fault(n, false, false, VERIFIED))
		n++;
	assert_true(n > 20);
}

static void
any_lost_answer_leaves_only_whole_backups(void **state)
{
	int n = 1;

	(void)state;
	while (one_fault(n, true, false, UNVERIFIED))
		n++;
	assert_true(n > 20);
}

/* The store did as it was told, the answer got lost, and the call is repeated:
 * it finds its own first try. */
static void
a_repeated_put_finds_that_it_was_there_before(void **state)
{
	static const char *const keys[] = { "catalog/", "lease/", "repo.json",
		"README.txt", "SHA256SUMS", "part=200" };
	static const char fmt[] =
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\",\"after\":true,"
	    "\"transient\":true,\"fail_key\":\"%s\"}}";
	char sinks[256], id[40];

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		(void)snprintf(sinks, sizeof sinks, fmt, keys[i]);
		repofix_end(&x);
		repofix_begin(&x);
		repofix_open(&x, sinks, UNVERIFIED);
		if (i < 5) {
			repofix_backup(&x, id);
			assert_int_equal(all_are_whole(), 1);
			continue;
		}
		/* A stream cannot be repeated. */
		{
			struct repo_backup_result res;
			struct hf_error err = { 0 };

			assert_int_equal(
			    repo_backup(
				x.repo, REPO_BACKUP_CONFIGURED, &res, &err),
			    HF_E_TRANSIENT);
			assert_false(res.published);
			repo_backup_result_clear(&res);
			assert_int_equal(all_are_whole(), 0);
		}
	}
}

/* The same inside a store that repeats by itself and then tells of what it
 * found. */
static void
a_key_that_is_taken_by_the_same_bytes_is_ours(void **state)
{
	static const char *const keys[] = { "catalog/", "lease/" };
	static const char fmt[] =
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\",\"after\":true,"
	    "\"exists\":true,\"fail_key\":\"%s\"}}";
	char sinks[256], id[40];

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		(void)snprintf(sinks, sizeof sinks, fmt, keys[i]);
		repofix_open(&x, sinks, UNVERIFIED);
		repofix_backup(&x, id);
		assert_int_equal(all_are_whole(), i + 1);
	}
	/* Lost to nobody: there was one lease a run. */
	assert_null(repofix_find(&x, "a/shop/lease", "3.json"));
}

/* The manifest arrived, but the store said that it failed. */
static void
a_manifest_whose_put_failed_is_taken_back(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };

	(void)state;
	repofix_open(&x,
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\",\"after\":true,"
	    "\"fail_key\":\"catalog/\"}}",
	    UNVERIFIED);
	assert_int_equal(
	    repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err), HF_E_IO);
	assert_false(res.published);
	repo_backup_result_clear(&res);
	/* Taken back, and only then its data. */
	assert_int_equal(all_are_whole(), 0);
	assert_null(repofix_find(&x, "a/shop", "data/"));
}

static void
a_store_that_dies_at_any_call_leaves_only_whole_backups(void **state)
{
	int n = 1;

	(void)state;
	while (one_fault(n, n % 2 == 0, true, UNVERIFIED))
		n++;
	assert_true(n > 20);
}

static void
a_dying_sink_does_not_harm_the_other(void **state)
{
	static const char fmt[] =
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\"},\"b\":{"
	    "\"type\":\"teststore\",\"path\":\"%%D/b\",\"fail_at\":%d,"
	    "\"dead\":true}}";
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	char sinks[256];

	(void)state;
	for (int n = 1; n < 24; n++) {
		(void)snprintf(sinks, sizeof sinks, fmt, n);
		repofix_open(
		    &x, sinks, FROM(SMALL) TO_TWO GZ ",\"verify\":\"none\"");
		must(repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err),
		    &err);
		assert_true(res.published && res.sinks[0].ok);
		assert_true(res.partial == !res.sinks[1].ok);
		repo_backup_result_clear(&res);
	}
	assert_int_equal(all_are_whole(), 23);
}

/* ---- two runs ---- */

struct running {
	pthread_t thread;
	int rc;
	struct repo_backup_result res;
	struct hf_error err;
};

static void *
run(void *arg)
{
	struct running *r = arg;

	r->rc = repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &r->res, &r->err);
	return NULL;
}

/* Begin a backup whose engine waits, and wait for it to do so. */
static void
begin(struct running *r, const char *sinks)
{
	memset(r, 0, sizeof *r);
	repofix_open(&x, sinks, FROM(SMALL ",\"wait\":\"%D/go\"") TO_ONE GZ);
	assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
	while (!repofix_exists(repofix_path(&x, "go.waiting")))
		(void)usleep(2000);
}

static void
let_go(struct running *r)
{
	must(file_write(repofix_path(&x, "go"), "", 0, NULL), NULL);
	assert_int_equal(pthread_join(r->thread, NULL), 0);
}

static void
the_second_of_two_runs_is_told_who_holds_it(void **state)
{
	struct repo_env env;
	struct repo_backup_result res;
	struct repo_status st;
	struct hf_error err = { 0 };
	struct running first;
	struct repo *second;

	(void)state;
	begin(&first, REPOFIX_ONE);
	env = x.repo->env;
	must(repo_open(&env, x.repo->pipeline, &second, &err), &err);
	assert_int_equal(
	    repo_backup(second, REPO_BACKUP_CONFIGURED, &res, &err),
	    HF_E_EXISTS);
	assert_false(res.published);
	assert_non_null(strstr(err.cause, "locked"));
	assert_non_null(strstr(err.cause, "process"));
	repo_backup_result_clear(&res);
	must(repo_status(second, &st, &err), &err);
	assert_true(st.running);
	assert_string_equal(st.running_verb, "backup");
	repo_close(second);
	let_go(&first);
	must(first.rc, &first.err);
	assert_true(first.res.published);
	repo_backup_result_clear(&first.res);
	must(repo_status(x.repo, &st, &err), &err);
	assert_false(st.running);
	assert_false(st.stale);
	assert_int_equal(st.nbackups, 1);
	assert_true(st.verified_ms > 0);
}

static void
a_run_that_lost_its_lease_publishes_nothing(void **state)
{
	struct running first;
	struct lease *other;
	struct repo_env env;
	struct repo *second;
	struct repo_catalog c;
	struct hf_error err = { 0 };

	(void)state;
	begin(&first, HEALTHY);
	/* Asleep for long, as it seems to somebody else. */
	repofix_age(repofix_find(&x, "a/shop/lease", "1.json"),
	    LEASE_TTL_MS / 1000 + 60);
	env = x.repo->env;
	must(repo_open(&env, x.repo->pipeline, &second, &err), &err);
	must(open_sink(second, 0, &err), &err);
	must(lease_acquire(second->sinks[0].store, "a", "shop", "other",
		 "backup", &other, &err),
	    &err);
	let_go(&first);
	assert_int_equal(first.rc, HF_E_EXISTS);
	assert_false(first.res.published);
	assert_non_null(strstr(first.err.cause, "lost"));
	repo_backup_result_clear(&first.res);
	list(&c);
	assert_int_equal(c.n, 0);
	repo_catalog_clear(&c);
	assert_null(repofix_find(&x, "a/shop", "data/"));
	assert_int_equal(lease_check(other, &err), HF_OK);
	lease_release(other);
	repo_close(second);
}

static void
an_interrupted_run_publishes_nothing(void **state)
{
	static struct cancel cancel;
	struct running first;
	struct repo_catalog c;

	(void)state;
	memset(&first, 0, sizeof first);
	memset(&cancel, 0, sizeof cancel);
	repofix_open(
	    &x, REPOFIX_ONE, FROM(SMALL ",\"wait\":\"%D/go\"") TO_ONE GZ);
	x.repo->env.cancel = &cancel;
	assert_int_equal(pthread_create(&first.thread, NULL, run, &first), 0);
	while (!repofix_exists(repofix_path(&x, "go.waiting")))
		(void)usleep(2000);
	cancel_request(&cancel);
	assert_int_equal(pthread_join(first.thread, NULL), 0);
	assert_int_equal(first.rc, HF_E_CANCELLED);
	assert_false(first.res.published);
	repo_backup_result_clear(&first.res);
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE GZ);
	list(&c);
	assert_int_equal(c.n, 0);
	repo_catalog_clear(&c);
	assert_null(repofix_find(&x, "a/shop", "data/"));
}

/* ---- the repository itself ---- */

static void
a_newer_repository_is_refused(void **state)
{
	struct repo_backup_result res;
	struct repo_catalog c;
	struct hf_error err = { 0 };
	json_t *doc = NULL;
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, id);
	must(doc_get(x.repo->sinks[0].store, "repo.json", &doc, &err), &err);
	json_object_set_new(doc, "format", json_integer(2));
	must(doc_put(x.repo->sinks[0].store, "repo.json", 0, doc, &err), &err);
	json_decref(doc);
	assert_int_equal(repo_list(x.repo, &c, &err), HF_E_UNSUPPORTED);
	assert_int_equal(
	    repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err),
	    HF_E_UNSUPPORTED);
	assert_non_null(strstr(err.cause, "format 2"));
	repo_backup_result_clear(&res);
}

static void
a_lost_readme_comes_back_and_a_damaged_one_stops_nothing(void **state)
{
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(
	    &x, REPOFIX_ONE, FROM(SMALL) TO_ONE ",\"verify\":\"none\"");
	repofix_backup(&x, id);
	assert_int_equal(unlink(repofix_path(&x, "a/README.txt")), 0);
	repofix_flip(repofix_path(&x, "a/repo.json"), 20, 1);
	repofix_backup(&x, id);
	assert_true(repofix_exists(repofix_path(&x, "a/README.txt")));
	assert_int_equal(
	    layout_verify_readme(x.repo->sinks[0].store, &err), HF_OK);
	assert_int_equal(
	    layout_verify_repo(x.repo->sinks[0].store, &err), HF_E_CORRUPT);
	assert_int_equal(unlink(repofix_path(&x, "a/repo.json")), 0);
	repofix_backup(&x, id);
	assert_int_equal(
	    layout_verify_repo(x.repo->sinks[0].store, &err), HF_OK);
}

static void
the_doctor_asks_everybody(void **state)
{
	struct hf_error err = { 0 };
	int worst;

	(void)state;
	repofix_open(&x, REPOFIX_TWO, FROM(SMALL) TO_TWO GZ);
	must(repo_doctor(x.repo, &worst, &err), &err);
	assert_true(worst < HF_FAIL);
	assert_non_null(strstr(x.findings, "source testengine|0|source|ok"));
	assert_non_null(strstr(x.findings, "filter gz|0|round trip|"));
	assert_non_null(strstr(x.findings, "sink a|0|"));
	assert_non_null(strstr(x.findings, "sink b|0|"));
	/* Asking makes nothing. */
	assert_non_null(strstr(x.findings, "sink b|1|folder|"));
	assert_false(repofix_exists(repofix_path(&x, "b")));
	must(file_write(repofix_path(&x, "b"), "x", 1, &err), &err);
	repofix_open(&x, REPOFIX_TWO, FROM(SMALL ",\"sick\":true") TO_TWO);
	x.findings[0] = '\0';
	must(repo_doctor(x.repo, &worst, &err), &err);
	assert_int_equal(worst, HF_FAIL);
	assert_non_null(strstr(x.findings, "source testengine|2|source|sick"));
	assert_non_null(strstr(x.findings, "sink b|2|"));
}

static void
a_filter_nobody_configures_any_more_can_be_read(void **state)
{
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE GZ);
	repofix_backup(&x, id);
	x.no_filters = true;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	must(restore(repofix_path(&x, "t"), &res, &err), &err);
	repo_restore_result_clear(&res);
	/* Without a loader it is said what to do. */
	x.repo->env.plugins = NULL;
	repo_close(x.repo);
	x.repo = NULL;
	x.no_plugins = true;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	assert_int_equal(
	    restore(repofix_path(&x, "t2"), &res, &err), HF_E_NOTFOUND);
	assert_non_null(error_get(&err, "hint"));
	repo_restore_result_clear(&res);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_sink_that_cannot_be_used_makes_it_partial),
		T(without_any_sink_there_is_no_backup),
		T(a_sink_that_hangs_is_left_behind),
		T(a_restore_falls_back_to_a_good_copy),
		T(without_a_good_copy_the_restore_fails_and_leaves_nothing),
		T(a_taken_target_is_no_reason_to_try_another_copy),
		T(any_failing_call_leaves_only_whole_backups),
		T(any_lost_answer_leaves_only_whole_backups),
		T(a_repeated_put_finds_that_it_was_there_before),
		T(a_key_that_is_taken_by_the_same_bytes_is_ours),
		T(a_manifest_whose_put_failed_is_taken_back),
		T(a_store_that_dies_at_any_call_leaves_only_whole_backups),
		T(a_dying_sink_does_not_harm_the_other),
		T(the_second_of_two_runs_is_told_who_holds_it),
		T(a_run_that_lost_its_lease_publishes_nothing),
		T(an_interrupted_run_publishes_nothing),
		T(a_newer_repository_is_refused),
		T(a_lost_readme_comes_back_and_a_damaged_one_stops_nothing),
		T(the_doctor_asks_everybody),
		T(a_filter_nobody_configures_any_more_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
