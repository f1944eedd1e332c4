/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#undef fail /* the host table has one too */

#include "base/error.h"
#include "base/log.h"
#include "flow/outflow.h"
#include "support/flow_kit.h"

#define FRAME 4096
#define SIZE (300 * FRAME)

static void
nap(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

struct world {
	struct kit kit;
	struct kit_backup b;
	char dir[64];
	pthread_mutex_t lock;
	unsigned spooling[3], dropped[3];
};

static void
on_notice(void *arg, size_t sink, const char *event, const struct hf_error *why)
{
	struct world *w = arg;

	(void)why;
	(void)pthread_mutex_lock(&w->lock);
	if (strcmp(event, "sink.spooling") == 0)
		w->spooling[sink]++;
	else
		w->dropped[sink]++;
	(void)pthread_mutex_unlock(&w->lock);
}

static void
world_open(struct world *w, const char *chain, uint64_t max)
{
	struct flow_options o = { .workers = 2,
		.frame_size = FRAME,
		.spool_after_ms = 150,
		.spool_max = max };

	*w = (struct world){ .lock = PTHREAD_MUTEX_INITIALIZER };
	(void)snprintf(w->dir, sizeof w->dir, "/tmp/flow-spool-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	o.spool_dir = w->dir;
	kit_open(&w->kit, &o, 0);
	kit_backup(&w->kit, &w->b, 2, chain);
	w->b.opts.notice = on_notice;
	w->b.opts.arg = w;
	kit_start(&w->kit, &w->b);
}

static void
world_close(struct world *w)
{
	outflow_free(w->b.outflow);
	kit_close(&w->kit);
	/* It was never visible there. */
	assert_int_equal(rmdir(w->dir), 0);
}

struct writing {
	struct world *w;
	struct hf_writer *writer;
	size_t size;
	int rc;
	bool written; /* all of it, but not yet committed */
	struct hf_error err;
};

static void
set_written(struct writing *j)
{
	(void)pthread_mutex_lock(&j->w->lock);
	j->written = true;
	(void)pthread_mutex_unlock(&j->w->lock);
}

static bool
get_written(struct writing *j)
{
	bool written;

	(void)pthread_mutex_lock(&j->w->lock);
	written = j->written;
	(void)pthread_mutex_unlock(&j->w->lock);
	return written;
}

static void *
write_all(void *arg)
{
	struct writing *j = arg;
	struct hf_out *out = j->w->b.out;
	uint8_t bytes[5000];
	int rc;

	rc = out->ops->begin(out, "big", 0, &j->writer, &j->err);
	for (size_t off = 0; rc == HF_OK && off < j->size;
	     off += sizeof bytes) {
		size_t n =
		    j->size - off < sizeof bytes ? j->size - off : sizeof bytes;

		kit_fill(bytes, n, off);
		rc = j->writer->ops->write(j->writer, bytes, n, &j->err);
	}
	set_written(j);
	if (rc == HF_OK)
		rc = j->writer->ops->commit(j->writer, &j->err);
	else if (j->writer != NULL)
		j->writer->ops->abort(j->writer);
	j->rc = rc;
	return NULL;
}

static void
check_both(struct world *w)
{
	struct hf_error err = { .status = HF_OK };

	for (size_t i = 0; i < 2; i++) {
		struct flow_object o = kit_object(&w->b, i, 0);
		struct hf_in *in = kit_in(&w->kit, i, &o);

		assert_int_equal(in_verify(in, o.name, &err), HF_OK);
		assert_int_equal(
		    kit_read(in, o.name, 0, UINT64_MAX, SIZE, 999, &err),
		    HF_OK);
		in_free(in);
	}
}

static void
the_engine_finishes_before_a_slow_sink(void **state)
{
	static const char *const chains[] = { "", "x", "r", "s" };
	struct hf_error err = { .status = HF_OK };
	struct world w;

	(void)state;
	for (size_t c = 0; c < 4; c++) {
		struct writing j = { .w = &w, .size = SIZE };
		pthread_t thread;
		bool all;

		world_open(&w, chains[c], UINT64_C(1) << 30);
		/* Not slow but stopped: only the spool lets it end. */
		memstore_stall("b", MEMSTORE_WRITE, true);
		(void)pthread_create(&thread, NULL, write_all, &j);
		while (!get_written(&j))
			nap(1);
		/* The other sink is not held up by that: it gets all. */
		do {
			nap(1);
			pool_lock(w.kit.flow);
			all = w.b.outflow->sinks[0].taken >= SIZE / FRAME;
			pool_unlock(w.kit.flow);
		} while (!all);
		assert_int_equal(outflow_stored_bytes(w.b.outflow, 1), 0);
		memstore_stall("b", MEMSTORE_WRITE, false);
		(void)pthread_join(thread, NULL);
		assert_int_equal(j.rc, HF_OK);
		assert_int_equal(outflow_finish(w.b.outflow, &err), HF_OK);
		assert_int_equal(w.spooling[1], 1);
		assert_int_equal(w.spooling[0], 0);
		outflow_close(w.b.outflow);
		assert_int_equal(w.b.outflow->sinks[1].spool.live, 0);
		check_both(&w);
		assert_in_range(w.kit.flow->peak, 10, 14);
		world_close(&w);
	}
}

static void
without_a_folder_the_engine_waits(void **state)
{
	struct flow_options o = { .workers = 2, .frame_size = FRAME };
	struct world w = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct writing j = { .w = &w, .size = SIZE };
	pthread_t thread;

	(void)state;
	kit_open(&w.kit, &o, 0);
	kit_backup(&w.kit, &w.b, 2, "x");
	kit_start(&w.kit, &w.b);
	memstore_stall("b", MEMSTORE_WRITE, true);
	(void)pthread_create(&thread, NULL, write_all, &j);
	while (memstore_stalled("b") == 0)
		nap(1);
	nap(150);
	assert_false(get_written(&j));
	memstore_stall("b", MEMSTORE_WRITE, false);
	(void)pthread_join(thread, NULL);
	assert_int_equal(j.rc, HF_OK);
	check_both(&w);
	outflow_free(w.b.outflow);
	kit_close(&w.kit);
}

static void
a_full_spool_makes_the_engine_wait_and_loses_nothing(void **state)
{
	struct hf_error err = { .status = HF_OK };
	pthread_t thread;
	struct world w;
	struct writing j = { .w = &w, .size = SIZE };

	(void)state;
	world_open(&w, "x", 20 * 8192);
	memstore_stall("b", MEMSTORE_WRITE, true);
	(void)pthread_create(&thread, NULL, write_all, &j);
	for (;;) {
		uint64_t live;

		pool_lock(w.kit.flow);
		live = w.b.outflow->sinks[1].spool.live;
		pool_unlock(w.kit.flow);
		assert_true(live <= 20 * 8192);
		if (live == 20 * 8192)
			break;
		nap(1);
	}
	nap(100);
	assert_false(get_written(&j));
	memstore_stall("b", MEMSTORE_WRITE, false);
	(void)pthread_join(thread, NULL);
	assert_int_equal(j.rc, HF_OK);
	assert_int_equal(outflow_finish(w.b.outflow, &err), HF_OK);
	assert_int_equal(w.spooling[1], 1);
	check_both(&w);
	world_close(&w);
}

static void
a_failing_write_to_the_spool_loses_nothing(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct rlimit before, small;
	pthread_t thread;
	struct world w;
	struct writing j = { .w = &w, .size = SIZE };

	(void)state;
	/* Files may not grow beyond: the disk is full, in other words. */
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 30 * FRAME + 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	world_open(&w, "x", UINT64_C(1) << 30);
	memstore_stall("b", MEMSTORE_WRITE, true);
	(void)pthread_create(&thread, NULL, write_all, &j);
	for (;;) {
		bool told;

		pool_lock(w.kit.flow);
		told = w.b.outflow->sinks[1].spool.full_told;
		pool_unlock(w.kit.flow);
		if (told)
			break;
		nap(1);
	}
	memstore_stall("b", MEMSTORE_WRITE, false);
	(void)pthread_join(thread, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(j.rc, HF_OK);
	assert_int_equal(outflow_finish(w.b.outflow, &err), HF_OK);
	check_both(&w);
	world_close(&w);
}

static void
a_missing_spool_folder_only_means_waiting(void **state)
{
	struct hf_error err = { .status = HF_OK };
	pthread_t thread;
	struct world w;
	struct writing j = { .w = &w, .size = SIZE };

	(void)state;
	world_open(&w, "x", UINT64_C(1) << 30);
	assert_int_equal(rmdir(w.dir), 0);
	memstore_stall("b", MEMSTORE_WRITE, true);
	(void)pthread_create(&thread, NULL, write_all, &j);
	while (memstore_stalled("b") == 0)
		nap(1);
	nap(150);
	assert_false(get_written(&j));
	memstore_stall("b", MEMSTORE_WRITE, false);
	(void)pthread_join(thread, NULL);
	assert_int_equal(j.rc, HF_OK);
	assert_int_equal(outflow_finish(w.b.outflow, &err), HF_OK);
	assert_int_equal(w.spooling[1], 0);
	check_both(&w);
	outflow_free(w.b.outflow);
	kit_close(&w.kit);
}

static void
a_spooled_sink_that_fails_lets_go_of_its_queue(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct world w;

	(void)state;
	for (unsigned long n = 1; n <= 301; n += 60) {
		struct writing j = { .w = &w, .size = SIZE };
		pthread_t thread;

		world_open(&w, "x", UINT64_C(1) << 30);
		memstore_fail("b", MEMSTORE_WRITE, n, 1, HF_E_IO);
		memstore_stall("b", MEMSTORE_WRITE, true);
		(void)pthread_create(&thread, NULL, write_all, &j);
		while (!get_written(&j))
			nap(1);
		memstore_stall("b", MEMSTORE_WRITE, false);
		(void)pthread_join(thread, NULL);
		assert_int_equal(j.rc, HF_OK);
		assert_int_equal(outflow_finish(w.b.outflow, &err), HF_OK);
		assert_int_equal(outflow_sink_ok(w.b.outflow, 1, &err),
		    !memstore_failed("b"));
		outflow_close(w.b.outflow);
		assert_int_equal(w.b.outflow->sinks[1].spool.live, 0);
		assert_true(outflow_sink_ok(w.b.outflow, 0, NULL));
		world_close(&w);
	}
}

/* The consumer takes frames while the spool writes the same ones. */
static void
a_sink_that_is_just_slow_gets_everything_in_order(void **state)
{
	struct hf_error err = { .status = HF_OK };
	pthread_t thread;
	struct world w;
	struct writing j = { .w = &w, .size = SIZE };

	(void)state;
	world_open(&w, "x", UINT64_C(1) << 30);
	memstore_delay("b", 2);
	(void)pthread_create(&thread, NULL, write_all, &j);
	(void)pthread_join(thread, NULL);
	assert_int_equal(j.rc, HF_OK);
	assert_int_equal(outflow_finish(w.b.outflow, &err), HF_OK);
	assert_int_equal(w.spooling[1], 1);
	check_both(&w);
	world_close(&w);
}

static void
aborting_a_spooled_object_empties_the_spool(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_writer *writer;
	uint8_t bytes[FRAME];
	struct world w;

	(void)state;
	world_open(&w, "x", UINT64_C(1) << 30);
	memstore_stall("b", MEMSTORE_PUT, true);
	assert_int_equal(
	    w.b.out->ops->begin(w.b.out, "n", 0, &writer, &err), HF_OK);
	for (size_t i = 0; i < 200; i++) {
		kit_fill(bytes, sizeof bytes, i * sizeof bytes);
		assert_int_equal(
		    writer->ops->write(writer, bytes, sizeof bytes, &err),
		    HF_OK);
	}
	memstore_stall("b", MEMSTORE_PUT, false);
	writer->ops->abort(writer);
	assert_int_equal(outflow_finish(w.b.outflow, &err), HF_OK);
	outflow_close(w.b.outflow);
	assert_int_equal(w.spooling[1], 1);
	assert_int_equal(w.b.outflow->sinks[1].spool.live, 0);
	assert_int_equal(memstore_count("b"), 0);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_engine_finishes_before_a_slow_sink),
		cmocka_unit_test(without_a_folder_the_engine_waits),
		cmocka_unit_test(
		    a_full_spool_makes_the_engine_wait_and_loses_nothing),
		cmocka_unit_test(a_failing_write_to_the_spool_loses_nothing),
		cmocka_unit_test(a_missing_spool_folder_only_means_waiting),
		cmocka_unit_test(
		    a_spooled_sink_that_fails_lets_go_of_its_queue),
		cmocka_unit_test(
		    a_sink_that_is_just_slow_gets_everything_in_order),
		cmocka_unit_test(aborting_a_spooled_object_empties_the_spool),
	};

	log_setup(HF_LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
