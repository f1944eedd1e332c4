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
#include "base/log.h"
#include "flow/pool.h"
#include "plugin/host.h"
#include "support/flow_kit.h"

static void
nap(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

/* One object, stored in sink a. */
static void
store_one(struct kit *k, struct kit_backup *b, const char *chain, size_t size)
{
	struct hf_error err = { .status = HF_OK };

	kit_backup(k, b, 1, chain);
	kit_start(k, b);
	assert_int_equal(kit_write(b, "obj", size, 1000, &err), HF_OK);
	assert_int_equal(outflow_finish(b->outflow, &err), HF_OK);
}

static const char *const chains[] = { "", "x", "rx", "s", "xs" };
#define NCHAINS (sizeof chains / sizeof *chains)

static void
ranges_at_all_edges_come_back(void **state)
{
	static const uint64_t edges[] = { 0, 1, KIT_FRAME - 1, KIT_FRAME,
		KIT_FRAME + 1, 3 * KIT_FRAME, 4 * KIT_FRAME - 1,
		4 * KIT_FRAME + 9, 4 * KIT_FRAME + 10 };
	const size_t size = 4 * KIT_FRAME + 10, n = sizeof edges / 8;
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	for (size_t c = 0; c < NCHAINS; c++) {
		struct flow_object o;
		struct hf_in *in;

		store_one(&k, &b, chains[c], size);
		o = kit_object(&b, 0, 0);
		in = kit_in(&k, 0, &o);
		for (size_t i = 0; i < n; i++)
			for (size_t j = i; j < n; j++)
				assert_int_equal(
				    kit_read(in, "obj", edges[i],
					edges[j] - edges[i],
					edges[j] - edges[i], 13, &err),
				    HF_OK);
		/* Lengths beyond the end are cut, offsets are refused. */
		for (size_t i = 0; i < n; i++)
			assert_int_equal(
			    kit_read(in, "obj", edges[i], UINT64_MAX,
				size - edges[i], 1000, &err),
			    HF_OK);
		assert_int_equal(kit_read(in, "obj", size + 1, 1, 0, 13, &err),
		    HF_E_INVALID);
		assert_int_equal(in_failure(in, NULL), HF_OK);
		in_free(in);
		outflow_free(b.outflow);
	}
	kit_close(&k);
}

static void
a_range_reads_its_frames_only(void **state)
{
	struct hf_error err = { .status = HF_OK };
	unsigned long before, after;
	struct kit_backup b;
	struct flow_object o;
	struct hf_in *in;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	store_one(&k, &b, "x", 100 * KIT_FRAME);
	o = kit_object(&b, 0, 0);
	in = kit_in(&k, 0, &o);
	before = memstore_calls("a", MEMSTORE_READ);
	assert_int_equal(kit_read(in, "obj", 90 * KIT_FRAME + 5, KIT_FRAME,
			     KIT_FRAME, 1000, &err),
	    HF_OK);
	after = memstore_calls("a", MEMSTORE_READ);
	/* Two frames and the index. */
	assert_in_range(after - before, 3, 6);
	in_free(in);
	outflow_free(b.outflow);
	kit_close(&k);
}

static int
list_one(void *arg, const struct hf_object *o)
{
	assert_string_equal(o->key, "obj");
	assert_int_equal(o->size, 77);
	++*(int *)arg;
	return 5;
}

static void
names_sizes_and_facts_are_told(void **state)
{
	static const char *const facts[] = { "page", "4096", "lsn", "1/2",
		NULL };
	struct hf_error err = { .status = HF_OK };
	struct in_options opts = { .facts = facts };
	struct kit_backup b;
	struct flow_object o;
	struct hf_in *in;
	int n = 0;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	store_one(&k, &b, "x", 77);
	o = kit_object(&b, 0, 0);
	opts.store = k.stores[0].store;
	opts.objects = &o;
	opts.nobjects = 1;
	assert_int_equal(in_new(k.flow, &opts, &in, &err), HF_OK);
	assert_int_equal(in->ops->list(in, list_one, &n, &err), 5);
	assert_int_equal(n, 1);
	assert_string_equal(in->ops->fact(in, "lsn"), "1/2");
	assert_null(in->ops->fact(in, "4096"));
	assert_int_equal(
	    kit_read(in, "other", 0, 1, 0, 13, &err), HF_E_NOTFOUND);
	assert_int_equal(in_failure(in, NULL), HF_OK);
	in_free(in);
	outflow_free(b.outflow);
	kit_close(&k);
}

/* Both ways of reading must find it, and say which object. */
static void
assert_damaged(struct kit *k, struct flow_object *o, bool reading_finds_it)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_in *in = kit_in(k, 0, o);
	int rc;

	assert_int_equal(in_verify(in, "obj", &err), HF_E_CORRUPT);
	assert_non_null(strstr(err.cause, "obj"));
	assert_int_equal(in_failure(in, NULL), HF_E_CORRUPT);
	in_free(in);
	in = kit_in(k, 0, o);
	if (reading_finds_it) {
		struct hf_reader *r;
		uint8_t bytes[100];
		size_t n;

		/* What comes before the damage need not be right: the end
		 * says so. */
		rc = in->ops->open(in, "obj", 0, UINT64_MAX, &r, &err);
		while (rc == HF_OK)
			if ((rc = r->ops->read(
				 r, bytes, sizeof bytes, &n, &err)) != HF_OK)
				r->ops->close(r);
		assert_int_equal(rc, HF_E_CORRUPT);
		assert_int_equal(in_failure(in, &err), HF_E_CORRUPT);
	} else {
		rc = kit_read(in, "obj", 0, UINT64_MAX, o->raw_size, 100, &err);
		assert_int_equal(rc, HF_OK);
		rc = kit_read(in, "obj", 70, 10, 10, 100, &err);
		assert_int_equal(rc, HF_OK);
	}
	in_free(in);
}

