/* SPDX-License-Identifier: BSD-2-Clause */
/* prune [PIPELINE...] [-n] */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "config/config.h"
#include "repo/prune.h"

struct pruning {
	struct cli *cli;
	bool dry;
	json_t *json;
	struct cli_tally tally;
};

static const char *
verdict(const struct pruning *p, const struct prune_backup *b)
{
	if (b->rule.keep)
		return "keep";
	if (b->removed < b->copies)
		return p->dry ? "remove some copies" : "some copies stay";
	return p->dry ? "remove" : "removed";
}

static int
print_table(struct pruning *p, const struct config_pipeline *pipeline,
    const struct prune_result *r)
{
	static const char *const heads[] = { "PIPELINE", "ID", ">AGE",
		">STORED", "", "WHY", NULL };
	struct render_table *t = render_table_new(heads);

	for (size_t i = 0; i < r->nbackups; i++) {
		const struct prune_backup *b = &r->backups[i];

		render_cell(t, RENDER_PLAIN, "%s", pipeline->name);
		render_cell(t, RENDER_PLAIN, "%s", b->id);
		render_cell(t, RENDER_PLAIN, "%s", render_age(b->rule.at_ms).s);
		render_cell(t, RENDER_PLAIN, "%s", text_size(b->stored).s);
		render_cell(t, b->rule.keep ? RENDER_GOOD : RENDER_WARN, "%s",
		    verdict(p, b));
		render_cell(t, RENDER_PLAIN, "%s",
		    b->rule.keep ? b->rule.why : "no rule keeps it");
	}
	return render_table_print(t, stdout, &p->cli->err);
}

static void
print_rest(const struct pruning *p, const struct config_pipeline *pipeline,
    const struct prune_result *r)
{
	const char *verb = p->dry ? "would remove" : "removed";

	if (r->logs > 0)
		printf("%s: %s %zu object%s of its log\n", pipeline->name, verb,
		    r->logs, r->logs == 1 ? "" : "s");
	for (size_t i = 0; i < r->nsinks; i++) {
		const struct prune_sink *s = &r->sinks[i];

		if (s->uploads + s->garbage + s->reports == 0)
			continue;
		printf("%s: sink %s: %s %zu unfinished upload%s, %zu object%s "
		       "that nothing names, %zu report%s\n",
		    pipeline->name, s->name, verb, s->uploads,
		    s->uploads == 1 ? "" : "s", s->garbage,
		    s->garbage == 1 ? "" : "s", s->reports,
		    s->reports == 1 ? "" : "s");
	}
}

static json_t *
backups_json(const struct prune_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->nbackups; i++) {
		const struct prune_backup *b = &r->backups[i];

		(void)json_array_append_new(list,
		    json_pack("{s:s, s:o, s:b, s:s, s:i, s:i, s:I}", "id",
			b->id, "started", render_json_time(b->rule.at_ms),
			"keep", (int)b->rule.keep, "why", b->rule.why, "copies",
			(int)b->copies, "removed", (int)b->removed,
			"stored_bytes", (json_int_t)b->stored));
	}
	return list;
}

static json_t *
result_json(const struct pruning *p, const struct config_pipeline *pipeline,
    const struct prune_result *r, const struct hf_error *err)
{
	json_t *sinks = json_array(), *doc;

	for (size_t i = 0; i < r->nsinks; i++) {
		const struct prune_sink *s = &r->sinks[i];

		(void)json_array_append_new(sinks,
		    json_pack("{s:s, s:i, s:i, s:i, s:o*}", "sink", s->name,
			"unfinished_uploads", (int)s->uploads, "garbage",
			(int)s->garbage, "reports", (int)s->reports, "error",
			s->why.status == HF_OK ? NULL
					       : render_json_error(&s->why)));
	}
	doc = json_pack("{s:s, s:b, s:o, s:i, s:o}", "pipeline", pipeline->name,
	    "dry_run", (int)p->dry, "backups", backups_json(r), "log_objects",
	    (int)r->logs, "sinks", sinks);
	if (r->logs_why.status != HF_OK)
		(void)json_object_set_new(
		    doc, "log_error", render_json_error(&r->logs_why));
	if (err->status != HF_OK)
		(void)json_object_set_new(doc, "error", render_json_error(err));
	return doc;
}

static void
report_sinks(const struct pruning *p, const struct config_pipeline *pipeline,
    const struct prune_result *r, const struct hf_error *err)
{
	char what[200];
	bool told = false;

	for (size_t i = 0; i < r->nsinks; i++) {
		if (r->sinks[i].why.status == HF_OK)
			continue;
		(void)snprintf(what, sizeof what, "%s: sink %s", pipeline->name,
		    r->sinks[i].name);
		cli_report(p->cli, what, &r->sinks[i].why);
		told = true;
	}
	if (r->logs_why.status != HF_OK && told) {
		(void)snprintf(what, sizeof what,
		    "%s: nothing of its log was "
		    "removed",
		    pipeline->name);
		cli_report(p->cli, what, &r->logs_why);
	}
	if (err->status != HF_OK && !told)
		cli_report(p->cli, pipeline->name, err);
}

/* As for the other commands: 3 where some sinks were done and others not. */
static int
code_of(const struct pruning *p, const struct prune_result *r, int rc)
{
	size_t failed = 0;

	if (rc == HF_E_EXISTS)
		return EXIT_LOCKED;
	for (size_t i = 0; i < r->nsinks; i++)
		failed += r->sinks[i].why.status != HF_OK;
	if (failed > 0 && failed < r->nsinks && rc != HF_E_CANCELLED)
		return EXIT_PARTIAL;
	return cli_code(p->cli, rc);
}

static void
prune_one(struct pruning *p, const struct config_pipeline *pipeline)
{
	struct prune_result r = { 0 };
	struct cli_work work;
	struct hf_error err = { 0 };
	int rc, code;

	rc = cli_work_open(&work, p->cli, pipeline, &err);
	if (rc == HF_OK)
		rc = repo_prune(work.repo, p->dry, &r, &err);
	cli_work_close(&work);
	code = code_of(p, &r, rc);
	if (p->json != NULL)
		(void)json_array_append_new(
		    p->json, result_json(p, pipeline, &r, &err));
	/* Nothing was done where another run is at work. */
	else if (code != EXIT_LOCKED &&
		 (r.nbackups == 0 || print_table(p, pipeline, &r) == HF_OK))
		print_rest(p, pipeline, &r);
	(void)fflush(stdout);
	if (code != EXIT_DONE)
		report_sinks(p, pipeline, &r, &err);
	cli_tally_add(&p->tally, code, &err);
	prune_result_clear(&r);
}

int
cli_prune(struct cli *cli)
{
	const struct config_pipeline **list = NULL;
	struct pruning p = { .cli = cli };
	size_t n = 0;
	int code;

	if (cli_start_flow(cli) != HF_OK ||
	    cli_pick_pipelines(cli, &list, &n) != HF_OK)
		return cli_failed(cli);
	p.dry = args_count(cli->args, OPT_DRY_RUN) != 0;
	p.json = cli->json ? json_array() : NULL;
	for (size_t i = 0; i < n && !cancel_requested(cli->cancel); i++)
		prune_one(&p, list[i]);
	if (p.json != NULL)
		(void)render_json(
		    json_pack("{s:O}", "pipelines", p.json), stdout, &cli->err);
	json_decref(p.json);
	free(list);
	if (cli->err.status != HF_OK)
		return cli_failed(cli);
	code = cli_tally_end(&p.tally, cli);
	return cancel_requested(cli->cancel) ? EXIT_INTERRUPTED : code;
}
