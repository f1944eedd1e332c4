/* SPDX-License-Identifier: BSD-2-Clause */
/* What holds for every plugin, whatever it does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"
#include "data.h"
#include "world.h"

static const struct hf_option *
option_at(const struct session *s, size_t n)
{
	return options_at(
	    s->plugin->desc.options, s->plugin->desc.option_size, n);
}

static void
descriptor(struct session *s)
{
	const struct hf_plugin *d = &s->plugin->desc;
	const char *file = strrchr(s->setup->file, '/');
	size_t len = strlen(d->name);

	expect(s, plugin_lint(d, NULL, &s->err), HF_OK, "lint");
	file = file == NULL ? s->setup->file : file + 1;
	CHECK(
	    strncmp(file, d->name, len) == 0 && strcmp(file + len, ".so") == 0,
	    "the plugin calls itself \"%s\" and its file is %s: it would not "
	    "be found",
	    d->name, file);
	CHECK(d->abi_major == HF_ABI_MAJOR, "made for version %u of the ABI",
	    d->abi_major);
	CHECK(d->min_host_minor <= d->abi_minor,
	    "min_host_minor %u is above the header's own %u", d->min_host_minor,
	    d->abi_minor);
	CHECK(d->version != NULL && d->version[0] != '\0', "no version");
	CHECK(d->summary != NULL && d->summary[0] != '\0', "no summary");
	CHECK(strchr(d->summary, '\n') == NULL && strlen(d->summary) <= 100,
	    "the summary is not one line of at most 100 bytes");
}

/* The command line's object, with one more key (NULL: none); "a.b" is put
 * where the parser looks for it. */
static json_t *
object_with(const struct session *s, const char *name, json_t *value)
{
	json_t *all = json_deep_copy(s->setup->object), *at = all;
	const char *dot;
	int rc;

	while ((dot = strchr(name, '.')) != NULL) {
		char part[128];
		json_t *child;

		(void)snprintf(
		    part, sizeof part, "%.*s", (int)(dot - name), name);
		child = json_object_get(at, part);
		if (!json_is_object(child)) {
			child = json_object();
			(void)json_object_set_new(at, part, child);
		}
		at = child;
		name = dot + 1;
	}
	rc = json_object_set_new(at, name, value);
	CHECK(all != NULL && rc == 0, "the suite has no memory");
	return all;
}

static int
parse(struct session *s, const json_t *object, struct options **out)
{
	const struct hf_plugin *d = &s->plugin->desc;
	struct options_input in = {
		.table = d->options,
		.stride = d->option_size,
		.conf_size = d->conf_size,
		.object = object,
		.base_dir = s->setup->work,
		.resolve = true,
		.allow_inline_secrets = true,
	};

	return options_parse(&in, out, NULL, NULL, &s->err);
}

static void
try_value(struct session *s, const struct hf_option *o, const char *value)
{
	struct options *options = NULL;
	json_t *text = json_string(value);
	json_t *object;

	if ((o->flags & HF_OPT_LIST) != 0)
		text = json_pack("[o]", text);
	object = object_with(s, o->name, text);
	expect(s, parse(s, object, &options), HF_OK, "option %s = \"%s\"",
	    o->name, value);
	options_free(options);
	json_decref(object);
}

static void
options_explained(struct session *s)
{
	const struct hf_option *o;

	if (s->plugin->desc.options == NULL)
		verdict_skip("it has no options");
	for (size_t i = 0; (o = option_at(s, i)) != NULL; i++) {
		CHECK(o->help != NULL && o->help[0] != '\0',
		    "option %s has no help", o->name);
		CHECK(o->help[strlen(o->help) - 1] != '\n' && o->help[0] != ' ',
		    "the help of option %s begins or ends with white space",
		    o->name);
		CHECK((o->flags & HF_OPT_REQUIRED) == 0 || o->def == NULL,
		    "option %s is required and has a default", o->name);
		CHECK((o->flags & HF_OPT_SECRET) == 0 || o->def == NULL,
		    "option %s is secret and has a default", o->name);
	}
}

