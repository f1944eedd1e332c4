/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"

size_t
pool_capacity(const struct flow *f)
{
	return f->frame_size + f->frame_size / 64 + 1024;
}

void
pool_lock(struct flow *f)
{
	(void)pthread_mutex_lock(&f->lock);
}

void
pool_unlock(struct flow *f)
{
	(void)pthread_mutex_unlock(&f->lock);
}

struct flow *
pool_ref(struct flow *f)
{
	f->refs++;
	return f;
}

void
pool_release(struct flow *f)
{
	struct frame *fr;
	bool last;

	pool_lock(f);
	last = --f->refs == 0;
	pool_unlock(f);
	if (!last)
		return;
	while ((fr = f->spare) != NULL) {
		f->spare = fr->next;
		buf_free(&fr->b);
		free(fr);
	}
	(void)pthread_cond_destroy(&f->work);
	(void)pthread_mutex_destroy(&f->lock);
	free(f->spool_dir);
	free(f->threads);
	free(f);
}

int
pool_cancelled(const struct flow *f, struct hf_error *err)
{
	if (!cancel_requested(f->cancel))
		return HF_OK;
	return error_fail(err, HF_E_CANCELLED, "cancelled");
}

int
pool_frame(struct flow *f, struct frame **out, struct hf_error *err)
{
	struct frame *fr;
	int rc;

	pool_lock(f);
	if ((fr = f->spare) != NULL) {
		f->spare = fr->next;
		f->nspare--;
	}
	if (++f->alive > f->peak)
		f->peak = f->alive;
	pool_unlock(f);
	if (fr == NULL && (fr = calloc(1, sizeof *fr)) == NULL) {
		rc = error_fail(err, HF_E_NOMEM, "no memory for a frame");
		goto err0;
	}
	if ((rc = buf_reserve(&fr->b, pool_capacity(f), err)) != HF_OK)
		goto err1;
	fr->next = NULL;
	fr->budget = NULL;
	fr->owner = NULL;
	fr->seq = 0;
	fr->refs = 1;
	fr->b.len = 0;
	*out = fr;
	return HF_OK;

err1:
	buf_free(&fr->b);
	free(fr);
err0:
	pool_lock(f);
	f->alive--;
	pool_unlock(f);
	return rc;
}

void
pool_unref(struct flow *f, struct frame *fr)
{
	if (fr == NULL || --fr->refs > 0)
		return;
	if (fr->budget != NULL) {
		fr->budget->used--;
		(void)pthread_cond_broadcast(fr->budget->room);
	}
	f->alive--;
	/* One that had to grow far is not kept: the bound is on bytes. */
	if (f->nspare < f->max_spare && fr->b.cap <= 2 * pool_capacity(f)) {
		fr->next = f->spare;
		f->spare = fr;
		f->nspare++;
		return;
	}
	buf_free(&fr->b);
	free(fr);
}

void
pool_ticket(struct budget *b, struct frame *fr)
{
	fr->budget = b;
	if (++b->used > b->peak)
		b->peak = b->used;
}

void
pool_append(struct frames *l, struct frame *fr)
{
	fr->next = NULL;
	if (l->tail == NULL)
		l->head = fr;
	else
		l->tail->next = fr;
	l->tail = fr;
}

struct frame *
pool_shift(struct frames *l)
{
	struct frame *fr = l->head;

	if (fr == NULL)
		return NULL;
	if ((l->head = fr->next) == NULL)
		l->tail = NULL;
	fr->next = NULL;
	return fr;
}

void
pool_insert(struct frames *l, struct frame *fr)
{
	struct frame **at = &l->head;

	if (l->tail == NULL || l->tail->seq < fr->seq) {
		pool_append(l, fr);
		return;
	}
	while ((*at)->seq < fr->seq)
		at = &(*at)->next;
	fr->next = *at;
	*at = fr;
}

void
pool_run(struct flow *f, struct task *t)
{
	t->next = NULL;
	if (f->tail == NULL)
		f->head = t;
	else
		f->tail->next = t;
	f->tail = t;
	(void)pthread_cond_signal(&f->work);
}

void
pool_wait(struct flow *f, pthread_cond_t *cond)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += POOL_TICK_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(cond, &f->lock, &until);
}

int
pool_cond(pthread_cond_t *cond, struct hf_error *err)
{
	pthread_condattr_t attr;
	int rc;

	if ((rc = pthread_condattr_init(&attr)) != 0)
		return error_errno(err, rc, "cannot set up a condition");
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	rc = pthread_cond_init(cond, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (rc != 0)
		return error_errno(err, rc, "cannot set up a condition");
	return HF_OK;
}

int
pool_thread(
    pthread_t *thread, void *(*fn)(void *), void *arg, struct hf_error *err)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(thread, NULL, fn, arg);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return error_errno(err, rc, "cannot start a thread");
	return HF_OK;
}
