/* SPDX-License-Identifier: BSD-2-Clause */
/* Does a database hold what its backup says? */
#ifndef HF_POSTGRES_CHECK_H
#define HF_POSTGRES_CHECK_H

#include "layout.h"

struct conn;
struct conninfo;

enum check_level {
	CHECK_NONE,
	CHECK_QUICK, /* every table there, no invalid index, no constraint
		      * left unvalidated that was valid */
	CHECK_FULL   /* also counts the rows of every table, and runs amcheck
		      * where it can be had: its extension is created in a
		      * transaction that is rolled back */
};

/* Findings go to cb: "tables", "row counts" (the first tables that differ are
 * named with both numbers), "indexes", "amcheck".  HF_OK when it could look,
 * whatever it found; *failed (may be NULL) counts the failures.  Uses up to
 * jobs connections. */
int check_database(const struct hf_ctx *, const struct conninfo *,
    const char *dbname, const struct contents *, enum check_level,
    unsigned jobs, hf_finding_fn *cb, void *arg, unsigned *failed,
    struct hf_error *);

/* The part that needs no backup to compare with: "indexes" and "amcheck" of
 * the database that is connected to. */
int check_pages(struct conn *, hf_finding_fn *cb, void *arg, unsigned *failed,
    struct hf_error *);

#endif
