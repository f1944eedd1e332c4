/* SPDX-License-Identifier: BSD-2-Clause */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "flow/outflow.h"

static struct writer *
writer_of(struct hf_writer *w)
{
	return (struct writer *)(void *)w;
}

static struct out *
out_of(struct hf_out *o)
{
	return (struct out *)(void *)o;
}

static int
writer_begin(struct hf_out *o, const char *name, uint64_t size_hint,
    struct hf_writer **w, struct hf_error *err)
{
	struct out *out = out_of(o);
	struct outflow *of = out->of;
	struct writer *writer;
	int rc;

	*w = NULL;
	pool_lock(of->flow);
	rc = outflow_state(of, err);
	outflow_unlock(of);
	if (rc != HF_OK)
		return rc;
	if ((writer = calloc(1, sizeof *writer)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a writer");
	rc = object_new(out, name, size_hint, &writer->object, err);
	if (rc != HF_OK) {
		free(writer);
		return rc;
	}
	writer->base.ops = &writer_ops;
	writer->object->writer = writer;
	*w = &writer->base;
	return HF_OK;
}

/* The sink that the writers wait for: of those whose queue is long and not
 * yet spooled, the one that has taken least.  NULL: the filters are slow, or
 * the spool. */
static struct sink *
slowest(struct outflow *of)
{
	struct sink *slow = NULL;

	for (size_t i = 0; i < of->nsinks; i++) {
		struct sink *s = &of->sinks[i];

		if (s->failed || s->spooling || s->in_memory <= SINK_MEMORY)
			continue;
		if (slow == NULL || s->taken < slow->taken)
			slow = s;
	}
	return slow;
}

/* Count the time since somebody last looked, once for all who wait. */
static void
count_wait(struct outflow *of)
{
	const struct flow *f = of->flow;
	struct sink *slow = slowest(of);
	int64_t now = text_monotonic();

	if (slow != NULL) {
		slow->held += now - of->waited_from;
		if (f->spool_dir != NULL && !of->no_spool &&
		    slow->held >= f->spool_after_ms)
			spool_wanted(slow);
	}
	of->waited_from = now;
}

static int
object_status(const struct object *o, struct hf_error *err)
{
	if (!o->failed)
		return HF_OK;
	if (o->why == NULL)
		return error_fail(err, o->status, "the object %s failed",
		    o->lanes->result.name);
	if (err != NULL)
		*err = *o->why;
	return o->status;
}

/* Lock held: wait until a frame may be in flight. */
static int
get_ticket(struct object *o, struct frame *fr, struct hf_error *err)
{
	struct outflow *of = o->of;
	bool waited = false;
	int rc;

	for (;;) {
		if ((rc = outflow_state(of, err)) != HF_OK ||
		    (rc = object_status(o, err)) != HF_OK)
			break;
		if (of->budget.used < of->budget.limit) {
			pool_ticket(&of->budget, fr);
			break;
		}
		if (!waited && of->waiting++ == 0)
			of->waited_from = text_monotonic();
		waited = true;
		outflow_wait(of);
		count_wait(of);
	}
	if (waited)
		of->waiting--;
	return rc;
}

/* Hand the filled frame over. */
static int
flush(struct writer *w, struct hf_error *err)
{
	struct object *o = w->object;
	struct outflow *of = o->of;
	int rc;

	pool_lock(of->flow);
	rc = get_ticket(o, w->fill, err);
	if (rc == HF_OK) {
		object_submit(o, w->fill);
		w->fill = NULL;
	}
	outflow_unlock(of);
	return rc;
}

static int
writer_write(
    struct hf_writer *h, const void *p, size_t len, struct hf_error *err)
{
	struct writer *w = writer_of(h);
	struct outflow *of = w->object->of;
	struct flow *f = of->flow;
	const uint8_t *src = p;
	int rc;

	pool_lock(f);
	if ((rc = outflow_state(of, err)) == HF_OK &&
	    (rc = object_status(w->object, err)) == HF_OK)
		of->raw_bytes += len;
	outflow_unlock(of);
	while (rc == HF_OK && len > 0) {
		size_t n;

		if (w->fill == NULL &&
		    (rc = pool_frame(f, &w->fill, err)) != HF_OK)
			break;
		n = f->frame_size - w->fill->b.len;
		if (n > len)
			n = len;
		memcpy(w->fill->b.data + w->fill->b.len, src, n);
		w->fill->b.len += n;
		src += n;
		len -= n;
		if (w->fill->b.len == f->frame_size)
			rc = flush(w, err);
	}
	return rc;
}

static void
writer_free(struct writer *w)
{
	pool_lock(w->object->of->flow);
	w->object->writer = NULL;
	pool_unref(w->object->of->flow, w->fill);
	pool_unlock(w->object->of->flow);
	free(w);
}

/* Lock held: the n-th object of its source. */
static int
record(struct object *o, struct hf_error *err)
{
	struct out *out = o->out;

	if (out->nobjects == out->cap) {
		size_t cap = out->cap == 0 ? 16 : 2 * out->cap;
		struct object **objects =
		    realloc(out->objects, cap * sizeof(struct object *));

		if (objects == NULL)
			return error_fail(
			    err, HF_E_NOMEM, "no memory for an object");
		out->objects = objects;
		out->cap = cap;
	}
	out->objects[out->nobjects++] = o;
	o->committed = true;
	return HF_OK;
}

/* Lock held: until every sink that is left has it. */
static int
wait_stored(struct object *o, struct hf_error *err)
{
	int rc;

	for (;;) {
		if ((rc = outflow_state(o->of, err)) != HF_OK ||
		    (rc = object_status(o, err)) != HF_OK)
			return rc;
		if (o->final && object_settled(o))
			return record(o, err);
		outflow_wait(o->of);
	}
}

static int
writer_commit(struct hf_writer *h, struct hf_error *err)
{
	struct writer *w = writer_of(h);
	struct object *o = w->object;
	struct outflow *of = o->of;
	struct flow *f = of->flow;
	struct chain *stream = NULL;
	int rc = HF_OK;

	/* Nothing at all is one empty frame: an empty gzip member, say. */
	if (w->fill == NULL && o->submitted == 0)
		rc = pool_frame(f, &w->fill, err);
	if (rc == HF_OK && w->fill != NULL)
		rc = flush(w, err);
	pool_lock(f);
	if (rc == HF_OK) {
		object_end(o);
		rc = wait_stored(o, err);
	}
	if (rc == HF_OK) {
		stream = object_retire(o);
	} else {
		object_abort(o);
		object_forget(o);
	}
	outflow_unlock(of);
	chain_close(stream);
	writer_free(w);
	return rc;
}

static void
writer_abort(struct hf_writer *h)
{
	struct writer *w = writer_of(h);
	struct object *o = w->object;
	struct outflow *of = o->of;

	pool_lock(of->flow);
	object_abort(o);
	/* The name may be used again at once, so nothing of it may still be
	 * on its way. */
	while (!object_settled(o) && outflow_state(of, NULL) == HF_OK)
		outflow_wait(of);
	object_forget(o);
	outflow_unlock(of);
	writer_free(w);
}

static void
fact_free(struct fact *f)
{
	if (f == NULL)
		return;
	free(f->key);
	free(f->value);
	free(f);
}

static struct fact *
fact_new(const char *key, const char *value)
{
	struct fact *f = calloc(1, sizeof *f);

	if (f != NULL && ((f->key = strdup(key)) == NULL ||
			     (f->value = strdup(value)) == NULL)) {
		fact_free(f);
		return NULL;
	}
	return f;
}

static int
by_key(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* Lock held: true when it is in the list now, or its value is. */
static bool
fact_add(struct out *out, struct fact *f)
{
	struct fact **known, **grown;

	if (out->nfacts == out->facts_cap) {
		size_t cap = out->facts_cap == 0 ? 16 : 2 * out->facts_cap;

		grown = realloc(out->facts, cap * sizeof(struct fact *));
		if (grown == NULL)
			return false;
		out->facts = grown;
		out->facts_cap = cap;
	}
	if ((known = tsearch(f, &out->fact_tree, by_key)) == NULL)
		return false;
	if (*known != f) {
		char *old = (*known)->value;

		(*known)->value = f->value;
		f->value = old;
		fact_free(f);
	} else {
		out->facts[out->nfacts++] = f;
	}
	return true;
}

static int
writer_fact(
    struct hf_out *h, const char *key, const char *value, struct hf_error *err)
{
	struct out *out = out_of(h);
	struct fact *f = fact_new(key, value);
	bool added;

	pool_lock(out->of->flow);
	added = f != NULL && fact_add(out, f);
	pool_unlock(out->of->flow);
	if (added)
		return HF_OK;
	fact_free(f);
	return error_fail(err, HF_E_NOMEM, "no memory for a fact");
}

void
writer_facts_free(struct out *out)
{
	for (size_t i = 0; i < out->nfacts; i++) {
		(void)tdelete(out->facts[i], &out->fact_tree, by_key);
		fact_free(out->facts[i]);
	}
	free(out->facts);
}

const struct out_ops writer_ops = {
	.begin = writer_begin,
	.write = writer_write,
	.commit = writer_commit,
	.abort = writer_abort,
	.fact = writer_fact,
};
