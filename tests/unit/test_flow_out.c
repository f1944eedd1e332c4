/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#undef fail /* the host table has one too */

#include "base/error.h"
#include "flow/outflow.h"
#include "plugin/host.h"
#include "support/flow_kit.h"

static void
nap(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

/* Until a thread that was left behind has cleared away. */
static void
wait_for_the_lost(struct kit *k, const char *bucket)
{
	unsigned refs;

	do {
		nap(1);
		pool_lock(k->flow);
		refs = k->flow->refs;
		pool_unlock(k->flow);
	} while (memstore_handles(bucket) > 0 || refs > 1);
}

static const size_t sizes[] = { 0, 1, KIT_FRAME - 1, KIT_FRAME, KIT_FRAME + 1,
	2 * KIT_FRAME, 10 * KIT_FRAME + 17, 40 * KIT_FRAME };
#define NSIZES (sizeof sizes / sizeof *sizes)

static void
round_trip(struct kit *k, const char *common, const char *own)
{
	static const size_t pieces[] = { 1, 7, KIT_FRAME, 1000 };
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	char name[32];

	kit_backup(k, &b, 2, common);
	kit_own(k, &b, 1, own);
	kit_start(k, &b);
	for (size_t i = 0; i < NSIZES; i++) {
		(void)snprintf(name, sizeof name, "o%zu", i);
		assert_int_equal(
		    kit_write(&b, name, sizes[i], pieces[i % 4], &err), HF_OK);
	}
	assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
	for (size_t i = 0; i < 2 * NSIZES; i++) {
		struct flow_object o = kit_object(&b, i % 2, i / 2);
		struct hf_in *in = kit_in(k, i % 2, &o);

		assert_int_equal(o.raw_size, sizes[i / 2]);
		assert_int_equal(in_verify(in, o.name, &err), HF_OK);
		assert_int_equal(
		    kit_read(in, o.name, 0, UINT64_MAX, sizes[i / 2], 50, &err),
		    HF_OK);
		in_free(in);
	}
	assert_null(out_object(b.out, 0, NSIZES));
	outflow_free(b.outflow);
}

static void
every_size_through_every_chain_comes_back(void **state)
{
	static const char *const chains[] = { "", "x", "r", "s", "xr", "xs",
		"sx", "rxs" };
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 2);
	for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
		round_trip(&k, chains[i], "");
		round_trip(&k, chains[i], "r");
		round_trip(&k, chains[i], "xs");
	}
	kit_close(&k);
}

static void
what_is_stored_is_described_exactly(void **state)
{
	struct hf_error err = { .status = HF_OK };
	char hex[SHA256_HEX];
	struct kit_backup b;
	struct flow_object o;
	const uint8_t *p;
	uint8_t raw[200];
	size_t len;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 2, "x");
	kit_own(&k, &b, 1, "s");
	kit_start(&k, &b);
	assert_int_equal(kit_write(&b, "a b/c", sizeof raw, 9, &err), HF_OK);
	assert_int_equal(kit_write(&b, "one", 5, 9, &err), HF_OK);
	kit_fill(raw, sizeof raw, 0);
	for (size_t i = 0; i < 2; i++) {
		o = kit_object(&b, i, 0);
		assert_string_equal(o.name, "a b/c");
		assert_string_equal(o.key,
		    i == 0 ? "p/data/id/a=20b/c.x" : "p/data/id/a=20b/c.x.s");
		p = memstore_peek(i == 0 ? "a" : "b", o.key, &len);
		assert_non_null(p);
		assert_int_equal(o.stored_size, len);
		(void)sha256_of(p, len, hex, NULL);
		assert_string_equal(hex, o.stored_sha256);
		(void)sha256_of(raw, sizeof raw, hex, NULL);
		assert_string_equal(hex, o.raw_sha256);
		assert_int_equal(o.frame_size, i == 0 ? KIT_FRAME : 0);
	}
	o = kit_object(&b, 0, 0);
	assert_string_equal(o.index_key, "p/data/id/a=20b/c.x.frames");
	p = memstore_peek("a", o.index_key, &len);
	assert_non_null(p);
	assert_int_equal(len, 16);
	assert_int_equal(o.index_size, 16);
	assert_int_equal(p[0] + p[4] + p[8] + p[12], o.stored_size);
	(void)sha256_of(p, len, hex, NULL);
	assert_string_equal(hex, o.index_sha256);
	/* Neither one frame nor no frames have an index. */
	assert_null(out_object(b.out, 1, 0)->index_key);
	assert_null(out_object(b.out, 0, 1)->index_key);
	assert_int_equal(memstore_count("a"), 3);
	assert_int_equal(memstore_count("b"), 2);
	assert_int_equal(outflow_raw_bytes(b.outflow), 205);
	assert_int_equal(outflow_stored_bytes(b.outflow, 0),
	    out_object(b.out, 0, 0)->stored_size +
		out_object(b.out, 0, 1)->stored_size);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
