/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "plugin/engine.h"
#include "plugin/filter.h"
#include "plugin/loader.h"
#include "support/skipped.h"

static char scratch[64];
static char built[PATH_MAX]; /* where the build puts the test plugins */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
setup(void **state)
{
	ssize_t n = readlink("/proc/self/exe", built, sizeof built - 64);

	(void)state;
	if (n <= 0)
		return -1;
	built[n] = '\0';
	*strrchr(built, '/') = '\0';
	strncat(built, "/../test-plugins", sizeof built - strlen(built) - 1);
	(void)unsetenv("HOLDFAST_PLUGIN_PATH");
	(void)snprintf(scratch, sizeof scratch, "/tmp/hf-loader-XXXXXX");
	return mkdtemp(scratch) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)unsetenv("HOLDFAST_PLUGIN_PATH");
	return nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* "NAME.so" of the build, or a path of its own in the scratch folder. */
static const char *
in(const char *dir, const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned next;
	char *p = paths[next++ % 4];

	(void)snprintf(p, sizeof paths[0], "%s/%s", dir, name);
	return p;
}

static void
copy(const char *from, const char *to, mode_t mode)
{
	struct buf b = BUF_INIT;

	assert_int_equal(file_read(from, (size_t)64 << 20, &b, NULL), HF_OK);
	assert_int_equal(file_write(to, b.data, b.len, NULL), HF_OK);
	assert_int_equal(chmod(to, mode), 0);
	buf_free(&b);
}

