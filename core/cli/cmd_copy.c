/* SPDX-License-Identifier: BSD-2-Clause */
/* copy PIPELINE [ID...] --from SINK --to SINK [--latest] [-n] */
#include "cli.h"

#include <string.h>

#include "base/cancel.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "config/config.h"

struct copies {
	struct cli *cli;
	const struct config_pipeline *pipeline;
	const struct config_sink *sinks[2]; /* from, to */
	struct repo_copy_request request;
	struct repo_copy_result result;
	json_t *json; /* NULL unless JSON */
	size_t told;
};

static const char *
how_name(const struct repo_copied *c)
{
	switch (c->how) {
	case REPO_COPIED_DONE:
		return "copied";
	case REPO_COPIED_THERE:
		return "there already";
	case REPO_COPIED_WOULD:
		return "would be copied";
	case REPO_COPIED_FAILED:
	default:
		return c->damaged ? "damaged" : "failed";
	}
}

static json_t *
copied_json(const struct repo_copied *c)
{
	json_t *doc = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "id", c->id,
	    "result", how_name(c), "raw_bytes", (json_int_t)c->raw,
	    "stored_bytes", (json_int_t)c->stored, "objects",
	    (json_int_t)c->nobjects, "as_is", (json_int_t)c->as_is);

	if (c->started_ms != 0) {
		(void)json_object_set_new(
		    doc, "started", render_json_time(c->started_ms));
		(void)json_object_set_new(
		    doc, "ended", render_json_time(c->ended_ms));
	}
	if (c->why.status != HF_OK)
		(void)json_object_set_new(
		    doc, "error", render_json_error(&c->why));
	return doc;
}

/* "shop  20261121T...  nas -> offsite  1.9 GiB -> 612 MiB  copied  48.0s" */
static void
print_copied(const struct copies *c, const struct repo_copied *done)
{
	bool bad = done->how == REPO_COPIED_FAILED;

	printf("%s  %s  %s -> %s  ", c->pipeline->name, done->id, done->from,
	    done->to);
	if (done->how == REPO_COPIED_DONE)
		printf("%s -> %s  ", text_size(done->raw).s,
		    text_size(done->stored).s);
	else if (done->how == REPO_COPIED_WOULD)
		printf("%s  ", text_size(done->raw).s);
	render_word(stdout,
	    bad                             ? RENDER_BAD
	    : done->how == REPO_COPIED_DONE ? RENDER_GOOD
					    : RENDER_PLAIN,
	    bad ? "FAILED" : how_name(done));
	if (done->how == REPO_COPIED_DONE)
		printf("  %s",
		    text_duration(done->ended_ms > done->started_ms
				      ? done->ended_ms - done->started_ms
				      : 0)
			.s);
	printf("\n");
	(void)fflush(stdout);
}

static void
on_copied(void *arg, const struct repo_copied *done)
{
	struct copies *c = arg;
	char what[300];

	c->told++;
	if (c->json != NULL) {
		(void)json_array_append_new(c->json, copied_json(done));
		return;
	}
	progress_pause();
	print_copied(c, done);
	progress_resume();
	if (done->how != REPO_COPIED_FAILED)
		return;
	(void)snprintf(
	    what, sizeof what, "%s: %s", c->pipeline->name, done->id);
	cli_report(c->cli, what, &done->why);
}

static void
print_sum(const struct copies *c)
{
	const struct repo_copy_result *r = &c->result;

	if (c->told == 0) {
		printf("%s  nothing to copy: %s has every backup that %s has\n",
		    c->pipeline->name, c->request.to, c->request.from);
		return;
	}
	if (c->told + r->nleft < 2)
		return;
	printf("%zu backup%s %s", r->ncopied, r->ncopied == 1 ? "" : "s",
	    c->request.dry_run ? "would be copied" : "copied");
	if (r->nfailed > 0)
		printf(", %zu failed", r->nfailed);
	if (r->nleft > 0)
		printf(", %zu not begun", r->nleft);
	printf(", %s -> %s\n", text_size(r->raw).s, text_size(r->stored).s);
}

static int
code_of(const struct copies *c, int status)
{
	int code = cli_code(c->cli, status);

	if (status == HF_E_EXISTS)
		return EXIT_LOCKED;
	if (code == EXIT_DONE || code == EXIT_DAMAGED ||
	    code == EXIT_INTERRUPTED || c->request.dry_run)
		return code;
	return c->result.ncopied > 0 ? EXIT_PARTIAL : code;
}

