/* SPDX-License-Identifier: BSD-2-Clause */
/* A steady writer with an invariant over two tables:
 *
 *   sqlite_writer DB init ACCOUNTS
 *   sqlite_writer DB run SECONDS [COMMITS_PER_SECOND [BUSY_MS]]
 *   sqlite_writer DB check
 *   sqlite_writer DB sql TEXT [BUSY_MS]
 *   sqlite_writer DB hold TEXT
 *
 * Each transaction moves an amount between two accounts and writes it to the
 * journal: the sum of all balances stays 0, and every balance is what the
 * journal says.  "run" ends after SECONDS or at SIGTERM, and prints how many
 * transactions were committed, "N committed, M failed"; rate 0 is as fast as
 * it goes.  "check" prints ok, or what does not hold, and fails then.  "sql"
 * runs TEXT and fails when that does.  "hold" runs it, prints "ready", and
 * keeps the connection until its stdin ends; then it ends without closing it,
 * as if it had been killed. */
#include <sqlite3.h>

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static double
now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int
complain(sqlite3 *db, const char *what)
{
	(void)fprintf(
	    stderr, "sqlite_writer: %s: %s\n", what, sqlite3_errmsg(db));
	return 1;
}

static int
init(sqlite3 *db, const char *accounts)
{
	char sql[512];

	(void)snprintf(sql, sizeof sql,
	    "BEGIN;"
	    "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INT NOT "
	    "NULL, note TEXT);"
	    "CREATE TABLE journal(id INTEGER PRIMARY KEY, source INT, target "
	    "INT, amount INT, note TEXT);"
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
	    "LIMIT %ld) INSERT INTO account SELECT i, 0, hex(randomblob(40)) "
	    "FROM n;"
	    "COMMIT",
	    strtol(accounts, NULL, 10));
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return complain(db, "init");
	return 0;
}

static const char *const texts[3] = {
	"UPDATE account SET balance = balance - ?3 WHERE id = ?1",
	"UPDATE account SET balance = balance + ?3 WHERE id = ?2",
	"INSERT INTO journal VALUES(NULL, ?1, ?2, ?3, hex(randomblob(30)))"
};

static bool
transfer(sqlite3 *db, sqlite3_stmt *st[3], int64_t accounts, uint64_t *seed)
{
	int64_t v[3];
	bool good = true;
	int i, j;

	for (i = 0; i < 3; i++) {
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		v[i] = (int64_t)(*seed >> 33);
	}
	v[0] = 1 + v[0] % accounts;
	v[1] = 1 + v[1] % accounts;
	v[2] = 1 + v[2] % 1000;
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return false;
	for (i = 0; i < 3 && good; i++) {
		for (j = 0; j < 3; j++)
			if (j < sqlite3_bind_parameter_count(st[i]))
				(void)sqlite3_bind_int64(st[i], j + 1, v[j]);
		(void)sqlite3_step(st[i]);
		good = sqlite3_reset(st[i]) == SQLITE_OK;
	}
	if (good && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return true;
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

static int64_t
number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return value;
}

static void
wait_until(double when)
{
	double left = when - now();
	struct timespec ts;

	if (left <= 0)
		return;
	ts.tv_sec = (time_t)left;
	ts.tv_nsec = (long)((left - (double)ts.tv_sec) * 1e9);
	(void)nanosleep(&ts, NULL);
}

static int
run(sqlite3 *db, double seconds, double rate)
{
	sqlite3_stmt *st[3] = { NULL, NULL, NULL };
	uint64_t seed = (uint64_t)getpid();
	int64_t accounts = number(db, "SELECT max(id) FROM account");
	long done = 0, failed = 0;
	double start = now();
	int i;

	if (accounts < 1)
		return complain(db, "accounts");
	for (i = 0; i < 3; i++)
		if (sqlite3_prepare_v2(db, texts[i], -1, &st[i], NULL) !=
		    SQLITE_OK)
			return complain(db, texts[i]);
	while (!stop && now() - start < seconds) {
		if (transfer(db, st, accounts, &seed))
			done++;
		else
			failed++;
		if (rate > 0)
			wait_until(start + (double)(done + failed) / rate);
	}
	for (i = 0; i < 3; i++)
		(void)sqlite3_finalize(st[i]);
	(void)printf("%ld committed, %ld failed\n", done, failed);
	return 0;
}

static int
check(sqlite3 *db)
{
	int64_t bad;

	bad = number(db, "SELECT sum(balance) FROM account");
	if (bad != 0) {
		(void)printf("balances add up to %" PRId64 "\n", bad);
		return 1;
	}
	bad = number(db,
	    "WITH moved AS (SELECT id, sum(amount) AS total FROM ("
	    "SELECT target AS id, amount FROM journal UNION ALL "
	    "SELECT source, -amount FROM journal) GROUP BY id) "
	    "SELECT count(*) FROM account LEFT JOIN moved USING (id) "
	    "WHERE balance <> coalesce(total, 0)");
	if (bad != 0) {
		(void)printf("%" PRId64 " accounts do not agree with the "
			     "journal\n",
		    bad);
		return 1;
	}
	(void)printf("ok\n");
	return 0;
}

static int
run_sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		return complain(db, text);
	return 0;
}

static int
hold(sqlite3 *db, const char *text)
{
	char c;

	if (run_sql(db, text) != 0)
		return 1;
	(void)printf("ready\n");
	(void)fflush(stdout);
	while (read(0, &c, 1) > 0)
		continue;
	_exit(0);
}

int
main(int argc, char **argv)
{
	sqlite3 *db = NULL;
	const char *busy;
	int rc = 2;

	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	if (argc < 3)
		goto usage;
	if (sqlite3_open(argv[1], &db) != SQLITE_OK) {
		rc = complain(db, argv[1]);
		goto done;
	}
	busy = "10000";
	if (strcmp(argv[2], "sql") == 0 && argc > 4)
		busy = argv[4];
	if (strcmp(argv[2], "run") == 0 && argc > 5)
		busy = argv[5];
	(void)sqlite3_busy_timeout(db, (int)strtol(busy, NULL, 10));
	if (strcmp(argv[2], "init") == 0 && argc == 4)
		rc = init(db, argv[3]);
	else if (strcmp(argv[2], "run") == 0 && argc > 3)
		rc = run(db, strtod(argv[3], NULL),
		    argc > 4 ? strtod(argv[4], NULL) : 0);
	else if (strcmp(argv[2], "check") == 0)
		rc = check(db);
	else if (strcmp(argv[2], "sql") == 0 && argc > 3)
		rc = run_sql(db, argv[3]);
	else if (strcmp(argv[2], "hold") == 0 && argc > 3)
		rc = hold(db, argv[3]);
	else
		goto usage;
done:
	(void)sqlite3_close(db);
	return rc;
usage:
	(void)fprintf(stderr,
	    "usage: sqlite_writer DB init ACCOUNTS | run SECONDS [RATE "
	    "[BUSY_MS]] | check | sql TEXT [BUSY_MS] | hold TEXT\n");
	goto done;
}
