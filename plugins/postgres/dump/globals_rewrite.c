/* SPDX-License-Identifier: BSD-2-Clause */
#include "globals.h"

#include "postgres.h"
#include "settings.h"
#include "sql.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define NAME 256 /* of a role: 63 bytes at most */
#define TAG 16
#define TOKENS 4096 /* in one statement, at most */

/* All about one role or tablespace. */
struct group {
	char name[NAME];
	bool tablespace;
	struct text create, rest;
};
struct script {
	struct text head, memberships, others;
	struct group *groups;
	size_t n, cap;
	bool failed;
};

static bool
token_is(const char *s, size_t len, size_t n, const char *word)
{
	char buf[NAME];
	bool quoted;

	return sql_token(s, len, n, buf, sizeof buf, &quoted) && !quoted &&
	       strcmp(buf, word) == 0;
}

/* The place of a word among the tokens, or -1. */
static int
token_find(const char *s, size_t len, const char *word)
{
	char buf[NAME];
	bool quoted;

	for (size_t i = 0;
	     i < TOKENS && sql_token(s, len, i, buf, sizeof buf, &quoted); i++)
		if (!quoted && strcmp(buf, word) == 0)
			return (int)i;
	return -1;
}

static struct group *
find(struct script *p, const char *name, bool tablespace)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->groups[i].tablespace == tablespace &&
		    strcmp(p->groups[i].name, name) == 0)
			return &p->groups[i];
	return NULL;
}

static struct group *
add_group(struct script *p, const char *name, bool tablespace)
{
	struct group *more = p->groups, *g;

	if (p->n == p->cap) {
		p->cap = p->cap == 0 ? 16 : 2 * p->cap;
		if ((more = realloc(more, p->cap * sizeof *more)) == NULL) {
			p->cap = p->n;
			p->failed = true;
			return NULL;
		}
		p->groups = more;
	}
	g = &p->groups[p->n++];
	memset(g, 0, sizeof *g);
	memcpy(g->name, name, strnlen(name, NAME - 1));
	g->tablespace = tablespace;
	return g;
}

/* Which role or tablespace is it about?  The place of its name among the
 * tokens, or -1. */
static int
subject(const char *s, size_t len, bool *tablespace)
{
	int on;

	*tablespace = token_is(s, len, 1, "tablespace");
	if (token_is(s, len, 0, "create") || token_is(s, len, 0, "alter"))
		return *tablespace || token_is(s, len, 1, "role") ? 2 : -1;
	if ((on = token_find(s, len, "on")) == -1)
		return -1;
	*tablespace = token_is(s, len, (size_t)on + 1, "tablespace");
	if (*tablespace || token_is(s, len, (size_t)on + 1, "role"))
		return on + 2;
	/* GRANT SET ON PARAMETER work_mem TO bob */
	if (token_is(s, len, (size_t)on + 1, "parameter")) {
		bool grant = token_is(s, len, 0, "grant");
		int to = token_find(s, len, grant ? "to" : "from");

		return to == -1 ? -1 : to + 1;
	}
	return -1;
}

static void
add_role_oid(struct text *t, const char *name)
{
	text_add(t, "(SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ");
	text_add_literal(t, name);
	text_add(t, ")");
}

/* In a dollar quote that is not in body. */
static void
add_do(struct text *out, const struct text *body)
{
	char tag[TAG];

	settings_tag(tag, sizeof tag, text_get(body));
	text_addf(out, "DO %s\n", tag);
	text_add(out, text_get(body));
	text_addf(out, "%s;\n", tag);
	if (body->failed)
		out->failed = true;
}

/* Where " GRANTED BY name;" begins, or len.  It is always last. */
static size_t
granted_by(const char *s, size_t len, char *grantor)
{
	static const char words[] = " GRANTED BY ";
	size_t n = sizeof words - 1;
	bool quoted;

	for (size_t at = len; at-- > 0;)
		if (len - at > n && memcmp(s + at, words, n) == 0 &&
		    sql_token(
			s + at + n, len - at - n, 0, grantor, NAME, &quoted))
			return at;
	return len;
}

/* GRANT a TO b [WITH ...] [GRANTED BY c] */
static void
add_membership(struct text *out, const char *s, size_t len)
{
	char role[NAME], member[NAME], grantor[NAME];
	struct text t = { 0 };
	size_t cut = granted_by(s, len, grantor);
	bool quoted;

	if (!sql_token(s, len, 1, role, sizeof role, &quoted) ||
	    !sql_token(s, len, 3, member, sizeof member, &quoted))
		return;
	text_add(&t,
	    "BEGIN\n\tIF NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members"
	    " WHERE\n\t    roleid = ");
	add_role_oid(&t, role);
	text_add(&t, "\n\t    AND member = ");
	add_role_oid(&t, member);
	if (cut < len) {
		/* Since 16 one membership may have several grantors. */
		text_add(&t,
		    "\n\t    AND (pg_catalog.current_setting("
		    "'server_version_num')::int < 160000\n\t    OR grantor = ");
		add_role_oid(&t, grantor);
		text_add(&t, ")");
	}
	text_add(&t, ") THEN\n");
	if (cut < len)
		text_add(&t, "\tBEGIN\n");
	text_add(&t, "\t\t");
	text_add_n(&t, s, len);
	if (cut < len) {
		text_add(&t,
		    "\n\tEXCEPTION WHEN insufficient_privilege"
		    " OR invalid_grant_operation OR undefined_object THEN"
		    "\n\t\t");
		text_add_n(&t, s, cut);
		text_add(&t, ";\n\tEND;");
	}
	text_add(&t, "\n\tEND IF;\nEND\n");
	add_do(out, &t);
	text_free(&t);
}

