/* SPDX-License-Identifier: BSD-2-Clause */
#include "rows.h"

#include "job.h"
#include "sql.h"
#include "workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK ((size_t)256 * 1024)
#define STATEMENT_MAX ((size_t)4 << 20) /* 1600 columns fit many times */
#define FREEZE_MIN ((uint64_t)1 << 20)  /* below, a new file costs more */
static const char end_mark[] = "\\.\n";

struct part {
	const struct table *table;
	const struct piece *piece;
	bool freeze;
};
/* One object, and what of it is wanted. */
struct task {
	const char *object;
	size_t first, n; /* of parts */
	uint64_t bytes;
};
struct rows {
	struct job *job;
	const struct rows_options *opts;
	struct part *parts;
	size_t nparts;
	struct task *tasks;
	size_t ntasks;
	atomic_uint_least64_t loaded;
};
/* A worker's own. */
struct worker {
	struct conn *conn;
	struct hf_reader *reader;
	char *buf;
	size_t at, len;
	uint64_t pos; /* of buf[at] in the object */
	struct text head;
};

static int
compare_parts(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;
	int d = strcmp(a->piece->object, b->piece->object);

	if (d != 0)
		return d;
	return (a->piece->offset > b->piece->offset) -
	       (a->piece->offset < b->piece->offset);
}

/* The largest first, so that none is left for the end. */
static int
compare_tasks(const void *pa, const void *pb)
{
	const struct task *a = pa, *b = pb;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return strcmp(a->object, b->object);
}

/* What the parts of a table have is what the table had. */
static int
check_sum(const struct table *t, struct hf_error *err)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < t->npieces; i++)
		sum += t->pieces[i].rows;
	if (t->npieces > 0 && sum != t->rows)
		return H->fail(err, HF_E_CORRUPT,
		    "%s.%s had %" PRIu64 " rows, and its parts have %" PRIu64,
		    t->schema, t->name, t->rows, sum);
	return HF_OK;
}

static int
plan(struct rows *r, struct hf_error *err)
{
	const struct contents *c = r->job->c;
	size_t i, k, n = 0;
	int rc;

	for (i = 0; i < c->ntables; i++) {
		if ((rc = check_sum(&c->tables[i], err)) != HF_OK)
			return rc;
		n += c->tables[i].npieces;
	}
	r->parts = calloc(n + 1, sizeof *r->parts);
	r->tasks = calloc(n + 1, sizeof *r->tasks);
	if (r->parts == NULL || r->tasks == NULL)
		return postgres_nomem(err);
	for (i = 0; i < c->ntables; i++)
		for (k = 0; k < c->tables[i].npieces; k++)
			if (r->opts->wanted == NULL || r->opts->wanted[i])
				r->parts[r->nparts++] =
				    (struct part){ &c->tables[i],
					    &c->tables[i].pieces[k], false };
	qsort(r->parts, r->nparts, sizeof *r->parts, compare_parts);
	for (i = 0; i < r->nparts; i++) {
		const struct piece *p = r->parts[i].piece;
		struct task *t =
		    r->ntasks > 0 ? &r->tasks[r->ntasks - 1] : NULL;

		if (t == NULL || strcmp(t->object, p->object) != 0) {
			t = &r->tasks[r->ntasks++];
			*t = (struct task){ p->object, i, 0, 0 };
		}
		t->n++;
		t->bytes += p->size;
	}
	qsort(r->tasks, r->ntasks, sizeof *r->tasks, compare_tasks);
	return HF_OK;
}

/* Where rows can be written as if they had always been there: a plain table
 * of which all rows come in one transaction.  An extension's configuration
 * table may have rows of its own, which must stay. */
