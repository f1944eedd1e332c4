/* SPDX-License-Identifier: BSD-2-Clause */
#include "data.h"

#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

static const char *const words[] = { "orders", "customer", "2026-11-21",
	"shipped", "invoice", "the", "a", "backup", "of", "database", "\t",
	"\n", "null", "1024", "3.14", "page", "\\N", "restore", "euro",
	"true" };

const char *
data_kind_name(enum data_kind kind)
{
	static const char *const names[] = { "zeros", "text", "random bytes" };

	return names[kind];
}

static uint64_t
next(uint64_t *state)
{
	/* xorshift64*: the same everywhere, and gzip finds nothing in it */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dU;
}

void
data_fill(enum data_kind kind, uint64_t seed, void *buf, size_t len)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15U + 0x1234567;
	uint8_t *p = buf;
	size_t at = 0;

	if (kind == DATA_ZEROS)
		memset(p, 0, len);
	while (kind == DATA_TEXT && at < len) {
		const char *w =
		    words[next(&state) % (sizeof words / sizeof words[0])];

		for (; *w != '\0' && at < len; w++)
			p[at++] = (uint8_t)*w;
		if (at < len)
			p[at++] = ' ';
	}
	while (kind == DATA_RANDOM && at < len)
		p[at++] = (uint8_t)(next(&state) >> 32);
}

void *
data_alloc(size_t len)
{
	void *p = malloc(len > 0 ? len : 1);

	if (p == NULL)
		verdict_fail("the suite has no memory for %zu bytes", len);
	return p;
}

void *
data_grow(void *old, size_t len)
{
	void *p = realloc(old, len > 0 ? len : 1);

	if (p == NULL)
		verdict_fail("the suite has no memory for %zu bytes", len);
	return p;
}

uint8_t *
data_new(enum data_kind kind, uint64_t seed, size_t len)
{
	uint8_t *p = data_alloc(len);

	data_fill(kind, seed, p, len);
	return p;
}

static void
hash_file(struct sha256 *sha, const char *path)
{
	uint8_t buf[16384];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		verdict_fail("cannot read %s again", path);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		sha256_update(sha, buf, (size_t)n);
	(void)close(fd);
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

void
data_tree(const char *dir, char hex[SHA256_HEX])
{
	char *root = strdup(dir);
	char *const roots[] = { root, NULL };
	struct sha256 *sha = NULL;
	FTS *fts = NULL;
	FTSENT *e;

	if (root == NULL || sha256_new(&sha, NULL) != HF_OK ||
	    (fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name)) ==
		NULL)
		verdict_fail("cannot look through %s", dir);
	while ((e = fts_read(fts)) != NULL) {
		if (e->fts_level == 0 || e->fts_info == FTS_DP)
			continue;
		sha256_update(sha, e->fts_path, e->fts_pathlen + 1);
		sha256_update(sha, e->fts_info == FTS_D ? "d" : "f", 1);
		if (e->fts_info == FTS_F)
			hash_file(sha, e->fts_path);
	}
	(void)fts_close(fts);
	sha256_final(sha, hex);
	sha256_free(sha);
	free(root);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	(void)remove(path);
	return 0;
}

void
data_remove(const char *dir)
{
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
