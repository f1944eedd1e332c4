/* SPDX-License-Identifier: BSD-2-Clause */
#include "label.h"

#include "postgres.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START "START WAL LOCATION: "
#define TIMELINE "START TIMELINE: "
#define FROM "INCREMENTAL FROM LSN: "
#define FROM_TIMELINE "INCREMENTAL FROM TLI: "

/* What stands behind a line's beginning, up to a blank or its end. */
static bool
value_of(const char *line, const char *begins, char value[LSN_TEXT_MAX])
{
	size_t n = strlen(begins), len;

	if (strncmp(line, begins, n) != 0)
		return false;
	len = strcspn(line + n, " \n");
	(void)snprintf(value, LSN_TEXT_MAX, "%.*s",
	    len < LSN_TEXT_MAX ? (int)len : 0, line + n);
	return true;
}

static bool
read_timeline(const char *s, uint32_t *timeline)
{
	unsigned long long n;

	if (s[0] == '\0' || strlen(s) > 10 ||
	    s[strspn(s, "0123456789")] != '\0')
		return false;
	n = strtoull(s, NULL, 10);
	*timeline = (uint32_t)n;
	return n > 0 && n <= UINT32_MAX;
}

int
label_parse(const char *text, struct label *l, struct hf_error *err)
{
	char value[LSN_TEXT_MAX];
	bool good = true;

	*l = (struct label){ 0 };
	for (const char *line = text; *line != '\0';) {
		if (value_of(line, START, value))
			good = good && lsn_parse(value, &l->start);
		else if (value_of(line, TIMELINE, value))
			good = good && read_timeline(value, &l->timeline);
		else if (value_of(line, FROM, value))
			good = good && lsn_parse(value, &l->from);
		else if (value_of(line, FROM_TIMELINE, value))
			good = good && read_timeline(value, &l->from_timeline);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	if (!good || l->start == 0 || l->timeline == 0 ||
	    (l->from == 0) != (l->from_timeline == 0))
		return H->fail(err, HF_E_CORRUPT,
		    "backup_label does not say where the backup begins");
	return HF_OK;
}

void
label_plain(const char *text, struct text *out)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		n += text[n] == '\n';
		if (strncmp(text, FROM, sizeof FROM - 1) != 0 &&
		    strncmp(text, FROM_TIMELINE, sizeof FROM_TIMELINE - 1) != 0)
			text_add_n(out, text, n);
		text += n;
	}
}
