/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "plugin/filter.h"
#include "plugin/loader.h"
#include "plugin/options.h"

#define MIB ((size_t)1 << 20)

static struct plugin *gzip;
static bool have_isal;

/* ---- helpers ---- */

static void
must(int rc, const struct hf_error *err)
{
	if (rc != HF_OK)
		print_error("%s\n", err->cause);
	assert_int_equal(rc, HF_OK);
}

static int
try_filter(const char *const *args, struct filter **out, struct hf_error *err)
{
	struct options_input in = { .table = gzip->desc.options,
		.stride = gzip->desc.option_size,
		.conf_size = gzip->desc.conf_size,
		.resolve = true };
	struct options *options = NULL;
	json_t *json = NULL;
	int rc;

	assert_int_equal(options_from_args(args, &json, err), HF_OK);
	in.object = json;
	rc = options_parse(&in, &options, NULL, NULL, err);
	json_decref(json);
	if (rc == HF_OK && gzip->desc.validate != NULL)
		rc = gzip->desc.validate(options_conf(options), err);
	if (rc != HF_OK) {
		options_free(options);
		return rc;
	}
	return filter_open(gzip, "gz", NULL, options, out, err);
}

static struct filter *
make_filter(const char *level, const char *backend)
{
	struct hf_error err = { 0 };
	char a[32], b[32];
	const char *const args[] = { a, b, NULL };
	struct filter *f = NULL;

	(void)snprintf(a, sizeof a, "level=%s", level);
	(void)snprintf(b, sizeof b, "backend=%s", backend);
	must(try_filter(args, &f, &err), &err);
	return f;
}

enum kind { TEXT, NOISE, ZEROS, KINDS };

static uint64_t seed = 88172645463325252u;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint8_t *
make_data(int kind, size_t len)
{
	static const char *const words[] = { "2026-11-21", "\t", "customer",
		"\n", "pending", "42.50", "N", "shipped", "true" };
	uint8_t *data = malloc(len + 1);
	const char *word = "";

	assert_non_null(data);
	for (size_t i = 0; i < len; i++) {
		if (kind == TEXT && *word == '\0')
			word = words[next_random() % 9];
		data[i] = kind == TEXT    ? (uint8_t)*word++
			  : kind == NOISE ? (uint8_t)next_random()
					  : 0;
	}
	return data;
}

static void
push_all(
    struct filter *f, bool decode, const void *src, size_t len, struct buf *dst)
{
	struct hf_error err = { 0 };
	struct xform *x = NULL;

	assert_int_equal(xform_begin(f, decode, "object", &x, &err), HF_OK);
	must(xform_push(x, src, len, true, dst, &err), &err);
	xform_end(x);
}

/* A filter's plain functions, for what the wrapper hides: exact counts. */
struct raw {
	struct hf_filter *f;
	struct options *options;
};

static struct raw
raw_open(const char *level, const char *backend)
{
	struct options_input in = { .table = gzip->desc.options,
		.stride = gzip->desc.option_size,
		.conf_size = gzip->desc.conf_size,
		.resolve = true };
	struct raw r = { 0 };

	in.object = json_pack("{s:s,s:s}", "level", level, "backend", backend);
	assert_int_equal(
	    options_parse(&in, &r.options, NULL, NULL, NULL), HF_OK);
	json_decref((json_t *)(uintptr_t)in.object);
	assert_int_equal(
	    gzip->filter.open(NULL, options_conf(r.options), &r.f, NULL),
	    HF_OK);
	return r;
}

static void
raw_close(struct raw *r)
{
	gzip->filter.close(r->f);
	options_free(r->options);
}

/* Run a whole stream in pieces of the given sizes.  Returns the status that
 * ended it; *used counts the input that was taken. */
