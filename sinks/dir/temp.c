/* SPDX-License-Identifier: BSD-2-Clause */
#include "temp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dir.h"

#define PREFIX ".tmp-"
#define TRIES 100

/* Where locks do not work, a leftover is known by its age. */
#define OLD_SECONDS (24 * 60 * 60)

int
temp_name(char name[TEMP_NAME_MAX])
{
	uint64_t random;
	ssize_t n;

	do
		n = getrandom(&random, sizeof random, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof random)
		return n < 0 ? errno : EIO;
	(void)snprintf(name, TEMP_NAME_MAX, PREFIX "%ld-%016" PRIx64,
	    (long)getpid(), random);
	return 0;
}

/* Is the lock ours to rely on?  EWOULDBLOCK: a cleaner holds it.  A file
 * system without locks counts as locked; age decides there. */
static int
lock(int fd)
{
	int rc;

	do
		rc = flock(fd, LOCK_EX | LOCK_NB);
	while (rc != 0 && errno == EINTR);
	if (rc == 0 || errno != EWOULDBLOCK)
		return 0;
	return EWOULDBLOCK;
}

static int
open_nameless(struct hf_store *s, struct temp *t)
{
	t->name[0] = '\0';
	t->fd = openat(s->root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return errno;
	/* For the moment in which an overwrite gives it a temporary name. */
	(void)lock(t->fd);
	return 0;
}

static int
open_named(struct hf_store *s, struct temp *t)
{
	struct stat st;
	int errnum;

	for (int i = 0; i < TRIES; i++) {
		if ((errnum = temp_name(t->name)) != 0)
			return errnum;
		t->fd = openat(s->root, t->name,
		    O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (t->fd < 0 && errno == EEXIST)
			continue;
		if (t->fd < 0)
			return errno;
		/* A cleaner may have been here before the lock. */
		if (lock(t->fd) == 0 && fstat(t->fd, &st) == 0 &&
		    st.st_nlink > 0)
			return 0;
		(void)close(t->fd);
	}
	return EBUSY;
}

int
temp_open(struct hf_store *s, struct temp *t)
{
	int errnum = open_nameless(s, t);

	/* What kernels and file systems without O_TMPFILE say. */
	if (errnum == EOPNOTSUPP || errnum == EISDIR || errnum == ENOENT ||
	    errnum == EINVAL || errnum == ENOSYS)
		errnum = open_named(s, t);
	if (errnum != 0)
		t->fd = -1;
	return errnum;
}

/* Name a nameless file.  Through /proc, for AT_EMPTY_PATH needs a capability;
 * without /proc it is all there is. */
static int
link_nameless(int fd, int folder, const char *name)
{
	char proc[40];

	(void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, proc, folder, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != ENOENT || access("/proc/self/fd", F_OK) == 0)
		return errno;
	return linkat(fd, "", folder, name, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

static int
give_name(struct hf_store *s, struct temp *t)
{
	int errnum = EEXIST;

	for (int i = 0; i < TRIES && errnum == EEXIST; i++) {
		if ((errnum = temp_name(t->name)) == 0)
			errnum = link_nameless(t->fd, s->root, t->name);
	}
	if (errnum != 0)
		t->name[0] = '\0';
	return errnum;
}

/* NFS repeats a request whose answer was lost, and then says that the name is
 * taken: by ourselves.  The count of names tells. */
static bool
has_two_names(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 2;
}

static int
publish_absent(struct hf_store *s, struct temp *t, int folder, const char *name)
{
	if (t->name[0] == '\0')
		return link_nameless(t->fd, folder, name);
	/* The name goes over in one step, or not at all. */
	if (renameat2(s->root, t->name, folder, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return errno;
	/* File systems without that, NFS above all, have hard links. */
	if (linkat(s->root, t->name, folder, name, 0) != 0 &&
	    !(errno == EEXIST && has_two_names(t->fd)))
		return errno;
	(void)unlinkat(s->root, t->name, 0);
	return 0;
}

int
temp_publish(struct hf_store *s, struct temp *t, int folder, const char *name,
    bool replace)
{
	int errnum;

	if (!replace) {
		errnum = publish_absent(s, t, folder, name);
	} else {
		if (t->name[0] == '\0' && (errnum = give_name(s, t)) != 0)
			return errnum;
		errnum =
		    renameat(s->root, t->name, folder, name) == 0 ? 0 : errno;
	}
	if (errnum == 0)
		t->name[0] = '\0';
	return errnum;
}

void
temp_close(struct hf_store *s, struct temp *t)
{
	if (t->fd < 0)
		return;
	if (t->name[0] != '\0')
		(void)unlinkat(s->root, t->name, 0);
	(void)close(t->fd);
	t->fd = -1;
	t->name[0] = '\0';
}

/* Now, by the clock of the file system's times. */
static bool
is_old(struct hf_store *s, const struct stat *st)
{
	struct temp t;
	struct stat now;
	bool old = false;

	if (temp_open(s, &t) != 0)
		return false;
	if (fstat(t.fd, &now) == 0)
		old = now.st_mtime - st->st_mtime > OLD_SECONDS;
	temp_close(s, &t);
	return old;
}

/* Is the file's maker gone?  Sure only with the lock in hand. */
static bool
is_dead(struct hf_store *s, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	return errno != EWOULDBLOCK && errno != EINTR && is_old(s, &st);
}

static bool
clean_one(struct hf_store *s, const char *name)
{
	bool removed;
	int fd = openat(s->root, name,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return false;
	removed = is_dead(s, fd) && unlinkat(s->root, name, 0) == 0;
	(void)close(fd);
	return removed;
}

unsigned
temp_clean(struct hf_store *s)
{
	unsigned n = 0;
	struct dirent *e;
	DIR *dir;
	int fd = openat(s->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if ((dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return 0;
	}
	while ((e = readdir(dir)) != NULL)
		if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) == 0 &&
		    clean_one(s, e->d_name))
			n++;
	(void)closedir(dir);
	return n;
}
