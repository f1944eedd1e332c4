/* SPDX-License-Identifier: BSD-2-Clause */
#include "load.h"

#include "analyze.h"
#include "check.h"
#include "data.h"
#include "globals.h"
#include "job.h"
#include "only.h"
#include "rows.h"
#include "schema.h"
#include "script.h"
#include "target.h"
#include "toc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_FLAGS (HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE)

static int
check_request(const struct hf_request *r, size_t n, struct hf_error *err)
{
	if ((r->flags & ~KNOWN_FLAGS) != 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "unknown restore flags 0x%x", r->flags);
	if (r->until != NULL)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "a logical backup is one point in time: choose the backup "
		    "instead");
	if (n != 1)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "a logical backup is restored from one full backup, not "
		    "%zu",
		    n);
	return HF_OK;
}

static int
check(struct job *j, struct hf_error *err)
{
	enum check_level level = CHECK_QUICK;
	unsigned failed = 0;
	int rc;

	if (strcmp(j->conf.check, "none") == 0)
		return HF_OK;
	if (strcmp(j->conf.check, "full") == 0)
		level = CHECK_FULL;
	rc = check_database(j->ctx, j->info, j->work, j->c, level, j->jobs,
	    job_finding, j, &failed, err);
	if (rc == HF_OK && failed > 0)
		rc = H->fail(err, HF_E_CORRUPT,
		    "the restored database did not pass its check: %u of what "
		    "was looked at failed",
		    failed);
	return rc;
}

/* What has rows, but no definitions of its own to wait for. */
static int
fill_rows(struct job *j, struct hf_error *err)
{
	const struct rows_options opts = { .fresh = true };
	int rc;

	if (strcmp(j->c->content, "schema") == 0)
		return HF_OK;
	if ((rc = rows_load(j, &opts, &j->rows, err)) != HF_OK)
		return rc;
	job_tell_rows(j);
	if (j->c->sequences > 0 &&
	    (rc = script_run_alone(j, LAYOUT_SEQUENCES, err)) != HF_OK)
		return rc;
	return script_large_objects(j, err);
}

/* All of it, into job->work. */
static int
fill(struct job *j, struct hf_error *err)
{
	struct toc toc = { 0 };
	bool rows = strcmp(j->c->content, "schema") != 0;
	int rc;

	if ((rc = schema_list(j, &toc, err)) == HF_OK &&
	    (rc = schema_restore(j, "pre-data", &toc, NULL, NULL, err)) ==
		HF_OK &&
	    (rc = fill_rows(j, err)) == HF_OK)
		rc = schema_restore(j, "post-data", &toc, NULL, NULL, err);
	toc_clear(&toc);
	if (rc != HF_OK)
		return rc;
	if (rows && j->c->refresh > 0 &&
	    (rc = script_run_alone(j, LAYOUT_REFRESH, err)) != HF_OK)
		return rc;
	if (rows && j->conf.analyze)
		return analyze_run(j, NULL, err);
	return HF_OK;
}

/* A whole database, under job->name. */
static int
load_whole(struct job *j, struct hf_error *err)
{
	struct target t;
	int rc;

	if ((rc = target_open(&t, j, err)) == HF_OK &&
	    (rc = schema_open(j, err)) == HF_OK &&
	    (rc = globals_run(j, err)) == HF_OK &&
	    (rc = target_begin(&t, err)) == HF_OK &&
	    (rc = fill(j, err)) == HF_OK && (rc = check(j, err)) == HF_OK)
		rc = target_finish(&t, err);
	target_close(&t);
	schema_close(j);
	return rc;
}

static void
tell_server(struct job *j)
{
	const char *host = conninfo_get(j->info, "host");
	const char *port = conninfo_get(j->info, "port");

	if (host == NULL)
		host = conninfo_get(j->info, "hostaddr");
	if (host != NULL) {
		struct text t = { 0 };

		text_addf(&t, "%s:%s", host, port != NULL ? port : "5432");
		if (!t.failed)
			H->result(j->ctx, "server", text_get(&t));
		text_free(&t);
	}
}

/* One database of the backup, to name. */
static int
load_database(struct job *template, const struct stored_database *d,
    const char *name, struct hf_error *err)
{
	struct job j = *template;
	struct text skipped = { 0 };
	int rc;

	j.prefix = d->prefix;
	j.c = &d->contents;
	j.rows = 0;
	j.skipped = &skipped;
	if ((j.name = strdup(name)) == NULL)
		return postgres_nomem(err);
	if (j.conf.only != NULL && j.conf.only[0] != NULL)
		rc = only_run(&j, err);
	else if (strcmp(j.c->content, "data") == 0)
		rc = data_run(&j, err);
	else
		rc = load_whole(&j, err);
	if (rc == HF_OK) {
		template->rows += j.rows;
		if (!j.several)
			job_result(&j, "database", name);
		tell_server(&j);
	} else {
		(void)H->fail_context(err, "restoring database %s", name);
	}
	text_free(&skipped);
	free(j.name);
	free(j.work);
	return rc;
}

