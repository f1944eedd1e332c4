/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "config/config.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/lease_private.h"
#include "repo/repo_private.h"
#include "support/repofix.h"

#define SINK "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\"}}"
#define PIPELINE                                                           \
	"\"from\":{\"engine\":\"testengine\"},\"to\":[\"a\"],\"require\":" \
	"\"all\""
#define LONG 600000

static struct repofix x;

static struct store *
open_store(const char *sinks)
{
	struct hf_error err = { 0 };

	repofix_open(&x, sinks, PIPELINE);
	assert_int_equal(open_sink(x.repo, 0, &err), HF_OK);
	return x.repo->sinks[0].store;
}

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

static int
acquire(struct store *s, const char *run, int64_t ttl, struct lease **l)
{
	struct hf_error err = { 0 };
	int rc = lease_acquire_ttl(s, "a", "shop", run, "backup", ttl, l, &err);

	assert_int_equal(rc, err.status);
	return rc;
}

/* In a process of its own, which ends without releasing. */
static void
acquire_and_die(const char *run, int64_t ttl)
{
	pid_t pid;
	int status;

	repofix_close(&x);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct lease *l;
		int rc = acquire(open_store(SINK), run, ttl, &l);

		_exit(rc == HF_OK ? 7 : 8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void
a_held_lease_is_refused_and_its_holder_named(void **state)
{
	struct store *s = open_store(SINK);
	struct hf_error err = { 0 };
	struct lease *l, *other;
	char host[64], pid[32];

	(void)state;
	assert_int_equal(acquire(s, "run-one", LONG, &l), HF_OK);
	assert_int_equal(lease_epoch(l), 1);
	assert_int_equal(lease_check(l, NULL), HF_OK);
	assert_int_equal(
	    lease_acquire(s, "a", "shop", "run-two", "backup", &other, &err),
	    HF_E_EXISTS);
	repo_host(host, sizeof host);
	(void)snprintf(pid, sizeof pid, "process %d", (int)getpid());
	assert_non_null(strstr(err.cause, "run-one"));
	assert_non_null(strstr(err.cause, host));
	assert_non_null(strstr(err.cause, pid));
	assert_non_null(strstr(err.cause, "sink a"));
	assert_non_null(error_get(&err, "hint"));
	/* Another pipeline's is another lease. */
	assert_int_equal(
	    lease_acquire(s, "a", "other", "run-two", "backup", &other, &err),
	    HF_OK);
	lease_release(other);
	lease_release(l);
}

static void
a_released_lease_can_be_taken(void **state)
{
	struct store *s = open_store(SINK);
	struct lease_info *infos;
	struct lease *l;
	unsigned n;

	(void)state;
	assert_int_equal(acquire(s, "run-one", LONG, &l), HF_OK);
	lease_release(l);
	lease_release(NULL);
	assert_int_equal(acquire(s, "run-two", LONG, &l), HF_OK);
	assert_int_equal(lease_epoch(l), 2);
	assert_int_equal(lease_list(s, "shop", &infos, &n, NULL), HF_OK);
	assert_int_equal(n, 2);
	assert_string_equal(infos[0].run_id, "run-one");
	assert_true(infos[0].released);
	assert_string_equal(infos[1].run_id, "run-two");
	assert_false(infos[1].released || infos[1].dead || infos[1].expired);
	assert_string_equal(infos[1].verb, "backup");
	free(infos);
	lease_release(l);
}

static void
the_lease_of_a_dead_process_is_free_at_once(void **state)
{
	struct lease_info *infos;
	struct store *s;
	struct lease *l;
	unsigned n;

	(void)state;
	acquire_and_die("run-one", LONG);
	s = open_store(SINK);
	assert_int_equal(lease_list(s, "shop", &infos, &n, NULL), HF_OK);
	assert_int_equal(n, 1);
	assert_true(infos[0].dead);
	assert_false(infos[0].released || infos[0].expired);
	free(infos);
	assert_int_equal(acquire(s, "run-two", LONG, &l), HF_OK);
	assert_int_equal(lease_epoch(l), 2);
	lease_release(l);
}

/* Make the lease that of a process on a machine we know nothing of. */
static void
move_to_another_host(struct store *s, uint64_t epoch)
{
	char *key = lease_key("shop", epoch);
	struct hf_error err = { 0 };
	json_t *doc = NULL;

	assert_int_equal(doc_get(s, key, &doc, &err), HF_OK);
	json_object_set_new(doc, "host", json_string("elsewhere"));
	assert_int_equal(doc_put(s, key, 0, doc, &err), HF_OK);
	json_decref(doc);
	free(key);
}

static void
a_lease_that_is_not_renewed_expires(void **state)
{
	struct store *s;
	struct lease *l;

	(void)state;
	acquire_and_die("run-one", LONG);
	s = open_store(SINK);
	move_to_another_host(s, 1);
	assert_int_equal(acquire(s, "run-two", LONG, &l), HF_E_EXISTS);
	repofix_age(
	    repofix_find(&x, "a/shop/lease", "1.json"), LONG / 1000 - 5);
	assert_int_equal(acquire(s, "run-two", LONG, &l), HF_E_EXISTS);
	repofix_age(
	    repofix_find(&x, "a/shop/lease", "1.json"), LONG / 1000 + 5);
	assert_int_equal(acquire(s, "run-two", LONG, &l), HF_OK);
	assert_int_equal(lease_epoch(l), 2);
	lease_release(l);
}

static void
a_holder_that_was_overtaken_learns_it(void **state)
{
	struct store *s = open_store(SINK);
	struct hf_error err = { 0 };
	struct lease *l, *other;

	(void)state;
	assert_int_equal(acquire(s, "run-one", LONG, &l), HF_OK);
	repofix_age(
	    repofix_find(&x, "a/shop/lease", "1.json"), LONG / 1000 + 5);
	assert_int_equal(acquire(s, "run-two", LONG, &other), HF_OK);
	assert_int_equal(lease_check(l, &err), HF_E_CANCELLED);
	assert_int_equal(lease_check(other, NULL), HF_OK);
	lease_release(l);
	/* Letting go of a lost lease leaves the new holder's alone. */
	assert_int_equal(lease_check(other, NULL), HF_OK);
	lease_release(other);
}

static void
a_lease_is_renewed_while_held(void **state)
{
	struct store *s = open_store(SINK);
	const char *path;
	struct stat st;
	struct lease *l;
	bool renewed = false;

	(void)state;
	assert_int_equal(acquire(s, "run-one", 3000, &l), HF_OK);
	path = repofix_find(&x, "a/shop/lease", "1.json");
	repofix_age(path, 3600);
	for (int i = 0; i < 1000 && !renewed; i++) {
		(void)usleep(10000);
		assert_int_equal(stat(path, &st), 0);
		renewed = time(NULL) - st.st_mtime < 1800;
	}
	assert_true(renewed);
	assert_int_equal(lease_check(l, NULL), HF_OK);
	lease_release(l);
}

static void
a_lease_that_cannot_be_renewed_is_lost_in_time(void **state)
{
	struct store *s = open_store("{\"a\":{\"type\":\"teststore\",\"path\":"
				     "\"%D/a\",\"fail_key\":\"lease/\","
				     "\"dead\":true}}");
	struct hf_error err = { 0 };
	struct lease *l;
	int rc = HF_OK;

	(void)state;
	/* The first put works, and no other. */
	assert_int_equal(acquire(s, "run-one", 300, &l), HF_OK);
	for (int i = 0; i < 1000 && rc == HF_OK; i++) {
		(void)usleep(10000);
		rc = lease_check(l, &err);
	}
	assert_int_equal(rc, HF_E_CANCELLED);
	lease_release(l);
}

static void
a_damaged_lease_holds_until_it_expires(void **state)
{
	struct store *s = open_store(SINK);
	const char *path;
	struct lease *l;

	(void)state;
	assert_int_equal(acquire(s, "run-one", LONG, &l), HF_OK);
	lease_release(l);
	path = repofix_find(&x, "a/shop/lease", "1.json");
	repofix_flip(path, 20, 0);
	assert_int_equal(acquire(s, "run-two", LONG, &l), HF_E_EXISTS);
	repofix_age(path, LEASE_TTL_MS / 1000 + 5);
	assert_int_equal(acquire(s, "run-two", LONG, &l), HF_OK);
	lease_release(l);
}

/* The next number after the highest that fits would be none. */
static void
a_file_with_an_impossible_number_is_no_lease(void **state)
{
	static const char *const junk[] = { "09223372036854775807",
		"18446744073709551615", "00000001000000000001" };
	struct store *s = open_store(SINK);
	struct hf_error err = { 0 };
	char key[64];
	struct lease *l;

	(void)state;
	for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
		(void)snprintf(key, sizeof key, "shop/lease/%s.json", junk[i]);
		assert_int_equal(
		    store_put_all(s, key, 0, "junk", 4, &err), HF_OK);
		assert_int_equal(acquire(s, "run-one", LONG, &l), HF_OK);
		assert_int_equal(lease_epoch(l), i + 1);
		assert_int_equal(lease_check(l, &err), HF_OK);
		lease_release(l);
	}
}

/* Of two that begin at one moment neither would see the other. */
static void
a_store_without_conditions_is_refused(void **state)
{
	struct store *s = open_store("{\"a\":{\"type\":\"teststore\",\"path\":"
				     "\"%D/a\",\"shared\":true}}");
	struct hf_error err = { 0 };
	struct lease *l = NULL;

	(void)state;
	assert_int_equal(
	    lease_acquire(s, "a", "shop", "run-one", "backup", &l, &err),
	    HF_E_INVALID);
	assert_null(l);
	assert_non_null(strstr(err.cause, "sink a cannot create an object"));
	assert_non_null(error_get(&err, "hint"));
	/* Nor is a repository begun in it. */
	error_clear(&err);
	assert_int_equal(
	    layout_ready(x.repo, &x.repo->sinks[0], &err), HF_E_INVALID);
	assert_int_equal(
	    store_stat(s, REPO_KEY,
		&(struct hf_object){ .struct_size = sizeof(struct hf_object) },
		&err),
	    HF_E_NOTFOUND);
}

/* One of the racers: waits for the start, tells how it went, and ends (as if
 * killed) when everybody has told. */
static void
run_racer(
    unsigned i, const char *sinks, uint64_t epoch, int start, int tell, int end)
{
	struct store *s = open_store(sinks);
	struct lease *l = NULL;
	char run[32], c;
	int rc;

	(void)snprintf(run, sizeof run, "run-%u", i);
	(void)!read(start, &c, 1);
	rc = acquire(s, run, LONG, &l);
	c = rc == HF_E_EXISTS                        ? '0'
	    : rc == HF_OK && lease_epoch(l) == epoch ? '1'
						     : '?';
	(void)!write(tell, &c, 1);
	(void)!read(end, &c, 1);
	_exit(0);
}

/* Processes that begin at one moment. */
static void
race(unsigned n, uint64_t epoch, const char *sinks)
{
	int start[2], tell[2], end[2], status;
	char said[16], go[16] = { 0 };
	unsigned won = 0;
	pid_t pids[16];

	repofix_close(&x);
	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(tell), 0);
	assert_int_equal(pipe(end), 0);
	for (unsigned i = 0; i < n; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			(void)close(start[1]);
			(void)close(tell[0]);
			(void)close(end[1]);
			run_racer(i, sinks, epoch, start[0], tell[1], end[0]);
		}
	}
	(void)close(start[0]);
	(void)close(tell[1]);
	(void)close(end[0]);
	assert_int_equal(write(start[1], go, n), n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(read(tell[0], &said[i], 1), 1);
	(void)close(start[1]);
	(void)close(tell[0]);
	(void)close(end[1]);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		assert_true(said[i] == '0' || said[i] == '1');
		won += said[i] == '1';
	}
	assert_int_equal(won, 1);
}

static void
of_eight_processes_one_gets_the_lease(void **state)
{
	(void)state;
	race(8, 1, SINK);
	/* All of them see a dead holder now, and one takes over. */
	race(8, 2, SINK);
}

static void
of_eight_processes_one_gets_it_in_a_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdir(repofix_path(&x, "a"), 0700), 0);
	race(8, 1, REPOFIX_ONE);
	race(8, 2, REPOFIX_ONE);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_held_lease_is_refused_and_its_holder_named),
		T(a_released_lease_can_be_taken),
		T(the_lease_of_a_dead_process_is_free_at_once),
		T(a_lease_that_is_not_renewed_expires),
		T(a_holder_that_was_overtaken_learns_it),
		T(a_lease_is_renewed_while_held),
		T(a_lease_that_cannot_be_renewed_is_lost_in_time),
		T(a_damaged_lease_holds_until_it_expires),
		T(a_file_with_an_impossible_number_is_no_lease),
		T(a_store_without_conditions_is_refused),
		T(of_eight_processes_one_gets_the_lease),
		T(of_eight_processes_one_gets_it_in_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
