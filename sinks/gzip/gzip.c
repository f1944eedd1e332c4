/* SPDX-License-Identifier: BSD-2-Clause */
/* The gzip filter: every stream is one gzip member, so members laid end to
 * end are a file that gunzip reads, and each can be decoded on its own. */
#include <holdfast/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "codec.h"
#include "idle/idle.h"
#include "member.h"

#ifdef HF_HAVE_ISAL
#include <isa-l.h>
#endif

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#ifdef HF_HAVE_ISAL
#define ISAL_TEXT                                   \
	"ISA-L " TEXT(ISAL_MAJOR_VERSION) "." TEXT( \
	    ISAL_MINOR_VERSION) "." TEXT(ISAL_PATCH_VERSION)
#endif

#define ISAL_MAX_LEVEL 3

static const struct hf_host *H;

struct conf {
	int64_t level;
	const char *backend;
};

enum phase { HEADER, BODY, TRAILER, FINISHED };

struct hf_xform {
	struct idle_state idle;
	struct hf_filter *filter;
	bool decode;
	const struct codec *codec;
	void *state;
	enum phase phase;
	struct member_parser parser;
	uint8_t wrap[MEMBER_HEADER]; /* header or trailer, being moved */
	size_t wrap_len, wrap_pos;
	uint32_t crc;
	uint64_t size; /* raw bytes so far */
};

struct hf_filter {
	int level;
	const struct codec *enc, *dec;
	struct idle idle;
};

/* ---- which library does what ---- */

static const struct codec *
decoder(const struct conf *conf)
{
#ifdef HF_HAVE_ISAL
	if (strcmp(conf->backend, "zlib") != 0)
		return &codec_isal;
#endif
	(void)conf;
	return &codec_zlib;
}

static const struct codec *
encoder(const struct conf *conf)
{
	return conf->level <= ISAL_MAX_LEVEL ? decoder(conf) : &codec_zlib;
}

static int
gzip_validate(const void *config, struct hf_error *err)
{
	const struct conf *conf = config;

	if (strcmp(conf->backend, "isal") != 0)
		return HF_OK;
#ifndef HF_HAVE_ISAL
	H->fail(err, HF_E_INVALID,
	    "backend: this gzip filter was built without ISA-L");
	H->fail_note(err, "hint",
	    "Leave \"backend\" out, or build with libisal-dev installed.");
	return HF_E_INVALID;
#else
	if (conf->level > ISAL_MAX_LEVEL) {
		H->fail(err, HF_E_INVALID,
		    "level: ISA-L has levels 1 to %d, not %lld", ISAL_MAX_LEVEL,
		    (long long)conf->level);
		H->fail_note(err, "hint",
		    "Choose a level from 1 to 3, or leave \"backend\" out.");
		return HF_E_INVALID;
	}
	return HF_OK;
#endif
}

/* ---- instances ---- */

static int
gzip_open(const struct hf_ctx *ctx, const void *config, struct hf_filter **out,
    struct hf_error *err)
{
	const struct conf *conf = config;
	struct hf_filter *f;

	(void)ctx;
	if ((f = calloc(1, sizeof *f)) == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	f->level = (int)conf->level;
	f->enc = encoder(conf);
	f->dec = decoder(conf);
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

	if (x->state != NULL && x->decode)
		x->codec->dec_free(x->state);
	else if (x->state != NULL)
		x->codec->enc_free(x->state);
	free(x);
}

static void
gzip_close(struct hf_filter *f)
{
	if (f == NULL)
		return;
	idle_clear(&f->idle, xform_free);
	free(f);
}

static struct hf_xform *
xform_new(struct hf_filter *f, bool decode)
{
	struct hf_xform *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->filter = f;
	x->decode = decode;
	x->codec = decode ? f->dec : f->enc;
	x->state = decode ? x->codec->dec_new() : x->codec->enc_new(f->level);
	if (x->state == NULL) {
		xform_free(&x->idle);
		return NULL;
	}
	return x;
}

static int
gzip_begin(struct hf_filter *f, bool decode, const char *name,
    struct hf_xform **out, struct hf_error *err)
{
	struct hf_xform *x;

