/* SPDX-License-Identifier: BSD-2-Clause */
/* verify [PIPELINE...] [--backup ID|latest|all] [--deep] [--sink NAME] */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "cli/verify_log.h"
#include "config/config.h"

struct checks {
	struct cli *cli;
	const char *backup, *sink;
	bool deep;
	json_t *json;
	size_t nbackups, nbad;
	struct cli_tally tally; /* of pipelines */
	/* Of the pipeline at hand. */
	int code;
	struct hf_error first;
};

static void
note(struct checks *c, int code, const struct hf_error *err)
{
	if (code != EXIT_DONE && c->code == EXIT_DONE)
		c->first = *err;
	c->code = exit_worst(c->code, code);
}

static json_t *
result_json(const struct config_pipeline *p, const struct repo_verify_result *r,
    bool deep, const struct hf_error *err)
{
	json_t *sinks = json_array(), *doc;

	for (size_t i = 0; i < r->nsinks; i++) {
		const struct repo_verify_sink *s = &r->sinks[i];
		bool bad = s->why.status != HF_OK;

		(void)json_array_append_new(sinks,
		    json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:o*}", "sink",
			s->name, "checked", (int)s->checked, "passed",
			(int)s->passed, "stored_bytes", (json_int_t)s->bytes,
			"objects", (json_int_t)s->nobjects, "failures",
			(json_int_t)s->nfailures, "error",
			bad ? render_json_error(&s->why) : NULL));
	}
	doc = json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o}", "pipeline",
	    p->name, "id", r->id, "kind", deep ? "deep" : "verify", "passed",
	    (int)(r->passed && err->status == HF_OK), "started",
	    render_json_time(r->started_ms), "ended",
	    render_json_time(r->ended_ms), "sinks", sinks);
	if (err->status != HF_OK)
		(void)json_object_set_new(doc, "error", render_json_error(err));
	return doc;
}

static void
print_sink(const struct repo_verify_sink *s)
{
	printf("  %s ", s->name);
	if (s->checked && s->passed) {
		render_word(stdout, RENDER_GOOD, "ok");
		printf(" (%zu object%s, %s)", s->nobjects,
		    s->nobjects == 1 ? "" : "s", text_size(s->bytes).s);
		return;
	}
	if (!s->checked && s->why.status == HF_E_NOTFOUND)
		render_word(stdout, RENDER_WARN, "missing");
	else if (s->checked || s->why.status != HF_OK)
		render_word(stdout, RENDER_BAD, "FAILED");
	else
		render_word(stdout, RENDER_WARN, "not checked");
	if (s->nfailures > 1)
		printf(" (%zu failures)", s->nfailures);
}

static void
print_result(struct checks *c, const struct config_pipeline *p,
    const struct repo_verify_result *r, const struct hf_error *err)
{
	char what[300];
	bool told = false;

	progress_pause();
	printf("%s  %s", p->name, r->id);
	for (size_t i = 0; i < r->nsinks; i++)
		print_sink(&r->sinks[i]);
	printf("  %s\n",
	    text_duration(
		r->ended_ms > r->started_ms ? r->ended_ms - r->started_ms : 0)
		.s);
	(void)fflush(stdout);
	progress_resume();
	for (size_t i = 0; i < r->nsinks; i++) {
		const struct repo_verify_sink *s = &r->sinks[i];

		if (s->why.status == HF_OK)
			continue;
		(void)snprintf(
		    what, sizeof what, "%s: sink %s", p->name, s->name);
		cli_report(c->cli, what, &s->why);
		told = true;
	}
	if (err->status != HF_OK && !told)
		cli_report(c->cli, p->name, err);
}

/* What is there is whole, but fewer sinks have it than the pipeline wants: a
 * copy that was lost shall not look like one that was never wanted. */
static bool
lacks_copies(const struct checks *c, const struct config_pipeline *p,
    const struct repo_verify_result *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->nsinks; i++)
		n += r->sinks[i].passed;
	return c->sink == NULL && n < p->require;
}

static void
verify_entry(
    struct checks *c, struct cli_work *work, const struct repo_backup_entry *e)
{
	struct repo_verify_result r;
	struct hf_error err;
	int code;

