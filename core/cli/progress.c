/* SPDX-License-Identifier: BSD-2-Clause */
#include "progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

#define REDRAW_MS 200
#define LINE_MS 30000
#define SAMPLE_MS 1000

struct progress_task {
	struct progress_task *next;
	char name[64], phase[32];
	uint64_t done, total;
	/* For the rate: where it was at the last sample. */
	uint64_t sampled, per_second;
	int64_t sampled_ms;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t ticker;
	struct progress_task *tasks; /* in the order of their start */
	size_t ntasks, ended;
	int pauses;
	bool running, stop, terminal, drawn;
} p = { .lock = PTHREAD_MUTEX_INITIALIZER };

void
progress_text(char *text, size_t cap, const char *name, const char *phase,
    uint64_t done, uint64_t total, uint64_t per_second)
{
	size_t len;

	(void)snprintf(text, cap, "%s %s  %s", name, phase, text_size(done).s);
	if (total != 0 && total >= done) {
		len = strlen(text);
		(void)snprintf(text + len, cap - len, " of %s  %u%%",
		    text_size(total).s,
		    (unsigned)((double)done * 100.0 / (double)total));
	}
	if (per_second == 0)
		return;
	len = strlen(text);
	(void)snprintf(
	    text + len, cap - len, "  %s/s", text_size(per_second).s);
	if (total <= done)
		return;
	len = strlen(text);
	(void)snprintf(text + len, cap - len, "  %s left",
	    text_duration((int64_t)((total - done) / per_second + 1) * 1000).s);
}

/* A quarter of the new, the rest of the old: engines report in steps, and a
 * number that jumps cannot be read. */
static void
sample(struct progress_task *t, int64_t now)
{
	int64_t ms = now - t->sampled_ms;
	uint64_t rate;

	if (ms < SAMPLE_MS)
		return;
	rate = t->done <= t->sampled
		   ? 0
		   : (t->done - t->sampled) * 1000 / (uint64_t)ms;
	t->per_second =
	    t->per_second == 0 ? rate : (t->per_second * 3 + rate) / 4;
	t->sampled = t->done;
	t->sampled_ms = now;
}

static size_t
width(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col < 20)
		return 79;
	return w.ws_col - 1u;
}

/* Cut to what fits, and never inside a character. */
static void
cut(char *text, size_t columns)
{
	size_t n = 0;

	for (char *c = text; *c != '\0'; c++) {
		if (((unsigned char)*c & 0xc0) != 0x80 && n++ == columns) {
			*c = '\0';
			return;
		}
	}
}

static void
write_text(const char *text)
{
	/* A terminal that is gone is no reason to fail a backup. */
	ssize_t n = write(STDERR_FILENO, text, strlen(text));

	(void)n;
}

static void
erase(void)
{
	if (p.drawn)
		write_text("\r\033[K");
	p.drawn = false;
}

static void
draw(void)
{
	char line[512], text[400], place[64] = "", more[32] = "";
	struct progress_task *t = p.tasks;
	int64_t now = text_monotonic();
	size_t others = 0;

	if (t == NULL || p.pauses > 0)
		return;
	for (struct progress_task *o = t; o != NULL; o = o->next) {
		sample(o, now);
		others += o != t;
	}
	if (p.ntasks > 1)
		(void)snprintf(
		    place, sizeof place, "[%zu/%zu] ", p.ended + 1, p.ntasks);
	if (others != 0)
		(void)snprintf(more, sizeof more, "  +%zu", others);
	progress_text(text, sizeof text, t->name, t->phase, t->done, t->total,
	    t->per_second);
	(void)snprintf(line, sizeof line, "%s%s%s", place, text, more);
	if (p.terminal) {
		cut(line, width());
		write_text("\r\033[K");
		write_text(line);
		p.drawn = true;
	} else {
		(void)strncat(line, "\n", sizeof line - strlen(line) - 1);
		write_text(line);
	}
}

static void *
tick(void *arg)
{
	int64_t every = p.terminal ? REDRAW_MS : LINE_MS;
	struct timespec until;

	(void)arg;
	pthread_mutex_lock(&p.lock);
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	while (!p.stop) {
		until.tv_sec += every / 1000;
		until.tv_nsec += every % 1000 * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		while (!p.stop &&
		       pthread_cond_timedwait(&p.wake, &p.lock, &until) == 0)
			;
		if (!p.stop)
			draw();
	}
	pthread_mutex_unlock(&p.lock);
	return NULL;
}

void
progress_start(bool quiet, size_t tasks)
{
	pthread_condattr_t attr;

	if (quiet || p.running)
		return;
	p.terminal = isatty(STDERR_FILENO) == 1;
	p.ntasks = tasks;
	p.ended = 0;
	p.stop = p.drawn = false;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p.wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (pthread_create(&p.ticker, NULL, tick, NULL) != 0) {
		(void)pthread_cond_destroy(&p.wake);
		return;
	}
	p.running = true;
	log_around(progress_pause, progress_resume);
}

void
progress_stop(void)
{
	if (!p.running)
		return;
	log_around(NULL, NULL);
	pthread_mutex_lock(&p.lock);
	p.stop = true;
	erase();
	(void)pthread_cond_signal(&p.wake);
	pthread_mutex_unlock(&p.lock);
	(void)pthread_join(p.ticker, NULL);
	(void)pthread_cond_destroy(&p.wake);
	p.running = false;
}

struct progress_task *
progress_begin(const char *name)
{
	struct progress_task *t, **last;

	if (!p.running)
		return NULL;
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return NULL;
	(void)snprintf(t->name, sizeof t->name, "%s", name);
	t->sampled_ms = text_monotonic();
	pthread_mutex_lock(&p.lock);
	for (last = &p.tasks; *last != NULL; last = &(*last)->next)
		;
	*last = t;
	pthread_mutex_unlock(&p.lock);
	return t;
}

void
progress_update(
    struct progress_task *t, const char *phase, uint64_t done, uint64_t total)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&p.lock);
	if (strcmp(t->phase, phase) != 0) {
		(void)snprintf(t->phase, sizeof t->phase, "%s", phase);
		t->sampled = t->per_second = 0;
		t->sampled_ms = text_monotonic();
	}
	t->done = done;
	t->total = total;
	pthread_mutex_unlock(&p.lock);
}

void
progress_end(struct progress_task *t)
{
	struct progress_task **at;

	if (t == NULL)
		return;
	pthread_mutex_lock(&p.lock);
	for (at = &p.tasks; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	p.ended++;
	if (p.tasks == NULL)
		erase();
	pthread_mutex_unlock(&p.lock);
	free(t);
}

void
progress_pause(void)
{
	pthread_mutex_lock(&p.lock);
	p.pauses++;
	if (p.running)
		erase();
	pthread_mutex_unlock(&p.lock);
}

/* The next tick draws it again. */
void
progress_resume(void)
{
	pthread_mutex_lock(&p.lock);
	p.pauses--;
	pthread_mutex_unlock(&p.lock);
}
