/* SPDX-License-Identifier: BSD-2-Clause */
#include "conninfo.h"

#include "postgres.h"
#include "text.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* Two arrays side by side, as libpq takes them; both have room for one NULL
 * more than there are keywords of libpq. */
struct conninfo {
	size_t n, cap;
	char **keywords, **values;
};

/* Where the user says nothing. */
static const char *const defaults[][2] = {
	{ "connect_timeout", "30" },
	{ "keepalives_idle", "30" },
	{ "keepalives_interval", "10" },
	{ "keepalives_count", "3" },
	/* Not less: a server that takes nothing for that long, as with a slow
	 * disk, counts as gone too. */
	{ "tcp_user_timeout", "120000" },
	{ "fallback_application_name", "holdfast" },
};

/* Where a server is and who asks: with another of these, the source's password
 * is not the target's.  service may change any of them. */
static const char *const identity[] = { "host", "hostaddr", "port", "user",
	"service" };

static void
wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

static size_t
find(const struct conninfo *c, const char *keyword)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (strcmp(c->keywords[i], keyword) == 0)
			break;
	return i;
}

const char *
conninfo_get(const struct conninfo *c, const char *keyword)
{
	size_t i = find(c, keyword);

	return i < c->n ? c->values[i] : NULL;
}

static void
unset(struct conninfo *c, size_t i)
{
	if (i >= c->n)
		return;
	free(c->keywords[i]);
	wipe(c->values[i]);
	c->n--;
	memmove(c->keywords + i, c->keywords + i + 1,
	    (c->n - i + 1) * sizeof *c->keywords);
	memmove(c->values + i, c->values + i + 1,
	    (c->n - i + 1) * sizeof *c->values);
}

static bool
grow(struct conninfo *c)
{
	size_t cap = c->cap == 0 ? 32 : c->cap * 2;
	char **p;

	if (c->n + 1 < c->cap)
		return true;
	if ((p = realloc(c->keywords, cap * sizeof *p)) == NULL)
		return false;
	c->keywords = p;
	if ((p = realloc(c->values, cap * sizeof *p)) == NULL)
		return false;
	c->values = p;
	c->cap = cap;
	return true;
}

int
conninfo_set(struct conninfo *c, const char *keyword, const char *value,
    struct hf_error *err)
{
	size_t i = find(c, keyword);
	char *k, *v;

	if (value == NULL) {
		unset(c, i);
		return HF_OK;
	}
	if ((v = strdup(value)) == NULL)
		return postgres_nomem(err);
	if (i < c->n) {
		wipe(c->values[i]);
		c->values[i] = v;
		return HF_OK;
	}
	if ((k = strdup(keyword)) == NULL || !grow(c)) {
		free(k);
		wipe(v);
		return postgres_nomem(err);
	}
	c->keywords[c->n] = k;
	c->values[c->n++] = v;
	c->keywords[c->n] = NULL;
	c->values[c->n] = NULL;
	return HF_OK;
}

static bool
is_uri(const char *s)
{
	return strncmp(s, "postgresql://", 13) == 0 ||
	       strncmp(s, "postgres://", 11) == 0;
}

static int
conninfo_new(struct conninfo **out, struct hf_error *err)
{
	struct conninfo *c = calloc(1, sizeof *c);

	*out = NULL;
	if (c == NULL || !grow(c)) {
		conninfo_free(c);
		return postgres_nomem(err);
	}
	c->keywords[0] = c->values[0] = NULL;
	*out = c;
	return HF_OK;
}

void
conninfo_free(struct conninfo *c)
{
	if (c == NULL)
		return;
	while (c->n > 0)
		unset(c, c->n - 1);
	free(c->keywords);
	free(c->values);
	free(c);
}

int
conninfo_copy(
    const struct conninfo *from, struct conninfo **out, struct hf_error *err)
{
	struct conninfo *c;
	size_t i;
	int rc;

	if ((rc = conninfo_new(&c, err)) != HF_OK)
		return rc;
	for (i = 0; i < from->n && rc == HF_OK; i++)
		rc = conninfo_set(c, from->keywords[i], from->values[i], err);
	if (rc != HF_OK) {
		conninfo_free(c);
		return rc;
	}
	*out = c;
	return HF_OK;
}

/* libpq's message may quote what the user wrote, a password too: so only an
 * unknown keyword is taken from it.  One behind "pass" may be a piece of a
 * password that has blanks. */
