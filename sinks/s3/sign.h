/* SPDX-License-Identifier: BSD-2-Clause */
/* AWS Signature Version 4 in a header, for requests whose body is hashed.
 *
 * libcurl has one too (CURLOPT_AWS_SIGV4), but releases that are still about
 * sort headers by their whole lines, so that of two names one of which begins
 * with the other ("x-amz-server-side-encryption") the signature is wrong, and
 * each release encodes otherwise. */
#ifndef HF_S3_SIGN_H
#define HF_S3_SIGN_H

#include <stdbool.h>
#include <stddef.h>

#define SIGN_MAX 2048

struct sign {
	const char *method;
	const char *path,
	    *query; /* encoded, sorted, as sent; query may be "" */
	const char *const *headers; /* "Name: value", each once; NULL ends */
	size_t nheaders;            /* at most 24; they hold host and date */
	const char *stamp;          /* "20130524T000000Z", as in x-amz-date */
	const char *hash;           /* hex, as in x-amz-content-sha256 */
	const char *region;
	const char *access_key, *secret_key;
};

/* "Authorization: AWS4-HMAC-SHA256 ..."; false: no memory, or too long. */
bool sign_header(const struct sign *, char line[SIGN_MAX]);

#endif
