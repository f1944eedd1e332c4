/* SPDX-License-Identifier: BSD-2-Clause */
/* run [PIPELINE...] */
#include "cli.h"

#include <stdlib.h>

#include "base/text.h"
#include "config/config.h"
#include "repo/logs.h"
#include "service/follow.h"

/* One source that is followed. */
struct followed {
	const struct config_pipeline *pipeline;
	size_t source;
	char *name;
	struct cli_work work;
	bool open;
};

struct service {
	struct cli *cli;
	struct followed *list;
	size_t n;
};

static int
add(struct service *s, const struct config_pipeline *p, size_t source)
{
	struct followed *grown = realloc(s->list, (s->n + 1) * sizeof *grown);

	if (grown == NULL)
		return error_fail(&s->cli->err, HF_E_NOMEM, "no memory");
	s->list = grown;
	grown[s->n] = (struct followed){ .pipeline = p, .source = source };
	grown[s->n].name =
	    text_format("%s/%s", p->name, p->sources[source].name);
	if (grown[s->n++].name == NULL)
		return error_fail(&s->cli->err, HF_E_NOMEM, "no memory");
	return HF_OK;
}

/* Asking the engines connects to nothing. */
static int
add_pipeline(struct service *s, const struct config_pipeline *p)
{
	struct cli_work work;
	uint32_t kinds;
	int rc = cli_work_open(&work, s->cli, p, &s->cli->err);

	for (size_t i = 0; i < p->nsources && rc == HF_OK; i++) {
		rc = logs_kinds(work.repo, i, &kinds, &s->cli->err);
		if (rc == HF_OK && (kinds & HF_LOG_FOLLOW) != 0)
			rc = add(s, p, i);
	}
	cli_work_close(&work);
	return rc;
}

static int
nothing(struct service *s)
{
	error_fail(&s->cli->err, HF_E_INVALID,
	    "no pipeline has a log that is to be followed");
	error_hint(&s->cli->err,
	    "A source of engine postgres with \"mode\": \"physical\" and "
	    "\"wal\": { \"stream\": true } has one.");
	return HF_E_INVALID;
}

/* Now that the list does not grow any more, and with it move. */
static int
follow(struct service *s)
{
	struct follow_job *jobs = calloc(s->n, sizeof *jobs);
	int rc = HF_OK;

	if (jobs == NULL)
		return error_fail(&s->cli->err, HF_E_NOMEM, "no memory");
	for (size_t i = 0; i < s->n && rc == HF_OK; i++) {
		struct followed *f = &s->list[i];

		f->open = true;
		rc = cli_work_open(&f->work, s->cli, f->pipeline, &s->cli->err);
		jobs[i] =
		    (struct follow_job){ f->work.repo, f->source, f->name };
		if (rc == HF_OK && !s->cli->quiet)
			fprintf(stderr, "following %s\n", f->name);
	}
	if (rc == HF_OK)
		rc = follow_run(jobs, s->n, s->cli->cancel, &s->cli->err);
	free(jobs);
	return rc;
}

int
cli_run(struct cli *cli)
{
	const struct config_pipeline **list = NULL;
	struct service s = { .cli = cli };
	size_t n = 0;
	int rc;

	if (cli_start_flow(cli) != HF_OK ||
	    cli_pick_pipelines(cli, &list, &n) != HF_OK)
		return cli_failed(cli);
	rc = HF_OK;
	for (size_t i = 0; i < n && rc == HF_OK; i++)
		rc = add_pipeline(&s, list[i]);
	if (rc == HF_OK)
		rc = s.n == 0 ? nothing(&s) : follow(&s);
	for (size_t i = 0; i < s.n; i++) {
		if (s.list[i].open)
			cli_work_close(&s.list[i].work);
		free(s.list[i].name);
	}
	free(s.list);
	free(list);
	return cli_code(cli, rc);
}
