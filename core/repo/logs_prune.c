/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "plugin/engine.h"
#include "plugin/host.h"
#include "repo/log.h"
#include "repo/logs_private.h"

struct surplus {
	char **names;
	size_t n;
};

static int
add_name(void *arg, const struct hf_object *o)
{
	struct surplus *s = arg;
	char **grown = realloc(s->names, (s->n + 1) * sizeof *grown);

	if (grown == NULL)
		return HF_E_NOMEM;
	s->names = grown;
	if ((grown[s->n] = strdup(o->key)) == NULL)
		return HF_E_NOMEM;
	s->n++;
	return 0;
}

static int
remove_surplus(struct logs_session *s, struct logs_prune *job,
    const struct logs_facts *facts, size_t whole, struct hf_error *err)
{
	struct hf_out *out = repo_log_out(s->log);
	struct surplus surplus = { 0 };
	int rc;

	rc = engine_log_surplus(s->source.engine, repo_log_in(s->log),
	    facts->ins, facts->n, whole, add_name, &surplus, err);
	if (rc == HF_E_NOMEM)
		(void)repo_nomem(err);
	for (size_t i = 0; i < surplus.n && rc == HF_OK; i++) {
		if (!job->dry_run)
			rc = out->ops->remove(out, surplus.names[i], err);
		job->removed += rc == HF_OK;
	}
	for (size_t i = 0; i < surplus.n; i++)
		free(surplus.names[i]);
	free(surplus.names);
	return rc;
}

int
logs_prune(
    struct repo *r, size_t i, struct logs_prune *job, struct hf_error *err)
{
	struct logs_facts facts = { 0 };
	size_t whole = 0;
	struct logs_session s;
	uint32_t kinds;
	int rc;

	if ((rc = logs_kinds(r, i, &kinds, err)) != HF_OK || kinds == 0)
		return rc;
	for (size_t k = 0; k < job->nkept && rc == HF_OK; k++) {
		/* Not each backup has this source. */
		if (k == job->whole)
			whole = facts.n;
		rc = logs_facts_add(r, i, job->kept[k], &facts, err);
	}
	if (rc == HF_OK && facts.n > 0 &&
	    (rc = logs_session_open(r, i, NULL, &s, err)) == HF_OK) {
		if (whole >= facts.n)
			whole = facts.n - 1;
		rc = remove_surplus(&s, job, &facts, whole, err);
		logs_session_close(&s);
	}
	logs_facts_free(&facts);
	return rc;
}
