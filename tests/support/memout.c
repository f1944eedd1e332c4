/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/memout.h"

#include "base/error.h"
#include "plugin/host.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct object {
	struct object *next;
	char *name;
	uint8_t *data;
	size_t len, cap;
};

struct fact {
	struct fact *next;
	char *key, *value;
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
	size_t open;
	unsigned calls[MEMOUT_CALLS], fail_at[MEMOUT_CALLS];
	int status[MEMOUT_CALLS];
	void (*on_write)(void *);
	void *arg;
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

static void
free_object(struct object *o)
{
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

/* Committed and aborted writers are gone in any case. */
static void
end_writer(struct writer *w, bool keep)
{
	struct memout *m = w->m;
	struct object **p;

	(void)pthread_mutex_lock(&m->mutex);
	m->open--;
	if (keep) {
		for (p = &m->objects; *p != NULL; p = &(*p)->next)
			continue;
		*p = w->o;
	}
	(void)pthread_mutex_unlock(&m->mutex);
	if (!keep)
		free_object(w->o);
	free(w);
}

static int
out_commit(struct hf_writer *hw, struct hf_error *err)
{
	struct writer *w = (struct writer *)hw;
	int rc = call(w->m, MEMOUT_COMMIT, err);

	end_writer(w, rc == HF_OK);
	return rc;
}

static void
out_abort(struct hf_writer *w)
{
	end_writer((struct writer *)w, false);
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
in_list(struct hf_in *in, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	struct memout *m = ((struct memout_in *)in)->m;
	const struct object *o;
	int rc = 0;

	(void)err;
	for (o = m->objects; o != NULL && rc == 0; o = o->next) {
		struct hf_object ho = {
			.struct_size = sizeof ho, .key = o->name, .size = o->len
		};

		rc = fn(arg, &ho);
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

	if ((rc = call(m, MEMOUT_OPEN, err)) != HF_OK)
		return rc;
	for (o = m->objects; o != NULL; o = o->next)
		if (strcmp(o->name, name) == 0)
			break;
	if (o == NULL)
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

static const struct out_ops out_table = { out_begin, out_write, out_commit,
	out_abort, out_fact };
static const struct in_ops in_table = { in_list, in_open, in_read, in_close,
	in_fact };

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
	struct fact *f;

	if (m == NULL)
		return;
	while ((o = m->objects) != NULL) {
		m->objects = o->next;
		free_object(o);
	}
	while ((f = m->facts) != NULL) {
		m->facts = f->next;
		free(f->key);
		free(f->value);
		free(f);
	}
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

unsigned
memout_calls(struct memout *m, enum memout_call which)
{
	return m->calls[which];
}

void
memout_on_write(struct memout *m, void (*fn)(void *), void *arg)
{
	m->on_write = fn;
	m->arg = arg;
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
	struct fact *f, **p;

	(void)pthread_mutex_lock(&m->mutex);
	for (p = &m->facts; (f = *p) != NULL; p = &f->next)
		if (strcmp(f->key, key) == 0) {
			*p = f->next;
			free(f->key);
			free(f->value);
			free(f);
			break;
		}
	if (value != NULL) {
		f = must(calloc(1, sizeof *f));
		f->key = must(strdup(key));
		f->value = must(strdup(value));
		f->next = m->facts;
		m->facts = f;
	}
	(void)pthread_mutex_unlock(&m->mutex);
}
