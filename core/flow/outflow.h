/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of writing.  Internal to flow; the lock and the bound are
 * written in pool.h.
 *
 *   writer.c  the engine's calls: fill a frame, get a ticket, hand it over
 *   object.c  one object: hash raw bytes in order, transform in any order,
 *             hash stored bytes in order, give each sink's lane the frame
 *   lane.c    one object in one sink: a queue, a put handle, own filters
 *   sink.c    a sink's threads, its end, its stalling
 *   spool.c   where a slow sink's queue goes when it is too long
 *   out.c     the outflow: life, waiting for the end, results
 */
#ifndef HF_FLOW_OUTFLOW_H
#define HF_FLOW_OUTFLOW_H

#include <stdatomic.h>

#include "base/error.h"
#include "flow/chain.h"
#include "flow/out.h"
#include "flow/pool.h"
#include "plugin/host.h"

struct store_put;

/* Frames that a sink keeps in memory when it spools. */
#define SINK_MEMORY 4
#define SINK_THREADS 4

/* What a lane has to store: a frame in memory, or one in the spool. */
struct item {
	struct item *next;          /* in the lane */
	struct item *newer, *older; /* in the sink's list of memory */
	struct frame *frame;        /* NULL: in the spool */
	uint64_t off;
	size_t len;
	bool spooling; /* the spool's thread is writing it ... */
	bool gone;     /* ... and nobody wants that any more: it frees it */
};

enum lane_state { LANE_OPEN, LANE_COMMITTED, LANE_ABORTED };

struct lane {
	struct object *object;
	struct sink *sink;
	struct lane *next_ready;
	struct item *head, *tail;
	enum lane_state state;
	bool queued; /* in the sink's list of ready ones */
	bool busy;   /* a thread is at it; only that one touches what follows
		      * until result */
	bool end;    /* no item follows */
	bool abort;
	struct store_put *put;
	struct chain *stream; /* own filters that take no frames */
	struct sha256 *sha;   /* only with own filters */
	struct buf index;     /* only with own filters */
	uint64_t nframes;
	struct flow_object result; /* name and keys from the start */
};

struct object {
	struct object *next; /* of all */
	struct outflow *of;
	struct out *out;
	struct writer *writer; /* while open */
	struct task hash;      /* queued or running while hashing */
	bool hashing, draining;
	bool ended; /* no frame follows the submitted ones */
	bool failed, aborted, final, committed;
	struct frames raw;  /* not yet hashed */
	struct frames done; /* transformed, by seq */
	uint64_t submitted, ordered;
	uint64_t size_hint;
	/* touched only by the one that hashes */
	struct sha256 *raw_sha;
	uint64_t raw_size;
	/* touched only by the one that drains */
	struct sha256 *stored_sha; /* NULL: the same bytes as raw */
	struct chain *stream;      /* common filters behind the frames */
	struct buf spill;          /* what stream works into */
	struct buf index;          /* stored size of each frame, le32 */
	uint64_t stored_size;
	char raw_hex[SHA256_HEX], stored_hex[SHA256_HEX];
	struct hf_error *why; /* when failed; NULL without memory */
	int status;
	struct lane lanes[];
};

struct sink_thread {
	struct sink *sink;
	pthread_t thread;
	int64_t since;         /* start of the plugin call it is in, or 0 */
	bool holds;            /* a frame, in that call */
	bool lent;             /* the budget grew by that frame */
	bool ended;            /* has left its loop */
	struct buf scratch[2]; /* touched by itself only */
};

struct spool {
	pthread_t thread;
	pthread_cond_t work;
	bool started, broken, full_told;
	int fd;
	uint64_t end, live;   /* where to append; bytes somebody still needs */
	atomic_bool no_holes; /* the file system cannot give back parts */
	int64_t retry_at;
};

struct sink {
	struct outflow *of;
	size_t number;
	struct out_sink conf;
	char *name;
	size_t leading; /* own filters that get single frames */
	bool framed;    /* its objects are in frames */
	pthread_cond_t work;
	struct lane *ready, *ready_tail;
	struct sink_thread threads[SINK_THREADS];
	unsigned nthreads, maxthreads;
	struct item *newest, *oldest; /* items in memory */
	size_t in_memory;
	uint64_t taken; /* frames, so far */
	int64_t held;   /* how long writers waited because of it */
	size_t open_lanes;
	int64_t progress; /* when a plugin call last ended */
	bool failed;
	bool abandoned; /* a thread is stuck; nobody waits for it */
	bool spooling;
	bool tell_failed, tell_spooling; /* notices not yet given */
	struct hf_error why;
	struct spool spool;
	uint64_t stored;
	void *keys; /* tree of char *: keys that are taken */
};

struct fact {
	char *key, *value;
};

