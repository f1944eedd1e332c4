/* SPDX-License-Identifier: BSD-2-Clause */
#include "args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define CANDIDATES 64

struct given {
	const struct arg_option *option;
	const char *value, *second;
};

struct args {
	const struct arg_table *table;
	const struct arg_verb *verb;
	struct given *given;
	const char **operands;
	unsigned ngiven, noperands;
};

/* The words that are still to be read. */
struct words {
	char *const *argv;
	int argc, at;
};

/* Is value one of "a|b|c"? */
static bool
is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *c = choices; *c != '\0';) {
		size_t n = strcspn(c, "|");

		if (n == len && memcmp(c, value, n) == 0)
			return true;
		c += n + (c[n] == '|');
	}
	return false;
}

const struct arg_verb *
args_find_verb(
    const struct arg_table *table, const char *name, const char **nearest)
{
	const char *candidates[CANDIDATES];
	size_t n = 0;

	for (const struct arg_verb *v = table->verbs; v->name != NULL; v++) {
		if (strcmp(v->name, name) == 0)
			return v;
		if (n < CANDIDATES - 1)
			candidates[n++] = v->name;
	}
	candidates[n] = NULL;
	if (nearest != NULL)
		*nearest = text_nearest(name, candidates);
	return NULL;
}

static const struct arg_option *
find_in(
    const struct arg_option *table, const char *name, size_t len, char letter)
{
	for (; table != NULL && table->id != 0; table++) {
		if (name == NULL ? table->letter == letter
				 : strlen(table->name) == len &&
				       memcmp(table->name, name, len) == 0)
			return table;
	}
	return NULL;
}

static const struct arg_option *
find_option(const struct args *args, const char *name, size_t len, char letter)
{
	const struct arg_option *o = NULL;

	if (args->verb != NULL)
		o = find_in(args->verb->options, name, len, letter);
	if (o == NULL)
		o = find_in(args->table->options, name, len, letter);
	return o;
}

static void
hint_help(const struct args *args, struct hf_error *err)
{
	error_hint(err, "\"%s%s%s --help\" lists the options.",
	    args->table->program, args->verb == NULL ? "" : " ",
	    args->verb == NULL ? "" : args->verb->name);
}

/* Does some verb have that option?  Then it only stands in a wrong place. */
static const struct arg_verb *
verb_with(const struct arg_table *table, const char *name, size_t len)
{
	for (const struct arg_verb *v = table->verbs; v->name != NULL; v++)
		if (find_in(v->options, name, len, 0) != NULL)
			return v;
	return NULL;
}

static int
unknown_option(
    const struct args *args, const char *name, size_t len, struct hf_error *err)
{
	const char *candidates[CANDIDATES], *near;
	const struct arg_option *tables[] = {
		args->verb == NULL ? NULL : args->verb->options,
		args->table->options,
	};
	const struct arg_verb *other = verb_with(args->table, name, len);
	char typed[64];
	size_t n = 0;

	(void)snprintf(typed, sizeof typed, "%.*s", (int)len, name);
	error_fail(err, HF_E_INVALID, "unknown option \"--%s\"%s%s", typed,
	    args->verb == NULL ? "" : " for ",
	    args->verb == NULL ? "" : args->verb->name);
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
		const struct arg_option *o = tables[t];

		for (; o != NULL && o->id != 0 && n < CANDIDATES - 1; o++)
			candidates[n++] = o->name;
	}
	candidates[n] = NULL;
	near = text_nearest(typed, candidates);
	if (near != NULL)
		error_hint(err, "Did you mean \"--%s\"?", near);
	else if (other != NULL && args->verb == NULL)
		error_hint(err,
		    "It is an option of \"%s\" and stands behind that word.",
		    other->name);
	else
		hint_help(args, err);
	return HF_E_INVALID;
}

/* How an option was written, for an error. */
static struct text_small
as_written(const struct arg_option *o)
{
	struct text_small t;

	(void)snprintf(t.s, sizeof t.s, "--%s", o->name);
	return t;
}

