/* SPDX-License-Identifier: BSD-2-Clause */
/* doctor: can this server be backed up, and is its WAL taken care of? */
#include "base.h"
#include "run.h"

#include "../conn.h"
#include "../conninfo.h"
#include "../finding.h"
#include "../postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEWEST_TESTED 17
/* Bytes that a slot may hold back before it is worth a word. */
#define HELD_MUCH (INT64_C(1) << 30)

struct look {
	struct hf_engine *e;
	struct conn *c;
	struct findings *to;
	struct text role; /* as an SQL identifier */
	bool standby;
	int trial; /* the process of our own walsender, which may not have ended
		    * when those in use are counted; 0: none */
};

/* The columns of the only row. */
static int
row(struct look *l, PGresult **res, struct hf_error *err, const char *sql)
{
	int rc = conn_query(l->c, res, err, sql);

	if (rc == HF_OK && PQntuples(*res) != 1) {
		PQclear(*res);
		*res = NULL;
		rc = H->fail(err, HF_E_IO, "%s: no answer", l->c->label);
	}
	return rc;
}

static bool
is(const PGresult *res, int column, const char *value)
{
	return strcmp(PQgetvalue(res, 0, column), value) == 0;
}

static int64_t
number(const PGresult *res, int column)
{
	return strtoll(PQgetvalue(res, 0, column), NULL, 10);
}

static int
look_server(struct look *l, struct hf_error *err)
{
	int major = l->c->version / 10000;
	PGresult *res;
	int rc;

	rc = row(l, &res, err,
	    "SELECT current_user, current_setting('server_version'), "
	    "pg_is_in_recovery()");
	if (rc != HF_OK)
		return rc;
	text_add_ident(&l->role, PQgetvalue(res, 0, 0));
	l->standby = is(res, 2, "t");
	finding_tell(l->to, major > NEWEST_TESTED ? HF_WARN : HF_PASS,
	    "connection",
	    major > NEWEST_TESTED ? "Try a restore before you rely on it."
				  : NULL,
	    "%s at server %s%s%s", PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1),
	    l->standby ? ", a standby" : "",
	    major > NEWEST_TESTED ? ", newer than the newest that was tested"
				  : "");
	PQclear(res);
	return HF_OK;
}

/* A walsender, as a backup has it: right, pg_hba.conf and a free place in one,
 * each failure with what to do. */
static int
look_replication(
    struct look *l, const struct conninfo *info, struct hf_error *err)
{
	struct hf_error *why = H->fail_new();
	struct conn *c;
	int rc = conn_open_replication(l->e->ctx, info, &c, why);

	H->fail_free(why);
	if (rc == HF_E_CANCELLED)
		return H->fail(err, rc, "cancelled");
	if (rc == HF_OK) {
		l->trial = PQbackendPID(c->pg);
		finding_tell(l->to, HF_PASS, "replication", NULL,
		    "the role may replicate, and pg_hba.conf lets it");
		conn_close(c);
		return HF_OK;
	}
	return HF_E_DENIED;
}

/* Why not, as far as SQL tells. */
static int
look_rights(struct look *l, struct hf_error *err)
{
	struct text hint = { 0 };
	PGresult *res;
	bool right;
	int rc;

	rc = row(l, &res, err,
	    "SELECT rolreplication OR rolsuper FROM pg_roles "
	    "WHERE rolname = current_user");
	if (rc != HF_OK)
		return rc;
	right = is(res, 0, "t");
	PQclear(res);
	if (right)
		text_addf(&hint,
		    "A line in pg_hba.conf, \"host replication %s ADDRESS "
		    "scram-sha-256\" (\"all\" as database does not cover it), "
		    "then SELECT pg_reload_conf(); or a larger "
		    "max_wal_senders.",
		    text_get(&l->role));
	else
		text_addf(
		    &hint, "ALTER ROLE %s REPLICATION;", text_get(&l->role));
	finding_tell(l->to, HF_FAIL, "replication", text_get(&hint), "%s",
	    right ? "no connection for replication is let in"
		  : "the role has no right to replicate");
	text_free(&hint);
	return HF_OK;
}

