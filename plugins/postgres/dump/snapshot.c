/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "conninfo.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* %s: how a version spells the locale of a database, and its ICU rules. */
static const char database_sql[] =
    "SELECT d.datname, pg_catalog.pg_encoding_to_char(d.encoding),"
    " pg_catalog.pg_get_userbyid(d.datdba), d.datcollate, d.datctype,"
    " %s, %s, %s, t.spcname, d.datconnlimit"
    " FROM pg_catalog.pg_database d"
    " LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace"
    " WHERE d.datname = pg_catalog.current_database()";

static int
keep(char **to, const PGresult *res, int column, struct hf_error *err)
{
	free(*to);
	*to = NULL;
	if (PQgetisnull(res, 0, column))
		return HF_OK;
	if ((*to = utf8_copy(PQgetvalue(res, 0, column))) == NULL)
		return postgres_nomem(err);
	return HF_OK;
}

/* What contents.json tells of the database. */
static int
describe(struct run *run, struct hf_error *err)
{
	struct contents *c = &run->contents;
	char **const fields[] = { &c->database, &c->encoding, &c->owner,
		&c->collate, &c->ctype, &c->provider, &c->locale, &c->icu_rules,
		&c->tablespace };
	int v = run->conn->version, rc = HF_OK;
	PGresult *res;
	char sql[1024];

	(void)snprintf(sql, sizeof sql, database_sql,
	    v >= 150000 ? "d.datlocprovider" : "'c'",
	    v >= 170000   ? "d.datlocale"
	    : v >= 150000 ? "d.daticulocale"
			  : "NULL",
	    v >= 160000 ? "d.daticurules" : "NULL");
	if ((rc = utf8_query(run, &res, err, sql)) != HF_OK)
		return rc;
	if (PQntuples(res) != 1)
		rc = H->fail(err, HF_E_NOTFOUND, "%s is not in pg_database",
		    run->conn->label);
	for (int i = 0; i < 9 && rc == HF_OK; i++)
		rc = keep(fields[i], res, i, err);
	if (rc == HF_OK)
		c->connection_limit =
		    (int)strtol(PQgetvalue(res, 0, 9), NULL, 10);
	c->server_version = v;
	PQclear(res);
	return rc;
}

static int export(struct run *run, struct hf_error *err)
{
	PGresult *res;
	int rc;

	rc = conn_query(run->conn, &res, err,
	    "SELECT pg_catalog.pg_export_snapshot(),"
	    " pg_catalog.current_setting('client_encoding'),"
	    " pg_catalog.current_setting('block_size')");
	if (rc != HF_OK)
		return H->fail_context(err, "exporting a snapshot");
	run->snapshot = strdup(PQgetvalue(res, 0, 0));
	free(run->contents.stored_encoding);
	run->contents.stored_encoding = strdup(PQgetvalue(res, 0, 1));
	run->block_size = strtoll(PQgetvalue(res, 0, 2), NULL, 10);
	PQclear(res);
	if (run->snapshot == NULL || run->contents.stored_encoding == NULL)
		return postgres_nomem(err);
	return HF_OK;
}

static const char *
encoding(const struct run *run)
{
	return run->conf->encoding == NULL ? "" : run->conf->encoding;
}

int
snapshot_begin(struct run *run, struct hf_error *err)
{
	int rc;

	if ((rc = conn_open(run->ctx, run->info, NULL, encoding(run),
		 &run->conn, err)) != HF_OK)
		return rc;
	/* pg_dump and all workers go where this one went. */
	if (conninfo_get(run->info, "dbname") == NULL &&
	    (rc = conninfo_set(
		 run->info, "dbname", PQdb(run->conn->pg), err)) != HF_OK)
		return rc;
	/* lock_timeout of the server, not of the client: it ends the wait
	 * where the queue is. */
	if ((rc = conn_execf(run->conn, err, "SET lock_timeout = %" PRId64,
		 run->conf->lock_timeout)) != HF_OK)
		return rc;
	/* LOCK TABLE takes no snapshot: what is locked first cannot change
	 * between snapshot and lock. */
	if (run->whole && run->rows)
		rc = locks_early(run, err);
	else
		rc = conn_exec(run->conn, err,
		    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	if (rc == HF_OK)
		rc = export(run, err);
	return rc == HF_OK ? describe(run, err) : rc;
}

int
snapshot_end(struct run *run, struct hf_error *err)
{
	int rc = conn_exec(run->conn, err, "COMMIT");

	if (rc != HF_OK)
		(void)H->fail_context(err,
		    "ending the snapshot of %s; its locks may have ended "
		    "before",
		    run->conn->label);
	snapshot_drop(run);
	return rc;
}

void
snapshot_drop(struct run *run)
{
	conn_close(run->conn);
	run->conn = NULL;
	free(run->snapshot);
	run->snapshot = NULL;
}

int
snapshot_again(const struct run *run, struct conn *c, struct hf_error *err)
{
	int rc = conn_execf(c, err,
	    "ROLLBACK;"
	    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
	    "SET TRANSACTION SNAPSHOT '%s'",
	    run->snapshot);

	/* invalid_parameter_value: it went with the one that exported it. */
	if (rc != HF_OK && strcmp(conn_sqlstate(c), "22023") == 0)
		rc = H->fail(err, HF_E_IO,
		    "the connection to %s that holds its snapshot was lost",
		    run->conn->label);
	return rc;
}

int
snapshot_join(struct run *run, const atomic_bool *stop, struct conn **out,
    struct hf_error *err)
{
	struct conn *c;
	int rc;

	if ((rc = conn_open(
		 run->ctx, run->info, NULL, encoding(run), &c, err)) != HF_OK)
		return rc;
	c->stop = stop;
	/* Parts of tables are read by ranges of row addresses alone. */
	rc = conn_exec(c, err,
	    "SET enable_seqscan = off;"
	    "SET max_parallel_workers_per_gather = 0;"
	    "SET jit = off");
	if (rc == HF_OK && (rc = snapshot_again(run, c, err)) != HF_OK)
		(void)H->fail_context(err, "joining the snapshot");
	if (rc == HF_OK)
		*out = c;
	else
		conn_close(c);
	return rc;
}

int
snapshot_fact(const struct run *run, const char *key, const char *value,
    struct hf_error *err)
{
	struct text t = { 0 };
	int rc;

	text_add(&t, run->prefix);
	text_add(&t, key);
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = H->out_fact(run->out, text_get(&t), value, err);
	text_free(&t);
	return rc;
}

static int
fact_number(const struct run *run, const char *key, uint64_t value,
    struct hf_error *err)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%" PRIu64, value);
	return snapshot_fact(run, key, text, err);
}

