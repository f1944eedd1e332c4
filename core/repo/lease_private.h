/* SPDX-License-Identifier: BSD-2-Clause */
/* The lease's inside: for clean.c, for sinks that hang, and for tests. */
#ifndef HF_REPO_LEASE_PRIVATE_H
#define HF_REPO_LEASE_PRIVATE_H

#include "repo/lease.h"

/* As lease_acquire with a time to live of one's own. */
int lease_acquire_ttl(struct store *, const char *sink, const char *pipeline,
    const char *run_id, const char *verb, int64_t ttl_ms, struct lease **,
    struct hf_error *);

/* Stop renewing and let go of the memory without touching the store again:
 * for a sink that hangs.  The lease expires by itself. */
void lease_abandon(struct lease *);

/* "<pipeline>/lease/<epoch>.json"; the caller frees. */
char *lease_key(const char *pipeline, uint64_t epoch);

#endif
