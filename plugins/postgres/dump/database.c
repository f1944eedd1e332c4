/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "object.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES 3
#define PAUSE 500 /* milliseconds between them */

/* Back to the state before open_all. */
static void
forget(struct run *run)
{
	snapshot_drop(run);
	tables_clear(run);
	toc_clear(&run->toc);
	contents_clear(&run->contents);
	memset(&run->contents, 0, sizeof run->contents);
	if (run->archive != -1)
		(void)close(run->archive);
	run->archive = -1;
}

/* Snapshot, definitions, tables and locks, in the order that leaves DDL of
 * others no gap: see locks_early and locks_take. */
static int
open_once(struct run *run, bool *changed, struct hf_error *err)
{
	int rc;

	*changed = false;
	if ((rc = snapshot_begin(run, err)) != HF_OK)
		return rc;
	/* From here on DDL of others may get in between. */
	*changed = true;
	if ((rc = schema_dump(run, err)) != HF_OK ||
	    (rc = tables_find(run, err)) != HF_OK)
		return rc;
	return run->rows ? locks_take(run, err) : HF_OK;
}

static int
open_all(struct run *run, struct hf_error *err)
{
	bool changed;
	int rc;

	for (int i = 1;; i++) {
		rc = open_once(run, &changed, err);
		if ((rc != HF_E_TRANSIENT && rc != HF_E_NOTFOUND) || !changed ||
		    i == TRIES)
			return rc;
		H->log(run->ctx, HF_LOG_INFO, "postgres.again",
		    "DDL of others got in between: a new snapshot is taken");
		forget(run);
		if (!H->sleep(run->ctx, PAUSE))
			return H->fail(err, HF_E_CANCELLED, "cancelled");
	}
}

static int
store_rows(struct run *run, struct hf_error *err)
{
	int rc;

	if ((rc = tables_measure(run, err)) != HF_OK ||
	    (rc = copy_all(run, err)) != HF_OK ||
	    (rc = sequences_store(run, err)) != HF_OK)
		return rc;
	return refresh_store(run, err);
}

static int
store_contents(struct run *run, struct hf_error *err)
{
	size_t len;
	char *json;
	int rc;

	if ((rc = contents_write(&run->contents, &json, &len, err)) != HF_OK)
		return rc;
	rc = object_store(
	    run->out, run->prefix, LAYOUT_CONTENTS, json, len, err);
	free(json);
	return rc;
}

static int
store_all(struct run *run, bool definitions, struct hf_error *err)
{
	int rc;

	if ((run->contents.content = strdup(run->conf->content)) == NULL)
		return postgres_nomem(err);
	if (definitions && (rc = schema_store(run, err)) != HF_OK)
		return rc;
	if ((rc = belongs_find(run, err)) != HF_OK)
		return rc;
	if (run->rows && (rc = store_rows(run, err)) != HF_OK)
		return rc;
	if (definitions && (rc = settings_store(run, err)) != HF_OK)
		return rc;
	if ((rc = snapshot_facts(run, err)) != HF_OK ||
	    (rc = snapshot_end(run, err)) != HF_OK)
		return rc;
	return store_contents(run, err);
}

int
database_dump(struct run *run, struct hf_error *err)
{
	const struct conf *conf = run->conf;
	int rc;

	run->rows = strcmp(conf->content, "schema") != 0;
	run->whole = conf->schemas == NULL && conf->exclude_schemas == NULL &&
		     conf->tables == NULL && conf->exclude_tables == NULL;
	run->archive = -1;
	(void)pthread_mutex_init(&run->lock, NULL);
	if ((rc = open_all(run, err)) == HF_OK)
		rc = store_all(run, strcmp(conf->content, "data") != 0, err);
	forget(run);
	(void)pthread_mutex_destroy(&run->lock);
	return rc;
}
