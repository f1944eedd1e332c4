/* SPDX-License-Identifier: BSD-2-Clause */
/* plugins [NAME] */
#include "cli.h"

#include <string.h>

#include "cli/render.h"
#include "plugin/loader.h"
#include "plugin/options.h"

static void
kinds(const struct plugin *p, char *text, size_t cap)
{
	(void)snprintf(text, cap, "%s%s%s",
	    p->desc.engine == NULL ? "" : "engine ",
	    p->desc.filter == NULL ? "" : "filter ",
	    p->desc.store == NULL ? "" : "store ");
	text[strlen(text) - 1] = '\0'; /* the lint wants one at least */
}

static json_t *
kinds_json(const struct plugin *p)
{
	json_t *list = json_array();

	if (p->desc.engine != NULL)
		(void)json_array_append_new(list, json_string("engine"));
	if (p->desc.filter != NULL)
		(void)json_array_append_new(list, json_string("filter"));
	if (p->desc.store != NULL)
		(void)json_array_append_new(list, json_string("store"));
	return list;
}

static json_t *
option_json(const struct hf_option *o)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:b, s:s*, s:s*, s:s*}", "name",
	    o->name, "type", options_type_name(o->type), "required",
	    (o->flags & HF_OPT_REQUIRED) != 0, "secret",
	    (o->flags & HF_OPT_SECRET) != 0, "list",
	    (o->flags & HF_OPT_LIST) != 0, "default", o->def, "choices",
	    o->choices, "help", o->help);
}

static json_t *
table_json(const struct plugin *p, const struct hf_option *table)
{
	const struct hf_option *o;
	json_t *list;

	if (table == NULL)
		return NULL;
	list = json_array();
	for (size_t i = 0;
	     (o = options_at(table, p->desc.option_size, i)) != NULL; i++)
		(void)json_array_append_new(list, option_json(o));
	return list;
}

static const struct hf_option *
restore_table(const struct plugin *p)
{
	return p->desc.engine == NULL ? NULL : p->engine.restore_options;
}

static json_t *
plugin_json(const struct plugin *p, bool whole)
{
	return json_pack("{s:s, s:s*, s:o, s:s*, s:o, s:i, s:i, s:s*, s:o*, "
			 "s:o*}",
	    "name", p->desc.name, "version", p->desc.version, "kinds",
	    kinds_json(p), "summary", p->desc.summary, "file",
	    render_string(p->path), "abi_major", (int)p->desc.abi_major,
	    "abi_minor", (int)p->desc.abi_minor, "help",
	    whole ? p->desc.help : NULL, "options",
	    whole ? table_json(p, p->desc.options) : NULL, "restore_options",
	    whole ? table_json(p, restore_table(p)) : NULL);
}

struct listing {
	struct render_table *table;
	json_t *json, *refused;
	size_t nrefused;
	struct hf_error first;
};

static int
add_plugin(void *arg, const char *path, const struct plugin *p,
    const struct hf_error *why)
{
	struct listing *l = arg;
	char kind[40];

	if (p == NULL) {
		if (l->nrefused++ == 0)
			l->first = *why;
		if (l->refused != NULL)
			(void)json_array_append_new(l->refused,
			    json_pack("{s:o, s:o}", "file", render_string(path),
				"error", render_json_error(why)));
		else
			error_render(why, NULL, stderr);
		return 0;
	}
	if (l->json != NULL) {
		(void)json_array_append_new(l->json, plugin_json(p, false));
		return 0;
	}
	kinds(p, kind, sizeof kind);
	render_cell(l->table, RENDER_PLAIN, "%s", p->desc.name);
	render_cell(l->table, RENDER_PLAIN, "%s",
	    p->desc.version == NULL ? "-" : p->desc.version);
	render_cell(l->table, RENDER_PLAIN, "%s", kind);
	render_cell(l->table, RENDER_PLAIN, "%s", p->path);
	render_cell(l->table, RENDER_PLAIN, "%s",
	    p->desc.summary == NULL ? "" : p->desc.summary);
	return 0;
}

static int
list_plugins(struct cli *cli)
{
	static const char *const heads[] = { "NAME", "VERSION", "KIND", "FILE",
		"SUMMARY", NULL };
	struct listing l;

	memset(&l, 0, sizeof l);
	if (cli->json) {
		l.json = json_array();
		l.refused = json_array();
	} else {
		l.table = render_table_new(heads);
	}
	(void)plugins_each(cli->plugins, add_plugin, &l);
	if (cli->json)
		(void)render_json(json_pack("{s:o, s:o}", "plugins", l.json,
				      "refused", l.refused),
		    stdout, &cli->err);
	else
		(void)render_table_print(l.table, stdout, &cli->err);
	if (l.nrefused == 0 || cli->err.status != HF_OK)
		return cli_failed(cli);
	if (cli->json)
		cli->err = l.first;
	return EXIT_FAILED;
}

static void
print_indented(const char *text, int column)
{
	if (text == NULL)
		return;
	printf("%*s", column, "");
	render_wrap(stdout, column, text);
}

static void
print_options(const struct plugin *p, const struct hf_option *table)
{
	const struct hf_option *o;

	for (size_t i = 0;
	     (o = options_at(table, p->desc.option_size, i)) != NULL; i++) {
		bool list = (o->flags & HF_OPT_LIST) != 0;

		printf("  %s  (%s%s", o->name, list ? "list of " : "",
		    options_type_name(o->type));
		if (o->choices != NULL)
			printf(" %s", o->choices);
		if ((o->flags & HF_OPT_REQUIRED) != 0)
			printf(", required");
		if ((o->flags & HF_OPT_SECRET) != 0)
			printf(", secret");
		if (o->def != NULL)
			printf(", default %s", o->def);
		printf(")\n");
		print_indented(o->help, 6);
	}
}

static void
print_plugin(const struct plugin *p)
{
	char kind[40];

	kinds(p, kind, sizeof kind);
	printf("%s %s: %s\n", p->desc.name,
	    p->desc.version == NULL ? "" : p->desc.version,
	    p->desc.summary == NULL ? "" : p->desc.summary);
	printf("  kind  %s\n  file  %s\n  ABI   %u.%u\n", kind,
	    p->path == NULL ? "-" : p->path, p->desc.abi_major,
	    p->desc.abi_minor);
	if (p->desc.help != NULL) {
		printf("\n");
		print_indented(p->desc.help, 2);
	}
	printf("\nOptions:\n");
	if (options_at(p->desc.options, p->desc.option_size, 0) == NULL)
		printf("  none\n");
	print_options(p, p->desc.options);
	if (options_at(restore_table(p), p->desc.option_size, 0) != NULL) {
		printf("\nOptions of \"holdfast restore -o\":\n");
		print_options(p, restore_table(p));
	}
}

int
cli_plugins(struct cli *cli)
{
	const char *name = args_operands(cli->args)[0];
	const struct plugin *p;

	if (cli_load_plugins(cli) != HF_OK)
		return cli_failed(cli);
	if (name == NULL)
		return list_plugins(cli);
	if (plugins_find(cli->plugins, name, &p, &cli->err) != HF_OK)
		return cli_failed(cli);
	if (cli->json)
		(void)render_json(plugin_json(p, true), stdout, &cli->err);
	else
		print_plugin(p);
	return cli_failed(cli);
}
