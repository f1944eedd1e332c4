/* SPDX-License-Identifier: BSD-2-Clause */
#include "memio.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "conform.h"
#include "data.h"

struct mem_writer {
	struct hf_writer base;
	struct memio *m;
	struct memio_object *object;
};

struct mem_reader {
	struct hf_reader base;
	struct memio *m;
	const struct memio_object *object;
	uint64_t at, end;
};

static const struct out_ops out_table;
static const struct in_ops in_table;

static char *
copy(const char *text)
{
	size_t len = strlen(text) + 1;

	return memcpy(data_alloc(len), text, len);
}

static struct memio *
of_in(struct hf_in *in)
{
	return (
	    struct memio *)(void *)((char *)in - offsetof(struct memio, in));
}

/* The lock is held.  Is this the call that fails? */
static int
gate(struct memio *m, struct hf_error *err)
{
	m->calls++;
	if (m->fail_at == 0 || m->calls < m->fail_at)
		return HF_OK;
	if (m->calls > m->fail_at)
		m->calls_after++;
	if (m->cancel != NULL)
		cancel_request(m->cancel);
	return error_fail(
	    err, m->fail_status, "call %zu was told to fail", m->calls);
}

static void
free_object(struct memio_object *o)
{
	if (o == NULL)
		return;
	free(o->name);
	buf_free(&o->data);
	free(o);
}

static struct memio_object *
find(struct memio *m, const char *name)
{
	struct memio_object *o = m->objects;

	while (o != NULL && strcmp(o->name, name) != 0)
		o = o->next;
	return o;
}

static void
count_open(struct memio *m)
{
	m->begun++;
	if (++m->open > m->most_open)
		m->most_open = m->open;
}

static int
mem_begin(struct hf_out *out, const char *name, uint64_t size_hint,
    struct hf_writer **w, struct hf_error *err)
{
	struct memio *m = (struct memio *)(void *)out;
	struct mem_writer *mine;
	int status;

	(void)size_hint;
	pthread_mutex_lock(&m->lock);
	status = gate(m, err);
	if (status == HF_OK) {
		CHECK(name != NULL && name[0] != '\0',
		    "out_begin without a name");
		CHECK(find(m, name) == NULL,
		    "the object \"%s\" was written twice", name);
		mine = data_alloc(sizeof *mine);
		*mine = (struct mem_writer){ .base.ops = &out_table, .m = m };
		mine->object = data_alloc(sizeof *mine->object);
		*mine->object = (struct memio_object){ .name = copy(name) };
		count_open(m);
		*w = &mine->base;
	}
	pthread_mutex_unlock(&m->lock);
	return status;
}

static int
mem_write(
    struct hf_writer *w, const void *buf, size_t len, struct hf_error *err)
{
	struct mem_writer *mine = (struct mem_writer *)(void *)w;
	struct memio *m = mine->m;
	int status;

	pthread_mutex_lock(&m->lock);
	status = gate(m, err);
	if (status == HF_OK)
		status = buf_append(&mine->object->data, buf, len, err);
	pthread_mutex_unlock(&m->lock);
	return status;
}

static int
mem_commit(struct hf_writer *w, struct hf_error *err)
{
	struct mem_writer *mine = (struct mem_writer *)(void *)w;
	struct memio *m = mine->m;
	struct memio_object **end = &m->objects;
	int status;

	pthread_mutex_lock(&m->lock);
	status = gate(m, err);
	m->open--;
	if (status == HF_OK) {
		while (*end != NULL)
			end = &(*end)->next;
		*end = mine->object;
		m->committed++;
	} else {
		free_object(mine->object);
	}
	pthread_mutex_unlock(&m->lock);
	free(mine);
	return status;
}

static void
mem_abort(struct hf_writer *w)
{
	struct mem_writer *mine = (struct mem_writer *)(void *)w;
	struct memio *m = mine->m;

	pthread_mutex_lock(&m->lock);
	m->open--;
	m->aborted++;
	pthread_mutex_unlock(&m->lock);
	free_object(mine->object);
	free(mine);
}

static int
mem_fact(struct hf_out *out, const char *key, const char *value,
    struct hf_error *err)
{
	struct memio *m = (struct memio *)(void *)out;
	struct memio_fact *f;
	int status;

	CHECK(key != NULL && key[0] != '\0' && value != NULL,
	    "out_fact without a key or a value");
	pthread_mutex_lock(&m->lock);
	status = gate(m, err);
	if (status == HF_OK) {
		for (f = m->facts; f != NULL; f = f->next)
			if (strcmp(f->key, key) == 0)
				break;
		if (f == NULL) {
			f = data_alloc(sizeof *f);
			*f = (struct memio_fact){ .next = m->facts,
				.key = copy(key) };
			m->facts = f;
		}
		free(f->value);
		f->value = copy(value);
	}
	pthread_mutex_unlock(&m->lock);
	return status;
}

