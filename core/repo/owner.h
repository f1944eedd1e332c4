/* SPDX-License-Identifier: BSD-2-Clause */
/* Who holds a lease, precisely enough to know when that process is gone. */
#ifndef HF_REPO_OWNER_H
#define HF_REPO_OWNER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct owner {
	char user[32], host[64];
	char boot_id[40]; /* of the running kernel; "" when unknown */
	uint64_t pid_ns;  /* inode of the pid namespace; 0 when unknown */
	int64_t pid;
	uint64_t pid_start; /* field 22 of /proc/PID/stat */
};

/* This process. */
void owner_self(struct owner *);

/* Members are added to the object.  -1: no memory. */
int owner_to_json(const struct owner *, json_t *object);
/* What is missing stays empty. */
void owner_from_json(const json_t *, struct owner *);

/* "root, process 4711" */
void owner_text(const struct owner *, char *buf, size_t cap);

bool owner_same(const struct owner *, const struct owner *);
bool owner_is_self(const struct owner *);

/* Proven, not supposed: it ran on this very kernel boot and in this pid
 * namespace, and there is no such process, or it is another one now. */
bool owner_is_dead(const struct owner *);

#endif
