/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "plugin/filter.h"
#include "plugin/loader.h"
#include "support/filter_kit.h"

static struct plugin *zstd;

static const char *const plain[] = { NULL };

/* ---- helpers ---- */

static struct filter *
make_filter(const char *level)
{
	char a[32];
	const char *const args[] = { a, NULL };

	(void)snprintf(a, sizeof a, "level=%s", level);
	return filter_kit_make(zstd, args);
}

/* A frame that is not of ours: head, then data as one raw block or one of a
 * byte repeated, without a checksum. */
static void
foreign(struct buf *b, const uint8_t *head, size_t head_len, bool repeat,
    const char *data, uint32_t n)
{
	uint32_t block = 1u | (repeat ? 1u : 0u) << 1 | n << 3;
	uint8_t size[3] = { (uint8_t)block, (uint8_t)(block >> 8),
		(uint8_t)(block >> 16) };

	assert_int_equal(buf_append(b, head, head_len, NULL), HF_OK);
	assert_int_equal(buf_append(b, size, sizeof size, NULL), HF_OK);
	assert_int_equal(buf_append(b, data, repeat ? 1 : n, NULL), HF_OK);
}

/* ---- what holds for every filter ---- */

static void
what_goes_in_comes_out_for_any_size_kind_and_level(void **state)
{
	static const char *const levels[] = { "1", "2", "3", "9", "19" };

	(void)state;
	for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
		struct filter *f = make_filter(levels[l]);

		filter_kit_round_trips(f);
		filter_close(f);
	}
}

static void
pieces_of_any_size_give_the_same_content(void **state)
{
	struct filter_kit_raw enc = filter_kit_open(zstd, plain);
	struct filter_kit_raw dec = filter_kit_open(zstd, plain);

	(void)state;
	/* More than a block of 128 KiB. */
	filter_kit_pieces(&enc, &dec, 300000);
	filter_kit_close(&enc);
	filter_kit_close(&dec);
}

static void
what_follows_a_frame_is_left_alone(void **state)
{
	static const uint8_t tail[40] = { 0x28, 0xb5, 0x2f, 0xfd, 4, 1, 2, 3 };
	struct filter_kit_raw r = filter_kit_open(zstd, plain);

	(void)state;
	filter_kit_tail(&r, tail, sizeof tail);
	filter_kit_close(&r);
}

static void
frames_laid_end_to_end_decode_through_any_room(void **state)
{
	struct filter *f = filter_kit_make(zstd, plain);

	(void)state;
	filter_kit_joined(f);
	filter_close(f);
}

static void
truncation_at_every_byte_is_corrupt(void **state)
{
	struct filter_kit_raw r = filter_kit_open(zstd, plain);

	(void)state;
	filter_kit_truncated(&r);
	filter_kit_close(&r);
}

/* Nothing in a header is said for people alone. */
static bool
is_remark(size_t bit)
{
	(void)bit;
	return false;
}

static void
every_flipped_bit_is_corrupt_or_harmless(void **state)
{
	struct filter_kit_raw r = filter_kit_open(zstd, plain);

	(void)state;
	filter_kit_flipped(&r, is_remark);
	filter_kit_close(&r);
}

static void
random_bytes_never_do_harm(void **state)
{
	static const uint8_t heads[][5] = { { 0x28, 0xb5, 0x2f, 0xfd, 0x24 },
		{ 0x28, 0xb5, 0x2f, 0xfd, 0 }, { 0x50, 0x2a, 0x4d, 0x18, 9 } };
	struct filter_kit_raw r = filter_kit_open(zstd, plain);

	(void)state;
	/* A frame without a checksum may be good, as may one to skip. */
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
		filter_kit_noise(&r, heads[i], sizeof heads[i], true);
	filter_kit_close(&r);
}

static void
the_same_frame_gives_the_same_bytes(void **state)
{
	static const char *const levels[] = { "1", "3", "19" };

	(void)state;
	for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
		struct filter *f = make_filter(levels[l]);
		struct filter *other = make_filter(levels[l]);

		filter_kit_same_bytes(f, other);
		filter_close(f);
		filter_close(other);
	}
}

static void
a_stream_may_be_ended_at_any_point(void **state)
{
	struct filter *f = filter_kit_make(zstd, plain);

	(void)state;
	filter_kit_ended(f);
	filter_close(f);
}

static void
many_threads_share_an_instance(void **state)
{
	struct filter *f = filter_kit_make(zstd, plain);

	(void)state;
	filter_kit_threads(f);
	filter_close(f);
}

/* ---- what is zstd's own ---- */

/* Magic, descriptor (content size of four bytes, a single segment, checksum),
 * content size: so a reader knows the size before it decodes. */
