/* SPDX-License-Identifier: BSD-2-Clause */
/* How pieces are stored, and which go when a segment is stored whole. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/memlog.h"
#include "wal/follow_keeper.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM 77
#define SEG ((uint32_t)1 << 20)

static struct hf_ctx ctx = { .who = "test" };
static struct hf_error err;
static struct memout *mem;
static struct keeper *k;
static uint8_t data[SEG];
static int64_t flush = 60000;

static const char *
name_of(enum wal_kind kind, uint32_t timeline, uint64_t segno, uint32_t offset)
{
	static char name[WAL_LOG_MAX];
	struct wal_name n = { .kind = kind,
		.timeline = timeline,
		.segno = segno,
		.offset = offset };

	wal_name_log(&n, SYSTEM, SEG, name);
	return name;
}

/* In the log, and told to the keeper. */
static void
piece(uint32_t timeline, uint64_t segno, uint32_t offset, uint32_t len,
    enum keeper_piece use)
{
	const struct wal_name n = { .kind = WAL_PIECE,
		.timeline = timeline,
		.segno = segno,
		.offset = offset };

	assert_int_equal(
	    memlog_put(mem, name_of(WAL_PIECE, timeline, segno, offset),
		data + offset, len, NULL),
	    HF_OK);
	keeper_piece(k, &n, use);
}

static void
add(uint32_t timeline, uint64_t segno, size_t len)
{
	if (keeper_add(k, timeline, segno * SEG, data, len, &err) != HF_OK)
		fail_msg("%s", err.cause);
}

static void
finish(void)
{
	keeper_finish(k, 1);
	if (keeper_status(k, &err) != HF_OK)
		fail_msg("%s", err.cause);
}

static void
assert_piece(uint32_t timeline, uint64_t segno, uint32_t offset, bool there)
{
	const char *name = name_of(WAL_PIECE, timeline, segno, offset);

	if (memlog_has(mem, name) != there)
		fail_msg("%s is %s", name, there ? "gone" : "there");
}

static int
make(void **state)
{
	struct keeper_conf conf = { .ctx = &ctx,
		.system = SYSTEM,
		.segment_size = SEG,
		.flush = flush };

	(void)state;
	mem = memlog_new();
	conf.log = memout_out(mem);
	return keeper_new(&conf, &k, &err);
}

static int
unmake(void **state)
{
	(void)state;
	keeper_free(k);
	memout_free(mem);
	return 0;
}

static void
pieces_go_with_their_segment_alone(void **state)
{
	(void)state;
	piece(1, 3, 0, 100, KEEPER_PIECE); /* behind it there is a gap */
	piece(1, 5, 0, 100, KEEPER_PIECE);
	piece(1, 5, 100, 50, KEEPER_PIECE);
	piece(1, 6, 0, 100, KEEPER_PIECE);
	piece(1, 2, 0, 100, KEEPER_PIECE_SURPLUS);
	add(1, 5, SEG);
	finish();
	assert_true(memlog_has(mem, name_of(WAL_SEGMENT, 1, 5, 0)));
	assert_piece(1, 2, 0, false);
	assert_piece(1, 3, 0, true);
	assert_piece(1, 5, 0, false);
	assert_piece(1, 5, 100, false);
	assert_piece(1, 6, 0, true);
}

/* What the old primary wrote after the promotion is nowhere else. */
static void
what_a_promotion_left_behind_stays(void **state)
{
	(void)state;
	piece(1, 5, 0, 100, KEEPER_PIECE);
	piece(1, 5, 100, 50, KEEPER_PIECE);
	piece(2, 5, 0, 100, KEEPER_PIECE_COPIED);
	add(3, 5, SEG);
	finish();
	assert_piece(1, 5, 0, true);
	assert_piece(1, 5, 100, true);
	assert_piece(2, 5, 0, false);
}

static void
leave(uint32_t at, bool stays)
{
	(void)make(NULL);
	piece(1, 5, 0, 100, KEEPER_PIECE);
	assert_int_equal(keeper_known(k, 1, 5, 0, data, 100, &err), HF_OK);
	add(1, 5, 300);
	keeper_leave(k, 5 * SEG + at);
	add(2, 5, SEG);
	finish();
	assert_true(memlog_has(mem, name_of(WAL_SEGMENT, 2, 5, 0)));
	assert_piece(1, 5, 0, stays);
	assert_piece(1, 5, 100, stays);
	(void)unmake(NULL);
}

static void
what_was_received_goes_where_the_next_timeline_has_it(void **state)
{
	(void)state;
	leave(300, false);
	leave(299, true);
	leave(0, true);
}

