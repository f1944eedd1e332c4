/* SPDX-License-Identifier: BSD-2-Clause */
/* Names in UTF-8, whatever the encoding of what is stored. */
#ifndef HF_POSTGRES_DUMP_UTF8_H
#define HF_POSTGRES_DUMP_UTF8_H

#include <libpq-fe.h>

#include <holdfast/plugin.h>

struct run;

/* As conn_query, but the answer is UTF-8 where the server can convert it;
 * where it cannot, the names' own bytes, those that are not UTF-8 written
 * %XX by utf8_copy.  sql is ASCII.  Only inside of the snapshot. */
int
utf8_query(const struct run *, PGresult **, struct hf_error *, const char *sql);
/* A malloc'ed copy that is UTF-8.  NULL: no memory. */
char *utf8_copy(const char *);

#endif
