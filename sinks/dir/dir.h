/* SPDX-License-Identifier: BSD-2-Clause */
/* The store "dir": objects are files below one folder, the root.
 *
 * Everything below the root is reached from the root's descriptor, component
 * by component, and a symbolic link is never followed.  The root's own path
 * may go through links.  Objects are 0600, folders 0700. */
#ifndef HF_DIR_DIR_H
#define HF_DIR_DIR_H

#include <stdatomic.h>

#include <holdfast/plugin.h>

#include "synced.h"

struct conf {
	const char *path;
	int64_t min_free;
};

/* Set once before the first thread; never changed while it is used, but for
 * what has a lock of its own. */
struct hf_store {
	const struct hf_ctx *ctx;
	const char *path; /* borrowed: valid until close */
	_Atomic int root; /* -1: not there yet (root.h) */
	uint64_t min_free;
	struct synced synced;
};

extern const struct hf_host *dir_host;

/* Fill size, mtime and etag from the file's status. */
struct stat;
void dir_describe(const struct stat *, struct hf_object *);

/* "9.8 MiB", in text. */
#define DIR_SIZE_TEXT 32
const char *dir_size_text(uint64_t bytes, char text[DIR_SIZE_TEXT]);

/* HF_OK for a regular file; HF_E_DENIED for a link, HF_E_CORRUPT for all else
 * that cannot be an object. */
int dir_check_type(
    struct hf_store *, const char *key, const struct stat *, struct hf_error *);

/* Record why a finished file did not get its key. */
int dir_publish_failed(
    struct hf_store *, const char *key, int errnum, struct hf_error *);

/* hf_store_ops */
int put_begin(struct hf_store *, const char *key, const struct hf_put_opts *,
    struct hf_put **, struct hf_error *);
int put_write(struct hf_put *, const void *, size_t, struct hf_error *);
int put_commit(struct hf_put *, struct hf_object *, struct hf_error *);
void put_abort(struct hf_put *);

int get_open(struct hf_store *, const char *key, uint64_t off, uint64_t len,
    struct hf_get **, struct hf_error *);
int get_read(struct hf_get *, void *, size_t, size_t *, struct hf_error *);
void get_close(struct hf_get *);
int get_stat(
    struct hf_store *, const char *key, struct hf_object *, struct hf_error *);

int list_keys(struct hf_store *, const char *prefix, hf_list_fn *, void *,
    struct hf_error *);

int check_store(struct hf_store *, hf_finding_fn *, void *, struct hf_error *);

#endif
