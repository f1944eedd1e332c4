/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of the WAL that recovery can stop at, and what ends a segment. */
#ifndef HF_POSTGRES_WAL_RECORD_H
#define HF_POSTGRES_WAL_RECORD_H

#include "segment.h"

/* tot_len 4, xid 4, prev 8, info 1, rmid 1, gap 2, crc 4 */
#define RECORD_HEADER 24
/* More than any server writes (XLogRecordMaxSize). */
#define RECORD_MAX ((uint32_t)1 << 30)
/* Of its body, this much is looked at: what is wanted stands at its beginning,
 * but in the commit of a prepared transaction behind lists. */
#define RECORD_BODY_MAX ((size_t)64 << 20)

struct record {
	lsn_t start, prev;
	uint32_t total, xid;
	uint8_t info, rmid;
	uint32_t crc; /* as it says */
	uint16_t magic;
};

/* Of the header's bytes; start and magic are left alone. */
void record_header(const uint8_t header[RECORD_HEADER], struct record *);
/* Is it one of those that become an event? */
bool record_wanted(const struct record *);
bool record_is_switch(const struct record *);
bool record_is_overwrite(const struct record *);
/* Kind, xid, time and name.  False: it cannot be read.  name points into
 * the body, in which it ends. */
bool record_event(const struct record *, const uint8_t *body, size_t len,
    struct segment_event *);

#endif
