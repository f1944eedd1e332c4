/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/key.h"
#include "base/secret.h"
#include "base/sha256.h"
#include "base/text.h"

static void
an_error_keeps_cause_frames_and_hint(void **state)
{
	struct hf_error err = { 0 };
	char line[256], *text = NULL;
	size_t len;
	FILE *f;

	(void)state;
	assert_int_equal(
	    error_errno(&err, ENOSPC, "cannot write %s", "a"), HF_E_NOSPACE);
	assert_int_equal(error_context(&err, "storing %s", "b"), HF_E_NOSPACE);
	error_note(&err, "sqlstate", "57P01");
	assert_non_null(error_get(&err, "hint"));
	error_line(&err, line, sizeof line);
	assert_string_equal(
	    line, "storing b: cannot write a: No space left on device");
	assert_non_null(f = open_memstream(&text, &len));
	error_render(&err, "backup of \"shop\"", f);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text,
	    "error: backup of \"shop\": cannot write a: No space left on "
	    "device\n  while: storing b\n  sqlstate: 57P01\n  hint: Free some "
	    "space, or choose another place.\n");
	free(text);
}

static void
a_full_error_slot_keeps_the_outermost_frame(void **state)
{
	struct hf_error err = { 0 };

	(void)state;
	error_fail(&err, HF_E_IO, "x");
	for (int i = 0; i < 20; i++)
		error_context(&err, "frame %d", i);
	assert_int_equal(err.nframes, ERROR_FRAMES);
	assert_string_equal(err.frames[0], "frame 0");
	assert_string_equal(err.frames[ERROR_FRAMES - 1], "frame 19");
}

static void
an_error_may_be_unwanted(void **state)
{
	(void)state;
	assert_int_equal(error_fail(NULL, HF_E_IO, "x"), HF_E_IO);
	assert_int_equal(error_errno(NULL, EACCES, "x"), HF_E_DENIED);
	error_note(NULL, "hint", "x");
	error_clear(NULL);
	assert_null(error_get(NULL, "hint"));
}

static void
secrets_do_not_reach_an_error(void **state)
{
	struct hf_error err = { 0 };

	(void)state;
	secret_add("hunter22");
	secret_add("abc"); /* too short to be told from text */
	error_fail(&err, HF_E_DENIED, "login hunter22 abc failed");
	error_context(&err, "using hunter22hunter22");
	error_note(&err, "hint", "hunter22");
	assert_string_equal(err.cause, "login ******** abc failed");
	assert_string_equal(err.frames[0], "using ****************");
	assert_string_equal(error_get(&err, "hint"), "********");
	secret_forget();
}

static void
passwords_in_a_place_are_secrets(void **state)
{
	static const char *const places[][2] = {
		{ "host=db password=hunter22 dbname=a",
		    "host=db password=******** dbname=a" },
		{ "password = 'a b\\'c' host=db",
		    "password = '******' host=db" },
		{ "sslpassword=swordfish", "sslpassword=*********" },
		{ "postgresql://me:hunter22@db:5432/a",
		    "postgresql://me:********@db:5432/a" },
		{ "postgresql://me@db/a?user=x&password=hunter22&port=1",
		    "postgresql://me@db/a?user=x&password=********&port=1" },
		{ "postgresql://db:5432/a@b", "postgresql://db:5432/a@b" },
		{ "/data/password/app.db", "/data/password/app.db" },
		{ "password", "password" },
		{ "password='open", "password='****" },
	};
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		secret_add_within(places[i][0]);
		(void)snprintf(text, sizeof text, "%s", places[i][0]);
		secret_scrub(text);
		assert_string_equal(text, places[i][1]);
		secret_forget();
	}
}

