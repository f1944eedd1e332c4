/* SPDX-License-Identifier: BSD-2-Clause */
/* Findings of a check: told as they come, names from a database included. */
#ifndef HF_POSTGRES_FINDING_H
#define HF_POSTGRES_FINDING_H

#include "text.h"

struct conn;

struct findings {
	hf_finding_fn *cb;
	void *arg;
	int rc;          /* the answer that said stop, else HF_OK */
	unsigned failed; /* how many were failures */
};

/* Bytes that are no UTF-8 (a name in an SQL_ASCII database) are told as %XX.
 * hint may be NULL.  Nothing more is told once rc is set. */
void finding_tell(struct findings *, enum hf_verdict, const char *check,
    const char *hint, const char *fmt, ...) HF_PRINTF(5, 6);

/* s to the end of out, as it is told: bytes that are no UTF-8 as %XX. */
void finding_utf8(struct text *out, const char *s);

/* The first names of what can be many: "a, b, c, d, e and 12 more". */
struct names {
	struct text text;
	size_t n;
};
void names_add(struct names *, const char *fmt, ...) HF_PRINTF(2, 3);
/* Once, after the last; "" for none.  Valid until names_free. */
const char *names_get(struct names *);
void names_free(struct names *);

/* What the server said last on this connection, one line without "ERROR: ",
 * into buf.  Returns buf. */
const char *finding_reason(const struct conn *, char *buf, size_t cap);

/* Did the last statement fail for a reason of its own, so that the next one
 * may be tried?  Not when it was cancelled, the connection was lost, or there
 * is no memory. */
bool finding_goes_on(const struct conn *, int rc);

#endif
