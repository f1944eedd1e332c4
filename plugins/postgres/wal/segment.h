/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside a WAL segment: page headers, records, their times.
 *
 * Format: PostgreSQL's src/include/access/xlog_internal.h, xlogrecord.h and
 * xact.h; the same in 13 to 18 but for XLOG_PAGE_MAGIC.
 */
#ifndef HF_POSTGRES_WAL_SEGMENT_H
#define HF_POSTGRES_WAL_SEGMENT_H

#include "name.h"
#include "why.h"

/* The long header of a segment's first page. */
struct segment_header {
	uint16_t magic; /* 0xD110 for 15 */
	uint64_t system_identifier;
	uint32_t segment_size, block_size;
	uint32_t timeline;
	lsn_t address; /* of the segment's first byte */
};
/* At least the first 40 bytes.  HF_E_CORRUPT says what is wrong.  file: for
 * messages. */
int segment_header(const void *, size_t len, const char *file,
    struct segment_header *, struct hf_error *);
int segment_header_why(
    const void *, size_t len, struct segment_header *, char why[WHY_MAX]);
/* HF_E_CORRUPT: it is not the one that the name says.  system 0: any.  The
 * timeline may be an older one: the first segment of a timeline begins with a
 * copy. */
int segment_header_fits(const struct segment_header *, uint64_t system,
    const struct wal_name *, char why[WHY_MAX]);

/* The whole of a segment, by its name in the log; read.c. */
int wal_read_check(const char *name, const void *, size_t len,
    struct segment_header *, char why[WHY_MAX]);

enum segment_event_kind {
	SEGMENT_COMMIT, /* also of prepared transactions */
	SEGMENT_ABORT,
	SEGMENT_RESTORE_POINT,
	SEGMENT_SWITCH,          /* the rest of the segment is empty */
	SEGMENT_END_OF_RECOVERY, /* a new timeline begins */
	SEGMENT_CHECKPOINT
};
struct segment_event {
	enum segment_event_kind kind;
	lsn_t start, end; /* of the record */
	uint32_t xid;     /* commit, abort */
	int64_t time_us;  /* commit, abort, restore point: Unix microseconds */
	const char *name; /* restore point */
};
/* != 0 stops. */
typedef int segment_event_fn(void *arg, const struct segment_event *);

/* Walks the records of segments that are given in their order: a record may
 * cross from one into the next.  Each page header (address, timeline, magic)
 * and each record's CRC and back link are checked. */
struct segment_walk;
/* fn may be NULL. */
int segment_walk_new(
    segment_event_fn *, void *arg, struct segment_walk **, struct hf_error *);
void segment_walk_free(struct segment_walk *);
/* The next bytes of a segment: whole pages, but for the last of a segment that
 * is not whole.  A segment that does not follow the one before begins anew
 * (what began before it is skipped).  HF_E_CORRUPT names file, LSN and what is
 * wrong.  HF_EOF: the records end here (zeros, an old page, half a page), as in
 * a segment that was not full; until another segment begins, what is fed is not
 * looked at either.  Another value: fn's. */
int segment_walk_feed(struct segment_walk *, const void *, size_t len,
    const char *file, struct hf_error *);
/* As it was told last in an error, without the file's name. */
const char *segment_walk_why(const struct segment_walk *);
/* Behind the last whole record, and where it began; 0: none was seen since it
 * began anew. */
lsn_t segment_walk_end(const struct segment_walk *);
lsn_t segment_walk_last(const struct segment_walk *);
/* The newest timeline of a page that was seen. */
uint32_t segment_walk_timeline(const struct segment_walk *);

/* What a segment's document in the log says, so that listing needs no data. */
struct segment_facts {
	/* Of commits and aborts, at which a recovery by time can stop: the
	 * earliest and the latest.  0: none in it. */
	int64_t first_commit_us, last_commit_us;
	/* Behind the last record that is whole in it; 0: none is. */
	lsn_t end;
};
/* Of one segment in memory (or a part from its beginning); records that begin
 * before it are skipped.  Never fails on odd content: facts stay as far as it
 * could be read. */
void segment_facts(const void *, size_t len, struct segment_facts *);
/* The same of parts, which segment_walk_feed is given (its results do not
 * matter).  NULL: no memory, and so no facts. */
struct segment_walk *segment_facts_begin(struct segment_facts *);
/* Frees the walk, which may be NULL. */
void segment_facts_end(struct segment_walk *, struct segment_facts *);

#endif
