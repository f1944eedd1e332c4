/* SPDX-License-Identifier: BSD-2-Clause */
#include "pick.h"

#include "job.h"
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What can be asked for, and what the archive calls it. */
static const struct {
	const char *word, *kind;
} kinds[] = {
	{ "materialized view ", "MATERIALIZED VIEW" },
	{ "foreign table ", "FOREIGN TABLE" },
	{ "table ", "TABLE" },
	{ "view ", "VIEW" },
	{ "sequence ", "SEQUENCE" },
	{ "function ", "FUNCTION" },
	{ "procedure ", "PROCEDURE" },
	{ "aggregate ", "AGGREGATE" },
	{ "type ", "TYPE" },
	{ "domain ", "DOMAIN" },
	{ "extension ", "EXTENSION" },
	{ "schema ", "SCHEMA" },
};

struct item {
	const char *text, *kind;
	char schema[256]; /* "": any */
	char name[256];
};

/* One part of a name, in quotes or not; true when a '.' follows it. */
static bool
take_part(const char **s, char *buf, size_t cap)
{
	size_t n = 0;
	bool quoted = **s == '"';

	for (*s += quoted; **s != '\0'; (*s)++) {
		if (quoted && **s == '"' && *++*s != '"')
			break;
		if (!quoted && **s == '.')
			break;
		if (n + 1 < cap)
			buf[n++] = **s;
	}
	buf[n] = '\0';
	if (**s != '.')
		return false;
	(*s)++;
	return true;
}

static void
parse(const char *text, struct item *it)
{
	const char *s = text;
	size_t i, len;

	*it = (struct item){ .text = text, .kind = "TABLE" };
	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		len = strlen(kinds[i].word);
		if (strncmp(text, kinds[i].word, len) != 0)
			continue;
		it->kind = kinds[i].kind;
		s = text + len;
		break;
	}
	s += strspn(s, " ");
	if (take_part(&s, it->name, sizeof it->name)) {
		memcpy(it->schema, it->name, sizeof it->schema);
		(void)take_part(&s, it->name, sizeof it->name);
	}
}

bool
pick_begins(const char *rest, const char *schema, const char *name, char behind)
{
	const char *const parts[] = { schema, " ", name };
	size_t i;

	for (i = 0; i < 3; i++) {
		const char *p = parts[i];

		for (; *p != '\0'; p++, rest++)
			if (*rest != *p &&
			    !(*rest == ' ' && (*p == '\n' || *p == '\r')))
				return false;
	}
	return *rest == behind;
}

/* The part of a line that is its schema, when the rest is name. */
static bool
schema_of(
    const char *rest, const char *name, char behind, char *buf, size_t cap)
{
	const char *sp;

	for (sp = strchr(rest, ' '); sp != NULL; sp = strchr(sp + 1, ' ')) {
		size_t n = (size_t)(sp - rest);

		if (n >= cap)
			return false;
		memcpy(buf, rest, n);
		buf[n] = '\0';
		if (pick_begins(rest, buf, name, behind))
			return true;
	}
	return false;
}

bool
pick_has(const struct pick *p, const char *kind, const char *schema,
    const char *name)
{
	size_t i;

	for (i = 0; i < p->toc.n; i++)
		if (p->entries[i] &&
		    strcmp(p->toc.entries[i].kind, kind) == 0 &&
		    pick_begins(p->toc.entries[i].rest, schema, name, ' '))
			return true;
	return false;
}

bool
pick_entry(void *arg, size_t entry)
{
	const struct pick *p = arg;

	return p->entries[entry];
}

static bool
in_toc(const struct table *t, const struct toc_entry *e)
{
	char id[32];
	size_t i;

	if (e->catalog == 0 || t == NULL || t->toc == NULL)
		return false;
	(void)snprintf(id, sizeof id, "%u:%u", e->catalog, e->oid);
	for (i = 0; t->toc[i] != NULL; i++)
		if (strcmp(t->toc[i], id) == 0)
			return true;
	return false;
}

/* Is it a line about a part of the relation, and which says so itself? */
static bool
is_part(const struct toc_entry *e, const char *schema, const char *name)
{
	static const char *const own[] = { "CONSTRAINT", "CHECK CONSTRAINT",
		"FK CONSTRAINT", "DEFAULT", "TRIGGER", "RULE", "POLICY",
		"ROW SECURITY", NULL };
	size_t i;

	for (i = 0; own[i] != NULL; i++)
		if (strcmp(e->kind, own[i]) == 0)
			return pick_begins(e->rest, schema, name, ' ');
	return false;
}

/* "COMMENT schema COLUMN orders.id owner", "ACL schema TABLE orders owner",
 * "COMMENT schema CONSTRAINT c ON orders owner": about the entry of that kind
 * and name. */
