/* SPDX-License-Identifier: BSD-2-Clause */
/* Incremental base backups, of a walsender that follows a script: whatever it
 * says, and wherever it goes away, it is a backup that builds on its parent, a
 * refusal after which nothing is left, or a failure. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/memout.h"
#include "support/pgwire.h"
#include "support/tarkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM UINT64_C(7312345678901234567)
#define SYSTEM_TEXT "7312345678901234567"
#define PARENT_START "0/2000028"
#define PARENT_STOP "0/2000138"
#define NOW "0/4000000"
#define START "0/5000028"
#define STOP "0/5000138"
#define MANIFEST "{ \"PostgreSQL-Backup-Manifest-Version\": 2 }\n"
#define LABEL                                                           \
	"START WAL LOCATION: 0/5000028 (file 000000010000000000000005)" \
	"\nBACKUP METHOD: streamed\nSTART TIMELINE: 1\n"
#define FROM "INCREMENTAL FROM LSN: " PARENT_START "\nINCREMENTAL FROM TLI: 1\n"

static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;

/* ---- what it says ---- */

static struct pgwire greeting, identify, size, summarize, upload, uploaded,
    backup_answer;

static void
archive(struct pgwire *s, const char *name, const struct tarkit *t)
{
	pgwire_begin(s, 'd');
	pgwire_bytes(s, "n", 1);
	pgwire_bytes(s, name, strlen(name) + 1);
	pgwire_bytes(s, "", 1);
	pgwire_finish(s);
	pgwire_data(s, 'd', t->bytes, t->len);
}

/* With that backup_label. */
static void
make_backup(struct pgwire *s, const char *label)
{
	struct tarkit base = { 0 }, space = { 0 };

	tarkit_add(
	    &base, "backup_label", TARKIT_FILE, NULL, label, strlen(label));
	tarkit_add(&base, "base/1/INCREMENTAL.1", TARKIT_FILE, NULL,
	    "\x0d\x1f\xae\xd3", 4);
	pgwire_control(&base, SYSTEM, 1300, 202406281, 0x5000060);
	tarkit_end(&base);
	tarkit_add(&space, "PG_17_202406281/1/INCREMENTAL.1", TARKIT_FILE, NULL,
	    "rows", 4);
	tarkit_end(&space);

	memset(s, 0, sizeof *s);
	PGWIRE_ROWS(s, 2, START, "1");
	PGWIRE_ROWS(s, 3, "16385", "/srv/space", "1", "", "", "9");
	pgwire_copy_begin(s, 'H');
	archive(s, "16385.tar", &space);
	archive(s, "base.tar", &base);
	pgwire_begin(s, 'd');
	pgwire_bytes(s, "m", 1);
	pgwire_finish(s);
	pgwire_data(s, 'd', MANIFEST, strlen(MANIFEST));
	pgwire_simple(s, 'c', NULL);
	PGWIRE_ROWS(s, 2, STOP, "1");
	pgwire_simple(s, 'C', "SELECT");
	pgwire_ready(s);
	tarkit_free(&base);
	tarkit_free(&space);
}

static void
make_scripts(void)
{
	pgwire_greeting(&greeting, "17.2");
	PGWIRE_ROWS(&identify, 4, SYSTEM_TEXT, "1", NOW, "");
	pgwire_ready(&identify);
	PGWIRE_ROWS(&size, 1, "16MB");
	pgwire_ready(&size);
	PGWIRE_ROWS(&summarize, 1, "on");
	pgwire_ready(&summarize);
	pgwire_copy_begin(&upload, 'G');
	pgwire_simple(&uploaded, 'C', "UPLOAD_MANIFEST");
	pgwire_ready(&uploaded);
	make_backup(&backup_answer, LABEL FROM);
}

/* The answers of a server that does all of it; a test replaces some. */
enum which { IDENTIFY, SIZE, SUMMARIZE, UPLOAD, UPLOADED, BACKUP, FAIL, MORE };

