/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/key.h"
#include "flow/outflow.h"
#include "plugin/filter.h"

/* ---- names and keys ---- */

void
object_forget(struct object *o)
{
	for (size_t i = 0; i < o->of->nsinks; i++) {
		sink_unclaim(&o->of->sinks[i], o->lanes[i].result.key);
		sink_unclaim(&o->of->sinks[i], o->lanes[i].result.index_key);
	}
}

/* Keys are unique in every sink, index keys too. */
static int
claim_all(struct object *o, const char *name, struct hf_error *err)
{
	int rc;

	for (size_t i = 0; i < o->of->nsinks; i++) {
		struct sink *s = &o->of->sinks[i];
		struct flow_object *r = &o->lanes[i].result;

		if ((rc = sink_claim(s, r->key)) == HF_OK &&
		    (rc = sink_claim(s, r->index_key)) == HF_OK)
			continue;
		object_forget(o);
		if (rc == HF_E_NOMEM)
			return error_fail(err, rc, "no memory for an object");
		return error_fail(err, rc,
		    "an object named %s is in this backup already", name);
	}
	return HF_OK;
}

static int
base_key(const struct out *out, const char *name, char *key, size_t cap,
    struct hf_error *err)
{
	size_t plen = strlen(out->prefix), nlen = strlen(name);
	size_t klen = strlen(out->of->key_prefix);
	char *full = NULL;
	bool ok = false;

	if (klen < cap && nlen > 0 &&
	    (full = malloc(plen + nlen + 1)) != NULL) {
		memcpy(full, out->prefix, plen);
		memcpy(full + plen, name, nlen + 1);
		memcpy(key, out->of->key_prefix, klen + 1);
		ok = out->of->literal
			 ? (size_t)snprintf(
			       key + klen, cap - klen, "%s", full) < cap - klen
			 : key_escape(full, key + klen, cap - klen);
	}
	free(full);
	if (!ok)
		return error_fail(err, HF_E_INVALID,
		    "an object cannot be named \"%.100s\"", name);
	return HF_OK;
}

static size_t
add_suffixes(
    char *key, size_t cap, struct filter *const *filters, size_t nfilters)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < nfilters && len < cap; i++) {
		const char *suffix = filter_suffix(filters[i]);
		int n = snprintf(key + len, cap - len, "%s", suffix);

		len += n < 0 ? cap : (size_t)n;
	}
	return len;
}

