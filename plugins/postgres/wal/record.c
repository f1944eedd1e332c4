/* SPDX-License-Identifier: BSD-2-Clause */
#include "record.h"

#include "page.h"

#include <string.h>

#define RM_XLOG 0
#define RM_XACT 1

/* The upper half of info says what it is; of a transaction's without the bit
 * that says that more follows. */
#define XLOG_CHECKPOINT_SHUTDOWN 0x00
#define XLOG_CHECKPOINT_ONLINE 0x10
#define XLOG_SWITCH 0x40
#define XLOG_RESTORE_POINT 0x70
#define XLOG_END_OF_RECOVERY 0x90
#define XLOG_OVERWRITE_CONTRECORD 0xD0

#define XACT_COMMIT 0x00
#define XACT_ABORT 0x20
#define XACT_COMMIT_PREPARED 0x30
#define XACT_ABORT_PREPARED 0x40
#define XACT_HAS_INFO 0x80

/* What stands in a commit or abort behind its time, in this order. */
#define HAS_DATABASE (1u << 0)
#define HAS_SUBTRANSACTIONS (1u << 1)
#define HAS_FILES (1u << 2)
#define HAS_STATISTICS (1u << 8)
#define HAS_MESSAGES (1u << 3)
#define HAS_TWO_PHASE (1u << 4)

/* Since 18, whose WAL has this magic number, 16 bytes instead of 12. */
#define LONG_STATISTICS 0xD117

#define BLOCK_SHORT_DATA 255
#define BLOCK_LONG_DATA 254
#define BLOCK_ORIGIN 253
#define BLOCK_TOP_XID 252

#define POINT_NAME 64
#define EPOCH_US (INT64_C(946684800) * 1000000) /* 2000-01-01, the server's */

void
record_header(const uint8_t h[RECORD_HEADER], struct record *r)
{
	r->total = get32(h);
	r->xid = get32(h + 4);
	r->prev = get64(h + 8);
	r->info = h[16];
	r->rmid = h[17];
	r->crc = get32(h + 20);
}

static bool
is_xlog(const struct record *r, uint8_t what)
{
	return r->rmid == RM_XLOG && (r->info & 0xF0) == what;
}

static bool
is_xact(const struct record *r, uint8_t what)
{
	return r->rmid == RM_XACT && (r->info & 0x70) == what;
}

bool
record_is_switch(const struct record *r)
{
	return is_xlog(r, XLOG_SWITCH);
}

bool
record_is_overwrite(const struct record *r)
{
	return is_xlog(r, XLOG_OVERWRITE_CONTRECORD);
}

static bool
kind_of(const struct record *r, enum segment_event_kind *kind)
{
	if (is_xact(r, XACT_COMMIT) || is_xact(r, XACT_COMMIT_PREPARED))
		*kind = SEGMENT_COMMIT;
	else if (is_xact(r, XACT_ABORT) || is_xact(r, XACT_ABORT_PREPARED))
		*kind = SEGMENT_ABORT;
	else if (is_xlog(r, XLOG_RESTORE_POINT))
		*kind = SEGMENT_RESTORE_POINT;
	else if (is_xlog(r, XLOG_SWITCH))
		*kind = SEGMENT_SWITCH;
	else if (is_xlog(r, XLOG_END_OF_RECOVERY))
		*kind = SEGMENT_END_OF_RECOVERY;
	else if (is_xlog(r, XLOG_CHECKPOINT_SHUTDOWN) ||
		 is_xlog(r, XLOG_CHECKPOINT_ONLINE))
		*kind = SEGMENT_CHECKPOINT;
	else
		return false;
	return true;
}

bool
record_wanted(const struct record *r)
{
	enum segment_event_kind kind;

	return kind_of(r, &kind);
}

/* What the record is about; such records name no blocks. */
static const uint8_t *
main_data(const uint8_t *p, size_t n, size_t *len)
{
	size_t head;

	for (;;) {
		if (n < 2)
			return NULL;
		if (*p == BLOCK_SHORT_DATA || *p == BLOCK_LONG_DATA)
			break;
		head = *p == BLOCK_ORIGIN ? 3 : *p == BLOCK_TOP_XID ? 5 : n;
		if (head >= n)
			return NULL;
		p += head;
		n -= head;
	}
	head = *p == BLOCK_SHORT_DATA ? 2 : 5;
	if (n < head)
		return NULL;
	*len = head == 2 ? p[1] : get32(p + 1);
	if (*len > n - head)
		*len = n - head;
	return p + head;
}

/* Pass over a count and so many items. */
static bool
skip_items(const uint8_t **p, size_t *n, size_t size)
{
	uint64_t bytes;

	if (*n < 4)
		return false;
	bytes = 4 + (uint64_t)get32(*p) * size;
	if (bytes > *n)
		return false;
	*p += (size_t)bytes;
	*n -= (size_t)bytes;
	return true;
}

/* The transaction that was prepared; the record's own xid is none. */
static bool
prepared_xid(const struct record *r, const uint8_t *p, size_t n, uint32_t *xid)
{
	uint32_t has;

	if ((r->info & XACT_HAS_INFO) == 0 || n < 12)
		return false;
	has = get32(p + 8);
	p += 12;
	n -= 12;
	if (has & HAS_DATABASE) {
		if (n < 8)
			return false;
		p += 8;
		n -= 8;
	}
	if (((has & HAS_SUBTRANSACTIONS) && !skip_items(&p, &n, 4)) ||
	    ((has & HAS_FILES) && !skip_items(&p, &n, 12)) ||
	    ((has & HAS_STATISTICS) &&
		!skip_items(&p, &n, r->magic >= LONG_STATISTICS ? 16 : 12)) ||
	    ((has & HAS_MESSAGES) && !skip_items(&p, &n, 16)) ||
	    (has & HAS_TWO_PHASE) == 0 || n < 4)
		return false;
	*xid = get32(p);
	return true;
}

bool
record_event(const struct record *r, const uint8_t *body, size_t len,
    struct segment_event *e)
{
	const uint8_t *data;
	size_t n = 0;

	if (!kind_of(r, &e->kind))
		return false;
	if (e->kind != SEGMENT_COMMIT && e->kind != SEGMENT_ABORT &&
	    e->kind != SEGMENT_RESTORE_POINT)
		return true;
	if ((data = main_data(body, len, &n)) == NULL || n < 8)
		return false;
	e->time_us = (int64_t)(get64(data) + (uint64_t)EPOCH_US);
	if (e->kind == SEGMENT_RESTORE_POINT) {
		e->name = (const char *)data + 8;
		return n > 8 &&
		       memchr(e->name, '\0',
			   n - 8 < POINT_NAME ? n - 8 : POINT_NAME) != NULL;
	}
	e->xid = r->xid;
	return is_xact(r, XACT_COMMIT) || is_xact(r, XACT_ABORT) ||
	       prepared_xid(r, data, n, &e->xid);
}
