/* SPDX-License-Identifier: BSD-2-Clause */
/* The one table of SQLite result codes to statuses. */
#ifndef HF_SQLITE_CODE_H
#define HF_SQLITE_CODE_H

#include <holdfast/plugin.h>

#include <sqlite3.h>

/* rc: a primary or an extended result code. */
int code_status(int rc);

/* Record "fmt: SQLite's text", with a note "sqlite" that has the code.
 * db: where the text is, or NULL.  Returns the status. */
int code_fail(sqlite3 *db, int rc, struct hf_error *, const char *fmt, ...)
    HF_PRINTF(4, 5);

#endif
