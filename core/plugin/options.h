/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin's typed option table: parsing, checking, explaining, redacting.
 *
 * Values are JSON: strings, booleans, numbers, lists where HF_OPT_LIST, and
 * anywhere a string may stand {"env": N}, {"env": N, "default": V} or
 * {"file": P} (one trailing newline trimmed).  Sizes, durations and numbers
 * may be written as strings.  An environment variable that is empty counts as
 * not set.  "$comment" is skipped.  An option named "a.b"
 * is read from { "a": { "b": ... } }.
 */
#ifndef HF_PLUGIN_OPTIONS_H
#define HF_PLUGIN_OPTIONS_H

#include <holdfast/plugin.h>

#include <jansson.h>

struct plugin;

/* A parsed config struct together with the memory of its strings. */
struct options;

/* Called for each problem found: path is "from.busy_timeout" below the given
 * object, text says what was expected, hint (may be NULL) what to do. */
typedef void options_problem_fn(
    void *arg, const char *path, const char *text, const char *hint);

struct options_input {
	const struct hf_option *table; /* NULL: no options */
	size_t stride;                 /* hf_plugin.option_size */
	size_t conf_size;
	const json_t *object;        /* may be NULL: all defaults */
	const char *const *reserved; /* keys that are not options: "type" */
	const char *base_dir;        /* relative PATH values stand here */
	bool resolve; /* false: check shapes only, do not read env and files */
	bool allow_inline_secrets;
};

/* Parse.  All problems go to cb (may be NULL); the first also to err.
 * *out is NULL when resolve is false or a problem was found (HF_E_INVALID).
 * Values of HF_OPT_SECRET are given to secret_add. */
int options_parse(const struct options_input *, struct options **out,
    options_problem_fn *, void *arg, struct hf_error *);

/* The plugin's config struct; valid until options_free. */
const void *options_conf(const struct options *);
void options_free(struct options *); /* wipes secrets */

/* "key=value" texts (NULL ends) as such a JSON object: for -o and
 * holdfast-conform.  A repeated key makes a list.  The caller decrefs. */
int options_from_args(const char *const *args, json_t **, struct hf_error *);

/* JSON Schema (draft 2020-12) of the table as an object schema:
 * properties, required, additionalProperties false.  NULL: no memory. */
json_t *options_schema(const struct hf_option *, size_t stride);

/* Iterate a table of any stride: the n-th option, or NULL at its end. */
const struct hf_option *
options_at(const struct hf_option *, size_t stride, size_t n);

const char *options_type_name(uint32_t type); /* "duration" */

#endif
