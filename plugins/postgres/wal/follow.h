/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the follower share:
 *
 *   follow.c         one life: find, stream timeline after timeline, end
 *   follow_find.c    the server, its slot, its timelines, where to begin
 *   follow_stream.c  one timeline: messages in, confirmations out
 *   follow_lag.c     what is not yet in the log, said every 30 seconds
 *   follow_keeper.c  segments in memory
 *   follow_keeper_store.c  and the thread that stores them
 */
#ifndef HF_POSTGRES_WAL_FOLLOW_H
#define HF_POSTGRES_WAL_FOLLOW_H

#include "follow_keeper.h"
#include "history.h"
#include "name.h"

struct archive;
struct conn;
struct conninfo;

struct lag {
	int64_t since; /* Unix seconds; 0: there is none */
	int64_t look;  /* when to look again, monotonic milliseconds */
	int64_t tell;  /* when to tell again that there is none */
	lsn_t durable; /* at the last look */
};

struct follow {
	struct hf_engine *e;
	const struct hf_ctx *ctx;
	struct hf_out *log;
	struct hf_in *have;
	struct conninfo *info;
	struct conn *c;
	struct keeper *keeper;

	/* The server. */
	uint64_t system;
	uint32_t segment_size;
	uint32_t timeline;      /* its own */
	lsn_t end;              /* of its WAL, as last heard */
	int64_t timeout;        /* wal_sender_timeout, ms; 0: none */
	struct history history; /* of its timeline; timeline 0: none read */

	/* The slot. */
	bool slot;     /* stream by it */
	lsn_t restart; /* 0: it holds nothing */

	/* Where to begin: the first that the server still has.  From a later
	 * one on there is a gap behind what the log has. */
	lsn_t begin[3];
	size_t nbegin;

	lsn_t received;
	struct lag lag;
};

/* follow_find.c: fills what is said above; the slot is made when it is
 * missing, and the histories are in the log. */
int follow_find(struct follow *, struct hf_error *);
/* The history of a timeline into the log, and to go by from now on. */
int follow_history(struct follow *, uint32_t timeline, struct hf_error *);
/* The timeline whose segment of this number goes on: where one was left inside
 * of it, the child's. */
uint32_t follow_timeline(const struct follow *, uint64_t segno);
/* "0000000100000000000000A3" */
const char *follow_file(const struct follow *, lsn_t, char file[WAL_FILE_MAX]);

/* follow_stream.c: from lsn, the beginning of a segment, on.  HF_EOF: the
 * timeline ends, and *next begins at *at.  HF_E_NOTFOUND: the server has no
 * longer what stands at lsn.  HF_E_CANCELLED: what was received is stored as
 * well as it can be, and confirmed.  HF_E_TRANSIENT: the server went away. */
int follow_stream(struct follow *, uint32_t timeline, lsn_t lsn, uint32_t *next,
    lsn_t *at, struct hf_error *);

/* follow_lag.c: to be called often. */
void follow_lag(struct follow *, int64_t now);
/* The server has said that its WAL ends here: the result "log_current" is a
 * moment at which all of it was in the log. */
void follow_current(struct follow *, lsn_t end, int64_t now);

#endif
