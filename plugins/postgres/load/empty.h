/* SPDX-License-Identifier: BSD-2-Clause */
/* Databases with nothing in them: recognised, and made so again. */
#ifndef HF_POSTGRES_LOAD_EMPTY_H
#define HF_POSTGRES_LOAD_EMPTY_H

#include <stddef.h>

#include <holdfast/plugin.h>

struct conn;
struct job;

/* what: "" when there is nothing but what every new database has, else the
 * first few things that are there: "table public.orders, ...". */
int empty_look(struct conn *, char *what, size_t cap, struct hf_error *);
/* Statements that give the schema public the owner, grants and comment that
 * it has now; to be freed. */
int empty_public(struct conn *, char **sql, struct hf_error *);
/* Drop everything of job->work, which was empty before; what cannot be
 * dropped is logged. */
void empty_clear(struct job *, const char *public_sql);

#endif
