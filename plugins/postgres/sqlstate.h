/* SPDX-License-Identifier: BSD-2-Clause */
/* What the server's error codes mean to us, and what to do about them. */
#ifndef HF_POSTGRES_SQLSTATE_H
#define HF_POSTGRES_SQLSTATE_H

/* The status of a failed statement.  HF_E_TRANSIENT, which the core retries,
 * are those that can go away by themselves and after which nothing is lost by
 * beginning again: too many connections (53300), not yet or no longer
 * accepting connections (57P03), serialization failure (40001), deadlock
 * (40P01).  A lock timeout (55P03) is none of them: it has waited already,
 * as long as the user said, and who holds the lock must be looked for.
 * A connection that ends (08xxx, 57P01, 57P02, 57P05) is HF_E_IO: half a dump
 * was made.  Unknown codes are HF_E_IO. */
int sqlstate_status(const char *sqlstate);
/* NULL: there is none. */
const char *sqlstate_hint(const char *sqlstate, const char *message);

/* Why no connection could be made: sqlstate ("" when the server was not
 * reached or said none) and libpq's message. */
struct sqlstate_refusal {
	int status;
	const char *what; /* "no such database" */
	const char *hint; /* or NULL */
};
struct sqlstate_refusal
sqlstate_refusal(const char *sqlstate, const char *message);
/* The same of a connection for replication. */
struct sqlstate_refusal
sqlstate_refusal_replication(const char *sqlstate, const char *message);

#endif
