/* SPDX-License-Identifier: BSD-2-Clause */
/* Increments on a full base backup: random histories, and restores that are
 * killed.  No server. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/chainrun.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* ---- at random ---- */

struct relation {
	const char *path;
	bool there, fresh; /* fresh: new since the last link */
	uint32_t n, limit; /* limit: the shortest since then */
	unsigned char blocks[SEGMENT];
	bool changed[SEGMENT]; /* since then, with WAL */
};

static struct relation relations[] = { { .path = "base/5/16384" },
	{ .path = "base/5/16384.1" }, { .path = "base/5/16385" },
	{ .path = "base/5/16385_fsm" }, { .path = "global/1260" },
	{ .path = IN_SPACE "16401" }, { .path = IN_SPACE "16402" } };
#define RELATIONS (sizeof relations / sizeof *relations)

static uint32_t
below(uint32_t n)
{
	return (uint32_t)rand() % n;
}

static void
create(struct relation *r)
{
	r->there = r->fresh = true;
	r->n = below(SEGMENT + 1);
	for (uint32_t b = 0; b < SEGMENT; b++)
		r->blocks[b] = b < r->n ? (unsigned char)(1 + below(255)) : 0;
}

static void
truncate_to(struct relation *r, uint32_t n)
{
	r->n = n;
	r->limit = n < r->limit ? n : r->limit;
	for (uint32_t b = n; b < SEGMENT; b++) {
		r->blocks[b] = 0;
		r->changed[b] = false;
	}
}

/* Something that a server does to a file. */
static void
live(struct relation *r)
{
	uint32_t b;

	switch (r->there ? below(9) : 8) {
	case 0:
		truncate_to(r, below(r->n + 1));
		break;
	case 1: /* longer, by zeros that no WAL tells of */
		r->n += below(SEGMENT - r->n + 1);
		break;
	case 2:
		r->there = false;
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		b = below(SEGMENT);
		r->n = b >= r->n ? b + 1 : r->n;
		r->blocks[b] = (unsigned char)(1 + below(255));
		r->changed[b] = true;
		break;
	case 8:
		create(r);
		break;
	default:
		break;
	}
}

/* As the server decides it, but that a file is not sent whole because most of
 * it has changed, or only now and then. */
static void
put(struct relation *r, bool full)
{
	unsigned char bytes[SEGMENT * BLOCK] = { 0 };
	unsigned char blocks[SEGMENT * BLOCK] = { 0 };
	uint32_t numbers[SEGMENT], n = 0;
	uint32_t keep = r->n < r->limit ? r->n : r->limit;

	for (uint32_t b = 0; b < r->n; b++) {
		memset(bytes + b * BLOCK, r->blocks[b], BLOCK);
		/* The length is told by the last block, if by nothing else. */
		if (!r->changed[b] && (b + 1 < r->n || r->n <= keep))
			continue;
		memset(blocks + n * BLOCK, r->blocks[b], BLOCK);
		numbers[n++] = b;
	}
	if (full || r->fresh || r->n == 0 || below(10) == 0)
		chainkit_file(&kit, r->path, bytes, (size_t)r->n * BLOCK);
	else
		chainkit_increment(&kit, r->path, keep, n, numbers, blocks);
	r->fresh = false;
	r->limit = SEGMENT;
	memset(r->changed, 0, sizeof r->changed);
}

static bool
in_space(const struct relation *r)
{
	return strncmp(r->path, IN_SPACE, sizeof IN_SPACE - 1) == 0;
}

/* With or without the tablespace, whose files go with it. */
static void
random_link(bool full, bool with_space)
{
	chainkit_link(&kit);
	if (with_space)
		chainkit_space(&kit);
	for (size_t i = 0; i < RELATIONS; i++) {
		struct relation *r = &relations[i];

		for (uint32_t n = below(8); n > 0; n--)
			live(r);
		if (in_space(r) && !with_space)
			r->there = false;
		if (r->there)
			put(r, full);
	}
	chainrun_wal(kit.n);
	chainkit_done(&kit);
}

static void
random_chains_end_as_the_model_says(void **state)
{
	const char *wanted = getenv("HOLDFAST_TEST_LONG");
	unsigned rounds =
	    wanted != NULL && strcmp(wanted, "1") == 0 ? 2000 : 20;

	(void)state;
	srand(17);
	for (unsigned k = 0; k < rounds; k++) {
		size_t n = 1 + below(CHAINKIT_MAX), files = 3;
		bool with_space = below(2) == 0;

		for (size_t i = 0; i < RELATIONS; i++) {
			relations[i].there = false;
			relations[i].limit = SEGMENT;
		}
		for (size_t i = 0; i < n; i++) {
			if (below(4) == 0)
				with_space = !with_space;
			random_link(i == 0, with_space);
		}
		chainrun_must(chainrun_restore());
		for (size_t i = 0; i < RELATIONS; i++) {
			if (relations[i].there)
				chainrun_file_is(relations[i].path,
				    relations[i].n, relations[i].blocks);
			files += relations[i].there;
		}
		files += with_space;
		chainrun_label_is_of(n - 1);
		if (n > 1)
			assert_int_equal(chainrun_manifest(), files);
		/* WAL, the manifest, recovery.signal, the configuration. */
		assert_int_equal(chainrun_count(), files + 7);
		chainrun_clear();
		chainkit_free(&kit);
	}
	chainrun_nothing_is_left();
}

/* ---- killed ---- */

#define KILLS 8

static int64_t
now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static bool
killed_after(int64_t us)
{
	const struct timespec ts = { us / 1000000, us % 1000000 * 1000 };
	pid_t pid;
	int status;

	assert_true((pid = fork()) != -1);
	if (pid == 0)
		_exit(chainrun_restore() == HF_OK ? 0 : 1);
	(void)nanosleep(&ts, NULL);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

static void
a_kill_leaves_nothing_under_the_name(void **state)
{
	unsigned char bytes[SEGMENT * BLOCK] = { 1 };
	int64_t from, lasts;
	int killed = 0;

	(void)state;
	for (int link = 0; link < 4; link++) {
		chainkit_link(&kit);
		for (int i = 0; i < 200; i++) {
			char path[64];

			(void)snprintf(path, sizeof path, "base/5/%d", i);
			if (link == 0)
				chainkit_file(&kit, path, bytes, sizeof bytes);
			else
				chainrun_increment(
				    path, 8, 2, NUMBERS(1, 7), "xy");
		}
		chainkit_done(&kit);
	}
	from = now_us();
	chainrun_must(chainrun_restore());
	lasts = now_us() - from;
	chainrun_clear();
	for (int i = 0; i < KILLS; i++) {
		killed += killed_after(lasts * i / KILLS);
		if (access(data, F_OK) == 0) {
			chainrun_label_is_of(3);
			assert_true(chainrun_manifest() == 203);
			assert_true(chainrun_has("global/pg_control"));
			assert_true(chainrun_has("recovery.signal"));
		} else {
			/* And what it left is in nobody's way. */
			chainrun_must(chainrun_restore());
		}
		chainrun_clear();
		chainrun_nothing_is_left();
	}
	assert_true(killed > 0);
	chainkit_free(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    random_chains_end_as_the_model_says, chainrun_anew),
		cmocka_unit_test_setup(
		    a_kill_leaves_nothing_under_the_name, chainrun_anew),
	};
	int failed;

	if (!chainrun_begin())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	chainrun_end();
	return failed;
}