static void
add_line(struct text *t, const char *s, size_t len)
{
	text_add_n(t, s, len);
	text_add(t, "\n");
}

static void
sort_statement(struct script *p, const char *s, size_t len)
{
	bool tablespace, quoted, create;
	struct group *g = NULL;
	char name[NAME];
	int at;

	if (token_is(s, len, 0, "set")) {
		add_line(&p->head, s, len);
		return;
	}
	if (token_is(s, len, 0, "grant") && token_find(s, len, "on") == -1) {
		add_membership(&p->memberships, s, len);
		return;
	}
	at = subject(s, len, &tablespace);
	create = at != -1 && token_is(s, len, 0, "create");
	if (at != -1 &&
	    sql_token(s, len, (size_t)at, name, sizeof name, &quoted)) {
		g = find(p, name, tablespace);
		if (g == NULL && create)
			g = add_group(p, name, tablespace);
	}
	add_line(g == NULL ? &p->others
		 : create  ? &g->create
			   : &g->rest,
	    s, len);
}

static void
add_role(struct text *out, const struct group *g)
{
	struct text t = { 0 };

	text_add(&t, "BEGIN\n\tIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles"
		     " WHERE rolname = ");
	text_add_literal(&t, g->name);
	text_add(&t, ") THEN\n");
	text_add(&t, text_get(&g->create));
	text_add(&t, text_get(&g->rest));
	text_add(&t, "\tEND IF;\nEND\n");
	add_do(out, &t);
	text_free(&t);
}

static void
add_tablespace(struct text *out, const struct group *g)
{
	struct text exists = { 0 }, t = { 0 };
	size_t len = g->create.len;

	/* Without its ";" and line end. */
	while (len > 0 && strchr(";\n", g->create.s[len - 1]) != NULL)
		len--;
	text_add(&exists, "EXISTS (SELECT FROM pg_catalog.pg_tablespace"
			  " WHERE spcname = ");
	text_add_literal(&exists, g->name);
	text_add(&exists, ")");
	if (g->rest.len > 0) {
		text_add(&t, "BEGIN\n\tPERFORM pg_catalog.set_config("
			     "'holdfast.new', (NOT ");
		text_add(&t, text_get(&exists));
		text_add(&t, ")::text, false);\nEND\n");
		add_do(out, &t);
		text_reset(&t);
	}
	text_add_n(&t, text_get(&g->create), len);
	text_add(out, "SELECT ");
	text_add_literal(out, text_get(&t));
	text_add(out, "\n    WHERE NOT ");
	text_add(out, text_get(&exists));
	text_add(out, " \\gexec\n");
	if (g->rest.len > 0) {
		text_reset(&t);
		text_add(&t, "BEGIN\n\tIF pg_catalog.current_setting("
			     "'holdfast.new', true) = 'true'\n\t    AND ");
		text_add(&t, text_get(&exists));
		text_add(&t, " THEN\n");
		text_add(&t, text_get(&g->rest));
		text_add(&t, "\tEND IF;\nEND\n");
		add_do(out, &t);
	}
	if (exists.failed || t.failed)
		out->failed = true;
	text_free(&exists);
	text_free(&t);
}

static void
add_all(struct text *out, const struct script *p)
{
	text_add(out,
	    "\\set ON_ERROR_STOP on\n"
	    "-- Roles, memberships and tablespaces that are missing; those "
	    "that exist are not changed.\n");
	text_add(out, text_get(&p->head));
	for (size_t i = 0; i < p->n; i++)
		if (!p->groups[i].tablespace)
			add_role(out, &p->groups[i]);
	text_add(out, text_get(&p->memberships));
	for (size_t i = 0; i < p->n; i++)
		if (p->groups[i].tablespace)
			add_tablespace(out, &p->groups[i]);
	text_add(out, text_get(&p->others));
	if (p->failed || p->head.failed || p->memberships.failed ||
	    p->others.failed)
		out->failed = true;
}

int
globals_rewrite(
    const char *sql, size_t len, struct text *out, struct hf_error *err)
{
	struct script p = { 0 };
	size_t start, n;

	while ((n = sql_statement(sql, len, &start)) > 0) {
		sort_statement(&p, sql + start, n);
		sql += start + n;
		len -= start + n;
	}
	add_all(out, &p);
	for (size_t i = 0; i < p.n; i++) {
		text_free(&p.groups[i].create);
		text_free(&p.groups[i].rest);
	}
	free(p.groups);
	text_free(&p.head);
	text_free(&p.memberships);
	text_free(&p.others);
	if (start < len)
		return H->fail(err, HF_E_CORRUPT,
		    "pg_dumpall wrote a statement that does not end");
	return text_ok(out, err);
}
