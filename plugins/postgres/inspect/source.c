/* SPDX-License-Identifier: BSD-2-Clause */
/* Can a source be backed up?  One or few queries for each of its databases. */
#include "inspect.h"

#include "conn.h"
#include "conninfo.h"
#include "finding.h"
#include "postgres.h"
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEWEST_TESTED 17

struct look {
	struct hf_engine *e;
	struct conn *c;
	struct findings *to;
	struct text role; /* as an SQL identifier */
	bool selection;   /* a part of each database alone is dumped */
	bool rows;        /* not the definitions alone */
};

/* What a dump would read: tables and sequences that are no system's and no
 * extension's, but for the configuration tables of extensions. */
#define DUMPED                                                             \
	"n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' "       \
	"AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM "         \
	"pg_depend d JOIN pg_extension e ON e.oid = d.refobjid "           \
	"WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid "      \
	"AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' " \
	"AND (e.extconfig IS NULL OR c.oid <> ALL (e.extconfig)))"
#define DUMPED_FROM \
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "

/* A selection may leave out what cannot be read. */
static enum hf_verdict
verdict(const struct look *l)
{
	return l->selection ? HF_WARN : HF_FAIL;
}

/* The rows of a query of two columns, as "a.b" */
static int
list(struct look *l, const char *sql, struct names *names, struct hf_error *err)
{
	PGresult *rows;
	int rc = conn_query(l->c, &rows, err, sql);

	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(rows); i++)
		names_add(names, "%s.%s", PQgetvalue(rows, i, 0),
		    PQgetvalue(rows, i, 1));
	PQclear(rows);
	return HF_OK;
}

static int
look_tables(struct look *l, struct hf_error *err)
{
	struct names names = { 0 };
	struct text hint = { 0 };
	int rc = list(l,
	    "SELECT n.nspname, c.relname " DUMPED_FROM
	    "c.relkind IN ('r', 'p', 'S') AND " DUMPED
	    " AND NOT has_table_privilege(c.oid, 'SELECT') ORDER BY 1, 2",
	    &names, err);

	if (rc == HF_OK && names.n == 0)
		finding_tell(l->to, HF_PASS, "tables", NULL,
		    "all tables and sequences can be read");
	if (rc == HF_OK && names.n > 0) {
		if (l->c->version >= 140000)
			text_addf(&hint, "GRANT pg_read_all_data TO %s;",
			    text_get(&l->role));
		else
			text_addf(&hint,
			    "For each schema: GRANT SELECT ON ALL TABLES IN "
			    "SCHEMA ... TO %s; GRANT SELECT ON ALL SEQUENCES "
			    "IN SCHEMA ... TO %s;",
			    text_get(&l->role), text_get(&l->role));
		finding_tell(l->to, verdict(l), "tables", text_get(&hint),
		    "cannot be read: %s", names_get(&names));
	}
	names_free(&names);
	text_free(&hint);
	return rc;
}

static int
look_schemas(struct look *l, struct hf_error *err)
{
	struct names names = { 0 };
	struct text hint = { 0 }, first = { 0 };
	PGresult *rows;
	int rc = conn_query(l->c, &rows, err,
	    "SELECT n.nspname FROM pg_namespace n WHERE n.nspname !~ '^pg_' "
	    "AND n.nspname <> 'information_schema' "
	    "AND NOT has_schema_privilege(n.oid, 'USAGE') ORDER BY 1");

	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(rows); i++) {
		if (i == 0)
			text_add_ident(&first, PQgetvalue(rows, i, 0));
		names_add(&names, "%s", PQgetvalue(rows, i, 0));
	}
	PQclear(rows);
	if (names.n > 0) {
		if (l->c->version >= 140000)
			text_addf(&hint, "GRANT pg_read_all_data TO %s;",
			    text_get(&l->role));
		else
			text_addf(&hint,
			    "For each of them: GRANT USAGE ON SCHEMA %s TO "
			    "%s;",
			    text_get(&first), text_get(&l->role));
		finding_tell(l->to, verdict(l), "schemas", text_get(&hint),
		    "cannot be used: %s", names_get(&names));
	}
	names_free(&names);
	text_free(&hint);
	text_free(&first);
	return HF_OK;
}

