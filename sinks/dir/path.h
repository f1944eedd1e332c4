/* SPDX-License-Identifier: BSD-2-Clause */
/* From a key to an open folder, without following links. */
#ifndef HF_DIR_PATH_H
#define HF_DIR_PATH_H

#include <stdbool.h>
#include <stddef.h>

struct hf_error;
struct hf_store;

/* Open the folder that holds the key's last component, which *last points at.
 * create: make what is missing, mode 0700; what was made is durable on
 * return.  HF_E_NOTFOUND when a folder is missing (or is a file and create is
 * false), HF_E_DENIED for a link, HF_E_INVALID for a file in the way.
 * The caller closes *fd. */
int path_parent(struct hf_store *, const char *key, bool create, int *fd,
    const char **last, struct hf_error *);

/* Make the key's folders durable, from the folder (an open descriptor of the
 * key's parent) up to the root; those above once for each folder. */
int
path_sync(struct hf_store *, const char *key, int folder, struct hf_error *);

/* Remove the folders above the key that are empty; whatever is in the way
 * ends it silently. */
void path_prune(struct hf_store *, const char *key);

/* Remove the empty folders below an open one: what is left of a process that
 * was killed between making a folder and using it. */
void path_sweep(int folder);

/* Can a file of this name be (part of) an object? */
bool path_name_valid(const char *name);

/* fsync, through EINTR.  0, or -1 with errno.  A file system that has no
 * fsync of folders is not an error. */
int path_fsync(int fd, bool folder);

#endif
