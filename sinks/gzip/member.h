/* SPDX-License-Identifier: BSD-2-Clause */
/* The wrapper of a gzip member (RFC 1952): header and trailer. */
#ifndef HF_GZIP_MEMBER_H
#define HF_GZIP_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct codec;

#define MEMBER_HEADER 10
#define MEMBER_TRAILER 8

/* No time, no name, OS unknown: the same bytes give the same header. */
void member_header(uint8_t out[MEMBER_HEADER]);
void member_trailer(uint8_t out[MEMBER_TRAILER], uint32_t crc, uint64_t size);

/* A header being read, however it is cut into pieces. */
struct member_parser {
	const struct codec *codec; /* for the header's own checksum */
	int field;
	uint8_t fixed[MEMBER_HEADER], small[2];
	size_t have, extra;
	uint32_t crc;
	bool done;
};

void member_parser_init(struct member_parser *, const struct codec *);

/* Take bytes until the header ends (done) or src does.  *used counts them.
 * NULL, or what is wrong with the header. */
const char *member_parse(
    struct member_parser *, const uint8_t *src, size_t len, size_t *used);

/* What a trailer says. */
uint32_t member_trailer_crc(const uint8_t trailer[MEMBER_TRAILER]);
uint32_t member_trailer_size(const uint8_t trailer[MEMBER_TRAILER]);

#endif
