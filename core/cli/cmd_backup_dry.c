/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd_backup_dry.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/cancel.h"
#include "cli/cli.h"
#include "cli/findings.h"
#include "cli/render.h"
#include "config/config.h"
#include "plugin/loader.h"
#include "repo/manifest.h"

/* Which kind it would be, as far as that is known before the engine is asked.
 */
struct outlook {
	char parent[40], because[512];
	bool asked; /* for a full one */
};

static void
look_ahead(struct cli *cli, enum repo_backup_kind kind,
    const struct config_pipeline *p, struct outlook *o)
{
	struct hf_error err = { 0 };
	struct cli_work work;

	*o = (struct outlook){ .asked = kind == REPO_BACKUP_FULL };
	if (cli_work_open(&work, cli, p, &err) == HF_OK)
		(void)repo_backup_would(
		    work.repo, kind, o->parent, o->because, &err);
	cli_work_close(&work);
	/* What is wrong with the sinks the findings say. */
	if (err.status != HF_OK)
		error_line(&err, o->because, sizeof o->because);
}

static void
print_kind(const struct outlook *o)
{
	if (o->parent[0] != '\0') {
		printf(", incremental on %s", o->parent);
	} else if (o->because[0] != '\0') {
		printf(", full (");
		render_word(stdout, RENDER_PLAIN, o->because);
		printf(")");
	} else if (o->asked) {
		printf(", full");
	}
}

static void
print_plan(const struct config_pipeline *p, const struct outlook *o)
{
	printf("%s  would read", p->name);
	for (size_t i = 0; i < p->nsources; i++)
		printf("%s %s (%s)", i == 0 ? "" : ",", p->sources[i].name,
		    p->sources[i].plugin->desc.name);
	if (p->nthrough > 0)
		printf(", through");
	for (size_t i = 0; i < p->nthrough; i++)
		printf("%s %s", i == 0 ? "" : ",", p->through[i]->name);
	printf(", to");
	for (size_t i = 0; i < p->nto; i++) {
		const struct config_sink *s = p->to[i];

		printf("%s %s", i == 0 ? "" : ",", s->item.name);
		for (size_t f = 0; f < s->nthrough; f++)
			printf("%s%s", f == 0 ? " (through " : ", ",
			    s->through[f]->name);
		printf("%s", s->nthrough == 0 ? "" : ")");
	}
	print_kind(o);
	printf("\n");
}

static json_t *
plan_json(const struct config_pipeline *p, const struct outlook *o)
{
	json_t *from = json_array(), *through = json_array(),
	       *to = json_array();
	const char *because = o->because;

	for (size_t i = 0; i < p->nsources; i++)
		(void)json_array_append_new(
		    from, json_pack("{s:s, s:s}", "name", p->sources[i].name,
			      "engine", p->sources[i].plugin->desc.name));
	for (size_t i = 0; i < p->nthrough; i++)
		(void)json_array_append_new(
		    through, json_string(p->through[i]->name));
	for (size_t i = 0; i < p->nto; i++)
		(void)json_array_append_new(
		    to, json_string(p->to[i]->item.name));
	return json_pack("{s:s, s:b, s:o, s:o, s:o, s:s, s:s*, s:o*}",
	    "pipeline", p->name, "dry_run", 1, "from", from, "through", through,
	    "to", to, "kind",
	    o->parent[0] == '\0' ? MANIFEST_FULL : MANIFEST_INCREMENTAL,
	    "parent", o->parent[0] == '\0' ? NULL : o->parent, "full_because",
	    *because == '\0' ? NULL : render_string(because));
}

int
backup_dry(struct cli *cli, enum repo_backup_kind kind,
    const struct config_pipeline **list, size_t n)
{
	json_t *documents = cli->json ? json_array() : NULL;
	struct findings f;
	int code;

	findings_init(&f);
	if (cli_start_flow(cli) != HF_OK)
		goto out;
	for (size_t i = 0; i < n && !cancel_requested(cli->cancel); i++) {
		size_t first = f.n;
		struct outlook o;

		look_ahead(cli, kind, list[i], &o);
		findings_of_pipeline(&f, cli, list[i]);
		if (documents == NULL) {
			print_plan(list[i], &o);
			findings_print(&f, first);
		} else {
			json_t *doc = plan_json(list[i], &o);

			(void)json_object_set_new(
			    doc, "findings", findings_json(&f, first));
			(void)json_array_append_new(documents, doc);
		}
	}
	if (documents != NULL)
		(void)render_json(json_pack("{s:O}", "backups", documents),
		    stdout, &cli->err);
out:
	code = cli->err.status != HF_OK ? cli_failed(cli)
	       : f.worst == HF_FAIL     ? EXIT_FAILED
					: EXIT_DONE;
	findings_free(&f);
	json_decref(documents);
	return code;
}