static void
keys_that_could_leave_the_store_are_refused(void **state)
{
	static const char *const good[] = { "a", "a/b.json",
		"shop/data/20261121T021500Z-7f3a91c2/app=20.db.gz" };
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".",
		"..", "a/../b", ".tmp/x", "a/.b", "a b", "a\\b", "\xc3\xa4",
		"a\nb", "a%20" };
	char longest[KEY_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(key_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(key_valid(bad[i]));
	memset(longest, 'a', sizeof longest);
	longest[KEY_MAX] = '\0';
	assert_true(key_valid(longest));
	longest[KEY_MAX] = 'a';
	longest[KEY_MAX + 1] = '\0';
	assert_false(key_valid(longest));
	assert_true(key_valid_prefix(""));
	assert_true(key_valid_prefix("shop/data/"));
	assert_true(key_valid_prefix("shop/da"));
	assert_false(key_valid_prefix("/"));
	assert_false(key_valid_prefix("a/.."));
}

static void
any_name_becomes_a_key_of_its_own(void **state)
{
	char a[KEY_MAX + 1], b[KEY_MAX + 1], name[600];

	(void)state;
	assert_true(key_escape("app.db", a, sizeof a));
	assert_string_equal(a, "app.db");
	assert_true(key_escape("m\xc3\xa4 'x\n=.db", a, sizeof a));
	assert_string_equal(a, "m=C3=A4=20=27x=0A=3D.db");
	assert_true(key_escape("data/.hidden/..", a, sizeof a));
	assert_string_equal(a, "data/=2Ehidden/=2E.");
	assert_true(key_valid(a));
	assert_false(key_escape("", a, sizeof a));
	assert_false(key_escape("a//b", a, sizeof a));
	assert_false(key_escape("a/", a, sizeof a));

	memset(name, 0xa4, sizeof name);
	name[400] = '\0';
	assert_true(key_escape(name, a, sizeof a));
	name[399] = 'x';
	assert_true(key_escape(name, b, sizeof b));
	assert_string_not_equal(a, b);
	assert_true(key_valid(a));
	assert_true(strlen(a) <= KEY_COMPONENT_MAX);
	assert_false(key_escape(name, a, 50));
}

static void
a_key_of_every_length_is_valid(void **state)
{
	char name[260], key[KEY_MAX + 1];

	(void)state;
	for (size_t n = 1; n < sizeof name; n++) {
		memset(name, n % 3 == 0 ? ' ' : 'x', n);
		name[n] = '\0';
		assert_true(key_escape(name, key, sizeof key));
		assert_true(key_valid(key));
		assert_true(strlen(key) <= KEY_COMPONENT_MAX);
	}
}

static void
sha256_agrees_with_the_standard(void **state)
{
	char hex[SHA256_HEX];

	(void)state;
	assert_int_equal(sha256_of("abc", 3, hex, NULL), HF_OK);
	assert_string_equal(hex,
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void
a_file_is_written_whole_or_not_at_all(void **state)
{
	char dir[] = "/tmp/holdfast-base-XXXXXX";
	struct hf_error err = { 0 };
	struct buf b = BUF_INIT;
	struct stat st;
	char *path, *nested;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = text_format("%s/f", dir);
	assert_int_equal(file_write(path, "hello", 5, &err), HF_OK);
	assert_int_equal(file_write(path, "hello2", 6, &err), HF_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_read(path, 100, &b, &err), HF_OK);
	assert_string_equal((char *)b.data, "hello2");
	assert_int_equal(file_read(path, 5, &b, &err), HF_E_INVALID);
	buf_free(&b);
	nested = text_format("%s/a/b/c", dir);
	assert_int_equal(file_mkdirs(nested, &err), HF_OK);
	assert_int_equal(file_mkdirs(nested, &err), HF_OK);
	assert_int_equal(file_mkdirs(path, &err), HF_E_INVALID);
	assert_int_equal(file_unlinked(nested, &fd, &err), HF_OK);
	assert_int_equal(close(fd), 0);
	assert_int_equal(rmdir(nested), 0); /* nothing is left in it */
	free(nested);
	nested = text_format("%s/none/f", dir);
	assert_int_equal(file_write(nested, "x", 1, &err), HF_E_NOTFOUND);
	free(nested);
	nested = text_format("rm -r %s", dir);
	assert_int_equal(system(nested), 0);
	free(nested);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_keeps_cause_frames_and_hint),
		cmocka_unit_test(a_full_error_slot_keeps_the_outermost_frame),
		cmocka_unit_test(an_error_may_be_unwanted),
		cmocka_unit_test(secrets_do_not_reach_an_error),
		cmocka_unit_test(passwords_in_a_place_are_secrets),
		cmocka_unit_test(keys_that_could_leave_the_store_are_refused),
		cmocka_unit_test(any_name_becomes_a_key_of_its_own),
		cmocka_unit_test(a_key_of_every_length_is_valid),
		cmocka_unit_test(sha256_agrees_with_the_standard),
		cmocka_unit_test(a_file_is_written_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
