/* SPDX-License-Identifier: BSD-2-Clause */
#include "source.h"

#include "code.h"
#include "path.h"
#include "sqlite.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What stat() can tell before SQLite touches anything. */
static int
look(struct source *s, struct hf_error *err)
{
	const char *path = s->engine->conf.path;
	struct stat st;

	if ((s->path = realpath(path, NULL)) == NULL) {
		if (errno == ENOENT || errno == ENOTDIR)
			return sqlite_fail_hint(err, HF_E_NOTFOUND,
			    "Check the option \"path\".",
			    "no such database: %s", path);
		return H->fail_errno(err, errno, "%s", path);
	}
	if (stat(s->path, &st) != 0)
		return H->fail_errno(err, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return sqlite_fail_hint(err, HF_E_INVALID,
		    "Name the database file itself.",
		    "%s is a folder, not a database", path);
	if (!S_ISREG(st.st_mode))
		return H->fail(
		    err, HF_E_INVALID, "%s is not a regular file", path);
	if (faccessat(AT_FDCWD, s->path, R_OK, AT_EACCESS) != 0)
		return sqlite_fail_hint(err, HF_E_DENIED,
		    "Run as the user of the application, or give this user "
		    "read access.",
		    "no permission to read %s", path);
	s->had_wal = path_exists(s->path, "-wal");
	s->had_journal = path_size(s->path, "-journal") > 0;
	/* SQLite would delete what may be the only copy of the content. */
	if (st.st_size == 0 &&
	    (path_size(s->path, "-wal") > 0 || s->had_journal))
		return sqlite_fail_hint(err, HF_E_CORRUPT,
		    "Keep both files; opening the database now would delete "
		    "what is left of its content.",
		    "%s is empty, but its %s is not", path,
		    s->had_journal ? "-journal" : "-wal");
	return HF_OK;
}

static int
explain_busy(const struct source *s, struct hf_error *err)
{
	char users[512];

	if (H->cancelled(s->engine->ctx))
		return H->fail(err, HF_E_CANCELLED,
		    "cancelled while waiting for a lock on %s", s->path);
	if (users_of(s->path, users, sizeof users) == 0)
		(void)snprintf(users, sizeof users,
		    "a process that cannot "
		    "be seen from here");
	return sqlite_fail_hint(err, HF_E_TRANSIENT,
	    "An application with PRAGMA locking_mode=EXCLUSIVE lets nobody "
	    "else read: set it to NORMAL there, or raise busy_timeout when "
	    "it is only a long transaction.",
	    "%s stayed locked for %lld ms; it is open in %s", s->path,
	    (long long)s->engine->conf.busy_timeout, users);
}

static bool
medium_is_readonly(const char *path)
{
	struct statvfs vfs;

	return statvfs(path, &vfs) == 0 && (vfs.f_flag & ST_RDONLY) != 0;
}

/* Something that SQLite must write, and may not: a hot journal or the WAL's
 * index. */
static int
explain_denied(const struct source *s, int rc, struct hf_error *err)
{
	const char *why = medium_is_readonly(s->path)
			      ? "the medium is read-only"
			      : "there is no permission to write";

	if (s->had_journal)
		return sqlite_fail_hint(err, HF_E_DENIED,
		    "Let the application open the database once, or run as "
		    "a user who may write to the file and its folder.",
		    "%s has a hot journal that must be rolled back first, "
		    "and %s",
		    s->path, why);
	if ((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY)
		return sqlite_fail_hint(err, HF_E_DENIED,
		    "Readers of a database in WAL mode need its -shm: run as "
		    "a user who may write to the folder, or copy the "
		    "database and its -wal to a medium that can be written.",
		    "%s is in WAL mode, and %s beside it", s->path, why);
	return code_fail(s->db, rc, err, "reading %s", s->path);
}

static int
explain(const struct source *s, int rc, struct hf_error *err)
{
	switch (rc & 0xff) {
	case SQLITE_NOTADB:
		return sqlite_fail_hint(err, HF_E_INVALID,
		    "An encrypted database must be backed up by its "
		    "application, or as a file while it is closed.",
		    "%s is not a SQLite database, or it is encrypted", s->path);
	case SQLITE_BUSY:
	case SQLITE_PROTOCOL:
		return explain_busy(s, err);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return explain_denied(s, rc, err);
	case SQLITE_INTERRUPT:
		return H->fail(err, HF_E_CANCELLED, "cancelled");
	default:
		if (rc == SQLITE_IOERR_DELETE && s->had_journal)
			return explain_denied(s, rc, err);
		return code_fail(s->db, rc, err, "reading %s", s->path);
	}
}

/* No checkpoint and no deletion by us, no memory map (a file that shrinks
 * would be a signal), and no write by mistake. */
static int
set_up(struct source *s)
{
	int on = 1;

	(void)sqlite3_extended_result_codes(s->db, 1);
	(void)sqlite3_db_config(
	    s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
	(void)sqlite3_db_config(
	    s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
	(void)sqlite3_wal_autocheckpoint(s->db, 0);
	(void)sqlite3_file_control(
	    s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
	return database_exec(s->db, "PRAGMA mmap_size=0; PRAGMA query_only=ON");
}

int
source_open(const struct hf_engine *e, struct source *s, struct hf_error *err)
{
	int64_t cookie;
	int rc;

	memset(s, 0, sizeof *s);
	s->engine = e;
	if ((rc = look(s, err)) != HF_OK)
		goto fail;
	rc = sqlite3_open_v2(
	    s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		rc = explain(s, rc, err);
		goto fail;
	}
	database_wait(s->db, &s->wait, e->ctx, e->conf.busy_timeout);
	if ((rc = set_up(s)) == SQLITE_OK)
		/* Of the header, so it works whatever the schema says. */
		rc = database_int(s->db, "PRAGMA main.schema_version", &cookie);
	if (rc != SQLITE_OK) {
		rc = explain(s, rc, err);
		goto fail;
	}
	if (s->had_journal && path_size(s->path, "-journal") <= 0)
		H->log(e->ctx, HF_LOG_INFO, "sqlite.rollback",
		    "%s: SQLite rolled back what an application left half "
		    "done",
		    s->path);
	return HF_OK;
fail:
	source_close(s);
	return rc;
}

int
source_begin_quick(struct source *s)
{
	int64_t cookie;
	int rc;

	if ((rc = database_exec(s->db, "BEGIN")) != SQLITE_OK)
		return rc;
	rc = database_int(s->db, "PRAGMA main.schema_version", &cookie);
	if (rc == SQLITE_OK &&
	    sqlite3_txn_state(s->db, "main") < SQLITE_TXN_READ)
		rc = SQLITE_INTERNAL;
	if (rc != SQLITE_OK)
		source_end(s);
	return rc;
}

static int
measure(struct source *s)
{
	char mode[16];
	int rc;

	rc =
	    database_text(s->db, "PRAGMA main.journal_mode", mode, sizeof mode);
	if (rc == SQLITE_OK)
		rc =
		    database_int(s->db, "PRAGMA main.page_size", &s->page_size);
	if (rc == SQLITE_OK)
		rc = database_int(
		    s->db, "PRAGMA main.page_count", &s->page_count);
	s->wal = strcmp(mode, "wal") == 0;
	return rc;
}

int
source_measure(struct source *s, struct hf_error *err)
{
	int rc;

	rc = measure(s);
	if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_ERROR) {
		/* A schema that this library cannot parse does not hinder
		 * a copy of the pages.  With this set SQLite reads on; it
		 * changes nothing, and query_only is set too. */
		H->log(s->engine->ctx, HF_LOG_WARN, "sqlite.schema", "%s: %s",
		    s->path, sqlite3_errmsg(s->db));
		(void)database_exec(s->db, "PRAGMA writable_schema=ON");
		s->odd_schema = true;
		rc = measure(s);
	}
	return rc == SQLITE_OK ? HF_OK : explain(s, rc, err);
}

int
source_begin(struct source *s, struct hf_error *err)
{
	int rc;

	if ((rc = source_begin_quick(s)) != SQLITE_OK)
		return explain(s, rc, err);
	if ((rc = source_measure(s, err)) != HF_OK)
		source_end(s);
	return rc;
}

void
source_end(struct source *s)
{
	if (sqlite3_get_autocommit(s->db) == 0)
		(void)database_exec(s->db, "ROLLBACK");
}

/* A -wal that was not there before us, and is empty still, is SQLite's own to
 * clear away: then the folder is as it was found.  Should somebody write
 * between this look and the close, the last one to close checkpoints, as it
 * would have without us. */
static void
allow_clearing(struct source *s)
{
	int off = 0;

	if (s->had_wal || path_size(s->path, "-wal") != 0)
		return;
	(void)sqlite3_file_control(
	    s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &off);
	(void)sqlite3_db_config(
	    s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, (int *)NULL);
}

void
source_close(struct source *s)
{
	if (s->db != NULL) {
		source_end(s);
		allow_clearing(s);
		database_close(s->db);
	}
	free(s->path);
	memset(s, 0, sizeof *s);
}
