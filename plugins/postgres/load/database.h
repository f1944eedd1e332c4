/* SPDX-License-Identifier: BSD-2-Clause */
/* Databases under a temporary name: made, found again, dropped.
 *
 * One is called NAME.holdfast-XXXXXXXX and gets a comment that says so.  While
 * its run lives, and from before it is made, an advisory lock on the number
 * XXXXXXXX is held in the maintenance database. */
#ifndef HF_POSTGRES_LOAD_DATABASE_H
#define HF_POSTGRES_LOAD_DATABASE_H

#include <stdint.h>

#include <holdfast/plugin.h>

struct conn;
struct job;
struct text;

/* name cut so that suffix fits behind it, and suffix. */
void database_name(struct text *, const char *name, const char *suffix);
/* The OID of a database, 0: there is none. */
int database_find(
    struct conn *, const char *name, uint32_t *oid, struct hf_error *);
/* Make job->work under a temporary name of its own; job->made is true then. */
int database_create(struct job *, struct hf_error *);
/* Drop one, whoever is in it; never fails loudly: what cannot be dropped is
 * logged.  For job_undo's connection. */
void database_drop(struct job *, const char *name);
/* Drop what killed runs left of restores to job->name. */
int database_leftovers(struct job *, struct hf_error *);
/* The comment that marks work. */
void database_marker(struct text *, const char *name);

#endif