/* Those that the server tells; each column is the fact of its name. */
static const char facts_sql[] =
    "SELECT pg_catalog.current_setting('server_version') AS server_version,"
    " pg_catalog.current_setting('server_version_num')"
    " AS server_version_num,"
    " pg_catalog.pg_database_size(pg_catalog.current_database())"
    " AS database_size,"
    " CASE WHEN pg_catalog.pg_is_in_recovery()"
    " THEN pg_catalog.pg_last_wal_replay_lsn()"
    " ELSE pg_catalog.pg_current_wal_lsn() END AS lsn,"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'yes' ELSE 'no' END"
    " AS standby,"
    " CASE WHEN pg_catalog.has_function_privilege("
    "'pg_catalog.pg_control_system()', 'EXECUTE') THEN (SELECT"
    " system_identifier FROM pg_catalog.pg_control_system()) END"
    " AS system_identifier,"
    " CASE WHEN pg_catalog.has_function_privilege("
    "'pg_catalog.pg_control_checkpoint()', 'EXECUTE') THEN (SELECT"
    " timeline_id FROM pg_catalog.pg_control_checkpoint()) END AS timeline";

static int
server_facts(const struct run *run, struct hf_error *err)
{
	PGresult *res;
	int rc;

	if ((rc = conn_query(run->conn, &res, err, facts_sql)) != HF_OK)
		return rc;
	for (int i = 0; i < PQnfields(res) && rc == HF_OK; i++)
		if (!PQgetisnull(res, 0, i))
			rc = snapshot_fact(
			    run, PQfname(res, i), PQgetvalue(res, 0, i), err);
	PQclear(res);
	return rc;
}

static int
table_facts(const struct run *run, struct hf_error *err)
{
	struct text key = { 0 };
	uint64_t rows = 0;
	int rc = HF_OK;

	for (size_t i = 0; i < run->contents.ntables && rc == HF_OK; i++) {
		const struct table *t = &run->contents.tables[i];

		text_reset(&key);
		text_add(&key, "rows.");
		layout_escape(&key, t->schema);
		text_add(&key, ".");
		layout_escape(&key, t->name);
		rows += t->rows;
		if ((rc = text_ok(&key, err)) == HF_OK)
			rc = fact_number(run, text_get(&key), t->rows, err);
	}
	text_free(&key);
	if (rc == HF_OK)
		rc = fact_number(run, "rows", rows, err);
	return rc;
}

int
snapshot_facts(struct run *run, struct hf_error *err)
{
	const struct contents *c = &run->contents;
	const char *const pairs[][2] = {
		{ "database", c->database },
		{ "encoding", c->encoding },
		{ "collate", c->collate },
		{ "ctype", c->ctype },
		{ "locale_provider", c->provider },
		{ "snapshot", run->snapshot },
	};
	int rc = server_facts(run, err);

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (rc == HF_OK && pairs[i][1] != NULL)
			rc = snapshot_fact(run, pairs[i][0], pairs[i][1], err);
	if (rc == HF_OK)
		rc = fact_number(run, "pg_dump_version",
		    (uint64_t)run->pg_dump.version, err);
	if (rc == HF_OK)
		rc = fact_number(run, "streams", run->jobs, err);
	if (rc == HF_OK)
		rc = fact_number(run, "tables", c->ntables, err);
	return rc == HF_OK && run->rows ? table_facts(run, err) : rc;
}
