/* SPDX-License-Identifier: BSD-2-Clause */
/* The zstd filter (RFC 8878): every stream is one zstd frame, so frames laid
 * end to end are a file that zstd -d reads, and each can be decoded on its own.
 * Each has a checksum, and its size where that is known when it begins. */
#include <holdfast/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "idle/idle.h"

#define LEVELS "1..19"

/* No level that can be chosen writes a larger window, and no tool does without
 * being asked to.  What is damaged, or of somebody who means harm, may say up
 * to 2 GiB, for each of the threads that decode. */
#define WINDOW_LOG_MAX 23

#define MAGIC ((size_t)4)
#define MAGIC_FRAME 0xfd2fb528u
#define MAGIC_SKIPPABLE 0x184d2a50u
#define SKIPPABLE_MASK 0xfffffff0u

static const struct hf_host *H;

struct conf {
	int64_t level;
};

enum phase { BEGINNING, BODY, FINISHED };

struct hf_xform {
	struct idle_state idle;
	struct hf_filter *filter;
	ZSTD_CCtx *enc; /* one of the two */
	ZSTD_DCtx *dec;
	enum phase phase;
	uint8_t magic[MAGIC];
	size_t have;   /* of magic */
	uint64_t size; /* raw bytes so far */
};

struct hf_filter {
	int level;
	struct idle idle;
};

/* ---- instances ---- */

static int
zstd_open(const struct hf_ctx *ctx, const void *config, struct hf_filter **out,
    struct hf_error *err)
{
	const struct conf *conf = config;
	struct hf_filter *f;

	(void)ctx;
	if ((f = calloc(1, sizeof *f)) == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	f->level = (int)conf->level;
	if (idle_init(&f->idle) != 0) {
		free(f);
		return H->fail(err, HF_E_NOMEM, "cannot make a lock");
	}
	*out = f;
	return HF_OK;
}

static void
xform_free(struct idle_state *state)
{
	struct hf_xform *x = (struct hf_xform *)(void *)state;

	(void)ZSTD_freeCCtx(x->enc);
	(void)ZSTD_freeDCtx(x->dec);
	free(x);
}

static void
zstd_close(struct hf_filter *f)
{
	if (f == NULL)
		return;
	idle_clear(&f->idle, xform_free);
	free(f);
}

static bool
make_encoder(struct hf_xform *x)
{
	return (x->enc = ZSTD_createCCtx()) != NULL &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(
		   x->enc, ZSTD_c_compressionLevel, x->filter->level)) &&
	       !ZSTD_isError(
		   ZSTD_CCtx_setParameter(x->enc, ZSTD_c_checksumFlag, 1));
}

static bool
make_decoder(struct hf_xform *x)
{
	return (x->dec = ZSTD_createDCtx()) != NULL &&
	       !ZSTD_isError(ZSTD_DCtx_setParameter(
		   x->dec, ZSTD_d_windowLogMax, WINDOW_LOG_MAX));
}

static struct hf_xform *
xform_new(struct hf_filter *f, bool decode)
{
	struct hf_xform *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->filter = f;
	if (decode ? make_decoder(x) : make_encoder(x))
		return x;
	xform_free(&x->idle);
	return NULL;
}

static int
zstd_begin(struct hf_filter *f, bool decode, const char *name,
    struct hf_xform **out, struct hf_error *err)
{
	struct hf_xform *x;

