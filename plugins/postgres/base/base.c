/* SPDX-License-Identifier: BSD-2-Clause */
#include "base.h"

#include "command.h"
#include "run.h"

#include "../conn.h"
#include "../conninfo.h"
#include "../postgres.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- what the server is ---- */

int
base_row(struct conn *c, const char *command, int fields, PGresult **res,
    struct hf_error *err)
{
	PGresult *end;
	int rc;

	*res = NULL;
	if ((rc = conn_send(c, err, command)) != HF_OK ||
	    (rc = conn_result(c, res, err)) != HF_OK)
		return rc;
	if (PQresultStatus(*res) != PGRES_TUPLES_OK || PQntuples(*res) != 1 ||
	    PQnfields(*res) < fields)
		return H->fail(
		    err, HF_E_IO, "%s: no answer to %s", c->label, command);
	while ((rc = conn_result(c, &end, err)) == HF_OK && end != NULL)
		PQclear(end);
	return rc;
}

static int
identify(struct run *r, struct hf_error *err)
{
	PGresult *res;
	int rc;

	rc = base_row(r->c, "IDENTIFY_SYSTEM", 3, &res, err);
	if (rc == HF_OK) {
		r->system = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
		r->now_timeline =
		    (uint32_t)strtoul(PQgetvalue(res, 0, 1), NULL, 10);
		if (r->system == 0 || r->now_timeline == 0 ||
		    !lsn_parse(PQgetvalue(res, 0, 2), &r->now))
			rc = H->fail(err, HF_E_IO,
			    "%s: IDENTIFY_SYSTEM cannot be understood",
			    r->c->label);
	}
	PQclear(res);
	return rc;
}

/* "16MB", "1GB" */
static int
segment_size(struct run *r, struct hf_error *err)
{
	unsigned long long n;
	PGresult *res;
	char *unit;
	int rc;

	rc = base_row(r->c, "SHOW wal_segment_size", 1, &res, err);
	if (rc == HF_OK) {
		n = strtoull(PQgetvalue(res, 0, 0), &unit, 10);
		n *= strcmp(unit, "GB") == 0   ? 1u << 30
		     : strcmp(unit, "MB") == 0 ? 1u << 20
					       : 0;
		if (wal_segment_size_valid(n))
			r->segment_size = (uint32_t)n;
		else
			rc = H->fail(err, HF_E_IO, "%s: wal_segment_size is %s",
			    r->c->label, PQgetvalue(res, 0, 0));
	}
	PQclear(res);
	return rc;
}

/* What would fail at the latest when the backup waits for its WAL, seen before
 * the server makes a checkpoint for it.  A standby's primary may archive. */
static int
check_archive_mode(struct run *r, struct hf_error *err)
{
	const char *standby = PQparameterStatus(r->c->pg, "in_hot_standby");
	const struct conf *conf = &r->e->conf;
	PGresult *res;
	int rc;

	if (r->log == NULL || conf->wal.stream || standby == NULL ||
	    strcmp(standby, "off") != 0)
		return HF_OK;
	rc = base_row(r->c, "SHOW archive_mode", 1, &res, err);
	if (rc == HF_OK && strcmp(PQgetvalue(res, 0, 0), "off") == 0)
		rc = postgres_fail_hint(err, HF_E_INVALID,
		    "ALTER SYSTEM SET archive_mode = on; ALTER SYSTEM SET "
		    "archive_command = 'holdfast wal push %p'; and restart the "
		    "server. Or set \"wal\": { \"stream\": true }.",
		    "%s: archive_mode is off, so that no WAL is pushed",
		    r->c->label);
	PQclear(res);
	return rc;
}

/* ---- facts ---- */

static int fact(struct run *r, const char *key, struct hf_error *err,
    const char *fmt, ...) HF_PRINTF(4, 5);

static int
fact(struct run *r, const char *key, struct hf_error *err, const char *fmt, ...)
{
	char value[64];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(value, sizeof value, fmt, ap);
	va_end(ap);
	return H->out_fact(r->out, key, value, err);
}

static int
tell_server(struct run *r, struct hf_error *err)
{
	int rc;

	if ((rc = fact(r, BASE_FACT_MODE, err, "physical")) == HF_OK &&
	    (rc = fact(r, BASE_FACT_SYSTEM, err, "%" PRIu64, r->system)) ==
		HF_OK &&
	    (rc = fact(r, BASE_FACT_VERSION, err, "%d", r->c->version)) ==
		HF_OK &&
	    (rc = fact(r, BASE_FACT_SEGMENT_SIZE, err, "%" PRIu32,
		 r->segment_size)) == HF_OK)
		rc = fact(r, BASE_FACT_WAL, err, "%s",
		    r->log == NULL ? "included" : "log");
	return rc;
}