	(void)name;
	x = (struct hf_xform *)(void *)idle_take(&f->idle, decode);
	if (x == NULL && (x = xform_new(f, decode)) == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");

	x->phase = HEADER;
	x->crc = 0;
	x->size = 0;
	x->wrap_pos = 0;
	if (decode) {
		x->codec->dec_reset(x->state);
		member_parser_init(&x->parser, x->codec);
		x->wrap_len = 0;
	} else {
		x->codec->enc_reset(x->state);
		member_header(x->wrap);
		x->wrap_len = MEMBER_HEADER;
	}
	*out = x;
	return HF_OK;
}

static void
gzip_end(struct hf_xform *x)
{
	if (x != NULL)
		idle_give(&x->filter->idle, x->decode, &x->idle);
}

/* ---- steps ---- */

/* What of the step is still free. */
static struct codec_io
rest(const struct hf_step *s)
{
	return (struct codec_io){
		.src = s->src == NULL ? NULL : s->src + s->src_used,
		.src_len = s->src_len - s->src_used,
		.dst = s->dst == NULL ? NULL : s->dst + s->dst_len,
		.dst_cap = s->dst_cap - s->dst_len,
		.last = s->last,
	};
}

/* Give header or trailer.  True when all of it is out. */
static bool
emit_wrap(struct hf_xform *x, struct hf_step *s)
{
	size_t n = x->wrap_len - x->wrap_pos;

	if (n > s->dst_cap - s->dst_len)
		n = s->dst_cap - s->dst_len;
	if (n > 0)
		memcpy(s->dst + s->dst_len, x->wrap + x->wrap_pos, n);
	s->dst_len += n;
	x->wrap_pos += n;
	return x->wrap_pos == x->wrap_len;
}

static int
encode_body(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	const char *why = NULL;
	struct codec_io io;

	do {
		io = rest(s);
		if (x->codec->enc_step(x->state, &io, &why) != 0)
			return H->fail(err, HF_E_BUG, "gzip: %s", why);
		x->crc = x->codec->crc(x->crc, io.src, io.used);
		x->size += io.used;
		s->src_used += io.used;
		s->dst_len += io.made;
	} while (!io.done && (io.used > 0 || io.made > 0));
	if (io.done) {
		member_trailer(x->wrap, x->crc, x->size);
		x->wrap_len = MEMBER_TRAILER;
		x->wrap_pos = 0;
		x->phase = TRAILER;
	}
	return HF_OK;
}

static int
encode(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	int rc;

	if (x->phase == HEADER && emit_wrap(x, s))
		x->phase = BODY;
	if (x->phase == BODY && (rc = encode_body(x, s, err)) != HF_OK)
		return rc;
	if (x->phase == TRAILER && emit_wrap(x, s))
		x->phase = FINISHED;
	return x->phase == FINISHED ? HF_EOF : HF_OK;
}

static int
decode_header(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	const char *wrong;
	size_t used;

	if (s->src_used == s->src_len)
		return HF_OK;
	wrong = member_parse(
	    &x->parser, s->src + s->src_used, s->src_len - s->src_used, &used);
	s->src_used += used;
	if (wrong != NULL)
		return H->fail(err, HF_E_CORRUPT, "%s", wrong);
	if (x->parser.done)
		x->phase = BODY;
	return HF_OK;
}

static int
decode_body(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	const char *why = NULL;
	struct codec_io io;

	do {
		io = rest(s);
		if (x->codec->dec_step(x->state, &io, &why) != 0)
			return H->fail(err, HF_E_CORRUPT,
			    "gzip: %s after %llu bytes", why,
			    (unsigned long long)x->size);
		x->crc = x->codec->crc(x->crc, io.dst, io.made);
		x->size += io.made;
		s->src_used += io.used;
		s->dst_len += io.made;
	} while (!io.done && (io.used > 0 || io.made > 0));
	if (io.done) {
		/* The trailer is as long as the spare bytes can be. */
		memcpy(x->wrap, io.spare, io.nspare);
		x->wrap_len = io.nspare;
		x->phase = TRAILER;
	}
	return HF_OK;
}

static int
decode_trailer(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	size_t n = MEMBER_TRAILER - x->wrap_len;
	uint32_t crc, size;

	if (n > s->src_len - s->src_used)
		n = s->src_len - s->src_used;
	if (n > 0)
		memcpy(x->wrap + x->wrap_len, s->src + s->src_used, n);
	s->src_used += n;
	x->wrap_len += n;
	if (x->wrap_len < MEMBER_TRAILER)
		return HF_OK;
	crc = member_trailer_crc(x->wrap);
	size = member_trailer_size(x->wrap);
	if (crc != x->crc)
		return H->fail(err, HF_E_CORRUPT,
		    "gzip: the checksum of the data is %08x, but %08x is "
		    "recorded",
		    x->crc, crc);
	if (size != (uint32_t)x->size)
		return H->fail(err, HF_E_CORRUPT,
		    "gzip: the data has %u bytes (modulo 2^32), but %u are "
		    "recorded",
		    (uint32_t)x->size, size);
	x->phase = FINISHED;
	return HF_OK;
}

static int
decode(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	int rc = HF_OK;

	if (x->phase == HEADER)
		rc = decode_header(x, s, err);
	if (rc == HF_OK && x->phase == BODY)
		rc = decode_body(x, s, err);
	if (rc == HF_OK && x->phase == TRAILER)
		rc = decode_trailer(x, s, err);
	if (rc != HF_OK)
		return rc;
	if (x->phase == FINISHED)
		return HF_EOF;
	/* Without room for output nothing can be said about what is left. */
	if (s->last && s->src_used == s->src_len && s->dst_len == 0 &&
	    (s->dst_cap > 0 || x->phase != BODY))
		return H->fail(err, HF_E_CORRUPT,
		    "gzip: the data ends in the middle of a member, after "
		    "%llu bytes",
		    (unsigned long long)x->size);
	return HF_OK;
}

static int
gzip_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	s->src_used = s->dst_len = 0;
	if (x->phase == FINISHED)
		return HF_EOF;
	return x->decode ? decode(x, s, err) : encode(x, s, err);
}

/* ---- descriptor ---- */

static char help[512];

static void
describe(void)
{
#ifdef HF_HAVE_ISAL
	(void)snprintf(help, sizeof help,
	    "Compression: " ISAL_TEXT " for levels 1 to 3, zlib %s for levels "
	    "4 to 9. Decoding: " ISAL_TEXT ".\n"
	    "What it writes is read by gunzip, and what gzip, pigz and igzip "
	    "write is read by it.",
	    zlibVersion());
#else
	(void)snprintf(help, sizeof help,
	    "Compression and decoding: zlib %s (built without ISA-L, which is "
	    "several times faster).\n"
	    "What it writes is read by gunzip, and what gzip, pigz and igzip "
	    "write is read by it.",
	    zlibVersion());
#endif
}

static const struct hf_option options[] = {
	{ .name = "level",
	    .type = HF_OPT_INT,
	    .offset = offsetof(struct conf, level),
	    .def = "2",
	    .choices = "1..9",
	    .help = "1 is fast, 9 is small; 2 suits most" },
	{ .name = "backend",
	    .type = HF_OPT_ENUM,
	    .offset = offsetof(struct conf, backend),
	    .def = "auto",
	    .choices = "auto|isal|zlib",
	    .help = "the library that does it; auto takes the fastest that "
		    "was built in" },
	{ .name = NULL },
};

static const struct hf_filter_ops filter_ops = {
	.struct_size = sizeof(struct hf_filter_ops),
	.flags = HF_FILTER_FRAMES,
	.suffix = ".gz",
	.open = gzip_open,
	.close = gzip_close,
	.begin = gzip_begin,
	.step = gzip_step,
	.end = gzip_end,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "gzip",
	.version = HF_PLUGIN_VERSION,
	.summary = "compresses to gzip",
	.help = help,
	.options = options,
	.conf_size = sizeof(struct conf),
	.validate = gzip_validate,
	.filter = &filter_ops,
};

HF_EXPORT const struct hf_plugin *hf_plugin_v1(const struct hf_host *host);

/* Not HF_REGISTER: the help names the zlib that is there at run time. */
const struct hf_plugin *
hf_plugin_v1(const struct hf_host *host)
{
	H = host;
	describe();
	return &plugin;
}
