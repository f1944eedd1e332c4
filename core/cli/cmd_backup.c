/* SPDX-License-Identifier: BSD-2-Clause */
/* backup [PIPELINE...] [--all] [-n] [--jobs N] [--full|--incremental] */
#include "cli.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "cli/cmd_backup_dry.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "config/config.h"
#include "plugin/loader.h"
#include "repo/manifest.h"

/* One call of "backup".  The lock guards what is below it, and stdout. */
struct batch {
	struct cli *cli;
	enum repo_backup_kind kind;
	const struct config_pipeline **list;
	size_t n;
	pthread_mutex_t lock;
	size_t next;
	json_t *documents; /* NULL unless JSON; one a pipeline, in place */
	struct cli_tally tally;
	uint64_t raw, stored;
};

static uint64_t
stored_bytes(const struct repo_backup_result *r)
{
	for (size_t i = 0; i < r->nsinks; i++)
		if (r->sinks[i].ok)
			return r->sinks[i].stored;
	return 0;
}

static int
code_of(const struct cli *cli, int status, const struct repo_backup_result *r)
{
	if (status == HF_E_EXISTS && !r->published)
		return EXIT_LOCKED;
	if (r->published && r->verify_failed)
		return EXIT_DAMAGED;
	if (r->published && r->partial)
		return EXIT_PARTIAL;
	if (status == HF_E_CORRUPT) /* the source, not a stored copy */
		return EXIT_FAILED;
	return cli_code(cli, status);
}

static const char *
verify_name(enum config_verify verify)
{
	static const char *const names[] = { "none", "readback", "deep" };

	return names[verify];
}

static json_t *
sinks_json(const struct repo_backup_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->nsinks; i++) {
		const struct repo_sink_result *s = &r->sinks[i];

		(void)json_array_append_new(list,
		    json_pack("{s:s, s:b, s:I, s:o*}", "name", s->name, "ok",
			(int)s->ok, "stored_bytes", (json_int_t)s->stored,
			"error", s->ok ? NULL : render_json_error(&s->why)));
	}
	return list;
}

/* Earlier backups that a sink lacked. */
static json_t *
completed_json(const struct repo_backup_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->ncompleted; i++) {
		const struct repo_copied *c = &r->completed[i];
		bool ok = c->how != REPO_COPIED_FAILED;

		(void)json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:b, s:o*}", "id", c->id,
			      "from", c->from, "to", c->to, "ok", (int)ok,
			      "error", ok ? NULL : render_json_error(&c->why)));
	}
	return list;
}

static json_t *
result_json(const struct config_pipeline *p, const struct repo_backup_result *r,
    int code, const struct hf_error *err)
{
	json_t *facts = json_object(), *engines = json_array(), *doc;

	for (size_t i = 0; i < r->nfacts; i++)
		(void)json_object_set_new(
		    facts, r->facts[i].key, render_string(r->facts[i].value));
	for (size_t i = 0; i < p->nsources; i++)
		(void)json_array_append_new(
		    engines, json_string(p->sources[i].plugin->desc.name));
	doc = json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:I, s:I, s:o, "
			"s:o}",
	    "pipeline", p->name, "result", exit_name(code), "exit", code,
	    "engines", engines, "id",
	    r->published ? json_string(r->id) : json_null(), "started",
	    render_json_time(r->started_ms), "ended",
	    render_json_time(r->ended_ms), "raw_bytes", (json_int_t)r->raw,
	    "objects", (json_int_t)r->nobjects, "sinks", sinks_json(r), "facts",
	    facts);
	if (r->published)
		(void)json_object_set_new(doc, "kind",
		    json_string(r->parent[0] == '\0' ? MANIFEST_FULL
						     : MANIFEST_INCREMENTAL));
	if (r->published && r->parent[0] != '\0')
		(void)json_object_set_new(
		    doc, "parent", json_string(r->parent));
	if (r->full_because[0] != '\0')
		(void)json_object_set_new(
		    doc, "full_because", render_string(r->full_because));
	if (r->verified || r->verify_failed)
		(void)json_object_set_new(doc, "verify",
		    json_pack("{s:s, s:b}", "kind", verify_name(p->verify),
			"passed", (int)!r->verify_failed));
	if (r->ncompleted > 0)
		(void)json_object_set_new(doc, "completed", completed_json(r));
	if (r->nincomplete > 0)
		(void)json_object_set_new(doc, "incomplete",
		    json_integer((json_int_t)r->nincomplete));
	if (err->status != HF_OK)
		(void)json_object_set_new(doc, "error", render_json_error(err));
	return doc;
}

static void
print_sinks(const struct repo_backup_result *r)
{
	for (size_t i = 0; i < r->nsinks; i++) {
		printf("  %s ", r->sinks[i].name);
		if (r->sinks[i].ok) {
			render_word(stdout, RENDER_GOOD, "ok");
			continue;
		}
		render_word(stdout, RENDER_BAD, "FAILED");
		printf(" (");
		render_word(stdout, RENDER_PLAIN, r->sinks[i].why.cause);
		printf(")");
	}
}

