/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/log.h"
#include "config/config.h"
#include "plugin/filter.h"
#include "plugin/store.h"
#include "repo/copy.h"
#include "repo/lease_private.h"
#include "repo/repo_private.h"

/* Between two looks whether the lease is still ours: its time to live, and
 * then a thread of ours may still be about to store something. */
#define LEASE_LOOK_MS 10000

/* One backup under way. */
struct copying {
	struct repo *r;
	size_t from, to;
	struct repo_copied *res;
	struct manifest *m; /* that of "from", becoming that of "to" */
	struct filter **chain;
	size_t nchain;
	struct lease *lease;
	bool writing; /* what failed is "to" */
	bool stuck;   /* a thread is left in "to" */
	bool mine;    /* what lies in data/<id>/ of "to" is ours to remove */

	/* The objects, for several threads. */
	pthread_mutex_t lock; /* all that follows */
	size_t source, object;
	int rc;
	struct hf_error why;
	uint64_t done, total;
	int64_t looked_at; /* at the lease */
};

static struct repo_sink *
sink_of(const struct copying *c, size_t sink)
{
	return &c->r->sinks[sink];
}

/* ---- one object, on any thread ---- */

static void
on_progress(void *arg, uint64_t more)
{
	struct copying *c = arg;
	uint64_t done;

	pthread_mutex_lock(&c->lock);
	done = c->done += more;
	pthread_mutex_unlock(&c->lock);
	repo_progress(c->r, "copy", done, c->total);
}

/* The next one that nobody has, or NULL: also after a failure. */
static struct manifest_object *
next_object(struct copying *c, const char **prefix, bool *look)
{
	struct manifest_object *o = NULL;
	int64_t now = text_monotonic();

	pthread_mutex_lock(&c->lock);
	while (c->source < c->m->nsources &&
	       c->object == c->m->sources[c->source].nobjects) {
		c->source++;
		c->object = 0;
	}
	if (c->rc == HF_OK && c->source < c->m->nsources) {
		o = &c->m->sources[c->source].objects[c->object++];
		*prefix = c->m->sources[c->source].prefix;
	}
	*look = now - c->looked_at >= LEASE_LOOK_MS;
	if (*look)
		c->looked_at = now;
	pthread_mutex_unlock(&c->lock);
	return o;
}

static void
object_failed(struct copying *c, const struct hf_error *why, bool writing)
{
	pthread_mutex_lock(&c->lock);
	if (c->rc == HF_OK) {
		c->rc = why->status;
		c->why = *why;
		c->writing = writing;
	}
	pthread_mutex_unlock(&c->lock);
}

/* The manifest's object becomes what it is in the other sink. */
static int
replace(struct copying *c, struct manifest_object *o,
    struct copy_object_result *res, struct hf_error *err)
{
	struct flow_object *f = &res->object;
	struct manifest_filter *filters;

	if ((filters = calloc(c->nchain + 1, sizeof *filters)) == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < o->nfilters; i++) {
		free(o->filters[i].name);
		free(o->filters[i].type);
	}
	free(o->filters);
	free(o->key);
	free(o->index_key);
	o->filters = filters;
	o->nfilters = c->nchain;
	o->key = f->key;
	o->index_key = f->index_key;
	f->key = f->index_key = NULL;
	o->stored_size = f->stored_size;
	o->frame_size = f->frame_size;
	o->index_size = o->index_key == NULL ? 0 : f->index_size;
	memcpy(o->stored_sha256, f->stored_sha256, SHA256_HEX);
	memcpy(o->index_sha256, f->index_sha256, SHA256_HEX);
	for (size_t i = 0; i < c->nchain; i++)
		if ((filters[i].name = strdup(filter_name(c->chain[i]))) ==
			NULL ||
		    (filters[i].type = strdup(filter_type(c->chain[i]))) ==
			NULL)
			return repo_nomem(err);
	return HF_OK;
}

static int
one_object(struct copying *c, struct manifest_object *o, const char *prefix,
    struct filter *const *filters, struct hf_error *err)
{
	struct flow_object from = reading_object(o, filters);
	char *data = manifest_data_prefix(c->m->pipeline, c->m->id);
	struct copy_object job = { .from = sink_of(c, c->from)->store,
		.object = &from,
		.from_prefix = data,
		.to_prefix = data,
		.to_name = sink_of(c, c->to)->name,
		.to = sink_of(c, c->to)->store,
		.stall_ms = sink_of(c, c->to)->config->stall_ms,
		.filters = c->chain,
		.nfilters = c->nchain,
		.name_prefix = prefix == NULL ? "" : prefix,
		.progress = on_progress,
		.arg = c };
	struct copy_object_result res;
	int rc;

