/* SPDX-License-Identifier: BSD-2-Clause */
#include "dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "path.h"
#include "root.h"
#include "temp.h"

/* After so many bytes the kernel is asked to start writing them, so that the
 * disk works while the next ones are made and the fsync at the end is short;
 * and the free space is looked at again. */
#define STRIDE ((uint64_t)8 << 20)

/* Objects up to this size may use the reserve: a lease, a manifest, a report.
 * Without them nothing could be pruned from a disk that is full. */
#define SMALL ((uint64_t)64 << 10)

/* How often a folder may be removed between making it and using it. */
#define TRIES 100

struct hf_put {
	struct hf_store *store;
	struct temp temp;
	uint32_t flags;
	int failed; /* the status of an earlier write, or HF_OK */
	uint64_t written, started, looked;
	char key[];
};

static int
look_at_space(struct hf_store *s, struct hf_error *err)
{
	char have[DIR_SIZE_TEXT], keep[DIR_SIZE_TEXT];
	struct statvfs v;
	uint64_t avail;

	if (s->min_free == 0)
		return HF_OK;
	if (fstatvfs(s->root, &v) != 0)
		return dir_host->fail_errno(
		    err, errno, "looking at the free space of %s", s->path);
	avail = (uint64_t)v.f_bavail * v.f_frsize;
	if (avail >= s->min_free)
		return HF_OK;
	dir_host->fail(err, HF_E_NOSPACE,
	    "%s has %s left, and %s are kept free (min_free)", s->path,
	    dir_size_text(avail, have), dir_size_text(s->min_free, keep));
	dir_host->fail_note(err, "hint",
	    "Free some space, keep fewer backups, or lower the sink's "
	    "\"min_free\".");
	return HF_E_NOSPACE;
}

/* What has the key now must be an object, or nothing. */
static int
check_target(
    struct hf_put *p, int folder, const char *name, struct hf_error *err)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return HF_OK;
		return dir_host->fail_errno(
		    err, errno, "looking at %s/%s", p->store->path, p->key);
	}
	return dir_check_type(p->store, p->key, &st, err);
}

/* Find out early what would make the commit fail. */
static int
look_ahead(struct hf_put *p, const struct hf_put_opts *o, struct hf_error *err)
{
	const char *name;
	int folder, rc;

	rc = path_parent(p->store, p->key, false, &folder, &name, err);
	if (rc == HF_OK) {
		rc = check_target(p, folder, name, err);
		(void)close(folder);
	} else if (rc == HF_E_NOTFOUND) {
		rc = HF_OK;
	}
	if (rc == HF_OK && o->size_hint > SMALL)
		rc = look_at_space(p->store, err);
	return rc;
}

int
put_begin(struct hf_store *s, const char *key, const struct hf_put_opts *opts,
    struct hf_put **out, struct hf_error *err)
{
	struct hf_put_opts o = { 0 };
	struct hf_put *p;
	size_t len = strlen(key);
	int rc, errnum;

	if (opts != NULL)
		memcpy(&o, opts,
		    opts->struct_size < sizeof o ? opts->struct_size
						 : sizeof o);
	if ((o.flags & ~HF_PUT_IF_ABSENT) != 0 || o.if_match != NULL)
		return dir_host->fail(err, HF_E_UNSUPPORTED,
		    "a folder cannot put with this condition");
	if ((p = calloc(1, sizeof *p + len + 1)) == NULL)
		return dir_host->fail(err, HF_E_NOMEM, "out of memory");
	p->store = s;
	p->temp.fd = -1;
	p->flags = o.flags;
	memcpy(p->key, key, len + 1);
	if ((rc = root_make(s, err)) != HF_OK ||
	    (rc = look_ahead(p, &o, err)) != HF_OK)
		goto fail;
	if ((errnum = temp_open(s, &p->temp)) != 0) {
		rc = dir_host->fail_errno(
		    err, errnum, "making a file in %s", s->path);
		goto fail;
	}
	*out = p;
	return HF_OK;
fail:
	put_abort(p);
	return rc;
}