static const struct stored_database *
find_database(const struct stored *s, const char *name, struct hf_error *err)
{
	struct text all = { 0 };
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->databases[i].contents.database, name) == 0)
			return &s->databases[i];
	for (i = 0; i < s->n && i < 20; i++)
		text_addf(&all, "%s%s", i == 0 ? "" : ", ",
		    s->databases[i].contents.database);
	(void)H->fail(err, HF_E_NOTFOUND,
	    "the backup has no database %s; it has %s", name, text_get(&all));
	text_free(&all);
	return NULL;
}

static int
load_all(struct job *j, struct hf_error *err)
{
	const struct stored *s = j->stored;
	struct text done = { 0 };
	size_t i;
	int rc = HF_OK;

	j->several = true;
	for (i = 0; rc == HF_OK && i < s->n; i++) {
		const char *name = s->databases[i].contents.database;

		rc = load_database(j, &s->databases[i], name, err);
		if (rc == HF_OK)
			text_addf(&done, "%s%s", i == 0 ? "" : ", ", name);
	}
	j->several = false;
	if (rc == HF_OK && (rc = text_ok(&done, err)) == HF_OK) {
		job_result(j, "databases", text_get(&done));
		if (strcmp(s->databases[0].contents.content, "schema") != 0)
			job_tell_rows(j);
	} else if (done.len > 0 && !done.failed) {
		H->fail_note(err, "restored", text_get(&done));
		(void)H->fail_context(
		    err, "restoring the rest; these are done: %s", done.s);
	}
	text_free(&done);
	return rc;
}

/* Which of the stored databases go where; see load.h. */
static int
load_chosen(struct job *j, const char *target, struct hf_error *err)
{
	const struct stored *s = j->stored;
	const struct stored_database *d = NULL;
	const char *name =
	    target != NULL ? conninfo_get(j->info, "dbname") : NULL;

	if (j->conf.database != NULL) {
		d = find_database(s, j->conf.database, err);
		if (d == NULL)
			return HF_E_NOTFOUND;
	} else if (s->n == 1) {
		d = &s->databases[0];
	}
	if (d != NULL)
		return load_database(
		    j, d, name != NULL ? name : d->contents.database, err);
	if (name != NULL)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Choose one with -o database=NAME, or give a server "
		    "without a database.",
		    "the backup has %zu databases, and the target names one, "
		    "%s",
		    s->n, name);
	if (j->conf.only != NULL && j->conf.only[0] != NULL)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Choose one with -o database=NAME.",
		    "the backup has %zu databases: which one has the objects?",
		    s->n);
	return load_all(j, err);
}

static void
set_conf(struct job *j, const struct hf_request *r)
{
	const struct restore_conf defaults = { .globals = "missing",
		.tablespaces = true,
		.analyze = true,
		.check = "quick",
		.maintenance_work_mem = (int64_t)256 << 20 };

	j->conf = r->restore_conf != NULL
		      ? *(const struct restore_conf *)r->restore_conf
		      : defaults;
	if (j->conf.globals == NULL)
		j->conf.globals = defaults.globals;
	if (j->conf.check == NULL)
		j->conf.check = defaults.check;
	j->streams = r->max_streams > 0 ? r->max_streams : 1;
	j->jobs = j->conf.jobs > 0 ? (unsigned)j->conf.jobs : j->streams;
	if (j->conf.jobs == 0 && j->jobs < 2)
		j->jobs = 2;
	j->flags = r->flags;
	/* The source's folders may be those of a real server of this
	 * machine. */
	if (j->e->server != NULL)
		j->conf.tablespaces = false;
}

int
load_run(struct hf_engine *e, const struct hf_request *r,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	struct job j = { .e = e, .ctx = e->ctx };
	struct stored stored;
	int rc;

	if ((rc = check_request(r, n, err)) != HF_OK)
		return rc;
	j.in = in[0];
	set_conf(&j, r);
	if (r->target == NULL && j.conf.only != NULL && j.conf.only[0] != NULL)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Name the database with --to.",
		    "single objects go into a database that has to be named");
	if ((rc = stored_open(in[0], &stored, err)) != HF_OK)
		return rc;
	j.stored = &stored;
	rc = conninfo_target(&e->conf, r->target, &j.info, err);
	if (rc == HF_OK) {
		rc = load_chosen(&j, r->target, err);
		conninfo_free(j.info);
	}
	stored_close(&stored);
	return rc;
}

int
load_look(struct hf_engine *e, const struct hf_request *r, struct hf_error *err)
{
	/* Of what is not there yet, nothing is known but the name. */
	struct contents contents = { 0 };
	struct job j = { .e = e, .ctx = e->ctx, .c = &contents };
	struct target t;
	const char *name;
	int rc;

	set_conf(&j, r);
	if (j.conf.only != NULL && j.conf.only[0] != NULL)
		return HF_OK;
	if ((rc = conninfo_target(&e->conf, r->target, &j.info, err)) != HF_OK)
		return rc;
	name = conninfo_get(j.info, "dbname");
	if (name != NULL && (j.name = strdup(name)) == NULL) {
		rc = postgres_nomem(err);
	} else if (name != NULL) {
		contents.database = j.name;
		rc = target_open(&t, &j, err);
		target_close(&t);
	}
	conninfo_free(j.info);
	free(j.name);
	return rc;
}
