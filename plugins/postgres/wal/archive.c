/* SPDX-License-Identifier: BSD-2-Clause */
#include "archive.h"

#include "archive_private.h"
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

uint64_t
archive_system(const struct archive *a)
{
	return a->system;
}

uint32_t
archive_segment_size(const struct archive *a)
{
	return a->segment_size;
}

size_t
archive_count(const struct archive *a)
{
	return a->n;
}

const struct wal_name *
archive_at(const struct archive *a, size_t n)
{
	return &a->names[n];
}

size_t
archive_histories(const struct archive *a)
{
	return a->nhistories;
}

const struct history *
archive_history(const struct archive *a, size_t n)
{
	return &a->histories[n];
}

const char *
archive_broken(const struct archive *a, const char **reason)
{
	if (a->broken[0] == '\0')
		return NULL;
	if (reason != NULL)
		*reason = a->broken_why;
	return a->broken;
}

const char *
archive_stranger(const struct archive *a)
{
	return a->stranger[0] == '\0' ? NULL : a->stranger;
}

/* ---- looking for names ---- */

static int
compare(const struct wal_name *a, const struct wal_name *b)
{
	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	if (a->segno != b->segno)
		return a->segno < b->segno ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

int
archive_compare(const void *a, const void *b)
{
	return compare(a, b);
}

size_t
archive_find(const struct archive *a, const struct wal_name *key)
{
	size_t low = 0, high = a->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (compare(&a->names[mid], key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool
archive_has(const struct archive *a, uint32_t timeline, uint64_t segno)
{
	struct wal_name key = {
		.kind = WAL_SEGMENT, .timeline = timeline, .segno = segno
	};
	size_t at = archive_find(a, &key);

	return at < a->n && compare(&a->names[at], &key) == 0;
}

lsn_t
archive_pieces(const struct archive *a, uint32_t timeline, uint64_t segno)
{
	for (size_t i = 0; i < a->npieces; i++)
		if (a->pieces[i].timeline == timeline &&
		    a->pieces[i].segno == segno)
			return a->pieces[i].end;
	return 0;
}

/* The first from segno on, below limit, that is there whole (or, with pieces,
 * in pieces). */
static bool
first_between(const struct archive *a, uint32_t timeline, uint64_t segno,
    uint64_t limit, bool pieces, struct wal_name *found)
{
	struct wal_name key = {
		.kind = WAL_SEGMENT, .timeline = timeline, .segno = segno
	};

	for (size_t i = archive_find(a, &key);
	     i < a->n && a->names[i].timeline == timeline &&
	     a->names[i].segno < limit;
	     i++) {
		*found = a->names[i];
		if (found->kind == WAL_SEGMENT ||
		    (pieces && found->kind == WAL_PIECE))
			return true;
	}
	return false;
}

/* ---- timelines ---- */

static const struct history *
history_of(const struct archive *a, uint32_t timeline)
{
	for (size_t i = 0; i < a->nhistories; i++)
		if (a->histories[i].timeline == timeline)
			return &a->histories[i];
	return NULL;
}

/* From one timeline to another that descends from it. */
struct way {
	const struct history *h; /* of target; NULL: it is root */
	uint32_t target;
	size_t first, n; /* root's place in h; timelines in all */
};

static bool
way_find(const struct archive *a, uint32_t root, uint32_t target, struct way *w)
{
	*w = (struct way){ .target = target, .n = 1 };
	if (root == target)
		return true;
	if ((w->h = history_of(a, target)) == NULL)
		return false;
	for (; w->first < w->h->n; w->first++)
		if (w->h->entries[w->first].timeline == root) {
			w->n = w->h->n - w->first + 1;
			return true;
		}
	return false;
}

static uint32_t
way_timeline(const struct way *w, size_t i)
{
	return i + 1 == w->n ? w->target : w->h->entries[w->first + i].timeline;
}

static lsn_t
way_end(const struct way *w, size_t i)
{
	return i + 1 == w->n ? UINT64_MAX : w->h->entries[w->first + i].end;
}

static lsn_t
way_begin(const struct way *w, size_t i)
{
	return i == 0 ? 0 : way_end(w, i - 1);
}

/* A server looks for a segment on the newest timeline that had begun in it. */
static size_t
way_of_segment(const struct archive *a, const struct way *w, uint64_t segno)
{
	size_t i = w->n - 1;

	while (i > 0 && way_begin(w, i) / a->segment_size > segno)
		i--;
	return i;
}

uint32_t
archive_latest(const struct archive *a, uint32_t timeline, lsn_t lsn)
{
	uint32_t latest = timeline;

	for (size_t i = 0; i < a->nhistories; i++) {
		lsn_t end = history_end(&a->histories[i], timeline);

		if (end != 0 && end >= lsn && a->histories[i].timeline > latest)
			latest = a->histories[i].timeline;
	}
	return latest;
}

uint32_t
archive_timeline_at(
    const struct archive *a, uint32_t root, uint32_t target, lsn_t lsn)
{
	struct way w;
	size_t i = 0;

	if (!way_find(a, root, target, &w))
		return 0;
	while (lsn >= way_end(&w, i) && i + 1 < w.n)
		i++;
	return way_timeline(&w, i);
}

lsn_t
archive_switch(const struct archive *a, uint32_t timeline, uint32_t target)
{
	struct way w;

	return way_find(a, timeline, target, &w) ? way_end(&w, 0) : UINT64_MAX;
}

uint32_t
archive_segment_timeline(
    const struct archive *a, uint32_t root, uint32_t target, uint64_t segno)
{
	struct way w;

	if (!way_find(a, root, target, &w))
		return 0;
	return way_timeline(&w, way_of_segment(a, &w, segno));
}

/* ---- reaching ---- */

static bool
way_next(const struct archive *a, const struct way *w, uint64_t segno,
    bool pieces, struct wal_name *found)
{
	for (size_t i = way_of_segment(a, w, segno); i < w->n; i++) {
		uint64_t begin = way_begin(w, i) / a->segment_size;
		uint64_t limit = i + 1 == w->n
				     ? UINT64_MAX
				     : way_end(w, i) / a->segment_size;

		if (first_between(a, way_timeline(w, i),
			segno > begin ? segno : begin, limit, pieces, found))
			return true;
	}
	return false;
}

bool
archive_next(const struct archive *a, uint32_t root, uint32_t target,
    uint64_t segno, struct wal_name *found)
{
	struct way w;

	return way_find(a, root, target, &w) &&
	       way_next(a, &w, segno, false, found);
}

/* Of a segment that is not there on its own timeline: what pieces, or the
 * parent's copy up to the switch, still give.  lsn: where it begins. */
static lsn_t
what_remains(const struct archive *a, const struct way *w, size_t i,
    uint64_t segno, struct wal_name *last)
{
	lsn_t end = archive_pieces(a, way_timeline(w, i), segno);

	if (end != 0) {
		*last = (struct wal_name){ .kind = WAL_PIECE,
			.timeline = way_timeline(w, i),
			.segno = segno };
		return end;
	}
	while (i-- > 0)
		if (archive_has(a, way_timeline(w, i), segno)) {
			*last = (struct wal_name){ .kind = WAL_SEGMENT,
				.timeline = way_timeline(w, i),
				.segno = segno };
			return way_end(w, i);
		}
	return 0;
}

int
archive_reach(const struct archive *a, uint32_t root, lsn_t from,
    uint32_t target, lsn_t to, lsn_t *end, struct wal_name *last,
    char gap[WAL_FILE_MAX])
{
	struct wal_name none,
	    missing = { .kind = WAL_HISTORY, .timeline = target };
	uint64_t segno = from / a->segment_size;
	struct way w;
	lsn_t more;
	size_t i;

	last = last == NULL ? &none : last;
	memset(last, 0, sizeof *last);
	gap[0] = '\0';
	*end = from;
	if (!way_find(a, root, target, &w)) {
		wal_name_file(&missing, a->segment_size, gap);
		return HF_E_NOTFOUND;
	}
	missing.kind = WAL_SEGMENT;
	for (;; segno++) {
		i = way_of_segment(a, &w, segno);
		missing.timeline = way_timeline(&w, i);
		missing.segno = segno;
		if (!archive_has(a, missing.timeline, segno))
			break;
		*last = missing;
		*end = (segno + 1) * a->segment_size;
		if (*end >= to)
			return HF_OK;
	}
	if ((more = what_remains(a, &w, i, segno, last)) > *end)
		*end = more;
	if (*end >= to ||
	    (to == UINT64_MAX && !way_next(a, &w, segno + 1, true, &none)))
		return HF_OK;
	wal_name_file(&missing, a->segment_size, gap);
	return HF_E_NOTFOUND;
}