static int
raw_run(struct raw *r, bool decode, const uint8_t *src, size_t len,
    size_t in_piece, size_t out_piece, struct buf *dst, size_t *used)
{
	struct hf_step s = { .struct_size = sizeof s };
	struct hf_error err = { 0 };
	struct hf_xform *x = NULL;
	uint8_t *room = malloc(out_piece), *copy;
	int rc = HF_OK;

	assert_non_null(room);
	*used = 0;
	assert_int_equal(gzip->filter.begin(r->f, decode, "o", &x, &err), 0);
	while (rc == HF_OK) {
		s.src_len = len - *used < in_piece ? len - *used : in_piece;
		/* A copy of its own, so that reading beyond it is seen. */
		copy = malloc(s.src_len);
		assert_true(copy != NULL || s.src_len == 0);
		if (s.src_len > 0)
			memcpy(copy, src + *used, s.src_len);
		s.src = copy;
		s.dst = room;
		s.dst_cap = out_piece;
		s.last = *used + s.src_len == len;
		rc = gzip->filter.step(x, &s, &err);
		free(copy);
		if (rc < HF_OK) {
			assert_int_equal(err.status, rc);
			break;
		}
		assert_true(s.src_used <= s.src_len);
		assert_true(s.dst_len <= s.dst_cap);
		/* A step that moves nothing is taken for a stuck filter, and
		 * an end that does not, for bytes that do not belong there. */
		assert_true((rc == HF_EOF && s.src_len == 0) ||
			    s.src_used > 0 || s.dst_len > 0);
		*used += s.src_used;
		assert_int_equal(buf_append(dst, room, s.dst_len, &err), HF_OK);
	}
	gzip->filter.end(x);
	free(room);
	return rc;
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
	static const size_t sizes[] = { 0, 1, 2, 100, 65535, 65536, MIB };
	static const char *const levels[] = { "1", "2", "3", "4", "6", "9" };

	(void)state;
	for (size_t l = 0; l < 6; l++) {
		struct filter *f = make_filter(levels[l], "auto");

		for (size_t i = 0; i < 7; i++)
			for (int kind = 0; kind < KINDS; kind++) {
				struct buf z = BUF_INIT, back = BUF_INIT;
				uint8_t *data = make_data(kind, sizes[i]);

				push_all(f, false, data, sizes[i], &z);
				/* What cannot be packed hardly grows. */
				assert_true(
				    z.len < sizes[i] + sizes[i] / 1000 + 64);
				push_all(f, true, z.data, z.len, &back);
				assert_int_equal(back.len, sizes[i]);
				assert_memory_equal(back.data, data, sizes[i]);
				buf_free(&z);
				buf_free(&back);
				free(data);
			}
		filter_close(f);
	}
}

static void
pieces_of_any_size_give_the_same_content(void **state)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 8, 9, 64, 1000, 65536 };
	/* More than the window of 32 KiB, where that does not take for ever. */
	const size_t longest = 70000;

	(void)state;
	for (int kind = 0; kind < KINDS; kind++)
		for (int pair = 0; pair < 4; pair++) {
			struct raw enc = raw_open("2", backend_of(pair & 1));
			struct raw dec = raw_open("2", backend_of(pair & 2));
			uint8_t *data = make_data(kind, longest);

			for (size_t i = 0; i < 81; i++) {
				struct buf z = BUF_INIT, back = BUF_INIT;
				size_t in = pieces[i / 9], out = pieces[i % 9];
				size_t len =
				    in < 64 || out < 64 ? 2500 : longest;
				size_t used;

				assert_int_equal(raw_run(&enc, false, data, len,
						     in, out, &z, &used),
				    HF_EOF);
				assert_int_equal(used, len);
				assert_int_equal(
				    raw_run(&dec, true, z.data, z.len, in, out,
					&back, &used),
				    HF_EOF);
				assert_int_equal(used, z.len);
				assert_int_equal(back.len, len);
				assert_memory_equal(back.data, data, len);
				buf_free(&z);
				buf_free(&back);
			}
			free(data);
			raw_close(&enc);
			raw_close(&dec);
		}
}

/* The end of a member is found to the byte, wherever the pieces end. */
static void
what_follows_a_member_is_left_alone(void **state)
{
	static const uint8_t tail[40] = { 31, 139, 8, 4, 1, 2, 3, 4, 5 };
	static const size_t outs[] = { 1, 2, 299, 300, 301, 5000 };

	(void)state;
	for (int round = 0; round < 2 * KINDS; round++) {
		struct raw r = raw_open("2", backend_of(round & 1));
		uint8_t *data = make_data(round / 2, 300);
		struct buf z = BUF_INIT;
		size_t used, len;

		assert_int_equal(
		    raw_run(&r, false, data, 300, 300, 4096, &z, &used),
		    HF_EOF);
		len = z.len;
		assert_int_equal(buf_append(&z, tail, sizeof tail, NULL), 0);
		for (size_t in = 1; in <= z.len; in++)
			for (size_t o = 0; o < 6; o++) {
				struct buf back = BUF_INIT;

				assert_int_equal(
				    raw_run(&r, true, z.data, z.len, in,
					outs[o], &back, &used),
				    HF_EOF);
				assert_int_equal(used, len);
				assert_int_equal(back.len, 300);
				assert_memory_equal(back.data, data, 300);
				buf_free(&back);
			}
		buf_free(&z);
		free(data);
		raw_close(&r);
	}
}

