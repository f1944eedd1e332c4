/* SPDX-License-Identifier: BSD-2-Clause */
#include "synced.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int
synced_init(struct synced *s)
{
	s->n = s->next = 0;
	return pthread_mutex_init(&s->lock, NULL);
}

void
synced_clear(struct synced *s)
{
	for (unsigned i = 0; i < s->n; i++)
		(void)close(s->fds[i]);
	(void)pthread_mutex_destroy(&s->lock);
}

/* The lock is held. */
static bool
is_known(const struct synced *s, const struct stat *folder)
{
	struct stat st;

	for (unsigned i = 0; i < s->n; i++)
		if (fstat(s->fds[i], &st) == 0 && st.st_dev == folder->st_dev &&
		    st.st_ino == folder->st_ino)
			return true;
	return false;
}

bool
synced_has(struct synced *s, int folder)
{
	struct stat st;
	bool has;

	if (fstat(folder, &st) != 0)
		return false;
	(void)pthread_mutex_lock(&s->lock);
	has = is_known(s, &st);
	(void)pthread_mutex_unlock(&s->lock);
	return has;
}

void
synced_add(struct synced *s, int folder)
{
	struct stat st;
	int fd;

	if (fstat(folder, &st) != 0 ||
	    (fd = fcntl(folder, F_DUPFD_CLOEXEC, 0)) < 0)
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (is_known(s, &st)) {
		(void)close(fd);
	} else if (s->n < SYNCED_MAX) {
		s->fds[s->n++] = fd;
	} else {
		(void)close(s->fds[s->next]);
		s->fds[s->next] = fd;
		s->next = (s->next + 1) % SYNCED_MAX;
	}
	(void)pthread_mutex_unlock(&s->lock);
}
