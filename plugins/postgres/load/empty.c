/* SPDX-License-Identifier: BSD-2-Clause */
#include "empty.h"

#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 200

/* Everything that somebody can make, in the order in which it is dropped: what
 * takes much along comes first. */
static const struct {
	const char *catalog, *where;
} catalogs[] = {
	{ "pg_extension", "" },
	{ "pg_event_trigger", "" },
	{ "pg_publication", "" },
	{ "pg_foreign_data_wrapper", "" },
	{ "pg_namespace",
	    " AND nspname <> 'public' AND nspname !~ '^pg_(toast_)?temp_'" },
	{ "pg_class", " AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')"
		      " AND relpersistence <> 't'" },
	{ "pg_type", " AND typtype IN ('b', 'd', 'e', 'p', 'r') AND typelem = 0"
		     " AND typrelid = 0" },
	{ "pg_proc", "" },
	{ "pg_operator", "" },
	{ "pg_opclass", "" },
	{ "pg_opfamily", "" },
	{ "pg_cast", "" },
	{ "pg_collation", "" },
	{ "pg_conversion", "" },
	{ "pg_ts_config", "" },
	{ "pg_ts_dict", "" },
	{ "pg_ts_parser", "" },
	{ "pg_ts_template", "" },
	{ "pg_transform", "" },
	{ "pg_language", "" },
	{ "pg_am", "" },
	{ "pg_statistic_ext", "" },
	{ "pg_default_acl", "" },
};

/* What there is, as pg_identify_object names it.  Members of extensions go
 * with those, and parts of others (indexes, row types, sequences of columns)
 * with them; a partitioned table is a part of its own key.  Unqualified names
 * are pg_catalog's: nothing else is on the search path.  Of subscriptions only
 * the names may be read by everybody in 13. */
static int
made(struct conn *c, PGresult **res, struct hf_error *err)
{
	struct text sql = { 0 };
	size_t i, n = sizeof catalogs / sizeof catalogs[0];
	int rc;

	text_add(&sql, "SELECT type, identity FROM (SELECT -1 AS rank, "
		       "'subscription' AS type, quote_ident(subname) AS "
		       "identity FROM pg_subscription WHERE subdbid = (SELECT "
		       "oid FROM pg_database WHERE datname = "
		       "current_database()) UNION ALL "
		       "SELECT o.rank, i.type, i.identity FROM (");
	for (i = 0; i < n; i++)
		text_addf(&sql,
		    "SELECT %zu AS rank, '%s'::regclass::oid AS classid, "
		    "oid AS objid FROM %s WHERE oid >= 16384%s UNION ALL ",
		    i, catalogs[i].catalog, catalogs[i].catalog,
		    catalogs[i].where);
	text_addf(&sql,
	    "SELECT %zu, 'pg_largeobject'::regclass, oid "
	    "FROM pg_largeobject_metadata) o, "
	    "LATERAL pg_identify_object(o.classid, o.objid, 0) i "
	    "WHERE NOT EXISTS (SELECT 1 FROM pg_depend d "
	    "WHERE d.classid = o.classid AND d.objid = o.objid "
	    "AND d.deptype IN ('e', 'i') "
	    "AND (d.refclassid, d.refobjid) <> (o.classid, o.objid))) made "
	    "ORDER BY rank, identity LIMIT %d",
	    n, BATCH);
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_query(c, res, err, text_get(&sql));
	text_free(&sql);
	return rc;
}

int
empty_look(struct conn *c, char *what, size_t cap, struct hf_error *err)
{
	PGresult *res;
	size_t len = 0;
	int rc, i, n, w;

	what[0] = '\0';
	if ((rc = made(c, &res, err)) != HF_OK)
		return rc;
	n = PQntuples(res);
	for (i = 0; i < n && i < 3 && len < cap; i++) {
		w = snprintf(what + len, cap - len, "%s%s %s",
		    i == 0 ? "" : ", ", PQgetvalue(res, i, 0),
		    PQgetvalue(res, i, 1));
		len += w < 0 ? 0 : (size_t)w;
	}
	if (n > 3 && len < cap)
		(void)snprintf(what + len, cap - len, ", and more");
	PQclear(res);
	return HF_OK;
}

int
empty_public(struct conn *c, char **sql, struct hf_error *err)
{
	return conn_value(c, sql, err,
	    "SELECT 'ALTER SCHEMA public OWNER TO ' || "
	    "pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(nspowner)) || "
	    "'; COMMENT ON SCHEMA public IS ' || "
	    "coalesce(pg_catalog.quote_literal("
	    "pg_catalog.obj_description(n.oid, 'pg_namespace')), 'NULL') || "
	    "coalesce((SELECT pg_catalog.string_agg('; GRANT ' || "
	    "a.privilege_type || ' ON SCHEMA public TO ' || CASE a.grantee "
	    "WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident("
	    "pg_catalog.pg_get_userbyid(a.grantee)) END || CASE WHEN "
	    "a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, '') "
	    "FROM pg_catalog.aclexplode(nspacl) a), '') "
	    "FROM pg_catalog.pg_namespace n WHERE nspname = 'public'");
}

