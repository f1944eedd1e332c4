/* SPDX-License-Identifier: BSD-2-Clause */
#include "flow.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/pool.h"

#define FRAME_DEFAULT ((size_t)1024 * 1024)
#define FRAME_MAX ((size_t)1024 * 1024 * 1024)
#define WORKERS_MAX 256u

static void *
worker(void *arg)
{
	struct flow *f = arg;
	struct buf scratch = BUF_INIT;

	pool_lock(f);
	for (;;) {
		struct task *t = f->head;

		if (t == NULL) {
			if (f->stop)
				break;
			(void)pthread_cond_wait(&f->work, &f->lock);
			continue;
		}
		if ((f->head = t->next) == NULL)
			f->tail = NULL;
		pool_unlock(f);
		scratch.len = 0;
		t->run(t, &scratch);
		if (scratch.cap > 2 * pool_capacity(f))
			buf_free(&scratch);
		pool_lock(f);
	}
	pool_unlock(f);
	buf_free(&scratch);
	return NULL;
}

static unsigned
cores(void)
{
	cpu_set_t set;
	int n;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	n = CPU_COUNT(&set);
	return n < 1 ? 1 : (unsigned)n;
}

static int
check_options(const struct flow_options *o, struct hf_error *err)
{
	if (o->frame_size > FRAME_MAX)
		return error_fail(err, HF_E_INVALID,
		    "a frame of %zu bytes is too large, at most %zu",
		    o->frame_size, FRAME_MAX);
	if (o->workers > WORKERS_MAX)
		return error_fail(err, HF_E_INVALID,
		    "%u workers are too many, at most %u", o->workers,
		    WORKERS_MAX);
	return HF_OK;
}

int
flow_new(const struct flow_options *o, struct flow **out, struct hf_error *err)
{
	struct flow *f;
	int rc;

	*out = NULL;
	if ((rc = check_options(o, err)) != HF_OK)
		return rc;
	if ((f = calloc(1, sizeof *f)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a flow");
	f->refs = 1;
	f->workers = o->workers != 0 ? o->workers : cores();
	if (f->workers > WORKERS_MAX)
		f->workers = WORKERS_MAX;
	f->frame_size = o->frame_size != 0 ? o->frame_size : FRAME_DEFAULT;
	f->max_spare = 2 * (size_t)f->workers + 6;
	f->cancel = o->cancel;
	f->spool_after_ms = o->spool_after_ms;
	f->spool_max = o->spool_max;
	if ((rc = pthread_mutex_init(&f->lock, NULL)) != 0) {
		free(f);
		return error_errno(err, rc, "cannot set up a lock");
	}
	if ((rc = pool_cond(&f->work, err)) != HF_OK) {
		(void)pthread_mutex_destroy(&f->lock);
		free(f);
		return rc;
	}
	f->threads = calloc(f->workers, sizeof *f->threads);
	if (f->threads == NULL ||
	    (o->spool_dir != NULL &&
		(f->spool_dir = strdup(o->spool_dir)) == NULL)) {
		rc = error_fail(err, HF_E_NOMEM, "no memory for a flow");
		goto err0;
	}
	for (; f->started < f->workers; f->started++)
		if ((rc = pool_thread(
			 &f->threads[f->started], worker, f, err)) != HF_OK)
			goto err0;
	*out = f;
	return HF_OK;

err0:
	flow_free(f);
	return rc;
}

void
flow_free(struct flow *f)
{
	if (f == NULL)
		return;
	pool_lock(f);
	f->stop = true;
	(void)pthread_cond_broadcast(&f->work);
	pool_unlock(f);
	for (unsigned i = 0; i < f->started; i++)
		(void)pthread_join(f->threads[i], NULL);
	pool_release(f);
}

unsigned
flow_workers(const struct flow *f)
{
	return f->workers;
}

void
flow_object_clear(struct flow_object *o)
{
	if (o == NULL)
		return;
	free(o->name);
	free(o->key);
	free(o->index_key);
	*o = (struct flow_object){ 0 };
}