/* One sink of two may have it: longer, it would be refused for its name. */
static void
a_piece_that_failed_is_tried_again_as_it_was(void **state)
{
	(void)state;
	flush = 1;
	(void)make(NULL);
	flush = 60000;
	memout_fail(mem, MEMOUT_COMMIT, 1, HF_E_TRANSIENT);
	add(1, 5, 100);
	while (memout_calls(mem, MEMOUT_COMMIT) == 0)
		(void)usleep(1000);
	assert_int_equal(
	    memlog_put(mem, name_of(WAL_PIECE, 1, 5, 0), data, 100, NULL),
	    HF_OK);
	if (keeper_add(k, 1, 5 * SEG + 100, data, 200, &err) != HF_OK)
		fail_msg("%s", err.cause);
	keeper_finish(k, 3);
	assert_int_equal(keeper_status(k, &err), HF_OK);
	assert_piece(1, 5, 0, true);
	assert_piece(1, 5, 100, true);
	assert_int_equal(keeper_durable(k), 5 * SEG + 300);
	(void)unmake(NULL);
}

static void
a_piece_that_some_sinks_took_goes_with_its_segment(void **state)
{
	(void)state;
	flush = 1;
	(void)make(NULL);
	flush = 60000;
	memout_fail(mem, MEMOUT_COMMIT, 1, HF_E_TRANSIENT);
	add(1, 5, 100);
	while (memout_calls(mem, MEMOUT_COMMIT) == 0)
		(void)usleep(1000);
	assert_int_equal(
	    memlog_put(mem, name_of(WAL_PIECE, 1, 5, 0), data, 100, NULL),
	    HF_OK);
	if (keeper_add(k, 1, 5 * SEG + 100, data, SEG - 100, &err) != HF_OK)
		fail_msg("%s", err.cause);
	keeper_finish(k, 3);
	assert_int_equal(keeper_status(k, &err), HF_OK);
	assert_true(memlog_has(mem, name_of(WAL_SEGMENT, 1, 5, 0)));
	assert_piece(1, 5, 0, false);
	(void)unmake(NULL);
}

/* Of this process: files that are mapped, KiB. */
static long
mapped(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	long kib = 0, n;
	char line[128];

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "RssFile: %ld", &n) == 1 ||
		    sscanf(line, "RssShmem: %ld", &n) == 1)
			kib += n;
	(void)fclose(f);
	return kib;
}

/* They are files, and their memory can be used for something else; without a
 * folder they are in memory, and stay there. */
static void
large(const char *folder)
{
	struct hf_ctx scratch = { .who = "test", .scratch_dir = folder };
	struct keeper_conf conf = { .ctx = &scratch,
		.system = SYSTEM,
		.segment_size = 64 * SEG,
		.flush = 1 };
	struct wal_name n = { .kind = WAL_SEGMENT, .timeline = 1, .segno = 2 };
	char name[WAL_LOG_MAX];
	uint8_t *got;
	size_t size;
	long before;

	mem = memlog_new();
	conf.log = memout_out(mem);
	assert_int_equal(keeper_new(&conf, &k, &err), HF_OK);
	before = mapped();
	for (uint32_t i = 0; i < 64; i++) {
		memset(data, (int)i, sizeof data);
		assert_int_equal(keeper_add(k, 1, (UINT64_C(128) + i) * SEG,
				     data, SEG, &err),
		    HF_OK);
		if (folder != NULL && mapped() - before > 24 * 1024)
			fail_msg("%ld KiB are mapped", mapped() - before);
	}
	finish();
	wal_name_log(&n, SYSTEM, 64 * SEG, name);
	got = memlog_get(mem, name, &size);
	assert_non_null(got);
	assert_int_equal(size, 64 * SEG);
	for (uint32_t i = 0; i < 64; i++) {
		memset(data, (int)i, sizeof data);
		assert_memory_equal(got + (size_t)i * SEG, data, SEG);
	}
	memset(data, 'x', sizeof data);
	(void)unmake(NULL);
}

static void
large_segments_do_not_stay_in_memory(void **state)
{
	(void)state;
	large("/tmp");
	large(NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    pieces_go_with_their_segment_alone, make, unmake),
		cmocka_unit_test_setup_teardown(
		    what_a_promotion_left_behind_stays, make, unmake),
		cmocka_unit_test(
		    what_was_received_goes_where_the_next_timeline_has_it),
		cmocka_unit_test(a_piece_that_failed_is_tried_again_as_it_was),
		cmocka_unit_test(
		    a_piece_that_some_sinks_took_goes_with_its_segment),
		cmocka_unit_test(large_segments_do_not_stay_in_memory),
	};

	H = &host_table;
	memset(data, 'x', sizeof data);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
