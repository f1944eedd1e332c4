/* SPDX-License-Identifier: BSD-2-Clause */
#include "filter_kit.h"

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

/* ---- filters ---- */

static void
must(int rc, const struct hf_error *err)
{
	if (rc != HF_OK)
		print_error("%s\n", err->cause);
	assert_int_equal(rc, HF_OK);
}

static int
parse(const struct plugin *p, const char *const *args, struct options **out,
    struct hf_error *err)
{
	struct options_input in = { .table = p->desc.options,
		.stride = p->desc.option_size,
		.conf_size = p->desc.conf_size,
		.resolve = true };
	json_t *json = NULL;
	int rc;

	assert_int_equal(options_from_args(args, &json, err), HF_OK);
	in.object = json;
	rc = options_parse(&in, out, NULL, NULL, err);
	json_decref(json);
	if (rc == HF_OK && p->desc.validate != NULL)
		rc = p->desc.validate(options_conf(*out), err);
	if (rc != HF_OK) {
		options_free(*out);
		*out = NULL;
	}
	return rc;
}

int
filter_kit_try(const struct plugin *p, const char *const *args,
    struct filter **out, struct hf_error *err)
{
	struct options *options = NULL;
	int rc = parse(p, args, &options, err);

	return rc != HF_OK ? rc
			   : filter_open(p, "kit", NULL, options, out, err);
}

struct filter *
filter_kit_make(const struct plugin *p, const char *const *args)
{
	struct hf_error err = { 0 };
	struct filter *f = NULL;

	must(filter_kit_try(p, args, &f, &err), &err);
	return f;
}

void
filter_kit_push(
    struct filter *f, bool decode, const void *src, size_t len, struct buf *dst)
{
	struct hf_error err = { 0 };
	struct xform *x = NULL;

	must(xform_begin(f, decode, "object", &x, &err), &err);
	must(xform_push(x, src, len, true, dst, &err), &err);
	xform_end(x);
}

void
filter_kit_refuse(
    struct filter *f, const void *src, size_t len, int status, const char *text)
{
	struct hf_error err = { 0 };
	struct buf back = BUF_INIT;
	struct xform *x = NULL;

	must(xform_begin(f, true, "object", &x, &err), &err);
	assert_int_equal(xform_push(x, src, len, true, &back, &err), status);
	if (strstr(err.cause, text) == NULL)
		print_error("%s\n", err.cause);
	assert_non_null(strstr(err.cause, text));
	xform_end(x);
	buf_free(&back);
}

struct filter_kit_raw
filter_kit_open(const struct plugin *p, const char *const *args)
{
	struct filter_kit_raw r = { .plugin = p };
	struct hf_error err = { 0 };

	must(parse(p, args, &r.options, &err), &err);
	must(p->filter.open(NULL, options_conf(r.options), &r.f, &err), &err);
	return r;
}

void
filter_kit_close(struct filter_kit_raw *r)
{
	r->plugin->filter.close(r->f);
	options_free(r->options);
}

int
filter_kit_run(struct filter_kit_raw *r, bool decode, const uint8_t *src,
    size_t len, size_t in_piece, size_t out_piece, struct buf *dst,
    size_t *used)
{
	const struct hf_filter_ops *ops = &r->plugin->filter;
	struct hf_step s = { .struct_size = sizeof s };
	struct hf_error err = { 0 };
	struct hf_xform *x = NULL;
	uint8_t *room = malloc(out_piece), *copy;
	int rc = HF_OK;

	assert_non_null(room);
	*used = 0;
	must(ops->begin(r->f, decode, "o", &x, &err), &err);
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
		rc = ops->step(x, &s, &err);
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
	ops->end(x);
	free(room);
	return rc;
}

/* ---- data ---- */

static uint64_t seed = 88172645463325252u;

uint64_t
filter_kit_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

