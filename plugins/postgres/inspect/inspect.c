/* SPDX-License-Identifier: BSD-2-Clause */
#include "inspect.h"

#include "check.h"
#include "conn.h"
#include "conninfo.h"
#include "finding.h"
#include "postgres.h"
#include "server.h"
#include "stored.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Of throw-away databases; nothing of another name is ever dropped. */
#define SCRATCH_PREFIX "holdfast_scratch_"

/* The source's version when it answers: a copy is best proved on a server of
 * its own kind.  Otherwise 0, the newest that is here. */
static int
source_version(struct hf_engine *e)
{
	struct conninfo *info = NULL;
	struct conn *c = NULL;
	int version = 0;

	if (conninfo_source(&e->conf, &info, NULL) == HF_OK &&
	    conn_open(e->ctx, info, NULL, NULL, &c, NULL) == HF_OK) {
		version = c->version;
		conn_close(c);
	}
	conninfo_free(info);
	return version;
}

static bool
many_databases(const struct conf *conf)
{
	const char *const *names = conf->databases;

	return names != NULL && names[0] != NULL &&
	       (names[1] != NULL || strcmp(names[0], "*") == 0);
}

/* conf.scratch with a new database name. */
static int
other_server(struct hf_engine *e, struct text *out, struct hf_error *err)
{
	PQconninfoOption *given = NULL;
	struct conninfo *info = NULL;
	char *why = NULL;
	uint64_t random;
	int rc;

	if (many_databases(&e->conf))
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Leave \"scratch\" out: a private server holds them under "
		    "their own names.",
		    "several databases cannot be restored to one throw-away "
		    "database");
	/* What is wrong with it is told without its values. */
	if ((rc = conninfo_target(&e->conf, e->conf.scratch, &info, err)) !=
	    HF_OK)
		return H->fail_context(err, "reading \"scratch\"");
	conninfo_free(info);
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return H->fail(err, HF_E_IO, "no random numbers");
	/* A plain name is a database on the source's server. */
	given = PQconninfoParse(e->conf.scratch, &why);
	for (const PQconninfoOption *o = given; o != NULL && o->keyword != NULL;
	     o++)
		if (o->val != NULL && strcmp(o->keyword, "dbname") != 0)
			server_keyword(out, o->keyword, o->val);
	PQconninfoFree(given);
	PQfreemem(why);
	text_addf(out, "%sdbname=" SCRATCH_PREFIX "%016" PRIx64,
	    out->len > 0 ? " " : "", random);
	return HF_OK;
}

int
inspect_scratch(struct hf_engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	struct text text = { 0 };
	int rc;

	if (e->server != NULL)
		return H->fail(
		    err, HF_E_BUG, "a private server is running already");
	if (e->conf.content != NULL && strcmp(e->conf.content, "data") == 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "rows alone have no tables to be restored to");
	if (e->conf.scratch != NULL) {
		rc = other_server(e, &text, err);
	} else {
		rc = server_start(
		    e->ctx, &e->conf, dir, source_version(e), &e->server, err);
		if (rc == HF_OK)
			server_target(e->server, &text);
	}
	if (rc == HF_OK)
		rc = text_ok(&text, err);
	if (rc == HF_OK && text.len >= cap)
		rc = H->fail(err, HF_E_INVALID,
		    "a target of %zu bytes is too long", text.len);
	if (rc == HF_OK)
		(void)snprintf(target, cap, "%s", text_get(&text));
	else
		inspect_discard(e, "");
	text_free(&text);
	return rc;
}

/* Findings of one database of several, by its name. */
struct named {
	hf_finding_fn *cb;
	void *arg;
	const char *name;
};

static int
tell_named(void *arg, const struct hf_finding *f)
{
	const struct named *named = arg;
	struct findings to = { .cb = named->cb, .arg = named->arg };

	finding_tell(&to, (enum hf_verdict)f->verdict, f->check, f->hint,
	    "%s: %s", named->name, f->result);
	return to.rc;
}

static unsigned
inspect_jobs(const struct conf *conf)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (conf->jobs > 0)
		return (unsigned)conf->jobs;
	return cores < 2 ? 2 : cores > 64 ? 64 : (unsigned)cores;
}

