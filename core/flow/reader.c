/* SPDX-License-Identifier: BSD-2-Clause */
#include "reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/chain.h"
#include "plugin/store.h"

int
reader_corrupt(
    const struct reader *r, struct hf_error *err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return error_fail(err, HF_E_CORRUPT,
	    "the object %s (%s) is damaged: %s", r->o->name, r->o->key, text);
}

void
reader_fail(
    struct reader *r, uint64_t seq, int status, const struct hf_error *why)
{
	/* The one that is met first while reading. */
	if (r->status == HF_OK || seq < r->failed_at) {
		r->status = status;
		r->failed_at = seq;
		r->why = *why;
	}
	(void)pthread_cond_broadcast(&r->changed);
}

/* ---- frames ---- */

/* Raw bytes that frame number seq of this reader must have. */
static uint64_t
raw_length(const struct reader *r, uint64_t seq)
{
	uint64_t size = r->o->frame_size, at = (r->first + seq) * size;

	return r->o->raw_size - at < size ? r->o->raw_size - at : size;
}

static int
decode(struct reader *r, struct frame *fr, struct buf *scratch,
    struct hf_error *err)
{
	uint64_t expected;
	char was[256];
	int rc;

	if (r->mode != READER_FRAMES)
		return HF_OK;
	expected = raw_length(r, fr->seq);
	rc = chain_frame(r->o->filters, r->o->nfilters, true, r->o->name,
	    expected < SIZE_MAX ? (size_t)expected : SIZE_MAX, &fr->b, scratch,
	    err);
	if (rc == HF_E_CORRUPT) {
		(void)snprintf(was, sizeof was, "%.255s", err->cause);
		return reader_corrupt(
		    r, err, "frame %" PRIu64 ": %s", r->first + fr->seq, was);
	}
	if (rc != HF_OK)
		return rc;
	if (fr->b.len != expected)
		return reader_corrupt(r, err,
		    "frame %" PRIu64 " has %zu bytes, expected %" PRIu64,
		    r->first + fr->seq, fr->b.len, expected);
	return HF_OK;
}

/* Lock held: hash what is decoded, in order, and let the engine have it. */
static void
drain(struct reader *r)
{
	if (r->draining)
		return;
	r->draining = true;
	while (r->decoded.head != NULL && r->decoded.head->seq == r->ordered) {
		struct frame *fr = pool_shift(&r->decoded);

		pool_unlock(r->flow);
		if (r->raw_sha != NULL)
			sha256_update(r->raw_sha, fr->b.data, fr->b.len);
		r->raw_size += fr->b.len;
		pool_lock(r->flow);
		r->ordered++;
		pool_append(&r->ready, fr);
		(void)pthread_cond_broadcast(&r->changed);
	}
	r->draining = false;
}

static void
reader_decode(struct task *t, struct buf *scratch)
{
	struct frame *fr =
	    (struct frame *)(void *)((char *)t - offsetof(struct frame, task));
	struct reader *r = fr->owner;
	struct flow *f = r->flow;
	struct hf_error why = { .status = HF_OK };
	bool closing;
	int rc = HF_OK;

	pool_lock(f);
	closing = r->closing;
	pool_unlock(f);
	if (!closing)
		rc = decode(r, fr, scratch, &why);
	pool_lock(f);
	if (closing) {
		pool_unref(f, fr);
	} else if (rc != HF_OK) {
		reader_fail(r, fr->seq, rc, &why);
		pool_unref(f, fr);
	} else {
		pool_insert(&r->decoded, fr);
		drain(r);
	}
	/* The last that is done with r before it may be freed. */
	r->active--;
	(void)pthread_cond_broadcast(&r->changed);
	pool_unlock(f);
}

void
reader_submit(struct reader *r, struct frame *fr)
{
	pool_lock(r->flow);
	fr->owner = r;
	fr->task.run = reader_decode;
	r->active++;
	pool_run(r->flow, &fr->task);
	pool_unlock(r->flow);
}

/* ---- the engine's side ---- */

/* Everything was read: is it what was written? */
static int
judge(struct reader *r, struct hf_error *err)
{
	const struct flow_object *o = r->o;
	char raw[SHA256_HEX], stored[SHA256_HEX];

	if (!r->whole && r->left > 0)
		return reader_corrupt(r, err,
		    "it ends %" PRIu64 " bytes before the range does", r->left);
	if (r->whole && r->raw_size != o->raw_size)
		return reader_corrupt(r, err,
		    "it has %" PRIu64 " bytes, expected %" PRIu64, r->raw_size,
		    o->raw_size);
	if (!r->whole || r->judged)
		return HF_EOF;
	r->judged = true;
	if (r->stored_size != o->stored_size)
		return reader_corrupt(r, err,
		    "%" PRIu64 " bytes are stored, expected %" PRIu64,
		    r->stored_size, o->stored_size);
	sha256_final(r->raw_sha, raw);
	if (r->stored_sha != NULL)
		sha256_final(r->stored_sha, stored);
	else
		memcpy(stored, raw, sizeof stored);
	/* These states are used up: the verdict stays. */
	if (strcmp(stored, o->stored_sha256) != 0)
		r->status = reader_corrupt(r, &r->why,
		    "its stored bytes have the SHA-256 %s, expected %s", stored,
		    o->stored_sha256);
	else if (strcmp(raw, o->raw_sha256) != 0)
		r->status = reader_corrupt(r, &r->why,
		    "its bytes have the SHA-256 %s, expected %s", raw,
		    o->raw_sha256);
	if (r->status == HF_OK)
		return HF_EOF;
	r->failed_at = r->ordered;
	if (err != NULL)
		*err = r->why;
	return r->status;
}

