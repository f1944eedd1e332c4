/* SPDX-License-Identifier: BSD-2-Clause */
/* A file of an incremental backup that has only the blocks that changed.
 *
 * The server's format (17 and later), in its byte order: a magic number, how
 * many blocks follow, the length in blocks below which a block that does not
 * follow is the one that was there before; the numbers of the blocks, in the
 * file; zeros up to a multiple of a block; the blocks.  Without a block there
 * is nothing behind the three numbers.  What it makes of a file has that
 * length, or ends with the highest of its blocks where that is later; what
 * comes from neither is zeros.
 */
#ifndef HF_POSTGRES_RECOVER_INCREMENT_H
#define HF_POSTGRES_RECOVER_INCREMENT_H

#include <sys/types.h>

#include <holdfast/plugin.h>

#define INCREMENT_PREFIX "INCREMENTAL."

struct text;

/* How pg_control says that relations are cut. */
struct geometry {
	uint32_t block_size;     /* bytes */
	uint32_t segment_blocks; /* of a file, at most */
};
/* HF_E_UNSUPPORTED: no server has such blocks or files. */
int geometry_check(const struct geometry *, struct hf_error *);

/* Is it "base/5/INCREMENTAL.16384"? */
bool increment_is(const char *path);
/* "base/5/16384" of that, in place; any other path stays. */
void increment_strip(char *path);
/* And back, behind what is in the text. */
void increment_name(struct text *, const char *path);

/* One that streams in and is applied to a file as it comes.  Memory: four
 * bytes for each block number, and a bit for each block of a file. */
struct increment {
	const struct geometry *geometry;
	const char *name; /* for messages */
	uint32_t head[3];
	uint32_t *numbers; /* head[1] of them */
	uint64_t at;       /* bytes that came */
	uint64_t data;     /* where the blocks begin */
	uint32_t length;   /* of the result, in blocks */
	bool begun;        /* the header was read and found right */
};
/* Both are borrowed until increment_clear. */
void
increment_init(struct increment *, const struct geometry *, const char *name);
/* HF_E_CORRUPT: the header is none; more comes than it says.  fd: of the file,
 * which is changed from the end of the header on. */
int increment_feed(
    struct increment *, int fd, const void *, size_t len, struct hf_error *);
/* All has come: the file gets its length.  HF_E_CORRUPT: something is
 * missing. */
int increment_end(struct increment *, int fd, struct hf_error *);
void increment_clear(struct increment *);

#endif
