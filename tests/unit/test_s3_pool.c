/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads of a store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
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
	pool_give_slot(w->pool, NULL, 0);
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

#define BUFFER ((size_t)64 * 1024)

static void
a_buffer_is_used_again_while_something_is_under_way(void **state)
{
	struct pool *pool;
	void *a, *b;

	(void)state;
	assert_int_equal(pool_new(THREADS, &pool, NULL), HF_OK);
	a = pool_buffer(pool, BUFFER);
	pool_take_slot(pool);
	pool_take_slot(pool);
	pool_give_slot(pool, a, BUFFER);
	b = pool_buffer(pool, BUFFER);
	assert_ptr_equal(a, b);
	/* Not one of another size. */
	pool_take_slot(pool);
	pool_give_slot(pool, b, BUFFER);
	b = pool_buffer(pool, 2 * BUFFER);
	memset(b, 1, 2 * BUFFER);
	pool_buffer_free(b, 2 * BUFFER);
	pool_give_slot(pool, NULL, 0);
	pool_free(pool);
}

static bool
is_mapped(void *p)
{
	unsigned char there;

	return mincore(p, 1, &there) == 0;
}

static void
nothing_is_kept_when_nothing_is_under_way(void **state)
{
	struct pool *pool;
	void *a;

	(void)state;
	assert_int_equal(pool_new(THREADS, &pool, NULL), HF_OK);
	a = pool_buffer(pool, BUFFER);
	assert_true(is_mapped(a));
	pool_take_slot(pool);
	pool_give_slot(pool, a, BUFFER);
	assert_false(is_mapped(a));
	pool_free(pool);
}

static void
no_more_buffers_are_kept_than_there_are_slots(void **state)
{
	struct pool *pool;
	void *b[2 * THREADS];
	size_t kept = 0;

	(void)state;
	assert_int_equal(pool_new(THREADS, &pool, NULL), HF_OK);
	for (int i = 0; i < 2 * THREADS; i++)
		b[i] = pool_buffer(pool, BUFFER);
	for (int i = 0; i < THREADS; i++)
		pool_take_slot(pool);
	for (int i = 0; i < THREADS - 1; i++)
		pool_give_slot(pool, b[i], BUFFER);
	/* The others had theirs before these came back. */
	for (int i = 0; i < THREADS - 1; i++)
		pool_take_slot(pool);
	for (int i = 0; i < THREADS; i++)
		kept += is_mapped(b[i]);
	assert_int_equal(kept, 1); /* the one that never was given back */
	for (int i = 0; i < THREADS; i++)
		pool_give_slot(pool, b[THREADS + i], BUFFER);
	pool_buffer_free(b[THREADS - 1], BUFFER);
	pool_free(pool);
}

static atomic_bool spared;

static void *
wait_for_spare(void *arg)
{
	pool_spare_slot(arg);
	atomic_store(&spared, true);
	return NULL;
}

static void
what_is_filled_waits_until_one_slot_more_is_free(void **state)
{
	struct timespec t = { .tv_nsec = 50000000 };
	struct pool *pool;
	pthread_t thread;

	(void)state;
	assert_int_equal(pool_new(THREADS, &pool, NULL), HF_OK);
	for (int i = 0; i < THREADS - 1; i++) {
		pool_spare_slot(pool); /* does not wait */
		pool_take_slot(pool);
	}
	assert_int_equal(
	    pthread_create(&thread, NULL, wait_for_spare, pool), 0);
	(void)nanosleep(&t, NULL);
	assert_false(atomic_load(&spared));
	pool_give_slot(pool, NULL, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (int i = 0; i < THREADS - 2; i++)
		pool_give_slot(pool, NULL, 0);
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
		cmocka_unit_test(
		    a_buffer_is_used_again_while_something_is_under_way),
		cmocka_unit_test(nothing_is_kept_when_nothing_is_under_way),
		cmocka_unit_test(no_more_buffers_are_kept_than_there_are_slots),
		cmocka_unit_test(
		    what_is_filled_waits_until_one_slot_more_is_free),
		cmocka_unit_test(a_pool_that_never_ran_is_freed),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