static int
plan_freeze(struct rows *r, struct hf_error *err)
{
	struct conn *c;
	PGresult *res;
	const char *params[2];
	size_t i;
	int rc;

	if (!r->opts->fresh)
		return HF_OK;
	if ((rc = job_open(r->job, NULL, &c, err)) != HF_OK)
		return rc;
	for (i = 0; rc == HF_OK && i < r->nparts; i++) {
		struct part *p = &r->parts[i];

		if (p->table->npieces != 1 || p->piece->size < FREEZE_MIN)
			continue;
		params[0] = p->table->schema;
		params[1] = p->table->name;
		rc = conn_query_params(c, &res, err,
		    "SELECT 1 FROM pg_catalog.pg_class c "
		    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
		    "WHERE n.nspname = $1 AND c.relname = $2 "
		    "AND c.relkind = 'r' AND NOT EXISTS (SELECT 1 FROM "
		    "pg_catalog.pg_depend d WHERE d.classid = "
		    "'pg_catalog.pg_class'::pg_catalog.regclass "
		    "AND d.objid = c.oid AND d.deptype = 'e')",
		    2, params);
		if (rc != HF_OK)
			break;
		p->freeze = PQntuples(res) > 0;
		PQclear(res);
	}
	conn_close(c);
	return rc;
}

static int
begin(void *arg, const atomic_bool *stop, void **state, struct hf_error *err)
{
	struct rows *r = arg;
	struct worker *w;
	int rc;

	if ((w = calloc(1, sizeof *w)) == NULL ||
	    (w->buf = malloc(BLOCK)) == NULL) {
		free(w);
		return postgres_nomem(err);
	}
	*state = w;
	rc = job_open(r->job, r->job->c->stored_encoding, &w->conn, err);
	if (rc != HF_OK)
		goto err1;
	w->conn->stop = stop;
	rc = conn_exec(w->conn, err, "SET synchronous_commit = off");
	if (rc == HF_OK && r->opts->replica) {
		rc = conn_exec(
		    w->conn, err, "SET session_replication_role = replica");
		if (rc != HF_OK)
			H->fail_note(err, "hint",
			    "Rows alone are loaded with triggers and foreign "
			    "keys kept still, which needs a superuser, or on "
			    "15 and later: GRANT SET ON PARAMETER "
			    "session_replication_role TO the role.");
	}
	if (rc == HF_OK)
		return HF_OK;
	conn_close(w->conn);
err1:
	free(w->buf);
	free(w);
	*state = NULL;
	return rc;
}

static void
end(void *arg, void *state)
{
	struct worker *w = state;

	(void)arg;
	if (w == NULL)
		return;
	conn_close(w->conn);
	text_free(&w->head);
	free(w->buf);
	free(w);
}

/* Something in the buffer, or HF_EOF. */
static int
fill(struct worker *w, struct hf_error *err)
{
	int rc;

	if (w->at < w->len)
		return HF_OK;
	w->at = w->len = 0;
	/* Not in smaller blocks than need be. */
	do {
		size_t n;

		rc = H->in_read(
		    w->reader, w->buf + w->len, BLOCK - w->len, &n, err);
		if (rc < 0)
			return rc;
		w->len += n;
	} while (rc != HF_EOF && w->len < BLOCK / 2);
	return w->len > 0 ? HF_OK : HF_EOF;
}

static void
take(struct worker *w, size_t n)
{
	w->at += n;
	w->pos += n;
}

static int
too_short(const struct part *p, struct hf_error *err)
{
	return H->fail(err, HF_E_CORRUPT, "%s ends within the rows of %s.%s",
	    p->piece->object, p->table->schema, p->table->name);
}

static int
skip_to(struct worker *w, const struct part *p, struct hf_error *err)
{
	uint64_t n;
	int rc;

	if (p->piece->offset < w->pos)
		return H->fail(err, HF_E_CORRUPT,
		    "two tables claim the same bytes of %s", p->piece->object);
	while (w->pos < p->piece->offset) {
		if ((rc = fill(w, err)) != HF_OK)
			return rc == HF_EOF ? too_short(p, err) : rc;
		n = p->piece->offset - w->pos;
		take(w, n < w->len - w->at ? (size_t)n : w->len - w->at);
	}
	return HF_OK;
}

