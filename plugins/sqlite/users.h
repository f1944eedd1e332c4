/* SPDX-License-Identifier: BSD-2-Clause */
/* Which other processes have a file open, as far as /proc lets us see. */
#ifndef HF_SQLITE_USERS_H
#define HF_SQLITE_USERS_H

#include <stddef.h>

/* "app (pid 12), sqlite3 (pid 34)", at most five and "and N more".  Returns
 * how many there are.  buf always ends in NUL. */
unsigned users_of(const char *path, char *buf, size_t cap);

#endif
