/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "plugin/engine.h"
#include "repo/log.h"
#include "repo/logs_private.h"

struct verifying {
	struct repo *r;
	char *subject;
	json_t *findings;
	int worst;
};

static int
on_finding(void *arg, const struct hf_finding *f)
{
	static const char *const words[] = { "pass", "warn", "fail" };
	struct verifying *v = arg;
	int verdict = f->verdict < HF_PASS   ? HF_PASS
		      : f->verdict > HF_FAIL ? HF_FAIL
					     : f->verdict;

	if (verdict > v->worst)
		v->worst = verdict;
	repo_found(v->r, v->subject, f);
	return json_array_append_new(v->findings,
		   json_pack("{s:s, s:o, s:o}", "verdict", words[verdict],
		       "check", repo_text(f->check == NULL ? "" : f->check),
		       "result",
		       repo_text(f->result == NULL ? "" : f->result))) == 0
		   ? HF_OK
		   : HF_E_NOMEM;
}

static void
record(struct verifying *v, int64_t started_ms, const struct hf_error *err)
{
	char id[40]; /* a log is no backup: that of this verification */
	json_t *doc;

	manifest_new_id(started_ms, id);
	doc = report_head(v->r, "verify-log", id, started_ms, text_now());
	if (doc == NULL)
		return;
	(void)json_object_set_new(doc, "passed",
	    json_boolean(err->status == HF_OK && v->worst < HF_FAIL));
	(void)json_object_set(doc, "findings", v->findings);
	if (err->status != HF_OK)
		(void)json_object_set_new(doc, "error", report_error(err));
	report_write(v->r, "verify-log", id, started_ms, doc);
	json_decref(doc);
}

int
logs_verify(struct repo *r, size_t i, const struct repo_catalog *c, int *worst,
    struct hf_error *err)
{
	struct verifying v = { .r = r, .findings = json_array() };
	struct hf_error own = { 0 };
	int64_t started = text_now();
	struct logs_facts facts;
	struct logs_session s;
	int rc;

	if (err == NULL)
		err = &own;
	v.subject = text_format("log of %s", r->pipeline->sources[i].name);
	if (v.subject == NULL || v.findings == NULL) {
		rc = repo_nomem(err);
		goto out;
	}
	if ((rc = logs_facts_read(r, i, c, &facts, err)) != HF_OK)
		goto out;
	if ((rc = logs_session_open(r, i, NULL, &s, err)) == HF_OK) {
		rc = engine_log_verify(s.source.engine, repo_log_in(s.log),
		    facts.ins, facts.n, on_finding, &v, err);
		logs_session_close(&s);
	}
	logs_facts_free(&facts);
	if (rc == HF_OK)
		error_clear(err);
	record(&v, started, err);
out:
	*worst = v.worst;
	json_decref(v.findings);
	free(v.subject);
	return rc;
}