static int
get_sink(struct cli *cli, int option, const char *name,
    const struct config_sink **sink, const char **value)
{
	*value = args_value(cli->args, option, 0);
	if (*value == NULL || **value == '\0') {
		(void)error_fail(&cli->err, HF_E_INVALID,
		    "copy needs the name of a sink for %s", name);
		error_hint(
		    &cli->err, "holdfast copy PIPELINE --from SINK --to SINK");
		return HF_E_INVALID;
	}
	*sink = config_sink(cli->config, *value);
	if (*sink == NULL)
		return error_fail(&cli->err, HF_E_NOTFOUND,
		    "no sink \"%s\" in %s", *value, cli->config->path);
	/* A plugin that cannot be loaded was a warning as long as no pipeline
	 * uses the sink. */
	if ((*sink)->item.plugin == NULL)
		return error_fail(&cli->err, HF_E_INVALID,
		    "the plugin of sink %s cannot be loaded", *value);
	return HF_OK;
}

static int
prepare(struct copies *c)
{
	struct cli *cli = c->cli;
	const char *const *operands = args_operands(cli->args);
	struct repo_copy_request *q = &c->request;

	if (cli_load_config(cli) != HF_OK ||
	    (c->pipeline = cli_pick_pipeline(cli, operands[0])) == NULL ||
	    get_sink(cli, OPT_FROM, "--from", &c->sinks[0], &q->from) !=
		HF_OK ||
	    get_sink(cli, OPT_TO, "--to", &c->sinks[1], &q->to) != HF_OK)
		return cli->err.status;
	if (c->sinks[0] == c->sinks[1])
		return error_fail(&cli->err, HF_E_INVALID,
		    "--from and --to are both sink %s", q->from);
	q->ids = operands + 1;
	q->nids = args_noperands(cli->args) - 1;
	q->latest = args_count(cli->args, OPT_LATEST) != 0;
	q->dry_run = args_count(cli->args, OPT_DRY_RUN) != 0;
	q->told = on_copied;
	q->arg = c;
	if (q->latest && q->nids > 0)
		return error_fail(&cli->err, HF_E_INVALID,
		    "--latest and IDs exclude each other");
	for (size_t i = 0; i < q->nids; i++)
		if (*q->ids[i] == '\0')
			return error_fail(
			    &cli->err, HF_E_INVALID, "an empty text is no ID");
	return cli_start_flow(cli);
}

static void
finish(struct copies *c, int code, const struct hf_error *err)
{
	const struct repo_copy_result *r = &c->result;
	json_t *doc;

	if (c->json == NULL) {
		if (c->told > 0 || err->status == HF_OK)
			print_sum(c);
		return;
	}
	doc = json_pack("{s:s, s:s, s:i, s:s, s:s, s:b, s:I, s:I, s:I, s:O}",
	    "pipeline", c->pipeline->name, "result", exit_name(code), "exit",
	    code, "from", c->request.from, "to", c->request.to, "dry_run",
	    (int)c->request.dry_run, "copied", (json_int_t)r->ncopied, "failed",
	    (json_int_t)r->nfailed, "not_begun", (json_int_t)r->nleft,
	    "backups", c->json);
	(void)render_json(doc, stdout, &c->cli->err);
}

int
cli_copy(struct cli *cli)
{
	struct copies c = { .cli = cli };
	struct cli_work work;
	struct hf_error err;
	int status, code;

	if (prepare(&c) != HF_OK)
		return cli_failed(cli);
	error_clear(&err);
	c.json = cli->json ? json_array() : NULL;
	progress_start(cli->quiet, 1);
	status = cli_work_open_sinks(&work, cli, c.pipeline, c.sinks, 2, &err);
	if (status == HF_OK)
		status = repo_copy(work.repo, &c.request, &c.result, &err);
	cli_work_close(&work);
	progress_stop();
	code = code_of(&c, status);
	finish(&c, code, &err);
	json_decref(c.json);
	/* In text each failure was printed when it happened, unless nothing
	 * had begun. */
	if (code != EXIT_DONE && (cli->json || c.told == 0))
		cli->err = err;
	return code;
}
