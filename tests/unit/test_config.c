/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "config/cron.h"
#include "config/keys.h"
#include "plugin/loader.h"
#include "plugin/options.h"

/* ---- plugins of this test alone: the loader is left out, these functions
 * stand in its place ---- */

struct source_conf {
	const char *path, *password, *slot;
	const char *const *paths, *const *keys;
	int64_t busy_ms;
};
static const struct hf_option source_options[] = {
	{ "path", HF_OPT_PATH, HF_OPT_REQUIRED,
	    offsetof(struct source_conf, path), NULL, NULL, "The file." },
	{ "busy_timeout", HF_OPT_DURATION, 0,
	    offsetof(struct source_conf, busy_ms), "10s", NULL,
	    "How long to wait." },
	{ "password", HF_OPT_STRING, HF_OPT_SECRET,
	    offsetof(struct source_conf, password), NULL, NULL, "The key." },
	{ "paths", HF_OPT_PATH, HF_OPT_LIST,
	    offsetof(struct source_conf, paths), NULL, NULL, "More files." },
	{ "keys", HF_OPT_STRING, HF_OPT_LIST | HF_OPT_SECRET,
	    offsetof(struct source_conf, keys), NULL, NULL, "More keys." },
	{ "wal.slot", HF_OPT_STRING, HF_OPT_SECRET,
	    offsetof(struct source_conf, slot), NULL, NULL, "The slot." },
	{ 0 },
};

struct gzip_conf {
	int64_t level;
};
static const struct hf_option gzip_options[] = {
	{ "level", HF_OPT_INT, 0, offsetof(struct gzip_conf, level), "2",
	    "0..9", "How hard to try." },
	{ 0 },
};

struct dir_conf {
	const char *path;
	int64_t min_free;
};
static const struct hf_option dir_options[] = {
	{ "path", HF_OPT_PATH, HF_OPT_REQUIRED, offsetof(struct dir_conf, path),
	    NULL, NULL, "The folder." },
	{ "min_free", HF_OPT_SIZE, 0, offsetof(struct dir_conf, min_free), "0",
	    NULL, "What to leave." },
	{ 0 },
};

static int
dir_validate(const void *conf, struct hf_error *err)
{
	const struct dir_conf *dir = conf;

	if (strcmp(dir->path, "/") != 0)
		return HF_OK;
	(void)error_fail(err, HF_E_INVALID, "the root is no place for this");
	error_hint(err, "Choose a folder.");
	return HF_E_INVALID;
}

static const struct hf_engine_ops an_engine = { .struct_size =
						    sizeof an_engine };
static const struct hf_filter_ops a_filter = { .struct_size = sizeof a_filter };
static const struct hf_store_ops a_store = { .struct_size = sizeof a_store };

static const struct plugin fakes[] = {
	{ .desc = { HF_PLUGIN_INIT, .name = "sqlite", .summary = "a database",
	      .options = source_options,
	      .conf_size = sizeof(struct source_conf), .engine = &an_engine } },
	{ .desc = { HF_PLUGIN_INIT, .name = "files", .options = source_options,
	      .conf_size = sizeof(struct source_conf), .engine = &an_engine } },
	{ .desc = { HF_PLUGIN_INIT, .name = "gzip", .options = gzip_options,
	      .conf_size = sizeof(struct gzip_conf), .filter = &a_filter } },
	{ .desc = { HF_PLUGIN_INIT, .name = "dir", .options = dir_options,
	      .conf_size = sizeof(struct dir_conf), .validate = dir_validate,
	      .store = &a_store } },
};
#define NFAKES (sizeof fakes / sizeof *fakes)

struct plugins {
	int unused;
};
static struct plugins plugins;

int
plugins_get(struct plugins *set, const char *name, enum plugin_kind kind,
    const struct plugin **out, struct hf_error *err)
{
	(void)set;
	for (size_t i = 0; i < NFAKES; i++) {
		const struct hf_plugin *desc = &fakes[i].desc;

		if (strcmp(desc->name, name) == 0 &&
		    (kind == PLUGIN_ENGINE      ? desc->engine != NULL
			: kind == PLUGIN_FILTER ? desc->filter != NULL
						: desc->store != NULL)) {
			*out = &fakes[i];
			return HF_OK;
		}
	}
	(void)error_fail(err, HF_E_NOTFOUND, "no plugin named \"%s\"", name);
	error_hint(err, "There are sqlite, files, gzip, dir.");
	return HF_E_NOTFOUND;
}

int
plugins_each(struct plugins *set,
    int (*cb)(void *arg, const char *path, const struct plugin *,
	const struct hf_error *why),
    void *arg)
{
	int rc = 0;

	(void)set;
	for (size_t i = 0; i < NFAKES && rc == 0; i++)
		rc = cb(arg, "", &fakes[i], NULL);
	return rc;
}

/* ---- one file, loaded ---- */

static char dir[] = "/tmp/hf-config-XXXXXX";
static char file[64];

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(file, sizeof file, "%s/fleet.json", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	char path[80];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/secret", dir);
	(void)unlink(path);
	(void)unlink(file);
	return rmdir(dir);
}

