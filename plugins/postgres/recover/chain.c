/* SPDX-License-Identifier: BSD-2-Clause */
#include "chain.h"

#include "../base/base.h"
#include "../wal/needs.h"
#include "increment.h"
#include "label.h"
#include "postgres.h"
#include "stored.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACES "pg_tblspc/"
#define INCREMENTS_SINCE 17

/* ---- the links ---- */

struct hf_in *
links_last(const struct links *l)
{
	return l->all[l->n - 1];
}

void
links_name(const struct links *l, size_t link, char *buf, size_t cap)
{
	if (link == 0)
		(void)snprintf(buf, cap, "the full backup");
	else
		(void)snprintf(buf, cap, "increment %zu of %zu", link,
		    l->n > link + 1 ? l->n - 1 : link);
}

static int
wrong(const struct links *l, size_t link, const char *why, struct hf_error *err)
{
	char name[64];

	links_name(l, link, name, sizeof name);
	return H->fail(err, HF_E_CORRUPT, "%s %s", name, why);
}

static long
major(struct hf_in *in)
{
	const char *version = H->in_fact(in, BASE_FACT_VERSION);

	return version == NULL ? 0 : strtol(version, NULL, 10) / 10000;
}

/* on: of the one before. */
static int
check_link(const struct links *l, size_t k, const struct needs *on,
    const struct needs *n, struct hf_error *err)
{
	const char *from = H->in_fact(l->all[k], BASE_FACT_FROM);
	const char *timeline = H->in_fact(l->all[k], BASE_FACT_FROM_TIMELINE);
	lsn_t lsn;

	if (from == NULL || !lsn_parse(from, &lsn))
		return wrong(l, k, "does not say on what it builds", err);
	if (n->system != on->system)
		return wrong(
		    l, k, "is of another server than the one before it", err);
	if (n->segment_size != on->segment_size ||
	    major(l->all[k]) != major(l->all[k - 1]))
		return wrong(l, k,
		    "is of another version or another size of a WAL segment "
		    "than the one before it",
		    err);
	if (major(l->all[k]) < INCREMENTS_SINCE)
		return wrong(
		    l, k, "is of a server that makes no increments", err);
	if (lsn != on->start ||
	    (timeline != NULL &&
		strtoul(timeline, NULL, 10) != on->start_timeline))
		return wrong(l, k, "does not build on the one before it", err);
	return HF_OK;
}

int
links_check(const struct links *l, struct hf_error *err)
{
	struct needs before = { 0 }, n;
	int rc = HF_OK;

	if (l->n == 0)
		return H->fail(err, HF_E_INVALID, "there is no backup");
	if (H->in_fact(l->all[0], BASE_FACT_FROM) != NULL)
		return wrong(l, 0,
		    "is an increment: the backup on which it builds is "
		    "missing",
		    err);
	for (size_t k = 0; k < l->n && l->n > 1 && rc == HF_OK; k++) {
		if ((rc = needs_read(l->all[k], &n, err)) == HF_OK && k > 0)
			rc = check_link(l, k, &before, &n, err);
		before = n;
	}
	return rc;
}

int
links_label(
    const struct links *l, size_t k, const char *text, struct hf_error *err)
{
	struct needs n, on;
	struct label label;
	int rc;

	if (text == NULL)
		return wrong(l, k, "has no backup_label", err);
	if ((rc = label_parse(text, &label, err)) != HF_OK ||
	    (rc = needs_read(l->all[k], &n, err)) != HF_OK)
		return rc;
	if (label.start != n.start || label.timeline != n.start_timeline)
		return wrong(l, k,
		    "begins elsewhere by its backup_label than by its facts",
		    err);
	if (k == 0)
		return label.from == 0
			   ? HF_OK
			   : wrong(l, k, "is an increment, by its backup_label",
				 err);
	if ((rc = needs_read(l->all[k - 1], &on, err)) != HF_OK)
		return rc;
	if (label.from != on.start || label.from_timeline != on.start_timeline)
		return wrong(l, k,
		    label.from == 0
			? "is no increment, by its backup_label"
			: "builds on another backup, by its backup_label",
		    err);
	return HF_OK;
}

int
links_inventory(const struct links *l, size_t k, struct inventory **m,
    char **text, struct hf_error *err)
{
	char *own = NULL, name[64];
	size_t len;
	int rc;

	*m = NULL;
	rc = stored_read(l->all[k], "", BASE_MANIFEST, &own, &len, err);
	if (rc == HF_E_NOTFOUND)
		rc = wrong(l, k, "has no " BASE_MANIFEST, err);
	else if (rc == HF_OK)
		rc = inventory_parse(own, len, m, err);
	if (rc != HF_OK && l->n > 1) {
		links_name(l, k, name, sizeof name);
		(void)H->fail_context(err, "reading %s", name);
	}
	if (text != NULL && rc == HF_OK)
		*text = own;
	else
		free(own);
	return rc;
}

/* ---- the files ---- */

struct chain {
	struct links links;
	struct chain_file *files; /* by path */
	size_t n;
	uint64_t listed;
	char *wal;
};

#define NOT_FOUND SIZE_MAX

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct chain_file *)a)->path,
	    ((const struct chain_file *)b)->path);
}

static void
found(struct chain_file *f, size_t link, const struct inventory_file *told)
{
	f->base = link;
	f->told = *told;
	f->told.path = NULL;
}

