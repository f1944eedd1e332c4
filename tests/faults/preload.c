/* SPDX-License-Identifier: BSD-2-Clause */
/* Both names of each function with a large-file variant are defined here, so
 * the headers must not make one of the other. */
#undef _FILE_OFFSET_BITS

#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "offsets are passed in one register");

enum call {
	OPEN,
	READ,
	WRITE,
	FSYNC,
	RENAME,
	LINK,
	UNLINK,
	MKDIR,
	CLOSE,
	TRUNCATE,
	STATVFS,
	FLOCK,
	CALLS
};

static const char *const names[CALLS] = { "open", "read", "write", "fsync",
	"rename", "link", "unlink", "mkdir", "close", "truncate", "statvfs",
	"flock" };

enum verdict { GO, FAIL, SHORT, DIE_AFTER };

static unsigned wanted; /* a bit for each call */
static long at;
static int error;
static enum { WITH_ERROR, WITH_KILL, WITH_KILL_AFTER, WITH_SHORT } manner;
static bool sticky, no_tmpfile, no_renameat2;
static char filter[256];
static int count_fd = -1;
static atomic_long seen;

/* ---- what to do ---- */

static bool
listed(const char *list, const char *name)
{
	size_t len = strlen(name), n;

	if (list == NULL)
		return false;
	if (strcmp(list, "all") == 0)
		return true;
	for (; *list != '\0'; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == len && strncmp(list, name, n) == 0)
			return true;
	}
	return false;
}

static int
error_of(const char *name)
{
	static const struct {
		const char *name;
		int value;
	} known[] = { { "EIO", EIO }, { "ENOSPC", ENOSPC },
		{ "EDQUOT", EDQUOT }, { "EROFS", EROFS }, { "EACCES", EACCES },
		{ "EINTR", EINTR }, { "EAGAIN", EAGAIN }, { "EMFILE", EMFILE },
		{ "EINVAL", EINVAL }, { "ENOENT", ENOENT },
		{ "EEXIST", EEXIST }, { "EPERM", EPERM },
		{ "EOPNOTSUPP", EOPNOTSUPP }, { "ESTALE", ESTALE } };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strncmp(known[i].name, name, strlen(known[i].name)) == 0)
			return known[i].value;
	return (int)strtol(name, NULL, 10);
}

void
fault_without(const char *what)
{
	no_tmpfile = listed(what, "tmpfile");
	no_renameat2 = listed(what, "renameat2");
}

long
fault_seen(void)
{
	return atomic_load(&seen);
}

void
fault_arm(const char *calls, long n, const char *what, const char *path)
{
	if (what == NULL || *what == '\0')
		what = "EIO";
	wanted = 0;
	for (unsigned i = 0; i < CALLS; i++)
		if (listed(calls, names[i]))
			wanted |= 1u << i;
	at = n;
	sticky = strchr(what, '+') != NULL;
	manner = strcmp(what, "kill") == 0        ? WITH_KILL
		 : strcmp(what, "after") == 0     ? WITH_KILL_AFTER
		 : strncmp(what, "short", 5) == 0 ? WITH_SHORT
						  : WITH_ERROR;
	error = error_of(what);
	(void)snprintf(filter, sizeof filter, "%s", path == NULL ? "" : path);
	atomic_store(&seen, 0);
}

