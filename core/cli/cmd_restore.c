/* SPDX-License-Identifier: BSD-2-Clause */
/* restore PIPELINE [--backup ID|--at TIME] (--to PLACE|--in-place) ... */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/catalog_view.h"
#include "cli/engine_args.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "config/config.h"
#include "plugin/loader.h"
#include "repo/logs.h"
#include "repo/manifest.h"

struct plan {
	const struct config_pipeline *pipeline;
	const char *selector;
	int64_t at_ms;
	struct text_small until; /* the same, as engines take it */
	char **args;             /* of -o and its short forms, NULL ends */
	char *shown; /* the target without a password; NULL: in place */
	struct repo_restore_options options;
};

static int
usage(struct cli *cli, const char *text, const char *hint)
{
	error_fail(&cli->err, HF_E_INVALID, "%s", text);
	error_hint(&cli->err, "%s", hint);
	return HF_E_INVALID;
}

static int
read_target(struct cli *cli, struct plan *plan)
{
	const char *to = args_value(cli->args, OPT_TO, 0);

	plan->options.in_place = args_count(cli->args, OPT_IN_PLACE) != 0;
	if (to != NULL && plan->options.in_place)
		return usage(cli, "--to and --in-place exclude each other",
		    "Leave one of them out.");
	if (to == NULL && !plan->options.in_place)
		return usage(cli, "restore needs a place",
		    "Give --to PLACE for a new place, or --in-place to replace "
		    "the source after a safety copy.");
	if (to != NULL && *to == '\0')
		return usage(
		    cli, "--to needs a place", "An empty text is no place.");
	plan->options.target = to;
	if (to == NULL)
		return HF_OK;
	secret_add_within(to);
	if ((plan->shown = strdup(to)) == NULL)
		return error_fail(&cli->err, HF_E_NOMEM, "no memory");
	secret_scrub(plan->shown);
	return HF_OK;
}

static int
read_choice(struct cli *cli, struct plan *plan)
{
	const char *at = args_value(cli->args, OPT_AT, 0);
	int64_t at_us = 0;

	plan->selector = args_value(cli->args, OPT_BACKUP, 0);
	if (at != NULL && plan->selector != NULL)
		return usage(cli, "--at and --backup exclude each other",
		    "Leave one of them out.");
	/* A script's variable that is not set asks for no backup at all. */
	if (plan->selector != NULL && *plan->selector == '\0')
		return usage(
		    cli, "--backup needs an id", "An empty text is no id.");
	if (at != NULL && !text_parse_time_us(at, &at_us)) {
		error_fail(&cli->err, HF_E_INVALID,
		    "--at: \"%s\" is not a moment", at);
		error_hint(&cli->err,
		    "Write 2026-11-21T02:15:00Z, 2026-11-21T02:15:00+01:00, "
		    "or 2026-11-21 02:15 for local time.");
		return HF_E_INVALID;
	}
	if (at != NULL) {
		/* 0 would mean any moment. */
		plan->at_ms = at_us / 1000 == 0 ? 1 : at_us / 1000;
		plan->until = text_utc_us(at_us);
		plan->options.until = plan->until.s;
	}
	if (plan->selector == NULL)
		plan->selector = "latest";
	return HF_OK;
}

static int
read_options(struct cli *cli, struct plan *plan)
{
	int rc = engine_args_read(cli, &plan->args);

	if (rc != HF_OK)
		return rc;
	plan->options.args = (const char *const *)plan->args;
	plan->options.source = args_value(cli->args, OPT_SOURCE, 0);
	plan->options.sink = args_value(cli->args, OPT_FROM, 0);
	plan->options.force = args_count(cli->args, OPT_FORCE) != 0;
	plan->options.dry_run = args_count(cli->args, OPT_DRY_RUN) != 0;
	return HF_OK;
}

/* Names are checked before anything is read, to suggest the right one. */
static int
check_names(struct cli *cli, const struct plan *plan)
{
	const struct config_pipeline *p = plan->pipeline;
	bool found = plan->options.source == NULL;

	for (size_t i = 0; !found && i < p->nsources; i++)
		found = strcmp(p->sources[i].name, plan->options.source) == 0;
	if (!found)
		return error_fail(&cli->err, HF_E_NOTFOUND,
		    "pipeline %s has no source \"%s\"", p->name,
		    plan->options.source);
	found = plan->options.sink == NULL;
	for (size_t i = 0; !found && i < p->nto; i++)
		found = strcmp(p->to[i]->item.name, plan->options.sink) == 0;
	if (!found)
		return error_fail(&cli->err, HF_E_NOTFOUND,
		    "pipeline %s has no sink \"%s\"", p->name,
		    plan->options.sink);
	return engine_args_check(cli, p, plan->options.source);
}

