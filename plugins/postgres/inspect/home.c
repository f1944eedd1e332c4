/* SPDX-License-Identifier: BSD-2-Clause */
#include "home.h"

#include "postgres.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COMMON "/var/tmp"
#define PREFIX "holdfast-postgres-"
#define LOCK "lock"
#define SOCKET_MAX 107 /* sun_path, without its NUL */
#define SOCKET_NAME "/.s.PGSQL.5432"
#define SWEEP_AGE 60 /* seconds: one without a lock may be in the making */

static int
find_user(const char *run_as, struct passwd *pw, char *buf, size_t cap,
    struct hf_error *err)
{
	bool root = geteuid() == 0;
	struct passwd *found = NULL;
	int errnum = root ? getpwnam_r(run_as, pw, buf, cap, &found)
			  : getpwuid_r(geteuid(), pw, buf, cap, &found);

	if (found != NULL && (!root || pw->pw_uid != 0))
		return HF_OK;
	if (errnum != 0)
		return H->fail_errno(err, errnum, "looking up the user %s",
		    root ? run_as : "that runs this program");
	if (found != NULL)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Name an ordinary user in \"run_as\".",
		    "a PostgreSQL server does not run as %s", run_as);
	if (root)
		return postgres_fail_hint(err, HF_E_NOTFOUND,
		    "Name a user of this machine in \"run_as\"; the server's "
		    "package makes \"postgres\".  Or let \"scratch\" name a "
		    "server that may get throw-away databases.",
		    "no user \"%s\" to run a private server as", run_as);
	return postgres_fail_hint(err, HF_E_NOTFOUND,
	    "initdb wants one: add it to /etc/passwd, or let \"scratch\" name "
	    "a server that may get throw-away databases.",
	    "user id %lu has no name on this machine",
	    (unsigned long)geteuid());
}

/* May the user go through this folder?  By mode alone: where an access list
 * says yes the answer is no, and another place is taken. */
static bool
may_pass(const char *path, const struct passwd *pw)
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return false;
	if (st.st_uid == pw->pw_uid)
		return (st.st_mode & S_IXUSR) != 0;
	if (st.st_gid == pw->pw_gid)
		return (st.st_mode & S_IXGRP) != 0;
	return (st.st_mode & S_IXOTH) != 0;
}

static bool
can_reach(const char *dir, const struct passwd *pw)
{
	char path[HOME_PATH];

	if (pw->pw_uid == geteuid())
		return true;
	if (dir[0] != '/' || strlen(dir) >= sizeof path)
		return false;
	(void)snprintf(path, sizeof path, "%s", dir);
	while (path[0] != '\0') {
		if (!may_pass(path, pw))
			return false;
		*strrchr(path, '/') = '\0';
	}
	return may_pass("/", pw);
}

/* A folder of our prefix with its lock.  The lock file is made while the
 * folder is still ours alone.  HF_EOF: a sweep of another run was faster, try
 * again. */
static int
try_root(const char *below, const struct passwd *pw, char *path, int *lock,
    struct hf_error *err)
{
	char name[HOME_PATH];
	struct stat st;
	int n = snprintf(name, sizeof name, "%s/" PREFIX "XXXXXX", below);

	if (n < 0 || (size_t)n >= sizeof name - sizeof LOCK - 1)
		return H->fail(err, HF_E_INVALID, "%s: too long", below);
	if (mkdtemp(name) == NULL)
		return H->fail_errno(
		    err, errno, "making a folder in %s", below);
	(void)snprintf(path, HOME_PATH, "%s", name);
	(void)strncat(name, "/" LOCK, sizeof name - strlen(name) - 1);
	*lock = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*lock < 0)
		return H->fail_errno(err, errno, "making %s", name);
	if (flock(*lock, LOCK_EX | LOCK_NB) != 0 || fstat(*lock, &st) != 0 ||
	    st.st_nlink == 0)
		return HF_EOF;
	if (pw->pw_uid != geteuid() && chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return H->fail_errno(
		    err, errno, "giving %s to %s", path, pw->pw_name);
	return HF_OK;
}

