/* SPDX-License-Identifier: BSD-2-Clause */
#include "mark.h"

#include "name.h"
#include "postgres.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".ok"
#define LOCK "lock"
#define BLOCK ((size_t)256 << 10)

static bool
join(char *out, size_t cap, const char *folder, const char *file,
    const char *suffix)
{
	int n = snprintf(out, cap, "%s/%s%s", folder, file, suffix);

	return n >= 0 && (size_t)n < cap;
}

static bool
make(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

bool
mark_folder(const struct hf_engine *e, const char *what, uint64_t system,
    char *out, size_t cap)
{
	const char *state = H->folder(e->ctx, HF_FOLDER_STATE);
	char number[24];

	(void)snprintf(number, sizeof number, "%" PRIu64, system);
	if (state == NULL || !join(out, cap, state, what, "") || !make(out) ||
	    cap - strlen(out) <= sizeof number)
		return false;
	(void)snprintf(out + strlen(out), cap - strlen(out), "/%s", number);
	return make(out) && access(out, R_OK | W_OK | X_OK) == 0;
}

static int
open_lock(const char *folder)
{
	char path[PATH_MAX];

	if (!join(path, sizeof path, folder, LOCK, ""))
		return -1;
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int
mark_lock(const char *folder)
{
	int fd = open_lock(folder);

	if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (fd != -1)
		(void)close(fd);
	return -1;
}

bool
mark_locked(const char *folder)
{
	int fd = open_lock(folder);
	bool locked = fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1 &&
		      errno == EWOULDBLOCK;

	if (fd != -1)
		(void)close(fd);
	return locked;
}

static int64_t
in_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

bool
mark_stamp_of(int fd, struct mark_stamp *s)
{
	struct stat st;
	time_t now = time(NULL);

	if (fstat(fd, &st) == -1)
		return false;
	*s = (struct mark_stamp){ .dev = (uint64_t)st.st_dev,
		.ino = (uint64_t)st.st_ino,
		.size = (uint64_t)st.st_size,
		.written = in_ns(&st.st_mtim),
		.changed = in_ns(&st.st_ctim) };
	return now - st.st_ctim.tv_sec > MARK_SETTLED &&
	       now - st.st_mtim.tv_sec > MARK_SETTLED;
}

bool
mark_stamp_same(const struct mark_stamp *a, const struct mark_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->written == b->written && a->changed == b->changed;
}

static int
write_text(int fd, const struct mark *m)
{
	const struct mark_stamp *s = &m->stamp;

	if (m->sha256[0] != '\0')
		return dprintf(fd, "%" PRIu64 " %s\n", m->size, m->sha256);
	return dprintf(fd,
	    "%" PRIu64 " @ %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n",
	    m->size, s->dev, s->ino, s->written, s->changed);
}

bool
mark_write(const char *folder, const char *file, const struct mark *m)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	int fd, n;
	bool ok;

	if (!join(path, sizeof path, folder, file, SUFFIX) ||
	    !join(tmp, sizeof tmp, folder, file, ".XXXXXX") ||
	    (fd = mkostemp(tmp, O_CLOEXEC)) == -1)
		return false;
	n = write_text(fd, m);
	ok = close(fd) == 0 && n > 0 && rename(tmp, path) == 0;
	if (!ok)
		(void)unlink(tmp);
	return ok;
}

static bool
is_old(const struct stat *st)
{
	time_t now = time(NULL);

	return st->st_mtime > now + MARK_LIFE || now - st->st_mtime > MARK_LIFE;
}

/* " DEV INO WRITTEN CHANGED\n" and nothing else. */
static bool
parse_stamp(const char *text, struct mark *m)
{
	struct mark_stamp *s = &m->stamp;
	int n = 0;

	s->size = m->size;
	m->sha256[0] = '\0';
	return sscanf(text,
		   " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64 "%n",
		   &s->dev, &s->ino, &s->written, &s->changed, &n) == 4 &&
	       strcmp(text + n, "\n") == 0;
}

/* "SIZE HASH\n" or "SIZE @ ..." and nothing else. */
static bool
parse(const char *text, struct mark *m)
{
	char *end;

	errno = 0;
	m->size = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != ' ')
		return false;
	if (end[1] == '@')
		return parse_stamp(end + 2, m);
	if (strspn(end + 1, "0123456789abcdef") != DIGEST_HEX - 1 ||
	    strcmp(end + DIGEST_HEX, "\n") != 0)
		return false;
	memcpy(m->sha256, end + 1, DIGEST_HEX - 1);
	m->sha256[DIGEST_HEX - 1] = '\0';
	return true;
}

bool
mark_read(const char *folder, const char *file, struct mark *m)
{
	char path[PATH_MAX], text[128];
	struct stat st;
	ssize_t n;
	int fd;

	if (!join(path, sizeof path, folder, file, SUFFIX) ||
	    (fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return false;
	n = fstat(fd, &st) == 0 && !is_old(&st)
		? read(fd, text, sizeof text - 1)
		: -1;
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 && parse(text, m);
}

void
mark_remove(const char *folder, const char *file)
{
	char path[PATH_MAX];

	if (join(path, sizeof path, folder, file, SUFFIX))
		(void)unlink(path);
}

bool
mark_hash(int fd, uint64_t *size, char hex[DIGEST_HEX])
{
	struct digest *d = digest_new();
	uint8_t *buf = malloc(BLOCK);
	uint64_t at = 0;
	ssize_t n = 0;

	while (d != NULL && buf != NULL &&
	       (n = pread(fd, buf, BLOCK, (off_t)at)) > 0) {
		digest_add(d, buf, (size_t)n);
		at += (uint64_t)n;
	}
	free(buf);
	if (d == NULL || buf == NULL || n != 0) {
		digest_free(d);
		return false;
	}
	*size = at;
	return digest_end(d, hex) == 0;
}

bool
mark_fits(const struct mark *m, int fd)
{
	struct mark_stamp now = { 0 };
	char hex[DIGEST_HEX];
	uint64_t size;

	if (m->sha256[0] == '\0') {
		(void)mark_stamp_of(fd, &now);
		return mark_stamp_same(&m->stamp, &now);
	}
	return mark_hash(fd, &size, hex) && size == m->size &&
	       strcmp(hex, m->sha256) == 0;
}

void
mark_sweep(
    const char *folder, bool (*surplus)(void *arg, const char *file), void *arg)
{
	char path[PATH_MAX], file[WAL_FILE_MAX];
	struct dirent *d;
	struct stat st;
	DIR *dir;

	if ((dir = opendir(folder)) == NULL)
		return;
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.' || strcmp(d->d_name, LOCK) == 0 ||
		    !join(path, sizeof path, folder, d->d_name, "") ||
		    lstat(path, &st) == -1 || !S_ISREG(st.st_mode))
			continue;
		(void)snprintf(file, sizeof file, "%.*s",
		    (int)strcspn(d->d_name, "."), d->d_name);
		if (is_old(&st) || (surplus != NULL && surplus(arg, file)))
			(void)unlink(path);
	}
	(void)closedir(dir);
}