__attribute__((constructor)) static void
from_environment(void)
{
	const char *n = getenv("HF_FAULT_AT");
	const char *count = getenv("HF_FAULT_COUNT");

	fault_without(getenv("HF_FAULT_WITHOUT"));
	fault_arm(getenv("HF_FAULT_CALLS"), n == NULL ? 0 : strtol(n, NULL, 10),
	    getenv("HF_FAULT_ERROR"), getenv("HF_FAULT_PATH"));
	if (count != NULL)
		count_fd = (int)syscall(SYS_openat, AT_FDCWD, count,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* ---- is it this call's turn? ---- */

static bool
path_of_fd(int fd, char *out, size_t cap)
{
	char link[40];
	ssize_t n;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, out, cap - 1);
	out[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

static bool
matches(int fd, const char *path)
{
	char full[4096];

	if (filter[0] == '\0')
		return true;
	if (path != NULL && strstr(path, filter) != NULL)
		return true;
	if (path != NULL && path[0] == '/')
		return false;
	if (fd == AT_FDCWD)
		return getcwd(full, sizeof full) != NULL &&
		       strstr(full, filter) != NULL;
	return path_of_fd(fd, full, sizeof full) &&
	       strstr(full, filter) != NULL;
}

static void
die(void)
{
	(void)syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

static void
show_count(long n)
{
	char text[24];
	int len = snprintf(text, sizeof text, "%ld\n", n);

	(void)syscall(SYS_pwrite64, count_fd, text, (size_t)len, 0L);
}

/* path: relative to fd, or NULL for fd itself.  FAIL has set errno. */
static enum verdict
judge(enum call call, int fd, const char *path)
{
	int saved = errno;
	long n;

	if ((wanted & 1u << call) == 0 || !matches(fd, path)) {
		errno = saved;
		return GO;
	}
	n = atomic_fetch_add(&seen, 1) + 1;
	if (count_fd >= 0)
		show_count(n);
	errno = saved;
	if (at == 0 || n < at || (n > at && !sticky))
		return GO;
	if (manner == WITH_KILL)
		die();
	if (manner == WITH_KILL_AFTER)
		return DIE_AFTER;
	if (manner == WITH_SHORT)
		return SHORT;
	errno = error;
	return FAIL;
}

/* The end of each function below. */
static long
done(enum verdict v, long rc)
{
	if (v == DIE_AFTER)
		die();
	return rc;
}

/* ---- the calls ---- */

static int
do_open(int fd, const char *path, int flags, mode_t mode)
{
	enum verdict v;

	if (no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if ((v = judge(OPEN, fd, path)) == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_openat, fd, path, flags, mode));
}

static mode_t
mode_of(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
}

#define OPEN_BODY(fd)              \
	va_list ap;                \
	mode_t mode;               \
                                   \
	va_start(ap, flags);       \
	mode = mode_of(flags, ap); \
	va_end(ap);                \
	return do_open(fd, path, flags, mode)

int
open(const char *path, int flags, ...)
{
	OPEN_BODY(AT_FDCWD);
}

int
open64(const char *path, int flags, ...)
{
	OPEN_BODY(AT_FDCWD);
}

int
openat(int fd, const char *path, int flags, ...)
{
	OPEN_BODY(fd);
}

int
openat64(int fd, const char *path, int flags, ...)
{
	OPEN_BODY(fd);
}

ssize_t
read(int fd, void *buf, size_t len)
{
	enum verdict v = judge(READ, fd, NULL);

	if (v == FAIL)
		return -1;
	return done(v, syscall(SYS_read, fd, buf, len));
}

static ssize_t
do_pread(int fd, void *buf, size_t len, off64_t off)
{
	enum verdict v = judge(READ, fd, NULL);

	if (v == FAIL)
		return -1;
	return done(v, syscall(SYS_pread64, fd, buf, len, off));
}

ssize_t
pread(int fd, void *buf, size_t len, off_t off)
{
	return do_pread(fd, buf, len, off);
}

ssize_t
pread64(int fd, void *buf, size_t len, off64_t off)
{
	return do_pread(fd, buf, len, off);
}

static size_t
cut(enum verdict v, size_t len)
{
	return v == SHORT && len > 1 ? len / 2 : len;
}

ssize_t
write(int fd, const void *buf, size_t len)
{
	enum verdict v = judge(WRITE, fd, NULL);

	if (v == FAIL)
		return -1;
	return done(v, syscall(SYS_write, fd, buf, cut(v, len)));
}

static ssize_t
do_pwrite(int fd, const void *buf, size_t len, off64_t off)
{
	enum verdict v = judge(WRITE, fd, NULL);

	if (v == FAIL)
		return -1;
	return done(v, syscall(SYS_pwrite64, fd, buf, cut(v, len), off));
}

ssize_t
pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return do_pwrite(fd, buf, len, off);
}

ssize_t
pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	return do_pwrite(fd, buf, len, off);
}

int
fsync(int fd)
{
	enum verdict v = judge(FSYNC, fd, NULL);

	if (v == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_fsync, fd));
}

int
fdatasync(int fd)
{
	enum verdict v = judge(FSYNC, fd, NULL);

	if (v == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_fdatasync, fd));
}

int
renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	enum verdict v;

	if (no_renameat2 && flags != 0) {
		errno = EINVAL;
		return -1;
	}
	if ((v = judge(RENAME, to, new)) == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_renameat2, from, old, to, new, flags));
}

int
renameat(int from, const char *old, int to, const char *new)
{
	return renameat2(from, old, to, new, 0);
}

int
rename(const char *old, const char *new)
{
	return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int
linkat(int from, const char *old, int to, const char *new, int flags)
{
	enum verdict v = judge(LINK, to, new);

	if (v == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_linkat, from, old, to, new, flags));
}

int
link(const char *old, const char *new)
{
	return linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int
unlinkat(int fd, const char *path, int flags)
{
	enum verdict v = judge(UNLINK, fd, path);

	if (v == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_unlinkat, fd, path, flags));
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int
mkdirat(int fd, const char *path, mode_t mode)
{
	enum verdict v = judge(MKDIR, fd, path);

	if (v == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_mkdirat, fd, path, mode));
}

int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int
close(int fd)
{
	enum verdict v = judge(CLOSE, fd, NULL);
	int why = errno;
	long rc = syscall(SYS_close, fd);

	if (v != FAIL)
		return (int)done(v, rc);
	errno = why;
	return -1;
}

int
ftruncate(int fd, off_t len)
{
	enum verdict v = judge(TRUNCATE, fd, NULL);

	if (v == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_ftruncate, fd, len));
}

int
ftruncate64(int fd, off64_t len)
{
	return ftruncate(fd, len);
}

int
truncate(const char *path, off_t len)
{
	enum verdict v = judge(TRUNCATE, AT_FDCWD, path);

	if (v == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_truncate, path, len));
}

int
truncate64(const char *path, off64_t len)
{
	return truncate(path, len);
}

int
flock(int fd, int operation)
{
	enum verdict v = judge(FLOCK, fd, NULL);

	if (v == FAIL)
		return -1;
	return (int)done(v, syscall(SYS_flock, fd, operation));
}

/* Not system calls of their own: the C library's are used. */
static int
do_statvfs(enum verdict v, const char *name, int fd, void *out)
{
	int (*real)(int, void *);
	void *symbol;

	if (v == FAIL)
		return -1;
	if ((symbol = dlsym(RTLD_NEXT, name)) == NULL) {
		errno = ENOSYS;
		return -1;
	}
	memcpy(&real, &symbol, sizeof real);
	return (int)done(v, real(fd, out));
}

int
fstatvfs(int fd, struct statvfs *out)
{
	return do_statvfs(judge(STATVFS, fd, NULL), "fstatvfs", fd, out);
}

int
fstatvfs64(int fd, struct statvfs64 *out)
{
	return do_statvfs(judge(STATVFS, fd, NULL), "fstatvfs64", fd, out);
}
