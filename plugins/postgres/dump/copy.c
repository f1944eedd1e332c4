/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "cut.h"
#include "large_objects.h"
#include "object.h"
#include "workers.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS (1024 * 1024) /* bytes between two reports */

struct copy {
	struct run *run;
	struct cut cut;
	PGresult *large_objects; /* their tasks come after those of cut */
	/* Tasks whose tables a worker could not lock at once, under run->lock.
	 * The coordinator, which has the locks, does them at the end. */
	size_t *deferred, ndeferred;
};

struct worker {
	struct conn *conn;
	struct object object;
};

static void
add_piece_sql(struct text *sql, const struct source *s, const struct task *t)
{
	size_t n = strlen(s->columns);

	if (t->parts == 1 && s->filter == NULL) {
		text_add(sql, "COPY ");
		text_add(sql, s->sql);
		text_add(sql, s->columns);
		text_add(sql, " TO STDOUT");
		return;
	}
	text_add(sql, "COPY (SELECT ");
	if (n > 2)
		text_add_n(sql, s->columns + 1, n - 2);
	text_add(sql, " FROM ONLY ");
	text_add(sql, s->sql);
	if (s->filter != NULL) {
		text_add(sql, " ");
		text_add(sql, s->filter);
	}
	if (t->parts > 1)
		text_add(sql, " WHERE ");
	/* The first has no lower bound and the last no upper one: rows that
	 * came since the size was taken are in no snapshot, but nothing here
	 * depends on that. */
	if (t->parts > 1 && t->part > 1)
		text_addf(sql, "ctid >= '(%" PRIu64 ",0)'", t->from);
	if (t->part > 1 && t->part < t->parts)
		text_add(sql, " AND ");
	if (t->part < t->parts)
		text_addf(sql, "ctid < '(%" PRIu64 ",0)'", t->to);
	text_add(sql, ") TO STDOUT");
}

/* Nobody reads from the coordinator meanwhile.  Without it the locks are gone:
 * there is no sense in going on for hours. */
static int
coordinator_lives(const struct run *run, struct hf_error *err)
{
	struct pollfd p = { .fd = PQsocket(run->conn->pg),
		.events = POLLRDHUP };

	if (poll(&p, 1, 0) <= 0)
		return HF_OK;
	return H->fail(err, HF_E_IO,
	    "the connection to %s that holds its locks was lost",
	    run->conn->label);
}

static void
report(struct run *run, uint64_t n)
{
	uint64_t done = atomic_fetch_add(&run->copied, n) + n;

	H->progress(
	    run->ctx, done, done > run->estimate ? done : run->estimate);
}

/* Every row goes by here. */
static int
copy_rows(struct run *run, struct conn *c, struct object *o, uint64_t *rows,
    struct hf_error *err)
{
	uint64_t n = 0, told = o->size;
	int64_t server = -1;
	size_t len;
	char *row;
	int rc;

	while ((rc = conn_copy_read(c, &row, &len, &server, err)) == HF_OK) {
		n++;
		rc = object_write(o, row, len, err);
		PQfreemem(row);
		if (rc != HF_OK)
			return rc;
		if (o->size - told >= PROGRESS) {
			report(run, o->size - told);
			told = o->size;
			if ((rc = coordinator_lives(run, err)) != HF_OK)
				return rc;
		}
	}
	if (rc != HF_EOF)
		return rc;
	report(run, o->size - told);
	if (server >= 0 && (uint64_t)server != n)
		return H->fail(err, HF_E_CORRUPT,
		    "%" PRIu64 " rows came, but the server says that it sent "
		    "%" PRId64,
		    n, server);
	*rows = n;
	return HF_OK;
}

static int
note_piece(struct run *run, const struct source *s, const struct task *t,
    const struct piece *p, const char *object, struct hf_error *err)
{
	struct piece *to =
	    &run->contents.tables[s->table].pieces[t->bundle ? 0 : t->part - 1];

	/* Each task writes to its own. */
	*to = *p;
	if ((to->object = strdup(object)) == NULL)
		return postgres_nomem(err);
	return HF_OK;
}

static const char policy_hint[] =
    "Its row-level security would hide rows from this role: ALTER ROLE ... "
    "BYPASSRLS, by a superuser, or let the owner of the table back up.";

