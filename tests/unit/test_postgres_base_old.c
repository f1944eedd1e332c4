/* SPDX-License-Identifier: BSD-2-Clause */
/* Base backups of servers 13 and 14, whose way of sending is another one than
 * that of 15 and later: a walsender that follows a script. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/tar.h"
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

#define SYSTEM UINT64_C(7312345678901234567)
#define START "0/2000028"
#define STOP "0/2000138"
#define LABEL                                                           \
	"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)" \
	"\nSTART TIMELINE: 1\n"
#define MANIFEST "{ \"PostgreSQL-Backup-Manifest-Version\": 1 }\n"

static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;

/* ---- what it sends ---- */

static struct tarkit base, space;
static struct pgwire greeting, identify, size, backup_answer;

/* The tar files of those versions have no end; it is left to us. */
static void
copy(struct pgwire *s, const void *p, size_t n)
{
	pgwire_copy_begin(s, 'H');
	pgwire_data(s, '\0', p, n);
	pgwire_simple(s, 'c', NULL);
}

static void
make_scripts(void)
{
	tarkit_add(
	    &base, "backup_label", TARKIT_FILE, NULL, LABEL, strlen(LABEL));
	tarkit_add(&base, "PG_VERSION", TARKIT_FILE, NULL, "13\n", 3);
	pgwire_control(&base, SYSTEM, 1300, 202007201, 0x2000060);
	tarkit_add(&space, "PG_13_202007201/1/1", TARKIT_FILE, NULL, "rows", 4);

	pgwire_greeting(&greeting, "13.22");
	PGWIRE_ROWS(&identify, 4, "7312345678901234567", "1", START, "");
	pgwire_ready(&identify);
	PGWIRE_ROWS(&size, 1, "16MB");
	pgwire_ready(&size);

	PGWIRE_ROWS(&backup_answer, 2, START, "1");
	PGWIRE_ROWS(&backup_answer, 3, "16385", "/srv/space", "1", "", "", "9");
	copy(&backup_answer, space.bytes, space.len);
	copy(&backup_answer, base.bytes, base.len);
	copy(&backup_answer, MANIFEST, strlen(MANIFEST));
	PGWIRE_ROWS(&backup_answer, 2, STOP, "1");
	pgwire_simple(&backup_answer, 'C', "SELECT");
	pgwire_ready(&backup_answer);
}

/* Its first cut bytes. */
static int
backup(const struct pgwire *answer, size_t cut, struct memout *m, char *command)
{
	const struct pgwire_answer answers[] = {
		{ "IDENTIFY_SYSTEM", &identify, PGWIRE_WHOLE },
		{ "SHOW wal_segment_size", &size, PGWIRE_WHOLE },
		{ "BASE_BACKUP ", answer, cut },
	};
	struct pgwire_server s = {
		.greeting = &greeting, .answers = answers, .nanswers = 3
	};
	struct hf_engine e = { .ctx = &ctx };
	struct hf_request r = {
		.struct_size = sizeof r, .kind = HF_KIND_FULL, .max_streams = 4
	};
	char info[128];
	int rc;

	pgwire_serve(&s);
	(void)snprintf(info, sizeof info,
	    "hostaddr=127.0.0.1 host=old port=%d user=postgres "
	    "sslmode=disable gssencmode=disable",
	    s.port);
	e.conf = (struct conf){ .conninfo = info,
		.mode = "physical",
		.checkpoint = "fast",
		.verify_checksums = true };
	error_clear(&err);
	rc = base_backup(&e, &r, memout_out(m), &err);
	pgwire_stop(&s);
	if (command != NULL)
		(void)snprintf(command, sizeof s.command, "%s", s.command);
	assert_int_equal(memout_open(m), 0);
	return rc;
}

/* ---- */

static void
assert_object(
    struct memout *m, const char *name, const void *p, size_t n, size_t zeros)
{
	static const uint8_t zero[2 * TAR_BLOCK];
	size_t len;

	for (size_t i = 0; i < memout_count(m); i++) {
		const uint8_t *got = memout_bytes(m, i, &len);

		if (strcmp(memout_name(m, i), name) != 0)
			continue;
		assert_int_equal(len, n + zeros);
		assert_memory_equal(got, p, n);
		if (zeros > 0)
			assert_memory_equal(got + n, zero, zeros);
		return;
	}
	fail_msg("no %s", name);
}

