/* SPDX-License-Identifier: BSD-2-Clause */
#include "globals.h"

#include "conn.h"
#include "conninfo.h"
#include "layout.h"
#include "object.h"
#include "postgres.h"
#include "program.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define GLOBALS_MAX ((size_t)256 << 20)

/* env with the one style of dates that every server reads alike: pg_dumpall
 * takes what the database has set, and writes VALID UNTIL so.  The strings
 * stay env's. */
static char **
plain_dates(char *const *env, struct hf_error *err)
{
	static char dates[] = "PGDATESTYLE=ISO";
	char **with;
	size_t n = 0, to = 0;

	while (env[n] != NULL)
		n++;
	if ((with = calloc(n + 2, sizeof *with)) == NULL) {
		(void)postgres_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (strncmp(env[i], dates, sizeof "PGDATESTYLE") != 0)
			with[to++] = env[i];
	with[to] = dates;
	return with;
}

static int
capture(const struct hf_ctx *ctx, const struct program *p,
    const struct conninfo *info, const char *const *options, char **sql,
    size_t *len, struct hf_error *err)
{
	/* The whole path: it looks for pg_dump beside its own. */
	const char *argv[16] = { p->path, "--globals-only", "-w" };
	struct child_options o = { .path = p->path,
		.argv = (char *const *)(const void *)argv,
		.in = -1,
		.out = -1,
		.death_signal = 15 };
	char *text, **env = NULL, **with = NULL;
	size_t n = 3;
	int rc = HF_E_NOMEM;

	if ((text = conninfo_text(info, err)) == NULL)
		return HF_E_NOMEM;
	while (*options != NULL && n < 12)
		argv[n++] = *options++;
	argv[n++] = "-d";
	argv[n] = text;
	if ((env = conninfo_env(info, err)) != NULL &&
	    (with = plain_dates(env, err)) != NULL) {
		o.env = with;
		rc = child_capture(
		    ctx, &o, GLOBALS_MAX, sql, len, "pg_dumpall", err);
	}
	free(with);
	free(env);
	free(text);
	return rc;
}

/* pg_dumpall does not tell why it could not connect: we are told, where we
 * cannot either.  It comes beside our own, as it did. */
static int
explain(const struct hf_ctx *ctx, const struct conninfo *info,
    const struct conn *ours, int failed, struct hf_error *err)
{
	struct conn *c;

	if (failed != HF_E_IO || H->cancelled(ctx))
		return failed;
	if (conn_open(ctx, info, PQdb(ours->pg), NULL, &c, err) == HF_OK) {
		conn_close(c);
		return failed;
	}
	return H->fail_context(err,
	    "connecting for pg_dumpall; a backup has several connections at "
	    "once");
}

/* May hashes of passwords be read, and are they wanted? */
static int
passwords(
    const struct conf *conf, struct conn *c, bool *yes, struct hf_error *err)
{
	char *may;
	int rc;

	*yes = false;
	if ((rc = conn_value(c, &may, err,
		 "SELECT pg_catalog.has_table_privilege("
		 "'pg_catalog.pg_authid', 'SELECT')")) != HF_OK)
		return rc;
	*yes = conf->role_passwords && may != NULL && strcmp(may, "t") == 0;
	free(may);
	return HF_OK;
}

int
globals_store(const struct hf_ctx *ctx, const struct conf *conf,
    const struct conninfo *info, struct conn *c, struct hf_out *out,
    struct hf_error *err)
{
	const char *options[8] = { "-l", PQdb(c->pg) };
	struct text script = { 0 };
	struct program p;
	char *sql = NULL;
	bool secrets;
	size_t len, n = 2;
	int rc;

	if ((rc = program_find(conf, "pg_dumpall", c->version, &p, err)) !=
		HF_OK ||
	    (rc = passwords(conf, c, &secrets, err)) != HF_OK)
		return rc;
	if (!secrets)
		options[n++] = "--no-role-passwords";
	if (conf->encoding != NULL) {
		options[n++] = "-E";
		options[n++] = conf->encoding;
	}
	if ((rc = H->out_fact(out, "role_passwords", secrets ? "yes" : "no",
		 err)) == HF_OK &&
	    (rc = capture(ctx, &p, info, options, &sql, &len, err)) != HF_OK)
		rc = explain(ctx, info, c, rc, err);
	if (rc == HF_OK &&
	    (rc = globals_rewrite(sql, len, &script, err)) == HF_OK)
		rc = object_store(
		    out, "", LAYOUT_GLOBALS, script.s, script.len, err);
	text_free(&script);
	free(sql);
	return rc;
}
