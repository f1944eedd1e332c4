/* SPDX-License-Identifier: BSD-2-Clause */
/* SQL text cut into statements, as psql cuts it: quotes, E'', $tag$, nested
 * comments, and psql's own \commands, which are lines and skipped.  The
 * grammar: PostgreSQL's manual, "Lexical Structure".
 * standard_conforming_strings is on. */
#ifndef HF_POSTGRES_SQL_H
#define HF_POSTGRES_SQL_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the first statement of s, its ';' included, and *start where
 * it begins behind blanks, comments, \commands and empty statements.  0: no
 * further whole statement in these len bytes (*start is then where an
 * unfinished one begins, or an unfinished comment or \command, which want
 * their line end; or len). */
size_t sql_statement(const char *s, size_t len, size_t *start);

/* The n-th token (0 first) of a statement: a word, a number, an identifier in
 * quotes (without them in buf, *quoted true), a string as it stands with its
 * quotes, or one symbol.  buf is cut to cap; quoted may be NULL.  Words are
 * folded to lower case as the server does.  false: there are fewer. */
bool sql_token(const char *statement, size_t len, size_t n, char *buf,
    size_t cap, bool *quoted);

/* Does a statement begin with these words, "copy", "create role"? */
bool sql_begins(const char *statement, size_t len, const char *words);

#endif
