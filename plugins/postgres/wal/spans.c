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

static int
tell(struct hf_in *log, const struct stretch *s, hf_span_fn *fn, void *arg,
    bool *stop, struct hf_error *err)
{
	char first[LSN_TEXT_MAX], last[LSN_TEXT_MAX], gap[256];
	struct hf_span span = { .struct_size = sizeof span,
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
		rc = tell(NULL, &s, fn, arg, &stop, err);
	}
	return rc;
}

static int
windows(struct archives *archives, const struct needs *all, size_t n,
    hf_span_fn *fn, void *arg, struct hf_error *err)
{
	struct window w = { .open = false };
	struct archive *a;
	struct stretch s;
	bool stop = false;
	int rc;

	for (size_t i = 0; i < n && !stop; i++) {
		if (holds(&w, &all[i]))
			continue;
		if ((rc = archives_get(archives, &all[i], &a, err)) != HF_OK)
			return rc;
		stretch_find(a, &all[i], 0, &s);
		if (!s.alive)
			continue;
		if (w.open && (rc = tell(archives->log, &w.s, fn, arg, &stop,
				   err)) != HF_OK)
			return rc;
		w = (struct window){ .open = true, .s = s };
	}
	if (!w.open || stop)
		return HF_OK;
	return tell(archives->log, &w.s, fn, arg, &stop, err);
}

int
wal_spans(struct hf_engine *e, struct hf_in *log, struct hf_in *const *backups,
    size_t n, hf_span_fn *fn, void *arg, struct hf_error *err)
{
	struct archives archives = { .log = log };
	struct needs *all;
	size_t count;
	int rc;

	(void)e;
	if ((rc = needs_read_all(backups, n, &all, &count, err)) != HF_OK)
		return rc;
	if (log == NULL)
		rc = moments(all, count, fn, arg, err);
	else
		rc = windows(&archives, all, count, fn, arg, err);
	archives_clear(&archives);
	free(all);
	return rc;
}