static bool
needs_answer(const struct cli *cli, const struct plan *plan)
{
	return plan->options.in_place && !plan->options.dry_run &&
	       args_count(cli->args, OPT_YES) == 0;
}

static int
read_plan(struct cli *cli, struct plan *plan)
{
	memset(plan, 0, sizeof *plan);
	if (read_target(cli, plan) != HF_OK ||
	    read_choice(cli, plan) != HF_OK ||
	    read_options(cli, plan) != HF_OK || cli_load_config(cli) != HF_OK)
		return cli->err.status;
	plan->pipeline = cli_pick_pipeline(cli, args_operands(cli->args)[0]);
	if (plan->pipeline == NULL)
		return cli->err.status;
	if (needs_answer(cli, plan) &&
	    (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1))
		return usage(cli,
		    "--in-place needs a terminal to ask, or --yes",
		    "Add --yes when you are sure, or look first with -n.");
	return check_names(cli, plan);
}

static void
say(const char *name, const char *value)
{
	fprintf(stderr, "  %-8s ", name);
	render_word(stderr, RENDER_PLAIN, value);
	fputc('\n', stderr);
}

/* Two fleets that keep a pipeline of one name in one sink share its backups:
 * whose database this is has to be seen before it takes the place of another.
 */
static void
print_origin(const struct plan *plan, const struct manifest *m)
{
	char text[600];

	for (size_t i = 0; i < m->nsources; i++) {
		const struct manifest_source *s = &m->sources[i];
		const char *what = s->name;

		if (plan->options.source != NULL &&
		    strcmp(plan->options.source, s->name) != 0)
			continue;
		for (char **f = s->facts; f != NULL && f[0] != NULL; f += 2)
			if (strcmp(f[0], "path") == 0 ||
			    strcmp(f[0], "database") == 0)
				what = f[1];
		(void)snprintf(text, sizeof text, "%s on %s", what, m->host);
		say("of", text);
	}
}

static void
print_plan(const struct plan *plan, const struct repo *repo,
    const struct repo_backup_entry *e, size_t nsinks)
{
	const struct manifest *m = catalog_view_manifest(e, nsinks, NULL);
	char text[300] = "";

	fprintf(stderr, "restore %s%s\n", plan->pipeline->name,
	    plan->options.dry_run ? " (dry run)" : "");
	(void)snprintf(text, sizeof text, "%s, started %s (%s ago)%s%s", e->id,
	    render_time(e->started_ms).s, render_age(e->started_ms).s,
	    m == NULL ? "" : ", ",
	    m == NULL ? "" : text_size(manifest_raw_size(m)).s);
	say("backup", text);
	if (m != NULL && m->parent != NULL)
		say("on", m->parent);
	if (m != NULL)
		print_origin(plan, m);
	text[0] = '\0';
	for (size_t i = 0; i < nsinks; i++) {
		size_t len = strlen(text);

		if (plan->options.sink != NULL &&
		    strcmp(plan->options.sink, repo_sink_name(repo, i)) != 0)
			continue;
		(void)snprintf(text + len, sizeof text - len, "%s%s (%s)",
		    len == 0 ? "" : ", ", repo_sink_name(repo, i),
		    catalog_view_state(e->copies[i].state));
	}
	say("from", text);
	if (plan->options.source != NULL)
		say("source", plan->options.source);
	if (plan->at_ms != 0)
		say("until", plan->until.s);
	say("to", plan->options.in_place
		      ? "its own place, after a safety copy of what is there"
		      : plan->shown);
	for (char **a = plan->args; *a != NULL; a++)
		if (!engine_args_secret(plan->pipeline, *a))
			say("with", *a);
}

/* Replacing a database is confirmed with its name, not with a reflex. */
static int
confirm(struct cli *cli, const struct plan *plan)
{
	const char *name = plan->pipeline->name;
	char typed[256];

	if (!needs_answer(cli, plan))
		return HF_OK;
	fprintf(stderr,
	    "This replaces the source of \"%s\".  Type its name "
	    "to go on: ",
	    name);
	(void)fflush(stderr);
	if (fgets(typed, sizeof typed, stdin) != NULL) {
		typed[strcspn(typed, "\r\n")] = '\0';
		if (strcmp(typed, name) == 0)
			return HF_OK;
	}
	return error_fail(
	    &cli->err, HF_E_CANCELLED, "not confirmed; nothing was changed");
}

static void
print_key(const char *key)
{
	char text[64];

	(void)snprintf(text, sizeof text, "%s", key);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '_')
			*c = ' ';
	printf("  ");
	render_word(stdout, RENDER_PLAIN, text);
	printf(": ");
}

