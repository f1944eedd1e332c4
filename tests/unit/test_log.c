/* SPDX-License-Identifier: BSD-2-Clause */
/* A pipeline's log: what was written comes back, once and from every sink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "plugin/host.h"
#include "plugin/store.h"
#include "repo/manifest.h"
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

/* Half noise, so that a compressor has work. */
static uint8_t *
noise(size_t len, uint64_t seed)
{
	uint8_t *p = malloc(len + 1);
	uint64_t v = seed * 7919 + 1;

	assert_non_null(p);
	for (size_t i = 0; i < len; i++) {
		v ^= v << 13;
		v ^= v >> 7;
		v ^= v << 17;
		p[i] = (uint8_t)('a' + (v & 15));
	}
	return p;
}

/* Does a shell command answer 0? */
static bool
shell(const char *command)
{
	return system(command) == 0; /* as a person would */
}

static void
objects_of_all_sizes_come_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 1000000 };
	static const char *const pipelines[] = { LOGFIX_TWO,
		LOGFIX_TWO LOGFIX_GZ };

	(void)state;
	for (size_t p = 0; p < 2; p++) {
		logfix_open(&l, REPOFIX_TWO, pipelines[p]);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			uint8_t *data = noise(sizes[i], i);
			char name[32];

			(void)snprintf(name, sizeof name, "t%zu/n%zu", p, i);
			assert_int_equal(
			    logfix_push(&l, name, data, sizes[i], &l.err),
			    HF_OK);
			assert_int_equal(
			    logfix_get(&l, name, data, sizes[i], &l.err),
			    HF_OK);
			free(data);
		}
	}
	assert_string_equal(logfix_names(&l),
	    "t0/n0 t0/n1 t0/n2 t0/n3 t0/n4 t0/n5 "
	    "t1/n0 t1/n1 t1/n2 t1/n3 t1/n4 t1/n5 ");
}

static void
each_sink_is_complete_and_readable_by_hand(void **state)
{
	char command[1024];

	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "00000001", "segment\n"), HF_OK);
	for (int i = 0; i < 2; i++) {
		const char *sink = i == 0 ? "a" : "b";

		assert_int_equal(logfix_files(&l, sink, ""), 2);
		assert_non_null(logfix_file(&l, sink, "00000001.json"));
		(void)snprintf(command, sizeof command,
		    "test \"$(gunzip -c %s)\" = segment",
		    logfix_file(&l, sink, "00000001-"));
		assert_true(shell(command));
		(void)snprintf(command, sizeof command,
		    "cd %s && test \"$( (head -n -2 00000001.json | sed '$ "
		    "s/,$//'; echo '}') | sha256sum | cut -c1-64)\" = "
		    "\"$(sed -n 's/^  \"sha256\": \"\\(.*\\)\"$/\\1/p' "
		    "00000001.json)\"",
		    repofix_path(&l.x, "%s/shop/wal", sink));
		assert_true(shell(command));
		assert_true(
		    repofix_exists(repofix_path(&l.x, "%s/README.txt", sink)));
		assert_true(
		    repofix_exists(repofix_path(&l.x, "%s/repo.json", sink)));
	}
}

static void
the_same_bytes_again_change_nothing(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
	assert_int_equal(logfix_files(&l, "a", ""), 2);
	assert_int_equal(logfix_files(&l, "b", ""), 2);
	assert_int_equal(logfix_get_text(&l, "s", "bytes"), HF_OK);
}

static void
other_bytes_are_refused_with_both_hashes_and_change_nothing(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "s", "byteS"), HF_E_EXISTS);
	/* printf bytes | sha256sum; printf byteS | sha256sum */
	assert_non_null(strstr(l.err.cause, "277089d91c0bdf4f2e6862ba7e4a076051"
					    "19431f5d13f726dd352b06f1b206a9"));
	assert_non_null(strstr(l.err.cause, "915ee209809536fec17bf6a279bcc529e7"
					    "ac417032f030ba2bfc4c1619baa7e3"));
	assert_int_equal(logfix_push_text(&l, "s", "byte"), HF_E_EXISTS);
	assert_int_equal(logfix_push_text(&l, "s", ""), HF_E_EXISTS);
	assert_int_equal(logfix_files(&l, "a", ""), 2);
	assert_int_equal(logfix_files(&l, "b", ""), 2);
	assert_int_equal(logfix_get_text(&l, "s", "bytes"), HF_OK);
}

