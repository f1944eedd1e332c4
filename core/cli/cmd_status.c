/* SPDX-License-Identifier: BSD-2-Clause */
/* status [PIPELINE...] */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "cli/render.h"
#include "config/config.h"

struct overview {
	struct cli *cli;
	struct render_table *table;
	json_t *json;
	struct cli_tally tally;
	bool stale, failed;
};

static void
cell_state(struct overview *o, const struct repo_status *s)
{
	if (s->last_success_ms == 0 && s->running)
		render_cell(
		    o->table, RENDER_WARN, "first run on %s", s->running_host);
	else if (s->last_success_ms == 0)
		render_cell(
		    o->table, s->stale ? RENDER_BAD : RENDER_WARN, "no backup");
	else if (s->stale)
		render_cell(o->table, RENDER_BAD, "STALE%s",
		    s->running ? ", running" : "");
	else if (s->copies_broken > 0)
		render_cell(o->table, RENDER_BAD, "BROKEN, lacks its parent%s",
		    s->running ? ", running" : "");
	else if (s->copies_failed > 0)
		render_cell(o->table, RENDER_BAD, "FAILED its check%s",
		    s->running ? ", running" : "");
	else if (s->copies_missing > 0)
		render_cell(o->table, RENDER_WARN, "incomplete%s",
		    s->running ? ", running" : "");
	else if (s->running)
		render_cell(o->table, RENDER_GOOD, "ok, %s on %s",
		    s->running_verb, s->running_host);
	else if (s->log_until_ms > s->last_success_ms)
		render_cell(o->table, RENDER_GOOD, "ok, log %s behind",
		    render_age(s->log_until_ms).s);
	else
		render_cell(o->table, RENDER_GOOD, "ok");
}

static void
add_row(struct overview *o, const struct config_pipeline *p,
    const struct repo_status *s)
{
	bool none = s->last_success_ms == 0;

	render_cell(o->table, RENDER_PLAIN, "%s", p->name);
	render_cell(
	    o->table, RENDER_PLAIN, "%s", render_time(s->last_success_ms).s);
	render_cell(o->table, RENDER_PLAIN, "%s",
	    none ? "-" : render_age(s->last_success_ms).s);
	render_cell(o->table, RENDER_PLAIN, "%s",
	    p->rpo_ms == 0 ? "-" : text_duration(p->rpo_ms).s);
	render_cell(o->table, RENDER_PLAIN, "%zu", s->nbackups);
	render_cell(o->table,
	    s->copies_missing > 0 ? RENDER_WARN : RENDER_PLAIN, "%zu",
	    s->copies_missing);
	render_cell(o->table, RENDER_PLAIN, "%s",
	    s->verified_ms == 0 ? "-" : render_age(s->verified_ms).s);
	cell_state(o, s);
}

static json_t *
status_json(const struct config_pipeline *p, const struct repo_status *s)
{
	json_t *doc = json_pack("{s:s, s:o, s:o, s:I, s:b, s:I, s:I, s:I, s:o, "
				"s:b}",
	    "pipeline", p->name, "last_id",
	    s->last_success_ms == 0 ? json_null() : json_string(s->last_id),
	    "last_success", render_json_time(s->last_success_ms), "backups",
	    (json_int_t)s->nbackups, "stale", (int)s->stale, "copies_missing",
	    (json_int_t)s->copies_missing, "copies_failed",
	    (json_int_t)s->copies_failed, "copies_broken",
	    (json_int_t)s->copies_broken, "verified",
	    render_json_time(s->verified_ms), "running", (int)s->running);

	if (s->last_success_ms != 0)
		(void)json_object_set_new(doc, "age_seconds",
		    json_integer((text_now() - s->last_success_ms) / 1000));
	if (s->log_until_ms != 0)
		(void)json_object_set_new(
		    doc, "log_until", render_json_time(s->log_until_ms));
	if (p->rpo_ms != 0)
		(void)json_object_set_new(
		    doc, "rpo_seconds", json_integer(p->rpo_ms / 1000));
	if (s->running) {
		(void)json_object_set_new(
		    doc, "running_host", render_string(s->running_host));
		(void)json_object_set_new(
		    doc, "running_verb", render_string(s->running_verb));
	}
	return doc;
}

static void
add_failure(struct overview *o, const struct config_pipeline *p,
    const struct hf_error *err)
{
	cli_tally_add(&o->tally, cli_code(o->cli, err->status), err);
	cli_report(o->cli, p->name, err);
	if (o->json != NULL) {
		(void)json_array_append_new(
		    o->json, json_pack("{s:s, s:o}", "pipeline", p->name,
				 "error", render_json_error(err)));
		return;
	}
	render_cell(o->table, RENDER_PLAIN, "%s", p->name);
	for (int i = 0; i < 6; i++)
		render_cell(o->table, RENDER_PLAIN, "?");
	render_cell(o->table, RENDER_BAD, "UNKNOWN");
}

static void
ask(struct overview *o, const struct config_pipeline *p)
{
	struct repo_status s;
	struct cli_work work;
	struct hf_error err;

	error_clear(&err);
	memset(&s, 0, sizeof s);
	if (cli_work_open(&work, o->cli, p, &err) != HF_OK ||
	    repo_status(work.repo, &s, &err) != HF_OK) {
		add_failure(o, p, &err);
	} else {
		o->stale |= s.stale;
		o->failed |= s.copies_failed > 0;
		cli_tally_add(&o->tally, EXIT_DONE, NULL);
		if (o->json != NULL)
			(void)json_array_append_new(
			    o->json, status_json(p, &s));
		else
			add_row(o, p, &s);
	}
	cli_work_close(&work);
}

int
cli_status(struct cli *cli)
{
	static const char *const heads[] = { "PIPELINE", "LAST BACKUP", ">AGE",
		">RPO", ">BACKUPS", ">MISSING", ">VERIFIED", "STATE", NULL };
	const struct config_pipeline **list = NULL;
	struct overview o;
	size_t n = 0;
	int code;

	if (cli_start_flow_for_logs(cli) != HF_OK ||
	    cli_pick_pipelines(cli, &list, &n) != HF_OK)
		return cli_failed(cli);
	memset(&o, 0, sizeof o);
	o.cli = cli;
	if (cli->json)
		o.json = json_array();
	else
		o.table = render_table_new(heads);
	for (size_t i = 0; i < n && !cancel_requested(cli->cancel); i++)
		ask(&o, list[i]);
	free(list);
	if (o.json != NULL)
		(void)render_json(json_pack("{s:b, s:o}", "stale", (int)o.stale,
				      "pipelines", o.json),
		    stdout, &cli->err);
	else
		(void)render_table_print(o.table, stdout, &cli->err);
	if (cli->err.status != HF_OK)
		return cli_failed(cli);
	code = cli_tally_end(&o.tally, cli);
	if (cancel_requested(cli->cancel))
		return EXIT_INTERRUPTED;
	/* That one cannot be asked is worse than that one failed its check,
	 * and that is worse than that one is stale. */
	if (code == EXIT_DONE && o.failed)
		code = EXIT_DAMAGED;
	return code == EXIT_DONE && o.stale ? EXIT_STALE : code;
}