/* No function tells it before server 18, so the grants are read. */
static int
look_large_objects(struct look *l, struct hf_error *err)
{
	struct text hint = { 0 };
	char *count = NULL;
	int rc;

	if (!l->e->conf.large_objects || !l->rows || l->selection ||
	    l->c->superuser)
		return HF_OK;
	rc = conn_value(l->c, &count, err,
	    "SELECT count(*) FROM pg_largeobject_metadata m "
	    "WHERE current_setting('lo_compat_privileges') = 'off' "
	    "AND NOT pg_has_role(m.lomowner, 'USAGE') "
	    "AND NOT EXISTS (SELECT FROM aclexplode(m.lomacl) a "
	    "WHERE a.privilege_type = 'SELECT' "
	    "AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))");
	if (rc == HF_OK && count != NULL && strcmp(count, "0") != 0) {
		text_addf(&hint,
		    "ALTER ROLE %s SET lo_compat_privileges = on; (a "
		    "superuser may), or \"large_objects\": false.",
		    text_get(&l->role));
		finding_tell(l->to, HF_FAIL, "large objects", text_get(&hint),
		    "%s cannot be read", count);
	}
	free(count);
	text_free(&hint);
	return rc;
}

/* row_security is off in our sessions: a query that would be filtered fails,
 * so that nothing is left out unseen. */
static int
look_row_security(struct look *l, struct hf_error *err)
{
	struct names names = { 0 };
	struct text hint = { 0 };
	int rc = list(l,
	    "SELECT n.nspname, c.relname " DUMPED_FROM
	    "c.relkind IN ('r', 'p') AND c.relrowsecurity AND " DUMPED
	    " AND row_security_active(c.oid) ORDER BY 1, 2",
	    &names, err);

	if (rc == HF_OK && l->rows && names.n > 0) {
		text_addf(&hint, "ALTER ROLE %s BYPASSRLS; (a superuser may)",
		    text_get(&l->role));
		finding_tell(l->to, verdict(l), "row-level security",
		    text_get(&hint), "hides rows of %s from this role",
		    names_get(&names));
	}
	names_free(&names);
	text_free(&hint);
	return rc;
}

/* A table that somebody has locked now may still be when the backup comes. */
static int
look_locks(struct look *l, struct hf_error *err)
{
	struct names names = { 0 };
	PGresult *rows;
	int rc = conn_query(l->c, &rows, err,
	    "SELECT DISTINCT n.nspname, c.relname, l.pid FROM pg_locks l "
	    "JOIN pg_class c ON c.oid = l.relation "
	    "JOIN pg_namespace n ON n.oid = c.relnamespace "
	    "WHERE l.granted AND l.mode = 'AccessExclusiveLock' "
	    "AND c.relkind IN ('r', 'p', 'S', 'm') AND l.database = (SELECT "
	    "oid FROM pg_database WHERE datname = current_database()) "
	    "AND l.pid IS DISTINCT FROM pg_backend_pid() AND " DUMPED
	    " ORDER BY 1, 2, 3");

	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(rows); i++)
		names_add(&names, "%s.%s (%s%s)", PQgetvalue(rows, i, 0),
		    PQgetvalue(rows, i, 1),
		    PQgetisnull(rows, i, 2) ? "" : "process ",
		    PQgetisnull(rows, i, 2) ? "a prepared transaction"
					    : PQgetvalue(rows, i, 2));
	PQclear(rows);
	if (names.n > 0)
		finding_tell(l->to, HF_WARN, "locks",
		    "A backup waits for \"lock_timeout\": end the transaction, "
		    "or back up at another time.",
		    "exclusively locked now: %s", names_get(&names));
	names_free(&names);
	return HF_OK;
}

static int
look_standby_tables(struct look *l, struct hf_error *err)
{
	struct names names = { 0 };
	int rc = list(l,
	    "SELECT n.nspname, c.relname " DUMPED_FROM
	    "pg_is_in_recovery() AND c.relkind = 'r' "
	    "AND c.relpersistence = 'u' AND n.nspname !~ '^pg_' ORDER BY 1, 2",
	    &names, err);

	if (rc == HF_OK && l->rows && names.n > 0)
		finding_tell(l->to, HF_WARN, "unlogged tables",
		    "Back up the primary where their rows matter.",
		    "have no rows on a standby, none will be kept: %s",
		    names_get(&names));
	names_free(&names);
	return rc;
}