static void
write_file(const char *path, const void *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static struct hf_error last;

static struct config *
load_as(const char *json, int status)
{
	struct config *c = NULL;
	int rc;

	write_file(file, json, strlen(json));
	error_clear(&last);
	rc = config_load(file, &plugins, &c, &last);
	assert_non_null(c);
	if (rc != status) {
		config_print_problems(c, stderr);
		fail_msg("loading answered %d", rc);
	}
	return c;
}

static const struct config_problem *
find(const struct config *c, const char *path, const char *text)
{
	for (size_t i = 0; i < c->nproblems; i++)
		if (strcmp(c->problems[i].path, path) == 0 &&
		    strstr(c->problems[i].text, text) != NULL)
			return &c->problems[i];
	config_print_problems(c, stderr);
	fail_msg("no problem \"%s: %s\"", path, text);
	return NULL;
}

#define PLACES                                      \
	"\"sinks\": {\"nas\": {\"type\": \"dir\", " \
	"\"path\": \"/n\"}, \"usb\": {\"type\": "   \
	"\"dir\", \"path\": \"/u\"}},"              \
	"\"filters\": {\"gz\": {\"type\": \"gzip\"}},"
#define FROM "\"from\": {\"engine\": \"sqlite\", \"path\": \"a.db\"}"

/* A whole file around the body of one pipeline, "shop". */
static struct config *
load_pipeline(const char *body, int status)
{
	char *json = text_format("{\"version\": 1, " PLACES
				 "\"pipelines\": {\"shop\": {%s}}}",
	    body);
	struct config *c;

	assert_non_null(json);
	c = load_as(json, status);
	free(json);
	return c;
}

/* The body is wrong in one way, and that is said. */
static void
wrong(const char *body, const char *path, const char *text)
{
	struct config *c = load_pipeline(body, HF_E_INVALID);
	const struct config_problem *p = find(c, path, text);

	assert_false(p->warning);
	assert_non_null(strstr(last.cause, p->text));
	if (c->nproblems != 1) {
		config_print_problems(c, stderr);
		fail_msg("%s: one thing is wrong", body);
	}
	config_free(c);
}

static void
wrong_top(const char *member, const char *path, const char *text)
{
	char *json =
	    text_format("{\"version\": 1, \"pipelines\": {}, %s}", member);
	struct config *c = load_as(json, HF_E_INVALID);

	(void)find(c, path, text);
	if (c->nproblems != 1) {
		config_print_problems(c, stderr);
		fail_msg("%s: one thing is wrong", member);
	}
	config_free(c);
	free(json);
}

static json_t *
at(const json_t *v, const char *a, const char *b, const char *key)
{
	return json_object_get(json_object_get(json_object_get(v, a), b), key);
}

static void
assert_string(const json_t *v, const char *s)
{
	assert_non_null(json_string_value(v));
	assert_string_equal(json_string_value(v), s);
}

/* ---- what is read ---- */

static void
a_whole_file_is_read(void **state)
{
	struct config *c = load_as(
	    "{\"$schema\": \"x\", \"$comment\": [\"any\", 1],"
	    "\"version\": 1, \"state_dir\": \"state\","
	    "\"scratch_dir\": \"/scratch\", \"environment\": \"test\","
	    "\"operator\": {\"env\": \"HF_TEST_NONE\", \"default\": \"me\"},"
	    "\"workers\": 3, \"frame_size\": \"128KiB\","
	    "\"spool\": {\"after\": \"5s\", \"max\": \"1GiB\"}," PLACES
	    "\"defaults\": {\"through\": [\"gz\"]},"
	    "\"pipelines\": {\"shop\": {" FROM
	    ", \"to\": [\"nas\", \"usb\"], \"require\": \"any\","
	    "\"verify\": \"deep\", \"rpo\": \"1h30m\", \"rto\": \"90s\","
	    "\"labels\": {\"env\": \"prod\", \"app\": "
	    "{\"env\": \"HF_TEST_NONE\", \"default\": \"1.2\"}}}}}",
	    HF_OK);
	const struct config_pipeline *p;
	char path[80];

	(void)state;
	assert_int_equal(c->nproblems, 0);
	assert_string_equal(c->path, file);
	assert_string_equal(c->dir, dir);
	(void)snprintf(path, sizeof path, "%s/state", dir);
	assert_string_equal(c->state_dir, path);
	assert_string_equal(c->scratch_dir, "/scratch");
	assert_string_equal(c->environment, "test");
	assert_string_equal(c->operator_name, "me");
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->frame_size, 128 << 10);
	assert_int_equal(c->spool_after_ms, 5000);
	assert_int_equal(c->spool_max, 1 << 30);
	assert_false(c->allow_inline_secrets);
	assert_int_equal(c->nfilters, 1);
	assert_int_equal(c->nsinks, 2);
	assert_int_equal(c->sinks[0].stall_ms, 5 * 60 * 1000);
	p = config_pipeline(c, "shop", NULL);
	assert_non_null(p);
	assert_int_equal(p->nsources, 1);
	assert_string_equal(p->sources[0].name, "sqlite");
	assert_string_equal(p->sources[0].json_path, "pipelines.shop.from");
	assert_ptr_equal(p->sources[0].plugin, &fakes[0]);
	assert_int_equal(p->nthrough, 1);
	assert_ptr_equal(p->through[0], config_filter(c, "gz"));
	assert_int_equal(p->nto, 2);
	assert_ptr_equal(p->to[1], config_sink(c, "usb"));
	assert_int_equal(p->require, 1);
	assert_int_equal(p->verify, CONFIG_VERIFY_DEEP);
	assert_int_equal(p->rpo_ms, 90 * 60 * 1000);
	assert_int_equal(p->rto_ms, 90 * 1000);
	assert_string(json_object_get(p->labels, "env"), "prod");
	assert_string(json_object_get(p->labels, "app"), "1.2");
	config_free(c);
}

static void
what_is_absent_has_its_default(void **state)
{
	struct config *c = load_pipeline(FROM ", \"to\": [\"nas\"]", HF_OK);
	const struct config_pipeline *p = &c->pipelines[0];

	(void)state;
	assert_int_equal(c->frame_size, 1 << 20);
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->spool_after_ms, 30000);
	assert_int_equal(c->spool_max, 0);
	assert_int_equal(p->nthrough, 0);
	assert_int_equal(p->require, 1);
	assert_int_equal(p->verify, CONFIG_VERIFY_READBACK);
	assert_int_equal(p->rpo_ms, 0);
	assert_null(p->labels);
	assert_null(c->environment);
	assert_string_equal(strrchr(c->scratch_dir, '/'), "/scratch");
	config_free(c);
}

static void
state_stands_in_the_home_folder_of_who_is_not_root(void **state)
{
	struct config *c;

	(void)state;
	if (geteuid() == 0) {
		c = load_pipeline(FROM ", \"to\": [\"nas\"]", HF_OK);
		assert_string_equal(c->state_dir, "/var/lib/holdfast");
		config_free(c);
		return;
	}
	setenv("XDG_STATE_HOME", "/x/state", 1);
	c = load_pipeline(FROM ", \"to\": [\"nas\"]", HF_OK);
	assert_string_equal(c->state_dir, "/x/state/holdfast");
	config_free(c);
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", "/home/x", 1);
	c = load_pipeline(FROM ", \"to\": [\"nas\"]", HF_OK);
	assert_string_equal(c->state_dir, "/home/x/.local/state/holdfast");
	config_free(c);
}

static void
sources_get_names_of_their_own(void **state)
{
	struct config *c =
	    load_pipeline("\"to\": [\"nas\"], \"from\": ["
			  "{\"engine\": \"sqlite\", \"path\": \"a\"},"
			  "{\"engine\": \"sqlite\", \"path\": \"b\"},"
			  "{\"engine\": \"sqlite\", \"path\": \"c\", \"name\": "
			  "\"sqlite-2\"},"
			  "{\"engine\": \"files\", \"path\": \"d\"}]",
		HF_OK);
	const struct config_pipeline *p = &c->pipelines[0];

	(void)state;
	assert_int_equal(p->nsources, 4);
	assert_string_equal(p->sources[0].name, "sqlite");
	assert_string_equal(p->sources[1].name, "sqlite-3");
	assert_string_equal(p->sources[2].name, "sqlite-2");
	assert_string_equal(p->sources[3].name, "files");
	assert_string_equal(p->sources[3].json_path, "pipelines.shop.from[3]");
	config_free(c);
}