a_name_is_taken_once(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_writer *w, *w2;
	struct hf_out *main_out;
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 1, "");
	/* No suffix of its own, so that an index could be mistaken. */
	b.opts.nfilters = 0;
	kit_start(&k, &b);
	assert_int_equal(out_new(b.outflow, "main/", &main_out, &err), HF_OK);
	assert_int_equal(b.out->ops->begin(b.out, "n", 0, &w, &err), HF_OK);
	assert_int_equal(
	    b.out->ops->begin(b.out, "n", 0, &w2, &err), HF_E_INVALID);
	assert_int_equal(
	    b.out->ops->begin(b.out, "", 0, &w2, &err), HF_E_INVALID);
	w->ops->abort(w);
	assert_int_equal(kit_write(&b, "n", 300, 10, &err), HF_OK);
	assert_int_equal(kit_write(&b, "n", 300, 10, &err), HF_E_INVALID);
	/* A source's own names stand under its prefix. */
	assert_int_equal(
	    main_out->ops->begin(main_out, "n", 0, &w, &err), HF_OK);
	assert_int_equal(w->ops->commit(w, &err), HF_OK);
	assert_string_equal(out_object(main_out, 0, 0)->name, "n");
	assert_string_equal(
	    out_object(main_out, 0, 0)->key, "p/data/id/main/n");
	assert_int_equal(kit_write(&b, "main/n", 1, 1, &err), HF_E_INVALID);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
an_index_is_never_taken_for_an_object(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 1, "x");
	kit_start(&k, &b);
	assert_int_equal(kit_write(&b, "n", 300, 10, &err), HF_OK);
	assert_int_equal(kit_write(&b, "n.x.frames", 300, 10, &err), HF_OK);
	assert_int_equal(memstore_count("a"), 4);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
facts_are_kept_and_replaced(void **state)
{
	struct hf_error err = { .status = HF_OK };
	const char *key, *value;
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 1, "");
	kit_start(&k, &b);
	(void)b.out->ops->fact(b.out, "lsn", "1", &err);
	(void)b.out->ops->fact(b.out, "page", "4096", &err);
	(void)b.out->ops->fact(b.out, "lsn", "2", &err);
	assert_true(out_fact_at(b.out, 0, &key, &value));
	assert_string_equal(key, "lsn");
	assert_string_equal(value, "2");
	assert_true(out_fact_at(b.out, 1, &key, &value));
	assert_false(out_fact_at(b.out, 2, &key, &value));
	outflow_free(b.outflow);
	kit_close(&k);
}

/* ---- several at once ---- */

struct job {
	struct kit_backup *b;
	char name[16];
	size_t size, piece;
	int rc;
	struct hf_error err;
};

static void *
write_job(void *arg)
{
	struct job *j = arg;

	j->rc = kit_write(j->b, j->name, j->size, j->piece, &j->err);
	return NULL;
}

