/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "cli/self.h"
#include "config/config.h"
#include "flow/flow.h"
#include "plugin/loader.h"

#define CONFIG_HERE "./holdfast.json"
#define CONFIG_SYSTEM "/etc/holdfast/holdfast.json"

int
cli_load_plugins(struct cli *cli)
{
	unsigned n = args_count(cli->args, OPT_PLUGIN_DIR);
	const char **dirs;
	int status;

	if (cli->plugins != NULL)
		return HF_OK;
	dirs = calloc(n + 1, sizeof *dirs);
	if (dirs == NULL)
		return error_fail(&cli->err, HF_E_NOMEM, "no memory");
	for (unsigned i = 0; i < n; i++)
		dirs[i] = args_value(cli->args, OPT_PLUGIN_DIR, i);
	status = plugins_new(&cli->plugins, dirs, &cli->err);
	free(dirs);
	/* What --plugin-dir names is part of the command line. */
	if (status == HF_E_NOTFOUND)
		status = cli->err.status = HF_E_INVALID;
	return status;
}

const char *
cli_config_path(struct cli *cli)
{
	const char *path = args_value(cli->args, OPT_CONFIG, 0);

	if (path == NULL)
		path = getenv("HOLDFAST_CONFIG");
	if (path != NULL && *path != '\0')
		return path;
	if (access(CONFIG_HERE, F_OK) == 0)
		return CONFIG_HERE;
	if (access(CONFIG_SYSTEM, F_OK) == 0)
		return CONFIG_SYSTEM;
	error_fail(&cli->err, HF_E_INVALID, "no configuration file");
	error_hint(&cli->err,
	    "Name one with -c FILE or HOLDFAST_CONFIG, or create %s or %s.",
	    CONFIG_HERE, CONFIG_SYSTEM);
	return NULL;
}

/* Several problems at once: people mend a file in one go. */
static void
many_problems(struct cli *cli)
{
	size_t bad = 0;

	for (size_t i = 0; i < cli->config->nproblems; i++)
		bad += !cli->config->problems[i].warning;
	if (bad < 2)
		return;
	if (!cli->json)
		config_print_problems(cli->config, stderr);
	error_fail(&cli->err, HF_E_INVALID, "%s has %zu problems",
	    cli->config->path, bad);
	error_hint(&cli->err, "\"%s config validate\" lists them.",
	    cli->table->program);
}

int
cli_load_config(struct cli *cli)
{
	const char *path;
	int status;

	if (cli->config != NULL)
		return HF_OK;
	status = cli_load_plugins(cli);
	if (status != HF_OK)
		return status;
	path = cli_config_path(cli);
	if (path == NULL)
		return cli->err.status;
	status = config_load(path, cli->plugins, &cli->config, &cli->err);
	if (status != HF_OK) {
		if (cli->config != NULL)
			many_problems(cli);
		if (cli->err.status == HF_E_NOTFOUND)
			cli->err.status = HF_E_INVALID;
		return cli->err.status;
	}
	for (size_t i = 0; i < cli->config->nproblems; i++) {
		const struct config_problem *p = &cli->config->problems[i];

		log_write(HF_LOG_WARN, "config.warning", NULL, "%s:%d: %s: %s",
		    cli->config->path, p->line, p->path, p->text);
	}
	return HF_OK;
}

int
cli_start_flow(struct cli *cli)
{
	struct flow_options o;
	struct hf_error err;
	char line[512];

	if (cli->flow != NULL)
		return HF_OK;
	if (cli_load_config(cli) != HF_OK)
		return cli->err.status;
	error_clear(&err);
	memset(&o, 0, sizeof o);
	o.workers = cli->config->workers;
	o.frame_size = cli->config->frame_size;
	o.cancel = cli->cancel;
	o.spool_dir = cli->config->scratch_dir;
	o.spool_after_ms = cli->config->spool_after_ms;
	o.spool_max = (uint64_t)cli->config->spool_max;
	/* Without it a slow sink is waited for: better than no backup. */
	if (o.spool_dir != NULL && file_mkdirs(o.spool_dir, &err) != HF_OK) {
		error_line(&err, line, sizeof line);
		log_write(HF_LOG_WARN, "flow.no_spool", NULL,
		    "slow sinks will hold up their sources: %s", line);
		o.spool_dir = NULL;
	}
	return flow_new(&o, &cli->flow, &cli->err);
}

int
cli_start_flow_for_logs(struct cli *cli)
{
	if (cli_load_config(cli) != HF_OK)
		return cli->err.status;
	for (size_t i = 0; i < cli->config->npipelines; i++) {
		const struct config_pipeline *p = &cli->config->pipelines[i];

		for (size_t s = 0; s < p->nsources; s++)
			if (p->sources[s].plugin != NULL &&
			    p->sources[s].plugin->engine.log_kinds != NULL)
				return cli_start_flow(cli);
	}
	return HF_OK;
}

