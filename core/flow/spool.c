/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/outflow.h"

static void warn(const struct sink *, const char *event, const char *fmt, ...)
    HF_PRINTF(3, 4);

static void
warn(const struct sink *s, const char *event, const char *fmt, ...)
{
	char who[128];
	va_list ap;

	(void)snprintf(who, sizeof who, "sink %s", s->name);
	va_start(ap, fmt);
	log_vwrite(HF_LOG_WARN, event, who, fmt, ap);
	va_end(ap);
}

/* Parts begin at multiples of it, so that each can be given back whole. */
#define ALIGN ((uint64_t)4096)
#define KEEP_FREE ((uint64_t)1024 * 1024 * 1024)
#define RETRY_MS 1000

static uint64_t
aligned(size_t len)
{
	return ((uint64_t)len + ALIGN - 1) / ALIGN * ALIGN;
}

void
spool_add(struct sink *s, struct item *it)
{
	it->newer = NULL;
	it->older = s->newest;
	if (s->newest != NULL)
		s->newest->newer = it;
	else
		s->oldest = it;
	s->newest = it;
	if (++s->in_memory > SINK_MEMORY && s->spooling)
		(void)pthread_cond_signal(&s->spool.work);
}

void
spool_remove(struct sink *s, struct item *it)
{
	if (it->newer != NULL)
		it->newer->older = it->older;
	else
		s->newest = it->older;
	if (it->older != NULL)
		it->older->newer = it->newer;
	else
		s->oldest = it->newer;
	it->newer = it->older = NULL;
	s->in_memory--;
}

void
spool_release(struct sink *s, uint64_t off, size_t len)
{
	struct spool *sp = &s->spool;

	(void)off;
	sp->live -= aligned(len);
	if (sp->live == 0)
		sp->end = 0;
	if (s->spooling)
		(void)pthread_cond_signal(&sp->work);
}

int
spool_read(struct sink *s, uint64_t off, size_t len, struct buf *to,
    struct hf_error *err)
{
	size_t n = 0;
	int rc;

	if ((rc = buf_reserve(to, len, err)) != HF_OK)
		return rc;
	while (n < len) {
		ssize_t got =
		    pread(s->spool.fd, to->data + n, len - n, (off_t)(off + n));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(
			    err, errno, "cannot read the spool back");
		if (got == 0)
			return error_fail(
			    err, HF_E_IO, "the spool is shorter than it was");
		n += (size_t)got;
	}
	to->len = len;
	return HF_OK;
}

void
spool_punch(struct sink *s, uint64_t off, size_t len)
{
	/* Where holes are not supported the space comes back when all is
	 * read. */
	if (!s->spool.no_holes &&
	    fallocate(s->spool.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)off, (off_t)aligned(len)) != 0)
		s->spool.no_holes = true;
}

/* ---- writing ---- */

/* Lock held: may len more bytes be written? */
static bool
has_room(struct sink *s, size_t len)
{
	const struct flow *f = s->of->flow;
	struct spool *sp = &s->spool;
	uint64_t used = sp->no_holes ? sp->end : sp->live;
	uint64_t unit, keep;
	struct statvfs vfs;

	if (text_monotonic() < sp->retry_at)
		return false;
	if (f->spool_max != 0)
		return used + aligned(len) <= f->spool_max;
	if (fstatvfs(sp->fd, &vfs) != 0)
		return true;
	unit = vfs.f_frsize != 0 ? vfs.f_frsize : vfs.f_bsize;
	keep = (uint64_t)vfs.f_blocks / 20 * unit;
	if (keep < KEEP_FREE)
		keep = KEEP_FREE;
	return (uint64_t)vfs.f_bavail * unit >= keep + aligned(len);
}

static void
log_full(struct sink *s, const char *why)
{
	struct spool *sp = &s->spool;

	if (sp->full_told)
		return;
	sp->full_told = true;
	warn(s, "sink.spool_full",
	    "the spool is full (%s); reading the database waits for this "
	    "sink",
	    why);
}

