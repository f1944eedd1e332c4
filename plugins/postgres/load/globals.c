/* SPDX-License-Identifier: BSD-2-Clause */
#include "globals.h"

#include "job.h"
#include "script.h"
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME 600 /* a literal of 63 bytes, each of them escaped */

/* How a block begins that creates a role, see dump/. */
static const char role_head[] =
    "IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ";
static const char gexec[] = "\\gexec\n";

struct globals {
	struct job *job;
	struct conn *conn;
	struct text missing;            /* names that we may not create */
	struct text roles, tablespaces; /* that were created */
};

/* Why the last statement failed, without its text: passwords are in it. */
static int
failure(
    struct globals *g, const char *what, const char *name, struct hf_error *err)
{
	const char *state = conn_sqlstate(g->conn);
	char line[512];

	(void)snprintf(line, sizeof line, "%s", PQerrorMessage(g->conn->pg));
	line[strcspn(line, "\n")] = '\0';
	H->fail(err, state[0] != '\0' ? conn_status(state) : HF_E_IO,
	    "creating %s %s: %s", what, name, line);
	H->fail_note(err, "sqlstate", state);
	return state[0] != '\0' ? conn_status(state) : HF_E_IO;
}

static void
add_created(struct text *t, const char *name)
{
	text_addf(t, "%s%s", t->len == 0 ? "created " : ", ", name);
}

/* They are the server's, whatever becomes of the database. */
static void
tell_created(const struct globals *g)
{
	const struct hf_ctx *ctx = g->job->ctx;

	if (g->roles.len > 0 && !g->roles.failed)
		H->result(ctx, "roles", text_get(&g->roles));
	if (g->tablespaces.len > 0 && !g->tablespaces.failed)
		H->result(ctx, "tablespaces", text_get(&g->tablespaces));
}

/* lit as it is without quotes. */
static int
name_role(struct globals *g, const char *lit, struct hf_error *err)
{
	struct text sql = { 0 };
	char *name = NULL;
	int rc;

	text_addf(&sql, "SELECT %s", lit);
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_value(g->conn, &name, err, text_get(&sql));
	if (rc == HF_OK && name != NULL)
		add_created(&g->roles, name);
	text_free(&sql);
	free(name);
	return rc;
}

/* A block that creates one role; lit is its name as a literal. */
static int
run_role(
    struct globals *g, const char *sql, const char *lit, struct hf_error *err)
{
	bool exists;
	int rc;

	rc = job_ask(g->conn, &exists, err,
	    "SELECT true FROM pg_catalog.pg_roles WHERE rolname = %s", lit);
	if (rc != HF_OK || exists)
		return rc;
	if (conn_exec(g->conn, NULL, sql) == HF_OK) {
		H->log(g->job->ctx, HF_LOG_INFO, "postgres.role",
		    "role %s was created", lit);
		return name_role(g, lit, err);
	}
	if (strcmp(conn_sqlstate(g->conn), "42501") != 0)
		return failure(g, "role", lit, err);
	text_addf(&g->missing, "%s%s", g->missing.len == 0 ? "" : ", ", lit);
	return HF_OK;
}

/* What psql does for \gexec: the answer is a statement. */
static int
run_tablespace(struct globals *g, const char *sql, struct hf_error *err)
{
	char *create = NULL, name[NAME];
	bool quoted;
	int rc;

	if (!g->job->conf.tablespaces)
		return HF_OK;
	rc = conn_value(g->conn, &create, err, sql);
	if (rc != HF_OK || create == NULL)
		return rc;
	if (!sql_token(create, strlen(create), 2, name, sizeof name, &quoted))
		name[0] = '\0';
	if (conn_exec(g->conn, NULL, create) == HF_OK) {
		H->log(g->job->ctx, HF_LOG_INFO, "postgres.tablespace",
		    "tablespace %s was created", name);
		add_created(&g->tablespaces, name);
	} else {
		rc = failure(g, "tablespace", name, err);
		H->fail_note(err, "hint",
		    "Make its folder on the target server, owned by the "
		    "server's user; or put everything into the default "
		    "tablespace: -o tablespaces=false");
	}
	free(create);
	return rc;
}

