/* SPDX-License-Identifier: BSD-2-Clause */
#include "database.h"

#include "empty.h"
#include "job.h"
#include "users.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NAME_MAX_BYTES 63     /* NAMEDATALEN - 1 */
#define LOCK_CLASS 1214665844 /* of our advisory locks: "Hft4" */

void
database_name(struct text *out, const char *name, const char *suffix)
{
	size_t room = NAME_MAX_BYTES - strlen(suffix), len = strlen(name);

	if (len > room) {
		/* Not inside of a UTF-8 character. */
		for (len = room; len > 0; len--)
			if (((unsigned char)name[len] & 0xc0) != 0x80)
				break;
	}
	text_add_n(out, name, len);
	text_add(out, suffix);
}

void
database_marker(struct text *out, const char *name)
{
	text_addf(out, "holdfast: being restored as \"%s\"", name);
}

int
database_find(
    struct conn *c, const char *name, uint32_t *oid, struct hf_error *err)
{
	PGresult *res;
	int rc;

	*oid = 0;
	rc = conn_query_params(c, &res, err,
	    "SELECT oid FROM pg_catalog.pg_database WHERE datname = $1", 1,
	    &name);
	if (rc != HF_OK)
		return rc;
	if (PQntuples(res) > 0)
		*oid = (uint32_t)strtoul(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	return HF_OK;
}

/* May the database belong to whom it belonged? */
static int
add_owner(struct job *j, struct text *sql, struct hf_error *err)
{
	const char *owner = j->conf.role;
	PGresult *res;
	bool usable;
	int rc;

	if (owner == NULL && !j->conf.no_owner)
		owner = j->c->owner;
	if (owner == NULL)
		return HF_OK;
	rc = conn_query_params(j->maint, &res, err,
	    "SELECT pg_catalog.pg_has_role(oid, 'MEMBER') FROM "
	    "pg_catalog.pg_roles WHERE rolname = $1",
	    1, &owner);
	if (rc != HF_OK)
		return rc;
	usable = PQntuples(res) > 0 && strcmp(PQgetvalue(res, 0, 0), "t") == 0;
	PQclear(res);
	if (usable) {
		text_add(sql, " OWNER ");
		text_add_ident(sql, owner);
	} else {
		job_tell(j, "skipped",
		    "the owner %s of database %s: there is no such role, or "
		    "we are no member of it",
		    owner, j->name);
	}
	return HF_OK;
}

static int
add_tablespace(struct job *j, struct text *sql, struct hf_error *err)
{
	const char *name = j->c->tablespace;
	PGresult *res;
	int rc;

	if (!j->conf.tablespaces || name == NULL ||
	    strcmp(name, "pg_default") == 0)
		return HF_OK;
	rc = conn_query_params(j->maint, &res, err,
	    "SELECT 1 FROM pg_catalog.pg_tablespace WHERE spcname = $1", 1,
	    &name);
	if (rc != HF_OK)
		return rc;
	if (PQntuples(res) > 0) {
		text_add(sql, " TABLESPACE ");
		text_add_ident(sql, name);
	} else {
		job_tell(j, "skipped",
		    "tablespace %s of database %s: there is none of that name",
		    name, j->name);
	}
	PQclear(res);
	return HF_OK;
}

static void
add_option(struct text *sql, const char *option, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	text_addf(sql, " %s ", option);
	text_add_literal(sql, value);
}

/* As far as both servers know of providers. */
static int
add_locale(const struct job *j, struct text *sql, struct hf_error *err)
{
	const struct contents *c = j->c;
	const char *provider = c->provider != NULL ? c->provider : "c";
	int version = j->maint->version;

	add_option(sql, "ENCODING", c->encoding);
	add_option(sql, "LC_COLLATE", c->collate);
	add_option(sql, "LC_CTYPE", c->ctype);
	if (strcmp(provider, "i") == 0) {
		if (version < 150000)
			return postgres_fail_hint(err, HF_E_UNSUPPORTED,
			    "Restore to a server of version 15 or later, or "
			    "into an empty database that you made.",
			    "database %s has the ICU locale %s, which the "
			    "target server, version %d, cannot give a database",
			    c->database, c->locale, version / 10000);
		text_add(sql, " LOCALE_PROVIDER icu");
		add_option(sql, "ICU_LOCALE", c->locale);
		if (version >= 160000)
			add_option(sql, "ICU_RULES", c->icu_rules);
	} else if (strcmp(provider, "b") == 0) {
		if (version < 170000)
			return postgres_fail_hint(err, HF_E_UNSUPPORTED,
			    "Restore to a server of version 17 or later, or "
			    "into an empty database that you made.",
			    "database %s has the builtin locale %s, which the "
			    "target server, version %d, does not know",
			    c->database, c->locale, version / 10000);
		text_add(sql, " LOCALE_PROVIDER builtin");
		add_option(sql, "BUILTIN_LOCALE", c->locale);
	} else if (version >= 150000) {
		text_add(sql, " LOCALE_PROVIDER libc");
	}
	return HF_OK;
}

static int
create(struct job *j, const char *name, struct hf_error *err)
{
	struct text sql = { 0 };
	int rc;

	text_add(&sql, "CREATE DATABASE ");
	text_add_ident(&sql, name);
	text_add(&sql, " TEMPLATE template0");
	if ((rc = add_locale(j, &sql, err)) == HF_OK &&
	    (rc = add_owner(j, &sql, err)) == HF_OK &&
	    (rc = add_tablespace(j, &sql, err)) == HF_OK &&
	    (rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(j->maint, err, text_get(&sql));
	text_free(&sql);
	if (rc == HF_OK)
		return HF_OK;
	if (strcmp(conn_sqlstate(j->maint), "42501") == 0)
		H->fail_note(err, "hint",
		    "The role needs CREATEDB; or let somebody create an empty "
		    "database that belongs to it, and restore into that.");
	else if (strcmp(conn_sqlstate(j->maint), "42809") == 0 ||
		 strcmp(conn_sqlstate(j->maint), "22023") == 0)
		H->fail_note(err, "hint",
		    "The target's operating system may lack this locale. "
		    "Install it, or restore into an empty database that you "
		    "made with another one.");
	return H->fail_context(err, "creating database %s", name);
}

/* number: the one in the name, so that it can be held before there is a
 * database: a server finishes CREATE DATABASE although we are gone. */
static int
take_lock(struct conn *c, uint32_t number, bool *taken, struct hf_error *err)
{
	return job_ask(c, taken, err,
	    "SELECT pg_catalog.pg_try_advisory_lock(%d, %d)", LOCK_CLASS,
	    (int32_t)number);
}

static int
mark(struct job *j, struct hf_error *err)
{
	struct text sql = { 0 }, marker = { 0 };
	int rc;

	database_marker(&marker, j->name);
	text_add(&sql, "COMMENT ON DATABASE ");
	text_add_ident(&sql, j->work);
	text_add(&sql, " IS ");
	text_add_literal(&sql, text_get(&marker));
	if ((rc = text_ok(&marker, err)) == HF_OK &&
	    (rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(j->maint, err, text_get(&sql));
	text_free(&marker);
	text_free(&sql);
	return rc;
}

int
database_create(struct job *j, struct hf_error *err)
{
	struct text name = { 0 };
	char suffix[32];
	uint32_t random;
	bool taken;
	int rc;

	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return H->fail_errno(err, errno, "random bytes");
	(void)snprintf(suffix, sizeof suffix, ".holdfast-%08" PRIx32, random);
	database_name(&name, j->name, suffix);
	if ((rc = text_ok(&name, err)) != HF_OK ||
	    (rc = take_lock(j->maint, random, &taken, err)) != HF_OK ||
	    (rc = create(j, text_get(&name), err)) != HF_OK)
		goto done;
	free(j->work);
	j->work = name.s;
	name = (struct text){ 0 };
	j->made = true;
	rc = mark(j, err);
done:
	text_free(&name);
	return rc;
}

/* One with a subscription cannot be dropped; ours never connected, and its
 * slot, if the publisher has one of that name, belongs to the original. */
static void
drop_subscriptions(struct job *j, const char *name)
{
	struct conn *c = job_undo_open(j, name);
	struct text sql = { 0 };
	PGresult *res;
	int i;

	if (c == NULL)
		return;
	if (conn_query(c, &res, NULL,
		"SELECT subname FROM pg_catalog.pg_subscription WHERE subdbid "
		"= (SELECT oid FROM pg_catalog.pg_database WHERE datname = "
		"pg_catalog.current_database())") == HF_OK) {
		for (i = 0; i < PQntuples(res); i++) {
			const char *const steps[] = { "DISABLE",
				"SET (slot_name = NONE)" };

			for (size_t k = 0; k < 2; k++) {
				text_reset(&sql);
				text_add(&sql, "ALTER SUBSCRIPTION ");
				text_add_ident(&sql, PQgetvalue(res, i, 0));
				text_addf(&sql, " %s", steps[k]);
				(void)conn_exec(c, NULL, text_get(&sql));
			}
			text_reset(&sql);
			text_add(&sql, "DROP SUBSCRIPTION ");
			text_add_ident(&sql, PQgetvalue(res, i, 0));
			(void)conn_exec(c, NULL, text_get(&sql));
		}
		PQclear(res);
	}
	text_free(&sql);
	conn_close(c);
}

void
database_drop(struct job *j, const char *name)
{
	struct conn *c = job_undo(j);
	struct text sql = { 0 };
	int rc = HF_E_IO;

	text_add(&sql, "DROP DATABASE IF EXISTS ");
	text_add_ident(&sql, name);
	text_add(&sql, " WITH (FORCE)");
	if (c != NULL)
		rc = conn_exec(c, NULL, text_get(&sql));
	if (c != NULL && rc != HF_OK) {
		drop_subscriptions(j, name);
		rc = conn_exec(c, NULL, text_get(&sql));
	}
	if (rc != HF_OK)
		H->log(j->ctx, HF_LOG_WARN, "postgres.leftover",
		    "database %s could not be dropped; the next restore to %s "
		    "does it, or: %s",
		    name, j->name, text_get(&sql));
	text_free(&sql);
}

/* One without our comment is ours only if its run ended before that was made:
 * then it has nothing in it. */
static bool
is_ours(struct job *j, const char *name, bool marked)
{
	struct conn *c = NULL;
	char what[128] = "";
	bool ours;

	if (marked || conn_open(j->ctx, j->info, name, NULL, &c, NULL) != HF_OK)
		return marked;
	ours =
	    empty_look(c, what, sizeof what, NULL) == HF_OK && what[0] == '\0';
	conn_close(c);
	return ours;
}

/* Nobody's: no live run has its lock, no connection is open to it. */
static int
drop_leftover(struct job *j, const char *name, uint32_t number, bool marked,
    struct hf_error *err)
{
	struct text sql = { 0 };
	char who[128];
	unsigned n = 0;
	bool taken;
	int rc;

	if ((rc = take_lock(j->maint, number, &taken, err)) != HF_OK || !taken)
		return rc;
	rc = users_of(j->maint, name, 0, who, sizeof who, &n, err);
	if (rc == HF_OK && n == 0 && is_ours(j, name, marked)) {
		text_add(&sql, "DROP DATABASE ");
		text_add_ident(&sql, name);
		/* Somebody may connect just now: then it stays. */
		if ((rc = conn_exec(j->maint, NULL, text_get(&sql))) != HF_OK) {
			drop_subscriptions(j, name);
			rc = conn_exec(j->maint, NULL, text_get(&sql));
		}
		if (rc == HF_OK)
			H->log(j->ctx, HF_LOG_INFO, "postgres.leftover",
			    "dropped %s, which a killed restore had left",
			    name);
		rc = HF_OK;
		text_free(&sql);
	}
	(void)conn_execf(j->maint, NULL,
	    "SELECT pg_catalog.pg_advisory_unlock(%d, %d)", LOCK_CLASS,
	    (int32_t)number);
	return rc;
}

int
database_leftovers(struct job *j, struct hf_error *err)
{
	struct text stem = { 0 }, marker = { 0 };
	const char *params[2];
	PGresult *res = NULL;
	int rc, i;

	/* As long as the suffix of one, which follows. */
	database_name(&stem, j->name, ".holdfast-________");
	database_marker(&marker, j->name);
	if ((rc = text_ok(&stem, err)) != HF_OK ||
	    (rc = text_ok(&marker, err)) != HF_OK)
		goto done;
	params[0] = text_get(&stem);
	params[1] = text_get(&marker);
	rc = conn_query_params(j->maint, &res, err,
	    "SELECT datname, right(datname, 8), comment IS NOT NULL"
	    " FROM pg_catalog.pg_database, pg_catalog.shobj_description("
	    "oid, 'pg_database') AS comment"
	    " WHERE left(datname, -8) = left($1, -8)"
	    " AND right(datname, 8) ~ '^[0-9a-f]{8}$'"
	    " AND (comment = $2 OR comment IS NULL)",
	    2, params);
	for (i = 0; rc == HF_OK && i < PQntuples(res); i++)
		rc = drop_leftover(j, PQgetvalue(res, i, 0),
		    (uint32_t)strtoul(PQgetvalue(res, i, 1), NULL, 16),
		    strcmp(PQgetvalue(res, i, 2), "t") == 0, err);
	if (res != NULL)
		PQclear(res);
done:
	text_free(&stem);
	text_free(&marker);
	return rc;
}
