/* SPDX-License-Identifier: BSD-2-Clause */
#include "recipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/render.h"
#include "config/config.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "repo/manifest.h"

/* The tool that takes a filter off.  A type that is not here is named.
 * joined: it also takes several files, laid end to end. */
static const struct {
	const char *type, *tool;
	bool joined;
} tools[] = {
	{ "gzip", "gunzip -c", true },
	{ "zstd", "zstd -dc", true },
	{ "age", "age -d -i KEYFILE", false },
};

static const char *
tool_of(const char *type)
{
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
		if (strcmp(tools[i].type, type) == 0)
			return tools[i].tool;
	return NULL;
}

/* Where a sink's keys begin, when that is a folder of this machine: its
 * option "path".  NULL when it is not; the caller frees. */
static char *
sink_folder(const struct config *config, const struct config_sink *sink)
{
	const struct plugin *p = sink->item.plugin;
	struct options *options = NULL;
	const struct hf_option *o;
	char *folder = NULL;

	if (config_resolve(config, &sink->item, &options, NULL) != HF_OK)
		return NULL;
	for (size_t i = 0;
	     p->desc.options != NULL &&
	     (o = options_at(p->desc.options, p->desc.option_size, i)) != NULL;
	     i++) {
		const char *const *value;

		if (o->type != HF_OPT_PATH || strcmp(o->name, "path") != 0 ||
		    (o->flags & HF_OPT_LIST) != 0)
			continue;
		value = (const void *)((const char *)options_conf(options) +
				       o->offset);
		if (*value != NULL)
			folder = strdup(*value);
	}
	options_free(options);
	return folder;
}

/* The filters of an object, undone one after the other. */
static void
print_tools(const struct manifest_object *o, const char *file, FILE *f)
{
	for (size_t i = o->nfilters; i > 0; i--) {
		const char *tool = tool_of(o->filters[i - 1].type);

		fprintf(f, "%s%s%s%s%s", i == o->nfilters ? "" : " | ",
		    tool == NULL ? "undo-" : tool,
		    tool == NULL ? o->filters[i - 1].type : "",
		    i == o->nfilters && *file != '\0' ? " " : "",
		    i == o->nfilters ? file : "");
	}
}

static void
print_object(
    const struct manifest_object *o, size_t skip, const char *into, FILE *f)
{
	const char *base = strrchr(o->name, '/');
	char *file = text_quote(o->key + skip);
	char *target =
	    text_format("%s/%s", into, base == NULL ? o->name : base + 1);
	char *quoted = target == NULL ? NULL : text_quote(target);

	if (file == NULL || quoted == NULL)
		goto out;
	fprintf(f, "    %s", o->nfilters == 0 ? "cat " : "");
	if (o->nfilters == 0)
		render_word(f, RENDER_PLAIN, file);
	print_tools(o, file, f);
	fprintf(f, " > ");
	render_word(f, RENDER_PLAIN, quoted);
	fprintf(f, "\n    sha256sum ");
	render_word(f, RENDER_PLAIN, quoted);
	fprintf(f, "\n        # must say %s\n", o->raw_sha256);
out:
	free(file);
	free(target);
	free(quoted);
}

/* ---- objects that are one script ---- */

static bool
is_script(const struct manifest_object *o)
{
	size_t len = strlen(o->name);

	return len > 4 && strcmp(o->name + len - 4, ".sql") == 0;
}

static bool
all_joined(const struct manifest_object *o)
{
	bool joined = true;

	for (size_t i = 0; i < o->nfilters; i++) {
		size_t t = 0;

		while (t < sizeof tools / sizeof *tools &&
		       strcmp(tools[t].type, o->filters[i].type) != 0)
			t++;
		joined = joined && t < sizeof tools / sizeof *tools &&
			 tools[t].joined;
	}
	return joined;
}

/* ".sql" and the filters' suffixes. */
static const char *
ending(const char *base)
{
	const char *end = ".sql";

	while ((base = strstr(base, ".sql")) != NULL)
		end = base++;
	return end;
}

/* All scripts of the folder that this one is in: numbers in front of their
 * names give their order. */
