/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FDS 1024
#define SIGNALS 65

struct world {
	char *fds[FDS]; /* what each leads to, or NULL */
	size_t threads;
	struct sigaction actions[SIGNALS];
	sigset_t blocked;
	char cwd[4096];
	char umask[32];
	char locale[256];
};

static void
read_fds(struct world *w)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;

	if (dir == NULL)
		abort();
	while ((e = readdir(dir)) != NULL) {
		char target[4096];
		long fd = strtol(e->d_name, NULL, 10);
		ssize_t n;

		if (e->d_name[0] == '.' || fd == dirfd(dir) || fd < 0 ||
		    fd >= FDS)
			continue;
		n = readlinkat(
		    dirfd(dir), e->d_name, target, sizeof target - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		w->fds[fd] = strdup(target);
		if (w->fds[fd] == NULL)
			abort();
	}
	(void)closedir(dir);
}

static size_t
count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *e;
	size_t n = 0;

	if (dir == NULL)
		abort();
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN
#endif
#elif defined(__SANITIZE_THREAD__)
#define HAVE_TSAN
#endif

#ifdef HAVE_TSAN
static void *
do_nothing(void *arg)
{
	return arg;
}

void
world_settle(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
		(void)pthread_join(thread, NULL);
	for (int i = 0; i < 100 && count_threads() != 2; i++)
		(void)nanosleep(
		    &(struct timespec){ .tv_nsec = 10000000 }, NULL);
}
#else
void
world_settle(void)
{
}
#endif

/* umask() can only be read by setting it, which is not for a process that may
 * have threads. */
static void
read_umask(struct world *w)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	if (f == NULL)
		abort();
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "Umask:", 6) == 0)
			(void)snprintf(
			    w->umask, sizeof w->umask, "%.16s", line + 6);
	(void)fclose(f);
}

struct world *
world_take(void)
{
	struct world *w = calloc(1, sizeof *w);
	const char *locale;

	if (w == NULL)
		abort();
	read_fds(w);
	w->threads = count_threads();
	for (int i = 1; i < SIGNALS; i++)
		(void)sigaction(i, NULL, &w->actions[i]);
	(void)pthread_sigmask(SIG_BLOCK, NULL, &w->blocked);
	if (getcwd(w->cwd, sizeof w->cwd) == NULL)
		w->cwd[0] = '\0';
	read_umask(w);
	locale = setlocale(LC_ALL, NULL);
	(void)snprintf(
	    w->locale, sizeof w->locale, "%s", locale == NULL ? "" : locale);
	return w;
}

void
world_free(struct world *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < FDS; i++)
		free(w->fds[i]);
	free(w);
}

static bool
same_fds(
    const struct world *was, const struct world *is, char *text, size_t cap)
{
	for (size_t i = 0; i < FDS; i++) {
		const char *a = was->fds[i], *b = is->fds[i];

		if (a == NULL && b == NULL)
			continue;
		if (a == NULL)
			(void)snprintf(text, cap,
			    "file descriptor %zu was left open (%s)", i, b);
		else if (b == NULL)
			(void)snprintf(text, cap,
			    "file descriptor %zu (%s) is not the plugin's, "
			    "but it was closed",
			    i, a);
		else if (strcmp(a, b) != 0)
			(void)snprintf(text, cap,
			    "file descriptor %zu was %s and is %s", i, a, b);
		else
			continue;
		return false;
	}
	return true;
}

static bool
same_signals(
    const struct world *was, const struct world *is, char *text, size_t cap)
{
	for (int i = 1; i < SIGNALS; i++) {
		const struct sigaction *a = &was->actions[i];
		const struct sigaction *b = &is->actions[i];

		if (a->sa_flags == b->sa_flags &&
		    ((a->sa_flags & SA_SIGINFO) != 0
			    ? a->sa_sigaction == b->sa_sigaction
			    : a->sa_handler == b->sa_handler)) {
			if (sigismember(&was->blocked, i) ==
			    sigismember(&is->blocked, i))
				continue;
			(void)snprintf(
			    text, cap, "signal %d was blocked or unblocked", i);
		} else {
			(void)snprintf(text, cap,
			    "the handler of signal %d was changed", i);
		}
		return false;
	}
	return true;
}

static bool
same_text(
    const char *what, const char *was, const char *is, char *text, size_t cap)
{
	if (strcmp(was, is) == 0)
		return true;
	(void)snprintf(text, cap, "the %s was %s and is %s", what, was, is);
	return false;
}

bool
world_same(const struct world *was, char *text, size_t cap)
{
	struct world *is;
	bool same;

	/* pthread_join returns a moment before the kernel forgets a thread */
	for (int i = 0; i < 200 && count_threads() > was->threads; i++)
		(void)nanosleep(
		    &(struct timespec){ .tv_nsec = 10000000 }, NULL);
	is = world_take();
	same = same_fds(was, is, text, cap) &&
	       same_signals(was, is, text, cap) &&
	       same_text("working folder", was->cwd, is->cwd, text, cap) &&
	       same_text("umask", was->umask, is->umask, text, cap) &&
	       same_text("locale", was->locale, is->locale, text, cap);
	if (same && is->threads > was->threads) {
		(void)snprintf(text, cap, "%zu threads were left running",
		    is->threads - was->threads);
		same = false;
	}
	world_free(is);
	return same;
}

bool
world_cloexec(const struct world *was, char *text, size_t cap)
{
	struct world *is = world_take();
	bool good = true;

	for (int i = 0; i < FDS && good; i++) {
		int flags;

		if (was->fds[i] != NULL || is->fds[i] == NULL)
			continue;
		flags = fcntl(i, F_GETFD);
		if (flags < 0 || (flags & FD_CLOEXEC) != 0)
			continue;
		(void)snprintf(text, cap,
		    "file descriptor %d (%s) was opened without O_CLOEXEC", i,
		    is->fds[i]);
		good = false;
	}
	world_free(is);
	return good;
}

size_t
world_heap(void)
{
#ifdef HF_SANITIZED
	return 0;
#else
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#endif
}
