/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "flow/in.h"
#include "plugin/store.h"
#include "repo/log_private.h"

/* An object up to this size is read and proved as a whole before its first
 * byte is given, so that a bad copy costs nothing but time. */
#define WHOLE_MAX ((uint64_t)64 << 20)

/* Whom to ask, in which order, and what was wrong with those who could not
 * answer well. */
struct search {
	struct repo_log *log;
	size_t *order, at;
	int unreachable, damaged; /* statuses; the first ones */
	struct hf_error why_unreachable, why_damaged;
	bool repo_seen;    /* one that lacks it holds a repository */
	const char *blank; /* one that lacks it holds none; NULL: none such */
};

/* An open copy. */
struct reader {
	struct hf_reader base;
	struct search search;
	char *name;
	uint64_t off, len;
	struct log_doc *doc;
	struct filter **filters;
	struct flow_object object;
	struct hf_in *in;
	struct hf_reader *inner;
	bool given;      /* something; no other copy may follow */
	uint8_t *whole;  /* of small ones: all bytes, proved */
	size_t at, size; /* of whole, what is left to give */
};

static struct repo_log *
log_of(struct hf_in *in)
{
	return ((struct log_in *)(void *)in)->log;
}

static struct reader *
reader_of(struct hf_reader *r)
{
	return (struct reader *)(void *)r;
}

/* ---- who has it ---- */

/* Sinks that are left alone come last.  Each is asked about that once, so that
 * none is forgotten. */
static int
search_begin(struct search *s, struct repo_log *log, struct hf_error *err)
{
	size_t front = 0, back = log->r->nsinks;

	s->log = log;
	s->order = calloc(back + 1, sizeof *s->order);
	if (s->order == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < log->r->nsinks; i++)
		if (log_sink_paused(log, i, NULL))
			s->order[--back] = i;
		else
			s->order[front++] = i;
	return HF_OK;
}

static void
search_note(struct search *s, size_t sink, int rc, const struct hf_error *why)
{
	bool damaged = rc == HF_E_CORRUPT;
	int *status = damaged ? &s->damaged : &s->unreachable;
	char line[512];

	error_line(why, line, sizeof line);
	log_write(HF_LOG_WARN, damaged ? "log.damaged" : "log.unreachable",
	    s->log->r->sinks[sink].who, "%s", line);
	if (*status != HF_OK)
		return;
	*status = rc;
	*(damaged ? &s->why_damaged : &s->why_unreachable) = *why;
}

/* The document of one sink.  HF_E_NOTFOUND: it is certain that the sink does
 * not have it. */
static int
ask(struct search *s, size_t sink, const char *name, struct log_doc **d,
    struct hf_error *err)
{
	struct store *store;
	int rc = log_sink_read(s->log, sink, &store, err);

	if (rc != HF_OK)
		return rc;
	if ((rc = log_doc_get(s->log, sink, store, name, d, err)) !=
	    HF_E_NOTFOUND)
		return rc;
	error_clear(err);
	if ((rc = log_sink_proved(s->log, sink, err)) != HF_OK)
		return rc;
	if (log_sink_has_repo(s->log, sink))
		s->repo_seen = true;
	else if (s->blank == NULL)
		s->blank = s->log->r->sinks[sink].who;
	return HF_E_NOTFOUND;
}

/* Every sink answered, and none has it.  Empty ones say little: below the mount
 * point of a disk there is an empty folder, too.  Where the pipeline requires
 * all its sinks, what it has acknowledged is in the others as well; where it
 * requires fewer, an empty one may be the disk that alone has it. */
static int
nobody_has(const struct search *s, const char *name, struct hf_error *err)
{
	const char *pipeline = s->log->r->pipeline->name;

	if (!s->repo_seen) {
		(void)error_fail(err, HF_E_IO,
		    "no sink of pipeline %s holds a repository, so that "
		    "nobody knows whether there is a %s",
		    pipeline, name);
		error_hint(err, "Is the disk mounted, and are paths, buckets "
				"and prefixes right?");
		return HF_E_IO;
	}
	if (s->blank != NULL && log_required(s->log) < s->log->r->nsinks) {
		(void)error_fail(err, HF_E_IO,
		    "%s holds no repository, and the others have no %s: "
		    "pipeline %s does not require all its sinks, so that this "
		    "one alone may have it",
		    s->blank, name, pipeline);
		error_hint(err,
		    "Is the disk mounted?  If the sink is new, a backup or "
		    "\"holdfast run\" prepares it; or take it out of "
		    "\"to\".");
		return HF_E_IO;
	}
	return error_fail(err, HF_E_NOTFOUND,
	    "the log of pipeline %s has no %s", pipeline, name);
}

