/* SPDX-License-Identifier: BSD-2-Clause */
/* The backup_manifest of what a chain made: the server's form, so that
 * pg_verifybackup can look at it. */
#ifndef HF_POSTGRES_RECOVER_MANIFEST_H
#define HF_POSTGRES_RECOVER_MANIFEST_H

#include <holdfast/plugin.h>

struct chain;
struct folder;
struct spaces;
struct text;

struct manifest {
	const struct hf_ctx *ctx;
	const struct chain *chain;
	const struct folder *folder;
	const struct spaces *spaces;
	const char *system; /* its identifier */
	unsigned threads;
};

/* Of files that no increment and no restore changed, what their own manifest
 * said; the others are read back from the disk.  HF_E_CORRUPT: one of those is
 * missing. */
int
manifest_write(const struct manifest *, struct text *out, struct hf_error *);

#endif
