/* SPDX-License-Identifier: BSD-2-Clause */
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LEN 8192

static char *
trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL)
		s[--n] = '\0';
	return s;
}

/* Is "[...]" the section of this profile? */
static bool
is_section(char *line, const char *name)
{
	char *end = strchr(line, ']');

	if (end == NULL)
		return false;
	*end = '\0';
	line = trim(line + 1);
	if (strncmp(line, "profile", 7) == 0 &&
	    strchr(" \t", line[7]) != NULL && line[7] != '\0')
		line = trim(line + 7);
	return strcmp(line, name) == 0;
}

/* from: the first key wanted; the keys of one file belong together. */
static void
keep(struct profile *p, int from, const char *key, const char *value)
{
	static const char *const keys[] = { "aws_access_key_id",
		"aws_secret_access_key", "aws_session_token", "region" };
	const char **to[] = { &p->access_key, &p->secret_key, &p->session_token,
		&p->region };

	for (int i = from; i < 4; i++) {
		/* The credentials file is read first and wins. */
		if (strcmp(key, keys[i]) != 0 || *to[i] != NULL ||
		    strlen(value) >= sizeof p->text[i])
			continue;
		(void)snprintf(p->text[i], sizeof p->text[i], "%s", value);
		*to[i] = p->text[i];
	}
}

static void
read_file(struct profile *p, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = malloc(LINE_MAX_LEN), *s, *eq;
	bool had = p->access_key != NULL, here = false;

	while (
	    f != NULL && line != NULL && fgets(line, LINE_MAX_LEN, f) != NULL) {
		/* Indented lines are settings below a setting. */
		if (strchr(" \t#;", line[0]) != NULL)
			continue;
		s = trim(line);
		if (*s == '[')
			here = is_section(s, p->name);
		else if (here && (eq = strchr(s, '=')) != NULL) {
			*eq = '\0';
			keep(p, had ? 3 : 0, trim(s), trim(eq + 1));
		}
	}
	if (!had && p->access_key != NULL)
		(void)snprintf(p->file, sizeof p->file, "%s", path);
	if (line != NULL)
		explicit_bzero(line, LINE_MAX_LEN);
	free(line);
	if (f != NULL)
		(void)fclose(f);
}

static void
read_place(struct profile *p, const char *variable, const char *below_home)
{
	const char *path = getenv(variable), *home = getenv("HOME");
	char text[512];

	if (path == NULL || *path == '\0') {
		if (home == NULL)
			return;
		(void)snprintf(text, sizeof text, "%s/%s", home, below_home);
		path = text;
	}
	read_file(p, path);
}

bool
profile_read(const char *name, struct profile *p)
{
	memset(p, 0, sizeof *p);
	if (name == NULL)
		name = getenv("AWS_PROFILE");
	if (name == NULL || *name == '\0')
		name = "default";
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	read_place(p, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
	read_place(p, "AWS_CONFIG_FILE", ".aws/config");
	return p->access_key != NULL && p->secret_key != NULL;
}