static void
names_are_found_and_near_ones_suggested(void **state)
{
	struct config *c = load_pipeline(FROM ", \"to\": [\"nas\"]", HF_OK);
	const char *nearest = "x";

	(void)state;
	assert_null(config_pipeline(c, "shp", &nearest));
	assert_string_equal(nearest, "shop");
	assert_null(config_pipeline(c, "accounting", &nearest));
	assert_null(nearest);
	assert_null(config_sink(c, "gz"));
	assert_null(config_filter(c, "nas"));
	config_free(c);
}

/* ---- merging ---- */

static void
defaults_merge_key_by_key(void **state)
{
	struct config *c = load_as(
	    "{\"version\": 1, " PLACES
	    "\"defaults\": {\"to\": [\"nas\", \"usb\"], \"through\": [\"gz\"],"
	    "\"rpo\": \"1d\", \"labels\": {\"env\": \"a\", \"x\": \"1\"},"
	    "\"from\": {\"engine\": \"sqlite\", \"busy_timeout\": \"3s\","
	    "\"password\": {\"env\": \"A\"}, \"wal\": {\"slot\": {\"env\": "
	    "\"S\"}}}},"
	    "\"pipelines\": {"
	    "\"one\": {\"from\": {\"path\": \"a\", \"password\": {\"file\": "
	    "\"b\"}}, \"to\": [\"usb\"], \"labels\": {\"env\": \"b\"}},"
	    "\"two\": {\"from\": {\"engine\": \"files\", \"path\": \"c\"}},"
	    "\"three\": {\"from\": [{\"engine\": \"files\", \"path\": "
	    "\"d\"}], \"through\": []}}}",
	    HF_OK);
	const struct config_pipeline *one = config_pipeline(c, "one", NULL);
	const struct config_pipeline *two = config_pipeline(c, "two", NULL);
	const struct config_pipeline *three = config_pipeline(c, "three", NULL);
	const json_t *from = one->sources[0].json;

	(void)state;
	assert_int_equal(one->nto, 1);
	assert_string_equal(one->to[0]->item.name, "usb");
	assert_int_equal(one->rpo_ms, 24 * 3600 * 1000);
	assert_string(json_object_get(one->labels, "env"), "b");
	assert_string(json_object_get(one->labels, "x"), "1");
	assert_string(json_object_get(from, "engine"), "sqlite");
	assert_string(json_object_get(from, "busy_timeout"), "3s");
	/* {"env"} and {"file"} are values: one takes the other's place. */
	assert_int_equal(
	    json_object_size(json_object_get(from, "password")), 1);
	/* Another engine has nothing to inherit. */
	assert_int_equal(json_object_size(two->sources[0].json), 2);
	assert_int_equal(two->nto, 2);
	assert_int_equal(three->nthrough, 0);
	assert_null(json_object_get(c->merged, "defaults"));
	config_free(c);
}

static void
an_own_interval_takes_the_place_of_an_inherited_cron_line(void **state)
{
	struct config *c = load_as(
	    "{\"version\": 1, " PLACES
	    "\"defaults\": {\"to\": [\"nas\"], \"schedule\": {\"cron\": "
	    "\"30 2 * * *\", \"retries\": 2}},"
	    "\"pipelines\": {\"a\": {" FROM
	    ", \"schedule\": {\"every\": \"1h\"}},"
	    "\"b\": {" FROM "}}}",
	    HF_OK);
	const json_t *a = at(c->merged, "pipelines", "a", "schedule");
	const json_t *b = at(c->merged, "pipelines", "b", "schedule");

	(void)state;
	assert_null(json_object_get(a, "cron"));
	assert_string(json_object_get(a, "every"), "1h");
	assert_int_equal(json_integer_value(json_object_get(a, "retries")), 2);
	assert_string(json_object_get(b, "cron"), "30 2 * * *");
	config_free(c);
}

static void
inherited_problems_are_reported_once_where_they_were_written(void **state)
{
	struct config *c =
	    load_as("{\"version\": 1, " PLACES "\n"
		    "\"defaults\": {\n"
		    "  \"to\": [\"nsa\"],\n"
		    "  \"rpo\": \"soon\", \"schedule\": {\"retries\": 1},\n"
		    "  \"from\": {\"engine\": \"sqlite\",\n"
		    "           \"busy_timout\": \"3s\"}\n"
		    "}, \"pipelines\": {\"a\": {\"from\": {\"path\": \"a\"}},"
		    "\"b\": {\"from\": {\"path\": \"b\"}}}}",
		HF_E_INVALID);
	const struct config_problem *p;

	(void)state;
	p = find(c, "defaults.to[0]", "no sink named \"nsa\"");
	assert_int_equal(p->line, 3);
	assert_int_equal(p->column, 10);
	assert_non_null(strstr(p->hint, "Did you mean \"nas\"?"));
	p = find(c, "defaults.rpo", "expected a duration");
	assert_int_equal(p->line, 4);
	p = find(c, "defaults.from.busy_timout", "unknown key");
	assert_int_equal(p->line, 6);
	assert_int_equal(p->column, 12);
	assert_non_null(strstr(p->hint, "busy_timeout"));
	p = find(c, "defaults.schedule", "missing key \"cron\" or \"every\"");
	/* and the warning that schedules do not run yet */
	assert_int_equal(c->nproblems, 5);
	assert_int_equal(c->pipelines[0].nto, 0);
	config_free(c);
}

/* ---- what is refused ---- */

static void
an_unknown_key_names_line_column_and_nearest_name(void **state)
{
	struct config *c =
	    load_as("{ \"version\": 1,\n" PLACES "\n"
		    "\t\"pipelines\": { \"shop\": { \"to\": [\"nas\"],\n"
		    "\t\t\"from\": { \"engine\": \"sqlite\", \"path\": \"a\",\n"
		    "\t\t\t\"busy_timout\": \"3s\" },\n"
		    "\t\t\"verfy\": 1 } } }",
		HF_E_INVALID);
	const struct config_problem *p;
	char *text = NULL, *expected;
	size_t len;
	FILE *f;

	(void)state;
	p = find(c, "pipelines.shop.from.busy_timout", "unknown key");
	assert_int_equal(p->line, 5);
	assert_int_equal(p->column, 4);
	p = find(c, "pipelines.shop.verfy", "unknown key");
	assert_int_equal(p->line, 6);
	assert_int_equal(p->column, 3);
	assert_non_null(strstr(p->hint, "Did you mean \"verify\"?"));
	assert_non_null(strstr(p->hint, "Valid keys: from, through, to"));
	assert_int_equal(c->nproblems, 2);

	expected = text_format(
	    "%s:5: pipelines.shop.from.busy_timout: unknown key", file);
	assert_string_equal(last.cause, expected);
	assert_non_null(error_get(&last, "hint"));
	free(expected);

	f = open_memstream(&text, &len);
	config_print_problems(c, f);
	assert_int_equal(fclose(f), 0);
	expected = text_format(
	    "%s:5:4: pipelines.shop.from.busy_timout: unknown key\n  hint: ",
	    file);
	assert_ptr_equal(strstr(text, expected), text);
	free(expected);
	free(text);
	config_free(c);
}