static int
run_statement(
    struct globals *g, const char *sql, size_t len, struct hf_error *err)
{
	const char *head = strstr(sql, role_head);
	char lit[NAME];
	bool quoted;

	if (sql_begins(sql, len, "do") && head != NULL &&
	    sql_token(head + sizeof role_head - 1,
		len - (size_t)(head - sql) - (sizeof role_head - 1), 0, lit,
		sizeof lit, &quoted))
		return run_role(g, sql, lit, err);
	if (sql_begins(sql, len, "select"))
		return run_tablespace(g, sql, err);
	if (conn_exec(g->conn, NULL, sql) == HF_OK)
		return HF_OK;
	/* A membership, a right on a parameter: who restores may not give it,
	 * or has not got the role. */
	if (strcmp(conn_sqlstate(g->conn), "42501") != 0 &&
	    strcmp(conn_sqlstate(g->conn), "42704") != 0)
		return failure(g, "what roles have in common", "", err);
	H->log(g->job->ctx, HF_LOG_WARN, "postgres.skipped",
	    "a membership or a right of a role was not given: our role may "
	    "not");
	return HF_OK;
}

static int
run_all(struct globals *g, char *sql, size_t len, struct hf_error *err)
{
	size_t start, n;
	char *at, after;
	int rc = HF_OK;

	/* What it ends is a statement without a ';'. */
	for (at = strstr(sql, gexec); at != NULL; at = strstr(at, gexec)) {
		memset(at, ' ', sizeof gexec - 2);
		*at = ';';
	}
	while (rc == HF_OK && (n = sql_statement(sql, len, &start)) > 0) {
		after = sql[start + n];
		sql[start + n] = '\0';
		rc = run_statement(g, sql + start, n, err);
		sql[start + n] = after;
		sql += start + n;
		len -= start + n;
	}
	if (rc == HF_OK && start < len)
		rc = H->fail(err, HF_E_CORRUPT,
		    LAYOUT_GLOBALS " ends inside of a statement");
	return rc;
}

static int
refuse_missing(struct globals *g, struct hf_error *err)
{
	struct job *j = g->job;

	if (g->missing.len == 0)
		return HF_OK;
	if (j->conf.no_owner && j->conf.no_privileges) {
		job_tell(j, "skipped", "roles %s: our role may not create them",
		    text_get(&g->missing));
		return HF_OK;
	}
	return postgres_fail_hint(err, HF_E_DENIED,
	    "Create them; or restore without: -o globals=none -o no_owner=true "
	    "-o no_privileges=true",
	    "the target server has no role %s, and our role may not create it",
	    text_get(&g->missing));
}

int
globals_run(struct job *j, struct hf_error *err)
{
	struct globals g = { .job = j };
	char *sql = NULL;
	size_t len;
	int rc;

	if (!j->stored->globals || strcmp(j->conf.globals, "none") == 0)
		return HF_OK;
	rc = stored_read(j->in, "", LAYOUT_GLOBALS, &sql, &len, err);
	if (rc != HF_OK)
		return rc;
	rc = conn_open(j->ctx, j->info, j->maintenance, NULL, &g.conn, err);
	if (rc == HF_OK &&
	    (rc = conn_exec(g.conn, err,
		 "SET default_transaction_read_only = off")) == HF_OK &&
	    (rc = run_all(&g, sql, len, err)) == HF_OK &&
	    (rc = text_ok(&g.missing, err)) == HF_OK)
		rc = refuse_missing(&g, err);
	if (rc != HF_OK)
		(void)H->fail_context(err, "creating what is missing of roles "
					   "and tablespaces");
	tell_created(&g);
	conn_close(g.conn);
	text_free(&g.roles);
	text_free(&g.tablespaces);
	text_free(&g.missing);
	free(sql);
	return rc;
}
