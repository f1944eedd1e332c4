/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/memout.h"

#include "base/error.h"
#include "base/sha256.h"
#include "plugin/host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fact {
	struct fact *next;
	char *key, *value;
};

struct object {
	struct object *next;
	char *name;
	uint8_t *data;
	size_t len, cap;
	struct fact *facts; /* of a log's */
};

struct memout_out {
	struct hf_out base;
	struct memout *m;
};

struct memout_in {
	struct hf_in base;
	struct memout *m;
};

struct memout {
	struct memout_out out;
	struct memout_in in;
	pthread_mutex_t mutex;  /* guards all below */
	struct object *objects; /* committed, in that order */
	struct fact *facts;
	char *lost; /* a name, and what is answered for it */
	int lost_status;
	size_t open;
	bool log;
	unsigned calls[MEMOUT_CALLS], fail_at[MEMOUT_CALLS];
	size_t listed; /* names that lists gave */
	int status[MEMOUT_CALLS];
	void (*on_write)(void *);
	void *arg;
	void (*on_read)(void *);
	void *read_arg;
};

struct writer {
	struct hf_writer base;
	struct memout *m;
	struct object *o;
};

struct reader {
	struct hf_reader base;
	struct memout *m;
	const struct object *o;
	size_t at, end;
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* Count the call; the status that it must answer, or HF_OK. */
static int
call(struct memout *m, enum memout_call which, struct hf_error *err)
{
	int rc = HF_OK;

	(void)pthread_mutex_lock(&m->mutex);
	m->calls[which]++;
	if (m->fail_at[which] > 0 && --m->fail_at[which] == 0)
		rc = m->status[which];
	(void)pthread_mutex_unlock(&m->mutex);
	if (rc != HF_OK)
		error_fail(err, rc, "failure made by the test");
	return rc;
}

/* As call, of one name. */
static int
call_name(struct memout *m, enum memout_call which, const char *name,
    struct hf_error *err)
{
	int rc = call(m, which, err);

	(void)pthread_mutex_lock(&m->mutex);
	if (rc == HF_OK && m->lost != NULL && strcmp(m->lost, name) == 0)
		rc = error_fail(
		    err, m->lost_status, "%s cannot be reached", name);
	(void)pthread_mutex_unlock(&m->mutex);
	return rc;
}

/* Behind the others; the same key again replaces; NULL forgets. */
static void
set_fact(struct fact **facts, const char *key, const char *value)
{
	struct fact *f, **p;

	for (p = facts; (f = *p) != NULL; p = &f->next)
		if (strcmp(f->key, key) == 0) {
			*p = f->next;
			free(f->key);
			free(f->value);
			free(f);
			break;
		}
	if (value == NULL)
		return;
	while (*p != NULL)
		p = &(*p)->next;
	f = must(calloc(1, sizeof *f));
	f->key = must(strdup(key));
	f->value = must(strdup(value));
	*p = f;
}

static void
free_facts(struct fact **facts)
{
	struct fact *f;

	while ((f = *facts) != NULL) {
		*facts = f->next;
		free(f->key);
		free(f->value);
		free(f);
	}
}

static const struct object *
find_locked(const struct memout *m, const char *name)
{
	const struct object *o;

	for (o = m->objects; o != NULL; o = o->next)
		if (strcmp(o->name, name) == 0)
			break;
	return o;
}

/* Its data does not change and it is not removed while it is looked at. */
static const struct object *
find(struct memout *m, const char *name)
{
	const struct object *o;

	(void)pthread_mutex_lock(&m->mutex);
	o = find_locked(m, name);
	(void)pthread_mutex_unlock(&m->mutex);
	return o;
}

static void
free_object(struct object *o)
{
	free_facts(&o->facts);
	free(o->name);
	free(o->data);
	free(o);
}

static int
out_begin(struct hf_out *out, const char *name, uint64_t hint,
    struct hf_writer **w, struct hf_error *err)
{
	struct memout *m = ((struct memout_out *)out)->m;
	struct writer *nw;
	int rc;