/* Nobody has a good copy: why not?  "Not there" ends a recovery, so it is said
 * only when every sink could be asked and none has it.  One that could not be
 * asked may have a good copy, and weighs more than damage. */
static int
search_failed(const struct search *s, const char *name, struct hf_error *err)
{
	int rc;

	if (s->unreachable == HF_OK && s->damaged == HF_OK)
		return nobody_has(s, name, err);
	rc = s->unreachable != HF_OK ? s->unreachable : s->damaged;
	if (err != NULL)
		*err = s->unreachable != HF_OK ? s->why_unreachable
					       : s->why_damaged;
	(void)error_context(err, "looking for %s in the log of pipeline %s",
	    name, s->log->r->pipeline->name);
	return rc;
}

/* The first readable document from here on; at is behind its sink. */
static int
search_next(struct search *s, const char *name, struct log_doc **d,
    size_t *sink, struct hf_error *err)
{
	while (s->at < s->log->r->nsinks) {
		struct hf_error why = { .status = HF_OK };
		int rc;

		*sink = s->order[s->at++];
		rc = ask(s, *sink, name, d, &why);
		if (rc == HF_OK)
			return HF_OK;
		if (log_ends_all(rc)) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		if (rc != HF_E_NOTFOUND)
			search_note(s, *sink, rc, &why);
	}
	return search_failed(s, name, err);
}

/* ---- one copy ---- */

static void
close_copy(struct reader *r)
{
	if (r->inner != NULL)
		r->inner->ops->close(r->inner);
	if (r->in != NULL)
		in_free(r->in);
	r->inner = NULL;
	r->in = NULL;
	free(r->filters);
	r->filters = NULL;
	free(r->whole);
	r->whole = NULL;
	log_doc_free(r->doc);
	r->doc = NULL;
}

static int
read_whole(struct reader *r, struct hf_error *err)
{
	size_t size = (size_t)r->doc->object.raw_size, at = 0, n;
	int rc;

	/* One byte more, so that the end is asked for. */
	if ((r->whole = malloc(size + 1)) == NULL)
		return repo_nomem(err);
	do {
		rc = r->inner->ops->read(
		    r->inner, r->whole + at, size + 1 - at, &n, err);
		at += n;
	} while (rc == HF_OK && at <= size);
	if (rc < HF_OK)
		return rc;
	if (rc == HF_OK || at != size)
		return error_fail(err, HF_E_CORRUPT,
		    "%s has not the size that its document says",
		    r->doc->object.key);
	r->at = (size_t)r->off;
	r->size = size - r->at;
	if (r->size > r->len)
		r->size = (size_t)r->len;
	r->inner->ops->close(r->inner);
	r->inner = NULL;
	return HF_OK;
}

static int
open_data(struct reader *r, size_t sink, struct hf_error *err)
{
	struct repo_log *log = r->search.log;
	const struct manifest_object *o = &r->doc->object;
	struct in_options options = { .objects = &r->object, .nobjects = 1 };
	struct store *store;
	bool small = o->raw_size <= WHOLE_MAX;
	int rc = log_sink_read(log, sink, &store, err);

	if (rc != HF_OK)
		return rc;
	(void)pthread_mutex_lock(&log->lock);
	rc = open_filters_of(log->r, o->filters, o->nfilters, &r->filters, err);
	(void)pthread_mutex_unlock(&log->lock);
	if (rc != HF_OK) {
		r->filters = NULL;
		/* A filter that is missing, not an object. */
		return log_not_missing(err, rc);
	}
	r->object = reading_object(o, r->filters);
	options.store = store;
	if ((rc = in_new(log->r->env.flow, &options, &r->in, err)) != HF_OK) {
		r->in = NULL;
		return rc;
	}
	rc = r->in->ops->open(r->in, o->name, small ? 0 : r->off,
	    small ? UINT64_MAX : r->len, &r->inner, err);
	if (rc != HF_OK) {
		r->inner = NULL;
		return rc;
	}
	return small ? read_whole(r, err) : HF_OK;
}

