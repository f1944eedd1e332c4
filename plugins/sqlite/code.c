/* SPDX-License-Identifier: BSD-2-Clause */
#include "code.h"

#include "sqlite.h"

#include <stdarg.h>
#include <stdio.h>

int
code_status(int rc)
{
	if (rc == SQLITE_IOERR_NOMEM)
		return HF_E_NOMEM;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return HF_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return HF_E_TRANSIENT;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return HF_E_DENIED;
	case SQLITE_FULL:
		return HF_E_NOSPACE;
	case SQLITE_CORRUPT:
		return HF_E_CORRUPT;
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
	case SQLITE_SCHEMA: /* also a bad statement, before any good one */
		return HF_E_INVALID;
	case SQLITE_NOMEM:
		return HF_E_NOMEM;
	case SQLITE_INTERRUPT:
	case SQLITE_ABORT:
		return HF_E_CANCELLED;
	case SQLITE_NOLFS:
	case SQLITE_TOOBIG:
		return HF_E_UNSUPPORTED;
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
		return HF_E_BUG;
	default:
		return HF_E_IO;
	}
}

int
code_fail(sqlite3 *db, int rc, struct hf_error *err, const char *fmt, ...)
{
	char text[768], code[24];
	const char *why;
	va_list ap;
	int status;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* The connection's text says more, when it is about this failure. */
	why = sqlite3_errstr(rc);
	if (db != NULL && (sqlite3_errcode(db) & 0xff) == (rc & 0xff))
		why = sqlite3_errmsg(db);
	if ((status = code_status(rc)) == HF_OK)
		status = HF_E_BUG;
	H->fail(err, status, "%s: %s", text, why);
	(void)snprintf(code, sizeof code, "%d", rc);
	H->fail_note(err, "sqlite", code);
	return status;
}
