/* SPDX-License-Identifier: BSD-2-Clause */
#include "prune_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "plugin/store.h"
#include "repo/lease.h"
#include "repo/log.h"

/* What a writer that lives may still be about to finish. */
#define GRACE_S ((int64_t)24 * 60 * 60)

struct old {
	const struct prune *p;
	struct store_keys keys;
	size_t skip; /* of a key: the folder */
	int64_t before_s;
	bool nomem;
};

static int
add_key(void *arg, const struct hf_object *o)
{
	struct old *old = arg;
	struct store_keys *k = &old->keys;
	struct store_key *grown;

	if (o->mtime >= old->before_s)
		return 0;
	grown = realloc(k->keys, (k->n + 1) * sizeof *grown);
	if (grown != NULL)
		k->keys = grown;
	if (grown == NULL || (grown[k->n].key = strdup(o->key)) == NULL) {
		old->nomem = true;
		return 1;
	}
	k->n++;
	return 0;
}

static int
count(void *arg, const struct hf_object *o)
{
	(void)o;
	(*(size_t *)arg)++;
	return 0;
}

static int
remove_old(struct prune *p, struct store *store, struct old *old, size_t *n,
    struct hf_error *err)
{
	const char **list;
	int rc = HF_OK;

	if (old->nomem)
		return repo_nomem(err);
	*n = old->keys.n;
	if (p->dry || old->keys.n == 0)
		return HF_OK;
	if ((list = calloc(old->keys.n, sizeof *list)) == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < old->keys.n; i++)
		list[i] = old->keys.keys[i].key;
	rc = store_remove_many(store, list, old->keys.n, err);
	free(list);
	return rc;
}

/* Is it one of ours at all: "20261121T021500.123Z-backup-<id>.json"? */
static bool
is_report(const char *name)
{
	static const char stamp[] = "00000000T000000.000Z-", end[] = ".json";
	size_t len = strlen(name);

	for (size_t i = 0; stamp[i] != '\0'; i++)
		if (stamp[i] == '0' ? !isdigit((unsigned char)name[i])
				    : name[i] != stamp[i])
			return false;
	return strchr(name, '/') == NULL &&
	       strcmp(name + len - strlen(end), end) == 0;
}

/* By those of a backup that is still there, completing knows what a sink once
 * had (complete.c). */
static bool
names_kept(const struct prune *p, const char *name)
{
	for (size_t i = 0; i < p->res->nbackups; i++) {
		const struct prune_backup *b = &p->res->backups[i];
		char end[64];
		size_t len = strlen(name), n;

		(void)snprintf(end, sizeof end, "-%s.json", b->id);
		n = strlen(end);
		if ((b->rule.keep || b->removed < b->copies) && len > n &&
		    strcmp(name + len - n, end) == 0)
			return true;
	}
	return false;
}

static int
add_report(void *arg, const struct hf_object *o)
{
	struct old *old = arg;
	const char *name = o->key + old->skip;

	if (!is_report(name) || names_kept(old->p, name))
		return 0;
	return add_key(arg, o);
}

/* A sink that could not be listed may have backups that nobody knows of. */
static bool
all_listed(const struct prune *p)
{
	for (size_t i = 0; i < p->r->nsinks; i++)
		if (p->catalog.sink_errors[i].status != HF_OK)
			return false;
	return true;
}

static int
remove_reports(struct prune *p, struct store *store, int64_t now_s, size_t *n,
    struct hf_error *err)
{
	int64_t keep_ms = p->r->pipeline->retention.reports_ms;
	struct old old = { .p = p, .before_s = now_s - keep_ms / 1000 };
	char *prefix;
	int rc;

	if (keep_ms == 0 || !all_listed(p))
		return HF_OK;
	if ((prefix = repo_key(p->r->pipeline->name, "reports/")) == NULL)
		return repo_nomem(err);
	old.skip = strlen(prefix);
	rc = store_list(store, prefix, add_report, &old, err);
	if (rc == HF_OK || old.nomem)
		rc = remove_old(p, store, &old, n, err);
	store_keys_free(&old.keys);
	free(prefix);
	return rc;
}

static int
remove_garbage(struct prune *p, size_t sink, size_t *n, struct hf_error *err)
{
	struct old old = { .before_s = INT64_MAX };
	struct repo_log *log;
	int rc;

	if ((rc = repo_log_open(p->r, &log, err)) != HF_OK)
		return rc;
	rc = repo_log_garbage(log, sink, add_key, &old, err);
	repo_log_close(log);
	if (rc == HF_OK || old.nomem)
		rc = remove_old(p, p->r->sinks[sink].store, &old, n, err);
	store_keys_free(&old.keys);
	return rc;
}

int
prune_tidy(struct prune *p, size_t sink, struct hf_error *err)
{
	struct repo_sink *s = &p->r->sinks[sink];
	struct prune_sink *res = &p->res->sinks[sink];
	const char *pipeline = p->r->pipeline->name;
	char *prefix = repo_key(pipeline, "%s", "");
	int64_t now_s;
	int rc;

	if (prefix == NULL)
		return repo_nomem(err);
	if ((rc = store_clock(s->store, &now_s, err)) == HF_OK)
		rc = remove_reports(p, s->store, now_s, &res->reports, err);
	if (rc == HF_OK)
		rc = remove_garbage(p, sink, &res->garbage, err);
	if (rc == HF_OK)
		rc = store_sweep(s->store, prefix, now_s - GRACE_S, p->dry,
		    count, &res->uploads, err);
	if (rc == HF_OK && !p->dry)
		rc = clean_leftovers(s->store, s->who, pipeline,
		    lease_epoch(p->leases[sink]), err);
	free(prefix);
	return rc;
}
