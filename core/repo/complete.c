/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/log.h"
#include "config/config.h"
#include "plugin/store.h"
#include "repo/copy.h"
#include "repo/doc.h"
#include "repo/lease.h"
#include "repo/repo_private.h"
#include "repo/retention.h"

/* What one run does at most in one sink: one that was away for a month must
 * not make the next run take a day.  The rest is left to later runs, the
 * newest come first. */
#define BACKUPS_MAX 10
#define TIME_MAX_MS ((int64_t)60 * 60 * 1000)

struct completing {
	struct repo *r;
	const bool *usable;
	struct repo_backup_result *res;
	/* One a sink: keys of manifests, and of reports when first needed. */
	struct store_keys *catalogs, *reports;
	bool *reports_read;
	int64_t began;
	/* Every backup, oldest first. */
	const char **keys;
	struct retention_item *items;
	size_t n;
	/* Of the sink at hand. */
	size_t to, ncopied;
	bool given_up;
};

/* Was it there when we looked, or is it since? */
static bool
has(const struct completing *c, size_t sink, const char *id)
{
	char *key = manifest_key(c->r->pipeline->name, id);
	bool there =
	    key != NULL && repo_find_key(&c->catalogs[sink], key) != NULL;

	free(key);
	for (size_t i = 0; i < c->res->ncompleted && !there; i++) {
		const struct repo_copied *done = &c->res->completed[i];

		there = done->how == REPO_COPIED_DONE &&
			strcmp(done->id, id) == 0 &&
			strcmp(done->to, c->r->sinks[sink].name) == 0;
	}
	return there;
}

/* ---- which ones ---- */

/* One report: does it say that this sink once had the backup? */
static bool
tells(struct store *store, const char *key, const char *sink)
{
	json_t *doc = NULL, *s;
	const char *kind, *name;
	bool had = false;
	size_t i;

	if (doc_get(store, key, &doc, NULL) != HF_OK)
		return false;
	kind = json_string_value(json_object_get(doc, "kind"));
	if (kind != NULL && strcmp(kind, "backup") == 0) {
		json_array_foreach(json_object_get(doc, "sinks"), i, s)
		{
			name = json_string_value(json_object_get(s, "name"));
			had =
			    had || (name != NULL && strcmp(name, sink) == 0 &&
				       json_is_true(json_object_get(s, "ok")));
		}
	} else if (kind != NULL && strcmp(kind, "copy") == 0) {
		const char *how =
		    json_string_value(json_object_get(doc, "outcome"));

		name = json_string_value(json_object_get(doc, "to"));
		had = name != NULL && how != NULL && strcmp(name, sink) == 0 &&
		      strcmp(how, "done") == 0;
	}
	json_decref(doc);
	return had;
}

static const struct store_keys *
reports_of(struct completing *c, size_t sink)
{
	char *prefix;

	if (!c->reports_read[sink]) {
		c->reports_read[sink] = true;
		prefix = repo_key(c->r->pipeline->name, "reports/");
		if (prefix != NULL)
			(void)store_list_all(c->r->sinks[sink].store, prefix,
			    &c->reports[sink], NULL);
		free(prefix);
	}
	return &c->reports[sink];
}

/* What was there and is not any more was removed, by retention or by hand:
 * bringing it back would be wrong.  A run that was killed left no report. */
static bool
was_there(struct completing *c, const char *id)
{
	char end[64];
	size_t len;

	(void)snprintf(end, sizeof end, "-%s.json", id);
	for (size_t s = 0; s < c->r->nsinks; s++) {
		const struct store_keys *keys;

		if (!c->usable[s])
			continue;
		keys = reports_of(c, s);
		for (size_t i = 0; i < keys->n; i++) {
			const char *key = keys->keys[i].key;

			len = strlen(key);
			if (len > strlen(end) &&
			    strcmp(key + len - strlen(end), end) == 0 &&
			    tells(c->r->sinks[s].store, key,
				c->r->sinks[c->to].name))
				return true;
		}
	}
	return false;
}

static bool
meant_for(const struct manifest *m, const char *sink)
{
	for (char **s = m->sinks; s != NULL && *s != NULL; s++)
		if (strcmp(*s, sink) == 0)
			return true;
	return false;
}

