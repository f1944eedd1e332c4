/* SPDX-License-Identifier: BSD-2-Clause */
#include "amcheck.h"

#include <stdlib.h>

#include "conn.h"
#include "finding.h"
#include "postgres.h"

#define OWN_SCHEMA "holdfast_amcheck"

/* Where its functions are, as an SQL identifier, and whether it is old. */
struct amcheck {
	struct conn *c;
	struct text schema;
	bool heap;
	size_t indexes, tables;
	struct names broken;
};

/* In a transaction: false when the extension cannot be had, told why. */
static int
amcheck_find(
    struct amcheck *a, char *why, size_t cap, bool *found, struct hf_error *err)
{
	char *schema = NULL;
	int rc;

	*found = false;
	rc = conn_value(a->c, &schema, err,
	    "SELECT n.nspname FROM pg_extension e "
	    "JOIN pg_namespace n ON n.oid = e.extnamespace "
	    "WHERE e.extname = 'amcheck'");
	if (rc != HF_OK)
		return rc;
	if (schema != NULL) {
		text_add_ident(&a->schema, schema);
		free(schema);
		*found = true;
		return HF_OK;
	}
	/* Replica: the database's own event triggers stay out of it. */
	rc = conn_exec(a->c, NULL,
	    "SET LOCAL session_replication_role = replica;"
	    "CREATE SCHEMA " OWN_SCHEMA ";"
	    "CREATE EXTENSION amcheck WITH SCHEMA " OWN_SCHEMA);
	if (rc == HF_OK) {
		text_add_ident(&a->schema, OWN_SCHEMA);
		*found = true;
		return HF_OK;
	}
	finding_reason(a->c, why, cap);
	if (!finding_goes_on(a->c, rc))
		return H->fail(err, rc, "creating amcheck: %s", why);
	return HF_OK;
}

/* Run one check behind a savepoint.  A failure of the statement is what was
 * looked for; so is a row. */
static int
amcheck_one(
    struct amcheck *a, const char *sql, const char *name, struct hf_error *err)
{
	char why[256], *message = NULL;
	int rc;

	if ((rc = conn_exec(a->c, err, "SAVEPOINT a")) != HF_OK)
		return rc;
	rc = conn_value(a->c, &message, NULL, sql);
	if (rc == HF_OK) {
		if (message != NULL && message[0] != '\0')
			names_add(&a->broken, "%s: %s", name, message);
		free(message);
		return conn_exec(a->c, err, "RELEASE a");
	}
	finding_reason(a->c, why, sizeof why);
	if (!finding_goes_on(a->c, rc))
		return H->fail(err, rc, "amcheck of %s: %s", name, why);
	names_add(&a->broken, "%s: %s", name, why);
	return conn_exec(a->c, err, "ROLLBACK TO a; RELEASE a");
}

static int
amcheck_all(struct amcheck *a, bool tables, struct hf_error *err)
{
	struct text sql = { 0 }, name = { 0 };
	PGresult *rows;
	int rc;

	/* Temporary ones are other sessions' own. */
	rc = conn_query(a->c, &rows, err,
	    tables ? "SELECT c.oid, n.nspname, c.relname FROM pg_class c "
		     "JOIN pg_namespace n ON n.oid = c.relnamespace "
		     "JOIN pg_am m ON m.oid = c.relam "
		     "WHERE m.amname = 'heap' AND c.relkind IN ('r', 'm', 't') "
		     "AND c.relpersistence <> 't' ORDER BY c.oid"
		   : "SELECT c.oid, n.nspname, c.relname FROM pg_index i "
		     "JOIN pg_class c ON c.oid = i.indexrelid "
		     "JOIN pg_namespace n ON n.oid = c.relnamespace "
		     "JOIN pg_am m ON m.oid = c.relam "
		     "WHERE m.amname = 'btree' AND c.relkind = 'i' "
		     "AND i.indisvalid AND i.indisready AND i.indislive "
		     "AND c.relpersistence <> 't' ORDER BY c.oid");
	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(rows) && rc == HF_OK; i++) {
		text_reset(&sql);
		text_reset(&name);
		text_addf(&name, "%s.%s", PQgetvalue(rows, i, 1),
		    PQgetvalue(rows, i, 2));
		if (tables)
			text_addf(&sql,
			    "SELECT 'block ' || blkno || ': ' || msg FROM "
			    "%s.verify_heapam('%s', on_error_stop => true)",
			    text_get(&a->schema), PQgetvalue(rows, i, 0));
		else
			text_addf(&sql, "SELECT %s.bt_index_check('%s', false)",
			    text_get(&a->schema), PQgetvalue(rows, i, 0));
		if ((rc = text_ok(&sql, err)) == HF_OK)
			rc = amcheck_one(
			    a, text_get(&sql), text_get(&name), err);
	}
	*(tables ? &a->tables : &a->indexes) = (size_t)PQntuples(rows);
	PQclear(rows);
	text_free(&sql);
	text_free(&name);
	return rc;
}

/* An extension that came along from an older server has no verify_heapam. */
static int
amcheck_has_heap(struct amcheck *a, struct hf_error *err)
{
	char *has = NULL;
	int rc = conn_value(a->c, &has, err,
	    "SELECT p.oid FROM pg_proc p "
	    "JOIN pg_extension e ON e.extnamespace = p.pronamespace "
	    "WHERE e.extname = 'amcheck' AND p.proname = 'verify_heapam'");

	a->heap = rc == HF_OK && has != NULL;
	free(has);
	return rc;
}

static int
amcheck_look(struct amcheck *a, struct findings *to, struct hf_error *err)
{
	char why[256] = "";
	bool found;
	int rc;

	if ((rc = amcheck_find(a, why, sizeof why, &found, err)) != HF_OK)
		return rc;
	if (!found) {
		finding_tell(to, HF_WARN, "amcheck",
		    "Install the server's contrib package to have pages "
		    "checked.",
		    "cannot be had: %s", why);
		return HF_OK;
	}
	if ((rc = amcheck_has_heap(a, err)) != HF_OK ||
	    (rc = amcheck_all(a, false, err)) != HF_OK ||
	    (a->heap && (rc = amcheck_all(a, true, err)) != HF_OK))
		return rc;
	if (a->broken.n > 0)
		finding_tell(to, HF_FAIL, "amcheck",
		    "Do not use this copy: look at the server's disk, memory, "
		    "log, and at changes of collations.",
		    "%s", names_get(&a->broken));
	else if (a->heap)
		finding_tell(to, HF_PASS, "amcheck", NULL,
		    "%zu indexes and %zu tables are sound", a->indexes,
		    a->tables);
	else
		finding_tell(to, HF_PASS, "amcheck", NULL,
		    "%zu indexes are sound", a->indexes);
	return HF_OK;
}

int
amcheck_run(struct conn *c, struct findings *to, struct hf_error *err)
{
	struct amcheck a = { .c = c };
	int rc;

	if (!c->superuser) {
		finding_tell(to, HF_WARN, "amcheck", NULL,
		    "not run: it takes a superuser");
		return HF_OK;
	}
	if ((rc = conn_exec(c, err, "BEGIN")) != HF_OK)
		return rc;
	rc = amcheck_look(&a, to, err);
	if (PQstatus(c->pg) == CONNECTION_OK &&
	    PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
		int end = conn_exec(c, rc == HF_OK ? err : NULL, "ROLLBACK");

		rc = rc == HF_OK ? end : rc;
	}
	text_free(&a.schema);
	names_free(&a.broken);
	return rc;
}
