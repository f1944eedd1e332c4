/* SPDX-License-Identifier: BSD-2-Clause */
#include "layout.h"

#include "text.h"

/* Length of the UTF-8 sequence at p, 0 when it is none. */
static size_t
utf8_length(const unsigned char *p)
{
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

void
layout_escape(struct text *out, const char *name)
{
	const unsigned char *p = (const unsigned char *)name;
	size_t n;

	for (; *p != '\0'; p += n) {
		n = utf8_length(p);
		/* '%' too, or an escape could not be told from a name. */
		if (n == 0 || *p < 0x20 || *p == 0x7f || *p == '%' ||
		    *p == '.' || *p == '/') {
			text_addf(out, "%%%02X", (unsigned)*p);
			n = 1;
		} else {
			text_add_n(out, (const char *)p, n);
		}
	}
}

void
layout_prefix(struct text *out, const char *database)
{
	if (database == NULL)
		return;
	layout_escape(out, database);
	text_add(out, "/");
}

void
layout_table(
    struct text *out, const char *schema, const char *table, unsigned part)
{
	text_add(out, "100-");
	layout_escape(out, schema);
	text_add(out, ".");
	layout_escape(out, table);
	text_addf(out, ".%04u.sql", part);
}

void
layout_small(struct text *out, unsigned part)
{
	text_addf(out, "110-small.%04u.sql", part);
}

void
layout_large_objects(struct text *out, unsigned part)
{
	text_addf(out, "700-large-objects.%04u.sql", part);
}