static void
a_frame_says_its_size_and_has_a_checksum(void **state)
{
	struct filter *f = filter_kit_make(zstd, plain);
	uint8_t *data = filter_kit_data(KIT_TEXT, MIB);
	struct buf z = BUF_INIT;

	(void)state;
	filter_kit_push(f, false, data, MIB, &z);
	assert_int_equal(z.data[4] & 0x04, 0x04);
	assert_int_equal(z.data[4] >> 6, 2);
	assert_int_equal(z.data[4] & 0x20, 0x20);
	assert_memory_equal(z.data + 5, "\0\0\x10\0", 4);
	z.data[z.len - 1] ^= 1;
	filter_kit_refuse(f, z.data, z.len, HF_E_CORRUPT, "checksum");
	buf_free(&z);
	free(data);
	filter_close(f);
}

/* The window of the second is 16 MiB, of the third 2 GiB. */
static void
a_frame_gets_no_more_memory_than_ours_need(void **state)
{
	static const uint8_t heads[][6] = { { 0x28, 0xb5, 0x2f, 0xfd, 0,
						(23 - 10) << 3 },
		{ 0x28, 0xb5, 0x2f, 0xfd, 0, (24 - 10) << 3 },
		{ 0x28, 0xb5, 0x2f, 0xfd, 0, (31 - 10) << 3 } };
	struct filter *f = filter_kit_make(zstd, plain);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct buf z = BUF_INIT, back = BUF_INIT;

		foreign(&z, heads[i], 6, false, "hello", 5);
		if (i == 0) {
			filter_kit_push(f, true, z.data, z.len, &back);
			assert_int_equal(back.len, 5);
			assert_memory_equal(back.data, "hello", 5);
		} else {
			filter_kit_refuse(
			    f, z.data, z.len, HF_E_CORRUPT, "memory");
		}
		buf_free(&z);
		buf_free(&back);
	}
	filter_close(f);
}

/* The header says 4 GiB, and five bytes follow. */
static void
a_size_that_is_not_true_is_corrupt(void **state)
{
	static const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x80,
		(17 - 10) << 3, 0xff, 0xff, 0xff, 0xff };
	struct filter *f = filter_kit_make(zstd, plain);
	struct buf z = BUF_INIT;

	(void)state;
	foreign(&z, head, sizeof head, false, "hello", 5);
	filter_kit_refuse(f, z.data, z.len, HF_E_CORRUPT, "zstd: ");
	buf_free(&z);
	filter_close(f);
}

/* 3,000 blocks of four bytes each become 384 MiB.  Nobody keeps more of that
 * than the room that they gave. */
static void
a_bomb_is_decoded_no_further_than_there_is_room(void **state)
{
	static const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0,
		(17 - 10) << 3 };
	static const uint8_t block[] = { 0x02, 0, 0x10, 'x' };
	struct buf z = BUF_INIT;
	struct hf_step s = { .struct_size = sizeof s, .last = true };
	struct filter_kit_raw r = filter_kit_open(zstd, plain);
	struct hf_error err = { 0 };
	struct hf_xform *x = NULL;
	uint8_t room[1000];

	(void)state;
	assert_int_equal(buf_append(&z, head, sizeof head, NULL), HF_OK);
	for (int i = 0; i < 3000; i++)
		assert_int_equal(
		    buf_append(&z, block, sizeof block, NULL), HF_OK);
	assert_int_equal(zstd->filter.begin(r.f, true, "o", &x, &err), HF_OK);
	s.src = z.data;
	s.src_len = z.len;
	s.dst = room;
	s.dst_cap = sizeof room;
	assert_int_equal(zstd->filter.step(x, &s, &err), HF_OK);
	assert_int_equal(s.dst_len, sizeof room);
	assert_true(s.src_used < 3 * sizeof block + sizeof head);
	zstd->filter.end(x);
	filter_kit_close(&r);
	buf_free(&z);
}

/* What zstd wrote until 0.7 is read by other, older code of the library. */
static void
formats_of_the_past_are_refused(void **state)
{
	struct filter *f = filter_kit_make(zstd, plain);
	uint8_t old[64] = { 0, 0xb5, 0x2f, 0xfd };

	(void)state;
	for (uint8_t version = 0x22; version <= 0x27; version++) {
		old[0] = version;
		filter_kit_refuse(
		    f, old, sizeof old, HF_E_CORRUPT, "not zstd data");
	}
	filter_kit_refuse(
	    f, "\x1e\xb5\x2f\xfd and so on", 14, HF_E_CORRUPT, "not zstd");
	filter_kit_refuse(f, "SQLite format 3", 16, HF_E_CORRUPT, "not zstd");
	filter_close(f);
}