static void
one_flipped_bit_anywhere_is_found(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct kit k;
	size_t len;

	(void)state;
	kit_open(&k, NULL, 0);
	for (size_t c = 0; c < NCHAINS; c++) {
		struct flow_object o;
		struct hf_in *in;

		store_one(&k, &b, chains[c], 2 * KIT_FRAME + 20);
		o = kit_object(&b, 0, 0);
		assert_non_null(memstore_peek("a", o.key, &len));
		for (size_t i = 0; i < 8 * len; i++) {
			uint8_t bit = (uint8_t)(1 << i % 8);

			/* Every bit of headers, one bit of each byte. */
			if (i >= 12 * 8 && i / 8 % 8 != i % 8)
				continue;
			assert_true(memstore_flip("a", o.key, i / 8, bit));
			assert_damaged(&k, &o, true);
			assert_true(memstore_flip("a", o.key, i / 8, bit));
		}
		if (o.index_key != NULL) {
			assert_non_null(memstore_peek("a", o.index_key, &len));
			for (size_t i = 0; i < 8 * len; i++) {
				uint8_t bit = (uint8_t)(1 << i % 8);

				assert_true(memstore_flip(
				    "a", o.index_key, i / 8, bit));
				assert_damaged(&k, &o, false);
				assert_true(memstore_flip(
				    "a", o.index_key, i / 8, bit));
			}
		}
		in = kit_in(&k, 0, &o);
		assert_int_equal(in_verify(in, "obj", &err), HF_OK);
		in_free(in);
		outflow_free(b.outflow);
	}
	kit_close(&k);
}

static void
every_truncation_and_extra_bytes_are_found(void **state)
{
	struct kit_backup b;
	struct kit k;
	size_t len;

	(void)state;
	kit_open(&k, NULL, 0);
	for (size_t c = 0; c < NCHAINS; c++) {
		struct flow_object o;

		store_one(&k, &b, chains[c], 2 * KIT_FRAME + 20);
		o = kit_object(&b, 0, 0);
		assert_non_null(memstore_peek("a", o.key, &len));
		if (o.index_key != NULL) {
			size_t ilen;

			(void)memstore_peek("a", o.index_key, &ilen);
			memstore_resize("a", o.index_key, ilen + 4);
			assert_damaged(&k, &o, false);
			for (size_t i = ilen; i-- > 0;) {
				memstore_resize("a", o.index_key, i);
				assert_damaged(&k, &o, false);
			}
			memstore_remove("a", o.index_key);
			assert_damaged(&k, &o, false);
		}
		memstore_resize("a", o.key, len + 1);
		assert_damaged(&k, &o, true);
		/* Members' ends are among these. */
		for (size_t i = len; i-- > 0;) {
			memstore_resize("a", o.key, i);
			assert_damaged(&k, &o, true);
		}
		outflow_free(b.outflow);
	}
	kit_close(&k);
}

