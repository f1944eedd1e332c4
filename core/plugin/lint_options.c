/* SPDX-License-Identifier: BSD-2-Clause */
#include "lint.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "plugin/options.h"
#include "plugin/value.h"

#define OPTION_NAME_MAX 64
#define OPTIONS_MAX 512
#define STRIDE_MAX 4096

/* What stands in every table since 1.0. */
#define STRIDE_MIN (offsetof(struct hf_option, help) + sizeof(const char *))

static bool
name_valid(const char *name)
{
	bool start = true;

	if (strlen(name) > OPTION_NAME_MAX)
		return false;
	for (; *name != '\0'; name++) {
		bool letter = *name >= 'a' && *name <= 'z';

		if (start ? !letter
			  : !letter && (*name < '0' || *name > '9') &&
				*name != '_' && *name != '.')
			return false;
		start = *name == '.';
	}
	return !start;
}

/* "wal" and "wal.slot" cannot both be: one JSON value is not a text and an
 * object. */
static bool
names_clash(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), n = la < lb ? la : lb;

	return strncmp(a, b, n) == 0 &&
	       (la == lb || (la > lb ? a[n] : b[n]) == '.');
}

/* What an item's own keys in the configuration are called. */
static bool
name_taken(const char *name)
{
	return strcmp(name, "type") == 0 || strcmp(name, "engine") == 0;
}

static const char *
check_name(const struct hf_option *table, size_t stride, size_t n)
{
	const char *name = options_at(table, stride, n)->name;

	if (!name_valid(name))
		return "its name is not [a-z][a-z0-9_]*, with dots between "
		       "parts";
	if (name_taken(name))
		return "this name belongs to the configuration itself";
	for (size_t i = 0; i < n; i++)
		if (names_clash(options_at(table, stride, i)->name, name))
			return "another option has this name";
	return NULL;
}

static const char *
check_flags(const struct hf_option *o)
{
	const uint32_t known = HF_OPT_REQUIRED | HF_OPT_SECRET | HF_OPT_LIST;

	if (o->type < HF_OPT_STRING || o->type > HF_OPT_DURATION)
		return "its type is none of HF_OPT_*";
	if ((o->flags & ~known) != 0)
		return "it has flag bits that this core does not know";
	if ((o->flags & HF_OPT_LIST) != 0 && o->type > HF_OPT_ENUM)
		return "HF_OPT_LIST is for STRING, PATH and ENUM";
	if ((o->flags & HF_OPT_SECRET) != 0 && o->type != HF_OPT_STRING)
		return "HF_OPT_SECRET is for STRING";
	if ((o->flags & HF_OPT_REQUIRED) != 0 && o->def != NULL)
		return "it is HF_OPT_REQUIRED and has a default";
	if (o->help == NULL || *o->help == '\0')
		return "it has no help";
	return NULL;
}

static const char *
check_choices(const struct hf_option *o)
{
	const char *part;
	int64_t min, max;
	size_t len, n;

	if (o->type == HF_OPT_INT)
		return value_range(o->choices, &min, &max)
			   ? NULL
			   : "its choices are not a range \"1..9\"";
	if (o->type != HF_OPT_ENUM)
		return o->choices == NULL ? NULL
					  : "choices are for ENUM and INT";
	for (n = 0; value_part(o->choices, n, &part, &len); n++)
		if (len == 0)
			return "one of its choices is empty";
	return n > 0 ? NULL : "it has no choices";
}

static const char *
check_default(const struct hf_option *o)
{
	struct value_problem why;
	struct value v;
	const char *part;
	char item[VALUE_TEXT_MAX];
	size_t len;

	if (o->def == NULL)
		return NULL;
	if ((o->flags & HF_OPT_SECRET) != 0)
		return "a secret cannot have a default";
	if ((o->flags & HF_OPT_LIST) == 0)
		return value_from_text(o, o->def, &v, &why)
			   ? NULL
			   : "its default is not a value of its type";
	for (size_t n = 0; value_part(o->def, n, &part, &len); n++) {
		if (len >= sizeof item)
			return "its default is too long";
		memcpy(item, part, len);
		item[len] = '\0';
		if (!value_from_text(o, item, &v, &why))
			return "its default is not a list of its type";
	}
	return NULL;
}

static const char *
check_place(
    const struct hf_option *table, size_t stride, size_t conf_size, size_t n)
{
	const struct hf_option *o = options_at(table, stride, n);
	size_t size = value_size(o);

	if (size > conf_size || o->offset > conf_size - size)
		return "its offset is outside of conf_size";
	if (o->offset % value_align(o) != 0)
		return "its offset is not aligned for its type";
	for (size_t i = 0; i < n; i++) {
		const struct hf_option *other = options_at(table, stride, i);

		if (o->offset < other->offset + value_size(other) &&
		    other->offset < o->offset + size)
			return "its place overlaps another option's";
	}
	return NULL;
}

int
lint_options(const struct hf_option *table, size_t stride, size_t conf_size,
    const char *what, struct hf_error *err)
{
	const struct hf_option *o;

	if (table == NULL)
		return HF_OK;
	if (stride < STRIDE_MIN || stride > STRIDE_MAX ||
	    stride % alignof(struct hf_option) != 0)
		return error_fail(err, HF_E_INVALID,
		    "option_size is %zu, not sizeof(struct hf_option)", stride);
	for (size_t n = 0; (o = options_at(table, stride, n)) != NULL; n++) {
		const char *wrong = check_name(table, stride, n);

		if (n >= OPTIONS_MAX)
			return error_fail(err, HF_E_INVALID,
			    "%s has no end (an entry with the name NULL)",
			    what);
		if (wrong == NULL)
			wrong = check_flags(o);
		if (wrong == NULL)
			wrong = check_choices(o);
		if (wrong == NULL)
			wrong = check_default(o);
		if (wrong == NULL)
			wrong = check_place(table, stride, conf_size, n);
		if (wrong != NULL)
			return error_fail(err, HF_E_INVALID,
			    "%s: \"%.64s\": %s", what, o->name, wrong);
	}
	return HF_OK;
}
