/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/log.h"
#include "config/config.h"
#include "flow/out.h"
#include "plugin/store.h"
#include "repo/backup_private.h"
#include "repo/copy.h"
#include "repo/lease_private.h"

static int
interrupted(const struct run *run, struct hf_error *err)
{
	if (!cancel_requested(run->r->env.cancel))
		return HF_OK;
	return error_fail(err, HF_E_CANCELLED, "interrupted");
}

static int
prepare_sink(struct run *run, size_t i, struct hf_error *err)
{
	struct repo *r = run->r;
	struct repo_sink *s = &r->sinks[i];
	struct part *part = &run->parts[i];
	char text[400];
	int rc;

	if ((rc = open_sink(r, i, err)) != HF_OK ||
	    (rc = layout_ready(r, s, err)) != HF_OK ||
	    (rc = open_filters(r, s->config->through, s->config->nthrough,
		 &part->own, err)) != HF_OK ||
	    (rc = lease_acquire(s->store, s->name, r->pipeline->name,
		 run->res->id, "backup", &part->lease, err)) != HF_OK)
		return rc;
	if (fleets_share(r, i, text, sizeof text))
		log_write(HF_LOG_WARN, "backup.shared", s->who,
		    "pipeline %s: two fleets seem to share it: "
		    "%s. " FLEETS_HINT,
		    r->pipeline->name, text);
	if ((rc = clean_leftovers(s->store, s->who, r->pipeline->name,
		 lease_epoch(part->lease), err)) != HF_OK) {
		char line[512];

		/* Rubbish costs room, not backups. */
		error_line(err, line, sizeof line);
		log_write(HF_LOG_WARN, "clean.failed", s->who,
		    "pipeline %s: what earlier runs left could not be "
		    "cleared: %s",
		    r->pipeline->name, line);
		error_clear(err);
	}
	return HF_OK;
}

/* A sink that cannot be used is left out, as is one that a copy writes to; one
 * where another run is at work ends this run. */