/* The COPY statement and its line end into w->head; *len without that. */
static int
read_head(
    struct worker *w, const struct part *p, size_t *len, struct hf_error *err)
{
	size_t n, start;
	const char *nl;
	int rc;

	text_reset(&w->head);
	for (;;) {
		if (w->head.len > STATEMENT_MAX ||
		    w->head.len >= p->piece->size)
			return H->fail(err, HF_E_CORRUPT,
			    "%s has no COPY statement for %s.%s",
			    p->piece->object, p->table->schema, p->table->name);
		if ((rc = fill(w, err)) != HF_OK)
			return rc == HF_EOF ? too_short(p, err) : rc;
		n = w->len - w->at;
		nl = memchr(w->buf + w->at, '\n', n);
		if (nl != NULL)
			n = (size_t)(nl - (w->buf + w->at)) + 1;
		text_add_n(&w->head, w->buf + w->at, n);
		take(w, n);
		if ((rc = text_ok(&w->head, err)) != HF_OK)
			return rc;
		*len = nl == NULL
			   ? 0
			   : sql_statement(w->head.s, w->head.len, &start);
		if (*len > 0)
			break;
	}
	/* Names can have line ends, so the statement can have many lines. */
	if (start != 0 || *len + 1 != w->head.len ||
	    !sql_begins(w->head.s, *len, "copy"))
		return H->fail(err, HF_E_CORRUPT,
		    "%s has another statement where the rows of %s.%s begin",
		    p->piece->object, p->table->schema, p->table->name);
	return HF_OK;
}

/* "TRUNCATE ONLY name", the name in the encoding of what is stored. */
static int
truncate_first(struct worker *w, size_t len, struct hf_error *err)
{
	char schema[512], dot[8], name[512];
	struct text sql = { 0 };
	bool quoted;
	int rc;

	if (!sql_token(w->head.s, len, 1, schema, sizeof schema, &quoted) ||
	    !sql_token(w->head.s, len, 2, dot, sizeof dot, &quoted) ||
	    !sql_token(w->head.s, len, 3, name, sizeof name, &quoted) ||
	    strcmp(dot, ".") != 0)
		return H->fail(
		    err, HF_E_CORRUPT, "a COPY statement names no table");
	text_add(&sql, "BEGIN; TRUNCATE ONLY ");
	job_add_name(&sql, schema, name);
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(w->conn, err, text_get(&sql));
	text_free(&sql);
	return rc;
}

/* The statement of the piece, so that the server waits for rows. */
static int
copy_begin(
    struct worker *w, const struct part *p, size_t len, struct hf_error *err)
{
	int rc;

	if (p->freeze && (rc = truncate_first(w, len, err)) != HF_OK)
		return rc;
	w->head.s[p->freeze ? len - 1 : len] = '\0';
	if (p->freeze) {
		w->head.len = len - 1;
		text_add(&w->head, " WITH (FREEZE)");
		if ((rc = text_ok(&w->head, err)) != HF_OK)
			return rc;
	}
	return conn_copy_begin(w->conn, err, w->head.s);
}

static int
copy_body(
    struct worker *w, const struct part *p, uint64_t left, struct hf_error *err)
{
	size_t n;
	int rc;

	while (left > 0) {
		if ((rc = fill(w, err)) != HF_OK)
			return rc == HF_EOF ? too_short(p, err) : rc;
		n = w->len - w->at;
		if (n > left)
			n = (size_t)left;
		rc = conn_copy_write(w->conn, w->buf + w->at, n, err);
		if (rc != HF_OK)
			return rc;
		take(w, n);
		left -= n;
	}
	return HF_OK;
}

