/* SPDX-License-Identifier: BSD-2-Clause */
/* What has been received and is not yet in the log: a few segments in memory,
 * and a thread that stores them.
 *
 * A full segment is stored whole; of the one that is filling up a piece, every
 * `flush` when there are new bytes.  A failure of the log is tried again until
 * it works; meanwhile what is here stays, and no more is taken in than there is
 * room for.  Bound: eight buffers, or 64 MiB, but two buffers at least; those
 * larger than 16 MiB are files in the scratch folder, mapped; of what has arrived
 * or was stored no memory is kept then.
 */
#ifndef HF_POSTGRES_WAL_FOLLOW_KEEPER_H
#define HF_POSTGRES_WAL_FOLLOW_KEEPER_H

#include "name.h"

struct keeper_conf {
	const struct hf_ctx *ctx;
	struct hf_out *log;
	uint64_t system;
	uint32_t segment_size;
	int64_t flush; /* milliseconds */
};

struct keeper;

int keeper_new(const struct keeper_conf *, struct keeper **, struct hf_error *);
/* Stores nothing more. */
void keeper_free(struct keeper *);

/* Is there a free buffer?  Then as much as a message brings can be added. */
bool keeper_room(struct keeper *);
/* The next bytes; lsn is where the last ones ended, or the beginning of a
 * segment.  HF_E_EXISTS: the log has other bytes there; what failed for good
 * in the thread is returned here too. */
int keeper_add(struct keeper *, uint32_t timeline, lsn_t lsn, const void *,
    size_t len, struct hf_error *);
/* Before the first bytes of a segment: what pieces in the log have of it, in
 * their order; what comes is compared with it. */
int keeper_known(struct keeper *, uint32_t timeline, uint64_t segno,
    uint32_t offset, const void *, size_t len, struct hf_error *);
/* There is such a piece in the log; what stands for it, so that it is removed.
 * The old primary's own commits after a promotion may be in pieces alone: those
 * stay, from the segment's beginning on. */
enum keeper_piece {
	KEEPER_PIECE,        /* its segment, when that is there whole */
	KEEPER_PIECE_COPIED, /* or that of a timeline which began in it */
	KEEPER_PIECE_SURPLUS /* such a one is there */
};
void keeper_piece(struct keeper *, const struct wal_name *, enum keeper_piece);
/* The timeline was left there (0: what follows is no continuation): what there
 * is of its last segment becomes a piece. */
void keeper_leave(struct keeper *, lsn_t at);

/* Up to here everything is in the log. */
lsn_t keeper_durable(struct keeper *);
/* Becomes readable when that changed, or the thread failed for good. */
int keeper_event(const struct keeper *);
/* HF_OK, or what ended the thread. */
int keeper_status(struct keeper *, struct hf_error *);
/* Since when (Unix seconds) the log takes nothing; 0: it does. */
int64_t keeper_failing(struct keeper *);

/* Store what there is now: somebody waits for it. */
void keeper_hurry(struct keeper *);
/* Store what there is, trying so many times, and end the thread. */
void keeper_finish(struct keeper *, unsigned tries);

#endif
