/* SPDX-License-Identifier: BSD-2-Clause */
#include "codec.h"

#define ZLIB_CONST /* its input is const */

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Negative: no wrapper, 32 KiB window. */
#define WINDOW_BITS (-15)
#define MEM_LEVEL 8

/* zlib wants a place even for no bytes. */
static uint8_t nowhere[1];

static unsigned
piece(size_t n)
{
	return (unsigned)(n < CODEC_PIECE ? n : CODEC_PIECE);
}

static void
offer(z_stream *z, const struct codec_io *io)
{
	z->next_in = io->src == NULL ? nowhere : io->src;
	z->avail_in = piece(io->src_len);
	z->next_out = io->dst == NULL ? nowhere : io->dst;
	z->avail_out = piece(io->dst_cap);
}

static void
account(const z_stream *z, struct codec_io *io)
{
	io->used = piece(io->src_len) - z->avail_in;
	io->made = piece(io->dst_cap) - z->avail_out;
}

static void *
enc_new(int level)
{
	z_stream *z = calloc(1, sizeof *z);

	if (z == NULL)
		return NULL;
	if (deflateInit2(z, level, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL,
		Z_DEFAULT_STRATEGY) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

static void
enc_reset(void *state)
{
	(void)deflateReset(state);
}

static int
enc_step(void *state, struct codec_io *io, const char **why)
{
	z_stream *z = state;
	int rc;

	offer(z, io);
	rc = deflate(
	    z, io->last && io->src_len <= CODEC_PIECE ? Z_FINISH : Z_NO_FLUSH);
	account(z, io);
	io->done = rc == Z_STREAM_END;
	/* Z_BUF_ERROR only says that nothing moved. */
	if (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR)
		return 0;
	*why = z->msg == NULL ? "zlib refused to compress" : z->msg;
	return -1;
}

static void
enc_free(void *state)
{
	if (state == NULL)
		return;
	(void)deflateEnd(state);
	free(state);
}

static void *
dec_new(void)
{
	z_stream *z = calloc(1, sizeof *z);

	if (z == NULL)
		return NULL;
	if (inflateInit2(z, WINDOW_BITS) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

static void
dec_reset(void *state)
{
	(void)inflateReset(state);
}

static int
dec_step(void *state, struct codec_io *io, const char **why)
{
	z_stream *z = state;
	int rc;

	offer(z, io);
	rc = inflate(z, Z_NO_FLUSH);
	account(z, io);
	io->done = rc == Z_STREAM_END;
	io->nspare = 0; /* zlib gives back what it did not need */
	if (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR)
		return 0;
	*why = z->msg == NULL ? "invalid deflate data" : z->msg;
	return -1;
}

static void
dec_free(void *state)
{
	if (state == NULL)
		return;
	(void)inflateEnd(state);
	free(state);
}

static uint32_t
crc(uint32_t value, const void *data, size_t len)
{
	/* With NULL crc32_z starts anew instead of going on. */
	return len == 0 ? value : (uint32_t)crc32_z(value, data, len);
}

const struct codec codec_zlib = {
	.name = "zlib",
	.enc_new = enc_new,
	.enc_reset = enc_reset,
	.enc_step = enc_step,
	.enc_free = enc_free,
	.dec_new = dec_new,
	.dec_reset = dec_reset,
	.dec_step = dec_step,
	.dec_free = dec_free,
	.crc = crc,
};
