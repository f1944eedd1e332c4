/* SPDX-License-Identifier: BSD-2-Clause */
#include "base.h"
#include "run.h"

#include "../conn.h"
#include "../label.h"
#include "../postgres.h"
#include "../wal/history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (64u << 10)

/* What a server says when it is not possible on this parent.  A manifest that
 * is no good to it (of another cluster, of an old version) is an internal
 * error, summaries that are missing or that did not come in time are 55000, and
 * those that cannot be read are what files are.  Where it is not the parent,
 * the full backup fails of the same. */
static const char *const refusals[] = {
	"0A",    /* feature_not_supported */
	"22",    /* data_exception */
	"42601", /* syntax_error: it knows no such command */
	"53200", /* out_of_memory: what has changed is held there */
	"54",    /* program_limit_exceeded */
	"55000", /* object_not_in_prerequisite_state */
	"58",    /* system_error: of a file */
	"XX",    /* internal_error, data_corrupted */
	NULL,
};

static int refuse(const struct run *r, const char *hint, struct hf_error *err,
    const char *fmt, ...) HF_PRINTF(4, 5);

static int
refuse(const struct run *r, const char *hint, struct hf_error *err,
    const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return postgres_fail_hint(err, HF_E_UNSUPPORTED, hint,
	    "%s: no incremental backup: %s", r->c->label, why);
}

/* ---- is it a former state of this server? ---- */

static int
read_history(struct run *r, struct history *h, struct hf_error *err)
{
	char command[48], why[WHY_MAX];
	PGresult *res;
	int rc;

	(void)snprintf(command, sizeof command, "TIMELINE_HISTORY %" PRIu32,
	    r->now_timeline);
	r->c->refusals = refusals; /* the file may be gone */
	rc = base_row(r->c, command, 2, &res, err);
	r->c->refusals = NULL;
	if (rc == HF_OK) {
		rc = history_parse(PQgetvalue(res, 0, 1),
		    (size_t)PQgetlength(res, 0, 1), r->now_timeline, h, why);
		if (rc == HF_E_NOMEM)
			rc = postgres_nomem(err);
		else if (rc != HF_OK)
			rc = refuse(r, NULL, err,
			    "the history of timeline %" PRIu32 ": %s",
			    r->now_timeline, why);
	}
	PQclear(res);
	return rc;
}

/* Did this server pass there? */
static int
passed(const struct run *r, const struct history *h, lsn_t lsn,
    uint32_t timeline, struct hf_error *err)
{
	char at[LSN_TEXT_MAX], end_text[LSN_TEXT_MAX];
	lsn_t end =
	    timeline == r->now_timeline ? r->now : history_end(h, timeline);

	if (end == 0)
		return refuse(r, NULL, err,
		    "its parent is of timeline %" PRIu32
		    ", from which the server's timeline %" PRIu32
		    " does not come",
		    timeline, r->now_timeline);
	if (lsn > end)
		return refuse(r, NULL, err,
		    "its parent goes to %s on timeline %" PRIu32
		    ", and the server only to %s",
		    lsn_text(lsn, at), timeline, lsn_text(end, end_text));
	return HF_OK;
}

static int
look_history(struct run *r, struct hf_error *err)
{
	const struct needs *p = &r->parent;
	struct history h = { 0 };
	int rc = HF_OK;

	if (p->start_timeline != r->now_timeline ||
	    p->timeline != r->now_timeline) {
		/* The first has no file. */
		if (r->now_timeline > 1)
			rc = read_history(r, &h, err);
	}
	if (rc == HF_OK)
		rc = passed(r, &h, p->start, p->start_timeline, err);
	if (rc == HF_OK)
		rc = passed(r, &h, p->stop, p->timeline, err);
	history_clear(&h);
	return rc;
}

/* ---- may it be? ---- */

static int
look_summaries(struct run *r, struct hf_error *err)
{
	PGresult *res;
	int rc = base_row(r->c, "SHOW summarize_wal", 1, &res, err);

	if (rc == HF_OK && strcmp(PQgetvalue(res, 0, 0), "on") != 0)
		rc = refuse(r, PARENT_SUMMARIZE, err,
		    "summarize_wal is off, so that the server does not know "
		    "what has changed");
	PQclear(res);
	return rc;
}

