/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks on several threads: all are done, or the first failure is told. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "plugin/host.h"
#include "postgres.h"
#include "workers.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define TASKS 500

struct job {
	atomic_uint done[TASKS];
	atomic_uint begun, ended;
	const atomic_bool *stop; /* the same for all */
	size_t bad;
	int begin_status;
	atomic_bool signals;
};

static int
begin(void *arg, const atomic_bool *stop, void **state, struct hf_error *err)
{
	struct job *j = arg;
	sigset_t mask;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	if (sigismember(&mask, SIGTERM) != 1 || sigismember(&mask, SIGINT) != 1)
		atomic_store(&j->signals, true);
	if (j->begin_status != HF_OK)
		return error_fail(err, j->begin_status, "no connection");
	atomic_fetch_add(&j->begun, 1);
	*state = (void *)(uintptr_t)stop;
	return HF_OK;
}

static void
nap(void)
{
	const struct timespec ts = { 0, 1000000 };

	(void)nanosleep(&ts, NULL);
}

static int
task(void *arg, void *state, size_t n, struct hf_error *err)
{
	const atomic_bool *stop = state;
	struct job *j = arg;

	if (n == j->bad) {
		nap();
		(void)error_fail(err, HF_E_NOSPACE, "task %zu failed", n);
		error_note(err, "hint", "buy a disk");
		return HF_E_NOSPACE;
	}
	/* Others wait for the failure, as one in the middle of COPY does. */
	while (j->bad < TASKS && n > j->bad && !atomic_load(stop))
		nap();
	if (atomic_load(stop))
		return error_fail(err, HF_E_CANCELLED, "cancelled");
	atomic_fetch_add(&j->done[n], 1);
	return HF_OK;
}

static void
end(void *arg, void *state)
{
	struct job *j = arg;

	assert_non_null(state);
	atomic_fetch_add(&j->ended, 1);
}

static const struct workers_ops ops = { begin, task, end };

static void
every_task_is_done_once(void **state)
{
	static struct job j;
	struct hf_error err = { 0 };

	(void)state;
	j.bad = SIZE_MAX;
	assert_int_equal(workers_run(4, TASKS, &ops, &j, &err), HF_OK);
	for (size_t i = 0; i < TASKS; i++)
		assert_int_equal(atomic_load(&j.done[i]), 1);
	assert_int_equal(atomic_load(&j.begun), 4);
	assert_int_equal(atomic_load(&j.ended), 4);
	assert_false(atomic_load(&j.signals));
	assert_int_equal(err.status, HF_OK);
}

static void
threads_are_no_more_than_tasks(void **state)
{
	static struct job j;

	(void)state;
	j.bad = SIZE_MAX;
	assert_int_equal(workers_run(8, 2, &ops, &j, NULL), HF_OK);
	assert_true(atomic_load(&j.begun) <= 2);
	assert_int_equal(workers_run(8, 0, &ops, NULL, NULL), HF_OK);
}

static void
the_first_failure_is_told_and_stops_the_others(void **state)
{
	static struct job j;
	struct hf_error err = { 0 };

	(void)state;
	j.bad = 20;
	assert_int_equal(workers_run(4, TASKS, &ops, &j, &err), HF_E_NOSPACE);
	assert_int_equal(err.status, HF_E_NOSPACE);
	assert_string_equal(err.cause, "task 20 failed");
	assert_string_equal(error_get(&err, "hint"), "buy a disk");
	for (size_t i = 0; i < 20; i++)
		assert_true(atomic_load(&j.done[i]) <= 1);
	for (size_t i = 20; i < TASKS; i++)
		assert_int_equal(atomic_load(&j.done[i]), 0);
	assert_int_equal(atomic_load(&j.begun), atomic_load(&j.ended));
}

static void
an_older_failure_in_the_slot_is_replaced(void **state)
{
	static struct job j;
	struct hf_error err = { 0 };

	(void)state;
	(void)error_fail(&err, HF_E_IO, "an older and much longer failure");
	(void)error_context(&err, "doing that");
	j.bad = 0;
	assert_int_equal(workers_run(2, TASKS, &ops, &j, &err), HF_E_NOSPACE);
	assert_string_equal(err.cause, "task 0 failed");
	assert_int_equal(err.nframes, 0);
	assert_int_equal(err.nnotes, 1);
}

static void
a_worker_that_cannot_begin_fails_all(void **state)
{
	static struct job j;
	struct hf_error err = { 0 };

	(void)state;
	j.bad = SIZE_MAX;
	j.begin_status = HF_E_DENIED;
	assert_int_equal(workers_run(3, TASKS, &ops, &j, &err), HF_E_DENIED);
	assert_string_equal(err.cause, "no connection");
	assert_int_equal(atomic_load(&j.ended), 0);
	assert_int_equal(workers_run(3, TASKS, &ops, &j, NULL), HF_E_DENIED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_task_is_done_once),
		cmocka_unit_test(threads_are_no_more_than_tasks),
		cmocka_unit_test(
		    the_first_failure_is_told_and_stops_the_others),
		cmocka_unit_test(an_older_failure_in_the_slot_is_replaced),
		cmocka_unit_test(a_worker_that_cannot_begin_fails_all),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
