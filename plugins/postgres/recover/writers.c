/* SPDX-License-Identifier: BSD-2-Clause */
#include "writers.h"

#include "crc32c.h"
#include "folder.h"
#include "increment.h"
#include "inventory.h"
#include "postgres.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNKS_EACH 24
/* What is written is sent on its way to the disk in pieces of this size, so
 * that the end has less to wait for. */
#define FLUSH ((off_t)8 << 20)

struct queue {
	struct chunk *first, **end;
	size_t n;
};

struct writer {
	struct writers *all;
	pthread_t thread;
	pthread_cond_t filled;
	struct queue queue;
	struct hf_error *err;
	int status;

	/* The file it is at. */
	char *path; /* as the tar has it */
	char *name; /* in the folder */
	enum writers_job job;
	struct increment increment;
	int fd; /* -1 while it is only checked */
	off_t size, flushed;
	uint32_t crc;
};

struct writers {
	struct writers_place to;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct chunk *free;
	unsigned n;
	struct writer *at; /* who has the file that is being handed over */
	bool ending;       /* no more will come */
	bool stop;         /* somebody failed */
	struct writer writers[];
};

/* ---- a file ---- */

static int
file_make(struct writer *w, mode_t mode)
{
	const struct folder *p = w->all->to.folder;

	w->fd = openat(p->fd, w->name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w->fd < 0 && (errno == EEXIST || errno == ENOENT))
		return H->fail(w->err, HF_E_CORRUPT,
		    errno == EEXIST ? "%s is in the tar file twice"
				    : "%s: the tar file has no folder for it",
		    w->name);
	if (w->fd < 0)
		return H->fail_errno(
		    w->err, errno, "making %s/%s", p->path, w->name);
	if ((p->owner.change &&
		fchown(w->fd, p->owner.uid, p->owner.gid) != 0) ||
	    (mode != 0600 && fchmod(w->fd, mode) != 0))
		return H->fail_errno(w->err, errno,
		    "setting owner and mode of %s/%s", p->path, w->name);
	return HF_OK;
}

