/* SPDX-License-Identifier: BSD-2-Clause */
#include "../inspect/inspect.h"

#include "../base/base.h"
#include "../inspect/server.h"
#include "finding.h"
#include "postgres.h"
#include "private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
recover_scratch(struct hf_engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	int rc;

	if (e->server != NULL)
		return H->fail(
		    err, HF_E_BUG, "a private server is running already");
	rc = server_place(e->ctx, &e->conf, dir, &e->server, err);
	if (rc != HF_OK)
		return rc;
	if (snprintf(target, cap, "%s", server_data(e->server)) < (int)cap)
		return HF_OK;
	recover_discard(e, target);
	return H->fail(err, HF_E_INVALID, "%s: too long", dir);
}

/* How to ask the server in it. */
static int
where(struct hf_engine *e, const char *target, struct text *info,
    struct hf_error *err)
{
	if (!private_is(e, target))
		return postgres_fail_hint(err, HF_E_UNSUPPORTED,
		    "Start a server on it, and ask that.",
		    "%s is not a private copy of this run", target);
	server_target(e->server, info);
	return text_ok(info, err);
}

/* ---- page checksums ---- */

/* What pg_checksums said, on one line. */
static void
on_one_line(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && s[n - 1] == '\n')
		s[--n] = '\0';
	for (; *s != '\0'; s++)
		if (*s == '\n')
			*s = ' ';
}

/* It reads the files of a server that is down. */
static int
checksums(
    struct hf_engine *e, int version, struct findings *to, struct hf_error *err)
{
	const char *const args[] = { "--check", "-D", server_data(e->server),
		NULL };
	char *said = NULL;
	int rc;

	server_halt(e->server);
	rc = server_program(
	    e->server, &e->conf, version, "pg_checksums", args, &said, NULL);
	if (rc == HF_OK)
		finding_tell(to, HF_PASS, "data checksums", NULL,
		    "every page has the right one");
	else if (rc == HF_E_NOTFOUND)
		finding_tell(to, HF_WARN, "data checksums",
		    "Install the server's package.",
		    "there is no pg_checksums of version %d here",
		    version / 10000);
	else if (rc != HF_E_CANCELLED && said != NULL && said[0] != '\0')
		on_one_line(said);
	if (rc != HF_OK && rc != HF_E_NOTFOUND && rc != HF_E_CANCELLED)
		finding_tell(to, HF_FAIL, "data checksums",
		    "Do not use this copy: look at the server's disk, memory "
		    "and log.",
		    "%s", said == NULL ? "pg_checksums failed" : said);
	free(said);
	if (rc == HF_E_CANCELLED)
		return H->fail(err, rc, "cancelled");
	return private_again(e, version, err);
}

int
recover_inspect(struct hf_engine *e, const char *target, struct hf_in *in,
    hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct findings to = { .cb = fn, .arg = arg };
	const char *on =
	    in == NULL ? NULL : H->in_fact(in, BASE_FACT_CHECKSUMS);
	const char *stop = in == NULL ? NULL : H->in_fact(in, BASE_FACT_STOP);
	const char *version =
	    in == NULL ? NULL : H->in_fact(in, BASE_FACT_VERSION);
	struct text info = { 0 };
	int rc = where(e, target, &info, err);

	if (rc == HF_OK) {
		finding_tell(&to, HF_PASS, "recovery", NULL,
		    "a server has recovered, to %s or later, and opened",
		    stop == NULL ? "the end of the backup" : stop);
		rc = inspect_target(e, text_get(&info), NULL, fn, arg, err);
	}
	text_free(&info);
	if (rc != HF_OK || version == NULL || on == NULL)
		return rc;
	if (strcmp(on, "on") == 0)
		return checksums(e, (int)strtol(version, NULL, 10), &to, err);
	finding_tell(
	    &to, HF_PASS, "data checksums", NULL, "the server has none");
	return HF_OK;
}

int
recover_query(struct hf_engine *e, const char *target, const char *sql,
    char *value, size_t cap, struct hf_error *err)
{
	struct text info = { 0 };
	int rc = where(e, target, &info, err);

	if (rc == HF_OK)
		rc = inspect_query(e, text_get(&info), sql, value, cap, err);
	text_free(&info);
	return rc;
}

void
recover_discard(struct hf_engine *e, const char *target)
{
	(void)target;
	server_stop(e->server);
	e->server = NULL;
}
