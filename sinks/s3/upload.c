/* SPDX-License-Identifier: BSD-2-Clause */
/* One PUT for what fits into a part; else parts, sent by the pool's threads
 * while the next one fills.  Nothing is visible before the completion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attributes.h"
#include "ops.h"
#include "parts.h"
#include "pool.h"
#include "request.h"
#include "unfinished.h"
#include "xml.h"

struct part {
	struct job job; /* first */
	struct hf_put *put;
	unsigned number;
	char *data;
	size_t len, cap;
	struct hf_error *why; /* NULL: it is there */
	int status;
	char etag[72], checksum[45];
};

struct hf_put {
	struct hf_store *store;
	char *key;
	bool if_absent;
	uint64_t size_hint, size;
	char *data; /* the part being filled */
	size_t len, cap;
	char upload_id[1024]; /* "" while it may still be one PUT */
	struct part **parts;
	unsigned nparts, nsent; /* the first of them are there, in order */
	int status;             /* of the first that failed */
	bool begun_twice; /* the service may know an upload that we do not */
	atomic_bool stop; /* parts that are under way are not wanted */
};

static size_t
part_size(const struct hf_put *p)
{
	return (size_t)parts_size((uint64_t)p->store->conf.part_size,
	    p->size_hint, p->size, p->nparts);
}

/* Is the condition kept, or is there nobody else? */
static int
can_be_conditional(struct hf_store *s, struct hf_error *err)
{
	int answer, rc;

	if (s->conf.exclusive)
		return HF_OK;
	if ((rc = probe_answer(s, &answer, err)) != HF_OK || answer == 1)
		return rc;
	return H->fail(err, HF_E_UNSUPPORTED,
	    "this service does not keep \"If-None-Match: *\"");
}

int
upload_begin(struct hf_store *s, const char *key,
    const struct hf_put_opts *opts, struct hf_put **out, struct hf_error *err)
{
	struct hf_put *p;
	int rc;

	if (opts != NULL && opts->if_match != NULL)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "replacing an object by its etag is not supported");
	if (opts != NULL && (opts->flags & ~HF_PUT_IF_ABSENT) != 0)
		return H->fail(
		    err, HF_E_UNSUPPORTED, "unknown flags 0x%x", opts->flags);
	if (opts != NULL && opts->flags != 0 &&
	    (rc = can_be_conditional(s, err)) != HF_OK)
		return rc;
	if ((p = calloc(1, sizeof *p)) == NULL ||
	    (p->key = strdup(key)) == NULL) {
		free(p);
		return H->fail(err, HF_E_NOMEM, "no memory");
	}
	p->store = s;
	atomic_init(&p->stop, false);
	p->if_absent = opts != NULL && (opts->flags & HF_PUT_IF_ABSENT) != 0;
	p->size_hint = opts == NULL ? 0 : opts->size_hint;
	*out = p;
	return HF_OK;
}

/* A buffer for the next part.  Parts that are under way have theirs until the
 * service has them, so it may be long in coming. */
