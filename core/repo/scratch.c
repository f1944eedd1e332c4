/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "repo/repo_private.h"

#define PREFIX "holdfast-verify-"
#define TRIES 8

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

static void
remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The folder with its lock held, or -1: it is gone, or somebody's. */
static int
open_locked(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

/* A lock ends with its process, so what can be locked was left by one that
 * was killed. */
static void
sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char *path;
	int fd;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) != 0 ||
		    (path = text_format("%s/%s", dir, e->d_name)) == NULL)
			continue;
		if ((fd = open_locked(path)) >= 0) {
			remove_tree(path);
			(void)close(fd);
		}
		free(path);
	}
	(void)closedir(d);
}

int
scratch_new(const char *dir, struct scratch *s, struct hf_error *err)
{
	int rc;

	*s = (struct scratch){ .fd = -1 };
	if (dir == NULL) {
		(void)error_fail(
		    err, HF_E_INVALID, "there is no folder for scratch files");
		error_hint(err, "Set \"scratch_dir\" in the configuration.");
		return HF_E_INVALID;
	}
	if ((rc = file_mkdirs(dir, err)) != HF_OK)
		return rc;
	sweep(dir);
	/* Somebody's sweep may come between the two steps. */
	for (int i = 0; i < TRIES && s->fd < 0; i++) {
		free(s->path);
		if ((s->path = text_format("%s/" PREFIX "XXXXXX", dir)) == NULL)
			return repo_nomem(err);
		if (mkdtemp(s->path) == NULL) {
			rc = error_errno(
			    err, errno, "cannot make a folder in %s", dir);
			free(s->path);
			s->path = NULL;
			return rc;
		}
		s->fd = open_locked(s->path);
	}
	if (s->fd >= 0)
		return HF_OK;
	free(s->path);
	s->path = NULL;
	return error_fail(
	    err, HF_E_IO, "cannot lock a scratch folder in %s", dir);
}

void
scratch_free(struct scratch *s)
{
	if (s->path == NULL)
		return;
	remove_tree(s->path);
	(void)close(s->fd);
	free(s->path);
	*s = (struct scratch){ .fd = -1 };
}
