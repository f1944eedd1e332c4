/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "repo/lease.h"
#include "repo/logs.h"
#include "repo/repo_private.h"

static void
newest(const struct repo_catalog *c, struct repo_status *st, size_t require)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct repo_backup_entry *e = &c->entries[i];
		size_t present = 0, bad = 0, broken = 0;

		for (size_t s = 0; s < c->nsinks; s++) {
			const struct repo_copy *copy = &e->copies[s];

			present += copy->state == REPO_COPY_PRESENT;
			if (copy->state != REPO_COPY_PRESENT)
				continue;
			broken += copy->lacks[0] != '\0';
			bad +=
			    copy->lacks[0] != '\0' || catalog_copy_failed(copy);
			if (copy->lacks[0] == '\0' && copy->check.passed &&
			    copy->check.at_ms > st->verified_ms)
				st->verified_ms = copy->check.at_ms;
		}
		if (present == 0)
			continue;
		/* Entries are sorted, so the last one stays. */
		st->nbackups++;
		st->last_success_ms = e->started_ms;
		memcpy(st->last_id, e->id, sizeof st->last_id);
		st->copies_missing = present < require ? require - present : 0;
		st->copies_failed = bad;
		st->copies_broken = broken;
	}
}

static void
running(struct repo *r, struct repo_status *st)
{
	for (size_t i = 0; i < r->nsinks && !st->running; i++) {
		struct lease_info *infos = NULL, *top;
		unsigned n = 0;

		if (r->sinks[i].store == NULL || r->sinks[i].stuck ||
		    lease_list(r->sinks[i].store, r->pipeline->name, &infos, &n,
			NULL) != HF_OK)
			continue;
		top = n > 0 ? &infos[n - 1] : NULL;
		if (top != NULL && !top->released && !top->dead &&
		    !top->expired) {
			st->running = true;
			(void)snprintf(st->running_host,
			    sizeof st->running_host, "%s", top->host);
			(void)snprintf(st->running_verb,
			    sizeof st->running_verb, "%s", top->verb);
		}
		free(infos);
	}
}

static int
on_span(void *arg, const struct hf_span *span)
{
	struct repo_status *st = arg;

	if (span->gap == NULL && span->branch == NULL &&
	    span->to * 1000 > st->log_until_ms)
		st->log_until_ms = span->to * 1000;
	return 0;
}

/* What cannot be asked protects nothing. */
static void
look_at_logs(
    struct repo *r, const struct repo_catalog *catalog, struct repo_status *st)
{
	for (size_t i = 0; i < r->pipeline->nsources; i++) {
		struct hf_error err = { 0 };
		uint32_t kinds;
		int rc = logs_kinds(r, i, &kinds, &err);

		if (rc == HF_OK && kinds == 0)
			continue;
		if (rc == HF_OK)
			rc = logs_spans(r, i, catalog, on_span, st, &err);
		/* Only where what is in the log continues a backup. */
		if (rc == HF_OK && st->log_until_ms != 0 &&
		    logs_current(r, i) > st->log_until_ms)
			st->log_until_ms = logs_current(r, i);
		if (rc != HF_OK)
			log_write(HF_LOG_INFO, "status.log",
			    r->pipeline->sources[i].name,
			    "pipeline %s: what its log reaches is not known: "
			    "%s",
			    r->pipeline->name, err.cause);
	}
}

int
repo_status(struct repo *r, struct repo_status *st, struct hf_error *err)
{
	struct repo_catalog catalog;
	int64_t rpo = r->pipeline->rpo_ms, safe_ms;
	int rc;

	*st = (struct repo_status){ 0 };
	if ((rc = catalog_list(r, &catalog, err)) != HF_OK)
		return rc;
	newest(&catalog, st, r->pipeline->require);
	running(r, st);
	if (st->nbackups > 0)
		look_at_logs(r, &catalog, st);
	repo_catalog_clear(&catalog);
	if (st->nbackups == 0)
		st->copies_missing = r->pipeline->require;
	safe_ms = st->log_until_ms > st->last_success_ms ? st->log_until_ms
							 : st->last_success_ms;
	st->stale =
	    st->nbackups == 0 || (rpo > 0 && text_now() - safe_ms > rpo);
	return HF_OK;
}
