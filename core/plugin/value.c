/* SPDX-License-Identifier: BSD-2-Clause */
#include "value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define CHOICES_MAX 32

size_t
value_size(const struct hf_option *o)
{
	if ((o->flags & HF_OPT_LIST) != 0)
		return sizeof(const char *const *);
	switch (o->type) {
	case HF_OPT_STRING:
	case HF_OPT_PATH:
	case HF_OPT_ENUM:
		return sizeof(const char *);
	case HF_OPT_BOOL:
		return sizeof(bool);
	default:
		return sizeof(int64_t);
	}
}

size_t
value_align(const struct hf_option *o)
{
	if ((o->flags & HF_OPT_LIST) != 0)
		return alignof(const char *const *);
	switch (o->type) {
	case HF_OPT_STRING:
	case HF_OPT_PATH:
	case HF_OPT_ENUM:
		return alignof(const char *);
	case HF_OPT_BOOL:
		return alignof(bool);
	default:
		return alignof(int64_t);
	}
}

bool
value_part(const char *parts, size_t n, const char **part, size_t *len)
{
	while (parts != NULL) {
		*part = parts;
		*len = strcspn(parts, "|");
		if (n-- == 0)
			return true;
		parts = parts[*len] == '|' ? parts + *len + 1 : NULL;
	}
	return false;
}

static bool
parse_int(const char *s, const char **end, int64_t *i)
{
	char *rest;

	if ((*s < '0' || *s > '9') && *s != '-' && *s != '+')
		return false;
	errno = 0;
	*i = strtoll(s, &rest, 10);
	*end = rest;
	return rest != s && errno == 0;
}

bool
value_range(const char *choices, int64_t *min, int64_t *max)
{
	const char *p = choices;

	*min = INT64_MIN;
	*max = INT64_MAX;
	if (p == NULL)
		return true;
	if (*p != '.' && !parse_int(p, &p, min))
		return false;
	if (strncmp(p, "..", 2) != 0)
		return false;
	p += 2;
	if (*p != '\0' && !parse_int(p, &p, max))
		return false;
	return *p == '\0' && *min <= *max;
}

/* "a, b, c" of "a|b|c" */
static void
spell_choices(const char *choices, char *out, size_t cap)
{
	const char *part;
	size_t len, at = 0;

	out[0] = '\0';
	for (size_t n = 0; value_part(choices, n, &part, &len); n++) {
		int k = snprintf(out + at, cap - at, "%s%.*s",
		    n == 0 ? "" : ", ", (int)len, part);

		if (k < 0 || (size_t)k >= cap - at)
			return;
		at += (size_t)k;
	}
}

static void
expect_int(const struct hf_option *o, struct value_problem *why)
{
	int64_t min, max;
	char *s = why->expected;
	size_t cap = sizeof why->expected;

	(void)value_range(o->choices, &min, &max);
	if (min != INT64_MIN && max != INT64_MAX)
		(void)snprintf(s, cap,
		    "a whole number from %" PRId64 " to %" PRId64, min, max);
	else if (min != INT64_MIN)
		(void)snprintf(
		    s, cap, "a whole number of at least %" PRId64, min);
	else if (max != INT64_MAX)
		(void)snprintf(
		    s, cap, "a whole number of at most %" PRId64, max);
	else
		(void)snprintf(s, cap, "a whole number");
}

/* Fills why, and is false for the callers to return. */
static bool
expect(const struct hf_option *o, struct value_problem *why)
{
	char choices[VALUE_TEXT_MAX - 16];
	const char *text = "text";

	why->hint[0] = '\0';
	switch (o->type) {
	case HF_OPT_PATH:
		text = "a path";
		break;
	case HF_OPT_ENUM:
		spell_choices(o->choices, choices, sizeof choices);
		(void)snprintf(
		    why->expected, sizeof why->expected, "one of %s", choices);
		return false;
	case HF_OPT_BOOL:
		text = "true or false";
		break;
	case HF_OPT_INT:
		expect_int(o, why);
		return false;
	case HF_OPT_SIZE:
		text = "a size such as \"16MiB\"";
		break;
	case HF_OPT_DURATION:
		text = "a duration such as \"90s\"";
		break;
	default:
		break;
	}
	(void)snprintf(why->expected, sizeof why->expected, "%s", text);
	return false;
}

