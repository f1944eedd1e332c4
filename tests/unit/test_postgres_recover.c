/* SPDX-License-Identifier: BSD-2-Clause */
/* What a restore of a base backup takes, writes and refuses; no server. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/cancel.h"
#include "base/error.h"
#include "crc32c.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "recover/recover.h"
#include "recover/settings.h"
#include "support/memout.h"
#include "support/tarkit.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_SIZE 8192

static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;
static char dir[] = "/tmp/hf-recover-XXXXXX";
static char data[64];

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- targets ---- */

static int
target_of(const char *until, const struct restore_conf *conf,
    struct recover_target *t)
{
	const struct hf_request r = {
		.struct_size = sizeof r, .until = until, .restore_conf = conf
	};

	error_clear(&err);
	return recover_target(&r, t, &err);
}

static void
a_time_is_read_exactly(void **state)
{
	static const struct {
		const char *given, *text;
		int64_t us;
	} good[] = {
		{ "1970-01-01T00:00:00Z", "1970-01-01 00:00:00.000000+00", 0 },
		{ "2026-11-21T02:15:00.123456Z",
		    "2026-11-21 02:15:00.123456+00", 1795227300123456 },
		{ "2024-02-29T23:59:59.5Z", "2024-02-29 23:59:59.500000+00",
		    1709251199500000 },
		{ "2026-11-21T02:15:00.123456000Z",
		    "2026-11-21 02:15:00.123456+00", 1795227300123456 },
	};
	static const char *const bad[] = { "", "2026-11-21", "yesterday",
		"2026-11-21T02:15:00", "2026-11-21T02:15:00.Z",
		"2026-11-21T02:15:00+01:00", "2026-13-21T02:15:00Z",
		"2023-02-29T00:00:00Z", "2026-11-21T24:00:00Z",
		"2026-11-21T02:15:00.1234567Z", "2026-11-21T02:15:00Z'" };
	struct recover_target t;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(target_of(good[i].given, NULL, &t), HF_OK);
		assert_int_equal(t.kind, RECOVER_TIME);
		assert_string_equal(t.text, good[i].text);
		assert_true(t.time_us == good[i].us);
		assert_true(t.inclusive);
		assert_string_equal(t.timeline, "latest");
		assert_string_equal(t.action, "pause");
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (target_of(bad[i], NULL, &t) != HF_E_INVALID)
			fail_msg("\"%s\" is taken", bad[i]);
}

static void
other_targets_are_read_and_what_is_none_is_refused(void **state)
{
	struct restore_conf conf = { .lsn = "16/B374D848" };
	struct recover_target t;

	(void)state;
	assert_int_equal(target_of(NULL, NULL, &t), HF_OK);
	assert_int_equal(t.kind, RECOVER_LATEST);
	assert_int_equal(target_of(NULL, &conf, &t), HF_OK);
	assert_int_equal(t.kind, RECOVER_LSN);
	assert_true(t.lsn == ((uint64_t)0x16 << 32 | 0xB374D848));
	assert_false(t.inclusive);
	conf = (struct restore_conf){ .xid = "4294968041" }; /* epoch 1 */
	assert_int_equal(target_of(NULL, &conf, &t), HF_OK);
	assert_int_equal(t.xid, 745);
	assert_string_equal(t.text, "745");
	conf = (struct restore_conf){ .target = "immediate",
		.timeline = "latest" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_OK);
	assert_int_equal(t.kind, RECOVER_IMMEDIATE);
	assert_string_equal(t.timeline, "current");
	conf = (struct restore_conf){ .name = "before it", .timeline = "010" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_OK);
	assert_string_equal(t.timeline, "10");

	conf = (struct restore_conf){ .name = "a", .xid = "800" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_E_INVALID);
	assert_has(err.cause, "xid and name");
	conf = (struct restore_conf){ .target = "latest" };
	assert_int_equal(
	    target_of("2026-11-21T02:15:00Z", &conf, &t), HF_E_INVALID);
	conf = (struct restore_conf){ .xid = "2" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_E_INVALID);
	conf = (struct restore_conf){ .xid = "-5" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_E_INVALID);
	conf = (struct restore_conf){ .xid = "18446744073709551616" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_E_INVALID);
	conf = (struct restore_conf){ .lsn = "B374D848" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_E_INVALID);
	conf = (struct restore_conf){ .name = "" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_E_INVALID);
	conf = (struct restore_conf){ .timeline = "0" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_E_INVALID);
	conf = (struct restore_conf){ .timeline = "4294967296" };
	assert_int_equal(target_of(NULL, &conf, &t), HF_E_INVALID);
}