	if (data == NULL)
		return repo_nomem(err);
	rc = copy_object(c->r->env.flow, &job, &res, err);
	if (rc == HF_OK)
		rc = replace(c, o, &res, err);
	pthread_mutex_lock(&c->lock);
	c->stuck = c->stuck || res.stuck;
	c->res->nobjects += rc == HF_OK;
	c->res->as_is += rc == HF_OK && res.as_is;
	pthread_mutex_unlock(&c->lock);
	if (rc != HF_OK) {
		(void)error_context(err, "copying %s", o->name);
		object_failed(c, err, res.writing);
	}
	flow_object_clear(&res.object);
	free(data);
	return rc;
}

/* The filters were opened before the threads began: this only finds them. */
static void *
worker(void *arg)
{
	struct copying *c = arg;
	struct manifest_object *o;
	const char *prefix = NULL;
	bool look;

	while ((o = next_object(c, &prefix, &look)) != NULL) {
		struct hf_error err = { 0 };
		struct filter **filters = NULL;
		bool writing = look;
		int rc = look ? lease_check(c->lease, &err) : HF_OK;

		if (rc == HF_OK) {
			writing = false;
			pthread_mutex_lock(&c->lock);
			rc = open_filters_of(
			    c->r, o->filters, o->nfilters, &filters, &err);
			pthread_mutex_unlock(&c->lock);
		}
		if (rc == HF_OK)
			(void)one_object(c, o, prefix, filters, &err);
		else
			object_failed(c, &err, writing);
		free(filters);
	}
	return NULL;
}

#define THREADS_MAX 16

static int
copy_objects(struct copying *c, struct hf_error *err)
{
	size_t n = repo_streams(c->r), running = 0;
	pthread_t threads[THREADS_MAX];

	if (n > THREADS_MAX)
		n = THREADS_MAX;
	if (!store_parallel(sink_of(c, c->from)->store) ||
	    !store_parallel(sink_of(c, c->to)->store))
		n = 1;
	c->looked_at = text_monotonic();
	c->total = c->res->raw;
	/* This thread is one of them; fewer are slower, and no failure. */
	while (running + 1 < n &&
	       pthread_create(&threads[running], NULL, worker, c) == 0)
		running++;
	(void)worker(c);
	while (running > 0)
		(void)pthread_join(threads[--running], NULL);
	if (c->rc != HF_OK && err != NULL)
		*err = c->why;
	return c->rc;
}

/* ---- the whole backup ---- */

/* A child whose parent is missing cannot be restored: no use in having it. */
static int
check_parent(struct copying *c, struct hf_error *err)
{
	int rc = publish_parent(sink_of(c, c->to), c->m, err);

	if (rc != HF_OK && rc != HF_E_NOTFOUND)
		c->writing = true;
	return rc;
}

/* The lease of the target, under the backup's own id: what a killed copy
 * leaves is known by it, and cleared like a killed run's. */
static int
prepare_target(struct copying *c, struct hf_error *err)
{
	struct repo *r = c->r;
	struct repo_sink *s = sink_of(c, c->to);
	struct hf_error why = { 0 };
	char line[512];
	int rc;

	if ((rc = open_sink(r, c->to, err)) != HF_OK ||
	    (rc = layout_ready(r, s, err)) != HF_OK ||
	    (rc = lease_acquire(s->store, s->name, r->pipeline->name,
		 c->res->id, "copy", &c->lease, err)) != HF_OK)
		return rc;
	if (clean_leftovers(s->store, s->who, r->pipeline->name,
		lease_epoch(c->lease), &why) != HF_OK) {
		error_line(&why, line, sizeof line);
		log_write(HF_LOG_WARN, "clean.failed", s->who,
		    "pipeline %s: what earlier runs left could not be "
		    "cleared: %s",
		    r->pipeline->name, line);
	}
	return HF_OK;
}

/* HF_EOF: it is there, and there is nothing to do. */
static int
look_at_target(struct copying *c, struct hf_error *err)
{
	struct repo_sink *s = sink_of(c, c->to);
	struct repo_copy copy = { 0 };
	enum repo_copy_state state;
	size_t removed;
	int rc;

	rc = catalog_copy(c->r, c->to, c->res->id, &copy, err);
	state = copy.state;
	catalog_copy_clear(&copy);
	if (rc != HF_OK)
		return rc;
	error_clear(err);
	if (state == REPO_COPY_PRESENT)
		return HF_EOF;
	if (state == REPO_COPY_DAMAGED) {
		c->res->damaged = true;
		(void)error_fail(err, HF_E_CORRUPT,
		    "%s has a manifest of it that cannot be read", s->who);
		error_hint(err,
		    "Remove its catalog/%s.json there, then copy again.",
		    c->res->id);
		return HF_E_CORRUPT;
	}
	/* Without a manifest it is rubbish, and with the lease it is ours. */
	c->mine = true;
	return clean_data(
	    s->store, c->r->pipeline->name, c->res->id, &removed, err);
}

