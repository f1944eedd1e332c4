/* SPDX-License-Identifier: BSD-2-Clause */
#include "intent.h"

#include "live.h"
#include "path.h"
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* "end" shows that all of it was written.  Suffixes have no spaces; the
 * target's own name, which may have anything, is not in it. */
#define FORMAT                                                          \
	"holdfast-restore 1\nold %" PRIu64 " %" PRIu64 "\nnew %" PRIu64 \
	" %" PRIu64 "\nwas_wal %d\nsafety %s\ntemp %s\nend\n"
#define SCAN                                                            \
	"holdfast-restore 1\nold %" SCNu64 " %" SCNu64 "\nnew %" SCNu64 \
	" %" SCNu64 "\nwas_wal %d\nsafety %63s\ntemp %63s\n%3s"

static void
read_intent(struct intent *it)
{
	char text[512], end[4] = "";
	int wal = 0;
	ssize_t n;

	if ((n = pread(it->fd, text, sizeof text - 1, 0)) <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, SCAN, &it->old_dev, &it->old_ino, &it->new_dev,
		&it->new_ino, &wal, it->safety, it->temp, end) != 8 ||
	    strcmp(end, "end") != 0)
		return; /* cut off: nothing had been done yet */
	/* Suffixes of ours only: the file could have been made by another. */
	it->pending = strncmp(it->safety, ".before-restore-", 16) == 0 &&
		      strncmp(it->temp, ".holdfast-", 10) == 0 &&
		      strchr(it->safety, '/') == NULL &&
		      strchr(it->temp, '/') == NULL;
	it->was_wal = wal != 0;
}

int
intent_lock(const char *target, struct intent *it, struct hf_error *err)
{
	struct stat mine, there;
	int rc;

	memset(it, 0, sizeof *it);
	it->fd = -1;
	if ((it->path = path_with(target, INTENT_SUFFIX, err)) == NULL)
		return HF_E_NOMEM;
	for (;;) {
		it->fd = open(
		    it->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (it->fd == -1) {
			rc = H->fail_errno(err, errno, "making %s", it->path);
			goto fail;
		}
		if (flock(it->fd, LOCK_EX | LOCK_NB) != 0) {
			rc = sqlite_fail_hint(err, HF_E_TRANSIENT,
			    "Wait for it to end.",
			    "another restore of %s is under way", target);
			goto fail;
		}
		/* Whoever had it before us removed it under the lock. */
		if (fstat(it->fd, &mine) == 0 && lstat(it->path, &there) == 0 &&
		    mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
			break;
		(void)close(it->fd);
	}
	read_intent(it);
	return HF_OK;
fail:
	if (it->fd != -1)
		(void)close(it->fd);
	free(it->path);
	it->path = NULL;
	it->fd = -1;
	return rc;
}

int
intent_write(struct intent *it, struct hf_error *err)
{
	char text[512];
	int n;

	n = snprintf(text, sizeof text, FORMAT, it->old_dev, it->old_ino,
	    it->new_dev, it->new_ino, it->was_wal ? 1 : 0, it->safety,
	    it->temp);
	if (n < 0 || (size_t)n >= sizeof text)
		return H->fail(err, HF_E_BUG, "%s is too long", it->path);
	if (ftruncate(it->fd, 0) != 0 ||
	    pwrite(it->fd, text, (size_t)n, 0) != n)
		return H->fail_errno(
		    err, errno != 0 ? errno : EIO, "writing %s", it->path);
	if (fsync(it->fd) != 0)
		return H->fail_errno(err, errno, "syncing %s", it->path);
	return path_sync_folder(it->path, err);
}

/* One file beside the safety copy returns.  *kept: an application has made a
 * new one meanwhile, so the old one stays where it is. */
static int
return_one(const char *target, const char *safety, const char *suffix,
    bool *kept, struct hf_error *err)
{
	char *from = path_with(safety, suffix, err);
	char *to = path_with(target, suffix, err);
	struct stat a, b;
	int rc = HF_E_NOMEM;

	if (from == NULL || to == NULL)
		goto done;
	rc = HF_OK;
	if (lstat(from, &a) != 0)
		goto done;
	/* Not rename: of two names of one file it leaves both. */
	if (link(from, to) != 0 && errno != EEXIST) {
		rc = H->fail_errno(err, errno, "linking %s", to);
		goto done;
	}
	if (lstat(to, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
		(void)unlink(from);
	else
		*kept = true;
done:
	free(from);
	free(to);
	return rc;
}

int
intent_give_back(
    const char *target, const struct intent *it, struct hf_error *err)
{
	struct stat st;
	bool kept = false;
	char *safety;
	int i, rc = HF_OK;

	if ((safety = path_with(target, it->safety, err)) == NULL)
		return HF_E_NOMEM;
	for (i = 0; rc == HF_OK && path_sidecars[i] != NULL; i++)
		rc = return_one(target, safety, path_sidecars[i], &kept, err);
	if (rc != HF_OK)
		goto done;
	/* A second name of what stands at the target is not needed. */
	if (!kept && stat(target, &st) == 0 && st.st_ino == it->old_ino &&
	    st.st_dev == it->old_dev && stat(safety, &st) == 0 &&
	    st.st_ino == it->old_ino && st.st_dev == it->old_dev)
		(void)unlink(safety);
	rc = path_sync_folder(target, err);
done:
	free(safety);
	return rc;
}

/* The swap did not happen: what stands there is the old database. */
static int
undo(const struct hf_engine *e, const char *target, const struct intent *it,
    struct hf_error *err)
{
	int rc;

	if ((rc = intent_give_back(target, it, err)) != HF_OK)
		return rc;
	if (it->was_wal)
		live_set_wal(target);
	H->log(e->ctx, HF_LOG_WARN, "sqlite.undone",
	    "%s: undid a restore that was interrupted before the swap", target);
	return HF_OK;
}

int
intent_recover(const struct hf_engine *e, const char *target, struct intent *it,
    struct hf_error *err)
{
	struct stat st;
	int rc = HF_OK;

	if (!it->pending)
		return HF_OK;
	if (stat(target, &st) != 0)
		H->log(e->ctx, HF_LOG_WARN, "sqlite.interrupted",
		    "%s is gone since a restore was interrupted; what that "
		    "kept is %s%s",
		    target, target, it->safety);
	else if (st.st_dev == it->old_dev && st.st_ino == it->old_ino)
		rc = undo(e, target, it, err);
	else if (st.st_dev == it->new_dev && st.st_ino == it->new_ino)
		H->log(e->ctx, HF_LOG_WARN, "sqlite.finished",
		    "%s: an interrupted restore had already put the new "
		    "database in place; the former one is %s%s",
		    target, target, it->safety);
	else
		H->log(e->ctx, HF_LOG_WARN, "sqlite.interrupted",
		    "%s was replaced after a restore had been interrupted; "
		    "what it kept is %s%s",
		    target, target, it->safety);
	/* Otherwise its temp file is cleared as any other. */
	if (rc == HF_OK)
		it->pending = false;
	return rc;
}

void
intent_unlock(struct intent *it)
{
	/* What could not be undone must be known to the next run. */
	if (it->fd != -1 && !it->pending) {
		(void)unlink(it->path);
		(void)path_sync_folder(it->path, NULL);
	}
	if (it->fd != -1)
		(void)close(it->fd);
	free(it->path);
	it->path = NULL;
	it->fd = -1;
}