/* A manifest of it that can be read, from any sink. */
static int
get_manifest(struct completing *c, const char *id, struct repo_copy *copy)
{
	for (size_t s = 0; s < c->r->nsinks; s++) {
		if (s == c->to || !c->usable[s] || !has(c, s, id))
			continue;
		if (catalog_copy(c->r, s, id, copy, NULL) == HF_OK &&
		    copy->state == REPO_COPY_PRESENT)
			return HF_OK;
		catalog_copy_clear(copy);
	}
	return HF_E_NOTFOUND;
}

/* ---- copying ---- */

static void
keep(struct completing *c, const struct repo_copied *done)
{
	struct repo_copied *grown = realloc(
	    c->res->completed, (c->res->ncompleted + 1) * sizeof *grown);

	/* It is for the report alone. */
	if (grown == NULL)
		return;
	c->res->completed = grown;
	grown[c->res->ncompleted++] = *done;
}

static void
log_done(struct completing *c, const struct repo_copied *done)
{
	struct repo_sink *s = &c->r->sinks[c->to];
	char line[1024];

	if (done->how == REPO_COPIED_DONE) {
		log_write(HF_LOG_INFO, "backup.completed", s->who,
		    "pipeline %s: it lacked backup %s and has it now, from "
		    "sink %s",
		    c->r->pipeline->name, done->id, done->from);
		return;
	}
	error_line(&done->why, line, sizeof line);
	log_write(HF_LOG_WARN, "backup.incomplete", s->who,
	    "pipeline %s: it still lacks backup %s: %s", c->r->pipeline->name,
	    done->id, line);
}

/* From the first sink whose copy is good.  The database is not asked. */
static bool
copy_from_any(struct completing *c, const char *id)
{
	struct repo_copied done = { .how = REPO_COPIED_FAILED };
	bool tried = false;

	for (size_t s = 0; s < c->r->nsinks && !c->given_up; s++) {
		if (s == c->to || !c->usable[s] || c->r->sinks[s].stuck ||
		    !has(c, s, id))
			continue;
		tried = true;
		(void)copy_backup(
		    c->r, s, c->to, id, &done, &c->given_up, NULL);
		if (done.how != REPO_COPIED_FAILED || !done.damaged)
			break;
	}
	if (!tried || done.how == REPO_COPIED_THERE)
		return tried;
	/* Another run is at work there by now, and will see to it. */
	if (done.why.status == HF_E_EXISTS)
		return true;
	log_done(c, &done);
	keep(c, &done);
	c->ncopied += done.how == REPO_COPIED_DONE;
	return done.how == REPO_COPIED_DONE;
}

/* What it builds on goes first.  Ids sort by time and a parent is older: this
 * ends, whatever a manifest says. */
static bool
with_parents(struct completing *c, const char *id, const struct manifest *m)
{
	struct repo_copy copy = { 0 };

	if (m->parent != NULL && strcmp(m->parent, id) < 0 &&
	    !has(c, c->to, m->parent) &&
	    get_manifest(c, m->parent, &copy) == HF_OK)
		(void)with_parents(c, m->parent, copy.manifest);
	catalog_copy_clear(&copy);
	return copy_from_any(c, id);
}

static bool
enough(const struct completing *c)
{
	return c->given_up || c->ncopied >= BACKUPS_MAX ||
	       text_monotonic() - c->began > TIME_MAX_MS;
}

/* False: what is older was not meant for this sink either. */
static bool
complete_one(struct completing *c, const char *id)
{
	struct repo_copy copy = { 0 };
	bool meant = true;

	if (get_manifest(c, id, &copy) != HF_OK)
		return true;
	meant = meant_for(copy.manifest, c->r->sinks[c->to].name);
	if (meant && !was_there(c, id) &&
	    (enough(c) || !with_parents(c, id, copy.manifest)))
		c->res->nincomplete++;
	catalog_copy_clear(&copy);
	return meant;
}

/* ---- the sinks ---- */

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every backup that a sink has, oldest first; those that retention will not
 * keep are not worth their copying. */