	(void)hint;
	if ((rc = call(m, MEMOUT_BEGIN, err)) != HF_OK)
		return rc;
	nw = must(calloc(1, sizeof *nw));
	nw->base.ops = out->ops;
	nw->m = m;
	nw->o = must(calloc(1, sizeof *nw->o));
	nw->o->name = must(strdup(name));
	(void)pthread_mutex_lock(&m->mutex);
	m->open++;
	(void)pthread_mutex_unlock(&m->mutex);
	*w = &nw->base;
	return HF_OK;
}

static void
append(struct object *o, const void *buf, size_t len)
{
	if (o->len + len > o->cap) {
		o->cap = (o->len + len) * 2;
		o->data = must(realloc(o->data, o->cap));
	}
	if (len > 0)
		memcpy(o->data + o->len, buf, len);
	o->len += len;
}

static int
out_write(
    struct hf_writer *hw, const void *buf, size_t len, struct hf_error *err)
{
	struct writer *w = (struct writer *)hw;
	int rc;

	if (w->m->on_write != NULL)
		w->m->on_write(w->m->arg);
	if ((rc = call(w->m, MEMOUT_WRITE, err)) == HF_OK)
		append(w->o, buf, len);
	return rc;
}

/* Committed and aborted writers are gone in any case.  Of a log, the first of
 * a name is kept, and its bytes are what a second one must have. */
static int
end_writer(struct writer *w, bool keep, struct hf_error *err)
{
	const struct object *old = NULL;
	struct memout *m = w->m;
	struct object **p;
	int rc = HF_OK;

	(void)pthread_mutex_lock(&m->mutex);
	m->open--;
	if (keep && m->log)
		old = find_locked(m, w->o->name);
	if (old != NULL &&
	    (old->len != w->o->len ||
		(old->len > 0 && memcmp(old->data, w->o->data, old->len) != 0)))
		rc = error_fail(err, HF_E_EXISTS,
		    "%s is there with other bytes", w->o->name);
	if (keep && old == NULL) {
		for (p = &m->objects; *p != NULL; p = &(*p)->next)
			continue;
		*p = w->o;
		w->o = NULL;
	}
	(void)pthread_mutex_unlock(&m->mutex);
	if (w->o != NULL)
		free_object(w->o);
	free(w);
	return rc;
}

static int
out_commit(struct hf_writer *hw, struct hf_error *err)
{
	struct writer *w = (struct writer *)hw;
	int rc = call_name(w->m, MEMOUT_COMMIT, w->o->name, err);

	if (rc == HF_OK)
		return end_writer(w, true, err);
	(void)end_writer(w, false, NULL);
	return rc;
}

static void
out_abort(struct hf_writer *w)
{
	(void)end_writer((struct writer *)w, false, NULL);
}

static int
out_fact(struct hf_out *out, const char *key, const char *value,
    struct hf_error *err)
{
	struct memout *m = ((struct memout_out *)out)->m;
	int rc;

