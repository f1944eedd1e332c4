/* SPDX-License-Identifier: BSD-2-Clause */
#include "sign.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MAX 24
#define HASH_LEN 32
#define HEX_LEN (2 * HASH_LEN + 1)

struct field {
	const char *line;
	size_t len; /* of the name */
};

static void
to_hex(const unsigned char *hash, char hex[HEX_LEN])
{
	for (size_t i = 0; i < HASH_LEN; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}

/* By name alone, without case. */
static int
compare(const void *a, const void *b)
{
	const struct field *x = a, *y = b;
	int order =
	    strncasecmp(x->line, y->line, x->len < y->len ? x->len : y->len);

	if (order != 0)
		return order;
	return x->len < y->len ? -1 : x->len > y->len;
}

static size_t
sort(const struct sign *s, struct field fields[HEADERS_MAX])
{
	for (size_t i = 0; i < s->nheaders; i++) {
		fields[i].line = s->headers[i];
		fields[i].len = strcspn(s->headers[i], ":");
	}
	qsort(fields, s->nheaders, sizeof *fields, compare);
	return s->nheaders;
}

static void
put_name(FILE *f, const struct field *field)
{
	for (size_t i = 0; i < field->len; i++)
		(void)fputc(tolower((unsigned char)field->line[i]), f);
}

/* Without blanks at its ends, and one where there are more. */
static void
put_value(FILE *f, const struct field *field)
{
	const char *p = field->line + field->len + 1;

	for (p += strspn(p, " \t"); *p != '\0';) {
		size_t blanks = strspn(p, " \t");

		if (blanks == 0) {
			(void)fputc(*p++, f);
			continue;
		}
		p += blanks;
		if (*p != '\0')
			(void)fputc(' ', f);
	}
}

static void
put_names(FILE *f, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			(void)fputc(';', f);
		put_name(f, &fields[i]);
	}
}

static bool
hash_request(const struct sign *s, const struct field *fields, size_t n,
    char hex[HEX_LEN])
{
	unsigned char hash[HASH_LEN];
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool good;

	if (f == NULL)
		return false;
	(void)fprintf(f, "%s\n%s\n%s\n", s->method, s->path, s->query);
	for (size_t i = 0; i < n; i++) {
		put_name(f, &fields[i]);
		(void)fputc(':', f);
		put_value(f, &fields[i]);
		(void)fputc('\n', f);
	}
	(void)fputc('\n', f);
	put_names(f, fields, n);
	(void)fprintf(f, "\n%s", s->hash);
	good = ferror(f) == 0;
	good = fclose(f) == 0 && good &&
	       EVP_Digest(text, len, hash, NULL, EVP_sha256(), NULL) == 1;
	/* It may hold a session token. */
	if (text != NULL)
		OPENSSL_cleanse(text, len);
	free(text);
	to_hex(hash, hex);
	return good;
}

static bool
mac(const void *key, size_t keylen, const char *text,
    unsigned char out[HASH_LEN])
{
	return HMAC(EVP_sha256(), key, (int)keylen, (const unsigned char *)text,
		   strlen(text), out, NULL) != NULL;
}

/* The key of this day, region and service signs the text. */
static bool
sign_text(const struct sign *s, const char *text, char hex[HEX_LEN])
{
	unsigned char key[HASH_LEN];
	char first[512], day[9];
	int n = snprintf(first, sizeof first, "AWS4%s", s->secret_key);
	bool good;

	(void)snprintf(day, sizeof day, "%.8s", s->stamp);
	good = n > 0 && (size_t)n < sizeof first &&
	       mac(first, (size_t)n, day, key) &&
	       mac(key, sizeof key, s->region, key) &&
	       mac(key, sizeof key, "s3", key) &&
	       mac(key, sizeof key, "aws4_request", key) &&
	       mac(key, sizeof key, text, key);
	if (good)
		to_hex(key, hex);
	OPENSSL_cleanse(first, sizeof first);
	OPENSSL_cleanse(key, sizeof key);
	return good;
}

bool
sign_header(const struct sign *s, char line[SIGN_MAX])
{
	struct field fields[HEADERS_MAX];
	char hash[HEX_LEN], scope[160], text[512], signature[HEX_LEN];
	size_t n;
	FILE *f;

	if (s->nheaders > HEADERS_MAX)
		return false;
	n = sort(s, fields);
	if (!hash_request(s, fields, n, hash))
		return false;
	(void)snprintf(scope, sizeof scope, "%.8s/%s/s3/aws4_request", s->stamp,
	    s->region);
	(void)snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s",
	    s->stamp, scope, hash);
	if (!sign_text(s, text, signature) ||
	    (f = fmemopen(line, SIGN_MAX, "w")) == NULL)
		return false;
	(void)fprintf(f,
	    "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=",
	    s->access_key, scope);
	put_names(f, fields, n);
	(void)fprintf(f, ",Signature=%s", signature);
	return fclose(f) == 0 && strlen(line) < SIGN_MAX - 1;
}