/* ---- settings ---- */

static void
settings_of_an_earlier_recovery_go_and_the_others_stay(void **state)
{
	const struct restore_conf conf = { .timeline = "3",
		.action = "promote" };
	struct recover_target t;
	struct text text = { 0 }, command = { 0 };

	(void)state;
	assert_int_equal(target_of("2026-11-21T02:15:00Z", &conf, &t), HF_OK);
	settings_command(&command, "holdfast -c '/etc/100%.json' wal get it");
	settings_recovery(&text,
	    "work_mem = '64MB'\nRecovery_Target_LSN = '0/1'\n"
	    "restore_command='old'\nrecovery_min_apply_delay = '0'",
	    &t, text_get(&command));
	assert_has(text.s, "work_mem = '64MB'\n");
	assert_has(text.s, "recovery_min_apply_delay = '0'\n");
	assert_null(strstr(text.s, "Recovery_Target"));
	assert_null(strstr(text.s, "'old'"));
	assert_has(text.s,
	    "restore_command = 'holdfast -c ''/etc/100%%.json'' wal get it "
	    "\"%f\" \"%p\"'\n");
	assert_has(text.s, "recovery_target_timeline = '3'\n");
	assert_has(text.s, "recovery_target_inclusive = 'off'\n");
	assert_has(text.s, "recovery_target_action = 'promote'\n");
	/* The server refuses two targets, and takes back one that is followed
	 * by an empty one. */
	assert_true(strstr(text.s, "recovery_target_lsn = ''") <
		    strstr(text.s, "recovery_target_time = '2026"));
	text_free(&text);
	text_free(&command);
}

/* ---- a base backup by hand ---- */

static void
store(struct tarkit *t, struct memout *m, const char *name)
{
	tarkit_end(t);
	memout_add(m, name, t->bytes, t->len);
	tarkit_free(t);
}

static void
whole(struct tarkit *t)
{
	static const char control[CONTROL_SIZE];

	tarkit_add(t, "backup_label", TARKIT_FILE, NULL, "label", 5);
	tarkit_add(t, "PG_VERSION", TARKIT_FILE, NULL, "15\n", 3);
	tarkit_add(t, "base", TARKIT_FOLDER, NULL, NULL, 0);
	tarkit_add(t, "pg_tblspc", TARKIT_FOLDER, NULL, NULL, 0);
	tarkit_add(t, "base/1", TARKIT_FILE, NULL, "page", 4);
	tarkit_add(t, "standby.signal", TARKIT_FILE, NULL, NULL, 0);
	tarkit_add(t, "global", TARKIT_FOLDER, NULL, NULL, 0);
	tarkit_add(
	    t, "global/pg_control", TARKIT_FILE, NULL, control, CONTROL_SIZE);
}

/* Of whole(), with one entry as given. */
static void
add_manifest(struct memout *m, const char *path, unsigned size, uint32_t crc)
{
	char json[1024];
	int n = snprintf(json, sizeof json,
	    "{\"PostgreSQL-Backup-Manifest-Version\": 1, \"Files\": ["
	    "{\"Path\": \"PG_VERSION\", \"Size\": 3},"
	    "{\"Encoded-Path\": \"626173652f31\", \"Size\": 4},"
	    "{\"Path\": \"%s\", \"Size\": %u, \"Checksum-Algorithm\": "
	    "\"CRC32C\", \"Checksum\": \"%02x%02x%02x%02x\"}]}",
	    path, size, crc & 0xff, crc >> 8 & 0xff, crc >> 16 & 0xff,
	    crc >> 24);

	memout_add(m, BASE_MANIFEST, json, (size_t)n);
}

