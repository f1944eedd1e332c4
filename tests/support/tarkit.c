/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/tarkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512

static void
add(struct tarkit *t, const void *bytes, size_t len)
{
	size_t padded = (len + BLOCK - 1) / BLOCK * BLOCK;

	if (t->cap - t->len < padded) {
		t->cap = (t->cap + padded) * 2;
		if ((t->bytes = realloc(t->bytes, t->cap)) == NULL)
			abort();
	}
	if (padded > 0)
		memset(t->bytes + t->len, 0, padded);
	if (len > 0)
		memcpy(t->bytes + t->len, bytes, len);
	t->len += padded;
}

void
tarkit_add(struct tarkit *t, const char *path, char type, const char *link,
    const void *bytes, size_t len)
{
	char head[BLOCK] = { 0 };
	unsigned sum = 0;

	(void)snprintf(head, 100, "%s", path);
	(void)snprintf(
	    head + 100, 8, "%07o", type == TARKIT_FOLDER ? 0700u : 0600u);
	(void)snprintf(head + 124, 12, "%011lo", (unsigned long)len);
	memset(head + 148, ' ', 8);
	head[156] = type;
	if (link != NULL)
		(void)snprintf(head + 157, 100, "%s", link);
	memcpy(head + 257,
	    "ustar\0"
	    "00",
	    8);
	for (size_t i = 0; i < sizeof head; i++)
		sum += (unsigned char)head[i];
	(void)snprintf(head + 148, 8, "%06o", sum);
	add(t, head, sizeof head);
	add(t, bytes, len);
}

void
tarkit_end(struct tarkit *t)
{
	static const char end[2 * BLOCK];

	add(t, end, sizeof end);
}

void
tarkit_free(struct tarkit *t)
{
	free(t->bytes);
	*t = (struct tarkit){ 0 };
}
