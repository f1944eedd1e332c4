/* SPDX-License-Identifier: BSD-2-Clause */
#include "item.h"

#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "check.h"
#include "config.h"
#include "keys.h"
#include "path.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "raw.h"

struct sink_of_problems {
	const struct config *config;
	const struct config_item *item;
	struct problems *problems;
	unsigned flags;
	size_t told;
	bool failed;
};

static bool
begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

const struct keys *
item_keys(const struct config_item *item)
{
	if (begins(item->json_path, "filters."))
		return &keys_filter;
	if (begins(item->json_path, "sinks."))
		return &keys_sink;
	return &keys_source;
}

/* An option of a source may have been inherited: then the place to mend is
 * in the defaults. */
static void
option_path(const struct config *c, const struct config_item *item,
    const char *rest, struct path *out)
{
	const json_t *doc = c->raw->doc;

	(void)path_join(out, item->json_path);
	(void)path_join(out, rest);
	if (path_find(doc, path_text(out)) != NULL ||
	    item_keys(item) != &keys_source ||
	    begins(item->json_path, "defaults."))
		return;
	path_cut(out, 0);
	(void)path_join(out, "defaults.from");
	(void)path_join(out, rest);
	if (*rest != '\0' && path_find(doc, path_text(out)) != NULL)
		return;
	path_cut(out, 0);
	(void)path_join(out, item->json_path);
	(void)path_join(out, rest);
}

static void
on_problem(void *arg, const char *rest, const char *text, const char *hint)
{
	struct sink_of_problems *to = arg;
	struct path path = PATH_INIT;
	unsigned flags = to->flags;

	option_path(to->config, to->item, rest == NULL ? "" : rest, &path);
	/* What is not there has no value to point at, and of what should not
	 * be there the value does not matter. */
	if (begins(text, "unknown") ||
	    path_find(to->config->raw->doc, path_text(&path)) == NULL)
		flags |= PROBLEM_KEY;
	problem_add(to->problems, flags, path_text(&path), hint, "%s", text);
	to->told++;
	to->failed = to->failed || path.failed;
	path_free(&path);
}

static void
tell(struct sink_of_problems *to, const char *rest, const struct hf_error *why)
{
	char line[1024];

	error_line(why, line, sizeof line);
	on_problem(to, rest, line, error_get(why, "hint"));
}

void
item_load(struct config *c, struct config_item *item, struct plugins *plugins,
    unsigned flags)
{
	const struct keys *keys = item_keys(item);
	enum plugin_kind kind = keys == &keys_filter ? PLUGIN_FILTER
				: keys == &keys_sink ? PLUGIN_STORE
						     : PLUGIN_ENGINE;
	struct sink_of_problems to = { c, item, &c->raw->problems, flags, 0,
		false };
	const char *name =
	    json_string_value(json_object_get(item->json, keys->plugin));
	struct hf_error err = { 0 };

	if (plugins_get(plugins, name, kind, &item->plugin, &err) != HF_OK) {
		item->plugin = NULL;
		tell(&to, keys->plugin, &err);
	}
	to.problems->failed = to.problems->failed || to.failed;
}

int
item_parse(const struct config *c, const struct config_item *item, bool resolve,
    unsigned flags, struct problems *problems, struct options **out,
    struct hf_error *err)
{
	const struct hf_plugin *desc = &item->plugin->desc;
	struct sink_of_problems to = { c, item, problems, flags, 0, false };
	const char *reserved[KEYS_MAX];
	struct options_input input = {
		.table = desc->options,
		.stride = desc->option_size,
		.conf_size = desc->conf_size,
		.object = item->json,
		.reserved = reserved,
		.base_dir = c->dir,
		.resolve = resolve,
		.allow_inline_secrets = c->allow_inline_secrets,
	};
	struct hf_error why = { 0 };
	int rc;

	keys_names(item_keys(item), true, reserved);
	*out = NULL;
	rc = options_parse(&input, out, on_problem, &to, &why);
	if (rc == HF_OK && *out != NULL && desc->validate != NULL)
		rc = desc->validate(options_conf(*out), &why);
	if (rc == HF_E_NOMEM || to.failed)
		rc = error_fail(err, HF_E_NOMEM, "no memory");
	else if (rc != HF_OK && to.told == 0)
		tell(&to, "", &why);
	if (rc != HF_OK) {
		options_free(*out);
		*out = NULL;
	}
	return rc == HF_E_NOMEM ? rc : HF_OK;
}