static int
make_root(const char *below, const struct passwd *pw, char *path, int *lock,
    struct hf_error *err)
{
	for (int tries = 0; tries < 5; tries++) {
		int rc = try_root(below, pw, path, lock, err);

		if (rc != HF_EOF)
			return rc;
		(void)close(*lock);
		*lock = -1;
	}
	return H->fail(err, HF_E_IO, "no folder can be locked in %s", below);
}

int
home_make(
    const char *dir, const char *run_as, struct home *h, struct hf_error *err)
{
	struct passwd pw;
	char buf[4096];
	const char *socket;
	int rc;

	*h = (struct home){ .locks = { -1, -1 } };
	if ((rc = find_user(run_as, &pw, buf, sizeof buf, err)) != HF_OK)
		return rc;
	(void)snprintf(h->user, sizeof h->user, "%s", pw.pw_name);
	h->switch_user = pw.pw_uid != geteuid();
	if (!can_reach(dir, &pw))
		dir = COMMON;
	if ((rc = make_root(dir, &pw, h->roots[0], &h->locks[0], err)) != HF_OK)
		goto fail;
	socket = h->roots[0];
	if (strlen(socket) + sizeof SOCKET_NAME - 1 > SOCKET_MAX) {
		rc = make_root(COMMON, &pw, h->roots[1], &h->locks[1], err);
		if (rc != HF_OK)
			goto fail;
		socket = h->roots[1];
	}
	if (snprintf(h->data, sizeof h->data, "%s/data", h->roots[0]) >=
	    (int)sizeof h->data) {
		rc = H->fail(err, HF_E_INVALID, "%s: too long", h->roots[0]);
		goto fail;
	}
	(void)snprintf(h->socket, sizeof h->socket, "%s", socket);
	return HF_OK;
fail:
	home_remove(h);
	return rc;
}

void
home_remove(struct home *h)
{
	for (int i = 0; i < 2; i++) {
		if (h->roots[i][0] != '\0')
			tree_remove(AT_FDCWD, h->roots[i]);
		h->roots[i][0] = '\0';
		if (h->locks[i] >= 0)
			(void)close(h->locks[i]);
		h->locks[i] = -1;
	}
}

/* A server's working folder is its data folder. */
static bool
server_lives(const char *root)
{
	char data[HOME_PATH], path[HOME_PATH], cwd[HOME_PATH], pid[32] = "";
	ssize_t n;
	int fd;

	(void)snprintf(data, sizeof data, "%.4000s/data", root);
	(void)snprintf(path, sizeof path, "%.4000s/data/postmaster.pid", root);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, pid, sizeof pid - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	(void)snprintf(
	    path, sizeof path, "/proc/%ld/cwd", strtol(pid, NULL, 10));
	if ((n = readlink(path, cwd, sizeof cwd - 1)) < 0)
		return false;
	cwd[n] = '\0';
	return strcmp(cwd, data) == 0;
}

static void
sweep_one(const char *root, uid_t uid)
{
	char path[HOME_PATH];
	struct stat st;
	int lock;

	if (lstat(root, &st) != 0 || !S_ISDIR(st.st_mode) ||
	    (st.st_uid != uid && st.st_uid != geteuid()))
		return;
	(void)snprintf(path, sizeof path, "%.4000s/" LOCK, root);
	lock = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (lock < 0 &&
	    (errno != ENOENT || time(NULL) - st.st_ctime < SWEEP_AGE))
		return;
	if ((lock < 0 || flock(lock, LOCK_EX | LOCK_NB) == 0) &&
	    !server_lives(root))
		tree_remove(AT_FDCWD, root);
	if (lock >= 0)
		(void)close(lock);
}

static void
sweep_below(const char *dir, uid_t uid)
{
	char path[HOME_PATH];
	struct dirent *entry;
	DIR *d;

	if ((d = opendir(dir)) == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		if (strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) != 0 ||
		    snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) >=
			(int)sizeof path)
			continue;
		sweep_one(path, uid);
	}
	(void)closedir(d);
}

void
home_sweep(const char *dir, const char *user)
{
	struct passwd pw, *found = NULL;
	uid_t uid = geteuid();
	char buf[4096];

	if (getpwnam_r(user, &pw, buf, sizeof buf, &found) == 0 &&
	    found != NULL)
		uid = pw.pw_uid;
	sweep_below(COMMON, uid);
	if (strcmp(dir, COMMON) != 0)
		sweep_below(dir, uid);
}
