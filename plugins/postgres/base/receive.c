/* SPDX-License-Identifier: BSD-2-Clause */
/* 15 and later send all in one COPY of typed messages; 13 and 14 send one COPY
 * for each tablespace, then one for the manifest. */
#include "base.h"
#include "command.h"
#include "run.h"
#include "tar.h"

#include "../conn.h"
#include "../postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_STEP (1u << 20)

/* The object that is being received. */
struct object {
	struct run *r;
	struct hf_writer *w; /* NULL: none */
	char name[48];
	bool is_tar, is_base;
	struct tar tar;
	uint64_t bytes;
	char last[2]; /* bytes of the manifest */
	bool base_done, manifest_done;
	unsigned done;
};

static int
protocol(const struct run *r, const char *what, struct hf_error *err)
{
	return H->fail(err, HF_E_IO, "%s: %s", r->c->label, what);
}

/* ---- results ---- */

/* Where the backup starts or stops. */
static int
read_position(struct run *r, lsn_t *lsn, uint32_t *timeline, const char *what,
    struct hf_error *err)
{
	PGresult *res;
	unsigned long long n = 0;
	char *end;
	int rc;

	if ((rc = conn_result(r->c, &res, err)) != HF_OK)
		return rc;
	if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1 &&
	    PQnfields(res) >= 2 && lsn_parse(PQgetvalue(res, 0, 0), lsn)) {
		n = strtoull(PQgetvalue(res, 0, 1), &end, 10);
		if (*end != '\0' || n > UINT32_MAX)
			n = 0;
	}
	PQclear(res);
	*timeline = (uint32_t)n;
	return n != 0 ? HF_OK : protocol(r, what, err);
}

/* A number, as all of the text: it becomes part of an object's name. */
static bool
is_oid(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n <= 10 && s[n] == '\0';
}

static int
add_tablespace(
    struct run *r, const PGresult *res, int row, struct hf_error *err)
{
	const char *oid = PQgetvalue(res, row, 0);
	char key[48];
	int rc = HF_OK;

	if (!PQgetisnull(res, row, 0)) {
		if (!is_oid(oid))
			return protocol(
			    r, "a tablespace without a number", err);
		(void)snprintf(
		    key, sizeof key, "%s%s", BASE_FACT_TABLESPACE, oid);
		rc = H->out_fact(r->out, key, PQgetvalue(res, row, 1), err);
	}
	r->total += strtoull(PQgetvalue(res, row, 2), NULL, 10) * 1024;
	r->tablespaces[r->ntablespaces] = strdup(oid);
	if (r->tablespaces[r->ntablespaces] == NULL)
		return postgres_nomem(err);
	r->ntablespaces++;
	return rc;
}

static int
read_tablespaces(struct run *r, struct hf_error *err)
{
	PGresult *res;
	int rc, n;

	if ((rc = conn_result(r->c, &res, err)) != HF_OK)
		return rc;
	n = PQntuples(res);
	if (PQresultStatus(res) != PGRES_TUPLES_OK || n < 1 ||
	    PQnfields(res) < 3) {
		rc =
		    protocol(r, "the server did not list its tablespaces", err);
		goto out;
	}
	r->tablespaces = calloc((size_t)n, sizeof *r->tablespaces);
	if (r->tablespaces == NULL)
		rc = postgres_nomem(err);
	for (int i = 0; i < n && rc == HF_OK; i++)
		rc = add_tablespace(r, res, i, err);
out:
	PQclear(res);
	return rc;
}

int
receive_begin(struct run *r, struct hf_error *err)
{
	struct text sql = { 0 };
	int rc;

	rc = command_text(&sql, &r->e->conf, r->c->version, r->log == NULL,
	    r->parent.backup != NULL, err);
	if (rc == HF_OK)
		rc = conn_send(r->c, err, text_get(&sql));
	text_free(&sql);
	if (rc == HF_OK)
		rc = read_position(r, &r->start, &r->start_timeline,
		    "the server did not say where the backup starts", err);
	r->c->refusals = NULL; /* from here on a failure is one */
	return rc == HF_OK ? read_tablespaces(r, err) : rc;
}

/* ---- objects ---- */

