/* SPDX-License-Identifier: BSD-2-Clause */
/* A PostgreSQL server to throw away, for tests.
 *
 * It listens on a socket in its own folder and on 127.0.0.1, lets everybody in
 * as anybody ("trust", until a test changes hba), and ends when the test
 * program ends, however that happens.  Every failure but a missing server is
 * a failed cmocka assertion. */
#ifndef HF_TESTS_PGKIT_H
#define HF_TESTS_PGKIT_H

#include <stdbool.h>
#include <sys/types.h>

struct pgkit {
	char dir[64];  /* data/, log, the socket */
	char bin[256]; /* where initdb, postgres and psql are */
	char hba[128]; /* pg_hba.conf; see pgkit_reload */
	int version;   /* 15 */
	int port;
	pid_t pid;
};

/* 0, or 77: no server is installed (HOLDFAST_TEST_PG_BIN names its folder;
 * else the newest of /usr/lib/postgresql).  Start it from the thread that
 * outlives it. */
int pgkit_start(struct pgkit *);
/* The same, with data checksums, for replication. */
int pgkit_start_physical(struct pgkit *);
/* Stop it and remove its folder. */
void pgkit_stop(struct pgkit *);
/* SIGINT (fast) or SIGQUIT (as a crash), and up again with the same data. */
void pgkit_halt(struct pgkit *, int signal);
void pgkit_resume(struct pgkit *);

/* A folder for another one with the same programs, whose data/ the test makes;
 * then pgkit_resume starts it, and pgkit_try says whether it could. */
void pgkit_beside(const struct pgkit *, struct pgkit *);
bool pgkit_try(struct pgkit *);

/* "host=SOCKET port=N user=postgres dbname=DB", in a turning buffer of the
 * thread. */
const char *pgkit_conninfo(const struct pgkit *, const char *dbname);

/* What psql -At prints, without the last line end, to be freed; and the same
 * without looking at it. */
char *pgkit_psql(const struct pgkit *, const char *dbname, const char *sql);
void pgkit_sql(const struct pgkit *, const char *dbname, const char *sql);
long long pgkit_int(const struct pgkit *, const char *dbname, const char *sql);
/* Until sql prints "t"; fails after ten seconds. */
void pgkit_until(const struct pgkit *, const char *dbname, const char *sql);

/* Replace pg_hba.conf. */
void pgkit_reload(const struct pgkit *, const char *hba);

#endif
