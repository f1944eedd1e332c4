/* SPDX-License-Identifier: BSD-2-Clause */
/* list [PIPELINE...] */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "cli/catalog_view.h"
#include "cli/render.h"
#include "cli/windows.h"
#include "config/config.h"
#include "repo/manifest.h"

struct listing {
	struct cli *cli;
	struct render_table *table;
	json_t *json;
	struct windows windows;
	size_t nbackups;
	struct cli_tally tally;
};

static void
cell_sinks(struct listing *l, const struct repo *repo,
    const struct repo_backup_entry *e, size_t nsinks)
{
	enum render_style style = RENDER_PLAIN;
	char text[400] = "";

	for (size_t i = 0; i < nsinks; i++) {
		const struct repo_copy *copy = &e->copies[i];
		enum repo_copy_state state = copy->state;
		const char *word = catalog_view_trouble(copy);
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof text - len, "%s%s%s%s",
		    i == 0 ? "" : ",", repo_sink_name(repo, i),
		    word == NULL ? "" : ":", word == NULL ? "" : word);
		if (state == REPO_COPY_DAMAGED || copy->lacks[0] != '\0')
			style = RENDER_BAD;
		else if (state != REPO_COPY_PRESENT && style == RENDER_PLAIN)
			style = RENDER_WARN;
	}
	render_cell(l->table, style, "%s", text);
}

/* A failure is the news; a plain verify does not hide that the backup was
 * once restored. */
static void
cell_checked(
    struct listing *l, const struct repo_backup_entry *e, size_t nsinks)
{
	const struct repo_check *c = catalog_view_check(e, nsinks),
				*deep = catalog_view_proved(e, nsinks);

	if (c == NULL)
		render_cell(l->table, RENDER_PLAIN, "-");
	else if (!c->passed)
		render_cell(l->table, RENDER_BAD, "FAILED %s %s", c->kind,
		    render_age(c->at_ms).s);
	else if (deep == NULL)
		render_cell(l->table, RENDER_GOOD, "%s %s", c->kind,
		    render_age(c->at_ms).s);
	else
		render_cell(l->table, deep->passed ? RENDER_GOOD : RENDER_BAD,
		    "%s %s, %s%s %s", c->kind, render_age(c->at_ms).s,
		    deep->passed ? "" : "FAILED ", deep->kind,
		    render_age(deep->at_ms).s);
}

static void
add_row(struct listing *l, const struct config_pipeline *p,
    const struct repo *repo, const struct repo_backup_entry *e, size_t nsinks)
{
	const struct manifest *m = catalog_view_manifest(e, nsinks, NULL);

	render_cell(l->table, RENDER_PLAIN, "%s", p->name);
	render_cell(l->table, RENDER_PLAIN, "%s", e->id);
	render_cell(l->table, RENDER_PLAIN, "%s", render_age(e->started_ms).s);
	render_cell(l->table, RENDER_PLAIN, "%s", m == NULL ? "?" : m->kind);
	render_cell(l->table, RENDER_PLAIN, "%s",
	    m == NULL ? "?" : text_size(manifest_raw_size(m)).s);
	render_cell(l->table, RENDER_PLAIN, "%s",
	    m == NULL ? "?" : text_size(manifest_stored_size(m)).s);
	cell_sinks(l, repo, e, nsinks);
	cell_checked(l, e, nsinks);
}

static void
add_catalog(struct listing *l, const struct config_pipeline *p,
    struct repo *repo, const struct repo_catalog *catalog)
{
	json_t *backups = l->json == NULL ? NULL : json_array(), *doc;
	json_t *windows = windows_add(&l->windows, p, repo, catalog);

	for (size_t i = 0; i < catalog->n; i++) {
		if (backups != NULL)
			(void)json_array_append_new(backups,
			    catalog_view_json(
				repo, &catalog->entries[i], catalog->nsinks));
		else
			add_row(
			    l, p, repo, &catalog->entries[i], catalog->nsinks);
	}
	l->nbackups += catalog->n;
	if (backups == NULL) {
		json_decref(windows);
		return;
	}
	doc = json_pack("{s:s, s:o, s:o*, s:o*}", "pipeline", p->name,
	    "backups", backups, "windows", windows, "errors",
	    catalog_view_errors(repo, catalog));
	(void)json_array_append_new(l->json, doc);
}

/* A sink that cannot be listed is told, and makes the answer partial. */
static void
report_sinks(struct listing *l, const struct config_pipeline *p,
    const struct repo *repo, const struct repo_catalog *catalog)
{
	const struct hf_error *first = NULL;
	char what[200];

	for (size_t i = 0; i < catalog->nsinks; i++) {
		if (catalog->sink_errors[i].status == HF_OK)
			continue;
		if (first == NULL)
			first = &catalog->sink_errors[i];
		(void)snprintf(what, sizeof what, "%s: sink %s", p->name,
		    repo_sink_name(repo, i));
		cli_report(l->cli, what, &catalog->sink_errors[i]);
	}
	cli_tally_add(
	    &l->tally, first == NULL ? EXIT_DONE : EXIT_PARTIAL, first);
}

static void
list_one(struct listing *l, const struct config_pipeline *p)
{
	struct repo_catalog catalog;
	struct cli_work work;
	struct hf_error err;

	error_clear(&err);
	memset(&catalog, 0, sizeof catalog);
	if (cli_work_open(&work, l->cli, p, &err) == HF_OK &&
	    repo_list(work.repo, &catalog, &err) == HF_OK) {
		add_catalog(l, p, work.repo, &catalog);
		report_sinks(l, p, work.repo, &catalog);
	} else {
		cli_report(l->cli, p->name, &err);
		if (l->json != NULL)
			(void)json_array_append_new(l->json,
			    json_pack("{s:s, s:o}", "pipeline", p->name,
				"error", render_json_error(&err)));
		cli_tally_add(&l->tally, cli_code(l->cli, err.status), &err);
	}
	repo_catalog_clear(&catalog);
	cli_work_close(&work);
}

static int
finish(struct listing *l)
{
	if (l->json != NULL)
		(void)render_json(json_pack("{s:O}", "pipelines", l->json),
		    stdout, &l->cli->err);
	else if (l->nbackups > 0 || l->table == NULL)
		(void)render_table_print(l->table, stdout, &l->cli->err);
	else {
		render_table_free(l->table);
		if (l->tally.failed == 0)
			printf("no backups yet\n");
	}
	if (l->json == NULL)
		windows_print(&l->windows, stdout);
	windows_clear(&l->windows);
	if (l->cli->err.status != HF_OK)
		return cli_failed(l->cli);
	return cli_tally_end(&l->tally, l->cli);
}

int
cli_list(struct cli *cli)
{
	static const char *const heads[] = { "PIPELINE", "ID", ">AGE", "KIND",
		">SIZE", ">STORED", "SINKS", "CHECKED", NULL };
	const struct config_pipeline **list = NULL;
	struct listing l;
	size_t n = 0;
	int code;

	if (cli_start_flow_for_logs(cli) != HF_OK ||
	    cli_pick_pipelines(cli, &list, &n) != HF_OK)
		return cli_failed(cli);
	memset(&l, 0, sizeof l);
	l.cli = cli;
	if (cli->json)
		l.json = json_array();
	else
		l.table = render_table_new(heads);
	for (size_t i = 0; i < n && !cancel_requested(cli->cancel); i++)
		list_one(&l, list[i]);
	code = finish(&l);
	json_decref(l.json);
	free(list);
	return cancel_requested(cli->cancel) ? EXIT_INTERRUPTED : code;
}
