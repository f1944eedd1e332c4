/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "flow/outflow.h"
#include "plugin/store.h"

int
lane_init(struct lane *l, struct object *o, struct sink *s, const char *key,
    struct hf_error *err)
{
	struct out_sink *conf = &s->conf;
	size_t len = strlen(key);
	int rc;

	l->object = o;
	l->sink = s;
	l->result.key = strdup(key);
	if (l->result.key == NULL)
		goto nomem;
	if (s->framed) {
		l->result.index_key = malloc(len + sizeof FLOW_INDEX_SUFFIX);
		if (l->result.index_key == NULL)
			goto nomem;
		memcpy(l->result.index_key, key, len);
		memcpy(l->result.index_key + len, FLOW_INDEX_SUFFIX,
		    sizeof FLOW_INDEX_SUFFIX);
	}
	if (conf->nfilters > 0 && (rc = sha256_new(&l->sha, err)) != HF_OK)
		return rc;
	if (s->leading < conf->nfilters)
		return chain_open(conf->filters + s->leading,
		    conf->nfilters - s->leading, false, o->lanes->result.name,
		    &l->stream, err);
	return HF_OK;
nomem:
	return error_fail(err, HF_E_NOMEM, "no memory for an object");
}

/* Own hashes, filters and the own index are of no use any more. */
static void
lane_release(struct lane *l)
{
	chain_close(l->stream);
	sha256_free(l->sha);
	buf_free(&l->index);
	l->stream = NULL;
	l->sha = NULL;
}

void
lane_clear(struct lane *l)
{
	lane_release(l);
	flow_object_clear(&l->result);
}

bool
lane_ready(const struct lane *l)
{
	if (l->state != LANE_OPEN || l->busy)
		return false;
	return l->abort || l->sink->failed || l->head != NULL || l->end;
}

/* ---- the queue ---- */

int
lane_push(struct lane *l, struct frame *fr)
{
	struct item *it = calloc(1, sizeof *it);

	if (it == NULL)
		return HF_E_NOMEM;
	it->frame = fr;
	it->len = fr->b.len;
	fr->refs++;
	if (l->tail == NULL)
		l->head = it;
	else
		l->tail->next = it;
	l->tail = it;
	spool_add(l->sink, it);
	sink_wake(l->sink, l);
	return HF_OK;
}

void
lane_close(struct lane *l)
{
	l->end = true;
	sink_wake(l->sink, l);
}

/* The first item, out of all lists; its frame is the caller's. */
static struct item *
shift(struct lane *l)
{
	struct item *it = l->head;

	if (it == NULL)
		return NULL;
	if ((l->head = it->next) == NULL)
		l->tail = NULL;
	if (it->frame != NULL && !it->spooling)
		spool_remove(l->sink, it);
	return it;
}

/* It was taken out; its frame is somebody else's now. */
static void
item_free(struct item *it)
{
	if (it->spooling)
		it->gone = true;
	else
		free(it);
}

static void
drop_items(struct lane *l)
{
	struct item *it;

	while ((it = shift(l)) != NULL) {
		if (it->frame != NULL)
			pool_unref(l->object->of->flow, it->frame);
		else
			spool_release(l->sink, it->off, it->len);
		item_free(it);
	}
}

void
lane_abort(struct lane *l)
{
	if (l->state != LANE_OPEN)
		return;
	l->abort = true;
	drop_items(l);
	sink_wake(l->sink, l);
}

/* ---- one step; the store's calls, lock not held ---- */

static int
open_put(struct lane *l, struct hf_error *err)
{
	struct object *o = l->object;
	bool same = o->of->nfilters + l->sink->conf.nfilters == 0;

	if (l->put != NULL)
		return HF_OK;
	/* What filters leave of it nobody knows. */
	return store_put(l->sink->conf.store, l->result.key, 0,
	    same ? o->size_hint : 0, &l->put, err);
}

static int
add_index(struct lane *l, size_t len, struct hf_error *err)
{
	uint8_t size[4];

	if (len > UINT32_MAX)
		return error_fail(
		    err, HF_E_UNSUPPORTED, "a frame became larger than 4 GiB");
	for (size_t i = 0; i < sizeof size; i++)
		size[i] = (uint8_t)(len >> 8 * i);
	return buf_append(&l->index, size, sizeof size, err);
}

static int
store_bytes(
    struct lane *l, const struct buf *b, uint64_t *n, struct hf_error *err)
{
	int rc;

	if ((rc = open_put(l, err)) != HF_OK)
		return rc;
	if (l->sha != NULL)
		sha256_update(l->sha, b->data, b->len);
	l->result.stored_size += b->len;
	*n = b->len;
	return b->len == 0 ? HF_OK
			   : store_put_write(l->put, b->data, b->len, err);
}

/* Own filters, as far as there are any, then the store.  The frame itself is
 * shared and stays as it is. */
static int
store_frame(struct lane *l, const struct buf *from, struct buf scratch[2],
    uint64_t *n, struct hf_error *err)
{
	const struct sink *s = l->sink;
	const char *name = l->object->lanes->result.name;
	const struct buf *b = from;
	int rc;

	if (s->leading > 0) {
		scratch[0].len = 0;
		if ((rc = buf_append(
			 &scratch[0], from->data, from->len, err)) != HF_OK ||
		    (rc = chain_frame(s->conf.filters, s->leading, false, name,
			 SIZE_MAX, &scratch[0], &scratch[1], err)) != HF_OK)
			return rc;
		b = &scratch[0];
	}
	if (s->framed && s->conf.nfilters > 0 &&
	    (rc = add_index(l, b->len, err)) != HF_OK)
		return rc;
	if (l->stream != NULL) {
		scratch[1].len = 0;
		if ((rc = chain_push(l->stream, b->data, b->len, false,
			 &scratch[1], err)) != HF_OK)
			return rc;
		b = &scratch[1];
	}
	return store_bytes(l, b, n, err);
}

