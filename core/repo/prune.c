/* SPDX-License-Identifier: BSD-2-Clause */
#include "prune_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "config/config.h"
#include "plugin/store.h"
#include "repo/lease.h"
#include "repo/logs.h"

/* ---- what is kept ---- */

static void
judge(const struct repo *r, const struct repo_backup_entry *e,
    struct prune_backup *b)
{
	bool checked = r->pipeline->verify != CONFIG_VERIFY_NONE;

	b->rule.unknown = true;
	for (size_t i = 0; i < r->nsinks; i++) {
		const struct repo_copy *copy = &e->copies[i];
		bool seen = copy->check.at_ms != 0,
		     broken = copy->lacks[0] != '\0';

		b->copies += copy->state == REPO_COPY_PRESENT ||
			     copy->state == REPO_COPY_DAMAGED;
		if (copy->state != REPO_COPY_PRESENT)
			continue;
		b->stored += manifest_stored_size(copy->manifest);
		b->rule.unknown = false;
		/* No better than what it builds on. */
		if (!broken && (seen ? copy->check.passed : !checked))
			b->rule.proven = true;
		if (broken || (seen && !copy->check.passed))
			b->rule.failed = true;
	}
	if (b->rule.proven)
		b->rule.failed = false;
}

static const char *
parent_of(const struct repo *r, const struct repo_backup_entry *e)
{
	for (size_t i = 0; i < r->nsinks; i++)
		if (e->copies[i].manifest != NULL)
			return e->copies[i].manifest->parent;
	return NULL;
}

static int
decide(struct prune *p, struct hf_error *err)
{
	struct prune_result *res = p->res;
	size_t n = p->catalog.n;
	struct retention_item *items = calloc(n + 1, sizeof *items);

	res->backups = calloc(n + 1, sizeof *res->backups);
	if (items == NULL || res->backups == NULL) {
		free(items);
		return repo_nomem(err);
	}
	res->nbackups = n;
	for (size_t i = 0; i < n; i++) {
		const struct repo_backup_entry *e = &p->catalog.entries[i];
		struct prune_backup *b = &res->backups[i];
		const char *parent = parent_of(p->r, e);

		memcpy(b->id, e->id, sizeof b->id);
		b->rule.at_ms = e->started_ms;
		b->rule.parent = -1;
		/* One of the same second may stand behind it. */
		for (size_t k = 0; k < n && parent != NULL; k++)
			if (strcmp(p->catalog.entries[k].id, parent) == 0)
				b->rule.parent = (ptrdiff_t)k;
		judge(p->r, e, b);
		items[i] = b->rule;
	}
	(void)retention_apply(
	    &p->r->pipeline->retention, items, n, res->started_ms);
	for (size_t i = 0; i < n; i++)
		res->backups[i].rule = items[i];
	free(items);
	return HF_OK;
}

/* ---- one sink ---- */

/* The manifest first: from then on it is no backup, whatever happens.  The data
 * last: what is left of it tells later runs that there is something to clear.
 */
static int
remove_backup(
    struct prune *p, struct store *store, const char *id, struct hf_error *err)
{
	const char *pipeline = p->r->pipeline->name;
	char *key = manifest_key(pipeline, id);
	size_t n;
	int rc;

	if (key == NULL)
		return repo_nomem(err);
	if ((rc = store_remove(store, key, err)) == HF_OK &&
	    (rc = clean_checks(store, pipeline, id, err)) == HF_OK)
		rc = clean_data(store, pipeline, id, &n, err);
	free(key);
	if (rc != HF_OK)
		(void)error_context(err, "removing backup %s", id);
	return rc;
}

/* The newest first: what builds on another one goes before it. */
static int
remove_backups(struct prune *p, size_t sink, struct hf_error *err)
{
	struct store *store = p->r->sinks[sink].store;
	int rc = HF_OK;

	for (size_t i = p->res->nbackups; i > 0 && rc == HF_OK; i--) {
		struct prune_backup *b = &p->res->backups[i - 1];

		if (b->rule.keep ||
		    p->catalog.entries[i - 1].copies[sink].state !=
			REPO_COPY_PRESENT)
			continue;
		if (cancel_requested(p->r->env.cancel))
			return error_fail(err, HF_E_CANCELLED, "interrupted");
		if (!p->dry &&
		    ((rc = lease_check(p->leases[sink], err)) != HF_OK ||
			(rc = remove_backup(p, store, b->id, err)) != HF_OK))
			break;
		b->removed++;
	}
	return rc;
}

