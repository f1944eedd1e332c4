/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "config/config.h"
#include "plugin/store.h"
#include "repo/links.h"
#include "repo/doc.h"
#include "repo/repo_private.h"

#define SUMS_MAX (256u << 20)

static void
set(json_t *object, const char *name, json_t *value)
{
	if (value != NULL)
		(void)json_object_set_new(object, name, value);
}

void
check_finding(struct check *c, const char *source, const struct hf_finding *f)
{
	static const char *const verdicts[] = { "pass", "warn", "fail" };
	json_t *json = json_object();
	char subject[160];
	int v = f->verdict >= HF_PASS && f->verdict <= HF_FAIL ? f->verdict
							       : HF_FAIL;

	if (source != NULL)
		set(json, "source", repo_text(source));
	set(json, "check", repo_text(f->check == NULL ? "?" : f->check));
	set(json, "verdict", json_string(verdicts[v]));
	set(json, "result", repo_text(f->result == NULL ? "" : f->result));
	if (f->hint != NULL)
		set(json, "hint", repo_text(f->hint));
	(void)json_array_append_new(c->findings, json);
	if (source != NULL)
		(void)snprintf(subject, sizeof subject, "source %s", source);
	else
		(void)snprintf(
		    subject, sizeof subject, "%s", c->r->sinks[c->sink].who);
	repo_found(c->r, subject, f);
}

int
check_failed(struct check *c, const char *what, const struct hf_error *why)
{
	struct hf_finding f = {
		.struct_size = sizeof f, .verdict = HF_FAIL, .check = what
	};
	char line[2048];

	if (why->status == HF_E_CANCELLED || why->status == HF_E_NOMEM ||
	    cancel_requested(c->r->env.cancel)) {
		c->out->why = *why;
		return why->status == HF_E_NOMEM ? HF_E_NOMEM : HF_E_CANCELLED;
	}
	error_line(why, line, sizeof line);
	f.result = line;
	f.hint = error_get(why, "hint");
	if (c->out->nfailures++ == 0) {
		c->out->why = *why;
		(void)snprintf(c->detail, sizeof c->detail, "%.159s", line);
	}
	check_finding(c, NULL, &f);
	return HF_OK;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
unexpected(struct check *c, const char *key)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = HF_WARN,
		.check = "unexpected file",
		.result = key,
		.hint = "It is not part of the backup; nothing reads it." };

	check_finding(c, NULL, &f);
	return HF_OK;
}

/* Every key that the manifest names, and SHA256SUMS; sorted. */
static const char **
named_keys(const struct manifest *m, const char *sums, size_t *n)
{
	const char **keys;
	size_t room = 1;

	for (size_t s = 0; s < m->nsources; s++)
		room += 2 * m->sources[s].nobjects;
	*n = 0;
	if ((keys = calloc(room, sizeof *keys)) == NULL)
		return NULL;
	keys[(*n)++] = sums;
	for (size_t s = 0; s < m->nsources; s++)
		for (size_t i = 0; i < m->sources[s].nobjects; i++) {
			const struct manifest_object *o =
			    &m->sources[s].objects[i];

			keys[(*n)++] = o->key;
			if (o->index_key != NULL)
				keys[(*n)++] = o->index_key;
		}
	qsort(keys, *n, sizeof *keys, by_text);
	return keys;
}

int
check_listing(struct check *c, struct store_keys *have)
{
	struct store *store = c->r->sinks[c->sink].store;
	char *prefix = manifest_data_prefix(c->m->pipeline, c->m->id),
	     *sums = sums_key(c->m->pipeline, c->m->id);
	const char **named = NULL;
	struct hf_error err = { 0 };
	size_t n;
	int rc = HF_OK;

	if (prefix == NULL || sums == NULL ||
	    (named = named_keys(c->m, sums, &n)) == NULL) {
		rc = repo_nomem(&c->out->why);
		goto out;
	}
	if (store_list_all(store, prefix, have, &err) != HF_OK) {
		rc = check_failed(c, "listing", &err);
		goto out;
	}
	for (size_t i = 0; i < have->n && rc == HF_OK; i++) {
		const char *key = have->keys[i].key;

		if (bsearch(&key, named, n, sizeof *named, by_text) == NULL)
			rc = unexpected(c, key);
	}
out:
	free(named);
	free(sums);
	free(prefix);
	return rc;
}

