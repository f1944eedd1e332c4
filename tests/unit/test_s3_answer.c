/* SPDX-License-Identifier: BSD-2-Clause */
/* What answers mean, and how they are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base/error.h"
#include "plugin/host.h"
#include "xml.h"

static struct failure
judge(long http, const char *code, const char *method)
{
	struct answer a = { .status = http };
	struct failure f;
	char body[512] = "";

	if (code != NULL)
		(void)snprintf(body, sizeof body,
		    "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>it "
		    "says</Message></Error>",
		    code);
	a.body = body;
	a.len = strlen(body);
	answer_judge(&a, method, &f);
	return f;
}

static void
what_passes_is_tried_again_and_nothing_else(void **state)
{
	static const struct {
		long http;
		const char *code;
		int status;
		bool again;
	} rows[] = {
		{ 500, "InternalError", HF_E_TRANSIENT, true },
		{ 503, "SlowDown", HF_E_TRANSIENT, true },
		{ 503, NULL, HF_E_TRANSIENT, true },
		{ 502, "Unheard", HF_E_TRANSIENT, true },
		{ 504, NULL, HF_E_TRANSIENT, true },
		{ 408, NULL, HF_E_TRANSIENT, true },
		{ 409, "ConditionalRequestConflict", HF_E_TRANSIENT, true },
		{ 409, "OperationAborted", HF_E_TRANSIENT, true },
		{ 429, "TooManyRequests", HF_E_TRANSIENT, true },
		{ 400, "RequestTimeout", HF_E_TRANSIENT, true },
		{ 400, "BadDigest", HF_E_TRANSIENT, true },
		{ 200, "InternalError", HF_E_TRANSIENT, true },
		{ 200, "Unheard", HF_E_TRANSIENT, true },
		{ 400, "Unheard", HF_E_INVALID, false },
		{ 400, "InvalidRequest", HF_E_INVALID, false },
		{ 403, "AccessDenied", HF_E_DENIED, false },
		{ 403, "InvalidAccessKeyId", HF_E_DENIED, false },
		{ 403, "SignatureDoesNotMatch", HF_E_DENIED, false },
		{ 403, "UserSuspended", HF_E_DENIED, false },
		{ 403, "Unheard", HF_E_DENIED, false },
		{ 401, NULL, HF_E_DENIED, false },
		{ 400, "ExpiredToken", HF_E_DENIED, false },
		{ 400, "AuthorizationHeaderMalformed", HF_E_DENIED, false },
		{ 403, "RequestTimeTooSkewed", HF_E_DENIED, false },
		{ 404, "NoSuchKey", HF_E_NOTFOUND, false },
		{ 404, NULL, HF_E_NOTFOUND, false },
		{ 404, "NoSuchUpload", HF_E_NOTFOUND, false },
		/* No missing object: a missing place. */
		{ 404, "NoSuchBucket", HF_E_INVALID, false },
		{ 412, "PreconditionFailed", HF_E_EXISTS, false },
		{ 412, NULL, HF_E_EXISTS, false },
		{ 405, "MethodNotAllowed", HF_E_UNSUPPORTED, false },
		{ 501, "NotImplemented", HF_E_UNSUPPORTED, false },
		{ 301, "PermanentRedirect", HF_E_INVALID, false },
		{ 307, NULL, HF_E_INVALID, false },
		{ 403, "QuotaExceeded", HF_E_NOSPACE, false },
		{ 507, NULL, HF_E_NOSPACE, false },
		{ 302, NULL, HF_E_IO, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct failure f = judge(rows[i].http, rows[i].code, "PUT");

		if (f.status != rows[i].status || f.again != rows[i].again)
			print_error("%ld %s: %d %d\n", rows[i].http,
			    rows[i].code == NULL ? "-" : rows[i].code, f.status,
			    f.again);
		assert_int_equal(f.status, rows[i].status);
		assert_int_equal(f.again, rows[i].again);
		if (rows[i].code != NULL)
			assert_string_equal(f.code, rows[i].code);
	}
}

