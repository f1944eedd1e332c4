/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow_keeper_private.h"

#include "conn.h"
#include "facts.h"
#include "follow_buffer.h"
#include "postgres.h"
#include "segment.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Between two attempts, milliseconds: doubled from the first to the last. */
#define PAUSE_FIRST 500
#define PAUSE_LAST 15000
/* Read and written at once. */
#define BLOCK ((size_t)1 << 20)
/* Of surplus pieces when it ends; the next start finds the others. */
#define LAST_REMOVALS 64

static void
tell(struct keeper *k)
{
	const uint64_t one = 1;
	ssize_t n = write(k->event, &one, sizeof one);

	(void)n; /* full: it is readable */
}

struct part *
keeper_first(struct keeper *k)
{
	return k->n == 0 ? NULL : &k->parts[k->first];
}

void
keeper_drop(struct keeper *k)
{
	struct part *p = keeper_first(k);

	if (k->spare == NULL)
		k->spare = p->data;
	else
		buffer_free(p->data, k->conf.segment_size);
	p->data = NULL;
	k->first = (k->first + 1) % PARTS_MAX;
	k->n--;
	tell(k);
}

/* Waits at most so long; < 0: until it is signalled. */
static void
wait_for(struct keeper *k, int64_t ms)
{
	struct timespec ts;

	if (ms < 0) {
		(void)pthread_cond_wait(&k->work, &k->mutex);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += (time_t)(ms / 1000);
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	(void)pthread_cond_timedwait(&k->work, &k->mutex, &ts);
}

/* ---- storing, without the lock ---- */

/* The part of it from there on, with what stands in all of it. */
static int
put(struct keeper *k, const struct part *p, const char *name, size_t from,
    struct hf_error *err)
{
	struct segment_facts f;
	struct segment_walk *walk;
	struct hf_writer *w;
	size_t at, n, skip;
	int rc;

	rc = H->out_begin(k->conf.log, name, p->got - from, &w, err);
	if (rc != HF_OK)
		return rc;
	walk = segment_facts_begin(&f);
	for (at = 0; rc == HF_OK && at < p->got; at += n) {
		n = p->got - at < BLOCK ? p->got - at : BLOCK;
		skip = at < from ? from - at : 0;
		if (walk != NULL)
			(void)segment_walk_feed(
			    walk, p->data + at, n, name, NULL);
		if (skip < n)
			rc =
			    H->out_write(w, p->data + at + skip, n - skip, err);
		buffer_rest(k->conf.ctx, p->data, k->conf.segment_size, at, n);
	}
	segment_facts_end(walk, &f);
	if (rc == HF_OK)
		rc = facts_tell(w, k->conf.segment_size, &f, err);
	if (rc == HF_OK)
		return H->out_commit(w, err);
	H->out_abort(w);
	return rc;
}

static int
store(struct keeper *k, const struct part *p, bool whole, struct hf_error *err)
{
	struct wal_name n = { .kind = whole ? WAL_SEGMENT : WAL_PIECE,
		.timeline = p->timeline,
		.segno = p->segno,
		.offset = whole ? 0 : (uint32_t)p->kept };
	size_t from = whole ? 0 : p->kept;
	char name[WAL_LOG_MAX];
	int rc;

	wal_name_log(&n, k->conf.system, k->conf.segment_size, name);
	rc = put(k, p, name, from, err);
	if (rc == HF_OK)
		H->log(k->conf.ctx, HF_LOG_DEBUG,
		    whole ? "wal.segment" : "wal.piece", "%s, %zu bytes", name,
		    p->got - from);
	else if (rc == HF_E_EXISTS && whole)
		(void)postgres_fail_hint(err, HF_E_EXISTS,
		    "Two servers of one system write into this log: an old "
		    "primary that still runs, or a copy. Find out which one "
		    "the pipeline is to follow; give the other one a pipeline "
		    "of its own.",
		    "the log has %s with other bytes than this server", name);
	return rc;
}

/* One surplus piece out of the log. */
static bool
remove_piece(struct keeper *k)
{
	struct wal_name n = { .kind = WAL_PIECE };
	char name[WAL_LOG_MAX];
	size_t i;

	for (i = 0; i < k->npieces; i++)
		if (k->pieces[i].use == KEEPER_PIECE_SURPLUS)
			break;
	if (i == k->npieces)
		return false;
	n.timeline = k->pieces[i].timeline;
	n.segno = k->pieces[i].segno;
	n.offset = k->pieces[i].offset;
	k->pieces[i] = k->pieces[--k->npieces];
	wal_name_log(&n, k->conf.system, k->conf.segment_size, name);
	(void)pthread_mutex_unlock(&k->mutex);
	/* When it cannot be now, the next start finds it. */
	if (H->log_remove(k->conf.log, name, NULL) != HF_OK)
		H->log(k->conf.ctx, HF_LOG_DEBUG, "wal.piece",
		    "%s cannot be removed now", name);
	(void)pthread_mutex_lock(&k->mutex);
	return true;
}

/* ---- the thread ---- */

bool
keeper_note(struct keeper *k, const struct piece *piece)
{
	struct piece *more;

	if (k->npieces == k->cap) {
		k->cap = k->cap == 0 ? 64 : k->cap * 2;
		more = realloc(k->pieces, k->cap * sizeof *more);
		if (more == NULL) {
			k->cap = k->npieces;
			return false;
		}
		k->pieces = more;
	}
	k->pieces[k->npieces++] = *piece;
	return true;
}

/* Its own pieces, and those of a parent, where it has what they have. */
static void
mark_surplus(struct keeper *k, const struct part *whole)
{
	for (size_t i = 0; i < k->npieces; i++) {
		struct piece *p = &k->pieces[i];

		if (p->segno == whole->segno &&
		    (p->timeline == whole->timeline ||
			(p->timeline < whole->timeline &&
			    p->use == KEEPER_PIECE_COPIED)))
			p->use = KEEPER_PIECE_SURPLUS;
	}
}

static void
stored(struct keeper *k, const struct part *was, bool whole)
{
	struct part *p = keeper_first(k);
	lsn_t end = was->segno * k->conf.segment_size + was->got;

	if (whole) {
		/* Some sinks may have the last piece, which not all have. */
		if (was->tried > was->kept)
			(void)keeper_note(
			    k, &(struct piece){ was->timeline, was->segno,
				   (uint32_t)was->kept, KEEPER_PIECE });
		mark_surplus(k, was);
		keeper_drop(k);
	} else {
		(void)keeper_note(k,
		    &(struct piece){ p->timeline, p->segno, (uint32_t)was->kept,
			p->copied ? KEEPER_PIECE_COPIED : KEEPER_PIECE });
		p->kept = was->got;
		p->tried = 0;
		p->since = conn_now();
	}
	if (end > k->durable)
		k->durable = end;
	if (k->failing != 0)
		H->log(k->conf.ctx, HF_LOG_INFO, "wal.stored",
		    "the log takes WAL again");
	k->failing = 0;
	tell(k);
}

/* May it be better next time? */
static bool
passes(int rc)
{
	switch (rc) {
	case HF_E_EXISTS:
	case HF_E_INVALID:
	case HF_E_UNSUPPORTED:
	case HF_E_BUG:
		return false;
	default:
		return true;
	}
}

/* What to do with the first part, if anything. */
enum step { STEP_NONE, STEP_WHOLE, STEP_PIECE, STEP_DROP };

static enum step
next_step(const struct keeper *k, const struct part *p)
{
	if (p->got == k->conf.segment_size)
		return STEP_WHOLE;
	if (p->got > p->kept && !p->whole &&
	    (p->left || k->finish || k->hurry ||
		conn_now() - p->since >= k->conf.flush))
		return STEP_PIECE;
	return p->left && (p->got <= p->kept || p->whole) ? STEP_DROP
							  : STEP_NONE;
}

/* One attempt failed: milliseconds to wait for the next; < 0: no more. */
static int64_t
failed(struct keeper *k, struct part *p, int rc, bool whole, int64_t pause)
{
	if (rc == HF_E_EXISTS && !whole) {
		H->log(k->conf.ctx, HF_LOG_WARN, "wal.piece",
		    "somebody else stores pieces of this segment too: it will "
		    "be stored when it is full");
		p->whole = true;
		return 0;
	}
	if (!passes(rc) || (k->finish && --k->tries == 0)) {
		k->status = rc;
		tell(k);
		return -1;
	}
	if (k->failing == 0) {
		k->failing = (int64_t)time(NULL);
		H->log(k->conf.ctx, HF_LOG_WARN, "wal.store",
		    "the log does not take WAL: what the server writes is not "
		    "confirmed to it, and it keeps it until this works again");
	}
	return pause == 0               ? PAUSE_FIRST
	       : pause * 2 < PAUSE_LAST ? pause * 2
					: PAUSE_LAST;
}

static int64_t
attempt(struct keeper *k, bool whole, int64_t pause)
{
	struct part *p = keeper_first(k), was = *p;
	int rc;

	if (!whole && p->tried > p->kept)
		was.got = p->tried;
	else if (!whole)
		p->tried = p->got;
	(void)pthread_mutex_unlock(&k->mutex);
	rc = store(k, &was, whole, k->err);
	(void)pthread_mutex_lock(&k->mutex);
	if (rc != HF_OK)
		return failed(k, p, rc, whole, pause);
	stored(k, &was, whole);
	return 0;
}

/* How long nothing is to be done; < 0: until something comes. */
static int64_t
idle(const struct keeper *k, const struct part *p)
{
	int64_t left;

	if (p == NULL || p->got <= p->kept || p->whole)
		return -1;
	left = p->since + k->conf.flush - conn_now();
	return left > 0 ? left : 0;
}

/* Between two attempts; what comes meanwhile is no reason for the next. */
static void
rest(struct keeper *k, int64_t pause)
{
	int64_t until = conn_now() + pause, left;

	while (!k->finish && (left = until - conn_now()) > 0)
		wait_for(k, left);
	if (k->finish)
		wait_for(k, PAUSE_FIRST);
}

void *
keeper_main(void *arg)
{
	struct keeper *k = arg;
	enum step step = STEP_NONE;
	unsigned removals = LAST_REMOVALS;
	int64_t pause = 0;
	struct part *p;

	(void)pthread_mutex_lock(&k->mutex);
	while (pause >= 0) {
		p = keeper_first(k);
		step = p == NULL ? STEP_NONE : next_step(k, p);
		if (step == STEP_DROP) {
			keeper_drop(k);
		} else if (step != STEP_NONE) {
			pause = attempt(k, step == STEP_WHOLE, pause);
			if (pause > 0)
				rest(k, pause);
		} else if (k->finish) {
			if (removals-- == 0 || !remove_piece(k))
				break;
		} else {
			k->hurry = false;
			if (!remove_piece(k))
				wait_for(k, idle(k, p));
		}
	}
	(void)pthread_mutex_unlock(&k->mutex);
	return NULL;
}
