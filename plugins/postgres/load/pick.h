/* SPDX-License-Identifier: BSD-2-Clause */
/* Single objects of a backup: "table public.orders" becomes the entries of
 * the schema archive, and the tables, that belong to it. */
#ifndef HF_POSTGRES_LOAD_PICK_H
#define HF_POSTGRES_LOAD_PICK_H

#include "refer.h"
#include "toc.h"

struct conn;
struct job;

struct pick {
	struct job *job;
	struct toc toc;
	struct refer refer;
	bool *entries;  /* of toc */
	bool *tables;   /* of the contents: load their rows */
	char **schemas; /* that they live in */
	size_t nschemas;
	bool failed; /* out of memory */
};

/* Read what there is, and pick what conf.only names.  HF_E_NOTFOUND: the
 * backup has no such object; HF_E_INVALID: several. */
int pick_open(struct pick *, struct job *, struct hf_error *);
void pick_close(struct pick *);

/* What the target (a connection to it) has and lacks: HF_E_EXISTS when an
 * object is there; missing schemas are picked too; foreign keys to tables
 * that are neither there nor picked are left out, and told. */
int pick_fit(struct pick *, struct conn *, struct hf_error *);

/* Triggers whose function the target lacks are left out, and told.  After
 * "pre-data": the functions that are picked are there. */
int pick_fit_triggers(struct pick *, struct conn *, struct hf_error *);

/* A schema_pick_fn; arg is the pick. */
bool pick_entry(void *arg, size_t entry);
/* Is an entry of this kind and name picked? */
bool pick_has(const struct pick *, const char *kind, const char *schema,
    const char *name);

/* Is rest, of a line of the list, "SCHEMA NAME" and then behind?  Line ends in
 * names are blanks there. */
bool pick_begins(
    const char *rest, const char *schema, const char *name, char behind);
/* Pick comments, rights and labels of what is of that kind and name. */
void pick_about(
    struct pick *, const char *kind, const char *schema, const char *name);

#endif
