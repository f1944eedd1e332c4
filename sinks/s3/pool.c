/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "s3.h"

/* At the beginning of a buffer that waits for its next use. */
struct spare {
	struct spare *next;
	size_t len;
};

struct pool {
	pthread_mutex_t lock; /* a leaf: nothing is called under it */
	pthread_cond_t work, news;
	pthread_t *threads;
	unsigned n, started, slots;
	struct job *head, *tail;
	struct spare *spare;
	unsigned nspare;
	bool end;
};

int
pool_new(unsigned threads, struct pool **out, struct hf_error *err)
{
	struct pool *p = calloc(1, sizeof *p);

	if (p == NULL ||
	    (p->threads = calloc(threads, sizeof *p->threads)) == NULL) {
		free(p);
		return H->fail(err, HF_E_NOMEM, "no memory");
	}
	p->n = threads;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	(void)pthread_cond_init(&p->news, NULL);
	*out = p;
	return HF_OK;
}

static void
unmap_all(struct spare *s)
{
	struct spare *next;

	for (; s != NULL; s = next) {
		next = s->next;
		(void)munmap(s, s->len);
	}
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->end = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		(void)pthread_join(p->threads[i], NULL);
	unmap_all(p->spare);
	(void)pthread_cond_destroy(&p->news);
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_mutex_destroy(&p->lock);
	free(p->threads);
	free(p);
}

static void *
work(void *arg)
{
	struct pool *p = arg;
	struct job *job;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->head == NULL && !p->end)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->head == NULL)
			break;
		job = p->head;
		if ((p->head = job->next) == NULL)
			p->tail = NULL;
		pthread_mutex_unlock(&p->lock);
		job->run(job);
		pthread_mutex_lock(&p->lock);
		job->done = true;
		pthread_cond_broadcast(&p->news);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Signals are for the program's own threads. */
static int
start_one(struct pool *p)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&p->threads[p->started], NULL, work, p);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int
pool_run(struct pool *p, struct job *job, struct hf_error *err)
{
	int rc = 0;

	job->next = NULL;
	job->done = false;
	pthread_mutex_lock(&p->lock);
	if (p->started < p->n && (rc = start_one(p)) == 0)
		p->started++;
	if (p->started > 0) {
		if (p->tail == NULL)
			p->head = job;
		else
			p->tail->next = job;
		p->tail = job;
		pthread_cond_signal(&p->work);
		rc = 0;
	}
	pthread_mutex_unlock(&p->lock);
	if (rc != 0)
		return H->fail_errno(err, rc, "cannot start a thread");
	return HF_OK;
}

void
pool_wait(struct pool *p, struct job *job)
{
	pthread_mutex_lock(&p->lock);
	while (!job->done)
		pthread_cond_wait(&p->news, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

bool
pool_done(struct pool *p, const struct job *job)
{
	bool done;

	pthread_mutex_lock(&p->lock);
	done = job->done;
	pthread_mutex_unlock(&p->lock);
	return done;
}

/* One out of the list, or NULL.  Lock held. */
static struct spare *
shift_spare(struct pool *p)
{
	struct spare *s = p->spare;

	if (s != NULL) {
		p->spare = s->next;
		p->nspare--;
	}
	return s;
}

void
pool_take_slot(struct pool *p)
{
	struct spare *s = NULL;

	pthread_mutex_lock(&p->lock);
	while (p->slots == p->n)
		pthread_cond_wait(&p->news, &p->lock);
	p->slots++;
	/* Another handle began before there were any. */
	if (p->slots + p->nspare > p->n)
		s = shift_spare(p);
	pthread_mutex_unlock(&p->lock);
	if (s != NULL)
		pool_buffer_free(s, s->len);
}

void
pool_spare_slot(struct pool *p)
{
	unsigned most = p->n > 1 ? p->n - 1 : 1;

	pthread_mutex_lock(&p->lock);
	while (p->slots >= most)
		pthread_cond_wait(&p->news, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void
pool_give_slot(struct pool *p, void *buffer, size_t len)
{
	struct spare *s = buffer;

	pthread_mutex_lock(&p->lock);
	p->slots--;
	if (s != NULL) {
		*s = (struct spare){ .next = p->spare, .len = len };
		p->spare = s;
		p->nspare++;
	}
	/* Nothing is under way any more: nobody may come for them. */
	s = NULL;
	if (p->slots == 0) {
		s = p->spare;
		p->spare = NULL;
		p->nspare = 0;
	}
	pthread_cond_broadcast(&p->news);
	pthread_mutex_unlock(&p->lock);
	unmap_all(s);
}

void *
pool_buffer(struct pool *p, size_t len)
{
	struct spare *s;
	void *b;

	pthread_mutex_lock(&p->lock);
	s = shift_spare(p);
	pthread_mutex_unlock(&p->lock);
	if (s != NULL && s->len == len)
		return s;
	/* Parts have grown. */
	if (s != NULL)
		pool_buffer_free(s, s->len);
	/* Not malloc: its heap would keep holes of this size. */
	b = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
	return b == MAP_FAILED ? NULL : b;
}

void
pool_buffer_free(void *b, size_t len)
{
	if (b != NULL)
		(void)munmap(b, len);
}
