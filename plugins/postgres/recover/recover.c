/* SPDX-License-Identifier: BSD-2-Clause */
#include "recover.h"

#include "../base/base.h"
#include "cluster.h"
#include "copy.h"
#include "postgres.h"
#include "private.h"
#include "rehearse.h"
#include "settings.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KNOWN_FLAGS (HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE)

static int
check_request(const struct hf_request *r, struct hf_error *err)
{
	if ((r->flags & ~KNOWN_FLAGS) != 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "unknown restore flags 0x%x", r->flags);
	if (r->target == NULL)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Name a folder with --to, for a data directory; or a "
		    "database (\"host=db dbname=shop_then\"), to have one "
		    "database out of the backup.",
		    "a physical backup is not restored over its server");
	return HF_OK;
}

/* A conninfo has '=' in front of any '/', or is a URI; a plain word is a
 * database on the source's server. */
static bool
is_path(const char *target)
{
	size_t n = strcspn(target, "/=");

	if (strncmp(target, "postgres://", 11) == 0 ||
	    strncmp(target, "postgresql://", 13) == 0)
		return false;
	return target[n] == '/' || strcmp(target, ".") == 0 ||
	       strcmp(target, "..") == 0;
}

static int
absolute(const char *target, struct text *out, struct hf_error *err)
{
	char *cwd = NULL;

	if (target[0] != '/') {
		if ((cwd = getcwd(NULL, 0)) == NULL)
			return H->fail_errno(
			    err, errno, "looking up the current folder");
		while (strncmp(target, "./", 2) == 0)
			target += 2;
		text_addf(out, "%s/", cwd);
		free(cwd);
	}
	text_add(out, target);
	return text_ok(out, err);
}

/* ---- the way to the WAL ---- */

static bool
wal_included(struct hf_in *in)
{
	const char *wal = H->in_fact(in, BASE_FACT_WAL);

	return wal != NULL && strcmp(wal, "included") == 0;
}

static int
command(const struct hf_request *r, struct hf_in *in,
    const struct recover_target *t, struct text *out, struct hf_error *err)
{
	const struct restore_conf *conf = r->restore_conf;

	if (conf != NULL && conf->restore_command != NULL) {
		text_add(out, conf->restore_command);
	} else if (r->log_command != NULL) {
		settings_command(out, r->log_command);
	} else if (!wal_included(in)) {
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Give the pipeline its \"wal\" settings again, or say with "
		    "-o restore_command=... where the server finds WAL.",
		    "the backup needs WAL, and the pipeline keeps none");
	} else if (t->kind != RECOVER_LATEST && t->kind != RECOVER_IMMEDIATE) {
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Leave the target out, or say with -o restore_command=... "
		    "where the server finds more WAL.",
		    "the pipeline keeps no WAL: the end of the backup is all "
		    "that can be reached");
	} else {
		/* There is no more than the backup has.  The server gets a
		 * timeline of its own all the same, so that what it writes is
		 * never taken for the source's. */
		text_add(out, "false");
	}
	return text_ok(out, err);
}

/* ---- what was done ---- */

static void
tell(const struct hf_ctx *ctx, const char *key, const struct text *value)
{
	if (!value->failed)
		H->result(ctx, key, text_get(value));
}

static const char *
how_it_ends(const struct recover_target *t)
{
	if (t->kind == RECOVER_LATEST)
		return "the server opens there by itself";
	if (strcmp(t->action, "promote") == 0)
		return "the server opens there by itself";
	if (strcmp(t->action, "shutdown") == 0)
		return "the server shuts down there";
	return "the server pauses there, readable: look, then SELECT "
	       "pg_wal_replay_resume() opens it";
}

static void
tell_all(const struct cluster *c)
{
	const struct hf_ctx *ctx = c->e->ctx;
	struct text t = { 0 };

	H->result(ctx, "data_directory", c->dir);
	text_addf(&t, "%zu, %" PRIu64 " bytes", c->files, c->bytes);
	tell(ctx, "files", &t);
	text_reset(&t);
	if (c->links.n > 1) {
		text_addf(&t, "%zu, on a full backup", c->links.n - 1);
		tell(ctx, "increments", &t);
		text_reset(&t);
	}
	settings_describe(&t, c->target);
	tell(ctx, "recovery", &t);
	H->result(ctx, "then", how_it_ends(c->target));
	text_reset(&t);
	text_add(&t, "pg_ctl -D '");
	for (const char *s = c->dir; *s != '\0'; s++) {
		if (*s == '\'')
			text_add(&t, "'\\'");
		text_add_n(&t, s, 1);
	}
	text_add(&t, "' start");
	if (geteuid() == 0)
		text_addf(&t, ", as %s", c->e->conf.run_as);
	tell(ctx, "start", &t);
	if (!c->configured)
		H->result(ctx, "configuration",
		    "the server's own was not below its data directory, so it "
		    "is not in the backup: a minimal one was written");
	text_free(&t);
}

static int
to_folder(struct hf_engine *e, const struct hf_request *r,
    const struct links *links, const struct recover_target *t,
    struct hf_error *err)
{
	struct text dir = { 0 }, line = { 0 };
	struct cluster c = { .e = e, .req = r, .links = *links, .target = t };
	int rc;

	if ((r->flags & HF_RESTORE_IN_PLACE) != 0)
		return postgres_fail_hint(err, HF_E_UNSUPPORTED,
		    "Restore to a folder beside it; when it is good, stop the "
		    "server and exchange their names.",
		    "a data directory is not replaced: the server's would be "
		    "gone before the restored one had recovered");
	if ((rc = absolute(r->target, &dir, err)) == HF_OK &&
	    (rc = command(r, links_last(links), t, &line, err)) == HF_OK) {
		c.dir = text_get(&dir);
		c.restore_command = text_get(&line);
		rc = cluster_restore(&c, err);
	}
	if (rc == HF_OK) {
		tell_all(&c);
		rehearse_fetch(&c);
	}
	text_free(&dir);
	text_free(&line);
	return rc;
}

/* To look at a backup its end is enough, unless more was asked for. */
static void
look_only(const struct hf_request *r, struct recover_target *t)
{
	const struct restore_conf *conf = r->restore_conf;

	if (t->kind != RECOVER_LATEST || (conf != NULL && conf->target != NULL))
		return;
	t->kind = RECOVER_IMMEDIATE;
	(void)snprintf(t->timeline, sizeof t->timeline, "current");
}

int
recover_run(struct hf_engine *e, const struct hf_request *r,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	const struct links links = { in, n };
	struct recover_target t;
	int rc;

	if ((rc = check_request(r, err)) != HF_OK ||
	    (rc = links_check(&links, err)) != HF_OK ||
	    (rc = recover_target(r, &t, err)) != HF_OK)
		return rc;
	if (!is_path(r->target))
		return copy_run(e, r, &links, &t, err);
	if (private_is(e, r->target)) {
		look_only(r, &t);
		return private_fill(e, r, &links, &t, err);
	}
	return to_folder(e, r, &links, &t, err);
}
