/* SPDX-License-Identifier: BSD-2-Clause */
#include "swap.h"

#include "check.h"
#include "conninfo.h"
#include "database.h"
#include "job.h"
#include "target.h"
#include "users.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIES 6
#define LOOK_MS 100

void
swap_add_rename(struct text *sql, const char *from, const char *to)
{
	text_add(sql, "ALTER DATABASE ");
	text_add_ident(sql, from);
	text_add(sql, " RENAME TO ");
	text_add_ident(sql, to);
	text_add(sql, ";");
}

void
swap_add_comment(struct text *sql, const char *name, const char *comment)
{
	text_add(sql, "COMMENT ON DATABASE ");
	text_add_ident(sql, name);
	text_add(sql, " IS ");
	if (comment == NULL)
		text_add(sql, "NULL");
	else
		text_add_literal(sql, comment);
	text_add(sql, ";");
}

/* A name that is not taken. */
static int
safety_name(struct target *t, struct hf_error *err)
{
	struct text name = { 0 };
	char stamp[24], suffix[80];
	struct tm tm;
	time_t now = time(NULL);
	uint32_t oid = 1;
	unsigned i;
	int rc = HF_OK;

	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	for (i = 1; rc == HF_OK && oid != 0 && i < 1000; i++) {
		(void)snprintf(t->stamp, sizeof t->stamp,
		    i == 1 ? "%s" : "%s-%u", stamp, i);
		(void)snprintf(
		    suffix, sizeof suffix, ".before-restore-%s", t->stamp);
		text_reset(&name);
		database_name(&name, t->job->name, suffix);
		if ((rc = text_ok(&name, err)) == HF_OK)
			rc = database_find(
			    t->job->maint, text_get(&name), &oid, err);
	}
	if (rc == HF_OK && oid != 0)
		rc = H->fail(err, HF_E_EXISTS, "too many safety copies of %s",
		    t->job->name);
	if (rc == HF_OK)
		t->safety = name.s;
	else
		text_free(&name);
	return rc;
}

/* End everybody else's connections to these two. */
static int
evict(struct conn *c, const char *a, const char *b, struct hf_error *err)
{
	const char *params[] = { a, b };
	PGresult *res;
	int rc;

	rc = conn_query_params(c, &res, err,
	    "SELECT pg_catalog.pg_terminate_backend(pid) "
	    "FROM pg_catalog.pg_stat_activity "
	    "WHERE datname IN ($1, $2) AND pid <> pg_catalog.pg_backend_pid()",
	    2, params);
	if (rc != HF_OK) {
		H->fail_note(err, "hint",
		    "Ending others' connections needs a superuser or the role "
		    "pg_signal_backend, and superusers' a superuser.");
		return H->fail_context(err, "ending connections to %s", a);
	}
	PQclear(res);
	return HF_OK;
}

/* The result of what was sent; the others are ended until it is there. */
static int
wait_evicting(struct conn *c, struct conn *second, const char *a, const char *b,
    struct hf_error *err)
{
	struct pollfd p = { .fd = PQsocket(c->pg), .events = POLLIN };
	PGresult *res, *failed = NULL;
	int rc = HF_OK;

	while (PQisBusy(c->pg)) {
		if (rc == HF_OK)
			rc = evict(second, a, b, err);
		(void)poll(&p, 1, LOOK_MS);
		if (!PQconsumeInput(c->pg))
			break;
	}
	while ((res = PQgetResult(c->pg)) != NULL) {
		if (PQresultStatus(res) != PGRES_COMMAND_OK && failed == NULL)
			failed = res;
		else
			PQclear(res);
	}
	/* Whom we may not end is the reason, if it did not go through. */
	if (failed != NULL && rc == HF_OK)
		rc = conn_fail(c, failed, err, "renaming database %s", a);
	else if (failed == NULL && PQstatus(c->pg) != CONNECTION_OK)
		rc = conn_fail(c, NULL, err, "renaming database %s", a);
	else if (failed == NULL)
		rc = HF_OK;
	PQclear(failed);
	return rc;
}

static int
exec_evicting(struct job *j, const char *sql, const char *a, const char *b,
    struct hf_error *err)
{
	struct conn *second;
	int rc, i;

	rc = conn_open(
	    j->maint->ctx, j->info, j->maintenance, NULL, &second, err);
	if (rc != HF_OK)
		return rc;
	for (i = 0; i < TRIES; i++) {
		if (!PQsendQuery(j->maint->pg, sql)) {
			rc = conn_fail(j->maint, NULL, err, "renaming %s", a);
			break;
		}
		rc = wait_evicting(j->maint, second, a, b, err);
		/* object_in_use: somebody needed more than five seconds. */
		if (rc == HF_OK ||
		    strcmp(conn_sqlstate(j->maint), "55006") != 0)
			break;
	}
	conn_close(second);
	return rc;
}

/* a is renamed first. */
static int
rename_both(struct job *j, const char *sql, const char *a, const char *b,
    bool force, struct hf_error *err)
{
	int rc;

	if (force)
		rc = exec_evicting(j, sql, a, b, err);
	else
		rc = conn_exec(j->maint, err, sql);
	if (rc == HF_OK || strcmp(conn_sqlstate(j->maint), "55006") != 0)
		return rc;
	/* Says who it is; if they went just now, the server's words stand. */
	if (PQstatus(j->maint->pg) == CONNECTION_OK) {
		int who = users_refuse(j->maint, a, 0, !force, err);

		return who != HF_OK ? who : rc;
	}
	return rc;
}

