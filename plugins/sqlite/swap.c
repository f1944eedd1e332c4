/* SPDX-License-Identifier: BSD-2-Clause */
#include "swap.h"

#include "build.h"
#include "code.h"
#include "intent.h"
#include "live.h"
#include "path.h"
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define XATTR_MAX 65536

struct swap {
	const struct hf_engine *engine;
	const char *target;
	const struct build *build;
	struct hf_in *in;
	struct intent *intent;
	struct live live;
	char *safety;
	struct stat old;
	bool renamed, copied;
};

int
swap_in_new(const char *target, const struct build *b, struct hf_error *err)
{
	int e;

	if (renameat2(AT_FDCWD, b->path, AT_FDCWD, target, RENAME_NOREPLACE) !=
	    0) {
		e = errno;
		/* Filesystems without that flag have hard links instead. */
		if (e == EINVAL || e == ENOSYS)
			e = link(b->path, target) == 0 ? 0 : errno;
		if (e == EEXIST)
			return H->fail(err, HF_E_EXISTS,
			    "%s has appeared meanwhile", target);
		if (e != 0)
			return H->fail_errno(
			    err, e, "renaming %s to %s", b->path, target);
		(void)unlink(b->path);
	}
	return path_sync_folder(target, err);
}

int
swap_safety_suffix(
    const char *target, char *buf, size_t cap, struct hf_error *err)
{
	char stamp[24];
	struct tm tm;
	time_t now = time(NULL);
	unsigned i;
	char *path;
	bool taken;

	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	for (i = 1; i < 1000; i++) {
		if (i == 1)
			(void)snprintf(buf, cap, ".before-restore-%s", stamp);
		else
			(void)snprintf(
			    buf, cap, ".before-restore-%s-%u", stamp, i);
		if ((path = path_with(target, buf, err)) == NULL)
			return HF_E_NOMEM;
		taken = path_exists(path, "") || path_exists(path, "-wal") ||
			path_exists(path, "-shm") ||
			path_exists(path, "-journal");
		free(path);
		if (!taken)
			return HF_OK;
	}
	return H->fail(
	    err, HF_E_EXISTS, "too many safety copies of %s beside it", target);
}

int
swap_sidecars_aside(
    const char *target, const char *suffix, struct hf_error *err)
{
	char *safety, *from = NULL, *to = NULL;
	int i, rc = HF_OK;

	if ((safety = path_with(target, suffix, err)) == NULL)
		return HF_E_NOMEM;
	for (i = 0; rc == HF_OK && path_sidecars[i] != NULL; i++) {
		from = path_with(target, path_sidecars[i], err);
		to = path_with(safety, path_sidecars[i], err);
		if (from == NULL || to == NULL)
			rc = HF_E_NOMEM;
		else if (rename(from, to) != 0 && errno != ENOENT)
			rc = H->fail_errno(err, errno, "moving %s", from);
		free(from);
		free(to);
	}
	free(safety);
	return rc != HF_OK ? rc : path_sync_folder(target, err);
}

/* Access lists and labels, where there are any.  Paths, not descriptors: the
 * old database is live. */
static void
keep_attributes(const struct swap *s)
{
	char *names, *value, *name;
	ssize_t n, k;

	names = malloc(XATTR_MAX);
	value = malloc(XATTR_MAX);
	n = names != NULL && value != NULL
		? listxattr(s->target, names, XATTR_MAX)
		: -1;
	for (name = names; n > 0 && name < names + n;
	     name += strlen(name) + 1) {
		k = getxattr(s->target, name, value, XATTR_MAX);
		if (k < 0 ||
		    fsetxattr(s->build->fd, name, value, (size_t)k, 0) != 0)
			H->log(s->engine->ctx, HF_LOG_DEBUG, "sqlite.xattr",
			    "%s: attribute %s is not kept: %s", s->target, name,
			    strerror(errno));
	}
	free(names);
	free(value);
}

