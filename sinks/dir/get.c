/* SPDX-License-Identifier: BSD-2-Clause */
#include "dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "path.h"
#include "root.h"

struct hf_get {
	struct hf_store *store;
	int fd;
	uint64_t at, end;
	char key[];
};

static int
not_there(struct hf_store *s, const char *key, struct hf_error *err)
{
	return dir_host->fail(
	    err, HF_E_NOTFOUND, "%s/%s does not exist", s->path, key);
}

/* The object's file status, and its folder if fd is wanted. */
static int
look(struct hf_store *s, const char *key, struct stat *st, int *folder,
    const char **name, struct hf_error *err)
{
	int rc = root_need(s, err);

	if (rc != HF_OK)
		return rc;
	rc = path_parent(s, key, false, folder, name, err);
	if (rc == HF_E_NOTFOUND)
		return not_there(s, key, err);
	if (rc != HF_OK)
		return rc;
	if (fstatat(*folder, *name, st, AT_SYMLINK_NOFOLLOW) == 0) {
		/* A folder is not an object of that key. */
		if (S_ISDIR(st->st_mode))
			rc = not_there(s, key, err);
		else
			rc = dir_check_type(s, key, st, err);
	} else if (errno == ENOENT) {
		rc = not_there(s, key, err);
	} else {
		rc = dir_host->fail_errno(
		    err, errno, "looking at %s/%s", s->path, key);
	}
	if (rc != HF_OK)
		(void)close(*folder);
	return rc;
}

/* Open and make sure that what was opened is what was looked at. */
static int
open_object(struct hf_store *s, const char *key, int *fd, struct stat *st,
    struct hf_error *err)
{
	const char *name;
	int folder, rc;

	if ((rc = look(s, key, st, &folder, &name, err)) != HF_OK)
		return rc;
	*fd = openat(folder, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT)
		rc = not_there(s, key, err);
	else if (*fd < 0 || fstat(*fd, st) != 0)
		rc = dir_host->fail_errno(
		    err, errno, "opening %s/%s", s->path, key);
	else
		rc = dir_check_type(s, key, st, err);
	(void)close(folder);
	if (rc != HF_OK && *fd >= 0)
		(void)close(*fd);
	return rc;
}

int
get_open(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **out, struct hf_error *err)
{
	size_t keylen = strlen(key);
	struct hf_get *g;
	struct stat st;
	uint64_t size;
	int fd, rc;

	if ((rc = open_object(s, key, &fd, &st, err)) != HF_OK)
		return rc;
	size = (uint64_t)st.st_size;
	if (off > size) {
		(void)close(fd);
		return dir_host->fail(err, HF_E_INVALID,
		    "%s/%s has %llu bytes, it cannot be read from byte %llu",
		    s->path, key, (unsigned long long)size,
		    (unsigned long long)off);
	}
	if ((g = calloc(1, sizeof *g + keylen + 1)) == NULL) {
		(void)close(fd);
		return dir_host->fail(err, HF_E_NOMEM, "out of memory");
	}
	g->store = s;
	g->fd = fd;
	g->at = off;
	g->end = len < size - off ? off + len : size;
	memcpy(g->key, key, keylen + 1);
	if (g->end > g->at)
		(void)posix_fadvise(fd, (off_t)off, (off_t)(g->end - off),
		    POSIX_FADV_SEQUENTIAL);
	*out = g;
	return HF_OK;
}

int
get_read(
    struct hf_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	ssize_t done;

	*n = 0;
	if (g->at == g->end)
		return HF_EOF;
	if (cap > g->end - g->at)
		cap = (size_t)(g->end - g->at);
	do
		done = pread(g->fd, buf, cap, (off_t)g->at);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return dir_host->fail_errno(
		    err, errno, "reading %s/%s", g->store->path, g->key);
	if (done == 0 && cap > 0)
		return dir_host->fail(err, HF_E_CORRUPT,
		    "%s/%s became shorter while it was read: it ends after "
		    "%llu bytes",
		    g->store->path, g->key, (unsigned long long)g->at);
	g->at += (uint64_t)done;
	*n = (size_t)done;
	return HF_OK;
}

void
get_close(struct hf_get *g)
{
	if (g == NULL)
		return;
	(void)close(g->fd);
	free(g);
}

int
get_stat(struct hf_store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	const char *name;
	struct stat st;
	int folder, rc;

	if ((rc = look(s, key, &st, &folder, &name, err)) != HF_OK)
		return rc;
	(void)close(folder);
	dir_describe(&st, out);
	return HF_OK;
}