/* pzstd puts such in front, others keep an index in them. */
static void
frames_to_skip_are_skipped(void **state)
{
	static const uint8_t skip[] = { 0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1,
		2, 3 };
	struct filter *f = filter_kit_make(zstd, plain);
	struct buf z = BUF_INIT, back = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append(&z, skip, sizeof skip, NULL), HF_OK);
	filter_kit_push(f, false, "hello ", 6, &z);
	assert_int_equal(buf_append(&z, skip, sizeof skip, NULL), HF_OK);
	filter_kit_push(f, false, "world", 5, &z);
	filter_kit_push(f, true, z.data, z.len, &back);
	assert_int_equal(back.len, 11);
	assert_memory_equal(back.data, "hello world", 11);
	buf_free(&z);
	buf_free(&back);
	filter_close(f);
}

/* ---- the tools that people have ---- */

static void
zstd_reads_what_we_write(void **state)
{
	static const char *const levels[] = { "1", "3", "19" };
	uint8_t *data = filter_kit_data(KIT_TEXT, 2 * MIB);

	(void)state;
	for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
		struct filter *f = make_filter(levels[l]);
		struct buf z = BUF_INIT;

		filter_kit_push(f, false, data, MIB, &z);
		filter_kit_push(f, false, data + MIB, MIB, &z);
		filter_kit_push(f, false, data, 0, &z);
		filter_kit_write("ours.zst", z.data, z.len);
		filter_kit_write("want", data, 2 * MIB);
		assert_int_equal(filter_kit_shell("zstd -tq ours.zst && "
						  "unzstd -c ours.zst | "
						  "cmp - want"),
		    0);
		buf_free(&z);
		filter_close(f);
	}
	free(data);
}

static void
we_read_what_the_tools_write(void **state)
{
	static const char *const tools[][2] = { { "zstd", "zstd -qc want" },
		{ "zstd", "zstd -q -19 -c want" },
		{ "zstd", "zstd -q --fast=5 -T2 --no-check <want" },
		{ "zstd", "{ zstd -qc want; zstd -q -1 -c want; }" },
		{ "pzstd", "pzstd -q -p 2 -c want" } };
	struct filter *f = filter_kit_make(zstd, plain);

	(void)state;
	filter_kit_reads_tools(f, tools, sizeof tools / sizeof *tools);
	filter_close(f);
}

/* ---- what it says ---- */

static void
the_help_names_its_library(void **state)
{
	(void)state;
	assert_non_null(strstr(zstd->desc.help, "libzstd 1."));
	assert_string_equal(zstd->filter.suffix, ".zst");
	assert_int_equal(zstd->filter.flags, HF_FILTER_FRAMES);
}

static void
impossible_options_are_refused(void **state)
{
	static const char *const bad[][2] = { { "level=0", NULL },
		{ "level=20", NULL }, { "level=-1", NULL } };
	struct hf_error err;
	struct filter *f = NULL;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		error_clear(&err);
		assert_int_equal(
		    filter_kit_try(zstd, bad[i], &f, &err), HF_E_INVALID);
	}
}

/* ---- */

static int
setup(void **state)
{
	struct hf_error err = { 0 };

	(void)state;
	if (!filter_kit_folder() ||
	    plugin_open_file(PLUGIN_FILE, &zstd, &err) != HF_OK) {
		(void)fprintf(stderr, "%s\n", err.cause);
		return -1;
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	plugin_close(zstd);
	return filter_kit_folder_remove();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_goes_in_comes_out_for_any_size_kind_and_level),
		cmocka_unit_test(pieces_of_any_size_give_the_same_content),
		cmocka_unit_test(what_follows_a_frame_is_left_alone),
		cmocka_unit_test(
		    frames_laid_end_to_end_decode_through_any_room),
		cmocka_unit_test(truncation_at_every_byte_is_corrupt),
		cmocka_unit_test(every_flipped_bit_is_corrupt_or_harmless),
		cmocka_unit_test(random_bytes_never_do_harm),
		cmocka_unit_test(the_same_frame_gives_the_same_bytes),
		cmocka_unit_test(a_stream_may_be_ended_at_any_point),
		cmocka_unit_test(many_threads_share_an_instance),
		cmocka_unit_test(a_frame_says_its_size_and_has_a_checksum),
		cmocka_unit_test(a_frame_gets_no_more_memory_than_ours_need),
		cmocka_unit_test(a_size_that_is_not_true_is_corrupt),
		cmocka_unit_test(
		    a_bomb_is_decoded_no_further_than_there_is_room),
		cmocka_unit_test(formats_of_the_past_are_refused),
		cmocka_unit_test(frames_to_skip_are_skipped),
		cmocka_unit_test(zstd_reads_what_we_write),
		cmocka_unit_test(we_read_what_the_tools_write),
		cmocka_unit_test(the_help_names_its_library),
		cmocka_unit_test(impossible_options_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
