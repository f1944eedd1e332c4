/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads of a store: parts on their way up, blocks on their way down.
 *
 * A job belongs to who hands it in; it stays valid until it was waited for.
 * The bound: no more jobs run at once than there are threads, and pool_slot
 * lets no more be under way, so memory is (open handles + threads) buffers.
 */
#ifndef HF_S3_POOL_H
#define HF_S3_POOL_H

#include <stdbool.h>

struct hf_error;
struct pool;

struct job {
	void (*run)(struct job *);
	struct job *next;
	bool done;
};

int pool_new(unsigned threads, struct pool **, struct hf_error *);
/* Nothing may be under way. */
void pool_free(struct pool *);

/* Threads start with the first job: HF_E_IO when none can. */
int pool_run(struct pool *, struct job *, struct hf_error *);
void pool_wait(struct pool *, struct job *);
bool pool_done(struct pool *, const struct job *);

/* Wait until fewer than `threads` slots are taken, and take one. */
void pool_take_slot(struct pool *);
void pool_give_slot(struct pool *);

#endif
