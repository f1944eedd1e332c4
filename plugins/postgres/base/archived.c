/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "../conn.h"
#include "../postgres.h"
#include "../wal/archive.h"

#define FIRST_WAIT 50 /* ms between two looks, and the longest */
#define LONGEST_WAIT 5000

/* The WAL that is waited for. */
struct wanted {
	uint32_t timeline;
	uint64_t first, last; /* segments */
};

/* HF_OK: there; HF_E_NOTFOUND: not yet.  gap: what is missing. */
typedef int
look_fn(const struct run *, const struct archive *, char gap[WAL_FILE_MAX]);

static int
look(const struct run *r, const struct wanted *w, look_fn *fn,
    char gap[WAL_FILE_MAX], struct hf_error *err)
{
	struct archive *a;
	int rc;

	rc = archive_load_part(r->log, r->system, r->segment_size, w->timeline,
	    w->first, w->last, &a, err);
	if (rc != HF_OK)
		return rc;
	rc = fn(r, a, gap);
	archive_free(a);
	return rc;
}

static int
wait_for(const struct run *r, const struct wanted *w, look_fn *fn,
    char gap[WAL_FILE_MAX], struct hf_error *err)
{
	int64_t end = conn_now() + r->e->conf.wal.wait, ms = FIRST_WAIT;
	int rc;

	while ((rc = look(r, w, fn, gap, err)) == HF_E_NOTFOUND) {
		if (conn_now() >= end)
			return HF_E_NOTFOUND;
		if (!H->sleep(r->e->ctx, ms))
			return H->fail(err, HF_E_CANCELLED, "cancelled");
		ms = ms * 2 < LONGEST_WAIT ? ms * 2 : LONGEST_WAIT;
	}
	return rc;
}

static int
fail(const struct run *r, const char *what, const char *gap,
    struct hf_error *err)
{
	struct text hint = { 0 };

	trouble_text(r, &hint);
	(void)H->fail(err, HF_E_IO,
	    "%s: WAL does not arrive in the log: %s is missing after %lld s%s",
	    r->c->label, gap, (long long)(r->e->conf.wal.wait / 1000), what);
	H->fail_note(err, "hint", text_get(&hint));
	text_free(&hint);
	return HF_E_IO;
}

/* The segment before that of the start is complete, so that it was archived;
 * one who follows a slot has also stored what came after it.  Any of the two is
 * enough.  After a promotion it may be of the timeline before. */
static int
before_start(
    const struct run *r, const struct archive *a, char gap[WAL_FILE_MAX])
{
	struct wal_name want = { .kind = WAL_SEGMENT,
		.timeline = r->start_timeline,
		.segno = r->start / r->segment_size - 1 };
	lsn_t end, first = r->start - r->start % r->segment_size;
	char none[WAL_FILE_MAX];

	wal_name_file(&want, r->segment_size, gap);
	for (size_t i = 0; i < archive_count(a); i++) {
		const struct wal_name *n = archive_at(a, i);

		if (n->kind != WAL_SEGMENT)
			continue;
		if (n->timeline == want.timeline ? n->segno >= want.segno
						 : n->segno == want.segno)
			return HF_OK;
	}
	return archive_reach(a, r->start_timeline, first, r->start_timeline,
	    r->start, &end, NULL, none);
}

int
archived_begins(struct run *r, struct hf_error *err)
{
	uint64_t segno = r->start / r->segment_size;
	struct wanted w = { r->start_timeline, segno - 1, segno };
	char gap[WAL_FILE_MAX];
	int rc;

	/* In the first segment of all there is nothing before it. */
	if (r->log == NULL || segno < 2)
		return HF_OK;
	rc = wait_for(r, &w, before_start, gap, err);
	if (rc != HF_E_NOTFOUND)
		return rc;
	return fail(r, "; nothing was copied yet", gap, err);
}

static int
start_to_stop(
    const struct run *r, const struct archive *a, char gap[WAL_FILE_MAX])
{
	lsn_t end, first = r->start - r->start % r->segment_size;

	return archive_reach(a, r->start_timeline, first, r->stop_timeline,
	    r->stop, &end, NULL, gap);
}

int
archived_whole(struct run *r, struct hf_error *err)
{
	struct wanted w = { r->stop_timeline, r->start / r->segment_size,
		r->stop / r->segment_size };
	char gap[WAL_FILE_MAX];
	int rc;

	if (r->log == NULL)
		return HF_OK;
	rc = wait_for(r, &w, start_to_stop, gap, err);
	if (rc != HF_E_NOTFOUND)
		return rc;
	return fail(r, ", and the backup needs it", gap, err);
}
