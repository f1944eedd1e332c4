/* SPDX-License-Identifier: BSD-2-Clause */
/* The built file takes the target's place.
 *
 * In place, whoever looks at any moment sees the whole old database or the
 * whole new one:
 *   1. what is about to happen is written down and synced (intent);
 *   2. the old one is checkpointed, switched to a rollback journal, so that
 *      it is one file, and locked EXCLUSIVE until the end;
 *   3. it gets a second name, the safety copy;
 *   4. what stands beside it is removed (nothing, after 2);
 *   5. rename, sync of the folder: the swap;
 *   6. the new one is opened and checked; if that fails the old one is put
 *      back;
 *   7. the lock and the note are dropped.
 */
#ifndef HF_SQLITE_SWAP_H
#define HF_SQLITE_SWAP_H

#include <holdfast/plugin.h>

struct build;
struct intent;

/* Where nothing is.  HF_E_EXISTS when something is there by now. */
int swap_in_new(const char *target, const struct build *, struct hf_error *);

/* Where a database is.  On HF_OK the built file was renamed and safety (new
 * memory) is the path of the former one; NULL when that was empty. */
int swap_in_place(const struct hf_engine *, const char *target,
    const struct build *, struct hf_in *, bool force, struct intent *,
    char **safety, struct hf_error *);

/* A suffix of a safety copy that is not taken. */
int swap_safety_suffix(
    const char *target, char *buf, size_t cap, struct hf_error *);

/* Give the files beside a database that is not there the safety copy's
 * name. */
int
swap_sidecars_aside(const char *target, const char *suffix, struct hf_error *);

#endif
