/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "needs.h"
#include "postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000

/* A window that is being put together: it begins with one backup, and later
 * ones that lie in it add nothing. */
struct window {
	bool open;
	struct stretch s;
};

/* Does a recovery that began with the window pass this backup's end? */
static bool
holds(const struct window *w, const struct needs *n)
{
	const struct stretch *s = &w->s;
	uint32_t root;

	if (!w->open || s->n->system != n->system || n->stop > s->end ||
	    n->stop < s->n->stop)
		return false;
	root = s->n->included ? s->n->timeline : s->n->start_timeline;
	/* The newest branch of the two must be the same, or this one leads to
	 * moments that the window does not. */
	return s->target == archive_latest(s->a, n->timeline, n->stop) &&
	       archive_timeline_at(s->a, root, s->target, n->stop) ==
		   n->timeline;
}

/* When what is missing was written: from the last commit before it to the first
 * behind it. */
static int
describe_gap(struct hf_in *log, const struct stretch *s, int64_t before_us,
    char out[256], struct hf_error *err)
{
	uint32_t root = s->n->included ? s->n->timeline : s->n->start_timeline;
	uint32_t size = archive_segment_size(s->a);
	char from[NEEDS_TIME_MAX], to[NEEDS_TIME_MAX], name[WAL_LOG_MAX];
	uint64_t segno = s->end / size;
	struct wal_facts f = { 0 };
	struct wal_name next;
	int rc;

	while (f.first_commit_us == 0 &&
	       archive_next(s->a, root, s->target, segno, &next)) {
		wal_name_log(&next, archive_system(s->a), size, name);
		if ((rc = wal_facts(log, name, &f, err)) != HF_OK)
			return rc;
		segno = next.segno + 1;
	}
	(void)needs_time(before_us, from);
	if (f.first_commit_us != 0)
		(void)snprintf(out, 256, "%s, written between %s and %s",
		    s->gap, from, needs_time(f.first_commit_us, to));
	else
		(void)snprintf(out, 256, "%s, written after %s", s->gap, from);
	return HF_OK;
}

/* branch: see hf_span. */
static int
tell(struct hf_in *log, const struct stretch *s, const char *branch,
    hf_span_fn *fn, void *arg, bool *stop, struct hf_error *err)
{
	char first[LSN_TEXT_MAX], last[LSN_TEXT_MAX], gap[256];
	struct hf_span span = { .branch = branch,
		.struct_size = sizeof span,
		.from = s->n->stop_time,
		.to = s->n->stop_time,
		.first = lsn_text(s->n->stop, first),
		.last = lsn_text(s->end, last),
		.backup = H->in_fact(s->n->backup, "backup") };
	int64_t us = 0;
	int rc;

	if (log != NULL && (rc = stretch_newest(log, s, &us, err)) != HF_OK)
		return rc;
	/* A recovery by time ends before a commit that is later: the moment of
	 * the last one itself cannot be asked for. */
	if (us > 0 && (us - 1) / SECOND > span.to)
		span.to = (us - 1) / SECOND;
	if (s->gap[0] != '\0') {
		us = us > span.from * SECOND ? us : span.from * SECOND;
		if ((rc = describe_gap(log, s, us, gap, err)) != HF_OK)
			return rc;
		span.gap = gap;
	}
	*stop = fn(arg, &span) != 0;
	return HF_OK;
}

/* Of a pipeline without a log: one moment each. */
static int
moments(const struct needs *all, size_t n, hf_span_fn *fn, void *arg,
    struct hf_error *err)
{
	struct stretch s = { .alive = true };
	bool stop = false;
	int rc = HF_OK;

	for (size_t i = 0; i < n && rc == HF_OK && !stop; i++) {
		if (!all[i].included)
			continue;
		s.n = &all[i];
		s.end = all[i].stop;
		rc = tell(NULL, &s, NULL, fn, arg, &stop, err);
	}
	return rc;
}

/* ---- branches that are left ---- */

#define BRANCHES_MAX 64 /* of more, the later ones are not told */

struct branches {
	struct hf_engine *e;
	struct hf_in *log;
	hf_span_fn *fn;
	void *arg;
	/* Told already, from an earlier backup. */
	struct {
		uint64_t system;
		uint32_t timeline;
		lsn_t end;
	} told[BRANCHES_MAX];
	size_t n;
	bool stop;
};

/* Where the way to one timeline leaves that to another. */
static lsn_t
fork_of(const struct archive *a, uint32_t timeline, uint32_t target)
{
	lsn_t left = archive_switch(a, timeline, target), own;

	for (size_t i = 0; i < archive_histories(a) && left == UINT64_MAX;
	     i++) {
		const struct history *h = archive_history(a, i);

		for (size_t e = h->n; h->timeline == timeline && e > 0; e--) {
			uint32_t common = h->entries[e - 1].timeline;

			own = h->entries[e - 1].end;
			left = archive_switch(a, common, target);
			if (left != UINT64_MAX)
				return own < left ? own : left;
		}
	}
	return left;
}

struct behind {
	lsn_t fork;
	bool found;
};

static int
is_behind(void *arg, const struct segment_event *e)
{
	struct behind *b = arg;

	b->found = (e->kind == SEGMENT_COMMIT || e->kind == SEGMENT_ABORT) &&
		   e->start >= b->fork;
	return b->found ? HF_E_EXISTS : 0;
}