static int
look_levels(struct look *l, struct hf_error *err)
{
	PGresult *res;
	int64_t senders, used;
	char sql[400];
	int rc;

	(void)snprintf(sql, sizeof sql,
	    "SELECT current_setting('wal_level'), "
	    "current_setting('max_wal_senders'), (SELECT count(*) FROM "
	    "pg_stat_activity WHERE backend_type = 'walsender' AND pid <> %d), "
	    "current_setting('full_page_writes'), "
	    "current_setting('data_checksums'), "
	    "current_setting('wal_segment_size')",
	    l->trial);
	rc = row(l, &res, err, sql);
	if (rc != HF_OK)
		return rc;
	if (is(res, 0, "minimal"))
		finding_tell(l->to, HF_FAIL, "wal_level",
		    "ALTER SYSTEM SET wal_level = replica; and restart the "
		    "server.",
		    "minimal: no base backup can be made");
	else
		finding_tell(l->to, HF_PASS, "wal_level", NULL, "%s",
		    PQgetvalue(res, 0, 0));
	senders = number(res, 1);
	used = number(res, 2);
	/* A backup takes one, and who follows the slot another. */
	if (senders - used < (l->e->conf.wal.stream ? 2 : 1))
		finding_tell(l->to, senders <= used ? HF_FAIL : HF_WARN,
		    "max_wal_senders",
		    "ALTER SYSTEM SET max_wal_senders = 10; and restart the "
		    "server.",
		    "%" PRId64 " of %" PRId64 " are in use", used, senders);
	else
		finding_tell(l->to, HF_PASS, "max_wal_senders", NULL,
		    "%" PRId64 " of %" PRId64 " are in use", used, senders);
	if (is(res, 3, "off"))
		finding_tell(l->to, l->standby ? HF_FAIL : HF_WARN,
		    "full_page_writes",
		    "ALTER SYSTEM SET full_page_writes = on; SELECT "
		    "pg_reload_conf(); (on the primary)",
		    "off: a crash can tear pages, and standbys cannot be "
		    "backed up");
	if (is(res, 4, "off"))
		finding_tell(l->to, HF_WARN, "data_checksums",
		    "pg_checksums --enable, while the server is stopped, "
		    "turns them on.",
		    "off: damaged pages are backed up unnoticed");
	else
		finding_tell(l->to, HF_PASS, "data_checksums", NULL, "on");
	finding_tell(l->to, HF_PASS, "wal_segment_size", NULL, "%s",
	    PQgetvalue(res, 0, 5));
	PQclear(res);
	return HF_OK;
}

/* ---- incremental backups ---- */

/* Whether the pipeline wants any is not known here: so it is no warning, and as
 * the hint of what is good is not shown, the result says what to do. */
static int
look_summaries(struct look *l, struct hf_error *err)
{
	PGresult *res;
	int rc;

	if (l->c->version < PARENT_SERVER)
		return HF_OK;
	rc = row(l, &res, err,
	    "SELECT current_setting('summarize_wal'), "
	    "current_setting('wal_summary_keep_time'), "
	    "coalesce(summarizer_pid, -1), b, pg_size_pretty(b) FROM (SELECT "
	    "summarizer_pid, greatest(0, pg_wal_lsn_diff(CASE WHEN "
	    "pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE "
	    "pg_current_wal_lsn() END, pending_lsn))::bigint AS b FROM "
	    "pg_get_wal_summarizer_state()) s");
	if (rc != HF_OK)
		return rc;
	if (is(res, 0, "off"))
		finding_tell(l->to, HF_PASS, "summarize_wal", PARENT_SUMMARIZE,
		    "off, which incremental backups alone need: ALTER SYSTEM "
		    "SET summarize_wal = on");
	else if (number(res, 2) <= 0)
		finding_tell(l->to, HF_WARN, "summarize_wal",
		    "The server's log says why its \"walsummarizer\" ended.",
		    "on, but nobody summarizes: full backups are made where "
		    "incremental ones are asked for");
	else
		finding_tell(l->to,
		    number(res, 3) > HELD_MUCH ? HF_WARN : HF_PASS,
		    "summarize_wal",
		    number(res, 3) > HELD_MUCH
			? "An incremental backup waits until it has come along."
			: NULL,
		    "on, %s behind; summaries are kept for %s",
		    PQgetvalue(res, 0, 4),
		    is(res, 1, "0") ? "ever" : PQgetvalue(res, 0, 1));
	PQclear(res);
	return HF_OK;
}

/* ---- wal.push ---- */

/* Segments that wait to be pushed: not every role may see them.  A CASE would
 * not do, as rights are looked at before it is. */
static int
count_ready(struct look *l, char **ready, struct hf_error *err)
{
	char *may = NULL;
	int rc;

	*ready = NULL;
	rc = conn_value(l->c, &may, err,
	    "SELECT has_function_privilege('pg_ls_archive_statusdir()', "
	    "'EXECUTE')");
	if (rc == HF_OK && may != NULL && may[0] == 't')
		rc = conn_value(l->c, ready, err,
		    "SELECT count(*) FROM pg_ls_archive_statusdir() "
		    "WHERE name LIKE '%.ready'");
	free(may);
	return rc;
}