/* pg_dump leaves them out without more than a word. */
static int
look_subscriptions(struct look *l, struct hf_error *err)
{
	char *count = NULL;
	int rc;

	if (l->c->superuser)
		return HF_OK;
	rc = conn_value(l->c, &count, err,
	    "SELECT NULLIF(pg_catalog.count(*), 0) FROM"
	    " pg_catalog.pg_subscription WHERE subdbid = (SELECT oid FROM"
	    " pg_catalog.pg_database WHERE datname ="
	    " pg_catalog.current_database())");
	if (rc == HF_OK && count != NULL)
		finding_tell(l->to, HF_WARN, "subscriptions",
		    "Keep their definitions elsewhere, or back up as a "
		    "superuser.",
		    "%s will be left out: only a superuser may read them",
		    count);
	free(count);
	return rc;
}

static int
look_notes(struct look *l, struct hf_error *err)
{
	struct names foreign = { 0 };
	const char *encoding = PQparameterStatus(l->c->pg, "server_encoding");
	int rc;

	if (encoding != NULL && strcmp(encoding, "SQL_ASCII") == 0)
		finding_tell(l->to, HF_WARN, "encoding",
		    "It is stored byte by byte; names that are no UTF-8 are "
		    "told as %XX.",
		    "SQL_ASCII: the server does not know what its text means");
	else
		finding_tell(l->to, HF_PASS, "encoding", NULL, "%s",
		    encoding == NULL ? "?" : encoding);
	rc = list(l,
	    "SELECT n.nspname, c.relname " DUMPED_FROM
	    "c.relkind = 'f' AND " DUMPED " ORDER BY 1, 2",
	    &foreign, err);
	if (rc == HF_OK && foreign.n > 0)
		finding_tell(l->to, HF_PASS, "foreign tables", NULL,
		    "definitions alone are kept, the rows are elsewhere: %s",
		    names_get(&foreign));
	names_free(&foreign);
	return rc;
}

static int
look_database(struct look *l, struct hf_error *err)
{
	static int (*const looks[])(
	    struct look *, struct hf_error *) = { look_schemas, look_tables,
		look_row_security, look_large_objects, look_locks,
		look_standby_tables, look_subscriptions, look_notes };
	int rc = HF_OK;

	for (size_t i = 0; i < sizeof looks / sizeof *looks && rc == HF_OK &&
			   l->to->rc == HF_OK;
	     i++)
		rc = looks[i](l, err);
	return rc;
}

/* ---- the server as a whole ---- */

static int
look_connection(struct look *l, struct hf_error *err)
{
	char *server = NULL;
	int major = l->c->version / 10000;
	int rc = conn_value(l->c, &server, err,
	    "SELECT current_user || ' at server ' "
	    "|| current_setting('server_version')");

	if (rc != HF_OK)
		return rc;
	if (major > NEWEST_TESTED)
		finding_tell(l->to, HF_WARN, "connection",
		    "Try a restore before you rely on it.",
		    "%s, which is newer than the newest that was tested (%d)",
		    server == NULL ? "?" : server, NEWEST_TESTED);
	else
		finding_tell(l->to, HF_PASS, "connection", NULL, "%s%s",
		    server == NULL ? "?" : server,
		    l->c->superuser ? ", a superuser" : "");
	free(server);
	return HF_OK;
}

static void
look_programs(struct look *l)
{
	static const char *const names[] = { "pg_dump", "pg_dumpall",
		"pg_restore" };
	int major = l->c->version / 10000;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct program program;
		char hint[160];
		int rc = program_find(
		    &l->e->conf, names[i], l->c->version, &program, NULL);

		(void)snprintf(hint, sizeof hint,
		    "Install postgresql-client-%d (Debian) or postgresql%d "
		    "(Red Hat), or name the folder in \"bin_dir\".",
		    major, major);
		if (rc == HF_OK)
			finding_tell(
			    l->to, HF_PASS, names[i], NULL, "%s", program.path);
		else if (rc == HF_E_UNSUPPORTED)
			finding_tell(l->to, HF_FAIL, names[i], hint,
			    "older than the server, which is %d", major);
		else
			finding_tell(
			    l->to, HF_FAIL, names[i], hint, "not found");
	}
}

