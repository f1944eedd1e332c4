/* SPDX-License-Identifier: BSD-2-Clause */
/* What filters that work in frames share: states of streams that have ended,
 * kept for the next one.  A frame is a stream of its own, and building a state
 * costs as much as compressing some of it.  There are never more than were in
 * use at once. */
#ifndef HF_SINKS_IDLE_H
#define HF_SINKS_IDLE_H

#include <pthread.h>
#include <stdbool.h>

/* The first member of a state. */
struct idle_state {
	struct idle_state *next;
};

struct idle {
	pthread_mutex_t lock; /* guards the lists */
	struct idle_state *first[2];
};

/* 0, or an errno. */
int idle_init(struct idle *);
/* Gives the states that are kept to done, which frees them. */
void idle_clear(struct idle *, void (*done)(struct idle_state *));

/* One that encodes or decodes; NULL when none is left. */
struct idle_state *idle_take(struct idle *, bool decode);
void idle_give(struct idle *, bool decode, struct idle_state *);

#endif
