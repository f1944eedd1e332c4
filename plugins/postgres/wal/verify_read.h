/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading all objects of one system, on several threads. */
#ifndef HF_POSTGRES_WAL_VERIFY_READ_H
#define HF_POSTGRES_WAL_VERIFY_READ_H

#include "archive.h"

/* Of each object, by its number in the archive. */
struct verdict {
	char *why;  /* what is wrong with it; NULL: nothing */
	bool read;  /* all of it */
	bool ended; /* a segment whose records end before it does */
};

/* Every object: its hash, and of a segment its length, header and records, which
 * are followed from each segment into the next, across timelines too.  Memory:
 * less than 1 MiB a thread, and what a commit needs.  One that cannot be found
 * any more (it was removed meanwhile) is neither read nor wrong.  verdicts: one
 * for each object, zeroed; to be cleared. */
int verify_read(struct hf_engine *, struct hf_in *log, const struct archive *,
    struct verdict *, struct hf_error *);
void verify_read_clear(struct verdict *, size_t n);

#endif
