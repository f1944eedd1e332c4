/* SPDX-License-Identifier: BSD-2-Clause */
#include "cancel.h"

#include <stddef.h>
#include <time.h>

void
cancel_request(struct cancel *c)
{
	atomic_store(&c->requested, 1);
}

bool
cancel_requested(const struct cancel *c)
{
	return c != NULL && atomic_load(&c->requested) != 0;
}

bool
cancel_sleep(const struct cancel *c, int64_t ms)
{
	while (ms > 0 && !cancel_requested(c)) {
		int64_t step = ms < 50 ? ms : 50;
		struct timespec ts = { .tv_nsec = (long)step * 1000000 };

		(void)nanosleep(&ts, NULL);
		ms -= step;
	}
	return !cancel_requested(c);
}
