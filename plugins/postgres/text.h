/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that grows.  A failed allocation is remembered and told once, by
 * text_ok: the calls in between need no checks. */
#ifndef HF_POSTGRES_TEXT_H
#define HF_POSTGRES_TEXT_H

#include <holdfast/plugin.h>

struct text {
	char *s; /* ends in NUL; NULL while empty */
	size_t len, cap;
	bool failed;
};

void text_add(struct text *, const char *);
void text_add_n(struct text *, const char *, size_t);
void text_addf(struct text *, const char *fmt, ...) HF_PRINTF(2, 3);
/* s as an SQL identifier, always in double quotes; as a literal ('...', with
 * E'' when it has a backslash).  Any encoding that is a superset of ASCII and
 * has no ASCII bytes inside of characters (all that a server can have). */
void text_add_ident(struct text *, const char *s);
void text_add_literal(struct text *, const char *s);
/* s without line ends and control bytes, for a "-- comment". */
void text_add_comment(struct text *, const char *s);
/* HF_OK, or HF_E_NOMEM. */
int text_ok(const struct text *, struct hf_error *);
/* "" while empty. */
const char *text_get(const struct text *);
void text_reset(struct text *); /* keeps the memory */
void text_free(struct text *);

#endif
