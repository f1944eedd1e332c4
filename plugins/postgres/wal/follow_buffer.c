/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow_buffer.h"

#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define IN_MEMORY ((size_t)16 << 20)

/* The folder of its file; NULL: it is in memory. */
static const char *
folder_of(const struct hf_ctx *ctx, size_t size)
{
	return size > IN_MEMORY ? H->folder(ctx, HF_FOLDER_SCRATCH) : NULL;
}

/* Its room is reserved: a disk that is full later would be a signal. */
static int
make_file(const char *folder, size_t size, int *fd, struct hf_error *err)
{
	char path[PATH_MAX];
	int e;

	if (snprintf(path, sizeof path, "%s/wal.XXXXXX", folder) >=
	    (int)sizeof path)
		return H->fail(err, HF_E_INVALID, "%s: too long", folder);
	if ((*fd = mkostemp(path, O_CLOEXEC)) == -1)
		return H->fail_errno(err, errno, "making %s", path);
	(void)unlink(path);
	if ((e = posix_fallocate(*fd, 0, (off_t)size)) == 0)
		return HF_OK;
	(void)close(*fd);
	return H->fail_errno(err, e, "reserving %zu bytes in %s", size, folder);
}

int
buffer_new(
    const struct hf_ctx *ctx, size_t size, uint8_t **out, struct hf_error *err)
{
	const char *folder = folder_of(ctx, size);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, fd = -1, rc, e;
	void *map;

	if (folder != NULL) {
		if ((rc = make_file(folder, size, &fd, err)) != HF_OK)
			return rc;
		flags = MAP_SHARED;
	}
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	e = errno;
	if (fd != -1)
		(void)close(fd);
	if (map == MAP_FAILED)
		return H->fail_errno(err, e, "mapping %zu bytes", size);
	*out = map;
	return HF_OK;
}

void
buffer_rest(const struct hf_ctx *ctx, uint8_t *buf, size_t size, size_t from,
    size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), end = from + len;

	/* What is not of a file would be lost. */
	if (folder_of(ctx, size) == NULL)
		return;
	from = (from + page - 1) / page * page;
	end = end / page * page;
	if (from < end)
		(void)madvise(buf + from, end - from, MADV_DONTNEED);
}

void
buffer_free(uint8_t *buf, size_t size)
{
	if (buf != NULL)
		(void)munmap(buf, size);
}
