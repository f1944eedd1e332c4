/* SPDX-License-Identifier: BSD-2-Clause */
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dir.h"
#include "path.h"

/* Threads may find it at the same moment: one descriptor stays. */
static int
look(struct hf_store *s)
{
	int none = -1, fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	if (!atomic_compare_exchange_strong(&s->root, &none, fd))
		(void)close(fd);
	return 0;
}

int
root_above(const struct hf_store *s)
{
	char above[PATH_MAX];
	const char *end = s->path + strlen(s->path);

	while (end > s->path && end[-1] == '/')
		end--;
	while (end > s->path && end[-1] != '/')
		end--;
	if ((size_t)(end - s->path) >= sizeof above) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(above, s->path, (size_t)(end - s->path));
	above[end - s->path] = '\0';
	return open(
	    end == s->path ? "." : above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
failed(const struct hf_store *s, int errnum, struct hf_error *err)
{
	if (errnum == ENOTDIR)
		return dir_host->fail(err, HF_E_INVALID,
		    "%s is not a folder, or goes through a file", s->path);
	return dir_host->fail_errno(
	    err, errnum, "opening the folder %s", s->path);
}

/* Those above the last folder are never made, for a path that lacks them is
 * most often a disk that is not mounted. */
static int
nothing_above(const struct hf_store *s, struct hf_error *err)
{
	dir_host->fail(err, HF_E_NOTFOUND,
	    "neither the folder %s nor the one above it exists", s->path);
	dir_host->fail_note(err, "hint",
	    "Is the disk mounted?  Only the last folder of a sink's path is "
	    "made, so that a backup does not go to the wrong disk.");
	return HF_E_NOTFOUND;
}

int
root_open(struct hf_store *s, struct hf_error *err)
{
	int above, errnum = look(s);

	if (errnum != ENOENT)
		return errnum == 0 ? HF_OK : failed(s, errnum, err);
	if ((above = root_above(s)) < 0)
		return errno == ENOENT ? nothing_above(s, err)
				       : failed(s, errno, err);
	(void)close(above);
	return HF_OK;
}

void
root_close(struct hf_store *s)
{
	if (s->root >= 0)
		(void)close(s->root);
}

int
root_need(struct hf_store *s, struct hf_error *err)
{
	int errnum = s->root >= 0 ? 0 : look(s);

	if (errnum == 0)
		return HF_OK;
	if (errnum != ENOENT)
		return failed(s, errnum, err);
	dir_host->fail(
	    err, HF_E_NOTFOUND, "the folder %s is not there", s->path);
	dir_host->fail_note(err, "hint",
	    "Is the disk mounted?  If the sink is new, its first backup makes "
	    "the folder.");
	return HF_E_NOTFOUND;
}

/* Make the name of a new root durable, too. */
static void
sync_above(const struct hf_store *s)
{
	int fd = root_above(s);

	if (fd < 0)
		return;
	(void)path_fsync(fd, true);
	(void)close(fd);
}

int
root_make(struct hf_store *s, struct hf_error *err)
{
	int errnum = s->root >= 0 ? 0 : look(s);
	bool made;

	if (errnum == 0)
		return HF_OK;
	if (errnum != ENOENT)
		return failed(s, errnum, err);
	made = mkdir(s->path, 0700) == 0;
	if (!made && errno == ENOENT)
		return nothing_above(s, err);
	if (!made && errno != EEXIST)
		return dir_host->fail_errno(
		    err, errno, "making the folder %s", s->path);
	if ((errnum = look(s)) != 0)
		return failed(s, errnum, err);
	sync_above(s);
	if (made)
		dir_host->log(s->ctx, HF_LOG_INFO, "dir.made",
		    "made the folder %s", s->path);
	return HF_OK;
}