uint8_t *
filter_kit_data(int kind, size_t len)
{
	static const char *const words[] = { "2026-11-21", "\t", "customer",
		"\n", "pending", "42.50", "N", "shipped", "true" };
	uint8_t *data = malloc(len + 1);
	const char *word = "";

	assert_non_null(data);
	for (size_t i = 0; i < len; i++) {
		if (kind == KIT_TEXT && *word == '\0')
			word = words[filter_kit_random() % 9];
		data[i] = kind == KIT_TEXT    ? (uint8_t)*word++
			  : kind == KIT_NOISE ? (uint8_t)filter_kit_random()
					      : 0;
	}
	return data;
}

/* ---- what must hold for each ---- */

static void
same(const struct buf *b, const uint8_t *data, size_t len)
{
	assert_int_equal(b->len, len);
	if (len > 0)
		assert_memory_equal(b->data, data, len);
}

void
filter_kit_round_trips(struct filter *f)
{
	static const size_t sizes[] = { 0, 1, 2, 100, 65535, 65536, MIB };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (int kind = 0; kind < KIT_KINDS; kind++) {
			struct buf z = BUF_INIT, back = BUF_INIT;
			uint8_t *data = filter_kit_data(kind, sizes[i]);

			filter_kit_push(f, false, data, sizes[i], &z);
			assert_true(z.len < sizes[i] + sizes[i] / 1000 + 64);
			filter_kit_push(f, true, z.data, z.len, &back);
			same(&back, data, sizes[i]);
			buf_free(&z);
			buf_free(&back);
			free(data);
		}
}

static void
piece_by_piece(struct filter_kit_raw *enc, struct filter_kit_raw *dec,
    const uint8_t *data, size_t len, size_t in, size_t out)
{
	struct buf z = BUF_INIT, back = BUF_INIT;
	size_t used;

	assert_int_equal(
	    filter_kit_run(enc, false, data, len, in, out, &z, &used), HF_EOF);
	assert_int_equal(used, len);
	assert_int_equal(
	    filter_kit_run(dec, true, z.data, z.len, in, out, &back, &used),
	    HF_EOF);
	assert_int_equal(used, z.len);
	same(&back, data, len);
	buf_free(&z);
	buf_free(&back);
}

void
filter_kit_pieces(
    struct filter_kit_raw *enc, struct filter_kit_raw *dec, size_t longest)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 8, 9, 64, 1000, 65536 };

	for (int kind = 0; kind < KIT_KINDS; kind++) {
		uint8_t *data = filter_kit_data(kind, longest);

		for (size_t i = 0; i < 81; i++) {
			size_t in = pieces[i / 9], out = pieces[i % 9];

			/* The longest, where that does not take for ever. */
			piece_by_piece(enc, dec, data,
			    in < 64 || out < 64 ? 2500 : longest, in, out);
		}
		free(data);
	}
}

/* A frame of so many bytes, all at once. */
static void
frame(struct filter_kit_raw *r, const uint8_t *data, size_t len, struct buf *z)
{
	size_t used;

	assert_int_equal(
	    filter_kit_run(r, false, data, len, len, 4096, z, &used), HF_EOF);
}

void
filter_kit_tail(struct filter_kit_raw *r, const uint8_t *tail, size_t tail_len)
{
	static const size_t outs[] = { 1, 2, 299, 300, 301, 5000 };

	for (int kind = 0; kind < KIT_KINDS; kind++) {
		uint8_t *data = filter_kit_data(kind, 300);
		struct buf z = BUF_INIT;
		size_t used, len;

		frame(r, data, 300, &z);
		len = z.len;
		assert_int_equal(buf_append(&z, tail, tail_len, NULL), 0);
		for (size_t in = 1; in <= z.len; in++)
			for (size_t o = 0; o < 6; o++) {
				struct buf back = BUF_INIT;

				assert_int_equal(
				    filter_kit_run(r, true, z.data, z.len, in,
					outs[o], &back, &used),
				    HF_EOF);
				assert_int_equal(used, len);
				same(&back, data, 300);
				buf_free(&back);
			}
		buf_free(&z);
		free(data);
	}
}