static int
parse_failed(const char *text, const char *message, struct hf_error *err)
{
	static const char option[] = "invalid connection option \"";
	const char *hint = "Write it as psql takes it: \"host=db dbname=shop "
			   "user=backup\", or "
			   "\"postgresql://backup@db/shop\"; values with "
			   "blanks stand in '...'.";
	const char *p = message == NULL ? NULL : strstr(message, option);
	const char *pass = strcasestr(text, "pass"), *at;
	bool uri = is_uri(text);
	size_t n;

	if (!uri && p != NULL) {
		p += sizeof option - 1;
		n = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
		at = n == 0 ? NULL : memmem(text, strlen(text), p, n);
		if (at != NULL && p[n] == '"' && (pass == NULL || at <= pass))
			return postgres_fail_hint(err, HF_E_INVALID, hint,
			    "conninfo: \"%.*s\" is no keyword of libpq", (int)n,
			    p);
	}
	return postgres_fail_hint(err, HF_E_INVALID, hint,
	    uri ? "conninfo: this is not a URI that libpq can read"
		: "conninfo: this is not a list of keyword=value that libpq "
		  "can read");
}

/* libpq knows which of its options are shown as stars. */
static bool
is_secret(const PQconninfoOption *o, const char *keyword)
{
	for (; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return strchr(o->dispchar, '*') != NULL;
	return false;
}

/* Programs must be able to connect as we do: PGPASSWORD hands them a password,
 * and for other secrets there is no such variable. */
static int
check_secret(const PQconninfoOption *o, struct hf_error *err)
{
	if (!is_secret(o, o->keyword) || strcmp(o->keyword, "password") == 0)
		return HF_OK;
	return postgres_fail_hint(err, HF_E_INVALID,
	    "Put it into a service file (pg_service.conf) and name that by "
	    "service=...; or use a key without a passphrase, in a file that "
	    "only this user can read.",
	    "conninfo: %s cannot be handed to pg_dump and pg_restore in "
	    "secret",
	    o->keyword);
}

static int
parse(struct conninfo *c, const char *text, struct hf_error *err)
{
	PQconninfoOption *options, *o;
	char *message = NULL;
	int rc = HF_OK;

	if ((options = PQconninfoParse(text, &message)) == NULL) {
		rc = parse_failed(text, message, err);
		PQfreemem(message);
		return rc;
	}
	for (o = options; o->keyword != NULL && rc == HF_OK; o++)
		if (o->val != NULL && (rc = check_secret(o, err)) == HF_OK)
			rc = conninfo_set(c, o->keyword, o->val, err);
	for (o = options; o->keyword != NULL; o++)
		if (o->val != NULL)
			explicit_bzero(o->val, strlen(o->val));
	PQconninfoFree(options);
	return rc;
}

/* What libpq would use, with PG* variables and service files, which have no
 * function of their own: a connection that fails before it touches the
 * network still has all of its options. */
static PQconninfoOption *
effective(const struct conninfo *c, struct hf_error *err)
{
	const char *keywords[] = { "service", "sslmode", NULL };
	const char *values[] = { conninfo_get(c, "service"), "-", NULL };
	PQconninfoOption *options = NULL;
	PGconn *pg = PQconnectStartParams(keywords, values, 0);

	if (pg != NULL)
		options = PQconninfo(pg);
	PQfinish(pg);
	if (options == NULL)
		(void)postgres_nomem(err);
	return options;
}

static bool
is_set(const PQconninfoOption *o, const char *keyword)
{
	for (; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val != NULL && o->val[0] != '\0';
	/* One that this libpq does not know must not be given to it. */
	return true;
}

static int
add_defaults(struct conninfo *c, struct hf_error *err)
{
	PQconninfoOption *theirs = effective(c, err);
	size_t i;
	int rc = HF_OK;

	if (theirs == NULL)
		return HF_E_NOMEM;
	for (i = 0; i < sizeof defaults / sizeof *defaults; i++)
		if (rc == HF_OK && conninfo_get(c, defaults[i][0]) == NULL &&
		    !is_set(theirs, defaults[i][0]))
			rc = conninfo_set(
			    c, defaults[i][0], defaults[i][1], err);
	PQconninfoFree(theirs);
	return rc;
}

static int
source_parse(
    const struct conf *conf, struct conninfo **out, struct hf_error *err)
{
	struct conninfo *c;
	int rc;

	if ((rc = conninfo_new(&c, err)) != HF_OK)
		return rc;
	if (conf->conninfo != NULL)
		rc = parse(c, conf->conninfo, err);
	if (rc == HF_OK && conf->password != NULL)
		rc = conninfo_set(c, "password", conf->password, err);
	if (rc != HF_OK) {
		conninfo_free(c);
		return rc;
	}
	*out = c;
	return HF_OK;
}

int
conninfo_source(
    const struct conf *conf, struct conninfo **out, struct hf_error *err)
{
	int rc;

	*out = NULL;
	if ((rc = source_parse(conf, out, err)) == HF_OK &&
	    (rc = add_defaults(*out, err)) != HF_OK) {
		conninfo_free(*out);
		*out = NULL;
	}
	return rc;
}

static bool
differs(
    const struct conninfo *over, const struct conninfo *c, const char *keyword)
{
	const char *a = conninfo_get(over, keyword);
	const char *b = conninfo_get(c, keyword);

	return a != NULL && (b == NULL || strcmp(a, b) != 0);
}

/* over's keywords into c, the source's. */
static int
lay_over(struct conninfo *c, const struct conninfo *over, struct hf_error *err)
{
	size_t i;
	int rc = HF_OK;

	for (i = 0; i < sizeof identity / sizeof *identity; i++)
		if (differs(over, c, identity[i]))
			unset(c, find(c, "password"));
	/* What the source says would win over what the service says. */
	if (differs(over, c, "service"))
		while (c->n > 0)
			unset(c, c->n - 1);
	/* libpq connects to hostaddr whatever host says. */
	if (differs(over, c, "host"))
		unset(c, find(c, "hostaddr"));
	if (differs(over, c, "hostaddr"))
		unset(c, find(c, "host"));
	unset(c, find(c, "dbname"));
	for (i = 0; i < over->n && rc == HF_OK; i++)
		rc = conninfo_set(c, over->keywords[i], over->values[i], err);
	return rc;
}

static int
target_over(struct conninfo *c, const char *target, struct hf_error *err)
{
	struct conninfo *over;
	int rc;

	if (!is_uri(target) && strchr(target, '=') == NULL)
		return conninfo_set(c, "dbname", target, err);
	if ((rc = conninfo_new(&over, err)) != HF_OK)
		return rc;
	if ((rc = parse(over, target, err)) == HF_OK)
		rc = lay_over(c, over, err);
	conninfo_free(over);
	return rc;
}

int
conninfo_target(const struct conf *conf, const char *target,
    struct conninfo **out, struct hf_error *err)
{
	int rc;

	*out = NULL;
	if ((rc = source_parse(conf, out, err)) != HF_OK)
		return rc;
	if (target != NULL)
		rc = target_over(*out, target, err);
	if (rc == HF_OK)
		rc = add_defaults(*out, err);
	if (rc != HF_OK) {
		conninfo_free(*out);
		*out = NULL;
	}
	return rc;
}

void
conninfo_params(const struct conninfo *c, const char *const **keywords,
    const char *const **values)
{
	*keywords = (const char *const *)c->keywords;
	*values = (const char *const *)c->values;
}

static void
add_value(struct text *t, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\'' || *s == '\\')
			text_add(t, "\\");
		text_add_n(t, s, 1);
	}
}

