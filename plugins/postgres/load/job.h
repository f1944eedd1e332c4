/* SPDX-License-Identifier: BSD-2-Clause */
/* One database being restored: what the files of load/ share. */
#ifndef HF_POSTGRES_LOAD_JOB_H
#define HF_POSTGRES_LOAD_JOB_H

#include "conn.h"
#include "conninfo.h"
#include "layout.h"
#include "postgres.h"
#include "program.h"
#include "stored.h"
#include "text.h"

struct job {
	struct hf_engine *e;
	const struct hf_ctx *ctx;
	struct restore_conf conf;
	struct hf_in *in;
	const struct stored *stored;
	const char *prefix;       /* of this database's objects */
	const struct contents *c; /* what the backup says of it */
	struct conninfo *info;    /* the server; its dbname is not used */
	uint32_t flags;           /* HF_RESTORE_* */
	unsigned jobs;            /* connections at once */
	unsigned streams;         /* readers open at once */

	char maintenance[64]; /* a database that is none of ours */
	struct conn *maint;   /* to it */
	struct program pg_restore;
	char schema[4096]; /* schema.dump in the scratch folder, "" */

	char *name;    /* where the result stands in the end */
	char *work;    /* where it is made: name, or a temporary one */
	uint64_t rows; /* that were loaded */
	/* One of several: its name stands before the keys of what is told. */
	bool several;
	struct text *skipped; /* all of it so far: a key is told once */
	/* Definitions before rows: all, or none. */
	bool atomic;
	bool made; /* work was created by us: nobody else uses it */
};

/* The server as the maintenance connection sees it.  Tries "postgres",
 * "template1" and the backup's own database, but never avoid (may be NULL). */
int job_connect(struct job *, const char *avoid, struct hf_error *);
/* A connection to the database that is made, as the role that was asked for.
 * encoding: as conn_open has it. */
int job_open(const struct job *, const char *encoding, struct conn **,
    struct hf_error *);
/* The maintenance connection for clearing up: it goes on when the run was
 * cancelled, and is opened again when it was lost.  NULL: not to be had. */
struct conn *job_undo(struct job *);
/* Another one for clearing up, to dbname; conn_close it. */
struct conn *job_undo_open(const struct job *, const char *dbname);
/* "true" or "false" of a query, "t" and anything else. */
int job_ask(struct conn *, bool *yes, struct hf_error *, const char *fmt, ...)
    HF_PRINTF(4, 5);
/* A result that is told to the operator.  What was "skipped" is added to
 * what was before. */
void job_result(const struct job *, const char *key, const char *value);
/* job->rows */
void job_tell_rows(const struct job *);
/* One that is logged as well. */
void job_tell(const struct job *, const char *key, const char *fmt, ...)
    HF_PRINTF(3, 4);
/* A hf_finding_fn; arg is the job: what is not well is logged and told. */
int job_finding(void *arg, const struct hf_finding *);
/* "public"."orders" */
void job_add_name(struct text *, const char *schema, const char *name);

#endif