static void
every_kind_of_value_is_checked(void **state)
{
	(void)state;
#define OK FROM ", \"to\": [\"nas\"], "
#define P "pipelines.shop."
	wrong(OK "\"require\": 0", P "require", "expected \"all\"");
	wrong(OK "\"require\": \"some\"", P "require", "expected \"all\"");
	wrong(OK "\"require\": 2", P "require", "requires 2 sinks");
	wrong(OK "\"verify\": true", P "verify",
	    "expected one of \"none\", \"readback\", \"deep\", found true");
	wrong(OK "\"rpo\": 90", P "rpo", "expected a duration");
	wrong(OK "\"rpo\": \"0s\"", P "rpo", "expected a duration from 1s");
	wrong(OK "\"rto\": \"fast\"", P "rto", "found \"fast\"");
	wrong(OK "\"labels\": []", P "labels", "found an empty list");
	wrong(OK "\"labels\": {\"a\": 1}", P "labels.a", "found the number 1");
	wrong(OK "\"labels\": {\"a b\": {\"env\": 1}}", P "labels[\"a b\"].env",
	    "expected a string");
	wrong(OK "\"labels\": {\"a\": {\"env\": \"A\", \"defalt\": \"\"}}",
	    P "labels.a.defalt", "unknown key");
	wrong(OK "\"through\": \"gz\"", P "through", "a list of names");
	wrong(OK "\"through\": [\"gzip\"]", P "through[0]",
	    "no filter named \"gzip\"");
	wrong(OK "\"through\": [1]", P "through[0]", "expected a name");
	wrong(OK "\"through\": [\"gz\", \"gz\"]", P "through[1]",
	    "in this list already");
	wrong(FROM ", \"to\": []", P "to", "found an empty list");
	wrong(FROM ", \"to\": [\"nas\", \"nas\"]", P "to[1]", "already");
	wrong("\"to\": [\"nas\"], \"from\": 1", P "from", "an object or");
	wrong("\"to\": [\"nas\"], \"from\": []", P "from", "found an empty");
	wrong("\"to\": [\"nas\"], \"from\": [1]", P "from[0]", "an object");
	wrong("\"to\": [\"nas\"], \"from\": [{\"path\": \"a\"}]", P "from[0]",
	    "missing key \"engine\"");
	wrong("\"to\": [\"nas\"], \"from\": {\"path\": \"a\"}", P "from",
	    "missing key \"engine\"");
	wrong("\"to\": [\"nas\"], \"from\": {\"engine\": \"sqlite\"}",
	    P "from.path", "required");
	wrong("\"to\": [\"nas\"], \"from\": {\"engine\": \"sqlite\", "
	      "\"path\": \"a\", \"busy_timeout\": \"x\"}",
	    P "from.busy_timeout", "expected");
	wrong("\"to\": [\"nas\"], \"from\": {\"engine\": \"oracle\"}",
	    P "from.engine", "no plugin named \"oracle\"");
	wrong("\"to\": [\"nas\"], \"from\": {\"engine\": \"gzip\"}",
	    P "from.engine", "no plugin named \"gzip\"");
	wrong("\"to\": [\"nas\"], \"from\": [{\"engine\": \"sqlite\", "
	      "\"path\": \"a\", \"name\": \"x/y\"}]",
	    P "from[0].name", "expected a name");
	wrong("\"to\": [\"nas\"], \"from\": [{\"engine\": \"sqlite\", "
	      "\"path\": \"a\", \"name\": \"x\"}, {\"engine\": \"sqlite\", "
	      "\"path\": \"b\", \"name\": \"x\"}]",
	    P "from[1].name", "named \"x\" already");
	wrong("\"to\": [\"nas\"]", "pipelines.shop", "missing key \"from\"");
	wrong(FROM, "pipelines.shop", "missing key \"to\"");
}

static void
the_top_level_is_checked(void **state)
{
	struct config *c;

	(void)state;
	wrong_top("\"verson\": 1", "verson", "unknown key");
	wrong_top("\"workers\": -1", "workers", "from 0 to 1024");
	wrong_top("\"workers\": 1.5", "workers", "found the number 1.5");
	wrong_top("\"frame_size\": \"1KiB\"", "frame_size",
	    "a size from 64KiB to 16MiB, found \"1KiB\"");
	wrong_top("\"frame_size\": 33554432", "frame_size", "to 16MiB");
	wrong_top("\"spool\": {\"after\": 3}", "spool.after", "a duration");
	wrong_top("\"spool\": []", "spool", "expected an object");
	wrong_top("\"spool\": {\"mx\": 3}", "spool.mx", "unknown key");
	wrong_top("\"allow_inline_secrets\": 1", "allow_inline_secrets",
	    "true or false");
	wrong_top("\"environment\": 1", "environment", "expected a string");
	wrong_top("\"environment\": {\"env\": \"A\", \"file\": \"b\"}",
	    "environment", "exclude each other");
	wrong_top("\"state_dir\": \"\"", "state_dir", "a text");
	wrong_top("\"state_dir\": {\"env\": \"HF_TEST_NONE\"}", "state_dir",
	    "HF_TEST_NONE is not set");
	wrong_top("\"sinks\": []", "sinks", "expected an object");
	wrong_top("\"sinks\": {\"a/b\": {\"type\": \"dir\", \"path\": "
		  "\"c\"}}",
	    "sinks[\"a/b\"]", "not a valid name");
	wrong_top("\"sinks\": {\"a\": {\"path\": \"c\"}}", "sinks.a",
	    "missing key \"type\"");
	wrong_top("\"sinks\": {\"a\": {\"type\": \"dir\", \"path\": \"c\", "
		  "\"stall_timeout\": 1}}",
	    "sinks.a.stall_timeout", "a duration");
	wrong_top("\"sinks\": {\"a\": {\"type\": \"dir\", \"path\": \"c\"}, "
		  "\"A\": {\"type\": \"dir\", \"path\": \"d\"}}",
	    "sinks.A", "differs from \"a\" in case alone");
	wrong_top("\"filters\": {\"a\": {\"type\": \"gzip\", \"level\": 10}}",
	    "filters.a.level", "expected");
	wrong_top("\"defaults\": {\"form\": {}}", "defaults.form", "unknown");

	c = load_as("{\"version\": 2, \"pipelines\": {}}", HF_E_INVALID);
	(void)find(c, "version", "expected 1, found the number 2");
	config_free(c);
	c = load_as("{}", HF_E_INVALID);
	(void)find(c, "", "missing key \"version\"");
	(void)find(c, "", "missing key \"pipelines\"");
	config_free(c);
	c = load_as("[1]", HF_E_INVALID);
	(void)find(c, "", "expected an object");
	config_free(c);
}

