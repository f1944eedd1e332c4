/* SPDX-License-Identifier: BSD-2-Clause */
/* What a store does when many use it at once: threads, where its level allows
 * that, and processes always. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conform.h"
#include "data.h"
#include "storage.h"

#define OPS(s) (&(s)->plugin->store)

#define RACERS 16
#define ROUNDS 10
#define PROCESSES 6
#define PROCESS_ROUNDS 20

/* Content that tells a mix: its first byte says what all bytes are and how
 * many there are. */
static size_t
uniform(uint8_t *buf, unsigned version)
{
	size_t len = 200 * KIB + (version % 26) * 1000;

	memset(buf, 'a' + (int)(version % 26), len);
	return len;
}

#define UNIFORM_MAX (226 * KIB)

static void
check_uniform(const uint8_t *data, size_t len)
{
	unsigned version;

	CHECK(len > 0, "an overwritten object was seen empty");
	version = (unsigned)(data[0] - 'a');
	CHECK(len == 200 * KIB + version * 1000,
	    "a reader saw %zu bytes of a content that has %zu", len,
	    200 * KIB + version * 1000);
	for (size_t i = 1; i < len; i++)
		CHECK(data[i] == data[0],
		    "a reader saw a mix of two contents, from byte %zu on", i);
}

static void
pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* ---- if absent ---- */

struct race {
	struct session *s;
	const char *key;
	pthread_barrier_t start;
	atomic_int winners;
	atomic_uint next;
	atomic_int winner;
};

static void *
race_once(void *arg)
{
	struct race *r = arg;
	struct session *s = r->s;
	struct hf_error err = { .status = HF_OK };
	unsigned me = atomic_fetch_add(&r->next, 1);
	uint8_t data[1000];
	int status;

	memset(data, 'A' + (int)me, sizeof data);
	(void)pthread_barrier_wait(&r->start);
	status = storage_put(s, s->store, r->key, HF_PUT_IF_ABSENT, data,
	    sizeof data, 0, NULL, &err);
	if (status == HF_OK) {
		atomic_fetch_add(&r->winners, 1);
		atomic_store(&r->winner, (int)me);
	} else {
		expect_in(s, &err, status, HF_E_EXISTS,
		    "put if absent that came second");
	}
	return NULL;
}

static void
check_winner(struct session *s, const char *key, int winners, int winner)
{
	uint8_t data[1000];

	CHECK(winners == 1, "%d puts if absent of one key won, not 1", winners);
	memset(data, 'A' + winner, sizeof data);
	storage_has(s, key, data, sizeof data);
}

static void
race_with_threads(struct session *s, const char *key)
{
	struct race r = { .s = s, .key = key };
	pthread_t threads[RACERS];

	(void)pthread_barrier_init(&r.start, NULL, RACERS);
	for (size_t i = 0; i < RACERS; i++)
		CHECK(pthread_create(&threads[i], NULL, race_once, &r) == 0,
		    "the suite cannot start a thread");
	for (size_t i = 0; i < RACERS; i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_barrier_destroy(&r.start);
	check_winner(s, key, atomic_load(&r.winners), atomic_load(&r.winner));
}

/* Handles of one thread, all open before the first is committed. */
static void
race_with_handles(struct session *s, const char *key)
{
	struct hf_put_opts opts = { .struct_size = sizeof opts,
		.flags = HF_PUT_IF_ABSENT };
	struct hf_put *puts[RACERS];
	int winners = 0, winner = 0;
	uint8_t data[1000];

	for (int i = 0; i < RACERS; i++) {
		expect(s, OPS(s)->put(s->store, key, &opts, &puts[i], &s->err),
		    HF_OK, "put if absent, handle %d", i + 1);
		memset(data, 'A' + i, sizeof data);
		expect(s,
		    OPS(s)->put_write(puts[i], data, sizeof data, &s->err),
		    HF_OK, "put_write");
	}
	for (int i = 0; i < RACERS; i++) {
		int status = OPS(s)->put_commit(puts[i], NULL, &s->err);

		if (status == HF_OK) {
			winners++;
			winner = i;
		} else {
			expect(s, status, HF_E_EXISTS,
			    "commit if absent that came second");
		}
	}
	check_winner(s, key, winners, winner);
}

static void
one_winner(struct session *s)
{
	if ((OPS(s)->caps(s->store) & HF_CAP_IF_ABSENT) == 0)
		verdict_skip("caps does not promise put if absent");
	race_with_handles(s, storage_key(s, "handles"));
	for (int i = 0; session_parallel(s) && i < ROUNDS; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "round-%d", i);
		race_with_threads(s, storage_key(s, name));
	}
}