/* Between two strides of writing. */
static int
stride(struct hf_put *p, struct hf_error *err)
{
	if (p->written - p->started >= STRIDE) {
		/* Only a start: errors stay for the fsync to report. */
		(void)sync_file_range(p->temp.fd, (off_t)p->started,
		    (off_t)(p->written - p->started), SYNC_FILE_RANGE_WRITE);
		p->started = p->written;
	}
	if (p->written <= SMALL ||
	    (p->looked > 0 && p->written - p->looked < STRIDE))
		return HF_OK;
	p->looked = p->written;
	return look_at_space(p->store, err);
}

static int
write_some(struct hf_put *p, const uint8_t *at, size_t len, size_t *n,
    struct hf_error *err)
{
	ssize_t done;

	do
		done = write(p->temp.fd, at, len);
	while (done < 0 && errno == EINTR);
	if (done > 0) {
		*n = (size_t)done;
		return HF_OK;
	}
	/* A write of nothing would go on for ever. */
	return dir_host->fail_errno(err, done < 0 ? errno : EIO,
	    "writing %s/%s", p->store->path, p->key);
}

int
put_write(struct hf_put *p, const void *buf, size_t len, struct hf_error *err)
{
	const uint8_t *at = buf;
	size_t n;

	if (p->failed != HF_OK)
		return dir_host->fail(err, p->failed,
		    "writing %s/%s failed before", p->store->path, p->key);
	while (len > 0) {
		n = len < STRIDE ? len : (size_t)STRIDE;
		if ((p->failed = write_some(p, at, n, &n, err)) != HF_OK)
			return p->failed;
		p->written += n;
		at += n;
		len -= n;
		if ((p->failed = stride(p, err)) != HF_OK)
			return p->failed;
	}
	return HF_OK;
}

/* Publish in the open folder.  *fresh: nothing had the name before.
 * 0, or errno. */
static int
publish(struct hf_put *p, int folder, const char *name, bool *fresh)
{
	int errnum = temp_publish(p->store, &p->temp, folder, name, false);

	*fresh = errnum == 0;
	if (errnum == EEXIST && (p->flags & HF_PUT_IF_ABSENT) == 0)
		errnum = temp_publish(p->store, &p->temp, folder, name, true);
	return errnum;
}

/* Take back a name that was given but could not be made durable, unless it
 * means another file by now. */
static void
withdraw(struct hf_put *p, int folder, const char *name)
{
	struct stat ours, theirs;

	if (fstat(p->temp.fd, &ours) == 0 &&
	    fstatat(folder, name, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		(void)unlinkat(folder, name, 0);
}

/* One try.  *vanished: the folder was removed under our hands. */
static int
commit_once(struct hf_put *p, bool *vanished, struct hf_error *err)
{
	const char *name;
	bool fresh = false;
	int folder, errnum, rc;

	*vanished = false;
	rc = path_parent(p->store, p->key, true, &folder, &name, err);
	if (rc != HF_OK)
		return rc;
	if ((rc = check_target(p, folder, name, err)) != HF_OK)
		goto done;
	if ((errnum = publish(p, folder, name, &fresh)) != 0) {
		*vanished = errnum == ENOENT;
		rc = dir_publish_failed(p->store, p->key, errnum, err);
		goto done;
	}
	rc = path_sync(p->store, p->key, folder, err);
	/* Only when somebody removed it again at once, which is their right. */
	if (rc == HF_E_NOTFOUND)
		rc = HF_OK;
	if (rc != HF_OK && fresh)
		withdraw(p, folder, name);
done:
	(void)close(folder);
	return rc;
}

int
put_commit(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	struct stat st;
	bool vanished;
	int rc = p->failed;

	if (rc != HF_OK) {
		(void)dir_host->fail(err, rc, "writing %s/%s failed before",
		    p->store->path, p->key);
		goto done;
	}
	if (path_fsync(p->temp.fd, false) != 0 || fstat(p->temp.fd, &st) != 0) {
		rc = dir_host->fail_errno(
		    err, errno, "syncing %s/%s", p->store->path, p->key);
		goto done;
	}
	for (int i = 0; i < TRIES; i++) {
		rc = commit_once(p, &vanished, err);
		if (rc == HF_OK || !vanished)
			break;
	}
	if (rc != HF_OK)
		path_prune(p->store, p->key);
	else if (out != NULL)
		dir_describe(&st, out);
done:
	put_abort(p);
	return rc;
}

void
put_abort(struct hf_put *p)
{
	if (p == NULL)
		return;
	temp_close(p->store, &p->temp);
	free(p);
}
