/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"
#include "request.h"
#include "xml.h"

#define BATCH_MAX 1000 /* as the protocol has it */

int
remove_one(struct hf_store *s, const char *key, struct hf_error *err)
{
	struct request r = { .method = "DELETE", .key = key };
	struct answer a = { 0 };
	char what[600];
	int rc;

	(void)snprintf(what, sizeof what, "removing %s", key);
	rc = request_run(s, &r, &a, what, err);
	if (rc == HF_E_NOTFOUND)
		rc = HF_OK; /* so some say; others 204 */
	answer_clear(&a);
	return rc;
}

static int
one_by_one(
    struct hf_store *s, const char *const *keys, size_t n, struct hf_error *err)
{
	int rc = HF_OK;

	for (size_t i = 0; i < n && rc == HF_OK; i++)
		rc = remove_one(s, keys[i], err);
	return rc;
}

/* ---- many in one request: DeleteObjects ---- */

static void
put_escaped(FILE *f, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '&':
			(void)fputs("&amp;", f);
			break;
		case '<':
			(void)fputs("&lt;", f);
			break;
		case '>':
			(void)fputs("&gt;", f);
			break;
		default:
			(void)fputc(*text, f);
		}
}

static char *
body_of(
    const struct hf_store *s, const char *const *keys, size_t n, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	bool failed;

	if (f == NULL)
		return NULL;
	(void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
		    "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		    "<Quiet>true</Quiet>",
	    f);
	for (size_t i = 0; i < n; i++) {
		(void)fputs("<Object><Key>", f);
		if (s->conf.prefix != NULL) {
			put_escaped(f, s->conf.prefix);
			(void)fputc('/', f);
		}
		put_escaped(f, keys[i]);
		(void)fputs("</Key></Object>", f);
	}
	(void)fputs("</Delete>", f);
	failed = ferror(f) != 0;
	if (fclose(f) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}

/* What the service could not remove. */
struct refused {
	bool root; /* it is an answer to this at all */
	size_t n;
};

static int
on_element(void *arg, const char *path, const char *text)
{
	struct refused *r = arg;

	(void)text;
	if (strcmp(path, "DeleteResult") == 0)
		r->root = true;
	else if (strcmp(path, "DeleteResult/Error") == 0)
		r->n++;
	return HF_OK;
}

/* Some services do not know it. */
static bool
unknown(int rc, const struct answer *a)
{
	return rc == HF_E_UNSUPPORTED || a->status == 501 || a->status == 405 ||
	       a->status == 400;
}

static int
remove_batch(
    struct hf_store *s, const char *const *keys, size_t n, struct hf_error *err)
{
	struct request r = { .method = "POST",
		.query = "delete=",
		.checksum = true,
		.md5 = true };
	struct refused refused = { 0 };
	struct answer a = { 0 };
	char *body = body_of(s, keys, n, &r.body.len), what[64];
	bool again;
	int rc;

	if (body == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	r.body.data = body;
	(void)snprintf(what, sizeof what, "removing %zu objects", n);
	rc = request_run(s, &r, &a, what, err);
	again = unknown(rc, &a);
	if (rc == HF_OK) {
		rc = xml_walk(a.body == NULL ? "" : a.body, a.len, on_element,
		    &refused, err);
		/* One that is told to be there still is asked for on its own:
		 * its retries and its error are those of any request. */
		again = rc == HF_OK && (!refused.root || refused.n > 0);
	}
	answer_clear(&a);
	free(body);
	return again ? one_by_one(s, keys, n, err) : rc;
}

int
remove_many(
    struct hf_store *s, const char *const *keys, size_t n, struct hf_error *err)
{
	int rc = HF_OK;

	for (size_t done = 0, now; done < n && rc == HF_OK; done += now) {
		now = n - done < BATCH_MAX ? n - done : BATCH_MAX;
		rc = now == 1 ? remove_one(s, keys[done], err)
			      : remove_batch(s, keys + done, now, err);
	}
	return rc;
}