struct out {
	struct hf_out base;
	struct outflow *of;
	struct out *next;
	char *prefix;
	struct object **objects; /* committed, in order */
	size_t nobjects, cap;
	struct fact **facts; /* in the order they were told */
	size_t nfacts, facts_cap;
	void *fact_tree; /* the same by key: an engine tells one a table */
};

struct writer {
	struct hf_writer base;
	struct object *object;
	struct frame *fill; /* may be NULL */
};

struct outflow {
	struct flow *flow;
	unsigned refs; /* the owner and the sinks' threads */
	struct budget budget;
	pthread_cond_t changed;
	char *key_prefix;
	struct filter **filters;
	size_t nfilters, leading;
	bool literal, no_spool;
	struct object *objects;
	struct out *outs;
	void (*notice)(void *, size_t, const char *, const struct hf_error *);
	void *arg;
	bool stop;      /* threads end when nothing is left to do */
	bool closed;    /* outflow_close is through */
	size_t telling; /* notices being given */
	size_t waiting; /* writers that wait for a ticket, and since when */
	int64_t waited_from;
	size_t active; /* frames between submit and the lanes */
	uint64_t raw_bytes;
	int64_t cancelled_at; /* when it was first seen */
	size_t nlive;
	size_t first_failed;
	size_t nsinks;
	struct sink sinks[];
};

/* ---- out.c ---- */
/* Unlock, and give notices that became due. */
void outflow_unlock(struct outflow *);
/* One reference less; the last frees all.  Lock not held. */
void outflow_unref(struct outflow *);
/* Wait for a change, look after cancelling and stalls.  Lock held. */
void outflow_wait(struct outflow *);
/* HF_OK while writing makes sense: not cancelled, a sink is left. */
int outflow_state(struct outflow *, struct hf_error *);

/* ---- writer.c ---- */
extern const struct out_ops writer_ops;
void writer_facts_free(struct out *);

/* ---- object.c ---- */
int object_new(struct out *, const char *name, uint64_t size_hint,
    struct object **, struct hf_error *);
void object_free(struct object *);
/* Lock held: take a frame that has a ticket. */
void object_submit(struct object *, struct frame *);
/* Lock held, dropped and taken again: nothing follows. */
void object_end(struct object *);
/* Lock held: stop it in all sinks.  The first error stays. */
void object_fail(struct object *, int status, const struct hf_error *);
void object_abort(struct object *);
/* Lock held; it is final and settled: give back what only its making needed,
 * as a backup may have tens of thousands.  The stream is the caller's, to be
 * closed without the lock. */
struct chain *object_retire(struct object *);
/* Lock held: make its name free again. */
void object_forget(struct object *);
/* Lock held: are all lanes done that somebody may wait for? */
bool object_settled(const struct object *);

/* ---- lane.c ---- */
int lane_init(struct lane *, struct object *, struct sink *, const char *key,
    struct hf_error *);
void lane_clear(struct lane *);
/* Lock held, all. */
int lane_push(struct lane *, struct frame *);
void lane_close(struct lane *);
void lane_abort(struct lane *);
/* Is there something to do? */
bool lane_ready(const struct lane *);
/* Do one thing.  Lock held, dropped in between. */
void lane_step(struct lane *, struct sink_thread *);

/* ---- sink.c ---- */
int sink_init(struct sink *, struct outflow *, size_t number,
    const struct out_sink *, struct hf_error *);
/* Lock held: HF_E_INVALID when another object has the key; NULL is free. */
int sink_claim(struct sink *, char *key);
void sink_unclaim(struct sink *, char *key);
/* Lock held: enough threads for what is open. */
int sink_start(struct sink *, struct hf_error *);
/* Lock held: put the lane in line if it has something to do. */
void sink_wake(struct sink *, struct lane *);
/* Lock held: drop it from the backup. */
void sink_fail(struct sink *, const struct hf_error *);
/* Lock held: has it stalled? */
void sink_check(struct sink *);
/* Lock held: has it nothing under way that can be waited for? */
bool sink_idle(const struct sink *);
/* Not under lock: joins what can be joined. */
void sink_join(struct sink *);
void sink_clear(struct sink *);
/* Lock held: around plugin calls of a sink's thread. */
void sink_enter(struct sink_thread *, bool holds);
void sink_leave(struct sink_thread *);

/* ---- spool.c ---- */
/* Lock held. */
void spool_add(struct sink *, struct item *);    /* now in memory */
void spool_remove(struct sink *, struct item *); /* not in memory now */
void spool_wanted(struct sink *); /* start spooling if it is not */
void spool_release(struct sink *, uint64_t off, size_t len);
/* Not under lock. */
int spool_read(
    struct sink *, uint64_t off, size_t len, struct buf *, struct hf_error *);
void spool_punch(struct sink *, uint64_t off, size_t len);
void spool_stop(struct sink *); /* joins the thread */
void spool_clear(struct sink *);

#endif