static int
file_apply(struct writer *w)
{
	const struct folder *p = w->all->to.folder;

	increment_strip(w->name);
	increment_init(&w->increment, w->all->to.geometry, w->path);
	w->fd = openat(p->fd, w->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (w->fd < 0 && errno == ENOENT)
		return H->fail(w->err, HF_E_CORRUPT,
		    "%s: there is no %s to which it could be applied", w->path,
		    w->name);
	if (w->fd < 0)
		return H->fail_errno(
		    w->err, errno, "opening %s/%s", p->path, w->name);
	return HF_OK;
}

static int
file_begin(struct writer *w, struct chunk *c)
{
	w->path = c->path;
	c->path = NULL;
	w->job = c->job;
	w->size = w->flushed = 0;
	w->crc = 0;
	if (w->job == WRITERS_CHECK)
		return HF_OK;
	w->name = strdup(
	    w->all->to.prefix[0] == '\0' && strcmp(w->path, FOLDER_CONTROL) == 0
		? FOLDER_CONTROL_TMP
		: w->path);
	if (w->name == NULL)
		return postgres_nomem(w->err);
	return w->job == WRITERS_APPLY ? file_apply(w) : file_make(w, c->mode);
}

static int
put(struct writer *w, const struct chunk *c)
{
	size_t done = 0;

	while (done < c->len) {
		ssize_t n = write(w->fd, c->data + done, c->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return H->fail_errno(w->err, errno, "writing %s/%s",
			    w->all->to.folder->path, w->name);
		done += (size_t)n;
	}
	return HF_OK;
}

static int
file_write(struct writer *w, const struct chunk *c)
{
	int rc = HF_OK;

	if (w->job == WRITERS_MAKE)
		rc = put(w, c);
	else if (w->job == WRITERS_APPLY)
		rc = increment_feed(
		    &w->increment, w->fd, c->data, c->len, w->err);
	if (rc != HF_OK)
		return rc;
	if (w->all->to.inventory != NULL)
		w->crc = crc32c(w->crc, c->data, c->len);
	w->size += (off_t)c->len;
	if (w->job == WRITERS_MAKE && w->size - w->flushed >= FLUSH) {
		(void)sync_file_range(w->fd, w->flushed, w->size - w->flushed,
		    SYNC_FILE_RANGE_WRITE);
		w->flushed = w->size;
	}
	return HF_OK;
}

static void
file_forget(struct writer *w)
{
	if (w->fd >= 0)
		(void)close(w->fd);
	w->fd = -1;
	increment_clear(&w->increment);
	free(w->path);
	free(w->name);
	w->path = w->name = NULL;
}

static int
file_end(struct writer *w)
{
	const struct writers_place *to = &w->all->to;
	struct text path = { 0 };
	int rc = HF_OK;

	if (w->job == WRITERS_APPLY)
		rc = increment_end(&w->increment, w->fd, w->err);
	if (w->fd >= 0 && close(w->fd) != 0 && rc == HF_OK)
		rc = H->fail_errno(
		    w->err, errno, "writing %s/%s", to->folder->path, w->name);
	w->fd = -1;
	if (rc == HF_OK && to->inventory != NULL) {
		text_addf(&path, "%s%s", to->prefix, w->path);
		if ((rc = text_ok(&path, w->err)) == HF_OK)
			rc = inventory_seen(to->inventory, text_get(&path),
			    (uint64_t)w->size, w->crc, w->err);
		text_free(&path);
	}
	file_forget(w);
	return rc;
}

static int
file_chunk(struct writer *w, struct chunk *c)
{
	int rc = HF_OK;

	if (c->path != NULL)
		rc = file_begin(w, c);
	if (rc == HF_OK)
		rc = file_write(w, c);
	if (rc == HF_OK && c->last)
		rc = file_end(w);
	return rc;
}

/* ---- threads ---- */

/* Under the lock. */
static struct chunk *
take(struct writer *w)
{
	struct chunk *c;

	while (w->queue.first == NULL && !w->all->ending && !w->all->stop)
		(void)pthread_cond_wait(&w->filled, &w->all->lock);
	if (w->all->stop || (c = w->queue.first) == NULL)
		return NULL;
	if ((w->queue.first = c->next) == NULL)
		w->queue.end = &w->queue.first;
	w->queue.n--;
	return c;
}

static void *
writer_main(void *arg)
{
	struct writer *w = arg;
	struct writers *all = w->all;
	struct chunk *c;
	int rc;

	(void)pthread_mutex_lock(&all->lock);
	while ((c = take(w)) != NULL) {
		(void)pthread_mutex_unlock(&all->lock);
		rc = file_chunk(w, c);
		free(c->path);
		(void)pthread_mutex_lock(&all->lock);
		c->path = NULL;
		c->next = all->free;
		all->free = c;
		if (rc != HF_OK) {
			w->status = rc;
			all->stop = true;
		}
		(void)pthread_cond_signal(&all->freed);
	}
	(void)pthread_mutex_unlock(&all->lock);
	return NULL;
}

/* Signals are the main thread's. */
static int
start(struct writer *w)
{
	sigset_t all, before;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&w->thread, NULL, writer_main, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e;
}

static int
make_chunks(struct writers *w, unsigned n, struct hf_error *err)
{
	for (unsigned i = 0; i < n * CHUNKS_EACH; i++) {
		struct chunk *c = calloc(1, sizeof *c);

		if (c == NULL)
			return postgres_nomem(err);
		c->next = w->free;
		w->free = c;
	}
	return HF_OK;
}

int
writers_new(unsigned n, const struct writers_place *to, struct writers **out,
    struct hf_error *err)
{
	struct writers *w;
	int rc, e = 0;

	*out = NULL;
	w = calloc(1, sizeof *w + n * sizeof w->writers[0]);
	if (w == NULL)
		return postgres_nomem(err);
	w->to = *to;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->freed, NULL);
	if ((rc = make_chunks(w, n, err)) != HF_OK) {
		(void)writers_end(w, true, NULL);
		return rc;
	}
	for (; w->n < n; w->n++) {
		struct writer *one = &w->writers[w->n];

		one->all = w;
		one->fd = -1;
		one->queue.end = &one->queue.first;
		(void)pthread_cond_init(&one->filled, NULL);
		if ((one->err = H->fail_new()) == NULL ||
		    (e = start(one)) != 0) {
			H->fail_free(one->err);
			(void)pthread_cond_destroy(&one->filled);
			break;
		}
	}
	/* With fewer threads the work still gets done. */
	if (w->n == 0) {
		rc = e == 0 ? postgres_nomem(err)
			    : H->fail_errno(err, e, "starting a thread");
		(void)writers_end(w, true, NULL);
		return rc;
	}
	*out = w;
	return HF_OK;
}

struct chunk *
writers_chunk(struct writers *w)
{
	struct chunk *c = NULL;

	(void)pthread_mutex_lock(&w->lock);
	while (w->free == NULL && !w->stop)
		(void)pthread_cond_wait(&w->freed, &w->lock);
	if (!w->stop) {
		c = w->free;
		w->free = c->next;
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (c != NULL) {
		c->next = NULL;
		c->path = NULL;
		c->job = WRITERS_MAKE;
		c->last = false;
		c->len = 0;
	}
	return c;
}

void
writers_push(struct writers *w, struct chunk *c)
{
	struct queue *q;

	(void)pthread_mutex_lock(&w->lock);
	/* A new file goes to who has least to do. */
	for (unsigned i = 0; c->path != NULL && i < w->n; i++)
		if (i == 0 || w->writers[i].queue.n < w->at->queue.n)
			w->at = &w->writers[i];
	q = &w->at->queue;
	*q->end = c;
	q->end = &c->next;
	q->n++;
	(void)pthread_cond_signal(&w->at->filled);
	(void)pthread_mutex_unlock(&w->lock);
}

static void
free_chunks(struct chunk *c)
{
	while (c != NULL) {
		struct chunk *next = c->next;

		free(c->path);
		free(c);
		c = next;
	}
}

int
writers_end(struct writers *w, bool abandon, struct hf_error *err)
{
	int rc = HF_OK;

	if (w == NULL)
		return HF_OK;
	(void)pthread_mutex_lock(&w->lock);
	w->ending = true;
	w->stop = w->stop || abandon;
	for (unsigned i = 0; i < w->n; i++)
		(void)pthread_cond_signal(&w->writers[i].filled);
	(void)pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n; i++) {
		struct writer *one = &w->writers[i];

		(void)pthread_join(one->thread, NULL);
		file_forget(one);
		if (one->status != HF_OK && rc == HF_OK) {
			rc = one->status;
			(void)H->fail_move(err, one->err);
		}
		H->fail_free(one->err);
		free_chunks(one->queue.first);
		(void)pthread_cond_destroy(&one->filled);
	}
	free_chunks(w->free);
	(void)pthread_cond_destroy(&w->freed);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
	return rc;
}
