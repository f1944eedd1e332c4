/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks on several threads: COPY out, COPY in, ANALYZE, counting. */
#ifndef HF_POSTGRES_WORKERS_H
#define HF_POSTGRES_WORKERS_H

#include <stdatomic.h>

#include <holdfast/plugin.h>

struct workers_ops {
	/* In its thread, before its first task: *state is the worker's own,
	 * usually a connection whose stop is set to the one given.  May be
	 * NULL, as end. */
	int (*begin)(void *arg, const atomic_bool *stop, void **state,
	    struct hf_error *);
	int (*task)(void *arg, void *state, size_t task, struct hf_error *);
	void (*end)(void *arg, void *state);
};

/* Tasks 0..ntasks-1, taken in this order by n threads (fewer when there are
 * fewer tasks; 0 tasks: HF_OK at once).  The first failure is the result: stop
 * becomes true and no further task begins; failures that follow from stopping
 * are not told.  Returns when all threads have ended. */
int workers_run(unsigned n, size_t ntasks, const struct workers_ops *,
    void *arg, struct hf_error *);

#endif
