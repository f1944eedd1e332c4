/* SPDX-License-Identifier: BSD-2-Clause */
#include "utf8.h"

#include "run.h"

#include <stdlib.h>
#include <string.h>

int
utf8_query(const struct run *run, PGresult **res, struct hf_error *err,
    const char *sql)
{
	int rc, back;

	if (strcmp(run->contents.stored_encoding, "UTF8") == 0)
		return conn_query(run->conn, res, err, sql);
	if ((rc = conn_exec(run->conn, err,
		 "SAVEPOINT names; SET LOCAL client_encoding = 'UTF8'")) !=
	    HF_OK)
		return rc;
	rc = conn_query(run->conn, res, err, sql);
	if (rc == HF_E_CANCELLED)
		return rc;
	if ((back = conn_exec(run->conn, err,
		 "ROLLBACK TO SAVEPOINT names; RELEASE SAVEPOINT names")) !=
	    HF_OK) {
		if (rc == HF_OK)
			PQclear(*res);
		return back;
	}
	/* Bytes that are in no encoding at all: as they are. */
	return rc == HF_OK ? rc : conn_query(run->conn, res, err, sql);
}

/* The length of the UTF-8 character at s, 0 when it is none. */
static size_t
character(const unsigned char *s)
{
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

char *
utf8_copy(const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *p = (const unsigned char *)s;
	char *copy, *to;
	size_t n;

	if ((copy = to = malloc(3 * strlen(s) + 1)) == NULL)
		return NULL;
	while (*p != '\0') {
		if ((n = character(p)) > 0) {
			memcpy(to, p, n);
			to += n;
			p += n;
			continue;
		}
		*to++ = '%';
		*to++ = hex[*p >> 4];
		*to++ = hex[*p++ & 15];
	}
	*to = '\0';
	return copy;
}
