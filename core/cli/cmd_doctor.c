/* SPDX-License-Identifier: BSD-2-Clause */
/* doctor [PIPELINE...] */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "cli/findings.h"
#include "cli/render.h"
#include "config/config.h"
#include "plugin/loader.h"

/* Like cli_load_config, but a bad file is a finding and not the end. */
static bool
examine_config(struct cli *cli, struct findings *f)
{
	const char *path = cli_config_path(cli);
	struct hf_error err;
	char where[512];
	int status;

	if (path == NULL) {
		findings_add_error(f, "configuration", "file", &cli->err);
		error_clear(&cli->err);
		return false;
	}
	error_clear(&err);
	status = config_load(path, cli->plugins, &cli->config, &err);
	if (cli->config == NULL) {
		findings_add_error(f, "configuration", "file", &err);
		return false;
	}
	if (status == HF_OK)
		(void)config_validate(cli->config, &err);
	for (size_t i = 0; i < cli->config->nproblems; i++) {
		const struct config_problem *p = &cli->config->problems[i];

		(void)snprintf(
		    where, sizeof where, "%s:%d", cli->config->path, p->line);
		findings_add(f, where, p->warning ? HF_WARN : HF_FAIL, p->path,
		    p->text, p->hint);
	}
	if (cli->config->nproblems == 0)
		findings_add(
		    f, "configuration", HF_PASS, cli->config->path, "ok", NULL);
	return status == HF_OK;
}

static int
on_plugin(void *arg, const char *path, const struct plugin *p,
    const struct hf_error *why)
{
	struct findings *f = arg;
	char result[200];

	if (p == NULL) {
		findings_add_error(f, "plugin", path, why);
		return 0;
	}
	(void)snprintf(result, sizeof result, "%s, ABI %u.%u",
	    p->desc.version == NULL ? "no version" : p->desc.version,
	    p->desc.abi_major, p->desc.abi_minor);
	findings_add(f, "plugin", HF_PASS, p->desc.name, result, NULL);
	return 0;
}

static void
examine_pipelines(struct cli *cli, struct findings *f)
{
	const struct config_pipeline **list = NULL;
	size_t n = 0;

	if (cli_pick_pipelines(cli, &list, &n) != HF_OK ||
	    cli_start_flow(cli) != HF_OK) {
		free(list);
		return;
	}
	for (size_t i = 0; i < n && !cancel_requested(cli->cancel); i++) {
		size_t first = f->n;

		findings_of_pipeline(f, cli, list[i]);
		if (!cli->json) {
			findings_print(f, first);
			(void)fflush(stdout);
		}
	}
	free(list);
}

int
cli_doctor(struct cli *cli)
{
	struct findings f;
	bool usable;
	int code;

	if (cli_load_plugins(cli) != HF_OK)
		return cli_failed(cli);
	findings_init(&f);
	(void)plugins_each(cli->plugins, on_plugin, &f);
	usable = examine_config(cli, &f);
	if (!cli->json)
		findings_print(&f, 0);
	if (usable)
		examine_pipelines(cli, &f);
	if (cli->err.status == HF_OK && cli->json)
		(void)render_json(
		    json_pack("{s:b, s:o}", "ok", f.worst != HF_FAIL,
			"findings", findings_json(&f, 0)),
		    stdout, &cli->err);
	if (cli->err.status == HF_OK && f.failed)
		error_fail(&cli->err, HF_E_NOMEM, "no memory for a finding");
	code = cli->err.status != HF_OK ? cli_failed(cli)
	       : f.worst == HF_FAIL     ? EXIT_FAILED
					: EXIT_DONE;
	findings_free(&f);
	return code;
}