static void
eight_writers_share_few_frames(void **state)
{
	struct flow_options o = { .workers = 1, .frame_size = 16 };
	struct hf_error err = { .status = HF_OK };
	pthread_t threads[8];
	struct job jobs[8];
	struct kit_backup b;
	struct kit k;

	(void)state;
	for (unsigned serial = 0; serial < 4; serial++) {
		kit_open(&k, &o, serial);
		kit_backup(&k, &b, 2, "x");
		kit_own(&k, &b, 1, "r");
		kit_start(&k, &b);
		for (size_t i = 0; i < 8; i++) {
			jobs[i] = (struct job){ .b = &b,
				.size = 3000 + i * 100,
				.piece = 1 + i * 5 };
			(void)snprintf(
			    jobs[i].name, sizeof jobs[i].name, "j%zu", i);
			assert_int_equal(pthread_create(&threads[i], NULL,
					     write_job, &jobs[i]),
			    0);
		}
		for (size_t i = 0; i < 8; i++) {
			(void)pthread_join(threads[i], NULL);
			assert_int_equal(jobs[i].rc, HF_OK);
		}
		assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
		for (size_t i = 0; i < 16; i++) {
			struct flow_object obj = kit_object(&b, i % 2, i / 2);
			struct hf_in *in = kit_in(&k, i % 2, &obj);

			assert_int_equal(in_verify(in, obj.name, &err), HF_OK);
			in_free(in);
		}
		/* Tickets (8), writers' own (8), one worker's; and what was
		 * read here. */
		assert_in_range(k.flow->peak, 1, 8 + 8 + 1 + 4);
		outflow_free(b.outflow);
		kit_close(&k);
	}
}

static void
writers_held_open_let_others_pass(void **state)
{
	struct flow_options o = { .workers = 1, .frame_size = 16 };
	struct hf_error err = { .status = HF_OK };
	struct hf_writer *held[20];
	struct kit_backup b;
	uint8_t bytes[40];
	char name[16];
	struct kit k;

	(void)state;
	kit_open(&k, &o, 1);
	kit_backup(&k, &b, 1, "x");
	kit_start(&k, &b);
	for (size_t i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof name, "held%zu", i);
		kit_fill(bytes, sizeof bytes, 0);
		assert_int_equal(
		    b.out->ops->begin(b.out, name, 0, &held[i], &err), HF_OK);
		assert_int_equal(
		    held[i]->ops->write(held[i], bytes, sizeof bytes, &err),
		    HF_OK);
	}
	assert_int_equal(kit_write(&b, "passes", 2000, 33, &err), HF_OK);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(held[i]->ops->commit(held[i], &err), HF_OK);
	assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
	/* In the order of commit. */
	assert_string_equal(out_object(b.out, 0, 0)->name, "passes");
	assert_string_equal(out_object(b.out, 0, 1)->name, "held0");
	assert_string_equal(out_object(b.out, 0, 20)->name, "held19");
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
memory_is_bounded_while_a_sink_is_slow(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct job job;
	struct kit_backup b;
	pthread_t thread;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 2, "x");
	kit_start(&k, &b);
	memstore_stall("b", MEMSTORE_WRITE, true);
	job = (struct job){
		.b = &b, .name = "big", .size = 500 * KIT_FRAME, .piece = 99
	};
	(void)pthread_create(&thread, NULL, write_job, &job);
	while (memstore_stalled("b") == 0)
		nap(1);
	nap(100);
	memstore_stall("b", MEMSTORE_WRITE, false);
	(void)pthread_join(thread, NULL);
	assert_int_equal(job.rc, HF_OK);
	assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
	/* 10 tickets and the writer's own. */
	assert_in_range(k.flow->peak, 10, 12);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
