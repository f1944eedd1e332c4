/* SPDX-License-Identifier: BSD-2-Clause */
/* Local files: whole reads and durable writes. */
#ifndef HF_BASE_FILE_H
#define HF_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

struct buf;
struct hf_error;

/* Append the whole file to buf, and a NUL that len does not count.
 * HF_E_INVALID when it is larger than max. */
int file_read(const char *path, size_t max, struct buf *, struct hf_error *);

/* Temp name beside it, write, fsync, rename, fsync of the folder; mode 0600. */
int file_write(const char *path, const void *, size_t, struct hf_error *);

/* All of buf, through short writes and EINTR.  HF_OK, or the errno's status
 * with path in the text. */
int file_write_all(
    int fd, const void *, size_t, const char *path, struct hf_error *);

/* Make the folder and its parents, mode 0700.  HF_OK when it is there. */
int file_mkdirs(const char *path, struct hf_error *);

/* A new unlinked file in dir, read and write, close-on-exec. */
int file_unlinked(const char *dir, int *fd, struct hf_error *);

/* An absolute path, '.' and '..' and links left as they are; relative ones
 * stand under base (NULL: the current folder).  NULL without memory. */
char *file_absolute(const char *path, const char *base);

#endif