static void
one_winning_process(struct session *s)
{
	long pids[PROCESSES];
	int wins = 0;

	if ((OPS(s)->caps(s->store) & HF_CAP_IF_ABSENT) == 0)
		verdict_skip("caps does not promise put if absent");
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = again_start(s, "race", s->prefix);
	pause_ms(300);
	storage_keep(s, storage_key(s, "go"), "go", 2);
	for (int i = 0; i < PROCESSES; i++) {
		int status = again_wait(pids[i]);

		CHECK(status >= 100, "a second process failed with status %d",
		    status);
		wins += status - 100;
	}
	CHECK(wins == PROCESS_ROUNDS,
	    "%d puts if absent of %d processes won on %d keys", wins, PROCESSES,
	    PROCESS_ROUNDS);
}

/* The other side of it; its exit status is 100 and its wins. */
static int
again_race(struct session *s, const char *prefix)
{
	struct hf_object o = { .struct_size = sizeof o };
	char key[NAME_MAX_KEY];
	int wins = 0;

	(void)snprintf(key, sizeof key, "%sgo", prefix);
	for (int i = 0; OPS(s)->stat(s->store, key, &o, NULL) != HF_OK; i++) {
		CHECK(i < 6000, "the race did not start");
		pause_ms(5);
	}
	for (int i = 0; i < PROCESS_ROUNDS; i++) {
		int status;

		(void)snprintf(key, sizeof key, "%srace-%d", prefix, i);
		status = storage_put(s, s->store, key, HF_PUT_IF_ABSENT, "mine",
		    4, 0, NULL, &s->err);
		wins += status == HF_OK;
		if (status != HF_OK)
			expect(s, status, HF_E_EXISTS,
			    "put if absent that came second");
	}
	return 100 + wins;
}

/* ---- overwriting under a reader ---- */

struct reading {
	struct session *s;
	const char *key;
	atomic_bool stop;
	atomic_uint rounds;
};

static void
read_once(struct session *s, const char *key, struct hf_error *err)
{
	uint8_t *data;
	size_t n;
	int status =
	    storage_get(s, s->store, key, 0, UINT64_MAX, 8192, &data, &n, err);

	expect_in(s, err, status, HF_OK, "get while it is overwritten");
	check_uniform(data, n);
	free(data);
}

static void *
read_on(void *arg)
{
	struct reading *r = arg;
	struct hf_error err = { .status = HF_OK };

	do {
		read_once(r->s, r->key, &err);
		atomic_fetch_add(&r->rounds, 1);
	} while (!atomic_load(&r->stop));
	return NULL;
}

static void
overwrite(struct session *s, const char *key, unsigned times)
{
	uint8_t *buf = data_alloc(UNIFORM_MAX);

	for (unsigned i = 0; i < times; i++) {
		size_t len = uniform(buf, i);

		expect(s,
		    storage_put(
			s, s->store, key, 0, buf, len, 40 * KIB, NULL, &s->err),
		    HF_OK, "overwrite");
	}
	free(buf);
}

static void
old_or_new(struct session *s)
{
	const char *key = storage_key(s, "changing");
	struct reading r = { .s = s, .key = key };
	pthread_t thread;
	long pid;

	overwrite(s, key, 1);
	if (session_parallel(s)) {
		CHECK(pthread_create(&thread, NULL, read_on, &r) == 0,
		    "the suite cannot start a thread");
		overwrite(s, key, 40);
		atomic_store(&r.stop, true);
		(void)pthread_join(thread, NULL);
	}
	pid = again_start(s, "overwrite", key);
	do {
		read_once(s, key, &s->err);
	} while (again_running(pid));
	CHECK(again_wait(pid) == 0, "the writing process failed");
}

static int
again_overwrite(struct session *s, const char *key)
{
	overwrite(s, key, 40);
	return 0;
}

/* A get that was opened before an overwrite, read after it: all old, or an
 * error that says so, but not a part of each. */
static void
get_across_overwrite(struct session *s)
{
	const char *key = storage_key(s, "across");
	uint8_t *buf = data_alloc(UNIFORM_MAX);
	struct hf_get *get = NULL;
	size_t at = 0, n = 0;
	int status;

	overwrite(s, key, 1);
	expect(s, OPS(s)->get(s->store, key, 0, UINT64_MAX, &get, &s->err),
	    HF_OK, "get");
	expect(s, OPS(s)->get_read(get, buf, 1000, &n, &s->err), HF_OK,
	    "get_read");
	at = n;
	overwrite(s, key, 3);
	do {
		n = 0;
		CHECK(at < UNIFORM_MAX, "get_read gave too many bytes");
		status = OPS(s)->get_read(
		    get, buf + at, UNIFORM_MAX - at, &n, &s->err);
		at += n;
	} while (status == HF_OK);
	OPS(s)->get_close(get);
	if (status == HF_EOF)
		check_uniform(buf, at);
	else
		expect(
		    s, status, EXPECT_FAILURE, "get_read after an overwrite");
	free(buf);
}

/* ---- many threads, each with objects of its own ---- */