static int
prepare(struct run *run, struct hf_error *err)
{
	const struct config_pipeline *p = run->r->pipeline;
	int rc;

	if ((rc = open_filters(
		 run->r, p->through, p->nthrough, &run->common, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < run->r->nsinks; i++) {
		struct hf_error why = { 0 };

		run->parts[i].live = true;
		rc = prepare_sink(run, i, &why);
		if ((rc == HF_E_EXISTS && !copy_at_work(run->r, i)) ||
		    rc == HF_E_CANCELLED || rc == HF_E_NOMEM) {
			run->res->sinks[i].why = why;
			if (err != NULL)
				*err = why;
			return rc;
		}
		if (rc != HF_OK) {
			backup_run_tell_dropped(run, i, &why);
			backup_run_drop(run, i, &why);
		}
	}
	return backup_run_left(run, err);
}

/* With the leases, so that prune takes nothing of it away. */
static int
find_parent(struct run *run, struct hf_error *err)
{
	struct repo *r = run->r;
	bool *live = calloc(r->nsinks + 1, sizeof *live);
	int rc;

	if (live == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < r->nsinks; i++)
		live[i] = run->parts[i].live;
	rc = parent_find(r, run->res->id, run->kind, live, &run->parent, err);
	free(live);
	if (rc != HF_OK || run->parent.because[0] == '\0')
		return rc;
	memcpy(run->res->full_because, run->parent.because,
	    sizeof run->res->full_because);
	log_write(run->parent.due ? HF_LOG_INFO : HF_LOG_WARN, "backup.full",
	    NULL, "pipeline %s: a full backup, and not an increment: %s",
	    r->pipeline->name, run->parent.because);
	return HF_OK;
}

static int
publish_one(struct run *run, size_t i, struct hf_error *err)
{
	struct part *part = &run->parts[i];
	struct build build = { .id = run->res->id,
		.started_ms = run->res->started_ms,
		.ended_ms = run->res->ended_ms,
		.outs = run->outs,
		.prefixes = (const char *const *)run->prefixes,
		.parent = run->parent.id[0] == '\0' ? NULL : run->parent.id,
		.incremental = run->incremental,
		.common = run->common,
		.ncommon = run->r->pipeline->nthrough,
		.own = part->own,
		.nown = run->r->sinks[i].config->nthrough,
		.lane = part->lane };
	struct manifest *m = NULL;
	int rc;

	if ((rc = build_manifest(run->r, &build, &m, err)) != HF_OK)
		return rc;
	run->res->sinks[i].stored = manifest_stored_size(m);
	if (run->res->nobjects == 0)
		for (size_t s = 0; s < m->nsources; s++)
			run->res->nobjects += m->sources[s].nobjects;
	rc = publish_copy(&run->r->sinks[i], m, part->lease, &part->keep, err);
	manifest_free(m);
	if (rc != HF_OK)
		(void)error_context(err, "publishing backup %s", run->res->id);
	return rc;
}

static int
publish(struct run *run, struct hf_error *err)
{
	size_t published = 0;
	int rc;

	for (size_t i = 0; i < run->r->nsinks; i++) {
		struct hf_error why = { 0 };

		if (!run->parts[i].live)
			continue;
		rc = interrupted(run, &why);
		if (rc == HF_OK)
			rc = publish_one(run, i, &why);
		/* A lost lease is another run's lock, not the user's wish to
		 * stop. */
		if (rc == HF_E_CANCELLED &&
		    !cancel_requested(run->r->env.cancel))
			why.status = HF_E_EXISTS;
		if (rc != HF_OK) {
			backup_run_tell_dropped(run, i, &why);
			backup_run_drop(run, i, &why);
			continue;
		}
		run->res->sinks[i].ok = true;
		published++;
	}
	run->res->published = published > 0;
	run->res->partial =
	    published > 0 && published < run->r->pipeline->require;
	return backup_run_left(run, err);
}

static int
collect_facts(struct run *run)
{
	bool many = run->r->pipeline->nsources > 1;
	const char *key, *value;

	for (size_t i = 0; i < run->r->pipeline->nsources; i++)
		for (size_t n = 0; run->outs[i] != NULL &&
				   out_fact_at(run->outs[i], n, &key, &value);
		     n++) {
			char *name =
			    many ? text_format("%s.%s",
				       run->r->pipeline->sources[i].name, key)
				 : strdup(key);
			int rc = name == NULL
				     ? HF_E_NOMEM
				     : pairs_append(&run->res->facts,
					   &run->res->nfacts, name, value);

			free(name);
			if (rc != HF_OK)
				return rc;
		}
	return HF_OK;
}

/* What this run left where it is not published.  Best effort: a later run
 * clears what stays. */
static void
remove_own(struct run *run)
{
	for (size_t i = 0; i < run->r->nsinks; i++) {
		struct repo_sink *s = &run->r->sinks[i];
		struct part *part = &run->parts[i];
		struct hf_error err = { 0 };
		char line[512];
		size_t n;

		if (!part->written || part->keep || s->stuck ||
		    s->store == NULL ||
		    clean_data(s->store, run->r->pipeline->name, run->res->id,
			&n, &err) == HF_OK)
			continue;
		error_line(&err, line, sizeof line);
		log_write(HF_LOG_INFO, "backup.leftover", s->who,
		    "pipeline %s: what backup %s left is still there, a later "
		    "run clears it: %s",
		    run->r->pipeline->name, run->res->id, line);
	}
}

/* The copies that were published, read back as any other verify would. */
static int
verify(struct run *run, struct hf_error *err)
{
	struct repo *r = run->r;
	bool deep = r->pipeline->verify == CONFIG_VERIFY_DEEP;
	struct repo_backup_result *res = run->res;
	struct repo_backup_entry e = { .started_ms = res->started_ms,
		.ended_ms = res->ended_ms };
	struct repo_verify_result v = { 0 };
	int rc;

	if (r->pipeline->verify == CONFIG_VERIFY_NONE)
		return HF_OK;
	if ((e.copies = calloc(r->nsinks + 1, sizeof *e.copies)) == NULL)
		return repo_nomem(err);
	memcpy(e.id, res->id, sizeof e.id);
	for (size_t i = 0; i < r->nsinks; i++)
		if (res->sinks[i].ok)
			e.copies[i].state = REPO_COPY_PRESENT;
	rc = verify_entry(r, &e, NULL, deep, &v, err);
	res->verified = rc == HF_OK;
	res->verify_failed = rc != HF_OK && rc != HF_E_CANCELLED;
	if (res->verify_failed) {
		char line[1024];

		error_line(err, line, sizeof line);
		log_write(HF_LOG_ERROR, "backup.verify", NULL,
		    "pipeline %s: backup %s was published, but its "
		    "verification failed: %s",
		    r->pipeline->name, res->id, line);
	}
	for (size_t i = 0; i < v.nsinks && i < r->nsinks; i++)
		if (res->sinks[i].ok && v.sinks[i].why.status != HF_OK) {
			res->sinks[i].ok = false;
			res->sinks[i].why = v.sinks[i].why;
		}
	repo_verify_result_clear(&v);
	catalog_entry_clear(&e, r->nsinks);
	if (rc == HF_E_CANCELLED)
		return rc;
	error_clear(err);
	return HF_OK;
}

static void
release(struct run *run)
{
	for (size_t i = 0; i < run->r->nsinks; i++) {
		if (run->r->sinks[i].stuck)
			lease_abandon(run->parts[i].lease);
		else
			lease_release(run->parts[i].lease);
		run->parts[i].lease = NULL;
	}
}

/* Last, so that the new backup never waits for old ones; with the leases given
 * back, so that nobody else waits either; and also after a source failed. */
static void
complete(struct run *run)
{
	bool *worked = calloc(run->r->nsinks + 1, sizeof *worked);

	for (size_t i = 0; i < run->r->nsinks && worked != NULL; i++)
		worked[i] = run->parts[i].live;
	release(run);
	if (worked != NULL && !cancel_requested(run->r->env.cancel))
		complete_earlier(run->r, worked, run->res);
	free(worked);
}

static void
close_run(struct run *run)
{
	if (run->flow != NULL)
		outflow_free(run->flow);
	for (size_t i = 0; i < run->r->nsinks && run->parts != NULL; i++)
		free(run->parts[i].own);
	for (char **p = run->prefixes; p != NULL && *p != NULL; p++)
		free(*p);
	free(run->prefixes);
	parent_clear(&run->parent, run->r->nsinks);
	free(run->incremental);
	free(run->outs);
	free(run->lanes);
	free(run->key_prefix);
	free(run->common);
	free(run->parts);
	pthread_mutex_destroy(&run->lock);
}

static int
begin(struct run *run, struct repo *r, enum repo_backup_kind kind,
    struct repo_backup_result *res, struct hf_error *err)
{
	*run = (struct run){ .r = r, .res = res, .kind = kind };
	(void)pthread_mutex_init(&run->lock, NULL);
	*res = (struct repo_backup_result){ .started_ms = text_now() };
	manifest_new_id(res->started_ms, res->id);
	res->sinks = calloc(r->nsinks + 1, sizeof *res->sinks);
	run->parts = calloc(r->nsinks + 1, sizeof *run->parts);
	if (res->sinks == NULL || run->parts == NULL)
		return repo_nomem(err);
	res->nsinks = r->nsinks;
	for (size_t i = 0; i < r->nsinks; i++)
		res->sinks[i].name = r->sinks[i].name;
	return HF_OK;
}

int
repo_backup(struct repo *r, enum repo_backup_kind kind,
    struct repo_backup_result *res, struct hf_error *err)
{
	struct hf_error own = { 0 };
	struct run run;
	int rc;

	if (err == NULL)
		err = &own;
	if ((rc = begin(&run, r, kind, res, err)) != HF_OK ||
	    (rc = prepare(&run, err)) != HF_OK ||
	    (rc = find_parent(&run, err)) != HF_OK)
		goto out;
	if ((rc = backup_run_sources(&run, err)) == HF_OK &&
	    (rc = interrupted(&run, err)) == HF_OK)
		rc = publish(&run, err);
	if (run.flow != NULL && collect_facts(&run) != HF_OK && rc == HF_OK)
		rc = repo_nomem(err);
	remove_own(&run);
	if (rc == HF_OK)
		rc = verify(&run, err);
	if (res->ended_ms == 0)
		res->ended_ms = text_now();
	complete(&run);
	report_backup(r, res, err);
out:
	if (res->ended_ms == 0)
		res->ended_ms = text_now();
	if (run.parts != NULL)
		release(&run);
	close_run(&run);
	return rc;
}

int
repo_backup_would(struct repo *r, enum repo_backup_kind kind, char parent[40],
    char because[512], struct hf_error *err)
{
	bool *live = calloc(r->nsinks + 1, sizeof *live);
	struct parent p = { 0 };
	char id[32];
	int rc;

	parent[0] = because[0] = '\0';
	if (live == NULL)
		return repo_nomem(err);
	manifest_new_id(text_now(), id);
	/* A sink that cannot be used would be left out. */
	for (size_t i = 0; i < r->nsinks; i++)
		live[i] = open_sink(r, i, NULL) == HF_OK &&
			  layout_readable(r->sinks[i].store, NULL) == HF_OK &&
			  known_refuse(r, &r->sinks[i], NULL) == HF_OK;
	if ((rc = parent_find(r, id, kind, live, &p, err)) == HF_OK) {
		memcpy(parent, p.id, sizeof p.id);
		memcpy(because, p.because, sizeof p.because);
	}
	parent_clear(&p, r->nsinks);
	free(live);
	return rc;
}

void
repo_backup_result_clear(struct repo_backup_result *res)
{
	free(res->sinks);
	free(res->completed);
	pairs_free(&res->facts, &res->nfacts);
	*res = (struct repo_backup_result){ 0 };
}
