/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd_backup_dry.h"

#include <stdio.h>

#include "base/cancel.h"
#include "cli/cli.h"
#include "cli/findings.h"
#include "cli/render.h"
#include "config/config.h"
#include "plugin/loader.h"

static void
print_plan(const struct config_pipeline *p)
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
	printf("\n");
}

static json_t *
plan_json(const struct config_pipeline *p)
{
	json_t *from = json_array(), *through = json_array(),
	       *to = json_array();

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
	return json_pack("{s:s, s:b, s:o, s:o, s:o}", "pipeline", p->name,
	    "dry_run", 1, "from", from, "through", through, "to", to);
}

int
backup_dry(struct cli *cli, const struct config_pipeline **list, size_t n)
{
	json_t *documents = cli->json ? json_array() : NULL;
	struct findings f;
	int code;

	findings_init(&f);
	if (cli_start_flow(cli) != HF_OK)
		goto out;
	for (size_t i = 0; i < n && !cancel_requested(cli->cancel); i++) {
		size_t first = f.n;

		findings_of_pipeline(&f, cli, list[i]);
		if (documents == NULL) {
			print_plan(list[i]);
			findings_print(&f, first);
		} else {
			json_t *doc = plan_json(list[i]);

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
