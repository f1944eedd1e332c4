/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "catalog.h"
#include "object.h"

/* %s: OIDs.  reach: all rules and functions that a materialized view's query
 * leads to, through views, materialized views and the bodies of functions as
 * far as the server knows them.  Who reads others reaches all that they reach,
 * and them too: so the number of materialized views reached is an order. */
/* clang-format off */
static const char order_sql[] =
    "WITH RECURSIVE wanted AS ("
    "SELECT unnest('%s'::pg_catalog.oid[]) AS oid),"
    " reach(mv, catalog, oid) AS ("
    "SELECT c.oid, 2618, r.oid FROM wanted w"
    " JOIN pg_catalog.pg_class c ON c.oid = w.oid"
    " JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid"
    " WHERE c.relkind = 'm' AND c.relispopulated"
    " UNION SELECT reach.mv, n.catalog, n.oid FROM reach"
    " JOIN pg_catalog.pg_depend d"
    " ON d.classid = reach.catalog::pg_catalog.oid AND d.objid = reach.oid"
    " CROSS JOIN LATERAL ("
    "SELECT 1255, d.refobjid WHERE d.refclassid = 1255"
    " UNION ALL SELECT 2618, r.oid FROM pg_catalog.pg_rewrite r"
    " JOIN pg_catalog.pg_class v ON v.oid = r.ev_class"
    " WHERE d.refclassid = 1259 AND r.ev_class = d.refobjid"
    " AND v.relkind IN ('v', 'm')) AS n(catalog, oid))"
    " SELECT " CATALOG_IDENT("n.nspname") " || '.' || "
    CATALOG_IDENT("c.relname")
    " FROM reach LEFT JOIN pg_catalog.pg_rewrite r"
    " ON reach.catalog = 2618 AND r.oid = reach.oid"
    " LEFT JOIN pg_catalog.pg_class v"
    " ON v.oid = r.ev_class AND v.relkind = 'm'"
    " JOIN pg_catalog.pg_class c ON c.oid = reach.mv"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " GROUP BY c.oid, n.nspname, c.relname"
    " ORDER BY pg_catalog.count(DISTINCT v.oid), n.nspname, c.relname";
/* clang-format on */

/* Event triggers of the restored database are not to hear of it: who may not
 * quiet them goes on. */
static const char quiet[] = "DO $$BEGIN\n"
			    "\tSET session_replication_role = replica;\n"
			    "EXCEPTION WHEN insufficient_privilege THEN\n"
			    "\tNULL;\n"
			    "END$$;\n";

int
refresh_store(struct run *run, struct hf_error *err)
{
	struct text t = { 0 };
	PGresult *res = NULL;
	int rc;

	if ((rc = tables_oids(&run->toc, CATALOG_CLASS, "MATERIALIZED VIEW", &t,
		 err)) != HF_OK ||
	    (rc = conn_queryf(run->conn, &res, err, order_sql, text_get(&t))) !=
		HF_OK)
		goto done;
	run->contents.refresh = (uint64_t)PQntuples(res);
	text_reset(&t);
	object_header(&t, run->contents.stored_encoding, "Materialized views");
	text_add(&t, quiet);
	for (int i = 0; i < PQntuples(res); i++)
		text_addf(&t, "REFRESH MATERIALIZED VIEW %s;\n",
		    PQgetvalue(res, i, 0));
	if ((rc = text_ok(&t, err)) == HF_OK && run->contents.refresh > 0)
		rc = object_store(
		    run->out, run->prefix, LAYOUT_REFRESH, t.s, t.len, err);
done:
	PQclear(res);
	text_free(&t);
	return rc;
}