a_serial_store_gets_one_call_at_a_time(void **state)
{
	struct hf_error err = { .status = HF_OK };
	pthread_t threads[4];
	struct job jobs[4];
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 1);
	kit_backup(&k, &b, 2, "");
	kit_start(&k, &b);
	memstore_delay("a", 1);
	memstore_delay("b", 1);
	for (size_t i = 0; i < 4; i++) {
		jobs[i] = (struct job){ .b = &b, .size = 1000, .piece = 100 };
		(void)snprintf(jobs[i].name, sizeof jobs[i].name, "j%zu", i);
		(void)pthread_create(&threads[i], NULL, write_job, &jobs[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(jobs[i].rc, HF_OK);
	}
	assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
	assert_int_equal(memstore_most_calls("a"), 1);
	assert_in_range(memstore_most_calls("b"), 2, 4);
	outflow_free(b.outflow);
	kit_close(&k);
}

/* ---- failures ---- */

struct notices {
	pthread_mutex_t lock;
	unsigned dropped[3], spooling[3];
};

static void
on_notice(void *arg, size_t sink, const char *event, const struct hf_error *why)
{
	struct notices *n = arg;

	(void)pthread_mutex_lock(&n->lock);
	if (strcmp(event, "sink.dropped") == 0) {
		n->dropped[sink]++;
		assert_non_null(why);
	} else if (strcmp(event, "sink.spooling") == 0) {
		n->spooling[sink]++;
	}
	(void)pthread_mutex_unlock(&n->lock);
}

static int
three_objects(struct kit_backup *b, struct hf_error *err)
{
	int rc;

	if ((rc = kit_write(b, "o1", 5 * KIT_FRAME + 3, 50, err)) != HF_OK ||
	    (rc = kit_write(b, "o2", 0, 50, err)) != HF_OK ||
	    (rc = kit_write(b, "o3", 2 * KIT_FRAME, 50, err)) != HF_OK)
		return rc;
	return outflow_finish(b->outflow, err);
}

static void
every_failing_call_of_the_only_sink_is_a_clean_error(void **state)
{
	struct hf_error err, why;
	struct kit_backup b;
	unsigned long n;
	struct kit k;

	(void)state;
	for (n = 1;; n++) {
		bool failed;

		err = why = (struct hf_error){ .status = HF_OK };
		kit_open(&k, NULL, n % 2);
		kit_backup(&k, &b, 1, n % 3 == 0 ? "xs" : "x");
		kit_start(&k, &b);
		memstore_fail("a", MEMSTORE_ANY, n, 1, HF_E_NOSPACE);
		if (three_objects(&b, &err) == HF_OK)
			assert_int_equal(err.status, HF_OK);
		else
			assert_int_equal(err.status, HF_E_NOSPACE);
		failed = memstore_failed("a");
		assert_int_equal(outflow_sink_ok(b.outflow, 0, &why), !failed);
		if (failed) {
			assert_int_equal(why.status, HF_E_NOSPACE);
			assert_int_not_equal(
			    outflow_finish(b.outflow, &err), HF_OK);
		}
		outflow_free(b.outflow);
		kit_close(&k);
		if (!failed)
			break;
	}
	assert_in_range(n, 15, 100);
}

static void
one_sink_failing_at_any_call_leaves_the_other_complete(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	unsigned long n;
	struct kit k;

	(void)state;
	for (n = 1;; n++) {
		struct notices notices = { .lock = PTHREAD_MUTEX_INITIALIZER };
		bool failed;

		kit_open(&k, NULL, 0);
		kit_backup(&k, &b, 2, "x");
		kit_own(&k, &b, 0, n % 2 == 0 ? "r" : "");
		b.opts.notice = on_notice;
		b.opts.arg = &notices;
		kit_start(&k, &b);
		memstore_fail("a", MEMSTORE_ANY, n, 0, HF_E_IO);
		assert_int_equal(three_objects(&b, &err), HF_OK);
		failed = memstore_failed("a");
		assert_int_equal(outflow_sink_ok(b.outflow, 0, NULL), !failed);
		assert_true(outflow_sink_ok(b.outflow, 1, NULL));
		for (size_t i = 0; i < 3; i++) {
			struct flow_object o = kit_object(&b, 1, i);
			struct hf_in *in = kit_in(&k, 1, &o);

			assert_int_equal(in_verify(in, o.name, &err), HF_OK);
			in_free(in);
		}
		outflow_close(b.outflow);
		assert_int_equal(notices.dropped[0], failed);
		assert_int_equal(notices.dropped[1], 0);
		assert_false(outflow_sink_stuck(b.outflow, 0));
		outflow_free(b.outflow);
		kit_close(&k);
		if (!failed)
			break;
	}
	assert_in_range(n, 15, 100);
}

static void
a_failing_filter_fails_the_object_and_not_the_sinks(void **state)
{
	static const char *const chains[] = { "x", "sx", "xs" };
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct kit k;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		kit_open(&k, NULL, 0);
		kit_backup(&k, &b, 2, chains[i]);
		kit_start(&k, &b);
		assert_int_equal(
		    kit_write(&b, KIT_BAD_NAME, 5000, 10, &err), HF_E_IO);
		assert_string_equal(err.cause, "the filter was told to fail");
		assert_int_equal(kit_write(&b, "good", 5000, 10, &err), HF_OK);
		assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
		assert_int_equal(
		    memstore_count("a"), chains[i][1] == '\0' ? 2 : 1);
		outflow_free(b.outflow);
		kit_close(&k);
	}
}

