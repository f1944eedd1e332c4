/* SPDX-License-Identifier: BSD-2-Clause */
#include "live.h"

#include "code.h"
#include "path.h"
#include "sqlite.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (128 * 1024)
#define TIDY_MS 1000 /* patience when putting things back */

static int
in_use(struct live *l, const char *how, struct hf_error *err)
{
	char users[512];

	if (H->cancelled(l->engine->ctx))
		return H->fail(err, HF_E_CANCELLED, "cancelled");
	if (users_of(l->path, users, sizeof users) == 0)
		(void)snprintf(users, sizeof users,
		    "a process that cannot be seen from here");
	if (l->force) {
		H->log(l->engine->ctx, HF_LOG_WARN, "sqlite.forced",
		    "%s is %s by %s; what it still writes is lost", l->path,
		    how, users);
		l->state = LIVE_SHARED;
		return HF_OK;
	}
	return sqlite_fail_hint(err, HF_E_TRANSIENT,
	    "Stop the application, or force the restore and lose what it "
	    "still writes.",
	    "%s is %s by %s", l->path, how, users);
}

static void
close_db(struct live *l)
{
	if (l->db != NULL)
		database_close(l->db);
	l->db = NULL;
}

/* Only what the file itself says makes it damaged: a file that we may not open,
 * or cannot lock, can be in somebody's use. */
static bool
means_damaged(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_FORMAT:
	case SQLITE_ERROR:
		return true;
	default:
		return rc == SQLITE_IOERR_READ ||
		       rc == SQLITE_IOERR_SHORT_READ ||
		       rc == SQLITE_IOERR_CORRUPTFS;
	}
}

/* SQLite's answer to the first attempt: used, forbidden, or damaged? */
static int
judge(struct live *l, int rc, struct hf_error *err)
{
	int e = rc & 0xff;

	if (e == SQLITE_BUSY || e == SQLITE_LOCKED || e == SQLITE_PROTOCOL) {
		close_db(l);
		return in_use(l, "locked", err);
	}
	if (!means_damaged(rc)) {
		rc = code_fail(l->db, rc, err, "opening %s", l->path);
		close_db(l);
		return rc;
	}
	H->log(l->engine->ctx, HF_LOG_WARN, "sqlite.damaged",
	    "%s cannot be opened (%s); it is kept as it is", l->path,
	    sqlite3_errmsg(l->db));
	close_db(l);
	l->state = LIVE_DAMAGED;
	return HF_OK;
}

/* SQLite would delete the -wal or -journal of an empty file, which may hold
 * all that is left. */
static bool
only_sidecars(const char *path)
{
	return path_size(path, "") == 0 &&
	       (path_size(path, "-wal") > 0 || path_size(path, "-journal") > 0);
}

int
live_open(const struct hf_engine *e, const char *path, bool force,
    struct live *l, struct hf_error *err)
{
	char mode[16], users[512];
	int64_t cookie;
	int rc;