static void *
work_alone(void *arg)
{
	struct race *r = arg;
	struct session *s = r->s;
	struct hf_error err = { .status = HF_OK };
	unsigned me = atomic_fetch_add(&r->next, 1);
	uint8_t *data = data_new(DATA_RANDOM, me + 1, 300 * KIB), *got;
	size_t n;

	for (int i = 0; i < 5; i++) {
		char key[NAME_MAX_KEY];

		(void)snprintf(key, sizeof key, "%s%u/%d", s->prefix, me, i);
		expect_in(s, &err,
		    storage_put(s, s->store, key, 0, data, 300 * KIB, 64 * KIB,
			NULL, &err),
		    HF_OK, "put in one of many threads");
		expect_in(s, &err,
		    storage_get(
			s, s->store, key, 0, UINT64_MAX, 0, &got, &n, &err),
		    HF_OK, "get in one of many threads");
		CHECK(n == 300 * KIB && memcmp(got, data, n) == 0,
		    "a thread got back other bytes than it had put");
		free(got);
		expect_in(s, &err, OPS(s)->remove(s->store, key, &err), HF_OK,
		    "remove in one of many threads");
	}
	free(data);
	return NULL;
}

static void
many_threads(struct session *s)
{
	struct race r = { .s = s };
	pthread_t threads[8];

	if (!session_parallel(s))
		verdict_skip("its thread level forbids overlapping calls");
	for (size_t i = 0; i < 8; i++)
		CHECK(pthread_create(&threads[i], NULL, work_alone, &r) == 0,
		    "the suite cannot start a thread");
	for (size_t i = 0; i < 8; i++)
		(void)pthread_join(threads[i], NULL);
}

/* ---- another process ---- */

static void
seen_by_another_process(struct session *s)
{
	uint8_t *data = data_new(DATA_RANDOM, 21, MIB);
	const char *key = storage_key(s, "shared/first");

	storage_keep(s, key, data, MIB);
	CHECK(again_run(s, "read", s->prefix) == 0,
	    "a second process does not see what was put");
	storage_has(s, storage_key(s, "shared/second"), "from there", 10);
	session_close(s);
	expect(s, session_open(s, CASE_STORE, NULL), HF_OK, "open again");
	storage_has(s, key, data, MIB);
	storage_has(s, storage_key(s, "shared/second"), "from there", 10);
	free(data);
}

static int
again_read(struct session *s, const char *prefix)
{
	uint8_t *data = data_new(DATA_RANDOM, 21, MIB);
	char key[NAME_MAX_KEY];

	(void)snprintf(s->prefix, sizeof s->prefix, "%s", prefix);
	(void)snprintf(key, sizeof key, "%sshared/first", prefix);
	storage_has(s, key, data, MIB);
	CHECK(storage_listed(s, prefix, key, (int64_t)MIB) == 1,
	    "a second process does not list what was put");
	(void)snprintf(key, sizeof key, "%sshared/second", prefix);
	storage_keep(s, key, "from there", 10);
	free(data);
	return 0;
}

/* Killed in the middle of a put: nothing is seen, and the store goes on. */
static void
killed_in_a_put(struct session *s)
{
	const char *key = storage_key(s, "victim");

	storage_keep(s, key, "as it was", 9);
	CHECK(again_run(s, "die", key) == 77,
	    "the process that was to die in a put did not");
	storage_has(s, key, "as it was", 9);
	storage_lacks(s, storage_key(s, "victim.new"));
	storage_keep(s, key, "as it is", 8);
	storage_has(s, key, "as it is", 8);
}

static int
again_die(struct session *s, const char *key)
{
	struct hf_put_opts opts = { .struct_size = sizeof opts };
	uint8_t *data = data_new(DATA_RANDOM, 22, 3 * MIB);
	char other[NAME_MAX_KEY];

	(void)snprintf(other, sizeof other, "%s.new", key);
	for (int i = 0; i < 2; i++) {
		struct hf_put *put = NULL;

		expect(s,
		    OPS(s)->put(
			s->store, i == 0 ? key : other, &opts, &put, &s->err),
		    HF_OK, "put");
		expect(s, OPS(s)->put_write(put, data, 3 * MIB, &s->err), HF_OK,
		    "put_write");
	}
	_Exit(77);
}

int
again_main(struct session *s, const char *verb, const char *word)
{
	static const struct {
		const char *verb;
		int (*run)(struct session *, const char *);
	} verbs[] = {
		{ "race", again_race },
		{ "overwrite", again_overwrite },
		{ "read", again_read },
		{ "die", again_die },
	};

	expect(s, session_open(s, CASE_STORE, NULL), HF_OK,
	    "open in a second process");
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verb, verbs[i].verb) == 0)
			return verbs[i].run(s, word);
	return 2;
}

const struct conform_case cases_store_race[] = {
	{ "put if absent has exactly one winner", one_winner },
	{ "put if absent of many processes has one winner a key",
	    one_winning_process },
	{ "a reader sees the old or the new content and never a mix",
	    old_or_new },
	{ "a get across an overwrite gives no mix", get_across_overwrite },
	{ "many threads at once", many_threads },
	{ "seen by another process and after opening again",
	    seen_by_another_process },
	{ "a process killed in a put leaves nothing to be seen",
	    killed_in_a_put },
	{ NULL, NULL },
};