/* "  offsite: earlier backup 20261120T...  completed from nas" */
static void
print_completed(const struct repo_backup_result *r)
{
	for (size_t i = 0; i < r->ncompleted; i++) {
		const struct repo_copied *c = &r->completed[i];
		bool ok = c->how != REPO_COPIED_FAILED;

		printf("  %s: earlier backup %s  ", c->to, c->id);
		render_word(stdout, ok ? RENDER_GOOD : RENDER_WARN,
		    ok ? "completed" : "still missing");
		if (ok)
			printf(" from %s\n", c->from);
		else
			printf(" (%s)\n", c->why.cause);
	}
	if (r->nincomplete > 0)
		printf("  %zu earlier backups are still missing in a sink\n",
		    r->nincomplete);
}

/* "  incremental on 20261120T..."; nothing where nothing else was wanted. */
static void
print_kind(const struct repo_backup_result *r)
{
	if (r->parent[0] != '\0') {
		printf("  incremental on %s", r->parent);
	} else if (r->full_because[0] != '\0') {
		printf("  full (");
		render_word(stdout, RENDER_PLAIN, r->full_because);
		printf(")");
	}
}

/* "shop  sqlite  1.9 GiB -> 612 MiB  nas ok  readback ok  48.0s  20261121T..."
 */
static void
print_result(const struct config_pipeline *p,
    const struct repo_backup_result *r, int code)
{
	int64_t took = r->ended_ms - r->started_ms;

	printf("%s  ", p->name);
	for (size_t i = 0; i < p->nsources; i++)
		printf(
		    "%s%s", i == 0 ? "" : ",", p->sources[i].plugin->desc.name);
	if (r->published) {
		printf("  %s -> %s", text_size(r->raw).s,
		    text_size(stored_bytes(r)).s);
		print_sinks(r);
		if (r->verified || r->verify_failed) {
			printf("  %s ", verify_name(p->verify));
			render_word(stdout,
			    r->verify_failed ? RENDER_BAD : RENDER_GOOD,
			    r->verify_failed ? "FAILED" : "ok");
		}
	} else {
		printf("  ");
		render_word(stdout,
		    code == EXIT_LOCKED ? RENDER_WARN : RENDER_BAD,
		    code == EXIT_LOCKED        ? "locked"
		    : code == EXIT_INTERRUPTED ? "INTERRUPTED"
					       : "FAILED");
	}
	if (r->published) {
		printf("  %s  %s", text_duration(took > 0 ? took : 0).s, r->id);
		print_kind(r);
	}
	printf("\n");
}

/* A backup that exists, but not where it should: each sink has its reason, and
 * the first one's becomes that of the run. */
static void
blame_sinks(struct cli *cli, const struct config_pipeline *p,
    const struct repo_backup_result *r, struct hf_error *err)
{
	char what[200];

	for (size_t i = 0; i < r->nsinks; i++) {
		if (r->sinks[i].ok || r->sinks[i].why.status == HF_OK)
			continue;
		(void)snprintf(what, sizeof what, "%s: sink %s", p->name,
		    r->sinks[i].name);
		cli_report(cli, what, &r->sinks[i].why);
		if (err->status == HF_OK) {
			*err = r->sinks[i].why;
			error_context(err, "%s", what);
		}
	}
}

static void
report(struct batch *b, size_t at, const struct repo_backup_result *r, int code,
    struct hf_error *err)
{
	const struct config_pipeline *p = b->list[at];
	bool whole = err->status == HF_OK;

	pthread_mutex_lock(&b->lock);
	b->raw += r->published ? r->raw : 0;
	b->stored += r->published ? stored_bytes(r) : 0;
	if (b->documents != NULL) {
		(void)json_array_set_new(
		    b->documents, at, result_json(p, r, code, err));
	} else {
		progress_pause();
		print_result(p, r, code);
		print_completed(r);
		(void)fflush(stdout);
		progress_resume();
		if (!whole)
			cli_report(b->cli, p->name, err);
	}
	if (whole && code != EXIT_DONE)
		blame_sinks(b->cli, p, r, err);
	cli_tally_add(&b->tally, code, err);
	pthread_mutex_unlock(&b->lock);
}

static void
back_up(struct batch *b, size_t at)
{
	struct repo_backup_result result;
	struct cli_work work;
	struct hf_error err;
	int status;

	error_clear(&err);
	memset(&result, 0, sizeof result);
	status = cli_work_open(&work, b->cli, b->list[at], &err);
	if (status == HF_OK)
		status = repo_backup(work.repo, b->kind, &result, &err);
	progress_end(work.task);
	work.task = NULL;
	report(b, at, &result, code_of(b->cli, status, &result), &err);
	repo_backup_result_clear(&result);
	cli_work_close(&work);
}

