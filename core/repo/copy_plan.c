/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "repo/copy.h"
#include "repo/repo_private.h"

struct plan {
	struct repo *r;
	const struct repo_copy_request *q;
	struct repo_copy_result *res;
	struct repo_catalog catalog;
	size_t from, to;
	const struct repo_backup_entry **list; /* in the order of copying */
	size_t n;
	bool *seen; /* one an entry of the catalogue: planned */
};

static int
find_sink(struct repo *r, const char *name, size_t *out, struct hf_error *err)
{
	for (size_t i = 0; i < r->nsinks; i++)
		if (strcmp(r->sinks[i].name, name) == 0) {
			*out = i;
			return HF_OK;
		}
	return error_fail(err, HF_E_NOTFOUND, "pipeline %s has no sink \"%s\"",
	    r->pipeline->name, name);
}

/* A target whose folder is not there has nothing, like one of a first backup;
 * unless it has held a repository before. */
static bool
is_new(struct plan *p)
{
	return p->catalog.sink_errors[p->to].status == HF_E_NOTFOUND &&
	       open_sink(p->r, p->to, NULL) == HF_OK &&
	       known_refuse(p->r, &p->r->sinks[p->to], NULL) == HF_OK;
}

/* Without both lists there is no telling what is lacking. */
static int
load(struct plan *p, struct hf_error *err)
{
	const struct hf_error *why;
	bool new;
	int rc;

	if ((rc = find_sink(p->r, p->q->from, &p->from, err)) != HF_OK ||
	    (rc = find_sink(p->r, p->q->to, &p->to, err)) != HF_OK)
		return rc;
	if (p->from == p->to)
		return error_fail(err, HF_E_INVALID,
		    "sink %s is both where to copy from and where to",
		    p->q->from);
	if ((rc = repo_list(p->r, &p->catalog, err)) != HF_OK)
		return rc;
	new = is_new(p);
	for (size_t i = 0; i < p->catalog.n; i++)
		if (new)
			p->catalog.entries[i].copies[p->to].state =
			    REPO_COPY_ABSENT;
	why = &p->catalog.sink_errors[p->from];
	if (why->status == HF_OK && !new)
		why = &p->catalog.sink_errors[p->to];
	if (why->status != HF_OK) {
		if (err != NULL)
			*err = *why;
		return why->status;
	}
	p->list = calloc(p->catalog.n + 1, sizeof *p->list);
	p->seen = calloc(p->catalog.n + 1, sizeof *p->seen);
	return p->list == NULL || p->seen == NULL ? repo_nomem(err) : HF_OK;
}

static const struct repo_backup_entry *
find_entry(const struct plan *p, const char *id)
{
	for (size_t i = 0; i < p->catalog.n; i++)
		if (strcmp(p->catalog.entries[i].id, id) == 0)
			return &p->catalog.entries[i];
	return NULL;
}

/* Those that it builds on go before it, as far as "to" lacks them.  Each is
 * marked first, so that a ring of parents comes to an end. */
static void
add(struct plan *p, const struct repo_backup_entry *e)
{
	size_t at = (size_t)(e - p->catalog.entries);
	const struct manifest *m = e->copies[p->from].manifest;
	const struct repo_backup_entry *parent;

	if (p->seen[at])
		return;
	p->seen[at] = true;
	if (m != NULL && m->parent != NULL &&
	    (parent = find_entry(p, m->parent)) != NULL &&
	    parent->copies[p->to].state == REPO_COPY_ABSENT)
		add(p, parent);
	p->list[p->n++] = e;
}

/* Does "from" have a manifest, whatever it is worth? */
static bool
has(const struct plan *p, const struct repo_backup_entry *e)
{
	return e->copies[p->from].state != REPO_COPY_ABSENT;
}

static int
none(const struct plan *p, const char *id, struct hf_error *err)
{
	if (id == NULL)
		(void)error_fail(err, HF_E_NOTFOUND,
		    "%s has no backup of pipeline %s", p->r->sinks[p->from].who,
		    p->r->pipeline->name);
	else
		(void)error_fail(err, HF_E_NOTFOUND, "%s has no copy of %s",
		    p->r->sinks[p->from].who, id);
	error_hint(err, "\"" PROGRAM_NAME " list %s\" says what is where.",
	    p->r->pipeline->name);
	return HF_E_NOTFOUND;
}

