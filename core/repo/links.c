/* SPDX-License-Identifier: BSD-2-Clause */
#include "links.h"

#include <stdlib.h>
#include <string.h>

#include "flow/in.h"
#include "plugin/store.h"
#include "repo/repo_private.h"

/* What honest chains stay far below: all links are open at once. */
#define LINKS_MAX 10000

struct link {
	struct links *chain;
	const struct repo_backup_entry *e; /* own, or the caller's */
	struct repo_backup_entry own;
	bool *bad; /* one a sink: do not try it again */
	/* Of the source under way. */
	struct hf_error why; /* the first copy's trouble, others' beside it */
	size_t sink;         /* chosen; when it is open */
	bool open;
	struct reading reading;
	uint64_t done;
};

struct links {
	struct repo *r;
	const char *sink;
	struct links_hooks hooks;
	struct link **links; /* the newest first; more than depth are kept */
	size_t n;
	int failed; /* of a hook */
	/* Of the source under way. */
	const char *source;
	size_t depth;
	struct hf_in **ins; /* oldest first */
	uint64_t size;
	pthread_mutex_t lock; /* done of the links */
};

/* ---- in a catalogue ---- */

/* What is built on stands shortly before, as a rule. */
static const struct repo_backup_entry *
find(const struct repo_catalog *c, const struct repo_backup_entry *near,
    const char *id)
{
	for (const struct repo_backup_entry *e = near; e > c->entries; e--)
		if (strcmp(e[-1].id, id) == 0)
			return &e[-1];
	for (size_t i = c->n; i > 0 && &c->entries[i - 1] > near; i--)
		if (strcmp(c->entries[i - 1].id, id) == 0)
			return &c->entries[i - 1];
	return NULL;
}

static void
settle(const struct repo_catalog *c, struct repo_backup_entry *e, size_t sink)
{
	struct repo_copy *copy = &e->copies[sink];
	const struct repo_backup_entry *at = e;
	const struct manifest *m = copy->manifest;

	/* A parent is older by its id (manifest_read.c): it ends. */
	while (m != NULL && m->parent != NULL) {
		const struct repo_copy *p;
		const char *id = m->parent;

		at = find(c, at, id);
		p = at == NULL ? NULL : &at->copies[sink];
		m = p == NULL ? NULL : p->manifest;
		if (m != NULL && !catalog_copy_failed(p))
			continue;
		(void)snprintf(copy->lacks, sizeof copy->lacks, "%s", id);
		copy->lacks_damaged = p != NULL && p->state != REPO_COPY_ABSENT;
		return;
	}
}

void
links_settle(struct repo_catalog *c)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t s = 0; s < c->nsinks; s++)
			if (c->entries[i].copies[s].state == REPO_COPY_PRESENT)
				settle(c, &c->entries[i], s);
}

/* The first readable one, of the sinks that are asked; good: that no check has
 * found bad. */
static const struct manifest *
any_manifest(const struct repo *r, const struct repo_backup_entry *e,
    const char *sink, bool good)
{
	for (size_t i = 0; i < r->nsinks; i++)
		if (e->copies[i].manifest != NULL &&
		    (!good || !catalog_copy_failed(&e->copies[i])) &&
		    (sink == NULL || strcmp(sink, r->sinks[i].name) == 0))
			return e->copies[i].manifest;
	return NULL;
}

static bool
whole(const struct repo *r, const struct repo_catalog *c,
    const struct repo_backup_entry *e, const char *sink, bool good, char id[40])
{
	const char *at = e->id;

	while (at != NULL) {
		const struct manifest *m =
		    e == NULL ? NULL : any_manifest(r, e, sink, good);

		if (m == NULL) {
			if (id != NULL)
				(void)snprintf(id, 40, "%s", at);
			return false;
		}
		at = m->parent;
		if (at != NULL)
			e = find(c, e, at);
	}
	return true;
}

bool
links_whole(const struct repo *r, const struct repo_catalog *c,
    const struct repo_backup_entry *e, const char *sink, char id[40])
{
	return whole(r, c, e, sink, false, id);
}

bool
links_good(const struct repo *r, const struct repo_catalog *c,
    const struct repo_backup_entry *e)
{
	return whole(r, c, e, NULL, true, NULL);
}

/* ---- looking ---- */

static int
look_at(const struct store_keys *keys, const char *key, uint64_t size,
    struct hf_error *err)
{
	const struct store_key *k = repo_find_key(keys, key);

