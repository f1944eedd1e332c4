/* SPDX-License-Identifier: BSD-2-Clause */
#include "large_objects.h"

#include "catalog.h"
#include "grants.h"
#include "object.h"
#include "run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP 1000        /* in one object of the backup */
#define BATCH 16          /* whose beginnings one question reads */
#define STEP (128 * 1024) /* bytes in one lo_put */

/* %s: OIDs.  Owner, comment and labels, and grants as statements. */
/* clang-format off */
static const char about_sql[] =
    "SELECT m.oid, " CATALOG_IDENT("pg_catalog.pg_get_userbyid(m.lomowner)")
    ", pg_catalog.obj_description(m.oid, 'pg_largeobject'),"
    " (SELECT pg_catalog.string_agg('SECURITY LABEL FOR ' || "
    CATALOG_IDENT("l.provider")
    " || ' ON LARGE OBJECT ' || m.oid || ' IS '"
    " || pg_catalog.quote_literal(l.label) || E';\\n', '')"
    " FROM pg_catalog.pg_seclabel l WHERE l.objoid = m.oid"
    " AND l.classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass),"
    " CASE WHEN m.lomacl IS NOT NULL THEN (SELECT pg_catalog.string_agg("
    "CASE WHEN g.grantor = m.lomowner THEN '' ELSE"
    " 'SET SESSION AUTHORIZATION ' || "
    CATALOG_IDENT("pg_catalog.pg_get_userbyid(g.grantor)")
    " || E';\\n' END || g.verb || ' ' || g.privilege_type"
    " || ' ON LARGE OBJECT ' || m.oid || " GRANTS_TAIL
    " || CASE WHEN g.grantor = m.lomowner THEN E';\\n' ELSE"
    " E';\\nRESET SESSION AUTHORIZATION;\\n' END, '' ORDER BY g.rank) FROM "
    GRANTS_ROWS("L", "m.lomacl", "m.lomowner") " g) END"
    " FROM pg_catalog.pg_largeobject_metadata m"
    " WHERE m.oid = ANY ('%s'::pg_catalog.oid[]) ORDER BY m.oid";
/* clang-format on */

static const char denied_hint[] =
    "A superuser can let the role read all large objects: ALTER ROLE ... SET "
    "lo_compat_privileges = on; or leave them out: \"large_objects\": false.";

static int
name_objects(struct contents *c, struct hf_error *err)
{
	size_t n = (size_t)((c->large_objects + GROUP - 1) / GROUP);
	struct text name = { 0 };
	int rc = HF_OK;

	if (n == 0)
		return HF_OK;
	if ((c->large_object_objects = calloc(n, sizeof(char *))) == NULL)
		return postgres_nomem(err);
	for (size_t i = 0; i < n && rc == HF_OK; i++) {
		text_reset(&name);
		layout_large_objects(&name, (unsigned)i + 1);
		if ((rc = text_ok(&name, err)) != HF_OK)
			break;
		c->large_object_objects[i] = strdup(text_get(&name));
		if (c->large_object_objects[i] == NULL)
			rc = postgres_nomem(err);
		else
			c->nlarge_object_objects = i + 1;
	}
	text_free(&name);
	return rc;
}

int
large_objects_find(struct run *run, PGresult **res, struct hf_error *err)
{
	int rc;

	*res = NULL;
	if (!run->rows || !run->conf->large_objects ||
	    run->conf->schemas != NULL || run->conf->tables != NULL)
		return HF_OK;
	if ((rc = conn_query(run->conn, res, err,
		 "SELECT oid FROM pg_catalog.pg_largeobject_metadata"
		 " ORDER BY oid")) != HF_OK)
		return rc;
	run->contents.large_objects = (uint64_t)PQntuples(*res);
	return name_objects(&run->contents, err);
}

/* bytea in hex is \x and two digits for each byte. */
static size_t
bytes_of(const PGresult *res, int row, int column)
{
	int n = PQgetlength(res, row, column);

	return n < 2 ? 0 : (size_t)(n - 2) / 2;
}

static int
put(struct object *o, const char *oid, uint64_t at, const PGresult *res,
    int row, struct hf_error *err)
{
	struct text t = { 0 };
	int rc;

	if (bytes_of(res, row, 1) == 0)
		return HF_OK;
	text_addf(&t, "SELECT pg_catalog.lo_put(%s, %" PRIu64 ", '", oid, at);
	text_add_n(
	    &t, PQgetvalue(res, row, 1), (size_t)PQgetlength(res, row, 1));
	text_add(&t, "');\n");
	rc = object_text(o, &t, err);
	text_free(&t);
	return rc;
}

static int
put_rest(
    struct conn *c, struct object *o, const char *oid, struct hf_error *err)
{
	uint64_t at = STEP;
	PGresult *res;
	size_t n;
	int rc;

