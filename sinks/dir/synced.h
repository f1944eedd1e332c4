/* SPDX-License-Identifier: BSD-2-Clause */
/* The folders whose own names, and the names of all above them, are durable:
 * each is proved once, and not again for every object in it. */
#ifndef HF_DIR_SYNCED_H
#define HF_DIR_SYNCED_H

#include <pthread.h>
#include <stdbool.h>

#define SYNCED_MAX 16

/* A folder that is removed and made again is another one.  The open descriptor
 * keeps its inode's number from being given to that one. */
struct synced {
	pthread_mutex_t lock; /* held for a moment, and nothing inside it */
	int fds[SYNCED_MAX];  /* of which n are in use */
	unsigned n, next;     /* next: whose place another one takes */
};

/* 0, or errno. */
int synced_init(struct synced *);
void synced_clear(struct synced *);

bool synced_has(struct synced *, int folder);
/* Best effort: one that is not remembered is synced again. */
void synced_add(struct synced *, int folder);

#endif