int
parent_fits(struct run *r, struct hf_in *parent, struct hf_error *err)
{
	struct needs *p = &r->parent;
	int rc;

	if (r->c->version < PARENT_SERVER)
		return refuse(r, NULL, err,
		    "it needs server %d, and this one is %d",
		    PARENT_SERVER / 10000, r->c->version / 10000);
	if (!needs_any(parent))
		return refuse(
		    r, NULL, err, "its parent was not made in mode physical");
	if (needs_read(parent, p, NULL) != HF_OK)
		return refuse(r, NULL, err,
		    "its parent does not say what it needs of the WAL");
	if (p->system != r->system)
		return refuse(r, NULL, err,
		    "its parent is of the cluster %" PRIu64
		    ", and the server is %" PRIu64,
		    p->system, r->system);
	if (p->segment_size != r->segment_size)
		return refuse(r, NULL, err,
		    "its parent has a wal_segment_size of %" PRIu32
		    ", and the server of %" PRIu32,
		    p->segment_size, r->segment_size);
	if ((rc = look_history(r, err)) != HF_OK)
		return rc;
	return look_summaries(r, err);
}

/* ---- its manifest ---- */

/* The server refuses it: because of our copy of it?  Then that is what is
 * wrong, and not what the server made of it. */
static int
prove_rest(struct hf_reader *in, char *buf, int refused, struct hf_error *err)
{
	struct hf_error *why = H->fail_new();
	size_t n;
	int rc;

	while ((rc = H->in_read(in, buf, PIECE, &n, why)) == HF_OK)
		;
	if (rc == HF_E_CORRUPT || rc == HF_E_CANCELLED) {
		refused = rc;
		if (why != NULL)
			(void)H->fail_move(err, why);
		else
			(void)postgres_nomem(err);
	}
	H->fail_free(why);
	return refused;
}

/* Nothing says that it is complete before its hash is proved. */
static int
send_manifest(
    struct run *r, struct hf_reader *in, char *buf, struct hf_error *err)
{
	size_t n;
	int rc;

	if ((rc = conn_copy_begin(r->c, err, "UPLOAD_MANIFEST")) != HF_OK)
		return rc;
	while ((rc = H->in_read(in, buf, PIECE, &n, err)) == HF_OK) {
		rc = conn_copy_write(r->c, buf, n, err);
		if (rc == HF_E_UNSUPPORTED)
			rc = prove_rest(in, buf, rc, err);
		if (rc != HF_OK)
			return rc;
	}
	if (rc == HF_EOF)
		return conn_copy_end(r->c, NULL, NULL, err);
	(void)conn_copy_end(r->c, "the manifest cannot be read", NULL, NULL);
	return rc;
}

int
parent_upload(struct run *r, struct hf_error *err)
{
	struct hf_reader *in;
	char *buf;
	int rc;

	if ((buf = malloc(PIECE)) == NULL)
		return postgres_nomem(err);
	rc = H->in_open(
	    r->parent.backup, BASE_MANIFEST, UINT64_C(0), UINT64_MAX, &in, err);
	if (rc == HF_OK) {
		r->c->refusals = refusals;
		rc = send_manifest(r, in, buf, err);
		H->in_close(in);
	}
	free(buf);
	return rc;
}

/* ---- what the server made of it ---- */

int
parent_label(const struct run *r, const char *text, struct hf_error *err)
{
	const struct needs *p = &r->parent;
	char from[LSN_TEXT_MAX], want[LSN_TEXT_MAX];
	struct label l;
	int rc;

	if ((rc = label_parse(text, &l, err)) != HF_OK)
		return H->fail_context(err, "%s", BASE_TAR);
	if (l.start != r->start || l.timeline != r->start_timeline)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: begins at %s of timeline %" PRIu32
		    ", but the server said %s of timeline %" PRIu32,
		    BASE_TAR, lsn_text(l.start, from), l.timeline,
		    lsn_text(r->start, want), r->start_timeline);
	if (p->backup == NULL && l.from != 0)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: it is incremental, and a full backup was asked for",
		    BASE_TAR);
	if (p->backup != NULL && l.from == 0)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: its backup_label does not say what it builds on",
		    BASE_TAR);
	if (p->backup != NULL &&
	    (l.from != p->start || l.from_timeline != p->start_timeline))
		return H->fail(err, HF_E_CORRUPT,
		    "%s: builds on %s of timeline %" PRIu32
		    ", and not on %s of timeline %" PRIu32,
		    BASE_TAR, lsn_text(l.from, from), l.from_timeline,
		    lsn_text(p->start, want), p->start_timeline);
	return HF_OK;
}