static void
a_failing_own_filter_drops_its_sink_only(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 2, "");
	kit_own(&k, &b, 1, "x");
	kit_start(&k, &b);
	assert_int_equal(kit_write(&b, KIT_BAD_NAME, 5000, 10, &err), HF_OK);
	assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
	assert_false(outflow_sink_ok(b.outflow, 1, &err));
	assert_int_equal(memstore_count("a"), 1);
	assert_int_equal(memstore_count("b"), 0);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
a_stalled_sink_is_given_up_and_the_other_goes_on(void **state)
{
	static const enum memstore_op ops[] = { MEMSTORE_PUT, MEMSTORE_WRITE,
		MEMSTORE_COMMIT };
	struct hf_error err, why = { .status = HF_OK };
	struct kit_backup b;
	struct kit k;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct notices notices = { .lock = PTHREAD_MUTEX_INITIALIZER };

		kit_open(&k, NULL, 0);
		kit_backup(&k, &b, 2, "x");
		b.sinks[1].stall_ms = 150;
		b.opts.notice = on_notice;
		b.opts.arg = &notices;
		kit_start(&k, &b);
		memstore_stall("b", ops[i], true);
		assert_int_equal(
		    kit_write(&b, "o", 100 * KIT_FRAME, 99, &err), HF_OK);
		assert_int_equal(
		    kit_write(&b, "p", 100 * KIT_FRAME, 99, &err), HF_OK);
		assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
		assert_false(outflow_sink_ok(b.outflow, 1, &why));
		assert_non_null(strstr(why.cause, "took nothing for"));
		/* The frame that it took with it is made up for. */
		assert_int_equal(b.outflow->budget.limit, i == 2 ? 10 : 11);
		outflow_close(b.outflow);
		assert_int_equal(notices.dropped[1], 1);
		assert_true(outflow_sink_stuck(b.outflow, 1));
		assert_false(outflow_sink_stuck(b.outflow, 0));
		outflow_free(b.outflow);
		/* The stuck thread comes back to an outflow that is gone for
		 * everybody else, and clears away. */
		assert_int_equal(memstore_stalled("b"), 1);
		memstore_stall("b", ops[i], false);
		wait_for_the_lost(&k, "b");
		kit_close(&k);
	}
}

static void
all_sinks_stalled_is_an_error_that_ends(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 1, "");
	b.sinks[0].stall_ms = 100;
	kit_start(&k, &b);
	memstore_stall("a", MEMSTORE_WRITE, true);
	assert_int_equal(
	    kit_write(&b, "o", 100 * KIT_FRAME, 99, &err), HF_E_IO);
	assert_non_null(strstr(err.cause, "took nothing for"));
	assert_int_equal(outflow_finish(b.outflow, &err), HF_E_IO);
	outflow_free(b.outflow);
	memstore_stall("a", MEMSTORE_WRITE, false);
	wait_for_the_lost(&k, "a");
	kit_close(&k);
}

static void
cancelling_wakes_a_waiting_writer(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct job job;
	struct kit_backup b;
	pthread_t thread;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 1, "x");
	kit_start(&k, &b);
	memstore_stall("a", MEMSTORE_WRITE, true);
	job = (struct job){
		.b = &b, .name = "o", .size = 1000 * KIT_FRAME, .piece = 99
	};
	(void)pthread_create(&thread, NULL, write_job, &job);
	while (memstore_stalled("a") == 0)
		nap(1);
	nap(30);
	cancel_request(&k.cancel);
	(void)pthread_join(thread, NULL);
	assert_int_equal(job.rc, HF_E_CANCELLED);
	assert_int_equal(kit_write(&b, "p", 1, 1, &err), HF_E_CANCELLED);
	assert_int_equal(outflow_finish(b.outflow, &err), HF_E_CANCELLED);
	memstore_stall("a", MEMSTORE_WRITE, false);
	outflow_free(b.outflow);
	assert_int_equal(memstore_count("a"), 0);
	kit_close(&k);
}

static void
an_object_left_open_is_a_bug_of_the_engine(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_writer *w;
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 1, "x");
	kit_start(&k, &b);
	assert_int_equal(kit_write(&b, "good", 500, 99, &err), HF_OK);
	assert_int_equal(
	    b.out->ops->begin(b.out, "forgotten", 0, &w, &err), HF_OK);
	assert_int_equal(w->ops->write(w, "x", 1, &err), HF_OK);
	assert_int_equal(outflow_finish(b.outflow, &err), HF_E_BUG);
	assert_non_null(strstr(err.cause, "forgotten"));
	outflow_free(b.outflow);
	assert_int_equal(memstore_count("a"), 2);
	kit_close(&k);
}