static int
add_named(struct plan *p, struct hf_error *err)
{
	const struct repo_backup_entry *e = NULL;
	int rc;

	for (size_t i = 0; i < p->q->nids; i++) {
		if ((rc = repo_pick(&p->catalog, p->q->ids[i], 0, &e, err)) !=
		    HF_OK)
			return rc;
		if (!has(p, e))
			return none(p, e->id, err);
		add(p, e);
	}
	return HF_OK;
}

/* The newest first: it is what one would want to have. */
static int
add_lacking(struct plan *p, struct hf_error *err)
{
	size_t there = 0;

	for (size_t i = p->catalog.n; i > 0; i--) {
		const struct repo_backup_entry *e = &p->catalog.entries[i - 1];

		if (!has(p, e))
			continue;
		there++;
		if (p->q->latest && there > 1)
			break;
		if (p->q->latest || e->copies[p->to].state != REPO_COPY_PRESENT)
			add(p, e);
	}
	return there == 0 ? none(p, NULL, err) : HF_OK;
}

static void
tell(const struct plan *p, const struct repo_copied *done)
{
	if (p->q->told != NULL)
		p->q->told(p->q->arg, done);
}

static void
would(const struct plan *p, const struct repo_backup_entry *e)
{
	const struct manifest *m = e->copies[p->from].manifest;
	struct repo_copied c = { .how = REPO_COPIED_WOULD,
		.from = p->r->sinks[p->from].name,
		.to = p->r->sinks[p->to].name };

	memcpy(c.id, e->id, sizeof c.id);
	if (e->copies[p->to].state == REPO_COPY_PRESENT)
		c.how = REPO_COPIED_THERE;
	for (size_t i = 0; m != NULL && i < m->nsources; i++)
		c.nobjects += m->sources[i].nobjects;
	c.raw = m == NULL ? 0 : manifest_raw_size(m);
	c.stored = m == NULL ? 0 : manifest_stored_size(m);
	if (c.how == REPO_COPIED_WOULD) {
		p->res->ncopied++;
		p->res->raw += c.raw;
		p->res->stored += c.stored;
	}
	tell(p, &c);
}

/* One that fails does not stop the others, unless they would fail as well. */
static int
copy_all(struct plan *p, struct hf_error *err)
{
	struct hf_error first = { 0 };
	bool fatal = false, damaged = false;

	for (size_t i = 0; i < p->n; i++) {
		struct hf_error why = { 0 };
		struct repo_copied c;

		if (fatal) {
			p->res->nleft = p->n - i;
			break;
		}
		if (p->q->dry_run) {
			would(p, p->list[i]);
			continue;
		}
		(void)copy_backup(
		    p->r, p->from, p->to, p->list[i]->id, &c, &fatal, &why);
		tell(p, &c);
		if (c.how == REPO_COPIED_DONE) {
			p->res->ncopied++;
			p->res->raw += c.raw;
			p->res->stored += c.stored;
		}
		if (c.how != REPO_COPIED_FAILED)
			continue;
		p->res->nfailed++;
		/* Of several reasons damage is the one to know. */
		if (first.status == HF_OK || (c.damaged && !damaged))
			first = why;
		damaged = damaged || c.damaged;
	}
	if (first.status != HF_OK && err != NULL)
		*err = first;
	return first.status;
}

int
repo_copy(struct repo *r, const struct repo_copy_request *q,
    struct repo_copy_result *res, struct hf_error *err)
{
	struct plan p = { .r = r, .q = q, .res = res };
	int rc;

	*res = (struct repo_copy_result){ 0 };
	if ((rc = load(&p, err)) == HF_OK)
		rc = q->nids > 0 ? add_named(&p, err) : add_lacking(&p, err);
	if (rc == HF_OK)
		rc = copy_all(&p, err);
	free(p.list);
	free(p.seen);
	repo_catalog_clear(&p.catalog);
	return rc;
}