static void
a_range_of_a_truncated_object_is_damage(void **state)
{
	struct hf_error err;
	struct kit_backup b;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	for (size_t c = 0; c < NCHAINS; c++) {
		struct flow_object o;
		struct hf_in *in;

		store_one(&k, &b, chains[c], 10 * KIT_FRAME);
		o = kit_object(&b, 0, 0);
		memstore_resize("a", o.key, 3 * KIT_FRAME);
		in = kit_in(&k, 0, &o);
		/* Behind the end, and over it. */
		assert_int_equal(
		    kit_read(in, "obj", 9 * KIT_FRAME + 3, 10, 10, 100, &err),
		    HF_E_CORRUPT);
		assert_int_equal(in_failure(in, NULL), HF_E_CORRUPT);
		in_free(in);
		in = kit_in(&k, 0, &o);
		assert_int_equal(kit_read(in, "obj", KIT_FRAME, 8 * KIT_FRAME,
				     8 * KIT_FRAME, 100, &err),
		    HF_E_CORRUPT);
		in_free(in);
		outflow_free(b.outflow);
	}
	kit_close(&k);
}

static void
other_sizes_or_hashes_than_written_are_damage(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct flow_object o, wrong;
	struct hf_in *in;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	store_one(&k, &b, "x", 4 * KIT_FRAME);
	o = kit_object(&b, 0, 0);
	wrong = o;
	wrong.raw_size--;
	in = kit_in(&k, 0, &wrong);
	assert_int_equal(in_verify(in, "obj", &err), HF_E_CORRUPT);
	in_free(in);
	wrong.raw_size += 2;
	in = kit_in(&k, 0, &wrong);
	assert_int_equal(in_verify(in, "obj", &err), HF_E_CORRUPT);
	in_free(in);
	wrong = o;
	wrong.raw_sha256[0] ^= 1;
	in = kit_in(&k, 0, &wrong);
	assert_int_equal(in_verify(in, "obj", &err), HF_E_CORRUPT);
	assert_non_null(strstr(err.cause, o.raw_sha256));
	in_free(in);
	wrong = o;
	wrong.stored_sha256[0] ^= 1;
	in = kit_in(&k, 0, &wrong);
	assert_int_equal(in_verify(in, "obj", &err), HF_E_CORRUPT);
	assert_non_null(strstr(err.cause, o.stored_sha256));
	in_free(in);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
an_index_that_lies_without_changing_its_sum_is_found(void **state)
{
	struct kit_backup b;
	struct flow_object o;
	const uint8_t *p;
	uint8_t first;
	size_t len;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	/* Two frames and a short one; run lengths make all sizes differ. */
	store_one(&k, &b, "r", 2 * KIT_FRAME + 20);
	o = kit_object(&b, 0, 0);
	p = memstore_peek("a", o.index_key, &len);
	assert_int_equal(len, 12);
	first = p[0] ^ p[8];
	assert_int_not_equal(first, 0);
	assert_true(memstore_flip("a", o.index_key, 0, first));
	assert_true(memstore_flip("a", o.index_key, 8, first));
	assert_damaged(&k, &o, false);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
a_range_is_not_cut_by_a_wrong_frame_size(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct flow_object o;
	struct hf_in *in;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	store_one(&k, &b, "x", 4 * KIT_FRAME);
	o = kit_object(&b, 0, 0);
	/* As many frames of that size as there are of the true one. */
	o.frame_size = KIT_FRAME + 2;
	in = kit_in(&k, 0, &o);
	assert_int_equal(kit_read(in, "obj", KIT_FRAME + 2, 10, 10, 100, &err),
	    HF_E_CORRUPT);
	in_free(in);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
a_missing_object_is_named(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct flow_object o;
	struct hf_in *in;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	store_one(&k, &b, "x", 500);
	o = kit_object(&b, 0, 0);
	memstore_remove("a", o.key);
	in = kit_in(&k, 0, &o);
	assert_int_equal(in_verify(in, "obj", &err), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, o.key));
	assert_int_equal(in_failure(in, NULL), HF_E_NOTFOUND);
	in_free(in);
	outflow_free(b.outflow);
	kit_close(&k);
}

static void
every_failing_call_of_the_store_is_a_clean_error(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct kit_backup b;
	struct flow_object o;
	unsigned long n;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	for (size_t c = 0; c < NCHAINS; c++) {
		store_one(&k, &b, chains[c], 5 * KIT_FRAME + 1);
		o = kit_object(&b, 0, 0);
		for (n = 1;; n++) {
			struct hf_in *in = kit_in(&k, 0, &o);
			bool failed;
			int rc;

			memstore_fail("a", MEMSTORE_ANY, n, 0, HF_E_IO);
			rc = in_verify(in, "obj", &err);
			failed = memstore_failed("a");
			memstore_fail("a", MEMSTORE_ANY, 0, 0, HF_OK);
			assert_int_equal(rc, failed ? HF_E_IO : HF_OK);
			assert_int_equal(in_failure(in, NULL), rc);
			in_free(in);
			assert_int_equal(memstore_handles("a"), 0);
			if (!failed)
				break;
		}
		assert_in_range(n, 3, 100);
		outflow_free(b.outflow);
	}
	kit_close(&k);
}

static void
closing_early_stops_everything(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_reader *r;
	struct kit_backup b;
	struct flow_object o;
	struct hf_in *in;
	uint8_t bytes[50];
	size_t got;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	for (size_t c = 0; c < NCHAINS; c++) {
		store_one(&k, &b, chains[c], 200 * KIT_FRAME);
		o = kit_object(&b, 0, 0);
		in = kit_in(&k, 0, &o);
		for (size_t n = 0; n < 30; n++) {
			assert_int_equal(in->ops->open(in, "obj", n * 100,
					     UINT64_MAX, &r, &err),
			    HF_OK);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(r->ops->read(r, bytes,
						     sizeof bytes, &got, &err),
				    HF_OK);
			/* The last are closed by in_free. */
			if (n < 28)
				r->ops->close(r);
		}
		in_free(in);
		outflow_free(b.outflow);
	}
	kit_close(&k);
}

static void
read_ahead_is_bounded(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_reader *r;
	struct kit_backup b;
	struct flow_object o;
	struct hf_in *in;
	size_t alive;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	for (size_t c = 0; c < NCHAINS; c++) {
		store_one(&k, &b, chains[c], 2000 * KIT_FRAME);
		o = kit_object(&b, 0, 0);
		in = kit_in(&k, 0, &o);
		assert_int_equal(
		    in->ops->open(in, "obj", 0, UINT64_MAX, &r, &err), HF_OK);
		nap(50);
		pool_lock(k.flow);
		alive = k.flow->alive;
		pool_unlock(k.flow);
		/* 2 workers and 2, and the one in hand. */
		assert_in_range(alive, 1, 5);
		r->ops->close(r);
		assert_int_equal(in_verify(in, "obj", &err), HF_OK);
		in_free(in);
		outflow_free(b.outflow);
	}
	kit_close(&k);
}

static void *
cancel_later(void *arg)
{
	nap(60);
	cancel_request(arg);
	return NULL;
}

static void
cancelling_wakes_a_waiting_reader(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_reader *r;
	struct kit_backup b;
	struct flow_object o;
	struct hf_in *in;
	pthread_t thread;
	uint8_t bytes[50];
	size_t n;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	store_one(&k, &b, "x", 200 * KIT_FRAME);
	o = kit_object(&b, 0, 0);
	in = kit_in(&k, 0, &o);
	assert_int_equal(
	    in->ops->open(in, "obj", 0, UINT64_MAX, &r, &err), HF_OK);
	memstore_stall("a", MEMSTORE_READ, true);
	(void)pthread_create(&thread, NULL, cancel_later, &k.cancel);
	while (r->ops->read(r, bytes, sizeof bytes, &n, &err) == HF_OK)
		;
	assert_int_equal(err.status, HF_E_CANCELLED);
	/* Being cancelled says nothing about the sink. */
	assert_int_equal(in_failure(in, NULL), HF_OK);
	(void)pthread_join(thread, NULL);
	memstore_stall("a", MEMSTORE_READ, false);
	r->ops->close(r);
	assert_int_equal(
	    in->ops->open(in, "obj", 0, 1, &r, &err), HF_E_CANCELLED);
	in_free(in);
	outflow_free(b.outflow);
	kit_close(&k);
}

struct read_job {
	struct hf_in *in;
	uint64_t off;
	int rc;
	struct hf_error err;
};

static void *
read_job(void *arg)
{
	struct read_job *j = arg;

	j->rc = kit_read(j->in, "obj", j->off, UINT64_MAX,
	    100 * KIT_FRAME - j->off, 77, &j->err);
	return NULL;
}

struct progress {
	pthread_mutex_t lock;
	uint64_t most;
};

static void
on_progress(void *arg, uint64_t done)
{
	struct progress *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	if (done > p->most)
		p->most = done;
	(void)pthread_mutex_unlock(&p->lock);
}

static void
several_readers_work_at_once(void **state)
{
	struct progress p = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct in_options opts = { .progress = on_progress, .arg = &p };
	struct hf_error err = { .status = HF_OK };
	struct read_job jobs[6];
	pthread_t threads[6];
	uint64_t sum = 0;
	struct kit_backup b;
	struct flow_object o;
	struct hf_in *in;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	store_one(&k, &b, "rx", 100 * KIT_FRAME);
	o = kit_object(&b, 0, 0);
	opts.store = k.stores[0].store;
	opts.objects = &o;
	opts.nobjects = 1;
	assert_int_equal(in_new(k.flow, &opts, &in, &err), HF_OK);
	for (size_t i = 0; i < 6; i++) {
		jobs[i] = (struct read_job){ .in = in, .off = i * 100 };
		sum += 100 * KIT_FRAME - jobs[i].off;
		(void)pthread_create(&threads[i], NULL, read_job, &jobs[i]);
	}
	for (size_t i = 0; i < 6; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(jobs[i].rc, HF_OK);
	}
	assert_int_equal(p.most, sum);
	in_free(in);
	outflow_free(b.outflow);
	kit_close(&k);
}

/* Looking through all of them each time would take minutes. */
static void
names_among_a_hundred_thousand_are_found_at_once(void **state)
{
	enum { MANY = 100000 };
	const char **facts = calloc(2 * MANY + 1, sizeof *facts);
	struct flow_object *objects = calloc(MANY, sizeof *objects);
	char(*names)[16] = calloc(MANY, sizeof *names);
	struct hf_error err = { .status = HF_OK };
	struct in_options opts = {
		.facts = facts, .objects = objects, .nobjects = MANY
	};
	clock_t before = clock();
	struct hf_reader *r;
	struct hf_in *in;
	struct kit k;

	(void)state;
	kit_open(&k, NULL, 0);
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof *names, "%zu", i * 7919 % MANY);
		facts[2 * i] = facts[2 * i + 1] = objects[i].name = names[i];
	}
	assert_int_equal(in_new(k.flow, &opts, &in, &err), HF_OK);
	for (size_t i = 0; i < MANY; i++) {
		assert_ptr_equal(in->ops->fact(in, names[i]), names[i]);
		/* It ends before the second byte: so it was found. */
		assert_int_equal(
		    in->ops->open(in, names[i], 1, 1, &r, &err), HF_E_INVALID);
	}
	assert_null(in->ops->fact(in, "x"));
	in_free(in);
	kit_close(&k);
	free(names);
	free(facts);
	free(objects);
	assert_true((clock() - before) / CLOCKS_PER_SEC < 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_at_all_edges_come_back),
		cmocka_unit_test(a_range_reads_its_frames_only),
		cmocka_unit_test(names_sizes_and_facts_are_told),
		cmocka_unit_test(
		    names_among_a_hundred_thousand_are_found_at_once),
		cmocka_unit_test(one_flipped_bit_anywhere_is_found),
		cmocka_unit_test(every_truncation_and_extra_bytes_are_found),
		cmocka_unit_test(a_range_of_a_truncated_object_is_damage),
		cmocka_unit_test(other_sizes_or_hashes_than_written_are_damage),
		cmocka_unit_test(
		    an_index_that_lies_without_changing_its_sum_is_found),
		cmocka_unit_test(a_range_is_not_cut_by_a_wrong_frame_size),
		cmocka_unit_test(a_missing_object_is_named),
		cmocka_unit_test(
		    every_failing_call_of_the_store_is_a_clean_error),
		cmocka_unit_test(closing_early_stops_everything),
		cmocka_unit_test(read_ahead_is_bounded),
		cmocka_unit_test(cancelling_wakes_a_waiting_reader),
		cmocka_unit_test(several_readers_work_at_once),
	};

	/* Damaged indexes are warned of, many times here. */
	log_setup(HF_LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
