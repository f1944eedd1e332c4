/* SPDX-License-Identifier: BSD-2-Clause */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "flow/outflow.h"
#include "plugin/store.h"

/* After a cancellation a plugin gets so long to come back, when it has no
 * stall time of its own. */
#define CANCEL_GRACE_MS 10000

static void
key_keep(void *key)
{
	(void)key; /* the objects own them */
}

int
sink_init(struct sink *s, struct outflow *of, size_t number,
    const struct out_sink *conf, struct hf_error *err)
{
	struct filter **filters = NULL;
	size_t nframes;
	int rc;

	s->of = of;
	s->number = number;
	s->conf = *conf;
	s->conf.filters = NULL;
	s->spool.fd = -1;
	s->maxthreads = store_parallel(conf->store) ? SINK_THREADS : 1;
	filters = calloc(conf->nfilters + 1, sizeof(struct filter *));
	s->name = strdup(conf->name != NULL ? conf->name : "");
	if (filters == NULL || s->name == NULL) {
		free(filters);
		return error_fail(err, HF_E_NOMEM, "no memory for a sink");
	}
	for (size_t i = 0; i < conf->nfilters; i++)
		filters[i] = conf->filters[i];
	s->conf.filters = filters;
	s->conf.name = s->name;
	nframes = chain_leading(filters, conf->nfilters);
	/* Behind a filter that takes no frames there are none. */
	s->leading = of->leading == of->nfilters ? nframes : 0;
	s->framed = of->leading == of->nfilters && nframes == conf->nfilters &&
		    of->nfilters + nframes > 0;
	if ((rc = pool_cond(&s->work, err)) != HF_OK)
		goto err0;
	if ((rc = pool_cond(&s->spool.work, err)) != HF_OK)
		goto err1;
	return HF_OK;

err1:
	(void)pthread_cond_destroy(&s->work);
err0:
	free(filters);
	free(s->name);
	s->name = NULL;
	return rc;
}

void
sink_clear(struct sink *s)
{
	if (s->name == NULL)
		return; /* was not set up */
	spool_clear(s);
	for (size_t i = 0; i < SINK_THREADS; i++)
		for (size_t j = 0; j < 2; j++)
			buf_free(&s->threads[i].scratch[j]);
	tdestroy(s->keys, key_keep);
	(void)pthread_cond_destroy(&s->spool.work);
	(void)pthread_cond_destroy(&s->work);
	free((void *)(uintptr_t)s->conf.filters);
	free(s->name);
}

/* ---- keys ---- */

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(a, b);
}

int
sink_claim(struct sink *s, char *key)
{
	char **node;

	if (key == NULL)
		return HF_OK;
	if ((node = tsearch(key, &s->keys, compare_keys)) == NULL)
		return HF_E_NOMEM;
	return *node == key ? HF_OK : HF_E_INVALID;
}

void
sink_unclaim(struct sink *s, char *key)
{
	char **node;

	if (key == NULL)
		return;
	node = tfind(key, &s->keys, compare_keys);
	/* It is another object's when claiming ours failed. */
	if (node != NULL && *node == key)
		(void)tdelete(key, &s->keys, compare_keys);
}

/* ---- threads ---- */

void
sink_wake(struct sink *s, struct lane *l)
{
	if (l->queued || !lane_ready(l))
		return;
	l->queued = true;
	l->next_ready = NULL;
	if (s->ready_tail == NULL)
		s->ready = l;
	else
		s->ready_tail->next_ready = l;
	s->ready_tail = l;
	(void)pthread_cond_signal(&s->work);
}

static struct lane *
next_lane(struct sink *s)
{
	struct lane *l = s->ready;

	if (l == NULL)
		return NULL;
	if ((s->ready = l->next_ready) == NULL)
		s->ready_tail = NULL;
	l->queued = false;
	return l;
}

void
sink_enter(struct sink_thread *t, bool holds)
{
	t->since = text_monotonic();
	t->holds = holds;
}

void
sink_leave(struct sink_thread *t)
{
	struct sink *s = t->sink;

	t->since = 0;
	t->holds = false;
	s->progress = text_monotonic();
	if (t->lent) {
		t->lent = false;
		s->of->budget.limit--;
	}
}