static void
push_in_pieces(
    struct filter *f, const struct buf *z, size_t piece, struct buf *back)
{
	struct hf_error err = { 0 };
	struct xform *x = NULL;
	size_t at = 0, n;

	must(xform_begin(f, true, "o", &x, &err), &err);
	for (; at < z->len; at += n) {
		n = z->len - at < piece ? z->len - at : piece;
		must(xform_push(
			 x, z->data + at, n, at + n == z->len, back, &err),
		    &err);
	}
	xform_end(x);
}

void
filter_kit_joined(struct filter *f)
{
	uint8_t *data = filter_kit_data(KIT_TEXT, 3 * 65536);
	struct buf z = BUF_INIT;

	for (size_t i = 0; i < 3; i++)
		filter_kit_push(f, false, data + i * 65536, 65536, &z);
	for (size_t piece = 1; piece < 30000; piece += piece / 2 + 1) {
		struct buf back = BUF_INIT;

		push_in_pieces(f, &z, piece, &back);
		same(&back, data, 3 * 65536);
		buf_free(&back);
	}
	buf_free(&z);
	free(data);
}

void
filter_kit_truncated(struct filter_kit_raw *r)
{
	for (int kind = 0; kind < KIT_KINDS; kind++) {
		uint8_t *data = filter_kit_data(kind, 500);
		struct buf z = BUF_INIT;
		size_t used;

		frame(r, data, 500, &z);
		for (size_t len = 0; len < z.len; len++)
			for (size_t out = 1; out <= 4096; out *= 64) {
				struct buf back = BUF_INIT;

				assert_int_equal(
				    filter_kit_run(r, true, z.data, len, 4096,
					out, &back, &used),
				    HF_E_CORRUPT);
				buf_free(&back);
			}
		buf_free(&z);
		free(data);
	}
}

void
filter_kit_flipped(struct filter_kit_raw *r, bool (*remark)(size_t bit))
{
	for (int kind = 0; kind < KIT_KINDS; kind++) {
		uint8_t *data = filter_kit_data(kind, 300);
		struct buf z = BUF_INIT;
		size_t used;

		frame(r, data, 300, &z);
		for (size_t bit = 0; bit < 8 * z.len; bit++) {
			struct buf back = BUF_INIT;
			int rc;

			z.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			rc = filter_kit_run(
			    r, true, z.data, z.len, z.len, 4096, &back, &used);
			z.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			if (rc == HF_EOF)
				same(&back, data, 300);
			else
				assert_int_equal(rc, HF_E_CORRUPT);
			assert_true(rc == HF_EOF || !remark(bit));
			buf_free(&back);
		}
		buf_free(&z);
		free(data);
	}
}

void
filter_kit_noise(
    struct filter_kit_raw *r, const uint8_t *head, size_t head_len, bool lucky)
{
	for (int i = 0; i < 4000; i++) {
		size_t len = 1 + filter_kit_random() % 300, used;
		uint8_t *data = filter_kit_data(KIT_NOISE, len);
		struct buf back = BUF_INIT;
		int rc;

		if (len >= head_len && i % 4 != 0)
			memcpy(data, head, head_len);
		rc = filter_kit_run(r, true, data, len,
		    1 + filter_kit_random() % len,
		    1 + filter_kit_random() % 500, &back, &used);
		if (rc != HF_EOF || !lucky)
			assert_int_equal(rc, HF_E_CORRUPT);
		buf_free(&back);
		free(data);
	}
}

void
filter_kit_same_bytes(struct filter *f, struct filter *other)
{
	uint8_t *data = filter_kit_data(KIT_TEXT, MIB);
	struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT, skip = BUF_INIT;

	filter_kit_push(f, false, data, MIB, &a);
	filter_kit_push(f, false, data + 5, MIB / 2, &skip);
	filter_kit_push(f, false, data, MIB, &b);
	filter_kit_push(other, false, data, MIB, &c);
	same(&b, a.data, a.len);
	same(&c, a.data, a.len);
	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
	buf_free(&skip);
	free(data);
}