static void
what_cannot_be_acted_on_yet_is_checked_all_the_same(void **state)
{
	(void)state;
#define S OK "\"schedule\": {\"cron\": \"0 1 * * *\", "
	struct config *c;
	static const struct {
		const char *body, *path, *text;
	} cases[] = {
		{ S "\"every\": \"1h\"}", P "schedule.every", "exclude" },
		{ S "\"missed\": \"never\"}", P "schedule.missed", "once" },
		{ S "\"overlap\": 1}", P "schedule.overlap", "one of" },
		{ S "\"retries\": -1}", P "schedule.retries", "whole" },
		{ S "\"jitter\": 1}", P "schedule.jitter", "duration" },
		{ S "\"timeout\": \"0s\"}", P "schedule.timeout", "from 1s" },
		{ S "\"tries\": 1}", P "schedule.tries", "unknown key" },
		{ OK "\"schedule\": {\"cron\": \"61 * * * *\"}",
		    P "schedule.cron", "five cron fields" },
		{ OK "\"schedule\": {\"jitter\": \"1s\"}", P "schedule",
		    "missing key \"cron\" or \"every\"" },
		{ OK "\"retention\": {\"daily\": -1}", P "retention.daily",
		    "whole number from 0" },
		{ OK "\"retention\": {\"min_keep\": 0}", P "retention.min_keep",
		    "from 1" },
		{ OK "\"retention\": {\"within\": 3}", P "retention.within",
		    "duration" },
		{ OK "\"retention\": {\"dialy\": 3}", P "retention.dialy",
		    "unknown key" },
		{ OK "\"drill\": {\"assert\": [{\"min\": 1}]}",
		    P "drill.assert[0]", "missing key \"sql\"" },
		{ OK "\"drill\": {\"assert\": [{\"sql\": \"x\"}]}",
		    P "drill.assert[0]", "expects nothing" },
		{ OK "\"drill\": {\"assert\": [{\"sql\": \"x\", \"min\": "
		     "\"1\"}]}",
		    P "drill.assert[0].min", "a number" },
		{ OK "\"drill\": {\"assert\": {}}", P "drill.assert",
		    "a list of objects" },
		{ OK "\"hooks\": {\"before\": {\"run\": \"x\"}}",
		    P "hooks.before.run", "list of strings" },
		{ OK "\"hooks\": {\"before\": {}}", P "hooks.before",
		    "missing key \"run\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		c = load_pipeline(cases[i].body, HF_E_INVALID);
		(void)find(c, cases[i].path, cases[i].text);
		/* it, and the warning of what this version does not do */
		if (c->nproblems !=
		    (strstr(cases[i].body, "retention") == NULL ? 2 : 1)) {
			config_print_problems(c, stderr);
			fail_msg("%s: one thing is wrong", cases[i].body);
		}
		config_free(c);
	}
}

static void
increments_are_made_only_where_they_are_asked_for(void **state)
{
	static const struct {
		const char *body, *path, *text;
	} cases[] = {
		{ OK "\"incremental\": true", P "incremental", "an object" },
		{ OK "\"incremental\": {\"full_every\": \"0s\"}",
		    P "incremental.full_every", "from 1s" },
		{ OK "\"incremental\": {\"full_every\": 7}",
		    P "incremental.full_every", "duration" },
		{ OK "\"incremental\": {\"max_chain\": 0}",
		    P "incremental.max_chain", "from 1" },
		{ OK "\"incremental\": {\"max_chain\": 1001}",
		    P "incremental.max_chain", "1000" },
		{ OK "\"incremental\": {\"chain\": 3}", P "incremental.chain",
		    "unknown key" },
	};
	struct config *c = load_pipeline(OK "\"rto\": \"1h\"", HF_OK);

	(void)state;
	assert_false(c->pipelines[0].incremental.on);
	config_free(c);
	c = load_pipeline(OK "\"incremental\": {}", HF_OK);
	assert_int_equal(c->nproblems, 0);
	assert_true(c->pipelines[0].incremental.on);
	assert_int_equal(
	    c->pipelines[0].incremental.full_every_ms, 7 * 86400000LL);
	assert_int_equal(c->pipelines[0].incremental.max_chain, 30);
	config_free(c);
	c = load_pipeline(OK "\"incremental\": {\"full_every\": \"1d\", "
			     "\"max_chain\": 5}",
	    HF_OK);
	assert_int_equal(c->pipelines[0].incremental.full_every_ms, 86400000LL);
	assert_int_equal(c->pipelines[0].incremental.max_chain, 5);
	config_free(c);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		c = load_pipeline(cases[i].body, HF_E_INVALID);
		(void)find(c, cases[i].path, cases[i].text);
		assert_int_equal(c->nproblems, 1);
		config_free(c);
	}
}

static void
a_schedule_that_does_not_run_is_warned_of_once(void **state)
{
	struct config *c =
	    load_as("{\"version\": 1, " PLACES "\n"
		    "\"pipelines\": {\"a\": {" FROM ", \"to\": [\"nas\"],\n"
		    "  \"schedule\": {\"every\": \"2h\"}}, \"b\": {" FROM
		    ", \"to\": [\"nas\"], \"retention\": {\"last\": 2}, "
		    "\"schedule\": {\"every\": \"1h\"}, "
		    "\"drill\": {\"every\": \"1d\"}}}}",
		HF_OK);

	(void)state;
	assert_int_equal(c->nproblems, 1);
	assert_true(c->problems[0].warning);
	assert_string_equal(c->problems[0].path, "pipelines.a.schedule");
	assert_int_equal(c->problems[0].line, 3);
	assert_int_equal(c->problems[0].column, 3);
	assert_non_null(strstr(c->problems[0].text, "schedule, drill"));
	assert_null(strstr(c->problems[0].text, "retention"));
	assert_non_null(strstr(c->problems[0].text, "does not act on them"));
	config_free(c);
}

static void
all_problems_are_told_in_the_order_of_the_file(void **state)
{
	struct config *c = load_as(
	    "{\"version\": 1, \"workers\": -1,\n"
	    "\"pipelines\": {\"shop\": {\"to\": [\"nas\"], \"rto\": 1,\n" FROM
	    "}},\n"
	    "\"sinks\": {\"nas\": {\"type\": \"dir\"},\n"
	    "\"usb\": {\"type\": \"dri\", \"path\": \"/\"}},\n"
	    "\"nothing\": 1}",
	    HF_E_INVALID);
	int line = 0;

	(void)state;
	assert_int_equal(c->nproblems, 5);
	for (size_t i = 0; i < c->nproblems; i++) {
		assert_true(c->problems[i].line >= line);
		line = c->problems[i].line;
	}
	assert_non_null(strstr(last.cause, ":1: workers: "));
	config_free(c);
}

