/* SPDX-License-Identifier: BSD-2-Clause */
#include "flow_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* the host table has one too */

#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/filter.h"
#include "plugin/host.h"
#include "plugin/loader.h"
#include "plugin/store.h"

/* ---- filters ---- */

#define HEADER 9 /* mark, stored length, sum of the raw bytes */

struct hf_filter {
	int kind;
};

struct hf_xform {
	int kind;
	bool decode, finished, bad;
	uint8_t *in; /* encode: all input; decode: header and payload */
	size_t len, cap;
	uint8_t *out;
	size_t out_len, out_pos;
	uint64_t pos; /* stream */
	uint32_t sum;
	uint8_t held[4]; /* stream decode: perhaps the sum at the end */
	size_t nheld;
};

static const struct hf_host *host;

static uint32_t
sum_of(const uint8_t *p, size_t n)
{
	uint32_t sum = 1;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + p[i];
	return sum;
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static void
gather(struct hf_xform *x, const uint8_t *p, size_t n)
{
	if (x->len + n > x->cap) {
		x->cap = 2 * (x->len + n);
		x->in = must(realloc(x->in, x->cap));
	}
	if (n > 0)
		memcpy(x->in + x->len, p, n);
	x->len += n;
}

static void
frame_encode(struct hf_xform *x)
{
	uint8_t *to;
	size_t n = 0;

	x->out = must(malloc(HEADER + 2 * x->len + 1));
	to = x->out + HEADER;
	if (x->kind == KIT_RLE) {
		for (size_t i = 0, run; i < x->len; i += run) {
			for (run = 1; run < 255 && i + run < x->len &&
				      x->in[i + run] == x->in[i];)
				run++;
			to[n++] = (uint8_t)run;
			to[n++] = x->in[i];
		}
	} else {
		for (n = 0; n < x->len; n++)
			to[n] = x->in[n] ^ 0x5a;
	}
	x->out[0] = x->kind == KIT_RLE ? 'R' : 'X';
	put32(x->out + 1, (uint32_t)n);
	put32(x->out + 5, sum_of(x->in, x->len));
	x->out_len = HEADER + n;
}

static bool
frame_decode(struct hf_xform *x)
{
	size_t stored = x->len - HEADER, n = 0;
	const uint8_t *p = x->in + HEADER;

	x->out =
	    must(malloc(x->kind == KIT_RLE ? 255 * stored + 1 : stored + 1));
	if (x->kind == KIT_RLE) {
		if (stored % 2 != 0)
			return false;
		for (size_t i = 0; i < stored; i += 2) {
			memset(x->out + n, p[i + 1], p[i]);
			n += p[i];
		}
	} else {
		for (n = 0; n < stored; n++)
			x->out[n] = p[n] ^ 0x5a;
	}
	x->out_len = n;
	return sum_of(x->out, n) == get32(x->in + 5);
}

static int
emit(struct hf_xform *x, struct hf_step *s)
{
	size_t n = x->out_len - x->out_pos;

	if (n > s->dst_cap)
		n = s->dst_cap;
	if (n > 0)
		memcpy(s->dst, x->out + x->out_pos, n);
	x->out_pos += n;
	s->dst_len = n;
	return x->out_pos == x->out_len ? HF_EOF : HF_OK;
}

static int
frame_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	size_t need = HEADER, n;

	s->src_used = s->dst_len = 0;
	if (x->finished)
		return emit(x, s);
	if (!x->decode) {
		gather(x, s->src, s->src_len);
		s->src_used = s->src_len;
		if (!s->last)
			return HF_OK;
		frame_encode(x);
		x->finished = true;
		return emit(x, s);
	}
	while (s->src_used < s->src_len || x->len >= HEADER) {
		if (x->len >= HEADER)
			need = HEADER + get32(x->in + 1);
		if (x->len == need)
			break;
		n = s->src_len - s->src_used;
		if (n == 0)
			break;
		if (n > need - x->len)
			n = need - x->len;
		gather(x, s->src + s->src_used, n);
		s->src_used += n;
		if (x->in[0] != (x->kind == KIT_RLE ? 'R' : 'X'))
			return host->fail(err, HF_E_CORRUPT, "no frame mark");
	}
	if (x->len < HEADER || x->len < need) {
		if (s->last)
			return host->fail(
			    err, HF_E_CORRUPT, "the frame is cut");
		return HF_OK;
	}
	if (!frame_decode(x))
		return host->fail(err, HF_E_CORRUPT, "the sum is wrong");
	x->finished = true;
	return emit(x, s);
}

static int
stream_end(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	if (x->decode) {
		if (x->nheld < 4 || get32(x->held) != x->sum)
			return host->fail(
			    err, HF_E_CORRUPT, "the stream's sum is wrong");
		return HF_EOF;
	}
	if (s->dst_cap - s->dst_len < 4)
		return HF_OK; /* with more room */
	put32(s->dst + s->dst_len, x->sum);
	s->dst_len += 4;
	return HF_EOF;
}