/* The application must be able to use the new file as it did the old. */
static int
keep_owner(const struct swap *s, struct hf_error *err)
{
	struct stat st;
	int fd = s->build->fd;

	if (fstat(fd, &st) != 0)
		return H->fail_errno(err, errno, "%s", s->build->path);
	if ((st.st_uid != s->old.st_uid || st.st_gid != s->old.st_gid) &&
	    fchown(fd, s->old.st_uid, s->old.st_gid) != 0) {
		H->fail_errno(err, errno,
		    "giving the restored file the owner (%u:%u) of %s",
		    (unsigned)s->old.st_uid, (unsigned)s->old.st_gid,
		    s->target);
		H->fail_note(err, "hint",
		    "Run the restore as root or as the owner of the file.");
		return HF_E_DENIED;
	}
	if (fchmod(fd, s->old.st_mode & 07777) != 0)
		return H->fail_errno(
		    err, errno, "setting the mode of %s", s->build->path);
	keep_attributes(s);
	if (fsync(fd) != 0)
		return H->fail_errno(err, errno, "syncing %s", s->build->path);
	return HF_OK;
}

static int
write_intent(struct swap *s, struct hf_error *err)
{
	struct intent *it = s->intent;
	struct stat st;

	if (fstat(s->build->fd, &st) != 0)
		return H->fail_errno(err, errno, "%s", s->build->path);
	it->old_dev = s->old.st_dev;
	it->old_ino = s->old.st_ino;
	it->new_dev = st.st_dev;
	it->new_ino = st.st_ino;
	it->was_wal = s->live.was_wal;
	(void)snprintf(it->temp, sizeof it->temp, "%s",
	    s->build->path + strlen(s->target));
	return intent_write(it, err);
}

/* A second name for what is there; a copy where there are no links. */
static int
keep_one(struct swap *s, const char *suffix, struct hf_error *err)
{
	char *from = path_with(s->target, suffix, err);
	char *to = path_with(s->safety, suffix, err);
	int rc = HF_OK, e;

	if (from == NULL || to == NULL) {
		rc = HF_E_NOMEM;
		goto done;
	}
	if (link(from, to) == 0)
		goto done;
	e = errno;
	if (e == ENOENT && suffix[0] != '\0')
		goto done;
	if (suffix[0] == '\0' &&
	    (e == EPERM || e == EOPNOTSUPP || e == ENOSYS || e == EMLINK))
		s->copied = (rc = live_copy(&s->live, to, err)) == HF_OK;
	else
		rc = H->fail_errno(err, e, "linking %s to %s", from, to);
done:
	free(from);
	free(to);
	return rc;
}

static int
keep_old(struct swap *s, struct hf_error *err)
{
	int i, rc;

	rc = keep_one(s, "", err);
	/* One that is held is whole in its one file. */
	if (s->live.state != LIVE_HELD)
		for (i = 0; rc == HF_OK && path_sidecars[i] != NULL; i++)
			rc = keep_one(s, path_sidecars[i], err);
	return rc != HF_OK ? rc : path_sync_folder(s->target, err);
}

static int
clear_sidecars(const struct swap *s, struct hf_error *err)
{
	int i, rc = HF_OK;

	for (i = 0; rc == HF_OK && path_sidecars[i] != NULL; i++)
		rc = path_unlink(s->target, path_sidecars[i], err);
	return rc;
}

/* The other way round, whatever was done so far.  What fails here is left to
 * the next run: the intent stays. */
static int
put_back(struct swap *s, struct hf_error *err)
{
	int rc;

	if (s->renamed) {
		if ((rc = clear_sidecars(s, err)) != HF_OK)
			return rc;
		if (rename(s->safety, s->target) != 0)
			return H->fail_errno(err, errno,
			    "putting %s back in its place", s->safety);
	}
	if ((rc = intent_give_back(s->target, s->intent, err)) != HF_OK)
		return rc;
	/* It may have been a copy, or what there is of one. */
	if (!s->renamed && s->copied)
		rc = path_unlink(s->safety, "", err);
	return rc;
}