void
cli_close(struct cli *cli)
{
	flow_free(cli->flow);
	config_free(cli->config);
	if (!atomic_load(&cli->stuck))
		plugins_free(cli->plugins);
	cli->flow = NULL;
	cli->config = NULL;
	cli->plugins = NULL;
}

int
cli_code(const struct cli *cli, int status)
{
	/* Stopped, but not by a signal: an answer was no, a lease is lost. */
	if (status == HF_E_CANCELLED && !cancel_requested(cli->cancel))
		return EXIT_FAILED;
	return exit_from_status(status);
}

int
cli_failed(struct cli *cli)
{
	return cli_code(cli, cli->err.status);
}

const struct config_pipeline *
cli_pick_pipeline(struct cli *cli, const char *name)
{
	const char *nearest = NULL;
	const struct config_pipeline *p =
	    config_pipeline(cli->config, name, &nearest);

	if (p != NULL)
		return p;
	error_fail(&cli->err, HF_E_NOTFOUND, "no pipeline \"%s\" in %s", name,
	    cli->config->path);
	if (nearest != NULL)
		error_hint(&cli->err, "Did you mean \"%s\"?", nearest);
	else
		error_hint(&cli->err, "\"%s status\" lists the pipelines.",
		    cli->table->program);
	return NULL;
}

static bool
contains(const struct config_pipeline *const *list, size_t n,
    const struct config_pipeline *p)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == p)
			return true;
	return false;
}

int
cli_pick_pipelines(
    struct cli *cli, const struct config_pipeline ***list, size_t *n)
{
	unsigned named = args_noperands(cli->args);
	size_t room = named == 0 ? cli->config->npipelines : named;

	*n = 0;
	*list = calloc(room + 1, sizeof **list);
	if (*list == NULL)
		return error_fail(&cli->err, HF_E_NOMEM, "no memory");
	for (size_t i = 0; i < room; i++) {
		const struct config_pipeline *p =
		    named == 0
			? &cli->config->pipelines[i]
			: cli_pick_pipeline(cli, args_operands(cli->args)[i]);

		if (p == NULL) {
			free(*list);
			*list = NULL;
			return cli->err.status;
		}
		if (named == 0 || !contains(*list, *n, p))
			(*list)[(*n)++] = p;
	}
	return HF_OK;
}

static void
on_progress(void *arg, const char *pipeline, const char *phase, uint64_t done,
    uint64_t total)
{
	struct cli_work *work = arg;

	(void)pipeline;
	progress_update(work->task, phase, done, total);
}

int
cli_work_open(struct cli_work *work, struct cli *cli,
    const struct config_pipeline *pipeline, struct hf_error *err)
{
	return cli_work_open_sinks(work, cli, pipeline, NULL, 0, err);
}

int
cli_work_open_sinks(struct cli_work *work, struct cli *cli,
    const struct config_pipeline *pipeline,
    const struct config_sink *const *sinks, size_t n, struct hf_error *err)
{
	memset(work, 0, sizeof *work);
	work->cli = cli;
	work->pipeline = pipeline;
	work->events.progress = on_progress;
	work->events.arg = work;
	work->env.config = cli->config;
	work->env.flow = cli->flow;
	work->env.cancel = cli->cancel;
	work->env.events = &work->events;
	work->env.plugins = cli->plugins;
	work->log_command = self_log_command(cli, pipeline->name);
	work->env.log_command = work->log_command;
	work->env.sinks = sinks;
	work->env.nsinks = n;
	work->task = progress_begin(pipeline->name);
	return repo_open(&work->env, pipeline, &work->repo, err);
}

void
cli_work_close(struct cli_work *work)
{
	if (work->repo != NULL && repo_stuck(work->repo))
		atomic_store(&work->cli->stuck, true);
	repo_close(work->repo);
	work->repo = NULL;
	free(work->log_command);
	work->log_command = NULL;
	progress_end(work->task);
	work->task = NULL;
}

void
cli_report(struct cli *cli, const char *what, const struct hf_error *err)
{
	if (cli->json)
		return;
	progress_pause();
	error_render(err, what, stderr);
	progress_resume();
}

void
cli_tally_add(struct cli_tally *tally, int code, const struct hf_error *err)
{
	tally->total++;
	tally->code = exit_worst(tally->code, code);
	if (code == EXIT_DONE)
		return;
	if (tally->failed++ == 0 && err != NULL)
		tally->first = *err;
}

/* In text each failure was printed when it happened.  In JSON the document
 * holds them, and stderr gets one object. */
int
cli_tally_end(struct cli_tally *tally, struct cli *cli)
{
	error_clear(&cli->err);
	if (!cli->json || tally->code == EXIT_DONE)
		return tally->code;
	if (tally->failed == 1) {
		cli->err = tally->first;
	} else {
		error_fail(&cli->err, tally->first.status,
		    "%zu of %zu pipelines failed", tally->failed, tally->total);
		error_hint(&cli->err, "The document on stdout says why.");
	}
	return tally->code;
}
