/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker pool and the frames that travel through it.  Internal to flow.
 *
 * LOCK     flow.lock is the only lock of this folder: it guards the pool and
 *          every outflow, object, sink, lane, spool and reader that hangs off
 *          it.  There is no order to keep because there is no second one.  It
 *          is held for list work only, never while a plugin is called, while
 *          bytes are hashed, copied, read or written, nor while a caller's
 *          function runs.  Whoever wakes looks at everything again.
 * BOUND    A frame in flight holds a ticket of its budget: an outflow has
 *          2 * workers + 6, a reader workers + 2.  A ticket is given back when
 *          the last sink has stored (or spooled) the frame, or the engine has
 *          read it.  Beside those there are one frame an open writer fills,
 *          one buffer a worker works into, and one frame in the hand of a
 *          reader's thread or loaded from the spool by a sink's.
 *          Transforming swaps a frame's buffer with the worker's, so that
 *          nothing in flight ever waits for a second buffer: a frame with a
 *          ticket always gets to its end.  A writer waits for a ticket with a
 *          full frame in hand that counts for nobody, so writers cannot lock
 *          each other out.
 */
#ifndef HF_FLOW_POOL_H
#define HF_FLOW_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "flow/flow.h"

/* Work for a worker.  scratch is the worker's own buffer; run may swap it
 * for another. */
struct task {
	struct task *next;
	void (*run)(struct task *, struct buf *scratch);
};

/* How many frames may be in flight. */
struct budget {
	size_t used, limit, peak;
	pthread_cond_t *room; /* told when a ticket comes back */
};

/* A run of bytes; shared once its bytes are final. */
struct frame {
	struct frame *next;    /* in the one list that it is in */
	struct budget *budget; /* whose ticket it holds, or NULL */
	void *owner;           /* of the task */
	struct task task;
	uint64_t seq;
	unsigned refs;
	struct buf b;
};

struct frames {
	struct frame *head, *tail;
};

struct flow {
	pthread_mutex_t lock;
	pthread_cond_t work;
	unsigned refs; /* the owner, outflows, readers */
	struct task *head, *tail;
	bool stop;

	struct frame *spare; /* recycled, at most max_spare */
	size_t nspare, max_spare;
	size_t alive, peak; /* frames that exist */

	size_t frame_size;
	const struct cancel *cancel;
	char *spool_dir;
	int64_t spool_after_ms;
	uint64_t spool_max;

	unsigned workers, started;
	pthread_t *threads;
};

/* What a frame's buffer has room for: a frame, and what a filter adds to one
 * that does not get smaller. */
size_t pool_capacity(const struct flow *);

/* A frame without a ticket, empty, one reference.  Lock not held. */
int pool_frame(struct flow *, struct frame **, struct hf_error *);

/* One reference less; the last one gives ticket and memory back.  Lock
 * held. */
void pool_unref(struct flow *, struct frame *);

/* Give the frame a ticket; the caller has seen that there is one. */
void pool_ticket(struct budget *, struct frame *);

void pool_append(struct frames *, struct frame *);
struct frame *pool_shift(struct frames *);
/* Keep the list in the order of seq. */
void pool_insert(struct frames *, struct frame *);

/* Let a worker run it.  Lock held. */
void pool_run(struct flow *, struct task *);

/* Wait until told, or for one tick, so that a cancellation, which tells
 * nobody, is seen soon.  Lock held. */
#define POOL_TICK_MS 50
void pool_wait(struct flow *, pthread_cond_t *);

/* A condition whose times are monotonic. */
int pool_cond(pthread_cond_t *, struct hf_error *);

/* Start a thread that leaves signals to the main one. */
int pool_thread(pthread_t *, void *(*)(void *), void *arg, struct hf_error *);

void pool_lock(struct flow *);
void pool_unlock(struct flow *);
struct flow *pool_ref(struct flow *); /* lock held */
void pool_release(struct flow *);     /* lock not held */

int pool_cancelled(const struct flow *, struct hf_error *);

#endif
