/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that are no objects yet.
 *
 * Where the file system can, such a file has no name at all until it is
 * committed, and a killed run leaves nothing.  Elsewhere it is
 * ".tmp-PID-RANDOM" in the root (a leading dot: never a key), held by an
 * flock; whoever gets the lock of such a file knows that its maker is gone. */
#ifndef HF_DIR_TEMP_H
#define HF_DIR_TEMP_H

#include <stdbool.h>

struct hf_store;

#define TEMP_NAME_MAX 64

struct temp {
	int fd;
	char name[TEMP_NAME_MAX]; /* "" while it has none */
};

/* A new empty file, open for writing and reading, mode 0600.  0, or errno. */
int temp_open(struct hf_store *, struct temp *);

/* Give it the name in a folder.  replace: whatever file has it is replaced in
 * one step; else EEXIST.  The temporary name is gone after success.
 * 0, or errno. */
int temp_publish(struct hf_store *, struct temp *, int folder, const char *name,
    bool replace);

/* A name that no other file has, and that a cleaner knows.  0, or errno. */
int temp_name(char name[TEMP_NAME_MAX]);

/* Close, and remove what has no other name. */
void temp_close(struct hf_store *, struct temp *);

/* Remove what dead processes left.  Returns how many. */
unsigned temp_clean(struct hf_store *);

#endif
