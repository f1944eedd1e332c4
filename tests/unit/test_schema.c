/* SPDX-License-Identifier: BSD-2-Clause */
/* The example, and the agreement of schema and checker, with the plugins of
 * this build and a JSON Schema validator that is not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "plugin/loader.h"

static char dir[] = "/tmp/hf-schema-XXXXXX";
static struct plugins *plugins;
static bool skipped;

/* A file of the sources, found from this file's own path. */
static char *
source_file(const char *name)
{
	static const char here[] = "tests/unit/test_schema.c";

	return text_format("%.*s%s",
	    (int)(strlen(__FILE__) - (sizeof here - 1)), __FILE__, name);
}

static int
setup(void **state)
{
	(void)state;
	/* Only the plugins of this build. */
	(void)unsetenv("HOLDFAST_PLUGIN_PATH");
	return mkdtemp(dir) == NULL || plugins_new(&plugins, NULL, NULL) != 0;
}

static int
teardown(void **state)
{
	char *command = text_format("rm -rf %s", dir);
	int rc = system(command);

	(void)state;
	free(command);
	plugins_free(plugins);
	return rc;
}

static void
write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* The example; without the pipelines of an engine that was not built. */
static char *
example_file(void)
{
	char *path = source_file("examples/fleet.json");
	const struct plugin *p;
	json_t *doc;

	if (plugins_find(plugins, "postgres", &p, NULL) == HF_OK)
		return path;
	assert_non_null(doc = json_load_file(path, 0, NULL));
	assert_int_equal(
	    json_object_del(json_object_get(doc, "pipelines"), "crm"), 0);
	free(path);
	path = text_format("%s/example.json", dir);
	assert_int_equal(json_dump_file(doc, path, 0), 0);
	json_decref(doc);
	return path;
}

static void
the_example_is_right(void **state)
{
	char *path = example_file();
	struct hf_error err = { 0 };
	struct config *c = NULL;
	int rc;

	(void)state;
	rc = config_load(path, plugins, &c, &err);
	assert_non_null(c);
	config_print_problems(c, stderr);
	assert_int_equal(rc, HF_OK);
	assert_int_equal(config_validate(c, &err), HF_OK);
	assert_int_equal(c->nproblems, 0);
	assert_true(c->npipelines >= 3);
	assert_int_equal(config_pipeline(c, "blog", NULL)->nsources, 2);
	assert_int_equal(config_pipeline(c, "notes", NULL)->require, 1);
	config_free(c);
	free(path);
}

#define SINK "\"sinks\": {\"nas\": {\"type\": \"dir\", \"path\": \"/n\"}}"
#define FROM "\"from\": {\"engine\": \"sqlite\", \"path\": \"a.db\"}"
#define PIPE(more)                                                 \
	"{\"version\": 1, " SINK ", \"pipelines\": {\"p\": {" FROM \
	", \"to\": [\"nas\"]" more "}}}"
#define WITH(member) "{\"version\": 1, \"pipelines\": {}, " member "}"