/* Its document names data that are not there.  Was it removed meanwhile? */
static int
data_gone(struct reader *r, size_t sink, struct hf_error *err)
{
	struct log_doc *d = NULL;
	int rc = ask(&r->search, sink, r->name, &d, err);

	log_doc_free(d);
	if (rc != HF_OK)
		return rc;
	return error_fail(err, HF_E_CORRUPT,
	    "%s: the log has %s, but its data %s is not there",
	    r->search.log->r->sinks[sink].who, r->name, r->doc->object.key);
}

/* The next good copy, or the reason why there is none. */
static int
next_copy(struct reader *r, struct hf_error *err)
{
	struct search *s = &r->search;

	for (;;) {
		struct hf_error why = { .status = HF_OK };
		size_t sink;
		int rc;

		if ((rc = search_next(s, r->name, &r->doc, &sink, err)) !=
		    HF_OK)
			return rc;
		if (r->off > r->doc->object.raw_size)
			return error_fail(err, HF_E_INVALID,
			    "%s has %" PRIu64 " bytes, byte %" PRIu64
			    " was asked for",
			    r->name, r->doc->object.raw_size, r->off);
		rc = open_data(r, sink, &why);
		if (rc == HF_E_NOTFOUND) {
			error_clear(&why);
			rc = data_gone(r, sink, &why);
		}
		if (rc == HF_OK)
			return HF_OK;
		if (rc == HF_E_CORRUPT)
			(void)error_context(&why, "reading %s in %s",
			    r->doc->object.key, s->log->r->sinks[sink].who);
		close_copy(r);
		if (log_ends_all(rc)) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		if (rc != HF_E_NOTFOUND)
			search_note(s, sink, rc, &why);
	}
}

/* ---- the reader ---- */

static void
log_close(struct hf_reader *h)
{
	struct reader *r = reader_of(h);

	close_copy(r);
	free(r->search.order);
	free(r->name);
	free(r);
}

int
log_read_open(struct hf_in *in, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **out, struct hf_error *err)
{
	struct repo_log *log = log_of(in);
	struct reader *r;
	int rc;

	if ((rc = log_check_name(name, err)) != HF_OK)
		return rc;
	if ((r = calloc(1, sizeof *r)) == NULL)
		return repo_nomem(err);
	r->base.ops = &log_in_ops;
	r->off = off;
	r->len = len;
	if ((r->name = strdup(name)) == NULL)
		rc = repo_nomem(err);
	else if ((rc = search_begin(&r->search, log, err)) == HF_OK)
		rc = next_copy(r, err);
	if (rc != HF_OK) {
		log_close(&r->base);
		return rc;
	}
	*out = &r->base;
	return HF_OK;
}

static int
give_whole(struct reader *r, void *buf, size_t cap, size_t *n)
{
	*n = r->size < cap ? r->size : cap;
	if (*n == 0)
		return HF_EOF;
	memcpy(buf, r->whole + r->at, *n);
	r->at += *n;
	r->size -= *n;
	return HF_OK;
}

static int
log_read(
    struct hf_reader *h, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	struct reader *r = reader_of(h);

	*n = 0;
	for (;;) {
		struct hf_error why = { .status = HF_OK };
		int rc;

		if (r->whole != NULL)
			return give_whole(r, buf, cap, n);
		if (r->inner == NULL)
			return error_fail(err, HF_E_BUG,
			    "%s is read on after a failure", r->name);
		rc = r->inner->ops->read(r->inner, buf, cap, n, &why);
		if (*n > 0)
			r->given = true;
		if (rc >= HF_OK)
			return rc;
		rc = log_not_missing(&why, rc);
		if (rc == HF_E_CORRUPT)
			(void)error_context(
			    &why, "reading %s", r->doc->object.key);
		close_copy(r);
		if (r->given || log_ends_all(rc)) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		search_note(
		    &r->search, r->search.order[r->search.at - 1], rc, &why);
		if ((rc = next_copy(r, err)) != HF_OK)
			return log_not_missing(err, rc);
	}
}

