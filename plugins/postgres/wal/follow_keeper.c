/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow_keeper_private.h"

#include "conn.h"
#include "follow_buffer.h"
#include "postgres.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PARTS_MIN 2
#define BYTES ((size_t)64 << 20)
/* So much of a large segment at once is let go of, when it has arrived. */
#define REST ((size_t)8 << 20)

static struct part *
part_last(struct keeper *k)
{
	return k->n == 0 ? NULL : &k->parts[(k->first + k->n - 1) % PARTS_MAX];
}

/* ---- beginning and ending ---- */

static int
start(struct keeper *k)
{
	sigset_t all, before;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&k->thread, NULL, keeper_main, k);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	k->started = e == 0;
	return e;
}

static int
init_sync(struct keeper *k)
{
	pthread_condattr_t attr;
	int e;

	if ((e = pthread_mutex_init(&k->mutex, NULL)) != 0)
		return e;
	if ((e = pthread_condattr_init(&attr)) != 0)
		goto err0;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	e = pthread_cond_init(&k->work, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (e == 0)
		return 0;
err0:
	(void)pthread_mutex_destroy(&k->mutex);
	return e;
}

int
keeper_new(
    const struct keeper_conf *conf, struct keeper **out, struct hf_error *err)
{
	size_t parts = BYTES / conf->segment_size;
	struct keeper *k;
	int e, rc;

	*out = NULL;
	if ((k = calloc(1, sizeof *k)) == NULL)
		return postgres_nomem(err);
	k->conf = *conf;
	k->nparts = parts < PARTS_MIN   ? PARTS_MIN
		    : parts > PARTS_MAX ? PARTS_MAX
					: (unsigned)parts;
	if ((k->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1) {
		rc = H->fail_errno(err, errno, "eventfd");
		goto err0;
	}
	if ((e = init_sync(k)) != 0) {
		rc = H->fail_errno(err, e, "making a lock");
		goto err1;
	}
	k->err = H->fail_new();
	if ((e = start(k)) != 0) {
		rc = H->fail_errno(err, e, "starting a thread");
		keeper_free(k);
		return rc;
	}
	*out = k;
	return HF_OK;
err1:
	(void)close(k->event);
err0:
	free(k);
	return rc;
}

void
keeper_finish(struct keeper *k, unsigned tries)
{
	if (k == NULL || !k->started)
		return;
	(void)pthread_mutex_lock(&k->mutex);
	k->finish = true;
	k->tries = tries;
	(void)pthread_cond_signal(&k->work);
	(void)pthread_mutex_unlock(&k->mutex);
	(void)pthread_join(k->thread, NULL);
	k->started = false;
}

void
keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	keeper_finish(k, 1);
	while (k->n > 0)
		keeper_drop(k);
	buffer_free(k->spare, k->conf.segment_size);
	free(k->pieces);
	H->fail_free(k->err);
	(void)close(k->event);
	(void)pthread_cond_destroy(&k->work);
	(void)pthread_mutex_destroy(&k->mutex);
	free(k);
}

/* ---- what is received ---- */

bool
keeper_room(struct keeper *k)
{
	bool room;

	(void)pthread_mutex_lock(&k->mutex);
	room = k->n < k->nparts;
	(void)pthread_mutex_unlock(&k->mutex);
	return room;
}

/* The part that these bytes belong to, with the lock. */
static int
find(struct keeper *k, uint32_t timeline, uint64_t segno, struct part **out,
    struct hf_error *err)
{
	struct part *p = part_last(k);
	uint8_t *data = k->spare;
	int rc;

	if (p != NULL && !p->left && p->timeline == timeline &&
	    p->segno == segno) {
		*out = p;
		return HF_OK;
	}
	if (k->n == k->nparts)
		return H->fail(err, HF_E_BUG, "no room for a segment");
	if (data == NULL) {
		rc = buffer_new(k->conf.ctx, k->conf.segment_size, &data, err);
		if (rc != HF_OK)
			return rc;
	}
	k->spare = NULL;
	k->n++;
	*out = part_last(k);
	**out =
	    (struct part){ .timeline = timeline, .segno = segno, .data = data };
	return HF_OK;
}

/* Into the part, or compared with what the log has of it. */
static int
fill(struct keeper *k, struct part *p, const uint8_t *data, size_t len,
    struct hf_error *err)
{
	size_t same = p->got < p->known ? p->known - p->got : 0;

	if (same > len)
		same = len;
	if (same > 0 && memcmp(p->data + p->got, data, same) != 0)
		return postgres_fail_hint(err, HF_E_EXISTS,
		    "Two servers of one system write into this log: an old "
		    "primary that still runs, or a copy. Find out which one "
		    "the pipeline is to follow.",
		    "the log has other bytes of segment %llu of timeline %lu "
		    "than this server",
		    (unsigned long long)p->segno, (unsigned long)p->timeline);
	if (len > same)
		memcpy(p->data + p->got + same, data + same, len - same);
	if (p->got <= p->kept)
		p->since = conn_now();
	/* The thread waits for the first new bytes, and for the last. */
	if (p->got <= p->kept || p->got + len == k->conf.segment_size)
		(void)pthread_cond_signal(&k->work);
	if ((p->got + len) / REST != p->got / REST)
		buffer_rest(k->conf.ctx, p->data, k->conf.segment_size,
		    p->got / REST * REST, REST);
	p->got += len;
	return HF_OK;
}

int
keeper_add(struct keeper *k, uint32_t timeline, lsn_t lsn, const void *data,
    size_t len, struct hf_error *err)
{
	uint32_t size = k->conf.segment_size;
	const uint8_t *from = data;
	struct part *p = NULL;
	size_t n;
	int rc = HF_OK;

	(void)pthread_mutex_lock(&k->mutex);
	for (; rc == HF_OK && len > 0; from += n, len -= n, lsn += n) {
		n = size - (size_t)(lsn % size);
		n = n < len ? n : len;
		rc = find(k, timeline, lsn / size, &p, err);
		if (rc == HF_OK && p->got != lsn % size)
			rc = H->fail(err, HF_E_IO,
			    "the server sent WAL from another place than was "
			    "asked for");
		if (rc == HF_OK)
			rc = fill(k, p, from, n, err);
	}
	(void)pthread_mutex_unlock(&k->mutex);
	return rc;
}

int
keeper_known(struct keeper *k, uint32_t timeline, uint64_t segno,
    uint32_t offset, const void *data, size_t len, struct hf_error *err)
{
	struct part *p = NULL;
	int rc;

	(void)pthread_mutex_lock(&k->mutex);
	rc = find(k, timeline, segno, &p, err);
	if (rc == HF_OK &&
	    (offset > p->known || len > k->conf.segment_size - offset))
		rc = H->fail(err, HF_E_BUG, "a piece behind a gap");
	if (rc == HF_OK) {
		memcpy(p->data + offset, data, len);
		buffer_rest(
		    k->conf.ctx, p->data, k->conf.segment_size, offset, len);
		if (offset + len > p->known)
			p->known = p->kept = offset + len;
		if (segno * k->conf.segment_size + p->kept > k->durable)
			k->durable = segno * k->conf.segment_size + p->kept;
	}
	(void)pthread_mutex_unlock(&k->mutex);
	return rc;
}

void
keeper_piece(struct keeper *k, const struct wal_name *n, enum keeper_piece use)
{
	(void)pthread_mutex_lock(&k->mutex);
	(void)keeper_note(
	    k, &(struct piece){ n->timeline, n->segno, n->offset, use });
	(void)pthread_cond_signal(&k->work);
	(void)pthread_mutex_unlock(&k->mutex);
}

/* What a part has, with its pieces of before, up to where its timeline was
 * left, is in the next one's segment too. */
static void
mark_copied(struct keeper *k, struct part *p, lsn_t at)
{
	size_t end = p->got > p->known ? p->got : p->known;

	p->copied = p->segno * k->conf.segment_size + end <= at;
	for (size_t i = 0; i < k->npieces && p->copied; i++)
		if (k->pieces[i].timeline == p->timeline &&
		    k->pieces[i].segno == p->segno &&
		    k->pieces[i].offset < end &&
		    k->pieces[i].use == KEEPER_PIECE)
			k->pieces[i].use = KEEPER_PIECE_COPIED;
}

void
keeper_leave(struct keeper *k, lsn_t at)
{
	struct part *p;

	(void)pthread_mutex_lock(&k->mutex);
	if ((p = part_last(k)) != NULL) {
		p->left = true;
		mark_copied(k, p, at);
	}
	(void)pthread_cond_signal(&k->work);
	(void)pthread_mutex_unlock(&k->mutex);
}

/* ---- what is known of it ---- */

lsn_t
keeper_durable(struct keeper *k)
{
	lsn_t lsn;

	(void)pthread_mutex_lock(&k->mutex);
	lsn = k->durable;
	(void)pthread_mutex_unlock(&k->mutex);
	return lsn;
}

int
keeper_event(const struct keeper *k)
{
	return k->event;
}

int
keeper_status(struct keeper *k, struct hf_error *err)
{
	int rc;

	(void)pthread_mutex_lock(&k->mutex);
	if ((rc = k->status) != HF_OK)
		(void)H->fail_move(err, k->err);
	(void)pthread_mutex_unlock(&k->mutex);
	return rc;
}

int64_t
keeper_failing(struct keeper *k)
{
	int64_t since;

	(void)pthread_mutex_lock(&k->mutex);
	since = k->failing;
	(void)pthread_mutex_unlock(&k->mutex);
	return since;
}

void
keeper_hurry(struct keeper *k)
{
	(void)pthread_mutex_lock(&k->mutex);
	k->hurry = true;
	(void)pthread_cond_signal(&k->work);
	(void)pthread_mutex_unlock(&k->mutex);
}