static int
write_at(int fd, const struct buf *b, uint64_t off)
{
	size_t n = 0;

	/* Nothing stands in it: give back what is left of before. */
	if (off == 0 && ftruncate(fd, 0) != 0)
		return errno;
	while (n < b->len) {
		ssize_t put =
		    pwrite(fd, b->data + n, b->len - n, (off_t)(off + n));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno;
		n += (size_t)put;
	}
	return 0;
}

/* Lock held: a write failed.  The bytes are still in memory, so that nothing
 * is lost: it waits from here on, or for a while. */
static void
write_failed(struct sink *s, int errnum)
{
	struct hf_error why = { .status = HF_OK };

	(void)error_errno(&why, errnum, "cannot write to the spool");
	if (why.status == HF_E_NOSPACE) {
		s->spool.retry_at = text_monotonic() + RETRY_MS;
		log_full(s, "no space left");
		return;
	}
	s->spool.broken = true;
	warn(s, "sink.spool_failed", "%s", why.cause);
}

/* Lock held, dropped in between: move the newest item to the file.  The
 * newest, because the oldest are needed next. */
static void
spool_one(struct sink *s)
{
	struct flow *f = s->of->flow;
	struct spool *sp = &s->spool;
	struct item *it = s->newest;
	struct frame *fr = it->frame;
	size_t len = it->len;
	uint64_t off = sp->end;
	int errnum;

	spool_remove(s, it);
	it->spooling = true;
	fr->refs++;
	sp->end += aligned(len);
	sp->live += aligned(len);
	pool_unlock(f);
	errnum = write_at(sp->fd, &fr->b, off);
	pool_lock(f);
	it->spooling = false;
	if (it->gone) {
		/* A thread was faster and took it from memory. */
		free(it);
		spool_release(s, off, len);
	} else if (errnum == 0) {
		pool_unref(f, it->frame);
		it->frame = NULL;
		it->off = off;
	} else {
		spool_release(s, off, len);
		spool_add(s, it);
	}
	if (errnum != 0)
		write_failed(s, errnum);
	pool_unref(f, fr);
}

static void *
spool_run(void *arg)
{
	struct sink *s = arg;
	struct flow *f = s->of->flow;
	struct spool *sp = &s->spool;

	pool_lock(f);
	while (!s->of->stop && !s->failed && !sp->broken) {
		if (s->in_memory <= SINK_MEMORY) {
			(void)pthread_cond_wait(&sp->work, &f->lock);
		} else if (has_room(s, s->newest->len)) {
			spool_one(s);
		} else {
			log_full(s, "its limit is reached");
			pool_wait(f, &sp->work);
		}
	}
	pool_unlock(f);
	return NULL;
}

void
spool_wanted(struct sink *s)
{
	struct hf_error why = { .status = HF_OK };
	struct spool *sp = &s->spool;

	if (s->spooling || sp->broken)
		return;
	/* Once in a sink's life, and quick, so under the lock. */
	if (file_unlinked(s->of->flow->spool_dir, &sp->fd, &why) != HF_OK ||
	    pool_thread(&sp->thread, spool_run, s, &why) != HF_OK) {
		sp->broken = true;
		warn(s, "sink.spool_failed",
		    "this sink is slow, and it cannot be spooled: %s",
		    why.cause);
		return;
	}
	sp->started = true;
	s->spooling = true;
	s->tell_spooling = true;
	warn(s, "sink.spooling",
	    "this sink is slower than the database is read; what it has not "
	    "taken goes to a temporary file in %s",
	    s->of->flow->spool_dir);
}

void
spool_stop(struct sink *s)
{
	if (!s->spool.started)
		return;
	pool_lock(s->of->flow);
	(void)pthread_cond_broadcast(&s->spool.work);
	pool_unlock(s->of->flow);
	(void)pthread_join(s->spool.thread, NULL);
	s->spool.started = false;
}

void
spool_clear(struct sink *s)
{
	if (s->spool.fd >= 0)
		(void)close(s->spool.fd);
	s->spool.fd = -1;
}
