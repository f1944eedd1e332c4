/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/lease.h"
#include "repo/repo_private.h"

static int
look_at(const struct store_keys *keys, const char *key, uint64_t size,
    struct hf_error *err)
{
	const struct store_key *k = repo_find_key(keys, key);

	if (k == NULL)
		return error_fail(err, HF_E_CORRUPT,
		    "%s was stored, but the store does not have it", key);
	if (k->size != size)
		return error_fail(err, HF_E_CORRUPT,
		    "%s was stored with %llu bytes, but the store has %llu",
		    key, (unsigned long long)size, (unsigned long long)k->size);
	return HF_OK;
}

/* A store that lost or cut something is noticed before anybody relies on
 * it. */
static int
look(struct store *store, const struct manifest *m, struct hf_error *err)
{
	char *prefix = manifest_data_prefix(m->pipeline, m->id);
	struct store_keys keys = { 0 };
	int rc;

	if (prefix == NULL)
		return repo_nomem(err);
	rc = store_list_all(store, prefix, &keys, err);
	for (size_t s = 0; s < m->nsources && rc == HF_OK; s++)
		for (size_t i = 0; i < m->sources[s].nobjects && rc == HF_OK;
		     i++) {
			const struct manifest_object *o =
			    &m->sources[s].objects[i];

			rc = look_at(&keys, o->key, o->stored_size, err);
			if (rc == HF_OK && o->index_key != NULL)
				rc = look_at(
				    &keys, o->index_key, o->index_size, err);
		}
	store_keys_free(&keys);
	free(prefix);
	return rc;
}

int
publish_check(struct manifest *m, const char *check, const char *result,
    struct hf_error *err)
{
	struct manifest_check *grown, *c;

	grown = realloc(m->checks, (m->nchecks + 1) * sizeof *grown);
	if (grown == NULL)
		return repo_nomem(err);
	m->checks = grown;
	c = &grown[m->nchecks];
	*c = (struct manifest_check){ .check = strdup(check),
		.result = strdup(result),
		.verdict = HF_PASS };
	if (c->check == NULL || c->result == NULL) {
		free(c->check);
		free(c->result);
		return repo_nomem(err);
	}
	m->nchecks++;
	return HF_OK;
}

static int
put_sums(struct store *store, const struct manifest *m, struct hf_error *err)
{
	char *key = sums_key(m->pipeline, m->id);
	struct buf text = BUF_INIT;
	int rc;

	if (key == NULL)
		return repo_nomem(err);
	if ((rc = sums_text(m, &text, err)) == HF_OK)
		rc = store_put_all(store, key, 0, text.data, text.len, err);
	buf_free(&text);
	free(key);
	return rc;
}

/* Is what stands there, byte for byte, what we wanted to put? */
static bool
same_there(struct store *store, const char *key, const struct buf *text)
{
	struct buf there = BUF_INIT;
	bool same;

	same = store_get_all(store, key, DOC_MAX, &there, NULL) == HF_OK &&
	       there.len == text->len &&
	       memcmp(there.data, text->data, text->len) == 0;
	buf_free(&there);
	return same;
}

/* A put whose answer was an error may have arrived.  Taken back before the
 * data is, as a manifest without data would be a lie; when it cannot be seen
 * to be gone, everything stays. */
static bool
may_be_there(struct store *store, const char *key)
{
	struct hf_object object = { .struct_size = sizeof object };

	if (store_stat(store, key, &object, NULL) == HF_E_NOTFOUND)
		return false;
	(void)store_remove(store, key, NULL);
	return store_stat(store, key, &object, NULL) != HF_E_NOTFOUND;
}

static int
put_manifest(struct store *store, const struct manifest *m, bool *published,
    struct hf_error *err)
{
	bool exclusive = (store_caps(store) & HF_CAP_IF_ABSENT) != 0;
	char *key = manifest_key(m->pipeline, m->id);
	struct buf text = BUF_INIT;
	json_t *json = NULL;
	int rc;

	if (key == NULL)
		return repo_nomem(err);
	if ((rc = manifest_to_json(m, &json, err)) != HF_OK ||
	    (rc = doc_seal(json, &text, err)) != HF_OK)
		goto out;
	json_decref(json);
	json = NULL;
	*published = true;
	rc = store_put_all(store, key, exclusive ? HF_PUT_IF_ABSENT : 0,
	    text.data, text.len, err);
	/* A repeated put finds what the first one left. */
	if (rc == HF_E_EXISTS && same_there(store, key, &text)) {
		error_clear(err);
		rc = HF_OK;
	} else if (rc != HF_OK && rc != HF_E_EXISTS) {
		*published = may_be_there(store, key);
	}
out:
	buf_free(&text);
	json_decref(json);
	free(key);
	return rc;
}

int
publish_parent(
    const struct repo_sink *s, const struct manifest *m, struct hf_error *err)
{
	struct hf_object object = { .struct_size = sizeof object };
	char *key;
	int rc;

	if (m->parent == NULL)
		return HF_OK;
	if ((key = manifest_key(m->pipeline, m->parent)) == NULL)
		return repo_nomem(err);
	rc = store_stat(s->store, key, &object, err);
	free(key);
	if (rc != HF_E_NOTFOUND)
		return rc;
	error_clear(err);
	return error_fail(err, HF_E_NOTFOUND,
	    "it builds on %s, which %s does not have", m->parent, s->who);
}

/* Who was stopped between its last look at the lease and the manifest may find
 * that the next holder has removed the parent meanwhile. */
static int
take_back(const struct repo_sink *s, const struct manifest *m, bool *published,
    struct hf_error *err)
{
	struct hf_error why = { 0 };
	char *key;

	if (publish_parent(s, m, &why) != HF_E_NOTFOUND)
		return HF_OK;
	if ((key = manifest_key(m->pipeline, m->id)) == NULL)
		return repo_nomem(err);
	*published = may_be_there(s->store, key);
	free(key);
	if (err != NULL)
		*err = why;
	return why.status;
}

int
publish_copy(const struct repo_sink *s, struct manifest *m, struct lease *lease,
    bool *published, struct hf_error *err)
{
	struct store *store = s->store;
	char text[96];
	size_t files = 0;
	int rc;

	*published = false;
	for (size_t i = 0; i < m->nsources; i++)
		files += m->sources[i].nobjects;
	(void)snprintf(text, sizeof text,
	    "%zu %s of %s are there with their sizes", files,
	    files == 1 ? "object" : "objects",
	    text_size(manifest_stored_size(m)).s);
	if ((rc = put_sums(store, m, err)) != HF_OK ||
	    (rc = look(store, m, err)) != HF_OK ||
	    (rc = publish_check(m, "stored", text, err)) != HF_OK ||
	    (rc = publish_parent(s, m, err)) != HF_OK ||
	    (rc = lease_check(lease, err)) != HF_OK ||
	    (rc = put_manifest(store, m, published, err)) != HF_OK)
		return rc;
	return take_back(s, m, published, err);
}
