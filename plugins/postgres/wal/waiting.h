/* SPDX-License-Identifier: BSD-2-Clause */
/* The files that the server wants to have archived: archive_status/F.ready */
#ifndef HF_POSTGRES_WAL_WAITING_H
#define HF_POSTGRES_WAL_WAITING_H

#include "name.h"

#include <stdbool.h>
#include <stddef.h>

struct waiting {
	char (*files)[WAL_FILE_MAX];
	size_t n;
};

/* Does file wait there?  Else it is not the server who calls. */
bool waiting_has(const char *folder, const char *file);

/* At most `most` of them, in the order in which the server will hand them over
 * (histories first, then by name); not file, nor those for which skip is true.
 * Failures are none too. */
void waiting_find(struct waiting *, const char *folder, const char *file,
    size_t most, bool (*skip)(void *arg, const char *file), void *arg);
const char *waiting_file(const struct waiting *, size_t n);
void waiting_free(struct waiting *);

#endif
