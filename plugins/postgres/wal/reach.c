/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "needs.h"
#include "postgres.h"
#include "recover/recover.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000

struct reach {
	struct hf_engine *e;
	struct hf_in *log;
	struct recover_target t;
	struct needs n;
	struct archive *a;
	struct stretch s;
	struct hf_error *err;
};

/* ---- saying no ---- */

/* From where to where this backup leads, as a hint. */
static void
note_window(struct reach *r)
{
	char from[NEEDS_TIME_MAX], to[NEEDS_TIME_MAX], hint[320];
	char first[LSN_TEXT_MAX], last[LSN_TEXT_MAX];
	int64_t us = 0;

	if (r->log != NULL)
		(void)stretch_newest(r->log, &r->s, &us, NULL);
	(void)needs_time(r->n.stop_time * SECOND, from);
	if (us > r->n.stop_time * SECOND)
		(void)snprintf(hint, sizeof hint,
		    "With this backup the oldest moment that can be reached is "
		    "%s (%s), the newest %s (%s)%s%s.",
		    from, lsn_text(r->n.stop, first), needs_time(us - 1, to),
		    lsn_text(r->s.end, last),
		    r->s.gap[0] == '\0' ? "" : "; there the log lacks ",
		    r->s.gap);
	else
		(void)snprintf(hint, sizeof hint,
		    "With this backup the only moment that can be reached is "
		    "its end, %s (%s)%s%s.",
		    from, lsn_text(r->n.stop, first),
		    r->s.gap[0] == '\0' ? "" : "; there the log lacks ",
		    r->s.gap);
	H->fail_note(r->err, "hint", hint);
}

/* With the nearest that can be reached. */
static int no(struct reach *, const char *fmt, ...) HF_PRINTF(2, 3);

static int
no(struct reach *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	(void)H->fail(r->err, HF_E_NOTFOUND, "%s", text);
	note_window(r);
	return HF_E_NOTFOUND;
}

/* ---- the ways to say where ---- */

static int
reach_latest(struct reach *r)
{
	if (r->s.gap[0] != '\0')
		return no(r, "the log has a gap: %s is missing", r->s.gap);
	return HF_OK;
}

static int
reach_time(struct reach *r)
{
	char wanted[NEEDS_TIME_MAX], newest[NEEDS_TIME_MAX];
	int64_t us = 0;
	int rc;

	(void)needs_time(r->t.time_us, wanted);
	if (r->t.time_us < r->n.stop_time * SECOND)
		return no(r, "%s is before the end of the backup", wanted);
	if (r->log != NULL &&
	    (rc = stretch_newest(r->log, &r->s, &us, r->err)) != HF_OK)
		return rc;
	/* The server knows that it has arrived by a commit that is later, and
	 * fails without one. */
	if (us > r->t.time_us || (us == r->t.time_us && !r->t.inclusive))
		return HF_OK;
	if (us == 0)
		return no(r, "nothing was committed after %s", wanted);
	return no(r, "%s is after the last commit that the log has, of %s",
	    wanted, needs_time(us, newest));
}

/* Does a record begin at the target or behind it?  The server fails without
 * one. */
static int
reach_lsn(struct reach *r)
{
	uint32_t size = archive_segment_size(r->a);
	uint64_t segno = r->t.lsn / size;
	char lsn[LSN_TEXT_MAX], name[WAL_LOG_MAX];
	struct wal_facts f;
	lsn_t last = 0;
	int rc;

	(void)lsn_text(r->t.lsn, lsn);
	if (r->t.lsn < r->n.stop)
		return no(r, "%s is before the end of the backup", lsn);
	if (r->t.lsn >= r->s.end)
		return no(r, "%s is behind the end of the log", lsn);
	if (segno < r->s.last.segno && r->s.last.kind == WAL_SEGMENT) {
		wal_name_log(&r->s.last, r->n.system, size, name);
		rc = wal_facts(r->log, name, &f, r->err);
		if (rc != HF_OK || f.end != 0)
			return rc;
	}
	if ((rc = stretch_walk(r->e, r->log, &r->s, segno, NULL, NULL, &last,
		 r->err)) != HF_OK)
		return rc;
	if (last < r->t.lsn)
		return no(r, "%s is behind the last record of the log", lsn);
	return HF_OK;
}

struct search {
	const struct reach *r;
	lsn_t start, end; /* of the record that was found */
};

static int
is_target(void *arg, const struct segment_event *e)
{
	struct search *s = arg;
	const struct recover_target *t = &s->r->t;
	bool found;

	if (t->kind == RECOVER_NAME)
		found = e->kind == SEGMENT_RESTORE_POINT &&
			strcmp(e->name, t->text) == 0;
	else
		found =
		    (e->kind == SEGMENT_COMMIT || e->kind == SEGMENT_ABORT) &&
		    e->xid == t->xid;
	/* What lies behind the end is of another branch. */
	if (!found || e->end > s->r->s.end)
		return 0;
	s->start = e->start;
	s->end = e->end;
	return s->start >= s->r->n.stop;
}

