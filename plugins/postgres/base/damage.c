/* SPDX-License-Identifier: BSD-2-Clause */
#include "damage.h"

#include "../postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where files with pages are, below the data directory. */
static const char *const folders[] = { "base/", "global/", "pg_tblspc/" };

static const char *
find_path(const char *text, size_t *len)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789_./";
	const char *p, *first = NULL;

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		p = strstr(text, folders[i]);
		if (p != NULL && (first == NULL || p < first))
			first = p;
	}
	if (first != NULL)
		*len = strspn(first, chars);
	return first;
}

/* The words of text that are numbers of base 16 as the server prints them; the
 * first, when it is decimal, into *number. */
static unsigned
count_numbers(const char *text, char number[16])
{
	static const char digits[] = "0123456789", hex[] = "0123456789ABCDEF";
	unsigned n = 0;
	size_t len;

	number[0] = '\0';
	while (*text != '\0') {
		len = strcspn(text, " ,:;.()\n\t");
		if (len > 0 && strspn(text, hex) == len) {
			if (n++ == 0 && strspn(text, digits) == len)
				(void)snprintf(
				    number, 16, "%.*s", (int)len, text);
		}
		text += len;
		text += strspn(text, " ,:;.()\n\t");
	}
	return n;
}

/* Of a page it says the block, what was calculated, and what was expected; of
 * a file that has more, how many there are in all. */
bool
damage_warning(struct damage *d, const char *text)
{
	char number[16];
	const char *path;
	size_t len;
	unsigned n;

	if ((path = find_path(text, &len)) == NULL)
		return false;
	n = count_numbers(path + len, number);
	d->seen++;
	if (number[0] == '\0')
		return true; /* more of this file will not be told */
	if (n >= 3) {
		names_add(&d->pages, "%.*s block %s", (int)len, path, number);
		H->log(d->ctx, HF_LOG_WARN, "postgres.checksum",
		    "the checksum of a page does not agree: file %.*s, block "
		    "%s",
		    (int)len, path, number);
	} else {
		names_add(
		    &d->pages, "%.*s (%s in all)", (int)len, path, number);
		H->log(d->ctx, HF_LOG_WARN, "postgres.checksum",
		    "file %.*s has %s pages whose checksum does not agree",
		    (int)len, path, number);
	}
	return true;
}

bool
damage_notice(void *arg, const PGresult *res)
{
	const char *file = PQresultErrorField(res, PG_DIAG_SOURCE_FILE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (file == NULL || text == NULL ||
	    strncmp(file, "basebackup", 10) != 0)
		return false;
	return damage_warning(arg, text);
}

int
damage_fail(struct damage *d, const char *label, struct hf_error *err)
{
	return postgres_fail_hint(err, HF_E_CORRUPT,
	    "The disk or the memory of the server may be failing; keep the "
	    "earlier backups. SELECT pg_filenode_relation(0, NUMBER)::regclass "
	    "in the database of that OID names the table. "
	    "\"verify_checksums\": "
	    "false backs up the pages as they are.",
	    "%s: pages of the server whose checksum does not agree: %s", label,
	    names_get(&d->pages));
}

void
damage_free(struct damage *d)
{
	names_free(&d->pages);
}