/* What the last link has is what there will be. */
static int
list_files(struct chain *c, const struct inventory *last, struct hf_error *err)
{
	size_t n = inventory_count(last);

	if ((c->files = calloc(n > 0 ? n : 1, sizeof *c->files)) == NULL ||
	    (c->wal = strdup(inventory_wal(last))) == NULL)
		return postgres_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const struct inventory_file *told = inventory_get(last, i);
		struct chain_file *f = &c->files[c->n];

		if ((f->path = strdup(told->path)) == NULL)
			return postgres_nomem(err);
		c->n++;
		found(f, c->links.n - 1, told);
		if (strncmp(f->path, SPACES, sizeof SPACES - 1) != 0)
			c->listed += told->size;
		if (increment_is(f->path)) {
			increment_strip(f->path);
			f->base = NOT_FOUND;
			f->changed = true;
		}
	}
	qsort(c->files, c->n, sizeof *c->files, by_path);
	for (size_t i = 1; i < c->n; i++)
		if (strcmp(c->files[i - 1].path, c->files[i].path) == 0)
			return H->fail(err, HF_E_CORRUPT,
			    "backup_manifest has %s whole and as an increment",
			    c->files[i].path);
	return HF_OK;
}

/* A link before: the whole file, or an increment that builds on yet another.
 */
static int
look_for(struct chain_file *f, size_t k, const struct inventory *m, bool *open,
    struct hf_error *err)
{
	const struct inventory_file *told = inventory_find(m, f->path);
	struct text name = { 0 };
	int rc;

	if (told != NULL) {
		found(f, k, told);
		return HF_OK;
	}
	increment_name(&name, f->path);
	if ((rc = text_ok(&name, err)) == HF_OK) {
		*open = true;
		if (k == 0 || inventory_find(m, text_get(&name)) == NULL)
			rc = H->fail(err, HF_E_CORRUPT,
			    "an increment of %s builds on a backup that does "
			    "not have this file",
			    f->path);
	}
	text_free(&name);
	return rc;
}

static int
find_bases(struct chain *c, struct hf_error *err)
{
	bool open = true;
	int rc = HF_OK;

	for (size_t k = c->links.n - 1; k-- > 0 && open && rc == HF_OK;) {
		struct inventory *m;
		char name[64];

		rc = links_inventory(&c->links, k, &m, NULL, err);
		if (rc != HF_OK)
			return rc;
		open = false;
		for (size_t i = 0; i < c->n && rc == HF_OK; i++)
			if (c->files[i].base == NOT_FOUND)
				rc = look_for(&c->files[i], k, m, &open, err);
		inventory_free(m);
		if (rc != HF_OK) {
			links_name(&c->links, k, name, sizeof name);
			(void)H->fail_context(err, "looking into %s", name);
		}
	}
	return rc;
}

int
chain_read(const struct links *l, struct chain **out, struct hf_error *err)
{
	struct chain *c = calloc(1, sizeof *c);
	struct inventory *last = NULL;
	int rc;

	*out = NULL;
	if (c == NULL)
		return postgres_nomem(err);
	c->links = *l;
	if ((rc = links_inventory(l, l->n - 1, &last, NULL, err)) == HF_OK &&
	    (rc = list_files(c, last, err)) == HF_OK) {
		/* Two at a time are enough. */
		inventory_free(last);
		last = NULL;
		rc = find_bases(c, err);
	}
	inventory_free(last);
	if (rc == HF_OK)
		*out = c;
	else
		chain_free(c);
	return rc;
}

void
chain_free(struct chain *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		free(c->files[i].path);
	free(c->files);
	free(c->wal);
	free(c);
}

/* ---- what becomes of them ---- */

static int
find(const struct chain *c, const char *path, const struct chain_file **f,
    struct hf_error *err)
{
	struct chain_file key = { .path = strdup(path) };

	if (key.path == NULL)
		return postgres_nomem(err);
	increment_strip(key.path);
	*f = bsearch(&key, c->files, c->n, sizeof *c->files, by_path);
	free(key.path);
	return HF_OK;
}

int
chain_job(const struct chain *c, size_t k, const char *path,
    enum writers_job *job, struct hf_error *err)
{
	bool last = k == c->links.n - 1, increment = increment_is(path);
	const struct chain_file *f = NULL;
	int rc = find(c, path, &f, err);

	if (rc != HF_OK)
		return rc;
	*job = WRITERS_CHECK;
	if (f == NULL) {
		/* The last link's WAL, say, which no manifest has. */
		if (last && increment)
			return H->fail(err, HF_E_CORRUPT,
			    "%s is not in the backup_manifest", path);
		if (last)
			*job = WRITERS_MAKE;
		return HF_OK;
	}
	if (k < f->base)
		return HF_OK;
	if (increment != (k > f->base))
		return H->fail(err, HF_E_CORRUPT,
		    increment ? "%s is an increment, and no file by the "
				"backup_manifest"
			      : "%s is a whole file, and an increment by the "
				"backup_manifest",
		    path);
	*job = increment ? WRITERS_APPLY : WRITERS_MAKE;
	return HF_OK;
}

size_t
chain_count(const struct chain *c)
{
	return c->n;
}

const struct chain_file *
chain_get(const struct chain *c, size_t n)
{
	return &c->files[n];
}

uint64_t
chain_room(const struct chain *c, const char *prefix)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n; i++) {
		const char *path = c->files[i].path;

		if (prefix[0] == '\0'
			? strncmp(path, SPACES, sizeof SPACES - 1) != 0
			: strncmp(path, prefix, strlen(prefix)) == 0)
			sum += c->files[i].told.size;
	}
	return sum;
}

uint64_t
chain_listed(const struct chain *c)
{
	return c->listed;
}

const char *
chain_wal(const struct chain *c)
{
	return c->wal;
}
