/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptor: options, and the store's table. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attributes.h"
#include "credentials.h"
#include "ops.h"
#include "pool.h"
#include "request.h"

static int
set_place(struct hf_store *s, struct hf_error *err)
{
	const struct conf *c = &s->conf;
	int n;

	if (c->region != NULL)
		(void)snprintf(s->region, sizeof s->region, "%s", c->region);
	else if (!credentials_region(c, s->region, sizeof s->region))
		(void)snprintf(s->region, sizeof s->region, "us-east-1");
	if (c->endpoint == NULL)
		n = snprintf(s->endpoint, sizeof s->endpoint,
		    "https://s3.%s.amazonaws.com%s", s->region,
		    strncmp(s->region, "cn-", 3) == 0 ? ".cn" : "");
	else
		n = snprintf(s->endpoint, sizeof s->endpoint, "%s%s",
		    strstr(c->endpoint, "://") == NULL ? "https://" : "",
		    c->endpoint);
	if (n < 0 || (size_t)n >= sizeof s->endpoint)
		return H->fail(err, HF_E_INVALID, "endpoint is too long");
	while (n > 0 && s->endpoint[n - 1] == '/')
		s->endpoint[--n] = '\0';
	/* Buckets with dots have no certificate below the host's name, and
	 * services on own hosts seldom have names for buckets. */
	if (strcmp(c->style, "auto") == 0)
		s->conf.style = strstr(s->endpoint, ".amazonaws.com") != NULL &&
					strchr(c->bucket, '.') == NULL
				    ? "virtual"
				    : "path";
	return HF_OK;
}