static int
add_option(struct args *args, const struct arg_option *o, const char *value,
    const char *second, struct hf_error *err)
{
	if (!o->repeat && o->arg != NULL && args_count(args, o->id) != 0) {
		error_fail(
		    err, HF_E_INVALID, "%s is given twice", as_written(o).s);
		error_hint(err, "Keep one of them.");
		return HF_E_INVALID;
	}
	if (value != NULL && o->choices != NULL &&
	    !is_choice(o->choices, value)) {
		error_fail(err, HF_E_INVALID, "%s: \"%s\" is not one of %s",
		    as_written(o).s, value, o->choices);
		hint_help(args, err);
		return HF_E_INVALID;
	}
	args->given[args->ngiven].option = o;
	args->given[args->ngiven].second = second;
	args->given[args->ngiven++].value = value;
	return HF_OK;
}

static int
needs_value(
    const struct args *args, const struct arg_option *o, struct hf_error *err)
{
	error_fail(err, HF_E_INVALID, "%s needs %s: %s %s", as_written(o).s,
	    strchr(o->arg, ' ') == NULL ? "a value" : "two words",
	    as_written(o).s, o->arg);
	hint_help(args, err);
	return HF_E_INVALID;
}

static int
take_value(struct args *args, struct words *words, const struct arg_option *o,
    const char *attached, struct hf_error *err)
{
	const char *value = attached, *second = NULL;

	if (value == NULL) {
		if (words->at >= words->argc)
			return needs_value(args, o, err);
		value = words->argv[words->at++];
	}
	if (strchr(o->arg, ' ') == NULL)
		return add_option(args, o, value, NULL, err);
	/* An option here means that a word was forgotten. */
	if (words->at >= words->argc || strncmp(value, "--", 2) == 0 ||
	    strncmp(words->argv[words->at], "--", 2) == 0)
		return needs_value(args, o, err);
	second = words->argv[words->at++];
	return add_option(args, o, value, second, err);
}

static int
parse_long(struct args *args, struct words *words, const char *word,
    struct hf_error *err)
{
	const char *name = word + 2, *equal = strchr(name, '=');
	size_t len = equal == NULL ? strlen(name) : (size_t)(equal - name);
	const struct arg_option *o = find_option(args, name, len, 0);

	if (o == NULL)
		return unknown_option(args, name, len, err);
	if (o->arg != NULL)
		return take_value(
		    args, words, o, equal == NULL ? NULL : equal + 1, err);
	if (equal != NULL) {
		error_fail(
		    err, HF_E_INVALID, "%s takes no value", as_written(o).s);
		hint_help(args, err);
		return HF_E_INVALID;
	}
	return add_option(args, o, NULL, NULL, err);
}

static int
parse_short(struct args *args, struct words *words, const char *word,
    struct hf_error *err)
{
	for (const char *c = word + 1; *c != '\0'; c++) {
		const struct arg_option *o = find_option(args, NULL, 0, *c);
		int status;

		if (o == NULL) {
			error_fail(err, HF_E_INVALID,
			    "unknown option \"-%c\"%s%s", *c,
			    args->verb == NULL ? "" : " for ",
			    args->verb == NULL ? "" : args->verb->name);
			hint_help(args, err);
			return HF_E_INVALID;
		}
		if (o->arg != NULL)
			return take_value(
			    args, words, o, c[1] == '\0' ? NULL : c + 1, err);
		status = add_option(args, o, NULL, NULL, err);
		if (status != HF_OK)
			return status;
	}
	return HF_OK;
}

static int
take_verb(struct args *args, const char *word, struct hf_error *err)
{
	const char *nearest = NULL;

	args->verb = args_find_verb(args->table, word, &nearest);
	if (args->verb != NULL)
		return HF_OK;
	error_fail(err, HF_E_INVALID, "unknown command \"%s\"", word);
	if (nearest != NULL)
		error_hint(err, "Did you mean \"%s\"?", nearest);
	else
		error_hint(
		    err, "\"%s help\" lists them.", args->table->program);
	return HF_E_INVALID;
}

static int
check_choice(const struct args *args, struct hf_error *err)
{
	const struct arg_verb *v = args->verb;

	if (args->noperands == 0 || v->choices == NULL ||
	    is_choice(v->choices, args->operands[0]))
		return HF_OK;
	error_fail(err, HF_E_INVALID, "%s: \"%s\" is not one of %s", v->name,
	    args->operands[0], v->choices);
	error_hint(err, "\"%s %s --help\" explains them.", args->table->program,
	    v->name);
	return HF_E_INVALID;
}

