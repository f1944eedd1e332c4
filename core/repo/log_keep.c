/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "plugin/store.h"
#include "repo/log_private.h"

/* ---- removing ---- */

/* The document first: what is left of a removal that fails is garbage, and
 * never an object without its data. */
static int
remove_from(
    struct repo_log *log, size_t sink, const char *name, struct hf_error *err)
{
	struct log_doc *d = NULL;
	struct store *store;
	char *key = NULL;
	int rc, got;

	if ((rc = log_sink_read(log, sink, &store, err)) != HF_OK)
		return rc;
	got = log_doc_get(log, sink, store, name, &d, err);
	if (got == HF_E_NOTFOUND) {
		error_clear(err);
		return log_sink_proved(log, sink, err);
	}
	/* Of a damaged one the data are not known, and become garbage. */
	if (got != HF_OK && got != HF_E_CORRUPT)
		return got;
	error_clear(err);
	if ((key = log_doc_key(log, name)) == NULL)
		rc = repo_nomem(err);
	else if ((rc = store_remove(store, key, err)) == HF_OK && d != NULL)
		rc = log_doc_remove_data(store, &d->object, err);
	free(key);
	log_doc_free(d);
	return log_not_missing(err, rc);
}

int
log_keep_remove(struct hf_out *out, const char *name, struct hf_error *err)
{
	struct repo_log *log = ((struct log_out *)(void *)out)->log;
	struct hf_error why = { .status = HF_OK };
	int rc, first;

	if ((first = log_check_name(name, err)) != HF_OK)
		return first;
	for (size_t i = 0; i < log->r->nsinks; i++) {
		error_clear(&why);
		if ((rc = remove_from(log, i, name, &why)) == HF_OK)
			continue;
		if (first == HF_OK) {
			first = rc;
			if (err != NULL)
				*err = why;
		}
		if (log_ends_all(rc))
			break;
	}
	return first;
}

/* ---- what one sink has ---- */

/* Everything below wal/ that begins so, sorted. */
static int
list_all(struct repo_log *log, size_t sink, const char *prefix,
    struct store_keys *keys, struct store **store, struct hf_error *err)
{
	char *whole = text_format("%s%s", log->prefix, prefix);
	int rc;

	*keys = (struct store_keys){ 0 };
	if (whole == NULL)
		return repo_nomem(err);
	if ((rc = log_sink_read(log, sink, store, err)) == HF_OK)
		rc = store_list_all(*store, whole, keys, err);
	free(whole);
	if (rc != HF_OK)
		return log_not_missing(err, rc);
	/* An empty folder where a disk should be mounted has nothing. */
	return keys->n > 0 ? HF_OK : log_sink_proved(log, sink, err);
}

static int
by_key(const void *a, const void *b)
{
	const struct store_key *x = a, *y = b;

	return strcmp(x->key, y->key);
}

int
repo_log_list(struct repo_log *log, size_t sink, struct store_keys *keys,
    struct hf_error *err)
{
	return log_keep_list(log, sink, "", keys, err);
}

int
log_keep_list(struct repo_log *log, size_t sink, const char *prefix,
    struct store_keys *keys, struct hf_error *err)
{
	struct store *store;
	const char *name;
	size_t n = 0, len;
	int rc;