/* A member whose output just fills the room must still end with a step that
 * moves something, or its caller takes it for stuck. */
static void
members_laid_end_to_end_decode_through_any_room(void **state)
{
	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter *f = make_filter("2", backend_of(isal));
		uint8_t *data = make_data(TEXT, 3 * 65536);
		struct buf z = BUF_INIT;

		for (size_t i = 0; i < 3; i++)
			push_all(f, false, data + i * 65536, 65536, &z);
		for (size_t piece = 1; piece < 30000; piece += piece / 2 + 1) {
			struct hf_error err = { 0 };
			struct buf back = BUF_INIT;
			struct xform *x = NULL;
			size_t at = 0, n;

			assert_int_equal(
			    xform_begin(f, true, "o", &x, &err), HF_OK);
			while (at < z.len) {
				n = z.len - at < piece ? z.len - at : piece;
				must(xform_push(x, z.data + at, n,
					 at + n == z.len, &back, &err),
				    &err);
				at += n;
			}
			xform_end(x);
			assert_int_equal(back.len, 3 * 65536);
			assert_memory_equal(back.data, data, back.len);
			buf_free(&back);
		}
		buf_free(&z);
		free(data);
		filter_close(f);
	}
}

static void
truncation_at_every_byte_is_corrupt(void **state)
{
	(void)state;
	for (int round = 0; round < 2 * KINDS; round++) {
		struct raw r = raw_open("2", backend_of(round & 1));
		uint8_t *data = make_data(round / 2, 500);
		struct buf z = BUF_INIT;
		size_t used;

		assert_int_equal(
		    raw_run(&r, false, data, 500, 500, 4096, &z, &used),
		    HF_EOF);
		for (size_t len = 0; len < z.len; len++)
			for (size_t out = 1; out <= 4096; out *= 64) {
				struct buf back = BUF_INIT;

				assert_int_equal(raw_run(&r, true, z.data, len,
						     4096, out, &back, &used),
				    HF_E_CORRUPT);
				buf_free(&back);
			}
		buf_free(&z);
		free(data);
		raw_close(&r);
	}
}

/* Time, extra flags and OS say nothing about the content. */
static bool
is_harmless(size_t at)
{
	return at >= 4 && at <= 9;
}

static void
every_flipped_bit_is_corrupt_or_harmless(void **state)
{
	(void)state;
	for (int round = 0; round < 2 * KINDS; round++) {
		struct raw r = raw_open("2", backend_of(round & 1));
		uint8_t *data = make_data(round / 2, 300);
		struct buf z = BUF_INIT;
		size_t used;

		assert_int_equal(
		    raw_run(&r, false, data, 300, 300, 4096, &z, &used),
		    HF_EOF);
		for (size_t bit = 0; bit < 8 * z.len; bit++) {
			struct buf back = BUF_INIT;
			int rc;

			z.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			rc = raw_run(
			    &r, true, z.data, z.len, z.len, 4096, &back, &used);
			z.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			/* FTEXT, bit 0 of the flags, is a remark as well. */
			if (is_harmless(bit / 8) || bit == 8 * 3) {
				assert_int_equal(rc, HF_EOF);
				assert_int_equal(back.len, 300);
				assert_memory_equal(back.data, data, 300);
			} else if (rc == HF_EOF) {
				/* Unused bits behind the last block, or
				 * another copy of the same words. */
				assert_int_equal(back.len, 300);
				assert_memory_equal(back.data, data, 300);
			} else {
				assert_int_equal(rc, HF_E_CORRUPT);
			}
			buf_free(&back);
		}
		buf_free(&z);
		free(data);
		raw_close(&r);
	}
}

static void
random_bytes_never_do_harm(void **state)
{
	(void)state;
	for (int i = 0; i < 4000; i++) {
		struct raw r = raw_open("2", backend_of(i & 1));
		size_t len = 1 + next_random() % 300, used;
		uint8_t *data = make_data(NOISE, len);
		static const uint8_t head[] = { 31, 139, 8, 0 };
		struct buf back = BUF_INIT;

		if (len >= 4 && i % 4 != 0)
			memcpy(data, head, 4);
		assert_int_equal(
		    raw_run(&r, true, data, len, 1 + next_random() % len,
			1 + next_random() % 500, &back, &used),
		    HF_E_CORRUPT);
		buf_free(&back);
		free(data);
		raw_close(&r);
	}
}