static int
read_end(struct worker *w, const struct part *p, struct hf_error *err)
{
	size_t i;
	int rc;

	for (i = 0; i < sizeof end_mark - 1; i++) {
		if ((rc = fill(w, err)) != HF_OK)
			return rc == HF_EOF ? too_short(p, err) : rc;
		if (w->buf[w->at] != end_mark[i])
			return H->fail(err, HF_E_CORRUPT,
			    "the rows of %s.%s in %s do not end where they "
			    "should",
			    p->table->schema, p->table->name, p->piece->object);
		take(w, 1);
	}
	return HF_OK;
}

static int
load_part(struct rows *r, struct worker *w, const struct part *p,
    struct hf_error *err)
{
	int64_t rows = 0;
	size_t len;
	int rc;

	if ((rc = skip_to(w, p, err)) != HF_OK ||
	    (rc = read_head(w, p, &len, err)) != HF_OK)
		return rc;
	if (p->piece->size < len + 1 + sizeof end_mark - 1)
		return too_short(p, err);
	if ((rc = copy_begin(w, p, len, err)) != HF_OK)
		return rc;
	rc = copy_body(
	    w, p, p->piece->size - len - 1 - (sizeof end_mark - 1), err);
	if (rc == HF_OK)
		rc = read_end(w, p, err);
	if (rc != HF_OK) {
		/* The error is told already. */
		(void)conn_copy_end(
		    w->conn, "the backup could not be read", NULL, NULL);
		return rc;
	}
	if ((rc = conn_copy_end(w->conn, NULL, &rows, err)) != HF_OK)
		return rc;
	if (rows < 0 || (uint64_t)rows != p->piece->rows)
		return H->fail(err, HF_E_CORRUPT,
		    "%s.%s got %" PRId64 " rows from %s, which has %" PRIu64,
		    p->table->schema, p->table->name, rows, p->piece->object,
		    p->piece->rows);
	atomic_fetch_add(&r->loaded, (uint64_t)rows);
	return p->freeze ? conn_exec(w->conn, err, "COMMIT") : HF_OK;
}

/* The rest of an object, so that its hash is proved. */
static int
read_rest(struct worker *w, struct hf_error *err)
{
	int rc;

	while ((rc = fill(w, err)) == HF_OK)
		take(w, w->len - w->at);
	return rc == HF_EOF ? HF_OK : rc;
}

static int
task(void *arg, void *state, size_t i, struct hf_error *err)
{
	struct rows *r = arg;
	struct worker *w = state;
	const struct task *t = &r->tasks[i];
	struct text name = { 0 };
	size_t k;
	int rc;

	text_add(&name, r->job->prefix);
	text_add(&name, t->object);
	if ((rc = text_ok(&name, err)) != HF_OK)
		goto err0;
	w->at = w->len = 0;
	w->pos = 0;
	rc = H->in_open(
	    r->job->in, text_get(&name), 0, UINT64_MAX, &w->reader, err);
	if (rc != HF_OK)
		goto err0;
	for (k = t->first; rc == HF_OK && k < t->first + t->n; k++) {
		const struct part *p = &r->parts[k];

		if ((rc = load_part(r, w, p, err)) != HF_OK)
			H->fail_context(err,
			    "loading the rows of %s.%s from %s",
			    p->table->schema, p->table->name, t->object);
	}
	if (rc == HF_OK)
		rc = read_rest(w, err);
	H->in_close(w->reader);
	w->reader = NULL;
err0:
	text_free(&name);
	return rc;
}

int
rows_load(struct job *j, const struct rows_options *opts, uint64_t *rows,
    struct hf_error *err)
{
	static const struct workers_ops ops = { begin, task, end };
	struct rows r = { .job = j, .opts = opts };
	unsigned n = j->jobs < j->streams ? j->jobs : j->streams;
	int rc;

	atomic_init(&r.loaded, 0);
	if ((rc = plan(&r, err)) == HF_OK &&
	    (rc = plan_freeze(&r, err)) == HF_OK)
		rc = workers_run(n, r.ntasks, &ops, &r, err);
	if (rows != NULL)
		*rows = atomic_load(&r.loaded);
	free(r.parts);
	free(r.tasks);
	return rc;
}