	if ((rc = list_all(log, sink, prefix, keys, &store, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < keys->n; i++) {
		struct store_key *k = &keys->keys[i];

		if (!log_doc_name(log, k->key, &name, &len)) {
			free(k->key);
			continue;
		}
		memmove(k->key, name, len);
		k->key[len] = '\0';
		/* What strangers put there is none of ours. */
		if (log_valid_name(k->key))
			keys->keys[n++] = *k;
		else
			free(k->key);
	}
	keys->n = n;
	/* "a.json" stands before "a-b.json", and "a" behind "a-b". */
	if (n > 1)
		qsort(keys->keys, n, sizeof *keys->keys, by_key);
	return HF_OK;
}

/* ---- filling ---- */

static int
copy_fact(void *arg, const char *key, const char *value)
{
	struct hf_writer *w = arg;

	if (strcmp(key, "raw_size") == 0 || strcmp(key, "raw_sha256") == 0)
		return HF_OK;
	return w->ops->writer_fact(w, key, value, NULL);
}

static int
copy_bytes(struct hf_reader *r, struct hf_writer *w, struct hf_error *err)
{
	const size_t cap = (size_t)1 << 20;
	uint8_t *buf = malloc(cap);
	size_t n;
	int rc;

	if (buf == NULL)
		return repo_nomem(err);
	while ((rc = r->ops->read(r, buf, cap, &n, err)) == HF_OK)
		if ((rc = w->ops->write(w, buf, n, err)) != HF_OK)
			break;
	free(buf);
	return rc == HF_EOF ? HF_OK : rc;
}

/* A writer of the same name writes to the sinks that lack it, and to no
 * other; what it is given was proved by the reader. */
static int
fill_one(
    struct repo_log *log, const char *name, size_t want, struct hf_error *err)
{
	struct hf_in *in = repo_log_in(log);
	struct hf_writer *w = NULL;
	struct hf_reader *r = NULL;
	int rc;

	if ((rc = in->ops->open(in, name, 0, UINT64_MAX, &r, err)) != HF_OK)
		return rc;
	if ((rc = log_write_begin(log, name, 0, want, &w, err)) != HF_OK)
		goto out;
	if ((rc = in->ops->facts(in, name, copy_fact, w, err)) == HF_OK)
		rc = copy_bytes(r, w, err);
	if (rc == HF_OK)
		rc = w->ops->commit(w, err);
	else
		w->ops->abort(w);
out:
	r->ops->close(r);
	return rc;
}

struct having {
	struct store_keys names;
	bool listed;
	size_t at; /* the next one that was not looked at */
};

/* The smallest name that was not looked at; missing: a sink that could be
 * listed lacks it. */
static const char *
next_name(struct having *have, size_t n, bool *missing)
{
	const char *name = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct having *h = &have[i];

		if (h->at < h->names.n &&
		    (name == NULL ||
			strcmp(h->names.keys[h->at].key, name) < 0))
			name = h->names.keys[h->at].key;
	}
	*missing = false;
	for (size_t i = 0; i < n && name != NULL; i++) {
		struct having *h = &have[i];

		if (h->at < h->names.n &&
		    strcmp(h->names.keys[h->at].key, name) == 0)
			h->at++;
		else if (h->listed)
			*missing = true;
	}
	return name;
}

static void
keep_first(int *first, int rc, const char *what, const struct hf_error *why,
    struct hf_error *err)
{
	char line[512];

	error_line(why, line, sizeof line);
	log_write(HF_LOG_WARN, "log.fill", NULL, "%s: %s", what, line);
	if (*first != HF_OK)
		return;
	*first = rc;
	if (err != NULL)
		*err = *why;
}

int
repo_log_fill(struct repo_log *log, size_t *filled, struct hf_error *err)
{
	size_t n = log->r->nsinks, listed = 0;
	struct having *have = calloc(n + 1, sizeof *have);
	const char *name;
	bool missing;
	int rc, first = HF_OK;

	*filled = 0;
	if (have == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < n && !log_ends_all(first); i++) {
		struct hf_error why = { .status = HF_OK };

		rc = repo_log_list(log, i, &have[i].names, &why);
		have[i].listed = rc == HF_OK;
		listed += rc == HF_OK;
		if (rc != HF_OK)
			keep_first(&first, rc, log->r->sinks[i].who, &why, err);
	}
	while (!log_ends_all(first) &&
	       (name = next_name(have, n, &missing)) != NULL) {
		struct hf_error why = { .status = HF_OK };

		if (!missing)
			continue;
		if ((rc = fill_one(log, name, listed, &why)) == HF_OK)
			(*filled)++;
		/* Removed meanwhile, by another one's retention. */
		else if (rc != HF_E_NOTFOUND)
			keep_first(&first, rc, name, &why, err);
		if (log_ends_all(rc))
			break;
	}
	for (size_t i = 0; i < n; i++)
		store_keys_free(&have[i].names);
	free(have);
	return first;
}

/* ---- garbage ---- */

/* The length of the name in a key of data, "<name>-<8 hex digits>" and then
 * the end or suffixes; 0: it is none. */
static size_t
data_name(const char *rest)
{
	size_t len = 0;

	for (const char *p = strchr(rest, '-'); p != NULL;
	     p = strchr(p + 1, '-'))
		if (strspn(p + 1, "0123456789abcdef") >= 8 &&
		    (p[9] == '\0' || p[9] == '.'))
			len = (size_t)(p - rest);
	return len;
}

struct garbage {
	struct repo_log *log;
	size_t sink;
	struct store *store;
	int64_t before_s;
	struct store_keys keys;
	hf_list_fn *fn;
	void *arg;
};

/* Does the object's document name this key?  1, 0 or an error. */
static int
is_named(
    struct garbage *g, const char *name, const char *key, struct hf_error *err)
{
	struct log_doc *d = NULL;
	int rc = log_doc_get(g->log, g->sink, g->store, name, &d, err);