/* ---- names and facts ---- */

static int
merge(struct store_keys *all, struct store_keys *more, struct hf_error *err)
{
	size_t n = all->n + more->n, a = 0, b = 0, to = 0;
	struct store_key *keys = calloc(n + 1, sizeof *keys);

	if (keys == NULL)
		return repo_nomem(err);
	while (a < all->n || b < more->n) {
		int order = a == all->n ? 1
			    : b == more->n
				? -1
				: strcmp(all->keys[a].key, more->keys[b].key);

		if (order == 0)
			free(more->keys[b++].key);
		keys[to++] = order <= 0 ? all->keys[a++] : more->keys[b++];
	}
	free(all->keys);
	free(more->keys);
	*all = (struct store_keys){ .keys = keys, .n = to, .cap = n + 1 };
	*more = (struct store_keys){ 0 };
	return HF_OK;
}

/* The names of all sinks that can be listed. */
static int
collect(struct repo_log *log, const char *prefix, struct store_keys *all,
    struct hf_error *err)
{
	size_t listed = 0;
	int rc, first = HF_OK;

	for (size_t i = 0; i < log->r->nsinks; i++) {
		struct hf_error why = { .status = HF_OK };
		struct store_keys more = { 0 };
		char line[512];

		if ((rc = log_keep_list(log, i, prefix, &more, &why)) ==
		    HF_OK) {
			listed++;
			rc = merge(all, &more, &why);
			store_keys_free(&more);
		}
		if (rc == HF_OK)
			continue;
		if (first == HF_OK || log_ends_all(rc)) {
			first = rc;
			if (err != NULL)
				*err = why;
		}
		if (log_ends_all(rc))
			return rc;
		error_line(&why, line, sizeof line);
		log_write(HF_LOG_WARN, "log.unreachable", log->r->sinks[i].who,
		    "%s", line);
	}
	if (listed == 0 && log->r->nsinks > 0)
		return first;
	error_clear(err);
	return HF_OK;
}

static int
list_below(struct hf_in *in, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	struct store_keys all = { 0 };
	int rc = collect(log_of(in), prefix, &all, err);

	for (size_t i = 0; i < all.n && rc == HF_OK; i++) {
		struct hf_object o = { .struct_size = sizeof o,
			.key = all.keys[i].key };

		rc = fn(arg, &o);
	}
	store_keys_free(&all);
	return rc;
}

static int
list(struct hf_in *in, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	return list_below(in, "", fn, arg, err);
}

int
log_tell_facts(const struct log_doc *d, host_fact_fn *fn, void *arg)
{
	char size[24];
	const char *key;
	json_t *value;
	int rc;

	json_object_foreach(d->facts, key, value)
	{
		if ((rc = fn(arg, key, json_string_value(value))) != 0)
			return rc;
	}
	(void)snprintf(size, sizeof size, "%" PRIu64, d->object.raw_size);
	if ((rc = fn(arg, "raw_size", size)) != 0)
		return rc;
	return fn(arg, "raw_sha256", d->object.raw_sha256);
}

static int
log_facts(struct hf_in *in, const char *name, host_fact_fn *fn, void *arg,
    struct hf_error *err)
{
	struct search *s;
	struct log_doc *d = NULL;
	size_t sink;
	int rc;

	if ((rc = log_check_name(name, err)) != HF_OK)
		return rc;
	if ((s = calloc(1, sizeof *s)) == NULL)
		return repo_nomem(err);
	if ((rc = search_begin(s, log_of(in), err)) == HF_OK &&
	    (rc = search_next(s, name, &d, &sink, err)) == HF_OK)
		rc = log_tell_facts(d, fn, arg);
	log_doc_free(d);
	free(s->order);
	free(s);
	return rc;
}

const char *
log_read_no_fact(struct hf_in *in, const char *key)
{
	(void)in;
	(void)key;
	return NULL;
}

const struct in_ops log_in_ops = {
	.list = list,
	.list_below = list_below,
	.open = log_read_open,
	.read = log_read,
	.close = log_close,
	.fact = log_read_no_fact,
	.facts = log_facts,
};