static void
options_parse_themselves(struct session *s)
{
	const struct hf_option *o;

	if (s->plugin->desc.options == NULL)
		verdict_skip("it has no options");
	for (size_t i = 0; (o = option_at(s, i)) != NULL; i++) {
		const char *c = o->type == HF_OPT_ENUM ? o->choices : NULL;

		if (o->def != NULL && (o->flags & HF_OPT_LIST) == 0)
			try_value(s, o, o->def);
		while (c != NULL && *c != '\0') {
			size_t len = strcspn(c, "|");
			char choice[128];

			(void)snprintf(
			    choice, sizeof choice, "%.*s", (int)len, c);
			try_value(s, o, choice);
			c += len + (c[len] == '|');
		}
	}
}

static void
unknown_option_refused(struct session *s)
{
	struct options *options = NULL;
	json_t *object =
	    object_with(s, "no_such_option_here", json_string("x"));
	const struct hf_option *o = option_at(s, 0);
	char text[2048];
	int status = parse(s, object, &options);

	CHECK(status == HF_E_INVALID && options == NULL,
	    "an unknown option gave %d", status);
	error_line(&s->err, text, sizeof text);
	CHECK(strstr(text, "no_such_option_here") != NULL,
	    "the error does not name the unknown option: %s", text);
	if (s->plugin->desc.options != NULL && o != NULL) {
		const char *hint = error_get(&s->err, "hint");
		size_t len = strcspn(o->name, ".");
		char first[128];

		(void)snprintf(first, sizeof first, "%.*s", (int)len, o->name);
		CHECK(strstr(text, first) != NULL ||
			  (hint != NULL && strstr(hint, first) != NULL),
		    "the error does not name the valid options: %s", text);
	}
	error_clear(&s->err);
	json_decref(object);
}

static enum case_kind
next_kind(const struct session *s, enum case_kind kind)
{
	const struct hf_plugin *d = &s->plugin->desc;

	if (kind < CASE_STORE && d->store != NULL)
		return CASE_STORE;
	if (kind < CASE_FILTER && d->filter != NULL)
		return CASE_FILTER;
	if (kind < CASE_ENGINE && d->engine != NULL)
		return CASE_ENGINE;
	return CASE_PLUGIN;
}

static int
ignore_finding(void *arg, const struct hf_finding *f)
{
	expect_no_secret(arg, f->result, "a finding");
	expect_no_secret(arg, f->hint, "a finding");
	return HF_OK;
}

/* What is harmless and may say something: check. */
static int
touch(struct session *s)
{
	const struct plugin *p = s->plugin;

	if (s->store != NULL && p->store.check != NULL)
		return p->store.check(s->store, ignore_finding, s, &s->err);
	if (s->engine != NULL && p->engine.check != NULL)
		return p->engine.check(s->engine, ignore_finding, s, &s->err);
	return HF_OK;
}

static void
open_and_close(struct session *s)
{
	struct world *before = world_take();
	enum case_kind kind = CASE_PLUGIN;
	char text[512];

	while ((kind = next_kind(s, kind)) != CASE_PLUGIN) {
		expect(s, session_open(s, kind, NULL), HF_OK, "open");
		CHECK(world_cloexec(before, text, sizeof text), "%s", text);
		expect(s, touch(s), HF_OK, "check");
		CHECK(world_cloexec(before, text, sizeof text), "%s", text);
		session_close(s);
		CHECK(world_same(before, text, sizeof text),
		    "after open and close: %s", text);
	}
	world_free(before);
}

static void
load_fifty_times(struct session *s)
{
	struct world *before = world_take();
	char text[512];

	session_unload(s);
	for (int i = 0; i < 50; i++) {
		enum case_kind kind = CASE_PLUGIN;

		session_load(s);
		while ((kind = next_kind(s, kind)) != CASE_PLUGIN) {
			expect(s, session_open(s, kind, NULL), HF_OK,
			    "open the %d. time", i + 1);
			session_close(s);
		}
		session_unload(s);
	}
	session_load(s);
	CHECK(world_same(before, text, sizeof text),
	    "after 50 times load, open, close: %s", text);
	world_free(before);
}