struct server {
	struct pgwire_answer a[MORE + 1];
	const struct pgwire *greeting;
	uint32_t kind;
};

static struct server
good(void)
{
	return (struct server){ .greeting = &greeting,
		.kind = HF_KIND_INCR,
		.a = {
		    { "IDENTIFY_SYSTEM", &identify, PGWIRE_WHOLE },
		    { "SHOW wal_segment_size", &size, PGWIRE_WHOLE },
		    { "SHOW summarize_wal", &summarize, PGWIRE_WHOLE },
		    { "UPLOAD_MANIFEST", &upload, PGWIRE_WHOLE },
		    { "CopyDone", &uploaded, PGWIRE_WHOLE },
		    { "BASE_BACKUP (", &backup_answer, PGWIRE_WHOLE },
		    { "CopyFail", NULL, PGWIRE_WHOLE },
		    { "TIMELINE_HISTORY 3", NULL, PGWIRE_WHOLE },
		} };
}

/* ---- what it builds on ---- */

static char manifest[200 * 1024]; /* in several pieces */

static struct memout *
parent_new(void)
{
	static const char *const facts[][2] = { { BASE_FACT_MODE, "physical" },
		{ BASE_FACT_SYSTEM, SYSTEM_TEXT }, { BASE_FACT_TIMELINE, "1" },
		{ BASE_FACT_STOP_TIMELINE, "1" },
		{ BASE_FACT_START, PARENT_START },
		{ BASE_FACT_STOP, PARENT_STOP },
		{ BASE_FACT_SEGMENT_SIZE, "16777216" },
		{ BASE_FACT_STOPPED, "1700000000" },
		{ BASE_FACT_WAL, "included" } };
	struct memout *m = memout_new();

	for (size_t i = 0; i < sizeof manifest; i++)
		manifest[i] = (char)('a' + i / 7 % 26);
	memout_add(m, BASE_MANIFEST, manifest, sizeof manifest);
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		memout_set_fact(m, facts[i][0], facts[i][1]);
	return m;
}

/* ---- */

static char asked[512];

static int
backup_on(const struct server *answers, struct memout *parent, struct memout *m)
{
	struct pgwire_server s = { .greeting = answers->greeting,
		.answers = answers->a,
		.nanswers = sizeof answers->a / sizeof *answers->a };
	struct hf_engine e = { .ctx = &ctx };
	struct hf_request r = { .struct_size = sizeof r,
		.kind = answers->kind,
		.parent =
		    answers->kind == HF_KIND_INCR ? memout_in(parent) : NULL,
		.max_streams = 4 };
	char info[128];
	int rc;

	pgwire_serve(&s);
	(void)snprintf(info, sizeof info,
	    "hostaddr=127.0.0.1 host=new port=%d user=postgres "
	    "sslmode=disable gssencmode=disable",
	    s.port);
	e.conf = (struct conf){ .conninfo = info,
		.mode = "physical",
		.checkpoint = "fast",
		.verify_checksums = true };
	error_clear(&err);
	rc = base_backup(&e, &r, memout_out(m), &err);
	pgwire_stop(&s);
	(void)snprintf(asked, sizeof asked, "%s", s.command);
	if (rc == HF_OK && answers->kind == HF_KIND_INCR) {
		assert_int_equal(s.nreceived, sizeof manifest);
		assert_memory_equal(s.received, manifest, sizeof manifest);
	}
	free(s.received);
	assert_int_equal(memout_open(m), 0);
	return rc;
}

