/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"

#include <stdio.h>
#include <string.h>

#define TROUBLE_LINES 40

void
report_title(
    enum case_kind kind, const struct conform_case *test, char *buf, size_t cap)
{
	static const char *const kinds[] = { "plugin", "store", "filter",
		"engine" };

	(void)snprintf(buf, cap, "%s: %s", kinds[kind], test->name);
}

void
report_begin(enum report_format format, const char *plugin, size_t ncases)
{
	if (format == REPORT_TAP)
		printf("TAP version 13\n1..%zu\n# %s\n", ncases, plugin);
	else
		printf("%s, %zu cases\n", plugin, ncases);
	(void)fflush(stdout);
}

static void
lines(const char *prefix, const char *text, size_t max)
{
	for (size_t n = 0; text != NULL && *text != '\0' && n < max; n++) {
		size_t len = strcspn(text, "\n");

		printf("%s%.*s\n", prefix, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* A YAML string in double quotes. */
static void
quoted(const char *text)
{
	(void)putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			(void)putchar('\\');
		(void)putchar((unsigned char)*text < ' ' ? ' ' : *text);
	}
	(void)putchar('"');
}

void
report_case(enum report_format format, size_t n, enum case_kind kind,
    const struct conform_case *test, const struct run_outcome *o)
{
	char title[256];

	report_title(kind, test, title, sizeof title);
	printf("%s %zu - %s", o->verdict == RUN_FAILED ? "not ok" : "ok", n,
	    title);
	if (o->verdict == RUN_SKIPPED)
		printf(" # SKIP %s", o->message);
	(void)putchar('\n');
	if (o->verdict == RUN_FAILED && format == REPORT_TAP) {
		printf("  ---\n  message: ");
		quoted(o->message);
		printf("\n  ...\n");
	} else if (o->verdict == RUN_FAILED) {
		printf("    %s\n", o->message);
	}
	lines(format == REPORT_TAP ? "# " : "    ", o->notes, 100);
	lines(
	    format == REPORT_TAP ? "# " : "    | ", o->trouble, TROUBLE_LINES);
	(void)fflush(stdout);
}

void
report_end(
    enum report_format format, size_t passed, size_t failed, size_t skipped)
{
	printf("%s%zu passed, %zu failed, %zu skipped\n",
	    format == REPORT_TAP ? "# " : "", passed, failed, skipped);
	(void)fflush(stdout);
}
