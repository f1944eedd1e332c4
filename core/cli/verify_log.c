/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify_log.h"

#include "base/log.h"
#include "cli/cli.h"
#include "cli/findings.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "config/config.h"
#include "repo/logs.h"

static void
on_finding(void *arg, const char *subject, const struct hf_finding *f)
{
	findings_add(arg, subject, f->verdict,
	    f->check == NULL ? "?" : f->check,
	    f->result == NULL ? "" : f->result, f->hint);
}

static void
tell(const struct cli_work *work, const struct findings *found,
    const char *source, json_t *json, const struct hf_error *err)
{
	if (json == NULL) {
		progress_pause();
		findings_print(found, 0);
		(void)fflush(stdout);
		progress_resume();
		if (err->status != HF_OK)
			cli_report(work->cli, work->pipeline->name, err);
		return;
	}
	(void)json_array_append_new(json,
	    json_pack("{s:s, s:s, s:s, s:b, s:o, s:o*}", "pipeline",
		work->pipeline->name, "source", source, "kind", "log", "passed",
		err->status == HF_OK, "findings", findings_json(found, 0),
		"error", err->status == HF_OK ? NULL : render_json_error(err)));
}

static int
verify_source(struct cli_work *work, const struct repo_catalog *catalog,
    size_t source, json_t *json, struct hf_error *err)
{
	const char *name = work->pipeline->sources[source].name;
	struct findings found;
	uint32_t kinds;
	int worst, code;

	/* A secret that is not there concerns who backs up. */
	if (logs_kinds(work->repo, source, &kinds, err) != HF_OK) {
		log_write(HF_LOG_WARN, "verify.log", name,
		    "whether it keeps a log is not known, so none is "
		    "verified: %s",
		    err->cause);
		return EXIT_DONE;
	}
	if (kinds == 0)
		return EXIT_DONE;
	findings_init(&found);
	work->events.finding = on_finding;
	work->events.arg = &found;
	work->events.progress = NULL;
	if (logs_verify(work->repo, source, catalog, &worst, err) == HF_OK &&
	    worst >= HF_FAIL)
		(void)error_fail(err, HF_E_CORRUPT,
		    "the log of source %s is not whole", name);
	code = cli_code(work->cli, err->status);
	tell(work, &found, name, json, err);
	findings_free(&found);
	return code;
}

int
verify_log(struct cli_work *work, const struct repo_catalog *catalog,
    json_t *json, struct hf_error *err)
{
	const struct repo_events events = work->events;
	int code = EXIT_DONE;

	for (size_t i = 0; i < work->pipeline->nsources; i++) {
		struct hf_error why = { 0 };
		int one = verify_source(work, catalog, i, json, &why);

		work->events = events;
		if (one != EXIT_DONE && code == EXIT_DONE)
			*err = why;
		code = exit_worst(code, one);
	}
	return code;
}
