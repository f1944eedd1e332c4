/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "build.h"
#include "check.h"
#include "merge.h"
#include "raw.h"

/* Ten thousand pipelines are about 2 MiB. */
#define CONFIG_MAX (16u << 20)

static int
no_memory(struct hf_error *err)
{
	return error_fail(err, HF_E_NOMEM, "no memory");
}

static int
new_config(const char *path, struct config **out, struct hf_error *err)
{
	struct config *c;
	char *slash;

	*out = NULL;
	if ((c = calloc(1, sizeof *c)) == NULL ||
	    (c->raw = calloc(1, sizeof *c->raw)) == NULL)
		goto fail;
	c->raw->shown = strdup(path);
	c->path = file_absolute(path, NULL);
	if (c->raw->shown == NULL || c->path == NULL ||
	    (c->dir = strdup(c->path)) == NULL)
		goto fail;
	slash = strrchr(c->dir, '/');
	if (slash != NULL)
		slash[slash == c->dir ? 1 : 0] = '\0';
	*out = c;
	return HF_OK;
fail:
	config_free(c);
	return no_memory(err);
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	build_free(c);
	json_decref(c->merged);
	if (c->raw != NULL) {
		json_decref(c->raw->doc);
		problem_free(&c->raw->problems);
		buf_free(&c->raw->text);
		free(c->raw->shown);
		free(c->raw);
	}
	free(c->path);
	free(c->dir);
	free(c);
}

/* The file itself cannot be read: keeps its status. */
static int
read_text(struct config *c, struct hf_error *err)
{
	struct hf_error why = { 0 };
	char line[1024];
	int rc;

	rc = file_read(c->path, CONFIG_MAX, &c->raw->text, &why);
	if (rc == HF_OK)
		return HF_OK;
	error_line(&why, line, sizeof line);
	problem_add_at(
	    &c->raw->problems, 0, 0, error_get(&why, "hint"), "%s", line);
	(void)raw_publish(c, NULL);
	if (err != NULL)
		*err = why;
	return rc;
}

/* What people try in JSON that is not JSON. */
static const char *
syntax_hint(const struct buf *text, const json_error_t *e)
{
	if (text->len >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0)
		return "The file starts with a byte order mark; save it as "
		       "UTF-8 without one.";
	if (strstr(e->text, "near '}'") != NULL ||
	    strstr(e->text, "near ']'") != NULL)
		return "JSON has no comma behind the last one of an object "
		       "or a list.";
	if (strstr(e->text, "near '/'") != NULL ||
	    strstr(e->text, "near '#'") != NULL)
		return "JSON has no comments; write \"$comment\": \"...\" "
		       "as a member instead.";
	if (strstr(e->text, "near '''") != NULL)
		return "Strings stand between double quotes.";
	return NULL;
}

/* The parser quotes where it stopped, and that may be half of a secret.  The
 * name of a key that stands twice is none. */
static void
cut_quotation(char *text)
{
	char *quotation = strstr(text, " near '\"");

	if (quotation != NULL && strstr(text, "duplicate object key") != text)
		*quotation = '\0';
}

static void
parse_text(struct config *c)
{
	struct config_raw *raw = c->raw;
	json_error_t e = { 0 };

	raw->doc = json_loadb(raw->text.len == 0 ? "" : (char *)raw->text.data,
	    raw->text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (raw->doc == NULL) {
		cut_quotation(e.text);
		problem_add_at(&raw->problems, e.line < 1 ? 1 : e.line,
		    e.column < 1 ? 1 : e.column, syntax_hint(&raw->text, &e),
		    "not valid JSON: %s", e.text);
		return;
	}
	if (!json_is_object(raw->doc)) {
		problem_add_at(&raw->problems, 1, 1, NULL,
		    "expected an object at the top of the file");
		json_decref(raw->doc);
		raw->doc = NULL;
	}
}

static int
understand(struct config *c, struct plugins *plugins, struct hf_error *err)
{
	struct check check = { 0 };
	int rc;

	check.problems = &c->raw->problems;
	check.doc = c->raw->doc;
	check_document(&check);
	if ((c->merged = merge_document(c->raw->doc)) == NULL)
		rc = no_memory(err);
	else
		rc = build_config(c, &check, plugins, err);
	if (check.failed || check.path.failed)
		rc = no_memory(err);
	check_free(&check);
	return rc;
}

int
config_load(const char *path, struct plugins *plugins, struct config **out,
    struct hf_error *err)
{
	struct config *c;
	int rc;

	if ((rc = new_config(path, out, err)) != HF_OK)
		return rc;
	c = *out;
	if ((rc = read_text(c, err)) != HF_OK)
		return rc;
	parse_text(c);
	if (c->raw->doc != NULL) {
		c->raw->problems.text = (const char *)c->raw->text.data;
		if ((rc = understand(c, plugins, err)) != HF_OK)
			goto fail;
	}
	rc = raw_publish(c, err);
	if (rc != HF_E_NOMEM)
		return rc;
fail:
	config_free(c);
	*out = NULL;
	return rc;
}

const struct config_pipeline *
config_pipeline(const struct config *c, const char *name, const char **nearest)
{
	const char **names;

	if (nearest != NULL)
		*nearest = NULL;
	for (size_t i = 0; i < c->npipelines; i++)
		if (strcmp(c->pipelines[i].name, name) == 0)
			return &c->pipelines[i];
	if (nearest == NULL ||
	    (names = calloc(c->npipelines + 1, sizeof *names)) == NULL)
		return NULL;
	for (size_t i = 0; i < c->npipelines; i++)
		names[i] = c->pipelines[i].name;
	*nearest = text_nearest(name, names);
	free(names);
	return NULL;
}

const struct config_item *
config_filter(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->nfilters; i++)
		if (strcmp(c->filters[i].name, name) == 0)
			return &c->filters[i];
	return NULL;
}

const struct config_sink *
config_sink(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->nsinks; i++)
		if (strcmp(c->sinks[i].item.name, name) == 0)
			return &c->sinks[i];
	return NULL;
}

void
config_print_problems(const struct config *c, FILE *f)
{
	for (size_t i = 0; i < c->nproblems; i++) {
		const struct config_problem *p = &c->problems[i];

		fprintf(f, "%s:", c->raw->shown);
		if (p->line > 0)
			fprintf(f, "%d:%d:", p->line, p->column);
		fprintf(f, " %s%s%s%s\n", p->warning ? "warning: " : "",
		    p->path, *p->path == '\0' ? "" : ": ", p->text);
		if (p->hint != NULL)
			fprintf(f, "  hint: %s\n", p->hint);
	}
}
