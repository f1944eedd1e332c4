/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line as one table: it is parsed, checked and explained from it.
 *
 * Options of the program may stand anywhere, those of a verb behind the verb.
 * "--name=value", "--name value", "-x value", "-xvalue", "-vvn" and "--" are
 * understood; names are never abbreviated, a near miss gets a suggestion.  An
 * option whose arg is two words, "KIND NAME", takes two: "--name one two" or
 * "--name=one two".
 */
#ifndef HF_CLI_ARGS_H
#define HF_CLI_ARGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct args;
struct cli;
struct hf_error;

#define ARGS_MANY (-1)

struct arg_option {
	int id;              /* 0 ends a table */
	char letter;         /* 'n', or 0 */
	const char *name;    /* "dry-run" */
	const char *arg;     /* what its value is called; NULL: a switch;
			      * "KIND NAME": two words */
	const char *choices; /* "text|json", or NULL */
	bool repeat;         /* may be given several times */
	const char *help;
};

struct arg_verb {
	const char *name;     /* NULL ends a table */
	const char *operands; /* "[PIPELINE...]" */
	int min, max;         /* how many of them; max may be ARGS_MANY */
	const char *choices;  /* what the first may be, "a|b|c", or NULL */
	const char *summary;  /* one line */
	const char *text;     /* paragraphs for --help, each line ends */
	const struct arg_option *options;
	int (*run)(struct cli *); /* returns the exit code */
};

struct arg_table {
	const char *program, *summary, *text;
	const struct arg_verb *verbs;
	const struct arg_option *options; /* of the program */
	int help; /* id of the switch that ends the checking of operands */
	int bare; /* id of the switch that needs no verb, "--version" */
};

/* HF_E_INVALID says what is wrong with which word, with a hint.  The strings
 * of argv are borrowed. */
int args_parse(const struct arg_table *, int argc, char *const *argv,
    struct args **, struct hf_error *);
void args_free(struct args *);

/* NULL: none was given (then --help or --version was). */
const struct arg_verb *args_verb(const struct args *);

/* How often the option was given. */
unsigned args_count(const struct args *, int id);

/* The n-th value, NULL past the last. */
const char *args_value(const struct args *, int id, unsigned n);

/* The second word of the n-th value of an option that takes two. */
const char *args_second(const struct args *, int id, unsigned n);

/* A whole number within bounds; def when it was not given. */
int args_number(const struct args *, int id, int64_t min, int64_t max,
    int64_t def, int64_t *out, struct hf_error *);

/* What is neither verb nor option; NULL ends. */
const char *const *args_operands(const struct args *);
unsigned args_noperands(const struct args *);

/* NULL when there is none; nearest (may be NULL) gets a suggestion. */
const struct arg_verb *args_find_verb(
    const struct arg_table *, const char *name, const char **nearest);

/* The help of a verb, or of the program (NULL). */
void args_help(const struct arg_table *, const struct arg_verb *, FILE *);

/* The same for programs.  The caller decrefs; NULL: no memory. */
json_t *args_help_json(const struct arg_table *, const struct arg_verb *);

#endif
