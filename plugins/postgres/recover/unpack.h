/* SPDX-License-Identifier: BSD-2-Clause */
/* A tar file of a base backup into its folder. */
#ifndef HF_POSTGRES_RECOVER_UNPACK_H
#define HF_POSTGRES_RECOVER_UNPACK_H

#include <holdfast/plugin.h>

struct inventory;
struct folder;

struct unpack {
	const struct hf_ctx *ctx;
	struct hf_in *in;
	const char *object;          /* "base.tar" */
	uint64_t size;               /* of it */
	const struct folder *folder; /* where to */
	const char *prefix;          /* see writers.h; "" for base.tar */
	struct inventory *inventory; /* may be NULL */
	unsigned threads;            /* that write */

	/* Told. */
	bool group; /* group access: modes 0750 and 0640 */
	bool wal;   /* there is a segment in pg_wal */
	size_t files;
	uint64_t bytes;
};

/* The whole object is read, and its hash proved.  Only plain files, folders
 * and the links of pg_tblspc (left out: who knows where tablespaces are makes
 * them) may be in it, and no path may lead out of it: else HF_E_CORRUPT.
 * pg_control gets its temporary name. */
int unpack_run(struct unpack *, struct hf_error *);

#endif
