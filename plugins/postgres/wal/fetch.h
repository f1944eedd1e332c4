/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects of the log into files: written beside, checked, renamed. */
#ifndef HF_POSTGRES_WAL_FETCH_H
#define HF_POSTGRES_WAL_FETCH_H

#include "mark.h"
#include "name.h"

struct archive;

struct fetch {
	struct hf_in *log;
	uint64_t system;
	uint32_t segment_size;
	struct wal_name name;
};

/* Which server, and what is asked for?  The pg_control of the data directory
 * that file belongs to says it (place.h); without one the log does, when it has
 * no other: then *a (NULL before) is loaded too.  Fills all but log. */
int fetch_identify(struct fetch *, const char *name, const char *file,
    struct archive **a, struct hf_error *);

/* The whole object to path, and what it is to mark (may be NULL).  A segment
 * has its length and is the one that its name says, or HF_E_CORRUPT.
 * HF_E_NOTFOUND: the log has no such object. */
int fetch_object(
    const struct fetch *, const char *path, struct mark *, struct hf_error *);
/* A segment out of its pieces, with zeros behind them.  HF_E_NOTFOUND: the
 * pieces do not stand for it; see archive_pieces. */
int fetch_pieces(const struct fetch *, const struct archive *, const char *path,
    struct hf_error *);
/* A file that is there, and fits its mark, to path.  HF_E_NOTFOUND: it is not,
 * or does not. */
int fetch_move(
    const char *from, const struct mark *, const char *path, struct hf_error *);

/* The bytes of an object from its beginning, in parts, to its end, which proves
 * its hash. */
typedef int
fetch_fn(void *arg, uint64_t at, const void *, size_t, struct hf_error *);
int fetch_each(struct hf_in *log, const char *name, fetch_fn *, void *arg,
    struct hf_error *);

#endif