static void
a_backup_of_the_old_protocol_is_whole(void **state)
{
	struct memout *m = memout_new();
	long long before = (long long)time(NULL);
	char command[512];

	(void)state;
	if (backup(&backup_answer, PGWIRE_WHOLE, m, command) != HF_OK)
		fail_msg("backup: %s", err.cause);
	assert_string_equal(command,
	    "BASE_BACKUP LABEL 'holdfast' PROGRESS FAST WAL NOWAIT "
	    "TABLESPACE_MAP MANIFEST 'yes'");
	assert_int_equal(memout_count(m), 3);
	assert_object(m, "base.tar", base.bytes, base.len, 1024);
	assert_object(m, "16385.tar", space.bytes, space.len, 1024);
	assert_object(m, "backup_manifest", MANIFEST, strlen(MANIFEST), 0);
	assert_string_equal(memout_fact(m, BASE_FACT_START), START);
	assert_string_equal(memout_fact(m, BASE_FACT_STOP), STOP);
	assert_string_equal(memout_fact(m, BASE_FACT_VERSION), "130022");
	assert_string_equal(memout_fact(m, "tablespace.16385"), "/srv/space");
	/* Nobody could be asked for the time: it is not before the end. */
	assert_true(
	    strtoll(memout_fact(m, BASE_FACT_STOPPED), NULL, 10) > before);
	memout_free(m);
}

static void
assert_none(const struct pgwire *s, size_t cut)
{
	struct memout *m = memout_new();
	int rc = backup(s, cut, m, NULL);

	if (rc == HF_OK)
		fail_msg("after %zu of %zu bytes it was a backup", cut, s->n);
	assert_int_equal(rc, HF_E_IO);
	assert_null(memout_fact(m, BASE_FACT_STOP));
	memout_free(m);
}

static void
a_server_that_goes_away_is_never_a_backup(void **state)
{
	const struct pgwire *s = &backup_answer;

	(void)state;
	for (size_t i = 0; i < s->messages; i++) {
		size_t end = i + 1 < s->messages ? s->message[i + 1] : s->n;

		assert_none(s, s->message[i]);
		assert_none(s, s->message[i] + (end - s->message[i]) / 2);
		assert_none(s, end - 1);
	}
}

static void
a_server_that_fails_is_never_a_backup(void **state)
{
	struct pgwire *s = calloc(1, sizeof *s);
	struct memout *m;

	(void)state;
	assert_non_null(s);
	/* Before each message, but ReadyForQuery. */
	for (size_t i = 0; i + 1 < backup_answer.messages; i++) {
		memset(s, 0, sizeof *s);
		pgwire_bytes(s, backup_answer.b, backup_answer.message[i]);
		pgwire_failure(
		    s, "ERROR", "58030", "could not read file \"base/1/1\"");
		pgwire_ready(s);
		m = memout_new();
		if (backup(s, PGWIRE_WHOLE, m, NULL) == HF_OK)
			fail_msg("it failed before message %zu", i);
		if (strstr(err.cause, "could not read file") == NULL)
			fail_msg("message %zu: %s", i, err.cause);
		assert_null(memout_fact(m, BASE_FACT_STOP));
		memout_free(m);
	}
	free(s);
}

/* Its COPY ends as if all were there. */
static void
a_stream_that_is_short_is_never_a_backup(void **state)
{
	static const size_t lost[] = { 1, TAR_BLOCK, TAR_KEPT,
		TAR_KEPT + TAR_BLOCK };
	struct pgwire *s = calloc(1, sizeof *s);

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < 6; i++) {
		struct memout *m = memout_new();

		memset(s, 0, sizeof *s);
		PGWIRE_ROWS(s, 2, START, "1");
		PGWIRE_ROWS(s, 3, "16385", "/srv/space", "1", "", "", "9");
		copy(s, space.bytes, space.len - (i == 4 ? 100 : 0));
		copy(s, base.bytes, base.len - (i < 4 ? lost[i] : 0));
		copy(s, MANIFEST, strlen(MANIFEST) - (i == 5 ? 3 : 0));
		PGWIRE_ROWS(s, 2, STOP, "1");
		pgwire_simple(s, 'C', "SELECT");
		pgwire_ready(s);
		assert_int_not_equal(backup(s, PGWIRE_WHOLE, m, NULL), HF_OK);
		assert_null(memout_fact(m, BASE_FACT_STOP));
		memout_free(m);
	}
	free(s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_of_the_old_protocol_is_whole),
		cmocka_unit_test(a_server_that_goes_away_is_never_a_backup),
		cmocka_unit_test(a_server_that_fails_is_never_a_backup),
		cmocka_unit_test(a_stream_that_is_short_is_never_a_backup),
	};
	int rc;

	H = &host_table;
	make_scripts();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	tarkit_free(&base);
	tarkit_free(&space);
	return rc;
}