/* Did anything end there that is not on the way to the newest?  What cannot be
 * read ends it, as it would a recovery. */
static int
goes_on(struct branches *b, const struct stretch *s, lsn_t fork, bool *yes,
    struct hf_error *err)
{
	uint32_t size = archive_segment_size(s->a);
	struct wal_name n = { .kind = WAL_SEGMENT, .timeline = s->target };
	struct behind behind = { .fork = fork };
	char file[WAL_FILE_MAX];
	struct segment_walk *w;
	void *data;
	size_t len;
	int rc = segment_walk_new(is_behind, &behind, &w, err);

	for (n.segno = fork / size; rc == HF_OK && n.segno * size < s->end;
	     n.segno++) {
		if (H->cancelled(b->e->ctx)) {
			rc = HF_E_CANCELLED;
			break;
		}
		rc = wal_read_any(
		    b->log, s->a, n.timeline, n.segno, &data, &len, NULL);
		if (rc != HF_OK)
			break;
		wal_name_file(&n, size, file);
		rc = segment_walk_feed(w, data, len, file, NULL);
		free(data);
	}
	segment_walk_free(w);
	*yes = behind.found;
	if (rc == HF_E_CANCELLED)
		return H->fail(err, rc, "cancelled");
	return rc == HF_E_NOMEM ? postgres_nomem(err) : HF_OK;
}

static bool
was_told(struct branches *b, const struct stretch *s)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->told[i].system == s->n->system &&
		    b->told[i].timeline == s->target &&
		    b->told[i].end == s->end)
			return true;
	if (b->n == BRANCHES_MAX)
		return true;
	b->told[b->n].system = s->n->system;
	b->told[b->n].timeline = s->target;
	b->told[b->n++].end = s->end;
	return false;
}

/* One timeline beside that of the window. */
static int
tell_branch(struct branches *b, const struct stretch *window, uint32_t timeline,
    struct hf_error *err)
{
	const struct needs *n = window->n;
	struct stretch s;
	char text[32];
	lsn_t fork;
	bool yes;
	int rc;

	if (timeline == window->target ||
	    archive_timeline_at(window->a, n->timeline, timeline, n->stop) !=
		n->timeline)
		return HF_OK;
	stretch_find(window->a, n, timeline, &s);
	fork = fork_of(window->a, timeline, window->target);
	if (!s.alive || s.last.timeline != timeline || s.end <= fork)
		return HF_OK;
	if ((rc = goes_on(b, &s, fork, &yes, err)) != HF_OK || !yes ||
	    was_told(b, &s))
		return rc;
	(void)snprintf(text, sizeof text, "timeline %" PRIu32, timeline);
	return tell(b->log, &s, text, b->fn, b->arg, &b->stop, err);
}

/* Timelines that are not the newest have WAL of their own where an old primary
 * wrote on, or where somebody went back to them. */
static int
tell_branches(
    struct branches *b, const struct stretch *window, struct hf_error *err)
{
	const struct archive *a = window->a;
	uint32_t last = 0;
	int rc = HF_OK;

	for (size_t i = 0; i < archive_count(a) && rc == HF_OK && !b->stop;
	     i++) {
		/* Those of one timeline stand together. */
		if (archive_at(a, i)->timeline == last)
			continue;
		last = archive_at(a, i)->timeline;
		rc = tell_branch(b, window, last, err);
	}
	return rc;
}

static int
tell_window(
    struct branches *b, const struct stretch *window, struct hf_error *err)
{
	int rc = tell_branches(b, window, err);

	if (rc != HF_OK || b->stop)
		return rc;
	return tell(b->log, window, NULL, b->fn, b->arg, &b->stop, err);
}

static int
windows(struct branches *b, struct archives *archives, const struct needs *all,
    size_t n, struct hf_error *err)
{
	struct window w = { .open = false };
	struct archive *a;
	struct stretch s;
	int rc;

	for (size_t i = 0; i < n && !b->stop; i++) {
		if (holds(&w, &all[i]))
			continue;
		if ((rc = archives_get(archives, &all[i], &a, err)) != HF_OK)
			return rc;
		stretch_find(a, &all[i], 0, &s);
		if (!s.alive)
			continue;
		if (w.open && (rc = tell_window(b, &w.s, err)) != HF_OK)
			return rc;
		w = (struct window){ .open = true, .s = s };
	}
	if (!w.open || b->stop)
		return HF_OK;
	return tell_window(b, &w.s, err);
}

int
wal_spans(struct hf_engine *e, struct hf_in *log, struct hf_in *const *backups,
    size_t n, hf_span_fn *fn, void *arg, struct hf_error *err)
{
	struct branches branches = { .e = e, .log = log, .fn = fn, .arg = arg };
	struct archives archives = { .log = log };
	struct needs *all;
	size_t count;
	int rc;

	if ((rc = needs_read_all(backups, n, &all, &count, err)) != HF_OK)
		return rc;
	if (log == NULL)
		rc = moments(all, count, fn, arg, err);
	else
		rc = windows(&branches, &archives, all, count, err);
	archives_clear(&archives);
	free(all);
	return rc;
}
