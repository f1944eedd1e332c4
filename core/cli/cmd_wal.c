/* SPDX-License-Identifier: BSD-2-Clause */
/* wal push FILE | wal behind FILE | wal get NAME FILE | wal ahead NAME */
#include "cli.h"

#include <string.h>

#include "cli/self.h"
#include "config/config.h"
#include "repo/logs.h"

struct call {
	struct cli *cli;
	const struct config_pipeline *pipeline;
	struct cli_work work;
	size_t source;
	const char *const *operands; /* behind the first */
};

/* The only pipeline with a log: asking the engines connects to nothing. */
static int
find_pipeline(struct call *c)
{
	const struct config *config = c->cli->config;
	const struct config_pipeline *found = NULL;

	for (size_t i = 0; i < config->npipelines; i++) {
		const struct config_pipeline *p = &config->pipelines[i];
		struct cli_work work;
		uint32_t kinds = 0, all = 0;
		int rc = cli_work_open(&work, c->cli, p, &c->cli->err);

		for (size_t s = 0; s < p->nsources && rc == HF_OK; s++) {
			rc = logs_kinds(work.repo, s, &kinds, &c->cli->err);
			all |= kinds;
		}
		cli_work_close(&work);
		if (rc != HF_OK)
			return rc;
		if (all == 0)
			continue;
		if (found != NULL) {
			error_fail(&c->cli->err, HF_E_INVALID,
			    "several pipelines keep a log: %s, %s", found->name,
			    p->name);
			error_hint(&c->cli->err, "Name one: --pipeline %s",
			    found->name);
			return HF_E_INVALID;
		}
		found = p;
	}
	c->pipeline = found;
	if (found != NULL)
		return HF_OK;
	error_fail(&c->cli->err, HF_E_INVALID, "no pipeline of %s keeps a log",
	    config->path);
	error_hint(&c->cli->err,
	    "A source of engine postgres with \"mode\": \"physical\" and "
	    "\"wal\": { \"push\": true } does.");
	return HF_E_INVALID;
}

static int
open_call(struct call *c)
{
	const char *name = args_value(c->cli->args, OPT_PIPELINE, 0);

	if (cli_start_flow(c->cli) != HF_OK)
		return c->cli->err.status;
	if (name != NULL)
		c->pipeline = cli_pick_pipeline(c->cli, name);
	else
		(void)find_pipeline(c);
	if (c->pipeline == NULL ||
	    cli_work_open(&c->work, c->cli, c->pipeline, &c->cli->err) != HF_OK)
		return c->cli->err.status;
	return logs_source(c->work.repo,
	    args_value(c->cli->args, OPT_SOURCE, 0), &c->source, &c->cli->err);
}

static int
push(struct call *c)
{
	bool waiting = false;
	int rc = open_call(c);

	if (rc == HF_OK)
		rc = logs_push(c->work.repo, c->source, c->operands[0],
		    &waiting, &c->cli->err);
	if (rc != HF_OK)
		(void)error_context(
		    &c->cli->err, "archiving %s", c->operands[0]);
	else if (waiting)
		self_start(c->cli, "behind", c->pipeline->name,
		    args_value(c->cli->args, OPT_SOURCE, 0), c->operands[0]);
	return cli_failed(c->cli);
}

static int
behind(struct call *c)
{
	int rc = open_call(c);

	if (rc == HF_OK)
		rc = logs_behind(
		    c->work.repo, c->source, c->operands[0], &c->cli->err);
	return cli_failed(c->cli);
}

/* Each recovery asks for what is not there, at its end: its server's log is not
 * to show an error for it. */
static int
absent(struct call *c)
{
	if (!c->cli->json) {
		error_clear(&c->cli->err);
		fprintf(stderr, "not in the log of %s: %s\n", c->pipeline->name,
		    c->operands[0]);
	}
	return EXIT_NOTFOUND;
}

/* PostgreSQL takes every code up to 125 as "there is no such file", and may
 * end the recovery: only what was looked for and is not there may say so. */
static int
get(struct call *c)
{
	struct hf_error *err = &c->cli->err;
	int rc = open_call(c);

	if (rc == HF_OK) {
		rc = logs_get(c->work.repo, c->source, c->operands[0],
		    c->operands[1], err);
		if (rc == HF_E_NOTFOUND)
			return absent(c);
	}
	if (rc == HF_OK) {
		self_start(c->cli, "ahead", c->pipeline->name,
		    args_value(c->cli->args, OPT_SOURCE, 0), c->operands[0]);
		return EXIT_DONE;
	}
	(void)error_context(err, "fetching %s", c->operands[0]);
	return EXIT_UNABLE;
}

static int
ahead(struct call *c)
{
	int rc = open_call(c);

	if (rc == HF_OK)
		rc = logs_ahead(
		    c->work.repo, c->source, c->operands[0], &c->cli->err);
	return cli_failed(c->cli);
}

int
cli_wal(struct cli *cli)
{
	static const struct {
		const char *name;
		unsigned operands;
		int (*run)(struct call *);
		const char *usage;
	} calls[] = {
		{ "push", 1, push, "wal push FILE" },
		{ "behind", 1, behind, "wal behind FILE" },
		{ "get", 2, get, "wal get NAME FILE" },
		{ "ahead", 1, ahead, "wal ahead NAME" },
	};
	struct call c = { .cli = cli,
		.operands = args_operands(cli->args) + 1 };
	const char *what = c.operands[-1];
	int code = EXIT_USAGE;

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if (strcmp(calls[i].name, what) != 0)
			continue;
		if (args_noperands(cli->args) - 1 == calls[i].operands) {
			code = calls[i].run(&c);
			cli_work_close(&c.work);
			break;
		}
		error_fail(&cli->err, HF_E_INVALID, "wal %s takes %u operand%s",
		    what, calls[i].operands, calls[i].operands == 1 ? "" : "s");
		error_hint(
		    &cli->err, "%s %s", cli->table->program, calls[i].usage);
		if (calls[i].run == get)
			code = EXIT_UNABLE;
	}
	return code;
}