static int
lanes_init(struct object *o, const char *name, struct hf_error *err)
{
	char base[KEY_MAX + 1], key[2 * KEY_MAX];
	struct outflow *of = o->of;
	int rc;

	if ((rc = base_key(o->out, name, base, sizeof base, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < of->nsinks; i++) {
		struct sink *s = &of->sinks[i];
		struct flow_object *r = &o->lanes[i].result;
		size_t len;

		(void)snprintf(key, sizeof key, "%s", base);
		(void)add_suffixes(key, sizeof key, of->filters, of->nfilters);
		len = add_suffixes(
		    key, sizeof key, s->conf.filters, s->conf.nfilters);
		if (len + strlen(FLOW_INDEX_SUFFIX) > KEY_MAX ||
		    !key_valid(key))
			return error_fail(err, HF_E_INVALID,
			    "the object's name %s is too long for a key", name);
		if ((rc = lane_init(&o->lanes[i], o, s, key, err)) != HF_OK)
			return rc;
		if ((r->name = strdup(name)) == NULL)
			return error_fail(
			    err, HF_E_NOMEM, "no memory for an object");
	}
	return HF_OK;
}

/* ---- life ---- */

static void object_hash(struct task *, struct buf *);

static int
object_prepare(struct object *o, const char *name, struct hf_error *err)
{
	struct outflow *of = o->of;
	bool shared = false;
	int rc;

	if ((rc = lanes_init(o, name, err)) != HF_OK ||
	    (rc = sha256_new(&o->raw_sha, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < of->nsinks; i++)
		shared = shared || of->sinks[i].conf.nfilters == 0;
	/* Without filters the bytes are the raw ones, and with own filters
	 * in every sink nobody stores them as they are here. */
	if (shared && of->nfilters > 0 &&
	    (rc = sha256_new(&o->stored_sha, err)) != HF_OK)
		return rc;
	if (of->leading < of->nfilters)
		return chain_open(of->filters + of->leading,
		    of->nfilters - of->leading, false, name, &o->stream, err);
	return HF_OK;
}

int
object_new(struct out *out, const char *name, uint64_t size_hint,
    struct object **res, struct hf_error *err)
{
	struct outflow *of = out->of;
	struct object *o;
	int rc;

	o = calloc(1, sizeof *o + of->nsinks * sizeof *o->lanes);
	if (o == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for an object");
	o->of = of;
	o->out = out;
	o->hash.run = object_hash;
	o->size_hint = size_hint;
	if ((rc = object_prepare(o, name, err)) != HF_OK)
		goto err0;
	pool_lock(of->flow);
	if ((rc = claim_all(o, name, err)) != HF_OK) {
		outflow_unlock(of);
		goto err0;
	}
	o->next = of->objects;
	of->objects = o;
	for (size_t i = 0; i < of->nsinks; i++) {
		struct hf_error why = { .status = HF_OK };

		if (of->sinks[i].failed) {
			o->lanes[i].state = LANE_ABORTED;
			continue;
		}
		of->sinks[i].open_lanes++;
		if (sink_start(&of->sinks[i], &why) != HF_OK)
			sink_fail(&of->sinks[i], &why);
	}
	outflow_unlock(of);
	*res = o;
	return HF_OK;

err0:
	object_free(o);
	return rc;
}

void
object_free(struct object *o)
{
	struct frame *fr;

	for (size_t i = 0; i < o->of->nsinks; i++)
		lane_clear(&o->lanes[i]);
	while ((fr = pool_shift(&o->raw)) != NULL ||
	       (fr = pool_shift(&o->done)) != NULL)
		pool_unref(o->of->flow, fr);
	sha256_free(o->raw_sha);
	sha256_free(o->stored_sha);
	chain_close(o->stream);
	buf_free(&o->spill);
	buf_free(&o->index);
	free(o->why);
	free(o);
}

void
object_abort(struct object *o)
{
	o->aborted = true;
	for (size_t i = 0; i < o->of->nsinks; i++)
		lane_abort(&o->lanes[i]);
	(void)pthread_cond_broadcast(&o->of->changed);
}

struct chain *
object_retire(struct object *o)
{
	struct chain *stream = o->stream;
	bool busy = false;

	/* A thread that hangs in a dropped sink may yet read the index. */
	for (size_t i = 0; i < o->of->nsinks; i++)
		busy = busy || o->lanes[i].busy;
	if (!busy)
		buf_free(&o->index);
	buf_free(&o->spill);
	sha256_free(o->raw_sha);
	sha256_free(o->stored_sha);
	o->raw_sha = o->stored_sha = NULL;
	o->stream = NULL;
	return stream;
}

void
object_fail(struct object *o, int status, const struct hf_error *why)
{
	if (!o->failed) {
		o->failed = true;
		o->status = status;
		/* An error is large and objects are many. */
		if ((o->why = malloc(sizeof *o->why)) != NULL)
			*o->why = *why;
	}
	object_abort(o);
}

bool
object_settled(const struct object *o)
{
	for (size_t i = 0; i < o->of->nsinks; i++)
		if (o->lanes[i].state == LANE_OPEN && !o->of->sinks[i].failed)
			return false;
	return true;
}

/* ---- the way of a frame ---- */

/* Lock held: every live sink gets it. */
static void
dispatch(struct object *o, struct frame *fr)
{
	struct hf_error why = { .status = HF_OK };

	for (size_t i = 0; i < o->of->nsinks; i++) {
		struct lane *l = &o->lanes[i];

		if (l->state != LANE_OPEN || l->abort || l->sink->failed)
			continue;
		if (lane_push(l, fr) == HF_OK)
			continue;
		object_fail(o, HF_E_NOMEM,
		    (error_fail(&why, HF_E_NOMEM, "no memory for a queue"),
			&why));
		return;
	}
}

/* The ordered part of a frame: as a stream through what takes no frames,
 * index, stored hash.  Lock not held; by the one that drains. */
static int
order(struct object *o, struct frame *fr, struct hf_error *err)
{
	uint8_t size[4];
	int rc;

	if (o->stream != NULL) {
		struct buf swap;

		o->spill.len = 0;
		if ((rc = buf_reserve(&o->spill, fr->b.cap, err)) != HF_OK ||
		    (rc = chain_push(o->stream, fr->b.data, fr->b.len, false,
			 &o->spill, err)) != HF_OK)
			return rc;
		swap = fr->b;
		fr->b = o->spill;
		o->spill = swap;
	} else if (o->of->nfilters > 0) {
		if (fr->b.len > UINT32_MAX)
			return error_fail(err, HF_E_UNSUPPORTED,
			    "a frame became larger than 4 GiB");
		for (size_t i = 0; i < sizeof size; i++)
			size[i] = (uint8_t)(fr->b.len >> 8 * i);
		if ((rc = buf_append(&o->index, size, sizeof size, err)) !=
		    HF_OK)
			return rc;
	}
	if (o->stored_sha != NULL)
		sha256_update(o->stored_sha, fr->b.data, fr->b.len);
	o->stored_size += fr->b.len;
	return HF_OK;
}

/* What the stream still has, in a frame of its own or NULL; the hashes.
 * Lock not held. */
static int
finish(struct object *o, struct frame **out, struct hf_error *err)
{
	struct frame *fr;
	int rc;

	*out = NULL;
	if (o->stream != NULL) {
		if ((rc = pool_frame(o->of->flow, &fr, err)) != HF_OK)
			return rc;
		*out = fr;
		if ((rc = chain_push(o->stream, NULL, 0, true, &fr->b, err)) !=
		    HF_OK)
			return rc;
		if (o->stored_sha != NULL)
			sha256_update(o->stored_sha, fr->b.data, fr->b.len);
		o->stored_size += fr->b.len;
	}
	sha256_final(o->raw_sha, o->raw_hex);
	if (o->stored_sha != NULL)
		sha256_final(o->stored_sha, o->stored_hex);
	else
		memcpy(o->stored_hex, o->raw_hex, sizeof o->stored_hex);
	return HF_OK;
}

/* Lock held; the object has ended and all its frames are through. */
static void
finalise(struct object *o)
{
	struct hf_error why = { .status = HF_OK };
	struct frame *fr = NULL;
	int rc;

	if (!o->failed && !o->aborted) {
		pool_unlock(o->of->flow);
		rc = finish(o, &fr, &why);
		pool_lock(o->of->flow);
		if (rc != HF_OK)
			object_fail(o, rc, &why);
	}
	if (!o->failed && !o->aborted) {
		if (fr != NULL && fr->b.len > 0)
			dispatch(o, fr);
		o->final = true;
		for (size_t i = 0; i < o->of->nsinks; i++)
			lane_close(&o->lanes[i]);
	}
	pool_unref(o->of->flow, fr);
}

/* Lock held: pass on, in order, what is transformed.  One thread at a time;
 * another one that comes leaves its frame for it. */
static void
drain(struct object *o)
{
	struct hf_error why = { .status = HF_OK };
	int rc = HF_OK;

	if (o->draining)
		return;
	o->draining = true;
	o->of->active++; /* so that nobody frees what is used here */
	while (o->done.head != NULL && o->done.head->seq == o->ordered) {
		struct frame *fr = pool_shift(&o->done);

		if (!o->failed && !o->aborted) {
			pool_unlock(o->of->flow);
			rc = order(o, fr, &why);
			pool_lock(o->of->flow);
			if (rc != HF_OK)
				object_fail(o, rc, &why);
		}
		/* An empty frame goes on: own filters make something of it. */
		if (!o->failed && !o->aborted &&
		    (fr->b.len > 0 || o->stream == NULL))
			dispatch(o, fr);
		o->ordered++;
		o->of->active--;
		pool_unref(o->of->flow, fr);
	}
	if (o->ended && o->ordered == o->submitted && !o->final)
		finalise(o);
	o->draining = false;
	o->of->active--;
	(void)pthread_cond_broadcast(&o->of->changed);
}

/* A worker: hash the next frame in order, let another worker have the one
 * after it, and transform this one while it is warm in the cache. */
static void
object_hash(struct task *t, struct buf *scratch)
{
	struct object *o =
	    (struct object *)(void *)((char *)t -
				      offsetof(struct object, hash));
	struct outflow *of = o->of;
	struct hf_error why = { .status = HF_OK };
	struct frame *fr;
	bool work;
	int rc = HF_OK;

	pool_lock(of->flow);
	fr = pool_shift(&o->raw);
	work = !o->failed && !o->aborted;
	pool_unlock(of->flow);
	if (work) {
		sha256_update(o->raw_sha, fr->b.data, fr->b.len);
		o->raw_size += fr->b.len;
	}
	pool_lock(of->flow);
	if (o->raw.head != NULL)
		pool_run(of->flow, &o->hash);
	else
		o->hashing = false;
	pool_unlock(of->flow);
	if (work && of->leading > 0)
		rc = chain_frame(of->filters, of->leading, false,
		    o->lanes->result.name, SIZE_MAX, &fr->b, scratch, &why);
	pool_lock(of->flow);
	if (rc != HF_OK)
		object_fail(o, rc, &why);
	pool_insert(&o->done, fr);
	drain(o);
	outflow_unlock(of);
}

void
object_submit(struct object *o, struct frame *fr)
{
	fr->seq = o->submitted++;
	o->of->active++;
	pool_append(&o->raw, fr);
	if (o->hashing)
		return;
	o->hashing = true;
	pool_run(o->of->flow, &o->hash);
}

void
object_end(struct object *o)
{
	o->ended = true;
	drain(o);
}
