/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast way: pages read through SQLite's own file handles.
 *
 * WAL mode.  While a read mark at frame M is held, checkpoints write frames up
 * to M only, and all of those pages are taken from the WAL: what stands half
 * written in the file cannot matter.  When all frames up to M were in the file
 * already, the WAL is not looked at: then either nothing can be backfilled
 * (we hold the lock "no WAL") or the file is exact.
 *
 * Rollback journal.  While our SHARED lock is held nobody can get EXCLUSIVE,
 * without which no page of the file is written, not even by a cache spill. A
 * hot journal was rolled back before we got the lock.  So the file is the
 * database.  Its size and change counter are compared at the end all the same.
 */
#ifndef HF_SQLITE_DIRECT_H
#define HF_SQLITE_DIRECT_H

#include "pagemap.h"
#include "walindex.h"

struct hf_writer;
struct watch;

struct direct {
	struct source *source;
	sqlite3_file *db, *wal;
	struct walindex index;
	struct pagemap map;
	bool use_wal;
	sqlite3_int64 least; /* the file has no fewer bytes while we read */
	uint32_t change_counter;
};

/* Begin a read transaction (source_end ends it) and prepare to copy.
 * HF_E_UNSUPPORTED with the reason in why, and no transaction, when this
 * database cannot be read like that. */
int direct_begin(
    struct source *, struct direct *, char *why, size_t cap, struct hf_error *);

/* All pages, in order.  change_counter is known afterwards. */
int direct_copy(
    struct direct *, struct watch *, struct hf_writer *, struct hf_error *);

void direct_end(struct direct *);

#endif
