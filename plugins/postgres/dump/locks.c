/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "catalog.h"
#include "conninfo.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 200 /* tables in one statement */
#define TRIES 5

/* Those that pg_dump locks too, members of extensions included: it must find
 * none locked by others. */
/* clang-format off */
static const char every_table[] =
    "SELECT c.oid, " CATALOG_IDENT("n.nspname") " || '.' || "
    CATALOG_IDENT("c.relname")
    " FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'"
    " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    " ORDER BY c.oid";
/* clang-format on */

/* %s: OIDs.  Who holds, or waits in front of us for, an exclusive lock. */
static const char holder_sql[] =
    "SELECT n.nspname || '.' || c.relname, l.pid,"
    " COALESCE(NULLIF(a.application_name, ''), 'no application name'),"
    " COALESCE(a.state, 'unknown state')"
    " FROM pg_catalog.pg_locks l"
    " JOIN pg_catalog.pg_class c ON c.oid = l.relation"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'"
    " AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d"
    " WHERE d.datname = pg_catalog.current_database())"
    " AND l.relation = ANY ('{%s}'::pg_catalog.oid[])"
    " ORDER BY l.granted DESC, l.pid LIMIT 1";

static const char denied_sql[] =
    "SELECT n.nspname || '.' || c.relname,"
    " CASE WHEN pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN ''"
    " ELSE pg_catalog.format('GRANT USAGE ON SCHEMA %%I TO %%I; ',"
    " n.nspname, current_user) END || pg_catalog.format("
    "'GRANT SELECT ON %%I.%%I TO %%I;', n.nspname, c.relname,"
    " current_user), pg_catalog.count(*) OVER ()"
    " FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = ANY ('{%s}'::pg_catalog.oid[])"
    " AND NOT (pg_catalog.has_table_privilege(c.oid, 'SELECT')"
    " AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))"
    " ORDER BY 1 LIMIT 1";

/* Tables of which the snapshot knows other files than those there are now: a
 * TRUNCATE or a rewrite between snapshot and lock, after which an old snapshot
 * sees nothing or not all. */
static const char moved_sql[] =
    "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = ANY ('{%s}'::pg_catalog.oid[])"
    " AND pg_catalog.pg_relation_filenode(c.oid)"
    " IS DISTINCT FROM NULLIF(c.relfilenode, 0)"
    " ORDER BY 1 LIMIT 1";

static int
held(struct run *run, PGresult *res, struct hf_error *err)
{
	struct text t = { 0 };

	if (PQntuples(res) == 0)
		return postgres_fail_hint(err, HF_E_TRANSIENT,
		    "Raise \"lock_timeout\", or back up at another time.",
		    "locking tables of %s: lock timeout", run->conn->label);
	text_addf(&t,
	    "Held by process %s (%s, %s). Wait for it, end it with "
	    "pg_terminate_backend(%s), or raise \"lock_timeout\".",
	    PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2), PQgetvalue(res, 0, 3),
	    PQgetvalue(res, 0, 1));
	(void)postgres_fail_hint(err, HF_E_TRANSIENT, text_get(&t),
	    "locking table %s of %s: lock timeout", PQgetvalue(res, 0, 0),
	    run->conn->label);
	text_free(&t);
	return HF_E_TRANSIENT;
}

static int
denied(struct run *run, PGresult *res, struct hf_error *err)
{
	const char *more;

	if (PQntuples(res) == 0)
		return HF_E_DENIED; /* as the server said it */
	more = PQgetvalue(res, 0, 2);
	(void)postgres_fail_hint(err, HF_E_DENIED, PQgetvalue(res, 0, 1),
	    "no privilege to read table %s of %s%s%s%s", PQgetvalue(res, 0, 0),
	    run->conn->label, strcmp(more, "1") == 0 ? "" : " (and others: ",
	    strcmp(more, "1") == 0 ? "" : more,
	    strcmp(more, "1") == 0 ? "" : " in all)");
	H->fail_note(err, "sqlstate", "42501");
	return HF_E_DENIED;
}

/* The server names no table, or not its schema: look again, from outside. */
static int
explain(struct run *run, int failed, const char *oids, struct hf_error *err)
{
	bool timeout = strcmp(conn_sqlstate(run->conn), "55P03") == 0;
	struct conn *c = NULL;
	PGresult *res;

	if (!timeout && strcmp(conn_sqlstate(run->conn), "42501") != 0)
		return failed;
	if (conn_open(run->ctx, run->info, NULL, NULL, &c, err) != HF_OK)
		return H->fail(
		    err, failed, "locking tables of %s", run->conn->label);
	if (conn_queryf(c, &res, err, timeout ? holder_sql : denied_sql,
		oids) == HF_OK) {
		failed = timeout ? held(run, res, err) : denied(run, res, err);
		PQclear(res);
	}
	conn_close(c);
	return failed;
}

