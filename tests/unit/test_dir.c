/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "plugin/store.h"
#include "support/dir_kit.h"

/* ---- objects ---- */

static void
an_object_is_private_whole_and_described(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = open_at(root);
	struct store_put *p = NULL;
	struct hf_object out = { .struct_size = sizeof out }, o = out;
	struct stat st;

	(void)state;
	must(store_put(s, "shop/data/x.gz", 0, 0, &p, &err), &err);
	for (int i = 0; i < 1000; i++)
		must(store_put_write(p, "0123456789", 10, &err), &err);
	must(store_put_commit(p, &out, &err), &err);
	assert_int_equal(out.size, 10000);
	must(store_stat(s, "shop/data/x.gz", &o, &err), &err);
	assert_int_equal(o.size, 10000);
	assert_int_equal(o.mtime, out.mtime);
	assert_string_equal(o.etag, out.etag);
	assert_true(strlen(o.etag) > 0);
	assert_int_equal(stat(at("shop/data/x.gz"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(stat(at("shop/data"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(root, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(count_names(root), 1);
	store_close(s);
}

static void
a_long_object_comes_back_the_same(void **state)
{
	const size_t len = 20 * MIB + 12345;
	struct hf_error err = { 0 };
	struct store *s = open_store();
	struct store_put *p = NULL;
	struct buf b = BUF_INIT;
	uint32_t *data = malloc(len);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < len / 4; i++)
		data[i] = (uint32_t)(i * 2654435761u);
	must(store_put(s, "big", 0, len, &p, &err), &err);
	must(store_put_write(p, data, 3, &err), &err);
	must(store_put_write(p, (char *)data + 3, len - 3, &err), &err);
	must(store_put_commit(p, NULL, &err), &err);
	must(store_get_all(s, "big", len, &b, &err), &err);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, data, len / 4 * 4);
	buf_free(&b);
	free(data);
	store_close(s);
}

static void
nothing_is_seen_before_commit_and_nothing_stays_after_abort(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = open_store();
	struct store_put *p = NULL;

	(void)state;
	must(store_put(s, "a/b", 0, 0, &p, &err), &err);
	must(store_put_write(p, "text", 4, &err), &err);
	assert_lists(s, "", "");
	assert_missing(s, "a/b");
	store_put_abort(p);
	assert_lists(s, "", "");
	assert_int_equal(count_names(root), 0);
	store_close(s);
}

static void
abort_of_an_overwrite_keeps_the_old_object(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = open_store();
	struct store_put *p = NULL;

	(void)state;
	put(s, "a/b", "old");
	must(store_put(s, "a/b", 0, 0, &p, &err), &err);
	must(store_put_write(p, "new", 3, &err), &err);
	assert_holds(s, "a/b", "old");
	store_put_abort(p);
	assert_holds(s, "a/b", "old");
	put(s, "a/b", "newer");
	assert_holds(s, "a/b", "newer");
	assert_int_equal(count_names(root), 1);
	assert_int_equal(count_names(at("a")), 1);
	store_close(s);
}

struct reading {
	struct store *store;
	atomic_bool stop;
	bool good;
	unsigned rounds;
};

static void *
read_again_and_again(void *arg)
{
	struct reading *r = arg;
	struct buf b = BUF_INIT;

	while (!atomic_load(&r->stop)) {
		b.len = 0;
		if (store_get_all(r->store, "k", MIB, &b, NULL) != HF_OK ||
		    b.len != 50000)
			r->good = false;
		for (size_t i = 1; i < b.len; i++)
			if (b.data[i] != b.data[0])
				r->good = false;
		r->rounds++;
	}
	buf_free(&b);
	return NULL;
}

static void
a_reader_sees_the_old_or_the_new_object(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = open_store();
	struct reading r = { .store = s, .good = true };
	pthread_t thread;
	char data[50000];

	(void)state;
	memset(data, 'a', sizeof data);
	must(store_put_all(s, "k", 0, data, sizeof data, &err), &err);
	assert_int_equal(
	    pthread_create(&thread, NULL, read_again_and_again, &r), 0);
	for (int i = 0; i < 100; i++) {
		memset(data, 'a' + i % 26, sizeof data);
		must(store_put_all(s, "k", 0, data, sizeof data, &err), &err);
	}
	atomic_store(&r.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(r.good);
	assert_int_equal(count_names(root), 1);
	store_close(s);
}

/* ---- one winner ---- */

#define CROWD 16

static int
compete(struct store *s, int round, int who)
{
	struct hf_error err = { 0 };
	char key[32], text[32];

	(void)snprintf(key, sizeof key, "lease/%d", round);
	(void)snprintf(text, sizeof text, "winner %d", who);
	return store_put_all(
	    s, key, HF_PUT_IF_ABSENT, text, strlen(text), &err);
}

static void
one_of_many_processes_wins(void **state)
{
	(void)state;
	for (int round = 0; round < 8; round++) {
		struct store *s;
		pid_t pids[CROWD];
		char text[32];
		int status, won = 0, winner = -1, gate[2];

		assert_int_equal(pipe(gate), 0);
		for (int i = 0; i < CROWD; i++) {
			if ((pids[i] = fork()) == 0) {
				char c;
				int rc;

				(void)close(gate[1]);
				s = open_store();
				/* All start when the pipe closes. */
				if (read(gate[0], &c, 1) != 0)
					_exit(9);
				rc = compete(s, round, i);
				_exit(rc == HF_OK         ? 0
				      : rc == HF_E_EXISTS ? 1
							  : 2);
			}
			assert_true(pids[i] > 0);
		}
		(void)close(gate[0]);
		(void)close(gate[1]);
		for (int i = 0; i < CROWD; i++) {
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_true(WIFEXITED(status));
			assert_true(WEXITSTATUS(status) <= 1);
			if (WEXITSTATUS(status) == 0) {
				won++;
				winner = i;
			}
		}
		assert_int_equal(won, 1);
		s = open_store();
		(void)snprintf(text, sizeof text, "winner %d", winner);
		(void)snprintf(text + 16, 16, "lease/%d", round);
		assert_holds(s, text + 16, text);
		store_close(s);
	}
	assert_int_equal(count_names(root), 1);
}

struct racer {
	struct store *store;
	pthread_barrier_t *start;
	int who, wins, others;
};

static void *
race(void *arg)
{
	struct racer *r = arg;

	for (int round = 0; round < 50; round++) {
		int rc;

		(void)pthread_barrier_wait(r->start);
		rc = compete(r->store, round, r->who);
		r->wins += rc == HF_OK;
		r->others += rc != HF_OK && rc != HF_E_EXISTS;
	}
	return NULL;
}

static void
one_of_many_threads_wins(void **state)
{
	struct store *s = open_store();
	struct racer racers[CROWD];
	pthread_t threads[CROWD];
	pthread_barrier_t start;
	int wins = 0;

	(void)state;
	assert_true(store_parallel(s));
	assert_int_equal(pthread_barrier_init(&start, NULL, CROWD), 0);
	for (int i = 0; i < CROWD; i++) {
		racers[i] = (struct racer){ s, &start, i, 0, 0 };
		assert_int_equal(
		    pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(racers[i].others, 0);
		wins += racers[i].wins;
	}
	assert_int_equal(wins, 50);
	(void)pthread_barrier_destroy(&start);
	store_close(s);
}

/* ---- listing and ranges ---- */

static int
stop_at_second(void *arg, const struct hf_object *o)
{
	(void)o;
	return ++*(int *)arg == 2 ? 42 : 0;
}

static void
lists_follow_the_prefix_and_leave_out_strangers(void **state)
{
	struct store *s = open_store();
	struct hf_error err = { 0 };
	int seen = 0;

	(void)state;
	assert_lists(s, "", "");
	assert_lists(s, "nothing/here", "");
	put(s, "a/b/c", "1");
	put(s, "a/b/cd", "2");
	put(s, "a/bc", "3");
	put(s, "ab", "4");
	put(s, "z", "");
	/* What other people may put into such a folder. */
	assert_int_equal(mkdir(at("lost+found"), 0700), 0);
	must(file_write(at("my file.txt"), "x", 1, &err), &err);
	must(file_write(at("a/.hidden"), "x", 1, &err), &err);
	must(file_write(at("a/\xc3\xa4"), "x", 1, &err), &err);
	assert_int_equal(mkdir(at(".git"), 0700), 0);
	must(file_write(at(".git/HEAD"), "x", 1, &err), &err);
	assert_int_equal(mkdir(at("empty"), 0700), 0);

	assert_lists(s, "", "a/b/c a/b/cd a/bc ab z");
	assert_lists(s, "a", "a/b/c a/b/cd a/bc ab");
	assert_lists(s, "a/", "a/b/c a/b/cd a/bc");
	assert_lists(s, "a/b", "a/b/c a/b/cd a/bc");
	assert_lists(s, "a/b/", "a/b/c a/b/cd");
	assert_lists(s, "a/b/c", "a/b/c a/b/cd");
	assert_lists(s, "a/b/cd", "a/b/cd");
	assert_lists(s, "a/b/cde", "");
	assert_lists(s, "ab/", "");
	assert_lists(s, "empty/", "");
	assert_int_equal(store_list(s, "", stop_at_second, &seen, &err), 42);
	assert_int_equal(seen, 2);
	store_close(s);
}

static void
long_keys_work_to_their_limit(void **state)
{
	struct store *s = open_store();
	struct hf_error err = { 0 };
	char key[514], deep[514], both[1100];

	(void)state;
	memset(key, 'k', sizeof key);
	key[250] = key[400] = '/';
	key[512] = '\0';
	for (size_t i = 0; i < 511; i++)
		deep[i] = i % 2 == 0 ? 'd' : '/';
	deep[511] = '\0';
	put(s, key, "long");
	put(s, deep, "deep");
	assert_holds(s, key, "long");
	assert_holds(s, deep, "deep");
	(void)snprintf(both, sizeof both, "%s %s", deep, key);
	assert_lists(s, "", both);
	must(store_remove(s, key, &err), &err);
	must(store_remove(s, deep, &err), &err);
	assert_int_equal(count_names(root), 0);
	/* A part that no file system takes. */
	memset(key, 'k', 300);
	key[300] = '\0';
	assert_int_equal(store_put_all(s, key, 0, "x", 1, &err), HF_E_INVALID);
	store_close(s);
}

static void
assert_range(struct store *s, uint64_t off, uint64_t len, const char *want)
{
	struct hf_error err = { 0 };
	struct store_get *g = NULL;
	char buf[64];
	size_t n = 0, got = 0;
	int rc;

	must(store_get(s, "k", off, len, &g, &err), &err);
	/* Three bytes at a time, to see the seams. */
	while ((rc = store_get_read(g, buf + got, 3, &n, &err)) == HF_OK) {
		assert_true(n > 0 && n <= 3);
		got += n;
	}
	assert_int_equal(rc, HF_EOF);
	assert_int_equal(n, 0);
	assert_int_equal(store_get_read(g, buf, 3, &n, &err), HF_EOF);
	store_get_close(g);
	assert_int_equal(got, strlen(want));
	assert_memory_equal(buf, want, got);
}

static void
ranges_are_exact(void **state)
{
	struct store *s = open_store();
	struct hf_error err = { 0 };
	struct store_get *g = NULL;

	(void)state;
	put(s, "k", "0123456789");
	assert_int_equal(store_caps(s), HF_CAP_RANGE | HF_CAP_IF_ABSENT);
	assert_range(s, 0, UINT64_MAX, "0123456789");
	assert_range(s, 0, 10, "0123456789");
	assert_range(s, 0, 1, "0");
	assert_range(s, 9, 1, "9");
	assert_range(s, 3, 4, "3456");
	assert_range(s, 3, 100, "3456789");
	assert_range(s, 3, UINT64_MAX - 1, "3456789");
	assert_range(s, 5, 0, "");
	assert_range(s, 10, UINT64_MAX, "");
	assert_range(s, 10, 0, "");
	assert_int_equal(store_get(s, "k", 11, 0, &g, &err), HF_E_INVALID);
	assert_int_equal(
	    store_get(s, "k", UINT64_MAX, 1, &g, &err), HF_E_INVALID);
	put(s, "k", "");
	assert_range(s, 0, UINT64_MAX, "");
	assert_int_equal(store_get(s, "k", 1, 0, &g, &err), HF_E_INVALID);
	store_close(s);
}

static void
a_file_that_shrinks_while_it_is_read_is_corrupt(void **state)
{
	struct store *s = open_store();
	struct hf_error err = { 0 };
	struct store_get *g = NULL;
	char buf[64];
	size_t n;

	(void)state;
	put(s, "k", "0123456789");
	must(store_get(s, "k", 0, UINT64_MAX, &g, &err), &err);
	must(store_get_read(g, buf, 3, &n, &err), &err);
	assert_int_equal(truncate(at("k"), 5), 0);
	must(store_get_read(g, buf, 64, &n, &err), &err);
	assert_int_equal(store_get_read(g, buf, 64, &n, &err), HF_E_CORRUPT);
	store_get_close(g);
	store_close(s);
}

/* ---- removal ---- */

static void
remove_takes_empty_folders_along_and_nothing_else(void **state)
{
	struct store *s = open_store();
	struct hf_error err = { 0 };

	(void)state;
	put(s, "a/b/c/d", "1");
	put(s, "a/x", "2");
	must(store_remove(s, "a/b/c/d", &err), &err);
	assert_int_equal(access(at("a/b"), F_OK), -1);
	assert_holds(s, "a/x", "2");
	must(store_remove(s, "a/b/c/d", &err), &err);
	must(store_remove(s, "never/was", &err), &err);
	must(store_remove(s, "a/x", &err), &err);
	must(store_remove(s, "a/x", &err), &err);
	assert_int_equal(count_names(root), 0);
	/* A stranger's file keeps its folder. */
	put(s, "a/x", "2");
	must(file_write(at("a/.keep"), "", 0, &err), &err);
	must(store_remove(s, "a/x", &err), &err);
	assert_int_equal(access(at("a/.keep"), F_OK), 0);
	store_close(s);
}

struct churner {
	struct store *store;
	const char *key;
	int failures;
};

static void *
churn(void *arg)
{
	struct churner *c = arg;

	for (int i = 0; i < 300; i++) {
		c->failures +=
		    store_put_all(c->store, c->key, 0, "x", 1, NULL) != HF_OK;
		c->failures += store_remove(c->store, c->key, NULL) != HF_OK;
	}
	return NULL;
}

static void
folders_that_vanish_under_a_put_are_made_again(void **state)
{
	static const char *const keys[] = { "a/b/c/1", "a/b/c/2", "a/b/3" };
	struct store *s = open_store();
	struct churner churners[3];
	pthread_t threads[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		churners[i] = (struct churner){ s, keys[i], 0 };
		assert_int_equal(
		    pthread_create(&threads[i], NULL, churn, &churners[i]), 0);
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(churners[i].failures, 0);
	assert_int_equal(count_names(root), 0);
	store_close(s);
}

/* ---- */

static int
load(void **state)
{
	(void)state;
	return dir_kit_load(PLUGIN_FILE);
}

#define CASE(f) \
	cmocka_unit_test_setup_teardown(f, dir_kit_setup, dir_kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_object_is_private_whole_and_described),
		CASE(a_long_object_comes_back_the_same),
		CASE(
		    nothing_is_seen_before_commit_and_nothing_stays_after_abort),
		CASE(abort_of_an_overwrite_keeps_the_old_object),
		CASE(a_reader_sees_the_old_or_the_new_object),
		CASE(one_of_many_processes_wins),
		CASE(one_of_many_threads_wins),
		CASE(lists_follow_the_prefix_and_leave_out_strangers),
		CASE(long_keys_work_to_their_limit),
		CASE(ranges_are_exact),
		CASE(a_file_that_shrinks_while_it_is_read_is_corrupt),
		CASE(remove_takes_empty_folders_along_and_nothing_else),
		CASE(folders_that_vanish_under_a_put_are_made_again),
	};

	return cmocka_run_group_tests(tests, load, dir_kit_unload);
}
