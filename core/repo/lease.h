/* SPDX-License-Identifier: BSD-2-Clause */
/* The right to run one pipeline in one sink, for a while.
 *
 * <pipeline>/lease/<epoch>.json (20 digits) is created only if absent, holds
 * owner, host, process, run id and time to live, and is renewed by a thread
 * while held.  Taking over a released, an expired or a dead owner's lease is
 * creating the next epoch.  Expiry goes by the store's clock; a process of this
 * same boot that is gone is dead at once.  Leases save work and never guard
 * data: ids are unique.
 *
 * An epoch's file stays until what its run left has been dealt with, so that
 * clean.c knows whom unpublished objects belonged to.
 */
#ifndef HF_REPO_LEASE_H
#define HF_REPO_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct cancel;
struct hf_error;
struct lease;
struct store;

#define LEASE_TTL_MS 120000

struct lease_info {
	uint64_t epoch;
	char run_id[40], host[64], owner[64]; /* owner: "root, process 4711" */
	char verb[16];                        /* "backup" */
	int64_t renewed_s, ttl_ms;            /* by the store's clock */
	bool released;
	bool dead;    /* its process, or its run in ours, is known to be gone */
	bool expired; /* not renewed within its time to live */
};

/* HF_E_EXISTS: somebody holds it; err says who, where, since when, and until
 * when.  HF_E_INVALID: the store cannot be shared (repo_sink_shareable). */
int lease_acquire(struct store *, const char *sink, const char *pipeline,
    const char *run_id, const char *verb, struct lease **, struct hf_error *);

/* Still ours?  Looks for a higher epoch.  HF_E_CANCELLED when lost. */
int lease_check(struct lease *, struct hf_error *);

/* Marks it released, stops renewing, frees.  NULL is a no-op. */
void lease_release(struct lease *);

/* All epochs of a pipeline, highest last; the caller frees *infos.
 * (For status, and for clean.) */
int lease_list(struct store *, const char *pipeline, struct lease_info **infos,
    unsigned *n, struct hf_error *);
uint64_t lease_epoch(const struct lease *);

#endif