static void
a_thousand_problems_are_a_hundred_and_a_number(void **state)
{
	char *json = NULL;
	struct config *c;
	size_t len;
	FILE *f = open_memstream(&json, &len);

	(void)state;
	fprintf(f, "{\"version\": 1, \"pipelines\": {\n");
	/* Warnings come first, and must not hide the errors. */
	fprintf(f, "\"w\": {" FROM ", \"to\": [\"s1\"], \"labels\": {");
	for (int i = 0; i < 150; i++)
		fprintf(f, "%s\"l%d\": {\"env\": \"HF_TEST_NONE\"}",
		    i > 0 ? "," : "", i);
	fprintf(f, "}}}, \"sinks\": {");
	for (int i = 0; i < 1000; i++)
		fprintf(f,
		    "%s\n\"s%d\": {\"type\": \"dir\", \"path\": "
		    "\"/%d\", \"pth\": 1}",
		    i > 0 ? "," : "", i, i);
	fprintf(f, "}}\n");
	assert_int_equal(fclose(f), 0);
	c = load_as(json, HF_E_INVALID);
	assert_int_equal(c->nproblems, 100);
	for (size_t i = 0; i < c->nproblems; i++)
		assert_false(c->problems[i].warning);
	assert_non_null(strstr(c->problems[99].text, "(and 1050 more"));
	config_free(c);
	free(json);
}

