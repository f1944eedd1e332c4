/* SPDX-License-Identifier: BSD-2-Clause */
/* Which WAL frame holds the newest version of a page.
 *
 * Memory is bounded by the number of different pages in the WAL (eight bytes
 * each, at most twice over), not by the size of the database or of the WAL.
 */
#ifndef HF_SQLITE_PAGEMAP_H
#define HF_SQLITE_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pagemap {
	uint64_t *at; /* page << 32 | frame */
	size_t n, cap;
};

/* Frames must be added in rising order.  False without memory. */
bool pagemap_add(struct pagemap *, uint32_t page, uint32_t frame);

/* Sort; afterwards at[] has each page once, rising.  Drops pages above
 * last. */
void pagemap_finish(struct pagemap *, uint32_t last);

void pagemap_free(struct pagemap *);

#endif