	if ((rc = call(m, MEMOUT_FACT, err)) == HF_OK)
		memout_set_fact(m, key, value);
	return rc;
}

static int
give(const struct object *o, uint64_t size, hf_list_fn *fn, void *arg)
{
	struct hf_object ho = {
		.struct_size = sizeof ho, .key = o->name, .size = size
	};

	return fn(arg, &ho);
}

/* The first name behind last. */
static const struct object *
follower(struct memout *m, const char *last)
{
	const struct object *best = NULL;

	(void)pthread_mutex_lock(&m->mutex);
	for (const struct object *o = m->objects; o != NULL; o = o->next)
		if (strcmp(o->name, last) > 0 &&
		    (best == NULL || strcmp(o->name, best->name) < 0))
			best = o;
	(void)pthread_mutex_unlock(&m->mutex);
	return best;
}

static int
in_list(struct hf_in *in, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	struct memout *m = ((struct memout_in *)in)->m;
	const struct object *o;
	const char *last = "";
	int rc = call(m, MEMOUT_LIST, err);

	if (!m->log)
		for (o = m->objects; o != NULL && rc == 0; o = o->next)
			rc = give(o, o->len, fn, arg);
	while (m->log && rc == 0 && (o = follower(m, last)) != NULL) {
		last = o->name;
		m->listed++;
		rc = give(o, 0, fn, arg);
	}
	return rc;
}

static int
log_below(struct hf_in *in, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	struct memout *m = ((struct memout_in *)in)->m;
	const struct object *o;
	const char *last = prefix;
	int rc = call(m, MEMOUT_LIST, err);

	/* A name may be the prefix itself. */
	for (o = m->objects; o != NULL && rc == 0; o = o->next)
		if (strcmp(o->name, prefix) == 0) {
			m->listed++;
			rc = give(o, 0, fn, arg);
		}
	while (rc == 0 && (o = follower(m, last)) != NULL &&
	       strncmp(o->name, prefix, strlen(prefix)) == 0) {
		last = o->name;
		m->listed++;
		rc = give(o, 0, fn, arg);
	}
	return rc;
}

static int
in_open(struct hf_in *in, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **out, struct hf_error *err)
{
	struct memout *m = ((struct memout_in *)in)->m;
	const struct object *o;
	struct reader *r;
	int rc;

	if ((rc = call_name(m, MEMOUT_OPEN, name, err)) != HF_OK)
		return rc;
	if ((o = find(m, name)) == NULL)
		return error_fail(err, HF_E_NOTFOUND, "no object %s", name);
	if (off > o->len)
		return error_fail(err, HF_E_INVALID, "past the end");
	r = must(calloc(1, sizeof *r));
	r->base.ops = in->ops;
	r->m = m;
	r->o = o;
	r->at = (size_t)off;
	r->end = len > o->len - off ? o->len : (size_t)(off + len);
	*out = &r->base;
	return HF_OK;
}

static int
in_read(struct hf_reader *hr, void *buf, size_t cap, size_t *n,
    struct hf_error *err)
{
	struct reader *r = (struct reader *)hr;
	int rc;

	*n = 0;
	if (r->m->on_read != NULL)
		r->m->on_read(r->m->read_arg);
	if ((rc = call(r->m, MEMOUT_READ, err)) != HF_OK)
		return rc;
	if (r->at == r->end)
		return HF_EOF;
	*n = r->end - r->at < cap ? r->end - r->at : cap;
	memcpy(buf, r->o->data + r->at, *n);
	r->at += *n;
	return HF_OK;
}

static void
in_close(struct hf_reader *r)
{
	free(r);
}

static const char *
in_fact(struct hf_in *in, const char *key)
{
	return memout_fact(((struct memout_in *)in)->m, key);
}

/* ---- as a log ---- */

static int
log_fact(struct hf_writer *hw, const char *key, const char *value,
    struct hf_error *err)
{
	struct writer *w = (struct writer *)hw;

	if (!w->m->log)
		return error_fail(err, HF_E_UNSUPPORTED, "this is not a log");
	set_fact(&w->o->facts, key, value);
	return HF_OK;
}

static int
log_remove(struct hf_out *out, const char *name, struct hf_error *err)
{
	struct memout *m = ((struct memout_out *)out)->m;
	struct object **p, *o;

	int rc;

	if (!m->log)
		return error_fail(err, HF_E_UNSUPPORTED, "this is not a log");
	if ((rc = call_name(m, MEMOUT_REMOVE, name, err)) != HF_OK)
		return rc;
	(void)pthread_mutex_lock(&m->mutex);
	for (p = &m->objects; (o = *p) != NULL; p = &o->next)
		if (strcmp(o->name, name) == 0) {
			*p = o->next;
			free_object(o);
			break;
		}
	(void)pthread_mutex_unlock(&m->mutex);
	return HF_OK;
}

/* The facts of an object do not change once it is there. */
static int
log_facts(struct hf_in *in, const char *name,
    int (*fn)(void *arg, const char *key, const char *value), void *arg,
    struct hf_error *err)
{
	struct memout *m = ((struct memout_in *)in)->m;
	char size[24], hex[SHA256_HEX];
	const struct object *o;
	int rc = 0;