static void
store_close(struct hf_store *s)
{
	pool_free(s->pool);
	connections_free(s->connections);
	credentials_free(s->credentials);
	H->fail_free(s->why);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static int
store_open(const struct hf_ctx *ctx, const void *conf, struct hf_store **out,
    struct hf_error *err)
{
	struct hf_store *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	s->ctx = ctx;
	s->conf = *(const struct conf *)conf;
	s->conditional = -1;
	(void)pthread_mutex_init(&s->lock, NULL);
	if ((s->why = H->fail_new()) == NULL) {
		store_close(s);
		return H->fail(err, HF_E_NOMEM, "no memory");
	}
	if ((rc = set_place(s, err)) != HF_OK ||
	    (rc = pool_new((unsigned)s->conf.parallel, &s->pool, err)) !=
		HF_OK ||
	    (rc = connections_new(&s->conf, &s->connections, err)) != HF_OK ||
	    (rc = credentials_new(ctx, &s->conf, &s->credentials, err)) !=
		HF_OK) {
		store_close(s);
		return rc;
	}
	*out = s;
	return HF_OK;
}

/* These become parts of headers and URLs. */
static int
validate_text(const struct conf *c, struct hf_error *err)
{
	const char *const texts[] = { c->endpoint, c->region, c->prefix,
		c->storage_class, c->kms_key };
	char tags[TAGS_MAX];

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (const char *p = texts[i]; p != NULL && *p != '\0'; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				return H->fail(err, HF_E_INVALID,
				    "an option has a control character");
	if (c->endpoint != NULL && strpbrk(c->endpoint, "@?# ") != NULL)
		return H->fail(err, HF_E_INVALID,
		    "endpoint must be \"https://host:port\", without keys");
	if (c->region != NULL && strpbrk(c->region, "/?#:@ ") != NULL)
		return H->fail(
		    err, HF_E_INVALID, "region is no name of a region");
	if (c->proxy != NULL && strchr(c->proxy, '@') != NULL)
		return H->fail(err, HF_E_INVALID,
		    "proxy must not hold a password: set the environment "
		    "variable https_proxy instead");
	return attributes_tags(c->tags, tags, sizeof tags, err);
}

/* Every request has to get its bytes through in time. */
static int
validate_limits(const struct conf *c, struct hf_error *err)
{
	if (c->part_size < 5 << 20 || c->part_size > (int64_t)1 << 30)
		return H->fail(err, HF_E_INVALID,
		    "part_size must be between 5MiB and 1GiB");
	if (c->timeout <= 0 || c->low_speed_time <= 0 || c->bandwidth < 0 ||
	    c->lock < 0)
		return H->fail(err, HF_E_INVALID,
		    "timeout and low_speed_time must be positive, bandwidth "
		    "and lock not negative");
	if (c->bandwidth > 0 &&
	    c->part_size * c->parallel / c->bandwidth > c->timeout / 2000)
		return H->fail(err, HF_E_INVALID,
		    "bandwidth is too low for parallel parts of part_size "
		    "within timeout");
	return HF_OK;
}

static int
store_validate(const void *conf, struct hf_error *err)
{
	const struct conf *c = conf;
	size_t n = c->prefix == NULL ? 0 : strlen(c->prefix);
	int rc;

	if (c->bucket == NULL || c->bucket[0] == '\0' ||
	    strpbrk(c->bucket, "/?#@: \t\r\n") != NULL)
		return H->fail(err, HF_E_INVALID,
		    "bucket must be the name of a bucket, without a path");
	if (n > 0 && (c->prefix[0] == '/' || c->prefix[n - 1] == '/'))
		return H->fail(err, HF_E_INVALID,
		    "prefix must neither begin nor end with '/'");
	if (n > 400)
		return H->fail(
		    err, HF_E_INVALID, "prefix is longer than 400 bytes");
	if ((c->access_key == NULL) != (c->secret_key == NULL))
		return H->fail(err, HF_E_INVALID,
		    "access_key and secret_key belong together");
	if ((rc = validate_text(c, err)) != HF_OK)
		return rc;
	return validate_limits(c, err);
}

static int
plugin_load(struct hf_error *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return H->fail(err, HF_E_IO, "starting libcurl failed");
	return HF_OK;
}

static void
plugin_unload(void)
{
	curl_global_cleanup();
}

#define CONF(field) offsetof(struct conf, field)
static const struct hf_option options[] = {
	{ "bucket", HF_OPT_STRING, HF_OPT_REQUIRED, CONF(bucket), NULL, NULL,
	    "the bucket, which must exist" },
	{ "endpoint", HF_OPT_STRING, 0, CONF(endpoint), NULL, NULL,
	    "the service, \"https://host:port\"; default: Amazon's of the "
	    "region" },
	{ "region", HF_OPT_STRING, 0, CONF(region), NULL, NULL,
	    "the region; default: AWS_REGION, the profile's, us-east-1" },
	{ "prefix", HF_OPT_STRING, 0, CONF(prefix), NULL, NULL,
	    "keep everything below this, \"database-backups\"" },
	{ "style", HF_OPT_ENUM, 0, CONF(style), "auto", "auto|path|virtual",
	    "the bucket in the path or in the host's name; auto: virtual at "
	    "Amazon, path elsewhere" },
	{ "access_key", HF_OPT_STRING, HF_OPT_SECRET, CONF(access_key), NULL,
	    NULL,
	    "the access key; default: as other AWS programs find it "
	    "(environment, credentials file, container, instance)" },
	{ "secret_key", HF_OPT_STRING, HF_OPT_SECRET, CONF(secret_key), NULL,
	    NULL, "the secret key" },
	{ "session_token", HF_OPT_STRING, HF_OPT_SECRET, CONF(session_token),
	    NULL, NULL, "the session token of temporary keys" },
	{ "profile", HF_OPT_STRING, 0, CONF(profile), NULL, NULL,
	    "the profile of the shared credentials file; default: "
	    "AWS_PROFILE, \"default\"" },
	{ "ca_file", HF_OPT_PATH, 0, CONF(ca_file), NULL, NULL,
	    "the certificates that TLS trusts; default: the system's" },
	{ "insecure", HF_OPT_BOOL, 0, CONF(insecure), "false", NULL,
	    "do not check the service's certificate: for tests alone" },
	{ "proxy", HF_OPT_STRING, 0, CONF(proxy), NULL, NULL,
	    "an HTTP or SOCKS proxy; default: https_proxy and its like" },
	{ "storage_class", HF_OPT_STRING, 0, CONF(storage_class), NULL, NULL,
	    "the storage class of new objects, \"STANDARD_IA\"" },
	{ "sse", HF_OPT_ENUM, 0, CONF(sse), "none", "none|AES256|aws:kms",
	    "encryption by the service" },
	{ "kms_key", HF_OPT_STRING, 0, CONF(kms_key), NULL, NULL,
	    "the KMS key for sse aws:kms; default: the account's" },
	{ "tags", HF_OPT_STRING, HF_OPT_LIST, CONF(tags), NULL, NULL,
	    "tags of new objects, \"team=shop\"" },
	{ "lock", HF_OPT_DURATION, 0, CONF(lock), "0s", NULL,
	    "Object Lock: nobody can delete an object for so long; the "
	    "bucket must have it enabled" },
	{ "lock_mode", HF_OPT_ENUM, 0, CONF(lock_mode), "GOVERNANCE",
	    "GOVERNANCE|COMPLIANCE",
	    "who may lift the lock: some (GOVERNANCE) or nobody" },
	{ "part_size", HF_OPT_SIZE, 0, CONF(part_size), "5MiB", NULL,
	    "an object larger than this is sent in parts of this size; they "
	    "grow when there are thousands" },
	{ "parallel", HF_OPT_INT, 0, CONF(parallel), "4", "1..64",
	    "requests at once; memory is (open objects + this - 1) parts" },
	{ "timeout", HF_OPT_DURATION, 0, CONF(timeout), "10m", NULL,
	    "for one request, its repetitions included" },
	{ "low_speed_time", HF_OPT_DURATION, 0, CONF(low_speed_time), "30s",
	    NULL,
	    "a connection slower than 1 KiB/s for so long is given up and "
	    "tried again" },
	{ "bandwidth", HF_OPT_SIZE, 0, CONF(bandwidth), "0", NULL,
	    "bytes a second at most, up and down together; 0: no limit" },
	{ "exclusive", HF_OPT_BOOL, 0, CONF(exclusive), "false", NULL,
	    "nobody else writes to this bucket and prefix: for services that "
	    "do not know \"If-None-Match: *\"" },
	{ NULL, 0, 0, 0, NULL, NULL, NULL },
};

static const struct hf_store_ops store = {
	.struct_size = sizeof store,
	.open = store_open,
	.close = store_close,
	.check = check_store,
	.caps = probe_caps,
	.clock = objects_clock,
	.put = upload_begin,
	.put_write = upload_write,
	.put_commit = upload_commit,
	.put_abort = upload_abort,
	.get = download_begin,
	.get_read = download_read,
	.get_close = download_close,
	.stat = objects_stat,
	.list = objects_list,
	.remove = remove_one,
	.remove_many = remove_many,
	.sweep = sweep_uploads,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.min_host_minor = 1,
	.threads = HF_THREADS_HANDLE,
	.name = "s3",
	.version = "0.1.0",
	.summary = "Amazon S3 and services that speak its protocol",
	.help = "Keeps objects in a bucket. Large ones are sent in parts, "
		"several at once, each with a checksum that the service "
		"verifies; what fails for a moment is tried again within the "
		"timeout.",
	.options = options,
	.conf_size = sizeof(struct conf),
	.validate = store_validate,
	.load = plugin_load,
	.unload = plugin_unload,
	.store = &store,
};

HF_REGISTER(plugin, H);
