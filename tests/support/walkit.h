/* SPDX-License-Identifier: BSD-2-Clause */
/* WAL as a server writes it, made by hand: pages, records, timelines.
 *
 * With a CRC of its own, so that a mistake in the reader's is seen. */
#ifndef HF_TESTS_WALKIT_H
#define HF_TESTS_WALKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WALKIT_SEGMENT ((uint32_t)1 << 20)
#define WALKIT_PAGE ((uint32_t)8192)
#define WALKIT_MAGIC 0xD110 /* of 15 */

struct walkit;

/* From the segment that begins at start on.  Never NULL: it aborts. */
struct walkit *walkit_new(
    uint64_t system, uint32_t timeline, uint32_t segment_size, uint64_t start);
void walkit_free(struct walkit *);

/* Pages from here on have another magic, as of another server version. */
void walkit_magic(struct walkit *, uint16_t);
/* The next pages belong to a new timeline: a promotion at the end. */
void walkit_timeline(struct walkit *, uint32_t timeline);
/* A copy, to fork. */
struct walkit *walkit_copy(const struct walkit *);

/* Each returns the LSN at which the record begins. */
uint64_t walkit_record(struct walkit *, uint8_t rmid, uint8_t info,
    uint32_t xid, const void *data, size_t len);
uint64_t walkit_commit(struct walkit *, uint32_t xid, int64_t time_us);
uint64_t walkit_abort(struct walkit *, uint32_t xid, int64_t time_us);
/* COMMIT PREPARED of xid, with every optional part of such a record. */
uint64_t walkit_commit_prepared(struct walkit *, uint32_t xid, int64_t time_us);
uint64_t
walkit_restore_point(struct walkit *, const char *name, int64_t time_us);
uint64_t walkit_switch(struct walkit *);
/* A record of about that size that means nothing. */
uint64_t walkit_fill(struct walkit *, size_t bytes);
/* Such records until the segment is full; the last may cross into the next. */
void walkit_fill_segment(struct walkit *);
/* A record that was begun and never finished, as after a crash; the next one
 * begins on the page behind it. */
void walkit_broken(struct walkit *);

uint64_t walkit_end(const struct walkit *); /* where the next begins */
/* Segments begun, and the n-th, padded with zeros. */
size_t walkit_count(const struct walkit *);
uint8_t *walkit_segment(struct walkit *, size_t n);

#endif
