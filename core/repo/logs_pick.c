/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "plugin/engine.h"
#include "plugin/options.h"
#include "repo/links.h"
#include "repo/log.h"
#include "repo/logs_private.h"

struct choice {
	struct repo *r;
	size_t source;
	struct logs_session session;
	struct hf_request request;
	struct options *options;
	struct hf_error first; /* what the newest old enough failed of */
	int64_t at_ms;
};

static int
reaches(struct choice *c, const struct repo_backup_entry *e,
    const struct manifest_source *s, struct hf_error *err)
{
	struct hf_in *in;
	int rc;

	if ((rc = repo_facts_in(s, e->id, e->ended_ms, &in, err)) != HF_OK)
		return rc;
	rc = engine_log_reach(c->session.source.engine, &c->request, in, err);
	repo_facts_in_free(in);
	return rc;
}

/* Newest first, so that the least has to be replayed. */
static int
choose(struct choice *c, const struct repo_catalog *catalog,
    const struct repo_backup_entry *only, const struct repo_backup_entry **out,
    struct hf_error *err)
{
	bool telling = false;

	for (size_t n = catalog->n; n > 0; n--) {
		const struct repo_backup_entry *e = &catalog->entries[n - 1];
		const struct manifest_source *s;
		struct hf_error why = { 0 };
		int rc;

		if ((only != NULL && e != only) ||
		    (s = logs_source_of(c->r, e, c->source)) == NULL)
			continue;
		rc = reaches(c, e, s, &why);
		if (rc == HF_OK) {
			*out = e;
			return HF_OK;
		}
		/* The engine cannot tell: then as without a log. */
		if (rc == HF_E_UNSUPPORTED)
			break;
		if (rc != HF_E_NOTFOUND) {
			*err = why;
			return rc;
		}
		/* One that was begun too late says only that. */
		if (c->first.status == HF_OK ||
		    (!telling && c->at_ms != 0 && e->ended_ms <= c->at_ms)) {
			c->first = why;
			telling = e->ended_ms <= c->at_ms;
		}
	}
	if (c->first.status != HF_OK) {
		*err = c->first;
		return err->status;
	}
	/* Nothing could be asked: never another one than was named. */
	if (only == NULL)
		return repo_pick(catalog, NULL, c->at_ms, out, err);
	*out = only;
	return HF_OK;
}

/* The source to restore, when it keeps a log. */
static int
chosen_source(struct repo *r, const char *name, size_t *source, bool *has,
    struct hf_error *err)
{
	const struct config_pipeline *p = r->pipeline;
	uint32_t kinds = 0;
	int rc;

	*has = false;
	for (size_t i = 0; i < p->nsources; i++) {
		if (name == NULL ? p->nsources > 1
				 : strcmp(name, p->sources[i].name) != 0)
			continue;
		if ((rc = logs_kinds(r, i, &kinds, err)) != HF_OK)
			return rc;
		*source = i;
		*has = kinds != 0;
		break;
	}
	return HF_OK;
}

static int
pick_of(struct repo *r, const struct repo_catalog *catalog,
    const char *selector, int64_t at_ms,
    const struct repo_restore_options *opts,
    const struct repo_backup_entry **out, struct hf_error *err)
{
	struct choice c = { .r = r, .at_ms = at_ms };
	const struct repo_backup_entry *only = NULL;
	struct hf_error own = { 0 };
	bool has;
	int rc;

	if (err == NULL)
		err = &own;
	if ((rc = chosen_source(r, opts->source, &c.source, &has, err)) !=
	    HF_OK)
		return rc;
	if (!has)
		return repo_pick(catalog, selector, at_ms, out, err);
	if (selector != NULL && strcmp(selector, "latest") != 0 &&
	    (rc = repo_pick(catalog, selector, 0, &only, err)) != HF_OK)
		return rc;
	if ((rc = source_restore_options(r,
		 r->pipeline->sources[c.source].plugin, opts->args, &c.options,
		 err)) != HF_OK)
		return rc;
	if ((rc = logs_session_open(r, c.source, NULL, &c.session, err)) ==
	    HF_OK) {
		c.request =
		    (struct hf_request){ .struct_size = sizeof c.request,
			    .kind = HF_KIND_FULL,
			    .max_streams = repo_streams(r),
			    .target = opts->target,
			    .until = opts->until,
			    .log = repo_log_in(c.session.log) };
		if (c.options != NULL)
			c.request.restore_conf = options_conf(c.options);
		rc = choose(&c, catalog, only, out, err);
		logs_session_close(&c.session);
	}
	options_free(c.options);
	return rc;
}