static int
stream_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	s->src_used = s->dst_len = 0;
	while (s->src_used < s->src_len && s->dst_len < s->dst_cap) {
		uint8_t c = s->src[s->src_used++];

		if (x->decode) {
			if (x->nheld < 4) {
				x->held[x->nheld++] = c;
				continue;
			}
			uint8_t first = x->held[0];
			memmove(x->held, x->held + 1, 3);
			x->held[3] = c;
			c = (uint8_t)(first - (uint8_t)(x->pos++ * 7));
			x->sum = x->sum * 31 + c;
		} else {
			x->sum = x->sum * 31 + c;
			c = (uint8_t)(c + (uint8_t)(x->pos++ * 7));
		}
		s->dst[s->dst_len++] = c;
	}
	if (s->last && s->src_used == s->src_len)
		return stream_end(x, s, err);
	return HF_OK;
}

static int
filter_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	if (x->bad)
		return host->fail(err, HF_E_IO, "the filter was told to fail");
	return x->kind == KIT_STREAM ? stream_step(x, s, err)
				     : frame_step(x, s, err);
}

static int
filter_begin(struct hf_filter *f, bool decode, const char *name,
    struct hf_xform **out, struct hf_error *err)
{
	struct hf_xform *x = must(calloc(1, sizeof *x));

	(void)err;
	x->kind = f->kind;
	x->decode = decode;
	x->bad = !decode && strcmp(name, KIT_BAD_NAME) == 0;
	*out = x;
	return HF_OK;
}

static void
filter_end(struct hf_xform *x)
{
	free(x->in);
	free(x->out);
	free(x);
}

static int
open_kind(int kind, struct hf_filter **out)
{
	*out = must(calloc(1, sizeof **out));
	(*out)->kind = kind;
	return HF_OK;
}

#define OPEN(name, kind)                                            \
	static int name(const struct hf_ctx *ctx, const void *conf, \
	    struct hf_filter **out, struct hf_error *err)           \
	{                                                           \
		(void)ctx;                                          \
		(void)conf;                                         \
		(void)err;                                          \
		return open_kind(kind, out);                        \
	}
OPEN(open_xor, KIT_XOR)
OPEN(open_rle, KIT_RLE)
OPEN(open_stream, KIT_STREAM)

static void
filter_close_(struct hf_filter *f)
{
	free(f);
}

#define OPS(ending, how, bits)                                                \
	{                                                                     \
		.struct_size = sizeof(struct hf_filter_ops), .flags = bits,   \
		.suffix = ending, .open = how, .close = filter_close_,        \
		.begin = filter_begin, .step = filter_step, .end = filter_end \
	}
static const struct hf_filter_ops ops[KIT_FILTERS] = {
	OPS(".x", open_xor, HF_FILTER_FRAMES),
	OPS(".r", open_rle, HF_FILTER_FRAMES),
	OPS(".s", open_stream, 0),
};

#define PLUGIN(label, level, n)                                        \
	{                                                              \
		HF_PLUGIN_INIT, .threads = level, .name = label,       \
				.version = "1", .summary = "a filter", \
				.help = "Tests.", .filter = &ops[n]    \
	}
static const struct hf_plugin plugins[KIT_FILTERS] = {
	PLUGIN("kit-xor", HF_THREADS_HANDLE, KIT_XOR),
	PLUGIN("kit-rle", HF_THREADS_SERIAL, KIT_RLE),
	PLUGIN("kit-stream", HF_THREADS_HANDLE, KIT_STREAM),
};

#define ENTRY(name, n)                                                   \
	static const struct hf_plugin *name(const struct hf_host *given) \
	{                                                                \
		host = given;                                            \
		return &plugins[n];                                      \
	}
ENTRY(plugin_xor, KIT_XOR)
ENTRY(plugin_rle, KIT_RLE)
ENTRY(plugin_stream, KIT_STREAM)

/* ---- the kit ---- */

static const char *const buckets[] = { "a", "b", "c" };

void
kit_open(struct kit *k, const struct flow_options *options, unsigned serial)
{
	static hf_plugin_fn *const entries[KIT_FILTERS] = { plugin_xor,
		plugin_rle, plugin_stream };
	struct flow_options o = { .workers = 2, .frame_size = KIT_FRAME };
	struct hf_error err = { .status = HF_OK };
	struct hf_ctx ctx = { .who = "test" };

	*k = (struct kit){ 0 };
	if (options != NULL)
		o = *options;
	if (o.cancel == NULL)
		o.cancel = &k->cancel;
	assert_int_equal(flow_new(&o, &k->flow, &err), HF_OK);
	for (size_t i = 0; i < KIT_FILTERS; i++) {
		assert_int_equal(
		    plugin_open_static(entries[i], &k->plugins[i], &err),
		    HF_OK);
		assert_int_equal(filter_open(k->plugins[i], plugins[i].name,
				     &ctx, NULL, &k->filters[i], &err),
		    HF_OK);
	}
	for (unsigned i = 0; i < 3; i++)
		memstore_open(
		    &k->stores[i], buckets[i], (serial >> i & 1) != 0);
}