static const struct {
	bool ok;
	const char *json;
} files[] = {
	{ true, PIPE("") },
	{ true, WITH("\"$comment\": [1, {}], \"$schema\": \"x\"") },
	{ true, PIPE(", \"$comment\": 1, \"require\": 1, \"rpo\": \"1h30m\"") },
	{ true,
	    PIPE(
		", \"labels\": {\"a b\": \"c\", \"d\": {\"env\": \"HOME\"}}") },
	{ true, PIPE(", \"schedule\": {\"cron\": \"*/5 1-3 * jan Sun\"}") },
	{ true, PIPE(", \"schedule\": {\"every\": \"1h\", \"retries\": 3}") },
	{ true, PIPE(", \"retention\": {\"last\": 0, \"within\": \"30d\"}") },
	{ true, PIPE(", \"incremental\": {}") },
	{ true, PIPE(", \"incremental\": {\"full_every\": \"1d\", "
		     "\"max_chain\": 1000}") },
	{ true, PIPE(", \"drill\": {\"cron\": \"@daily\", \"assert\": "
		     "[{\"sql\": \"x\", \"min\": 1.5, \"equals\": true}]}") },
	{ true, PIPE(", \"hooks\": {\"before\": {\"run\": [\"a\", \"b\"], "
		     "\"on_error\": \"warn\"}}") },
	{ true, WITH("\"frame_size\": \"256KiB\", \"spool\": {\"max\": 5}") },
	{ true, WITH("\"environment\": {\"env\": \"HOME\"}, \"operator\": "
		     "{\"env\": \"X\", \"default\": \"\"}") },
	{ true, WITH("\"filters\": {\"g\": {\"type\": \"gzip\", "
		     "\"level\": 6, \"$comment\": 1}}") },
	{ true, WITH(SINK ", \"defaults\": {\"from\": {\"engine\": "
			  "\"sqlite\", \"busy_timeout\": \"3s\"}, \"to\": "
			  "[\"nas\"]}") },
	{ true, "{\"version\": 1, " SINK ", \"defaults\": {\"from\": "
		"{\"engine\": \"sqlite\"}, \"to\": [\"nas\"]}, "
		"\"pipelines\": {\"p\": {\"from\": {\"path\": \"a\"}}}}" },
	{ false, "{}" },
	{ false, "[]" },
	{ false, "{\"version\": 2, \"pipelines\": {}}" },
	{ false, WITH("\"piplines\": {}") },
	{ false, WITH("\"workers\": \"2\"") },
	{ false, WITH("\"workers\": 2000") },
	{ false, WITH("\"frame_size\": \"1 MiBs\"") },
	{ false, WITH("\"environment\": {\"env\": \"A\", \"file\": \"b\"}") },
	{ false, WITH("\"state_dir\": {\"file\": 1}") },
	{ false, WITH("\"spool\": {\"after\": 30}") },
	{ false, WITH("\"filters\": {\"g\": {\"type\": \"gzip\", "
		      "\"level\": 10}}") },
	{ false, WITH("\"filters\": {\"g\": {\"level\": 1}}") },
	{ false, WITH("\"filters\": {\"-\": {\"type\": \"gzip\"}}") },
	{ false, WITH("\"sinks\": {\"n\": {\"type\": \"dir\"}}") },
	{ false, WITH("\"sinks\": {\"n\": {\"type\": \"dir\", \"path\": "
		      "\"/n\", \"pth\": \"/n\"}}") },
	{ false, WITH("\"defaults\": {\"version\": 1}") },
	{ false, "{\"version\": 1, " SINK ", \"defaults\": {\"to\": [\"nas\"], "
		 "\"from\": {\"engine\": \"sqlite\", \"busy\": \"3s\"}}, "
		 "\"pipelines\": {\"p\": {\"from\": {\"path\": \"a\"}}}}" },
	{ false, PIPE(", \"rpo\": 5") },
	{ false, PIPE(", \"verify\": \"yes\"") },
	{ false, PIPE(", \"require\": 0") },
	{ false, PIPE(", \"through\": \"gz\"") },
	{ false, PIPE(", \"labels\": {\"a\": 1}") },
	{ false, PIPE(", \"schedule\": {\"cron\": \"1 2 3\"}") },
	{ false, PIPE(", \"schedule\": {\"cron\": \"@daily\", \"every\": "
		      "\"1h\"}") },
	{ false, PIPE(", \"retention\": {\"min_keep\": 0}") },
	{ false, PIPE(", \"incremental\": {\"max_chain\": 0}") },
	{ false, PIPE(", \"drill\": {\"assert\": [{\"sql\": \"x\"}]}") },
	{ false, PIPE(", \"drill\": {\"assert\": [{\"min\": 1}]}") },
	{ false, PIPE(", \"hooks\": {\"before\": {\"run\": []}}") },
	{ false, "{\"version\": 1, " SINK ", \"pipelines\": {\"p\": "
		 "{\"to\": [\"nas\"], \"from\": [{\"engine\": \"sqlite\", "
		 "\"path\": \"a\", \"busy_timout\": \"1s\"}]}}}" },
	{ false,
	    "{\"version\": 1, " SINK ", \"pipelines\": {\"p\": "
	    "{\"to\": [\"nas\"], \"from\": [{\"engine\": \"sqlite\"}]}}}" },
	{ false, "{\"version\": 1, " SINK ", \"pipelines\": {\"p\": "
		 "{\"to\": [], " FROM "}}}" },
	{ false, "{\"version\": 1, " SINK ", \"pipelines\": {\"p\": "
		 "{\"to\": [\"nas\"], \"from\": {\"engine\": \"sqlte\", "
		 "\"path\": \"a\"}}}}" },
};
#define NFILES (sizeof files / sizeof *files)

/* The checker's word on each, and the files for the validator. */
static void
write_files(void)
{
	for (size_t i = 0; i < NFILES; i++) {
		char *path = text_format(
		    "%s/%s-%02zu.json", dir, files[i].ok ? "ok" : "bad", i);
		struct config *c = NULL;
		int rc;

		write_text(path, files[i].json);
		rc = config_load(path, plugins, &c, NULL);
		assert_non_null(c);
		if ((rc == HF_OK) != files[i].ok) {
			config_print_problems(c, stderr);
			fail_msg("%s: loading answered %d", files[i].json, rc);
		}
		config_free(c);
		free(path);
	}
}

static void
schema_and_checker_agree(void **state)
{
	char *script = source_file("tests/unit/schema.py");
	char *example = example_file();
	json_t *schema = config_schema(plugins);
	char *path, *text, *command;
	int rc;

	(void)state;
	write_files();
	assert_non_null(schema);
	text = json_dumps(schema, JSON_INDENT(2));
	path = text_format("%s/schema", dir);
	write_text(path, text);
	command = text_format("python3 '%s' '%s' '%s' %s/[ob]*-*.json", script,
	    path, example, dir);
	rc = system(command);
	skipped =
	    WIFEXITED(rc) && (WEXITSTATUS(rc) == 77 || WEXITSTATUS(rc) == 127);
	if (!skipped)
		assert_int_equal(rc, 0);
	free(command);
	free(path);
	free(text);
	json_decref(schema);
	free(example);
	free(script);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_right),
		cmocka_unit_test(schema_and_checker_agree),
	};
	int rc = cmocka_run_group_tests(tests, setup, teardown);

	if (rc == 0 && skipped) {
		fprintf(stderr, "no python3 with jsonschema\n");
		return 77;
	}
	return rc;
}
