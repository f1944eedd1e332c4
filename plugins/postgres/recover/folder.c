/* SPDX-License-Identifier: BSD-2-Clause */
#include "folder.h"

#include "postgres.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define INFIX ".holdfast-"
#define SMALL_MAX ((size_t)16 << 20)

int
folder_owner(const char *user, struct owner *o, struct hf_error *err)
{
	struct passwd pw, *found = NULL;
	char buf[4096];
	int errnum;

	*o = (struct owner){ geteuid(), getegid(), false };
	if (o->uid != 0)
		return HF_OK;
	errnum = getpwnam_r(user, &pw, buf, sizeof buf, &found);
	if (found == NULL && errnum != 0)
		return H->fail_errno(
		    err, errnum, "looking up the user %s", user);
	if (found == NULL || pw.pw_uid == 0)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Name the user of the server in \"run_as\"; its package "
		    "makes \"postgres\".",
		    "the files of a server cannot belong to \"%s\": %s", user,
		    found == NULL ? "no such user" : "it does not run as root");
	*o = (struct owner){ pw.pw_uid, pw.pw_gid, true };
	return HF_OK;
}

/* ---- what is there ---- */

/* The first name in a folder, but for the mark; "": it is empty. */
static int
first_name(const struct folder *p, char *name, size_t cap, struct hf_error *err)
{
	int fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	*name = '\0';
	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return H->fail_errno(err, errno, "reading %s", p->path);
	}
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, FOLDER_MARK) != 0) {
			(void)snprintf(name, cap, "%s", e->d_name);
			break;
		}
	(void)closedir(d);
	return HF_OK;
}

