/* SPDX-License-Identifier: BSD-2-Clause */
/* The WAL of a real server, read as pg_waldump reads it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/pgkit.h"
#include "wal/segment.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEG ((size_t)16 << 20)
#define FIRST 1 /* initdb's */
#define EVENTS 4000

static struct pgkit kit;
static struct hf_error err;
static int64_t began_us;

struct events {
	struct segment_event e[EVENTS];
	char names[EVENTS][16]; /* of restore points */
	size_t n;
	lsn_t last; /* of any kind */
	size_t records, kinds[SEGMENT_CHECKPOINT + 1];
	lsn_t longest;
};

static struct events ours, theirs;

static int
add(void *arg, const struct segment_event *e)
{
	struct events *to = arg;

	assert_true(to->n < EVENTS);
	if (e->name != NULL)
		(void)snprintf(
		    to->names[to->n], sizeof to->names[0], "%s", e->name);
	to->kinds[e->kind]++;
	to->e[to->n++] = *e;
	return 0;
}

/* ---- what pg_waldump says ---- */

/* "2026-11-21 17:50:00.123456 UTC" */
static int64_t
parse_time(const char *s)
{
	struct tm tm = { 0 };
	const char *p = strptime(s, "%Y-%m-%d %H:%M:%S", &tm);

	assert_non_null(p);
	assert_int_equal(*p, '.');
	return (int64_t)timegm(&tm) * 1000000 + strtoll(p + 1, NULL, 10);
}

static bool
begins(const char **s, const char *with)
{
	size_t n = strlen(with);

	if (strncmp(*s, with, n) != 0)
		return false;
	*s += n;
	return true;
}

/* What stands behind "desc: " of a transaction's end; the xid of a prepared one
 * stands there too. */
static bool
parse_end(const char *s, struct segment_event *e)
{
	char *p;

	if (begins(&s, "COMMIT_PREPARED ") || begins(&s, "COMMIT "))
		e->kind = SEGMENT_COMMIT;
	else if (begins(&s, "ABORT_PREPARED ") || begins(&s, "ABORT "))
		e->kind = SEGMENT_ABORT;
	else
		return false;
	if ((p = strstr(s, ": ")) != NULL && p - s <= 10) {
		e->xid = (uint32_t)strtoul(s, NULL, 10);
		s = p + 2;
	}
	e->time_us = parse_time(s);
	return true;
}

static bool
parse_xlog(const char *s, struct segment_event *e)
{
	e->xid = 0;
	if (begins(&s, "SWITCH"))
		e->kind = SEGMENT_SWITCH;
	else if (begins(&s, "CHECKPOINT_SHUTDOWN") ||
		 begins(&s, "CHECKPOINT_ONLINE"))
		e->kind = SEGMENT_CHECKPOINT;
	else if (begins(&s, "END_OF_RECOVERY"))
		e->kind = SEGMENT_END_OF_RECOVERY;
	else if (begins(&s, "RESTORE_POINT "))
		e->kind = SEGMENT_RESTORE_POINT;
	else
		return false;
	if (e->kind == SEGMENT_RESTORE_POINT)
		e->name = s;
	return true;
}

/* "rmgr: Transaction len (rec/tot): 34/ 34, tx: 735, lsn: 0/01532C28, prev
 * 0/01532BF0, desc: COMMIT ..." */
static void
parse_line(char *line)
{
	struct segment_event e = { 0 };
	const char *tx = strstr(line, ", tx: "), *desc, *len;
	char *lsn = strstr(line, ", lsn: ");

	line[strcspn(line, "\n")] = '\0';
	assert_non_null(tx);
	assert_non_null(lsn);
	assert_non_null(desc = strstr(lsn, ", desc: "));
	desc += strlen(", desc: ");
	assert_non_null(len = strchr(line, '/'));
	assert_non_null(len = strchr(len + 1, '/'));
	if (strtoull(len + 1, NULL, 10) > theirs.longest)
		theirs.longest = strtoull(len + 1, NULL, 10);
	lsn += strlen(", lsn: ");
	lsn[strcspn(lsn, ",")] = '\0';
	assert_true(lsn_parse(lsn, &e.start));
	theirs.last = e.start;
	theirs.records++;
	e.xid = (uint32_t)strtoul(tx + strlen(", tx: "), NULL, 10);
	if (strncmp(line, "rmgr: Transaction ", 18) == 0
		? parse_end(desc, &e)
		: strncmp(line, "rmgr: XLOG ", 11) == 0 && parse_xlog(desc, &e))
		(void)add(&theirs, &e);
}

/* To where it finds no more records, which it calls an error. */
static void
ask_waldump(void)
{
	char command[512], *line = NULL;
	size_t cap = 0;
	FILE *f;

	(void)snprintf(command, sizeof command,
	    "TZ=UTC0 LC_ALL=C '%s/pg_waldump' -p '%s/data/pg_wal' -s 0/%X "
	    "2>/dev/null",
	    kit.bin, kit.dir, (unsigned)(FIRST * SEG));
	assert_non_null(f = popen(command, "re"));
	while (getline(&line, &cap, f) > 0)
		parse_line(line);
	free(line);
	(void)pclose(f);
}

/* ---- what we read ---- */

