/* SPDX-License-Identifier: BSD-2-Clause */
/* Raw deflate (RFC 1951) by one library or another.  The gzip wrapper around
 * it is member.h's, so every library reads and writes the same format, and
 * where a member ends is decided in one place. */
#ifndef HF_GZIP_CODEC_H
#define HF_GZIP_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODEC_SPARE 8

struct codec_io {
	const uint8_t *src;
	size_t src_len;
	uint8_t *dst;
	size_t dst_cap;
	bool last; /* no input follows src */

	/* Set by step. */
	size_t used, made;
	bool done; /* the deflate stream ended, all output is given */
	/* Decoding, when done: whole bytes behind the end of the stream that
	 * were taken in by this call or an earlier one.  They come before
	 * src + used. */
	uint8_t spare[CODEC_SPARE];
	size_t nspare;
};

struct codec {
	const char *name;
	/* A state to reset before each stream; NULL: no memory.  level: 1..9,
	 * as far as the library has it. */
	void *(*enc_new)(int level);
	void (*enc_reset)(void *);
	/* Takes and gives what it can in one go.  0, or -1 with *why. */
	int (*enc_step)(void *, struct codec_io *, const char **why);
	void (*enc_free)(void *);

	void *(*dec_new)(void);
	void (*dec_reset)(void *);
	/* The same; -1: not a deflate stream. */
	int (*dec_step)(void *, struct codec_io *, const char **why);
	void (*dec_free)(void *);

	/* CRC-32 of gzip, continued from crc (0 at the start). */
	uint32_t (*crc)(uint32_t crc, const void *, size_t);
};

extern const struct codec codec_zlib;
#ifdef HF_HAVE_ISAL
extern const struct codec codec_isal;
#endif

/* Largest piece that is handed to a library in one call: their counters are
 * 32 bits wide. */
#define CODEC_PIECE ((size_t)1 << 30)

#endif
