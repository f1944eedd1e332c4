/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/walkit.h"

#include <stdlib.h>
#include <string.h>

#define SHORT_HEADER 24
#define LONG_HEADER 40
#define RECORD_HEADER 24
#define EPOCH_US (INT64_C(946684800) * 1000000) /* 2000-01-01 */

#define RM_XLOG 0
#define RM_XACT 1

struct walkit {
	uint64_t system, start;
	uint32_t timeline, segment_size;
	uint16_t magic;
	uint8_t *data;
	size_t len, cap; /* cap: whole segments */
	uint64_t prev;
	bool overwrite; /* the next page follows a record that broke off */
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static void
put(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t
crc(uint32_t state, const uint8_t *p, size_t n)
{
	while (n-- > 0) {
		state ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			state = state >> 1 ^ (state & 1 ? 0x82F63B78 : 0);
	}
	return state;
}

struct walkit *
walkit_new(
    uint64_t system, uint32_t timeline, uint32_t segment_size, uint64_t start)
{
	struct walkit *k = must(calloc(1, sizeof *k));

	k->system = system;
	k->start = start;
	k->timeline = timeline;
	k->segment_size = segment_size;
	k->magic = WALKIT_MAGIC;
	return k;
}

void
walkit_free(struct walkit *k)
{
	if (k == NULL)
		return;
	free(k->data);
	free(k);
}

void
walkit_magic(struct walkit *k, uint16_t magic)
{
	k->magic = magic;
}

void
walkit_timeline(struct walkit *k, uint32_t timeline)
{
	k->timeline = timeline;
}

struct walkit *
walkit_copy(const struct walkit *k)
{
	struct walkit *copy = must(malloc(sizeof *copy));

	*copy = *k;
	copy->data = must(malloc(k->cap));
	memcpy(copy->data, k->data, k->cap);
	return copy;
}

/* At the beginning of a page: its header.  remaining: of a record that goes on
 * there. */
static void
begin_page(struct walkit *k, size_t remaining)
{
	bool first = k->len % k->segment_size == 0;
	uint8_t *p;

	if (k->len == k->cap) {
		k->cap += k->segment_size;
		k->data = must(realloc(k->data, k->cap));
		memset(k->data + k->len, 0, k->segment_size);
	}
	p = k->data + k->len;
	put(p, k->magic, 2);
	put(p + 2,
	    (remaining > 0 ? 1u : 0u) | (first ? 2u : 0u) |
		(k->overwrite ? 8u : 0u),
	    2);
	put(p + 4, k->timeline, 4);
	put(p + 8, k->start + k->len, 8);
	put(p + 16, remaining, 4);
	if (first) {
		put(p + 24, k->system, 8);
		put(p + 32, k->segment_size, 4);
		put(p + 36, WALKIT_PAGE, 4);
	}
	k->overwrite = false;
	k->len += first ? LONG_HEADER : SHORT_HEADER;
}

/* Bytes of a record, across pages; all but the last `lost`. */
static void
append(struct walkit *k, const uint8_t *p, size_t n, size_t lost)
{
	size_t room, now;

	while (n > lost) {
		if (k->len % WALKIT_PAGE == 0)
			begin_page(k, n);
		room = WALKIT_PAGE - k->len % WALKIT_PAGE;
		now = n - lost < room ? n - lost : room;
		memcpy(k->data + k->len, p, now);
		k->len += now;
		p += now;
		n -= now;
	}
}

uint64_t
walkit_record(struct walkit *k, uint8_t rmid, uint8_t info, uint32_t xid,
    const void *data, size_t len)
{
	size_t head = len == 0 ? 0 : len < 256 ? 2 : 5;
	size_t total = RECORD_HEADER + head + len;
	uint8_t *r = must(calloc(1, total));
	uint64_t start;

	if (k->len % WALKIT_PAGE == 0)
		begin_page(k, 0);
	start = k->start + k->len;
	put(r, total, 4);
	put(r + 4, xid, 4);
	put(r + 8, k->prev, 8);
	r[16] = info;
	r[17] = rmid;
	if (head > 0) {
		r[24] = head == 2 ? 255 : 254;
		put(r + 25, len, head - 1);
		memcpy(r + RECORD_HEADER + head, data, len);
	}
	put(r + 20,
	    ~crc(crc(UINT32_MAX, r + RECORD_HEADER, total - RECORD_HEADER), r,
		20),
	    4);
	append(k, r, total, 0);
	free(r);
	k->len = (k->len + 7) & ~(size_t)7;
	k->prev = start;
	return start;
}

uint64_t
walkit_commit(struct walkit *k, uint32_t xid, int64_t time_us)
{
	uint8_t data[8];

	put(data, (uint64_t)(time_us - EPOCH_US), 8);
	return walkit_record(k, RM_XACT, 0x00, xid, data, sizeof data);
}

uint64_t
walkit_abort(struct walkit *k, uint32_t xid, int64_t time_us)
{
	uint8_t data[8];

	put(data, (uint64_t)(time_us - EPOCH_US), 8);
	return walkit_record(k, RM_XACT, 0x20, xid, data, sizeof data);
}

uint64_t
walkit_commit_prepared(struct walkit *k, uint32_t xid, int64_t time_us)
{
	uint8_t data[512] = { 0 }, *p = data;

	put(p, (uint64_t)(time_us - EPOCH_US), 8);
	/* Database, subtransactions, files, messages, two-phase with its name,
	 * origin, statistics. */
	put(p + 8, 1u | 2 | 4 | 8 | 16 | 32 | 128 | 256, 4);
	p += 12 + 8;
	put(p, 3, 4); /* subtransactions */
	p += 4 + 3 * 4;
	put(p, 2, 4); /* files */
	p += 4 + 2 * 12;
	put(p, 2, 4); /* statistics */
	p += 4 + 2 * (k->magic >= 0xD117 ? 16 : 12);
	put(p, 4, 4); /* messages */
	p += 4 + 4 * 16;
	put(p, xid, 4);
	p += 4;
	memcpy(p, "name", 5);
	p += 5 + 16;
	return walkit_record(
	    k, RM_XACT, 0x30 | 0x80, 0, data, (size_t)(p - data));
}

uint64_t
walkit_restore_point(struct walkit *k, const char *name, int64_t time_us)
{
	uint8_t data[72] = { 0 };
	size_t n = strlen(name);

	put(data, (uint64_t)(time_us - EPOCH_US), 8);
	memcpy(data + 8, name, n < 63 ? n : 63);
	return walkit_record(k, RM_XLOG, 0x70, 0, data, sizeof data);
}

uint64_t
walkit_switch(struct walkit *k)
{
	uint64_t start = walkit_record(k, RM_XLOG, 0x40, 0, NULL, 0);

	/* The pages behind it have their headers, and nothing else. */
	while (k->len % k->segment_size != 0) {
		if (k->len % WALKIT_PAGE == 0)
			begin_page(k, 0);
		k->len += WALKIT_PAGE - k->len % WALKIT_PAGE;
	}
	return start;
}

uint64_t
walkit_fill(struct walkit *k, size_t bytes)
{
	uint8_t *data = must(malloc(bytes + 1));
	uint64_t start;

	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(i * 7 + k->len);
	start = walkit_record(k, RM_XLOG, 0x20, 0, data, bytes);
	free(data);
	return start;
}

void
walkit_fill_segment(struct walkit *k)
{
	size_t before = k->len / k->segment_size;

	while (k->len / k->segment_size == before)
		walkit_fill(k, 3001);
}

void
walkit_broken(struct walkit *k)
{
	uint8_t r[3 * WALKIT_PAGE] = { 0 };

	if (k->len % WALKIT_PAGE == 0)
		begin_page(k, 0);
	put(r, sizeof r, 4);
	put(r + 8, k->prev, 8);
	r[17] = RM_XLOG;
	r[16] = 0x20;
	append(k, r, sizeof r, sizeof r - (WALKIT_PAGE - k->len % WALKIT_PAGE));
	k->overwrite = true;
}

uint64_t
walkit_end(const struct walkit *k)
{
	return k->start + k->len;
}

size_t
walkit_count(const struct walkit *k)
{
	return k->cap / k->segment_size;
}

uint8_t *
walkit_segment(struct walkit *k, size_t n)
{
	if (n >= walkit_count(k))
		abort();
	return k->data + n * k->segment_size;
}
