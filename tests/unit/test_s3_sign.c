/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures: the examples of the Amazon S3 API Reference, "Signature
 * Calculations for the Authorization Header". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "sign.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct sign
example(const char *method, const char *path, const char *query,
    const char *hash, const char *const *headers, size_t n)
{
	return (struct sign){ .method = method,
		.path = path,
		.query = query,
		.headers = headers,
		.nheaders = n,
		.stamp = "20130524T000000Z",
		.hash = hash,
		.region = "us-east-1",
		.access_key = "AKIAIOSFODNN7EXAMPLE",
		.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
}

static void
expect(const struct sign *s, const char *names, const char *signature)
{
	char line[SIGN_MAX], want[512];

	(void)snprintf(want, sizeof want,
	    "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"
	    "20130524/us-east-1/s3/aws4_request,SignedHeaders=%s,Signature=%s",
	    names, signature);
	assert_true(sign_header(s, line));
	assert_string_equal(line, want);
}

static void
getting_a_range(void **state)
{
	const char *const headers[] = { "Range: bytes=0-9",
		("x-amz-content-sha256: " EMPTY),
		"X-Amz-Date: 20130524T000000Z",
		"Host: examplebucket.s3.amazonaws.com" };
	struct sign s = example("GET", "/test.txt", "", EMPTY, headers, 4);

	(void)state;
	expect(&s, "host;range;x-amz-content-sha256;x-amz-date",
	    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void
putting_an_object(void **state)
{
#define BODY "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
	const char *const headers[] = { "Host: examplebucket.s3.amazonaws.com",
		"Date: Fri, 24 May 2013 00:00:00 GMT",
		("x-amz-content-sha256: " BODY),
		"x-amz-storage-class: REDUCED_REDUNDANCY",
		"x-amz-date: 20130524T000000Z" };
	struct sign s =
	    example("PUT", "/test%24file.text", "", BODY, headers, 5);

	(void)state;
	expect(&s,
	    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void
a_query_with_and_without_values(void **state)
{
	const char *const headers[] = { "Host: examplebucket.s3.amazonaws.com",
		("x-amz-content-sha256: " EMPTY),
		"x-amz-date: 20130524T000000Z" };
	struct sign s = example("GET", "/", "lifecycle=", EMPTY, headers, 3);

	(void)state;
	expect(&s, "host;x-amz-content-sha256;x-amz-date",
	    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	s.query = "max-keys=2&prefix=J";
	expect(&s, "host;x-amz-content-sha256;x-amz-date",
	    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void
a_name_that_begins_with_another_comes_after_it(void **state)
{
	const char *const headers[] = {
		"x-amz-server-side-encryption-aws-kms-key-id: k",
		"x-amz-server-side-encryption: aws:kms"
	};
	struct sign s = example("PUT", "/", "", EMPTY, headers, 2);
	char line[SIGN_MAX];

	(void)state;
	assert_true(sign_header(&s, line));
	assert_non_null(
	    strstr(line, "SignedHeaders=x-amz-server-side-encryption;"
			 "x-amz-server-side-encryption-aws-kms-key-id,"));
}

static void
blanks_in_a_value_do_not_matter(void **state)
{
	const char *const one[] = { "x-amz-tagging: a b" };
	const char *const more[] = { "X-Amz-Tagging:  a \t b  " };
	struct sign s = example("PUT", "/", "", EMPTY, one, 1);
	char first[SIGN_MAX], second[SIGN_MAX];

	(void)state;
	assert_true(sign_header(&s, first));
	s.headers = more;
	assert_true(sign_header(&s, second));
	assert_string_equal(first, second);
}

static void
a_secret_that_is_too_long_is_not_cut(void **state)
{
	char secret[600], line[SIGN_MAX];
	struct sign s = example("GET", "/", "", EMPTY, NULL, 0);

	(void)state;
	memset(secret, 'x', sizeof secret - 1);
	secret[sizeof secret - 1] = '\0';
	s.secret_key = secret;
	assert_false(sign_header(&s, line));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(getting_a_range),
		cmocka_unit_test(putting_an_object),
		cmocka_unit_test(a_query_with_and_without_values),
		cmocka_unit_test(
		    a_name_that_begins_with_another_comes_after_it),
		cmocka_unit_test(blanks_in_a_value_do_not_matter),
		cmocka_unit_test(a_secret_that_is_too_long_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
