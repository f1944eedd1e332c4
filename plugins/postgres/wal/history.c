/* SPDX-License-Identifier: BSD-2-Clause */
#include "history.h"

#include <stdlib.h>
#include <string.h>

static const char *
skip_blank(const char *s, const char *end)
{
	while (s < end && (*s == ' ' || *s == '\t' || *s == '\r'))
		s++;
	return s;
}

/* The next word, as a string of its own. */
static const char *
word(const char *s, const char *end, char *out, size_t cap)
{
	size_t n = 0;

	for (s = skip_blank(s, end);
	     s < end && *s != ' ' && *s != '\t' && *s != '\r'; s++)
		if (n + 1 < cap)
			out[n++] = *s;
		else
			n = cap; /* too long to be anything */
	out[n < cap ? n : 0] = '\0';
	return s;
}

static bool
parse_timeline(const char *s, uint32_t *timeline)
{
	uint64_t v = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*timeline = (uint32_t)v;
	return v != 0;
}

/* One line, not empty and no comment. */
static int
parse_line(const char *s, const char *end, size_t line, struct history *h,
    char why[WHY_MAX])
{
	struct history_entry e, *more;
	char text[LSN_TEXT_MAX];

	s = word(s, end, text, sizeof text);
	if (!parse_timeline(text, &e.timeline))
		return why_say(
		    why, HF_E_CORRUPT, "line %zu: %s", line, "no timeline");
	(void)word(s, end, text, sizeof text);
	if (!lsn_parse(text, &e.end))
		return why_say(
		    why, HF_E_CORRUPT, "line %zu: %s", line, "no position");
	if (e.timeline >= h->timeline ||
	    (h->n > 0 && e.timeline <= h->entries[h->n - 1].timeline))
		return why_say(why, HF_E_CORRUPT, "line %zu: %s", line,
		    "timelines do not ascend");
	if (e.end == 0 || (h->n > 0 && e.end < h->entries[h->n - 1].end))
		return why_say(why, HF_E_CORRUPT, "line %zu: %s", line,
		    "positions do not ascend");
	more = realloc(h->entries, (h->n + 1) * sizeof *more);
	if (more == NULL)
		return why_say(why, HF_E_NOMEM, "no memory");
	h->entries = more;
	h->entries[h->n++] = e;
	return HF_OK;
}

int
history_parse(const void *data, size_t len, uint32_t timeline,
    struct history *h, char why[WHY_MAX])
{
	const char *s = data, *end = s + len, *eol;
	int rc;

	*h = (struct history){ .timeline = timeline };
	for (size_t line = 1; s < end; line++, s = eol + 1) {
		if ((eol = memchr(s, '\n', (size_t)(end - s))) == NULL)
			eol = end;
		s = skip_blank(s, eol);
		if (s < eol && *s != '#' &&
		    (rc = parse_line(s, eol, line, h, why)) != HF_OK)
			goto err;
		if (eol == end)
			break;
	}
	if (h->n == 0) {
		rc = why_say(why, HF_E_CORRUPT, "it names no timeline");
		goto err;
	}
	return HF_OK;
err:
	history_clear(h);
	return rc;
}

void
history_clear(struct history *h)
{
	free(h->entries);
	h->entries = NULL;
	h->n = 0;
}

lsn_t
history_end(const struct history *h, uint32_t ancestor)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->entries[i].timeline == ancestor)
			return h->entries[i].end;
	return 0;
}
