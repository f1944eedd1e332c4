/* SPDX-License-Identifier: BSD-2-Clause */
#include "out.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "flow/outflow.h"

/* ---- waiting ---- */

/* One notice that is due, or NULL. */
static const char *
next_notice(struct outflow *of, size_t *sink)
{
	for (size_t i = 0; i < of->nsinks; i++) {
		struct sink *s = &of->sinks[i];

		*sink = i;
		if (s->tell_spooling) {
			s->tell_spooling = false;
			return "sink.spooling";
		}
		if (s->tell_failed) {
			s->tell_failed = false;
			return "sink.dropped";
		}
	}
	return NULL;
}

void
outflow_unlock(struct outflow *of)
{
	struct flow *f = of->flow;
	const char *event;
	size_t sink;

	if (of->notice == NULL || of->closed ||
	    (event = next_notice(of, &sink)) == NULL) {
		pool_unlock(f);
		return;
	}
	/* Closing waits for this, so that of and its caller's arg stay. */
	of->telling++;
	do {
		struct sink *s = &of->sinks[sink];
		bool failed = strcmp(event, "sink.dropped") == 0;

		pool_unlock(f);
		/* A failed sink's error does not change any more. */
		of->notice(of->arg, sink, event, failed ? &s->why : NULL);
		pool_lock(f);
	} while ((event = next_notice(of, &sink)) != NULL);
	of->telling--;
	(void)pthread_cond_broadcast(&of->changed);
	pool_unlock(f);
}

void
outflow_wait(struct outflow *of)
{
	pool_wait(of->flow, &of->changed);
	if (of->cancelled_at == 0 && cancel_requested(of->flow->cancel))
		of->cancelled_at = text_monotonic();
	for (size_t i = 0; i < of->nsinks; i++)
		sink_check(&of->sinks[i]);
}

int
outflow_state(struct outflow *of, struct hf_error *err)
{
	int rc = pool_cancelled(of->flow, err);

	if (rc != HF_OK || of->nlive > 0)
		return rc;
	if (err != NULL)
		*err = of->sinks[of->first_failed].why;
	return of->sinks[of->first_failed].why.status;
}

/* ---- life ---- */

static int
copy_common(
    struct outflow *of, const struct out_options *o, struct hf_error *err)
{
	of->key_prefix = strdup(o->key_prefix != NULL ? o->key_prefix : "");
	of->filters = calloc(o->nfilters + 1, sizeof(struct filter *));
	if (of->key_prefix == NULL || of->filters == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a backup");
	for (size_t i = 0; i < o->nfilters; i++)
		of->filters[i] = o->filters[i];
	of->nfilters = o->nfilters;
	of->leading = chain_leading(of->filters, of->nfilters);
	return HF_OK;
}

int
outflow_new(struct flow *f, const struct out_options *o, struct outflow **out,
    struct hf_error *err)
{
	struct outflow *of;
	int rc;

	*out = NULL;
	if (o->nsinks == 0)
		return error_fail(
		    err, HF_E_INVALID, "a backup needs one sink at least");
	of = calloc(1, sizeof *of + o->nsinks * sizeof *of->sinks);
	if (of == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a backup");
	if ((rc = pool_cond(&of->changed, err)) != HF_OK) {
		free(of);
		return rc;
	}
	of->flow = f;
	of->refs = 1;
	of->budget.limit = 2 * (size_t)f->workers + 6;
	of->budget.room = &of->changed;
	of->literal = o->literal;
	of->no_spool = o->no_spool;
	of->notice = o->notice;
	of->arg = o->arg;
	of->nlive = of->nsinks = o->nsinks;
	pool_lock(f);
	(void)pool_ref(f);
	pool_unlock(f);
	if ((rc = copy_common(of, o, err)) != HF_OK)
		goto err0;
	for (size_t i = 0; i < o->nsinks; i++)
		if ((rc = sink_init(&of->sinks[i], of, i, &o->sinks[i], err)) !=
		    HF_OK)
			goto err0;
	*out = of;
	return HF_OK;

err0:
	outflow_unref(of);
	return rc;
}

static void
out_free(struct out *out)
{
	writer_facts_free(out);
	free(out->objects);
	free(out->prefix);
	free(out);
}

void
outflow_unref(struct outflow *of)
{
	struct flow *f = of->flow;
	bool last;

	pool_lock(f);
	last = --of->refs == 0;
	pool_unlock(f);
	if (!last)
		return;
	while (of->objects != NULL) {
		struct object *o = of->objects;

		of->objects = o->next;
		object_free(o);
	}
	while (of->outs != NULL) {
		struct out *out = of->outs;

		of->outs = out->next;
		out_free(out);
	}
	for (size_t i = 0; i < of->nsinks; i++)
		sink_clear(&of->sinks[i]);
	(void)pthread_cond_destroy(&of->changed);
	free(of->key_prefix);
	free(of->filters);
	free(of);
	pool_release(f);
}

/* Lock held. */
static void
abort_open(struct outflow *of)
{
	for (struct object *o = of->objects; o != NULL; o = o->next) {
		struct writer *w = o->writer;

		if (!o->committed)
			object_abort(o);
		if (w == NULL)
			continue;
		o->writer = NULL;
		pool_unref(of->flow, w->fill);
		free(w);
	}
}

void
outflow_close(struct outflow *of)
{
	if (of->closed)
		return;
	pool_lock(of->flow);
	abort_open(of);
	of->stop = true;
	for (size_t i = 0; i < of->nsinks; i++)
		(void)pthread_cond_broadcast(&of->sinks[i].work);
	outflow_unlock(of);
	for (size_t i = 0; i < of->nsinks; i++) {
		sink_join(&of->sinks[i]);
		spool_stop(&of->sinks[i]);
	}
	pool_lock(of->flow);
	while (of->active > 0 || of->telling > 0)
		outflow_wait(of);
	of->closed = true;
	pool_unlock(of->flow);
	/* The caller closes the common filters soon; a thread that was left
	 * behind must not find anything of theirs. */
	for (struct object *o = of->objects; o != NULL; o = o->next) {
		chain_close(o->stream);
		o->stream = NULL;
	}
}

void
outflow_free(struct outflow *of)
{
	if (of == NULL)
		return;
	outflow_close(of);
	outflow_unref(of);
}

int
out_new(struct outflow *of, const char *prefix, struct hf_out **res,
    struct hf_error *err)
{
	struct out *out = calloc(1, sizeof *out);

