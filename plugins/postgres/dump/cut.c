/* SPDX-License-Identifier: BSD-2-Clause */
#include "cut.h"

#include "run.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 9999

unsigned
cut_parts(uint64_t size, uint64_t chunk, unsigned jobs, uint64_t blocks)
{
	uint64_t n;

	if (chunk == 0 || size <= chunk || blocks < 2)
		return 1;
	if (jobs == 0)
		jobs = 1;
	n = (size - 1) / chunk + 1;
	if (n > PARTS_MAX)
		n = PARTS_MAX;
	n = (n + jobs - 1) / jobs * jobs;
	return (unsigned)(n < blocks ? n : blocks);
}

static int
by_size(const void *a, const void *b)
{
	const struct source *x = *(const struct source *const *)a;
	const struct source *y = *(const struct source *const *)b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return x->oid < y->oid ? -1 : x->oid > y->oid;
}

static int
by_work(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->part < y->part ? -1 : x->part > y->part;
}

static size_t
add_parts(struct task *to, size_t at, const struct source *s)
{
	uint64_t n = s->parts;

	for (unsigned i = 0; i < s->parts; i++) {
		struct task *t = &to[i];

		t->first = at;
		t->n = 1;
		t->part = i + 1;
		t->parts = s->parts;
		t->from = s->blocks / n * i + s->blocks % n * i / n;
		t->to = s->blocks / n * (i + 1) + s->blocks % n * (i + 1) / n;
		t->size = s->size / n;
	}
	return s->parts;
}

/* The small tables from at on, as many as one object takes. */
static size_t
bundle(struct task *t, const struct cut *c, size_t at, size_t n, unsigned part)
{
	t->first = at;
	t->bundle = true;
	t->part = part;
	t->parts = 1;
	while (at < n && t->n < CUT_BUNDLE_TABLES &&
	       (t->n == 0 || t->size + c->order[at]->size <= CUT_BUNDLE)) {
		t->size += c->order[at++]->size;
		t->n++;
	}
	return at;
}

bool
cut_make(struct cut *c, struct source *sources, size_t n, uint64_t chunk,
    unsigned jobs, bool ranges)
{
	size_t at, there = 0, most = 0;
	unsigned part = 0;

	memset(c, 0, sizeof *c);
	if (n == 0)
		return true;
	if ((c->order = calloc(n, sizeof(struct source *))) == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct source *s = &sources[i];

		s->parts = 1;
		if (s->absent)
			continue;
		c->order[there++] = s;
		if (ranges && s->heap && s->filter == NULL &&
		    s->size >= CUT_SMALL)
			s->parts = cut_parts(s->size, chunk, jobs, s->blocks);
		most += s->parts;
	}
	if ((n = there) == 0)
		return true;
	qsort(c->order, n, sizeof(struct source *), by_size);
	if ((c->tasks = calloc(most, sizeof *c->tasks)) == NULL)
		return false;
	for (at = 0; at < n && c->order[at]->size >= CUT_SMALL; at++)
		c->ntasks += add_parts(&c->tasks[c->ntasks], at, c->order[at]);
	while (at < n)
		at = bundle(&c->tasks[c->ntasks++], c, at, n, ++part);
	qsort(c->tasks, c->ntasks, sizeof *c->tasks, by_work);
	return true;
}

void
cut_clear(struct cut *c)
{
	free(c->order);
	free(c->tasks);
	memset(c, 0, sizeof *c);
}
