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

static struct plugin *gzip;
static bool have_isal;

/* ---- helpers ---- */

static struct filter *
make_filter(const char *level, const char *backend)
{
	char a[32], b[32];
	const char *const args[] = { a, b, NULL };

	(void)snprintf(a, sizeof a, "level=%s", level);
	(void)snprintf(b, sizeof b, "backend=%s", backend);
	return filter_kit_make(gzip, args);
}

static struct filter_kit_raw
open_raw(const char *backend)
{
	char b[32];
	const char *const args[] = { "level=2", b, NULL };

	(void)snprintf(b, sizeof b, "backend=%s", backend);
	return filter_kit_open(gzip, args);
}

static const char *
backend_of(bool isal)
{
	return isal && have_isal ? "isal" : "zlib";
}

/* ---- tests ---- */

static void
what_goes_in_comes_out_for_any_size_kind_and_level(void **state)
{
	static const char *const levels[] = { "1", "2", "3", "4", "6", "9" };

	(void)state;
	for (size_t l = 0; l < 6; l++) {
		struct filter *f = make_filter(levels[l], "auto");

		filter_kit_round_trips(f);
		filter_close(f);
	}
}

static void
pieces_of_any_size_give_the_same_content(void **state)
{
	(void)state;
	for (int pair = 0; pair < 4; pair++) {
		struct filter_kit_raw enc = open_raw(backend_of(pair & 1));
		struct filter_kit_raw dec = open_raw(backend_of(pair & 2));

		/* More than the window of 32 KiB. */
		filter_kit_pieces(&enc, &dec, 70000);
		filter_kit_close(&enc);
		filter_kit_close(&dec);
	}
}

static void
what_follows_a_member_is_left_alone(void **state)
{
	static const uint8_t tail[40] = { 31, 139, 8, 4, 1, 2, 3, 4, 5 };

	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter_kit_raw r = open_raw(backend_of(isal));

		filter_kit_tail(&r, tail, sizeof tail);
		filter_kit_close(&r);
	}
}

static void
members_laid_end_to_end_decode_through_any_room(void **state)
{
	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter *f = make_filter("2", backend_of(isal));

		filter_kit_joined(f);
		filter_close(f);
	}
}

static void
truncation_at_every_byte_is_corrupt(void **state)
{
	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter_kit_raw r = open_raw(backend_of(isal));

		filter_kit_truncated(&r);
		filter_kit_close(&r);
	}
}

/* Time, extra flags and OS say nothing about the content, nor does FTEXT, bit
 * 0 of the flags.  Other flips that do no harm: unused bits behind the last
 * block, or another copy of the same words. */
static bool
is_remark(size_t bit)
{
	return (bit / 8 >= 4 && bit / 8 <= 9) || bit == 8 * 3;
}

static void
every_flipped_bit_is_corrupt_or_harmless(void **state)
{
	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter_kit_raw r = open_raw(backend_of(isal));

		filter_kit_flipped(&r, is_remark);
		filter_kit_close(&r);
	}
}

static void
random_bytes_never_do_harm(void **state)
{
	static const uint8_t head[] = { 31, 139, 8, 0 };

	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter_kit_raw r = open_raw(backend_of(isal));

		filter_kit_noise(&r, head, sizeof head, false);
		filter_kit_close(&r);
	}
}

static void
wrong_trailers_are_named(void **state)
{
	struct filter *f = make_filter("2", "auto");
	struct buf z = BUF_INIT;

	(void)state;
	filter_kit_push(f, false, "hello", 5, &z);
	z.data[z.len - 1] ^= 1;
	filter_kit_refuse(
	    f, z.data, z.len, HF_E_CORRUPT, "bytes (modulo 2^32)");
	z.data[z.len - 1] ^= 1;
	z.data[z.len - 8] ^= 1;
	filter_kit_refuse(f, z.data, z.len, HF_E_CORRUPT, "checksum");
	buf_free(&z);
	filter_close(f);
}

/* A member with every field that a header can have, FHCRC included. */
static void
headers_with_all_fields_are_read_and_checked(void **state)
{
	static const uint8_t head[] = { 31, 139, 8, 2 | 4 | 8 | 16, 1, 2, 3, 4,
		2, 3, 5, 0, 'a', 'b', 1, 0, 'x', 'n', 'a', 'm', 'e', 0, 'n',
		'o', 't', 'e', 0 };
	struct filter *plain = make_filter("2", "auto");
	struct buf body = BUF_INIT, z = BUF_INIT;
	uint32_t crc = 0xffffffffu;
	uint8_t hcrc[2];

	(void)state;
	for (size_t i = 0; i < sizeof head; i++) {
		crc ^= head[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0xedb88320u & -(crc & 1u));
	}
	crc = ~crc;
	hcrc[0] = (uint8_t)crc;
	hcrc[1] = (uint8_t)(crc >> 8);
	filter_kit_push(plain, false, "hello", 5, &body);
	assert_int_equal(buf_append(&z, head, sizeof head, NULL), HF_OK);
	assert_int_equal(buf_append(&z, hcrc, 2, NULL), HF_OK);
	assert_int_equal(
	    buf_append(&z, body.data + 10, body.len - 10, NULL), HF_OK);
	for (size_t piece = 1; piece <= z.len; piece++)
		for (int isal = 0; isal < 2; isal++) {
			struct filter_kit_raw r = open_raw(backend_of(isal));
			struct buf back = BUF_INIT;
			size_t used;

			assert_int_equal(filter_kit_run(&r, true, z.data, z.len,
					     piece, 64, &back, &used),
			    HF_EOF);
			assert_int_equal(back.len, 5);
			assert_memory_equal(back.data, "hello", 5);
			buf_free(&back);
			/* A wrong bit in the comment breaks the header. */
			z.data[sizeof head - 2] ^= 1;
			assert_int_equal(filter_kit_run(&r, true, z.data, z.len,
					     piece, 64, &back, &used),
			    HF_E_CORRUPT);
			z.data[sizeof head - 2] ^= 1;
			buf_free(&back);
			filter_kit_close(&r);
		}
	buf_free(&body);
	buf_free(&z);
	filter_close(plain);
}

