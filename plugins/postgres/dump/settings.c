/* SPDX-License-Identifier: BSD-2-Clause */
/* 970-database.sql: what belongs to the database itself.  It names none: it
 * is about the one that it is run in. */
#include "run.h"

#include "catalog.h"
#include "grants.h"
#include "object.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Whose values are lists of names, each quoted where it must be. */
static const char *const list_settings[] = { "local_preload_libraries",
	"search_path", "session_preload_libraries", "shared_preload_libraries",
	"temp_tablespaces", "unix_socket_directories", NULL };

/* clang-format off */
static const char settings_sql[] =
    "SELECT s.setting, CASE WHEN d.setrole = 0 THEN NULL ELSE "
    CATALOG_IDENT("pg_catalog.pg_get_userbyid(d.setrole)")
    " END FROM pg_catalog.pg_db_role_setting d"
    " CROSS JOIN LATERAL unnest(d.setconfig)"
    " WITH ORDINALITY AS s(setting, n)"
    " WHERE d.setdatabase = (SELECT oid FROM pg_catalog.pg_database"
    " WHERE datname = pg_catalog.current_database())"
    " ORDER BY d.setrole, s.n";

/* Before and behind the name of the database, and who granted it. */
static const char grants_sql[] =
    "SELECT g.verb || ' ' || g.privilege_type || ' ON DATABASE ', "
    GRANTS_TAIL ", CASE WHEN g.grantor <> d.datdba THEN "
    CATALOG_IDENT("pg_catalog.pg_get_userbyid(g.grantor)")
    " END FROM pg_catalog.pg_database d CROSS JOIN LATERAL "
    GRANTS_ROWS("d", "d.datacl", "d.datdba") " g"
    " WHERE d.datname = pg_catalog.current_database()"
    " AND d.datacl IS NOT NULL ORDER BY g.rank";

static const char about_sql[] =
    "SELECT NULL, pg_catalog.shobj_description(d.oid, 'pg_database')"
    " FROM pg_catalog.pg_database d"
    " WHERE d.datname = pg_catalog.current_database()"
    " UNION ALL SELECT " CATALOG_IDENT("l.provider") ", l.label"
    " FROM pg_catalog.pg_shseclabel l JOIN pg_catalog.pg_database d"
    " ON l.objoid = d.oid AND l.classoid = 1262"
    " WHERE d.datname = pg_catalog.current_database()";
/* clang-format on */

/* s with every % doubled, for format(). */
static void
add_format(struct text *t, const char *s)
{
	for (; *s != '\0'; s++) {
		text_add_n(t, s, 1);
		if (*s == '%')
			text_add(t, "%");
	}
}

/* A statement whose %I is this database. */
static void
add_execute(struct text *out, const char *before, const char *behind)
{
	struct text body = { 0 }, format = { 0 };
	char tag[16] = "$hf$";

	add_format(&format, before);
	text_add(&format, "%I");
	add_format(&format, behind);
	text_add(&body, "BEGIN\n\tEXECUTE pg_catalog.format(");
	text_add_literal(&body, text_get(&format));
	text_add(&body, ", pg_catalog.current_database());\nEND\n");
	settings_tag(tag, sizeof tag, text_get(&body));
	text_addf(out, "DO %s\n%s%s;\n", tag, text_get(&body), tag);
	if (body.failed || format.failed)
		out->failed = true;
	text_free(&body);
	text_free(&format);
}

void
settings_value(struct text *t, const char *name, const char *value)
{
	bool list = false, first = true;
	struct text item = { 0 };

	for (size_t i = 0; list_settings[i] != NULL; i++)
		list = list || strcasecmp(list_settings[i], name) == 0;
	if (!list || *value == '\0') {
		text_add_literal(t, value);
		return;
	}
	while (*value != '\0') {
		bool quoted = *value == '"';

		text_reset(&item);
		for (value += quoted; *value != '\0'; value++) {
			if (!quoted && *value == ',')
				break;
			if (quoted && *value == '"' && *++value != '"')
				break;
			text_add_n(&item, value, 1);
		}
		/* Blanks around names are not part of them. */
		while (!quoted && item.len > 0 && item.s[item.len - 1] == ' ')
			item.s[--item.len] = '\0';
		text_add(t, first ? "" : ", ");
		text_add_literal(t, text_get(&item));
		first = false;
		value += strspn(value, ", ");
	}
	if (item.failed)
		t->failed = true;
	text_free(&item);
}