static int
forward(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	struct text sql = { 0 };
	uint32_t oid = 0;
	int rc;

	swap_add_rename(&sql, j->name, t->safety);
	swap_add_rename(&sql, j->work, j->name);
	swap_add_comment(&sql, j->name, t->comment);
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = rename_both(j, text_get(&sql), j->name, j->work,
		    (j->flags & HF_RESTORE_FORCE) != 0, err);
	text_free(&sql);
	/* Lost while it committed: was it done? */
	if (rc != HF_OK && PQstatus(j->maint->pg) != CONNECTION_OK &&
	    job_undo(j) != NULL &&
	    database_find(j->maint, t->safety, &oid, NULL) == HF_OK && oid != 0)
		rc = HF_OK;
	return rc;
}

/* Whoever is in the new one by now has to leave it. */
static int
back(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	struct text sql = { 0 }, marker = { 0 };
	int rc = HF_E_IO;

	database_marker(&marker, j->name);
	swap_add_rename(&sql, j->name, j->work);
	swap_add_rename(&sql, t->safety, j->name);
	swap_add_comment(&sql, j->work, text_get(&marker));
	if (text_ok(&sql, NULL) == HF_OK && text_ok(&marker, NULL) == HF_OK &&
	    job_undo(j) != NULL)
		rc = rename_both(
		    j, text_get(&sql), j->name, t->safety, true, NULL);
	text_free(&sql);
	text_free(&marker);
	if (rc != HF_OK) {
		/* What was restored must not be dropped: it has the name. */
		j->made = false;
		(void)H->fail_context(err,
		    "the former database could not be put back: it is %s",
		    t->safety);
	}
	return rc;
}

/* Subscriptions and slots go on in the safety copy. */
static void
warn_replication(struct target *t)
{
	struct job *j = t->job;
	const char *name = t->safety;
	PGresult *res;
	int i;

	if (conn_query_params(j->maint, &res, NULL,
		"SELECT 'replication slot ' || slot_name FROM "
		"pg_catalog.pg_replication_slots WHERE database = $1 "
		"UNION ALL SELECT 'subscription ' || subname FROM "
		"pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d "
		"ON d.oid = s.subdbid WHERE d.datname = $1 AND subenabled",
		1, &name) != HF_OK)
		return;
	for (i = 0; i < PQntuples(res); i++)
		H->log(j->ctx, HF_LOG_WARN, "postgres.replication",
		    "%s belongs to the safety copy %s now, and goes on there",
		    PQgetvalue(res, i, 0), t->safety);
	PQclear(res);
}

static int
look_again(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	struct conn *c;
	unsigned failed = 0;
	int rc;

	rc = conn_open(j->ctx, j->info, j->name, NULL, &c, err);
	if (rc != HF_OK)
		return rc;
	conn_close(c);
	if (strcmp(j->conf.check, "none") == 0)
		return HF_OK;
	rc = check_database(j->ctx, j->info, j->name, j->c, CHECK_QUICK, 1,
	    job_finding, j, &failed, err);
	if (rc == HF_OK && failed > 0)
		rc = H->fail(err, HF_E_CORRUPT,
		    "the restored database did not pass its check in place");
	return rc;
}

/* s as one word for sh. */
static void
add_word(struct text *out, const char *s)
{
	text_add(out, "'");
	for (; *s != '\0'; s++)
		if (*s == '\'')
			text_add(out, "'\\''");
		else
			text_add_n(out, s, 1);
	text_add(out, "'");
}

/* A command that changes the two back; psql runs both as one transaction. */
static void
tell_undo(struct target *t)
{
	struct job *j = t->job;
	struct text undo = { 0 }, sql = { 0 }, aside = { 0 };
	struct conninfo *info = NULL;
	char *where = NULL, suffix[80];

	/* A name of its own, so that an older undo can follow this one. */
	(void)snprintf(suffix, sizeof suffix, ".after-restore-%s", t->stamp);
	database_name(&aside, j->name, suffix);
	swap_add_rename(&sql, j->name, text_get(&aside));
	text_add(&sql, " ");
	swap_add_rename(&sql, t->safety, j->name);
	if (conninfo_copy(j->info, &info, NULL) == HF_OK &&
	    conninfo_set(info, "dbname", j->maintenance, NULL) == HF_OK &&
	    (where = conninfo_text(info, NULL)) != NULL) {
		text_add(&undo, "psql -X -d ");
		add_word(&undo, where);
		text_add(&undo, " -c ");
		add_word(&undo, text_get(&sql));
	}
	if (undo.len > 0 && !undo.failed && !sql.failed && !aside.failed)
		job_result(j, "undo", text_get(&undo));
	free(where);
	conninfo_free(info);
	text_free(&aside);
	text_free(&sql);
	text_free(&undo);
}

static void
tell(struct target *t)
{
	job_tell(t->job, "safety_copy", "%s", t->safety);
	tell_undo(t);
}

int
swap_run(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	int rc;

	if ((j->flags & HF_RESTORE_FORCE) == 0 &&
	    (rc = users_refuse(j->maint, j->name, 0, true, err)) != HF_OK)
		return rc;
	if ((rc = safety_name(t, err)) != HF_OK)
		return rc;
	if ((rc = forward(t, err)) != HF_OK)
		return H->fail_context(
		    err, "putting the restored database in place");
	if ((rc = look_again(t, err)) != HF_OK) {
		if (back(t, err) == HF_OK)
			(void)H->fail_context(
			    err, "the former database is in place again");
		return rc;
	}
	warn_replication(t);
	tell(t);
	return HF_OK;
}
