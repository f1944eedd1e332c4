/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "plugin/filter.h"
#include "plugin/loader.h"

/* ---- a codec of frames: '<', bytes that are not markers, '>' ---- */

struct hf_xform {
	bool decode, opened, closed;
};

static const struct hf_host *host;
static int begun, ended; /* must be as many */
static enum { HONEST, STUCK, LIES, EARLY, SILENT, GREEDY } manner;

static int
codec_open(const struct hf_ctx *ctx, const void *conf, struct hf_filter **f,
    struct hf_error *err)
{
	(void)ctx;
	(void)conf;
	(void)err;
	*f = NULL;
	return HF_OK;
}

static void
codec_close(struct hf_filter *f)
{
	(void)f;
}

static int
codec_begin(struct hf_filter *f, bool decode, const char *name,
    struct hf_xform **out, struct hf_error *err)
{
	struct hf_xform *x = calloc(1, sizeof *x);

	(void)f;
	assert_string_equal(name, "object");
	if (x == NULL)
		return host->fail(err, HF_E_NOMEM, "no memory");
	x->decode = decode;
	*out = x;
	begun++;
	return HF_OK;
}

static int
encode(struct hf_xform *x, struct hf_step *s)
{
	if (!x->opened && s->dst_len < s->dst_cap) {
		s->dst[s->dst_len++] = '<';
		x->opened = true;
	}
	while (x->opened && s->src_used < s->src_len && s->dst_len < s->dst_cap)
		s->dst[s->dst_len++] = s->src[s->src_used++];
	if (!s->last || s->src_used < s->src_len || s->dst_len == s->dst_cap)
		return HF_OK;
	s->dst[s->dst_len++] = '>';
	return HF_EOF;
}

static int
decode(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	while (s->src_used < s->src_len) {
		uint8_t c = s->src[s->src_used];

		if (!x->opened && c != '<')
			return host->fail(err, HF_E_CORRUPT, "not a frame");
		if (x->opened && c == '<')
			return host->fail(err, HF_E_CORRUPT, "nested");
		if (x->opened && c != '>' && s->dst_len == s->dst_cap)
			return HF_OK;
		s->src_used++;
		if (c == '>')
			return HF_EOF;
		if (x->opened)
			s->dst[s->dst_len++] = c;
		x->opened = true;
	}
	if (s->last)
		return host->fail(err, HF_E_CORRUPT, "cut off");
	return HF_OK;
}

static int
codec_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	assert_int_equal(s->struct_size, sizeof *s);
	assert_non_null(s->src);
	assert_non_null(s->dst);
	switch (manner) {
	case STUCK:
		return HF_OK;
	case LIES:
		s->src_used = s->src_len + 1;
		return HF_OK;
	case EARLY:
		return HF_EOF;
	case SILENT:
		return HF_E_IO;
	case GREEDY:
		return 7;
	default:
		return x->decode ? decode(x, s, err) : encode(x, s);
	}
}

static void
codec_end(struct hf_xform *x)
{
	free(x);
	ended++;
}

static struct hf_filter_ops ops = {
	.struct_size = sizeof ops,
	.flags = HF_FILTER_FRAMES,
	.suffix = ".angle",
	.open = codec_open,
	.close = codec_close,
	.begin = codec_begin,
	.step = codec_step,
	.end = codec_end,
};

static struct hf_plugin desc = {
	HF_PLUGIN_INIT,
	.name = "angle",
	.version = "1",
	.summary = "frames in angle brackets",
	.filter = &ops,
};

static const struct hf_plugin *
describe(const struct hf_host *h)
{
	host = h;
	return &desc;
}

/* ---- */

struct fixture {
	struct plugin *plugin;
	struct filter *filter;
	struct hf_error err;
	struct buf out;
};

static struct fixture fx;

static int
open_with(uint32_t flags)
{
	fx = (struct fixture){ .out = BUF_INIT };
	manner = HONEST;
	begun = ended = 0;
	ops.flags = flags;
	if (plugin_open_static(describe, &fx.plugin, &fx.err) != HF_OK)
		return -1;
	return filter_open(fx.plugin, "angle", NULL, NULL, &fx.filter, &fx.err);
}

static int
setup(void **state)
{
	(void)state;
	return open_with(HF_FILTER_FRAMES);
}

static int
setup_stream(void **state)
{
	(void)state;
	return open_with(0);
}

static int
teardown(void **state)
{
	(void)state;
	filter_close(fx.filter);
	plugin_close(fx.plugin);
	buf_free(&fx.out);
	return begun == ended ? 0 : -1;
}

/* Push text in pieces of that many bytes; end with an empty last piece when
 * apart, else last goes with the last bytes. */
static int
push(bool back, const char *text, size_t piece, bool apart)
{
	size_t len = strlen(text);
	struct xform *x;
	int rc = HF_OK;

	fx.out.len = 0;
	assert_int_equal(
	    xform_begin(fx.filter, back, "object", &x, &fx.err), HF_OK);
	for (size_t at = 0; rc == HF_OK && at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		rc = xform_push(
		    x, text + at, n, !apart && at + n == len, &fx.out, &fx.err);
	}
	if (rc == HF_OK && (apart || len == 0))
		rc = xform_push(x, NULL, 0, true, &fx.out, &fx.err);
	xform_end(x);
	return rc;
}

