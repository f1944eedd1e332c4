/* SPDX-License-Identifier: BSD-2-Clause */
/* Stored SQL, run statement by statement as psql would. */
#ifndef HF_POSTGRES_LOAD_SCRIPT_H
#define HF_POSTGRES_LOAD_SCRIPT_H

#include <holdfast/plugin.h>

struct conn;
struct job;

/* Is there such an object? */
int script_exists(
    struct job *, const char *prefix, const char *name, struct hf_error *);
/* One statement, len bytes and a NUL. */
typedef int
script_fn(void *arg, struct conn *, char *sql, size_t len, struct hf_error *);
/* All statements of an object, in order, each a transaction unless the script
 * or the caller began one.  fn NULL: run them, but for owners
 * and grants that are not wanted.  HF_E_CORRUPT when it ends
 * inside of one. */
int script_run(struct job *, struct conn *, const char *prefix,
    const char *name, script_fn *fn, void *arg, struct hf_error *);
/* In a session of its own, as the role that was asked for. */
int script_run_alone(struct job *, const char *name, struct hf_error *);
/* The large objects, on several connections. */
int script_large_objects(struct job *, struct hf_error *);
/* Settings, grants and comment of the database, in one transaction; what
 * needs a role that is not there, or more than ours may, is told and left out.
 * *comment, to be freed: the comment it had got, NULL for none; when marker
 * is not NULL it is the comment now. */
int script_database(
    struct job *, const char *marker, char **comment, struct hf_error *);

#endif
