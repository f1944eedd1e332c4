/* SPDX-License-Identifier: BSD-2-Clause */
#include "rate.h"

#include <time.h>

/* So little at a time that no wait is long enough to look like a stall. */
#define STEP_US 100000

void
rate_init(struct rate *r, int64_t per_second)
{
	(void)pthread_mutex_init(&r->lock, NULL);
	r->per_second = per_second;
	r->next = 0;
}

void
rate_destroy(struct rate *r)
{
	(void)pthread_mutex_destroy(&r->lock);
}

static int64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void
rate_wait(struct rate *r, size_t n)
{
	int64_t now, from;
	struct timespec t;

	if (r->per_second <= 0)
		return;
	now = now_us();
	pthread_mutex_lock(&r->lock);
	from = r->next > now ? r->next : now;
	r->next = from + (int64_t)((double)n * 1e6 / (double)r->per_second);
	pthread_mutex_unlock(&r->lock);
	t.tv_sec = (time_t)((from - now) / 1000000);
	t.tv_nsec = (long)((from - now) % 1000000 * 1000);
	if (from > now)
		(void)nanosleep(&t, NULL);
}

size_t
rate_take(struct rate *r, size_t want)
{
	int64_t most = r->per_second * STEP_US / 1000000;

	if (r->per_second <= 0 || want == 0)
		return want;
	if (most < 1)
		most = 1;
	if ((int64_t)want > most)
		want = (size_t)most;
	rate_wait(r, want);
	return want;
}