/* The process that postmaster.pid names, if it lives; else 0. */
static pid_t
running(const struct folder *p)
{
	char text[32] = "";
	int fd =
	    openat(p->fd, "postmaster.pid", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;
	long pid;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1);
	(void)close(fd);
	/* Negative: a server that runs alone ("postgres --single"). */
	pid = n > 0 ? labs(strtol(text, NULL, 10)) : 0;
	if (pid == 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
		return 0;
	return (pid_t)pid;
}

static bool
there(const struct folder *p, const char *name)
{
	struct stat st;

	return fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
occupied(const struct folder *p, const char *what, const char *name,
    struct hf_error *err)
{
	pid_t pid = running(p);

	if (pid != 0)
		return postgres_fail_hint(err, HF_E_EXISTS,
		    "Restore to another folder.",
		    "%s: a server runs in %s (process %ld)", p->path, what,
		    (long)pid);
	return postgres_fail_hint(err, HF_E_EXISTS,
	    "Restore to a folder that is empty or not there; to replace what "
	    "is there, restore beside it, stop the server, and exchange their "
	    "names.",
	    "%s: %s is not empty (%s)", p->path, what, name);
}

/* ---- beginning ---- */

static int
mark(struct folder *p, struct hf_error *err)
{
	int fd = openat(p->fd, FOLDER_MARK,
	    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return H->fail_errno(
		    err, errno, "making %s/" FOLDER_MARK, p->path);
	(void)close(fd);
	if (fsync(p->fd) != 0)
		return H->fail_errno(err, errno, "writing %s", p->path);
	return HF_OK;
}

/* Nobody else comes in from here on. */
static int
keep_out(struct folder *p, struct hf_error *err)
{
	struct stat st;

	if (fstat(p->fd, &st) != 0)
		return H->fail_errno(err, errno, "looking at %s", p->path);
	p->former = (struct owner){ st.st_uid, st.st_gid, p->owner.change };
	p->former_mode = st.st_mode & 07777;
	p->begun = true;
	if ((p->owner.change && fchown(p->fd, 0, 0) != 0) ||
	    fchmod(p->fd, 0700) != 0)
		return H->fail_errno(err, errno,
		    "taking %s, which must belong to who restores", p->path);
	return HF_OK;
}

/* In a folder that was there; p->fd is open. */
static int
take_existing(const struct hf_ctx *ctx, struct folder *p, const char *what,
    struct hf_error *err)
{
	char name[NAME_MAX + 1];
	int rc;

	if (flock(p->fd, LOCK_EX | LOCK_NB) != 0)
		return H->fail(err, HF_E_EXISTS,
		    "%s: another restore is at work there", p->path);
	if ((rc = first_name(p, name, sizeof name, err)) != HF_OK)
		return rc;
	if (name[0] != '\0') {
		if (!there(p, FOLDER_MARK) || there(p, FOLDER_CONTROL) ||
		    running(p) != 0)
			return occupied(p, what, name, err);
		if (!tree_empty(p->fd))
			return H->fail(err, HF_E_IO,
			    "%s: what a killed restore left there cannot be "
			    "removed",
			    p->path);
		H->log(ctx, HF_LOG_WARN, "postgres.leftover",
		    "%s: removed what a killed restore had left there",
		    p->path);
	}
	if ((rc = keep_out(p, err)) != HF_OK)
		return rc;
	return mark(p, err);
}

/* What killed restores left beside the folder. */
static void
sweep(const struct hf_ctx *ctx, const struct folder *p, const char *prefix)
{
	int fd = openat(p->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		int left;

		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 ||
		    strlen(e->d_name) != strlen(prefix) + 16 ||
		    (left = tree_open(p->parent, e->d_name)) < 0)
			continue;
		if (flock(left, LOCK_EX | LOCK_NB) == 0) {
			tree_remove(p->parent, e->d_name);
			H->log(ctx, HF_LOG_WARN, "postgres.leftover",
			    "removed %s, which a killed restore had left "
			    "beside %s",
			    e->d_name, p->path);
		}
		(void)close(left);
	}
	(void)closedir(d);
}

static int
make_beside(const struct hf_ctx *ctx, struct folder *p, const char *name,
    struct hf_error *err)
{
	char prefix[sizeof p->work];
	uint64_t random;

	if (strlen(name) > NAME_MAX - sizeof INFIX - 16)
		return H->fail(
		    err, HF_E_INVALID, "%s: its name is too long", p->path);
	(void)snprintf(prefix, sizeof prefix, ".%.255s" INFIX, name);
	sweep(ctx, p, prefix);
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return H->fail(err, HF_E_IO, "no random numbers");
	(void)snprintf(p->work, sizeof p->work, "%.300s%016llx", prefix,
	    (unsigned long long)random);
	if (mkdirat(p->parent, p->work, 0700) != 0)
		return H->fail_errno(
		    err, errno, "making a folder beside %s", p->path);
	p->begun = true;
	if ((p->fd = tree_open(p->parent, p->work)) < 0 ||
	    flock(p->fd, LOCK_EX | LOCK_NB) != 0)
		return H->fail_errno(
		    err, errno, "opening the folder beside %s", p->path);
	return HF_OK;
}

/* The last part of an absolute path, and the folder above it, opened. */
static int
open_parent(
    struct folder *p, const char *what, const char **name, struct hf_error *err)
{
	char above[FOLDER_PATH];
	char *slash;
	size_t n = strlen(p->path);

	while (n > 1 && p->path[n - 1] == '/')
		p->path[--n] = '\0';
	(void)snprintf(above, sizeof above, "%s", p->path);
	slash = strrchr(above, '/');
	*name = p->path + (slash - above) + 1;
	if (**name == '\0' || strcmp(*name, ".") == 0 ||
	    strcmp(*name, "..") == 0)
		return H->fail(err, HF_E_INVALID,
		    "%s: %s needs a name of its own", p->path, what);
	slash[slash == above ? 1 : 0] = '\0';
	/* Links above it are the operator's. */
	p->parent = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->parent >= 0)
		return HF_OK;
	if (errno == ENOENT)
		return postgres_fail_hint(err, HF_E_NOTFOUND,
		    "Make it, or name another place.",
		    "%s: the folder above %s is not there", above, what);
	return H->fail_errno(err, errno, "opening %s", above);
}

int
folder_open(const struct hf_ctx *ctx, const char *path, const char *what,
    const struct owner *owner, struct folder *p, struct hf_error *err)
{
	const char *name;
	int rc;

	*p = (struct folder){ .parent = -1, .fd = -1, .owner = *owner };
	if (path[0] != '/' || strlen(path) >= sizeof p->path)
		return H->fail(err, HF_E_INVALID,
		    "%s: %s needs an absolute path", path, what);
	(void)snprintf(p->path, sizeof p->path, "%s", path);
	if ((rc = open_parent(p, what, &name, err)) != HF_OK)
		return rc;
	/* A link to an empty folder is as good as the folder. */
	p->fd = openat(p->parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->fd >= 0)
		return take_existing(ctx, p, what, err);
	if (errno == ENOTDIR)
		return H->fail(
		    err, HF_E_EXISTS, "%s: is there, and no folder", p->path);
	if (errno != ENOENT)
		return H->fail_errno(err, errno, "opening %s", p->path);
	return make_beside(ctx, p, name, err);
}

/* ---- ending ---- */

int
folder_sync(const struct folder *p, struct hf_error *err)
{
	if (syncfs(p->fd) != 0)
		return H->fail_errno(
		    err, errno, "bringing %s to the disk", p->path);
	return HF_OK;
}

int
folder_control(const struct folder *p, struct hf_error *err)
{
	int dir;
	int rc = HF_OK;

	if (renameat(p->fd, FOLDER_CONTROL_TMP, p->fd, FOLDER_CONTROL) != 0)
		return H->fail_errno(
		    err, errno, "naming %s/" FOLDER_CONTROL, p->path);
	if ((dir = tree_open(p->fd, "global")) < 0 || fsync(dir) != 0)
		rc = H->fail_errno(err, errno, "writing %s/global", p->path);
	if (dir >= 0)
		(void)close(dir);
	return rc;
}

int
folder_settle(struct folder *p, mode_t mode, struct hf_error *err)
{
	const char *name = strrchr(p->path, '/') + 1;

	if (p->work[0] == '\0' && unlinkat(p->fd, FOLDER_MARK, 0) != 0)
		return H->fail_errno(
		    err, errno, "removing %s/" FOLDER_MARK, p->path);
	if ((p->owner.change &&
		fchown(p->fd, p->owner.uid, p->owner.gid) != 0) ||
	    fchmod(p->fd, mode) != 0 || fsync(p->fd) != 0)
		return H->fail_errno(err, errno, "finishing %s", p->path);
	if (p->work[0] != '\0') {
		/* Over nothing: not even over an empty folder that somebody
		 * made meanwhile. */
		if (renameat2(p->parent, p->work, p->parent, name,
			RENAME_NOREPLACE) != 0 &&
		    (errno != EINVAL ||
			renameat(p->parent, p->work, p->parent, name) != 0))
			return H->fail_errno(err, errno, "naming %s", p->path);
		p->settled = true;
		if (fsync(p->parent) != 0)
			return H->fail_errno(
			    err, errno, "writing the folder above %s", p->path);
	}
	return HF_OK;
}

static void
put_back(struct folder *p)
{
	const char *name = strrchr(p->path, '/') + 1;

	if (p->fd >= 0)
		(void)tree_empty(p->fd);
	if (p->work[0] != '\0') {
		(void)unlinkat(
		    p->parent, p->settled ? name : p->work, AT_REMOVEDIR);
		return;
	}
	if (p->former.change)
		(void)!fchown(p->fd, p->former.uid, p->former.gid);
	(void)fchmod(p->fd, p->former_mode);
}

void
folder_close(struct folder *p)
{
	if (p->begun && !p->done)
		put_back(p);
	if (p->fd >= 0)
		(void)close(p->fd);
	if (p->parent >= 0)
		(void)close(p->parent);
	*p = (struct folder){ .parent = -1, .fd = -1 };
}

/* ---- small files ---- */

int
folder_put(const struct folder *p, const char *name, const char *text,
    mode_t mode, struct hf_error *err)
{
	size_t len = strlen(text), done = 0;
	int fd, rc = HF_OK;

	if (unlinkat(p->fd, name, 0) != 0 && errno != ENOENT)
		return H->fail_errno(
		    err, errno, "replacing %s/%s", p->path, name);
	fd = openat(p->fd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return H->fail_errno(err, errno, "making %s/%s", p->path, name);
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0)
			break;
		done += (size_t)n;
	}
	if (done < len ||
	    (p->owner.change && fchown(fd, p->owner.uid, p->owner.gid) != 0) ||
	    fchmod(fd, mode) != 0 || fsync(fd) != 0)
		rc = H->fail_errno(err, errno, "writing %s/%s", p->path, name);
	(void)close(fd);
	return rc;
}

