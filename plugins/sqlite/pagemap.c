/* SPDX-License-Identifier: BSD-2-Clause */
#include "pagemap.h"

#include <stdlib.h>

#define FIRST 1024

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The newest frame of each page: the last of its run, once sorted. */
static void
compact(struct pagemap *m)
{
	size_t i, n = 0;

	if (m->n == 0)
		return;
	qsort(m->at, m->n, sizeof *m->at, compare);
	for (i = 0; i < m->n; i++)
		if (i + 1 == m->n || m->at[i] >> 32 != m->at[i + 1] >> 32)
			m->at[n++] = m->at[i];
	m->n = n;
}

static bool
grow(struct pagemap *m)
{
	size_t cap = m->cap == 0 ? FIRST : m->cap * 2;
	uint64_t *at;

	if (cap > SIZE_MAX / sizeof *at)
		return false;
	if ((at = realloc(m->at, cap * sizeof *at)) == NULL)
		return false;
	m->at = at;
	m->cap = cap;
	return true;
}

bool
pagemap_add(struct pagemap *m, uint32_t page, uint32_t frame)
{
	if (m->n == m->cap) {
		compact(m);
		/* Room must be had for long enough that sorting pays. */
		if (m->n >= m->cap / 2 && !grow(m))
			return false;
	}
	m->at[m->n++] = (uint64_t)page << 32 | frame;
	return true;
}

void
pagemap_finish(struct pagemap *m, uint32_t last)
{
	compact(m);
	while (m->n > 0 && m->at[m->n - 1] >> 32 > last)
		m->n--;
}

void
pagemap_free(struct pagemap *m)
{
	free(m->at);
	m->at = NULL;
	m->n = m->cap = 0;
}