struct racer {
	pthread_t thread;
	const char *name, *text;
	struct hf_error err;
	int rc;
};

static pthread_barrier_t start;

static void *
race(void *arg)
{
	struct racer *r = arg;

	(void)pthread_barrier_wait(&start);
	r->rc = logfix_push(&l, r->name, r->text, strlen(r->text), &r->err);
	return NULL;
}

static void
run_race(struct racer *r, size_t n)
{
	assert_int_equal(pthread_barrier_init(&start, NULL, (unsigned)n), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
		    pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
	for (size_t i = 0; i < n; i++)
		(void)pthread_join(r[i].thread, NULL);
	(void)pthread_barrier_destroy(&start);
}

static void
of_two_writers_at_once_exactly_one_wins(void **state)
{
	char name[16];

	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	for (int i = 0; i < 20; i++) {
		struct racer r[4] = { { .text = "first" }, { .text = "second" },
			{ .text = "third" }, { .text = "fourth" } };
		size_t winners = 0;

		(void)snprintf(name, sizeof name, "race%02d", i);
		for (size_t k = 0; k < 4; k++)
			r[k].name = name;
		run_race(r, 4);
		for (size_t k = 0; k < 4; k++) {
			if (r[k].rc != HF_OK) {
				assert_int_equal(r[k].rc, HF_E_EXISTS);
				continue;
			}
			winners++;
			assert_int_equal(
			    logfix_get_text(&l, name, r[k].text), HF_OK);
		}
		assert_int_equal(winners, 1);
		assert_int_equal(logfix_files(&l, "a", name), 2);
		assert_int_equal(logfix_files(&l, "b", name), 2);
	}
}

static void
writers_of_the_same_bytes_at_once_all_succeed(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	for (int i = 0; i < 10; i++) {
		struct racer r[4] = { { .text = "same" }, { .text = "same" },
			{ .text = "same" }, { .text = "same" } };
		char name[16];

		(void)snprintf(name, sizeof name, "race%02d", i);
		for (size_t k = 0; k < 4; k++)
			r[k].name = name;
		run_race(r, 4);
		for (size_t k = 0; k < 4; k++)
			assert_int_equal(r[k].rc, HF_OK);
		assert_int_equal(logfix_files(&l, "a", name), 2);
		assert_int_equal(logfix_files(&l, "b", name), 2);
	}
}

static atomic_uint next_worker;

static void *
work(void *arg)
{
	unsigned me = atomic_fetch_add(&next_worker, 1);
	uint8_t *data = noise(200000, me);
	struct hf_error err;

	for (int i = 0; i < 6; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "w%u/s%d", me, i);
		if (logfix_push(&l, name, data, 200000, &err) != HF_OK ||
		    logfix_get(&l, name, data, 200000, &err) != HF_OK ||
		    (i % 2 == 1 && H->log_remove(repo_log_out(l.log), name,
				       &err) != HF_OK))
			*(atomic_uint *)arg += 1;
	}
	free(data);
	return NULL;
}

static void
many_threads_use_one_log(void **state)
{
	atomic_uint failed = 0;
	pthread_t threads[6];

	(void)state;
	atomic_store(&next_worker, 0);
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, work, &failed), 0);
	for (size_t i = 0; i < 6; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(failed, 0);
	assert_int_equal(logfix_files(&l, "a", ".json"), 18);
	assert_int_equal(logfix_files(&l, "b", ".json"), 18);
}

static int
note_fact(void *arg, const char *key, const char *value)
{
	char *text = arg;
	size_t len = strlen(text);

	(void)snprintf(text + len, 256 - len, "%s=%.12s ", key, value);
	return 0;
}

static int
stop_fact(void *arg, const char *key, const char *value)
{
	(void)key;
	(void)value;
	++*(int *)arg;
	return 42;
}

