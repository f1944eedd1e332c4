/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "plugin/store.h"
#include "repo/lease_private.h"
#include "repo/repo_private.h"

/* A run that only stopped renewing may be asleep and publish when it wakes:
 * with its data gone that manifest would be a lie.  A whole day is far beyond
 * any time to live, and it looks for a higher epoch before it publishes. */
#define GRACE_S ((int64_t)24 * 60 * 60)

struct cleaner {
	struct store *store;
	const char *who, *pipeline;
	int64_t now_s;
	struct store_keys catalog;
	struct hf_error *err;
};

/* Everything below a prefix that ends at a '/'; frees it. */
static int
remove_below(
    struct store *store, char *prefix, size_t *removed, struct hf_error *err)
{
	struct store_keys keys = { 0 };
	const char **list = NULL;
	int rc;

	if (prefix == NULL)
		return repo_nomem(err);
	if ((rc = store_list_all(store, prefix, &keys, err)) != HF_OK)
		goto out;
	if ((list = calloc(keys.n + 1, sizeof *list)) == NULL) {
		rc = repo_nomem(err);
		goto out;
	}
	for (size_t i = 0; i < keys.n; i++) {
		list[i] = keys.keys[i].key;
		if (strncmp(list[i], prefix, strlen(prefix)) != 0) {
			rc = error_fail(err, HF_E_BUG, "listing %s gave %s",
			    prefix, list[i]);
			goto out;
		}
	}
	if (keys.n > 0)
		rc = store_remove_many(store, list, keys.n, err);
	if (rc == HF_OK)
		*removed = keys.n;
out:
	free(list);
	store_keys_free(&keys);
	free(prefix);
	return rc;
}

int
clean_data(struct store *store, const char *pipeline, const char *id,
    size_t *removed, struct hf_error *err)
{
	char *sums;
	int rc;

	*removed = 0;
	/* An empty id would be everybody's folder. */
	if (!manifest_valid_id(id))
		return error_fail(err, HF_E_BUG, "\"%s\" is not an id", id);
	if ((rc = remove_below(store, manifest_data_prefix(pipeline, id),
		 removed, err)) != HF_OK)
		return rc;
	/* A run that was killed early left no object, but a store of folders
	 * may have one for it.  It goes with the last key that is removed. */
	if ((sums = sums_key(pipeline, id)) == NULL)
		return repo_nomem(err);
	rc = store_remove(store, sums, err);
	free(sums);
	return rc;
}

int
clean_checks(struct store *store, const char *pipeline, const char *id,
    struct hf_error *err)
{
	size_t removed;

	if (!manifest_valid_id(id))
		return error_fail(err, HF_E_BUG, "\"%s\" is not an id", id);
	return remove_below(
	    store, repo_key(pipeline, "checks/%s/", id), &removed, err);
}

/* 1: it has a manifest, so it is a backup.  The listing says so, and when it
 * does not, the store is asked for that one key again: a listing that is
 * empty by mistake must not cost anything. */
static int
is_listed(struct cleaner *c, const char *id)
{
	struct hf_object object = { .struct_size = sizeof object };
	char *key = manifest_key(c->pipeline, id);
	int rc = 0;

	if (key == NULL)
		return repo_nomem(c->err);
	for (size_t i = 0; i < c->catalog.n && rc == 0; i++)
		if (strcmp(c->catalog.keys[i].key, key) == 0)
			rc = 1;
	if (rc == 0) {
		rc = store_stat(c->store, key, &object, c->err);
		if (rc == HF_OK)
			rc = 1;
		else if (rc == HF_E_NOTFOUND)
			rc = 0;
	}
	free(key);
	return rc;
}

/* Checks are left where a backup's removal was interrupted. */
static int
clear(struct cleaner *c, const char *id, const char *why)
{
	size_t removed = 0;
	int rc = clean_checks(c->store, c->pipeline, id, c->err);

	if (rc == HF_OK)
		rc = clean_data(c->store, c->pipeline, id, &removed, c->err);

	if (rc == HF_OK && removed > 0)
		log_write(HF_LOG_INFO, "clean.removed", c->who,
		    "pipeline %s: removed %zu files of run %s, which %s and "
		    "left no backup",
		    c->pipeline, removed, id, why);
	return rc;
}

static bool
older(const struct cleaner *c, int64_t mtime_s)
{
	return c->now_s > mtime_s && c->now_s - mtime_s > GRACE_S;
}