static int
object_begin(struct object *o, const char *name, struct hf_error *err)
{
	(void)snprintf(o->name, sizeof o->name, "%s", name);
	o->is_base = strcmp(name, BASE_TAR) == 0;
	o->is_tar = strcmp(name, BASE_MANIFEST) != 0;
	o->bytes = 0;
	o->last[0] = o->last[1] = '\0';
	if ((o->is_base && o->base_done) || (!o->is_tar && o->manifest_done))
		return protocol(o->r, "an object came twice", err);
	if (o->is_tar)
		tar_init(&o->tar, o->name);
	return H->out_begin(o->r->out, name, UINT64_C(0), &o->w, err);
}

static int
object_write(
    struct object *o, const char *data, size_t len, struct hf_error *err)
{
	struct run *r = o->r;
	int rc = HF_OK;

	if (o->w == NULL)
		return protocol(r, "data of no object", err);
	if (len == 0)
		return HF_OK;
	if (o->is_tar) {
		rc = tar_feed(&o->tar, data, len, err);
	} else {
		o->last[0] = len > 1 ? data[len - 2] : o->last[1];
		o->last[1] = data[len - 1];
	}
	if (rc == HF_OK)
		rc = H->out_write(o->w, data, len, err);
	o->bytes += len;
	if (r->done / PROGRESS_STEP != (r->done + len) / PROGRESS_STEP)
		H->progress(r->e->ctx, r->done + len,
		    r->total > r->done + len ? r->total : r->done + len);
	r->done += len;
	return rc;
}

/* The data directory's: of the cluster that we spoke to, and later than the
 * start? */
static int
check_base(struct object *o, struct hf_error *err)
{
	struct run *r = o->r;
	int rc;

	if (o->tar.label.len == 0 || o->tar.control.len == 0)
		return H->fail(err, HF_E_IO, "%s: has no %s", o->name,
		    o->tar.label.len != 0 ? "global/pg_control"
					  : "backup_label");
	if ((rc = parent_label(r, o->tar.label.b, err)) != HF_OK)
		return rc;
	if ((rc = control_parse(o->tar.control.b, o->tar.control.len,
		 "global/pg_control", &r->control, err)) != HF_OK)
		return rc;
	if (r->control.system_identifier != r->system)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: is of the cluster %" PRIu64
		    ", but the server said %" PRIu64,
		    o->name, r->control.system_identifier, r->system);
	if (r->control.checkpoint < r->start)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: its pg_control is older than the backup", o->name);
	return HF_OK;
}

static int
check_manifest(const struct object *o, struct hf_error *err)
{
	if (o->last[0] == '}' && o->last[1] == '\n')
		return HF_OK;
	return H->fail(err, HF_E_IO, "%s: is not whole", o->name);
}

static int
object_end(struct object *o, struct hf_error *err)
{
	static const char end_mark[2 * TAR_BLOCK];
	struct hf_writer *w;
	int rc = HF_OK;

	if (o->w == NULL)
		return HF_OK;
	/* Servers before 15 leave it to the client. */
	if (o->is_tar && !o->r->typed)
		rc = object_write(o, end_mark, sizeof end_mark, err);
	if (rc == HF_OK && o->is_tar)
		rc = tar_end(&o->tar, err);
	if (rc == HF_OK && o->is_base)
		rc = check_base(o, err);
	if (rc == HF_OK && !o->is_tar)
		rc = check_manifest(o, err);
	w = o->w;
	if (rc != HF_OK)
		return rc; /* object_drop aborts it */
	o->w = NULL;
	o->base_done |= o->is_base;
	o->manifest_done |= !o->is_tar;
	o->done++;
	return H->out_commit(w, err);
}

static void
object_drop(struct object *o)
{
	if (o->w != NULL)
		H->out_abort(o->w);
	o->w = NULL;
}

/* ---- the protocol of 15 and later ---- */

/* "base.tar" or a number and ".tar": all that a server ever sends. */
static bool
is_archive(const char *name, size_t cap)
{
	size_t n = strnlen(name, cap);

	if (n == cap || n > 20)
		return false;
	if (strcmp(name, BASE_TAR) == 0)
		return true;
	return n > 4 && strspn(name, "0123456789") == n - 4 &&
	       strcmp(name + n - 4, ".tar") == 0;
}