static void
ended_after(struct filter *f, bool decode, const uint8_t *data, size_t n)
{
	struct buf part = BUF_INIT;
	struct xform *x = NULL;

	assert_int_equal(xform_begin(f, decode, "o", &x, NULL), HF_OK);
	assert_int_equal(xform_push(x, data, n, false, &part, NULL), HF_OK);
	xform_end(x);
	buf_free(&part);
}

void
filter_kit_ended(struct filter *f)
{
	uint8_t *data = filter_kit_data(KIT_TEXT, MIB);
	struct buf z = BUF_INIT, back = BUF_INIT;

	for (size_t n = 0; n < MIB; n = 2 * n + 1)
		ended_after(f, false, data, n);
	filter_kit_push(f, false, data, MIB, &z);
	for (size_t n = 1; n < z.len; n *= 3)
		ended_after(f, true, z.data, n);
	filter_kit_push(f, true, z.data, z.len, &back);
	same(&back, data, MIB);
	buf_free(&z);
	buf_free(&back);
	free(data);
}

/* ---- threads ---- */

#define THREADS 8

struct job {
	struct filter *filter;
	const uint8_t *data;
	bool good;
};

/* cmocka's checks are for one thread only. */
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

void
filter_kit_threads(struct filter *f)
{
	uint8_t *data = filter_kit_data(KIT_TEXT, MIB);
	struct job jobs[THREADS];
	pthread_t threads[THREADS];

	assert_true(filter_parallel(f));
	for (size_t i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){ f, data + i * 1000, true };
		assert_int_equal(
		    pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_true(jobs[i].good);
	free(data);
}

/* ---- tools ---- */

static char folder[] = "/tmp/hf-filter-XXXXXX";

bool
filter_kit_folder(void)
{
	return mkdtemp(folder) != NULL;
}

int
filter_kit_folder_remove(void)
{
	char line[96];

	(void)snprintf(line, sizeof line, "rm -r %s", folder);
	return system(line);
}

void
filter_kit_write(const char *name, const void *data, size_t len)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(file_write(path, data, len, NULL), HF_OK);
}

void
filter_kit_read(const char *name, struct buf *b)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(file_read(path, 64 * MIB, b, NULL), HF_OK);
}

int
filter_kit_shell(const char *command)
{
	char line[256];

	(void)snprintf(line, sizeof line, "cd %s && %s", folder, command);
	return system(line);
}

bool
filter_kit_has(const char *tool)
{
	char line[64];

	(void)snprintf(line, sizeof line, "command -v %s >/dev/null", tool);
	return filter_kit_shell(line) == 0;
}

static void
reads_tool(struct filter *f, int kind, const char *command)
{
	uint8_t *data = filter_kit_data(kind, MIB + 77);
	size_t times = strchr(command, ';') == NULL ? 1 : 2;
	struct buf z = BUF_INIT, back = BUF_INIT;
	char line[128];

	filter_kit_write("want", data, MIB + 77);
	(void)snprintf(line, sizeof line, "%s >theirs", command);
	assert_int_equal(filter_kit_shell(line), 0);
	filter_kit_read("theirs", &z);
	filter_kit_push(f, true, z.data, z.len, &back);
	assert_int_equal(back.len, times * (MIB + 77));
	for (size_t i = 0; i < times; i++)
		assert_memory_equal(back.data + i * (MIB + 77), data, MIB + 77);
	buf_free(&z);
	buf_free(&back);
	free(data);
}

void
filter_kit_reads_tools(
    struct filter *f, const char *const (*tools)[2], size_t n)
{
	assert_true(filter_kit_has(tools[0][0]));
	for (size_t i = 0; i < n; i++)
		if (filter_kit_has(tools[i][0]))
			reads_tool(
			    f, i % 2 == 0 ? KIT_TEXT : KIT_NOISE, tools[i][1]);
}
