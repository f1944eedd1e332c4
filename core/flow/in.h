/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading: objects of one sink, back to raw bytes.
 *
 * A reader fetches stored bytes ahead, decodes frames on the pool and joins
 * them in order.  A whole object is hashed on both sides; the end is HF_EOF
 * only when sizes and hashes agree with what was written, else HF_E_CORRUPT.
 * The engine reads through the host table (in_ops of plugin/host.h).
 */
#ifndef HF_FLOW_IN_H
#define HF_FLOW_IN_H

#include "flow/flow.h"

struct store;

struct in_options {
	struct store *store;
	const struct flow_object *objects; /* borrowed until in_free */
	size_t nobjects;
	/* Facts of the manifest: keys and values in turn, NULL ends;
	 * borrowed; may be NULL. */
	const char *const *facts;
	/* Raw bytes given so far; from any thread; may be NULL. */
	void (*progress)(void *arg, uint64_t done);
	/* The stored bytes of whole objects, in order, as they come: before
	 * anybody has judged them, and from a thread of the reader's.  What is
	 * not HF_OK ends the reading.  May be NULL. */
	int (*stored)(void *arg, const void *, size_t, struct hf_error *);
	void *arg;
};

int in_new(struct flow *, const struct in_options *, struct hf_in **,
    struct hf_error *);
void in_free(struct hf_in *);

/* The first failure of the stored data, which an engine may have hidden
 * behind words of its own: its status, or HF_OK. */
int in_failure(const struct hf_in *, struct hf_error *why);

/* Read one object to its end and throw it away: HF_OK when every byte, the
 * sizes, the hashes and the frame index agree. */
int in_verify(struct hf_in *, const char *name, struct hf_error *);

#endif
