/* SPDX-License-Identifier: BSD-2-Clause */
/* A backup in memory, with calls that fail when they are told to. */
#ifndef HF_CONFORM_MEMIO_H
#define HF_CONFORM_MEMIO_H

#include <pthread.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "plugin/host.h"

struct memio_object {
	struct memio_object *next;
	char *name;
	struct buf data;
};

struct memio_fact {
	struct memio_fact *next;
	char *key, *value;
};

/* What was kept, and what may fail.  lock protects all of it. */
struct memio {
	struct hf_out out; /* first: what the engine sees */
	struct hf_in in;
	pthread_mutex_t lock;
	struct memio_object *objects; /* in the order of commit */
	struct memio_fact *facts;
	/* Of all calls that can fail the fail_at-th (from 1) does, and each
	 * one after it: as a sink that is gone, or a cancelled run. */
	size_t calls, fail_at;
	int fail_status;
	struct cancel *cancel; /* is requested together with that failure */
	/* reading: the byte, over all objects, at which damage is found */
	uint64_t damage_at, read;
	/* writers or readers: now, at most, ever */
	size_t open, most_open, begun, committed, aborted;
	size_t calls_after; /* since the first that failed */
};

void memio_init(struct memio *);
void memio_clear(struct memio *);

/* Count from the start again, with nothing to fail. */
void memio_reset(struct memio *);

#define MEMIO_NO_DAMAGE UINT64_MAX

#endif