	(void)name;
	x = (struct hf_xform *)(void *)idle_take(&f->idle, decode);
	if (x == NULL && (x = xform_new(f, decode)) == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	x->phase = decode ? BEGINNING : BODY;
	x->have = 0;
	x->size = 0;
	if (decode)
		(void)ZSTD_DCtx_reset(x->dec, ZSTD_reset_session_only);
	else
		(void)ZSTD_CCtx_reset(x->enc, ZSTD_reset_session_only);
	*out = x;
	return HF_OK;
}

static void
zstd_end(struct hf_xform *x)
{
	if (x != NULL)
		idle_give(&x->filter->idle, x->dec != NULL, &x->idle);
}

/* ---- steps ---- */

static int
failed(const struct hf_xform *x, int status, size_t code, struct hf_error *err)
{
	if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
		status = HF_E_NOMEM;
	return H->fail(err, status, "zstd: %s after %llu bytes",
	    ZSTD_getErrorName(code), (unsigned long long)x->size);
}

static int
encode(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	ZSTD_inBuffer in = { s->src, s->src_len, 0 };
	ZSTD_outBuffer out = { s->dst, s->dst_cap, 0 };
	bool more;
	size_t left;

	/* When the first call is the last as well, the library knows the size
	 * of all, and works from src to dst without buffers of its own. */
	do {
		left = ZSTD_compressStream2(
		    x->enc, &out, &in, s->last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return failed(x, HF_E_BUG, left, err);
		more = in.pos < in.size || (s->last && left > 0);
	} while (more && out.pos < out.size);
	x->size += in.pos;
	s->src_used = in.pos;
	s->dst_len = out.pos;
	if (s->last && !more)
		x->phase = FINISHED;
	return x->phase == FINISHED ? HF_EOF : HF_OK;
}

static bool
is_magic(const uint8_t p[MAGIC])
{
	uint32_t v = (uint32_t)p[0] | (uint32_t)p[1] << 8 |
		     (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

	return v == MAGIC_FRAME || (v & SKIPPABLE_MASK) == MAGIC_SKIPPABLE;
}

/* The library may have been built to read what zstd wrote before its format was
 * fixed, by code that was not made for bytes of strangers.  Nothing of that gets
 * there. */
static int
decode_magic(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	ZSTD_inBuffer in = { x->magic, MAGIC, 0 };
	ZSTD_outBuffer out = { NULL, 0, 0 };
	size_t n = MAGIC - x->have, code;

	if (n > s->src_len)
		n = s->src_len;
	if (n > 0)
		memcpy(x->magic + x->have, s->src, n);
	x->have += n;
	s->src_used = n;
	if (x->have < MAGIC)
		return HF_OK;
	if (!is_magic(x->magic))
		return H->fail(err, HF_E_CORRUPT, "this is not zstd data");
	code = ZSTD_decompressStream(x->dec, &out, &in);
	if (ZSTD_isError(code))
		return failed(x, HF_E_CORRUPT, code, err);
	if (in.pos < in.size)
		return H->fail(
		    err, HF_E_BUG, "zstd: did not take the start of a frame");
	x->phase = BODY;
	return HF_OK;
}

static int
decode_body(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	ZSTD_inBuffer in = { s->src, s->src_len, s->src_used };
	ZSTD_outBuffer out = { s->dst, s->dst_cap, 0 };
	size_t left, used, made;

	do {
		used = in.pos;
		made = out.pos;
		left = ZSTD_decompressStream(x->dec, &out, &in);
		x->size += out.pos - made;
		if (ZSTD_isError(left))
			return failed(x, HF_E_CORRUPT, left, err);
	} while (left > 0 && (in.pos > used || out.pos > made) &&
		 in.pos < in.size && out.pos < out.size);
	s->src_used = in.pos;
	s->dst_len = out.pos;
	if (left == 0)
		x->phase = FINISHED;
	return HF_OK;
}

static int
decode(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	int rc = HF_OK;

	if (x->phase == BEGINNING)
		rc = decode_magic(x, s, err);
	if (rc == HF_OK && x->phase == BODY)
		rc = decode_body(x, s, err);
	if (rc != HF_OK)
		return rc;
	if (x->phase == FINISHED)
		return HF_EOF;
	/* Where there is room for output, all of it was given. */
	if (s->last && s->src_used == s->src_len &&
	    (x->phase == BEGINNING || s->dst_len < s->dst_cap))
		return H->fail(err, HF_E_CORRUPT,
		    "zstd: the data ends in the middle of a frame, after %llu "
		    "bytes",
		    (unsigned long long)x->size);
	return HF_OK;
}

static int
zstd_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	s->src_used = s->dst_len = 0;
	if (x->phase == FINISHED)
		return HF_EOF;
	return x->dec != NULL ? decode(x, s, err) : encode(x, s, err);
}

/* ---- descriptor ---- */

static char help[512];

static void
describe(void)
{
	(void)snprintf(help, sizeof help,
	    "Compression and decoding: libzstd %s.\n"
	    "What it writes is read by zstd -d, and what zstd and pzstd write "
	    "is read by it, as long as it needs a window of %d MiB at most "
	    "(zstd without --ultra and --long).",
	    ZSTD_versionString(), 1 << (WINDOW_LOG_MAX - 20));
}

static const struct hf_option options[] = {
	{ .name = "level",
	    .type = HF_OPT_INT,
	    .offset = offsetof(struct conf, level),
	    .def = "3",
	    .choices = LEVELS,
	    .help = "1 is fast, 19 is small; 3 suits most" },
	{ .name = NULL },
};

static const struct hf_filter_ops filter_ops = {
	.struct_size = sizeof(struct hf_filter_ops),
	.flags = HF_FILTER_FRAMES,
	.suffix = ".zst",
	.open = zstd_open,
	.close = zstd_close,
	.begin = zstd_begin,
	.step = zstd_step,
	.end = zstd_end,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "zstd",
	.version = HF_PLUGIN_VERSION,
	.summary = "compresses to zstd",
	.help = help,
	.options = options,
	.conf_size = sizeof(struct conf),
	.filter = &filter_ops,
};

HF_EXPORT const struct hf_plugin *hf_plugin_v1(const struct hf_host *host);

/* Not HF_REGISTER: the help names the libzstd that is there at run time. */
const struct hf_plugin *
hf_plugin_v1(const struct hf_host *host)
{
	H = host;
	describe();
	return &plugin;
}