int
check_sums(struct check *c)
{
	struct store *store = c->r->sinks[c->sink].store;
	char *key = sums_key(c->m->pipeline, c->m->id);
	struct buf want = BUF_INIT, have = BUF_INIT;
	struct hf_error err = { 0 };
	int rc;

	if (key == NULL)
		return repo_nomem(&c->out->why);
	if ((rc = sums_text(c->m, &want, &err)) != HF_OK ||
	    (rc = store_get_all(store, key, SUMS_MAX, &have, &err)) != HF_OK)
		goto out;
	if (have.len != want.len || memcmp(have.data, want.data, want.len) != 0)
		rc = error_fail(&err, HF_E_CORRUPT,
		    "%s: damaged: it does not agree with the manifest", key);
	else
		c->out->bytes += have.len;
out:
	if (rc != HF_OK)
		rc = check_failed(c, "SHA256SUMS", &err);
	buf_free(&want);
	buf_free(&have);
	free(key);
	return rc;
}

static int
look_at_parent(struct check *c, const char *id, struct repo_copy *copy,
    struct hf_error *err)
{
	int rc = catalog_manifest(c->r, c->sink, id, copy, err);

	if (rc != HF_OK)
		return rc;
	if (copy->state == REPO_COPY_DAMAGED)
		return err->status;
	error_clear(err);
	if (copy->state != REPO_COPY_PRESENT)
		return error_fail(err, HF_E_NOTFOUND,
		    "it builds on %s, which this sink does not have", id);
	return links_look_at(c->r, c->sink, copy->manifest, NULL, err);
}

int
check_parents(struct check *c)
{
	const char *id = c->m->parent;
	struct repo_copy copy = { 0 };
	int rc = HF_OK;

	while (id != NULL) {
		struct repo_copy next;
		struct hf_error err = { 0 };

		rc = look_at_parent(c, id, &next, &err);
		if (rc != HF_OK) {
			if (next.manifest != NULL)
				(void)error_context(
				    &err, "it builds on %s", id);
			rc = check_failed(c, "parent", &err);
			catalog_copy_clear(&next);
			break;
		}
		catalog_copy_clear(&copy);
		copy = next;
		id = copy.manifest->parent;
	}
	catalog_copy_clear(&copy);
	return rc;
}

/* Seals of the documents below a prefix whose keys end so. */
static int
check_seals(struct check *c, const char *prefix, const char *end)
{
	struct store *store = c->r->sinks[c->sink].store;
	struct store_keys keys = { 0 };
	struct hf_error err = { 0 };
	size_t tail = strlen(end), len;
	json_t *doc;
	int rc = HF_OK;

	if (prefix == NULL)
		return repo_nomem(&c->out->why);
	if (store_list_all(store, prefix, &keys, &err) != HF_OK)
		rc = check_failed(c, "listing", &err);
	for (size_t i = 0; i < keys.n && rc == HF_OK; i++) {
		len = strlen(keys.keys[i].key);
		if (len < tail || strcmp(keys.keys[i].key + len - tail, end))
			continue;
		doc = NULL;
		error_clear(&err);
		rc = doc_get(store, keys.keys[i].key, &doc, &err);
		json_decref(doc);
		/* Removed since it was listed: a lease, an old report. */
		if (rc == HF_E_NOTFOUND)
			rc = HF_OK;
		else if (rc != HF_OK)
			rc = check_failed(c, "document", &err);
	}
	store_keys_free(&keys);
	return rc;
}

static int
check_folder(struct check *c, const char *folder, const char *end)
{
	char *prefix = repo_key(c->r->pipeline->name, "%s/", folder);
	int rc = check_seals(c, prefix, end);

	free(prefix);
	return rc;
}

int
check_documents(struct check *c, const char *id)
{
	struct store *store = c->r->sinks[c->sink].store;
	struct hf_error err = { 0 };
	char checks[64], reports[64];
	int rc = HF_OK;

	(void)snprintf(checks, sizeof checks, "checks/%s", id);
	(void)snprintf(reports, sizeof reports, "-%s.json", id);
	if (layout_verify_repo(store, &err) != HF_OK)
		rc = check_failed(c, "repo.json", &err);
	error_clear(&err);
	if (rc == HF_OK && layout_verify_readme(store, &err) != HF_OK)
		rc = check_failed(c, "README.txt", &err);
	if (rc == HF_OK)
		rc = check_folder(c, checks, ".json");
	if (rc == HF_OK)
		rc = check_folder(c, "reports", reports);
	if (rc == HF_OK)
		rc = check_folder(c, "lease", ".json");
	return rc;
}