static bool
is_about(const struct toc_entry *e, const char *kind, const char *schema,
    const char *name)
{
	char tag[600];
	const char *on;

	if (e->catalog != 0 ||
	    (strcmp(e->kind, "COMMENT") != 0 && strcmp(e->kind, "ACL") != 0 &&
		strcmp(e->kind, "SECURITY LABEL") != 0))
		return false;
	(void)snprintf(tag, sizeof tag, "%s %s", kind, name);
	if (pick_begins(e->rest, schema, tag, ' ') ||
	    pick_begins(e->rest, schema, tag, '('))
		return true;
	(void)snprintf(tag, sizeof tag, "COLUMN %s", name);
	if (pick_begins(e->rest, schema, tag, '.'))
		return true;
	/* Rights on views and the like are told of as those of a table. */
	(void)snprintf(tag, sizeof tag, "TABLE %s", name);
	if (strcmp(e->kind, "ACL") == 0 &&
	    pick_begins(e->rest, schema, tag, ' '))
		return true;
	(void)snprintf(tag, sizeof tag, " ON %s ", name);
	on = strstr(e->rest, tag);
	(void)snprintf(tag, sizeof tag, "%s ", schema);
	return on != NULL && strncmp(e->rest, tag, strlen(tag)) == 0;
}

void
pick_about(
    struct pick *p, const char *kind, const char *schema, const char *name)
{
	size_t i;

	for (i = 0; i < p->toc.n; i++)
		if (is_about(&p->toc.entries[i], kind, schema, name))
			p->entries[i] = true;
}

static void
need_schema(struct pick *p, const char *schema)
{
	char **grown;
	size_t i;

	for (i = 0; i < p->nschemas; i++)
		if (strcmp(p->schemas[i], schema) == 0)
			return;
	grown = realloc(p->schemas, (p->nschemas + 1) * sizeof *grown);
	if (grown == NULL) {
		p->failed = true;
		return;
	}
	p->schemas = grown;
	if ((grown[p->nschemas] = strdup(schema)) == NULL)
		p->failed = true;
	else
		p->nschemas++;
}

/* An entry of its own, and what is said about it. */
static void
pick_named(
    struct pick *p, const char *kind, const char *schema, const char *name)
{
	size_t i;

	if (strcmp(schema, "-") != 0)
		need_schema(p, schema);
	for (i = 0; i < p->toc.n; i++) {
		struct toc_entry *e = &p->toc.entries[i];

		if (strcmp(e->kind, kind) != 0 &&
		    !(strcmp(kind, "SEQUENCE") == 0 &&
			strcmp(e->kind, "SEQUENCE OWNED BY") == 0))
			continue;
		if (pick_begins(e->rest, schema, name, ' ') ||
		    pick_begins(e->rest, schema, name, '('))
			p->entries[i] = true;
	}
	pick_about(p, kind, schema, name);
}

/* A table or view with all that is part of it, and its partitions. */
static void
pick_relation(
    struct pick *p, const char *kind, const char *schema, const char *name)
{
	const struct contents *c = p->job->c;
	const struct table *table = NULL;
	size_t i;

	for (i = 0; i < c->ntables; i++)
		if (strcmp(c->tables[i].schema, schema) == 0 &&
		    strcmp(c->tables[i].name, name) == 0) {
			if (p->tables[i])
				return;
			p->tables[i] = true;
			table = &c->tables[i];
		}
	pick_named(p, kind, schema, name);
	for (i = 0; i < p->toc.n; i++)
		if (in_toc(table, &p->toc.entries[i]) ||
		    is_part(&p->toc.entries[i], schema, name))
			p->entries[i] = true;
	for (i = 0; i < p->refer.n; i++) {
		const struct refer_link *l = &p->refer.links[i];

		if (!refer_same(&l->table, schema, name))
			continue;
		if (l->kind == REFER_INDEX)
			pick_named(
			    p, "INDEX", l->object.schema, l->object.name);
		else if (l->kind == REFER_SEQUENCE)
			pick_named(
			    p, "SEQUENCE", l->object.schema, l->object.name);
		else if (l->kind == REFER_PARTITION)
			pick_relation(
			    p, "TABLE", l->object.schema, l->object.name);
	}
}

/* What makes the partition's indexes, and those of its constraints, parts of
 * the parent's. */
static void
set_attach(struct pick *p, const struct refer_name *part, bool on)
{
	size_t i, k, skip = strlen(part->schema) + 1;

	for (i = 0; i < p->toc.n; i++) {
		const struct toc_entry *a = &p->toc.entries[i], *e;

		if (strcmp(a->kind, "TABLE ATTACH") == 0 &&
		    pick_begins(a->rest, part->schema, part->name, ' '))
			p->entries[i] = on;
		if (strcmp(a->kind, "INDEX ATTACH") != 0)
			continue;
		for (k = 0; k < p->refer.n; k++)
			if (p->refer.links[k].kind == REFER_INDEX &&
			    refer_same(&p->refer.links[k].table, part->schema,
				part->name) &&
			    pick_begins(a->rest, part->schema,
				p->refer.links[k].object.name, ' '))
				p->entries[i] = on;
		/* "CONSTRAINT schema part c owner", "INDEX ATTACH schema c
		 * owner" */
		for (k = 0; k < p->toc.n; k++) {
			e = &p->toc.entries[k];
			if (strcmp(e->kind, "CONSTRAINT") == 0 &&
			    pick_begins(
				e->rest, part->schema, part->name, ' ') &&
			    strncmp(a->rest, part->schema, skip - 1) == 0 &&
			    strcmp(e->rest + skip + strlen(part->name) + 1,
				a->rest + skip) == 0)
				p->entries[i] = on;
		}
	}
}

