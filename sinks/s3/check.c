/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "credentials.h"
#include "ops.h"
#include "probe.h"
#include "request.h"
#include "unfinished.h"

#define CLOCK_SECONDS 60
#define STALE_SECONDS 86400 /* no upload of a live run is older */

struct checker {
	struct hf_store *store;
	hf_finding_fn *fn;
	void *arg;
};

static int report(const struct checker *c, int32_t verdict, const char *check,
    const char *hint, const char *fmt, ...) HF_PRINTF(5, 6);
static int
report(const struct checker *c, int32_t verdict, const char *check,
    const char *hint, const char *fmt, ...)
{
	char result[512];
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = verdict,
		.check = check,
		.result = result,
		.hint = hint };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(result, sizeof result, fmt, ap);
	va_end(ap);
	return c->fn(c->arg, &f);
}

static int
check_clock(const struct checker *c, int64_t *theirs, struct hf_error *err)
{
	char source[768];
	int64_t off;
	int rc;

	if ((rc = objects_clock(c->store, theirs, err)) != HF_OK)
		return rc;
	credentials_source(c->store->credentials, source, sizeof source);
	if ((rc = report(c, HF_PASS, "bucket", NULL,
		 "%s at %s (region %s) can be listed, with the keys of %s",
		 c->store->conf.bucket, c->store->endpoint, c->store->region,
		 source)) != HF_OK)
		return rc;
	off = *theirs - (int64_t)time(NULL);
	if (off > CLOCK_SECONDS || off < -CLOCK_SECONDS)
		return report(c, HF_WARN, "clock",
		    "Set this machine's clock (NTP): leases and ages are "
		    "doubtful.",
		    "the service's clock is %lld seconds from ours",
		    (long long)off);
	return report(c, HF_PASS, "clock", NULL, "agrees with the service's");
}

static int
check_objects(const struct checker *c, struct hf_error *err)
{
	struct hf_put *put = NULL;
	struct hf_object o = { .struct_size = sizeof o };
	uint64_t random = 0;
	char key[64];
	int rc;

	(void)getrandom(&random, sizeof random, 0);
	(void)snprintf(key, sizeof key, "holdfast-check-%016llx",
	    (unsigned long long)random);
	if ((rc = upload_begin(c->store, key, NULL, &put, err)) != HF_OK)
		return rc;
	if ((rc = upload_write(put, "holdfast", 8, err)) != HF_OK) {
		upload_abort(put);
		return rc;
	}
	if ((rc = upload_commit(put, NULL, err)) != HF_OK)
		return rc;
	rc = objects_stat(c->store, key, &o, err);
	if (rc == HF_OK && o.size != 8)
		rc = H->fail(err, HF_E_CORRUPT,
		    "an object of 8 bytes came back as %llu",
		    (unsigned long long)o.size);
	if (rc != HF_OK) {
		(void)remove_one(c->store, key, NULL);
		return rc;
	}
	/* Under Object Lock only a marker is set: that is allowed too. */
	if ((rc = remove_one(c->store, key, err)) != HF_OK)
		return rc;
	return report(
	    c, HF_PASS, "objects", NULL, "one was written, read and removed");
}

static int
check_conditional(const struct checker *c, struct hf_error *err)
{
	int answer, rc;

	if ((rc = probe_conditional(c->store, &answer, err)) != HF_OK)
		return rc;
	if (answer == 1)
		return report(c, HF_PASS, "conditional put", NULL,
		    "\"If-None-Match: *\" is kept: machines may share this "
		    "bucket");
	return report(c, c->store->conf.exclusive ? HF_PASS : HF_WARN,
	    "conditional put",
	    "Let one machine alone write to this bucket and prefix, and say "
	    "so with \"exclusive\": true.",
	    "the service ignores \"If-None-Match: *\"");
}

struct uploads {
	int64_t now;
	unsigned long stale;
	char first[1024];
};

static int
on_upload(void *arg, const struct unfinished *u)
{
	struct uploads *all = arg;

	if (u->begun == 0 || u->begun > all->now - STALE_SECONDS)
		return HF_OK;
	if (all->stale++ == 0)
		(void)snprintf(all->first, sizeof all->first, "%s", u->key);
	return HF_OK;
}

/* What killed runs left. */
static int
check_uploads(const struct checker *c, int64_t now, struct hf_error *err)
{
	const char *prefix = c->store->conf.prefix;
	struct uploads all = { .now = now };
	char below[512];
	int rc;

	(void)snprintf(below, sizeof below, "%s%s",
	    prefix == NULL ? "" : prefix, prefix == NULL ? "" : "/");
	if ((rc = unfinished_list(
		 c->store, below, false, on_upload, &all, NULL, err)) != HF_OK)
		return rc;
	if (all.stale == 0)
		return report(c, HF_PASS, "unfinished uploads", NULL,
		    "none is older than a day");
	return report(c, HF_WARN, "unfinished uploads",
	    "They are invisible but paid for: abort them, or give the bucket "
	    "a lifecycle rule AbortIncompleteMultipartUpload.",
	    "%lu older than a day, the first of %s", all.stale, all.first);
}

int
check_store(
    struct hf_store *s, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct checker c = { s, fn, arg };
	int64_t now;
	int rc;

	if (s->conf.insecure &&
	    (rc = report(&c, HF_WARN, "TLS",
		 "Set \"ca_file\" instead of \"insecure\".",
		 "the service's certificate is not checked")) != HF_OK)
		return rc;
	if ((rc = check_clock(&c, &now, err)) != HF_OK ||
	    (rc = check_objects(&c, err)) != HF_OK ||
	    (rc = check_conditional(&c, err)) != HF_OK)
		return rc;
	return check_uploads(&c, now, err);
}
