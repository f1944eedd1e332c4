/* SPDX-License-Identifier: BSD-2-Clause */
/* What follow_keeper.c (what comes in, and asking) and follow_keeper_store.c
 * (the thread that brings it into the log) share. */
#ifndef HF_POSTGRES_WAL_FOLLOW_KEEPER_PRIVATE_H
#define HF_POSTGRES_WAL_FOLLOW_KEEPER_PRIVATE_H

#include "follow_keeper.h"

#include <pthread.h>

#define PARTS_MAX 8

/* A segment, from its first byte. */
struct part {
	uint32_t timeline;
	uint64_t segno;
	uint8_t *data;
	size_t known;  /* of the pieces that were in the log already */
	size_t got;    /* received */
	size_t kept;   /* in the log */
	size_t tried;  /* the end of a piece that may be in some sinks: until it
			* is in all, nothing longer may have its name; or 0 */
	int64_t since; /* when there was something new */
	bool left;     /* nothing more comes */
	bool copied;   /* of what was left, the next timeline has all */
	bool whole;    /* no pieces: somebody else's are there */
};

struct piece {
	uint32_t timeline;
	uint64_t segno;
	uint32_t offset;
	enum keeper_piece use;
};

struct keeper {
	struct keeper_conf conf;
	unsigned nparts; /* at most */
	int event;
	bool started;
	pthread_t thread;

	pthread_mutex_t mutex; /* guards all below; but the bytes of a part up
				* to `got` do not change */
	pthread_cond_t work;
	struct part parts[PARTS_MAX];
	unsigned first, n;
	uint8_t *spare;
	struct piece *pieces; /* in the log */
	size_t npieces, cap;
	lsn_t durable;
	bool finish, hurry;
	unsigned tries; /* left, when finishing */
	int64_t failing;
	int status;
	struct hf_error *err;
};

/* The thread. */
void *keeper_main(void *);

/* With the lock: the first part, and it is done; a piece that is in the log
 * (false: no memory). */
struct part *keeper_first(struct keeper *);
void keeper_drop(struct keeper *);
bool keeper_note(struct keeper *, const struct piece *);

#endif
