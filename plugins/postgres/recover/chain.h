/* SPDX-License-Identifier: BSD-2-Clause */
/* A full backup and the increments on it, as one.
 *
 * They are restored oldest first, in place: each link's tar files are read
 * once, and a file is written when the newest link that has all of it comes;
 * the increments behind that are applied to it.  So there is never a second
 * copy, and nothing is written that a later link replaces.  Which link that is
 * for each file is known before anything is written, by the links' manifests:
 * a chain that misses something is refused at once. */
#ifndef HF_POSTGRES_RECOVER_CHAIN_H
#define HF_POSTGRES_RECOVER_CHAIN_H

#include "inventory.h"
#include "writers.h"

/* Oldest first.  One: a full backup. */
struct links {
	struct hf_in *const *all;
	size_t n;
};
struct hf_in *links_last(const struct links *);
/* By their facts: does each build on the one before it, and is the first one
 * full?  HF_E_CORRUPT, HF_E_INVALID: no. */
int links_check(const struct links *, struct hf_error *);
/* The text of a link's backup_label: does it say the same? */
int links_label(
    const struct links *, size_t link, const char *text, struct hf_error *);
/* "increment 2 of 3", for messages. */
void links_name(const struct links *, size_t link, char *buf, size_t cap);
/* The inventory of a link, and (unless NULL) its text, to be freed. */
int links_inventory(const struct links *, size_t link, struct inventory **,
    char **text, struct hf_error *);

/* A file of the result. */
struct chain_file {
	char *path;
	size_t base;                /* the newest link that has all of it */
	bool changed;               /* by increments behind that */
	struct inventory_file told; /* of the base link; path: not set */
};

struct chain;

/* HF_E_CORRUPT: a file of the last link is in no link before it, or an
 * increment has nothing that it could be applied to. */
int chain_read(const struct links *, struct chain **, struct hf_error *);
void chain_free(struct chain *);
/* What to do with a file that a link's tar has: its path below the data
 * directory.  HF_E_CORRUPT: it cannot be there. */
int chain_job(const struct chain *, size_t link, const char *path,
    enum writers_job *, struct hf_error *);
/* In the order of their paths. */
size_t chain_count(const struct chain *);
const struct chain_file *chain_get(const struct chain *, size_t);
/* At least so many bytes are needed for the files below prefix; "": for all
 * that are in no tablespace.  And of the last link's base.tar its manifest has
 * so many: the rest is WAL. */
uint64_t chain_room(const struct chain *, const char *prefix);
uint64_t chain_listed(const struct chain *);
/* Of the last link. */
const char *chain_wal(const struct chain *);

#endif
