/* SPDX-License-Identifier: BSD-2-Clause */
#include "copy.h"

#include "../dump/dump.h"
#include "../inspect/server.h"
#include "../load/load.h"
#include "conninfo.h"
#include "postgres.h"
#include "private.h"
#include "settings.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Which database: the one that was asked for, or that of the source. */
static int
which(const struct hf_engine *e, const struct hf_request *r, char **name,
    struct hf_error *err)
{
	const struct restore_conf *conf = r->restore_conf;
	const char *const *listed = e->conf.databases;
	struct conninfo *source = NULL;
	const char *found = conf != NULL ? conf->database : NULL;
	int rc = conninfo_source(&e->conf, &source, err);

	*name = NULL;
	if (rc != HF_OK)
		return rc;
	if (found == NULL && listed != NULL && listed[0] != NULL &&
	    listed[1] == NULL && strcmp(listed[0], "*") != 0)
		found = listed[0];
	if (found == NULL)
		found = conninfo_get(source, "dbname");
	if (found == NULL)
		rc = postgres_fail_hint(err, HF_E_INVALID,
		    "Name it with -o database=NAME.",
		    "a physical backup has all databases of the server: which "
		    "one is wanted?");
	else if ((*name = strdup(found)) == NULL)
		rc = postgres_nomem(err);
	conninfo_free(source);
	return rc;
}

/* Found before the work of hours: the target can be spoken to, has a name for
 * the copy, and room for it: what is there already is nobody's.  The copying
 * looks again. */
static int
check_target(
    struct hf_engine *e, const struct hf_request *r, struct hf_error *err)
{
	struct conninfo *info;
	int rc = conninfo_target(&e->conf, r->target, &info, err);

	if (rc != HF_OK)
		return rc;
	if (conninfo_get(info, "dbname") == NULL)
		rc = postgres_fail_hint(err, HF_E_INVALID,
		    "Add dbname=NAME to it; for a data directory, name a "
		    "folder.",
		    "the target names no database: one database is copied "
		    "there");
	conninfo_free(info);
	return rc == HF_OK ? load_look(e, r, err) : rc;
}

/* The private server's database as objects, below its own folder. */
static int
dump(struct hf_engine *e, const struct hf_request *r, const char *name,
    struct hf_out *out, struct hf_error *err)
{
	const char *const databases[] = { name, NULL };
	struct hf_engine from = { .ctx = e->ctx, .conf = e->conf };
	struct hf_request request = { .struct_size = sizeof request,
		.kind = HF_KIND_FULL,
		.max_streams = r->max_streams };
	struct text info = { 0 };
	int rc;

	server_target(e->server, &info);
	server_keyword(&info, "dbname", name);
	if ((rc = text_ok(&info, err)) == HF_OK) {
		from.conf.conninfo = text_get(&info);
		from.conf.password = NULL;
		from.conf.databases = databases;
		from.conf.mode = "logical";
		rc = dump_run(&from, &request, out, err);
	}
	text_free(&info);
	if (rc != HF_OK)
		(void)H->fail_context(err,
		    "copying database %s out of the recovered server", name);
	return rc;
}

/* As any restore of a logical backup. */
static int
load(struct hf_engine *e, const struct hf_request *r, struct hf_in *in,
    struct hf_error *err)
{
	struct hf_engine to = { .ctx = e->ctx, .conf = e->conf };
	struct restore_conf conf;
	struct hf_request request = *r;

	request.struct_size = sizeof request;
	request.until = NULL;
	request.log = NULL;
	request.log_command = NULL;
	if (r->restore_conf != NULL) {
		conf = *(const struct restore_conf *)r->restore_conf;
		conf.database = NULL;
		request.restore_conf = &conf;
	}
	return load_run(&to, &request, &in, 1, err);
}

static int
make_spool(const struct hf_engine *e, struct text *path, struct hf_error *err)
{
	int rc;

	text_addf(path, "%s/spool", server_folder(e->server));
	if ((rc = text_ok(path, err)) == HF_OK &&
	    mkdir(text_get(path), 0700) != 0)
		rc = H->fail_errno(err, errno, "making %s", text_get(path));
	return rc;
}

static int
copy(struct hf_engine *e, const struct hf_request *r, const char *name,
    struct hf_error *err)
{
	struct text path = { 0 };
	struct hf_out *out = NULL;
	struct hf_in *in = NULL;
	int rc;

	if ((rc = make_spool(e, &path, err)) == HF_OK &&
	    (rc = H->spool_open(text_get(&path), &out, &in, err)) == HF_OK) {
		rc = dump(e, r, name, out, err);
		if (rc == HF_OK)
			rc = load(e, r, in, err);
		H->spool_close(out);
	}
	text_free(&path);
	return rc;
}

static void
tell(const struct hf_engine *e, const struct recover_target *t)
{
	struct text text = { 0 };

	settings_describe(&text, t);
	if (!text.failed)
		H->result(e->ctx, "recovery", text_get(&text));
	text_free(&text);
}

int
copy_run(struct hf_engine *e, const struct hf_request *r,
    const struct links *links, const struct recover_target *t,
    struct hf_error *err)
{
	const char *dir = H->folder(e->ctx, HF_FOLDER_SCRATCH);
	char *name;
	int rc;

	if (e->server != NULL)
		return H->fail(
		    err, HF_E_BUG, "a private server is running already");
	if ((rc = check_target(e, r, err)) != HF_OK ||
	    (rc = which(e, r, &name, err)) != HF_OK)
		return rc;
	rc = server_place(
	    e->ctx, &e->conf, dir == NULL ? "/var/tmp" : dir, &e->server, err);
	if (rc == HF_OK && (rc = private_fill(e, r, links, t, err)) == HF_OK &&
	    (rc = copy(e, r, name, err)) == HF_OK)
		tell(e, t);
	server_stop(e->server);
	e->server = NULL;
	free(name);
	return rc;
}