	if (k == NULL)
		return error_fail(err, HF_E_NOTFOUND, "%s is missing", key);
	if (k->size != size)
		return error_fail(err, HF_E_CORRUPT,
		    "%s has %llu bytes instead of %llu", key,
		    (unsigned long long)k->size, (unsigned long long)size);
	return HF_OK;
}

int
links_look_at(struct repo *r, size_t sink, const struct manifest *m,
    const char *source, struct hf_error *err)
{
	char *prefix = manifest_data_prefix(m->pipeline, m->id);
	struct store_keys keys = { 0 };
	int rc;

	if (prefix == NULL)
		return repo_nomem(err);
	rc = store_list_all(r->sinks[sink].store, prefix, &keys, err);
	for (size_t s = 0; s < m->nsources && rc == HF_OK; s++) {
		const struct manifest_source *src = &m->sources[s];

		if (source != NULL && strcmp(source, src->name) != 0)
			continue;
		for (size_t i = 0; i < src->nobjects && rc == HF_OK; i++) {
			const struct manifest_object *o = &src->objects[i];

			rc = look_at(&keys, o->key, o->stored_size, err);
			if (rc == HF_OK && o->index_key != NULL)
				rc = look_at(
				    &keys, o->index_key, o->index_size, err);
		}
	}
	store_keys_free(&keys);
	free(prefix);
	return rc;
}

/* ---- links ---- */

static bool
wanted(const struct links *c, size_t sink)
{
	return c->sink == NULL || strcmp(c->sink, c->r->sinks[sink].name) == 0;
}

static void
close_link(struct link *l)
{
	if (l->open)
		reading_close(&l->reading);
	l->open = false;
	l->done = 0;
}

static void
free_link(struct link *l)
{
	if (l == NULL)
		return;
	close_link(l);
	catalog_entry_clear(&l->own, l->chain->r->nsinks);
	free(l->bad);
	free(l);
}

/* e NULL: it is looked for, in the sinks that are wanted. */
static int
add_link(struct links *c, const char *id, const struct repo_backup_entry *e,
    struct hf_error *err)
{
	struct link **grown, *l = NULL;

	if (c->n >= LINKS_MAX)
		return error_fail(err, HF_E_CORRUPT,
		    "%s builds on more than %d backups", c->links[0]->e->id,
		    LINKS_MAX);
	grown = realloc(c->links, (c->n + 1) * sizeof(struct link *));
	if (grown == NULL)
		return repo_nomem(err);
	c->links = grown;
	if ((l = calloc(1, sizeof *l)) == NULL)
		return repo_nomem(err);
	l->chain = c;
	l->e = e != NULL ? e : &l->own;
	l->bad = calloc(c->r->nsinks + 1, sizeof *l->bad);
	if (e == NULL)
		l->own.copies = calloc(c->r->nsinks + 1, sizeof *l->own.copies);
	if (l->bad == NULL || l->e->copies == NULL) {
		free_link(l);
		return repo_nomem(err);
	}
	if (e == NULL) {
		(void)snprintf(l->own.id, sizeof l->own.id, "%s", id);
		for (size_t i = 0; i < c->r->nsinks; i++)
			if (wanted(c, i))
				(void)catalog_manifest(
				    c->r, i, id, &l->own.copies[i], NULL);
	}
	c->links[c->n++] = l;
	return HF_OK;
}

int
links_open(struct repo *r, const struct repo_backup_entry *e, const char *sink,
    const struct links_hooks *hooks, struct links **out, struct hf_error *err)
{
	struct links *c = calloc(1, sizeof *c);
	int rc;

	*out = NULL;
	if (c == NULL)
		return repo_nomem(err);
	(void)pthread_mutex_init(&c->lock, NULL);
	c->r = r;
	c->sink = sink;
	if (hooks != NULL)
		c->hooks = *hooks;
	if ((rc = add_link(c, e->id, e, err)) != HF_OK) {
		links_close(c);
		return rc;
	}
	*out = c;
	return HF_OK;
}

