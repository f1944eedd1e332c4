/* SPDX-License-Identifier: BSD-2-Clause */
#include "segment.h"

#include "crc32c.h"
#include "page.h"
#include "postgres.h"
#include "record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct segment_walk {
	segment_event_fn *fn;
	void *arg;
	char why[WHY_MAX];

	bool begun;    /* h is known */
	bool finished; /* the records ended; until another segment begins */
	bool switched; /* the rest of the segment is empty; until another */
	struct segment_header h;
	lsn_t pos; /* of the next byte */
	lsn_t last, end;
	uint32_t timeline;

	/* Of a record that began before what was given: not looked at. */
	uint32_t skip;

	/* The record that is being read; have 0: none. */
	struct record r;
	uint32_t have;
	uint8_t header[RECORD_HEADER];
	uint32_t crc; /* of its body so far */
	uint8_t *body;
	size_t body_len, body_cap;
};

int
segment_walk_new(segment_event_fn *fn, void *arg, struct segment_walk **out,
    struct hf_error *err)
{
	struct segment_walk *w = calloc(1, sizeof *w);

	*out = w;
	if (w == NULL)
		return postgres_nomem(err);
	w->fn = fn;
	w->arg = arg;
	return HF_OK;
}

void
segment_walk_free(struct segment_walk *w)
{
	if (w == NULL)
		return;
	free(w->body);
	free(w);
}

const char *
segment_walk_why(const struct segment_walk *w)
{
	return w->why;
}

lsn_t
segment_walk_end(const struct segment_walk *w)
{
	return w->end;
}

lsn_t
segment_walk_last(const struct segment_walk *w)
{
	return w->last;
}

uint32_t
segment_walk_timeline(const struct segment_walk *w)
{
	return w->timeline;
}

static int
bad_record(struct segment_walk *w, const char *what)
{
	char lsn[LSN_TEXT_MAX];

	return why_say(w->why, HF_E_CORRUPT, "the record at %s %s",
	    lsn_text(w->r.start, lsn), what);
}

static int
bad_page(struct segment_walk *w, const char *what)
{
	char lsn[LSN_TEXT_MAX];

	return why_say(w->why, HF_E_CORRUPT, "the page at %s %s",
	    lsn_text(w->pos, lsn), what);
}

/* ---- records ---- */

static int
keep_body(struct segment_walk *w, const uint8_t *p, size_t n)
{
	uint8_t *more;
	size_t cap;

	if (n > RECORD_BODY_MAX - w->body_len)
		n = RECORD_BODY_MAX - w->body_len;
	if (w->body_len + n > w->body_cap) {
		cap = (w->body_len + n) * 2;
		if ((more = realloc(w->body, cap)) == NULL)
			return why_say(w->why, HF_E_NOMEM, "no memory");
		w->body = more;
		w->body_cap = cap;
	}
	if (n > 0)
		memcpy(w->body + w->body_len, p, n);
	w->body_len += n;
	return HF_OK;
}

/* The header is whole: does it follow the record before? */
static int
begin_body(struct segment_walk *w)
{
	record_header(w->header, &w->r);
	w->r.magic = w->h.magic;
	w->crc = 0;
	w->body_len = 0;
	if (w->last != 0 ? w->r.prev != w->last : w->r.prev >= w->r.start)
		return bad_record(w, "does not follow the one before it");
	return HF_OK;
}

/* n bytes of the record. */
static int
take(struct segment_walk *w, const uint8_t *p, size_t n)
{
	size_t head = 0;
	int rc;

	if (w->have < RECORD_HEADER) {
		head = RECORD_HEADER - w->have;
		head = n < head ? n : head;
		memcpy(w->header + w->have, p, head);
		w->have += (uint32_t)head;
		if (w->have < RECORD_HEADER)
			return HF_OK;
		if ((rc = begin_body(w)) != HF_OK)
			return rc;
	}
	p += head;
	n -= head;
	w->have += (uint32_t)n;
	if (n == 0)
		return HF_OK;
	w->crc = crc32c(w->crc, p, n);
	return record_wanted(&w->r) ? keep_body(w, p, n) : HF_OK;
}

static lsn_t
segment_end(const struct segment_walk *w, lsn_t lsn)
{
	return (lsn + w->h.segment_size - 1) / w->h.segment_size *
	       w->h.segment_size;
}