static void
gives(const char *text)
{
	assert_int_equal(fx.out.len, strlen(text));
	if (fx.out.len > 0)
		assert_memory_equal(fx.out.data, text, fx.out.len);
}

static void
stream_comes_back_whatever_the_pieces(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 8; piece++)
		for (int apart = 0; apart < 2; apart++) {
			assert_int_equal(
			    push(false, "hello", piece, apart != 0), HF_OK);
			gives("<hello>");
			assert_int_equal(
			    push(true, "<hello>", piece, apart != 0), HF_OK);
			gives("hello");
		}
	assert_int_equal(push(false, "", 1, true), HF_OK);
	gives("<>");
	assert_int_equal(push(true, "<>", 2, false), HF_OK);
	gives("");
}

static void
frames_end_to_end_decode_as_one(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 16; piece++)
		for (int apart = 0; apart < 2; apart++) {
			assert_int_equal(
			    push(true, "<ab><><cde><f>", piece, apart != 0),
			    HF_OK);
			gives("abcdef");
		}
	assert_true(begun > 4);
}

static void
frame_cut_off_is_corrupt(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 16; piece++)
		for (int apart = 0; apart < 2; apart++) {
			bool a = apart != 0;

			assert_int_equal(
			    push(true, "<ab><cd", piece, a), HF_E_CORRUPT);
			assert_int_equal(
			    push(true, "<", piece, a), HF_E_CORRUPT);
			assert_int_equal(
			    push(true, "<ab>x", piece, a), HF_E_CORRUPT);
		}
}

static void
empty_stream_of_frames_is_corrupt(void **state)
{
	(void)state;
	assert_int_equal(push(true, "", 1, true), HF_E_CORRUPT);
	assert_non_null(strstr(fx.err.cause, "object is empty"));
}

static void
stream_that_goes_on_behind_its_end_is_corrupt(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 16; piece++)
		for (int apart = 0; apart < 2; apart++) {
			assert_int_equal(
			    push(true, "<ab><cd>", piece, apart != 0),
			    HF_E_CORRUPT);
			assert_int_equal(
			    push(true, "<ab>", piece, apart != 0), HF_OK);
		}
}

static void
output_grows_as_needed(void **state)
{
	size_t len = 3 << 20;
	char *text = malloc(len + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', len);
	text[len] = '\0';
	assert_int_equal(push(false, text, len, false), HF_OK);
	assert_int_equal(fx.out.len, len + 2);
	/* A buffer with room for exactly what comes out. */
	buf_free(&fx.out);
	assert_int_equal(buf_reserve(&fx.out, 7, NULL), HF_OK);
	assert_int_equal(push(false, "hello", 5, false), HF_OK);
	gives("<hello>");
	free(text);
}

static void
plugin_that_breaks_the_contract_is_found_out(void **state)
{
	(void)state;
	manner = STUCK;
	assert_int_equal(push(false, "hello", 5, false), HF_E_BUG);
	assert_non_null(strstr(fx.err.cause, "no progress"));
	assert_int_equal(push(true, "<a>", 5, true), HF_E_BUG);
	manner = LIES;
	assert_int_equal(push(false, "hello", 5, false), HF_E_BUG);
	manner = EARLY;
	assert_int_equal(push(false, "hello", 5, false), HF_E_BUG);
	assert_int_equal(push(true, "hello", 5, false), HF_E_CORRUPT);
	manner = SILENT;
	assert_int_equal(push(false, "hello", 5, false), HF_E_IO);
	assert_non_null(strstr(fx.err.cause, "without saying why (IO)"));
	manner = GREEDY;
	assert_int_equal(push(false, "hello", 5, false), HF_E_BUG);
}

static void
nothing_can_be_pushed_after_the_end(void **state)
{
	struct xform *x;

	(void)state;
	assert_int_equal(
	    xform_begin(fx.filter, false, "object", &x, &fx.err), HF_OK);
	assert_int_equal(xform_push(x, "a", 1, true, &fx.out, &fx.err), HF_OK);
	assert_int_equal(
	    xform_push(x, "a", 1, true, &fx.out, &fx.err), HF_E_BUG);
	xform_end(x);
	xform_end(NULL);
	filter_close(NULL);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(stream_comes_back_whatever_the_pieces),
		T(frames_end_to_end_decode_as_one),
		T(frame_cut_off_is_corrupt),
		T(empty_stream_of_frames_is_corrupt),
		cmocka_unit_test_setup_teardown(
		    stream_that_goes_on_behind_its_end_is_corrupt, setup_stream,
		    teardown),
		T(output_grows_as_needed),
		T(plugin_that_breaks_the_contract_is_found_out),
		T(nothing_can_be_pushed_after_the_end),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
