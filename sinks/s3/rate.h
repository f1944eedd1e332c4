/* SPDX-License-Identifier: BSD-2-Clause */
/* A limit on bytes a second that many threads share. */
#ifndef HF_S3_RATE_H
#define HF_S3_RATE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
	pthread_mutex_t lock;
	int64_t per_second; /* 0: no limit */
	int64_t next;       /* monotonic us when the next byte may go */
};

void rate_init(struct rate *, int64_t per_second);
void rate_destroy(struct rate *);
/* Wait for a turn: how many of want bytes may go now, at least one. */
size_t rate_take(struct rate *, size_t want);
/* n bytes came: wait until they may have come. */
void rate_wait(struct rate *, size_t n);

#endif