/* Grants that public has now, taken away. */
static void
revoke_public(struct conn *c)
{
	char *sql = NULL;

	if (conn_value(c, &sql, NULL,
		"SELECT pg_catalog.string_agg(DISTINCT 'REVOKE ALL ON SCHEMA "
		"public FROM ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE "
		"pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) "
		"END || ' CASCADE', '; ') FROM pg_catalog.pg_namespace n, "
		"pg_catalog.aclexplode(nspacl) a WHERE nspname = 'public'") ==
		HF_OK &&
	    sql != NULL)
		(void)conn_exec(c, NULL, sql);
	free(sql);
}

static int
drop_one(struct conn *c, const char *type, const char *identity)
{
	struct text sql = { 0 };
	int rc;

	if (strcmp(type, "large object") == 0) {
		text_addf(&sql, "SELECT pg_catalog.lo_unlink(%s)", identity);
	} else if (strcmp(type, "subscription") == 0) {
		text_addf(&sql, "ALTER SUBSCRIPTION %s DISABLE", identity);
		(void)conn_exec(c, NULL, text_get(&sql));
		text_reset(&sql);
		text_addf(&sql, "ALTER SUBSCRIPTION %s SET (slot_name = NONE)",
		    identity);
		(void)conn_exec(c, NULL, text_get(&sql));
		text_reset(&sql);
		text_addf(&sql, "DROP SUBSCRIPTION %s", identity);
	} else if (strcmp(type, "foreign-data wrapper") == 0) {
		text_addf(
		    &sql, "DROP FOREIGN DATA WRAPPER %s CASCADE", identity);
	} else if (strcmp(type, "statistics object") == 0) {
		text_addf(&sql, "DROP STATISTICS %s", identity);
	} else if (strcmp(type, "composite type") == 0) {
		text_addf(&sql, "DROP TYPE %s CASCADE", identity);
	} else {
		text_addf(&sql, "DROP %s %s CASCADE", type, identity);
	}
	rc = text_ok(&sql, NULL) == HF_OK ? conn_exec(c, NULL, text_get(&sql))
					  : HF_E_NOMEM;
	text_free(&sql);
	return rc;
}

/* Default privileges go away when they are what a new server has: all to the
 * owner, and to everybody what everybody has of functions and types. */
static const char default_acls[] =
    "SELECT string_agg(DISTINCT format("
    "'ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ALL ON %s FROM %s', r, k,"
    " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE"
    " quote_ident(pg_get_userbyid(a.grantee)) END), '; ')"
    " || '; ' || string_agg(DISTINCT format("
    "'ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO %I%s', r, k, r,"
    " CASE WHEN k IN ('FUNCTIONS', 'TYPES') THEN ', PUBLIC' ELSE '' END),"
    " '; ') FROM (SELECT pg_get_userbyid(defaclrole) AS r,"
    " CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'"
    " WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS'"
    " END AS k, defaclacl FROM pg_default_acl WHERE defaclnamespace = 0) d,"
    " LATERAL aclexplode(coalesce(nullif(defaclacl, '{}'),"
    " ARRAY[makeaclitem(r::regrole, r::regrole, 'USAGE', false)])) a";

static void
drop_default_acls(struct conn *c)
{
	char *sql = NULL;

	if (conn_value(c, &sql, NULL, default_acls) == HF_OK && sql != NULL)
		(void)conn_exec(c, NULL, sql);
	free(sql);
}

/* True when something went. */
static bool
pass(struct conn *c, int *left)
{
	PGresult *res;
	bool dropped = false;
	int i;

	*left = -1;
	if (made(c, &res, NULL) != HF_OK)
		return false;
	*left = PQntuples(res);
	/* Many are gone with an earlier one by the time they are named. */
	for (i = 0; i < *left; i++)
		if (drop_one(c, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1)) ==
		    HF_OK)
			dropped = true;
	PQclear(res);
	return dropped;
}

void
empty_clear(struct job *j, const char *public_sql)
{
	struct conn *c = job_undo_open(j, j->work);
	int left = -1;

	if (c != NULL) {
		while (pass(c, &left))
			continue;
		drop_default_acls(c);
		(void)pass(c, &left);
		revoke_public(c);
		if (public_sql != NULL)
			(void)conn_exec(c, NULL, public_sql);
		conn_close(c);
	}
	if (left != 0)
		H->log(j->ctx, HF_LOG_WARN, "postgres.leftover",
		    "database %s was empty before and could not be cleared "
		    "again: drop what is in it, or the database",
		    j->work);
}