/* Would a restore of it fail, as it builds on what nobody has?  Or as it is not
 * in the only sink that is to be read?  id gets what is missing.  One whose
 * manifest is damaged is not passed over for that. */
static bool
passed_over(const struct repo *r, const struct repo_catalog *c,
    const struct repo_backup_entry *e, const char *sink, char id[40])
{
	if (links_whole(r, c, e, sink, id))
		return false;
	if (strcmp(id, e->id) != 0)
		return true;
	for (size_t i = 0; i < r->nsinks && sink != NULL; i++)
		if (strcmp(sink, r->sinks[i].name) == 0)
			return e->copies[i].state == REPO_COPY_ABSENT;
	return false;
}

/* The same catalogue without them, as far as that leaves any. */
static int
whole_ones(struct repo *r, const struct repo_catalog *c, const char *sink,
    struct repo_catalog *view, struct hf_error *err)
{
	*view = *c;
	view->n = 0;
	view->entries = calloc(c->n + 1, sizeof *view->entries);
	if (view->entries == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < c->n; i++) {
		char id[40];

		if (!passed_over(r, c, &c->entries[i], sink, id))
			view->entries[view->n++] = c->entries[i];
	}
	return HF_OK;
}

static void
tell_passed(struct repo *r, const struct repo_catalog *c, const char *sink,
    int64_t at_ms, const struct repo_backup_entry *chosen)
{
	for (const struct repo_backup_entry *e = chosen + 1;
	     e < c->entries + c->n; e++) {
		char id[40];

		if ((at_ms != 0 && e->ended_ms > at_ms) ||
		    !passed_over(r, c, e, sink, id))
			continue;
		if (strcmp(id, e->id) == 0)
			log_write(HF_LOG_WARN, "restore.sink", NULL,
			    "pipeline %s: backup %s is passed over: sink %s "
			    "has no copy of it",
			    r->pipeline->name, id, sink);
		else
			log_write(HF_LOG_WARN, "restore.chain", NULL,
			    "pipeline %s: backup %s is passed over: it builds "
			    "on %s, of which there is no copy%s%s",
			    r->pipeline->name, e->id, id,
			    sink == NULL ? "" : " in sink ",
			    sink == NULL ? "" : sink);
	}
}

int
logs_pick(struct repo *r, const struct repo_catalog *catalog,
    const char *selector, int64_t at_ms,
    const struct repo_restore_options *opts,
    const struct repo_backup_entry **out, struct hf_error *err)
{
	bool named = selector != NULL && strcmp(selector, "latest") != 0;
	struct repo_catalog view;
	size_t at = 0;
	int rc;

	if (named)
		return pick_of(r, catalog, selector, at_ms, opts, out, err);
	if ((rc = whole_ones(r, catalog, opts->sink, &view, err)) != HF_OK)
		return rc;
	if (view.n == 0 || view.n == catalog->n) {
		rc = pick_of(r, catalog, selector, at_ms, opts, out, err);
	} else if ((rc = pick_of(r, &view, selector, at_ms, opts, out, err)) ==
		   HF_OK) {
		while (strcmp(catalog->entries[at].id, (*out)->id) != 0)
			at++;
		*out = &catalog->entries[at];
		tell_passed(r, catalog, opts->sink, at_ms, *out);
	}
	free(view.entries);
	return rc;
}
