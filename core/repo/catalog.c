/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "plugin/store.h"
#include "repo/links.h"
#include "repo/doc.h"
#include "repo/repo_private.h"

void
catalog_copy_clear(struct repo_copy *c)
{
	manifest_free(c->manifest);
	*c = (struct repo_copy){ 0 };
}

bool
catalog_copy_failed(const struct repo_copy *c)
{
	return (c->check.at_ms != 0 && !c->check.passed) ||
	       (c->proved.at_ms != 0 && !c->proved.passed);
}

/* What stands under a key has to be what the key says. */
static int
check_identity(const struct repo *r, const struct manifest *m, const char *id,
    struct hf_error *err)
{
	if (strcmp(m->id, id) != 0 ||
	    strcmp(m->pipeline, r->pipeline->name) != 0)
		return error_fail(err, HF_E_CORRUPT,
		    "manifest: it is that of backup %s of pipeline %s", m->id,
		    m->pipeline);
	return HF_OK;
}

static int
load_manifest(struct repo *r, size_t sink, const char *id,
    struct manifest **out, struct hf_error *err)
{
	char *key = manifest_key(r->pipeline->name, id);
	json_t *doc = NULL;
	int rc;

	*out = NULL;
	if (key == NULL)
		return repo_nomem(err);
	if ((rc = doc_get(r->sinks[sink].store, key, &doc, err)) == HF_OK &&
	    (rc = manifest_from_json(doc, out, err)) == HF_OK)
		rc = check_identity(r, *out, id, err);
	if (rc != HF_OK) {
		(void)error_context(
		    err, "reading %s in %s", key, r->sinks[sink].who);
		manifest_free(*out);
		*out = NULL;
	}
	json_decref(doc);
	free(key);
	return rc;
}

static void
parse_check(const json_t *doc, struct repo_check *c)
{
	const char *kind = json_string_value(json_object_get(doc, "kind")),
		   *detail = json_string_value(json_object_get(doc, "detail"));

	(void)snprintf(c->kind, sizeof c->kind, "%s", kind ? kind : "?");
	(void)snprintf(c->detail, sizeof c->detail, "%s", detail ? detail : "");
	c->passed = json_is_true(json_object_get(doc, "passed"));
	c->at_ms = repo_get_time(doc, "ended");
}

/* "<time>-deep.json": it says more than a verify that came later. */
static bool
proves(const char *key)
{
	size_t len = strlen(key);

	return (len > 10 && strcmp(key + len - 10, "-deep.json") == 0) ||
	       (len > 11 && strcmp(key + len - 11, "-drill.json") == 0);
}

/* Keys are sorted, and times sort as texts: the newest is the last that can
 * be read.  Returns where it stood. */
static size_t
newest_of(struct store *store, const struct store_keys *keys, size_t from,
    size_t to, bool proving, struct repo_check *c)
{
	json_t *doc;
	size_t i;

	*c = (struct repo_check){ 0 };
	for (i = to; i > from && c->at_ms <= 0; i--) {
		const char *key = keys->keys[i - 1].key;

		if (proving && !proves(key))
			continue;
		doc = NULL;
		*c = (struct repo_check){ 0 };
		if (doc_get(store, key, &doc, NULL) == HF_OK)
			parse_check(doc, c);
		json_decref(doc);
	}
	if (c->at_ms <= 0)
		*c = (struct repo_check){ 0 };
	return i;
}

static void
newest_checks(struct store *store, const struct store_keys *keys, size_t from,
    size_t to, struct repo_copy *c)
{
	to = newest_of(store, keys, from, to, false, &c->check);
	if (strcmp(c->check.kind, "verify") == 0)
		(void)newest_of(store, keys, from, to, true, &c->proved);
}

/* All but the manifest's own troubles are returned. */
static int
load_copy(struct repo *r, size_t sink, const char *id, struct repo_copy *c,
    struct hf_error *why)
{
	int rc = load_manifest(r, sink, id, &c->manifest, why);

	if (rc == HF_OK)
		c->state = REPO_COPY_PRESENT;
	else if (rc == HF_E_NOTFOUND)
		c->state = REPO_COPY_ABSENT;
	else if (rc == HF_E_CORRUPT || rc == HF_E_UNSUPPORTED)
		c->state = REPO_COPY_DAMAGED;
	else
		return rc;
	return HF_OK;
}

int
catalog_manifest(struct repo *r, size_t sink, const char *id,
    struct repo_copy *c, struct hf_error *why)
{
	int rc;

	*c = (struct repo_copy){ .state = REPO_COPY_UNREACHABLE };
	if ((rc = open_sink(r, sink, why)) != HF_OK)
		return rc;
	return load_copy(r, sink, id, c, why);
}

int
catalog_copy(struct repo *r, size_t sink, const char *id, struct repo_copy *c,
    struct hf_error *why)
{
	struct store_keys keys = { 0 };
	char *prefix;
	int rc;

