/* SPDX-License-Identifier: BSD-2-Clause */
#include "store_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"

#define CHUNK ((size_t)64 * 1024)

struct store_get {
	struct store *store;
	struct hf_get *handle;
	bool open;         /* false after a failed read, until it is resumed */
	uint64_t off, len; /* what is still to come; len UINT64_MAX: all */
	char key[];
};

static int
open_once(struct store_get *g, struct hf_error *why)
{
	struct store *s = g->store;
	int rc;

	STORE_CALL(s, rc,
	    s->ops->get(s->handle, g->key, g->off, g->len, &g->handle, why));
	rc = instance_status(&s->base, "get", rc, false, why);
	g->open = rc == HF_OK;
	return rc;
}

static void
close_handle(struct store_get *g)
{
	if (!g->open)
		return;
	instance_lock(&g->store->base);
	g->store->ops->get_close(g->handle);
	instance_unlock(&g->store->base);
	g->handle = NULL;
	g->open = false;
}

int
store_get(struct store *s, const char *key, uint64_t off, uint64_t len,
    struct store_get **out, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	struct store_get *g;
	size_t size;
	int rc;

	*out = NULL;
	if ((rc = store_check_key(s, key, err)) != HF_OK)
		return rc;
	size = strlen(key) + 1;
	if ((g = calloc(1, sizeof *g + size)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a get");
	g->store = s;
	g->off = off;
	g->len = len;
	memcpy(g->key, key, size);
	do
		rc = open_once(g, &why);
	while (store_again(s, &rc, &tries, "getting", key, &why));
	if (rc != HF_OK) {
		free(g);
		return store_failed(s, rc, "getting", key, &why, err);
	}
	*out = g;
	return HF_OK;
}

static int
read_once(
    struct store_get *g, void *buf, size_t cap, size_t *n, struct hf_error *why)
{
	struct store *s = g->store;
	int rc;

	*n = 0;
	STORE_CALL(s, rc, s->ops->get_read(g->handle, buf, cap, n, why));
	rc = instance_status(&s->base, "get_read", rc, true, why);
	if (rc < HF_OK) {
		*n = 0;
		return rc;
	}
	if (*n > cap || (rc == HF_OK) != (*n > 0)) {
		rc = error_fail(why, HF_E_BUG,
		    "the store %s answered get_read() with %s and %zu bytes",
		    s->base.plugin->desc.name, rc == HF_OK ? "OK" : "EOF", *n);
		*n = 0;
	}
	return rc;
}

int
store_get_read(
    struct store_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	int rc;

	*n = 0;
	if (cap == 0)
		return error_fail(err, HF_E_BUG, "a read without room");
	do {
		/* All was delivered; a store may refuse a range of nothing. */
		if (g->len == 0)
			return HF_EOF;
		if (cap > g->len)
			cap = (size_t)g->len;
		rc = g->open ? HF_OK : open_once(g, &why);
		if (rc == HF_OK)
			rc = read_once(g, buf, cap, n, &why);
		if (rc == HF_E_TRANSIENT)
			close_handle(g);
	} while (store_again(g->store, &rc, &tries, "reading", g->key, &why));
	if (rc < HF_OK)
		return store_failed(g->store, rc, "reading", g->key, &why, err);
	g->off += *n;
	if (g->len != UINT64_MAX)
		g->len -= *n;
	return rc;
}

void
store_get_close(struct store_get *g)
{
	if (g == NULL)
		return;
	close_handle(g);
	free(g);
}

int
store_get_all(struct store *s, const char *key, size_t max, struct buf *b,
    struct hf_error *err)
{
	struct store_get *g;
	size_t start = b->len, n;
	int rc;

	if ((rc = store_get(s, key, 0, UINT64_MAX, &g, err)) != HF_OK)
		return rc;
	for (;;) {
		/* One more than max, to see that there is more. */
		size_t left = max - (b->len - start);
		size_t want = left < CHUNK ? left + 1 : CHUNK;

		if ((rc = buf_reserve(b, b->len + want, err)) != HF_OK)
			break;
		rc = store_get_read(g, b->data + b->len, want, &n, err);
		if (rc != HF_OK)
			break;
		b->len += n;
		if (b->len - start > max) {
			rc = error_fail(err, HF_E_CORRUPT,
			    "%s is larger than the %zu bytes that it may have",
			    key, max);
			break;
		}
	}
	store_get_close(g);
	if (rc == HF_EOF)
		rc = buf_puts(b, "", err);
	if (rc != HF_OK)
		b->len = start;
	return rc;
}