/* All segments that there are, in parts of that size. */
static void
walk(size_t part)
{
	uint8_t *bytes = malloc(SEG);
	struct segment_walk *w;
	char path[160];
	int rc = HF_OK;
	FILE *f;

	assert_non_null(bytes);
	memset(&ours, 0, sizeof ours);
	assert_int_equal(segment_walk_new(add, &ours, &w, &err), HF_OK);
	for (unsigned n = FIRST; rc == HF_OK; n++) {
		(void)snprintf(path, sizeof path,
		    "%s/data/pg_wal/0000000100000000%08X", kit.dir, n);
		assert_non_null(f = fopen(path, "re"));
		assert_int_equal(fread(bytes, 1, SEG, f), SEG);
		(void)fclose(f);
		for (size_t at = 0; at < SEG && rc == HF_OK; at += part)
			rc = segment_walk_feed(w, bytes + at, part, path, &err);
	}
	if (rc != HF_EOF)
		fail_msg("%s", err.cause);
	ours.last = segment_walk_last(w);
	segment_walk_free(w);
	free(bytes);
}

static void
assert_same(void)
{
	char lsn[LSN_TEXT_MAX];

	for (size_t i = 0; i < theirs.n && i < ours.n; i++) {
		const struct segment_event *a = &theirs.e[i], *b = &ours.e[i];

		if (a->start != b->start || a->kind != b->kind)
			fail_msg("event %zu at %s: kind %d, not %d", i,
			    lsn_text(a->start, lsn), b->kind, a->kind);
		if (a->kind == SEGMENT_COMMIT || a->kind == SEGMENT_ABORT) {
			assert_int_equal(b->xid, a->xid);
			assert_int_equal(b->time_us, a->time_us);
		}
		assert_string_equal(ours.names[i], theirs.names[i]);
		if (a->kind == SEGMENT_RESTORE_POINT)
			assert_in_range(b->time_us, began_us,
			    began_us + INT64_C(600000000));
		assert_true(b->end > b->start);
	}
	assert_int_equal(ours.n, theirs.n);
	assert_int_equal(ours.last, theirs.last);
}

/* ---- the server ---- */

static void
sql(const char *text)
{
	pgkit_sql(&kit, "postgres", text);
}

static void
some_transactions(void)
{
	sql("DO $$ BEGIN FOR i IN 1..150 LOOP INSERT INTO t VALUES (i, 'x');"
	    " IF i % 5 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;"
	    " END LOOP; END $$");
}

/* Each has more in its last record than the one before: subtransactions, files
 * and statistics, messages. */
static void
prepared_ones(void)
{
	sql("BEGIN; INSERT INTO t VALUES (0, 'p'); PREPARE TRANSACTION 'a'");
	sql("BEGIN; INSERT INTO t VALUES (0, 'p'); SAVEPOINT s; INSERT INTO t "
	    "VALUES (0, 'q'); PREPARE TRANSACTION 'b'");
	sql("BEGIN; SAVEPOINT s; CREATE TABLE made (a int PRIMARY KEY); "
	    "DROP TABLE gone; PREPARE TRANSACTION 'c'");
	sql("BEGIN; SAVEPOINT s; CREATE TABLE never (a text PRIMARY KEY); "
	    "PREPARE TRANSACTION 'd'");
	some_transactions();
	sql("COMMIT PREPARED 'b'");
	sql("ROLLBACK PREPARED 'a'");
	sql("COMMIT PREPARED 'c'");
	sql("ROLLBACK PREPARED 'd'");
}

static int
start_server(void **state)
{
	(void)state;
	sql("ALTER SYSTEM SET wal_keep_size = '2GB'");
	sql("ALTER SYSTEM SET max_prepared_transactions = 8");
	pgkit_halt(&kit, SIGINT);
	pgkit_resume(&kit);
	sql("CREATE TABLE t (a int, b text); CREATE TABLE gone (a serial "
	    "PRIMARY KEY, b text)");
	return 0;
}

static int
stop_server(void **state)
{
	(void)state;
	pgkit_stop(&kit);
	return 0;
}

static void
a_servers_wal_is_read_as_pg_waldump_reads_it(void **state)
{
	(void)state;
	began_us = (int64_t)time(NULL) * 1000000;
	some_transactions();
	prepared_ones();
	sql("SELECT pg_create_restore_point('one')");
	sql("SELECT pg_switch_wal()");
	some_transactions();
	/* Longer than a segment. */
	sql("SELECT pg_logical_emit_message(false, 'x', repeat('y', "
	    "20000000))");
	sql("CHECKPOINT");
	some_transactions();
	pgkit_halt(&kit, SIGQUIT);
	pgkit_resume(&kit);
	some_transactions();
	sql("SELECT pg_create_restore_point('two')");
	pgkit_halt(&kit, SIGINT);

	ask_waldump();
	assert_true(theirs.records > 3000);
	assert_true(theirs.longest > SEG);
	assert_true(theirs.kinds[SEGMENT_COMMIT] > 350);
	assert_true(theirs.kinds[SEGMENT_ABORT] > 90);
	assert_true(theirs.kinds[SEGMENT_CHECKPOINT] > 3);
	assert_int_equal(theirs.kinds[SEGMENT_RESTORE_POINT], 2);
	assert_true(theirs.kinds[SEGMENT_SWITCH] >= 1);
	walk(SEG);
	assert_same();
	walk(8192);
	assert_same();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_servers_wal_is_read_as_pg_waldump_reads_it),
	};
	int rc;

	H = &host_table;
	if ((rc = pgkit_start_physical(&kit)) != 0)
		return rc;
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