static int
copy_piece(struct run *run, struct conn *c, struct object *o,
    const struct source *s, const struct task *t, struct hf_error *err)
{
	struct piece p = { .offset = o->size };
	struct text sql = { 0 };
	char label[400];
	int rc;

	text_add(&sql, "COPY ");
	text_add(&sql, s->into);
	if (s->columns[0] != '\0')
		text_add(&sql, " ");
	text_add(&sql, s->columns);
	text_add(&sql, " FROM stdin;\n");
	if ((rc = object_text(o, &sql, err)) != HF_OK)
		goto done;
	text_reset(&sql);
	add_piece_sql(&sql, s, t);
	if ((rc = text_ok(&sql, err)) == HF_OK &&
	    (rc = conn_copy_begin(c, err, text_get(&sql))) == HF_OK &&
	    (rc = copy_rows(run, c, o, &p.rows, err)) == HF_OK)
		rc = object_write(o, "\\.\n", 3, err);
	p.size = o->size - p.offset;
	if (rc == HF_OK)
		rc = note_piece(run, s, t, &p, o->name, err);
done:
	text_free(&sql);
	if (rc != HF_OK)
		(void)H->fail_context(err, "copying %s of %s",
		    tables_label(s, label, sizeof label), run->conn->label);
	/* It was locked, so it may be read. */
	if (rc == HF_E_DENIED)
		H->fail_note(err, "hint", policy_hint);
	return rc;
}

static int
begin_object(struct run *run, const struct cut *cut, const struct task *t,
    struct object *o, struct hf_error *err)
{
	const struct source *s = cut->order[t->first];
	struct text name = { 0 }, head = { 0 };
	char about[512], label[400];
	int rc;

	if (t->bundle) {
		layout_small(&name, t->part);
		(void)snprintf(
		    about, sizeof about, "Rows of %zu small tables", t->n);
	} else {
		layout_table(&name, s->schema, s->name, t->part);
		(void)snprintf(about, sizeof about, "Rows of %s, part %u of %u",
		    tables_label(s, label, sizeof label), t->part, t->parts);
	}
	object_header(&head, run->contents.stored_encoding, about);
	if ((rc = text_ok(&name, err)) == HF_OK &&
	    (rc = object_begin(o, run->out, run->prefix, text_get(&name),
		 t->size, err)) == HF_OK)
		rc = object_text(o, &head, err);
	text_free(&name);
	text_free(&head);
	return rc;
}

static int
copy_task(struct run *run, const struct cut *cut, const struct task *t,
    struct conn *c, struct object *o, struct hf_error *err)
{
	int rc = begin_object(run, cut, t, o, err);

	for (size_t i = 0; i < t->n && rc == HF_OK; i++)
		rc = copy_piece(run, c, o, cut->order[t->first + i], t, err);
	return rc == HF_OK ? object_commit(o, err) : rc;
}

/* NOWAIT: who waits for an exclusive lock waits for the coordinator, and a
 * worker that queued behind it would make the coordinator wait for the worker:
 * a deadlock that the server cannot see. */
static int
lock_now(struct copy *copy, const struct task *t, struct conn *c, bool *got,
    struct hf_error *err)
{
	struct text sql = { 0 };
	int rc;

	text_add(&sql, "LOCK TABLE ");
	locks_list(&sql, copy->cut.order + t->first, t->n);
	text_add(&sql, " IN ACCESS SHARE MODE NOWAIT");
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(c, err, text_get(&sql));
	text_free(&sql);
	*got = rc == HF_OK;
	if (rc == HF_OK || strcmp(conn_sqlstate(c), "55P03") != 0)
		return rc;
	return snapshot_again(copy->run, c, err);
}

static void
defer(struct copy *copy, size_t task)
{
	const struct task *t = &copy->cut.tasks[task];
	const struct source *s = copy->cut.order[t->first];

	H->log(copy->run->ctx, HF_LOG_INFO, "postgres.lock_queue",
	    "somebody waits for an exclusive lock on %s %s.%s: it is copied "
	    "at the end",
	    t->n > 1 ? "one of the small tables from" : "table", s->schema,
	    s->name);
	(void)pthread_mutex_lock(&copy->run->lock);
	copy->deferred[copy->ndeferred++] = task;
	(void)pthread_mutex_unlock(&copy->run->lock);
}

