/* SPDX-License-Identifier: BSD-2-Clause */
#include "refer.h"

#include "job.h"
#include "script.h"
#include "sql.h"

#include <stdlib.h>
#include <string.h>

#define NAME 256
#define TOKENS 400 /* the columns of a foreign key, and more */

/* A statement, and where in it we are. */
struct scan {
	const char *sql;
	size_t len, at;
};

static bool
is(const struct scan *s, size_t n, const char *word)
{
	char buf[NAME];
	bool quoted;

	return sql_token(s->sql, s->len, n, buf, sizeof buf, &quoted) &&
	       !quoted && strcmp(buf, word) == 0;
}

/* Step over the words, if these come next. */
static bool
skip(struct scan *s, const char *word)
{
	if (!is(s, s->at, word))
		return false;
	s->at++;
	return true;
}

/* "schema"."name" at the place, into new memory. */
static bool
take(struct scan *s, struct refer_name *out)
{
	char schema[NAME], dot[NAME], name[NAME];
	bool quoted;

	if (!sql_token(s->sql, s->len, s->at, schema, NAME, &quoted) ||
	    !sql_token(s->sql, s->len, s->at + 1, dot, NAME, &quoted) ||
	    strcmp(dot, ".") != 0 ||
	    !sql_token(s->sql, s->len, s->at + 2, name, NAME, &quoted))
		return false;
	s->at += 3;
	out->schema = strdup(schema);
	out->name = strdup(name);
	return true;
}

static bool
take_word(struct scan *s, const char *schema, struct refer_name *out)
{
	char name[NAME];
	bool quoted;

	if (!sql_token(s->sql, s->len, s->at, name, NAME, &quoted))
		return false;
	s->at++;
	out->schema = strdup(schema);
	out->name = strdup(name);
	return true;
}

/* Behind the next word of that kind, outside of quotes. */
static bool
seek(struct scan *s, const char *first, const char *second)
{
	for (; s->at < TOKENS; s->at++)
		if (is(s, s->at, first) &&
		    (second == NULL || is(s, s->at + 1, second))) {
			s->at += second == NULL ? 1 : 2;
			return true;
		}
	return false;
}

static void
name_clear(struct refer_name *n)
{
	free(n->schema);
	free(n->name);
}

static void
link_clear(struct refer_link *l)
{
	name_clear(&l->object);
	name_clear(&l->table);
	name_clear(&l->to);
}

/* CREATE [UNIQUE] INDEX i ON [ONLY] s.t */
static bool
read_index(struct scan *s, struct refer_link *l)
{
	char name[NAME];
	bool quoted;

	s->at = 1;
	(void)skip(s, "unique");
	if (!skip(s, "index") ||
	    !sql_token(s->sql, s->len, s->at++, name, NAME, &quoted) ||
	    !skip(s, "on"))
		return false;
	(void)skip(s, "only");
	if (!take(s, &l->table) || l->table.schema == NULL)
		return false;
	l->kind = REFER_INDEX;
	/* An index lives in its table's schema. */
	l->object.schema = strdup(l->table.schema);
	l->object.name = strdup(name);
	return true;
}

/* CREATE [CONSTRAINT] TRIGGER g BEFORE ... ON s.t ... EXECUTE FUNCTION s.f();
 * those of pg_catalog have no schema here, and are everywhere. */
static bool
read_trigger(struct scan *s, struct refer_link *l)
{
	char name[NAME];
	bool quoted;

	l->kind = REFER_TRIGGER;
	s->at = 1;
	(void)skip(s, "constraint");
	if (!skip(s, "trigger") ||
	    !sql_token(s->sql, s->len, s->at++, name, NAME, &quoted) ||
	    !seek(s, "on", NULL) || !take(s, &l->table) ||
	    l->table.schema == NULL)
		return false;
	l->object.schema = strdup(l->table.schema);
	l->object.name = strdup(name);
	/* Servers before 11 say PROCEDURE. */
	while (seek(s, "execute", NULL))
		if (skip(s, "function") || skip(s, "procedure"))
			return take(s, &l->to);
	return false;
}

/* ALTER SEQUENCE s.q OWNED BY s.t.column */
static bool
read_sequence(struct scan *s, struct refer_link *l)
{
	l->kind = REFER_SEQUENCE;
	s->at = 2;
	return take(s, &l->object) && skip(s, "owned") && skip(s, "by") &&
	       take(s, &l->table);
}

/* ALTER [FOREIGN] TABLE [ONLY] s.t ... */
static bool
read_table(struct scan *s, struct refer_link *l)
{
	s->at = 1;
	(void)skip(s, "foreign");
	if (!skip(s, "table"))
		return false;
	(void)skip(s, "only");
	if (!take(s, &l->table) || l->table.schema == NULL)
		return false;
	if (skip(s, "attach")) {
		l->kind = REFER_PARTITION;
		return skip(s, "partition") && take(s, &l->object);
	}
	if (skip(s, "add")) {
		l->kind = REFER_FK;
		return skip(s, "constraint") &&
		       take_word(s, l->table.schema, &l->object) &&
		       skip(s, "foreign") && seek(s, "references", NULL) &&
		       take(s, &l->to);
	}
	l->kind = REFER_SEQUENCE;
	return skip(s, "alter") && skip(s, "column") &&
	       seek(s, "sequence", "name") && take(s, &l->object);
}

static int
on_statement(
    void *arg, struct conn *c, char *sql, size_t len, struct hf_error *err)
{
	struct refer *r = arg;
	struct scan s = { sql, len, 0 };
	struct refer_link l = { 0 }, *grown;
	bool known = false;
	size_t cap;

	(void)c;
	if (sql_begins(sql, len, "alter sequence"))
		known = read_sequence(&s, &l);
	else if (sql_begins(sql, len, "alter"))
		known = read_table(&s, &l);
	else if (sql_begins(sql, len, "create index") ||
		 sql_begins(sql, len, "create unique"))
		known = read_index(&s, &l);
	else if (sql_begins(sql, len, "create trigger") ||
		 sql_begins(sql, len, "create constraint"))
		known = read_trigger(&s, &l);
	if (!known) {
		link_clear(&l);
		return HF_OK;
	}
	if (r->n == r->cap) {
		cap = r->cap == 0 ? 64 : r->cap * 2;
		grown = realloc(r->links, cap * sizeof *grown);
		if (grown == NULL) {
			link_clear(&l);
			return postgres_nomem(err);
		}
		r->links = grown;
		r->cap = cap;
	}
	r->links[r->n++] = l;
	if (l.object.schema == NULL || l.object.name == NULL ||
	    l.table.schema == NULL || l.table.name == NULL ||
	    ((l.kind == REFER_FK || l.kind == REFER_TRIGGER) &&
		(l.to.schema == NULL || l.to.name == NULL)))
		return postgres_nomem(err);
	return HF_OK;
}

int
refer_read(struct job *j, struct refer *r, struct hf_error *err)
{
	int rc;

	rc = script_run(
	    j, NULL, j->prefix, LAYOUT_PRE_DATA, on_statement, r, err);
	if (rc == HF_OK)
		rc = script_run(
		    j, NULL, j->prefix, LAYOUT_POST_DATA, on_statement, r, err);
	return rc;
}

void
refer_clear(struct refer *r)
{
	while (r->n > 0)
		link_clear(&r->links[--r->n]);
	free(r->links);
	r->links = NULL;
}

bool
refer_same(const struct refer_name *n, const char *schema, const char *name)
{
	return strcmp(n->schema, schema) == 0 && strcmp(n->name, name) == 0;
}
