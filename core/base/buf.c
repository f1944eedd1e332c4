/* SPDX-License-Identifier: BSD-2-Clause */
#include "buf.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

int
buf_reserve(struct buf *b, size_t cap, struct hf_error *err)
{
	uint8_t *data;

	if (cap <= b->cap)
		return HF_OK;
	if ((data = realloc(b->data, cap)) == NULL)
		return error_fail(
		    err, HF_E_NOMEM, "no memory for %zu bytes", cap);
	b->data = data;
	b->cap = cap;
	return HF_OK;
}

int
buf_append(struct buf *b, const void *p, size_t n, struct hf_error *err)
{
	int rc;

	if (n > SIZE_MAX / 2 - b->len)
		return error_fail(err, HF_E_NOMEM, "buffer too large");
	if (b->len + n > b->cap) {
		size_t want = b->len + n < 256 ? 256 : b->len + n;

		want += want / 2;
		if ((rc = buf_reserve(b, want, err)) != HF_OK)
			return rc;
	}
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	return HF_OK;
}

int
buf_puts(struct buf *b, const char *s, struct hf_error *err)
{
	int rc = buf_append(b, s, strlen(s) + 1, err);

	if (rc == HF_OK)
		b->len--;
	return rc;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}