static void
wrong_trailers_are_named(void **state)
{
	struct filter *f = make_filter("2", "auto");
	struct buf z = BUF_INIT, back = BUF_INIT;
	struct hf_error err = { 0 };
	struct xform *x = NULL;

	(void)state;
	push_all(f, false, "hello", 5, &z);
	z.data[z.len - 1] ^= 1;
	assert_int_equal(xform_begin(f, true, "o", &x, &err), HF_OK);
	assert_int_equal(
	    xform_push(x, z.data, z.len, true, &back, &err), HF_E_CORRUPT);
	assert_non_null(strstr(err.cause, "bytes (modulo 2^32)"));
	xform_end(x);
	z.data[z.len - 1] ^= 1;
	z.data[z.len - 8] ^= 1;
	assert_int_equal(xform_begin(f, true, "o", &x, &err), HF_OK);
	assert_int_equal(
	    xform_push(x, z.data, z.len, true, &back, &err), HF_E_CORRUPT);
	assert_non_null(strstr(err.cause, "checksum"));
	xform_end(x);
	buf_free(&z);
	buf_free(&back);
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
	push_all(plain, false, "hello", 5, &body);
	assert_int_equal(buf_append(&z, head, sizeof head, NULL), HF_OK);
	assert_int_equal(buf_append(&z, hcrc, 2, NULL), HF_OK);
	assert_int_equal(
	    buf_append(&z, body.data + 10, body.len - 10, NULL), HF_OK);
	for (size_t piece = 1; piece <= z.len; piece++)
		for (int isal = 0; isal < 2; isal++) {
			struct raw r = raw_open("2", backend_of(isal));
			struct buf back = BUF_INIT;
			size_t used;

			assert_int_equal(raw_run(&r, true, z.data, z.len, piece,
					     64, &back, &used),
			    HF_EOF);
			assert_int_equal(back.len, 5);
			assert_memory_equal(back.data, "hello", 5);
			buf_free(&back);
			/* A wrong bit in the comment breaks the header. */
			z.data[sizeof head - 2] ^= 1;
			assert_int_equal(raw_run(&r, true, z.data, z.len, piece,
					     64, &back, &used),
			    HF_E_CORRUPT);
			z.data[sizeof head - 2] ^= 1;
			buf_free(&back);
			raw_close(&r);
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
	uint8_t *data = make_data(TEXT, MIB);
	struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT, skip = BUF_INIT;

	(void)state;
	push_all(f, false, data, MIB, &a);
	push_all(f, false, data + 5, MIB / 2, &skip);
	push_all(f, false, data, MIB, &b); /* a state that was used before */
	push_all(other, false, data, MIB, &c);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_int_equal(a.len, c.len);
	assert_memory_equal(a.data, c.data, a.len);
	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
	buf_free(&skip);
	free(data);
	filter_close(f);
	filter_close(other);
}

static void
a_stream_may_be_ended_at_any_point(void **state)
{
	uint8_t *data = make_data(TEXT, MIB);

	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter *f = make_filter("2", backend_of(isal));
		struct buf z = BUF_INIT, back = BUF_INIT, part = BUF_INIT;
		struct xform *x = NULL;

		for (size_t n = 0; n < MIB; n = 2 * n + 1) {
			assert_int_equal(
			    xform_begin(f, false, "o", &x, NULL), HF_OK);
			assert_int_equal(
			    xform_push(x, data, n, false, &part, NULL), HF_OK);
			xform_end(x);
		}
		push_all(f, false, data, MIB, &z);
		for (size_t n = 1; n < z.len; n *= 3) {
			assert_int_equal(
			    xform_begin(f, true, "o", &x, NULL), HF_OK);
			assert_int_equal(
			    xform_push(x, z.data, n, false, &part, NULL),
			    HF_OK);
			xform_end(x);
		}
		push_all(f, true, z.data, z.len, &back);
		assert_int_equal(back.len, MIB);
		assert_memory_equal(back.data, data, MIB);
		buf_free(&z);
		buf_free(&back);
		buf_free(&part);
		filter_close(f);
	}
	free(data);
}

/* ---- the tools that people have ---- */

static char scratch[64];

static void
write_scratch(const char *name, const void *data, size_t len)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/%s", scratch, name);
	assert_int_equal(file_write(path, data, len, NULL), HF_OK);
}

static int
run(const char *command)
{
	char line[256];

	(void)snprintf(line, sizeof line, "cd %s && %s", scratch, command);
	return system(line);
}

static bool
has_tool(const char *tool)
{
	char line[64];

	(void)snprintf(line, sizeof line, "command -v %s >/dev/null", tool);
	return run(line) == 0;
}

static void
read_scratch(const char *name, struct buf *b)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/%s", scratch, name);
	assert_int_equal(file_read(path, 64 * MIB, b, NULL), HF_OK);
}

