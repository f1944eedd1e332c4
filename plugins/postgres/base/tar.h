/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at a tar stream that passes: is it whole, and what does its
 * pg_control and its backup_label say?  Nothing is kept but one header and
 * these files. */
#ifndef HF_POSTGRES_BASE_TAR_H
#define HF_POSTGRES_BASE_TAR_H

#include <holdfast/plugin.h>

#define TAR_BLOCK 512
#define TAR_KEPT 8192 /* the size of pg_control; the other has a few lines */

/* A file that is kept, its beginning at least; and a NUL. */
struct tar_kept {
	char b[TAR_KEPT + 1];
	size_t len;
};

struct tar {
	const char *name;              /* for messages */
	unsigned char head[TAR_BLOCK]; /* the block that is coming in */
	size_t have;                   /* of it */
	uint64_t left; /* bytes of the member that are still to come */
	uint64_t pad;  /* and of what fills its last block */
	unsigned zeros;
	uint64_t members;
	struct tar_kept *keeping; /* where this member goes; NULL: nowhere */
	struct tar_kept control;  /* global/pg_control; len 0: not there */
	struct tar_kept label;    /* backup_label */
};

void tar_init(struct tar *, const char *name);
/* HF_E_CORRUPT: what comes is no tar. */
int tar_feed(struct tar *, const void *, size_t len, struct hf_error *);
/* HF_E_IO: it ended inside of a member, or without the two empty blocks that
 * are the end of a tar. */
int tar_end(const struct tar *, struct hf_error *);
/* Is it inside of a member? */
bool tar_inside(const struct tar *);

#endif