static void
facts_come_back_in_their_order_with_size_and_hash(void **state)
{
	struct hf_writer *w;
	char text[256] = "";
	int n = 0;

	(void)state;
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE LOGFIX_GZ);
	assert_int_equal(
	    H->out_begin(repo_log_out(l.log), "s", 0, &w, &l.err), HF_OK);
	assert_int_equal(H->writer_fact(w, "z", "1", &l.err), HF_OK);
	assert_int_equal(H->out_write(w, "bytes", 5, &l.err), HF_OK);
	assert_int_equal(H->writer_fact(w, "a", "2", &l.err), HF_OK);
	assert_int_equal(H->writer_fact(w, "z", "3", &l.err), HF_OK);
	assert_int_equal(H->out_commit(w, &l.err), HF_OK);
	assert_int_equal(
	    H->log_facts(repo_log_in(l.log), "s", note_fact, text, &l.err),
	    HF_OK);
	assert_string_equal(
	    text, "z=3 a=2 raw_size=5 raw_sha256=277089d91c0b ");
	assert_int_equal(
	    H->log_facts(repo_log_in(l.log), "s", stop_fact, &n, &l.err), 42);
	assert_int_equal(n, 1);
	assert_int_equal(
	    H->log_facts(repo_log_in(l.log), "t", note_fact, text, &l.err),
	    HF_E_NOTFOUND);
	assert_null(H->in_fact(repo_log_in(l.log), "z"));
	assert_int_equal(H->out_fact(repo_log_out(l.log), "k", "v", &l.err),
	    HF_E_UNSUPPORTED);
}

static void
ranges_are_read_and_proved(void **state)
{
	static const struct {
		uint64_t off, len;
		const char *want;
	} ranges[] = { { 0, 3, "abc" }, { 2, 100, "cdef" }, { 6, 1, "" },
		{ 3, 0, "" }, { 1, UINT64_MAX, "bcdef" } };
	struct hf_reader *r;
	char buf[16];
	size_t n;

	(void)state;
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s", "abcdef"), HF_OK);
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		size_t want = strlen(ranges[i].want);

		assert_int_equal(H->in_open(repo_log_in(l.log), "s",
				     ranges[i].off, ranges[i].len, &r, &l.err),
		    HF_OK);
		if (want > 0) {
			assert_int_equal(
			    H->in_read(r, buf, sizeof buf, &n, &l.err), HF_OK);
			assert_int_equal(n, want);
			assert_memory_equal(buf, ranges[i].want, n);
		}
		assert_int_equal(
		    H->in_read(r, buf, sizeof buf, &n, &l.err), HF_EOF);
		H->in_close(r);
	}
	assert_int_equal(H->in_open(repo_log_in(l.log), "s", 7, 1, &r, &l.err),
	    HF_E_INVALID);
}

static void
names_that_could_be_other_keys_are_refused(void **state)
{
	static const char *const bad[] = { "/a", "a/", "a//b", "../a", "a/.b",
		".a", "a b", "a=b", "\xc3\xa4", "a\nb" };
	char name[202];

	(void)state;
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(
		    logfix_push_text(&l, bad[i], "x"), HF_E_INVALID);
		assert_int_equal(
		    logfix_get_text(&l, bad[i], "x"), HF_E_INVALID);
		assert_int_equal(
		    H->log_remove(repo_log_out(l.log), bad[i], &l.err),
		    HF_E_INVALID);
	}
	memset(name, 'n', sizeof name);
	name[201] = '\0';
	assert_int_equal(logfix_push_text(&l, name, "x"), HF_E_INVALID);
	name[200] = '\0';
	assert_int_equal(logfix_push_text(&l, name, "x"), HF_OK);
	assert_int_equal(logfix_get_text(&l, name, "x"), HF_OK);
	/* names that look like the log's own files */
	assert_int_equal(logfix_push_text(&l, "a", "1"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "a.json", "2"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "a-00000000", "3"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "a", "1"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "a.json", "2"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "a-00000000", "3"), HF_OK);
	assert_non_null(strstr(logfix_names(&l), "a a-00000000 a.json "));
}

static void
removed_objects_are_gone_from_all_sinks_and_may_come_back(void **state)
{
	struct hf_out *out;

	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	out = repo_log_out(l.log);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_OK);
	assert_int_equal(H->log_remove(out, "s1", &l.err), HF_OK);
	assert_int_equal(H->log_remove(out, "s1", &l.err), HF_OK);
	assert_int_equal(H->log_remove(out, "never", &l.err), HF_OK);
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_E_NOTFOUND);
	assert_int_equal(logfix_files(&l, "a", ""), 2);
	assert_int_equal(logfix_files(&l, "b", ""), 2);
	assert_string_equal(logfix_names(&l), "s2 ");
	assert_int_equal(logfix_push_text(&l, "s1", "other"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "s1", "other"), HF_OK);
}

