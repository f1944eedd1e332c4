/* SPDX-License-Identifier: BSD-2-Clause */
/* A full base backup and increments on it, made by hand, as a server of
 * version 17 would: tar files, manifests, facts.  Its relations have small
 * blocks and short files. */
#ifndef HF_TESTS_CHAINKIT_H
#define HF_TESTS_CHAINKIT_H

#include <holdfast/plugin.h>

#include "support/tarkit.h"

#define CHAINKIT_MAX 8
#define CHAINKIT_BLOCK 1024u
#define CHAINKIT_SEGMENT 8u /* blocks of a file, at most */
#define CHAINKIT_SYSTEM "7234567890123456789"
#define CHAINKIT_SPACE "16400" /* a tablespace */

struct chainkit {
	struct memout *links[CHAINKIT_MAX];
	size_t n;
	const char *label; /* of the next link, instead of a right one */
	/* Of the link that is being made. */
	struct tarkit base, space;
	bool has_space;
	char *manifest;
	size_t len, cap;
};

void chainkit_free(struct chainkit *);
/* The next link, with what every base backup has. */
void chainkit_link(struct chainkit *);
/* A tablespace, even if no file is in it. */
void chainkit_space(struct chainkit *);
/* A file of base.tar, or of the tablespace by its path; and in the
 * manifest. */
void
chainkit_file(struct chainkit *, const char *path, const void *, size_t len);
/* Into the manifest alone, or into the tar alone. */
void
chainkit_listed(struct chainkit *, const char *path, const void *, size_t len);
void
chainkit_stored(struct chainkit *, const char *path, const void *, size_t len);
/* INCREMENTAL.file: n blocks, laid end to end in blocks. */
void chainkit_increment(struct chainkit *, const char *path, uint32_t keep,
    uint32_t n, const uint32_t *numbers, const void *blocks);
/* The same as bytes, into out; how many. */
size_t chainkit_encode(unsigned char *out, uint32_t keep, uint32_t n,
    const uint32_t *numbers, const void *blocks);
#define CHAINKIT_ENCODED ((size_t)CHAINKIT_BLOCK * (CHAINKIT_SEGMENT + 1))
/* The link is whole. */
void chainkit_done(struct chainkit *);
/* LSN at which a link begins. */
const char *chainkit_start(size_t link, char text[24]);

#endif
