/* SPDX-License-Identifier: BSD-2-Clause */
/* One prune: what prune.c and prune_tidy.c share. */
#ifndef HF_REPO_PRUNE_PRIVATE_H
#define HF_REPO_PRUNE_PRIVATE_H

#include "repo/prune.h"
#include "repo/repo_private.h"

struct prune {
	struct repo *r;
	struct prune_result *res;
	struct repo_catalog catalog;
	/* One a sink.  All are taken before anything is removed: what a log
	 * needs depends on the backups of every sink. */
	struct lease **leases;
	bool *on; /* one a sink: it was listed, and is ours */
	bool dry;
};

/* ---- prune_tidy.c ---- */
/* What nobody needs in one sink: old reports, garbage of logs, unfinished
 * uploads, leftovers of dead runs. */
int prune_tidy(struct prune *, size_t sink, struct hf_error *);

#endif
