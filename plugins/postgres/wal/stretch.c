/* SPDX-License-Identifier: BSD-2-Clause */
#include "needs.h"
#include "postgres.h"
#include "segment.h"
#include "wal.h"

#include <stdlib.h>
#include <string.h>

void
stretch_find(const struct archive *a, const struct needs *n, uint32_t target,
    struct stretch *s)
{
	/* One with its own WAL goes on from where that ends. */
	lsn_t from = n->included ? n->stop : n->start;
	uint32_t root = n->included ? n->timeline : n->start_timeline;

	*s = (struct stretch){ .a = a, .n = n, .target = target };
	if (target == 0)
		s->target = archive_latest(a, n->timeline, n->stop);
	if (archive_reach(a, root, from, s->target, UINT64_MAX, &s->end,
		&s->last, s->gap) == HF_OK)
		s->gap[0] = '\0';
	if (s->end < from)
		s->end = from;
	s->alive = n->included || s->end >= n->stop;
	/* When nothing later is there, what it lacks is no gap yet. */
	if (!s->alive && s->gap[0] == '\0')
		(void)archive_reach(
		    a, root, from, s->target, n->stop, &from, NULL, s->gap);
}

/* The last name of the pieces that are joined up to the end. */
static bool
last_piece(const struct stretch *s, struct wal_name *found)
{
	lsn_t start = s->last.segno * archive_segment_size(s->a);
	bool any = false;

	for (size_t i = 0; i < archive_count(s->a); i++) {
		const struct wal_name *n = archive_at(s->a, i);

		if (n->kind == WAL_PIECE && n->timeline == s->last.timeline &&
		    n->segno == s->last.segno && start + n->offset < s->end) {
			*found = *n;
			any = true;
		}
	}
	return any;
}

static int
document(struct hf_in *log, const struct archive *a, const struct wal_name *n,
    struct wal_facts *f, struct hf_error *err)
{
	char name[WAL_LOG_MAX];

	wal_name_log(n, archive_system(a), archive_segment_size(a), name);
	return wal_facts(log, name, f, err);
}

struct newest {
	lsn_t end;
	int64_t us;
};

static int
take_newest(void *arg, const struct segment_event *e)
{
	struct newest *n = arg;

	if ((e->kind == SEGMENT_COMMIT || e->kind == SEGMENT_ABORT) &&
	    e->end <= n->end && e->time_us > n->us)
		n->us = e->time_us;
	return 0;
}

/* What stands at the end may be pieces, or a segment of which not all
 * counts. */
static int
newest_at_end(struct hf_in *log, const struct stretch *s, int64_t *us,
    struct hf_error *err)
{
	struct newest n = { .end = s->end };
	struct segment_walk *w = NULL;
	struct wal_facts f;
	struct wal_name piece;
	void *data;
	size_t len;
	int rc;

	if (s->last.kind == WAL_PIECE && last_piece(s, &piece)) {
		if ((rc = document(log, s->a, &piece, &f, err)) != HF_OK)
			return rc;
		if ((*us = f.last_commit_us) != 0)
			return HF_OK;
	}
	if ((rc = wal_read_any(log, s->a, s->last.timeline, s->last.segno,
		 &data, &len, err)) != HF_OK)
		return rc;
	if ((rc = segment_walk_new(take_newest, &n, &w, err)) == HF_OK) {
		/* What cannot be read ends it, as it would a recovery. */
		(void)segment_walk_feed(w, data, len, "", NULL);
		*us = n.us;
	}
	segment_walk_free(w);
	free(data);
	return rc;
}

int
stretch_newest(struct hf_in *log, const struct stretch *s, int64_t *us,
    struct hf_error *err)
{
	uint32_t size = archive_segment_size(s->a);
	uint64_t first = s->n->start / size, segno = s->last.segno;
	uint32_t root = s->n->included ? s->n->timeline : s->n->start_timeline;
	struct wal_name n = { .kind = WAL_SEGMENT };
	struct wal_facts f;
	int rc;

	*us = 0;
	if (s->last.timeline == 0)
		return HF_OK;
	if (s->end != (segno + 1) * size) {
		if ((rc = newest_at_end(log, s, us, err)) != HF_OK || *us != 0)
			return rc;
		segno--;
	}
	for (; segno >= first; segno--) {
		n.segno = segno;
		n.timeline =
		    archive_segment_timeline(s->a, root, s->target, segno);
		if (!archive_has(s->a, n.timeline, segno))
			break;
		if ((rc = document(log, s->a, &n, &f, err)) != HF_OK)
			return rc;
		if ((*us = f.last_commit_us) != 0)
			break;
	}
	return HF_OK;
}

int
stretch_walk(struct hf_engine *e, struct hf_in *log, const struct stretch *s,
    uint64_t segno, segment_event_fn *fn, void *arg, lsn_t *last,
    struct hf_error *err)
{
	uint32_t root = s->n->included ? s->n->timeline : s->n->start_timeline;
	struct wal_name n = { .kind = WAL_SEGMENT };
	char file[WAL_FILE_MAX];
	struct segment_walk *w;
	void *data;
	size_t len;
	int rc;

	if ((rc = segment_walk_new(fn, arg, &w, err)) != HF_OK)
		return rc;
	for (; rc == HF_OK && s->last.timeline != 0 && segno <= s->last.segno;
	     segno++) {
		n.segno = segno;
		n.timeline = segno == s->last.segno
				 ? s->last.timeline
				 : archive_segment_timeline(
				       s->a, root, s->target, segno);
		wal_name_file(&n, archive_segment_size(s->a), file);
		if (H->cancelled(e->ctx)) {
			rc = H->fail(err, HF_E_CANCELLED, "cancelled");
			break;
		}
		rc = wal_read_any(
		    log, s->a, n.timeline, segno, &data, &len, err);
		if (rc != HF_OK)
			break;
		rc = segment_walk_feed(w, data, len, file, err);
		free(data);
	}
	if (last != NULL)
		*last = segment_walk_last(w);
	segment_walk_free(w);
	return rc > HF_OK ? HF_OK : rc;
}