static void
what_is_not_json_is_told_with_its_place(void **state)
{
	static const struct {
		const char *json, *hint;
		int line;
	} cases[] = {
		{ "{\n  \"version\": 1,\n}", "no comma behind the last", 3 },
		{ "{\n  \"version\": [1,]\n}", "no comma behind the last", 2 },
		{ "{\n  // what\n}", "no comments", 2 },
		{ "{\n  # what\n}", "no comments", 2 },
		{ "{\n\n  'version': 1\n}", "double quotes", 3 },
		{ "\xef\xbb\xbf{}", "byte order mark", 1 },
		{ "{\"a\": 1,\n \"a\": 2}", NULL, 2 },
		{ "{\n\"password\": \"hunter22\n\"}", NULL, 2 },
		{ "{\n\"a\" \"hunter22\"}", NULL, 2 },
		{ "", NULL, 1 },
		{ "{", NULL, 1 },
		{ "{} {}", NULL, 1 },
		{ "{\"a\": \"\xff\"}", NULL, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct config *c = load_as(cases[i].json, HF_E_INVALID);
		const struct config_problem *p = &c->problems[0];

		assert_int_equal(c->nproblems, 1);
		assert_non_null(strstr(p->text, "not valid JSON"));
		assert_int_equal(p->line, cases[i].line);
		assert_null(strstr(p->text, "hunter"));
		if (cases[i].hint != NULL) {
			assert_non_null(p->hint);
			assert_non_null(strstr(p->hint, cases[i].hint));
		}
		config_free(c);
	}
}

static void
a_file_that_cannot_be_read_keeps_its_status(void **state)
{
	struct config *c = NULL;
	char path[80];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/absent.json", dir);
	error_clear(&last);
	assert_int_equal(config_load(path, &plugins, &c, &last), HF_E_NOTFOUND);
	assert_non_null(c);
	assert_int_equal(last.status, HF_E_NOTFOUND);
	assert_int_equal(c->nproblems, 1);
	assert_int_equal(c->problems[0].line, 0);
	assert_int_equal(config_validate(c, NULL), HF_E_INVALID);
	config_free(c);
}

/* ---- plugins ---- */

static void
a_plugin_that_nobody_uses_may_be_missing(void **state)
{
	struct config *c =
	    load_as("{\"version\": 1, \"sinks\": {"
		    "\"nas\": {\"type\": \"dir\", \"path\": \"/n\"},"
		    "\"far\": {\"type\": \"tape\", \"drive\": \"secret?\","
		    "\"through\": [\"enc\"]}},"
		    "\"filters\": {\"enc\": {\"type\": \"age\"}},"
		    "\"pipelines\": {\"shop\": {" FROM ", \"to\": [\"nas\"]}}}",
		HF_OK);
	const struct config_problem *p;
	struct options *options;
	json_t *shown;

	(void)state;
	assert_int_equal(c->nproblems, 2);
	p = find(c, "sinks.far.type", "no plugin named \"tape\"");
	assert_true(p->warning);
	assert_non_null(strstr(p->hint, "There are"));
	assert_true(find(c, "filters.enc.type", "age")->warning);
	assert_null(config_sink(c, "far")->item.plugin);
	assert_int_equal(
	    config_resolve(c, &config_sink(c, "far")->item, &options, NULL),
	    HF_E_INVALID);
	assert_int_equal(config_validate(c, NULL), HF_OK);

	shown = config_show(c);
	assert_string(at(shown, "sinks", "far", "drive"), "********");
	assert_string(at(shown, "sinks", "far", "type"), "tape");
	json_decref(shown);
	config_free(c);
}

static void
a_plugin_that_a_pipeline_needs_must_be_there(void **state)
{
	struct config *c =
	    load_as("{\"version\": 1, \"sinks\": {"
		    "\"far\": {\"type\": \"tape\", \"through\": [\"enc\"]}},"
		    "\"filters\": {\"enc\": {\"type\": \"age\"}},"
		    "\"pipelines\": {\"shop\": {" FROM ", \"to\": [\"far\"]}}}",
		HF_E_INVALID);

	(void)state;
	assert_int_equal(c->nproblems, 2);
	assert_false(find(c, "sinks.far.type", "tape")->warning);
	assert_false(find(c, "filters.enc.type", "age")->warning);
	config_free(c);
}

static void
two_names_for_one_place_are_warned_of(void **state)
{
	struct config *c = load_as(
	    "{\"version\": 1, \"pipelines\": {},"
	    "\"sinks\": {\"a\": {\"type\": \"dir\", \"path\": \"/n\"},\n"
	    "\"b\": {\"type\": \"dir\", \"path\": \"/n\","
	    "\"stall_timeout\": \"1m\", \"$comment\": \"x\"},"
	    "\"c\": {\"type\": \"dir\", \"path\": \"/o\"}}}",
	    HF_OK);

	(void)state;
	assert_int_equal(c->nproblems, 1);
	assert_true(c->problems[0].warning);
	assert_string_equal(c->problems[0].path, "sinks.b");
	assert_int_equal(c->problems[0].line, 2);
	config_free(c);
}

/* ---- resolving ---- */

static void
options_are_resolved_when_they_are_asked_for(void **state)
{
	const struct source_conf *conf;
	struct options *options = NULL;
	struct config *c;
	char path[80];

	(void)state;
	unsetenv("HF_TEST_DB");
	(void)snprintf(path, sizeof path, "%s/secret", dir);
	write_file(path, "pass\n\n", 6);
	c = load_pipeline("\"to\": [\"nas\"], \"from\": {\"engine\": "
			  "\"sqlite\", \"path\": {\"env\": \"HF_TEST_DB\"},"
			  "\"password\": {\"file\": \"secret\"}}",
	    HF_OK);
	assert_int_equal(c->nproblems, 0);
	error_clear(&last);
	assert_int_equal(
	    config_resolve(c, &c->pipelines[0].sources[0], &options, &last),
	    HF_E_INVALID);
	assert_null(options);
	assert_non_null(strstr(last.cause, ":1: pipelines.shop.from.path: "));
	assert_non_null(strstr(last.cause, "HF_TEST_DB"));

	setenv("HF_TEST_DB", "my.db", 1);
	assert_int_equal(
	    config_resolve(c, &c->pipelines[0].sources[0], &options, NULL),
	    HF_OK);
	conf = options_conf(options);
	assert_string_equal(conf->password, "pass\n");
	(void)snprintf(path, sizeof path, "%s/my.db", dir);
	assert_string_equal(conf->path, path);
	assert_int_equal(conf->busy_ms, 10000);
	options_free(options);
	unsetenv("HF_TEST_DB");
	config_free(c);
}

static void
validate_resolves_everything_and_asks_the_plugin(void **state)
{
	struct config *c = load_as(
	    "{\"version\": 1,\n"
	    "\"environment\": {\"env\": \"HF_TEST_NONE\"},\n"
	    "\"sinks\": {\"nas\": {\"type\": \"dir\",\n\"path\": \"/\"}},\n"
	    "\"pipelines\": {\"shop\": {\"to\": [\"nas\"],\n"
	    "\"labels\": {\"v\": {\"env\": \"HF_TEST_NONE\"}},"
	    "\"from\": {\"engine\": \"sqlite\", \"path\": \"a\",\n"
	    "\"password\": {\"env\": \"HF_TEST_NONE\"}}}}}",
	    HF_OK);

	(void)state;
	/* Listing backups can do without. */
	assert_int_equal(c->nproblems, 2);
	assert_true(find(c, "environment", "not set")->warning);
	assert_true(find(c, "pipelines.shop.labels.v", "not set")->warning);
	error_clear(&last);
	assert_int_equal(config_validate(c, &last), HF_E_INVALID);
	assert_int_equal(c->nproblems, 4);
	assert_false(find(c, "environment", "not set")->warning);
	assert_false(find(c, "pipelines.shop.labels.v", "not set")->warning);
	assert_int_equal(
	    find(c, "pipelines.shop.from.password", "HF_TEST_NONE")->line, 7);
	assert_string_equal(find(c, "sinks.nas", "the root is no place")->hint,
	    "Choose a folder.");
	/* Twice is the same. */
	assert_int_equal(config_validate(c, NULL), HF_E_INVALID);
	assert_int_equal(c->nproblems, 4);
	config_free(c);
}

/* ---- secrets ---- */

static const char with_secrets[] =
    "{\"version\": 1, \"allow_inline_secrets\": %s, \"$comment\": 1,"
    "\"sinks\": {\"nas\": {\"type\": \"dir\", \"path\": \"/n\"}},"
    "\"defaults\": {\"to\": [\"nas\"]},"
    "\"pipelines\": {\"a\": {\"$comment\": 2, \"from\": {\"engine\": "
    "\"sqlite\", \"path\": \"a\", \"password\": \"hunter22\","
    "\"wal\": {\"slot\": \"hunter23\"}}},"
    "\"b\": {\"from\": [{\"engine\": \"sqlite\", \"path\": \"a\","
    "\"password\": {\"env\": \"E\", \"default\": \"hunter24\"}},"
    "{\"engine\": \"files\", \"path\": \"a\", \"keys\": [\"hunter25\","
    "{\"env\": \"E\", \"default\": \"hunter26\"}], \"password\": {\"file\": "
    "\"/run/f\"}}]}}}";

static void
secrets_in_the_file_are_refused(void **state)
{
	char *json = text_format(with_secrets, "false");
	struct config *c = load_as(json, HF_E_INVALID);
	char *text = NULL;
	size_t len;
	FILE *f;

	(void)state;
	(void)find(c, "pipelines.a.from.password", "secret");
	(void)find(c, "pipelines.a.from.wal.slot", "secret");
	(void)find(c, "pipelines.b.from[0].password", "secret");
	(void)find(c, "pipelines.b.from[1].keys[0]", "secret");
	(void)find(c, "pipelines.b.from[1].keys[1]", "secret");
	assert_int_equal(c->nproblems, 5);
	f = open_memstream(&text, &len);
	config_print_problems(c, f);
	assert_int_equal(fclose(f), 0);
	assert_null(strstr(text, "hunter"));
	free(text);
	config_free(c);
	free(json);
}

static void
what_is_shown_is_merged_and_redacted(void **state)
{
	char *json = text_format(with_secrets, "true"), *text;
	struct config *c = load_as(json, HF_OK);
	json_t *shown = config_show(c), *from;

	(void)state;
	assert_non_null(shown);
	text = json_dumps(shown, 0);
	assert_null(strstr(text, "hunter"));
	assert_null(strstr(text, "$comment"));
	assert_null(strstr(text, "defaults"));
	from = json_array_get(at(shown, "pipelines", "a", "from"), 0);
	assert_string(json_object_get(from, "password"), "********");
	assert_string(
	    json_object_get(json_object_get(from, "wal"), "slot"), "********");
	assert_string(json_object_get(from, "name"), "sqlite");
	from = json_array_get(at(shown, "pipelines", "b", "from"), 0);
	assert_string(
	    json_object_get(json_object_get(from, "password"), "env"), "E");
	from = json_array_get(at(shown, "pipelines", "b", "from"), 1);
	assert_string(
	    json_object_get(json_object_get(from, "password"), "file"),
	    "/run/f");
	assert_string(at(shown, "pipelines", "b", "require"), "all");
	assert_string(at(shown, "pipelines", "b", "verify"), "readback");
	assert_string(at(shown, "sinks", "nas", "stall_timeout"), "5m");
	assert_string(json_object_get(shown, "frame_size"), "1MiB");
	assert_non_null(json_object_get(shown, "state_dir"));
	config_free(c);

	/* What is shown is a file that means the same. */
	c = load_as(text, HF_OK);
	assert_int_equal(c->npipelines, 2);
	assert_int_equal(c->nproblems, 0);
	config_free(c);
	json_decref(shown);
	free(text);
	free(json);
}

/* ---- cron lines, schema, documentation ---- */

static void
cron_lines_are_told_from_others(void **state)
{
	static const char *const good[] = { "* * * * *", "30 2 * * *",
		"*/15 0-6/2 1,15 jan-mar,12 Mon-Fri", "0 4 1-7 * 0",
		"0  4 1-7 * 7", "@daily", " 0 0 31 DEC sat " };
	static const char *const bad[] = { "", "* * * *", "* * * * * *",
		"60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
		"* * * * 8", "5-1 * * * *", "*/0 * * * *", "5/2 * * * *",
		"1,,2 * * * *", "a * * * *", "@often", "* * * * mo",
		"-1 * * * *", "1- * * * *", "99999999999 * * * *" };
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!cron_check(good[i], &why))
			fail_msg("%s: %s", good[i], why);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		why = NULL;
		if (cron_check(bad[i], &why))
			fail_msg("\"%s\" passed", bad[i]);
		assert_non_null(why);
	}
	assert_false(cron_check("0 24 * * *", &why));
	assert_non_null(strstr(why, "second field"));
}