/* ---- the sinks ---- */

/* Nothing was ever written to it: it is left as it is. */
static int
is_void(struct prune *p, size_t sink, bool *is, struct hf_error *err)
{
	struct hf_object object = { .struct_size = sizeof object };
	int rc;

	*is = false;
	for (size_t i = 0; i < p->catalog.n; i++)
		if (p->catalog.entries[i].copies[sink].state !=
		    REPO_COPY_ABSENT)
			return HF_OK;
	rc = store_stat(p->r->sinks[sink].store, REPO_KEY, &object, err);
	if (rc != HF_E_NOTFOUND)
		return rc;
	error_clear(err);
	*is = true;
	return HF_OK;
}

static int
enter(struct prune *p, size_t i, const char *run_id, struct hf_error *err)
{
	struct repo_sink *s = &p->r->sinks[i];
	bool none;
	int rc;

	if ((rc = p->catalog.sink_errors[i].status) != HF_OK) {
		*err = p->catalog.sink_errors[i];
		return rc;
	}
	if ((rc = open_sink(p->r, i, err)) != HF_OK ||
	    (rc = is_void(p, i, &none, err)) != HF_OK || none)
		return rc;
	if (!p->dry &&
	    (rc = lease_acquire(s->store, s->name, p->r->pipeline->name, run_id,
		 "prune", &p->leases[i], err)) != HF_OK)
		return rc;
	p->on[i] = true;
	return HF_OK;
}

static int
enter_all(struct prune *p, const char *run_id, struct hf_error *err)
{
	for (size_t i = 0; i < p->r->nsinks; i++) {
		struct hf_error *why = &p->res->sinks[i].why;
		int rc = enter(p, i, run_id, why);

		if (rc == HF_E_EXISTS) {
			*err = *why;
			return rc;
		}
		if (rc == HF_OK)
			error_clear(why);
	}
	return HF_OK;
}

/* Was something published between the list and the leases? */
static int
look_again(struct prune *p, size_t sink, bool *changed, struct hf_error *err)
{
	char *prefix = repo_key(p->r->pipeline->name, "catalog/"), id[40];
	struct store_keys keys = { 0 };
	int rc;

	if (prefix == NULL)
		return repo_nomem(err);
	rc = store_list_all(p->r->sinks[sink].store, prefix, &keys, err);
	for (size_t i = 0; i < keys.n && rc == HF_OK && !*changed; i++) {
		size_t e = 0;

		if (!catalog_key_id(keys.keys[i].key, id))
			continue;
		while (e < p->catalog.n &&
		       strcmp(p->catalog.entries[e].id, id) != 0)
			e++;
		*changed = e == p->catalog.n ||
			   p->catalog.entries[e].copies[sink].state ==
			       REPO_COPY_ABSENT;
	}
	store_keys_free(&keys);
	free(prefix);
	return rc;
}

/* A backup that ended meanwhile may build on what would be removed, and may
 * need the log.  With the leases nobody publishes any more. */
static int
settle(struct prune *p, struct hf_error *err)
{
	bool changed = false;
	int rc;

	/* One that fails is left as it is by each(), and its log with it. */
	for (size_t i = 0; i < p->r->nsinks; i++)
		if (p->on[i] && !p->dry)
			(void)look_again(p, i, &changed, &p->res->sinks[i].why);
	if (!changed)
		return HF_OK;
	repo_catalog_clear(&p->catalog);
	if ((rc = catalog_list(p->r, &p->catalog, err)) != HF_OK)
		return rc;
	/* What is not known any more is not touched. */
	for (size_t i = 0; i < p->r->nsinks; i++) {
		if (!p->on[i] || p->catalog.sink_errors[i].status == HF_OK)
			continue;
		p->on[i] = false;
		p->res->sinks[i].why = p->catalog.sink_errors[i];
	}
	return HF_OK;
}

/* One step in every sink that is still well. */
static void
each(struct prune *p, int (*step)(struct prune *, size_t, struct hf_error *))
{
	for (size_t i = 0; i < p->r->nsinks; i++) {
		struct hf_error *why = &p->res->sinks[i].why;
		int rc = HF_E_CANCELLED;

		if (!p->on[i] || why->status != HF_OK)
			continue;
		if (cancel_requested(p->r->env.cancel))
			(void)error_fail(why, HF_E_CANCELLED, "interrupted");
		else
			rc = step(p, i, why);
		if (rc == HF_OK)
			error_clear(why);
		else
			(void)error_context(
			    why, "pruning %s", p->r->sinks[i].who);
	}
}

