/* SPDX-License-Identifier: BSD-2-Clause */
#include "findings.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/render.h"
#include "config/config.h"

void
findings_init(struct findings *f)
{
	memset(f, 0, sizeof *f);
	(void)pthread_mutex_init(&f->lock, NULL);
}

void
findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->list[i].subject);
		free(f->list[i].check);
		free(f->list[i].result);
		free(f->list[i].hint);
	}
	free(f->list);
	(void)pthread_mutex_destroy(&f->lock);
}

static bool
grow(struct findings *f)
{
	size_t cap = f->cap == 0 ? 32 : f->cap * 2;
	struct finding *list;

	if (f->n < f->cap)
		return true;
	list = realloc(f->list, cap * sizeof *list);
	if (list == NULL)
		return false;
	f->list = list;
	f->cap = cap;
	return true;
}

void
findings_add(struct findings *f, const char *subject, int verdict,
    const char *check, const char *result, const char *hint)
{
	struct finding new = { .verdict = verdict };

	new.subject = strdup(subject);
	new.check = strdup(check == NULL ? "" : check);
	new.result = strdup(result == NULL ? "" : result);
	new.hint = hint == NULL ? NULL : strdup(hint);
	pthread_mutex_lock(&f->lock);
	if (verdict > f->worst)
		f->worst = verdict;
	if (new.subject != NULL &&new.check != NULL &&new.result != NULL &&
	    grow(f)) {
		f->list[f->n++] = new;
	} else {
		f->failed = true;
		free(new.subject);
		free(new.check);
		free(new.result);
		free(new.hint);
	}
	pthread_mutex_unlock(&f->lock);
}

void
findings_add_error(struct findings *f, const char *subject, const char *check,
    const struct hf_error *err)
{
	char line[1024];

	error_line(err, line, sizeof line);
	findings_add(f, subject, HF_FAIL, check, line, error_get(err, "hint"));
}

struct asked {
	struct findings *findings;
	const char *pipeline;
};

static void
on_finding(void *arg, const char *subject, const struct hf_finding *finding)
{
	struct asked *asked = arg;
	char *whole = text_format(
	    "%s: %s", asked->pipeline, subject == NULL ? "" : subject);

	findings_add(asked->findings, whole == NULL ? asked->pipeline : whole,
	    finding->verdict, finding->check, finding->result, finding->hint);
	free(whole);
}

void
findings_of_pipeline(
    struct findings *f, struct cli *cli, const struct config_pipeline *pipeline)
{
	struct asked asked = { f, pipeline->name };
	struct repo_events events;
	struct repo_env env;
	struct repo *repo = NULL;
	struct hf_error err;
	int worst = HF_PASS;

	error_clear(&err);
	memset(&events, 0, sizeof events);
	events.finding = on_finding;
	events.arg = &asked;
	memset(&env, 0, sizeof env);
	env.config = cli->config;
	env.flow = cli->flow;
	env.cancel = cli->cancel;
	env.events = &events;
	if (repo_open(&env, pipeline, &repo, &err) != HF_OK ||
	    repo_doctor(repo, &worst, &err) != HF_OK)
		findings_add_error(f, pipeline->name, "open", &err);
	if (worst > f->worst)
		f->worst = worst;
	repo_close(repo);
}

const char *
findings_verdict(int verdict)
{
	return verdict == HF_PASS ? "ok" : verdict == HF_WARN ? "warn" : "FAIL";
}

void
findings_print(const struct findings *f, size_t first)
{
	static const enum render_style styles[] = { RENDER_GOOD, RENDER_WARN,
		RENDER_BAD };

	for (size_t i = first; i < f->n; i++) {
		const struct finding *one = &f->list[i];
		const char *word = findings_verdict(one->verdict);

		render_word(stdout,
		    styles[one->verdict > HF_FAIL || one->verdict < 0
			       ? HF_FAIL
			       : one->verdict],
		    word);
		printf("%*s", (int)(6 - strlen(word)), "");
		render_word(stdout, RENDER_PLAIN, one->subject);
		printf("  ");
		render_word(stdout, RENDER_PLAIN, one->check);
		printf(": ");
		render_word(stdout, RENDER_PLAIN, one->result);
		printf("\n");
		if (one->hint != NULL && one->verdict != HF_PASS) {
			printf("      fix: ");
			render_word(stdout, RENDER_PLAIN, one->hint);
			printf("\n");
		}
	}
}

json_t *
findings_json(const struct findings *f, size_t first)
{
	static const char *const words[] = { "ok", "warn", "fail" };
	json_t *list = json_array();

	for (size_t i = first; i < f->n; i++) {
		const struct finding *one = &f->list[i];
		int v = one->verdict < 0 || one->verdict > HF_FAIL
			    ? HF_FAIL
			    : one->verdict;

		(void)json_array_append_new(list,
		    json_pack("{s:s, s:o, s:o, s:o, s:o*}", "verdict", words[v],
			"subject", render_string(one->subject), "check",
			render_string(one->check), "result",
			render_string(one->result), "hint",
			one->hint == NULL ? NULL : render_string(one->hint)));
	}
	return list;
}
