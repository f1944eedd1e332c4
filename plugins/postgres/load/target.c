/* SPDX-License-Identifier: BSD-2-Clause */
#include "target.h"

#include "check.h"
#include "database.h"
#include "empty.h"
#include "job.h"
#include "script.h"
#include "swap.h"
#include "users.h"

#include <stdlib.h>
#include <string.h>

static int
refuse_full(struct job *j, const char *what, struct hf_error *err)
{
	return postgres_fail_hint(err, HF_E_EXISTS,
	    "Restore in place (--in-place), which keeps it as a safety copy; "
	    "or to another name; or single objects (-o only=...).",
	    "database %s exists and is not empty: it has %s", j->name, what);
}

/* What is there already must be empty, and nobody's. */
static int
look_inside(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	char what[256];
	bool locked;
	int rc;

	rc = conn_open(j->ctx, j->info, j->name, NULL, &t->keeper, err);
	if (rc != HF_OK)
		return rc;
	rc = empty_look(t->keeper, what, sizeof what, err);
	if (rc != HF_OK)
		return rc;
	if (what[0] != '\0')
		return refuse_full(j, what, err);
	/* Two restores into one empty database: the first has it. */
	rc = job_ask(t->keeper, &locked, err,
	    "SELECT pg_catalog.pg_try_advisory_lock(1214665844, 0)");
	if (rc != HF_OK)
		return rc;
	if (!locked)
		return H->fail(err, HF_E_EXISTS,
		    "another restore into database %s is under way", j->name);
	rc = users_refuse(
	    t->keeper, j->name, PQbackendPID(j->maint->pg), false, err);
	if (rc != HF_OK)
		return rc;
	return empty_public(t->keeper, &t->public_undo, err);
}

/* What a rename will need, before hours are spent. */
static int
may_swap(struct job *j, struct hf_error *err)
{
	const char *name = j->name;
	PGresult *res;
	bool ok;
	int rc;

	rc = conn_query_params(j->maint, &res, err,
	    "SELECT rolsuper OR rolcreatedb AND pg_catalog.pg_has_role("
	    "d.datdba, 'USAGE') FROM pg_catalog.pg_database d, "
	    "pg_catalog.pg_roles r "
	    "WHERE d.datname = $1 AND r.rolname = current_user",
	    1, &name);
	if (rc != HF_OK)
		return rc;
	ok = PQntuples(res) > 0 && strcmp(PQgetvalue(res, 0, 0), "t") == 0;
	PQclear(res);
	if (!ok)
		return postgres_fail_hint(err, HF_E_DENIED,
		    "Restore as a superuser, or as the owner of the database "
		    "with CREATEDB.",
		    "database %s cannot be replaced: our role may not rename "
		    "it",
		    j->name);
	return HF_OK;
}

static int
look(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	bool in_place = (j->flags & HF_RESTORE_IN_PLACE) != 0;
	uint32_t oid;
	int rc;

	if ((rc = database_find(j->maint, j->name, &oid, err)) != HF_OK)
		return rc;
	if (oid == 0) {
		t->kind = TARGET_NEW;
		return HF_OK;
	}
	if (!in_place) {
		t->kind = TARGET_EMPTY;
		return look_inside(t, err);
	}
	t->kind = TARGET_SWAP;
	if (strncmp(j->name, "template", 8) == 0)
		return H->fail(err, HF_E_INVALID,
		    "%s is a template of the server and is not replaced",
		    j->name);
	if ((rc = may_swap(j, err)) != HF_OK)
		return rc;
	return (j->flags & HF_RESTORE_FORCE) != 0
		   ? HF_OK
		   : users_refuse(j->maint, j->name, 0, true, err);
}

int
target_open(struct target *t, struct job *j, struct hf_error *err)
{
	int rc;

	*t = (struct target){ .job = j };
	/* Not to the one that is renamed. */
	if ((rc = job_connect(j, j->name, err)) != HF_OK)
		return rc;
	if (j->maint->version / 10000 < j->c->server_version / 10000)
		H->log(j->ctx, HF_LOG_WARN, "postgres.older",
		    "the backup is of server %d, the target is version %d: "
		    "what is new in the former may be refused",
		    j->c->server_version / 10000, j->maint->version / 10000);
	if ((rc = look(t, err)) != HF_OK)
		return rc;
	/* Of a target that stays as it is, too. */
	return database_leftovers(j, err);
}

int
target_begin(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	int rc;

	t->begun = true;
	if (t->kind == TARGET_EMPTY) {
		if ((j->work = strdup(j->name)) == NULL)
			return postgres_nomem(err);
		return HF_OK;
	}
	if ((rc = database_create(j, err)) != HF_OK)
		return rc;
	return conn_open(j->ctx, j->info, j->work, NULL, &t->keeper, err);
}

/* The statements that give it its name, one transaction. */
static int
rename_new(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	struct text sql = { 0 };
	int rc;

	swap_add_rename(&sql, j->work, j->name);
	swap_add_comment(&sql, j->name, t->comment);
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(j->maint, err, text_get(&sql));
	text_free(&sql);
	if (rc == HF_OK)
		return rc;
	if (strcmp(conn_sqlstate(j->maint), "42P04") == 0)
		return H->fail(err, HF_E_EXISTS,
		    "database %s has appeared meanwhile", j->name);
	return H->fail_context(err, "naming database %s", j->name);
}

/* Others commit without waiting for the disk; what this one flushes, WAL
 * being one stream, is all of that too. */
static int
flush(struct target *t, struct hf_error *err)
{
	return conn_exec(t->keeper, err,
	    "SET synchronous_commit = on; SELECT "
	    "pg_catalog.pg_logical_emit_message(true, 'holdfast', 'restored')");
}

static int
settings(struct target *t, struct hf_error *err)
{
	struct job *j = t->job;
	struct text marker = { 0 };
	int rc;

	if (t->bare)
		return HF_OK;
	if (t->kind == TARGET_EMPTY)
		return script_database(j, NULL, &t->comment, err);
	database_marker(&marker, j->name);
	if ((rc = text_ok(&marker, err)) == HF_OK)
		rc = script_database(j, text_get(&marker), &t->comment, err);
	text_free(&marker);
	return rc;
}

int
target_finish(struct target *t, struct hf_error *err)
{
	int rc;

	if ((rc = settings(t, err)) != HF_OK)
		return rc;
	if (t->kind == TARGET_EMPTY) {
		rc = flush(t, err);
	} else {
		conn_close(t->keeper);
		t->keeper = NULL;
		rc = t->kind == TARGET_NEW ? rename_new(t, err)
					   : swap_run(t, err);
	}
	t->done = rc == HF_OK;
	return rc;
}

void
target_close(struct target *t)
{
	struct job *j = t->job;

	if (t->begun && !t->done && j->made) {
		conn_close(t->keeper);
		t->keeper = NULL;
		database_drop(j, j->work);
	} else if (t->begun && !t->done && t->kind == TARGET_EMPTY &&
		   j->work != NULL) {
		empty_clear(j, t->public_undo);
	}
	conn_close(t->keeper);
	conn_close(j->maint);
	j->maint = NULL;
	free(t->public_undo);
	free(t->comment);
	free(t->safety);
}
