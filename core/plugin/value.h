/* SPDX-License-Identifier: BSD-2-Clause */
/* One value of an option: from text or JSON to its type.  Shared by the
 * parser, the lint (defaults) and the schema. */
#ifndef HF_PLUGIN_VALUE_H
#define HF_PLUGIN_VALUE_H

#include <holdfast/plugin.h>

#include <jansson.h>

#define VALUE_TEXT_MAX 256

/* What was parsed: s for STRING, PATH and ENUM (borrowed from the input),
 * b for BOOL, i for the others. */
struct value {
	const char *s;
	bool b;
	int64_t i;
};

/* Why it is not one: what was expected, without what was found. */
struct value_problem {
	char expected[VALUE_TEXT_MAX];
	char hint[VALUE_TEXT_MAX]; /* "" when there is none */
};

/* From text: a default, an environment variable, a file, -o. */
bool value_from_text(const struct hf_option *, const char *, struct value *,
    struct value_problem *);

/* From a JSON string, boolean or number. */
bool value_from_json(const struct hf_option *, const json_t *, struct value *,
    struct value_problem *);

/* "a.b.c": the sizes of the types in a config struct. */
size_t value_size(const struct hf_option *);
size_t value_align(const struct hf_option *);

/* "1..9", either side may be empty.  False when it is not such a text. */
bool value_range(const char *choices, int64_t *min, int64_t *max);

/* The n-th part of "a|b|c"; false at the end. */
bool value_part(const char *parts, size_t n, const char **part, size_t *len);

#endif
