/* SPDX-License-Identifier: BSD-2-Clause */
/* Roles, memberships and tablespaces, so that nothing that exists changes. */
#ifndef HF_POSTGRES_DUMP_GLOBALS_H
#define HF_POSTGRES_DUMP_GLOBALS_H

#include <stdbool.h>
#include <stddef.h>

#include <holdfast/plugin.h>

struct conf;
struct conn;
struct conninfo;
struct text;

/* pg_dumpall's output into 000-globals.sql; sets the fact role_passwords.
 * conn is of the same server as info. */
int globals_store(const struct hf_ctx *, const struct conf *,
    const struct conninfo *, struct conn *, struct hf_out *, struct hf_error *);

/* What pg_dumpall --globals-only wrote, as a script for psql that makes only
 * what is missing:
 *  - all statements about one role in one DO that looks for the role first;
 *  - a membership in a DO that looks for it first, and that grants it in the
 *    name of who runs it where a newer server refuses the old grantor;
 *  - CREATE TABLESPACE by \gexec, as it cannot stand in a DO; what else is
 *    said about the tablespace in a DO that runs only after that. */
int globals_rewrite(
    const char *sql, size_t len, struct text *out, struct hf_error *);

#endif