static void
no_answer_is_tried_again_where_that_helps(void **state)
{
	static const struct {
		int code, status;
		bool again, network;
	} rows[] = {
		{ CURLE_COULDNT_CONNECT, HF_E_TRANSIENT, true, true },
		{ CURLE_COULDNT_RESOLVE_HOST, HF_E_TRANSIENT, true, true },
		{ CURLE_SSL_CONNECT_ERROR, HF_E_TRANSIENT, true, true },
		{ CURLE_OPERATION_TIMEDOUT, HF_E_TRANSIENT, true, false },
		{ CURLE_GOT_NOTHING, HF_E_TRANSIENT, true, false },
		{ CURLE_RECV_ERROR, HF_E_TRANSIENT, true, false },
		{ CURLE_SEND_ERROR, HF_E_TRANSIENT, true, false },
		{ CURLE_PARTIAL_FILE, HF_E_TRANSIENT, true, false },
		{ CURLE_PEER_FAILED_VERIFICATION, HF_E_DENIED, false, false },
		{ CURLE_SSL_CACERT_BADFILE, HF_E_INVALID, false, false },
		{ CURLE_URL_MALFORMAT, HF_E_INVALID, false, false },
		{ CURLE_ABORTED_BY_CALLBACK, HF_E_CANCELLED, false, false },
		{ CURLE_OUT_OF_MEMORY, HF_E_NOMEM, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct failure f;

		answer_judge_curl(rows[i].code, "", &f);
		assert_int_equal(f.status, rows[i].status);
		assert_int_equal(f.again, rows[i].again);
		assert_int_equal(f.network, rows[i].network);
		assert_true(f.message[0] != '\0');
	}
}

static void
an_error_names_all_that_helps(void **state)
{
	struct hf_store s = { .endpoint = "https://host" };
	struct answer a = { .status = 403, .request_id = "tx1" };
	struct failure f = judge(403, "AccessDenied", "PUT");
	struct hf_error err = { 0 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(
	    answer_fail(&s, &a, &f, "uploading x", &err), HF_E_DENIED);
	error_render(&err, NULL, out);
	(void)fclose(out);
	assert_non_null(strstr(text, "uploading x: it says"));
	assert_non_null(strstr(text, "http: 403"));
	assert_non_null(strstr(text, "code: AccessDenied"));
	assert_non_null(strstr(text, "request-id: tx1"));
	assert_non_null(strstr(text, "host: https://host"));
	assert_non_null(strstr(text, "s3:PutObject"));
	free(text);
	error_clear(&err);
}

static void
expect_text(const char *xml, const char *path, const char *want)
{
	char value[32];
	bool found = xml_value(xml, strlen(xml), path, value, sizeof value);

	assert_int_equal(found, want != NULL);
	assert_string_equal(value, want == NULL ? "" : want);
}

static void
values_are_found_by_their_whole_path(void **state)
{
	const char *xml = "<r><a><k>1 &lt; 2</k></a><k>x</k><k>y</k><e/></r>";

	(void)state;
	expect_text(xml, "r/a/k", "1 < 2");
	expect_text(xml, "r/k", "x");
	expect_text(xml, "r/e", "");
	expect_text(xml, "k", NULL);
	expect_text(xml, "r/a", "");
	/* Cut, not overrun. */
	expect_text("<r>0123456789012345678901234567890123456789</r>", "r",
	    "0123456789012345678901234567890");
	/* Spaces that kept the connection alive. */
	expect_text("  \n\n<?xml version=\"1.0\"?><r>x</r>", "r", "x");
}

static int
count(void *arg, const char *path, const char *text)
{
	(void)path;
	(void)text;
	++*(int *)arg;
	return HF_OK;
}

static void
what_is_no_xml_is_an_error(void **state)
{
	static const char *const bad[] = { "", "x", "<a>", "<a></b>",
		"<a>&b;</a>", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
		"<!DOCTYPE a><a/>", "<a/><b/>" };
	struct hf_error err = { 0 };
	int n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(
		    xml_walk(bad[i], strlen(bad[i]), count, &n, &err),
		    HF_E_CORRUPT);
		assert_true(err.cause[0] != '\0');
		error_clear(&err);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_passes_is_tried_again_and_nothing_else),
		cmocka_unit_test(no_answer_is_tried_again_where_that_helps),
		cmocka_unit_test(an_error_names_all_that_helps),
		cmocka_unit_test(values_are_found_by_their_whole_path),
		cmocka_unit_test(what_is_no_xml_is_an_error),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
