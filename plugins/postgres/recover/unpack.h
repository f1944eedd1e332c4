/* SPDX-License-Identifier: BSD-2-Clause */
/* A tar file of a base backup into its folder. */
#ifndef HF_POSTGRES_RECOVER_UNPACK_H
#define HF_POSTGRES_RECOVER_UNPACK_H

#include <holdfast/plugin.h>

struct chain;
struct folder;
struct geometry;
struct inventory;

/* A small file, in memory too. */
struct unpack_kept {
	char *bytes; /* a NUL behind them; NULL: it did not come */
	size_t len;
};

struct unpack {
	const struct hf_ctx *ctx;
	struct hf_in *in;
	const char *object;          /* "base.tar" */
	const struct folder *folder; /* where to */
	const char *prefix;          /* see writers.h; "" for base.tar */
	struct inventory *inventory; /* may be NULL */
	unsigned threads;            /* that write */
	/* Of a chain's link; NULL: everything is written. */
	const struct chain *chain;
	size_t link;
	bool last; /* it is the newest */
	const struct geometry *geometry;

	/* Told. */
	bool group;   /* group access: modes 0750 and 0640 */
	bool wal;     /* there is a segment in pg_wal */
	size_t files; /* made */
	uint64_t bytes;
	struct unpack_kept label, control; /* of base.tar; to be freed */
};

/* The whole object is read, and its hash proved.  Only plain files, folders
 * and the links of pg_tblspc (left out: who knows where tablespaces are makes
 * them) may be in it, and no path may lead out of it: else HF_E_CORRUPT.
 * pg_control gets its temporary name.
 *
 * Of a chain, each file becomes what chain_job says, but for backup_label,
 * which is only kept; folders are those of the last link, and others are made
 * where a file needs them. */
int unpack_run(struct unpack *, struct hf_error *);

#endif