static int
read_manifest(struct copying *c, struct hf_error *err)
{
	struct repo_sink *s = sink_of(c, c->from);
	struct repo_copy copy = { 0 };
	int rc = catalog_copy(c->r, c->from, c->res->id, &copy, err);

	if (rc == HF_OK && copy.state == REPO_COPY_ABSENT)
		rc = error_fail(err, HF_E_NOTFOUND, "%s has no copy of %s",
		    s->who, c->res->id);
	else if (rc == HF_OK && copy.state == REPO_COPY_DAMAGED) {
		rc = HF_E_CORRUPT; /* err says how */
		c->res->damaged = true;
	}
	if (rc == HF_OK) {
		c->m = copy.manifest;
		copy.manifest = NULL;
		c->res->raw = manifest_raw_size(c->m);
	}
	catalog_copy_clear(&copy);
	return rc;
}

static int
open_chain(struct copying *c, struct hf_error *err)
{
	const struct config_pipeline *p = c->r->pipeline;
	const struct config_sink *s = sink_of(c, c->to)->config;
	struct filter **common = NULL, **own = NULL;
	int rc;

	if ((rc = open_filters(c->r, p->through, p->nthrough, &common, err)) !=
		HF_OK ||
	    (rc = open_filters(c->r, s->through, s->nthrough, &own, err)) !=
		HF_OK)
		goto out;
	c->chain = calloc(p->nthrough + s->nthrough + 1, sizeof *c->chain);
	if (c->chain == NULL) {
		rc = repo_nomem(err);
		goto out;
	}
	for (size_t i = 0; i < p->nthrough; i++)
		c->chain[c->nchain++] = common[i];
	for (size_t i = 0; i < s->nthrough; i++)
		c->chain[c->nchain++] = own[i];
out:
	free(common);
	free(own);
	return rc;
}

/* That the objects are there was seen in the other sink; publishing sees it
 * here.  Instead it says where this copy comes from. */
static int
new_checks(struct copying *c, struct hf_error *err)
{
	struct manifest *m = c->m;
	char text[200];

	for (size_t i = 0; i < m->nchecks; i++) {
		if (strcmp(m->checks[i].check, "stored") != 0 &&
		    strcmp(m->checks[i].check, "copied") != 0)
			continue;
		free(m->checks[i].source);
		free(m->checks[i].check);
		free(m->checks[i].result);
		m->checks[i--] = m->checks[--m->nchecks];
	}
	(void)snprintf(text, sizeof text,
	    "from %s, every byte of which agreed with its hashes",
	    sink_of(c, c->from)->who);
	return publish_check(m, "copied", text, err);
}

static int
publish(struct copying *c, struct hf_error *err)
{
	bool published = false;
	int rc;

	if (cancel_requested(c->r->env.cancel))
		return error_fail(err, HF_E_CANCELLED, "interrupted");
	if ((rc = new_checks(c, err)) != HF_OK)
		return rc;
	c->writing = true;
	rc = publish_copy(sink_of(c, c->to), c->m, c->lease, &published, err);
	/* What a manifest may name stays. */
	if (published)
		c->mine = false;
	c->res->stored = manifest_stored_size(c->m);
	if (rc != HF_OK)
		(void)error_context(err, "publishing backup %s", c->res->id);
	return rc;
}

/* As after any backup. */
static int
verify(struct copying *c, struct hf_error *err)
{
	struct repo_backup_entry e = { .started_ms = c->m->started_ms,
		.ended_ms = c->m->ended_ms };
	struct repo_verify_result v = { 0 };
	int rc;

	if (c->r->pipeline->verify == CONFIG_VERIFY_NONE)
		return HF_OK;
	if ((e.copies = calloc(c->r->nsinks + 1, sizeof *e.copies)) == NULL)
		return repo_nomem(err);
	memcpy(e.id, c->res->id, sizeof e.id);
	e.copies[c->to].state = REPO_COPY_PRESENT;
	rc = verify_entry(c->r, &e, sink_of(c, c->to)->name, false, &v, err);
	c->res->damaged = rc == HF_E_CORRUPT;
	repo_verify_result_clear(&v);
	catalog_entry_clear(&e, c->r->nsinks);
	return rc;
}

/* Was it retention that took the objects away, in the middle? */
static bool
gone(struct copying *c)
{
	struct hf_object object = { .struct_size = sizeof object };
	char *key = manifest_key(c->r->pipeline->name, c->res->id);
	bool is = key != NULL && store_stat(sink_of(c, c->from)->store, key,
				     &object, NULL) == HF_E_NOTFOUND;

	free(key);
	return is;
}

