/* SPDX-License-Identifier: BSD-2-Clause */
/* One object being read.  Internal to flow; the lock and the bound are
 * written in pool.h.
 *
 *   in.c      the engine's calls, what is there, the first failure
 *   reader.c  frames in order: decode on the pool, hash, hand over, judge
 *   fetch.c   the read-ahead thread: stored bytes, cut by the index
 *
 * Stored bytes become frames with a number.  Frames that can be decoded
 * apart, or need not be, go through the pool as they are; otherwise the
 * read-ahead thread decodes the stream and only hashing is left for the pool.
 * An error has a number too, so that all good bytes before it are read.
 */
#ifndef HF_FLOW_READER_H
#define HF_FLOW_READER_H

#include "base/error.h"
#include "flow/in.h"
#include "flow/pool.h"
#include "plugin/host.h"

struct store_get;

enum reader_mode {
	READER_PLAIN,  /* no filters: stored bytes are raw bytes */
	READER_FRAMES, /* each frame on its own */
	READER_STREAM  /* from the start, in one go */
};

struct in {
	struct hf_in base;
	struct flow *flow;
	struct in_options opts;
	/* What opts has, by name and by key; facts in pairs. */
	const struct flow_object **objects;
	const char *const **facts;
	size_t nfacts;
	struct reader *readers; /* open ones */
	uint64_t done;          /* raw bytes given */
	struct hf_error why;    /* the first failure of stored data */
};

struct reader {
	struct hf_reader base;
	struct reader *next; /* of in */
	struct in *in;
	struct flow *flow;
	const struct flow_object *o;
	enum reader_mode mode;
	bool whole; /* from the first byte to the last: hashes are checked */

	/* Set up by reader_open, then the read-ahead thread's. */
	struct store_get *get;
	struct buf index; /* stored size of each frame, le32 */
	bool index_bad;   /* why_index says how */
	struct hf_error why_index;
	uint64_t first, count; /* frames wanted; FRAMES only */
	uint64_t want;         /* stored bytes wanted; not STREAM */
	struct sha256 *stored_sha;
	uint64_t stored_size;
	bool at_end; /* the store has said so */
	pthread_t thread;
	bool started;

	struct budget budget;
	pthread_cond_t changed;
	struct frames decoded, ready;
	uint64_t fetched, ordered; /* frames */
	uint64_t total;            /* frames, when ended */
	bool ended, closing, draining;
	size_t active; /* frames with the pool */
	int status;    /* at frame number failed_at */
	uint64_t failed_at;
	struct hf_error why;

	/* touched only by the one that drains */
	struct sha256 *raw_sha;
	uint64_t raw_size;

	/* the engine's */
	uint64_t skip, left; /* raw bytes before and of the range */
	size_t pos;          /* in ready.head */
	bool judged;         /* the end was checked */
};

/* ---- in.c ---- */
extern const struct in_ops in_table;

/* ---- reader.c ---- */
int reader_open(struct in *, const struct flow_object *, uint64_t off,
    uint64_t len, struct reader **, struct hf_error *);
int
reader_read(struct reader *, void *, size_t cap, size_t *n, struct hf_error *);
void reader_close(struct reader *);
/* Lock held: the frame, or the thing that stands in its place, is bad. */
void
reader_fail(struct reader *, uint64_t seq, int status, const struct hf_error *);
/* The read-ahead thread hands over a frame that has a ticket and a number. */
void reader_submit(struct reader *, struct frame *);
/* "object NAME (KEY): " and what is wrong. */
int reader_corrupt(const struct reader *, struct hf_error *, const char *fmt,
    ...) HF_PRINTF(3, 4);

/* ---- fetch.c ---- */
/* Choose the mode, get the index, open the store's object. */
int
fetch_prepare(struct reader *, uint64_t off, uint64_t len, struct hf_error *);
void *fetch_run(void *reader);

#endif
