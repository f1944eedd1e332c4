/* SPDX-License-Identifier: BSD-2-Clause */
/* A request to stop: set by a signal handler or a time limit, seen by every
 * loop that takes long.  Setting is async-signal-safe. */
#ifndef HF_BASE_CANCEL_H
#define HF_BASE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cancel {
	atomic_int requested;
};

void cancel_request(struct cancel *);

/* NULL: never. */
bool cancel_requested(const struct cancel *);

/* Sleep; false as soon as it was requested (within 50 ms). */
bool cancel_sleep(const struct cancel *, int64_t ms);

#endif