static int
restore(struct memout *m)
{
	struct hf_engine e = { .ctx = &ctx,
		.conf = { .mode = "physical", .run_as = "postgres" } };
	const struct restore_conf conf = { .inclusive = true };
	struct hf_in *in = memout_in(m);
	const struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_FULL,
		.max_streams = 2,
		.target = data,
		.restore_conf = &conf };

	memout_set_fact(m, BASE_FACT_WAL, "included");
	error_clear(&err);
	return recover_run(&e, &r, &in, 1, &err);
}

static bool
has_file(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", data, name);
	return access(path, F_OK) == 0;
}

static void
nothing_is_left(void)
{
	/* Empty folders alone can be removed. */
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
}

static void
clear(void)
{
	char command[128];

	(void)snprintf(command, sizeof command, "rm -rf '%s'", data);
	assert_int_equal(system(command), 0);
}

static void
a_whole_backup_becomes_a_data_directory(void **state)
{
	struct memout *m = memout_new();
	struct tarkit t = { 0 };

	(void)state;
	whole(&t);
	store(&t, m, BASE_TAR);
	add_manifest(m, "backup_label", 5, crc32c(0, "label", 5));
	if (restore(m) != HF_OK)
		fail_msg("%s", err.cause);
	assert_true(has_file("global/pg_control"));
	assert_true(has_file("base/1"));
	assert_true(has_file("recovery.signal"));
	assert_true(has_file("backup_manifest"));
	/* Its own were elsewhere. */
	assert_true(has_file("postgresql.conf"));
	assert_true(has_file("pg_hba.conf"));
	assert_false(has_file("standby.signal"));
	assert_false(has_file("global/pg_control.holdfast"));
	/* And the next one finds it taken. */
	assert_int_equal(restore(m), HF_E_EXISTS);
	assert_true(has_file("base/1"));
	clear();
	nothing_is_left();
	memout_free(m);
}

static void
what_leads_out_of_the_folder_is_refused(void **state)
{
	static const struct {
		const char *path, *link;
		char type;
	} bad[] = {
		{ "../out", NULL, TARKIT_FILE },
		{ "base/../../out", NULL, TARKIT_FILE },
		{ "/tmp/hf-recover-out", NULL, TARKIT_FILE },
		{ "base//x", NULL, TARKIT_FILE },
		{ "base/link", "/etc", TARKIT_LINK },
		{ "base/hard", "PG_VERSION", TARKIT_HARD_LINK },
		{ "base/fifo", NULL, TARKIT_FIFO },
		{ "base/1", NULL, TARKIT_FILE }, /* twice */
		{ "nowhere/1", NULL, TARKIT_FILE },
		{ "base", NULL, TARKIT_FOLDER },
	};
	struct tarkit t = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct memout *m = memout_new();

		whole(&t);
		tarkit_add(&t, bad[i].path, bad[i].type, bad[i].link, NULL, 0);
		store(&t, m, BASE_TAR);
		if (restore(m) != HF_E_CORRUPT)
			fail_msg("%s is taken: %s", bad[i].path, err.cause);
		nothing_is_left();
		memout_free(m);
	}
}

static void
a_file_that_is_lost_or_another_one_is_found_by_the_manifest(void **state)
{
	static const struct {
		const char *path;
		unsigned size;
		uint32_t crc;
		const char *says;
	} bad[] = {
		{ "base/2", 4, 0, "not in the backup: base/2" },
		{ "backup_label", 6, 0, "has 5 bytes" },
		{ "backup_label", 5, 1, "checksum" },
	};
	struct tarkit t = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct memout *m = memout_new();

		whole(&t);
		store(&t, m, BASE_TAR);
		add_manifest(m, bad[i].path, bad[i].size, bad[i].crc);
		assert_int_equal(restore(m), HF_E_CORRUPT);
		assert_has(err.cause, bad[i].says);
		nothing_is_left();
		memout_free(m);
	}
}