/* One batch; "ONLY" is for each.  sql: the list, oids: the same as numbers. */
static int
lock(struct run *run, const struct text *list, const struct text *oids,
    struct hf_error *err)
{
	struct text sql = { 0 };
	int rc;

	if ((rc = text_ok(list, err)) != HF_OK ||
	    (rc = text_ok(oids, err)) != HF_OK)
		return rc;
	text_add(&sql, "LOCK TABLE ");
	text_add_n(&sql, list->s, list->len);
	text_add(&sql, " IN ACCESS SHARE MODE");
	if ((rc = text_ok(&sql, err)) == HF_OK &&
	    (rc = conn_exec(run->conn, err, text_get(&sql))) != HF_OK)
		rc = explain(run, rc, text_get(oids), err);
	text_free(&sql);
	return rc;
}

static bool
vanished(const struct run *run)
{
	const char *state = conn_sqlstate(run->conn);

	return strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0;
}

static int
lock_every(struct run *run, const PGresult *res, struct hf_error *err)
{
	struct text list = { 0 }, oids = { 0 };
	int n = PQntuples(res), rc;

	rc = conn_exec(
	    run->conn, err, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	for (int i = 0; i < n && rc == HF_OK;) {
		text_reset(&list);
		text_reset(&oids);
		for (int k = 0; k < BATCH && i < n; k++, i++) {
			text_add(&list, k > 0 ? ", ONLY " : "ONLY ");
			text_add(&list, PQgetvalue(res, i, 1));
			text_add(&oids, k > 0 ? "," : "");
			text_add(&oids, PQgetvalue(res, i, 0));
		}
		rc = lock(run, &list, &oids, err);
	}
	text_free(&list);
	text_free(&oids);
	return rc;
}

int
locks_early(struct run *run, struct hf_error *err)
{
	PGresult *res;
	int rc = HF_OK;

	for (int i = 0; i < TRIES; i++) {
		if ((rc = conn_query(run->conn, &res, err, every_table)) !=
		    HF_OK)
			return rc;
		rc = lock_every(run, res, err);
		PQclear(res);
		/* Dropped since it was listed. */
		if (rc == HF_OK || !vanished(run))
			return rc;
		if ((rc = conn_exec(run->conn, err, "ROLLBACK")) != HF_OK)
			return rc;
	}
	return H->fail(err, HF_E_TRANSIENT,
	    "tables of %s are dropped faster than they can be locked",
	    run->conn->label);
}

void
locks_list(struct text *sql, const struct source *const *sources, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		text_add(sql, i > 0 ? ", ONLY " : "ONLY ");
		text_add(sql, sources[i]->sql);
	}
}

static int
unmoved(struct run *run, const char *oids, struct hf_error *err)
{
	PGresult *res;
	int rc;

	if ((rc = conn_queryf(run->conn, &res, err, moved_sql, oids)) != HF_OK)
		return rc;
	if (PQntuples(res) > 0)
		rc = postgres_fail_hint(err, HF_E_TRANSIENT,
		    "It is tried again; run DDL and backups at different "
		    "times.",
		    "table %s of %s was truncated or rewritten while the "
		    "backup began",
		    PQgetvalue(res, 0, 0), run->conn->label);
	PQclear(res);
	return rc;
}

int
locks_take(struct run *run, struct hf_error *err)
{
	struct text list = { 0 }, oids = { 0 };
	int rc = HF_OK;

	for (size_t i = 0; i < run->nsources && rc == HF_OK;) {
		text_reset(&list);
		text_reset(&oids);
		for (int k = 0; k < BATCH && i < run->nsources; k++, i++) {
			text_add(&list, k > 0 ? ", ONLY " : "ONLY ");
			text_add(&list, run->sources[i].sql);
			text_addf(&oids, "%s%u", k > 0 ? "," : "",
			    run->sources[i].oid);
		}
		if ((rc = lock(run, &list, &oids, err)) == HF_OK)
			rc = unmoved(run, text_get(&oids), err);
		else if (vanished(run)) {
			(void)H->fail_context(err,
			    "a table was dropped or renamed while the backup "
			    "began");
			rc = HF_E_TRANSIENT;
		}
	}
	text_free(&list);
	text_free(&oids);
	return rc;
}