static void
assert_has(const char *part)
{
	if (strstr(err.cause, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, err.cause);
}

static void
assert_failed(const struct server *s, struct memout *parent, int status,
    const char *why, const char *where)
{
	struct memout *m = memout_new();
	int rc = backup_on(s, parent, m);

	if (rc != status)
		fail_msg("%s: status %d, not %d: %s", where, rc, status,
		    rc == HF_OK ? "a backup" : err.cause);
	assert_has(why);
	assert_null(memout_fact(m, BASE_FACT_STOP));
	assert_null(memout_fact(m, BASE_FACT_FROM));
	if (status == HF_E_UNSUPPORTED) {
		assert_int_equal(memout_calls(m, MEMOUT_BEGIN), 0);
		assert_int_equal(memout_calls(m, MEMOUT_FACT), 0);
	}
	memout_free(m);
}

static void
an_incremental_backup_is_what_the_server_sent(void **state)
{
	struct memout *m = memout_new(), *parent = parent_new();
	struct server s = good();

	(void)state;
	if (backup_on(&s, parent, m) != HF_OK)
		fail_msg("backup: %s", err.cause);
	assert_string_equal(asked,
	    "BASE_BACKUP (LABEL 'holdfast', PROGRESS, CHECKPOINT 'fast', WAL, "
	    "WAIT false, TABLESPACE_MAP, MANIFEST 'yes', TARGET 'client', "
	    "INCREMENTAL)");
	assert_int_equal(memout_count(m), 3);
	assert_string_equal(memout_name(m, 0), "16385.tar");
	assert_string_equal(memout_name(m, 1), "base.tar");
	assert_string_equal(memout_name(m, 2), "backup_manifest");
	assert_string_equal(memout_fact(m, BASE_FACT_FROM), PARENT_START);
	assert_string_equal(memout_fact(m, BASE_FACT_FROM_TIMELINE), "1");
	assert_string_equal(memout_fact(m, BASE_FACT_START), START);
	assert_string_equal(memout_fact(m, BASE_FACT_STOP), STOP);
	assert_string_equal(memout_fact(m, BASE_FACT_SYSTEM), SYSTEM_TEXT);
	memout_free(parent);
	memout_free(m);
}

static void
a_server_that_goes_away_is_never_a_backup(void **state)
{
	struct memout *parent = parent_new();
	char where[64];

	(void)state;
	for (int which = IDENTIFY; which <= BACKUP; which++) {
		const struct pgwire *say = good().a[which].say;

		for (size_t i = 0; i < 3 * say->messages; i++) {
			struct server s = good();
			size_t from = say->message[i / 3];
			size_t end = i / 3 + 1 < say->messages
					 ? say->message[i / 3 + 1]
					 : say->n;

			s.a[which].cut = i % 3 == 0   ? from
					 : i % 3 == 1 ? (from + end) / 2
						      : end - 1;
			(void)snprintf(where, sizeof where, "%s, %zu",
			    s.a[which].command, s.a[which].cut);
			assert_failed(&s, parent, HF_E_IO, "", where);
		}
	}
	memout_free(parent);
}

/* ---- refusals ---- */

static const struct {
	const char *severity, *state;
	int status;
} failures[] = {
	{ "ERROR", "55000", HF_E_UNSUPPORTED },
	{ "ERROR", "XX000", HF_E_UNSUPPORTED },
	{ "ERROR", "XX001", HF_E_UNSUPPORTED },
	{ "ERROR", "0A000", HF_E_UNSUPPORTED },
	{ "ERROR", "22023", HF_E_UNSUPPORTED },
	{ "ERROR", "42601", HF_E_UNSUPPORTED },
	{ "ERROR", "53200", HF_E_UNSUPPORTED },
	{ "ERROR", "58P01", HF_E_UNSUPPORTED },
	{ "ERROR", "42501", HF_E_DENIED },
	{ "ERROR", "28000", HF_E_DENIED },
	{ "ERROR", "53100", HF_E_NOSPACE },
	{ "ERROR", "53300", HF_E_TRANSIENT },
	{ "ERROR", "57014", HF_E_IO },
	{ "FATAL", "57P01", HF_E_IO },
	{ "FATAL", "XX000", HF_E_IO },
	{ "FATAL", "08P01", HF_E_IO },
	{ "PANIC", "55000", HF_E_IO },
};

/* At each moment before the server said where the backup begins. */
static void
only_an_error_that_says_no_is_a_refusal(void **state)
{
	static const char words[] = "WAL summaries are required on timeline 1";
	struct pgwire *no = calloc(1, sizeof *no);
	struct memout *parent = parent_new();
	char where[64];

	(void)state;
	assert_non_null(no);
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
		for (int k = 0; k < 4; k++) {
			static const enum which at[] = { UPLOAD, UPLOAD,
				UPLOADED, BACKUP };
			struct server s = good();

			memset(no, 0, sizeof *no);
			if (k == 1) /* while the manifest comes */
				pgwire_copy_begin(no, 'G');
			pgwire_failure(
			    no, failures[i].severity, failures[i].state, words);
			s.a[UPLOADED].say = NULL;
			s.a[at[k]].say = no;
			if (strcmp(failures[i].severity, "ERROR") == 0)
				pgwire_ready(no);
			else
				s.a[at[k]].cut = no->n;
			if (k == 3)
				s.a[UPLOADED].say = &uploaded;
			(void)snprintf(where, sizeof where, "%s %s at %d",
			    failures[i].severity, failures[i].state, k);
			/* A connection that ends while we send may not bring
			 * the server's last words. */
			assert_failed(&s, parent, failures[i].status,
			    k == 1 && s.a[UPLOAD].cut == no->n ? "" : words,
			    where);
		}
	memout_free(parent);
	free(no);
}

/* Once it has begun it is a failure like any other. */
static void
an_error_behind_the_start_is_no_refusal(void **state)
{
	struct pgwire *s = calloc(1, sizeof *s);
	struct memout *parent = parent_new();
	struct server server = good();

	(void)state;
	assert_non_null(s);
	server.a[BACKUP].say = s;
	for (size_t i = 0; i + 1 < backup_answer.messages; i++) {
		/* Before that the first result is not whole. */
		if (i < 3)
			continue;
		memset(s, 0, sizeof *s);
		pgwire_bytes(s, backup_answer.b, backup_answer.message[i]);
		pgwire_failure(s, "ERROR", "55000", "not any more");
		pgwire_ready(s);
		assert_failed(&server, parent, HF_E_IO, "not any more", "");
	}
	memout_free(parent);
	free(s);
}

static void
a_server_that_cannot_is_not_asked(void **state)
{
	struct pgwire *other = calloc(1, sizeof *other);
	struct memout *parent = parent_new();
	struct server s = good();

	(void)state;
	assert_non_null(other);
	pgwire_greeting(other, "16.4");
	s.greeting = other;
	assert_failed(&s, parent, HF_E_UNSUPPORTED, "it needs server 17", "");
	assert_string_equal(asked, "SHOW wal_segment_size");
	s.greeting = &greeting;
	memset(other, 0, sizeof *other);
	PGWIRE_ROWS(other, 1, "off");
	pgwire_ready(other);
	s.a[SUMMARIZE].say = other;
	assert_failed(&s, parent, HF_E_UNSUPPORTED, "summarize_wal is off", "");
	assert_string_equal(asked, "SHOW summarize_wal");
	memout_free(parent);
	free(other);
}

/* ---- timelines ---- */

static void
a_parent_is_a_former_state_of_the_server(void **state)
{
	static const struct {
		const char *history, *why;
		int status;
	} cases[] = {
		{ "1\t0/2000138\tx\n2\t0/3000000\tx\n", "", HF_OK },
		{ "1\t0/2000130\tx\n2\t0/3000000\tx\n",
		    "goes to 0/2000138 on timeline 1, and the server only to "
		    "0/2000130",
		    HF_E_UNSUPPORTED },
		{ "2\t0/3000000\tx\n", "of timeline 1, from which",
		    HF_E_UNSUPPORTED },
		{ "nonsense", "the history of timeline 3", HF_E_UNSUPPORTED },
	};
	struct pgwire *at3 = calloc(1, sizeof *at3);
	struct pgwire *history = calloc(1, sizeof *history);
	struct memout *parent = parent_new(), *m;
	struct server s = good();

	(void)state;
	assert_non_null(at3);
	assert_non_null(history);
	PGWIRE_ROWS(at3, 4, SYSTEM_TEXT, "3", NOW, "");
	pgwire_ready(at3);
	s.a[IDENTIFY].say = at3;
	s.a[MORE].say = history;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(history, 0, sizeof *history);
		PGWIRE_ROWS(history, 2, "00000003.history", cases[i].history);
		pgwire_ready(history);
		if (cases[i].status == HF_OK) {
			m = memout_new();
			if (backup_on(&s, parent, m) != HF_OK)
				fail_msg("%s", err.cause);
			memout_free(m);
		} else {
			assert_failed(
			    &s, parent, cases[i].status, cases[i].why, "");
		}
	}
	memset(history, 0, sizeof *history);
	pgwire_failure(
	    history, "ERROR", "58P01", "could not open 00000003.history");
	pgwire_ready(history);
	assert_failed(&s, parent, HF_E_UNSUPPORTED, "could not open", "");
	memset(history, 0, sizeof *history);
	pgwire_simple(history, 'C', "TIMELINE_HISTORY");
	pgwire_ready(history);
	assert_failed(&s, parent, HF_E_IO, "no answer", "");
	memout_free(parent);
	free(history);
	free(at3);
}

