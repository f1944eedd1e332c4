/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sha256.h"
#include "repo/doc.h"

static json_t *
sample(void)
{
	json_t *doc =
	    json_pack("{s:i, s:s, s:{s:I, s:b}, s:[s,s]}", "format", 1, "name",
		"gr\xc3\xb6\xc3\x9f"
		"e \"x\"",
		"inner", "size", (json_int_t)1234567890123, "ok", 1, "list",
		"a", "b");

	assert_non_null(doc);
	return doc;
}

static void
seal(const json_t *doc, struct buf *text)
{
	struct hf_error err = { 0 };

	assert_int_equal(doc_seal(doc, text, &err), HF_OK);
}

static int
open_text(const struct buf *text, json_t **out)
{
	struct hf_error err = { 0 };
	int rc = doc_open((const char *)text->data, text->len, "it", out, &err);

	assert_int_equal(rc, err.status);
	return rc;
}

static void
what_was_sealed_comes_back(void **state)
{
	json_t *doc = sample(), *back = NULL;
	struct buf text = BUF_INIT;

	(void)state;
	seal(doc, &text);
	assert_int_equal(open_text(&text, &back), HF_OK);
	assert_true(json_equal(doc, back));
	json_decref(back);
	json_decref(doc);
	buf_free(&text);
}

static void
members_keep_their_order(void **state)
{
	static const char want[] = "{\n  \"z\": 1,\n  \"a\": 2,\n  \"m\": 3,\n"
				   "  \"sha256\": \"";
	json_t *doc = json_pack("{s:i, s:i, s:i}", "z", 1, "a", 2, "m", 3);
	struct buf text = BUF_INIT;

	(void)state;
	seal(doc, &text);
	assert_memory_equal(text.data, want, strlen(want));
	json_decref(doc);
	buf_free(&text);
}

static void
every_flipped_bit_is_found(void **state)
{
	json_t *doc = sample(), *back = NULL;
	struct buf text = BUF_INIT;

	(void)state;
	seal(doc, &text);
	for (size_t i = 0; i < text.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			text.data[i] ^= (uint8_t)(1u << bit);
			assert_int_equal(open_text(&text, &back), HF_E_CORRUPT);
			text.data[i] ^= (uint8_t)(1u << bit);
		}
	json_decref(doc);
	buf_free(&text);
}

static void
every_truncation_and_addition_is_found(void **state)
{
	json_t *doc = sample(), *back = NULL;
	struct buf text = BUF_INIT;
	size_t len;

	(void)state;
	seal(doc, &text);
	len = text.len;
	for (text.len = 0; text.len < len; text.len++)
		assert_int_equal(open_text(&text, &back), HF_E_CORRUPT);
	assert_int_equal(buf_puts(&text, "\n", NULL), HF_OK);
	assert_int_equal(open_text(&text, &back), HF_E_CORRUPT);
	json_decref(doc);
	buf_free(&text);
}

/* Sealed it may be, but a document is an object. */
static void
a_sealed_text_that_is_no_object_is_refused(void **state)
{
	static const char *const bodies[] = { "[\n1\n}\n", "{\n  nonsense\n}\n",
		"{\n  \"a\": 1,\n  \"a\": 2\n}\n" };
	char hex[SHA256_HEX];
	json_t *back = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct buf text = BUF_INIT;
		size_t len = strlen(bodies[i]);

		assert_int_equal(sha256_of(bodies[i], len, hex, NULL), HF_OK);
		(void)buf_append(&text, bodies[i], len - 3, NULL);
		(void)buf_puts(&text, ",\n  \"sha256\": \"", NULL);
		(void)buf_puts(&text, hex, NULL);
		(void)buf_puts(&text, "\"\n}\n", NULL);
		assert_int_equal(open_text(&text, &back), HF_E_CORRUPT);
		buf_free(&text);
	}
}

static void
what_cannot_be_sealed_is_refused(void **state)
{
	json_t *docs[] = { json_object(), json_array(),
		json_pack("{s:s}", "sha256", "mine") };
	struct buf text = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(doc_seal(docs[i], &text, NULL), HF_E_BUG);
		json_decref(docs[i]);
	}
	assert_int_equal(text.len, 0);
}

/* The recipe of docs/format.md and README.txt. */
static void
a_seal_can_be_checked_with_common_tools(void **state)
{
	json_t *doc = sample();
	struct buf text = BUF_INIT;
	char path[] = "/tmp/holdfast-doc-XXXXXX", command[256], out[256] = "";
	int fd = mkstemp(path);
	FILE *p;

	(void)state;
	seal(doc, &text);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.data, text.len), text.len);
	assert_int_equal(close(fd), 0);
	(void)snprintf(command, sizeof command,
	    "(head -n -2 %s | sed '$ s/,$//'; echo '}') | sha256sum", path);
	assert_non_null(p = popen(command, "r"));
	assert_non_null(fgets(out, sizeof out, p));
	assert_int_equal(pclose(p), 0);
	out[64] = '\0';
	assert_non_null(strstr((const char *)text.data + text.len - 80, out));
	assert_int_equal(unlink(path), 0);
	json_decref(doc);
	buf_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_comes_back),
		cmocka_unit_test(members_keep_their_order),
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(every_truncation_and_addition_is_found),
		cmocka_unit_test(a_sealed_text_that_is_no_object_is_refused),
		cmocka_unit_test(what_cannot_be_sealed_is_refused),
		cmocka_unit_test(a_seal_can_be_checked_with_common_tools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
