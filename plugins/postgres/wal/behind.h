/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that wait behind the one that the server hands over: a process of its
 * own ("wal behind") brings them along and leaves a mark of each, so that the
 * server's calls for them are answered at once. */
#ifndef HF_POSTGRES_WAL_BEHIND_H
#define HF_POSTGRES_WAL_BEHIND_H

#include "walfile.h"

#include <stdbool.h>

struct hf_engine;

/* Where the marks are, or false: then every file goes alone. */
bool behind_marks(
    const struct hf_engine *, const struct walfile *, char *out, size_t cap);

/* Was the file brought along, or is it just now?  Then no sink is opened. */
bool behind_has(struct hf_engine *, const char *marks, const struct walfile *);

/* Does a file other than this one wait in the folder, that nobody brings
 * along? */
bool
behind_wanted(const char *marks, const char *folder, const struct walfile *);

#endif