/* ---- wrong answers ---- */

static void
answers_that_make_no_sense_are_failures(void **state)
{
	struct pgwire *odd = calloc(1, sizeof *odd);
	struct memout *parent = parent_new(), *m;

	(void)state;
	assert_non_null(odd);
	for (int which = SUMMARIZE; which <= BACKUP; which++)
		for (int k = 0; k < 4; k++) {
			struct server s = good();
			int rc;

			if (which == SUMMARIZE && k == 1)
				continue; /* an answer, and it is not "on" */
			memset(odd, 0, sizeof *odd);
			if (k == 1)
				PGWIRE_ROWS(odd, 1, "yes");
			else if (k == 2)
				pgwire_copy_begin(odd, 'H');
			else if (k == 3)
				pgwire_begin(odd, '#'), pgwire_finish(odd);
			if (k == 2)
				pgwire_simple(odd, 'c', NULL);
			pgwire_ready(odd);
			s.a[which].say = odd;
			s.a[FAIL].say = &uploaded;
			m = memout_new();
			rc = backup_on(&s, parent, m);
			if (rc == HF_OK || rc == HF_E_UNSUPPORTED)
				fail_msg("%d, answer %d: %d", which, k, rc);
			assert_null(memout_fact(m, BASE_FACT_STOP));
			memout_free(m);
		}
	memout_free(parent);
	free(odd);
}

