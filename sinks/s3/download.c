/* SPDX-License-Identifier: BSD-2-Clause */
/* A range, block by block, several of them fetched ahead.  Every block is a
 * request of its own, tied to the version of the first by its ETag, so a
 * broken connection costs one block. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"
#include "pool.h"
#include "request.h"

#define FIRST_BLOCK ((size_t)256 * 1024)
#define BLOCK ((size_t)4 << 20)
#define AHEAD_MAX 16

struct block {
	struct job job; /* first */
	struct hf_get *get;
	char *data;
	size_t len, used;
	uint64_t off;
	struct hf_error *why;
	int status;
	bool busy; /* handed to the pool, not yet waited for */
};

struct hf_get {
	struct hf_store *store;
	char *key;
	char etag[72];
	uint64_t at, end; /* of what is not yet asked for */
	struct block blocks[AHEAD_MAX];
	unsigned n, first, count; /* a ring */
	int status;               /* of the first that failed */
	atomic_bool stop;         /* blocks on their way are not wanted */
};

static int
fetch(struct hf_get *g, uint64_t off, char *data, size_t len, struct answer *a,
    struct hf_error *err)
{
	char range[80], match[96], what[600];
	const char *headers[] = { range, g->etag[0] == '\0' ? NULL : match,
		NULL };
	struct request r = { .method = "GET",
		.key = g->key,
		.headers = headers,
		.into = data,
		.cap = len,
		.stop = &g->stop };
	int rc;

	(void)snprintf(range, sizeof range, "Range: bytes=%llu-%llu",
	    (unsigned long long)off, (unsigned long long)(off + len - 1));
	(void)snprintf(match, sizeof match, "If-Match: %s", g->etag);
	(void)snprintf(what, sizeof what, "reading %s at byte %llu", g->key,
	    (unsigned long long)off);
	rc = request_run(g->store, &r, a, what, err);
	if (a->status == 412 && rc != HF_OK)
		rc = H->fail(err, HF_E_CORRUPT,
		    "%s was replaced while it was read", g->key);
	return rc;
}

static void
fetch_block(struct job *job)
{
	struct block *b = (struct block *)job;
	struct answer a = { 0 };

	b->status = fetch(b->get, b->off, b->data, b->len, &a, b->why);
	if (b->status == HF_OK && a.len != b->len)
		b->status = H->fail(b->why, HF_E_IO,
		    "reading %s: the service sent %zu bytes instead of %zu",
		    b->get->key, a.len, b->len);
	answer_clear(&a);
}

/* Ask for blocks as long as there is room in the ring. */
static int
look_ahead(struct hf_get *g, struct hf_error *err)
{
	int rc;

	while (g->count < g->n && g->at < g->end) {
		struct block *b = &g->blocks[(g->first + g->count) % g->n];

		if (b->data == NULL && (b->data = malloc(BLOCK)) == NULL)
			return H->fail(err, HF_E_NOMEM, "no memory");
		if (b->why == NULL)
			b->why = H->fail_new();
		b->get = g;
		b->off = g->at;
		b->used = 0;
		b->len =
		    g->end - g->at < BLOCK ? (size_t)(g->end - g->at) : BLOCK;
		b->job.run = fetch_block;
		if ((rc = pool_run(g->store->pool, &b->job, err)) != HF_OK)
			return rc;
		b->busy = true;
		g->at += b->len;
		g->count++;
	}
	return HF_OK;
}

/* Nothing to ask for: the object must be there all the same. */
static int
begin_empty(struct hf_get *g, uint64_t off, struct hf_error *err)
{
	struct hf_object o = { .struct_size = sizeof o };
	int rc = objects_stat(g->store, g->key, &o, err);

	if (rc == HF_OK && off > o.size)
		rc = H->fail(err, HF_E_INVALID,
		    "%s has %llu bytes: there is none at %llu", g->key,
		    (unsigned long long)o.size, (unsigned long long)off);
	return rc;
}

static int
begin(struct hf_get *g, uint64_t off, uint64_t len, struct hf_error *err)
{
	struct block *b = &g->blocks[0];
	size_t want = len < FIRST_BLOCK ? (size_t)len : FIRST_BLOCK;
	struct answer a = { 0 };
	int rc;

	if (len == 0)
		return begin_empty(g, off, err);
	if ((b->data = malloc(BLOCK)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	rc = fetch(g, off, b->data, want, &a, err);
	if (rc != HF_OK && a.status == 416) {
		/* At the end, or past it: an empty object has no range. */
		answer_clear(&a);
		return begin_empty(g, off, err);
	}
	if (rc == HF_OK) {
		uint64_t whole = a.status == 206 ? a.size : off + a.len;

		memcpy(g->etag, a.etag, sizeof g->etag);
		b->len = a.len;
		g->count = 1;
		g->at = off + a.len;
		g->end = len < whole - off ? off + len : whole;
		if (a.status != 206 && off > 0)
			rc = H->fail(err, HF_E_UNSUPPORTED,
			    "reading %s: the service knows no ranges", g->key);
		else if (a.len < want && g->at < g->end)
			rc = H->fail(err, HF_E_IO,
			    "reading %s: the answer is too short", g->key);
	}
	answer_clear(&a);
	return rc;
}

int
download_begin(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **out, struct hf_error *err)
{
	struct hf_get *g = calloc(1, sizeof *g);
	int rc;

	if (g == NULL || (g->key = strdup(key)) == NULL) {
		free(g);
		return H->fail(err, HF_E_NOMEM, "no memory");
	}
	g->store = s;
	atomic_init(&g->stop, false);
	g->n = (unsigned)s->conf.parallel < AHEAD_MAX
		   ? (unsigned)s->conf.parallel
		   : AHEAD_MAX;
	if ((rc = begin(g, off, len, err)) != HF_OK) {
		download_close(g);
		return rc;
	}
	*out = g;
	return HF_OK;
}

int
download_read(
    struct hf_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	struct block *b;
	int rc;

	*n = 0;
	if (g->status != HF_OK)
		return H->fail(err, g->status, "reading %s has failed", g->key);
	if ((rc = look_ahead(g, err)) != HF_OK)
		return rc;
	if (g->count == 0)
		return HF_EOF;
	b = &g->blocks[g->first];
	if (b->busy) {
		pool_wait(g->store->pool, &b->job);
		b->busy = false;
		if (b->status != HF_OK) {
			(void)H->fail_move(err, b->why);
			return g->status = b->status;
		}
	}
	*n = b->len - b->used < cap ? b->len - b->used : cap;
	memcpy(buf, b->data + b->used, *n);
	b->used += *n;
	if (b->used == b->len) {
		g->first = (g->first + 1) % g->n;
		g->count--;
	}
	return HF_OK;
}

void
download_close(struct hf_get *g)
{
	atomic_store(&g->stop, true);
	for (unsigned i = 0; i < g->n; i++) {
		struct block *b = &g->blocks[i];

		if (b->busy)
			pool_wait(g->store->pool, &b->job);
		free(b->data);
		H->fail_free(b->why);
	}
	free(g->key);
	free(g);
}
