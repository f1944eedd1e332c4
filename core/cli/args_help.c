/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of args.h that explains the table. */
#include "args.h"

#include <string.h>

#include "cli/render.h"

#define MARGIN 27

static void
print_option(const struct arg_option *o, FILE *f)
{
	char left[80];
	int n;

	n = snprintf(left, sizeof left, "  %c%c%c --%s%s%s",
	    o->letter == 0 ? ' ' : '-', o->letter == 0 ? ' ' : o->letter,
	    o->letter == 0 ? ' ' : ',', o->name, o->arg == NULL ? "" : " ",
	    o->arg == NULL ? "" : o->arg);
	fprintf(f, "%-*s", MARGIN, left);
	if (n >= MARGIN)
		fprintf(f, "\n%*s", MARGIN, "");
	render_wrap(f, MARGIN, o->help);
}

static void
print_options(const char *title, const struct arg_option *table, FILE *f)
{
	if (table == NULL || table->id == 0)
		return;
	fprintf(f, "\n%s:\n", title);
	for (; table->id != 0; table++)
		print_option(table, f);
}

void
args_help(const struct arg_table *table, const struct arg_verb *v, FILE *f)
{
	if (v != NULL) {
		fprintf(f, "Usage: %s %s [OPTION...]%s%s\n\n%s.\n",
		    table->program, v->name, *v->operands == '\0' ? "" : " ",
		    v->operands, v->summary);
		if (v->text != NULL)
			fprintf(f, "\n%s", v->text);
		print_options("Options", v->options, f);
		print_options("Options of every command", table->options, f);
		return;
	}
	fprintf(f,
	    "Usage: %s [OPTION...] COMMAND [ARGUMENT...]\n\n%s.\n\n"
	    "Commands:\n",
	    table->program, table->summary);
	for (v = table->verbs; v->name != NULL; v++)
		fprintf(f, "  %-10s %s\n", v->name, v->summary);
	print_options("Options of every command", table->options, f);
	if (table->text != NULL)
		fprintf(f, "\n%s", table->text);
}

static json_t *
choices_json(const char *choices)
{
	json_t *list = choices == NULL ? NULL : json_array();

	while (list != NULL && *choices != '\0') {
		size_t n = strcspn(choices, "|");

		(void)json_array_append_new(list, json_stringn(choices, n));
		choices += n + (choices[n] == '|');
	}
	return list;
}

static json_t *
options_json(const struct arg_option *table)
{
	json_t *list = json_array();

	for (; table != NULL && table->id != 0; table++) {
		char letter[2] = { table->letter, '\0' };

		(void)json_array_append_new(list,
		    json_pack("{s:s, s:s*, s:s*, s:o*, s:b, s:s}", "name",
			table->name, "letter",
			table->letter == 0 ? NULL : letter, "value", table->arg,
			"choices", choices_json(table->choices), "repeatable",
			(int)table->repeat, "help", table->help));
	}
	return list;
}

static json_t *
verb_json(const struct arg_verb *v)
{
	return json_pack("{s:s, s:s, s:o*, s:s, s:s*, s:o}", "name", v->name,
	    "operands", v->operands, "choices", choices_json(v->choices),
	    "summary", v->summary, "text", v->text, "options",
	    options_json(v->options));
}

json_t *
args_help_json(const struct arg_table *table, const struct arg_verb *v)
{
	json_t *verbs;

	if (v != NULL)
		return verb_json(v);
	verbs = json_array();
	for (v = table->verbs; v->name != NULL; v++)
		(void)json_array_append_new(verbs, verb_json(v));
	return json_pack("{s:s, s:s, s:o, s:o}", "program", table->program,
	    "summary", table->summary, "commands", verbs, "options",
	    options_json(table->options));
}