static void
a_label_that_says_something_else_is_never_a_backup(void **state)
{
	static const struct {
		const char *label, *why;
		uint32_t kind;
	} cases[] = {
		{ LABEL, "does not say what it builds on", HF_KIND_INCR },
		{ LABEL "INCREMENTAL FROM LSN: " PARENT_START "\n",
		    "does not say where", HF_KIND_INCR },
		{ LABEL "INCREMENTAL FROM TLI: 1\n", "does not say",
		    HF_KIND_INCR },
		{ LABEL
		    "INCREMENTAL FROM LSN: 0/2000029\nINCREMENTAL FROM TLI: "
		    "1\n",
		    "builds on 0/2000029 of timeline 1, and not on 0/2000028",
		    HF_KIND_INCR },
		{ LABEL "INCREMENTAL FROM LSN: " PARENT_START
			"\nINCREMENTAL FROM TLI: 2\n",
		    "of timeline 2, and not", HF_KIND_INCR },
		{ LABEL "INCREMENTAL FROM LSN: \nINCREMENTAL FROM TLI: 1\n",
		    "does not say where", HF_KIND_INCR },
		{ "START WAL LOCATION: 0/5000028 (file x)\nSTART TIMELINE: "
		  "2\n" FROM,
		    "begins at 0/5000028 of timeline 2, but the server said "
		    "0/5000028 of timeline 1",
		    HF_KIND_INCR },
		{ "START WAL LOCATION: 0/5000020 (file x)\nSTART TIMELINE: "
		  "1\n",
		    "begins at 0/5000020", HF_KIND_FULL },
		{ LABEL FROM, "a full backup was asked for", HF_KIND_FULL },
		{ LABEL "INCREMENTAL FROM TLI: 1", "does not say where",
		    HF_KIND_FULL },
	};
	struct pgwire *said = calloc(1, sizeof *said);
	struct memout *parent = parent_new(), *m;
	struct server s = good();

	(void)state;
	assert_non_null(said);
	s.a[BACKUP].say = said;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		make_backup(said, cases[i].label);
		s.kind = cases[i].kind;
		assert_failed(&s, parent, HF_E_CORRUPT, cases[i].why, "");
	}
	make_backup(said, LABEL);
	s.kind = HF_KIND_FULL;
	m = memout_new();
	if (backup_on(&s, NULL, m) != HF_OK)
		fail_msg("%s", err.cause);
	assert_null(memout_fact(m, BASE_FACT_FROM));
	memout_free(m);
	memout_free(parent);
	free(said);
}