static int
against_backup(struct hf_engine *e, const struct conninfo *info,
    struct hf_in *in, hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	const char *dbname = conninfo_get(info, "dbname");
	struct stored stored;
	int rc = stored_open(in, &stored, err);

	if (rc != HF_OK)
		return rc;
	if (dbname != NULL && stored.n > 1)
		rc = H->fail(err, HF_E_INVALID,
		    "the backup has %zu databases, the target is one",
		    stored.n);
	for (size_t i = 0; i < stored.n && rc == HF_OK; i++) {
		const struct contents *contents = &stored.databases[i].contents;
		const char *name = dbname != NULL ? dbname : contents->database;
		struct named named = { cb, arg, name };

		rc = check_database(e->ctx, info, name, contents, CHECK_FULL,
		    inspect_jobs(&e->conf), stored.n > 1 ? tell_named : cb,
		    stored.n > 1 ? (void *)&named : arg, NULL, err);
		if (rc < 0 && stored.n > 1)
			H->fail_context(err, "checking database %s", name);
	}
	stored_close(&stored);
	return rc;
}

static int
pages_of(struct hf_engine *e, const struct conninfo *info, const char *name,
    hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct named named = { cb, arg, name };
	struct conn *c;
	int rc = conn_open(e->ctx, info, name, NULL, &c, err);

	if (rc != HF_OK)
		return rc;
	rc = check_pages(c, name == NULL ? cb : tell_named,
	    name == NULL ? arg : (void *)&named, NULL, err);
	conn_close(c);
	return rc;
}

/* The databases of a server, or the one that the target names. */
static int
without_backup(struct hf_engine *e, const struct conninfo *info,
    hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	PGresult *rows;
	struct conn *c;
	int rc;

	if (conninfo_get(info, "dbname") != NULL)
		return pages_of(e, info, NULL, cb, arg, err);
	if ((rc = conn_open(e->ctx, info, "postgres", NULL, &c, err)) != HF_OK)
		return rc;
	rc = conn_query(c, &rows, err,
	    "SELECT datname FROM pg_database WHERE datallowconn "
	    "AND NOT datistemplate ORDER BY 1");
	conn_close(c);
	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(rows) && rc == HF_OK; i++)
		rc = pages_of(e, info, PQgetvalue(rows, i, 0), cb, arg, err);
	PQclear(rows);
	return rc;
}

int
inspect_target(struct hf_engine *e, const char *target, struct hf_in *in,
    hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct conninfo *info;
	int rc = conninfo_target(&e->conf, target, &info, err);

	if (rc != HF_OK)
		return rc;
	rc = in == NULL ? without_backup(e, info, cb, arg, err)
			: against_backup(e, info, in, cb, arg, err);
	conninfo_free(info);
	return rc;
}

/* Which of the target's databases a question is for, when the target names
 * none: the source's, or the only one that is there. */
static int
question_database(struct hf_engine *e, const struct conninfo *info, char **name,
    struct hf_error *err)
{
	const char *const *wanted = e->conf.databases;
	struct conninfo *source = NULL;
	struct conn *c = NULL;
	const char *usual = NULL;
	PGresult *rows = NULL;
	int rc;

	*name = NULL;
	if ((rc = conn_open(e->ctx, info, "postgres", NULL, &c, err)) !=
		HF_OK ||
	    (rc = conninfo_source(&e->conf, &source, err)) != HF_OK)
		goto out;
	rc = conn_query(c, &rows, err,
	    "SELECT datname FROM pg_database WHERE datallowconn "
	    "AND NOT datistemplate ORDER BY datname = 'postgres', 1");
	if (rc != HF_OK)
		goto out;
	if (wanted != NULL && wanted[0] != NULL && !many_databases(&e->conf))
		usual = wanted[0];
	else if (wanted == NULL || wanted[0] == NULL)
		usual = conninfo_get(source, "dbname");
	for (int i = 0; i < PQntuples(rows) && usual != NULL; i++)
		if (strcmp(PQgetvalue(rows, i, 0), usual) == 0)
			*name = strdup(usual);
	/* The last is "postgres", which every server has. */
	if (*name == NULL && PQntuples(rows) > 0 && PQntuples(rows) <= 2)
		*name = strdup(PQgetvalue(rows, 0, 0));
	if (*name == NULL)
		rc = postgres_fail_hint(err, HF_E_INVALID,
		    "A question is answered by one database: give each a "
		    "pipeline of its own.",
		    "%d databases are there, and none is named",
		    PQntuples(rows));
out:
	PQclear(rows);
	conn_close(c);
	conninfo_free(source);
	return rc;
}