static void
print_result(const struct plan *plan, const struct repo_backup_entry *e,
    const struct repo_restore_result *r)
{
	int64_t took = r->ended_ms - r->started_ms;

	printf("%s  %s %s from %s", plan->pipeline->name,
	    plan->options.dry_run ? "could restore" : "restored", e->id,
	    r->sink);
	printf(plan->options.in_place ? " in place" : " to ");
	if (!plan->options.in_place)
		render_word(stdout, RENDER_PLAIN, plan->shown);
	printf("  %s  %s\n", text_size(r->raw).s,
	    text_duration(took > 0 ? took : 0).s);
	for (size_t i = 0; i < r->nresults; i++) {
		print_key(r->results[i].key);
		render_word(stdout, RENDER_PLAIN, r->results[i].value);
		printf("\n");
	}
}

/* Said also when the restore failed in the end. */
static void
report_fallbacks(struct cli *cli, const struct repo_restore_result *r)
{
	char what[200];

	for (size_t i = 0; i < r->nfallbacks; i++) {
		(void)snprintf(what, sizeof what,
		    "sink %s has no good copy of %s and was left",
		    r->fallbacks[i].sink, r->fallbacks[i].id);
		cli_report(cli, what, &r->fallbacks[i].why);
	}
}

static json_t *
result_json(const struct plan *plan, const struct repo_backup_entry *e,
    const struct repo_restore_result *r, const struct hf_error *err)
{
	json_t *results = json_object(), *fallbacks = json_array(), *doc;

	for (size_t i = 0; i < r->nresults; i++)
		(void)json_object_set_new(results, r->results[i].key,
		    render_string(r->results[i].value));
	for (size_t i = 0; i < r->nfallbacks; i++)
		(void)json_array_append_new(fallbacks,
		    json_pack("{s:s, s:s, s:o}", "sink", r->fallbacks[i].sink,
			"id", r->fallbacks[i].id, "error",
			render_json_error(&r->fallbacks[i].why)));
	doc = json_pack("{s:s, s:s, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:I, "
			"s:o, s:o}",
	    "pipeline", plan->pipeline->name, "id", e->id, "restored",
	    err->status == HF_OK && !plan->options.dry_run, "dry_run",
	    (int)plan->options.dry_run, "in_place", (int)plan->options.in_place,
	    "target",
	    plan->shown == NULL ? json_null() : render_string(plan->shown),
	    "sink", r->sink[0] == '\0' ? json_null() : json_string(r->sink),
	    "started", render_json_time(r->started_ms), "ended",
	    render_json_time(r->ended_ms), "raw_bytes", (json_int_t)r->raw,
	    "results", results, "fallbacks", fallbacks);
	if (err->status != HF_OK)
		(void)json_object_set_new(doc, "error", render_json_error(err));
	return doc;
}

static void
restore(struct cli *cli, const struct plan *plan, struct cli_work *work,
    const struct repo_backup_entry *e)
{
	struct repo_restore_result r;
	struct hf_error err;

	memset(&r, 0, sizeof r);
	error_clear(&err);
	progress_start(cli->quiet, 1);
	work->task = progress_begin(plan->pipeline->name);
	(void)repo_restore(work->repo, e, &plan->options, &r, &err);
	progress_end(work->task);
	work->task = NULL;
	progress_stop();
	report_fallbacks(cli, &r);
	if (cli->json)
		(void)render_json(
		    result_json(plan, e, &r, &err), stdout, &cli->err);
	else if (err.status == HF_OK)
		print_result(plan, e, &r);
	else
		for (size_t i = 0; i < r.nresults; i++)
			say(r.results[i].key, r.results[i].value);
	if (err.status != HF_OK)
		cli->err = err;
	repo_restore_result_clear(&r);
}

int
cli_restore(struct cli *cli)
{
	const struct repo_backup_entry *e = NULL;
	struct repo_catalog catalog;
	struct cli_work work;
	struct plan plan;

	if (read_plan(cli, &plan) != HF_OK || cli_start_flow(cli) != HF_OK)
		goto out;
	memset(&catalog, 0, sizeof catalog);
	if (cli_work_open(&work, cli, plan.pipeline, &cli->err) == HF_OK &&
	    repo_list(work.repo, &catalog, &cli->err) == HF_OK &&
	    logs_pick(work.repo, &catalog, plan.selector, plan.at_ms,
		&plan.options, &e, &cli->err) == HF_OK) {
		if (needs_answer(cli, &plan) || (!cli->quiet && !cli->json))
			print_plan(&plan, work.repo, e, catalog.nsinks);
		if (confirm(cli, &plan) == HF_OK)
			restore(cli, &plan, &work, e);
	}
	repo_catalog_clear(&catalog);
	cli_work_close(&work);
out:
	engine_args_free(plan.args);
	free(plan.shown);
	return cli_failed(cli);
}