	*res = NULL;
	if (out == NULL ||
	    (out->prefix = strdup(prefix != NULL ? prefix : "")) == NULL) {
		free(out);
		return error_fail(err, HF_E_NOMEM, "no memory for a source");
	}
	out->base.ops = &writer_ops;
	out->of = of;
	pool_lock(of->flow);
	out->next = of->outs;
	of->outs = out;
	pool_unlock(of->flow);
	*res = &out->base;
	return HF_OK;
}

/* ---- the end ---- */

/* Lock held: has everything that was begun come to its end? */
static bool
all_settled(const struct outflow *of)
{
	if (of->active > 0)
		return false;
	for (size_t i = 0; i < of->nsinks; i++)
		if (!sink_idle(&of->sinks[i]))
			return false;
	return true;
}

int
outflow_finish(struct outflow *of, struct hf_error *err)
{
	const struct object *left = NULL;
	int rc = HF_OK;

	pool_lock(of->flow);
	for (struct object *o = of->objects; o != NULL; o = o->next) {
		if (o->writer == NULL)
			continue;
		object_abort(o);
		left = o;
	}
	while (
	    !all_settled(of) && (rc = pool_cancelled(of->flow, err)) == HF_OK)
		outflow_wait(of);
	if (rc == HF_OK && left != NULL)
		rc = error_fail(err, HF_E_BUG,
		    "the engine left the object %s open",
		    left->lanes->result.name);
	if (rc == HF_OK && of->nlive == 0)
		rc = outflow_state(of, err);
	outflow_unlock(of);
	return rc;
}

/* ---- results ---- */

static const struct out *
out_of(const struct hf_out *o)
{
	return (const struct out *)(const void *)o;
}

bool
out_fact_at(
    const struct hf_out *o, size_t n, const char **key, const char **value)
{
	const struct out *out = out_of(o);
	bool there;

	pool_lock(out->of->flow);
	there = n < out->nfacts;
	if (there) {
		*key = out->facts[n]->key;
		*value = out->facts[n]->value;
	}
	pool_unlock(out->of->flow);
	return there;
}

bool
out_begun(const struct hf_out *o)
{
	const struct out *out = out_of(o);
	bool begun = false;

	pool_lock(out->of->flow);
	for (const struct object *i = out->of->objects; i != NULL; i = i->next)
		begun = begun || i->out == out;
	pool_unlock(out->of->flow);
	return begun;
}

bool
outflow_sink_ok(const struct outflow *of, size_t sink, struct hf_error *why)
{
	bool ok;

	pool_lock(of->flow);
	ok = !of->sinks[sink].failed;
	if (!ok && why != NULL)
		*why = of->sinks[sink].why;
	pool_unlock(of->flow);
	return ok;
}

bool
outflow_sink_stuck(const struct outflow *of, size_t sink)
{
	bool stuck;

	pool_lock(of->flow);
	stuck = of->sinks[sink].abandoned;
	pool_unlock(of->flow);
	return stuck;
}

const struct flow_object *
out_object(const struct hf_out *o, size_t sink, size_t n)
{
	const struct out *out = out_of(o);
	const struct flow_object *res = NULL;

	pool_lock(out->of->flow);
	if (n < out->nobjects &&
	    out->objects[n]->lanes[sink].state == LANE_COMMITTED)
		res = &out->objects[n]->lanes[sink].result;
	pool_unlock(out->of->flow);
	return res;
}

uint64_t
outflow_raw_bytes(const struct outflow *of)
{
	uint64_t n;

	pool_lock(of->flow);
	n = of->raw_bytes;
	pool_unlock(of->flow);
	return n;
}

uint64_t
outflow_stored_bytes(const struct outflow *of, size_t sink)
{
	uint64_t n;

	pool_lock(of->flow);
	n = of->sinks[sink].stored;
	pool_unlock(of->flow);
	return n;
}
