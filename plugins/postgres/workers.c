/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers.h"

#include "postgres.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

struct run {
	const struct workers_ops *ops;
	void *arg;
	size_t ntasks;
	atomic_size_t next;
	atomic_bool stop;
	/* 1 + the number of the worker that failed first; 0: none did. */
	atomic_uint first;
};

struct worker {
	struct run *run;
	unsigned number;
	pthread_t thread;
	int status;
	struct hf_error *err; /* of its own: a slot has one writer */
};

/* The first to fail tells all to stop; what fails after that may have failed
 * because of it. */
static void
worker_failed(struct worker *w, int status)
{
	unsigned none = 0;

	w->status = status;
	(void)atomic_compare_exchange_strong(
	    &w->run->first, &none, w->number + 1);
	atomic_store(&w->run->stop, true);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct run *r = w->run;
	void *state = NULL;
	size_t task;
	int rc;

	if (r->ops->begin != NULL &&
	    (rc = r->ops->begin(r->arg, &r->stop, &state, w->err)) != HF_OK) {
		worker_failed(w, rc);
		return NULL;
	}
	while (!atomic_load(&r->stop)) {
		if ((task = atomic_fetch_add(&r->next, 1)) >= r->ntasks)
			break;
		rc = r->ops->task(r->arg, state, task, w->err);
		if (rc != HF_OK) {
			worker_failed(w, rc);
			break;
		}
	}
	if (r->ops->end != NULL)
		r->ops->end(r->arg, state);
	return NULL;
}

/* Signals are the main thread's: a thread starts with the mask of the one that
 * made it. */
static int
start(struct worker *w)
{
	sigset_t all, before;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&w->thread, NULL, worker_main, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e;
}

static int
run_all(struct run *r, struct worker *workers, unsigned n, struct hf_error *err)
{
	unsigned started, i, first;
	int e = 0;

	for (started = 0; started < n; started++) {
		workers[started].run = r;
		workers[started].number = started;
		if ((workers[started].err = H->fail_new()) == NULL ||
		    (e = start(&workers[started])) != 0)
			break;
	}
	/* With fewer threads the work still gets done. */
	if (started == 0)
		return e == 0 ? postgres_nomem(err)
			      : H->fail_errno(err, e, "starting a thread");
	for (i = 0; i < started; i++)
		(void)pthread_join(workers[i].thread, NULL);
	if ((first = atomic_load(&r->first)) == 0)
		return HF_OK;
	(void)H->fail_move(err, workers[first - 1].err);
	return workers[first - 1].status;
}

int
workers_run(unsigned n, size_t ntasks, const struct workers_ops *ops, void *arg,
    struct hf_error *err)
{
	struct run r = { .ops = ops, .arg = arg, .ntasks = ntasks };
	struct worker *workers;
	unsigned i;
	int rc;

	if (ntasks == 0)
		return HF_OK;
	if (n == 0)
		n = 1;
	if (n > ntasks)
		n = (unsigned)ntasks;
	if ((workers = calloc(n, sizeof *workers)) == NULL)
		return postgres_nomem(err);
	rc = run_all(&r, workers, n, err);
	for (i = 0; i < n; i++)
		H->fail_free(workers[i].err);
	free(workers);
	return rc;
}
