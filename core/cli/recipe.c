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

/* The tool that takes a filter off.  A type that is not here is named. */
static const struct {
	const char *type, *tool;
} tools[] = {
	{ "gzip", "gunzip -c" },
	{ "zstd", "zstd -dc" },
	{ "age", "age -d -i KEYFILE" },
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

static void
print_object(const struct manifest_object *o, size_t skip, FILE *f)
{
	const char *base = strrchr(o->name, '/');
	char *file = render_quote(o->key + skip);
	char *target =
	    text_format("/tmp/%s", base == NULL ? o->name : base + 1);
	char *quoted = target == NULL ? NULL : render_quote(target);

	if (file == NULL || quoted == NULL)
		goto out;
	fprintf(f, "    ");
	for (size_t i = o->nfilters; i > 0; i--) {
		const char *tool = tool_of(o->filters[i - 1].type);
		bool first = i == o->nfilters;

		fprintf(f, "%s%s%s%s", first ? "" : " | ",
		    tool == NULL ? "undo-" : tool,
		    tool == NULL ? o->filters[i - 1].type : "",
		    first ? " " : "");
		if (first)
			render_word(f, RENDER_PLAIN, file);
	}
	if (o->nfilters == 0) {
		fprintf(f, "cat ");
		render_word(f, RENDER_PLAIN, file);
	}
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

int
recipe_print(const struct config *config, const struct config_sink *sink,
    const struct manifest *m, FILE *f, struct hf_error *err)
{
	char *prefix = manifest_data_prefix(m->pipeline, m->id);
	char *folder = sink_folder(config, sink);
	char *whole = NULL, *quoted = NULL;
	int status = HF_E_NOMEM;

	if (prefix == NULL)
		goto out;
	whole = folder == NULL ? strdup(prefix)
			       : text_format("%s/%s", folder, prefix);
	quoted = whole == NULL ? NULL : render_quote(whole);
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
	for (size_t s = 0; s < m->nsources; s++)
		for (size_t i = 0; i < m->sources[s].nobjects; i++)
			print_object(
			    &m->sources[s].objects[i], strlen(prefix), f);
out:
	if (status != HF_OK)
		error_fail(err, status, "no memory for the recipe");
	free(prefix);
	free(folder);
	free(whole);
	free(quoted);
	return status;
}
