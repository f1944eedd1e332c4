/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "flow/chain.h"
#include "flow/reader.h"
#include "plugin/store.h"

/* A stream is decoded in such pieces, so that damaged bytes cannot blow up to
 * more than some of it at a time. */
#define SLICE ((size_t)64 * 1024)

/* ---- the index ---- */

static uint32_t
index_at(const struct reader *r, uint64_t n)
{
	const uint8_t *p = r->index.data + 4 * n;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static uint64_t
frames_of(const struct flow_object *o)
{
	return o->raw_size / o->frame_size +
	       (o->raw_size % o->frame_size != 0 || o->raw_size == 0);
}

static int
bad_index(const struct reader *r, struct hf_error *err, const char *what)
{
	return error_fail(err, HF_E_CORRUPT,
	    "the frame index %s of the object %s is damaged: %s",
	    r->o->index_key, r->o->name, what);
}

static int
check_index(struct reader *r, struct hf_error *err)
{
	const struct flow_object *o = r->o;
	uint64_t n = frames_of(o), sum = 0;
	char hex[SHA256_HEX];
	int rc;

	if (r->index.len != o->index_size)
		return bad_index(r, err, "it has the wrong size");
	if ((rc = sha256_of(r->index.data, r->index.len, hex, err)) != HF_OK)
		return rc;
	if (strcmp(hex, o->index_sha256) != 0)
		return bad_index(r, err, "it has the wrong SHA-256");
	if (n > UINT64_MAX / 4 || r->index.len != 4 * n)
		return bad_index(
		    r, err, "it does not have one entry for each frame");
	for (uint64_t i = 0; i < n; i++)
		sum += index_at(r, i);
	if (sum != o->stored_size)
		return bad_index(
		    r, err, "its sizes do not sum up to the object's");
	return HF_OK;
}

/* One frame needs no index. */
static int
single_index(struct reader *r, struct hf_error *err)
{
	uint8_t size[4];

	if (frames_of(r->o) != 1 || r->o->stored_size > UINT32_MAX)
		return error_fail(err, HF_E_CORRUPT,
		    "the object %s (%s) has no frame index", r->o->name,
		    r->o->key);
	for (size_t i = 0; i < sizeof size; i++)
		size[i] = (uint8_t)(r->o->stored_size >> 8 * i);
	return buf_append(&r->index, size, sizeof size, err);
}

/* HF_OK also when it is bad: reading goes on without. */
static int
load_index(struct reader *r, struct hf_error *err)
{
	const struct flow_object *o = r->o;
	struct hf_error *why = &r->why_index;
	int rc;

	if (o->index_key == NULL) {
		rc = single_index(r, why);
	} else {
		rc = store_get_all(r->in->opts.store, o->index_key,
		    (size_t)o->index_size, &r->index, why);
		if (rc == HF_E_NOTFOUND)
			rc = bad_index(r, why, "it is missing in the store");
		else if (rc == HF_E_CORRUPT)
			rc = bad_index(r, why, "it is larger than it was");
		else if (rc == HF_OK)
			rc = check_index(r, why);
	}
	if (rc == HF_OK) {
		r->mode = READER_FRAMES;
		return HF_OK;
	}
	if (rc == HF_E_NOMEM || rc == HF_E_CANCELLED) {
		if (err != NULL)
			*err = *why;
		return rc;
	}
	r->index_bad = true;
	log_write(HF_LOG_WARN, "flow.index", NULL,
	    "%s; reading goes on without it, in one go from the start",
	    why->cause);
	return HF_OK;
}

/* ---- before the thread ---- */

static int
open_get(struct reader *r, uint64_t off, uint64_t len, struct hf_error *err)
{
	const struct flow_object *o = r->o;
	int rc = store_get(r->in->opts.store, o->key, off, len, &r->get, err);

	if (rc == HF_E_NOTFOUND)
		return error_fail(err, rc,
		    "the object %s is missing in the store (%s)", o->name,
		    o->key);
	/* The manifest says that there is something. */
	if (rc == HF_E_INVALID && off > 0)
		return reader_corrupt(r, err,
		    "it ends before byte %" PRIu64 " of the expected %" PRIu64
		    " stored ones",
		    off, o->stored_size);
	return rc;
}

static void
cover(struct reader *r, uint64_t off, uint64_t len, uint64_t *from)
{
	uint64_t size = r->o->frame_size, last;

	r->first = off / size;
	last = len == 0 ? r->first : (off + len - 1) / size;
	r->count = last - r->first + 1;
	r->skip = off - r->first * size;
	*from = r->want = 0;
	for (uint64_t i = 0; i <= last; i++)
		*(i < r->first ? from : &r->want) += index_at(r, i);
}

int
fetch_prepare(
    struct reader *r, uint64_t off, uint64_t len, struct hf_error *err)
{
	const struct flow_object *o = r->o;
	uint64_t from = 0;
	int rc;

	r->mode = READER_STREAM;
	if (o->nfilters == 0) {
		r->mode = READER_PLAIN;
		from = off;
		r->want = len;
	} else {
		if (o->frame_size > 0 &&
		    chain_frames(o->filters, o->nfilters) &&
		    (rc = load_index(r, err)) != HF_OK)
			return rc;
		if (r->mode == READER_FRAMES)
			cover(r, off, len, &from);
		else
			r->skip = off;
		if (r->whole && (rc = sha256_new(&r->stored_sha, err)) != HF_OK)
			return rc;
	}
	/* A whole object is asked for to its end, wherever that is, because
	 * too much is damage as well. */
	return open_get(r, from,
	    r->whole || r->mode == READER_STREAM ? UINT64_MAX : r->want, err);
}

/* ---- the thread ---- */

/* An empty frame with a ticket; NULL with HF_OK: nobody wants any. */
static int
next_frame(struct reader *r, struct frame **out, struct hf_error *err)
{
	struct frame *fr;
	int rc;

	*out = NULL;
	if ((rc = pool_frame(r->flow, &fr, err)) != HF_OK)
		return rc;
	pool_lock(r->flow);
	while (!r->closing && r->budget.used >= r->budget.limit &&
	       (rc = pool_cancelled(r->flow, err)) == HF_OK)
		pool_wait(r->flow, &r->changed);
	if (rc == HF_OK && !r->closing) {
		pool_ticket(&r->budget, fr);
		fr->seq = r->fetched++;
		*out = fr;
	} else {
		pool_unref(r->flow, fr);
	}
	pool_unlock(r->flow);
	return rc;
}

static void
drop_frame(struct reader *r, struct frame *fr)
{
	pool_lock(r->flow);
	if (fr != NULL)
		r->fetched--;
	pool_unref(r->flow, fr);
	pool_unlock(r->flow);
}

/* Stored bytes into p, as many as there are up to cap; hashed. */
static int
get_bytes(
    struct reader *r, uint8_t *p, size_t cap, size_t *len, struct hf_error *err)
{
	int rc = HF_OK;
	size_t n;

	for (*len = 0; *len < cap && !r->at_end; *len += n) {
		rc = store_get_read(r->get, p + *len, cap - *len, &n, err);
		if (rc != HF_OK)
			break;
	}
	if (r->stored_sha != NULL)
		sha256_update(r->stored_sha, p, *len);
	r->stored_size += *len;
	r->at_end = r->at_end || rc == HF_EOF;
	if (rc < HF_OK || !r->whole || *len == 0 || r->in->opts.stored == NULL)
		return rc == HF_EOF ? HF_OK : rc;
	return r->in->opts.stored(r->in->opts.arg, p, *len, err);
}

/* Is it over where it should be? */
static int
expect_end(struct reader *r, struct hf_error *err)
{
	uint8_t more;
	size_t n;
	int rc;

	if (!r->whole)
		return HF_OK;
	if ((rc = get_bytes(r, &more, 1, &n, err)) != HF_OK)
		return rc;
	if (n > 0)
		return reader_corrupt(r, err,
		    "more than the expected %" PRIu64 " bytes are stored",
		    r->o->stored_size);
	return HF_OK;
}

static int
too_short(struct reader *r, struct hf_error *err)
{
	if (r->whole)
		return reader_corrupt(r, err,
		    "%" PRIu64 " bytes are stored, expected %" PRIu64,
		    r->stored_size, r->o->stored_size);
	return reader_corrupt(r, err,
	    "it ends too early: %" PRIu64 " bytes came of a range of %" PRIu64,
	    r->stored_size, r->want);
}

/* PLAIN and FRAMES: pieces whose stored size is known. */
static int
fetch_pieces(struct reader *r, struct hf_error *err)
{
	uint64_t left = r->want, n = 0;
	struct frame *fr;
	size_t size, got;
	int rc;

	while (left > 0) {
		if (r->mode == READER_FRAMES)
			size = index_at(r, r->first + n++);
		else
			size = left < r->flow->frame_size ? (size_t)left
							  : r->flow->frame_size;
		if ((rc = next_frame(r, &fr, err)) != HF_OK || fr == NULL)
			return rc;
		if ((rc = buf_reserve(&fr->b, size, err)) != HF_OK ||
		    (rc = get_bytes(r, fr->b.data, size, &got, err)) != HF_OK ||
		    (rc = got < size ? too_short(r, err) : HF_OK) != HF_OK) {
			drop_frame(r, fr);
			return rc;
		}
		fr->b.len = size;
		left -= size;
		reader_submit(r, fr);
	}
	return expect_end(r, err);
}

static int
fetch_stream(
    struct reader *r, struct chain *c, struct buf *in, struct hf_error *err)
{
	struct frame *fr = NULL;
	bool last = false;
	int rc;

	if ((rc = buf_reserve(in, SLICE, err)) != HF_OK)
		return rc;
	while (!last) {
		if (fr == NULL &&
		    ((rc = next_frame(r, &fr, err)) != HF_OK || fr == NULL))
			return rc;
		if ((rc = get_bytes(r, in->data, SLICE, &in->len, err)) !=
		    HF_OK)
			break;
		last = in->len < SLICE;
		/* Nothing stored is nothing, whatever the filters say. */
		if (last && r->stored_size == 0 && r->o->stored_size == 0)
			break;
		if ((rc = chain_push(
			 c, in->data, in->len, last, &fr->b, err)) != HF_OK)
			break;
		if (fr->b.len < r->flow->frame_size)
			continue;
		reader_submit(r, fr);
		fr = NULL;
	}
	/* What came out before a failure is good as far as it goes. */
	if (fr != NULL && rc == HF_OK && fr->b.len > 0)
		reader_submit(r, fr);
	else
		drop_frame(r, fr);
	return rc;
}

static int
fetch_all(struct reader *r, struct hf_error *err)
{
	const struct flow_object *o = r->o;
	struct buf in = BUF_INIT;
	struct hf_error was;
	struct chain *c;
	int rc;

	if (r->mode != READER_STREAM)
		return fetch_pieces(r, err);
	if ((rc = chain_open(
		 o->filters, o->nfilters, true, o->name, &c, err)) != HF_OK)
		return rc;
	rc = fetch_stream(r, c, &in, err);
	if (rc == HF_E_CORRUPT && err->nframes == 0) {
		was = *err;
		(void)reader_corrupt(r, err, "%.400s", was.cause);
	}
	chain_close(c);
	buf_free(&in);
	return rc;
}

void *
fetch_run(void *arg)
{
	struct reader *r = arg;
	struct flow *f = r->flow;
	struct hf_error why = { .status = HF_OK };
	int rc = fetch_all(r, &why);

	pool_lock(f);
	if (rc != HF_OK)
		reader_fail(r, r->fetched, rc, &why);
	r->total = r->fetched;
	r->ended = true;
	(void)pthread_cond_broadcast(&r->changed);
	pool_unlock(f);
	return NULL;
}