static int
tell_archiver(struct look *l, const PGresult *res, struct hf_error *err)
{
	char *ready;
	int rc;

	if (is(res, 2, "t")) {
		finding_tell(l->to, HF_FAIL, "archiving",
		    "The server's log has what archive_command printed.",
		    "%s failed at %s, %s failures in all",
		    PQgetvalue(res, 0, 3), PQgetvalue(res, 0, 4),
		    PQgetvalue(res, 0, 5));
		return HF_OK;
	}
	if (is(res, 6, "")) {
		finding_tell(l->to, HF_WARN, "archiving",
		    "SELECT pg_switch_wal(); makes the server try.",
		    "nothing was archived yet");
		return HF_OK;
	}
	if ((rc = count_ready(l, &ready, err)) == HF_OK)
		finding_tell(l->to, HF_PASS, "archiving", NULL,
		    "%s at %s%s%s%s", PQgetvalue(res, 0, 6),
		    PQgetvalue(res, 0, 7), ready == NULL ? "" : ", ",
		    ready == NULL ? "" : ready,
		    ready == NULL ? "" : " wait to be pushed");
	free(ready);
	return rc;
}

static int
look_push(struct look *l, struct hf_error *err)
{
	static const char set[] =
	    "ALTER SYSTEM SET archive_command = 'holdfast wal push %p'; "
	    "SELECT pg_reload_conf();";
	PGresult *res;
	int rc;

	rc = row(l, &res, err,
	    "SELECT current_setting('archive_mode'), "
	    "current_setting('archive_command'), "
	    "coalesce(last_failed_time > coalesce(last_archived_time, "
	    "'-infinity'), false), last_failed_wal, "
	    "date_trunc('second', last_failed_time), failed_count, "
	    "last_archived_wal, date_trunc('second', last_archived_time) "
	    "FROM pg_stat_archiver");
	if (rc != HF_OK)
		return rc;
	if (is(res, 0, "off"))
		finding_tell(l->to, l->standby ? HF_WARN : HF_FAIL,
		    "archive_mode",
		    l->standby ? "Its primary can push; or \"always\" here: "
				 "ALTER SYSTEM SET archive_mode = always; and "
				 "restart the server."
			       : "ALTER SYSTEM SET archive_mode = on; and "
				 "restart the server.",
		    "off: this server pushes no WAL");
	else
		finding_tell(l->to, HF_PASS, "archive_mode", NULL, "%s",
		    PQgetvalue(res, 0, 0));
	if (is(res, 0, "off")) {
		PQclear(res);
		return HF_OK;
	}
	if (is(res, 1, "") || is(res, 1, "(disabled)"))
		finding_tell(l->to, HF_FAIL, "archive_command", set, "empty");
	else if (strstr(PQgetvalue(res, 0, 1), "wal push") == NULL)
		finding_tell(l->to, HF_FAIL, "archive_command", set,
		    "is not \"holdfast wal push %%p\" but: %s",
		    PQgetvalue(res, 0, 1));
	else
		finding_tell(l->to, HF_PASS, "archive_command", NULL, "%s",
		    PQgetvalue(res, 0, 1));
	rc = tell_archiver(l, res, err);
	PQclear(res);
	return rc;
}

/* ---- wal.stream, and slots that others left ---- */

static void
tell_slot(struct look *l, const PGresult *res, int i)
{
	const char *name = PQgetvalue(res, i, 0);
	bool ours =
	    l->e->conf.wal.stream && strcmp(name, l->e->conf.wal.slot) == 0;
	bool active = PQgetvalue(res, i, 1)[0] == 't';
	bool lost = strcmp(PQgetvalue(res, i, 2), "lost") == 0;
	int64_t held = strtoll(PQgetvalue(res, i, 3), NULL, 10);
	struct text drop = { 0 };

	text_add(&drop, "If nobody needs it: SELECT "
			"pg_drop_replication_slot(");
	text_add_literal(&drop, name);
	text_add(&drop, ");");
	if (ours && lost)
		finding_tell(l->to, HF_FAIL, "slot", text_get(&drop),
		    "%s has lost WAL that was not streamed yet: "
		    "max_slot_wal_keep_size was too small; take a new base "
		    "backup",
		    name);
	else if (ours && !active)
		finding_tell(l->to, HF_FAIL, "slot",
		    "Start \"holdfast run\"; until then the server keeps WAL "
		    "for it.",
		    "%s: nobody follows it, it holds back %s", name,
		    PQgetvalue(res, i, 4));
	else if (held > HELD_MUCH)
		finding_tell(l->to, HF_WARN, ours ? "slot" : "other slots",
		    ours ? "The sinks may be too slow; \"holdfast status\" "
			   "tells of the lag."
			 : text_get(&drop),
		    "%s holds back %s of WAL", name, PQgetvalue(res, i, 4));
	else if (ours)
		finding_tell(l->to, HF_PASS, "slot", NULL,
		    "%s is followed, it holds back %s", name,
		    PQgetvalue(res, i, 4));
	text_free(&drop);
}