void
settings_tag(char *tag, size_t cap, const char *body)
{
	(void)snprintf(tag, cap, "$hf$");
	for (unsigned i = 1; strstr(body, tag) != NULL; i++)
		(void)snprintf(tag, cap, "$hf%u$", i);
}

static int
add_settings(struct run *run, struct text *t, struct hf_error *err)
{
	struct text before = { 0 }, behind = { 0 };
	PGresult *res;
	int rc;

	if ((rc = conn_query(run->conn, &res, err, settings_sql)) != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(res); i++) {
		char *name = PQgetvalue(res, i, 0), *value;

		if ((value = strchr(name, '=')) == NULL)
			continue;
		*value++ = '\0';
		text_reset(&before);
		text_reset(&behind);
		if (PQgetisnull(res, i, 1))
			text_add(&before, "ALTER DATABASE ");
		else
			text_addf(&before, "ALTER ROLE %s IN DATABASE ",
			    PQgetvalue(res, i, 1));
		text_add(&behind, " SET ");
		text_add_ident(&behind, name);
		text_add(&behind, " TO ");
		settings_value(&behind, name, value);
		add_execute(t, text_get(&before), text_get(&behind));
	}
	PQclear(res);
	rc =
	    text_ok(&before, err) == HF_OK ? text_ok(&behind, err) : HF_E_NOMEM;
	text_free(&before);
	text_free(&behind);
	return rc;
}

static int
add_grants(struct run *run, struct text *t, struct hf_error *err)
{
	PGresult *res;
	int rc;

	if ((rc = conn_query(run->conn, &res, err, grants_sql)) != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(res); i++) {
		bool other = !PQgetisnull(res, i, 2);

		if (other)
			text_addf(t, "SET SESSION AUTHORIZATION %s;\n",
			    PQgetvalue(res, i, 2));
		add_execute(t, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1));
		if (other)
			text_add(t, "RESET SESSION AUTHORIZATION;\n");
	}
	PQclear(res);
	return HF_OK;
}

/* The comment, and security labels. */
static int
add_about(struct run *run, struct text *t, struct hf_error *err)
{
	struct text before = { 0 }, behind = { 0 };
	PGresult *res;
	int rc;

	if ((rc = conn_query(run->conn, &res, err, about_sql)) != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(res); i++) {
		if (PQgetisnull(res, i, 1))
			continue;
		text_reset(&before);
		text_reset(&behind);
		if (PQgetisnull(res, i, 0))
			text_add(&before, "COMMENT ON DATABASE ");
		else
			text_addf(&before, "SECURITY LABEL FOR %s ON DATABASE ",
			    PQgetvalue(res, i, 0));
		text_add(&behind, " IS ");
		text_add_literal(&behind, PQgetvalue(res, i, 1));
		add_execute(t, text_get(&before), text_get(&behind));
	}
	PQclear(res);
	rc =
	    text_ok(&before, err) == HF_OK ? text_ok(&behind, err) : HF_E_NOMEM;
	text_free(&before);
	text_free(&behind);
	return rc;
}

int
settings_store(struct run *run, struct hf_error *err)
{
	char limit[64];
	struct text t = { 0 };
	int rc;

	object_header(&t, run->contents.stored_encoding,
	    "Settings, comment and privileges of the database");
	if ((rc = add_about(run, &t, err)) != HF_OK ||
	    (rc = add_settings(run, &t, err)) != HF_OK ||
	    (rc = add_grants(run, &t, err)) != HF_OK)
		goto done;
	if (run->contents.connection_limit != -1) {
		(void)snprintf(limit, sizeof limit, " CONNECTION LIMIT %d",
		    run->contents.connection_limit);
		add_execute(&t, "ALTER DATABASE ", limit);
	}
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = object_store(
		    run->out, run->prefix, LAYOUT_DATABASE, t.s, t.len, err);
done:
	text_free(&t);
	return rc;
}
