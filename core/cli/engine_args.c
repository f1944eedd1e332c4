/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine_args.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "cli/cli.h"
#include "config/config.h"
#include "plugin/loader.h"
#include "plugin/options.h"

static const struct short_form {
	int id;
	const char *name, *option;
} short_forms[] = {
	{ OPT_ONLY, "only", "only" },
	{ OPT_DATABASE, "database", "database" },
	{ OPT_NO_OWNER, "no-owner", "no_owner" },
	{ OPT_ROLE, "role", "role" },
	{ OPT_LSN, "lsn", "lsn" },
	{ OPT_XID, "xid", "xid" },
	{ OPT_NAME, "name", "name" },
	{ OPT_TARGET, "target", "target" },
	{ OPT_TIMELINE, "timeline", "timeline" },
	{ OPT_ACTION, "action", "action" },
	{ OPT_TABLESPACE, "tablespace", "tablespace" },
};
#define NFORMS (sizeof short_forms / sizeof *short_forms)

/* One "key=value" of the n-th time that the switch was given. */
static char *
long_form(const struct args *args, const struct short_form *f, unsigned n)
{
	const char *value = args_value(args, f->id, n),
		   *second = args_second(args, f->id, n);

	return text_format("%s=%s%s%s", f->option,
	    value == NULL ? "true" : value, second == NULL ? "" : " ",
	    second == NULL ? "" : second);
}

/* A script's variable that is not set must not widen what is restored. */
static bool
is_empty(const struct args *args, const struct short_form *f, unsigned n)
{
	const char *value = args_value(args, f->id, n),
		   *second = args_second(args, f->id, n);

	return (value != NULL && *value == '\0') ||
	       (second != NULL && *second == '\0');
}

static int
read_short_forms(struct cli *cli, char **list, unsigned *n)
{
	for (size_t f = 0; f < NFORMS; f++) {
		const struct short_form *form = &short_forms[f];
		unsigned count = args_count(cli->args, form->id);

		/* A switch means the same however often it is said. */
		if (count > 1 && args_value(cli->args, form->id, 0) == NULL)
			count = 1;
		for (unsigned i = 0; i < count; i++) {
			if (is_empty(cli->args, form, i)) {
				error_fail(&cli->err, HF_E_INVALID,
				    "--%s needs a name", form->name);
				error_hint(
				    &cli->err, "An empty text is no name.");
				return HF_E_INVALID;
			}
			list[*n] = long_form(cli->args, form, i);
			if (list[(*n)++] == NULL)
				return error_fail(&cli->err, HF_E_NOMEM,
				    "no memory for the options");
		}
	}
	return HF_OK;
}

int
engine_args_read(struct cli *cli, char ***args)
{
	unsigned given = args_count(cli->args, OPT_OPTION), n = 0, most = given;

	for (size_t f = 0; f < NFORMS; f++)
		most += args_count(cli->args, short_forms[f].id);
	if ((*args = calloc(most + 1, sizeof **args)) == NULL)
		return error_fail(
		    &cli->err, HF_E_NOMEM, "no memory for the options");
	for (unsigned i = 0; i < given; i++) {
		const char *value = args_value(cli->args, OPT_OPTION, i);

		if (strchr(value, '=') == NULL)
			return error_fail(&cli->err, HF_E_INVALID,
			    "-o \"%s\": not KEY=VALUE", value);
		if (((*args)[n++] = strdup(value)) == NULL)
			return error_fail(
			    &cli->err, HF_E_NOMEM, "no memory for the options");
	}
	return read_short_forms(cli, *args, &n);
}

void
engine_args_free(char **args)
{
	for (char **a = args; a != NULL && *a != NULL; a++)
		free(*a);
	free(args);
}

/* name need not end where its length does. */
static const struct hf_option *
find_option(const struct plugin *p, const char *name, size_t len)
{
	const struct hf_option *table = p->engine.restore_options, *o;

	for (size_t i = 0;
	     table != NULL &&
	     (o = options_at(table, p->desc.option_size, i)) != NULL;
	     i++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static void
hint_options(struct cli *cli, const struct plugin *p)
{
	const struct hf_option *table = p->engine.restore_options, *o;
	struct buf names = BUF_INIT;
	int rc = HF_OK;

	for (size_t i = 0;
	     rc == HF_OK && table != NULL &&
	     (o = options_at(table, p->desc.option_size, i)) != NULL;
	     i++)
		if ((rc = buf_puts(&names, i == 0 ? "" : ", ", NULL)) == HF_OK)
			rc = buf_puts(&names, o->name, NULL);
	if (rc == HF_OK && names.len > 0)
		error_hint(&cli->err, "Its options for -o are: %s.",
		    (const char *)names.data);
	else
		error_hint(&cli->err, "It takes no options for restoring.");
	buf_free(&names);
}

int
engine_args_check(
    struct cli *cli, const struct config_pipeline *p, const char *source)
{
	for (size_t f = 0; f < NFORMS; f++) {
		const struct short_form *form = &short_forms[f];

		if (args_count(cli->args, form->id) == 0)
			continue;
		for (size_t i = 0; i < p->nsources; i++) {
			const struct config_item *item = &p->sources[i];

			if ((source != NULL &&
				strcmp(source, item->name) != 0) ||
			    find_option(item->plugin, form->option,
				strlen(form->option)) != NULL)
				continue;
			error_fail(&cli->err, HF_E_INVALID,
			    "--%s: the engine %s (source %s) has no option "
			    "\"%s\" for restoring",
			    form->name, item->plugin->desc.name, item->name,
			    form->option);
			hint_options(cli, item->plugin);
			return HF_E_INVALID;
		}
	}
	return HF_OK;
}

bool
engine_args_secret(const struct config_pipeline *p, const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < p->nsources; i++) {
		const struct hf_option *o =
		    find_option(p->sources[i].plugin, arg, len);

		if (o != NULL && (o->flags & HF_OPT_SECRET) != 0)
			return true;
	}
	return false;
}
