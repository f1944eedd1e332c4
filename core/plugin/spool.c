/* SPDX-License-Identifier: BSD-2-Clause */
#include "plugin/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "plugin/host.h"

/* Names are any UTF-8, so files are named by numbers. */
struct object {
	char *name;
	unsigned number;
	uint64_t size;
	bool whole;
};
struct fact {
	char *key, *value;
};
struct spool {
	struct hf_out out; /* the first, so that it leads back */
	struct hf_in in;
	int dir;
	pthread_mutex_t lock;
	struct object **objects;
	size_t n;
	struct fact *facts;
	size_t nfacts;
};
struct spool_writer {
	struct hf_writer head;
	struct spool *spool;
	struct object *object;
	int fd;
};
struct spool_reader {
	struct hf_reader head;
	const char *name;
	int fd;
	uint64_t left;
};

static int
nomem(struct hf_error *err)
{
	return error_fail(err, HF_E_NOMEM, "out of memory");
}

static struct spool *
of_in(struct hf_in *in)
{
	return (
	    struct spool *)(void *)((char *)in - offsetof(struct spool, in));
}

static void
file_name(const struct object *o, char name[16])
{
	(void)snprintf(name, 16, "%u", o->number);
}

/* ---- writing ---- */

/* Under the lock. */
static struct object *
find(struct spool *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->objects[i]->name, name) == 0)
			return s->objects[i];
	return NULL;
}

static struct object *
add(struct spool *s, const char *name)
{
	struct object **grown =
	    realloc(s->objects, (s->n + 1) * sizeof(struct object *));
	struct object *o;

	if (grown == NULL)
		return NULL;
	s->objects = grown;
	if ((o = calloc(1, sizeof *o)) == NULL)
		return NULL;
	if ((o->name = strdup(name)) == NULL) {
		free(o);
		return NULL;
	}
	o->number = (unsigned)s->n;
	s->objects[s->n++] = o;
	return o;
}

static int
spool_begin(struct hf_out *out, const char *name, uint64_t size_hint,
    struct hf_writer **given, struct hf_error *err)
{
	struct spool *s = (struct spool *)(void *)out;
	struct spool_writer *w = calloc(1, sizeof *w);
	bool taken;
	char file[16];

	(void)size_hint;
	if (w == NULL)
		return nomem(err);
	(void)pthread_mutex_lock(&s->lock);
	taken = find(s, name) != NULL;
	w->object = taken ? NULL : add(s, name);
	(void)pthread_mutex_unlock(&s->lock);
	if (w->object == NULL) {
		free(w);
		return taken ? error_fail(err, HF_E_BUG,
				   "the object %s is there already", name)
			     : nomem(err);
	}
	file_name(w->object, file);
	w->fd =
	    openat(s->dir, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0) {
		free(w);
		return error_errno(err, errno, "making a temporary file");
	}
	w->head.ops = out->ops;
	w->spool = s;
	*given = &w->head;
	return HF_OK;
}

static int
spool_write(
    struct hf_writer *given, const void *buf, size_t len, struct hf_error *err)
{
	struct spool_writer *w = (struct spool_writer *)(void *)given;
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(w->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(
			    err, errno, "writing a temporary file");
		p += n;
		len -= (size_t)n;
		w->object->size += (uint64_t)n;
	}
	return HF_OK;
}

static int
spool_commit(struct hf_writer *given, struct hf_error *err)
{
	struct spool_writer *w = (struct spool_writer *)(void *)given;
	int rc = HF_OK;

	if (close(w->fd) != 0)
		rc = error_errno(err, errno, "writing a temporary file");
	(void)pthread_mutex_lock(&w->spool->lock);
	w->object->whole = rc == HF_OK;
	(void)pthread_mutex_unlock(&w->spool->lock);
	free(w);
	return rc;
}

static void
spool_abort(struct hf_writer *given)
{
	struct spool_writer *w = (struct spool_writer *)(void *)given;

	(void)close(w->fd);
	free(w);
}

static int
spool_fact(struct hf_out *out, const char *key, const char *value,
    struct hf_error *err)
{
	struct spool *s = (struct spool *)(void *)out;
	struct fact *grown = NULL;
	char *copy = strdup(value);
	size_t i;