static int
tell_positions(struct run *r, struct hf_error *err)
{
	char start[LSN_TEXT_MAX], stop[LSN_TEXT_MAX];
	int rc;

	if ((rc = fact(r, BASE_FACT_START, err, "%s",
		 lsn_text(r->start, start))) == HF_OK &&
	    (rc = fact(r, BASE_FACT_STOP, err, "%s",
		 lsn_text(r->stop, stop))) == HF_OK &&
	    (rc = fact(r, BASE_FACT_TIMELINE, err, "%" PRIu32,
		 r->start_timeline)) == HF_OK &&
	    (rc = fact(r, BASE_FACT_STOP_TIMELINE, err, "%" PRIu32,
		 r->stop_timeline)) == HF_OK)
		rc = fact(r, BASE_FACT_CHECKSUMS, err, "%s",
		    r->control.data_checksums ? "on" : "off");
	return rc;
}

static int
tell_parent(struct run *r, struct hf_error *err)
{
	char from[LSN_TEXT_MAX];
	int rc;

	if (r->parent.backup == NULL)
		return HF_OK;
	rc =
	    fact(r, BASE_FACT_FROM, err, "%s", lsn_text(r->parent.start, from));
	if (rc == HF_OK)
		rc = fact(r, BASE_FACT_FROM_TIMELINE, err, "%" PRIu32,
		    r->parent.start_timeline);
	return rc;
}

/* By the server's clock, where it lets us ask. */
static int
tell_time(struct run *r, struct hf_error *err)
{
	struct conn *c;
	char *now = NULL;
	int rc;

	if (conn_open_any(r->e->ctx, r->info, &c, NULL) == HF_OK) {
		(void)conn_value(c, &now, NULL,
		    "SELECT ceil(extract(epoch FROM clock_timestamp()))"
		    "::bigint");
		conn_close(c);
	}
	if (H->cancelled(r->e->ctx))
		rc = H->fail(err, HF_E_CANCELLED, "cancelled");
	else if (now != NULL)
		rc = fact(r, BASE_FACT_STOPPED, err, "%s", now);
	else /* rounded up, as above */
		rc = fact(r, BASE_FACT_STOPPED, err, "%lld",
		    (long long)time(NULL) + 1);
	free(now);
	return rc;
}

/* ---- the order of things ---- */

static int
copy(struct run *r, struct hf_error *err)
{
	int rc = receive_all(r, err);

	/* The server tells of damaged pages while it goes on, and at the end
	 * that there were some. */
	if (rc == HF_OK || rc == HF_E_CANCELLED || r->damage.seen == 0 ||
	    strcmp(conn_sqlstate(r->c), "XX001") != 0)
		return rc;
	return damage_fail(&r->damage, r->c->label, err);
}

/* Until something is begun nothing is told, so that a refusal leaves nothing
 * behind. */
static int
begin(struct run *r, struct hf_in *parent, struct hf_error *err)
{
	int rc;

	if ((rc = identify(r, err)) != HF_OK ||
	    (rc = segment_size(r, err)) != HF_OK ||
	    (rc = check_archive_mode(r, err)) != HF_OK)
		return rc;
	if (parent != NULL && ((rc = parent_fits(r, parent, err)) != HF_OK ||
				  (rc = parent_upload(r, err)) != HF_OK))
		return rc;
	return receive_begin(r, err);
}

static int
run_backup(struct run *r, struct hf_in *parent, struct hf_error *err)
{
	int rc;

	rc = conn_open_replication(r->e->ctx, r->info, &r->c, err);
	if (rc != HF_OK)
		return rc;
	r->typed = r->c->version >= COMMAND_TYPED;
	r->damage.ctx = r->e->ctx;
	r->c->notice = damage_notice;
	r->c->notice_arg = &r->damage;
	if ((rc = begin(r, parent, err)) != HF_OK ||
	    (rc = tell_server(r, err)) != HF_OK ||
	    (rc = archived_begins(r, err)) != HF_OK ||
	    (rc = copy(r, err)) != HF_OK)
		return rc;
	if (r->control.wal_segment_size != r->segment_size)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: pg_control has another wal_segment_size than the "
		    "server",
		    r->c->label);
	if ((rc = tell_time(r, err)) != HF_OK ||
	    (rc = tell_positions(r, err)) != HF_OK ||
	    (rc = tell_parent(r, err)) != HF_OK)
		return rc;
	return archived_whole(r, err);
}

int
base_backup(struct hf_engine *e, const struct hf_request *req,
    struct hf_out *out, struct hf_error *err)
{
	bool log = e->conf.wal.stream || e->conf.wal.push;
	struct run r = { .e = e, .out = out, .log = log ? req->log : NULL };
	int rc;

	if ((req->kind != HF_KIND_FULL && req->kind != HF_KIND_INCR) ||
	    req->flags != 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "a physical backup is a full or an incremental one, "
		    "without flags: not kind 0x%x, flags 0x%x",
		    req->kind, req->flags);
	if ((rc = conninfo_source(&e->conf, &r.info, err)) != HF_OK)
		return rc;
	rc =
	    run_backup(&r, req->kind == HF_KIND_INCR ? req->parent : NULL, err);
	conn_close(r.c);
	conninfo_free(r.info);
	damage_free(&r.damage);
	for (size_t i = 0; i < r.ntablespaces; i++)
		free(r.tablespaces[i]);
	free(r.tablespaces);
	return rc;
}