static void
suggest(const char *choices, const char *typed, struct value_problem *why)
{
	char copy[VALUE_TEXT_MAX];
	const char *list[CHOICES_MAX + 1], *part, *near;
	size_t len, at = 0, n;

	for (n = 0; n < CHOICES_MAX && value_part(choices, n, &part, &len);
	     n++) {
		if (len + 1 > sizeof copy - at)
			break;
		memcpy(copy + at, part, len);
		list[n] = copy + at;
		at += len;
		copy[at++] = '\0';
	}
	list[n] = NULL;
	if ((near = text_nearest(typed, list)) != NULL)
		(void)snprintf(
		    why->hint, sizeof why->hint, "Did you mean \"%s\"?", near);
}

static bool
parse_enum(const struct hf_option *o, const char *s, struct value *v,
    struct value_problem *why)
{
	const char *part;
	size_t len;

	for (size_t n = 0; value_part(o->choices, n, &part, &len); n++)
		if (strlen(s) == len && memcmp(s, part, len) == 0) {
			v->s = s;
			return true;
		}
	(void)expect(o, why);
	suggest(o->choices, s, why);
	return false;
}

static bool
parse_bool(const char *s, bool *b)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		if (strcmp(s, yes[i]) == 0)
			return *b = true;
		if (strcmp(s, no[i]) == 0) {
			*b = false;
			return true;
		}
	}
	return false;
}

static bool
in_range(const struct hf_option *o, int64_t i)
{
	int64_t min, max;

	return value_range(o->choices, &min, &max) && i >= min && i <= max;
}

bool
value_from_text(const struct hf_option *o, const char *s, struct value *v,
    struct value_problem *why)
{
	const char *end;
	bool ok = true;

	*v = (struct value){ 0 };
	switch (o->type) {
	case HF_OPT_STRING:
		v->s = s;
		break;
	case HF_OPT_PATH:
		v->s = s;
		ok = *s != '\0';
		break;
	case HF_OPT_ENUM:
		return parse_enum(o, s, v, why);
	case HF_OPT_BOOL:
		ok = parse_bool(s, &v->b);
		break;
	case HF_OPT_INT:
		ok = parse_int(s, &end, &v->i) && *end == '\0' &&
		     in_range(o, v->i);
		break;
	case HF_OPT_SIZE:
		ok = text_parse_size(s, &v->i);
		break;
	case HF_OPT_DURATION:
		ok = text_parse_duration(s, &v->i);
		break;
	default:
		ok = false;
	}
	if (ok)
		return true;
	(void)expect(o, why);
	if (o->type == HF_OPT_DURATION && parse_int(s, &end, &v->i) &&
	    *end == '\0')
		(void)snprintf(why->hint, sizeof why->hint,
		    "Write a unit: \"%.20ss\", \"%.20sm\", \"%.20sh\".", s, s,
		    s);
	return false;
}

bool
value_from_json(const struct hf_option *o, const json_t *j, struct value *v,
    struct value_problem *why)
{
	*v = (struct value){ 0 };
	if (json_is_string(j)) {
		const char *s = json_string_value(j);

		/* What stands behind a NUL would be lost. */
		if (strlen(s) != json_string_length(j)) {
			(void)expect(o, why);
			(void)snprintf(why->hint, sizeof why->hint,
			    "The text holds a NUL character.");
			return false;
		}
		return value_from_text(o, s, v, why);
	}
	if (json_is_boolean(j) && o->type == HF_OPT_BOOL) {
		v->b = json_is_true(j);
		return true;
	}
	if (json_is_integer(j) && o->type == HF_OPT_INT) {
		v->i = json_integer_value(j);
		return in_range(o, v->i) || expect(o, why);
	}
	if (json_is_integer(j) && o->type == HF_OPT_SIZE) {
		v->i = json_integer_value(j);
		return v->i >= 0 || expect(o, why);
	}
	(void)expect(o, why);
	if (json_is_integer(j) && o->type == HF_OPT_DURATION)
		(void)snprintf(why->hint, sizeof why->hint,
		    "Write a unit: \"%" JSON_INTEGER_FORMAT
		    "s\", \"%" JSON_INTEGER_FORMAT "m\".",
		    json_integer_value(j), json_integer_value(j));
	return false;
}