/* As the operator would see it in psql: our own settings are taken back.  One
 * statement alone, so that it cannot end the transaction. */
static int
answer(struct conn *c, const char *sql, char *value, size_t cap,
    struct hf_error *err)
{
	PGresult *rows;
	const char *text;
	int rc = conn_exec(c, err,
	    "RESET search_path; RESET row_security; BEGIN READ ONLY; "
	    "SET LOCAL statement_timeout = '10min'");

	if (rc != HF_OK ||
	    (rc = conn_query_params(c, &rows, err, sql, 0, NULL)) != HF_OK)
		return rc;
	if (PQntuples(rows) == 0 || PQnfields(rows) == 0) {
		rc = H->fail(err, HF_E_NOTFOUND, "no row: %s", sql);
	} else {
		text = PQgetvalue(rows, 0, 0);
		if (strlen(text) >= cap)
			rc = H->fail(err, HF_E_INVALID,
			    "the value is longer than %zu bytes: %s", cap - 1,
			    sql);
		else
			(void)snprintf(value, cap, "%s", text);
	}
	PQclear(rows);
	return rc;
}

int
inspect_query(struct hf_engine *e, const char *target, const char *sql,
    char *value, size_t cap, struct hf_error *err)
{
	struct conninfo *info;
	struct conn *c = NULL;
	char *name = NULL;
	int rc = conninfo_target(&e->conf, target, &info, err);

	if (rc != HF_OK)
		return rc;
	if ((conninfo_get(info, "dbname") == NULL &&
		(rc = question_database(e, info, &name, err)) != HF_OK) ||
	    (rc = conn_open(e->ctx, info, name, NULL, &c, err)) != HF_OK)
		goto out;
	rc = answer(c, sql, value, cap, err);
	conn_close(c);
out:
	free(name);
	conninfo_free(info);
	return rc;
}

/* The name must be one that inspect_scratch gave.  Without a context: after a
 * cancelled run too. */
static void
drop_scratch(struct hf_engine *e, const char *target)
{
	struct conninfo *info = NULL, *server = NULL;
	struct conn *c = NULL;
	struct text sql = { 0 };
	const char *name;
	int rc;

	if (conninfo_target(&e->conf, target, &info, NULL) != HF_OK ||
	    (name = conninfo_get(info, "dbname")) == NULL ||
	    strncmp(name, SCRATCH_PREFIX, sizeof SCRATCH_PREFIX - 1) != 0)
		goto out;
	text_add(&sql, "DROP DATABASE IF EXISTS ");
	text_add_ident(&sql, name);
	text_add(&sql, " WITH (FORCE)");
	if ((rc = text_ok(&sql, NULL)) != HF_OK)
		goto out;
	rc = conn_open(NULL, info, "postgres", NULL, &c, NULL);
	if (rc != HF_OK &&
	    conninfo_target(&e->conf, e->conf.scratch, &server, NULL) == HF_OK)
		rc = conn_open(NULL, server, NULL, NULL, &c, NULL);
	if (rc == HF_OK)
		rc = conn_exec(c, NULL, text_get(&sql));
	if (rc != HF_OK)
		H->log(e->ctx, HF_LOG_WARN, "postgres.scratch_left",
		    "the throw-away database %s could not be dropped; drop it "
		    "by hand",
		    name);
out:
	conn_close(c);
	text_free(&sql);
	conninfo_free(info);
	conninfo_free(server);
}

void
inspect_discard(struct hf_engine *e, const char *target)
{
	if (e->server != NULL) {
		server_stop(e->server);
		e->server = NULL;
	} else if (e->conf.scratch != NULL && target != NULL &&
		   target[0] != '\0') {
		drop_scratch(e, target);
	}
}
