/* SPDX-License-Identifier: BSD-2-Clause */
/* Which backup a new one builds on, and when it is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "repo/prune.h"
#include "repo/repo_private.h"
#include "support/deltakit.h"

static struct repofix *const x = &copykit_fix;

static void
open_with(const char *pipeline)
{
	repofix_open(x, COPYKIT_SINKS, pipeline);
}

/* A backup of the n-th state; parent NULL: full, because of this. */
static void
expect(enum repo_backup_kind kind, unsigned n, const char *parent,
    const char *because, char id[40])
{
	char would[40], why[512];
	struct repo_backup_result res;
	struct hf_error err = { 0 };

	deltakit_write(n);
	copykit_must(repo_backup_would(x->repo, kind, would, why, &err), &err);
	deltakit_backup(kind, &res);
	if (parent != NULL) {
		assert_string_equal(res.parent, parent);
		assert_string_equal(res.full_because, "");
		assert_string_equal(would, parent);
	} else {
		assert_string_equal(res.parent, "");
		if (strstr(res.full_because, because) == NULL)
			fail_msg("\"%s\" is not in \"%s\"", because,
			    res.full_because);
		assert_int_equal(*because == '\0', res.full_because[0] == '\0');
	}
	if (id != NULL)
		memcpy(id, res.id, sizeof res.id);
	deltakit_restores(res.id, NULL, n);
	deltakit_restores(res.id, "b", n);
	repo_backup_result_clear(&res);
}

static void
the_configuration_and_the_user_choose(void **state)
{
	char ids[4][40];

	(void)state;
	open_with(DELTA("") TO_TWO);
	expect(REPO_BACKUP_CONFIGURED, 0, NULL, "", ids[0]);
	/* Without a word of the configuration, for once. */
	expect(REPO_BACKUP_INCREMENTAL, 1, ids[0], NULL, ids[1]);
	expect(REPO_BACKUP_CONFIGURED, 2, NULL, "", ids[2]);
	open_with(DELTA_TWO);
	expect(REPO_BACKUP_CONFIGURED, 3, ids[2], NULL, ids[3]);
	expect(REPO_BACKUP_FULL, 4, NULL, "", NULL);
}

static void
the_first_one_is_full(void **state)
{
	(void)state;
	open_with(DELTA_TWO);
	expect(REPO_BACKUP_CONFIGURED, 0, NULL, "no earlier backup", NULL);
	/* Of engines that make none, all are. */
	repofix_open(x, COPYKIT_SINKS, FROM(SMALL) TO_TWO INCREMENTAL);
	{
		struct repo_backup_result res;

		deltakit_backup(REPO_BACKUP_INCREMENTAL, &res);
		assert_string_equal(res.parent, "");
		assert_non_null(strstr(res.full_because, "no engine"));
		repo_backup_result_clear(&res);
	}
}

/* Of another engine, though the source has the name. */
static void
what_another_engine_made_is_not_built_on(void **state)
{
	char id[40];

	(void)state;
	open_with("\"from\":{\"name\":\"s\",\"engine\":\"testengine\"}" TO_TWO);
	repofix_backup(x, id);
	open_with("\"from\":{\"name\":\"s\",\"engine\":\"testdelta\",\"path\":"
		  "\"%D/home\"}" TO_TWO INCREMENTAL);
	expect(REPO_BACKUP_CONFIGURED, 0, NULL, "made by an engine", id);
	expect(REPO_BACKUP_CONFIGURED, 1, id, NULL, NULL);
}

