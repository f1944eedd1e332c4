/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ops.h"
#include "request.h"
#include "xml.h"

#define KEY_MAX 512
#define PREFIX_MAX 400

int
objects_stat(struct hf_store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	struct request r = { .method = "HEAD", .key = key };
	struct answer a = { 0 };
	char what[600];
	int rc;

	(void)snprintf(what, sizeof what, "looking at %s", key);
	rc = request_run(s, &r, &a, what, err);
	if (rc == HF_OK) {
		out->size = a.size;
		out->mtime = a.mtime;
		(void)snprintf(out->etag, sizeof out->etag, "%s", a.etag);
	}
	answer_clear(&a);
	return rc;
}

int
objects_clock(struct hf_store *s, int64_t *now, struct hf_error *err)
{
	const char *prefix = s->conf.prefix == NULL ? "" : s->conf.prefix;
	char encoded[3 * PREFIX_MAX + 1], query[sizeof encoded + 64];
	struct request r = { .method = "GET", .query = query };
	struct answer a = { 0 };
	int rc;

	/* Policies may allow a listing of this prefix alone. */
	request_encode(prefix, encoded, sizeof encoded);
	(void)snprintf(query, sizeof query,
	    "list-type=2&max-keys=1&prefix=%s%s", encoded,
	    *prefix == '\0' ? "" : "%2F");
	rc = request_run(s, &r, &a, "asking for the time", err);
	if (rc == HF_OK && a.date == 0)
		rc =
		    H->fail(err, HF_E_UNSUPPORTED, "the service tells no time");
	*now = a.date;
	answer_clear(&a);
	return rc;
}

/* ---- listing ---- */

struct listing {
	struct hf_store *store;
	hf_list_fn *cb;
	void *arg;
	char key[3 * KEY_MAX + 2048], etag[72];
	uint64_t size;
	int64_t mtime;
	char token[4096], last[4096]; /* "": that was all */
	bool truncated;
	int stopped; /* by cb */
};

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *
decode(char *s)
{
	char *to = s;
	const char *whole = s;

	for (; *s != '\0'; s++) {
		int high, low;

		if (*s == '%' && (high = hex(s[1])) >= 0 &&
		    (low = hex(s[2])) >= 0) {
			*to++ = (char)(high << 4 | low);
			s += 2;
		} else {
			*to++ = *s == '+' ? ' ' : *s;
		}
	}
	*to = '\0';
	return whole;
}

static int64_t
parse_time(const char *text)
{
	struct tm tm = { 0 };

	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL
		   ? 0
		   : (int64_t)timegm(&tm);
}

/* Others may keep things in the bucket too, which are none of ours. */
static bool
is_key(const char *s)
{
	const char *p = s;

	if (*s == '\0' || strlen(s) > KEY_MAX)
		return false;
	for (;; p++) {
		size_t n = strspn(p,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		    "0123456789._=-");

		if (n == 0 || *p == '.')
			return false;
		p += n;
		if (*p != '/')
			return *p == '\0';
	}
}

/* Below the prefix, or NULL.  Some services do not know encoding-type and send
 * keys as they are; ours have nothing to encode but the prefix. */
static const char *
below(struct listing *l)
{
	const char *prefix = l->store->conf.prefix;
	size_t n = prefix == NULL ? 0 : strlen(prefix);

	if (n == 0)
		return decode(l->key);
	if (strncmp(l->key, prefix, n) != 0 || l->key[n] != '/')
		(void)decode(l->key);
	return strncmp(l->key, prefix, n) == 0 && l->key[n] == '/'
		   ? l->key + n + 1
		   : NULL;
}

static int
tell(struct listing *l)
{
	struct hf_object o = { .struct_size = sizeof o,
		.key = below(l),
		.size = l->size,
		.mtime = l->mtime };

	(void)snprintf(o.etag, sizeof o.etag, "%s", l->etag);
	l->size = 0;
	l->mtime = 0;
	l->etag[0] = '\0';
	if (o.key == NULL || !is_key(o.key))
		return HF_OK;
	return l->stopped = l->cb(l->arg, &o);
}

static int
on_element(void *arg, const char *path, const char *text)
{
	static const char root[] = "ListBucketResult/";
	struct listing *l = arg;

	if (strncmp(path, root, sizeof root - 1) != 0)
		return HF_OK;
	path += sizeof root - 1;
	if (strcmp(path, "Contents/Key") == 0)
		(void)snprintf(l->key, sizeof l->key, "%s", text);
	else if (strcmp(path, "Contents/Size") == 0)
		l->size = strtoull(text, NULL, 10);
	else if (strcmp(path, "Contents/ETag") == 0)
		(void)snprintf(l->etag, sizeof l->etag, "%.71s", text);
	else if (strcmp(path, "Contents/LastModified") == 0)
		l->mtime = parse_time(text);
	else if (strcmp(path, "IsTruncated") == 0)
		l->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "NextContinuationToken") == 0)
		(void)snprintf(l->token, sizeof l->token, "%s", text);
	else if (strcmp(path, "Contents") == 0 && l->stopped == 0)
		(void)tell(l);
	return l->stopped == 0 ? HF_OK : HF_E_CANCELLED;
}

static int
list_page(struct listing *l, const char *prefix, struct hf_error *err)
{
	size_t token_cap = 3 * strlen(l->token) + 1;
	char *token = malloc(token_cap), *query = NULL;
	struct request r = { .method = "GET" };
	struct answer a = { 0 };
	int rc, n = -1;

	if (token != NULL) {
		request_encode(l->token, token, token_cap);
		/* In the order in which they are signed. */
		n = asprintf(&query,
		    "%s%s%sencoding-type=url&list-type=2&"
		    "prefix=%s",
		    *token == '\0' ? "" : "continuation-token=", token,
		    *token == '\0' ? "" : "&", prefix);
	}
	free(token);
	if (n < 0)
		return H->fail(err, HF_E_NOMEM, "no memory");
	r.query = query;
	l->truncated = false;
	(void)snprintf(l->last, sizeof l->last, "%s", l->token);
	l->token[0] = '\0';
	rc = request_run(l->store, &r, &a, "listing", err);
	if (rc == HF_OK)
		rc = xml_walk(
		    a.body == NULL ? "" : a.body, a.len, on_element, l, err);
	if (rc == HF_OK && l->truncated &&
	    (l->token[0] == '\0' || strcmp(l->token, l->last) == 0))
		rc = H->fail(err, HF_E_IO,
		    "listing: the service says there is more, but not where");
	answer_clear(&a);
	free(query);
	return rc;
}

int
objects_list(struct hf_store *s, const char *prefix, hf_list_fn *cb, void *arg,
    struct hf_error *err)
{
	struct listing *l = calloc(1, sizeof *l);
	char *whole = NULL, *encoded = NULL;
	int rc = HF_E_NOMEM;

	if (l != NULL &&
	    asprintf(&whole, "%s%s%s",
		s->conf.prefix == NULL ? "" : s->conf.prefix,
		s->conf.prefix == NULL ? "" : "/", prefix) >= 0 &&
	    (encoded = malloc(3 * strlen(whole) + 1)) != NULL) {
		request_encode(whole, encoded, 3 * strlen(whole) + 1);
		l->store = s;
		l->cb = cb;
		l->arg = arg;
		do
			rc = list_page(l, encoded, err);
		while (rc == HF_OK && l->truncated);
		if (l->stopped != 0)
			rc = l->stopped;
	} else {
		(void)H->fail(err, rc, "no memory");
	}
	free(encoded);
	free(whole);
	free(l);
	return rc;
}