static int
make_room(struct hf_put *p, struct hf_error *err)
{
	if (p->data != NULL)
		return HF_OK;
	if (p->nparts > 0)
		pool_spare_slot(p->store->pool);
	p->cap = part_size(p);
	if ((p->data = pool_buffer(p->store->pool, p->cap)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory for a part");
	return HF_OK;
}

/* ---- parts ---- */

static int
begin_parts(struct hf_put *p, struct hf_error *err)
{
	struct attributes attributes;
	struct request r = { .method = "POST",
		.key = p->key,
		.query = "uploads=",
		.headers = attributes.list };
	struct answer a = { 0 };
	char what[600];
	int rc;

	attributes_fill(p->store, true, &attributes);
	attributes_add(&attributes, "x-amz-checksum-algorithm: %s", "SHA256");
	(void)snprintf(what, sizeof what, "beginning the upload of %s", p->key);
	rc = request_run(p->store, &r, &a, what, err);
	if (rc == HF_OK && !xml_value(a.body == NULL ? "" : a.body, a.len,
			       "InitiateMultipartUploadResult/UploadId",
			       p->upload_id, sizeof p->upload_id))
		rc = H->fail(
		    err, HF_E_IO, "%s: the answer has no UploadId", what);
	/* Also when it was given up: it may have arrived. */
	p->begun_twice = a.sent > 1 || rc == HF_E_IO || rc == HF_E_CANCELLED;
	answer_clear(&a);
	return rc;
}

/* UploadIds may have bytes that a query may not. */
static void
upload_query(const struct hf_put *p, unsigned number, char *query, size_t cap)
{
	char id[3 * sizeof p->upload_id];

	request_encode(p->upload_id, id, sizeof id);
	if (number > 0)
		(void)snprintf(
		    query, cap, "partNumber=%u&uploadId=%s", number, id);
	else
		(void)snprintf(query, cap, "uploadId=%s", id);
}

static void
send_part(struct job *job)
{
	struct part *part = (struct part *)job;
	struct hf_put *p = part->put;
	char query[3 * sizeof p->upload_id + 64], what[600];
	struct request r = { .method = "PUT",
		.key = p->key,
		.query = query,
		.body = { part->data, part->len },
		.checksum = true,
		.stop = &p->stop };
	struct answer a = { 0 };

	upload_query(p, part->number, query, sizeof query);
	(void)snprintf(
	    what, sizeof what, "uploading part %u of %s", part->number, p->key);
	part->status = request_run(p->store, &r, &a, what, part->why);
	if (part->status == HF_OK && a.etag[0] == '\0')
		part->status = H->fail(
		    part->why, HF_E_IO, "%s: the answer has no ETag", what);
	memcpy(part->etag, a.etag, sizeof part->etag);
	memcpy(part->checksum, a.checksum_sha256, sizeof part->checksum);
	answer_clear(&a);
	/* There may be thousands. */
	if (part->status == HF_OK) {
		H->fail_free(part->why);
		part->why = NULL;
	}
	pool_give_slot(p->store->pool, part->data, part->cap);
	part->data = NULL;
}

static void
part_free(struct part *part)
{
	pool_buffer_free(part->data, part->cap);
	H->fail_free(part->why);
	free(part);
}

/* The first failure so far, if any. */
static int
part_failure(struct hf_put *p, struct hf_error *err)
{
	for (unsigned i = p->nsent; i < p->nparts && p->status == HF_OK; i++) {
		struct part *part = p->parts[i];

		if (!pool_done(p->store->pool, &part->job))
			continue;
		if (part->status != HF_OK) {
			p->status = part->status;
			(void)H->fail_move(err, part->why);
		} else if (p->nsent == i) {
			p->nsent++;
		}
	}
	return p->status;
}

/* Hand the filled part to the pool.  Blocks while too many are under way. */
static int
push_part(struct hf_put *p, struct hf_error *err)
{
	struct part **grown, *part;
	int rc;

	if (p->upload_id[0] == '\0' && (rc = begin_parts(p, err)) != HF_OK)
		return rc;
	if ((rc = part_failure(p, err)) != HF_OK)
		return rc;
	if (p->nparts == PARTS_MAX)
		return H->fail(err, HF_E_NOSPACE,
		    "%s is larger than %u parts can be: set a larger "
		    "part_size",
		    p->key, PARTS_MAX);
	grown = realloc(p->parts, (p->nparts + 1) * sizeof *grown);
	if (grown != NULL)
		p->parts = grown;
	if (grown == NULL || (part = calloc(1, sizeof *part)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	part->job.run = send_part;
	part->put = p;
	part->why = H->fail_new();
	part->data = p->data;
	part->len = p->len;
	part->cap = p->cap;
	part->number = p->nparts + 1;
	p->data = NULL;
	p->len = 0;
	pool_take_slot(p->store->pool);
	if ((rc = pool_run(p->store->pool, &part->job, err)) != HF_OK) {
		pool_give_slot(p->store->pool, NULL, 0);
		part_free(part);
		return rc;
	}
	p->parts[p->nparts++] = part;
	return HF_OK;
}

int
upload_write(
    struct hf_put *p, const void *data, size_t len, struct hf_error *err)
{
	const char *from = data;

	if (p->status != HF_OK)
		return H->fail(
		    err, p->status, "%s: the upload has failed", p->key);
	while (len > 0) {
		size_t n = len;
		int rc = HF_OK;

		if (p->data != NULL && p->len == p->cap)
			rc = push_part(p, err);
		if (rc == HF_OK)
			rc = make_room(p, err);
		/* A part is missing: never to be completed. */
		if (rc != HF_OK)
			return p->status = rc;
		if (n > p->cap - p->len)
			n = p->cap - p->len;
		memcpy(p->data + p->len, from, n);
		p->len += n;
		p->size += n;
		from += n;
		len -= n;
	}
	return HF_OK;
}

/* ---- the end ---- */

static void
fill_object(struct hf_object *out, const struct hf_put *p, const char *etag,
    int64_t mtime)
{
	if (out == NULL)
		return;
	out->size = p->size;
	out->mtime = mtime;
	(void)snprintf(out->etag, sizeof out->etag, "%s", etag);
}

/* Some services refuse the header: where nobody else writes, looking before is
 * enough. */
static bool
is_conditional(const struct hf_put *p)
{
	return p->if_absent && !p->store->conf.exclusive;
}

/* Where the service does not keep the condition: ask before. */
static int
refuse_present(struct hf_put *p, struct hf_error *err)
{
	struct hf_object there = { .struct_size = sizeof there };
	int rc;

	if (!p->if_absent || (p->nparts == 0 && !p->store->conf.exclusive))
		return HF_OK;
	rc = objects_stat(p->store, p->key, &there, err);
	if (rc == HF_OK)
		return H->fail(err, HF_E_EXISTS, "%s exists", p->key);
	return rc == HF_E_NOTFOUND ? HF_OK : rc;
}

/* An answer may get lost after the work was done; then a second try finds it
 * done.  Is what stands there ours? */
static bool
is_ours(struct hf_put *p)
{
	struct request r = { .method = "GET",
		.key = p->key,
		.into = malloc(p->len + 1),
		.cap = p->len + 1 };
	struct answer a = { 0 };
	bool ours =
	    r.into != NULL &&
	    request_run(p->store, &r, &a, "looking again", NULL) == HF_OK &&
	    a.len == p->len &&
	    (p->len == 0 || memcmp(r.into, p->data, p->len) == 0);

	answer_clear(&a);
	free(r.into);
	return ours;
}

static int
put_whole(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	struct attributes attributes;
	struct request r = { .method = "PUT",
		.key = p->key,
		.headers = attributes.list,
		.body = { p->data, p->len },
		.checksum = true };
	struct answer a = { 0 };
	char what[600];
	int rc;

	attributes_fill(p->store, true, &attributes);
	attributes_add(
	    &attributes, "If-None-Match: %s", is_conditional(p) ? "*" : NULL);
	(void)snprintf(what, sizeof what, "uploading %s", p->key);
	if ((rc = refuse_present(p, err)) != HF_OK)
		return rc;
	rc = request_run(p->store, &r, &a, what, err);
	if (rc == HF_E_EXISTS && a.sent > 1 && is_ours(p))
		rc = HF_OK;
	if (rc == HF_OK)
		fill_object(out, p, a.etag, a.date);
	answer_clear(&a);
	return rc;
}

static int
wait_parts(struct hf_put *p, struct hf_error *err)
{
	int rc = part_failure(p, err);

	for (unsigned i = 0; i < p->nparts; i++) {
		if (rc != HF_OK)
			atomic_store(&p->stop, true);
		pool_wait(p->store->pool, &p->parts[i]->job);
		rc = part_failure(p, err);
	}
	return rc;
}

/* Checksums are told only where the service knows them. */
static char *
completion(const struct hf_put *p, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	int rc;

	if (f == NULL)
		return NULL;
	(void)fputs("<CompleteMultipartUpload xmlns=\""
		    "http://s3.amazonaws.com/doc/2006-03-01/\">",
	    f);
	for (unsigned i = 0; i < p->nparts; i++) {
		const struct part *part = p->parts[i];

		(void)fprintf(f,
		    "<Part><PartNumber>%u</PartNumber><ETag>%s"
		    "</ETag>",
		    part->number, part->etag);
		if (part->checksum[0] != '\0')
			(void)fprintf(f, "<ChecksumSHA256>%s</ChecksumSHA256>",
			    part->checksum);
		(void)fputs("</Part>", f);
	}
	(void)fputs("</CompleteMultipartUpload>", f);
	rc = ferror(f);
	if (fclose(f) != 0 || rc != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Objects of parts have an ETag of their own kind: "...-7" for seven. */
static bool
is_whole(struct hf_put *p, char *etag, size_t cap)
{
	struct hf_object there = { .struct_size = sizeof there };
	char end[24];
	size_t n;

	(void)snprintf(end, sizeof end, "-%u", p->nparts);
	if (objects_stat(p->store, p->key, &there, NULL) != HF_OK ||
	    there.size != p->size)
		return false;
	(void)snprintf(etag, cap, "%s", there.etag);
	n = strcspn(there.etag + 1, "\"") + 1;
	return n > strlen(end) &&
	       strncmp(there.etag + n - strlen(end), end, strlen(end)) == 0;
}

static int
complete(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	const char *const only_new[] = { "If-None-Match: *", NULL };
	char query[3 * sizeof p->upload_id + 64], what[600], etag[72] = "";
	struct request r = { .method = "POST",
		.key = p->key,
		.query = query,
		.headers = is_conditional(p) ? only_new : NULL };
	struct answer a = { 0 };
	char *body;
	int rc;

	upload_query(p, 0, query, sizeof query);
	if ((body = completion(p, &r.body.len)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	r.body.data = body;
	(void)snprintf(
	    what, sizeof what, "completing the upload of %s", p->key);
	rc = request_run(p->store, &r, &a, what, err);
	if (rc == HF_OK &&
	    !xml_value(a.body == NULL ? "" : a.body, a.len,
		"CompleteMultipartUploadResult/ETag", etag, sizeof etag))
		rc = H->fail(err, HF_E_IO, "%s: the answer has no ETag", what);
	else if (rc != HF_OK && rc != HF_E_CANCELLED && a.sent > 1 &&
		 is_whole(p, etag, sizeof etag))
		rc = HF_OK;
	if (rc == HF_OK) {
		fill_object(out, p, etag, a.date);
		p->upload_id[0] = '\0';
	}
	answer_clear(&a);
	free(body);
	return rc;
}

static void
put_free(struct hf_put *p)
{
	for (unsigned i = 0; i < p->nparts; i++)
		part_free(p->parts[i]);
	free(p->parts);
	pool_buffer_free(p->data, p->cap);
	free(p->key);
	free(p);
}

/* Parts that nobody completes cost money for ever. */
static void
abort_parts(struct hf_put *p)
{
	struct hf_error *why = H->fail_new();
	int rc = HF_OK;

	if (p->upload_id[0] != '\0')
		rc = unfinished_abort(p->store, p->key, p->upload_id, why);
	if (p->begun_twice && rc == HF_OK)
		rc = unfinished_abort_all(p->store, p->key, why);
	if (rc != HF_OK)
		H->log(p->store->ctx, HF_LOG_WARN, "s3.parts_left",
		    "the parts of the upload of %s could not be removed; "
		    "\"holdfast doctor\" finds them later",
		    p->key);
	H->fail_free(why);
}

static int
commit_parts(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	int rc = p->len > 0 ? push_part(p, err) : HF_OK;

	if (rc != HF_OK)
		p->status = rc;
	/* All must have ended before anything is freed. */
	if ((rc = wait_parts(p, rc == HF_OK ? err : NULL)) == HF_OK &&
	    (rc = refuse_present(p, err)) == HF_OK)
		rc = complete(p, out, err);
	return rc;
}

int
upload_commit(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	int rc;

	if (p->status != HF_OK) {
		rc = H->fail(
		    err, p->status, "%s: the upload has failed", p->key);
		upload_abort(p);
		return rc;
	}
	rc =
	    p->nparts == 0 ? put_whole(p, out, err) : commit_parts(p, out, err);
	if (rc != HF_OK || p->begun_twice)
		abort_parts(p);
	put_free(p);
	return rc;
}

void
upload_abort(struct hf_put *p)
{
	atomic_store(&p->stop, true);
	(void)wait_parts(p, NULL);
	abort_parts(p);
	put_free(p);
}