	*c = (struct repo_copy){ .state = REPO_COPY_UNREACHABLE };
	if ((rc = open_sink(r, sink, why)) != HF_OK ||
	    (rc = layout_readable(r->sinks[sink].store, why)) != HF_OK ||
	    (rc = load_copy(r, sink, id, c, why)) != HF_OK)
		return rc;
	if ((prefix = repo_key(r->pipeline->name, "checks/%s/", id)) == NULL)
		return repo_nomem(why);
	/* Without its checks a copy can be used all the same. */
	if (store_list_all(r->sinks[sink].store, prefix, &keys, NULL) == HF_OK)
		newest_checks(r->sinks[sink].store, &keys, 0, keys.n, c);
	store_keys_free(&keys);
	free(prefix);
	return HF_OK;
}

void
catalog_entry_clear(struct repo_backup_entry *e, size_t nsinks)
{
	for (size_t i = 0; i < nsinks && e->copies != NULL; i++)
		catalog_copy_clear(&e->copies[i]);
	free(e->copies);
	*e = (struct repo_backup_entry){ 0 };
}

static int
new_entry(struct repo *r, const char *id, struct repo_backup_entry *e,
    struct hf_error *err)
{
	*e = (struct repo_backup_entry){ 0 };
	if ((e->copies = calloc(r->nsinks + 1, sizeof *e->copies)) == NULL)
		return repo_nomem(err);
	(void)snprintf(e->id, sizeof e->id, "%s", id);
	e->started_ms = manifest_id_time(id);
	return HF_OK;
}

/* The copies agree on the times, but a sink may have lost its manifest. */
static void
entry_times(struct repo_backup_entry *e, size_t nsinks)
{
	for (size_t i = 0; i < nsinks; i++)
		if (e->copies[i].manifest != NULL) {
			e->started_ms = e->copies[i].manifest->started_ms;
			e->ended_ms = e->copies[i].manifest->ended_ms;
			return;
		}
}

int
catalog_entry(struct repo *r, const char *id, struct repo_backup_entry *e,
    struct hf_error *err)
{
	int rc;

