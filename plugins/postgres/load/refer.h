/* SPDX-License-Identifier: BSD-2-Clause */
/* Which definitions belong to which table, read from the stored SQL: what a
 * list of the archive's contents does not say. */
#ifndef HF_POSTGRES_LOAD_REFER_H
#define HF_POSTGRES_LOAD_REFER_H

#include <stddef.h>

#include <holdfast/plugin.h>

struct job;

enum refer_kind {
	REFER_PARTITION, /* object is a partition of table */
	REFER_FK,        /* object is a constraint of table; to: referenced */
	REFER_TRIGGER,   /* object is a trigger of table; to: its function */
	REFER_INDEX,     /* object is an index of table */
	REFER_SEQUENCE   /* object is a sequence that a column of table owns */
};
/* A name in a schema, as the server has it. */
struct refer_name {
	char *schema, *name;
};
struct refer_link {
	enum refer_kind kind;
	struct refer_name object, table, to;
};
struct refer {
	struct refer_link *links;
	size_t n, cap;
};

/* Of 010-pre-data.sql and 900-post-data.sql. */
int refer_read(struct job *, struct refer *, struct hf_error *);
void refer_clear(struct refer *);
bool
refer_same(const struct refer_name *, const char *schema, const char *name);

#endif