static void
open_each_kind(struct session *s, int i)
{
	enum case_kind kind = CASE_PLUGIN;

	(void)i;
	while ((kind = next_kind(s, kind)) != CASE_PLUGIN) {
		expect(s, session_open(s, kind, NULL), HF_OK, "open");
		session_close(s);
	}
}

static void
open_does_not_leak(struct session *s)
{
	expect_settles(s, open_each_kind, "opening and closing");
}

static void
two_instances(struct session *s)
{
	enum case_kind kind = CASE_PLUGIN;

	while ((kind = next_kind(s, kind)) != CASE_PLUGIN) {
		struct session other = { .setup = s->setup,
			.plugin = s->plugin };

		other.ctx = s->ctx;
		other.ctx.arg = &other;
		expect(s, session_open(s, kind, NULL), HF_OK, "open");
		expect(&other, session_open(&other, kind, NULL), HF_OK,
		    "open a second instance beside the first");
		session_close(s);
		expect(&other, touch(&other), HF_OK,
		    "check of the second after the first was closed");
		session_close(&other);
	}
}

/* Each secret option gets a value that cannot be right.  Opening may fail or
 * not: what counts is that the value is seen nowhere.  The parent looks for it
 * in the log. */
static void
secrets_stay_secret(struct session *s)
{
	const struct hf_option *o;
	bool any = false;

	for (size_t i = 0;
	     s->plugin->desc.options != NULL && (o = option_at(s, i)) != NULL;
	     i++) {
		enum case_kind kind = CASE_PLUGIN;
		json_t *object;

		if ((o->flags & HF_OPT_SECRET) == 0)
			continue;
		any = true;
		object = object_with(s, o->name, json_string(CONFORM_CANARY));
		while ((kind = next_kind(s, kind)) != CASE_PLUGIN) {
			int status = session_open(s, kind, object);

			if (status == HF_OK)
				status = touch(s);
			if (status != HF_OK)
				expect(s, status, EXPECT_FAILURE,
				    "open with another %s", o->name);
			session_close(s);
		}
		json_decref(object);
	}
	if (!any)
		verdict_skip("it has no secret options");
}

/* Each option in turn gets a value of the right type that points nowhere. */
static void
failed_open_leaves_nothing(struct session *s)
{
	struct world *before = world_take();
	const struct hf_option *o;
	size_t failures = 0;

	for (size_t i = 0;
	     s->plugin->desc.options != NULL && (o = option_at(s, i)) != NULL;
	     i++) {
		enum case_kind kind = CASE_PLUGIN;
		json_t *value = json_string("/dev/null/nowhere"), *object;
		char text[512];

		if (o->type != HF_OPT_STRING && o->type != HF_OPT_PATH) {
			json_decref(value);
			continue;
		}
		if ((o->flags & HF_OPT_LIST) != 0)
			value = json_pack("[o]", value);
		object = object_with(s, o->name, value);
		while ((kind = next_kind(s, kind)) != CASE_PLUGIN) {
			int status = session_open(s, kind, object);

			if (status == HF_OK)
				status = touch(s);
			if (status != HF_OK) {
				failures++;
				expect(s, status, EXPECT_FAILURE,
				    "%s = /dev/null/nowhere", o->name);
			}
			session_close(s);
			CHECK(world_same(before, text, sizeof text),
			    "after %s = /dev/null/nowhere: %s", o->name, text);
		}
		json_decref(object);
	}
	world_free(before);
	if (failures == 0)
		verdict_skip("no option could be made to fail");
}

const struct conform_case cases_plugin[] = {
	{ "the descriptor is sound and named like the file", descriptor },
	{ "each option has help", options_explained },
	{ "each default and each choice can be parsed",
	    options_parse_themselves },
	{ "an unknown option is refused and the valid ones are named",
	    unknown_option_refused },
	{ "open and close leave the process as it was", open_and_close },
	{ "a failed open leaves a message and nothing else",
	    failed_open_leaves_nothing },
	{ "loaded, opened and closed fifty times", load_fifty_times },
	{ "opening and closing does not use up memory", open_does_not_leak },
	{ "two instances at once", two_instances },
	{ "a secret is seen in no error, log or result", secrets_stay_secret },
	{ NULL, NULL },
};
