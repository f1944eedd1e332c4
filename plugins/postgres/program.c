/* SPDX-License-Identifier: BSD-2-Clause */
#include "program.h"

#include "postgres.h"
#include "text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 4096
#define ANSWER_MS 10000

struct search {
	const char *name;
	int major;           /* 0: the newest */
	struct program best; /* version 0: none yet */
	struct program old;  /* the newest that is too old */
	struct text broken;  /* found, but gave no version */
};

/* ---- one program ---- */

/* "pg_dump (PostgreSQL) 15.20 (Debian ...)" -> 150020, "9.6.24" -> 90624,
 * "17beta1" -> 170000; 0: it is no such thing. */
static int
parse_version(const char *text)
{
	const char *s = strstr(text, "(PostgreSQL) ");
	long part[3] = { 0, 0, 0 };
	char *end;

	if (s == NULL)
		return 0;
	s += strlen("(PostgreSQL) ");
	for (int i = 0; i < 3 && *s >= '0' && *s <= '9'; i++) {
		part[i] = strtol(s, &end, 10);
		if (part[i] > 9999)
			return 0;
		s = *end == '.' ? end + 1 : "";
	}
	if (part[0] >= 10)
		return (int)(part[0] * 10000 + part[1]);
	return (int)(part[0] * 10000 + part[1] * 100 + part[2]);
}

static int
ask_version(const char *path, struct hf_error *err)
{
	char *argv[] = { (char *)(uintptr_t)path, (char[]){ "--version" },
		NULL };
	const struct child_options o = { .path = path,
		.argv = argv,
		.in = -1,
		.out = -1,
		.time_limit = ANSWER_MS };
	char *text = NULL;
	size_t len = 0;
	int version = 0;

	if (child_capture(NULL, &o, ANSWER_MAX, &text, &len, NULL, err) ==
	    HF_OK)
		version = parse_version(text);
	free(text);
	return version;
}

/* Is a a better find than b? */
static bool
better(const struct search *s, int a, int b)
{
	if (b == 0)
		return true;
	/* The same version: the place that was looked at first. */
	if (s->major == 0 || a / 10000 == b / 10000)
		return a > b;
	return a < b;
}

static void
look_in(struct search *s, const char *folder)
{
	struct program p;
	int n;

	n = snprintf(p.path, sizeof p.path, "%s/%s", folder, s->name);
	if (n < 0 || (size_t)n >= sizeof p.path || access(p.path, X_OK) != 0)
		return;
	if ((p.version = ask_version(p.path, NULL)) == 0) {
		text_addf(
		    &s->broken, "%s%s", s->broken.len > 0 ? ", " : "", p.path);
	} else if (p.version / 10000 < s->major) {
		if (p.version > s->old.version)
			s->old = p;
	} else if (better(s, p.version, s->best.version)) {
		s->best = p;
	}
}

/* ---- places ---- */

/* parent/PREFIX<number>/bin */
static void
look_below(struct search *s, const char *parent, const char *prefix)
{
	DIR *d = opendir(parent);
	size_t n = strlen(prefix);
	const struct dirent *e;
	char folder[512];

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, prefix, n) != 0 || e->d_name[n] < '0' ||
		    e->d_name[n] > '9')
			continue;
		(void)snprintf(
		    folder, sizeof folder, "%s/%s/bin", parent, e->d_name);
		look_in(s, folder);
	}
	(void)closedir(d);
}

static void
look_in_path(struct search *s)
{
	const char *p = getenv("PATH");
	char folder[3072];

	while (p != NULL && *p != '\0') {
		size_t len = strcspn(p, ":");

		/* A relative one is another program in every folder. */
		if (*p == '/' && len < sizeof folder) {
			memcpy(folder, p, len);
			folder[len] = '\0';
			look_in(s, folder);
		}
		p += len;
		p += *p == ':';
	}
}

static void
look_everywhere(struct search *s)
{
	look_below(s, "/usr/lib/postgresql", "");
	look_below(s, "/usr", "pgsql-");
	look_in(s, "/usr/local/pgsql/bin");
	if (s->best.version == 0 ||
	    (s->major != 0 && s->best.version / 10000 != s->major))
		look_in_path(s);
}

/* ---- what to say ---- */

static void
package_hint(const struct search *s, char *hint, size_t cap)
{
	static const char *const clients[] = { "pg_dump", "pg_dumpall",
		"pg_restore", "psql", "pg_basebackup", "pg_verifybackup" };
	const char *package = "postgresql";
	char version[16] = "";

	for (size_t i = 0; i < sizeof clients / sizeof *clients; i++)
		if (strcmp(s->name, clients[i]) == 0)
			package = "postgresql-client";
	if (s->major != 0)
		(void)snprintf(version, sizeof version, "-%d", s->major);
	(void)snprintf(hint, cap,
	    "Install the package %s%s, or set bin_dir to the folder of %s%s.",
	    package, version, s->name,
	    s->major != 0 ? " of that version or a newer one" : "");
}

static int
not_found(struct search *s, const struct conf *conf, struct hf_error *err)
{
	char hint[256], where[1100];
	int major = s->major;

	package_hint(s, hint, sizeof hint);
	if (conf->bin_dir != NULL)
		(void)snprintf(
		    where, sizeof where, "bin_dir, %.1024s", conf->bin_dir);
	else
		(void)snprintf(where, sizeof where,
		    "/usr/lib/postgresql/*/bin, /usr/pgsql-*/bin, "
		    "/usr/local/pgsql/bin and PATH");
	if (s->old.version != 0)
		return postgres_fail_hint(err, HF_E_UNSUPPORTED, hint,
		    "the server has version %d, and the newest %s in %s has "
		    "version %d (%.256s)",
		    major, s->name, where, s->old.version / 10000, s->old.path);
	if (s->broken.len > 0)
		return postgres_fail_hint(err, HF_E_NOTFOUND, hint,
		    "no %s in %s says its version; tried %.256s", s->name,
		    where, text_get(&s->broken));
	return postgres_fail_hint(
	    err, HF_E_NOTFOUND, hint, "there is no %s in %s", s->name, where);
}

int
program_find(const struct conf *conf, const char *name, int at_least,
    struct program *out, struct hf_error *err)
{
	struct search s = { .name = name, .major = at_least / 10000 };
	int rc = HF_OK;

	if (conf->bin_dir != NULL)
		look_in(&s, conf->bin_dir);
	else
		look_everywhere(&s);
	if (s.best.version != 0)
		*out = s.best;
	else
		rc = not_found(&s, conf, err);
	text_free(&s.broken);
	return rc;
}
