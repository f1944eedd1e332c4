/* SPDX-License-Identifier: BSD-2-Clause */
/* What one call leaves for the next ones, in HF_FOLDER_STATE: that a file was
 * pushed already, or one that was fetched ahead.  A mark is "<file>.ok" with
 * what the file that it speaks of is known by: its size and its SHA-256, or,
 * where no write can have gone unseen, its inode and times, so that it need not
 * be read again.
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

/* By its times a file is known only when the last change of them is so long
 * ago: file systems count in steps, of two seconds at most, and a write in the
 * same step would not show. */
#define MARK_SETTLED 3 /* seconds */

/* A file as fstat shows it: any write, or another file, changes this. */
struct mark_stamp {
	uint64_t dev, ino, size;
	int64_t written, changed; /* in ns */
};

struct mark {
	uint64_t size;
	char sha256[DIGEST_HEX]; /* "": known by its stamp */
	struct mark_stamp stamp;
};

/* False: it has changed too lately to be known by it, or cannot be asked. */
bool mark_stamp_of(int fd, struct mark_stamp *);
bool mark_stamp_same(const struct mark_stamp *, const struct mark_stamp *);

/* "<state>/<what>/<system>", made when it is missing.  False: there is none
 * that we may write into. */
bool mark_folder(const struct hf_engine *, const char *what, uint64_t system,
    char *out, size_t cap);

/* For one process at a time: the folder's lock, to be closed; -1: another has
 * it, or it cannot be had. */
int mark_lock(const char *folder);
/* Has another process the lock?  False where there are no locks. */
bool mark_locked(const char *folder);

bool mark_write(const char *folder, const char *file, const struct mark *);
/* Of an old one or one from the future: false. */
bool mark_read(const char *folder, const char *file, struct mark *);
void mark_remove(const char *folder, const char *file);

/* Is the file (any path) the mark's? */
bool mark_fits(const struct mark *, int fd);
/* The SHA-256 of a file; false: it cannot be read. */
bool mark_hash(int fd, uint64_t *size, char hex[DIGEST_HEX]);

/* Remove what is older than MARK_LIFE, and everything that surplus says is no
 * longer needed (the name without ".ok"; may be NULL).  For who has the
 * lock. */
void mark_sweep(const char *folder,
    bool (*surplus)(void *arg, const char *file), void *arg);

#endif