/* As the application will open it.  If it already has, and holds it, there is
 * nothing more to see. */
static int
check_new(const struct swap *s, struct hf_error *err)
{
	struct database_wait wait;
	sqlite3 *db = NULL;
	struct stat at, built;
	int64_t cookie;
	int rc;

	if (stat(s->target, &at) != 0 || fstat(s->build->fd, &built) != 0)
		return H->fail_errno(err, errno, "%s", s->target);
	if (at.st_ino != built.st_ino || at.st_dev != built.st_dev)
		return H->fail(err, HF_E_IO,
		    "%s is not the file that was put there", s->target);
	rc = sqlite3_open_v2(
	    s->target, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		database_wait(
		    db, &wait, s->engine->ctx, s->engine->conf.busy_timeout);
		database_any_collation(db, NULL);
		rc = database_int(db, "PRAGMA main.schema_version", &cookie);
	}
	if ((rc & 0xff) == SQLITE_BUSY)
		rc = HF_OK;
	else if (rc != SQLITE_OK)
		rc = code_fail(db, rc, err, "opening %s", s->target);
	else
		rc =
		    build_check(s->engine, s->in, s->build, db, s->target, err);
	database_close(db);
	return rc;
}

/* Steps 3 to 6. */
static int
replace(struct swap *s, struct hf_error *err)
{
	int rc;

	if ((rc = keep_old(s, err)) != HF_OK ||
	    (rc = clear_sidecars(s, err)) != HF_OK)
		return rc;
	if (rename(s->build->path, s->target) != 0)
		return H->fail_errno(
		    err, errno, "renaming %s to %s", s->build->path, s->target);
	s->renamed = true;
	if ((rc = path_sync_folder(s->target, err)) != HF_OK)
		return rc;
	return check_new(s, err);
}

/* An empty file is not worth a copy. */
static void
drop_empty_safety(struct swap *s)
{
	int i;

	for (i = 0; path_sidecars[i] != NULL; i++)
		if (path_exists(s->safety, path_sidecars[i]))
			return;
	if (path_size(s->safety, "") != 0)
		return;
	(void)path_unlink(s->safety, "", NULL);
	free(s->safety);
	s->safety = NULL;
}

int
swap_in_place(const struct hf_engine *e, const char *target,
    const struct build *b, struct hf_in *in, bool force, struct intent *it,
    char **safety, struct hf_error *err)
{
	struct swap s = { .engine = e,
		.target = target,
		.build = b,
		.in = in,
		.intent = it };
	int rc;

	*safety = NULL;
	if ((rc = swap_safety_suffix(
		 target, it->safety, sizeof it->safety, err)) != HF_OK)
		return rc;
	if ((s.safety = path_with(target, it->safety, err)) == NULL)
		return HF_E_NOMEM;
	if (stat(target, &s.old) != 0) {
		rc = H->fail_errno(err, errno, "%s", target);
		goto done;
	}
	if ((rc = keep_owner(&s, err)) != HF_OK ||
	    (rc = live_open(e, target, force, &s.live, err)) != HF_OK)
		goto done;
	if ((rc = write_intent(&s, err)) != HF_OK) {
		live_close(&s.live, false);
		goto done;
	}
	if ((rc = live_hold(&s.live, err)) != HF_OK) {
		if (s.live.was_wal)
			live_set_wal(target);
		goto done;
	}
	if ((rc = replace(&s, err)) != HF_OK && put_back(&s, NULL) != HF_OK) {
		it->pending = true;
		H->fail_context(
		    err, "restoring; the former database is %s", s.safety);
	}
	live_close(&s.live, rc != HF_OK && !it->pending);
	if (rc == HF_OK)
		drop_empty_safety(&s);
done:
	if (rc == HF_OK)
		*safety = s.safety;
	else
		free(s.safety);
	return rc;
}
