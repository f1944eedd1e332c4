/* SPDX-License-Identifier: BSD-2-Clause */
#include "increment.h"

#include "postgres.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT32_C(0xd3ae1f0d)
#define BLOCK_MIN 1024
#define BLOCK_MAX 32768
/* 128 GiB at the usual size of a block; a server's own default is 131072. */
#define SEGMENT_MAX (UINT32_C(1) << 24)

enum { HEAD_MAGIC, HEAD_BLOCKS, HEAD_KEEP };

int
geometry_check(const struct geometry *g, struct hf_error *err)
{
	if (g->block_size < BLOCK_MIN || g->block_size > BLOCK_MAX ||
	    (g->block_size & (g->block_size - 1)) != 0 ||
	    g->segment_blocks == 0 || g->segment_blocks > SEGMENT_MAX)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "pg_control says that files have %u blocks of %u bytes",
		    g->segment_blocks, g->block_size);
	return HF_OK;
}

/* ---- names ---- */

/* Behind the last '/'. */
static size_t
last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

bool
increment_is(const char *path)
{
	const char *name = path + last_part(path);
	size_t n = sizeof INCREMENT_PREFIX - 1;

	return strncmp(name, INCREMENT_PREFIX, n) == 0 && name[n] != '\0';
}

void
increment_strip(char *path)
{
	char *name = path + last_part(path);

	if (increment_is(path))
		memmove(name, name + sizeof INCREMENT_PREFIX - 1,
		    strlen(name) - (sizeof INCREMENT_PREFIX - 1) + 1);
}

void
increment_name(struct text *out, const char *path)
{
	size_t n = last_part(path);

	text_add_n(out, path, n);
	text_add(out, INCREMENT_PREFIX);
	text_add(out, path + n);
}

/* ---- the header ---- */

static int
damaged(const struct increment *i, const char *why, struct hf_error *err)
{
	return H->fail(err, HF_E_CORRUPT, "%s: %s", i->name, why);
}

void
increment_init(
    struct increment *i, const struct geometry *geometry, const char *name)
{
	*i = (struct increment){ .geometry = geometry, .name = name };
}

void
increment_clear(struct increment *i)
{
	free(i->numbers);
	*i = (struct increment){ 0 };
}

static int
read_head(struct increment *i, struct hf_error *err)
{
	const struct geometry *g = i->geometry;
	uint32_t n = i->head[HEAD_BLOCKS];

	if (i->head[HEAD_MAGIC] != MAGIC)
		return damaged(i, "it does not begin as an increment", err);
	if (n > g->segment_blocks)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: it says that it has %u blocks; a file has at most %u",
		    i->name, n, g->segment_blocks);
	/* Of a relation of several files some releases of 17 wrote the length
	 * of all: a file that is not the last of them is full. */
	i->length = i->head[HEAD_KEEP] < g->segment_blocks ? i->head[HEAD_KEEP]
							   : g->segment_blocks;
	i->head[HEAD_KEEP] = i->length;
	i->data = sizeof i->head + (uint64_t)n * sizeof *i->numbers;
	if (n == 0)
		return HF_OK;
	i->data += g->block_size - 1;
	i->data -= i->data % g->block_size;
	if ((i->numbers = calloc(n, sizeof *i->numbers)) == NULL)
		return postgres_nomem(err);
	return HF_OK;
}

/* In any order, but each block once: else it would not say what is in it. */
static int
read_numbers(struct increment *i, struct hf_error *err)
{
	uint32_t all = i->geometry->segment_blocks;
	unsigned char *seen = calloc((size_t)all / 8 + 1, 1);
	int rc = HF_OK;

	if (seen == NULL)
		return postgres_nomem(err);
	for (uint32_t k = 0; k < i->head[HEAD_BLOCKS] && rc == HF_OK; k++) {
		uint32_t block = i->numbers[k];
		unsigned char bit = (unsigned char)(1u << block % 8);

		if (block >= all) {
			rc = H->fail(err, HF_E_CORRUPT,
			    "%s: it has block %u; a file has at most %u",
			    i->name, block, all);
		} else if ((seen[block / 8] & bit) != 0) {
			rc = H->fail(err, HF_E_CORRUPT,
			    "%s: it has block %u twice", i->name, block);
		} else {
			seen[block / 8] |= bit;
			if (block >= i->length)
				i->length = block + 1;
		}
	}
	free(seen);
	return rc;
}

/* ---- the file ---- */