	if ((rc = new_entry(r, id, e, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < r->nsinks; i++)
		(void)catalog_copy(r, i, id, &e->copies[i], NULL);
	entry_times(e, r->nsinks);
	return HF_OK;
}

int
catalog_entry_in(struct repo *r, const char *id, size_t sink,
    struct repo_backup_entry *e, struct hf_error *err)
{
	int rc;

	if ((rc = new_entry(r, id, e, err)) != HF_OK)
		return rc;
	(void)catalog_copy(r, sink, id, &e->copies[sink], NULL);
	entry_times(e, r->nsinks);
	return HF_OK;
}

bool
catalog_key_id(const char *key, char id[40])
{
	const char *name = strrchr(key, '/');
	size_t len;

	if (name == NULL || (len = strlen(++name)) < 6 || len - 5 >= 40 ||
	    strcmp(name + len - 5, ".json") != 0)
		return false;
	memcpy(id, name, len - 5);
	id[len - 5] = '\0';
	return manifest_valid_id(id);
}

static struct repo_backup_entry *
find_entry(struct repo_catalog *c, const char *id)
{
	for (size_t i = c->n; i > 0; i--)
		if (strcmp(c->entries[i - 1].id, id) == 0)
			return &c->entries[i - 1];
	return NULL;
}

static int
get_entry(struct repo *r, struct repo_catalog *c, const char *id,
    struct repo_backup_entry **out, struct hf_error *err)
{
	struct repo_backup_entry *grown;
	int rc;

	if ((*out = find_entry(c, id)) != NULL)
		return HF_OK;
	grown = realloc(c->entries, (c->n + 1) * sizeof *grown);
	if (grown == NULL)
		return repo_nomem(err);
	c->entries = grown;
	if ((rc = new_entry(r, id, &grown[c->n], err)) != HF_OK)
		return rc;
	*out = &grown[c->n++];
	return HF_OK;
}

/* The checks of one id stand together, as all its keys begin alike. */
static void
add_checks(struct repo *r, size_t sink, struct repo_catalog *c)
{
	struct store *store = r->sinks[sink].store;
	char *prefix = repo_key(r->pipeline->name, "checks/");
	struct store_keys keys = { 0 };
	size_t skip = prefix == NULL ? 0 : strlen(prefix), end;

	if (prefix == NULL ||
	    store_list_all(store, prefix, &keys, NULL) != HF_OK)
		goto out;
	for (size_t i = 0; i < keys.n; i = end) {
		const char *rest = keys.keys[i].key + skip;
		size_t len = strcspn(rest, "/");
		struct repo_backup_entry *e;
		char id[40] = "";

		for (end = i + 1;
		     end < keys.n &&
		     strncmp(keys.keys[end].key + skip, rest, len + 1) == 0;
		     end++)
			;
		if (len < sizeof id)
			memcpy(id, rest, len);
		if ((e = find_entry(c, id)) != NULL &&
		    (e->copies[sink].state == REPO_COPY_PRESENT ||
			e->copies[sink].state == REPO_COPY_DAMAGED))
			newest_checks(store, &keys, i, end, &e->copies[sink]);
	}
out:
	store_keys_free(&keys);
	free(prefix);
}

/* Nothing was ever kept there, as far as this host knows, and the first object
 * put there makes the place. */
static bool
is_new(const struct repo *r, const struct repo_sink *s)
{
	return known_no_place(s) && known_refuse(r, s, NULL) == HF_OK;
}

static int
list_sink(struct repo *r, size_t sink, bool new_is_empty,
    struct repo_catalog *c, struct hf_error *err)
{
	struct store_keys keys = { 0 };
	struct repo_backup_entry *e;
	char *prefix = repo_key(r->pipeline->name, "catalog/"), id[40];
	int rc;

	if (prefix == NULL)
		return repo_nomem(err);
	if ((rc = open_sink(r, sink, err)) != HF_OK ||
	    (rc = layout_readable(r->sinks[sink].store, err)) != HF_OK)
		goto out;
	rc = store_list_all(r->sinks[sink].store, prefix, &keys, err);
	if (rc == HF_E_NOTFOUND && new_is_empty && is_new(r, &r->sinks[sink])) {
		error_clear(err);
		rc = HF_OK;
		goto out;
	}
	if (rc == HF_E_NOTFOUND &&
	    (rc = known_there(r, &r->sinks[sink], err)) == HF_OK) {
		/* Mounted in this moment. */
		error_clear(err);
		rc = store_list_all(r->sinks[sink].store, prefix, &keys, err);
	}
	if (rc != HF_OK)
		goto out;
	/* "No backups" would be the wrong thing to say of a missing disk. */
	if (keys.n == 0 &&
	    (rc = known_refuse(r, &r->sinks[sink], err)) != HF_OK)
		goto out;
	for (size_t i = 0; i < keys.n && rc == HF_OK; i++) {
		if (!catalog_key_id(keys.keys[i].key, id))
			continue;
		if ((rc = get_entry(r, c, id, &e, err)) == HF_OK)
			rc = load_copy(r, sink, id, &e->copies[sink], err);
	}
	error_clear(rc == HF_OK ? err : NULL);
	if (rc == HF_OK)
		add_checks(r, sink, c);
out:
	if (rc != HF_OK)
		(void)error_context(err, "listing pipeline %s in %s",
		    r->pipeline->name, r->sinks[sink].who);
	store_keys_free(&keys);
	free(prefix);
	return rc;
}

/* Entries that only a sink which then failed had told of, and what is known
 * of the other copies. */
static void
settle(struct repo *r, struct repo_catalog *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct repo_backup_entry *e = &c->entries[i];
		bool known = false;

		for (size_t s = 0; s < r->nsinks; s++) {
			struct repo_copy *copy = &e->copies[s];

			if (c->sink_errors[s].status != HF_OK) {
				catalog_copy_clear(copy);
				copy->state = REPO_COPY_UNREACHABLE;
			} else if (copy->state != REPO_COPY_ABSENT) {
				known = true;
			}
		}
		entry_times(e, r->nsinks);
		if (known)
			c->entries[kept++] = *e;
		else
			catalog_entry_clear(e, r->nsinks);
	}
	c->n = kept;
}

static int
by_age(const void *a, const void *b)
{
	const struct repo_backup_entry *x = a, *y = b;

	if (x->started_ms != y->started_ms)
		return x->started_ms < y->started_ms ? -1 : 1;
	return strcmp(x->id, y->id);
}

static int
list_all(struct repo *r, bool new_is_empty, struct repo_catalog *c,
    struct hf_error *err)
{
	size_t listed = 0;

	*c = (struct repo_catalog){ .nsinks = r->nsinks };
	c->sink_errors = calloc(r->nsinks + 1, sizeof *c->sink_errors);
	if (c->sink_errors == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < r->nsinks; i++) {
		int rc = list_sink(r, i, new_is_empty, c, &c->sink_errors[i]);

		if (rc == HF_OK) {
			listed++;
		} else if (rc == HF_E_NOMEM || rc == HF_E_CANCELLED) {
			if (err != NULL)
				*err = c->sink_errors[i];
			repo_catalog_clear(c);
			return rc;
		}
	}
	if (listed == 0) {
		struct hf_error first = c->sink_errors[0];

		if (err != NULL)
			*err = first;
		repo_catalog_clear(c);
		return first.status;
	}
	settle(r, c);
	if (c->n > 0)
		qsort(c->entries, c->n, sizeof *c->entries, by_age);
	links_settle(c);
	return HF_OK;
}

int
repo_list(struct repo *r, struct repo_catalog *c, struct hf_error *err)
{
	return list_all(r, false, c, err);
}

int
catalog_list(struct repo *r, struct repo_catalog *c, struct hf_error *err)
{
	return list_all(r, true, c, err);
}

void
repo_catalog_clear(struct repo_catalog *c)
{
	for (size_t i = 0; i < c->n; i++)
		catalog_entry_clear(&c->entries[i], c->nsinks);
	free(c->entries);
	free(c->sink_errors);
	*c = (struct repo_catalog){ 0 };
}