/* What reading failed of: a missing object is damage like a flipped bit. */
static int
source_failed(struct copying *c, int rc, struct hf_error *err)
{
	if (rc != HF_E_CORRUPT && rc != HF_E_NOTFOUND)
		return rc;
	if (gone(c))
		return error_fail(err, HF_E_NOTFOUND,
		    "%s was removed from %s while it was copied", c->res->id,
		    sink_of(c, c->from)->who);
	c->res->damaged = true;
	err->status = HF_E_CORRUPT;
	if (error_get(err, "hint") == NULL)
		error_hint(err,
		    "\"holdfast verify %s --backup %s\" says which sinks have "
		    "a whole copy.",
		    c->r->pipeline->name, c->res->id);
	return HF_E_CORRUPT;
}

static int
copy_whole(struct copying *c, struct hf_error *err)
{
	int rc;

	c->writing = true;
	if ((rc = prepare_target(c, err)) != HF_OK ||
	    (rc = look_at_target(c, err)) != HF_OK ||
	    (rc = open_chain(c, err)) != HF_OK)
		return rc;
	c->writing = false;
	if ((rc = open_sink(c->r, c->from, err)) != HF_OK ||
	    (rc = read_manifest(c, err)) != HF_OK)
		return rc;
	if ((rc = check_parent(c, err)) != HF_OK)
		return rc;
	if ((rc = copy_objects(c, err)) != HF_OK)
		return c->writing ? rc : source_failed(c, rc, err);
	if ((rc = publish(c, err)) != HF_OK)
		return rc;
	return verify(c, err);
}

/* What is left of a copy that was not published.  Best effort: a later run
 * clears what stays. */
static void
remove_own(struct copying *c)
{
	struct repo_sink *s = sink_of(c, c->to);
	struct hf_error err = { 0 };
	char line[512];
	size_t n;

	if (!c->mine || c->stuck ||
	    clean_data(s->store, c->r->pipeline->name, c->res->id, &n, &err) ==
		HF_OK)
		return;
	error_line(&err, line, sizeof line);
	log_write(HF_LOG_INFO, "copy.leftover", s->who,
	    "pipeline %s: what the copy of %s left is still there, a later "
	    "run clears it: %s",
	    c->r->pipeline->name, c->res->id, line);
}

static void
finish(struct copying *c, int rc)
{
	if (c->stuck)
		repo_sink_stuck(c->r, c->to, NULL);
	if (rc < HF_OK)
		remove_own(c);
	if (c->stuck)
		lease_abandon(c->lease);
	else
		lease_release(c->lease);
	manifest_free(c->m);
	free(c->chain);
	pthread_mutex_destroy(&c->lock);
}

/* Is it this backup that is bad, and may the next one be better? */
static bool
fatal_for_all(const struct copying *c, int rc)
{
	if (rc == HF_E_CANCELLED || rc == HF_E_NOMEM || c->stuck)
		return true;
	if (rc == HF_OK || c->res->damaged)
		return false;
	return c->writing || (rc != HF_E_CORRUPT && rc != HF_E_NOTFOUND &&
				 rc != HF_E_IO && rc != HF_E_UNSUPPORTED);
}

int
copy_backup(struct repo *r, size_t from, size_t to, const char *id,
    struct repo_copied *res, bool *fatal, struct hf_error *err)
{
	struct copying c = { .r = r, .from = from, .to = to, .res = res };
	struct hf_error why = { 0 };
	int rc;

	*res = (struct repo_copied){ .started_ms = text_now(),
		.from = r->sinks[from].name,
		.to = r->sinks[to].name };
	(void)snprintf(res->id, sizeof res->id, "%s", id);
	(void)pthread_mutex_init(&c.lock, NULL);
	rc = copy_whole(&c, &why);
	res->how = rc == HF_OK    ? REPO_COPIED_DONE
		   : rc == HF_EOF ? REPO_COPIED_THERE
				  : REPO_COPIED_FAILED;
	if (rc == HF_EOF)
		rc = HF_OK;
	/* A lost lease is another run's lock, not the user's wish to stop. */
	if (rc == HF_E_CANCELLED && !cancel_requested(r->env.cancel))
		rc = why.status = HF_E_EXISTS;
	if (rc != HF_OK)
		(void)error_context(&why,
		    "copying backup %s of pipeline %s "
		    "from %s to %s",
		    id, r->pipeline->name, r->sinks[from].name,
		    r->sinks[to].name);
	if (fatal != NULL)
		*fatal = fatal_for_all(&c, rc);
	finish(&c, rc);
	res->ended_ms = text_now();
	if (rc != HF_OK) {
		res->why = why;
		if (err != NULL)
			*err = why;
	}
	if (rc != HF_E_EXISTS && res->how != REPO_COPIED_THERE)
		report_copy(r, res);
	return rc;
}