	memset(l, 0, sizeof *l);
	l->engine = e;
	l->path = path;
	l->force = force;
	/* With a rollback journal an idle connection holds no lock. */
	if (users_of(path, users, sizeof users) > 0) {
		if ((rc = in_use(l, "open", err)) != HF_OK)
			return rc;
		l->state = LIVE_HELD; /* try to get it all the same */
	}
	if (only_sidecars(path)) {
		l->state = LIVE_DAMAGED;
		return HF_OK;
	}
	rc = sqlite3_open_v2(
	    path, &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return judge(l, rc, err);
	(void)sqlite3_extended_result_codes(l->db, 1);
	(void)sqlite3_db_config(
	    l->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
	database_wait(l->db, &l->wait, e->ctx, e->conf.busy_timeout);
	rc = database_int(l->db, "PRAGMA main.schema_version", &cookie);
	if (rc == SQLITE_OK)
		rc = database_text(
		    l->db, "PRAGMA main.journal_mode", mode, sizeof mode);
	if (rc != SQLITE_OK)
		return judge(l, rc, err);
	if (sqlite3_db_readonly(l->db, "main") == 1) {
		close_db(l);
		return sqlite_fail_hint(err, HF_E_DENIED,
		    "Run as a user who may write to it.",
		    "no permission to replace %s", path);
	}
	l->was_wal = strcmp(mode, "wal") == 0;
	return HF_OK;
}

/* Everything into the one file, and no WAL any more: a process that waited
 * for our lock would otherwise write a -wal beside the new database. */
static int
fold(struct live *l, bool *busy)
{
	char mode[16];
	int64_t blocked = 0;
	int rc;

	*busy = false;
	rc = database_int(
	    l->db, "PRAGMA main.wal_checkpoint(TRUNCATE)", &blocked);
	if (rc != SQLITE_OK)
		return rc;
	if (blocked != 0) {
		*busy = true;
		return SQLITE_OK;
	}
	rc = database_text(
	    l->db, "PRAGMA main.journal_mode=DELETE", mode, sizeof mode);
	if (rc == SQLITE_OK && strcmp(mode, "delete") != 0)
		*busy = true;
	return rc;
}

int
live_hold(struct live *l, struct hf_error *err)
{
	char mode[16] = "";
	bool busy = false;
	int rc;

	if (l->state != LIVE_HELD)
		return HF_OK;
	rc = database_exec(l->db, "PRAGMA main.synchronous=FULL");
	if (rc == SQLITE_OK && l->was_wal)
		rc = fold(l, &busy);
	if (rc == SQLITE_OK && !busy)
		rc = database_exec(l->db, "BEGIN EXCLUSIVE");
	if (rc == SQLITE_OK && !busy)
		rc = database_text(
		    l->db, "PRAGMA main.journal_mode", mode, sizeof mode);
	/* Somebody was quick and made it WAL again. */
	if (rc == SQLITE_OK && strcmp(mode, "wal") == 0)
		busy = true;
	if (busy)
		rc = SQLITE_BUSY;
	if (rc == SQLITE_OK)
		return HF_OK;
	if (sqlite3_get_autocommit(l->db) == 0)
		(void)database_exec(l->db, "ROLLBACK");
	return judge(l, rc, err);
}

/* Through SQLite's handle, under the lock. */
static int
read_held(struct live *l, void *buf, int64_t at, int64_t size, size_t *n)
{
	sqlite3_file *f = NULL;
	int rc;

	*n = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
	if (*n == 0)
		return SQLITE_OK;
	rc = sqlite3_file_control(l->db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	if (rc != SQLITE_OK)
		return rc;
	return f->pMethods->xRead(f, buf, (int)*n, at);
}

static int
copy_to(struct live *l, int fd, int from, const char *to, struct hf_error *err)
{
	int64_t at = 0, size = path_size(l->path, "");
	size_t n = 0, w;
	ssize_t k;
	char *buf;
	int rc = HF_OK;

	if ((buf = malloc(CHUNK)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory for pages");
	while (rc == HF_OK && at < size) {
		if (from == -1) {
			int e = read_held(l, buf, at, size, &n);

			if (e != SQLITE_OK)
				rc = code_fail(
				    NULL, e, err, "reading %s", l->path);
		} else if ((k = pread(from, buf, CHUNK, (off_t)at)) > 0) {
			n = (size_t)k;
		} else {
			rc = H->fail_errno(
			    err, k == 0 ? EIO : errno, "reading %s", l->path);
		}
		for (w = 0; rc == HF_OK && w < n; w += (size_t)k)
			if ((k = write(fd, buf + w, n - w)) <= 0)
				rc = H->fail_errno(err, k == 0 ? EIO : errno,
				    "writing %s", to);
		at += (int64_t)n;
	}
	if (rc == HF_OK && fsync(fd) != 0)
		rc = H->fail_errno(err, errno, "syncing %s", to);
	free(buf);
	return rc;
}

int
live_copy(struct live *l, const char *to, struct hf_error *err)
{
	struct stat st;
	int fd, from = -1, rc;

	if (l->state == LIVE_SHARED)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "%s is in use, and this filesystem has no hard links to "
		    "keep a copy of it",
		    l->path);
	/* A damaged one has no connections whose locks a close could drop. */
	if (l->state == LIVE_DAMAGED &&
	    (from = open(l->path, O_RDONLY | O_CLOEXEC)) == -1)
		return H->fail_errno(err, errno, "opening %s", l->path);
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1) {
		rc = H->fail_errno(err, errno, "making %s", to);
	} else {
		/* Its owner, before there is anything to read in it. */
		if (stat(l->path, &st) == 0 &&
		    (fchown(fd, st.st_uid, st.st_gid) != 0 ||
			fchmod(fd, st.st_mode & 07777) != 0))
			H->log(l->engine->ctx, HF_LOG_WARN, "sqlite.owner",
			    "%s does not have the owner and mode of %s", to,
			    l->path);
		rc = copy_to(l, fd, from, to, err);
		(void)close(fd);
		if (rc != HF_OK)
			(void)unlink(to);
	}
	if (from != -1)
		(void)close(from);
	return rc;
}

void
live_close(struct live *l, bool back)
{
	char mode[16];

	if (l->db == NULL)
		return;
	if (sqlite3_get_autocommit(l->db) == 0)
		(void)database_exec(l->db, "ROLLBACK");
	/* A run that was cancelled still tidies up. */
	sqlite3_progress_handler(l->db, 0, NULL, NULL);
	(void)sqlite3_busy_timeout(l->db, TIDY_MS);
	if (back && l->was_wal) {
		(void)database_text(
		    l->db, "PRAGMA main.journal_mode=WAL", mode, sizeof mode);
		(void)sqlite3_db_config(
		    l->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, (int *)NULL);
	}
	close_db(l);
}

void
live_set_wal(const char *path)
{
	sqlite3 *db = NULL;
	char mode[16];

	if (only_sidecars(path))
		return;
	if (sqlite3_open_v2(path, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		NULL) == SQLITE_OK) {
		(void)sqlite3_busy_timeout(db, TIDY_MS);
		(void)database_text(
		    db, "PRAGMA main.journal_mode=WAL", mode, sizeof mode);
	}
	database_close(db);
}