int
folder_get(const struct folder *p, const char *name, char **text, size_t *len,
    struct hf_error *err)
{
	int fd = openat(p->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t done = 0;
	struct stat st;
	ssize_t n = -1;

	*text = NULL;
	if (fd < 0 && errno == ENOENT)
		return HF_OK;
	if (fd < 0 || fstat(fd, &st) != 0)
		goto fail;
	if (st.st_size < 0 || (size_t)st.st_size > SMALL_MAX) {
		(void)close(fd);
		return H->fail(
		    err, HF_E_CORRUPT, "%s/%s: too large", p->path, name);
	}
	if ((*text = malloc((size_t)st.st_size + 1)) == NULL) {
		(void)close(fd);
		return postgres_nomem(err);
	}
	while (done < (size_t)st.st_size &&
	       (n = read(fd, *text + done, (size_t)st.st_size - done)) > 0)
		done += (size_t)n;
	if (done < (size_t)st.st_size && n < 0)
		goto fail;
	(*text)[done] = '\0';
	if (len != NULL)
		*len = done;
	(void)close(fd);
	return HF_OK;
fail:
	(void)H->fail_errno(err, errno, "reading %s/%s", p->path, name);
	if (fd >= 0)
		(void)close(fd);
	free(*text);
	*text = NULL;
	return HF_E_IO;
}
