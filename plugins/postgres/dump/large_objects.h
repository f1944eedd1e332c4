/* SPDX-License-Identifier: BSD-2-Clause */
/* Large objects, a thousand to an object of the backup. */
#ifndef HF_POSTGRES_DUMP_LARGE_OBJECTS_H
#define HF_POSTGRES_DUMP_LARGE_OBJECTS_H

#include <libpq-fe.h>

#include <holdfast/plugin.h>

struct conn;
struct object;
struct run;

/* Which there are; NULL when none are wanted.  Sets their number and objects
 * in contents. */
int large_objects_find(struct run *, PGresult **, struct hf_error *);
/* The n-th object of the backup, 0 first. */
int large_objects_store(struct run *, const PGresult *, size_t n, struct conn *,
    struct object *, struct hf_error *);

#endif
