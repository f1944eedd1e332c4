/* SPDX-License-Identifier: BSD-2-Clause */
/* The header of the WAL index (-shm): which frames a snapshot has. */
#ifndef HF_SQLITE_WALINDEX_H
#define HF_SQLITE_WALINDEX_H

#include "source.h"

struct walindex {
	uint32_t max_frame; /* the last committed frame, 0: none */
	uint32_t page_size;
	uint32_t pages;      /* of the database; 0 while max_frame is */
	uint32_t cksum[2];   /* cumulative, of the last frame */
	uint8_t salt[8];     /* as it stands in the WAL's header */
	bool big_endian;     /* words of the frames' checksums */
	uint32_t backfilled; /* frames already in the database file */
	uint32_t raw[12];    /* to compare two readings */
};

enum walindex_state {
	WALINDEX_OK,
	WALINDEX_TORN,   /* somebody writes it just now: read again */
	WALINDEX_UNKNOWN /* no index, or none of a version we know */
};

/* Read it once through the connection's own mapping. */
enum walindex_state walindex_read(sqlite3_file *, struct walindex *);

/* Start a read transaction and learn exactly which snapshot it reads.
 * HF_E_UNSUPPORTED (nothing recorded) when the index cannot tell. */
int walindex_begin(
    struct source *, sqlite3_file *, struct walindex *, struct hf_error *);

/* Is the snapshot still protected by our lock?  False when somebody has
 * overwritten what only a lost lock lets him. */
bool walindex_held(sqlite3_file *, const struct walindex *snapshot);

#endif
