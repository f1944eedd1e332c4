/* SPDX-License-Identifier: BSD-2-Clause */
#include "chain.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "plugin/filter.h"

/* A decoder gets its input in such pieces and is looked at after each, so
 * that damaged bytes cannot blow a frame up to a thousand times its size. */
#define SLICE ((size_t)64 * 1024)

struct chain {
	size_t n;
	struct xform **xforms;
	struct buf *between; /* what the i-th gave to the next */
};

bool
chain_frames(struct filter *const *filters, size_t n)
{
	return chain_leading(filters, n) == n;
}

size_t
chain_leading(struct filter *const *filters, size_t n)
{
	size_t i = 0;

	while (i < n && filter_frames(filters[i]))
		i++;
	return i;
}

static int
frame_through(struct filter *f, bool decode, const char *name, size_t limit,
    const struct buf *from, struct buf *to, struct hf_error *err)
{
	size_t step = decode ? SLICE : SIZE_MAX, off = 0;
	struct xform *x;
	int rc;

	to->len = 0;
	if ((rc = xform_begin(f, decode, name, &x, err)) != HF_OK)
		return rc;
	do {
		size_t n = from->len - off < step ? from->len - off : step;

		rc = xform_push(x, from->data == NULL ? NULL : from->data + off,
		    n, off + n == from->len, to, err);
		off += n;
		if (rc == HF_OK && to->len > limit)
			rc = error_fail(err, HF_E_CORRUPT,
			    "a frame decodes to more than %zu bytes", limit);
	} while (rc == HF_OK && off < from->len);
	xform_end(x);
	return rc;
}

int
chain_frame(struct filter *const *filters, size_t n, bool decode,
    const char *name, size_t limit, struct buf *data, struct buf *scratch,
    struct hf_error *err)
{
	int rc;

	if (n > 0 && (rc = buf_reserve(scratch, data->cap, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < n; i++) {
		struct filter *f = filters[decode ? n - 1 - i : i];
		size_t most = decode && i + 1 == n ? limit : SIZE_MAX;
		struct buf swap;

		if ((rc = frame_through(
			 f, decode, name, most, data, scratch, err)) != HF_OK)
			return rc;
		swap = *data;
		*data = *scratch;
		*scratch = swap;
	}
	return HF_OK;
}

int
chain_open(struct filter *const *filters, size_t n, bool decode,
    const char *name, struct chain **out, struct hf_error *err)
{
	struct chain *c = calloc(1, sizeof *c);
	int rc = HF_OK;

	*out = NULL;
	if (c == NULL)
		goto nomem;
	c->xforms = calloc(n + 1, sizeof(struct xform *));
	c->between = calloc(n + 1, sizeof *c->between);
	if (c->xforms == NULL || c->between == NULL)
		goto nomem;
	for (; c->n < n; c->n++)
		if ((rc = xform_begin(filters[decode ? n - 1 - c->n : c->n],
			 decode, name, &c->xforms[c->n], err)) != HF_OK)
			goto err0;
	*out = c;
	return HF_OK;

nomem:
	rc = error_fail(err, HF_E_NOMEM, "no memory for filters");
err0:
	chain_close(c);
	return rc;
}

int
chain_push(struct chain *c, const void *src, size_t len, bool last,
    struct buf *dst, struct hf_error *err)
{
	int rc;

	if (c->n == 0)
		return buf_append(dst, src, len, err);
	for (size_t i = 0; i < c->n; i++) {
		struct buf *to = i + 1 == c->n ? dst : &c->between[i];

		if (to != dst)
			to->len = 0;
		if ((rc = xform_push(c->xforms[i], src, len, last, to, err)) !=
		    HF_OK)
			return rc;
		src = to->data;
		len = to->len;
		if (len == 0 && !last)
			break;
	}
	return HF_OK;
}

void
chain_close(struct chain *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		xform_end(c->xforms[i]);
	for (size_t i = 0; i < c->n; i++)
		buf_free(&c->between[i]);
	free(c->between);
	free(c->xforms);
	free(c);
}