static void
a_full_one_is_made_when_it_is_due(void **state)
{
	char ids[5][40];

	(void)state;
	open_with(
	    DELTA("") TO_TWO NO_VERIFY ",\"incremental\":{\"max_chain\":2}");
	expect(REPO_BACKUP_CONFIGURED, 0, NULL, "no earlier", ids[0]);
	expect(REPO_BACKUP_CONFIGURED, 1, ids[0], NULL, ids[1]);
	expect(REPO_BACKUP_CONFIGURED, 2, ids[1], NULL, ids[2]);
	expect(REPO_BACKUP_CONFIGURED, 3, NULL, "2 increments", ids[3]);
	expect(REPO_BACKUP_CONFIGURED, 4, ids[3], NULL, ids[4]);
	/* By the start of the full one, not of the increments on it. */
	open_with(DELTA("") TO_TWO NO_VERIFY
	    ",\"incremental\":{\"full_every\":\"2d\"}");
	for (size_t i = 0; i < 2; i++)
		deltakit_age(i, ids[3], "1");
	expect(REPO_BACKUP_CONFIGURED, 5, ids[4], NULL, ids[4]);
	for (size_t i = 0; i < 2; i++)
		deltakit_age(i, ids[3], "3");
	expect(REPO_BACKUP_INCREMENTAL, 6, ids[4], NULL, ids[4]);
	expect(REPO_BACKUP_CONFIGURED, 7, NULL, ids[3], NULL);
}

