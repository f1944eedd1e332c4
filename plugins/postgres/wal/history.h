/* SPDX-License-Identifier: BSD-2-Clause */
/* The history of a timeline: which ones it comes from, and where it left them.
 */
#ifndef HF_POSTGRES_WAL_HISTORY_H
#define HF_POSTGRES_WAL_HISTORY_H

#include "name.h"
#include "why.h"

struct history_entry {
	uint32_t timeline;
	lsn_t end; /* the first LSN that is no longer its own */
};
struct history {
	uint32_t timeline;
	size_t n; /* ancestors, oldest first; the last is the parent */
	struct history_entry *entries;
};

/* Of a file's bytes: lines "TIMELINE<tab>LSN<tab>reason", '#' comments.
 * HF_E_CORRUPT says what is wrong.  To be cleared when it is HF_OK. */
int history_parse(const void *, size_t len, uint32_t timeline, struct history *,
    char why[WHY_MAX]);
void history_clear(struct history *);

/* Where it left that ancestor; 0: it is none. */
lsn_t history_end(const struct history *, uint32_t ancestor);

#endif
