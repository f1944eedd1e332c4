/* SPDX-License-Identifier: BSD-2-Clause */
#include "codec.h"

#include <stdlib.h>
#include <string.h>

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

/* Its tables are read with vector loads. */
#define ALIGNMENT 64

struct encoder {
	struct isal_zstream z;
	int level;
	size_t level_size;
	uint8_t *level_buf; /* behind the struct, in the same block */
};

static uint8_t nowhere[1];

static uint32_t
piece(size_t n)
{
	return (uint32_t)(n < CODEC_PIECE ? n : CODEC_PIECE);
}

static size_t
round_up(size_t n)
{
	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void *
enc_new(int level)
{
	static const uint32_t sizes[] = { 0, ISAL_DEF_LVL1_DEFAULT,
		ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT };
	struct encoder *e;

	if (level < 1 || level > ISAL_DEF_MAX_LEVEL)
		return NULL;
	e = aligned_alloc(
	    ALIGNMENT, round_up(sizeof *e) + round_up(sizes[level]));
	if (e == NULL)
		return NULL;
	e->level = level;
	e->level_size = sizes[level];
	e->level_buf = (uint8_t *)e + round_up(sizeof *e);
	return e;
}

static void
enc_reset(void *state)
{
	struct encoder *e = state;

	isal_deflate_init(&e->z);
	e->z.level = (uint32_t)e->level;
	e->z.level_buf = e->level_buf;
	e->z.level_buf_size = (uint32_t)e->level_size;
	e->z.gzip_flag = IGZIP_DEFLATE;
	e->z.flush = NO_FLUSH;
	e->z.end_of_stream = 0;
}

static int
enc_step(void *state, struct codec_io *io, const char **why)
{
	struct isal_zstream *z = &((struct encoder *)state)->z;
	int rc;

	/* The library does not write to its input. */
	z->next_in = io->src == NULL ? nowhere : (uint8_t *)(uintptr_t)io->src;
	z->avail_in = piece(io->src_len);
	z->next_out = io->dst == NULL ? nowhere : io->dst;
	z->avail_out = piece(io->dst_cap);
	if (io->last && io->src_len <= CODEC_PIECE)
		z->end_of_stream = 1;
	rc = isal_deflate(z);
	io->used = piece(io->src_len) - z->avail_in;
	io->made = piece(io->dst_cap) - z->avail_out;
	io->done = z->internal_state.state == ZSTATE_END;
	if (rc == COMP_OK)
		return 0;
	*why = "ISA-L refused to compress";
	return -1;
}

static void *
dec_new(void)
{
	return aligned_alloc(ALIGNMENT, round_up(sizeof(struct inflate_state)));
}

static void
dec_reset(void *state)
{
	struct inflate_state *s = state;

	isal_inflate_init(s);
	s->crc_flag = ISAL_DEFLATE;
}

static const char *
inflate_text(int rc)
{
	switch (rc) {
	case ISAL_INVALID_BLOCK:
		return "invalid deflate block";
	case ISAL_INVALID_SYMBOL:
		return "invalid deflate symbol";
	case ISAL_INVALID_LOOKBACK:
		return "invalid distance in deflate data";
	default:
		return "invalid deflate data";
	}
}

/* The library reads ahead into a 64-bit buffer and keeps it at the end of a
 * stream; the bytes in it may come from an earlier call's input, so they cannot
 * be given back by moving next_in.  They are handed over instead. */
static void
take_spare(struct inflate_state *s, struct codec_io *io)
{
	uint64_t bits;

	io->nspare = 0;
	if (s->read_in_length < 8)
		return;
	bits = s->read_in >> (s->read_in_length % 8);
	io->nspare = (size_t)s->read_in_length / 8;
	for (size_t i = 0; i < io->nspare; i++, bits >>= 8)
		io->spare[i] = (uint8_t)bits;
	s->read_in = 0;
	s->read_in_length = 0;
}

static int
dec_step(void *state, struct codec_io *io, const char **why)
{
	struct inflate_state *s = state;
	int rc;

	s->next_in = io->src == NULL ? nowhere : (uint8_t *)(uintptr_t)io->src;
	s->avail_in = piece(io->src_len);
	s->next_out = io->dst == NULL ? nowhere : io->dst;
	s->avail_out = piece(io->dst_cap);
	rc = isal_inflate(s);
	io->used = piece(io->src_len) - s->avail_in;
	io->made = piece(io->dst_cap) - s->avail_out;
	io->done = rc >= 0 && s->block_state == ISAL_BLOCK_FINISH;
	io->nspare = 0;
	if (rc < 0) {
		*why = inflate_text(rc);
		return -1;
	}
	if (io->done)
		take_spare(s, io);
	return 0;
}

static uint32_t
crc(uint32_t value, const void *data, size_t len)
{
	return crc32_gzip_refl(value, data, len);
}

const struct codec codec_isal = {
	.name = "ISA-L",
	.enc_new = enc_new,
	.enc_reset = enc_reset,
	.enc_step = enc_step,
	.enc_free = free,
	.dec_new = dec_new,
	.dec_reset = dec_reset,
	.dec_step = dec_step,
	.dec_free = free,
	.crc = crc,
};