static int
put_index(struct lane *l, struct hf_error *err)
{
	const struct sink *s = l->sink;
	const struct buf *index =
	    s->conf.nfilters > 0 ? &l->index : &l->object->index;
	struct flow_object *r = &l->result;
	int rc;

	r->index_size = index->len;
	if ((rc = sha256_of(index->data, index->len, r->index_sha256, err)) !=
	    HF_OK)
		return rc;
	return store_put_all(
	    s->conf.store, r->index_key, 0, index->data, index->len, err);
}

/* All items are through: the end of the stream, commit, index. */
static int
store_end(
    struct lane *l, struct buf scratch[2], uint64_t *n, struct hf_error *err)
{
	const struct object *o = l->object;
	struct flow_object *r = &l->result;
	struct store_put *put;
	int rc;

	if (l->stream != NULL) {
		scratch[0].len = 0;
		if ((rc = chain_push(l->stream, NULL, 0, true, &scratch[0],
			 err)) != HF_OK ||
		    (rc = store_bytes(l, &scratch[0], n, err)) != HF_OK)
			return rc;
	}
	if ((rc = open_put(l, err)) != HF_OK)
		return rc;
	r->raw_size = o->raw_size;
	memcpy(r->raw_sha256, o->raw_hex, sizeof r->raw_sha256);
	if (l->sha != NULL)
		sha256_final(l->sha, r->stored_sha256);
	else
		memcpy(
		    r->stored_sha256, o->stored_hex, sizeof r->stored_sha256);
	if (l->sha == NULL && r->stored_size != o->stored_size)
		return error_fail(err, HF_E_BUG,
		    "%s got not every byte of its object", r->key);
	put = l->put;
	l->put = NULL;
	if ((rc = store_put_commit(put, NULL, err)) != HF_OK)
		return rc;
	if (l->sink->framed && l->nframes > 1)
		return put_index(l, err);
	return HF_OK;
}

/* ---- one step ---- */

/* Lock held. */
static void
finish(struct lane *l, enum lane_state state)
{
	struct flow_object *r = &l->result;
	const struct sink *s = l->sink;
	bool plain = l->object->of->nfilters + s->conf.nfilters == 0;

	if (state == LANE_COMMITTED && (s->framed || plain))
		r->frame_size = l->object->of->flow->frame_size;
	/* One frame needs no index. */
	if (l->nframes <= 1 && r->index_key != NULL) {
		sink_unclaim(l->sink, r->index_key);
		free(r->index_key);
		r->index_key = NULL;
	}
	l->state = state;
	l->sink->open_lanes--;
	lane_release(l);
	(void)pthread_cond_broadcast(&l->object->of->changed);
}

static void
step_abort(struct lane *l, struct sink_thread *t)
{
	struct store_put *put = l->put;
	struct flow *f = l->object->of->flow;

	l->put = NULL;
	drop_items(l);
	if (put != NULL) {
		sink_enter(t, false);
		pool_unlock(f);
		store_put_abort(put);
		pool_lock(f);
		sink_leave(t);
	}
	finish(l, LANE_ABORTED);
}

/* Bytes from the spool, then away with them there. */
static int
fetch(struct sink *s, uint64_t off, size_t len, struct buf *to,
    struct hf_error *err)
{
	int rc = spool_read(s, off, len, to, err);

	if (rc == HF_OK)
		spool_punch(s, off, len);
	return rc;
}

static int
step_frame(struct lane *l, struct sink_thread *t, struct hf_error *err)
{
	struct flow *f = l->object->of->flow;
	struct item *it = shift(l);
	struct frame *fr = it->frame, *loaded = NULL;
	uint64_t off = it->off, n = 0;
	size_t len = it->len;
	int rc = HF_OK;

	item_free(it);
	l->nframes++;
	l->sink->taken++;
	sink_enter(t, fr != NULL && fr->budget != NULL);
	pool_unlock(f);
	if (fr == NULL && (rc = pool_frame(f, &loaded, err)) == HF_OK)
		rc = fetch(l->sink, off, len, &loaded->b, err);
	if (rc == HF_OK)
		rc = store_frame(
		    l, fr != NULL ? &fr->b : &loaded->b, t->scratch, &n, err);
	pool_lock(f);
	sink_leave(t);
	if (fr == NULL)
		spool_release(l->sink, off, len);
	pool_unref(f, fr);
	pool_unref(f, loaded);
	l->sink->stored += n;
	return rc;
}

static int
step_end(struct lane *l, struct sink_thread *t, struct hf_error *err)
{
	struct flow *f = l->object->of->flow;
	uint64_t n = 0;
	int rc;

	sink_enter(t, false);
	pool_unlock(f);
	rc = store_end(l, t->scratch, &n, err);
	pool_lock(f);
	sink_leave(t);
	l->sink->stored += n;
	/* Dropped meanwhile, or not: what is stored is stored. */
	if (rc == HF_OK)
		finish(l, LANE_COMMITTED);
	return rc;
}

void
lane_step(struct lane *l, struct sink_thread *t)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	l->busy = true;
	if (l->abort || l->sink->failed) {
		step_abort(l, t);
	} else {
		rc = l->head != NULL ? step_frame(l, t, &why)
				     : step_end(l, t, &why);
		if (rc != HF_OK)
			sink_fail(l->sink, &why);
	}
	l->busy = false;
	sink_wake(l->sink, l);
}
