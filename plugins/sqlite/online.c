/* SPDX-License-Identifier: BSD-2-Clause */
#include "online.h"

#include "code.h"
#include "path.h"
#include "sqlite.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGES 256 /* per step */
#define CHUNK (128 * 1024)
#define PROGRESS (4 * 1024 * 1024)

static int
make_scratch(const struct source *s, struct online *o, struct hf_error *err)
{
	const char *dir = H->folder(s->engine->ctx, HF_FOLDER_SCRATCH);

	if (dir == NULL)
		return sqlite_fail_hint(err, HF_E_INVALID,
		    "Set \"state_dir\", or a scratch folder.",
		    "the backup API needs a scratch folder, and there is "
		    "none");
	if ((o->path = path_with(dir, "/sqlite-XXXXXX", err)) == NULL)
		return HF_E_NOMEM;
	if ((o->fd = mkostemp(o->path, O_CLOEXEC)) == -1) {
		int e = errno;

		free(o->path);
		o->path = NULL;
		return H->fail_errno(err, e, "making a file in %s", dir);
	}
	return HF_OK;
}

/* Ours alone and thrown away after a crash: nothing needs to be safe. */
static int
open_scratch(struct online *o, sqlite3 **db, struct hf_error *err)
{
	int rc;

	rc = sqlite3_open_v2(o->path, db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, "unix-none");
	if (rc == SQLITE_OK)
		rc = database_exec(*db,
		    "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; "
		    "PRAGMA locking_mode=EXCLUSIVE");
	if (rc != SQLITE_OK)
		return code_fail(*db, rc, err, "opening %s", o->path);
	return HF_OK;
}

static int
step_all(struct source *s, struct watch *watch, sqlite3 *to, sqlite3_backup *b,
    struct hf_error *err)
{
	const struct hf_ctx *ctx = s->engine->ctx;
	int64_t since = 0, now;
	int rc, status;

	for (;;) {
		rc = sqlite3_backup_step(b, PAGES);
		if (rc == SQLITE_DONE)
			return HF_OK;
		if (H->cancelled(ctx))
			return H->fail(err, HF_E_CANCELLED, "cancelled");
		if ((status = watch_verdict(watch, err)) != HF_OK)
			return status;
		if (rc == SQLITE_OK) {
			since = 0;
			continue;
		}
		if (rc != SQLITE_BUSY && rc != SQLITE_LOCKED)
			return code_fail(
			    to, rc, err, "copying pages of %s", s->path);
		now = database_clock();
		if (since == 0)
			since = now;
		if (now - since > s->engine->conf.busy_timeout)
			return code_fail(
			    NULL, rc, err, "copying pages of %s", s->path);
		(void)H->sleep(ctx, 10);
	}
}

int
online_take(struct source *s, struct watch *watch, struct online *o,
    struct hf_error *err)
{
	sqlite3_backup *b;
	sqlite3 *to = NULL;
	struct stat st;
	int rc;

	memset(o, 0, sizeof *o);
	o->fd = -1;
	if ((rc = make_scratch(s, o, err)) != HF_OK)
		return rc;
	if ((rc = open_scratch(o, &to, err)) != HF_OK)
		goto done;
	if ((b = sqlite3_backup_init(to, "main", s->db, "main")) == NULL) {
		rc = code_fail(to, sqlite3_extended_errcode(to), err,
		    "starting to copy %s", s->path);
		goto done;
	}
	rc = step_all(s, watch, to, b, err);
	(void)sqlite3_backup_finish(b);
done:
	database_close(to);
	if (rc == HF_OK && fstat(o->fd, &st) != 0)
		rc = H->fail_errno(err, errno, "%s", o->path);
	if (rc == HF_OK)
		o->size = st.st_size;
	else
		online_end(o);
	return rc;
}

int
online_send(const struct source *s, struct online *o, struct hf_writer *w,
    struct hf_error *err)
{
	int64_t at = 0, told = 0;
	ssize_t n;
	void *buf;
	int rc = HF_OK;

	if ((buf = malloc(CHUNK)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory for pages");
	while (rc == HF_OK && at < o->size) {
		n = pread(o->fd, buf, CHUNK, (off_t)at);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = H->fail_errno(
			    err, n == 0 ? EIO : errno, "reading %s", o->path);
			break;
		}
		if (H->cancelled(s->engine->ctx)) {
			rc = H->fail(err, HF_E_CANCELLED, "cancelled");
			break;
		}
		rc = H->out_write(w, buf, (size_t)n, err);
		at += n;
		if (at - told >= PROGRESS || at == o->size)
			H->progress(s->engine->ctx, (uint64_t)(told = at),
			    (uint64_t)o->size);
	}
	free(buf);
	return rc;
}

void
online_end(struct online *o)
{
	if (o->path != NULL)
		(void)unlink(o->path);
	if (o->fd != -1)
		(void)close(o->fd);
	free(o->path);
	o->path = NULL;
	o->fd = -1;
}