static off_t
place(const struct increment *i, uint32_t block)
{
	return (off_t)block * (off_t)i->geometry->block_size;
}

static int
cut(const struct increment *i, int fd, off_t size, struct hf_error *err)
{
	while (ftruncate(fd, size) != 0)
		if (errno != EINTR)
			return H->fail_errno(
			    err, errno, "setting the length of %s", i->name);
	return HF_OK;
}

/* What was above the kept length is gone, and so is a part of a block: where
 * the file grows again there are zeros. */
static int
begin(struct increment *i, int fd, struct hf_error *err)
{
	off_t keep = place(i, i->head[HEAD_KEEP]);
	struct stat st;
	int rc;

	if (i->numbers != NULL && (rc = read_numbers(i, err)) != HF_OK)
		return rc;
	if (fstat(fd, &st) != 0)
		return H->fail_errno(err, errno, "looking at %s", i->name);
	if (st.st_size < keep)
		keep = st.st_size - st.st_size % place(i, 1);
	if (st.st_size != keep && (rc = cut(i, fd, keep, err)) != HF_OK)
		return rc;
	i->begun = true;
	return HF_OK;
}

static int
write_at(const struct increment *i, int fd, const unsigned char *p, size_t len,
    off_t at, struct hf_error *err)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return H->fail_errno(err, errno, "writing %s", i->name);
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return HF_OK;
}

/* Blocks that follow each other in the file are written at once. */
static int
write_blocks(struct increment *i, int fd, const unsigned char *p, size_t len,
    struct hf_error *err)
{
	uint32_t size = i->geometry->block_size, n = i->head[HEAD_BLOCKS];
	uint64_t from = i->at - i->data;
	int rc = HF_OK;

	if (len > n * (uint64_t)size - from)
		return damaged(i, "there is more than its header says", err);
	while (len > 0 && rc == HF_OK) {
		uint32_t k = (uint32_t)(from / size);
		uint32_t inside = (uint32_t)(from % size);
		size_t run = size - inside;

		for (uint32_t m = k + 1; run < len && m < n &&
					 i->numbers[m] == i->numbers[m - 1] + 1;
		     m++)
			run += size;
		run = run < len ? run : len;
		rc = write_at(
		    i, fd, p, run, place(i, i->numbers[k]) + inside, err);
		p += run;
		from += run;
		len -= run;
	}
	return rc;
}

/* ---- as it comes ---- */

/* Up to end, into bytes; so many were taken. */
static size_t
gather(struct increment *i, void *bytes, uint64_t start, uint64_t end,
    const unsigned char *p, size_t len)
{
	size_t n = end - i->at < len ? (size_t)(end - i->at) : len;

	memcpy((unsigned char *)bytes + (i->at - start), p, n);
	return n;
}

static size_t
numbers_end(const struct increment *i)
{
	return sizeof i->head + i->head[HEAD_BLOCKS] * sizeof *i->numbers;
}

int
increment_feed(struct increment *i, int fd, const void *bytes, size_t len,
    struct hf_error *err)
{
	const unsigned char *p = bytes;
	int rc = HF_OK;

	while (len > 0 && rc == HF_OK) {
		size_t n = len;

		if (i->at < sizeof i->head) {
			n = gather(i, i->head, 0, sizeof i->head, p, len);
			if (i->at + n == sizeof i->head)
				rc = read_head(i, err);
		} else if (i->at < numbers_end(i)) {
			n = gather(i, i->numbers, sizeof i->head,
			    numbers_end(i), p, len);
		} else if (i->at < i->data) {
			n = i->data - i->at < len ? (size_t)(i->data - i->at)
						  : len;
		} else {
			rc = write_blocks(i, fd, p, len, err);
		}
		i->at += n;
		p += n;
		len -= n;
		if (rc == HF_OK && !i->begun && i->at >= sizeof i->head &&
		    i->at >= numbers_end(i))
			rc = begin(i, fd, err);
	}
	return rc;
}

int
increment_end(struct increment *i, int fd, struct hf_error *err)
{
	uint64_t blocks = i->head[HEAD_BLOCKS];

	if (!i->begun)
		return damaged(i, "its header is cut", err);
	if (i->at != i->data + blocks * i->geometry->block_size)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: it is cut: %" PRIu64 " bytes came of %" PRIu64,
		    i->name, i->at, i->data + blocks * i->geometry->block_size);
	return cut(i, fd, place(i, i->length), err);
}