	error_clear(&err);
	memset(&r, 0, sizeof r);
	(void)repo_verify(work->repo, e, c->sink, c->deep, &r, &err);
	if (r.id[0] == '\0')
		(void)snprintf(r.id, sizeof r.id, "%s", e->id);
	code = cli_code(c->cli, err.status);
	if (code == EXIT_DONE && lacks_copies(c, work->pipeline, &r)) {
		code = EXIT_PARTIAL;
		error_fail(&err, HF_E_NOTFOUND,
		    "fewer sinks have a copy of %s than \"require\" wants",
		    r.id);
	}
	c->nbackups++;
	c->nbad += code != EXIT_DONE;
	if (c->json != NULL)
		(void)json_array_append_new(
		    c->json, result_json(work->pipeline, &r, c->deep, &err));
	else
		print_result(c, work->pipeline, &r, &err);
	note(c, code, &err);
	repo_verify_result_clear(&r);
}

static int
verify_pipeline(struct checks *c, struct cli_work *work, struct hf_error *err)
{
	const struct repo_backup_entry *one = NULL;
	struct repo_catalog catalog;
	int status;

	memset(&catalog, 0, sizeof catalog);
	status = repo_list(work->repo, &catalog, err);
	if (status != HF_OK)
		goto out;
	if (strcmp(c->backup, "all") != 0) {
		status = repo_pick(&catalog, c->backup, 0, &one, err);
		if (status == HF_OK)
			verify_entry(c, work, one);
	}
	for (size_t i = 0; one == NULL && status == HF_OK && i < catalog.n &&
			   !cancel_requested(c->cli->cancel);
	     i++)
		verify_entry(c, work, &catalog.entries[i]);
	if (c->sink == NULL && !cancel_requested(c->cli->cancel)) {
		struct hf_error why = { 0 };

		note(c, verify_log(work, &catalog, c->json, &why), &why);
	}
out:
	repo_catalog_clear(&catalog);
	return status;
}

static void
verify_one(struct checks *c, const struct config_pipeline *p)
{
	struct cli_work work;
	struct hf_error err;

	error_clear(&err);
	c->code = EXIT_DONE;
	if (cli_work_open(&work, c->cli, p, &err) != HF_OK ||
	    verify_pipeline(c, &work, &err) != HF_OK) {
		cli_report(c->cli, p->name, &err);
		if (c->json != NULL)
			(void)json_array_append_new(c->json,
			    json_pack("{s:s, s:b, s:o}", "pipeline", p->name,
				"passed", 0, "error", render_json_error(&err)));
		note(c, cli_code(c->cli, err.status), &err);
	}
	cli_work_close(&work);
	cli_tally_add(&c->tally, c->code, &c->first);
}

static int
finish(struct checks *c)
{
	if (c->json != NULL)
		(void)render_json(
		    json_pack("{s:b, s:O}", "passed",
			c->tally.code == EXIT_DONE, "checks", c->json),
		    stdout, &c->cli->err);
	else if (c->nbackups > 1)
		printf("%zu backups: %zu ok, %zu failed\n", c->nbackups,
		    c->nbackups - c->nbad, c->nbad);
	if (cancel_requested(c->cli->cancel))
		c->tally.code = EXIT_INTERRUPTED;
	return cli_tally_end(&c->tally, c->cli);
}

int
cli_verify(struct cli *cli)
{
	const struct config_pipeline **list = NULL;
	struct checks c;
	size_t n = 0;
	int code;

	memset(&c, 0, sizeof c);
	c.cli = cli;
	c.backup = args_value(cli->args, OPT_BACKUP, 0);
	c.sink = args_value(cli->args, OPT_SINK, 0);
	c.deep = args_count(cli->args, OPT_DEEP) != 0;
	if (c.backup == NULL)
		c.backup = "latest";
	if (*c.backup == '\0') {
		error_fail(&cli->err, HF_E_INVALID, "--backup needs an id");
		error_hint(&cli->err, "An empty text is no id.");
		return cli_failed(cli);
	}
	if (cli_load_config(cli) != HF_OK ||
	    cli_pick_pipelines(cli, &list, &n) != HF_OK)
		return cli_failed(cli);
	if (c.sink != NULL && config_sink(cli->config, c.sink) == NULL) {
		error_fail(&cli->err, HF_E_NOTFOUND, "no sink \"%s\" in %s",
		    c.sink, cli->config->path);
		goto out;
	}
	if (cli_start_flow(cli) != HF_OK)
		goto out;
	c.json = cli->json ? json_array() : NULL;
	progress_start(cli->quiet, n);
	for (size_t i = 0; i < n && !cancel_requested(cli->cancel); i++)
		verify_one(&c, list[i]);
	progress_stop();
	code = finish(&c);
	json_decref(c.json);
	free(list);
	return code;
out:
	free(list);
	return cli_failed(cli);
}