static int
worker_begin(
    void *arg, const atomic_bool *stop, void **state, struct hf_error *err)
{
	struct copy *copy = arg;
	struct worker *w;
	int rc;

	if ((w = calloc(1, sizeof *w)) == NULL)
		return postgres_nomem(err);
	if ((rc = snapshot_join(copy->run, stop, &w->conn, err)) == HF_OK)
		*state = w;
	else
		free(w);
	return rc;
}

static int
worker_task(void *arg, void *state, size_t task, struct hf_error *err)
{
	struct copy *copy = arg;
	struct worker *w = state;
	const struct task *t;
	bool got;
	int rc;

	if ((rc = coordinator_lives(copy->run, err)) != HF_OK)
		return rc;
	if (task >= copy->cut.ntasks)
		return large_objects_store(copy->run, copy->large_objects,
		    task - copy->cut.ntasks, w->conn, &w->object, err);
	t = &copy->cut.tasks[task];
	if ((rc = lock_now(copy, t, w->conn, &got, err)) != HF_OK)
		return rc;
	if (!got) {
		defer(copy, task);
		return HF_OK;
	}
	return copy_task(copy->run, &copy->cut, t, w->conn, &w->object, err);
}

static void
worker_end(void *arg, void *state)
{
	struct worker *w = state;

	(void)arg;
	if (w == NULL)
		return;
	object_free(&w->object);
	conn_close(w->conn);
	free(w);
}

static int
copy_deferred(struct copy *copy, struct hf_error *err)
{
	struct run *run = copy->run;
	struct object o = { 0 };
	int rc = HF_OK;

	if (copy->ndeferred > 0)
		rc = conn_exec(run->conn, err,
		    "SET LOCAL enable_seqscan = off;"
		    "SET LOCAL max_parallel_workers_per_gather = 0");
	for (size_t i = 0; i < copy->ndeferred && rc == HF_OK; i++)
		rc = copy_task(run, &copy->cut,
		    &copy->cut.tasks[copy->deferred[i]], run->conn, &o, err);
	object_free(&o);
	return rc;
}

static int
make_pieces(struct run *run, struct hf_error *err)
{
	for (size_t i = 0; i < run->nsources; i++) {
		const struct source *s = &run->sources[i];
		struct table *t = &run->contents.tables[s->table];

		if (s->absent)
			continue;
		t->pieces = calloc(s->parts, sizeof *t->pieces);
		if (t->pieces == NULL)
			return postgres_nomem(err);
		t->npieces = s->parts;
	}
	return HF_OK;
}

static void
sum_pieces(struct contents *c)
{
	for (size_t i = 0; i < c->ntables; i++) {
		struct table *t = &c->tables[i];

		for (size_t k = 0; k < t->npieces; k++) {
			t->rows += t->pieces[k].rows;
			t->bytes += t->pieces[k].size;
		}
	}
}

int
copy_all(struct run *run, struct hf_error *err)
{
	const struct workers_ops ops = { worker_begin, worker_task,
		worker_end };
	struct copy copy = { .run = run };
	size_t n;
	int rc;

	if (!cut_make(&copy.cut, run->sources, run->nsources,
		(uint64_t)run->conf->chunk_size, run->jobs,
		run->conn->version >= 140000)) {
		rc = postgres_nomem(err);
		goto done;
	}
	copy.deferred = calloc(copy.cut.ntasks + 1, sizeof *copy.deferred);
	if (copy.deferred == NULL) {
		rc = postgres_nomem(err);
		goto done;
	}
	if ((rc = make_pieces(run, err)) != HF_OK ||
	    (rc = large_objects_find(run, &copy.large_objects, err)) != HF_OK)
		goto done;
	n = copy.cut.ntasks + run->contents.nlarge_object_objects;
	if ((rc = workers_run(run->jobs, n, &ops, &copy, err)) != HF_OK) {
		/* It knows best why it was lost. */
		if (rc == HF_E_IO && coordinator_lives(run, NULL) != HF_OK)
			(void)conn_exec(run->conn, err, "SELECT");
		goto done;
	}
	if ((rc = copy_deferred(&copy, err)) == HF_OK)
		sum_pieces(&run->contents);
done:
	PQclear(copy.large_objects);
	free(copy.deferred);
	cut_clear(&copy.cut);
	return rc;
}
