/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes on the move: what writing and reading share.
 *
 *   out  engine -> hash, cut -> filters on the pool -> one lane a sink -> store
 *   in   engine <- hash, join <- filters on the pool <- read-ahead <- store
 *
 * Memory is bounded by a fixed number of frames in flight (workers, queues,
 * lanes), whatever the size of the database.  Nothing here knows what an
 * engine, a pipeline or a manifest is.
 */
#ifndef HF_FLOW_FLOW_H
#define HF_FLOW_FLOW_H

#include <holdfast/plugin.h>

#include "base/sha256.h"

struct cancel;
struct filter;
struct flow;

struct flow_options {
	unsigned workers;            /* 0: one per core the process may use */
	size_t frame_size;           /* 0: 1 MiB */
	const struct cancel *cancel; /* may be NULL */
	/* Overflow of a slow sink's queue goes to unlinked files here, once
	 * the engine was held up for spool_after_ms in all.  NULL: it waits. */
	const char *spool_dir;
	int64_t spool_after_ms;
	uint64_t spool_max; /* bytes per sink; 0: while 5 % of the disk, and
			     * 1 GiB at least, stay free */
};

/* The worker pool.  One serves all backups and restores of a process. */
int flow_new(const struct flow_options *, struct flow **, struct hf_error *);
void flow_free(struct flow *);

/* How many threads transform frames. */
unsigned flow_workers(const struct flow *);

/* An object as it is stored in one sink: what the writer found out, and what
 * the reader needs to know. */
struct flow_object {
	char *name; /* as the engine called it */
	char *key;  /* in the store */
	uint64_t raw_size, stored_size;
	char raw_sha256[SHA256_HEX], stored_sha256[SHA256_HEX];
	/* The filters it went through, in the order of writing. */
	struct filter *const *filters; /* borrowed; reading only */
	size_t nfilters;
	/* Raw bytes of each frame but the last; 0: not in frames, and then
	 * there is no index and a range is found by decoding from the
	 * start. */
	uint64_t frame_size;
	/* The index: the stored size of each frame, 32-bit little-endian.
	 * NULL when the object is one frame, or not in frames. */
	char *index_key;
	uint64_t index_size;
	char index_sha256[SHA256_HEX];
};
void flow_object_clear(struct flow_object *); /* frees name, keys */

#define FLOW_INDEX_SUFFIX ".frames"

#endif
