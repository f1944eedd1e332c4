/* SPDX-License-Identifier: BSD-2-Clause */
#include "metadata.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_HOST "http://169.254.169.254"
#define ROLES "/latest/meta-data/iam/security-credentials/"
#define BODY_MAX ((size_t)64 * 1024)
/* A machine that is no cloud's answers never. */
#define CONNECT_MS 1000L
#define ALL_MS 5000L

struct body {
	const struct hf_ctx *ctx;
	char *text;
	size_t len;
};

static size_t
on_write(char *data, size_t size, size_t n, void *arg)
{
	struct body *b = arg;

	n *= size;
	if (n >= BODY_MAX - b->len)
		return 0;
	memcpy(b->text + b->len, data, n);
	b->len += n;
	b->text[b->len] = '\0';
	return n;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct body *body = arg;

	(void)a, (void)b, (void)c, (void)d;
	return H->cancelled(body->ctx);
}

static void
forget(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* The body of a 200, to be freed, or NULL. */
static char *
ask(const struct hf_ctx *ctx, const char *method, const char *url,
    const char *header)
{
	struct body body = { .ctx = ctx, .text = calloc(1, BODY_MAX) };
	struct curl_slist *headers =
	    header == NULL ? NULL : curl_slist_append(NULL, header);
	CURL *curl = curl_easy_init();
	long status = 0;

	if (curl != NULL && body.text != NULL &&
	    (header == NULL || headers != NULL)) {
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
		/* A proxy is not on this machine. */
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
		curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ALL_MS);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &body);
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		if (curl_easy_perform(curl) == CURLE_OK)
			curl_easy_getinfo(
			    curl, CURLINFO_RESPONSE_CODE, &status);
	}
	curl_easy_cleanup(curl);
	if (headers != NULL)
		explicit_bzero(headers->data, strlen(headers->data));
	curl_slist_free_all(headers);
	if (status == 200)
		return body.text;
	forget(body.text);
	return NULL;
}

static char *
join(const char *a, const char *b)
{
	char *s;

	return asprintf(&s, "%s%s", a, b) < 0 ? NULL : s;
}

/* The token may stand in a file that is written anew from time to time. */
static char *
container_token(void)
{
	const char *path = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	char text[4096] = "", *line = NULL;
	FILE *f;

	if (path != NULL && (f = fopen(path, "re")) != NULL) {
		if (fgets(text, sizeof text, f) == NULL)
			text[0] = '\0';
		(void)fclose(f);
		text[strcspn(text, "\r\n")] = '\0';
		token = text;
	}
	if (token != NULL && *token != '\0')
		line = join("Authorization: ", token);
	explicit_bzero(text, sizeof text);
	return line;
}

char *
metadata_container(const struct hf_ctx *ctx)
{
	const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	char *url = NULL, *header, *answer;

	if (relative != NULL && *relative != '\0')
		url = join(CONTAINER_HOST, relative);
	else if (full != NULL && *full != '\0')
		url = strdup(full);
	if (url == NULL)
		return NULL;
	header = container_token();
	answer = ask(ctx, "GET", url, header);
	forget(header);
	free(url);
	return answer;
}

/* AWS_EC2_METADATA_SERVICE_ENDPOINT is how other programs name another. */
static const char *
instance_host(void)
{
	const char *host = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");

	return host == NULL || *host == '\0' ? INSTANCE_HOST : host;
}

char *
metadata_instance(const struct hf_ctx *ctx)
{
	const char *off = getenv("AWS_EC2_METADATA_DISABLED");
	char *url, *token = NULL, *header = NULL, *role = NULL, *answer = NULL;

	if (off != NULL && strcasecmp(off, "true") == 0)
		return NULL;
	if ((url = join(instance_host(), "/latest/api/token")) != NULL)
		token = ask(ctx, "PUT", url,
		    "X-aws-ec2-metadata-token-ttl-seconds: 300");
	free(url);
	if (token == NULL)
		return NULL;
	header = join("X-aws-ec2-metadata-token: ", token);
	url = join(instance_host(), ROLES);
	if (header != NULL && url != NULL)
		role = ask(ctx, "GET", url, header);
	free(url);
	if (role != NULL) {
		char *path = NULL;

		role[strcspn(role, "\r\n")] = '\0';
		url = (path = join(ROLES, role)) == NULL
			  ? NULL
			  : join(instance_host(), path);
		if (url != NULL)
			answer = ask(ctx, "GET", url, header);
		free(url);
		free(path);
	}
	free(role);
	forget(header);
	forget(token);
	return answer;
}
