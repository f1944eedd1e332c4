/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is connected to a database. */
#ifndef HF_POSTGRES_LOAD_USERS_H
#define HF_POSTGRES_LOAD_USERS_H

#include <stddef.h>

#include <holdfast/plugin.h>

struct conn;

/* "psql (pid 12), 2 prepared transactions": at most five are named.  *n is
 * how many there are.  Not counted: backend pids except and c's own. */
int users_of(struct conn *c, const char *dbname, int except, char *buf,
    size_t cap, unsigned *n, struct hf_error *);
/* HF_E_TRANSIENT naming them when there are any, and still are after two
 * seconds: a session is seen for a moment after its client has left.
 * force_helps: the hint says that they can be ended. */
int users_refuse(struct conn *c, const char *dbname, int except,
    bool force_helps, struct hf_error *);

#endif