static void
refused(const char *path, int status, const char *text, const char *hint)
{
	struct hf_error err = { .status = HF_OK };
	struct plugin *p;
	char line[1024];

	assert_int_equal(plugin_open_file(path, &p, &err), status);
	assert_null(p);
	error_line(&err, line, sizeof line);
	if (strstr(line, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, line);
	if (hint != NULL) {
		const char *given = error_get(&err, "hint");

		if (given == NULL || strstr(given, hint) == NULL)
			fail_msg("\"%s\" is not in the hint \"%s\"", hint,
			    given == NULL ? "" : given);
	}
}

static void
older_plugin_with_shorter_tables_loads(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_request r = { .struct_size = sizeof r, .kind = HF_KIND_FULL };
	struct engine *e;
	struct plugin *p;
	char target[16];

	(void)state;
	assert_int_equal(
	    plugin_open_file(in(built, "older.so"), &p, &err), HF_OK);
	assert_non_null(p->desc.engine);
	assert_null(p->desc.filter);
	assert_null(p->desc.store);
	assert_null(p->engine.scratch);
	assert_null(p->engine.restore_options);
	assert_int_equal(
	    p->engine.struct_size, offsetof(struct hf_engine_ops, scratch));
	assert_int_equal(engine_open(p, NULL, NULL, &e, &err), HF_OK);
	assert_int_equal(engine_scratch(e, "/tmp", target, sizeof target, &err),
	    HF_E_UNSUPPORTED);
	assert_int_equal(engine_backup(e, &r, NULL, &err), HF_E_NOTFOUND);
	assert_string_equal(err.cause, "nothing here");
	engine_discard(e, "x");
	engine_close(e);
	plugin_close(p);
}

static void
newer_plugin_with_longer_tables_loads(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct buf b = BUF_INIT;
	struct filter *f;
	struct plugin *p;
	struct xform *x;

	(void)state;
	assert_int_equal(
	    plugin_open_file(in(built, "newer.so"), &p, &err), HF_OK);
	assert_int_equal(p->desc.struct_size, sizeof(struct hf_plugin));
	assert_int_equal(filter_open(p, "n", NULL, NULL, &f, &err), HF_OK);
	assert_string_equal(filter_suffix(f), ".x");
	assert_int_equal(xform_begin(f, false, "o", &x, &err), HF_OK);
	assert_int_equal(xform_push(x, "abc", 3, true, &b, &err), HF_OK);
	assert_int_equal(b.len, 3);
	assert_int_equal(b.data[0], 'a' ^ 0x5a);
	xform_end(x);
	buf_free(&b);
	filter_close(f);
	plugin_close(p);
}

static void
library_without_the_symbol_is_refused(void **state)
{
	(void)state;
	refused(in(built, "nosymbol.so"), HF_E_INVALID, "has no symbol",
	    "HF_REGISTER");
}

static void
other_major_version_is_named(void **state)
{
	(void)state;
	refused(in(built, "othermajor.so"), HF_E_INVALID,
	    "is made for version 2 of the plugin interface, this program has 1",
	    "release");
}

static void
missing_library_is_named_with_what_to_do(void **state)
{
	(void)state;
	refused(in(built, "needsabsent.so"), HF_E_INVALID,
	    "needs the shared library libhf-absent.so", "apt-file search");
}

static void
undefined_function_is_named(void **state)
{
	(void)state;
	refused(in(built, "undefined.so"), HF_E_INVALID,
	    "function_that_nothing_has", "ldd -r");
}

static void
what_is_not_a_library_is_refused(void **state)
{
	const char *path = in(scratch, "text.so");

	(void)state;
	assert_int_equal(file_write(path, "hello\n", 6, NULL), HF_OK);
	refused(path, HF_E_INVALID, "cannot load the plugin", NULL);
	refused(scratch, HF_E_INVALID, "not a regular file", NULL);
	refused(in(scratch, "none.so"), HF_E_NOTFOUND, "none.so", NULL);
}

static void
failing_load_is_reported(void **state)
{
	(void)state;
	refused(in(built, "loadfails.so"), HF_E_UNSUPPORTED,
	    "loadfails.so: the library is too old", NULL);
}

static void
file_with_another_name_is_refused(void **state)
{
	(void)state;
	refused(in(built, "misnamed.so"), HF_E_INVALID,
	    "it calls itself \"another\"", NULL);
}

static void
world_writable_file_is_refused(void **state)
{
	const char *path = in(scratch, "older.so");
	struct plugin *p;

	(void)state;
	copy(in(built, "older.so"), path, 0666);
	refused(path, HF_E_INVALID, "everybody may write to it", "chmod o-w");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(plugin_open_file(path, &p, NULL), HF_OK);
	plugin_close(p);
}

static void
world_writable_folder_is_refused_unless_sticky(void **state)
{
	const char *path = in(scratch, "older.so");
	struct plugin *p;

	(void)state;
	copy(in(built, "older.so"), path, 0644);
	assert_int_equal(chmod(scratch, 0777), 0);
	refused(path, HF_E_INVALID, "everybody may write to its folder",
	    "chmod o-w");
	assert_int_equal(chmod(scratch, 01777), 0);
	assert_int_equal(plugin_open_file(path, &p, NULL), HF_OK);
	plugin_close(p);
}

static void
link_to_a_file_in_a_world_writable_folder_is_refused(void **state)
{
	const char *dir = in(scratch, "open"), *link = in(scratch, "older.so");
	char real[PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	(void)snprintf(real, sizeof real, "%s/older.so", dir);
	copy(in(built, "older.so"), real, 0644);
	assert_int_equal(symlink(real, link), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	refused(link, HF_E_INVALID, "everybody may write to its folder", NULL);
}

static void
file_of_another_user_is_refused(void **state)
{
	const char *path = in(scratch, "older.so");

	(void)state;
	if (geteuid() != 0)
		SKIP();
	copy(in(built, "older.so"), path, 0644);
	assert_int_equal(chown(path, 12345, 12345), 0);
	refused(path, HF_E_INVALID, "belongs to the user 12345", "chown root");
}

/* ---- the search path ---- */

static struct plugins *
search(const char *const *dirs)
{
	struct hf_error err = { .status = HF_OK };
	struct plugins *set;

	if (plugins_new(&set, dirs, &err) != HF_OK)
		fail_msg("%s", err.cause);
	return set;
}

static void
name_taken_twice_names_both_files(void **state)
{
	const char *a = in(scratch, "a"), *b = in(scratch, "b");
	const char *const dirs[] = { a, b, NULL };
	struct hf_error err = { .status = HF_OK };
	const struct plugin *p;
	struct plugins *set;
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(a, 0700), 0);
	assert_int_equal(mkdir(b, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/older.so", a);
	copy(in(built, "older.so"), path, 0644);
	(void)snprintf(path, sizeof path, "%s/older.so", b);
	copy(in(built, "older.so"), path, 0644);
	set = search(dirs);
	assert_int_equal(plugins_find(set, "older", &p, &err), HF_E_INVALID);
	assert_null(p);
	assert_non_null(strstr(err.cause, "taken twice"));
	assert_non_null(strstr(err.cause, "/a/older.so"));
	assert_non_null(strstr(err.cause, "/b/older.so"));
	plugins_free(set);
}

static void
same_file_in_two_folders_is_one_plugin(void **state)
{
	const char *const dirs[] = { built, scratch, built, NULL };
	struct hf_error err = { .status = HF_OK };
	const struct plugin *p, *again;
	struct plugins *set;

	(void)state;
	assert_int_equal(
	    symlink(in(built, "older.so"), in(scratch, "older.so")), 0);
	set = search(dirs);
	assert_int_equal(plugins_find(set, "older", &p, &err), HF_OK);
	assert_int_equal(
	    plugins_get(set, "older", PLUGIN_ENGINE, &again, &err), HF_OK);
	assert_ptr_equal(p, again);
	plugins_free(set);
}

static void
unknown_name_lists_what_is_there_and_the_nearest(void **state)
{
	const char *const dirs[] = { built, NULL };
	struct hf_error err = { .status = HF_OK };
	const struct plugin *p;
	struct plugins *set = search(dirs);

	(void)state;
	assert_int_equal(plugins_find(set, "oldr", &p, &err), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, "\"oldr\""));
	assert_non_null(
	    strstr(error_get(&err, "hint"), "Did you mean \"older\"?"));
	assert_non_null(strstr(error_get(&err, "hint"), "newer"));
	assert_int_equal(
	    plugins_find(set, "../older", &p, &err), HF_E_NOTFOUND);
	assert_int_equal(plugins_find(set, "", &p, &err), HF_E_NOTFOUND);
	plugins_free(set);
}

static void
kind_that_it_is_not_is_refused(void **state)
{
	const char *const dirs[] = { built, NULL };
	struct hf_error err = { .status = HF_OK };
	const struct plugin *p;
	struct plugins *set = search(dirs);

	(void)state;
	assert_int_equal(
	    plugins_get(set, "older", PLUGIN_STORE, &p, &err), HF_E_INVALID);
	assert_string_equal(
	    err.cause, "the plugin \"older\" is an engine, not a store");
	plugins_free(set);
}

static void
environment_adds_folders(void **state)
{
	struct hf_error err = { .status = HF_OK };
	const struct plugin *p;
	struct plugins *set;
	char value[PATH_MAX + 64];

	(void)state;
	(void)snprintf(value, sizeof value, "/nowhere/at/all::%s:", built);
	assert_int_equal(setenv("HOLDFAST_PLUGIN_PATH", value, 1), 0);
	set = search(NULL);
	assert_string_equal(plugins_path(set)[0], "/nowhere/at/all");
	assert_string_equal(plugins_path(set)[1], built);
	assert_int_equal(plugins_find(set, "newer", &p, &err), HF_OK);
	plugins_free(set);
}

static void
given_folder_that_is_not_there_is_an_error(void **state)
{
	const char *const dirs[] = { "/nowhere/at/all", NULL };
	struct hf_error err = { .status = HF_OK };
	struct plugins *set;

	(void)state;
	assert_int_equal(plugins_new(&set, dirs, &err), HF_E_NOTFOUND);
	assert_null(set);
	assert_non_null(strstr(err.cause, "/nowhere/at/all"));
}

struct seen {
	int good, bad;
	bool older, othermajor;
};

static int
see(void *arg, const char *path, const struct plugin *p,
    const struct hf_error *why)
{
	struct seen *s = arg;

	assert_true((p == NULL) == (why != NULL));
	if (p != NULL) {
		s->good++;
		s->older = s->older || strcmp(p->desc.name, "older") == 0;
	} else {
		s->bad++;
		assert_int_not_equal(why->status, HF_OK);
		s->othermajor = s->othermajor ||
				(strstr(path, "/othermajor.so") != NULL &&
				    strstr(why->cause, "version 2") != NULL);
	}
	return 0;
}

static int
stop(void *arg, const char *path, const struct plugin *p,
    const struct hf_error *why)
{
	(void)path;
	(void)p;
	(void)why;
	++*(int *)arg;
	return 17;
}

static void
each_gives_every_file_or_why_not(void **state)
{
	const char *const dirs[] = { built, scratch, NULL };
	struct plugins *set;
	struct seen s = { 0 };
	int calls = 0;

	(void)state;
	assert_int_equal(
	    file_write(in(scratch, "Bad_Name.so"), "x", 1, NULL), HF_OK);
	set = search(dirs);
	assert_int_equal(plugins_each(set, see, &s), 0);
	assert_true(s.good >= 2);
	assert_true(s.bad >= 6);
	assert_true(s.older);
	assert_true(s.othermajor);
	assert_int_equal(plugins_each(set, stop, &calls), 17);
	assert_int_equal(calls, 1);
	plugins_free(set);
}

static void *
find_older(void *arg)
{
	const struct plugin *p = NULL;

	(void)plugins_find(arg, "older", &p, NULL);
	return (void *)(uintptr_t)p;
}

static void
threads_get_one_and_the_same_plugin(void **state)
{
	const char *const dirs[] = { built, NULL };
	struct plugins *set = search(dirs);
	pthread_t threads[8];
	void *first = NULL;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, find_older, set), 0);
	for (size_t i = 0; i < 8; i++) {
		void *p;

		assert_int_equal(pthread_join(threads[i], &p), 0);
		assert_non_null(p);
		assert_true(first == NULL || first == p);
		first = p;
	}
	plugins_free(set);
}

/* ---- the lint ---- */

struct conf {
	int64_t n;
	const char *s;
	const char *const *list;
	bool b;
};

static struct hf_option options[4];
static struct hf_filter_ops filter;
static struct hf_engine_ops engine;
static struct hf_store_ops store;
static struct hf_plugin desc;

static int
never(void)
{
	return HF_E_BUG;
}

#define NEVER(field)                                                 \
	memcpy(&(field), &(void (*)(void)){ (void (*)(void))never }, \
	    sizeof(field))

static void
good_desc(void)
{
	static const struct hf_option good[4] = {
		{ .name = "n",
		    .type = HF_OPT_INT,
		    .choices = "1..9",
		    .def = "3",
		    .offset = offsetof(struct conf, n),
		    .help = "a number" },
		{ .name = "wal.s",
		    .type = HF_OPT_ENUM,
		    .choices = "a|b",
		    .offset = offsetof(struct conf, s),
		    .help = "a choice" },
		{ .name = "list",
		    .type = HF_OPT_PATH,
		    .flags = HF_OPT_LIST,
		    .offset = offsetof(struct conf, list),
		    .help = "paths" },
		{ .name = NULL },
	};

	memcpy(options, good, sizeof options);
	filter = (struct hf_filter_ops){ .struct_size = sizeof filter,
		.suffix = ".x" };
	NEVER(filter.open);
	NEVER(filter.close);
	NEVER(filter.begin);
	NEVER(filter.step);
	NEVER(filter.end);
	engine = (struct hf_engine_ops){ .struct_size = sizeof engine,
		.kinds = HF_KIND_FULL };
	NEVER(engine.open);
	NEVER(engine.close);
	NEVER(engine.backup);
	NEVER(engine.restore);
	store = (struct hf_store_ops){ .struct_size = sizeof store };
	desc = (struct hf_plugin){
		HF_PLUGIN_INIT,
		.name = "good",
		.version = "1",
		.summary = "keeps the contract",
		.options = options,
		.conf_size = sizeof(struct conf),
		.filter = &filter,
	};
}

static void
complains(const char *text)
{
	struct hf_error err = { .status = HF_OK };

	if (plugin_lint(&desc, "good", &err) != HF_E_INVALID)
		fail_msg("the lint found nothing; wanted: %s", text);
	if (strstr(err.cause, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, err.cause);
	good_desc();
	assert_int_equal(plugin_lint(&desc, "good", &err), HF_OK);
}

static void
lint_finds_faults_of_the_head(void **state)
{
	(void)state;
	good_desc();
	assert_int_equal(plugin_lint(&desc, NULL, NULL), HF_OK);
	assert_int_equal(plugin_lint(NULL, NULL, NULL), HF_E_INVALID);
	desc.struct_size = 0;
	complains("struct_size");
	desc.struct_size = SIZE_MAX;
	complains("struct_size");
	desc.abi_major = 2;
	complains("version 2 of the plugin interface");
	desc.min_host_minor = HF_ABI_MINOR + 1;
	complains("needs version 1.");
	desc.name = "Good";
	complains("not a plugin's name");
	desc.name = NULL;
	complains("not a plugin's name");
	desc.name = "better";
	complains("calls itself");
	desc.version = NULL;
	complains("version is missing");
	desc.summary = "";
	complains("summary is missing");
	desc.threads = 3;
	complains("threads 3");
	desc.threads = -1;
	complains("threads -1");
	desc.filter = NULL;
	complains("neither");
	desc.engine = &engine;
	complains("HF_THREADS_SERIAL");
}

static void
lint_finds_missing_functions(void **state)
{
	(void)state;
	good_desc();
	filter.step = NULL;
	complains("filter.step is missing");
	filter.suffix = NULL;
	complains("filter.suffix is missing");
	filter.suffix = "gz";
	complains("filter.suffix \"gz\"");
	filter.suffix = ".a/b";
	complains("filter.suffix");
	filter.suffix = ".";
	complains("filter.suffix");
	filter.flags = 2;
	complains("filter.flags 0x2");
	filter.struct_size = offsetof(struct hf_filter_ops, end);
	complains("filter.end is missing");
	filter.struct_size = 3;
	complains("filter.struct_size is 3");
	desc.filter = NULL;
	desc.engine = &engine;
	engine.restore = NULL;
	complains("engine.restore is missing");
	desc.filter = NULL;
	desc.engine = &engine;
	engine.kinds = 8;
	complains("engine.kinds 0x8");
	desc.filter = NULL;
	desc.engine = &engine;
	NEVER(engine.scratch);
	complains("engine.discard is missing");
	desc.filter = NULL;
	desc.engine = &engine;
	NEVER(engine.log_kinds);
	complains("engine.log_get is missing");
	desc.filter = NULL;
	desc.engine = &engine;
	NEVER(engine.log_get);
	complains("engine.log_kinds is missing");
	desc.filter = NULL;
	desc.store = &store;
	complains("store.open is missing");
}

static void
lint_finds_faults_of_options(void **state)
{
	(void)state;
	good_desc();
	options[0].name = "Level";
	complains("options: \"Level\": its name is not");
	options[0].name = "a..b";
	complains("its name is not");
	options[0].name = "type";
	complains("belongs to the configuration");
	options[2].name = "n";
	complains("another option has this name");
	options[2].name = "wal";
	complains("another option has this name");
	options[0].type = 0;
	complains("its type");
	options[0].type = 8;
	complains("its type");
	options[0].flags = 8;
	complains("flag bits");
	options[0].flags = HF_OPT_LIST;
	complains("HF_OPT_LIST");
	options[0].flags = HF_OPT_SECRET;
	complains("HF_OPT_SECRET");
	options[0].flags = HF_OPT_REQUIRED;
	complains("has a default");
	options[0].help = NULL;
	complains("no help");
	options[0].def = "10";
	complains("its default");
	options[0].choices = "9..1";
	complains("not a range");
	options[1].choices = NULL;
	complains("no choices");
	options[1].choices = "a||b";
	complains("choices is empty");
	options[1].def = "c";
	complains("its default");
	options[2].choices = "a|b";
	complains("choices are for");
	options[0].offset = sizeof(struct conf);
	complains("outside of conf_size");
	options[0].offset = SIZE_MAX;
	complains("outside of conf_size");
	options[0].offset = 1;
	complains("not aligned");
	options[1].offset = options[0].offset;
	complains("overlaps");
	desc.conf_size = 8;
	complains("outside of conf_size");
	desc.option_size = 8;
	complains("option_size is 8");
	desc.option_size = 0;
	complains("option_size is 0");
	desc.filter = NULL;
	desc.engine = &engine;
	engine.restore_options = options;
	complains("engine.restore_options: \"n\": its offset");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(older_plugin_with_shorter_tables_loads),
		T(newer_plugin_with_longer_tables_loads),
		T(library_without_the_symbol_is_refused),
		T(other_major_version_is_named),
		T(missing_library_is_named_with_what_to_do),
		T(undefined_function_is_named),
		T(what_is_not_a_library_is_refused),
		T(failing_load_is_reported),
		T(file_with_another_name_is_refused),
		T(world_writable_file_is_refused),
		T(world_writable_folder_is_refused_unless_sticky),
		T(link_to_a_file_in_a_world_writable_folder_is_refused),
		T(file_of_another_user_is_refused),
		T(name_taken_twice_names_both_files),
		T(same_file_in_two_folders_is_one_plugin),
		T(unknown_name_lists_what_is_there_and_the_nearest),
		T(kind_that_it_is_not_is_refused),
		T(environment_adds_folders),
		T(given_folder_that_is_not_there_is_an_error),
		T(each_gives_every_file_or_why_not),
		T(threads_get_one_and_the_same_plugin),
		T(lint_finds_faults_of_the_head),
		T(lint_finds_missing_functions),
		T(lint_finds_faults_of_options),
	};

	return skipped_exit(
	    cmocka_run_group_tests_name("loader", tests, NULL, NULL));
}