static void
print_script(
    const struct manifest_object *o, size_t skip, const char *command, FILE *f)
{
	const char *file = o->key + skip, *base = strrchr(file, '/'),
		   *end = ending(base == NULL ? file : base);
	char *folder = base == NULL ? strdup("")
				    : strndup(file, (size_t)(base - file) + 1);
	char *quoted = folder == NULL ? NULL : text_quote(folder);

	fprintf(f, "    ");
	if (quoted == NULL) {
		fprintf(f, "# no memory\n");
	} else if (all_joined(o)) {
		fprintf(f, "cat ");
		render_word(f, RENDER_PLAIN, *folder == '\0' ? "" : quoted);
		fprintf(f, "*%s", end);
		if (o->nfilters > 0)
			fprintf(f, " | ");
		print_tools(o, "", f);
		fprintf(f, " | %s\n", command);
	} else {
		fprintf(f, "for f in ");
		render_word(f, RENDER_PLAIN, *folder == '\0' ? "" : quoted);
		fprintf(f, "*%s; do ", end);
		print_tools(o, "\"$f\"", f);
		fprintf(f, "; done | %s\n", command);
	}
	free(folder);
	free(quoted);
}

/* Length of the folder that an object is in. */
static size_t
folder_of(const struct manifest_object *o)
{
	const char *base = strrchr(o->key, '/');

	return base == NULL ? 0 : (size_t)(base - o->key);
}

static int
by_folder(const void *a, const void *b)
{
	const struct manifest_object
	    *x = *(const struct manifest_object *const *)a,
	    *y = *(const struct manifest_object *const *)b;
	size_t nx = folder_of(x), ny = folder_of(y);
	int order = strncmp(x->key, y->key, nx < ny ? nx : ny);

	return order != 0 ? order : (nx > ny) - (nx < ny);
}

/* One line a folder: a backup of several databases has one for each. */
static bool
print_scripts(
    const struct manifest_source *s, size_t skip, const char *command, FILE *f)
{
	const struct manifest_object **list =
	    calloc(s->nobjects + 1, sizeof(const struct manifest_object *));
	size_t n = 0;

	for (size_t i = 0; list != NULL && i < s->nobjects; i++)
		if (is_script(&s->objects[i]))
			list[n++] = &s->objects[i];
	if (n > 0) {
		qsort(
		    list, n, sizeof(const struct manifest_object *), by_folder);
		fprintf(f,
		    "    # source %s: its scripts, in the order of their "
		    "names\n",
		    s->name);
	}
	for (size_t i = 0; i < n; i++)
		if (i == 0 || by_folder(&list[i - 1], &list[i]) != 0)
			print_script(list[i], skip, command, f);
	free(list);
	return n > 0;
}

/* What the source's engine says, as far as it is still configured. */
static const char *
script_command(const struct config *config, const struct manifest *m,
    const struct manifest_source *s)
{
	const struct config_pipeline *p =
	    config_pipeline(config, m->pipeline, NULL);

	for (size_t i = 0; p != NULL && i < p->nsources; i++)
		if (strcmp(p->sources[i].plugin->desc.name, s->engine) == 0)
			return p->sources[i].plugin->engine.by_hand;
	return NULL;
}

static void
print_source(const struct config *config, const struct manifest *m,
    const struct manifest_source *s, size_t skip, const char *into, FILE *f)
{
	const char *command = script_command(config, m, s);

	if (command != NULL && print_scripts(s, skip, command, f))
		return;
	for (size_t i = 0; i < s->nobjects; i++)
		print_object(&s->objects[i], skip, into, f);
}

int
recipe_print(const struct config *config, const struct config_sink *sink,
    const struct manifest *m, const char *into, FILE *f, struct hf_error *err)
{
	char *prefix = manifest_data_prefix(m->pipeline, m->id);
	char *folder = sink_folder(config, sink);
	char *whole = NULL, *quoted = NULL;
	int status = HF_E_NOMEM;

	if (prefix == NULL)
		goto out;
	whole = folder == NULL ? strdup(prefix)
			       : text_format("%s/%s", folder, prefix);
	quoted = whole == NULL ? NULL : text_quote(whole);
	if (quoted == NULL)
		goto out;
	status = HF_OK;
	fprintf(f, "\nWithout Holdfast, from sink %s:\n", sink->item.name);
	if (folder == NULL)
		fprintf(f,
		    "    # fetch what is under this key from the %s store:\n",
		    sink->item.plugin->desc.name);
	fprintf(f, "    cd ");
	render_word(f, RENDER_PLAIN, quoted);
	fprintf(f, "\n    sha256sum -c SHA256SUMS\n");
	if (strcmp(into, "/tmp") != 0)
		fprintf(f, "    mkdir %s\n", into);
	for (size_t s = 0; s < m->nsources; s++)
		print_source(
		    config, m, &m->sources[s], strlen(prefix), into, f);
out:
	if (status != HF_OK)
		error_fail(err, status, "no memory for the recipe");
	free(prefix);
	free(folder);
	free(whole);
	free(quoted);
	return status;
}
