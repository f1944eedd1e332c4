/* SPDX-License-Identifier: BSD-2-Clause */
#include "path.h"

#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const path_sidecars[] = { "-wal", "-shm", "-journal", NULL };

char *
path_with(const char *path, const char *suffix, struct hf_error *err)
{
	size_t a = strlen(path), b = strlen(suffix);
	char *s;

	if ((s = malloc(a + b + 1)) == NULL) {
		H->fail(err, HF_E_NOMEM, "no memory for a path");
		return NULL;
	}
	memcpy(s, path, a);
	memcpy(s + a, suffix, b + 1);
	return s;
}

static int
stat_with(const char *path, const char *suffix, struct stat *st)
{
	char name[PATH_MAX];
	size_t a = strlen(path), b = strlen(suffix);

	if (a + b >= sizeof name)
		return -1;
	memcpy(name, path, a);
	memcpy(name + a, suffix, b + 1);
	return lstat(name, st);
}

int64_t
path_size(const char *path, const char *suffix)
{
	struct stat st;

	if (stat_with(path, suffix, &st) != 0 || !S_ISREG(st.st_mode))
		return -1;
	return st.st_size;
}

bool
path_exists(const char *path, const char *suffix)
{
	struct stat st;

	return stat_with(path, suffix, &st) == 0;
}

const char *
path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

char *
path_folder(const char *path, struct hf_error *err)
{
	const char *slash = strrchr(path, '/');
	char *s;

	if (slash == NULL)
		s = strdup(".");
	else if (slash == path)
		s = strdup("/");
	else
		s = strndup(path, (size_t)(slash - path));
	if (s == NULL)
		H->fail(err, HF_E_NOMEM, "no memory for a path");
	return s;
}

int
path_resolve(const char *path, char **out, struct hf_error *err)
{
	char *dir = NULL, *real = NULL, *joined = NULL;
	const char *base = path_base(path);
	int rc;

	*out = NULL;
	if ((*out = realpath(path, NULL)) != NULL)
		return HF_OK;
	if (errno != ENOENT)
		return H->fail_errno(err, errno, "%s", path);
	if (base[0] == '\0')
		return H->fail(err, HF_E_INVALID, "%s: no file name", path);
	/* A link that leads nowhere would be replaced by a file. */
	if (path_exists(path, ""))
		return H->fail(
		    err, HF_E_INVALID, "%s is a link that leads nowhere", path);
	if ((dir = path_folder(path, err)) == NULL)
		return HF_E_NOMEM;
	if ((real = realpath(dir, NULL)) == NULL) {
		rc = H->fail_errno(err, errno, "folder %s", dir);
		goto done;
	}
	rc = HF_E_NOMEM;
	if ((joined = path_with(
		 real, strcmp(real, "/") == 0 ? "" : "/", err)) == NULL)
		goto done;
	if ((*out = path_with(joined, base, err)) == NULL)
		goto done;
	rc = HF_OK;
done:
	free(joined);
	free(real);
	free(dir);
	return rc;
}

int
path_sync_folder(const char *path, struct hf_error *err)
{
	char *dir;
	int fd, rc = HF_OK;

	if ((dir = path_folder(path, err)) == NULL)
		return HF_E_NOMEM;
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		rc = H->fail_errno(err, errno, "opening folder %s", dir);
		goto done;
	}
	/* Some filesystems cannot sync a folder and say EINVAL. */
	if (fsync(fd) != 0 && errno != EINVAL)
		rc = H->fail_errno(err, errno, "syncing folder %s", dir);
	(void)close(fd);
done:
	free(dir);
	return rc;
}

int
path_unlink(const char *path, const char *suffix, struct hf_error *err)
{
	char *name;
	int rc = HF_OK;

	if ((name = path_with(path, suffix, err)) == NULL)
		return HF_E_NOMEM;
	if (unlink(name) != 0 && errno != ENOENT)
		rc = H->fail_errno(err, errno, "removing %s", name);
	free(name);
	return rc;
}

char *
path_immutable_uri(const char *path, struct hf_error *err)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char tail[] = "?immutable=1";
	const unsigned char *p;
	char *uri, *w;

	if ((uri = malloc(5 + 3 * strlen(path) + sizeof tail)) == NULL) {
		H->fail(err, HF_E_NOMEM, "no memory for a path");
		return NULL;
	}
	memcpy(uri, "file:", 5);
	w = uri + 5;
	for (p = (const unsigned char *)path; *p != '\0'; p++) {
		if (*p > ' ' && *p < 0x7f && strchr("%?#", *p) == NULL) {
			*w++ = (char)*p;
		} else {
			*w++ = '%';
			*w++ = hex[*p >> 4];
			*w++ = hex[*p & 15];
		}
	}
	memcpy(w, tail, sizeof tail);
	return uri;
}