/* All of it is there; end: aligned. */
static int
end_record(struct segment_walk *w, lsn_t end)
{
	struct segment_event e = { .start = w->r.start };

	if (crc32c(w->crc, w->header, RECORD_HEADER - 4) != w->r.crc)
		return bad_record(w, "has a wrong CRC");
	w->have = 0;
	w->last = w->r.start;
	w->end = end;
	if (record_is_switch(&w->r)) {
		w->switched = true;
		w->end = segment_end(w, end);
	}
	if (w->fn == NULL || !record_wanted(&w->r))
		return HF_OK;
	e.end = w->end;
	if (!record_event(&w->r, w->body, w->body_len, &e))
		return bad_record(w, "cannot be read");
	return w->fn(w->arg, &e);
}

/* At p, which is aligned: a record, or the end of all. */
static int
begin_record(struct segment_walk *w, const uint8_t *p, lsn_t at)
{
	uint32_t total = get32(p);

	if (total == 0)
		return HF_EOF;
	w->r.start = at;
	w->r.total = total;
	if (total < RECORD_HEADER || total > RECORD_MAX)
		return bad_record(w, "has an impossible length");
	return HF_OK;
}

/* From `at` in the page to its end. */
static int
records(struct segment_walk *w, const uint8_t *page, size_t at, size_t n)
{
	size_t now;
	int rc;

	while (!w->switched && (w->have > 0 || at + 8 <= n)) {
		if (at >= n)
			return HF_OK;
		if (w->have == 0 &&
		    (rc = begin_record(w, page + at, w->pos + at)) != HF_OK)
			return rc;
		now = w->r.total - w->have;
		now = now < n - at ? now : n - at;
		if ((rc = take(w, page + at, now)) != HF_OK)
			return rc;
		at += now;
		if (w->have < w->r.total)
			return HF_OK;
		at = (at + 7) & ~(size_t)7;
		if ((rc = end_record(w, w->pos + at)) != HF_OK)
			return rc;
	}
	return HF_OK;
}

/* ---- pages ---- */

/* What the page's header says of a record that began before it: *at is moved
 * behind the rest of one that is skipped. */
static int
continued(struct segment_walk *w, const uint8_t *page, size_t *at, size_t n)
{
	unsigned info = get16(page + 2);
	uint32_t rest = get32(page + 16);
	bool waits = w->have > 0 || w->skip > 0;
	size_t room = n - *at;

	/* After a crash: what was begun is not finished, and something else
	 * begins here. */
	if (waits && (info & PAGE_OVERWRITES) != 0) {
		w->have = 0;
		w->skip = 0;
		return HF_OK;
	}
	if ((info & PAGE_CONTINUES) == 0) {
		if (w->have > 0)
			return bad_record(w, "is not continued on the next "
					     "page");
		return w->skip > 0 ? bad_page(w, "does not continue the one "
						 "before it")
				   : HF_OK;
	}
	if (w->have > 0)
		return rest == w->r.total - w->have
			   ? HF_OK
			   : bad_record(w, "is continued by another one");
	if (w->end != 0 || rest == 0 || (w->skip > 0 && rest != w->skip))
		return bad_page(w, "continues a record that does not stand "
				   "before it");
	w->skip = rest > room ? rest - (uint32_t)room : 0;
	*at = rest > room ? n : *at + ((rest + 7) & ~(size_t)7);
	return HF_OK;
}

static void
begin_anew(struct segment_walk *w, const struct segment_header *h)
{
	w->begun = true;
	w->finished = false;
	w->switched = false;
	w->h = *h;
	w->pos = h->address;
	w->last = w->end = 0;
	w->timeline = h->timeline;
	w->have = w->skip = 0;
}

/* The first page of a segment: does it follow? */
static int
first_page(struct segment_walk *w, const uint8_t *page, size_t n)
{
	struct segment_header h;
	int rc;

	if ((rc = segment_header_why(page, n, &h, w->why)) != HF_OK)
		return rc;
	if (!w->begun || w->finished || h.address != w->pos ||
	    h.system_identifier != w->h.system_identifier ||
	    h.segment_size != w->h.segment_size ||
	    h.block_size != w->h.block_size || h.timeline < w->timeline)
		begin_anew(w, &h);
	w->h = h;
	w->timeline = h.timeline;
	w->switched = false;
	return HF_OK;
}

