/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "config/config.h"
#include "plugin/engine.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "repo/links.h"
#include "repo/logs.h"
#include "repo/repo_private.h"

#define TARGET_MAX 4096

struct look {
	struct check *c;
	struct links *chain;
	const char *source;
	int failed; /* findings that were failures */
	char first[160];
};

static int
on_finding(void *arg, const struct hf_finding *f)
{
	struct look *look = arg;

	if (f->verdict >= HF_FAIL && look->failed++ == 0)
		(void)snprintf(look->first, sizeof look->first, "%s: %s",
		    f->check == NULL ? "?" : f->check,
		    f->result == NULL ? "" : f->result);
	check_finding(look->c, look->source, f);
	return HF_OK;
}

static void
told(struct look *look, int verdict, const char *result)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = verdict,
		.check = "scratch restore",
		.result = result };

	(void)on_finding(look, &f);
}

static int
inspect(struct look *look, struct engine *engine, const char *target,
    struct hf_in *in, struct hf_error *err)
{
	int rc = engine_inspect(engine, target, in, on_finding, look, err);

	if (rc == HF_E_UNSUPPORTED) {
		/* That it could be restored is something all the same. */
		error_clear(err);
		rc = HF_OK;
	}
	if (rc != HF_OK)
		return error_context(err, "inspecting the restored copy");
	if (look->failed > 0)
		return error_fail(err, HF_E_CORRUPT,
		    "the restored copy is not sound: %s", look->first);
	return HF_OK;
}

static int
restore_and_look(struct look *look, const struct manifest_source *s,
    struct source *source, const struct plugin *plugin, const char *dir,
    struct hf_error *err)
{
	struct hf_in *const *ins;
	struct check *c = look->c;
	struct hf_request request = { .struct_size = sizeof request,
		.kind = HF_KIND_FULL,
		.max_streams = repo_streams(c->r) };
	char target[TARGET_MAX] = "";
	struct options *options = NULL;
	struct logs_attached log;
	struct links *chain = look->chain;
	size_t n;
	int rc;

	rc = engine_scratch(source->engine, dir, target, sizeof target, err);
	if (rc == HF_E_UNSUPPORTED) {
		error_clear(err);
		told(look, HF_WARN,
		    "this engine cannot restore to a scratch place");
		return HF_OK;
	}
	if (rc != HF_OK)
		return rc;
	if ((rc = source_restore_options(c->r, plugin, NULL, &options, err)) !=
	    HF_OK)
		return rc;
	if ((rc = links_source(chain, s->name, err)) != HF_OK ||
	    (rc = links_read(chain, err)) != HF_OK)
		goto out;
	ins = links_ins(chain, &n);
	request.target = target;
	request.restore_conf = options == NULL ? NULL : options_conf(options);
	if ((rc = logs_attach(c->r, s->name, source->engine, &request, &log,
		 err)) == HF_OK) {
		rc = engine_restore(source->engine, &request, ins, n, err);
		if (rc == HF_OK) {
			told(look, HF_PASS, "restored");
			rc = inspect(
			    look, source->engine, target, ins[n - 1], err);
		} else if (links_failed(chain)) {
			/* Says more than what the engine made of it. */
			error_clear(err);
			rc = links_read(chain, err);
		}
		logs_detach(&log);
	}
	engine_discard(source->engine, target);
out:
	options_free(options);
	return rc;
}

static int
deep_source(struct check *c, struct links *chain,
    const struct manifest_source *s, const char *dir, struct hf_error *err)
{
	struct look look = { .c = c, .chain = chain, .source = s->name };
	const struct config_item *item;
	struct source source;
	int rc;

	if ((rc = source_find(c->r, s, c->m, &item, err)) != HF_OK ||
	    (rc = source_open(c->r, item, NULL, &source, err)) != HF_OK)
		return rc;
	rc = restore_and_look(&look, s, &source, item->plugin, dir, err);
	source_close(&source);
	return rc;
}

int
deep_check(struct check *c)
{
	struct repo_backup_entry e = { 0 };
	struct hf_error err = { 0 };
	struct links *chain = NULL;
	struct scratch scratch;
	int rc = HF_OK;

	if (scratch_new(c->r->env.config->scratch_dir, &scratch, &err) != HF_OK)
		return check_failed(c, "scratch restore", &err);
	/* All that it builds on from this sink, whose copies are checked. */
	if (catalog_entry_in(c->r, c->m->id, c->sink, &e, &err) != HF_OK ||
	    links_open(c->r, &e, c->r->sinks[c->sink].name, NULL, &chain,
		&err) != HF_OK) {
		rc = check_failed(c, "scratch restore", &err);
		goto out;
	}
	for (size_t i = 0; i < c->m->nsources && rc == HF_OK; i++) {
		const struct manifest_source *s = &c->m->sources[i];

		error_clear(&err);
		if (deep_source(c, chain, s, scratch.path, &err) != HF_OK) {
			(void)error_context(
			    &err, "restoring source %s to scratch", s->name);
			rc = check_failed(c, "scratch restore", &err);
		}
	}
out:
	links_close(chain);
	catalog_entry_clear(&e, c->r->nsinks);
	scratch_free(&scratch);
	return rc;
}