static void
gunzip_reads_what_we_write(void **state)
{
	static const char *const levels[] = { "1", "2", "3", "6", "9" };
	uint8_t *data = make_data(TEXT, 2 * MIB);

	(void)state;
	memcpy(data + MIB, data, 1000);
	for (size_t l = 0; l < 5; l++) {
		struct filter *f = make_filter(levels[l], "auto");
		struct buf z = BUF_INIT;

		push_all(f, false, data, MIB, &z);
		push_all(f, false, data + MIB, MIB, &z);
		push_all(f, false, data, 0, &z);
		write_scratch("ours.gz", z.data, z.len);
		write_scratch("want", data, 2 * MIB);
		assert_int_equal(
		    run("gzip -t ours.gz && gunzip -c ours.gz | cmp - want"),
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
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		uint8_t *data = make_data(i % 2 == 0 ? TEXT : NOISE, MIB + 77);
		size_t times = strchr(tools[i][1], ';') == NULL ? 1 : 2;
		char line[128];

		write_scratch("want", data, MIB + 77);
		(void)snprintf(line, sizeof line, "%s >theirs.gz", tools[i][1]);
		if (!has_tool(tools[i][0])) {
			/* gzip is everywhere; the others may be missing. */
			assert_string_not_equal(tools[i][0], "gzip");
			free(data);
			continue;
		}
		assert_int_equal(run(line), 0);
		for (int isal = 0; isal < 2; isal++) {
			struct filter *f = make_filter("2", backend_of(isal));
			struct buf z = BUF_INIT, back = BUF_INIT;

			read_scratch("theirs.gz", &z);
			push_all(f, true, z.data, z.len, &back);
			assert_int_equal(back.len, times * (MIB + 77));
			assert_memory_equal(back.data, data, MIB + 77);
			buf_free(&z);
			buf_free(&back);
			filter_close(f);
		}
		free(data);
	}
}

/* ---- threads ---- */

#define THREADS 8

struct job {
	struct filter *filter;
	const uint8_t *data;
	bool good;
};

static void *
work(void *arg)
{
	struct job *job = arg;

	for (size_t i = 0; i < 20; i++) {
		struct buf z = BUF_INIT, back = BUF_INIT;
		size_t len = 1000 + i * 6000;
		struct xform *x = NULL;

		job->good =
		    job->good &&
		    xform_begin(job->filter, false, "o", &x, NULL) == HF_OK &&
		    xform_push(x, job->data, len, true, &z, NULL) == HF_OK;
		xform_end(x);
		x = NULL;
		job->good =
		    job->good &&
		    xform_begin(job->filter, true, "o", &x, NULL) == HF_OK &&
		    xform_push(x, z.data, z.len, true, &back, NULL) == HF_OK &&
		    back.len == len && memcmp(back.data, job->data, len) == 0;
		xform_end(x);
		buf_free(&z);
		buf_free(&back);
	}
	return NULL;
}

static void
many_threads_share_an_instance(void **state)
{
	uint8_t *data = make_data(TEXT, MIB);

	(void)state;
	for (int isal = 0; isal < 2; isal++) {
		struct filter *f = make_filter("2", backend_of(isal));
		struct job jobs[THREADS];
		pthread_t threads[THREADS];

		assert_true(filter_parallel(f));
		for (size_t i = 0; i < THREADS; i++) {
			jobs[i] = (struct job){ f, data + i * 1000, true };
			assert_int_equal(
			    pthread_create(&threads[i], NULL, work, &jobs[i]),
			    0);
		}
		for (size_t i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
		for (size_t i = 0; i < THREADS; i++)
			assert_true(jobs[i].good);
		filter_close(f);
	}
	free(data);
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
		assert_int_equal(try_filter(bad[i], &f, &err), HF_E_INVALID);
	}
}

/* ---- */

static bool
isal_is_built_in(void)
{
	const char *const args[] = { "level=1", "backend=isal", NULL };
	struct hf_error err = { 0 };
	struct filter *f = NULL;

	if (try_filter(args, &f, &err) != HF_OK)
		return false;
	filter_close(f);
	return true;
}

static int
setup(void **state)
{
	struct hf_error err = { 0 };

	(void)state;
	(void)snprintf(scratch, sizeof scratch, "/tmp/hf-gzip-XXXXXX");
	if (mkdtemp(scratch) == NULL ||
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
	char line[96];

	(void)state;
	plugin_close(gzip);
	(void)snprintf(line, sizeof line, "rm -r %s", scratch);
	return system(line);
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