/* A run that held the lease before us. */
static int
clean_epoch(struct cleaner *c, const struct lease_info *info)
{
	bool known = manifest_valid_id(info->run_id), old;
	char *key;
	int rc;

	old = older(c, info->renewed_s);
	rc = known ? is_listed(c, info->run_id) : 0;
	if (rc < 0)
		return rc;
	if (rc == 0) {
		if (!info->dead && !info->released && !old)
			return HF_OK;
		if (known &&
		    (rc = clear(c, info->run_id,
			 info->released ? "failed"
			 : info->dead   ? "was killed"
					: "has not been heard of for a day")) !=
			HF_OK)
			return rc;
	}
	/* The file goes last: without it nobody knows whose the data was. */
	if ((key = lease_key(c->pipeline, info->epoch)) == NULL)
		return repo_nomem(c->err);
	rc = store_remove(c->store, key, c->err);
	free(key);
	return rc;
}

/* A folder of data/, as far as the listing has told. */
struct folder {
	char id[40];
	int64_t newest_s;
};
struct folders {
	struct folder *list;
	size_t n, skip;
};

static int
add_folder(void *arg, const struct hf_object *object)
{
	struct folders *f = arg;
	const char *rest = object->key + f->skip;
	size_t len = strcspn(rest, "/");
	struct folder *grown;
	char id[40];

	if (len >= sizeof id)
		return 0;
	memcpy(id, rest, len);
	id[len] = '\0';
	if (!manifest_valid_id(id))
		return 0;
	for (size_t i = f->n; i > 0; i--)
		if (strcmp(f->list[i - 1].id, id) == 0) {
			if (object->mtime > f->list[i - 1].newest_s)
				f->list[i - 1].newest_s = object->mtime;
			return 0;
		}
	grown = realloc(f->list, (f->n + 1) * sizeof *grown);
	if (grown == NULL)
		return HF_E_NOMEM;
	f->list = grown;
	memcpy(grown[f->n].id, id, sizeof id);
	grown[f->n++].newest_s = object->mtime;
	return 0;
}

static bool
has_epoch(const char *id, const struct lease_info *infos, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(infos[i].run_id, id) == 0)
			return true;
	return false;
}

/* Data of which neither a manifest nor an epoch tells. */
static int
clean_orphans(struct cleaner *c, const struct lease_info *infos, unsigned n)
{
	char *prefix = repo_key(c->pipeline, "data/");
	struct folders f = { 0 };
	int rc;

	if (prefix == NULL)
		return repo_nomem(c->err);
	f.skip = strlen(prefix);
	rc = store_list(c->store, prefix, add_folder, &f, c->err);
	if (rc == HF_E_NOMEM)
		(void)repo_nomem(c->err);
	for (size_t i = 0; i < f.n && rc == HF_OK; i++) {
		const char *id = f.list[i].id;

		if (has_epoch(id, infos, n) || !older(c, f.list[i].newest_s))
			continue;
		if ((rc = is_listed(c, id)) == 0)
			rc = clear(c, id, "is older than a day");
		else if (rc > 0)
			rc = HF_OK;
	}
	free(f.list);
	free(prefix);
	return rc;
}

int
clean_leftovers(struct store *store, const char *who, const char *pipeline,
    uint64_t epoch, struct hf_error *err)
{
	struct cleaner c = {
		.store = store, .who = who, .pipeline = pipeline, .err = err
	};
	char *prefix = repo_key(pipeline, "catalog/");
	struct lease_info *infos = NULL;
	unsigned n = 0;
	int rc;

	if (prefix == NULL)
		return repo_nomem(err);
	if ((rc = store_clock(store, &c.now_s, err)) != HF_OK ||
	    (rc = lease_list(store, pipeline, &infos, &n, err)) != HF_OK ||
	    (rc = store_list_all(store, prefix, &c.catalog, err)) != HF_OK)
		goto out;
	for (unsigned i = 0; i < n && rc == HF_OK; i++)
		if (infos[i].epoch < epoch)
			rc = clean_epoch(&c, &infos[i]);
	if (rc == HF_OK)
		rc = clean_orphans(&c, infos, n);
out:
	if (rc == HF_OK)
		error_clear(err);
	store_keys_free(&c.catalog);
	free(infos);
	free(prefix);
	return rc;
}