	(void)pthread_mutex_lock(&s->lock);
	for (i = 0; i < s->nfacts; i++)
		if (strcmp(s->facts[i].key, key) == 0)
			break;
	if (copy != NULL && i == s->nfacts &&
	    (grown = realloc(s->facts, (i + 1) * sizeof *grown)) != NULL) {
		s->facts = grown;
		grown[i] = (struct fact){ .key = strdup(key) };
		if (grown[i].key != NULL)
			s->nfacts++;
	}
	if (copy != NULL && i < s->nfacts) {
		free(s->facts[i].value);
		s->facts[i].value = copy;
		copy = NULL;
		grown = s->facts;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (copy == NULL && i < s->nfacts)
		return HF_OK;
	free(copy);
	return nomem(err);
}

/* ---- reading ---- */

static int
spool_list(struct hf_in *in, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	struct spool *s = of_in(in);

	(void)err;
	/* Nothing is written any more. */
	for (size_t i = 0; i < s->n; i++) {
		const struct hf_object o = { .struct_size = sizeof o,
			.key = s->objects[i]->name,
			.size = s->objects[i]->size };

		if (s->objects[i]->whole && fn(arg, &o) != 0)
			break;
	}
	return HF_OK;
}

static int
spool_read_open(struct hf_in *in, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **given, struct hf_error *err)
{
	struct spool *s = of_in(in);
	struct spool_reader *r;
	struct object *o;
	char file[16];

	(void)pthread_mutex_lock(&s->lock);
	o = find(s, name);
	(void)pthread_mutex_unlock(&s->lock);
	if (o == NULL || !o->whole)
		return error_fail(err, HF_E_NOTFOUND, "no object %s", name);
	if (off > o->size)
		return error_fail(
		    err, HF_E_INVALID, "%s: a range past its end", name);
	if ((r = calloc(1, sizeof *r)) == NULL)
		return nomem(err);
	file_name(o, file);
	r->fd = openat(s->dir, file, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0 || lseek(r->fd, (off_t)off, SEEK_SET) < 0) {
		int rc = error_errno(err, errno, "opening a temporary file");

		if (r->fd >= 0)
			(void)close(r->fd);
		free(r);
		return rc;
	}
	r->head.ops = in->ops;
	r->name = o->name;
	r->left = len < o->size - off ? len : o->size - off;
	*given = &r->head;
	return HF_OK;
}

static int
spool_read(struct hf_reader *given, void *buf, size_t cap, size_t *n,
    struct hf_error *err)
{
	struct spool_reader *r = (struct spool_reader *)(void *)given;
	ssize_t got;

	*n = 0;
	if (r->left == 0)
		return HF_EOF;
	if (cap > r->left)
		cap = (size_t)r->left;
	do
		got = read(r->fd, buf, cap);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_errno(err, errno, "reading a temporary file");
	if (got == 0)
		return error_fail(err, HF_E_CORRUPT,
		    "the temporary file of %s was cut", r->name);
	r->left -= (uint64_t)got;
	*n = (size_t)got;
	return HF_OK;
}

static void
spool_read_close(struct hf_reader *given)
{
	struct spool_reader *r = (struct spool_reader *)(void *)given;

	(void)close(r->fd);
	free(r);
}

static const char *
spool_fact_of(struct hf_in *in, const char *key)
{
	struct spool *s = of_in(in);

	for (size_t i = 0; i < s->nfacts; i++)
		if (strcmp(s->facts[i].key, key) == 0)
			return s->facts[i].value;
	return NULL;
}

static const struct out_ops out_ops = {
	.begin = spool_begin,
	.write = spool_write,
	.commit = spool_commit,
	.abort = spool_abort,
	.fact = spool_fact,
};
static const struct in_ops in_ops = {
	.list = spool_list,
	.open = spool_read_open,
	.read = spool_read,
	.close = spool_read_close,
	.fact = spool_fact_of,
};

int
spool_open(const char *folder, struct hf_out **out, struct hf_in **in,
    struct hf_error *err)
{
	struct spool *s = calloc(1, sizeof *s);

	if (s == NULL)
		return nomem(err);
	s->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0) {
		free(s);
		return error_errno(err, errno, "opening %s", folder);
	}
	(void)pthread_mutex_init(&s->lock, NULL);
	s->out.ops = &out_ops;
	s->in.ops = &in_ops;
	*out = &s->out;
	*in = &s->in;
	return HF_OK;
}

void
spool_close(struct hf_out *out)
{
	struct spool *s = (struct spool *)(void *)out;
	char file[16];

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		file_name(s->objects[i], file);
		(void)unlinkat(s->dir, file, 0);
		free(s->objects[i]->name);
		free(s->objects[i]);
	}
	for (size_t i = 0; i < s->nfacts; i++) {
		free(s->facts[i].key);
		free(s->facts[i].value);
	}
	free(s->objects);
	free(s->facts);
	(void)close(s->dir);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}
