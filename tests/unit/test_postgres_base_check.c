/* SPDX-License-Identifier: BSD-2-Clause */
/* doctor in mode physical, of a real server. */
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
#include "support/pgkit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct pgkit kit;
static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;

/* All that was told: "FAIL slot: ... [hint]", a line each. */
static char told[16384];

static int
tell(void *arg, const struct hf_finding *f)
{
	static const char *const words[] = { "PASS", "WARN", "FAIL" };
	size_t n = strlen(told);

	(void)arg;
	(void)snprintf(told + n, sizeof told - n, "%s %s: %s [%s]\n",
	    words[f->verdict], f->check, f->result,
	    f->hint == NULL ? "" : f->hint);
	return HF_OK;
}

static void
look(const char *user, bool stream, bool push)
{
	char info[256];
	struct hf_engine e = { .ctx = &ctx,
		.conf = { .conninfo = info,
		    .mode = "physical",
		    .checkpoint = "fast",
		    .wal = {
			.slot = "mine", .stream = stream, .push = push } } };

	(void)snprintf(info, sizeof info, "host=%s port=%d user=%s", kit.dir,
	    kit.port, user);
	told[0] = '\0';
	error_clear(&err);
	if (base_check(&e, tell, NULL, &err) != HF_OK)
		fail_msg("%s", err.cause);
}

static void
said(const char *part)
{
	if (strstr(told, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, told);
}

static void
a_server_as_it_is_installed_can_be_backed_up(void **state)
{
	(void)state;
	look("postgres", false, false);
	said("PASS replication:");
	said("PASS wal_level: replica");
	said("PASS max_wal_senders: ");
	said("PASS data_checksums: on");
	said("PASS wal_segment_size: 16MB");
	said("WARN wal: neither streamed nor pushed");
	assert_null(strstr(told, "FAIL"));
}

/* The one that doctor itself tries may still be ending when it counts. */
static void
only_what_others_use_is_counted(void **state)
{
	(void)state;
	for (int i = 0; i < 15; i++) {
		pgkit_until(&kit, "postgres",
		    "SELECT count(*) = 0 FROM pg_stat_activity WHERE "
		    "backend_type = 'walsender'");
		look("postgres", false, false);
		said("PASS max_wal_senders: 0 of 8 are in use");
	}
}

static void
rights_that_are_missing_are_named(void **state)
{
	(void)state;
	look("nobody", false, false);
	said("FAIL replication: the role has no right to replicate "
	     "[ALTER ROLE \"nobody\" REPLICATION;]");
	pgkit_reload(&kit, "local all all trust\n");
	look("postgres", false, false);
	said("FAIL replication: no connection for replication is let in "
	     "[A line in pg_hba.conf");
	pgkit_reload(
	    &kit, "local all all trust\nlocal replication all trust\n");
}

static void
what_pushing_needs_is_named(void **state)
{
	(void)state;
	look("nobody", false, true);
	said("FAIL archive_mode: off");
	said("ALTER SYSTEM SET archive_mode = on;");
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET archive_mode = on");
	pgkit_halt(&kit, SIGINT);
	pgkit_resume(&kit);
	look("nobody", false, true);
	said("FAIL archive_command: empty [ALTER SYSTEM SET archive_command");
	said("WARN archiving: nothing was archived yet");
	pgkit_sql(
	    &kit, "postgres", "ALTER SYSTEM SET archive_command = 'false'");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
	pgkit_sql(&kit, "postgres", "SELECT pg_switch_wal()");
	pgkit_until(
	    &kit, "postgres", "SELECT failed_count > 0 FROM pg_stat_archiver");
	look("postgres", false, true);
	said(
	    "FAIL archive_command: is not \"holdfast wal push %p\" but: false");
	said("FAIL archiving: 000000010000000000000001 failed at");
	pgkit_sql(&kit, "postgres",
	    "ALTER SYSTEM SET archive_command = 'true holdfast wal push %p'");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
	pgkit_until(&kit, "postgres",
	    "SELECT last_archived_time > last_failed_time FROM "
	    "pg_stat_archiver");
	look("postgres", false, true);
	said("PASS archive_command: true holdfast wal push %p");
	said("PASS archiving: 000000010000000000000001 at");
	said("0 wait to be pushed");
	look("nobody", false, true);
	said("PASS archiving: 000000010000000000000001 at");
}

static void
what_streaming_needs_is_named(void **state)
{
	(void)state;
	look("postgres", true, false);
	said("WARN max_slot_wal_keep_size: unlimited");
	said("WARN slot: there is no replication slot mine yet");
	pgkit_sql(&kit, "postgres",
	    "SELECT pg_create_physical_replication_slot('mine', true)");
	look("postgres", true, false);
	said("FAIL slot: mine: nobody follows it, it holds back");
	said("Start \"holdfast run\"");
	pgkit_sql(&kit, "postgres", "SELECT pg_drop_replication_slot('mine')");
	pgkit_sql(
	    &kit, "postgres", "ALTER SYSTEM SET max_replication_slots = 0");
	pgkit_halt(&kit, SIGINT);
	pgkit_resume(&kit);
	look("postgres", true, false);
	said("FAIL slot: there is no replication slot mine, and no room");
}

static void
what_incremental_backups_need_is_named(void **state)
{
	(void)state;
	look("nobody", false, false);
	if (kit.version < 17) {
		assert_null(strstr(told, "summarize_wal"));
		return;
	}
	said("PASS summarize_wal: off, which incremental backups alone need: "
	     "ALTER SYSTEM SET summarize_wal = on [ALTER SYSTEM SET "
	     "summarize_wal = on; SELECT pg_reload_conf();]");
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET summarize_wal = on");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
	pgkit_until(&kit, "postgres",
	    "SELECT summarizer_pid > 0 FROM pg_get_wal_summarizer_state()");
	look("nobody", false, false);
	said("PASS summarize_wal: on, ");
	said(" behind; summaries are kept for 10d []");
	pgkit_sql(
	    &kit, "postgres", "ALTER SYSTEM SET wal_summary_keep_time = 0");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
	pgkit_until(&kit, "postgres",
	    "SELECT current_setting('wal_summary_keep_time') = '0'");
	look("nobody", false, false);
	said("summaries are kept for ever []");
	/* The server does not start with both. */
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET summarize_wal = off");
}

static void
a_server_without_replication_is_told_what_to_set(void **state)
{
	(void)state;
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET archive_mode = off");
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET max_wal_senders = 0");
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET wal_level = minimal");
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET full_page_writes = off");
	pgkit_halt(&kit, SIGINT);
	pgkit_resume(&kit);
	look("postgres", false, false);
	said("FAIL wal_level: minimal");
	said("ALTER SYSTEM SET wal_level = replica;");
	said("FAIL max_wal_senders: 0 of 0");
	said("WARN full_page_writes: off");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_as_it_is_installed_can_be_backed_up),
		cmocka_unit_test(only_what_others_use_is_counted),
		cmocka_unit_test(rights_that_are_missing_are_named),
		cmocka_unit_test(what_pushing_needs_is_named),
		cmocka_unit_test(what_streaming_needs_is_named),
		cmocka_unit_test(what_incremental_backups_need_is_named),
		cmocka_unit_test(
		    a_server_without_replication_is_told_what_to_set),
	};
	int rc;

	H = &host_table;
	if ((rc = pgkit_start_physical(&kit)) != 0)
		return rc;
	pgkit_sql(&kit, "postgres", "CREATE ROLE nobody LOGIN");
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	pgkit_stop(&kit);
	return rc;
}
