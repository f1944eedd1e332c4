/* SPDX-License-Identifier: BSD-2-Clause */
#include "tar.h"

#include "../postgres.h"

#include <string.h>

#define SIZE_AT 124
#define SIZE_LEN 12
#define SUM_AT 148
#define SUM_LEN 8
#define NAME_LEN 100

void
tar_init(struct tar *t, const char *name)
{
	memset(t, 0, sizeof *t);
	t->name = name;
}

/* Octal digits, or from 8 GiB on the number itself behind a marked byte. */
static bool
number(const unsigned char *p, size_t len, uint64_t *out)
{
	uint64_t n = 0;
	size_t i = 0;

	if (p[0] == 0x80) {
		for (i = 1; i < len; i++) {
			if (n >> 55 != 0)
				return false;
			n = n << 8 | p[i];
		}
		*out = n;
		return true;
	}
	while (i < len && p[i] == ' ')
		i++;
	if (i == len || p[i] < '0' || p[i] > '7')
		return false;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
		n = n << 3 | (uint64_t)(p[i] - '0');
	*out = n;
	return i == len || p[i] == ' ' || p[i] == '\0';
}

static bool
sum_agrees(const unsigned char *head)
{
	uint64_t said, sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= SUM_AT && i < SUM_AT + SUM_LEN ? ' ' : head[i];
	return number(head + SUM_AT, SUM_LEN, &said) && said == sum;
}

static bool
all_zero(const unsigned char *p)
{
	return p[0] == 0 && memcmp(p, p + 1, TAR_BLOCK - 1) == 0;
}

static bool
is_named(const struct tar *t, const char *name)
{
	return strncmp((const char *)t->head, name, NAME_LEN) == 0;
}

static int
header(struct tar *t, struct hf_error *err)
{
	uint64_t size;

	if (all_zero(t->head)) {
		t->zeros++;
		return HF_OK;
	}
	if (t->zeros > 0)
		return H->fail(
		    err, HF_E_CORRUPT, "%s: goes on after its end", t->name);
	if (!sum_agrees(t->head) || !number(t->head + SIZE_AT, SIZE_LEN, &size))
		return H->fail(err, HF_E_CORRUPT,
		    "%s: the header of member %llu is none", t->name,
		    (unsigned long long)t->members + 1);
	t->members++;
	t->left = size;
	t->pad = (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
	t->keeping = is_named(t, "global/pg_control") ? &t->control
		     : is_named(t, "backup_label")    ? &t->label
						      : NULL;
	if (t->keeping != NULL)
		t->keeping->len = 0;
	return HF_OK;
}

static void
keep(struct tar_kept *k, const unsigned char *p, size_t n)
{
	if (n > TAR_KEPT - k->len)
		n = TAR_KEPT - k->len;
	memcpy(k->b + k->len, p, n);
	k->len += n;
	k->b[k->len] = '\0';
}

int
tar_feed(struct tar *t, const void *buf, size_t len, struct hf_error *err)
{
	const unsigned char *p = buf;
	size_t n;
	int rc;

	for (; len > 0; p += n, len -= n) {
		if (t->left > 0) {
			n = t->left < len ? (size_t)t->left : len;
			if (t->keeping != NULL)
				keep(t->keeping, p, n);
			t->left -= n;
		} else if (t->pad > 0) {
			n = t->pad < len ? (size_t)t->pad : len;
			t->pad -= n;
		} else {
			n = TAR_BLOCK - t->have;
			n = n < len ? n : len;
			memcpy(t->head + t->have, p, n);
			if ((t->have += n) < TAR_BLOCK)
				continue;
			t->have = 0;
			if ((rc = header(t, err)) != HF_OK)
				return rc;
		}
	}
	return HF_OK;
}

bool
tar_inside(const struct tar *t)
{
	return t->left > 0 || t->pad > 0 || t->have > 0;
}

int
tar_end(const struct tar *t, struct hf_error *err)
{
	if (tar_inside(t))
		return H->fail(err, HF_E_IO,
		    "%s: ended inside of its member %llu", t->name,
		    (unsigned long long)t->members);
	if (t->zeros < 2)
		return H->fail(
		    err, HF_E_IO, "%s: ended without its end mark", t->name);
	return HF_OK;
}