static void
the_schema_has_every_key_and_the_plugins_options(void **state)
{
	json_t *schema = config_schema(&plugins);
	const json_t *top, *pipeline, *dir_sink, *source;

	(void)state;
	assert_non_null(schema);
	top = json_object_get(schema, "properties");
	for (const struct key *k = keys_top.list; k->name != NULL; k++)
		assert_non_null(json_object_get(top, k->name));
	pipeline = at(schema, "$defs", "pipeline", "properties");
	for (const struct key *k = keys_pipeline.list; k->name != NULL; k++)
		assert_non_null(json_object_get(pipeline, k->name));
	dir_sink = at(schema, "$defs", "sink.dir", "properties");
	assert_non_null(json_object_get(dir_sink, "min_free"));
	assert_non_null(json_object_get(dir_sink, "stall_timeout"));
	assert_null(at(schema, "$defs", "sink.gzip", "properties"));
	source = at(schema, "$defs", "engine.sqlite", "properties");
	assert_non_null(json_object_get(source, "busy_timeout"));
	assert_non_null(json_object_get(source, "wal"));
	assert_non_null(at(schema, "$defs", "engine.sqlite", "required"));
	assert_null(at(schema, "$defs", "engine.sqlite.partial", "required"));
	json_decref(schema);
}

/* The folder of the sources, from this file's own path. */
static char *
read_doc(void)
{
	static const char here[] = "tests/unit/test_config.c";
	size_t len = strlen(__FILE__) - (sizeof here - 1);
	char *path, *text;
	FILE *f;
	long size;

	path = text_format("%.*sdocs/configuration.md", (int)len, __FILE__);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("no %s", path);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	size = ftell(f);
	assert_true(size > 0);
	rewind(f);
	text = calloc(1, (size_t)size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)size, f), size);
	fclose(f);
	free(path);
	return text;
}

/* A table row: | `name` | default | meaning | */
static void
check_row(const struct keys *keys, const char *row)
{
	const char *name = row + 3, *end = strchr(name, '`');
	const char *def = strstr(row, " | ");
	const struct key *key;
	char copy[64], want[64];

	assert_non_null(end);
	assert_non_null(def);
	(void)snprintf(copy, sizeof copy, "%.*s", (int)(end - name), name);
	key = keys_find(keys, copy);
	if (key == NULL)
		fail_msg("%s: documented \"%s\" is no key", keys->title, copy);
	if (key->def != NULL)
		(void)snprintf(want, sizeof want, " | `%s` |", key->def);
	else
		(void)snprintf(want, sizeof want, " | %s |",
		    (key->flags & KEY_REQUIRED) != 0 ? "required" : "");
	if (key->def != NULL || (key->flags & KEY_REQUIRED) != 0)
		if (strncmp(def, want, strlen(want)) != 0)
			fail_msg("%s.%s: the default is %s", keys->title, copy,
			    want);
}

static void
the_documentation_has_every_key_and_no_other(void **state)
{
	char *doc = read_doc();

	(void)state;
	for (size_t i = 0; keys_all[i] != NULL; i++) {
		const struct keys *keys = keys_all[i];
		char *heading = text_format("\n## %s\n", keys->title);
		char *section = strstr(doc, heading), *copy, *end, *line;
		size_t rows = 0, known = 0;

		if (section == NULL)
			fail_msg("no heading%s", heading);
		copy = strdup(section + strlen(heading));
		assert_non_null(copy);
		if ((end = strstr(copy, "\n## ")) != NULL)
			end[1] = '\0';
		for (line = copy; line != NULL; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (strncmp(line, "| `", 3) != 0)
				continue;
			check_row(keys, line);
			rows++;
		}
		for (const struct key *k = keys->list; k->name != NULL; k++) {
			char *row = text_format("| `%s` |", k->name);

			if (strstr(copy, row) == NULL)
				fail_msg("%s: \"%s\" is not documented",
				    keys->title, k->name);
			free(row);
			known++;
		}
		assert_int_equal(rows, known);
		free(copy);
		free(heading);
	}
	free(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_is_read),
		cmocka_unit_test(what_is_absent_has_its_default),
		cmocka_unit_test(
		    state_stands_in_the_home_folder_of_who_is_not_root),
		cmocka_unit_test(sources_get_names_of_their_own),
		cmocka_unit_test(names_are_found_and_near_ones_suggested),
		cmocka_unit_test(defaults_merge_key_by_key),
		cmocka_unit_test(
		    an_own_interval_takes_the_place_of_an_inherited_cron_line),
		cmocka_unit_test(
		    inherited_problems_are_reported_once_where_they_were_written),
		cmocka_unit_test(
		    an_unknown_key_names_line_column_and_nearest_name),
		cmocka_unit_test(every_kind_of_value_is_checked),
		cmocka_unit_test(the_top_level_is_checked),
		cmocka_unit_test(
		    increments_are_made_only_where_they_are_asked_for),
		cmocka_unit_test(
		    what_cannot_be_acted_on_yet_is_checked_all_the_same),
		cmocka_unit_test(
		    a_schedule_that_does_not_run_is_warned_of_once),
		cmocka_unit_test(
		    all_problems_are_told_in_the_order_of_the_file),
		cmocka_unit_test(
		    a_thousand_problems_are_a_hundred_and_a_number),
		cmocka_unit_test(what_is_not_json_is_told_with_its_place),
		cmocka_unit_test(a_file_that_cannot_be_read_keeps_its_status),
		cmocka_unit_test(a_plugin_that_nobody_uses_may_be_missing),
		cmocka_unit_test(a_plugin_that_a_pipeline_needs_must_be_there),
		cmocka_unit_test(two_names_for_one_place_are_warned_of),
		cmocka_unit_test(options_are_resolved_when_they_are_asked_for),
		cmocka_unit_test(
		    validate_resolves_everything_and_asks_the_plugin),
		cmocka_unit_test(secrets_in_the_file_are_refused),
		cmocka_unit_test(what_is_shown_is_merged_and_redacted),
		cmocka_unit_test(cron_lines_are_told_from_others),
		cmocka_unit_test(
		    the_schema_has_every_key_and_the_plugins_options),
		cmocka_unit_test(the_documentation_has_every_key_and_no_other),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