static int
check_operands(const struct args *args, struct hf_error *err)
{
	const struct arg_verb *v = args->verb;

	if (args_count(args, args->table->help) != 0 ||
	    args_count(args, args->table->bare) != 0)
		return HF_OK;
	if (v == NULL) {
		error_fail(err, HF_E_INVALID, "no command was given");
		error_hint(
		    err, "\"%s help\" lists them.", args->table->program);
		return HF_E_INVALID;
	}
	if (args->noperands < (unsigned)v->min)
		error_fail(
		    err, HF_E_INVALID, "%s needs %s", v->name, v->operands);
	else if (v->max != ARGS_MANY && args->noperands > (unsigned)v->max)
		error_fail(err, HF_E_INVALID, "%s: \"%s\" is one word too many",
		    v->name, args->operands[v->max]);
	else
		return check_choice(args, err);
	error_hint(
	    err, "Usage: %s %s %s", args->table->program, v->name, v->operands);
	return HF_E_INVALID;
}

static int
parse_words(struct args *args, struct words *words, struct hf_error *err)
{
	bool options = true;
	int status = HF_OK;

	while (status == HF_OK && words->at < words->argc) {
		const char *word = words->argv[words->at++];

		if (options && strcmp(word, "--") == 0)
			options = false;
		else if (options && strncmp(word, "--", 2) == 0)
			status = parse_long(args, words, word, err);
		else if (options && word[0] == '-' && word[1] != '\0')
			status = parse_short(args, words, word, err);
		else if (args->verb == NULL)
			status = take_verb(args, word, err);
		else
			args->operands[args->noperands++] = word;
	}
	return status;
}

/* Every letter of every word could be a switch. */
static size_t
most_options(int argc, char *const *argv)
{
	size_t n = 1;

	for (int i = 0; i < argc; i++)
		n += strlen(argv[i]);
	return n;
}

int
args_parse(const struct arg_table *table, int argc, char *const *argv,
    struct args **out, struct hf_error *err)
{
	struct words words = { argv, argc, argc > 0 ? 1 : 0 };
	struct args *args = calloc(1, sizeof *args);
	int status = HF_E_NOMEM;

	*out = NULL;
	if (args == NULL)
		goto err0;
	args->table = table;
	args->given = calloc(most_options(argc, argv), sizeof *args->given);
	args->operands = calloc((size_t)argc + 1, sizeof *args->operands);
	if (args->given == NULL || args->operands == NULL)
		goto err0;
	status = parse_words(args, &words, err);
	if (status == HF_OK)
		status = check_operands(args, err);
	if (status != HF_OK)
		goto err1;
	*out = args;
	return HF_OK;

err0:
	error_fail(err, status, "no memory for the command line");
err1:
	args_free(args);
	return status;
}

void
args_free(struct args *args)
{
	if (args == NULL)
		return;
	free(args->given);
	free(args->operands);
	free(args);
}

const struct arg_verb *
args_verb(const struct args *args)
{
	return args->verb;
}

unsigned
args_count(const struct args *args, int id)
{
	unsigned n = 0;

	for (unsigned i = 0; i < args->ngiven; i++)
		n += args->given[i].option->id == id;
	return n;
}

static const struct given *
find_given(const struct args *args, int id, unsigned n)
{
	for (unsigned i = 0; i < args->ngiven; i++)
		if (args->given[i].option->id == id && n-- == 0)
			return &args->given[i];
	return NULL;
}

const char *
args_value(const struct args *args, int id, unsigned n)
{
	const struct given *g = find_given(args, id, n);

	return g == NULL ? NULL : g->value;
}

const char *
args_second(const struct args *args, int id, unsigned n)
{
	const struct given *g = find_given(args, id, n);

	return g == NULL ? NULL : g->second;
}

int
args_number(const struct args *args, int id, int64_t min, int64_t max,
    int64_t def, int64_t *out, struct hf_error *err)
{
	const char *text = args_value(args, id, 0);
	long long n;
	char *end;

	*out = def;
	if (text == NULL)
		return HF_OK;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < min || n > max) {
		const char *name = "";

		for (unsigned i = 0; i < args->ngiven; i++)
			if (args->given[i].option->id == id)
				name = args->given[i].option->name;
		error_fail(err, HF_E_INVALID,
		    "--%s: \"%s\" is not a number from %lld to %lld", name,
		    text, (long long)min, (long long)max);
		hint_help(args, err);
		return HF_E_INVALID;
	}
	*out = n;
	return HF_OK;
}

const char *const *
args_operands(const struct args *args)
{
	return args->operands;
}

unsigned
args_noperands(const struct args *args)
{
	return args->noperands;
}