void
kit_close(struct kit *k)
{
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(memstore_handles(buckets[i]), 0);
		memstore_close(&k->stores[i]);
	}
	memstore_reset();
	for (size_t i = 0; i < KIT_FILTERS; i++) {
		filter_close(k->filters[i]);
		plugin_close(k->plugins[i]);
	}
	flow_free(k->flow);
}

uint8_t
kit_byte(uint64_t n)
{
	/* Runs of 1 to 16, so that run lengths shrink some frames and let
	 * others grow. */
	uint64_t x = n / (1 + n / 97 % 16);

	x = (x ^ x >> 7) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint8_t)(x >> 56);
}

void
kit_fill(void *p, size_t n, uint64_t from)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = kit_byte(from + i);
}

static size_t
chain_of(struct kit *k, const char *chain, struct filter **out)
{
	size_t n = 0;

	for (; *chain != '\0'; chain++)
		out[n++] = k->filters[*chain == 'x'   ? KIT_XOR
				      : *chain == 'r' ? KIT_RLE
						      : KIT_STREAM];
	return n;
}

void
kit_backup(
    struct kit *k, struct kit_backup *b, size_t nsinks, const char *chain)
{
	*b = (struct kit_backup){ 0 };
	for (size_t i = 0; i < nsinks; i++)
		b->sinks[i] = (struct out_sink){ .name = buckets[i],
			.store = k->stores[i].store };
	b->opts = (struct out_options){
		.key_prefix = "p/data/id/",
		.filters = b->filters,
		.nfilters = chain_of(k, chain, b->filters),
		.sinks = b->sinks,
		.nsinks = nsinks,
	};
}

void
kit_own(struct kit *k, struct kit_backup *b, size_t sink, const char *chain)
{
	b->sinks[sink].nfilters = chain_of(k, chain, b->own[sink]);
	b->sinks[sink].filters = b->own[sink];
}

void
kit_start(struct kit *k, struct kit_backup *b)
{
	struct hf_error err = { .status = HF_OK };

	assert_int_equal(
	    outflow_new(k->flow, &b->opts, &b->outflow, &err), HF_OK);
	assert_int_equal(out_new(b->outflow, "", &b->out, &err), HF_OK);
}

int
kit_write(struct kit_backup *b, const char *name, size_t size, size_t piece,
    struct hf_error *err)
{
	struct hf_writer *w;
	uint8_t *bytes;
	int rc;

	if ((rc = b->out->ops->begin(b->out, name, size, &w, err)) != HF_OK)
		return rc;
	bytes = must(malloc(piece + 1));
	for (size_t off = 0; off < size; off += piece) {
		size_t n = size - off < piece ? size - off : piece;

		kit_fill(bytes, n, off);
		if ((rc = w->ops->write(w, bytes, n, err)) != HF_OK)
			break;
	}
	free(bytes);
	if (rc == HF_OK)
		return w->ops->commit(w, err);
	w->ops->abort(w);
	return rc;
}

struct flow_object
kit_object(struct kit_backup *b, size_t sink, size_t n)
{
	const struct flow_object *o = out_object(b->out, sink, n);
	static struct filter *filters[16][2 * KIT_FILTERS];
	static size_t next;
	struct filter **all = filters[next++ % 16];
	struct flow_object copy;

	assert_non_null(o);
	copy = *o;
	copy.filters = all;
	copy.nfilters = 0;
	for (size_t i = 0; i < b->opts.nfilters; i++)
		all[copy.nfilters++] = b->filters[i];
	for (size_t i = 0; i < b->sinks[sink].nfilters; i++)
		all[copy.nfilters++] = b->own[sink][i];
	return copy;
}

struct hf_in *
kit_in(struct kit *k, size_t store, const struct flow_object *o)
{
	struct in_options opts = {
		.store = k->stores[store].store, .objects = o, .nobjects = 1
	};
	struct hf_error err = { .status = HF_OK };
	struct hf_in *in;

	assert_int_equal(in_new(k->flow, &opts, &in, &err), HF_OK);
	return in;
}

int
kit_read(struct hf_in *in, const char *name, uint64_t off, uint64_t len,
    uint64_t expect, size_t piece, struct hf_error *err)
{
	struct hf_reader *r;
	uint8_t *bytes;
	uint64_t at = off;
	size_t n;
	int rc;

	if ((rc = in->ops->open(in, name, off, len, &r, err)) != HF_OK)
		return rc;
	bytes = must(malloc(piece));
	while ((rc = r->ops->read(r, bytes, piece, &n, err)) == HF_OK) {
		assert_true(n > 0 && n <= piece);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], kit_byte(at + i));
		at += n;
	}
	if (rc == HF_EOF) {
		assert_int_equal(at - off, expect);
		/* The end stays the end. */
		assert_int_equal(
		    r->ops->read(r, bytes, piece, &n, err), HF_EOF);
	}
	free(bytes);
	r->ops->close(r);
	return rc == HF_EOF ? HF_OK : rc;
}
