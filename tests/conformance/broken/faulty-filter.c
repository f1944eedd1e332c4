/* SPDX-License-Identifier: BSD-2-Clause */
/* A filter that changes little and, when told so, breaks one rule: see
 * faulty-store.c.
 *
 * A frame is pieces, each a length (1 to 255) and so many bytes xor 0x5a, then
 * a zero and the sum of all bytes in 32 bits, little-endian. */
#include <holdfast/plugin.h>

#include <stdlib.h>
#include <string.h>

static const struct hf_host *H;

struct conf {
	const char *fault;
};

struct hf_filter {
	const char *fault;
};

struct hf_xform {
	struct hf_filter *filter;
	bool decode;
	uint32_t sum, stored;
	/* encoding: what waits to go out */
	uint8_t out[300];
	size_t out_len, out_at;
	bool finished;
	/* decoding: where in a frame */
	enum { LENGTH, BYTES, SUM } state;
	size_t left;
	bool between; /* nothing of a frame was read yet */
	bool any;     /* one frame at least was read */
};

static bool
has(const struct hf_filter *f, const char *fault)
{
	return strcmp(f->fault, fault) == 0;
}

static int
filter_open(const struct hf_ctx *ctx, const void *conf, struct hf_filter **out,
    struct hf_error *err)
{
	const struct conf *c = conf;
	struct hf_filter *f = calloc(1, sizeof *f);

	(void)ctx;
	if (f == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	f->fault = c->fault;
	*out = f;
	return HF_OK;
}

static void
filter_close(struct hf_filter *f)
{
	free(f);
}

static int
filter_begin(struct hf_filter *f, bool decode, const char *name,
    struct hf_xform **out, struct hf_error *err)
{
	struct hf_xform *x = calloc(1, sizeof *x);

	(void)name;
	if (x == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	x->filter = f;
	x->decode = decode;
	x->between = true;
	*out = x;
	return HF_OK;
}

static void
filter_end(struct hf_xform *x)
{
	if (!has(x->filter, "leak"))
		free(x);
}

/* Make the next piece, or the end, out of the input. */
static void
fill_piece(struct hf_xform *x, struct hf_step *s)
{
	size_t n = s->src_len - s->src_used;

	x->out_at = x->out_len = 0;
	if (n > 255)
		n = 255;
	if (n > 0) {
		x->out[x->out_len++] = (uint8_t)n;
		for (size_t i = 0; i < n; i++) {
			uint8_t b = s->src[s->src_used++];

			x->sum += b;
			x->out[x->out_len++] = b ^ 0x5a;
		}
		if (has(x->filter, "lossy") && n == 255)
			x->out[255] = 0;
	} else if (s->last && !x->finished) {
		x->out[x->out_len++] = 0;
		for (int i = 0; i < 4; i++)
			x->out[x->out_len++] = (uint8_t)(x->sum >> 8 * i);
		x->finished = true;
	}
}

static int
encode(struct hf_xform *x, struct hf_step *s)
{
	for (;;) {
		if (x->out_at == x->out_len) {
			if (x->finished)
				return HF_EOF;
			fill_piece(x, s);
			if (x->out_len == 0)
				return HF_OK;
		}
		if (s->dst_len == s->dst_cap)
			return HF_OK;
		s->dst[s->dst_len++] = x->out[x->out_at++];
	}
}

static int
damaged(struct hf_xform *x, struct hf_error *err, const char *what)
{
	return H->fail(err,
	    has(x->filter, "transient") ? HF_E_TRANSIENT : HF_E_CORRUPT,
	    "damaged stream: %s", what);
}

/* A byte that gives no output.  HF_EOF at the end of a frame. */
static int
decode_mark(struct hf_xform *x, uint8_t b, struct hf_error *err)
{
	if (x->state == LENGTH) {
		x->between = false;
		x->left = b == 0 ? 4 : b;
		x->state = b == 0 ? SUM : BYTES;
		x->stored = 0;
		return HF_OK;
	}
	x->stored |= (uint32_t)b << 8 * (4 - x->left);
	if (--x->left > 0)
		return HF_OK;
	if (x->stored != x->sum)
		return damaged(x, err, "the sum does not agree");
	x->state = LENGTH;
	x->sum = 0;
	x->between = x->any = true;
	return HF_EOF;
}

static int
decode(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	while (s->src_used < s->src_len) {
		uint8_t b = s->src[s->src_used];
		int status;

		if (x->any && has(x->filter, "one-frame"))
			return damaged(x, err, "a second frame");
		if (x->state == BYTES) {
			if (s->dst_len == s->dst_cap)
				return HF_OK;
			b ^= 0x5a;
			x->sum += b;
			s->dst[s->dst_len++] = b;
			s->src_used++;
			if (--x->left == 0)
				x->state = LENGTH;
			continue;
		}
		s->src_used++;
		status = decode_mark(x, b, err);
		if (status < HF_OK)
			return status;
	}
	if (!s->last)
		return HF_OK;
	if ((x->between && x->any) || has(x->filter, "truncation"))
		return HF_EOF;
	return damaged(x, err, "it ends too early");
}

static int
filter_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	if (has(x->filter, "stuck")) {
		s->src_used = s->dst_len = 0;
		return HF_OK;
	}
	if (has(x->filter, "unset"))
		return HF_EOF;
	s->src_used = s->dst_len = 0;
	return x->decode ? decode(x, s, err) : encode(x, s);
}

static const struct hf_filter_ops filter_ops = {
	.struct_size = sizeof(struct hf_filter_ops),
	.flags = HF_FILTER_FRAMES,
	.suffix = ".faulty",
	.open = filter_open,
	.close = filter_close,
	.begin = filter_begin,
	.step = filter_step,
	.end = filter_end,
};

static const struct hf_option options[] = {
	{ "fault", HF_OPT_STRING, 0, offsetof(struct conf, fault), "none", NULL,
	    "which rule to break" },
	{ .name = NULL },
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "faulty-filter",
	.version = "1",
	.summary = "bytes that break a rule",
	.options = options,
	.conf_size = sizeof(struct conf),
	.filter = &filter_ops,
};

HF_REGISTER(plugin, H);
