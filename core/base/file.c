/* SPDX-License-Identifier: BSD-2-Clause */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "error.h"
#include "text.h"

int
file_read(const char *path, size_t max, struct buf *b, struct hf_error *err)
{
	uint8_t chunk[16384];
	size_t start = b->len;
	ssize_t n;
	int fd, rc = HF_OK;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return error_errno(err, errno, "cannot open %s", path);
	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = error_errno(err, errno, "cannot read %s", path);
			break;
		}
		if (b->len - start + (size_t)n > max) {
			rc = error_fail(err, HF_E_INVALID,
			    "%s is larger than %zu bytes", path, max);
			break;
		}
		if ((rc = buf_append(b, chunk, (size_t)n, err)) != HF_OK)
			break;
	}
	explicit_bzero(chunk, sizeof chunk); /* it may have been a secret */
	(void)close(fd);
	return rc == HF_OK ? buf_puts(b, "", err) : rc;
}

int
file_write_all(
    int fd, const void *data, size_t n, const char *path, struct hf_error *err)
{
	const uint8_t *p = data;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_errno(err, errno, "cannot write %s", path);
		p += done;
		n -= (size_t)done;
	}
	return HF_OK;
}

static int
sync_folder_of(const char *path, struct hf_error *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL   ? strdup(".")
		    : slash == path ? strdup("/")
				    : strndup(path, (size_t)(slash - path));
	int fd, rc = HF_OK;

	if (dir == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    fsync(fd) != 0)
		rc = error_errno(err, errno, "cannot sync the folder %s", dir);
	if (fd >= 0)
		(void)close(fd);
	free(dir);
	return rc;
}

int
file_write(const char *path, const void *data, size_t n, struct hf_error *err)
{
	char tag[17], *temp;
	int fd, rc;

	text_random_hex(8, tag);
	if ((temp = text_format("%s.%s.tmp", path, tag)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = error_errno(err, errno, "cannot create %s", temp);
		goto err0;
	}
	if ((rc = file_write_all(fd, data, n, temp, err)) != HF_OK)
		goto err1;
	if (fsync(fd) != 0) {
		rc = error_errno(err, errno, "cannot sync %s", temp);
		goto err1;
	}
	if (close(fd) != 0) {
		rc = error_errno(err, errno, "cannot close %s", temp);
		goto err2;
	}
	if (rename(temp, path) != 0) {
		rc = error_errno(err, errno, "cannot rename to %s", path);
		goto err2;
	}
	free(temp);
	return sync_folder_of(path, err);

err1:
	(void)close(fd);
err2:
	(void)unlink(temp);
err0:
	free(temp);
	return rc;
}

int
file_mkdirs(const char *path, struct hf_error *err)
{
	char *copy = strdup(path), *p;
	struct stat st;
	int rc = HF_OK;

	if (copy == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	for (p = copy + (*copy == '/'); rc == HF_OK; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (*copy != '\0' && mkdir(copy, 0700) != 0 &&
		    (errno != EEXIST || stat(copy, &st) != 0))
			rc = error_errno(
			    err, errno, "cannot make the folder %s", copy);
		*p = c;
		if (c == '\0')
			break;
	}
	if (rc == HF_OK && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
		rc = error_fail(err, HF_E_INVALID, "%s is not a folder", path);
	free(copy);
	return rc;
}

int
file_unlinked(const char *dir, int *fd, struct hf_error *err)
{
	char tag[17], *path;
	int rc = HF_OK;

	*fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd >= 0)
		return HF_OK;
	/* Not every file system has O_TMPFILE. */
	text_random_hex(8, tag);
	if ((path = text_format("%s/unlinked-%s", dir, tag)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	*fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		rc = error_errno(err, errno, "cannot create a file in %s", dir);
	else
		(void)unlink(path);
	free(path);
	return rc;
}

char *
file_absolute(const char *path, const char *base)
{
	char *cwd = NULL, *result;

	if (path[0] == '/')
		return strdup(path);
	if (base == NULL && (base = cwd = getcwd(NULL, 0)) == NULL)
		return NULL;
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	result = text_format(
	    "%s%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/", path);
	free(cwd);
	return result;
}
