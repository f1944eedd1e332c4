/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads of a store: parts on their way up, blocks on their way down; and
 * the buffers of parts.
 *
 * A job belongs to who hands it in; it stays valid until it was waited for.
 * The bound: no more jobs run at once than there are threads, and slots let no
 * more be under way.  A handle that sends parts waits for a spare slot before
 * it fills another buffer, so n handles have threads + n - 1 of them at most.
 */
#ifndef HF_S3_POOL_H
#define HF_S3_POOL_H

#include <stdbool.h>
#include <stddef.h>

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
/* Wait until one more than that is free: for what is being filled.  With one
 * thread, until none is taken. */
void pool_spare_slot(struct pool *);
/* And the buffer that went with it, to be used again; NULL: none. */
void pool_give_slot(struct pool *, void *buffer, size_t len);

/* Memory for a part, NULL when there is none.  Pages that are never written
 * cost nothing, so it is as large as a part even for a small object.  Those
 * that came back with a slot are kept while slots are taken, no more of them
 * than there are slots left. */
void *pool_buffer(struct pool *, size_t len);
void pool_buffer_free(void *, size_t len); /* NULL is a no-op */

#endif
