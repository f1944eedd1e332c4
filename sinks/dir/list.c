/* SPDX-License-Identifier: BSD-2-Clause */
#include "dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "path.h"
#include "root.h"

#define KEY_MAX 512

struct lister {
	struct hf_store *store;
	hf_list_fn *fn;
	void *arg;
	struct hf_error *err;
	bool warned;
	size_t len; /* of key: the folder being listed, with its '/' */
	char key[KEY_MAX + 1];
};

/* A folder's names, read at once and sorted: a name that is moved about while
 * readdir runs cannot come twice, and no callback runs inside readdir. */
struct names {
	char **v;
	size_t n, cap;
};

static void
names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

static bool
names_add(struct names *names, const char *name)
{
	size_t cap = names->cap == 0 ? 64 : names->cap * 2;
	char **v, *copy;

	if (names->n == names->cap) {
		v = reallocarray(names->v, cap, sizeof *v);
		if (v == NULL)
			return false;
		names->v = v;
		names->cap = cap;
	}
	if ((copy = strdup(name)) == NULL)
		return false;
	names->v[names->n++] = copy;
	return true;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
names_sort(struct names *names)
{
	size_t kept = 0;

	if (names->n == 0)
		return;
	qsort(names->v, names->n, sizeof *names->v, compare);
	for (size_t i = 1; i < names->n; i++)
		if (strcmp(names->v[kept], names->v[i]) == 0)
			free(names->v[i]);
		else
			names->v[++kept] = names->v[i];
	names->n = kept + 1;
}

static int
failed(struct lister *l, int errnum)
{
	return dir_host->fail_errno(l->err, errnum, "listing %s/%.*s",
	    l->store->path, (int)l->len, l->key);
}

/* The names in an open folder that start with base. */
static int
names_read(struct lister *l, int fd, const char *base, struct names *names)
{
	size_t len = strlen(base);
	struct dirent *e;
	DIR *dir;
	int copy, rc = HF_OK;

	if ((copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return failed(l, errno);
	if ((dir = fdopendir(copy)) == NULL) {
		rc = failed(l, errno);
		(void)close(copy);
		return rc;
	}
	for (;;) {
		errno = 0;
		if ((e = readdir(dir)) == NULL)
			break;
		/* Strangers' files are none of our business. */
		if (!path_name_valid(e->d_name) ||
		    strncmp(e->d_name, base, len) != 0)
			continue;
		if (!names_add(names, e->d_name)) {
			errno = ENOMEM;
			break;
		}
	}
	/* A list that lacks something must never look like a whole one. */
	if (errno != 0)
		rc = failed(l, errno);
	(void)closedir(dir);
	names_sort(names);
	return rc;
}

static int list_folder(struct lister *, int fd, const char *base);

static int
list_subfolder(struct lister *l, int fd, const char *name)
{
	int sub, rc;

	sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Removed, or replaced, since it was looked at. */
	if (sub < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return HF_OK;
	if (sub < 0)
		return failed(l, errno);
	l->key[l->len++] = '/';
	l->key[l->len] = '\0';
	rc = list_folder(l, sub, "");
	(void)close(sub);
	return rc;
}

static void
warn_link(struct lister *l)
{
	if (l->warned)
		return;
	l->warned = true;
	dir_host->log(l->store->ctx, HF_LOG_WARN, "dir.link",
	    "%s/%s is a symbolic link and is left out; links below a sink's "
	    "folder are not followed",
	    l->store->path, l->key);
}

/* l->key ends in name here. */
static int
list_entry(struct lister *l, int fd, const char *name)
{
	struct hf_object o = { .struct_size = sizeof o };
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? HF_OK : failed(l, errno);
	if (S_ISLNK(st.st_mode))
		warn_link(l);
	if (S_ISDIR(st.st_mode) && l->len + 1 < KEY_MAX)
		return list_subfolder(l, fd, name);
	if (!S_ISREG(st.st_mode))
		return HF_OK;
	dir_describe(&st, &o);
	o.key = l->key;
	return l->fn(l->arg, &o);
}

/* Recursion ends: each level adds two bytes at least to a bounded key. */
static int
list_folder(struct lister *l, int fd, const char *base)
{
	struct names names = { NULL, 0, 0 };
	size_t len = l->len, more;
	int rc = names_read(l, fd, base, &names);

	for (size_t i = 0; i < names.n && rc == HF_OK; i++) {
		more = strlen(names.v[i]);
		if (len + more > KEY_MAX)
			continue;
		memcpy(l->key + len, names.v[i], more + 1);
		l->len = len + more;
		rc = list_entry(l, fd, names.v[i]);
	}
	l->len = len;
	l->key[len] = '\0';
	names_free(&names);
	return rc;
}

int
list_keys(struct hf_store *s, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	const char *slash = strrchr(prefix, '/');
	const char *base = slash == NULL ? prefix : slash + 1;
	struct lister l = { .store = s, .fn = fn, .arg = arg, .err = err };
	char inside[KEY_MAX + 2];
	const char *last;
	int fd, rc;

	l.len = (size_t)(base - prefix);
	if (l.len > KEY_MAX)
		return HF_OK;
	memcpy(l.key, prefix, l.len);
	/* Of a disk that is not mounted nobody knows what it has. */
	if ((rc = root_need(s, err)) != HF_OK)
		return rc;
	/* The folder is the parent of any name in it. */
	(void)snprintf(inside, sizeof inside, "%sx", l.key);
	rc = path_parent(s, inside, false, &fd, &last, err);
	if (rc == HF_E_NOTFOUND)
		return HF_OK;
	if (rc != HF_OK)
		return rc;
	rc = list_folder(&l, fd, base);
	(void)close(fd);
	return rc;
}