	if (!m->log)
		return error_fail(err, HF_E_UNSUPPORTED, "this is not a log");
	if ((rc = call_name(m, MEMOUT_FACTS, name, err)) != HF_OK)
		return rc;
	if ((o = find(m, name)) == NULL)
		return error_fail(err, HF_E_NOTFOUND, "no object %s", name);
	for (const struct fact *f = o->facts; f != NULL && rc == 0; f = f->next)
		rc = fn(arg, f->key, f->value);
	(void)snprintf(size, sizeof size, "%zu", o->len);
	if (rc == 0)
		rc = fn(arg, "raw_size", size);
	if (rc == 0 && (rc = sha256_of(o->data, o->len, hex, err)) == HF_OK)
		rc = fn(arg, "raw_sha256", hex);
	return rc;
}

static const struct out_ops out_table = {
	.begin = out_begin,
	.write = out_write,
	.commit = out_commit,
	.abort = out_abort,
	.fact = out_fact,
	.writer_fact = log_fact,
	.remove = log_remove,
};
static const struct in_ops in_table = {
	.list = in_list,
	.open = in_open,
	.read = in_read,
	.close = in_close,
	.fact = in_fact,
	.facts = log_facts,
	.list_below = log_below,
};

struct memout *
memout_new(void)
{
	struct memout *m = must(calloc(1, sizeof *m));

	m->out.base.ops = &out_table;
	m->out.m = m;
	m->in.base.ops = &in_table;
	m->in.m = m;
	if (pthread_mutex_init(&m->mutex, NULL) != 0)
		abort();
	return m;
}

void
memout_free(struct memout *m)
{
	struct object *o;

	if (m == NULL)
		return;
	while ((o = m->objects) != NULL) {
		m->objects = o->next;
		free_object(o);
	}
	free_facts(&m->facts);
	free(m->lost);
	(void)pthread_mutex_destroy(&m->mutex);
	free(m);
}

struct hf_out *
memout_out(struct memout *m)
{
	return &m->out.base;
}

struct hf_in *
memout_in(struct memout *m)
{
	return &m->in.base;
}

void
memout_fail(struct memout *m, enum memout_call which, unsigned n, int status)
{
	m->fail_at[which] = n;
	m->status[which] = status;
}

void
memout_lose(struct memout *m, const char *name, int status)
{
	(void)pthread_mutex_lock(&m->mutex);
	free(m->lost);
	m->lost = name == NULL ? NULL : must(strdup(name));
	m->lost_status = status;
	(void)pthread_mutex_unlock(&m->mutex);
}

size_t
memout_listed(struct memout *m)
{
	return m->listed;
}

unsigned
memout_calls(struct memout *m, enum memout_call which)
{
	unsigned n;

	(void)pthread_mutex_lock(&m->mutex);
	n = m->calls[which];
	(void)pthread_mutex_unlock(&m->mutex);
	return n;
}

void
memout_on_write(struct memout *m, void (*fn)(void *), void *arg)
{
	m->on_write = fn;
	m->arg = arg;
}

void
memout_on_read(struct memout *m, void (*fn)(void *), void *arg)
{
	m->on_read = fn;
	m->read_arg = arg;
}

size_t
memout_count(struct memout *m)
{
	const struct object *o;
	size_t n = 0;

	for (o = m->objects; o != NULL; o = o->next)
		n++;
	return n;
}

size_t
memout_open(struct memout *m)
{
	return m->open;
}

static struct object *
nth(struct memout *m, size_t n)
{
	struct object *o;

	for (o = m->objects; o != NULL && n > 0; o = o->next)
		n--;
	return must(o);
}

const char *
memout_name(struct memout *m, size_t n)
{
	return nth(m, n)->name;
}

void *
memout_bytes(struct memout *m, size_t n, size_t *size)
{
	struct object *o = nth(m, n);

	*size = o->len;
	return o->data;
}

void
memout_add(struct memout *m, const char *name, const void *data, size_t len)
{
	struct object *o = must(calloc(1, sizeof *o)), **p;

	o->name = must(strdup(name));
	append(o, data, len);
	for (p = &m->objects; *p != NULL; p = &(*p)->next)
		continue;
	*p = o;
}

const char *
memout_fact(struct memout *m, const char *key)
{
	const struct fact *f;

	for (f = m->facts; f != NULL; f = f->next)
		if (strcmp(f->key, key) == 0)
			return f->value;
	return NULL;
}

void
memout_set_fact(struct memout *m, const char *key, const char *value)
{
	(void)pthread_mutex_lock(&m->mutex);
	set_fact(&m->facts, key, value);
	(void)pthread_mutex_unlock(&m->mutex);
}

void
memout_log(struct memout *m)
{
	m->log = true;
}
