/* SPDX-License-Identifier: BSD-2-Clause */
#include "cron.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct field {
	const char *why;
	int min, max;
	const char *names; /* three letters each, the first is min */
} fields[] = {
	{ "The first field is the minute, 0 to 59.", 0, 59, "" },
	{ "The second field is the hour, 0 to 23.", 0, 23, "" },
	{ "The third field is the day of the month, 1 to 31.", 1, 31, "" },
	{ "The fourth field is the month, 1 to 12 or jan to dec.", 1, 12,
	    "janfebmaraprmayjunjulaugsepoctnovdec" },
	{ "The fifth field is the day of the week, 0 to 7 (0 and 7 are "
	  "Sunday) or sun to sat.",
	    0, 7, "sunmontuewedthufrisat" },
};
#define NFIELDS (sizeof fields / sizeof *fields)

static const char five_fields[] =
    "There are five fields: minute, hour, day of month, month, day of week.";

static bool
number(const char **s, int max, int *out)
{
	int v = 0;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; ++*s)
		if ((v = v * 10 + (**s - '0')) > max)
			return false;
	*out = v;
	return true;
}

static bool
value(const char **s, const struct field *f, int *out)
{
	for (int i = 0; f->names[3 * i] != '\0'; i++)
		if (strncasecmp(*s, f->names + (ptrdiff_t)3 * i, 3) == 0) {
			*s += 3;
			*out = f->min + i;
			return true;
		}
	return number(s, f->max, out) && *out >= f->min;
}

/* "*", "5", "1-5", each with "/2" where it is a range. */
static bool
item(const char **s, const struct field *f)
{
	bool range = **s == '*';
	int from, to, step;

	if (range) {
		++*s;
	} else {
		if (!value(s, f, &from))
			return false;
		if (**s == '-') {
			++*s;
			range = true;
			if (!value(s, f, &to) || to < from)
				return false;
		}
	}
	if (**s != '/')
		return true;
	++*s;
	return range && number(s, f->max, &step) && step > 0;
}

static bool
field(const char **s, const struct field *f)
{
	for (;;) {
		if (!item(s, f))
			return false;
		if (**s != ',')
			return **s == '\0' || **s == ' ' || **s == '\t';
		++*s;
	}
}

bool
cron_check(const char *s, const char **why)
{
	static const char *const macros[] = { "@hourly", "@daily", "@weekly",
		"@monthly", "@yearly" };

	*why = "There are @hourly, @daily, @weekly, @monthly and @yearly.";
	for (size_t i = 0; i < sizeof macros / sizeof *macros; i++)
		if (strcmp(s, macros[i]) == 0)
			return true;
	if (*s == '@')
		return false;
	for (size_t i = 0; i < NFIELDS; i++) {
		s += strspn(s, " \t");
		*why = *s == '\0' ? five_fields : fields[i].why;
		if (*s == '\0' || !field(&s, &fields[i]))
			return false;
	}
	s += strspn(s, " \t");
	*why = five_fields;
	return *s == '\0';
}
