/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

/* What SigV4 calls URI-encoding: path and query are signed as they stand, and
 * the service encodes what it got by these rules to compare. */
static void
encode(char **to, const char *s, const char *kept)
{
	static const char hex[] = "0123456789ABCDEF";
	char *p = *to;

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c >= '0' && c <= '9') || strchr(kept, c) != NULL) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	*p = '\0';
	*to = p;
}

void
request_encode(const char *s, char *to, size_t cap)
{
	char *p = to;

	*p = '\0';
	if (cap > 3 * strlen(s))
		encode(&p, s, "-._~");
}

char *
request_path(const struct hf_store *s, const char *key)
{
	const char *prefix = s->conf.prefix == NULL ? "" : s->conf.prefix;
	size_t n;
	char *path, *p;

	if (key == NULL)
		return strdup("/");
	n = strlen(prefix) + strlen(key) + 3;
	if ((p = path = malloc(3 * n)) == NULL)
		return NULL;
	*p++ = '/';
	encode(&p, prefix, "-._~/");
	if (*prefix != '\0')
		*p++ = '/';
	encode(&p, key, "-._~/");
	return path;
}

/* "https://host/bucket/key?query" or "https://bucket.host/key?query" */
char *
request_url(const struct hf_store *s, const struct request *r)
{
	const char *endpoint = s->endpoint;
	const char *host = strstr(endpoint, "://");
	bool virtual = strcmp(s->conf.style, "virtual") == 0;
	char *path = request_path(s, r->key), *url = NULL;
	int n;

	host = host == NULL ? endpoint : host + 3;
	if (path == NULL)
		return NULL;
	n = asprintf(&url, "%.*s%s%s%s%s%s%s%s%s", (int)(host - endpoint),
	    endpoint, virtual ? s->conf.bucket : "", virtual ? "." : "", host,
	    virtual ? "" : "/", virtual ? "" : s->conf.bucket,
	    !virtual && r->key == NULL ? "" : path, r->query == NULL ? "" : "?",
	    r->query == NULL ? "" : r->query);
	free(path);
	return n < 0 ? NULL : url;
}
