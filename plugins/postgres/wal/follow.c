/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow.h"

#include "conn.h"
#include "conninfo.h"
#include "postgres.h"
#include "wal.h"

#include <string.h>

/* The server has no longer what the log lacks: say what is missing, and begin
 * where it still can. */
static int
skip(struct follow *f, struct hf_error *err)
{
	char from[WAL_FILE_MAX], to[WAL_FILE_MAX];

	if (f->nbegin < 2)
		return HF_E_NOTFOUND; /* err says it */
	H->log(f->ctx, HF_LOG_ERROR, "wal.gap",
	    "%s: the server has removed WAL that is not in the log: from %s "
	    "to before %s. No moment in there, and none behind it that begins "
	    "with an older base backup, can be restored: make a new base "
	    "backup now",
	    f->c->label, follow_file(f, f->begin[0], from),
	    follow_file(f, f->begin[1], to));
	keeper_leave(f->keeper, 0);
	f->nbegin--;
	memmove(f->begin, f->begin + 1, f->nbegin * sizeof f->begin[0]);
	(void)err;
	return HF_OK;
}

/* One timeline after the other. */
static int
stream(struct follow *f, struct hf_error *err)
{
	lsn_t lsn = f->begin[0], at = 0;
	uint32_t next = 0;
	int rc;

	for (;;) {
		rc = follow_stream(f, follow_timeline(f, lsn / f->segment_size),
		    lsn, &next, &at, err);
		if (rc == HF_E_NOTFOUND && (rc = skip(f, err)) == HF_OK) {
			lsn = f->begin[0];
			continue;
		}
		if (rc != HF_EOF)
			return rc;
		H->log(f->ctx, HF_LOG_INFO, "wal.timeline",
		    "%s: the server is on timeline %lu now", f->c->label,
		    (unsigned long)next);
		/* It is the way to the newest that is known; this one may have
		 * come since. */
		if (history_end(&f->history, next) == 0 &&
		    next != f->timeline &&
		    (rc = follow_history(f, next, err)) != HF_OK)
			return rc;
		f->nbegin = 1;
		lsn = f->begin[0] = at - at % f->segment_size;
	}
}

static int
follow(struct follow *f, struct hf_error *err)
{
	int rc;

	if ((rc = conninfo_source(&f->e->conf, &f->info, err)) != HF_OK ||
	    (rc = conn_open_replication(f->ctx, f->info, &f->c, err)) !=
		HF_OK ||
	    (rc = follow_find(f, err)) != HF_OK)
		return rc;
	if ((rc = stream(f, err)) == HF_E_NOTFOUND)
		rc = H->fail(err, HF_E_IO,
		    "%s: the server has removed the WAL that is next",
		    f->c->label);
	return rc;
}

int
wal_follow(struct hf_engine *e, const struct hf_request *req,
    struct hf_out *log, struct hf_error *err)
{
	struct follow f = {
		.e = e, .ctx = e->ctx, .log = log, .have = req->log
	};
	int rc;

	if (!e->conf.wal.stream)
		return H->fail(err, HF_E_INVALID,
		    "wal.stream is not set: there is nothing to follow");
	if (req->log == NULL)
		return H->fail(
		    err, HF_E_INVALID, "there is no log to follow into");
	rc = follow(&f, err);
	keeper_free(f.keeper);
	history_clear(&f.history);
	conn_close(f.c);
	conninfo_free(f.info);
	return rc == HF_E_CANCELLED || H->cancelled(e->ctx) ? HF_OK : rc;
}