/* So that each sink's copy can be restored from that sink alone. */
static void
every_sink_that_takes_part_must_have_it_all(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	char ids[4][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(3, ids);
	/* The older one will do. */
	deltakit_lose("b", ids[2]);
	expect(REPO_BACKUP_CONFIGURED, 3, ids[1], NULL, ids[3]);
	/* A hole further down. */
	deltakit_lose("b", ids[1]);
	deltakit_lose("b", ids[0]);
	expect(REPO_BACKUP_CONFIGURED, 4, NULL, "does not have", ids[2]);
	/* A sink that is away asks for nothing. */
	deltakit_lose("b", ids[2]);
	assert_int_equal(
	    rename(repofix_path(x, "b"), repofix_path(x, "b.away")), 0);
	copykit_must(file_write(repofix_path(x, "b"), "x", 1, &err), &err);
	open_with(DELTA_TWO);
	copykit_must(
	    repo_backup(x->repo, REPO_BACKUP_CONFIGURED, &res, &err), &err);
	assert_true(res.partial);
	assert_string_equal(res.parent, ids[2]);
	repo_backup_result_clear(&res);
	assert_int_equal(unlink(repofix_path(x, "b")), 0);
}

static void
what_is_damaged_is_not_built_on(void **state)
{
	struct repo_verify_result v;
	struct repo_backup_entry e;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(3, ids);
	/* By its last check, in one sink; the chain below is well. */
	copykit_flip_middle(deltakit_object("b", ids[2], "delta"));
	copykit_must(catalog_entry(x->repo, ids[2], &e, &err), &err);
	error_clear(&err);
	assert_int_equal(
	    repo_verify(x->repo, &e, NULL, false, &v, &err), HF_E_CORRUPT);
	repo_verify_result_clear(&v);
	catalog_entry_clear(&e, 2);
	deltakit_write(3);
	{
		struct repo_backup_result res;

		deltakit_backup(REPO_BACKUP_CONFIGURED, &res);
		assert_string_equal(res.parent, ids[1]);
		repo_backup_result_clear(&res);
	}
	/* A manifest that cannot be read, of what all of them build on. */
	repofix_flip(repofix_path(x, "a/shop/catalog/%s.json", ids[0]), 30, 1);
	expect(REPO_BACKUP_CONFIGURED, 4, NULL, "cannot be built on", NULL);
}

static void
one_from_the_future_is_never_built_on(void **state)
{
	static const char future[] = "20991231T235959Z-00000000";
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	open_with(DELTA_TWO);
	expect(REPO_BACKUP_CONFIGURED, 0, NULL, "no earlier", id);
	for (int i = 0; i < 2; i++)
		copykit_must(
		    file_write(repofix_path(x, "%c/shop/catalog/%s.json",
				   'a' + i, future),
			"{}", 2, &err),
		    &err);
	expect(REPO_BACKUP_CONFIGURED, 1, id, NULL, NULL);
	deltakit_lose("a", id);
	{
		struct repo_backup_result res;

		deltakit_backup(REPO_BACKUP_CONFIGURED, &res);
		assert_non_null(strstr(res.full_because, "the clock"));
		repo_backup_result_clear(&res);
	}
}

/* ---- what the engine says ---- */

static const char *
fact(const struct repo_backup_result *res, const char *key)
{
	for (size_t i = 0; i < res->nfacts; i++)
		if (strcmp(res->facts[i].key, key) == 0)
			return res->facts[i].value;
	return NULL;
}

static void
an_engine_that_cannot_is_asked_for_a_full_one(void **state)
{
	struct repo_backup_result res;
	struct repo_backup_entry e;
	struct hf_error err = { 0 };
	char ids[1][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(1, ids);
	open_with(DELTA(",\"refuse\":true") TO_TWO GZ INCREMENTAL);
	deltakit_write(1);
	deltakit_backup(REPO_BACKUP_CONFIGURED, &res);
	assert_string_equal(res.parent, "");
	assert_non_null(strstr(res.full_because, "the summaries are gone"));
	assert_non_null(strstr(res.full_because, "Keep them longer."));
	/* What it told before is forgotten. */
	assert_null(fact(&res, "refused"));
	assert_non_null(fact(&res, "hash"));
	copykit_must(catalog_entry(x->repo, res.id, &e, &err), &err);
	assert_string_equal(e.copies[0].manifest->kind, "full");
	assert_null(e.copies[0].manifest->parent);
	catalog_entry_clear(&e, 2);
	deltakit_restores(res.id, "a", 1);
	repo_backup_result_clear(&res);
	/* Too late: what was begun stands in the way. */
	open_with(
	    DELTA(",\"refuse\":true,\"late\":true") TO_TWO GZ INCREMENTAL);
	assert_int_equal(
	    repo_backup(x->repo, REPO_BACKUP_CONFIGURED, &res, &err),
	    HF_E_UNSUPPORTED);
	assert_false(res.published);
	repo_backup_result_clear(&res);
	assert_int_equal(copykit_all_whole("a"), 2);
}

static void
a_damaged_copy_of_the_parent_is_not_built_on(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	char ids[2][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(2, ids);
	/* That of b is good, but what a would get could not be restored from
	 * a. */
	copykit_flip_middle(deltakit_object("a", ids[1], "map"));
	expect(REPO_BACKUP_CONFIGURED, 2, NULL, "map", ids[1]);
	/* When that shows too late, the run fails and says so. */
	open_with(DELTA(",\"blind\":true") TO_TWO NO_VERIFY INCREMENTAL);
	copykit_flip_middle(deltakit_object("a", ids[1], "map"));
	assert_int_equal(
	    repo_backup(x->repo, REPO_BACKUP_CONFIGURED, &res, &err),
	    HF_E_CORRUPT);
	assert_false(res.published);
	repo_backup_result_clear(&res);
	assert_null(repofix_find(x, "a/shop/data", "early"));
}

/* ---- beside others ---- */

static void
wait_for(const char *name)
{
	for (int i = 0;
	     i < 6000 && !repofix_exists(repofix_path(x, "%s", name)); i++)
		(void)usleep(5000);
	assert_true(repofix_exists(repofix_path(x, "%s", name)));
}

static void
touch(const char *name)
{
	struct hf_error err = { 0 };

	copykit_must(
	    file_write(repofix_path(x, "%s", name), "", 0, &err), &err);
}

struct running {
	struct repo_backup_result res;
	struct hf_error err;
	int rc;
};

static void *
run(void *arg)
{
	struct running *r = arg;

	r->rc = repo_backup(x->repo, REPO_BACKUP_CONFIGURED, &r->res, &r->err);
	return NULL;
}

#define WAITING DELTA(",\"wait\":\"%D/go\"") TO_TWO GZ NO_VERIFY INCREMENTAL

static void
an_increment_is_not_published_where_its_parent_is_gone(void **state)
{
	struct running r = { .rc = HF_OK };
	pthread_t thread;
	char ids[2][40];

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(2, ids);
	open_with(WAITING);
	deltakit_write(2);
	assert_int_equal(pthread_create(&thread, NULL, run, &r), 0);
	wait_for("go.waiting");
	deltakit_lose("b", ids[1]);
	touch("go");
	assert_int_equal(pthread_join(thread, NULL), 0);
	copykit_must(r.rc, &r.err);
	assert_true(r.res.published && r.res.partial);
	assert_true(r.res.sinks[0].ok);
	assert_int_equal(r.res.sinks[1].why.status, HF_E_NOTFOUND);
	copykit_state_of(r.res.id, 0, REPO_COPY_PRESENT);
	copykit_state_of(r.res.id, 1, REPO_COPY_ABSENT);
	deltakit_restores(r.res.id, "a", 2);
	repo_backup_result_clear(&r.res);
}

/* In a process of its own: a lock is between processes. */
static pid_t
prune_in_child(const char *sinks, const char *pipeline)
{
	struct hf_error err = { 0 };
	struct prune_result res;
	pid_t pid;
	int rc;

	repofix_close(x);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	/* It would wait for ever for a test that failed. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	repofix_open(x, sinks, pipeline);
	rc = repo_prune(x->repo, false, &res, &err);
	_exit(rc == HF_OK ? 0 : rc == HF_E_EXISTS ? 11 : 1);
}

static int
ended(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define LAST_ONE ",\"retention\":{\"last\":1}"

static void
prune_waits_for_the_increment_that_is_being_made(void **state)
{
	struct running r = { .rc = HF_OK };
	pthread_t thread;
	char ids[2][40];
	pid_t pid;

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(2, ids);
	/* Begun first, and held up at its own start. */
	pid = prune_in_child(
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\",\"gate\":"
	    "\"lease/\"},\"b\":{\"type\":\"teststore\",\"path\":\"%D/b\"}}",
	    DELTA_TWO LAST_ONE);
	open_with(WAITING);
	deltakit_write(2);
	wait_for("a.waiting");
	assert_int_equal(pthread_create(&thread, NULL, run, &r), 0);
	wait_for("go.waiting");
	touch("a.open");
	assert_int_equal(ended(pid), 11);
	touch("go");
	assert_int_equal(pthread_join(thread, NULL), 0);
	copykit_must(r.rc, &r.err);
	assert_string_equal(r.res.parent, ids[1]);
	assert_int_equal(copykit_all_whole("a"), 3);
	repo_backup_result_clear(&r.res);
}

/* What prune saw before it had the leases is not what it goes by. */
static void
an_increment_that_ended_meanwhile_keeps_its_parent(void **state)
{
	char ids[2][40], newer[40];
	pid_t pid;

	(void)state;
	open_with(DELTA_TWO);
	deltakit_chain(1, ids);
	expect(REPO_BACKUP_FULL, 1, NULL, "", ids[1]);
	pid = prune_in_child(
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\",\"gate\":"
	    "\"lease/\"},\"b\":{\"type\":\"teststore\",\"path\":\"%D/b\"}}",
	    DELTA_TWO LAST_ONE);
	wait_for("a.waiting");
	/* It has seen two full ones, of which the older is to go. */
	deltakit_lose("b", ids[1]);
	open_with(DELTA_TWO);
	expect(REPO_BACKUP_CONFIGURED, 2, ids[0], NULL, newer);
	touch("a.open");
	assert_int_equal(ended(pid), 0);
	assert_int_equal(copykit_all_whole("a"), 2);
	assert_int_equal(copykit_all_whole("b"), 2);
	deltakit_restores(newer, "b", 2);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, copykit_setup, copykit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_configuration_and_the_user_choose),
		TEST(the_first_one_is_full),
		TEST(what_another_engine_made_is_not_built_on),
		TEST(a_full_one_is_made_when_it_is_due),
		TEST(every_sink_that_takes_part_must_have_it_all),
		TEST(what_is_damaged_is_not_built_on),
		TEST(one_from_the_future_is_never_built_on),
		TEST(an_engine_that_cannot_is_asked_for_a_full_one),
		TEST(a_damaged_copy_of_the_parent_is_not_built_on),
		TEST(an_increment_is_not_published_where_its_parent_is_gone),
		TEST(prune_waits_for_the_increment_that_is_being_made),
		TEST(an_increment_that_ended_meanwhile_keeps_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
