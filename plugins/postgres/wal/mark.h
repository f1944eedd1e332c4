/* SPDX-License-Identifier: BSD-2-Clause */
/* What one call leaves for the next ones, in HF_FOLDER_STATE: that a file was
 * pushed already, or one that was fetched ahead.  A mark is "<file>.ok" with the
 * size and the SHA-256 of the file that it speaks of.
 *
 * They only save work: without a folder (none is lent, or it belongs to
 * somebody else) all works without, and a mark that cannot be read, does not
 * fit or is old is none.  So they are not synced: what a crash leaves of one is
 * no mark.
 */
#ifndef HF_POSTGRES_WAL_MARK_H
#define HF_POSTGRES_WAL_MARK_H

#include "../digest.h"

#include <holdfast/plugin.h>

/* So long is a mark believed: the log may have lost what it had (a sink
 * changed, objects removed by hand). */
#define MARK_LIFE 900 /* seconds */

struct mark {
	uint64_t size;
	char sha256[DIGEST_HEX];
};

/* "<state>/<what>/<system>", made when it is missing.  False: there is none
 * that we may write into. */
bool mark_folder(const struct hf_engine *, const char *what, uint64_t system,
    char *out, size_t cap);

/* For one process at a time: the folder's lock, to be closed; -1: another has
 * it, or it cannot be had. */
int mark_lock(const char *folder);
/* Has another process the lock? */
bool mark_locked(const char *folder);

bool mark_write(const char *folder, const char *file, const struct mark *);
/* Of an old one or one from the future: false. */
bool mark_read(const char *folder, const char *file, struct mark *);
void mark_remove(const char *folder, const char *file);

/* Does the file (any path) have the mark's size and hash? */
bool mark_fits(const struct mark *, int fd);

/* Remove what is older than MARK_LIFE, and everything that surplus says is no
 * longer needed (the name without ".ok"; may be NULL).  For who has the
 * lock. */
void mark_sweep(const char *folder,
    bool (*surplus)(void *arg, const char *file), void *arg);

#endif