/* Lock held: the frame to read from; HF_EOF behind the last one. */
static int
wait_frame(struct reader *r, struct frame **out, struct hf_error *err)
{
	struct frame *fr;
	int rc;

	for (;;) {
		if ((rc = pool_cancelled(r->flow, err)) != HF_OK)
			return rc;
		fr = r->ready.head;
		/* What stands before the range, and empty frames. */
		if (fr != NULL && r->skip >= fr->b.len - r->pos &&
		    (r->skip > 0 || fr->b.len == r->pos)) {
			r->skip -= fr->b.len - r->pos;
			r->pos = 0;
			pool_unref(r->flow, pool_shift(&r->ready));
			continue;
		}
		if (fr != NULL) {
			*out = fr;
			return HF_OK;
		}
		if (r->status != HF_OK && r->failed_at <= r->ordered) {
			if (err != NULL)
				*err = r->why;
			return r->status;
		}
		if (r->ended && r->ordered == r->total)
			return HF_EOF;
		pool_wait(r->flow, &r->changed);
	}
}

int
reader_read(
    struct reader *r, void *p, size_t cap, size_t *n, struct hf_error *err)
{
	struct frame *fr = NULL;
	size_t len;
	int rc;

	/* A range ends where it ends; a whole object is read on to the end of
	 * what is stored, because more than expected is wrong as well. */
	if (r->left == 0 && !r->whole)
		return HF_EOF;
	pool_lock(r->flow);
	rc = wait_frame(r, &fr, err);
	pool_unlock(r->flow);
	if (rc == HF_EOF)
		return judge(r, err);
	if (rc != HF_OK)
		return rc;
	if (r->left == 0)
		return reader_corrupt(r, err,
		    "it has more than the expected %" PRIu64 " bytes",
		    r->o->raw_size);
	/* The head of the list is ours until it is taken off. */
	r->pos += (size_t)r->skip;
	r->skip = 0;
	len = fr->b.len - r->pos;
	if (len > cap)
		len = cap;
	if (len > r->left)
		len = (size_t)r->left;
	memcpy(p, fr->b.data + r->pos, len);
	r->pos += len;
	r->left -= len;
	*n = len;
	if (r->pos == fr->b.len) {
		r->pos = 0;
		pool_lock(r->flow);
		pool_unref(r->flow, pool_shift(&r->ready));
		pool_unlock(r->flow);
	}
	return HF_OK;
}

/* ---- life ---- */

static void
reader_free(struct reader *r)
{
	store_get_close(r->get);
	buf_free(&r->index);
	sha256_free(r->stored_sha);
	sha256_free(r->raw_sha);
	(void)pthread_cond_destroy(&r->changed);
	free(r);
}

int
reader_open(struct in *in, const struct flow_object *o, uint64_t off,
    uint64_t len, struct reader **out, struct hf_error *err)
{
	struct reader *r;
	int rc;

	if ((rc = pool_cancelled(in->flow, err)) != HF_OK)
		return rc;
	if ((r = calloc(1, sizeof *r)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a reader");
	if ((rc = pool_cond(&r->changed, err)) != HF_OK) {
		free(r);
		return rc;
	}
	r->in = in;
	r->flow = in->flow;
	r->o = o;
	r->budget.limit = (size_t)in->flow->workers + 2;
	r->budget.room = &r->changed;
	if (len > o->raw_size - off)
		len = o->raw_size - off;
	r->left = len;
	r->whole = off == 0 && len == o->raw_size;
	if (len == 0 && !r->whole)
		goto done;
	if (r->whole && (rc = sha256_new(&r->raw_sha, err)) != HF_OK)
		goto err0;
	if ((rc = fetch_prepare(r, off, len, err)) != HF_OK ||
	    (rc = pool_thread(&r->thread, fetch_run, r, err)) != HF_OK)
		goto err0;
	r->started = true;
done:
	*out = r;
	return HF_OK;

err0:
	reader_free(r);
	return rc;
}

void
reader_close(struct reader *r)
{
	struct flow *f = r->flow;
	struct frame *fr;

	pool_lock(f);
	r->closing = true;
	(void)pthread_cond_broadcast(&r->changed);
	pool_unlock(f);
	if (r->started)
		(void)pthread_join(r->thread, NULL);
	pool_lock(f);
	while (r->active > 0)
		pool_wait(f, &r->changed);
	while ((fr = pool_shift(&r->ready)) != NULL ||
	       (fr = pool_shift(&r->decoded)) != NULL)
		pool_unref(f, fr);
	pool_unlock(f);
	reader_free(r);
}