static int
message(struct object *o, const char *p, size_t len, struct hf_error *err)
{
	int rc;

	switch (len > 0 ? p[0] : '\0') {
	case 'd':
		return object_write(o, p + 1, len - 1, err);
	case 'n':
		if ((rc = object_end(o, err)) != HF_OK)
			return rc;
		if (!is_archive(p + 1, len - 1))
			return protocol(
			    o->r, "an archive without a proper name", err);
		return object_begin(o, p + 1, err);
	case 'm':
		if ((rc = object_end(o, err)) != HF_OK)
			return rc;
		return object_begin(o, BASE_MANIFEST, err);
	case 'p': /* how far it is: we count ourselves */
		return HF_OK;
	default:
		return protocol(o->r, "a message of an unknown kind", err);
	}
}

/* ---- both ---- */

/* The COPY ended before the object did: because of an error, and that is what
 * comes next. */
static int
why_short(struct object *o, struct hf_error *err)
{
	PGresult *res;
	bool whole;
	int rc;

	if (o->w == NULL)
		whole = true;
	else if (!o->is_tar)
		whole = check_manifest(o, NULL) == HF_OK;
	else if (o->r->typed)
		whole = tar_end(&o->tar, NULL) == HF_OK;
	else
		whole = !tar_inside(&o->tar) &&
			(!o->is_base ||
			    (o->tar.label.len != 0 && o->tar.control.len != 0));
	if (whole)
		return HF_OK;
	if ((rc = conn_result(o->r->c, &res, err)) != HF_OK)
		return rc;
	PQclear(res);
	return HF_OK;
}

/* One COPY, to its end. */
static int
read_copy(struct object *o, bool typed, struct hf_error *err)
{
	struct run *r = o->r;
	PGresult *res;
	char *data;
	size_t len;
	int rc;

	if ((rc = conn_result(r->c, &res, err)) != HF_OK)
		return rc;
	rc = PQresultStatus(res) == PGRES_COPY_OUT
		 ? HF_OK
		 : protocol(r, "the server sent no data", err);
	PQclear(res);
	while (rc == HF_OK) {
		rc = conn_stream_read(r->c, -1, &data, &len, err);
		if (rc != HF_OK)
			break;
		rc = (typed ? message : object_write)(o, data, len, err);
		PQfreemem(data);
	}
	if (rc == HF_EOF && (rc = why_short(o, err)) == HF_OK)
		rc = object_end(o, err);
	return rc;
}

static int
read_old(struct object *o, struct hf_error *err)
{
	struct run *r = o->r;
	char name[48];
	int rc = HF_OK;

	for (size_t i = 0; i < r->ntablespaces && rc == HF_OK; i++) {
		const char *oid = r->tablespaces[i];

		(void)snprintf(name, sizeof name, "%s%s",
		    oid[0] == '\0' ? "base" : oid, ".tar");
		if ((rc = object_begin(o, name, err)) == HF_OK)
			rc = read_copy(o, false, err);
	}
	if (rc == HF_OK && (rc = object_begin(o, BASE_MANIFEST, err)) == HF_OK)
		rc = read_copy(o, false, err);
	return rc;
}

/* Where it stops, that the command is done, and nothing else. */
static int
read_end(struct run *r, struct hf_error *err)
{
	PGresult *res;
	bool done;
	int rc;

	if ((rc = read_position(r, &r->stop, &r->stop_timeline,
		 "the server did not say where the backup stops", err)) !=
	    HF_OK)
		return rc;
	if ((rc = conn_result(r->c, &res, err)) != HF_OK)
		return rc;
	done = PQresultStatus(res) == PGRES_COMMAND_OK;
	PQclear(res);
	if (!done)
		return protocol(r, "the server did not confirm the end", err);
	if ((rc = conn_result(r->c, &res, err)) != HF_OK)
		return rc;
	PQclear(res);
	return HF_OK;
}

int
receive_all(struct run *r, struct hf_error *err)
{
	struct object *o;
	int rc;

	if ((o = calloc(1, sizeof *o)) == NULL)
		return postgres_nomem(err);
	o->r = r;
	rc = r->typed ? read_copy(o, true, err) : read_old(o, err);
	if (rc == HF_OK)
		rc = read_end(r, err);
	if (rc == HF_OK && (!o->base_done || !o->manifest_done ||
			       o->done != r->ntablespaces + 1))
		rc = protocol(r, "not all tablespaces were sent", err);
	object_drop(o);
	free(o);
	return rc;
}