	if (rc == HF_E_NOTFOUND) {
		error_clear(err);
		return 0;
	}
	/* Nobody knows what a damaged one named. */
	if (rc == HF_E_CORRUPT) {
		error_clear(err);
		return 1;
	}
	if (rc == HF_OK) {
		const struct manifest_object *o = &d->object;

		rc = strcmp(o->key, key) == 0 ||
		     (o->index_key != NULL && strcmp(o->index_key, key) == 0);
	}
	log_doc_free(d);
	return rc;
}

/* Reading each document would be one request an object.  So those alone are
 * read whose object has data of two writers; one that is not listed is asked
 * for again, because a listing may be older than it is. */
static int
look_at(struct garbage *g, const struct store_key *k, bool alone,
    struct hf_error *err)
{
	const char *rest = k->key + strlen(g->log->prefix);
	size_t len = data_name(rest);
	struct hf_object o = { .struct_size = sizeof o,
		.key = k->key,
		.size = k->size,
		.mtime = k->mtime };
	char name[512], *doc;
	bool listed;
	int rc;

	if (len == 0 || len >= sizeof name || k->mtime >= g->before_s)
		return HF_OK;
	memcpy(name, rest, len);
	name[len] = '\0';
	if (!log_valid_name(name))
		return HF_OK;
	if ((doc = log_doc_key(g->log, name)) == NULL)
		return repo_nomem(err);
	listed = repo_find_key(&g->keys, doc) != NULL;
	free(doc);
	if (listed && alone)
		return HF_OK;
	rc = is_named(g, name, k->key, err);
	if (rc != 0)
		return rc > 0 ? HF_OK : log_not_missing(err, rc);
	return g->fn(g->arg, &o);
}

/* Are these of one writer of one object?  Then they begin alike up to the end
 * of the random digits. */
static bool
same_writer(const struct garbage *g, const char *a, const char *b)
{
	size_t prefix = strlen(g->log->prefix), len = data_name(a + prefix);

	return len > 0 && strncmp(a, b, prefix + len + 9) == 0;
}

static bool
same_object(const struct garbage *g, const char *a, const char *b)
{
	size_t prefix = strlen(g->log->prefix), len = data_name(a + prefix);

	return len > 0 && data_name(b + prefix) == len &&
	       strncmp(a, b, prefix + len) == 0;
}

static int
look_at_all(struct garbage *g, struct hf_error *err)
{
	const struct store_key *k = g->keys.keys;
	size_t i = 0, end;
	int rc = HF_OK;

	while (rc == HF_OK && i < g->keys.n) {
		bool alone = true;

		for (end = i + 1;
		     end < g->keys.n && same_object(g, k[i].key, k[end].key);
		     end++)
			alone = alone && same_writer(g, k[i].key, k[end].key);
		for (; rc == HF_OK && i < end; i++)
			rc = look_at(g, &k[i], alone, err);
	}
	return rc;
}

int
repo_log_garbage(struct repo_log *log, size_t sink, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	struct garbage g = { .log = log, .sink = sink, .fn = fn, .arg = arg };
	int64_t now;
	int rc;

	if ((rc = list_all(log, sink, "", &g.keys, &g.store, err)) != HF_OK)
		return rc;
	if ((rc = store_clock(g.store, &now, err)) == HF_OK) {
		g.before_s = now - LOG_GARBAGE_S;
		rc = look_at_all(&g, err);
	}
	store_keys_free(&g.keys);
	return rc;
}