static void *
sink_run(void *arg)
{
	struct sink_thread *t = arg;
	struct sink *s = t->sink;
	struct outflow *of = s->of;
	struct lane *l;

	pool_lock(of->flow);
	for (;;) {
		if ((l = next_lane(s)) != NULL) {
			if (lane_ready(l)) {
				lane_step(l, t);
				outflow_unlock(of);
				pool_lock(of->flow);
			}
		} else if (of->stop) {
			break;
		} else {
			(void)pthread_cond_wait(&s->work, &of->flow->lock);
		}
	}
	t->ended = true;
	(void)pthread_cond_broadcast(&of->changed);
	pool_unlock(of->flow);
	outflow_unref(of);
	return NULL;
}

int
sink_start(struct sink *s, struct hf_error *err)
{
	struct sink_thread *t;
	int rc;

	if (s->nthreads == s->maxthreads || s->nthreads >= s->open_lanes)
		return HF_OK;
	t = &s->threads[s->nthreads];
	t->sink = s;
	if ((rc = pool_thread(&t->thread, sink_run, t, err)) != HF_OK)
		return s->nthreads > 0 ? HF_OK : rc; /* fewer will do */
	s->of->refs++;
	s->nthreads++;
	return HF_OK;
}

/* ---- the end of a sink ---- */

void
sink_fail(struct sink *s, const struct hf_error *why)
{
	struct outflow *of = s->of;

	if (s->failed)
		return;
	s->failed = true;
	s->why = *why;
	s->tell_failed = true;
	if (of->nlive-- == of->nsinks)
		of->first_failed = s->number;
	/* Its queue holds frames that the others wait for; its handles are
	 * closed by its own threads. */
	for (struct object *o = of->objects; o != NULL; o = o->next)
		lane_abort(&o->lanes[s->number]);
	(void)pthread_cond_broadcast(&s->work);
	(void)pthread_cond_broadcast(&s->spool.work);
	(void)pthread_cond_broadcast(&of->changed);
}

/* How long has a plugin call kept this sink from going on? */
static int64_t
stuck_for(const struct sink *s, int64_t now)
{
	int64_t longest = 0;

	for (unsigned i = 0; i < s->nthreads; i++) {
		int64_t since = s->threads[i].since;

		if (since == 0)
			continue;
		if (since < s->progress)
			since = s->progress;
		if (now - since > longest)
			longest = now - since;
	}
	return longest;
}

/* Go on without its threads.  The frames they hold are lost to the others
 * until they come back, so that the bound grows by these. */
static void
abandon(struct sink *s)
{
	s->abandoned = true;
	for (unsigned i = 0; i < s->nthreads; i++) {
		struct sink_thread *t = &s->threads[i];

		if (t->since == 0 || !t->holds || t->lent)
			continue;
		t->lent = true;
		s->of->budget.limit++;
	}
	(void)pthread_cond_broadcast(&s->of->changed);
}

void
sink_check(struct sink *s)
{
	struct hf_error why = { .status = HF_OK };
	int64_t now = text_monotonic(), stuck = stuck_for(s, now);
	int64_t limit = s->conf.stall_ms;

	if (s->abandoned || stuck == 0)
		return;
	if (limit > 0 && stuck >= limit) {
		(void)error_fail(&why, HF_E_IO, "sink %s took nothing for %s",
		    s->name, text_duration(limit).s);
		error_hint(&why,
		    "Look whether this place still answers; \"stall_timeout\" "
		    "is the time after which a sink is given up.");
		sink_fail(s, &why);
		abandon(s);
		return;
	}
	if (s->of->cancelled_at != 0 && s->of->stop &&
	    now - s->of->cancelled_at >= CANCEL_GRACE_MS &&
	    stuck >= CANCEL_GRACE_MS) {
		(void)error_fail(&why, HF_E_CANCELLED, "cancelled");
		sink_fail(s, &why);
		abandon(s);
	}
}

bool
sink_idle(const struct sink *s)
{
	return s->abandoned || s->nthreads == 0 || s->open_lanes == 0;
}

void
sink_join(struct sink *s)
{
	for (unsigned i = 0; i < s->nthreads; i++) {
		struct sink_thread *t = &s->threads[i];
		bool ended;

		pool_lock(s->of->flow);
		/* One that is back from where it was stuck ends by itself. */
		while (!t->ended && !(s->abandoned && t->since != 0))
			outflow_wait(s->of);
		ended = t->ended;
		outflow_unlock(s->of);
		if (ended)
			(void)pthread_join(t->thread, NULL);
		else
			(void)pthread_detach(t->thread);
	}
}