/* The first that failed; a cancellation before all. */
static int
outcome(const struct prune *p, struct hf_error *err)
{
	const struct hf_error *first = NULL;

	for (size_t i = 0; i < p->r->nsinks; i++) {
		const struct hf_error *why = &p->res->sinks[i].why;

		if (why->status != HF_OK &&
		    (first == NULL || why->status == HF_E_CANCELLED))
			first = why;
	}
	if (first == NULL)
		return HF_OK;
	*err = *first;
	return first->status;
}

/* ---- logs ---- */

static int
prune_logs(struct prune *p, struct hf_error *err)
{
	struct prune_result *res = p->res;
	size_t n = res->nbackups, kept = 0;
	struct logs_prune job = { .dry_run = p->dry };
	struct retention_item *items = calloc(n + 1, sizeof *items);
	int64_t *ended = calloc(n + 1, sizeof *ended);
	const struct repo_backup_entry **entries =
	    calloc(n + 1, sizeof *entries);
	int rc = HF_OK;

	if (items == NULL || ended == NULL || entries == NULL) {
		rc = repo_nomem(err);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		items[i] = res->backups[i].rule;
		ended[i] = p->catalog.entries[i].ended_ms;
		if (items[i].keep)
			entries[kept++] = &p->catalog.entries[i];
	}
	job.kept = entries;
	job.nkept = kept;
	job.whole = retention_whole(
	    &p->r->pipeline->retention, items, ended, n, res->started_ms);
	for (size_t i = 0;
	     i < p->r->pipeline->nsources && rc == HF_OK && kept > 0; i++)
		rc = logs_prune(p->r, i, &job, err);
	res->logs = job.removed;
out:
	free(items);
	free(ended);
	free(entries);
	return rc;
}

static int
begin(struct prune *p, struct hf_error *err)
{
	struct repo *r = p->r;
	struct prune_result *res = p->res;

	res->sinks = calloc(r->nsinks + 1, sizeof *res->sinks);
	p->leases = calloc(r->nsinks + 1, sizeof(struct lease *));
	p->on = calloc(r->nsinks + 1, sizeof *p->on);
	if (res->sinks == NULL || p->leases == NULL || p->on == NULL)
		return repo_nomem(err);
	res->nsinks = r->nsinks;
	for (size_t i = 0; i < r->nsinks; i++)
		res->sinks[i].name = r->sinks[i].name;
	return HF_OK;
}

static void
end(struct prune *p)
{
	for (size_t i = 0; i < p->r->nsinks && p->leases != NULL; i++)
		lease_release(p->leases[i]);
	free(p->leases);
	free(p->on);
	repo_catalog_clear(&p->catalog);
}

int
repo_prune(struct repo *r, bool dry_run, struct prune_result *res,
    struct hf_error *err)
{
	struct prune p = { .r = r, .res = res, .dry = dry_run };
	struct hf_error own = { 0 };
	int rc;

	if (err == NULL)
		err = &own;
	*res = (struct prune_result){ .started_ms = text_now() };
	manifest_new_id(res->started_ms, res->id);
	if ((rc = begin(&p, err)) != HF_OK ||
	    (rc = catalog_list(r, &p.catalog, err)) != HF_OK ||
	    (rc = enter_all(&p, res->id, err)) != HF_OK ||
	    (rc = settle(&p, err)) != HF_OK || (rc = decide(&p, err)) != HF_OK)
		goto out;
	each(&p, remove_backups);
	each(&p, prune_tidy);
	/* Of a backup that is still there the log must be, too. */
	if ((rc = outcome(&p, err)) != HF_OK)
		(void)error_fail(
		    &res->logs_why, rc, "not every sink could be pruned");
	else if ((rc = prune_logs(&p, err)) != HF_OK)
		res->logs_why = *err;
	res->ended_ms = text_now();
	for (size_t i = 0; i < r->nsinks && !dry_run; i++)
		if (p.on[i])
			report_prune(r, i, res, rc == HF_OK ? NULL : err);
out:
	if (rc == HF_OK)
		error_clear(err);
	if (res->ended_ms == 0)
		res->ended_ms = text_now();
	end(&p);
	return rc;
}

void
prune_result_clear(struct prune_result *res)
{
	free(res->backups);
	free(res->sinks);
	*res = (struct prune_result){ 0 };
}