static void
the_same_frame_gives_the_same_bytes(void **state)
{
	struct filter *f = make_filter("2", "auto");
	struct filter *other = make_filter("2", "auto");

	(void)state;
	filter_kit_same_bytes(f, other);
	filter_close(f);
	filter_close(other);
}

static void
a_stream_may_be_ended_at_any_point(void **state)
{
	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter *f = make_filter("2", backend_of(isal));

		filter_kit_ended(f);
		filter_close(f);
	}
}

/* ---- the tools that people have ---- */

static void
gunzip_reads_what_we_write(void **state)
{
	static const char *const levels[] = { "1", "2", "3", "6", "9" };
	uint8_t *data = filter_kit_data(KIT_TEXT, 2 * MIB);

	(void)state;
	memcpy(data + MIB, data, 1000);
	for (size_t l = 0; l < 5; l++) {
		struct filter *f = make_filter(levels[l], "auto");
		struct buf z = BUF_INIT;

		filter_kit_push(f, false, data, MIB, &z);
		filter_kit_push(f, false, data + MIB, MIB, &z);
		filter_kit_push(f, false, data, 0, &z);
		filter_kit_write("ours.gz", z.data, z.len);
		filter_kit_write("want", data, 2 * MIB);
		assert_int_equal(
		    filter_kit_shell(
			"gzip -t ours.gz && gunzip -c ours.gz | cmp - want"),
		    0);
		buf_free(&z);
		filter_close(f);
	}
	free(data);
}

static void
we_read_what_the_tools_write(void **state)
{
	static const char *const tools[][2] = { { "gzip", "gzip -6 -c want" },
		{ "gzip", "gzip -1 <want" },
		{ "gzip", "{ gzip -9c want; gzip -n -1 -c want; }" },
		{ "pigz", "pigz -6 -c want" },
		{ "pigz", "pigz -i -b 128 -p 2 -C note -c want" },
		{ "igzip", "igzip -2 -c want" },
		{ "igzip", "igzip -0 -c <want" } };

	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter *f = make_filter("2", backend_of(isal));

		filter_kit_reads_tools(f, tools, sizeof tools / sizeof *tools);
		filter_close(f);
	}
}

static void
many_threads_share_an_instance(void **state)
{
	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter *f = make_filter("2", backend_of(isal));

		filter_kit_threads(f);
		filter_close(f);
	}
}

/* ---- what it says ---- */

static void
the_help_names_its_libraries(void **state)
{
	(void)state;
	assert_non_null(strstr(gzip->desc.help, "zlib 1."));
	assert_int_equal(
	    strstr(gzip->desc.help, "ISA-L 2.") != NULL, have_isal);
	assert_string_equal(gzip->filter.suffix, ".gz");
	assert_int_equal(gzip->filter.flags, HF_FILTER_FRAMES);
}

static void
impossible_options_are_refused(void **state)
{
	static const char *const bad[][3] = { { "level=0", NULL, NULL },
		{ "level=10", NULL, NULL }, { "backend=lzma", NULL, NULL },
		{ "level=9", "backend=isal", NULL } };
	struct hf_error err;
	struct filter *f = NULL;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		error_clear(&err);
		assert_int_equal(
		    filter_kit_try(gzip, bad[i], &f, &err), HF_E_INVALID);
	}
}

/* ---- */

static bool
isal_is_built_in(void)
{
	const char *const args[] = { "level=1", "backend=isal", NULL };
	struct hf_error err = { 0 };
	struct filter *f = NULL;

	if (filter_kit_try(gzip, args, &f, &err) != HF_OK)
		return false;
	filter_close(f);
	return true;
}

static int
setup(void **state)
{
	struct hf_error err = { 0 };

	(void)state;
	if (!filter_kit_folder() ||
	    plugin_open_file(PLUGIN_FILE, &gzip, &err) != HF_OK) {
		(void)fprintf(stderr, "%s\n", err.cause);
		return -1;
	}
	have_isal = isal_is_built_in();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	plugin_close(gzip);
	return filter_kit_folder_remove();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_goes_in_comes_out_for_any_size_kind_and_level),
		cmocka_unit_test(pieces_of_any_size_give_the_same_content),
		cmocka_unit_test(what_follows_a_member_is_left_alone),
		cmocka_unit_test(
		    members_laid_end_to_end_decode_through_any_room),
		cmocka_unit_test(truncation_at_every_byte_is_corrupt),
		cmocka_unit_test(every_flipped_bit_is_corrupt_or_harmless),
		cmocka_unit_test(random_bytes_never_do_harm),
		cmocka_unit_test(wrong_trailers_are_named),
		cmocka_unit_test(headers_with_all_fields_are_read_and_checked),
		cmocka_unit_test(the_same_frame_gives_the_same_bytes),
		cmocka_unit_test(a_stream_may_be_ended_at_any_point),
		cmocka_unit_test(gunzip_reads_what_we_write),
		cmocka_unit_test(we_read_what_the_tools_write),
		cmocka_unit_test(many_threads_share_an_instance),
		cmocka_unit_test(the_help_names_its_libraries),
		cmocka_unit_test(impossible_options_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