static void *
worker(void *arg)
{
	struct batch *b = arg;

	for (;;) {
		size_t at;

		pthread_mutex_lock(&b->lock);
		at = b->next;
		if (cancel_requested(b->cli->cancel))
			at = b->n;
		if (at < b->n)
			b->next++;
		pthread_mutex_unlock(&b->lock);
		if (at >= b->n)
			return NULL;
		back_up(b, at);
	}
}

/* This thread is one of the workers; that others cannot be started is no
 * failure. */
static void
run_workers(struct batch *b, size_t jobs)
{
	pthread_t threads[64];
	size_t n = 0;

	while (n + 1 < jobs && n < sizeof threads / sizeof *threads &&
	       pthread_create(&threads[n], NULL, worker, b) == 0)
		n++;
	(void)worker(b);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
}

static int
finish(struct batch *b)
{
	size_t left = b->n - b->tally.total, ok;

	if (b->documents != NULL) {
		(void)render_json(json_pack("{s:O}", "backups", b->documents),
		    stdout, &b->cli->err);
	} else if (b->n > 1) {
		ok = b->tally.total - b->tally.failed;
		printf("%zu pipelines: %zu ok", b->n, ok);
		if (b->tally.failed != 0)
			printf(", %zu failed", b->tally.failed);
		if (left != 0)
			printf(", %zu not started", left);
		printf(", %s -> %s\n", text_size(b->raw).s,
		    text_size(b->stored).s);
	}
	if (cancel_requested(b->cli->cancel))
		b->tally.code = EXIT_INTERRUPTED;
	return cli_tally_end(&b->tally, b->cli);
}

/* Nobody shall back up a whole fleet by forgetting a word. */
static int
need_names(struct cli *cli)
{
	char names[400] = "";

	for (size_t i = 0; i < cli->config->npipelines; i++) {
		size_t len = strlen(names);

		if (len + strlen(cli->config->pipelines[i].name) + 8 >
		    sizeof names) {
			(void)snprintf(
			    names + len, sizeof names - len, ", ...");
			break;
		}
		(void)snprintf(names + len, sizeof names - len, "%s%s",
		    len == 0 ? "" : ", ", cli->config->pipelines[i].name);
	}
	error_fail(&cli->err, HF_E_INVALID, "backup needs a pipeline or --all");
	error_hint(&cli->err, "The pipelines are: %s.", names);
	return cli_failed(cli);
}

static int
pick(struct cli *cli, struct batch *b)
{
	bool all = args_count(cli->args, OPT_ALL) != 0;

	if (cli_load_config(cli) != HF_OK)
		return cli_failed(cli);
	if (all && args_noperands(cli->args) != 0) {
		error_fail(&cli->err, HF_E_INVALID,
		    "--all and names of pipelines exclude each other");
		error_hint(&cli->err, "Leave one of them out.");
		return cli_failed(cli);
	}
	if (!all && args_noperands(cli->args) == 0)
		return need_names(cli);
	(void)cli_pick_pipelines(cli, &b->list, &b->n);
	return cli_failed(cli);
}

static int
read_kind(struct cli *cli, enum repo_backup_kind *kind)
{
	bool full = args_count(cli->args, OPT_FULL) != 0,
	     incremental = args_count(cli->args, OPT_INCREMENTAL) != 0;

	*kind = full          ? REPO_BACKUP_FULL
		: incremental ? REPO_BACKUP_INCREMENTAL
			      : REPO_BACKUP_CONFIGURED;
	if (!full || !incremental)
		return HF_OK;
	error_fail(&cli->err, HF_E_INVALID,
	    "--full and --incremental exclude each other");
	error_hint(&cli->err, "Leave one of them out.");
	return HF_E_INVALID;
}

int
cli_backup(struct cli *cli)
{
	struct batch b;
	int64_t jobs;
	int code;

	memset(&b, 0, sizeof b);
	b.cli = cli;
	if (args_number(cli->args, OPT_JOBS, 1, 64, 1, &jobs, &cli->err) !=
		HF_OK ||
	    read_kind(cli, &b.kind) != HF_OK)
		return cli_failed(cli);
	code = pick(cli, &b);
	if (code != EXIT_DONE)
		return code;
	if (args_count(cli->args, OPT_DRY_RUN) != 0) {
		code = backup_dry(cli, b.kind, b.list, b.n);
		free(b.list);
		return code;
	}
	if (cli_start_flow(cli) != HF_OK) {
		free(b.list);
		return cli_failed(cli);
	}
	if (cli->json) {
		b.documents = json_array();
		for (size_t i = 0; i < b.n; i++)
			(void)json_array_append_new(b.documents,
			    json_pack("{s:s, s:s}", "pipeline", b.list[i]->name,
				"result", "not started"));
	}
	(void)pthread_mutex_init(&b.lock, NULL);
	progress_start(cli->quiet, b.n);
	run_workers(&b, (size_t)jobs);
	progress_stop();
	code = finish(&b);
	(void)pthread_mutex_destroy(&b.lock);
	json_decref(b.documents);
	free(b.list);
	return code;
}