/* ---- the parent's own copy ---- */

static void
a_parent_that_cannot_be_read_is_told_as_that(void **state)
{
	struct memout *parent = parent_new();
	struct server s = good();

	(void)state;
	s.a[UPLOADED].cut = 0; /* it is not told that all is there */
	s.a[FAIL].say = &uploaded;
	for (unsigned n = 1; n <= 5; n++) {
		memout_fail(parent, MEMOUT_READ, n, HF_E_CORRUPT);
		assert_failed(&s, parent, HF_E_CORRUPT, "", "");
	}
	memout_fail(parent, MEMOUT_OPEN, 1, HF_E_NOTFOUND);
	assert_failed(&s, parent, HF_E_NOTFOUND, "", "");
	assert_string_equal(asked, "SHOW summarize_wal");
	memout_free(parent);
}

/* So slow that the server's refusal comes, and is seen, before the end. */
static void
dawdle(void *arg)
{
	unsigned *n = arg;

	if (++*n == 3)
		(void)usleep(200 * 1000);
	if (*n == 4)
		(void)usleep(2200 * 1000);
}

static void
a_refusal_because_of_damage_is_told_as_damage(void **state)
{
	struct pgwire *no = calloc(1, sizeof *no);
	struct memout *parent = parent_new();
	struct server s = good();
	unsigned n = 0;

	(void)state;
	assert_non_null(no);
	pgwire_failure(no, "ERROR", "XX000", "could not parse the manifest");
	pgwire_ready(no);
	s.a[MORE] = (struct pgwire_answer){ "CopyData", no, PGWIRE_WHOLE };
	s.a[UPLOADED].say = NULL;
	memout_on_read(parent, dawdle, &n);
	memout_fail(parent, MEMOUT_READ, 5, HF_E_CORRUPT);
	assert_failed(&s, parent, HF_E_CORRUPT, "", "");
	n = 0;
	assert_failed(&s, parent, HF_E_UNSUPPORTED, "could not parse", "");
	memout_free(parent);
	free(no);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_incremental_backup_is_what_the_server_sent),
		cmocka_unit_test(a_server_that_goes_away_is_never_a_backup),
		cmocka_unit_test(only_an_error_that_says_no_is_a_refusal),
		cmocka_unit_test(an_error_behind_the_start_is_no_refusal),
		cmocka_unit_test(a_server_that_cannot_is_not_asked),
		cmocka_unit_test(a_parent_is_a_former_state_of_the_server),
		cmocka_unit_test(answers_that_make_no_sense_are_failures),
		cmocka_unit_test(
		    a_label_that_says_something_else_is_never_a_backup),
		cmocka_unit_test(a_parent_that_cannot_be_read_is_told_as_that),
		cmocka_unit_test(a_refusal_because_of_damage_is_told_as_damage),
	};

	H = &host_table;
	make_scripts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
