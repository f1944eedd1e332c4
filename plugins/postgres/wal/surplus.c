/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "needs.h"
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

/* What of one system's archive may go.
 *
 * Every timeline later than the earliest that a promise stands on is kept
 * whole, and of the others all from the lowest position on that a promise
 * begins at: where branches run beside each other, too much is kept rather than
 * too little. */
struct surplus {
	const struct archive *a;
	const struct needs *kept; /* all, of any system */
	size_t nkept;
	uint32_t timeline; /* of the promises, the earliest */
	uint64_t segno;    /* the lowest */
	/* Of the newest backup: up to there pieces of what is whole may go. */
	uint32_t newest_timeline;
	uint64_t newest_segno;
	bool *goes; /* by number, as archive_at */
	hf_list_fn *fn;
	void *arg;
};

/* Does a kept backup need it to become consistent?  On any timeline. */
static bool
needed(const struct surplus *s, uint64_t segno)
{
	uint32_t size = archive_segment_size(s->a);

	for (size_t i = 0; i < s->nkept; i++)
		if (s->kept[i].system == archive_system(s->a) &&
		    segno >= s->kept[i].start / size &&
		    segno <= s->kept[i].stop / size)
			return true;
	return false;
}

static bool
old(const struct surplus *s, const struct wal_name *n)
{
	return n->timeline <= s->timeline && n->segno < s->segno &&
	       !needed(s, n->segno);
}

static bool
goes(const struct surplus *s, const struct wal_name *n)
{
	if (n->kind == WAL_HISTORY)
		return false; /* decided when the rest is */
	if (old(s, n))
		return true;
	return n->kind == WAL_PIECE && n->timeline <= s->newest_timeline &&
	       n->segno < s->newest_segno &&
	       archive_has(s->a, n->timeline, n->segno);
}

/* ---- histories ---- */

/* Is the timeline in use: by what stays of it, by a backup, or on the way to
 * one that is? */
static bool
in_use(const struct surplus *s, uint32_t timeline)
{
	if (timeline >= s->timeline)
		return true;
	for (size_t i = 0; i < s->nkept; i++)
		if (s->kept[i].start_timeline == timeline ||
		    s->kept[i].timeline == timeline)
			return true;
	for (size_t i = 0; i < archive_count(s->a); i++) {
		const struct wal_name *n = archive_at(s->a, i);

		if (n->timeline == timeline && n->kind != WAL_HISTORY &&
		    !s->goes[i])
			return true;
	}
	return false;
}

/* Its descendants have higher numbers: those come first. */
static void
decide_histories(struct surplus *s)
{
	for (size_t i = archive_count(s->a); i-- > 0;) {
		const struct wal_name *n = archive_at(s->a, i);
		bool used;

		if (n->kind != WAL_HISTORY)
			continue;
		used = in_use(s, n->timeline);
		for (size_t j = i + 1; j < archive_count(s->a) && !used; j++) {
			const struct wal_name *later = archive_at(s->a, j);

			if (later->kind != WAL_HISTORY || s->goes[j])
				continue;
			for (size_t h = 0; h < archive_histories(s->a); h++)
				if (archive_history(s->a, h)->timeline ==
					later->timeline &&
				    history_end(archive_history(s->a, h),
					n->timeline) != 0)
					used = true;
		}
		s->goes[i] = !used;
	}
}

/* ---- one system ---- */

/* Histories last: while a segment is there, so is what explains it. */
static bool
tell(const struct surplus *s, bool histories)
{
	char name[WAL_LOG_MAX];
	struct hf_object o = { .struct_size = sizeof o, .key = name };

	for (size_t i = 0; i < archive_count(s->a); i++) {
		const struct wal_name *n = archive_at(s->a, i);

		if (!s->goes[i] || (n->kind == WAL_HISTORY) != histories)
			continue;
		wal_name_log(
		    n, archive_system(s->a), archive_segment_size(s->a), name);
		if (s->fn(s->arg, &o) != 0)
			return false;
	}
	return true;
}

/* promised: the kept ones, from the first after whose end every moment is
 * promised.  *more false: the listener has had enough. */
static int
of_system(struct surplus *s, const struct needs *promised, bool *more,
    struct hf_error *err)
{
	uint32_t size = archive_segment_size(s->a);
	const struct needs *end = s->kept + s->nkept;

	s->timeline = UINT32_MAX;
	s->segno = UINT64_MAX;
	for (const struct needs *n = promised; n < end; n++) {
		if (n->system != archive_system(s->a))
			continue;
		if (n->start_timeline < s->timeline)
			s->timeline = n->start_timeline;
		if (n->start / size < s->segno)
			s->segno = n->start / size;
		s->newest_timeline = n->start_timeline;
		s->newest_segno = n->start / size;
	}
	/* Promised nothing, or not to be understood: all of it stays. */
	if (s->segno == UINT64_MAX || archive_broken(s->a, NULL) != NULL)
		return HF_OK;
	if ((s->goes = calloc(archive_count(s->a) + 1, sizeof *s->goes)) ==
	    NULL)
		return postgres_nomem(err);
	for (size_t i = 0; i < archive_count(s->a); i++)
		s->goes[i] = goes(s, archive_at(s->a, i));
	decide_histories(s);
	*more = tell(s, false) && tell(s, true);
	free(s->goes);
	s->goes = NULL;
	return HF_OK;
}

/* The first whose later moments are promised: kept[whole], or the physical one
 * before it; the last, when nothing is promised, as nothing behind it may go. */
static size_t
first_promised(struct hf_in *const *kept, size_t n, size_t whole, size_t count)
{
	size_t physical = 0;

	if (whole >= n)
		return count - 1;
	for (size_t i = 0; i <= whole; i++)
		physical += needs_any(kept[i]);
	return physical == 0 ? 0 : physical - 1;
}

int
wal_surplus(struct hf_engine *e, struct hf_in *log, struct hf_in *const *kept,
    size_t n, size_t whole, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	struct archives archives = { .log = log };
	struct surplus s = { .fn = fn, .arg = arg };
	struct needs *all;
	struct archive *a;
	bool more = true;
	size_t first;
	int rc;

	(void)e;
	if ((rc = needs_read_all(kept, n, &all, &s.nkept, err)) != HF_OK)
		return rc;
	s.kept = all;
	if (s.nkept == 0)
		goto done;
	first = first_promised(kept, n, whole, s.nkept);
	for (size_t i = 0; i < s.nkept && rc == HF_OK && more; i++) {
		size_t before = archives.n;

		if ((rc = archives_get(&archives, &all[i], &a, err)) != HF_OK)
			break;
		s.a = a;
		if (archives.n > before) /* each system once */
			rc = of_system(&s, all + first, &more, err);
	}
done:
	archives_clear(&archives);
	free(all);
	return rc;
}
