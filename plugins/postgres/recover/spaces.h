/* SPDX-License-Identifier: BSD-2-Clause */
/* Tablespaces of a base backup: where each was, and where it goes. */
#ifndef HF_POSTGRES_RECOVER_SPACES_H
#define HF_POSTGRES_RECOVER_SPACES_H

#include "folder.h"

struct space {
	char oid[16];
	char object[24]; /* "16385.tar" */
	char prefix[40]; /* "pg_tblspc/16385/" */
	uint64_t size;   /* of the object */
	char *from, *to; /* from: NULL when the backup does not tell */
	struct folder folder;
};
struct spaces {
	struct space *all;
	size_t n;
};

/* The tablespaces of a backup, and by map ("OLD=NEW", NULL ends; may be NULL)
 * where they go.  below: into folders of their own there instead, for a
 * private copy; NULL: no.  HF_E_INVALID names a part of the map that fits
 * none, two that go to one place, or one inside of datadir. */
int spaces_list(struct hf_in *, const char *const *map, const char *below,
    const char *datadir, struct spaces *, struct hf_error *);
/* "16385" out of "16385.tar"; false: the object is no tablespace. */
bool spaces_oid(const char *object, char oid[16]);
/* Their folders, as folder_open. */
int spaces_open(struct spaces *, const struct hf_ctx *, const struct owner *,
    struct hf_error *);
/* The links, and tablespace_map, by which the server makes them anew. */
int
spaces_link(const struct spaces *, const struct folder *, struct hf_error *);
void spaces_close(struct spaces *, bool done);

#endif