static void
a_tar_file_that_is_cut_or_none_is_refused(void **state)
{
	struct tarkit t = { 0 };
	struct memout *m = memout_new();

	(void)state;
	assert_int_equal(restore(m), HF_E_CORRUPT);
	memout_free(m);
	m = memout_new();
	whole(&t);
	/* In the middle of pg_control. */
	memout_add(m, BASE_TAR, t.bytes, t.len - 4096);
	assert_int_equal(restore(m), HF_E_CORRUPT);
	nothing_is_left();
	memout_free(m);
	m = memout_new();
	memset(t.bytes, 'x', 4096);
	memout_add(m, BASE_TAR, t.bytes, 4096);
	assert_int_equal(restore(m), HF_E_CORRUPT);
	nothing_is_left();
	memout_free(m);
	tarkit_free(&t);
}

/* ---- killed ---- */

#define KILLS 20

static int64_t
now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Into an empty folder, which cannot come to its name at the end alone; true:
 * it was killed. */
static bool
restore_killed(struct memout *m, int64_t after_us)
{
	const struct timespec ts = { after_us / 1000000,
		after_us % 1000000 * 1000 };
	pid_t pid;
	int status;

	assert_int_equal(mkdir(data, 0700), 0);
	assert_true((pid = fork()) != -1);
	if (pid == 0)
		_exit(restore(m) == HF_OK ? 0 : 1);
	(void)nanosleep(&ts, NULL);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

/* With pg_control a server would start; then nothing may be missing that says
 * that it has to recover, and how. */
static void
what_a_kill_leaves_is_no_data_directory(void **state)
{
	static const char *const with[] = { "backup_label", "recovery.signal",
		"postgresql.auto.conf", "PG_VERSION", "base/1",
		"backup_manifest", "pg_hba.conf" };
	struct memout *m = memout_new();
	struct tarkit t = { 0 };
	int64_t from, lasts;
	int killed = 0;

	(void)state;
	whole(&t);
	store(&t, m, BASE_TAR);
	add_manifest(m, "backup_label", 5, crc32c(0, "label", 5));
	from = now_us();
	assert_int_equal(restore(m), HF_OK);
	lasts = now_us() - from;
	clear();
	for (int i = 0; i < KILLS; i++) {
		killed += restore_killed(m, lasts * i / KILLS);
		if (has_file("global/pg_control")) {
			for (size_t k = 0; k < sizeof with / sizeof *with; k++)
				if (!has_file(with[k]))
					fail_msg("pg_control is there, %s "
						 "is not",
					    with[k]);
		} else {
			/* And it is in nobody's way. */
			assert_int_equal(restore(m), HF_OK);
			assert_true(has_file("global/pg_control"));
		}
		clear();
	}
	assert_true(killed > 0);
	nothing_is_left();
	memout_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_read_exactly),
		cmocka_unit_test(
		    other_targets_are_read_and_what_is_none_is_refused),
		cmocka_unit_test(
		    settings_of_an_earlier_recovery_go_and_the_others_stay),
		cmocka_unit_test(a_whole_backup_becomes_a_data_directory),
		cmocka_unit_test(what_leads_out_of_the_folder_is_refused),
		cmocka_unit_test(
		    a_file_that_is_lost_or_another_one_is_found_by_the_manifest),
		cmocka_unit_test(a_tar_file_that_is_cut_or_none_is_refused),
		cmocka_unit_test(what_a_kill_leaves_is_no_data_directory),
	};
	int failed;

	H = &host_table;
	if (mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(data, sizeof data, "%s/data", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return failed;
}
