/* SPDX-License-Identifier: BSD-2-Clause */
#include "in.h"

#include <stdlib.h>
#include <string.h>

#include "flow/reader.h"

static struct in *
in_of(struct hf_in *i)
{
	return (struct in *)(void *)i;
}

static struct reader *
reader_of(struct hf_reader *r)
{
	return (struct reader *)(void *)r;
}

static int
by_name(const void *a, const void *b)
{
	const struct flow_object *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
by_key(const void *a, const void *b)
{
	const char *const *const *x = a, *const *const *y = b;

	return strcmp((*x)[0], (*y)[0]);
}

static const struct flow_object *
find(const struct in *in, const char *name)
{
	struct flow_object wanted = { .name = (char *)(uintptr_t)name };
	const struct flow_object *key = &wanted;
	const struct flow_object **found = bsearch(&key, in->objects,
	    in->opts.nobjects, sizeof(struct flow_object *), by_name);

	return found == NULL ? NULL : *found;
}

/* The first failure of what is stored; not what the caller did wrong. */
static void
keep_failure(struct in *in, const struct hf_error *why)
{
	pool_lock(in->flow);
	if (in->why.status == HF_OK && why->status != HF_E_CANCELLED)
		in->why = *why;
	pool_unlock(in->flow);
}

static int
ops_list(struct hf_in *h, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	struct in *in = in_of(h);
	int rc = 0;

	(void)err;
	for (size_t i = 0; i < in->opts.nobjects && rc == 0; i++) {
		struct hf_object o = {
			.struct_size = sizeof o,
			.key = in->opts.objects[i].name,
			.size = in->opts.objects[i].raw_size,
		};

		rc = fn(arg, &o);
	}
	return rc;
}

static int
ops_open(struct hf_in *h, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **out, struct hf_error *err)
{
	struct in *in = in_of(h);
	const struct flow_object *o = find(in, name);
	struct hf_error why = { .status = HF_OK };
	struct reader *r;
	int rc;

	*out = NULL;
	if (o == NULL)
		return error_fail(err, HF_E_NOTFOUND,
		    "there is no object named %s in this backup", name);
	if (off > o->raw_size)
		return error_fail(err, HF_E_INVALID,
		    "the object %s ends before byte %llu", name,
		    (unsigned long long)off);
	if ((rc = reader_open(in, o, off, len, &r, &why)) != HF_OK) {
		keep_failure(in, &why);
		if (err != NULL)
			*err = why;
		return rc;
	}
	r->base.ops = &in_table;
	pool_lock(in->flow);
	r->next = in->readers;
	in->readers = r;
	pool_unlock(in->flow);
	*out = &r->base;
	return HF_OK;
}

static int
ops_read(
    struct hf_reader *h, void *p, size_t cap, size_t *n, struct hf_error *err)
{
	struct reader *r = reader_of(h);
	struct in *in = r->in;
	struct hf_error why = { .status = HF_OK };
	uint64_t done;
	int rc;

	*n = 0;
	if (cap == 0)
		return error_fail(
		    err, HF_E_INVALID, "reading into a buffer of no bytes");
	rc = reader_read(r, p, cap, n, &why);
	if (rc < HF_OK) {
		keep_failure(in, &why);
		if (err != NULL)
			*err = why;
	}
	if (*n > 0) {
		pool_lock(in->flow);
		done = in->done += *n;
		pool_unlock(in->flow);
		if (in->opts.progress != NULL)
			in->opts.progress(in->opts.arg, done);
	}
	return rc;
}

static void
ops_close(struct hf_reader *h)
{
	struct reader *r = reader_of(h), **at;

	if (h == NULL)
		return;
	pool_lock(r->flow);
	for (at = &r->in->readers; *at != NULL; at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			break;
		}
	pool_unlock(r->flow);
	reader_close(r);
}

static const char *
ops_fact(struct hf_in *h, const char *key)
{
	const struct in *in = in_of(h);
	const char *const pair[] = { key, NULL };
	const char *const *wanted = pair;
	const char *const **found = bsearch(&wanted, in->facts, in->nfacts,
	    sizeof(const char *const *), by_key);

	return found == NULL ? NULL : (*found)[1];
}

const struct in_ops in_table = {
	.list = ops_list,
	.open = ops_open,
	.read = ops_read,
	.close = ops_close,
	.fact = ops_fact,
};

/* An engine asks for thousands of objects and facts by their names. */
static bool
sort(struct in *in)
{
	const char *const *facts = in->opts.facts;
	size_t n = in->opts.nobjects;

	while (facts != NULL && facts[2 * in->nfacts] != NULL)
		in->nfacts++;
	in->objects = calloc(n + 1, sizeof(struct flow_object *));
	in->facts = calloc(in->nfacts + 1, sizeof(const char *const *));
	if (in->objects == NULL || in->facts == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		in->objects[i] = &in->opts.objects[i];
	for (size_t i = 0; i < in->nfacts; i++)
		in->facts[i] = facts + 2 * i;
	qsort(in->objects, n, sizeof(struct flow_object *), by_name);
	qsort(in->facts, in->nfacts, sizeof(const char *const *), by_key);
	return true;
}

int
in_new(struct flow *f, const struct in_options *o, struct hf_in **out,
    struct hf_error *err)
{
	struct in *in = calloc(1, sizeof *in);

	*out = NULL;
	if (in == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a backup");
	in->base.ops = &in_table;
	in->opts = *o;
	if (!sort(in)) {
		free(in->objects);
		free(in->facts);
		free(in);
		return error_fail(err, HF_E_NOMEM, "no memory for a backup");
	}
	pool_lock(f);
	in->flow = pool_ref(f);
	pool_unlock(f);
	*out = &in->base;
	return HF_OK;
}

void
in_free(struct hf_in *h)
{
	struct in *in = in_of(h);

	if (h == NULL)
		return;
	while (in->readers != NULL)
		ops_close(&in->readers->base);
	pool_release(in->flow);
	free(in->objects);
	free(in->facts);
	free(in);
}

int
in_failure(const struct hf_in *h, struct hf_error *why)
{
	const struct in *in = (const struct in *)(const void *)h;
	int status;

	pool_lock(in->flow);
	status = in->why.status;
	if (status != HF_OK && why != NULL)
		*why = in->why;
	pool_unlock(in->flow);
	return status;
}

/* To the end, thrown away. */
static int
drain(struct hf_reader *r, struct hf_error *err)
{
	size_t cap = 64 * 1024, n;
	void *sink = malloc(cap);
	int rc;

	if (sink == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for reading");
	do {
		rc = ops_read(r, sink, cap, &n, err);
	} while (rc == HF_OK);
	free(sink);
	return rc == HF_EOF ? HF_OK : rc;
}

int
in_verify(struct hf_in *h, const char *name, struct hf_error *err)
{
	struct hf_reader *r;
	const struct reader *reader;
	int rc;

	if ((rc = ops_open(h, name, 0, UINT64_MAX, &r, err)) != HF_OK)
		return rc;
	reader = reader_of(r);
	/* The bytes come first: a bad index costs ranges, not data. */
	rc = drain(r, err);
	if (rc == HF_OK && reader->index_bad) {
		rc = reader->why_index.status;
		keep_failure(in_of(h), &reader->why_index);
		if (err != NULL)
			*err = reader->why_index;
	}
	ops_close(r);
	return rc;
}