static int
look_passwords(struct look *l, struct hf_error *err)
{
	struct text hint = { 0 };
	char *can = NULL;
	int rc;

	if (!l->e->conf.role_passwords)
		return HF_OK;
	rc = conn_value(l->c, &can, err,
	    "SELECT has_table_privilege('pg_authid', 'SELECT')");
	if (rc == HF_OK && can != NULL && can[0] == 't') {
		finding_tell(l->to, HF_PASS, "role passwords", NULL,
		    "their hashes can be read");
	} else if (rc == HF_OK) {
		text_addf(&hint,
		    "GRANT SELECT ON pg_catalog.pg_authid TO %s; (a "
		    "superuser, in each database that is connected to), or "
		    "\"role_passwords\": false.",
		    text_get(&l->role));
		finding_tell(l->to, HF_WARN, "role passwords", text_get(&hint),
		    "cannot be read: restored roles have none");
	}
	free(can);
	text_free(&hint);
	return rc;
}

static int
look_standby(struct look *l, struct hf_error *err)
{
	PGresult *rows;
	const char *feedback, *delay;
	int rc = conn_query(l->c, &rows, err,
	    "SELECT pg_is_in_recovery(), "
	    "current_setting('hot_standby_feedback'), "
	    "current_setting('max_standby_streaming_delay')");

	if (rc != HF_OK)
		return rc;
	feedback = PQgetvalue(rows, 0, 1);
	delay = PQgetvalue(rows, 0, 2);
	if (PQgetvalue(rows, 0, 0)[0] == 't') {
		if (strcmp(feedback, "on") != 0 && strcmp(delay, "-1") != 0)
			finding_tell(l->to, HF_WARN, "standby",
			    "On the standby: ALTER SYSTEM SET "
			    "hot_standby_feedback = on; SELECT "
			    "pg_reload_conf(); or a larger "
			    "max_standby_streaming_delay.",
			    "a dump that takes longer than %s may be ended by "
			    "changes from the primary",
			    delay);
		else
			finding_tell(l->to, HF_PASS, "standby", NULL,
			    "hot_standby_feedback %s, "
			    "max_standby_streaming_delay %s",
			    feedback, delay);
	}
	PQclear(rows);
	return HF_OK;
}

static long
wanted_connections(const struct conf *conf)
{
	long jobs =
	    conf->jobs > 0 ? (long)conf->jobs : sysconf(_SC_NPROCESSORS_ONLN);

	return (jobs < 2 && conf->jobs == 0 ? 2 : jobs) + 2;
}

static int
look_connections(struct look *l, struct hf_error *err)
{
	long wanted = wanted_connections(&l->e->conf), left;
	char *value = NULL;
	int rc;

	/* The limits of the server, of the role, of the database. */
	rc = conn_value(l->c, &value, err,
	    "SELECT least("
	    "current_setting('max_connections')::int "
	    "- CASE WHEN r.rolsuper THEN 0 ELSE "
	    "current_setting('superuser_reserved_connections')::int "
	    "+ coalesce(current_setting('reserved_connections', true), '0')"
	    "::int END - (SELECT count(*) FROM pg_stat_activity "
	    "WHERE usesysid IS NOT NULL), "
	    "CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN "
	    "r.rolconnlimit - (SELECT count(*) FROM pg_stat_activity "
	    "WHERE usename = current_user) END, "
	    "CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN "
	    "d.datconnlimit - (SELECT count(*) FROM pg_stat_activity "
	    "WHERE datname = current_database()) END) + 1 "
	    "FROM pg_roles r, pg_database d WHERE r.rolname = current_user "
	    "AND d.datname = current_database()");
	if (rc != HF_OK || value == NULL)
		return rc;
	left = strtol(value, NULL, 10); /* ours of this moment included */
	free(value);
	if (left < wanted)
		finding_tell(l->to, HF_WARN, "connections",
		    "Set a smaller \"jobs\", or a larger max_connections (or "
		    "CONNECTION LIMIT of the role or database).",
		    "a backup takes up to %ld, %ld are free now", wanted, left);
	else
		finding_tell(l->to, HF_PASS, "connections", NULL,
		    "%ld are free, a backup takes up to %ld", left, wanted);
	return HF_OK;
}

