/* SPDX-License-Identifier: BSD-2-Clause */
/* Which backups are kept, and why: rules only, nothing is read or removed. */
#ifndef HF_REPO_RETENTION_H
#define HF_REPO_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_retention;

struct retention_item {
	int64_t at_ms; /* start of the backup */
	/* Its newest check passed; where nothing is checked: none failed. */
	bool proven;
	bool failed;  /* its newest check found damage */
	bool unknown; /* its manifest cannot be read: never removed */
	/* Index of the backup that it builds on, or -1. */
	ptrdiff_t parent;

	bool keep;     /* set by retention_apply */
	char why[160]; /* "last 1, daily 2026-11-21", "needed by 2026..." */
};

/* items: oldest first.  Days, weeks and the like are those of the local zone,
 * and an hour that a clock put back has twice is one; of each the last backup
 * that is not known to be damaged is kept.  The newest proven one always is,
 * and what is kept keeps its parents.  Without any rule everything is kept.
 * Fewer proven ones than min_keep are filled up with the newest proven ones;
 * when there are not as many, nothing is removed.  Returns how many are not
 * kept. */
size_t retention_apply(const struct config_retention *, struct retention_item *,
    size_t n, int64_t now_ms);

/* The index in items of the oldest kept one from whose end on every moment is
 * promised (see hf_engine_ops.log_surplus): the newest that had ended before
 * "wal" begins; ended_ms has one entry an item.  Returned among the kept ones,
 * counted from the oldest. */
size_t
retention_whole(const struct config_retention *, const struct retention_item *,
    const int64_t *ended_ms, size_t n, int64_t now_ms);

#endif