char *
conninfo_text(const struct conninfo *c, struct hf_error *err)
{
	PQconninfoOption *all = PQconninfoParse("", NULL);
	struct text t = { 0 };
	size_t i;

	if (all == NULL) {
		(void)postgres_nomem(err);
		return NULL;
	}
	text_add(&t, "");
	for (i = 0; i < c->n; i++) {
		if (is_secret(all, c->keywords[i]))
			continue;
		text_addf(&t, "%s%s='", t.len > 0 ? " " : "", c->keywords[i]);
		add_value(&t, c->values[i]);
		text_add(&t, "'");
	}
	PQconninfoFree(all);
	if (text_ok(&t, err) != HF_OK)
		text_free(&t);
	return t.s;
}

static bool
is_variable(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

char **
conninfo_env(const struct conninfo *c, struct hf_error *err)
{
	const char *password = conninfo_get(c, "password");
	size_t n = 3, bytes = sizeof "LC_ALL=C", i, len;
	char **env, *p;

	for (i = 0; environ[i] != NULL; i++, n++)
		bytes += strlen(environ[i]) + 1;
	if (password != NULL)
		bytes += sizeof "PGPASSWORD=" + strlen(password);
	if ((env = malloc(n * sizeof *env + bytes)) == NULL) {
		(void)postgres_nomem(err);
		return NULL;
	}
	p = (char *)(env + n);
	n = 0;
	env[n++] = memcpy(p, "LC_ALL=C", sizeof "LC_ALL=C");
	p += sizeof "LC_ALL=C";
	for (i = 0; environ[i] != NULL; i++) {
		if (is_variable(environ[i], "LC_ALL") ||
		    (password != NULL && is_variable(environ[i], "PGPASSWORD")))
			continue;
		len = strlen(environ[i]) + 1;
		env[n++] = memcpy(p, environ[i], len);
		p += len;
	}
	if (password != NULL) {
		env[n++] = p;
		memcpy(p, "PGPASSWORD=", sizeof "PGPASSWORD=" - 1);
		memcpy(p + sizeof "PGPASSWORD=" - 1, password,
		    strlen(password) + 1);
	}
	env[n] = NULL;
	return env;
}