void
links_close(struct links *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		free_link(c->links[i]);
	free(c->links);
	free(c->ins);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Of the copies that may still be read, the first that has the source. */
static const struct manifest *
manifest_of(const struct links *c, const struct link *l)
{
	for (size_t i = 0; i < c->r->nsinks; i++) {
		const struct manifest *m = l->e->copies[i].manifest;

		if (wanted(c, i) && !l->bad[i] && m != NULL &&
		    manifest_source(m, c->source) != NULL)
			return m;
	}
	return NULL;
}

/* Every sink that was looked in is told, with what it has instead. */
static int
missing(struct links *c, size_t at, struct hf_error *err)
{
	const struct link *l = c->links[at];

	(void)error_fail(err, HF_E_NOTFOUND,
	    "backup %s is missing, which %s builds on", l->e->id,
	    c->links[at - 1]->e->id);
	for (size_t i = 0; i < c->r->nsinks; i++) {
		struct repo_copy copy;
		struct hf_error why = { 0 };
		char line[300];

		if (!wanted(c, i))
			continue;
		if (catalog_copy(c->r, i, l->e->id, &copy, &why) == HF_OK &&
		    copy.state != REPO_COPY_DAMAGED)
			(void)error_fail(&why, HF_E_NOTFOUND, "%s",
			    copy.state == REPO_COPY_ABSENT
				? "it has no copy of it"
				: "it cannot be used");
		else if (copy.state == REPO_COPY_DAMAGED)
			err->status = HF_E_CORRUPT;
		else if (err->status == HF_E_NOTFOUND)
			err->status = why.status;
		error_line(&why, line, sizeof line);
		error_note(err, c->r->sinks[i].name, line);
		catalog_copy_clear(&copy);
	}
	return err->status;
}

int
links_source(struct links *c, const char *source, struct hf_error *err)
{
	struct hf_error own = { 0 };
	const struct manifest *m;
	int rc;

	if (err == NULL)
		err = &own;
	for (size_t i = 0; i < c->n; i++) {
		close_link(c->links[i]);
		error_clear(&c->links[i]->why);
	}
	c->source = source;
	c->depth = 0;
	c->size = 0;
	for (;;) {
		const struct manifest_source *s;

		m = manifest_of(c, c->links[c->depth++]);
		/* Of the newest, links_read knows best what is wrong. */
		if (m == NULL)
			return c->depth == 1 ? HF_OK
					     : missing(c, c->depth - 1, err);
		s = manifest_source(m, source);
		c->size += manifest_source_size(s);
		if (!s->incremental)
			return HF_OK;
		if (c->depth == c->n &&
		    (rc = add_link(c, m->parent, NULL, err)) != HF_OK)
			return rc;
	}
}

uint64_t
links_size(const struct links *c)
{
	return c->size;
}

/* ---- reading ---- */

/* The first copy's trouble is the error, that of the others stands beside it.
 */
static void
blame(struct link *l, size_t sink, const struct hf_error *why)
{
	char line[400];

	l->bad[sink] = true;
	if (l->why.status == HF_OK) {
		l->why = *why;
		return;
	}
	error_line(why, line, sizeof line);
	error_note(&l->why, l->chain->r->sinks[sink].name, line);
}

static void
leave(struct link *l, size_t sink, struct hf_error *why)
{
	struct links *c = l->chain;

	if (c->depth > 1)
		(void)error_context(why, "reading backup %s", l->e->id);
	if (c->hooks.left != NULL) {
		(void)error_context(why, "restoring source %s from %s",
		    c->source, c->r->sinks[sink].who);
		if (c->hooks.left(c->hooks.arg, l->e->id, sink, why) != HF_OK)
			c->failed = HF_E_NOMEM;
	}
	blame(l, sink, why);
}

/* A copy that cannot even be begun with: say why before going on.  One that
 * was never there tells least. */
static void
skip(struct link *l, size_t sink)
{
	struct repo *r = l->chain->r;
	struct hf_error why = { 0 };
	struct repo_copy copy;

	if (l->e->copies[sink].state == REPO_COPY_ABSENT) {
		(void)error_fail(&why, HF_E_NOTFOUND, "%s has no copy of %s",
		    r->sinks[sink].who, l->e->id);
		blame(l, sink, &why);
		return;
	}
	(void)catalog_copy(r, sink, l->e->id, &copy, &why);
	/* It may be well again by now; what was chosen by was not. */
	if (copy.state == REPO_COPY_PRESENT)
		(void)error_fail(&why, HF_E_IO,
		    "it could not be read when the backups were listed");
	else if (why.status == HF_OK)
		(void)error_fail(&why, HF_E_NOTFOUND, "it is gone");
	catalog_copy_clear(&copy);
	if (l->chain->hooks.left != NULL &&
	    l->chain->hooks.left(l->chain->hooks.arg, l->e->id, sink, &why) !=
		HF_OK)
		l->chain->failed = HF_E_NOMEM;
	blame(l, sink, &why);
}

/* Copies of one backup agree on what it builds on; one that does not is not
 * what it says. */
static bool
fits(const struct links *c, size_t at, const struct manifest *m)
{
	bool last = at + 1 == c->depth;

	if (manifest_source(m, c->source)->incremental == last)
		return false;
	return last || strcmp(m->parent, c->links[at + 1]->e->id) == 0;
}

static void
on_progress(void *arg, uint64_t done)
{
	struct link *l = arg;
	struct links *c = l->chain;
	uint64_t sum = 0;

	pthread_mutex_lock(&c->lock);
	l->done = done;
	for (size_t i = 0; i < c->depth; i++)
		sum += c->links[i]->done;
	pthread_mutex_unlock(&c->lock);
	if (c->hooks.progress != NULL)
		c->hooks.progress(c->hooks.arg, sum);
}

/* HF_EOF: not this copy. */
static int
try_copy(struct links *c, size_t at, size_t sink, struct hf_error *err)
{
	struct link *l = c->links[at];
	const struct manifest *m = l->e->copies[sink].manifest;
	struct hf_error why = { 0 };
	int rc;

	if (m == NULL || manifest_source(m, c->source) == NULL) {
		skip(l, sink);
		return HF_EOF;
	}
	if (!fits(c, at, m))
		rc = error_fail(&why, HF_E_CORRUPT,
		    "the manifest of %s in %s does not agree with that of "
		    "another sink",
		    l->e->id, c->r->sinks[sink].who);
	else
		rc = reading_open(c->r, sink, manifest_source(m, c->source),
		    on_progress, l, &l->reading, &why);
	if (rc != HF_OK && reading_at_fault(rc)) {
		leave(l, sink, &why);
		return HF_EOF;
	}
	l->sink = sink;
	l->open = rc == HF_OK;
	if (rc != HF_OK)
		*err = why;
	return rc;
}

static int
read_link(struct links *c, size_t at, struct hf_error *err)
{
	struct link *l = c->links[at];
	int rc = HF_EOF;

	for (size_t i = 0; i < c->r->nsinks && rc == HF_EOF; i++)
		if (wanted(c, i) && !l->bad[i])
			rc = try_copy(c, at, i, err);
	if (rc != HF_EOF)
		return rc;
	if (l->why.status != HF_OK)
		*err = l->why;
	else
		(void)error_fail(err, HF_E_NOTFOUND,
		    "no sink has a copy of %s that can be used", l->e->id);
	return err->status;
}

int
links_read(struct links *c, struct hf_error *err)
{
	struct hf_error own = { 0 };
	int rc = HF_OK;

	if (err == NULL)
		err = &own;
	free(c->ins);
	c->ins = calloc(c->depth + 1, sizeof(struct hf_in *));
	if (c->ins == NULL || c->failed != HF_OK)
		return repo_nomem(err);
	for (size_t i = 0; i < c->depth && rc == HF_OK; i++) {
		close_link(c->links[i]);
		if ((rc = read_link(c, i, err)) == HF_OK)
			c->ins[c->depth - 1 - i] = c->links[i]->reading.in;
	}
	return rc;
}

struct hf_in *const *
links_ins(const struct links *c, size_t *n)
{
	*n = c->depth;
	return c->ins;
}

size_t
links_sink(const struct links *c)
{
	return c->links[0]->sink;
}

bool
links_failed(struct links *c)
{
	bool any = false;

	for (size_t i = 0; i < c->depth; i++) {
		struct link *l = c->links[i];
		struct hf_error why = { 0 };

		if (!l->open ||
		    !reading_at_fault(in_failure(l->reading.in, &why)))
			continue;
		leave(l, l->sink, &why);
		any = true;
	}
	return any;
}

int
links_look(struct links *c, struct hf_error *err)
{
	for (size_t i = 0; i < c->depth; i++) {
		struct link *l = c->links[i];
		struct hf_error why = { 0 };
		int rc = links_look_at(c->r, l->sink,
		    l->e->copies[l->sink].manifest, c->source, &why);

		if (rc == HF_OK)
			continue;
		if (reading_at_fault(rc)) {
			leave(l, l->sink, &why);
			return HF_EOF;
		}
		if (err != NULL)
			*err = why;
		return rc;
	}
	return HF_OK;
}
