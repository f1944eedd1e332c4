/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of contents of a schema archive, from the lines that
 * "pg_restore --list" prints:
 *
 *   215; 1259 16385 TABLE public orders shop_owner
 *   3453; 0 0 COMMENT - EXTENSION hstore
 */
#ifndef HF_POSTGRES_TOC_H
#define HF_POSTGRES_TOC_H

#include <holdfast/plugin.h>

struct toc_entry {
	int id;                /* of the dump */
	uint32_t catalog, oid; /* 0 0: has none */
	char *kind;            /* "TABLE", "FK CONSTRAINT", "ACL" */
	char *rest;            /* schema, tag and owner, as printed */
	char *line;            /* the whole line, without its end */
};
struct toc {
	struct toc_entry *entries;
	size_t n;
};

/* HF_E_CORRUPT for a line that is neither comment nor entry. */
int toc_read(const char *text, size_t len, struct toc *, struct hf_error *);
void toc_clear(struct toc *);

#endif