static void
an_aborted_object_leaves_nothing(void **state)
{
	struct hf_writer *w;

	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s", "x"), HF_OK);
	assert_int_equal(
	    H->out_begin(repo_log_out(l.log), "t", 0, &w, &l.err), HF_OK);
	assert_int_equal(H->out_write(w, "bytes", 5, &l.err), HF_OK);
	H->out_abort(w);
	assert_int_equal(logfix_get_text(&l, "t", "bytes"), HF_E_NOTFOUND);
	assert_int_equal(logfix_files(&l, "a", ""), 2);
	assert_int_equal(logfix_files(&l, "b", ""), 2);
}

/* 65 MiB are streamed: what comes first is given before the end is proved. */
static void
large_objects_are_streamed_and_damage_is_still_found(void **state)
{
	size_t len = (size_t)65 << 20;
	uint8_t *data = calloc(1, len);
	const char *path;
	char data_path[512];

	(void)state;
	assert_non_null(data);
	data[len - 1] = 1;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push(&l, "big", data, len, &l.err), HF_OK);
	assert_int_equal(logfix_get(&l, "big", data, len, &l.err), HF_OK);
	/* before anything was given: from the other sink */
	path = logfix_file(&l, "a", ".frames");
	(void)snprintf(data_path, sizeof data_path, "%.*s",
	    (int)(strlen(path) - strlen(".frames")), path);
	path = data_path;
	repofix_flip(path, 1, 2);
	assert_int_equal(logfix_get(&l, "big", data, len, &l.err), HF_OK);
	repofix_flip(path, 1, 2);
	/* behind what was given: damage, and never a short object */
	repofix_flip(path, repofix_size(path) - 20, 2);
	assert_int_equal(
	    logfix_get(&l, "big", data, len, &l.err), HF_E_CORRUPT);
	free(data);
}

static void
facts_of_a_backup_are_read_without_its_objects(void **state)
{
	char *facts[] = { (char[]){ "lsn" }, (char[]){ "0/7" }, NULL };
	struct manifest_source s = { .facts = facts };
	struct hf_reader *r;
	struct hf_in *in;
	char names[1024] = "";

	(void)state;
	assert_int_equal(repo_facts_in(&s, "20261121T021500Z-7f3a91c2",
			     1763691302500, &in, &l.err),
	    HF_OK);
	assert_string_equal(H->in_fact(in, "lsn"), "0/7");
	assert_string_equal(
	    H->in_fact(in, "backup"), "20261121T021500Z-7f3a91c2");
	assert_string_equal(H->in_fact(in, "backup_ended"), "1763691302");
	assert_null(H->in_fact(in, "other"));
	assert_int_equal(H->in_list(in, NULL, names, &l.err), HF_E_BUG);
	assert_int_equal(
	    H->in_open(in, "o", 0, 1, &r, &l.err), HF_E_UNSUPPORTED);
	assert_int_equal(
	    H->log_facts(in, "o", note_fact, names, &l.err), HF_E_UNSUPPORTED);
	repo_facts_in_free(in);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(objects_of_all_sizes_come_back),
		T(each_sink_is_complete_and_readable_by_hand),
		T(the_same_bytes_again_change_nothing),
		T(other_bytes_are_refused_with_both_hashes_and_change_nothing),
		T(of_two_writers_at_once_exactly_one_wins),
		T(writers_of_the_same_bytes_at_once_all_succeed),
		T(many_threads_use_one_log),
		T(facts_come_back_in_their_order_with_size_and_hash),
		T(ranges_are_read_and_proved),
		T(names_that_could_be_other_keys_are_refused),
		T(removed_objects_are_gone_from_all_sinks_and_may_come_back),
		T(an_aborted_object_leaves_nothing),
		T(large_objects_are_streamed_and_damage_is_still_found),
		T(facts_of_a_backup_are_read_without_its_objects),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