static int
reach_record(struct reach *r)
{
	bool name = r->t.kind == RECOVER_NAME;
	struct search s = { .r = r };
	int rc;

	rc = stretch_walk(r->e, r->log, &r->s,
	    r->n.start / archive_segment_size(r->a), is_target, &s, NULL,
	    r->err);
	if (rc != HF_OK)
		return rc;
	if (s.end == 0)
		return no(r, "the log has no %s %s behind this backup",
		    name ? "restore point" : "end of transaction", r->t.text);
	if (s.start < r->n.stop)
		return no(r, "%s %s is before the end of the backup",
		    name ? "restore point" : "the end of transaction",
		    r->t.text);
	return HF_OK;
}

/* ---- the way there ---- */

/* The timeline that is asked for. */
static int
choose_timeline(struct reach *r, uint32_t *target)
{
	const char *reason, *broken = archive_broken(r->a, &reason);
	uint32_t at;

	if (strcmp(r->t.timeline, "latest") == 0) {
		if (broken != NULL)
			return H->fail(r->err, HF_E_CORRUPT,
			    "which timeline is the latest cannot be said: %s: "
			    "%s",
			    broken, reason);
		*target = archive_latest(r->a, r->n.timeline, r->n.stop);
		return HF_OK;
	}
	*target = r->n.timeline;
	if (strcmp(r->t.timeline, "current") == 0)
		return HF_OK;
	*target = (uint32_t)strtoul(r->t.timeline, NULL, 10);
	at = archive_timeline_at(r->a, r->n.timeline, *target, r->n.stop);
	if (at == r->n.timeline)
		return HF_OK;
	if (at == 0)
		return H->fail(r->err, HF_E_NOTFOUND,
		    "timeline %" PRIu32 " does not descend from that of the "
		    "backup, %" PRIu32 ", or its history is not in the log",
		    *target, r->n.timeline);
	return H->fail(r->err, HF_E_NOTFOUND,
	    "timeline %" PRIu32 " left that of the backup, %" PRIu32
	    ", before the backup ended",
	    *target, r->n.timeline);
}

static int
reach_target(struct reach *r)
{
	char lsn[LSN_TEXT_MAX];
	uint32_t target = 0;
	int rc;

	if ((rc = choose_timeline(r, &target)) != HF_OK)
		return rc;
	stretch_find(r->a, &r->n, target, &r->s);
	if (!r->s.alive)
		return H->fail(r->err, HF_E_NOTFOUND,
		    "the backup cannot be restored: of the WAL up to its end, "
		    "%s, the log lacks %s",
		    lsn_text(r->n.stop, lsn), r->s.gap);
	switch (r->t.kind) {
	case RECOVER_IMMEDIATE:
		return HF_OK;
	case RECOVER_LATEST:
		return reach_latest(r);
	case RECOVER_TIME:
		return reach_time(r);
	case RECOVER_LSN:
		return reach_lsn(r);
	case RECOVER_XID:
	case RECOVER_NAME:
		return reach_record(r);
	}
	return H->fail(r->err, HF_E_BUG, "no such target");
}

/* Without a log a backup can be brought to its own end, if it has the WAL. */
static int
reach_alone(struct reach *r)
{
	if (!r->n.included)
		return H->fail(r->err, HF_E_NOTFOUND,
		    "the backup needs WAL, and the pipeline keeps none");
	r->s = (struct stretch){ .n = &r->n, .alive = true, .end = r->n.stop };
	if (r->t.kind == RECOVER_IMMEDIATE || r->t.kind == RECOVER_LATEST)
		return HF_OK;
	return no(r, "the pipeline keeps no WAL behind the backup");
}

int
wal_reach(struct hf_engine *e, const struct hf_request *req,
    struct hf_in *backup, struct hf_error *err)
{
	struct reach r = { .e = e, .log = req->log, .err = err };
	struct archives archives = { .log = req->log };
	int rc;

	if ((rc = recover_target(req, &r.t, err)) != HF_OK)
		return rc;
	if (!needs_any(backup))
		return r.t.kind == RECOVER_LATEST
			   ? HF_OK
			   : H->fail(err, HF_E_NOTFOUND,
				 "a logical backup is of one moment: no WAL "
				 "leads on from it");
	if ((rc = needs_read(backup, &r.n, err)) != HF_OK)
		return rc;
	if (req->log == NULL)
		return reach_alone(&r);
	if ((rc = archives_get(&archives, &r.n, &r.a, err)) == HF_OK)
		rc = reach_target(&r);
	archives_clear(&archives);
	return rc;
}
