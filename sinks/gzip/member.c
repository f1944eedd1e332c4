/* SPDX-License-Identifier: BSD-2-Clause */
#include "member.h"

#include <string.h>

#include "codec.h"

#define MAGIC1 0x1f
#define MAGIC2 0x8b
#define METHOD_DEFLATE 8
#define OS_UNKNOWN 255

#define FHCRC 0x02u
#define FEXTRA 0x04u
#define FNAME 0x08u
#define FCOMMENT 0x10u
#define FRESERVED 0xe0u

/* The header's fields in their order. */
enum { FIXED, EXTRA_LEN, EXTRA, NAME, COMMENT, HCRC, END };

static void
put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

void
member_header(uint8_t out[MEMBER_HEADER])
{
	static const uint8_t header[MEMBER_HEADER] = { MAGIC1, MAGIC2,
		METHOD_DEFLATE, 0, 0, 0, 0, 0, 0, OS_UNKNOWN };

	memcpy(out, header, sizeof header);
}

void
member_trailer(uint8_t out[MEMBER_TRAILER], uint32_t crc, uint64_t size)
{
	put32(out, crc);
	put32(out + 4, (uint32_t)size); /* modulo 2^32, says the format */
}

uint32_t
member_trailer_crc(const uint8_t trailer[MEMBER_TRAILER])
{
	return get32(trailer);
}

uint32_t
member_trailer_size(const uint8_t trailer[MEMBER_TRAILER])
{
	return get32(trailer + 4);
}

void
member_parser_init(struct member_parser *p, const struct codec *codec)
{
	memset(p, 0, sizeof *p);
	p->codec = codec;
	p->field = FIXED;
}

/* Go to the next field that the flags say is there. */
static void
advance(struct member_parser *p)
{
	static const uint8_t flag[] = { 0, FEXTRA, FEXTRA, FNAME, FCOMMENT,
		FHCRC };

	p->have = 0;
	do
		p->field++;
	while (p->field < END && (p->fixed[3] & flag[p->field]) == 0);
	p->done = p->field == END;
}

/* Gather n bytes into at.  True when they are complete. */
static bool
gather(struct member_parser *p, uint8_t *at, size_t n, const uint8_t *src,
    size_t len, size_t *used)
{
	size_t take = n - p->have < len ? n - p->have : len;

	memcpy(at + p->have, src, take);
	p->have += take;
	*used = take;
	return p->have == n;
}

static const char *
check_fixed(const uint8_t *f)
{
	if (f[0] != MAGIC1 || f[1] != MAGIC2)
		return "this is not gzip data";
	if (f[2] != METHOD_DEFLATE)
		return "gzip header: unknown compression method";
	if ((f[3] & FRESERVED) != 0)
		return "gzip header: reserved flags are set";
	return NULL;
}

/* The part of the present field that stands in src. */
static const char *
parse_field(
    struct member_parser *p, const uint8_t *src, size_t len, size_t *used)
{
	const uint8_t *nul;
	const char *wrong = NULL;

	switch (p->field) {
	case FIXED:
		if (gather(p, p->fixed, MEMBER_HEADER, src, len, used)) {
			wrong = check_fixed(p->fixed);
			p->crc = p->codec->crc(0, p->fixed, MEMBER_HEADER);
			advance(p);
		}
		return wrong;
	case EXTRA_LEN:
		if (gather(p, p->small, 2, src, len, used)) {
			p->extra = (size_t)(p->small[0] | p->small[1] << 8);
			advance(p);
			p->have = 0;
		}
		break;
	case EXTRA:
		*used = p->extra - p->have < len ? p->extra - p->have : len;
		p->have += *used;
		if (p->have == p->extra)
			advance(p);
		break;
	case HCRC:
		if (gather(p, p->small, 2, src, len, used)) {
			if ((p->crc & 0xffffu) !=
			    (uint32_t)(p->small[0] | p->small[1] << 8))
				wrong = "gzip header: its checksum is wrong";
			advance(p);
		}
		return wrong;
	default: /* NAME, COMMENT */
		nul = memchr(src, 0, len);
		*used = nul == NULL ? len : (size_t)(nul - src) + 1;
		if (nul != NULL)
			advance(p);
		break;
	}
	p->crc = p->codec->crc(p->crc, src, *used);
	return NULL;
}

const char *
member_parse(
    struct member_parser *p, const uint8_t *src, size_t len, size_t *used)
{
	const char *wrong = NULL;
	size_t n;

	*used = 0;
	while (wrong == NULL && !p->done && *used < len) {
		n = 0;
		wrong = parse_field(p, src + *used, len - *used, &n);
		*used += n;
	}
	return wrong;
}