static const struct out_ops out_table = { .begin = mem_begin,
	.write = mem_write,
	.commit = mem_commit,
	.abort = mem_abort,
	.fact = mem_fact };

static int
mem_list(struct hf_in *in, hf_list_fn *cb, void *arg, struct hf_error *err)
{
	struct memio *m = of_in(in);
	int status;

	pthread_mutex_lock(&m->lock);
	status = gate(m, err);
	pthread_mutex_unlock(&m->lock);
	/* committed objects do not change any more */
	for (struct memio_object *o = m->objects; status == HF_OK && o != NULL;
	     o = o->next) {
		struct hf_object object = { .struct_size = sizeof object,
			.key = o->name,
			.size = o->data.len };

		status = cb(arg, &object);
	}
	return status;
}

static int
mem_open(struct hf_in *in, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **r, struct hf_error *err)
{
	struct memio *m = of_in(in);
	struct memio_object *o;
	struct mem_reader *mine;
	int status;

	pthread_mutex_lock(&m->lock);
	status = gate(m, err);
	o = find(m, name);
	if (status == HF_OK && o == NULL)
		status = error_fail(
		    err, HF_E_NOTFOUND, "the backup has no %s", name);
	else if (status == HF_OK && off > o->data.len)
		status = error_fail(
		    err, HF_E_INVALID, "%s is shorter than that", name);
	if (status == HF_OK) {
		mine = data_alloc(sizeof *mine);
		*mine = (struct mem_reader){ .base.ops = &in_table,
			.m = m,
			.object = o,
			.at = off,
			.end =
			    len > o->data.len - off ? o->data.len : off + len };
		count_open(m);
		*r = &mine->base;
	}
	pthread_mutex_unlock(&m->lock);
	return status;
}

static int
mem_read(
    struct hf_reader *r, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	struct mem_reader *mine = (struct mem_reader *)(void *)r;
	struct memio *m = mine->m;
	int status;

	*n = 0;
	CHECK(cap > 0, "in_read with no room");
	pthread_mutex_lock(&m->lock);
	status = gate(m, err);
	if (status == HF_OK && m->read >= m->damage_at)
		status = error_fail(err, HF_E_CORRUPT,
		    "the stored bytes of %s are damaged", mine->object->name);
	if (status == HF_OK && mine->at == mine->end)
		status = HF_EOF;
	if (status == HF_OK) {
		uint64_t left = mine->end - mine->at;

		*n = left < cap ? (size_t)left : cap;
		/* short reads are what a network gives */
		if (*n > 200000)
			*n = 200000;
		if (*n > m->damage_at - m->read)
			*n = (size_t)(m->damage_at - m->read);
		memcpy(buf, mine->object->data.data + mine->at, *n);
		mine->at += *n;
		m->read += *n;
	}
	pthread_mutex_unlock(&m->lock);
	return status;
}

static void
mem_close(struct hf_reader *r)
{
	struct mem_reader *mine = (struct mem_reader *)(void *)r;

	pthread_mutex_lock(&mine->m->lock);
	mine->m->open--;
	pthread_mutex_unlock(&mine->m->lock);
	free(mine);
}

static const char *
mem_in_fact(struct hf_in *in, const char *key)
{
	for (struct memio_fact *f = of_in(in)->facts; f != NULL; f = f->next)
		if (strcmp(f->key, key) == 0)
			return f->value;
	return NULL;
}

static const struct in_ops in_table = { .list = mem_list,
	.open = mem_open,
	.read = mem_read,
	.close = mem_close,
	.fact = mem_in_fact };

void
memio_init(struct memio *m)
{
	*m = (struct memio){ .out.ops = &out_table, .in.ops = &in_table };
	(void)pthread_mutex_init(&m->lock, NULL);
	memio_reset(m);
}

void
memio_reset(struct memio *m)
{
	m->calls = m->fail_at = m->calls_after = 0;
	m->fail_status = HF_E_IO;
	m->cancel = NULL;
	m->damage_at = MEMIO_NO_DAMAGE;
	m->read = 0;
	m->open = m->most_open = m->begun = m->committed = m->aborted = 0;
}

void
memio_clear(struct memio *m)
{
	while (m->objects != NULL) {
		struct memio_object *o = m->objects;

		m->objects = o->next;
		free_object(o);
	}
	while (m->facts != NULL) {
		struct memio_fact *f = m->facts;

		m->facts = f->next;
		free(f->key);
		free(f->value);
		free(f);
	}
	(void)pthread_mutex_destroy(&m->lock);
}
