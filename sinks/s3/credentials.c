/* SPDX-License-Identifier: BSD-2-Clause */
#include "credentials.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metadata.h"
#include "profile.h"

#define RENEW_BEFORE 300 /* seconds */
#define ASK_AGAIN 30

enum origin { NOWHERE, OPTIONS, ENVIRONMENT, PROFILE, CONTAINER, INSTANCE };

struct credentials {
	const struct hf_ctx *ctx;
	const struct conf *conf;
	pthread_mutex_t lock; /* held while asking: one asks, all wait */
	enum origin origin;
	struct identity who;
	int64_t ends;  /* Unix seconds; 0: never */
	int64_t asked; /* Unix seconds: renewal was tried */
	char source[768];
};

int
credentials_new(const struct hf_ctx *ctx, const struct conf *conf,
    struct credentials **out, struct hf_error *err)
{
	struct credentials *c = calloc(1, sizeof *c);

	if (c == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	c->ctx = ctx;
	c->conf = conf;
	(void)pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return HF_OK;
}

void
credentials_free(struct credentials *c)
{
	if (c == NULL)
		return;
	(void)pthread_mutex_destroy(&c->lock);
	OPENSSL_cleanse(c, sizeof *c);
	free(c);
}

void
credentials_source(struct credentials *c, char *text, size_t cap)
{
	pthread_mutex_lock(&c->lock);
	(void)snprintf(text, cap, "%s", c->source);
	pthread_mutex_unlock(&c->lock);
}

static const char *
set_env(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || *value == '\0' ? NULL : value;
}

/* Headers are made of them: a line break would make another header. */
static bool
is_clean(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static bool
fill(struct identity *who, const char *access, const char *secret,
    const char *token)
{
	if (access == NULL || secret == NULL ||
	    strlen(access) >= sizeof who->access_key ||
	    strlen(secret) >= sizeof who->secret_key ||
	    (token != NULL && (strlen(token) >= sizeof who->session_token ||
				  !is_clean(token))) ||
	    !is_clean(access) || !is_clean(secret))
		return false;
	(void)snprintf(who->access_key, sizeof who->access_key, "%s", access);
	(void)snprintf(who->secret_key, sizeof who->secret_key, "%s", secret);
	(void)snprintf(who->session_token, sizeof who->session_token, "%s",
	    token == NULL ? "" : token);
	return true;
}

static bool
from_options(struct credentials *c)
{
	(void)snprintf(c->source, sizeof c->source, "the options");
	return fill(&c->who, c->conf->access_key, c->conf->secret_key,
	    c->conf->session_token);
}

static bool
from_environment(struct credentials *c)
{
	(void)snprintf(c->source, sizeof c->source, "the environment");
	return c->conf->profile == NULL &&
	       fill(&c->who, set_env("AWS_ACCESS_KEY_ID"),
		   set_env("AWS_SECRET_ACCESS_KEY"),
		   set_env("AWS_SESSION_TOKEN"));
}

static bool
from_profile(struct credentials *c)
{
	struct profile p;
	bool found = profile_read(c->conf->profile, &p) &&
		     fill(&c->who, p.access_key, p.secret_key, p.session_token);

	if (found)
		(void)snprintf(c->source, sizeof c->source, "profile %s of %s",
		    p.name, p.file);
	OPENSSL_cleanse(&p, sizeof p);
	return found;
}

/* What both kinds of metadata answer. */
static bool
from_document(struct credentials *c, const char *text)
{
	json_t *doc = json_loads(text, 0, NULL);
	const char *access = NULL, *secret = NULL, *token = NULL, *end = NULL;
	struct tm tm = { 0 };
	bool good = false;

	if (doc != NULL &&
	    json_unpack(doc, "{s:s, s:s, s?s, s?s}", "AccessKeyId", &access,
		"SecretAccessKey", &secret, "Token", &token, "Expiration",
		&end) == 0)
		good = fill(&c->who, access, secret, token);
	if (good)
		c->ends = end != NULL && strptime(end, "%Y-%m-%dT%H:%M:%S",
					     &tm) != NULL
			      ? (int64_t)timegm(&tm)
			      : 0;
	/* They are ours, though jansson lends them as const. */
	if (secret != NULL)
		OPENSSL_cleanse((void *)(uintptr_t)secret, strlen(secret));
	if (token != NULL)
		OPENSSL_cleanse((void *)(uintptr_t)token, strlen(token));
	json_decref(doc);
	return good;
}

static void
forget(char *text)
{
	if (text != NULL)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

static bool
from_container(struct credentials *c)
{
	char *text = metadata_container(c->ctx);
	bool good = text != NULL && from_document(c, text);

	(void)snprintf(c->source, sizeof c->source, "the container's endpoint");
	forget(text);
	return good;
}

static bool
from_instance(struct credentials *c)
{
	char *text = metadata_instance(c->ctx);
	bool good = text != NULL && from_document(c, text);

	(void)snprintf(c->source, sizeof c->source, "the instance's metadata");
	forget(text);
	return good;
}

static const struct {
	enum origin origin;
	bool (*find)(struct credentials *);
} places[] = {
	{ OPTIONS, from_options },
	{ ENVIRONMENT, from_environment },
	{ PROFILE, from_profile },
	{ CONTAINER, from_container },
	{ INSTANCE, from_instance },
};

/* The first place that has some; the same place again when they end. */
static bool
look(struct credentials *c)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (c->origin != NOWHERE && c->origin != places[i].origin)
			continue;
		if (places[i].find(c)) {
			c->origin = places[i].origin;
			return true;
		}
	}
	return false;
}

static bool
stale(struct credentials *c, bool renew)
{
	int64_t now = (int64_t)time(NULL);

	if (c->origin == NOWHERE)
		return true;
	/* The next ones may take a while to be there. */
	if (c->ends != 0 && now >= c->ends - RENEW_BEFORE &&
	    (now >= c->asked + ASK_AGAIN || now < c->asked)) {
		c->asked = now;
		return true;
	}
	/* Files and metadata change under us; our options do not. */
	return renew && c->origin >= PROFILE;
}

int
credentials_get(struct credentials *c, bool renew, struct identity *who,
    struct hf_error *err)
{
	int rc = HF_OK;

	pthread_mutex_lock(&c->lock);
	/* Those that we have may still be good for five minutes. */
	if (stale(c, renew) && !look(c) && c->origin == NOWHERE) {
		rc = H->fail(err, HF_E_DENIED, "no S3 credentials were found");
		H->fail_note(err, "hint",
		    "Looked at: the options access_key and secret_key, "
		    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the shared "
		    "credentials file, the container's endpoint, the "
		    "instance's metadata.  See docs/s3.md.");
	}
	if (rc == HF_OK)
		*who = c->who;
	pthread_mutex_unlock(&c->lock);
	return rc;
}

bool
credentials_region(const struct conf *conf, char *region, size_t cap)
{
	const char *env = set_env("AWS_REGION");
	struct profile p;
	bool found;

	if (env == NULL)
		env = set_env("AWS_DEFAULT_REGION");
	if (env != NULL) {
		(void)snprintf(region, cap, "%s", env);
		return true;
	}
	(void)profile_read(conf->profile, &p);
	found = p.region != NULL;
	if (found)
		(void)snprintf(region, cap, "%s", p.region);
	OPENSSL_cleanse(&p, sizeof p);
	return found;
}
