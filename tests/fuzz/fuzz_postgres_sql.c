/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as SQL: it is cut into statements that lie in it, one behind the
 * other, and a statement that was cut is one statement. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "fuzz_postgres_sql: %s\n", what);
	abort();
}

/* From memory of exactly its size. */
static void
look_at(const char *s, size_t len)
{
	char *exact = malloc(len), buf[16];
	size_t start = 1, n = 0;
	bool quoted;

	if (exact == NULL)
		die("no memory");
	memcpy(exact, s, len);
	if (sql_statement(exact, len, &start) != len || start != 0)
		die("a statement is not one");
	if (sql_statement(exact, len - 1, &start) != 0)
		die("a part of a statement is one");
	while (n < 40 && sql_token(exact, len, n, buf, sizeof buf, &quoted)) {
		if (strlen(buf) >= sizeof buf)
			die("a token that is too long");
		n++;
	}
	if (n == 0)
		die("a statement without a token");
	(void)sql_begins(exact, len, "create function");
	(void)sql_begins(exact, len, "");
	free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	size_t len = size, start, n;

	while ((n = sql_statement(s, len, &start)) > 0) {
		if (start > len || n > len - start || s[start + n - 1] != ';')
			die("a statement outside of the text");
		look_at(s + start, n);
		s += start + n;
		len -= start + n;
	}
	if (start > len)
		die("the rest is outside of the text");
	(void)sql_token(s, len, 3, NULL, 0, NULL);
	return 0;
}