static int
list_backups(struct completing *c)
{
	size_t room = 0, n = 0;

	for (size_t s = 0; s < c->r->nsinks; s++)
		room += c->catalogs[s].n;
	c->keys = calloc(room + 1, sizeof *c->keys);
	c->items = calloc(room + 1, sizeof *c->items);
	if (c->keys == NULL || c->items == NULL)
		return HF_E_NOMEM;
	for (size_t s = 0; s < c->r->nsinks; s++)
		for (size_t i = 0; i < c->catalogs[s].n; i++)
			c->keys[n++] = c->catalogs[s].keys[i].key;
	qsort(c->keys, n, sizeof *c->keys, by_text);
	for (size_t i = 0; i < n; i++) {
		char id[40];

		if ((i + 1 < n && strcmp(c->keys[i], c->keys[i + 1]) == 0) ||
		    !catalog_key_id(c->keys[i], id))
			continue;
		c->keys[c->n] = c->keys[i];
		/* Checks are not looked at: when in doubt it is copied. */
		c->items[c->n++] =
		    (struct retention_item){ .at_ms = manifest_id_time(id),
			    .proven = true,
			    .parent = -1 };
	}
	(void)retention_apply(
	    &c->r->pipeline->retention, c->items, c->n, text_now());
	return HF_OK;
}

static void
complete_sink(struct completing *c)
{
	size_t before = c->res->nincomplete;
	char id[40];

	c->ncopied = 0;
	c->given_up = false;
	for (size_t i = c->n; i > 0; i--) {
		if (!c->items[i - 1].keep ||
		    !catalog_key_id(c->keys[i - 1], id) ||
		    strcmp(id, c->res->id) == 0 || has(c, c->to, id))
			continue;
		if (cancel_requested(c->r->env.cancel) || !complete_one(c, id))
			break;
	}
	if (c->res->nincomplete > before)
		log_write(HF_LOG_WARN, "backup.incomplete",
		    c->r->sinks[c->to].who,
		    "pipeline %s: it lacks %zu earlier backups that were meant "
		    "for it; later runs go on, and \"" PROGRAM_NAME
		    " copy\" does it now",
		    c->r->pipeline->name, c->res->nincomplete - before);
}

/* A sink whose list cannot be had takes no part. */
static bool
list_all(struct completing *c, bool *usable)
{
	char *prefix;
	size_t n = 0;

	for (size_t s = 0; s < c->r->nsinks; s++)
		n += usable[s];
	/* One alone has nobody to get anything from. */
	if (n < 2)
		return false;
	prefix = repo_key(c->r->pipeline->name, "catalog/");
	n = 0;
	for (size_t s = 0; s < c->r->nsinks && prefix != NULL; s++) {
		if (!usable[s])
			continue;
		if (store_list_all(c->r->sinks[s].store, prefix,
			&c->catalogs[s], NULL) != HF_OK) {
			store_keys_free(&c->catalogs[s]);
			c->catalogs[s] = (struct store_keys){ 0 };
			usable[s] = false;
		}
		n += usable[s];
	}
	free(prefix);
	return n > 1;
}

bool
copy_at_work(struct repo *r, size_t sink)
{
	struct lease_info *infos = NULL, *top;
	unsigned n = 0;
	bool copying = false;

	if (r->sinks[sink].store != NULL &&
	    lease_list(r->sinks[sink].store, r->pipeline->name, &infos, &n,
		NULL) == HF_OK &&
	    n > 0) {
		top = &infos[n - 1];
		copying = !top->released && strcmp(top->verb, "copy") == 0;
	}
	free(infos);
	return copying;
}

void
complete_earlier(
    struct repo *r, const bool *worked, struct repo_backup_result *res)
{
	bool *usable = calloc(r->nsinks + 1, sizeof *usable);
	struct completing c = { .r = r,
		.usable = usable,
		.res = res,
		.catalogs = calloc(r->nsinks + 1, sizeof *c.catalogs),
		.reports = calloc(r->nsinks + 1, sizeof *c.reports),
		.reports_read = calloc(r->nsinks + 1, sizeof *usable),
		.began = text_monotonic() };

	if (usable == NULL || c.catalogs == NULL || c.reports == NULL ||
	    c.reports_read == NULL)
		goto out;
	for (size_t s = 0; s < r->nsinks; s++)
		usable[s] = worked[s] && r->sinks[s].store != NULL &&
			    !r->sinks[s].stuck;
	if (!list_all(&c, usable) || list_backups(&c) != HF_OK)
		goto out;
	for (c.to = 0; c.to < r->nsinks; c.to++)
		if (usable[c.to] && !cancel_requested(r->env.cancel))
			complete_sink(&c);
out:
	for (size_t s = 0; s < r->nsinks; s++) {
		if (c.catalogs != NULL)
			store_keys_free(&c.catalogs[s]);
		if (c.reports != NULL)
			store_keys_free(&c.reports[s]);
	}
	free(c.keys);
	free(c.items);
	free(c.catalogs);
	free(c.reports);
	free(c.reports_read);
	free(usable);
}