static int
look_server(struct look *l, struct hf_error *err)
{
	int rc;

	if ((rc = look_connection(l, err)) != HF_OK)
		return rc;
	look_programs(l);
	if ((rc = look_passwords(l, err)) != HF_OK ||
	    (rc = look_standby(l, err)) != HF_OK)
		return rc;
	return look_connections(l, err);
}

/* ---- which databases ---- */

struct named {
	struct findings *to;
	const char *name; /* NULL: there is only one */
};

static int
tell_named(void *arg, const struct hf_finding *f)
{
	struct named *named = arg;

	if (named->name == NULL)
		finding_tell(named->to, (enum hf_verdict)f->verdict, f->check,
		    f->hint, "%s", f->result);
	else
		finding_tell(named->to, (enum hf_verdict)f->verdict, f->check,
		    f->hint, "%s: %s", named->name, f->result);
	return named->to->rc;
}

static int
one_database(const struct look *first, const struct conninfo *info,
    const char *name, bool many, struct hf_error *err)
{
	struct named named = { first->to, many ? name : NULL };
	struct findings to = { .cb = tell_named, .arg = &named };
	struct look l = *first;
	int rc = conn_open(l.e->ctx, info, name, NULL, &l.c, err);

	if (rc != HF_OK)
		return rc;
	l.to = &to;
	rc = look_database(&l, err);
	if (rc != HF_OK && many)
		H->fail_context(err, "looking at database %s", name);
	conn_close(l.c);
	return rc != HF_OK ? rc : to.rc;
}

static int
every_database(
    struct look *l, const struct conninfo *info, struct hf_error *err)
{
	struct names names = { 0 };
	PGresult *rows;
	int rc = conn_query(l->c, &rows, err,
	    "SELECT datname FROM pg_database WHERE datallowconn "
	    "AND NOT datistemplate ORDER BY 1");

	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(rows); i++)
		names_add(&names, "%s", PQgetvalue(rows, i, 0));
	finding_tell(
	    l->to, HF_PASS, "databases", NULL, "%s", names_get(&names));
	names_free(&names);
	for (int i = 0; i < PQntuples(rows) && rc == HF_OK; i++)
		rc = one_database(l, info, PQgetvalue(rows, i, 0), true, err);
	PQclear(rows);
	return rc;
}

static int
look_databases(
    struct look *l, const struct conninfo *info, struct hf_error *err)
{
	const char *const *names = l->e->conf.databases;
	int rc = HF_OK;

	if (names != NULL && names[0] != NULL && strcmp(names[0], "*") == 0)
		return every_database(l, info, err);
	if (names == NULL || names[0] == NULL) {
		finding_tell(
		    l->to, HF_PASS, "databases", NULL, "%s", PQdb(l->c->pg));
		return look_database(l, err);
	}
	for (size_t i = 0; names[i] != NULL && rc == HF_OK; i++)
		rc = one_database(l, info, names[i], names[1] != NULL, err);
	return rc;
}

static bool
any(const char *const *names)
{
	return names != NULL && names[0] != NULL;
}

int
inspect_source(
    struct hf_engine *e, hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct findings to = { .cb = cb, .arg = arg };
	struct look l = { .e = e,
		.to = &to,
		.rows = e->conf.content == NULL ||
			strcmp(e->conf.content, "schema") != 0,
		.selection = any(e->conf.schemas) || any(e->conf.tables) ||
			     any(e->conf.exclude_schemas) ||
			     any(e->conf.exclude_tables) };
	struct conninfo *info = NULL;
	const char *first = NULL;
	char *role = NULL;
	int rc;

	if (any(e->conf.databases) && strcmp(e->conf.databases[0], "*") != 0)
		first = e->conf.databases[0];
	if ((rc = conninfo_source(&e->conf, &info, err)) != HF_OK ||
	    (rc = conn_open(e->ctx, info, first, NULL, &l.c, err)) != HF_OK ||
	    (rc = conn_value(l.c, &role, err, "SELECT current_user")) != HF_OK)
		goto out;
	text_add_ident(&l.role, role == NULL ? "?" : role);
	if ((rc = look_server(&l, err)) == HF_OK)
		rc = look_databases(&l, info, err);
	if (rc == HF_OK)
		rc = to.rc;
out:
	free(role);
	text_free(&l.role);
	conn_close(l.c);
	conninfo_free(info);
	return rc;
}
