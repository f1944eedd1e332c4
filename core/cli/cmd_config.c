/* SPDX-License-Identifier: BSD-2-Clause */
/* config validate|show|schema */
#include "cli.h"

#include <string.h>

#include "cli/render.h"
#include "config/config.h"

static json_t *
problem_json(const struct config_problem *p)
{
	return json_pack("{s:i, s:i, s:o, s:o, s:o*, s:b}", "line", p->line,
	    "column", p->column, "path", render_string(p->path), "text",
	    render_string(p->text), "hint",
	    p->hint == NULL ? NULL : render_string(p->hint), "warning",
	    (int)p->warning);
}

static json_t *
validate_json(const struct config *config, bool ok)
{
	json_t *problems = json_array();

	for (size_t i = 0; i < config->nproblems; i++)
		(void)json_array_append_new(
		    problems, problem_json(&config->problems[i]));
	return json_pack("{s:o, s:b, s:i, s:i, s:i, s:o}", "file",
	    render_string(config->path), "ok", (int)ok, "pipelines",
	    (int)config->npipelines, "sinks", (int)config->nsinks, "filters",
	    (int)config->nfilters, "problems", problems);
}

static int
validate(struct cli *cli)
{
	const char *path;
	size_t bad = 0;
	int status;

	if (cli_load_plugins(cli) != HF_OK)
		return cli_failed(cli);
	path = cli_config_path(cli);
	if (path == NULL)
		return cli_failed(cli);
	status = config_load(path, cli->plugins, &cli->config, &cli->err);
	if (status == HF_E_NOTFOUND)
		status = cli->err.status = HF_E_INVALID;
	if (cli->config == NULL)
		return cli_failed(cli);
	if (status == HF_OK)
		status = config_validate(cli->config, &cli->err);
	for (size_t i = 0; i < cli->config->nproblems; i++)
		bad += !cli->config->problems[i].warning;
	if (cli->json) {
		struct hf_error err;

		error_clear(&err);
		if (render_json(validate_json(cli->config, status == HF_OK),
			stdout, &err) != HF_OK)
			cli->err = err;
		return cli_failed(cli);
	}
	config_print_problems(cli->config, stderr);
	if (status == HF_OK)
		printf("%s: ok, %zu pipeline%s\n", cli->config->path,
		    cli->config->npipelines,
		    cli->config->npipelines == 1 ? "" : "s");
	else if (bad != 0) /* they have been printed */
		error_fail(&cli->err, status, "%s has %zu problem%s",
		    cli->config->path, bad, bad == 1 ? "" : "s");
	return cli_failed(cli);
}

static int
show(struct cli *cli)
{
	if (cli_load_config(cli) == HF_OK)
		(void)render_json(config_show(cli->config), stdout, &cli->err);
	return cli_failed(cli);
}

static int
schema(struct cli *cli)
{
	if (cli_load_plugins(cli) == HF_OK)
		(void)render_json(
		    config_schema(cli->plugins), stdout, &cli->err);
	return cli_failed(cli);
}

int
cli_config(struct cli *cli)
{
	const char *what = args_operands(cli->args)[0];

	if (strcmp(what, "validate") == 0)
		return validate(cli);
	return strcmp(what, "show") == 0 ? show(cli) : schema(cli);
}