static int
next_page(struct segment_walk *w, const uint8_t *page)
{
	uint32_t timeline = get32(page + 4);
	lsn_t address = get64(page + 8);

	if (!w->begun || w->pos % w->h.segment_size == 0)
		return why_say(
		    w->why, HF_E_CORRUPT, "its first page has no long header");
	if (get16(page) != w->h.magic)
		return bad_page(w, "has another magic number");
	if (page_odd(get16(page), get16(page + 2)))
		return bad_page(w, "has unknown flags");
	/* A file that is used again has its old pages behind the new. */
	if (address < w->pos)
		return HF_EOF;
	if (address != w->pos)
		return bad_page(w, "has the address of another one");
	if (timeline < w->timeline)
		return bad_page(w, "is of an older timeline");
	w->timeline = timeline;
	return HF_OK;
}

static bool
zeros(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* One page, or the part of one that there is. */
static int
page(struct segment_walk *w, const uint8_t *p, size_t n)
{
	bool is_first;
	size_t at;
	int rc;

	if (n < PAGE_SHORT_HEADER || zeros(p, PAGE_SHORT_HEADER))
		return HF_EOF;
	is_first = (get16(p + 2) & PAGE_LONG) != 0;
	at = is_first ? PAGE_LONG_HEADER : PAGE_SHORT_HEADER;
	if (n < at)
		return HF_EOF;
	rc = is_first ? first_page(w, p, n) : next_page(w, p);
	if (rc == HF_OK)
		rc = continued(w, p, &at, n);
	if (rc == HF_OK)
		rc = records(w, p, at, n);
	w->pos = w->switched ? w->end : w->pos + n;
	return rc;
}

/* How long the page is with which data begin; 0: that cannot be said. */
static uint32_t
block_size(const struct segment_walk *w, const uint8_t *p, size_t n)
{
	struct segment_header h;

	if (n >= PAGE_LONG_HEADER && (get16(p + 2) & PAGE_LONG) != 0 &&
	    segment_header_why(p, n, &h, NULL) == HF_OK)
		return h.block_size;
	return w->begun ? w->h.block_size : 0;
}

int
segment_walk_feed(struct segment_walk *w, const void *data, size_t len,
    const char *file, struct hf_error *err)
{
	const uint8_t *p = data;
	uint32_t block;
	size_t n;
	int rc = HF_OK;

	w->why[0] = '\0';
	for (; len > 0; p += n, len -= n) {
		block = block_size(w, p, len);
		n = block == 0 || block > len ? len : block;
		/* Of what ended, only the beginning of another counts. */
		if ((w->finished || w->switched) &&
		    (n < 4 || (get16(p + 2) & PAGE_LONG) == 0)) {
			rc = w->finished ? HF_EOF : HF_OK;
			continue;
		}
		if ((rc = page(w, p, n)) == HF_OK && n < block)
			rc = HF_EOF;
		if (rc == HF_OK)
			continue;
		w->finished = true;
		if (rc < HF_OK && w->why[0] != '\0')
			return H->fail(err, rc, "%s: %s", file, w->why);
		return rc;
	}
	return rc;
}

/* ---- facts ---- */

static int
take_time(void *arg, const struct segment_event *e)
{
	struct segment_facts *f = arg;

	if (e->kind != SEGMENT_COMMIT && e->kind != SEGMENT_ABORT)
		return 0;
	if (f->first_commit_us == 0 || e->time_us < f->first_commit_us)
		f->first_commit_us = e->time_us;
	if (e->time_us > f->last_commit_us)
		f->last_commit_us = e->time_us;
	return 0;
}

struct segment_walk *
segment_facts_begin(struct segment_facts *f)
{
	struct segment_walk *w = NULL;

	memset(f, 0, sizeof *f);
	(void)segment_walk_new(take_time, f, &w, NULL);
	return w;
}

void
segment_facts_end(struct segment_walk *w, struct segment_facts *f)
{
	if (w != NULL)
		f->end = segment_walk_end(w);
	segment_walk_free(w);
}

void
segment_facts(const void *data, size_t len, struct segment_facts *f)
{
	struct segment_walk *w = segment_facts_begin(f);

	if (w != NULL)
		(void)segment_walk_feed(w, data, len, "", NULL);
	segment_facts_end(w, f);
}
