/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "plugin/loader.h"
#include "plugin/store.h"
#include "repo/repo_private.h"

/* A restore reads all of a chain at once. */
#define CHAIN_MAX 1000

struct search {
	struct repo *r;
	const char *id; /* of the new backup */
	const bool *live;
	enum repo_backup_kind kind;
	struct store_keys *catalogs; /* one a sink */
	struct parent *found;
	/* Of the one at hand: why not, and its chain. */
	char why[400];
	char full[40];
	int64_t full_ms;
	size_t increments;
};

static bool
makes_increments(const struct config_item *item)
{
	return (item->plugin->engine.kinds & HF_KIND_INCR) != 0;
}

const struct manifest_source *
parent_source(
    const struct parent *p, size_t sink, const struct config_item *item)
{
	const struct manifest_source *s;

	if (p->manifests == NULL || p->manifests[sink] == NULL ||
	    !makes_increments(item) ||
	    (s = manifest_source(p->manifests[sink], item->name)) == NULL ||
	    strcmp(s->engine, item->plugin->desc.name) != 0)
		return NULL;
	return s;
}

static void
forget(struct parent *p, size_t nsinks)
{
	p->id[0] = '\0';
	for (size_t i = 0; i < nsinks && p->manifests != NULL; i++) {
		manifest_free(p->manifests[i]);
		p->manifests[i] = NULL;
	}
}

void
parent_clear(struct parent *p, size_t nsinks)
{
	forget(p, nsinks);
	free(p->manifests);
	*p = (struct parent){ 0 };
}

/* ---- one candidate ---- */

/* False: why says what is wrong with this copy. */
static bool
look(struct search *s, size_t sink, const char *id, struct repo_copy *copy)
{
	const char *who = s->r->sinks[sink].who;
	struct hf_error err = { 0 };
	char line[300];

	if (catalog_copy(s->r, sink, id, copy, &err) != HF_OK ||
	    copy->state == REPO_COPY_DAMAGED) {
		error_line(&err, line, sizeof line);
		(void)snprintf(s->why, sizeof s->why, "%s", line);
	} else if (copy->state != REPO_COPY_PRESENT) {
		(void)snprintf(
		    s->why, sizeof s->why, "%s does not have %s", who, id);
	} else if (catalog_copy_failed(copy)) {
		(void)snprintf(s->why, sizeof s->why,
		    "the last check of %s in %s failed", id, who);
	} else {
		return true;
	}
	return false;
}

/* It and all that it builds on, in one sink. */
static bool
whole_in(struct search *s, size_t sink, const char *id)
{
	char at[40];
	bool whole = true, more = true;

	(void)snprintf(at, sizeof at, "%s", id);
	s->increments = 0;
	/* Each one is older than the one before (manifest_read.c): it ends. */
	while (more) {
		struct repo_copy copy;
		struct manifest *m;

		whole = look(s, sink, at, &copy);
		m = whole ? copy.manifest : NULL;
		more = m != NULL && m->parent != NULL;
		if (whole && !more) {
			(void)snprintf(s->full, sizeof s->full, "%s", at);
			s->full_ms = m->started_ms;
		}
		if (more) {
			(void)snprintf(at, sizeof at, "%s", m->parent);
			s->increments++;
		}
		if (whole && s->found->manifests[sink] == NULL) {
			s->found->manifests[sink] = m;
			copy.manifest = NULL;
		}
		catalog_copy_clear(&copy);
	}
	return whole;
}

static bool
fits_a_source(const struct search *s, size_t sink)
{
	const struct config_pipeline *p = s->r->pipeline;

	for (size_t i = 0; i < p->nsources; i++)
		if (parent_source(s->found, sink, &p->sources[i]) != NULL)
			return true;
	return false;
}

/* Is a full backup due?  Then no older candidate is better. */
static bool
is_due(struct search *s)
{
	const struct config_incremental *c = &s->r->pipeline->incremental;
	struct parent *p = s->found;
	int64_t age = text_now() - s->full_ms;

	if (s->kind == REPO_BACKUP_CONFIGURED && age >= c->full_every_ms)
		(void)snprintf(p->because, sizeof p->because,
		    "the last full backup, %s, is %s old, and one is made "
		    "every %s",
		    s->full, text_duration(age).s,
		    text_duration(c->full_every_ms).s);
	else if (s->increments >= (s->kind == REPO_BACKUP_CONFIGURED
					  ? (size_t)c->max_chain
					  : CHAIN_MAX))
		(void)snprintf(p->because, sizeof p->because,
		    "%zu %s on the last full backup, %s, and that is the most "
		    "allowed",
		    s->increments,
		    s->increments == 1 ? "increment builds"
				       : "increments build",
		    s->full);
	else
		return false;
	p->due = true;
	return true;
}

