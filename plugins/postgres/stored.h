/* SPDX-License-Identifier: BSD-2-Clause */
/* A stored backup: which databases it has, and small objects read whole. */
#ifndef HF_POSTGRES_STORED_H
#define HF_POSTGRES_STORED_H

#include "layout.h"

struct stored_database {
	char *prefix; /* "" or "shop/", before object names */
	struct contents contents;
};
struct stored {
	struct stored_database *databases;
	size_t n;
	bool globals; /* has 000-globals.sql */
};

/* Every contents.json of a backup.  HF_E_CORRUPT when there is none. */
int stored_open(struct hf_in *, struct stored *, struct hf_error *);
void stored_close(struct stored *);

/* A whole object in memory, to be freed, with a NUL behind it.  name: without
 * prefix.  HF_E_NOTFOUND when there is none of that name. */
int stored_read(struct hf_in *, const char *prefix, const char *name,
    char **text, size_t *len, struct hf_error *);
/* A whole object to the end of a descriptor. */
int stored_copy(struct hf_in *, const char *prefix, const char *name, int fd,
    struct hf_error *);

#endif