static void
an_aborted_object_leaves_nothing(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_writer *w;
	struct kit_backup b;
	uint8_t bytes[1000];
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 1);
	kit_fill(bytes, sizeof bytes, 0);
	for (size_t size = 0; size <= sizeof bytes; size += 250) {
		kit_backup(&k, &b, 2, size % 500 == 0 ? "x" : "s");
		kit_start(&k, &b);
		assert_int_equal(
		    b.out->ops->begin(b.out, "n", 0, &w, &err), HF_OK);
		assert_int_equal(w->ops->write(w, bytes, size, &err), HF_OK);
		w->ops->abort(w);
		assert_int_equal(memstore_handles("a"), 0);
		assert_int_equal(memstore_handles("b"), 0);
		assert_int_equal(outflow_finish(b.outflow, &err), HF_OK);
		outflow_free(b.outflow);
	}
	assert_int_equal(memstore_count("a") + memstore_count("b"), 0);
	kit_close(&k);
}

static void
a_backup_without_sinks_is_refused(void **state)
{
	struct out_options o = { .key_prefix = "p/" };
	struct hf_error err = { .status = HF_OK };
	struct outflow *of;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	assert_int_equal(outflow_new(k.flow, &o, &of, &err), HF_E_INVALID);
	kit_close(&k);
}

/* An engine tells one a table.  Looking through all of them each time would
 * take minutes. */
static void
a_hundred_thousand_facts_take_no_time(void **state)
{
	enum { MANY = 100000 };
	struct hf_error err = { .status = HF_OK };
	const char *key, *value;
	clock_t before = clock();
	struct kit_backup b;
	char text[32];
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	kit_backup(&k, &b, 1, "");
	kit_start(&k, &b);
	for (int again = 0; again < 2; again++)
		for (int i = 0; i < MANY; i++) {
			(void)snprintf(
			    text, sizeof text, "%d", i * 7919 % MANY);
			assert_int_equal(b.out->ops->fact(b.out, text,
					     again == 0 ? "old" : text, &err),
			    HF_OK);
		}
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(text, sizeof text, "%d", i * 7919 % MANY);
		assert_true(out_fact_at(b.out, (size_t)i, &key, &value));
		assert_string_equal(key, text);
		assert_string_equal(value, text);
	}
	assert_false(out_fact_at(b.out, MANY, &key, &value));
	outflow_free(b.outflow);
	kit_close(&k);
	assert_true((clock() - before) / CLOCKS_PER_SEC < 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_through_every_chain_comes_back),
		cmocka_unit_test(what_is_stored_is_described_exactly),
		cmocka_unit_test(a_name_is_taken_once),
		cmocka_unit_test(an_index_is_never_taken_for_an_object),
		cmocka_unit_test(facts_are_kept_and_replaced),
		cmocka_unit_test(a_hundred_thousand_facts_take_no_time),
		cmocka_unit_test(eight_writers_share_few_frames),
		cmocka_unit_test(writers_held_open_let_others_pass),
		cmocka_unit_test(memory_is_bounded_while_a_sink_is_slow),
		cmocka_unit_test(a_serial_store_gets_one_call_at_a_time),
		cmocka_unit_test(
		    every_failing_call_of_the_only_sink_is_a_clean_error),
		cmocka_unit_test(
		    one_sink_failing_at_any_call_leaves_the_other_complete),
		cmocka_unit_test(
		    a_failing_filter_fails_the_object_and_not_the_sinks),
		cmocka_unit_test(a_failing_own_filter_drops_its_sink_only),
		cmocka_unit_test(
		    a_stalled_sink_is_given_up_and_the_other_goes_on),
		cmocka_unit_test(all_sinks_stalled_is_an_error_that_ends),
		cmocka_unit_test(cancelling_wakes_a_waiting_writer),
		cmocka_unit_test(an_object_left_open_is_a_bug_of_the_engine),
		cmocka_unit_test(an_aborted_object_leaves_nothing),
		cmocka_unit_test(a_backup_without_sinks_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