static bool
try_one(struct search *s, const char *key, const char *id)
{
	struct repo *r = s->r;
	bool fits = false;

	if (strcmp(id, s->id) >= 0) {
		(void)snprintf(s->why, sizeof s->why,
		    "it is dated after this one: the clock went back");
		return false;
	}
	for (size_t i = 0; i < r->nsinks; i++)
		if (s->live[i] && repo_find_key(&s->catalogs[i], key) == NULL) {
			(void)snprintf(s->why, sizeof s->why,
			    "%s does not have it", r->sinks[i].who);
			return false;
		}
	for (size_t i = 0; i < r->nsinks; i++) {
		if (!s->live[i])
			continue;
		if (!whole_in(s, i, id))
			return false;
		fits = fits || fits_a_source(s, i);
	}
	if (!fits)
		(void)snprintf(s->why, sizeof s->why,
		    "no source of it was made by an engine that makes "
		    "increments");
	return fits;
}

/* ---- all of them ---- */

static int
list_all(struct search *s, struct hf_error *err)
{
	char *prefix = repo_key(s->r->pipeline->name, "catalog/");
	int rc = HF_OK;

	if (prefix == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < s->r->nsinks && rc == HF_OK; i++) {
		if (s->live[i])
			rc = store_list_all(
			    s->r->sinks[i].store, prefix, &s->catalogs[i], err);
		/* Nobody has made its folder yet. */
		if (rc == HF_E_NOTFOUND) {
			error_clear(err);
			rc = HF_OK;
		}
	}
	free(prefix);
	return rc;
}

/* The reason is that of the newest: it is the one that people expect. */
static void
choose(struct search *s, const struct store_keys *keys)
{
	struct parent *p = s->found;
	char id[40];

	for (size_t i = keys->n; i > 0; i--) {
		if (!catalog_key_id(keys->keys[i - 1].key, id))
			continue;
		if (try_one(s, keys->keys[i - 1].key, id)) {
			p->because[0] = '\0';
			if (is_due(s))
				break;
			(void)snprintf(p->id, sizeof p->id, "%s", id);
			return;
		}
		forget(p, s->r->nsinks);
		if (p->because[0] == '\0')
			(void)snprintf(p->because, sizeof p->because,
			    "the last backup, %s, cannot be built on: %s", id,
			    s->why);
	}
	forget(p, s->r->nsinks);
	if (p->because[0] != '\0')
		return;
	(void)snprintf(
	    p->because, sizeof p->because, "there is no earlier backup");
	p->due = true;
}

static int
search(struct search *s, struct hf_error *err)
{
	const struct store_keys *keys = NULL;
	char line[400];
	int rc = list_all(s, err);

	if (rc == HF_E_CANCELLED || rc == HF_E_NOMEM)
		return rc;
	if (rc != HF_OK) {
		error_line(err, line, sizeof line);
		(void)snprintf(s->found->because, sizeof s->found->because,
		    "what there is cannot be listed: %s", line);
		error_clear(err);
		return HF_OK;
	}
	for (size_t i = 0; i < s->r->nsinks && keys == NULL; i++)
		if (s->live[i])
			keys = &s->catalogs[i];
	if (keys != NULL)
		choose(s, keys);
	else
		(void)snprintf(s->found->because, sizeof s->found->because,
		    "no sink can be used");
	return HF_OK;
}

static bool
any_engine(const struct config_pipeline *p)
{
	for (size_t i = 0; i < p->nsources; i++)
		if (makes_increments(&p->sources[i]))
			return true;
	return false;
}

int
parent_find(struct repo *r, const char *id, enum repo_backup_kind kind,
    const bool *live, struct parent *p, struct hf_error *err)
{
	struct search s = {
		.r = r, .id = id, .live = live, .kind = kind, .found = p
	};
	struct hf_error own = { 0 };
	int rc;

	*p = (struct parent){ 0 };
	if (kind == REPO_BACKUP_FULL ||
	    (kind == REPO_BACKUP_CONFIGURED && !r->pipeline->incremental.on))
		return HF_OK;
	if (!any_engine(r->pipeline)) {
		(void)snprintf(p->because, sizeof p->because,
		    "no engine of pipeline %s makes increments",
		    r->pipeline->name);
		return HF_OK;
	}
	p->manifests = calloc(r->nsinks + 1, sizeof(struct manifest *));
	s.catalogs = calloc(r->nsinks + 1, sizeof *s.catalogs);
	rc = p->manifests == NULL || s.catalogs == NULL
		 ? repo_nomem(err)
		 : search(&s, err == NULL ? &own : err);
	for (size_t i = 0; i < r->nsinks && s.catalogs != NULL; i++)
		store_keys_free(&s.catalogs[i]);
	free(s.catalogs);
	return rc;
}