/* Partitions are attached where their parent is picked as well. */
static void
pick_attach(struct pick *p)
{
	size_t i;

	for (i = 0; i < p->refer.n; i++) {
		const struct refer_link *l = &p->refer.links[i];

		if (l->kind == REFER_PARTITION &&
		    pick_has(p, "TABLE", l->object.schema, l->object.name))
			set_attach(p, &l->object,
			    pick_has(
				p, "TABLE", l->table.schema, l->table.name));
	}
}

/* All of a schema, and itself. */
static int
pick_schema(struct pick *p, const struct item *it, struct hf_error *err)
{
	const struct contents *c = p->job->c;
	char head[260];
	size_t i, len;
	bool found = false;

	(void)snprintf(head, sizeof head, "%s ", it->name);
	len = strlen(head);
	need_schema(p, it->name);
	for (i = 0; i < p->toc.n; i++) {
		const struct toc_entry *e = &p->toc.entries[i];

		if (strncmp(e->rest, head, len) == 0 &&
		    strncmp(e->kind, "PUBLICATION", 11) != 0)
			p->entries[i] = true;
		found = found || p->entries[i];
	}
	for (i = 0; i < c->ntables; i++)
		if (strcmp(c->tables[i].schema, it->name) == 0)
			p->tables[i] = true;
	if (!found)
		return H->fail(err, HF_E_NOTFOUND,
		    "the backup of %s has no schema %s, or nothing in it",
		    c->database, it->name);
	return HF_OK;
}

/* The schema of the one object that is meant. */
static int
find(const struct pick *p, struct item *it, struct hf_error *err)
{
	char schema[256], first[256] = "";
	const char *names = strcmp(it->kind, "EXTENSION") == 0 ? "-" : NULL;
	unsigned n = 0;
	size_t i;

	for (i = 0; i < p->toc.n; i++) {
		const struct toc_entry *e = &p->toc.entries[i];

		if (strcmp(e->kind, it->kind) != 0 ||
		    (!schema_of(
			 e->rest, it->name, ' ', schema, sizeof schema) &&
			!schema_of(
			    e->rest, it->name, '(', schema, sizeof schema)))
			continue;
		if (names == NULL && it->schema[0] != '\0' &&
		    strcmp(it->schema, schema) != 0)
			continue;
		/* Functions of one name are one choice. */
		if (n == 0 || strcmp(first, schema) != 0)
			n++;
		if (n == 1)
			memcpy(first, schema, sizeof first);
	}
	if (n == 0)
		return postgres_fail_hint(err, HF_E_NOTFOUND,
		    "Write \"table schema.name\", \"view schema.name\", ...; "
		    "capitals count.",
		    "the backup of %s has no %s", p->job->c->database,
		    it->text);
	if (n > 1)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Name its schema too.", "%s is in several schemas",
		    it->text);
	memcpy(it->schema, first, sizeof it->schema);
	return HF_OK;
}

static int
pick_item(struct pick *p, const char *text, struct hf_error *err)
{
	struct item it;
	int rc;

	parse(text, &it);
	if (strcmp(it.kind, "SCHEMA") == 0)
		return pick_schema(p, &it, err);
	if ((rc = find(p, &it, err)) != HF_OK)
		return rc;
	if (strstr(it.kind, "TABLE") != NULL || strstr(it.kind, "VIEW") != NULL)
		pick_relation(p, it.kind, it.schema, it.name);
	else
		pick_named(p, it.kind, it.schema, it.name);
	return HF_OK;
}

int
pick_open(struct pick *p, struct job *j, struct hf_error *err)
{
	size_t i;
	int rc;

	*p = (struct pick){ .job = j };
	if ((rc = schema_list(j, &p->toc, err)) != HF_OK ||
	    (rc = refer_read(j, &p->refer, err)) != HF_OK)
		return rc;
	p->entries = calloc(p->toc.n + 1, sizeof *p->entries);
	p->tables = calloc(j->c->ntables + 1, sizeof *p->tables);
	if (p->entries == NULL || p->tables == NULL)
		return postgres_nomem(err);
	for (i = 0; rc == HF_OK && j->conf.only[i] != NULL; i++)
		rc = pick_item(p, j->conf.only[i], err);
	if (rc == HF_OK)
		pick_attach(p);
	return rc == HF_OK && p->failed ? postgres_nomem(err) : rc;
}

void
pick_close(struct pick *p)
{
	while (p->nschemas > 0)
		free(p->schemas[--p->nschemas]);
	free(p->schemas);
	toc_clear(&p->toc);
	refer_clear(&p->refer);
	free(p->entries);
	free(p->tables);
}
