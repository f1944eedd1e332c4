/* SPDX-License-Identifier: BSD-2-Clause */
#include "path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dir.h"
#include "root.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* How often a folder may vanish under our hands: another run removes empty
 * folders in the moment between making one and using it. */
#define VANISH_TRIES 100

bool
path_name_valid(const char *name)
{
	if (name[0] == '\0' || name[0] == '.')
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if ((*c < 'a' || *c > 'z') && (*c < 'A' || *c > 'Z') &&
		    (*c < '0' || *c > '9') && strchr("._=-", *c) == NULL)
			return false;
	return true;
}

int
path_fsync(int fd, bool folder)
{
	int rc;

	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	/* Some network file systems cannot do it for folders and are durable
	 * without. */
	if (rc != 0 && folder && (errno == EINVAL || errno == ENOTSUP))
		return 0;
	return rc;
}

/* Copy the component that starts at key; NULL when it cannot be one.  Returns
 * what follows its '/', or its end. */
static const char *
component(const char *key, char name[NAME_MAX + 1])
{
	size_t len = strcspn(key, "/");

	if (len == 0 || len > NAME_MAX)
		return NULL;
	memcpy(name, key, len);
	name[len] = '\0';
	if (!path_name_valid(name))
		return NULL;
	return key[len] == '/' ? key + len + 1 : key + len;
}

static int
bad_key(const char *key, struct hf_error *err)
{
	return dir_host->fail(
	    err, HF_E_INVALID, "\"%s\" cannot be the name of a file", key);
}

/* What stands in a folder's place?  openat's errno alone does not tell a link
 * from a file. */
static int
explain(struct hf_store *s, int at, const char *name, const char *key, int len,
    bool create, int errnum, struct hf_error *err)
{
	struct stat st;

	if ((errnum == ENOTDIR || errnum == ELOOP) &&
	    fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISLNK(st.st_mode)) {
			dir_host->fail(err, HF_E_DENIED,
			    "%s/%.*s is a symbolic link", s->path, len, key);
			dir_host->fail_note(err, "hint",
			    "Links below a sink's folder are not followed; "
			    "move what they point at here, or make the "
			    "sink's own path the link.");
			return HF_E_DENIED;
		}
		if (create) {
			dir_host->fail(err, HF_E_INVALID,
			    "%s/%.*s is a file, but a folder is needed there",
			    s->path, len, key);
			return HF_E_INVALID;
		}
		errnum = ENOENT;
	}
	return dir_host->fail_errno(
	    err, errnum, "opening folder %s/%.*s", s->path, len, key);
}

/* Make one folder and its name durable.  0, or errno. */
static int
make_folder(int at, const char *name)
{
	if (mkdirat(at, name, 0700) != 0)
		return errno == EEXIST ? 0 : errno;
	return path_fsync(at, true) == 0 ? 0 : errno;
}

/* One walk from the root.  ENOENT in *vanished: worth another try. */
static int
walk(struct hf_store *s, const char *key, bool create, int *fd,
    const char **last, bool *vanished, struct hf_error *err)
{
	char name[NAME_MAX + 1];
	const char *at = key, *next;
	int dir, sub, errnum, len;

	*vanished = false;
	if ((errnum = root_need(s, err)) != HF_OK)
		return errnum;
	/* Not a duplicate: that would share the position of readdir. */
	if ((dir = openat(s->root, ".", FOLDER_FLAGS)) < 0)
		return dir_host->fail_errno(err, errno, "opening %s", s->path);
	for (;;) {
		if ((next = component(at, name)) == NULL) {
			(void)close(dir);
			return bad_key(key, err);
		}
		if (*next == '\0')
			break;
		sub = openat(dir, name, FOLDER_FLAGS);
		errnum = sub < 0 ? errno : 0;
		if (errnum == ENOENT && create) {
			errnum = make_folder(dir, name);
			if (errnum == 0) {
				sub = openat(dir, name, FOLDER_FLAGS);
				errnum = sub < 0 ? errno : 0;
			}
			*vanished = errnum == ENOENT;
		}
		if (errnum != 0) {
			len = (int)(next - key) - 1;
			errnum = explain(
			    s, dir, name, key, len, create, errnum, err);
			(void)close(dir);
			return errnum;
		}
		(void)close(dir);
		dir = sub;
		at = next;
	}
	*fd = dir;
	*last = at;
	return HF_OK;
}

int
path_parent(struct hf_store *s, const char *key, bool create, int *fd,
    const char **last, struct hf_error *err)
{
	bool vanished;
	int rc;

	for (int i = 0;; i++) {
		rc = walk(s, key, create, fd, last, &vanished, err);
		if (rc == HF_OK || !vanished || i == VANISH_TRIES)
			return rc;
	}
}

/* The key up to its n-th component's '/', as a key of its own. */
static bool
cut(const char *key, size_t len, char *out, size_t cap)
{
	if (len >= cap)
		return false;
	memcpy(out, key, len);
	out[len] = '\0';
	return true;
}

int
path_sync(struct hf_store *s, const char *key, int folder, struct hf_error *err)
{
	char part[1024];
	const char *last;
	size_t len = strlen(key);
	int fd, errnum, rc;

	if (path_fsync(folder, true) != 0)
		return dir_host->fail_errno(
		    err, errno, "syncing the folder of %s/%s", s->path, key);
	/* The folders above may have been made by another process that has not
	 * synced them yet. */
	if (synced_has(&s->synced, folder))
		return HF_OK;
	while (len > 0) {
		while (len > 0 && key[len - 1] != '/')
			len--;
		if (len == 0)
			break;
		if (!cut(key, --len, part, sizeof part))
			return bad_key(key, err);
		rc = path_parent(s, part, false, &fd, &last, err);
		if (rc != HF_OK)
			return rc;
		errnum = path_fsync(fd, true) == 0 ? 0 : errno;
		(void)close(fd);
		if (errnum != 0)
			return dir_host->fail_errno(err, errnum,
			    "syncing the folder of %s/%s", s->path, part);
	}
	synced_add(&s->synced, folder);
	return HF_OK;
}

void
path_prune(struct hf_store *s, const char *key)
{
	char part[1024];
	const char *last;
	size_t len = strlen(key);
	bool removed = true;
	int fd;

	while (removed) {
		while (len > 0 && key[len - 1] != '/')
			len--;
		if (len == 0 || !cut(key, --len, part, sizeof part) ||
		    path_parent(s, part, false, &fd, &last, NULL) != HF_OK)
			return;
		/* Only an empty folder can be removed this way. */
		removed = unlinkat(fd, last, AT_REMOVEDIR) == 0;
		(void)close(fd);
	}
}

#define DEPTH 64

static void
sweep(int folder, int depth)
{
	int sub, fd = openat(folder, ".", FOLDER_FLAGS);
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return;
	if ((dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		/* Only an empty folder can be removed this way. */
		if (!path_name_valid(e->d_name) ||
		    unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0 ||
		    (errno != ENOTEMPTY && errno != EEXIST) || depth == 0 ||
		    (sub = openat(fd, e->d_name, FOLDER_FLAGS)) < 0)
			continue;
		sweep(sub, depth - 1);
		(void)close(sub);
		(void)unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	(void)closedir(dir);
}

void
path_sweep(int folder)
{
	sweep(folder, DEPTH);
}
