/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables cut into tasks: one task is one object. */
#ifndef HF_POSTGRES_DUMP_CUT_H
#define HF_POSTGRES_DUMP_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source;

#define CUT_SMALL (256 * 1024)       /* below it tables share objects */
#define CUT_BUNDLE (8 * 1024 * 1024) /* and this is enough for one object */
#define CUT_BUNDLE_TABLES 1000

struct task {
	/* n sources from first on, in cut.order; whole unless parts > 1. */
	size_t first, n;
	bool bundle;          /* 110-small.PART.sql */
	unsigned part, parts; /* part counts from 1 */
	uint64_t from, to;    /* blocks; the first part has no lower bound, the
			       * last no upper one */
	uint64_t size;        /* estimated */
};
struct cut {
	const struct source **order;
	struct task *tasks; /* the largest first */
	size_t ntasks;
};

/* How many parts: chunks of the size, a multiple of jobs so that all are busy
 * to the end, and at most one for each block. */
unsigned
cut_parts(uint64_t size, uint64_t chunk, unsigned jobs, uint64_t blocks);
/* ranges: the server reads ranges of row addresses directly (14 and later).
 * Sets parts of every source; those that are absent get no task.  false: no
 * memory. */
bool cut_make(struct cut *, struct source *, size_t n, uint64_t chunk,
    unsigned jobs, bool ranges);
void cut_clear(struct cut *);

#endif
