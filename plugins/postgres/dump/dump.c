/* SPDX-License-Identifier: BSD-2-Clause */
#include "dump.h"

#include "conninfo.h"
#include "globals.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char all_sql[] =
    "SELECT datname FROM pg_catalog.pg_database"
    " WHERE datallowconn AND NOT datistemplate ORDER BY datname";

static unsigned
jobs(const struct conf *conf, const struct hf_request *r)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t n = conf->jobs > 0 ? conf->jobs : cores > 2 ? cores : 2;

	if (r->max_streams > 0 && n > (int64_t)r->max_streams)
		n = r->max_streams;
	return n < 1 ? 1 : (unsigned)n;
}

static int
dump_one(struct hf_engine *e, const struct hf_request *r, struct hf_out *out,
    const struct conninfo *info, const char *database, struct hf_error *err)
{
	struct run run = { .engine = e,
		.conf = &e->conf,
		.ctx = e->ctx,
		.out = out,
		.jobs = jobs(&e->conf, r),
		.database = database };
	struct text prefix = { 0 };
	int rc;

	layout_prefix(&prefix, database);
	text_add(&prefix, "");
	if ((rc = text_ok(&prefix, err)) != HF_OK ||
	    (rc = conninfo_copy(info, &run.info, err)) != HF_OK)
		goto done;
	run.prefix = prefix.s;
	if (database == NULL ||
	    (rc = conninfo_set(run.info, "dbname", database, err)) == HF_OK)
		rc = database_dump(&run, err);
	if (rc != HF_OK && database != NULL)
		(void)H->fail_context(err, "backing up database %s", database);
	conninfo_free(run.info);
done:
	text_free(&prefix);
	return rc;
}

static bool
has(const char *const *list, const char *word)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static int
dump_listed(struct hf_engine *e, const struct hf_request *r, struct hf_out *out,
    const struct conninfo *info, struct hf_error *err)
{
	const char *const *list = e->conf.databases;
	int rc = HF_OK;

	for (size_t i = 0; list[i] != NULL; i++)
		if (has(list + i + 1, list[i]))
			return H->fail(err, HF_E_INVALID,
			    "database %s is named twice", list[i]);
	for (; *list != NULL && rc == HF_OK; list++)
		rc = dump_one(e, r, out, info, *list, err);
	return rc;
}

static int
dump_every(struct hf_engine *e, const struct hf_request *r, struct hf_out *out,
    const struct conninfo *info, struct conn *c, struct hf_error *err)
{
	PGresult *res;
	int rc;

	if ((rc = conn_query(c, &res, err, all_sql)) != HF_OK)
		return rc;
	if (PQntuples(res) == 0)
		rc = H->fail(
		    err, HF_E_NOTFOUND, "%s: no database to back up", c->label);
	for (int i = 0; i < PQntuples(res) && rc == HF_OK; i++)
		rc = dump_one(e, r, out, info, PQgetvalue(res, i, 0), err);
	PQclear(res);
	return rc;
}

int
dump_run(struct hf_engine *e, const struct hf_request *r, struct hf_out *out,
    struct hf_error *err)
{
	const struct conf *conf = &e->conf;
	bool several = conf->databases != NULL && conf->databases[0] != NULL;
	struct conninfo *info;
	struct conn *c = NULL;
	int rc;

	if (r->kind != HF_KIND_FULL || r->flags != 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "a logical backup is a full one, without flags: not kind "
		    "0x%x, flags 0x%x",
		    r->kind, r->flags);
	if ((rc = conninfo_source(conf, &info, err)) != HF_OK)
		return rc;
	rc = several ? conn_open_any(e->ctx, info, &c, err)
		     : conn_open(e->ctx, info, NULL, NULL, &c, err);
	if (rc != HF_OK)
		goto done;
	if (strcmp(conf->content, "data") != 0 &&
	    (rc = globals_store(e->ctx, conf, info, c, out, err)) != HF_OK)
		goto done;
	if (several && has(conf->databases, "*"))
		rc = dump_every(e, r, out, info, c, err);
	conn_close(c);
	c = NULL;
	if (!several)
		rc = dump_one(e, r, out, info, NULL, err);
	else if (!has(conf->databases, "*"))
		rc = dump_listed(e, r, out, info, err);
done:
	conn_close(c);
	conninfo_free(info);
	return rc;
}