/* For a slot that is still to be made. */
static int
look_room(struct look *l, struct hf_error *err)
{
	PGresult *res;
	int rc;

	rc = row(l, &res, err,
	    "SELECT current_setting('max_replication_slots')::int > (SELECT "
	    "count(*) FROM pg_replication_slots)");
	if (rc != HF_OK)
		return rc;
	if (is(res, 0, "t"))
		finding_tell(l->to, HF_WARN, "slot",
		    "\"holdfast run\" makes it when it begins to follow.",
		    "there is no replication slot %s yet", l->e->conf.wal.slot);
	else
		finding_tell(l->to, HF_FAIL, "slot",
		    "ALTER SYSTEM SET max_replication_slots = 10; and restart "
		    "the server; or drop a slot that nobody needs.",
		    "there is no replication slot %s, and no room for one",
		    l->e->conf.wal.slot);
	PQclear(res);
	return HF_OK;
}

static int
look_slots(struct look *l, struct hf_error *err)
{
	PGresult *res;
	bool found = false;
	int rc;

	rc = conn_query(l->c, &res, err,
	    "SELECT slot_name, active, wal_status, h, pg_size_pretty(h) FROM "
	    "(SELECT *, greatest(0, pg_wal_lsn_diff(CASE WHEN "
	    "pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE "
	    "pg_current_wal_lsn() END, restart_lsn))::bigint AS h FROM "
	    "pg_replication_slots) s ORDER BY 1");
	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(res); i++) {
		tell_slot(l, res, i);
		found |=
		    strcmp(PQgetvalue(res, i, 0), l->e->conf.wal.slot) == 0;
	}
	PQclear(res);
	return l->e->conf.wal.stream && !found ? look_room(l, err) : HF_OK;
}

static int
look_stream(struct look *l, struct hf_error *err)
{
	PGresult *res;
	int rc;

	rc = row(
	    l, &res, err, "SELECT current_setting('max_slot_wal_keep_size')");
	if (rc != HF_OK)
		return rc;
	if (is(res, 0, "-1"))
		finding_tell(l->to, HF_WARN, "max_slot_wal_keep_size",
		    "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT "
		    "pg_reload_conf(); with what the disk can spare: then a "
		    "slot that nobody follows cannot fill it, but loses WAL.",
		    "unlimited: while nobody follows the slot the server "
		    "keeps WAL until its disk is full");
	else
		finding_tell(l->to, HF_PASS, "max_slot_wal_keep_size", NULL,
		    "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	return HF_OK;
}

static int
look_wal(struct look *l, struct hf_error *err)
{
	const struct conf *conf = &l->e->conf;
	int rc = HF_OK;

	if (!conf->wal.stream && !conf->wal.push)
		finding_tell(l->to, HF_WARN, "wal",
		    "\"wal\": { \"stream\": true } keeps every moment since.",
		    "neither streamed nor pushed: what is written between two "
		    "backups cannot be restored");
	if (conf->wal.push)
		rc = look_push(l, err);
	if (rc == HF_OK && conf->wal.stream)
		rc = look_stream(l, err);
	return rc == HF_OK ? look_slots(l, err) : rc;
}

static int
look_all(struct look *l, const struct conninfo *info, struct hf_error *err)
{
	int rc;

	if ((rc = look_server(l, err)) != HF_OK)
		return rc;
	rc = look_replication(l, info, err);
	if (rc == HF_E_DENIED)
		rc = look_rights(l, err);
	if (rc == HF_OK)
		rc = look_levels(l, err);
	if (rc == HF_OK)
		rc = look_summaries(l, err);
	return rc == HF_OK ? look_wal(l, err) : rc;
}

int
base_check(
    struct hf_engine *e, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct findings to = { .cb = fn, .arg = arg };
	struct look l = { .e = e, .to = &to };
	struct conninfo *info;
	int rc;

	if ((rc = conninfo_source(&e->conf, &info, err)) != HF_OK)
		return rc;
	if ((rc = conn_open_any(e->ctx, info, &l.c, err)) == HF_OK)
		rc = look_all(&l, info, err);
	conn_close(l.c);
	conninfo_free(info);
	text_free(&l.role);
	return rc != HF_OK ? rc : to.rc;
}