	do {
		if ((rc = conn_queryf(c, &res, err,
			 "SELECT %s, pg_catalog.lo_get(%s, %" PRIu64 ", %d)",
			 oid, oid, at, STEP)) != HF_OK)
			return rc;
		n = bytes_of(res, 0, 1);
		rc = put(o, oid, at, res, 0, err);
		PQclear(res);
		at += n;
	} while (rc == HF_OK && n == STEP);
	return rc;
}

static void
add_about(struct text *t, const PGresult *about, int row)
{
	const char *oid = PQgetvalue(about, row, 0);

	text_addf(t, "ALTER LARGE OBJECT %s OWNER TO %s;\n", oid,
	    PQgetvalue(about, row, 1));
	if (!PQgetisnull(about, row, 2)) {
		text_addf(t, "COMMENT ON LARGE OBJECT %s IS ", oid);
		text_add_literal(t, PQgetvalue(about, row, 2));
		text_add(t, ";\n");
	}
	text_add(t, PQgetvalue(about, row, 3));
	text_add(t, PQgetvalue(about, row, 4));
}

/* n of them, from row first of about on. */
static int
store_batch(struct run *run, struct conn *c, struct object *o,
    const PGresult *about, int first, int n, struct hf_error *err)
{
	struct text t = { 0 };
	PGresult *res;
	const char *oid;
	int rc;

	text_addf(&t,
	    "SELECT oid, pg_catalog.lo_get(oid, 0, %d)"
	    " FROM unnest('",
	    STEP);
	for (int i = 0; i < n; i++)
		text_addf(&t, "%c%s", i == 0 ? '{' : ',',
		    PQgetvalue(about, first + i, 0));
	text_add(&t, "}'::pg_catalog.oid[]) AS u(oid) ORDER BY oid");
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = conn_query(c, &res, err, text_get(&t));
	if (rc != HF_OK) {
		text_free(&t);
		return rc;
	}
	for (int i = 0; i < n && rc == HF_OK; i++) {
		oid = PQgetvalue(res, i, 0);
		text_reset(&t);
		text_addf(&t, "SELECT pg_catalog.lo_create(%s);\n", oid);
		if ((rc = object_text(o, &t, err)) == HF_OK)
			rc = put(o, oid, 0, res, i, err);
		if (rc == HF_OK && bytes_of(res, i, 1) == STEP)
			rc = put_rest(c, o, oid, err);
		text_reset(&t);
		add_about(&t, about, first + i);
		if (rc == HF_OK)
			rc = object_text(o, &t, err);
	}
	H->progress(run->ctx, atomic_load(&run->copied), run->estimate);
	PQclear(res);
	text_free(&t);
	return rc;
}

static int
begin(struct run *run, size_t n, struct object *o, struct hf_error *err)
{
	struct text head = { 0 };
	int rc;

	/* One transaction: one commit for all of them. */
	object_header(&head, run->contents.stored_encoding, "Large objects");
	text_add(&head, "BEGIN;\n");
	if ((rc = object_begin(o, run->out, run->prefix,
		 run->contents.large_object_objects[n], 0, err)) == HF_OK)
		rc = object_text(o, &head, err);
	text_free(&head);
	return rc;
}

int
large_objects_store(struct run *run, const PGresult *all, size_t n,
    struct conn *c, struct object *o, struct hf_error *err)
{
	int first = (int)n * GROUP, last = PQntuples(all), count, rc;
	struct text oids = { 0 };
	PGresult *about = NULL;

	if (last > first + GROUP)
		last = first + GROUP;
	for (int i = first; i < last; i++)
		text_addf(&oids, "%c%s", i == first ? '{' : ',',
		    PQgetvalue(all, i, 0));
	text_add(&oids, "}");
	if ((rc = text_ok(&oids, err)) != HF_OK ||
	    (rc = conn_queryf(c, &about, err, about_sql, text_get(&oids))) !=
		HF_OK ||
	    (rc = begin(run, n, o, err)) != HF_OK)
		goto done;
	count = PQntuples(about);
	for (int i = 0; i < count && rc == HF_OK; i += BATCH)
		rc = store_batch(run, c, o, about, i,
		    count - i < BATCH ? count - i : BATCH, err);
	if (rc == HF_OK && (rc = object_write(o, "COMMIT;\n", 8, err)) == HF_OK)
		rc = object_commit(o, err);
done:
	PQclear(about);
	text_free(&oids);
	if (rc != HF_OK)
		(void)H->fail_context(
		    err, "reading large objects of %s", run->conn->label);
	if (rc == HF_E_DENIED)
		H->fail_note(err, "hint", denied_hint);
	return rc;
}
