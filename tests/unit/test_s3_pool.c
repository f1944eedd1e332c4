/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads of a store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <stdatomic.h>
#include <time.h>

#include "base/error.h"
#include "plugin/host.h"
#include "pool.h"
#include "s3.h"

#define THREADS 3
#define JOBS 200

struct work {
	struct job job; /* first */
	struct pool *pool;
	int runs;
};

static atomic_int busy, most;

static void
run(struct job *job)
{
	struct work *w = (struct work *)job;
	struct timespec t = { .tv_nsec = 200000 };
	int now = atomic_fetch_add(&busy, 1) + 1, seen = atomic_load(&most);

	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	(void)nanosleep(&t, NULL);
	w->runs++;
	atomic_fetch_sub(&busy, 1);
	pool_give_slot(w->pool);
}

static void
each_job_runs_once_and_no_more_at_once_than_threads(void **state)
{
	static struct work work[JOBS];
	struct pool *pool;

	(void)state;
	assert_int_equal(pool_new(THREADS, &pool, NULL), HF_OK);
	for (int i = 0; i < JOBS; i++) {
		work[i] = (struct work){ .job = { .run = run }, .pool = pool };
		pool_take_slot(pool);
		assert_int_equal(pool_run(pool, &work[i].job, NULL), HF_OK);
	}
	for (int i = 0; i < JOBS; i++) {
		pool_wait(pool, &work[i].job);
		assert_true(pool_done(pool, &work[i].job));
		assert_int_equal(work[i].runs, 1);
	}
	assert_in_range(atomic_load(&most), 1, THREADS);
	pool_free(pool);
}

static void
a_pool_that_never_ran_is_freed(void **state)
{
	struct pool *pool;

	(void)state;
	assert_int_equal(pool_new(THREADS, &pool, NULL), HF_OK);
	pool_free(pool);
	pool_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    each_job_runs_once_and_no_more_at_once_than_threads),
		cmocka_unit_test(a_pool_that_never_ran_is_freed),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
