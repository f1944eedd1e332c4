/* SPDX-License-Identifier: BSD-2-Clause */
/* Plugins made with the headers of older versions work with this core, and
 * nothing that those fixed has moved. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "layout.h"
#include "plugin/engine.h"
#include "plugin/filter.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "plugin/store.h"
#include "support/memlog.h"

static struct plugin *plugin, *engine_plugin_1_1, *engine_plugin_1_2;

static int
load(const char *name, struct plugin **p)
{
	struct hf_error err = { .status = HF_OK };
	char path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

	if (n <= 0)
		return -1;
	path[n] = '\0';
	(void)snprintf(strrchr(path, '/'), 64, "/../test-plugins/%s.so", name);
	if (plugin_open_file(path, p, &err) == HF_OK)
		return 0;
	(void)fprintf(stderr, "%s\n", err.cause);
	return -1;
}

static int
setup(void **state)
{
	(void)state;
	return load("abi-1-0", &plugin) != 0 ||
		       load("abi-1-1", &engine_plugin_1_1) != 0 ||
		       load("abi-1-2", &engine_plugin_1_2) != 0
		   ? -1
		   : 0;
}

static int
teardown(void **state)
{
	(void)state;
	plugin_close(plugin);
	plugin_close(engine_plugin_1_1);
	plugin_close(engine_plugin_1_2);
	return 0;
}

/* The entry of that name; fields are looked for behind their struct. */
static const struct layout *
now(const char *parent, const struct layout *l)
{
	bool inside = parent == NULL;

	for (const struct layout *n = layout_now; n->name != NULL; n++) {
		if (n->kind == LAYOUT_STRUCT && parent != NULL)
			inside = strcmp(n->name, parent) == 0;
		if (inside && n->kind == l->kind &&
		    strcmp(n->name, l->name) == 0)
			return n;
	}
	fail_msg("%s is gone", l->name);
	return NULL;
}

struct counts {
	int structs, fields, numbers;
};

static struct counts
nothing_has_moved(const struct layout *l)
{
	const char *parent = NULL;
	struct counts c = { 0 };

	for (; l->name != NULL; l++) {
		const struct layout *n;

		if (l->kind == LAYOUT_STRUCT) {
			parent = l->name;
			n = now(NULL, l);
			if (n->value < l->value)
				fail_msg("struct %s has shrunk", l->name);
			c.structs++;
		} else if (l->kind == LAYOUT_FIELD) {
			n = now(parent, l);
			if (n->value != l->value || n->size != l->size)
				fail_msg("%s.%s was at %lld (%zu bytes), is "
					 "at %lld (%zu)",
				    parent, l->name, l->value, l->size,
				    n->value, n->size);
			c.fields++;
		} else {
			n = now(NULL, l);
			if (n->value != l->value)
				fail_msg("%s was %lld, is %lld", l->name,
				    l->value, n->value);
			c.numbers++;
		}
	}
	return c;
}

static void
nothing_of_1_0_has_moved(void **state)
{
	struct counts c = nothing_has_moved(layout_1_0);

	(void)state;
	assert_int_equal(c.structs, 11);
	assert_int_equal(c.fields, 116);
	assert_int_equal(c.numbers, 47);
	assert_string_equal(symbol_1_0, symbol_now);
}

static void
nothing_of_1_1_has_moved(void **state)
{
	struct counts c = nothing_has_moved(layout_1_1);

	(void)state;
	assert_int_equal(c.structs, 11);
	assert_int_equal(c.fields, 121);
	assert_int_equal(c.numbers, 48);
	assert_string_equal(symbol_1_1, symbol_now);
}

static void
nothing_of_1_2_has_moved(void **state)
{
	struct counts c = nothing_has_moved(layout_1_2);

	(void)state;
	assert_int_equal(c.structs, 12);
	assert_int_equal(c.fields, 145);
	assert_int_equal(c.numbers, 50);
	assert_string_equal(symbol_1_2, symbol_now);
}

/* A field that the table forgot would be a hole larger than padding. */
static void
knows_every_field(const struct layout *l)
{
	long long end = 0, size = 0;

	for (; l->name != NULL; l++) {
		if (l->kind == LAYOUT_FIELD) {
			assert_true(l->value >= end);
			assert_true(l->value - end < 8);
			end = l->value + (long long)l->size;
			continue;
		}
		assert_true(size - end < 8);
		end = 0;
		size = l->kind == LAYOUT_STRUCT ? l->value : 0;
	}
}

static void
tables_know_every_field(void **state)
{
	(void)state;
	knows_every_field(layout_1_0);
	knows_every_field(layout_1_1);
	knows_every_field(layout_1_2);
	knows_every_field(layout_now);
}

static int
count(void *arg, const struct hf_object *o)
{
	assert_int_equal(o->struct_size, sizeof *o);
	assert_int_equal(o->size, 5);
	++*(int *)arg;
	return 0;
}

static int
finding(void *arg, const struct hf_finding *f)
{
	assert_int_equal(f->verdict, HF_PASS);
	assert_string_equal(f->check, "memory");
	(void)snprintf(arg, 32, "%s", f->result);
	return HF_OK;
}

static struct options *
parse(const char *const *args)
{
	struct options_input in = { .table = plugin->desc.options,
		.stride = plugin->desc.option_size,
		.conf_size = plugin->desc.conf_size,
		.resolve = true };
	struct hf_error err = { .status = HF_OK };
	struct options *o = NULL;
	json_t *object;

	assert_int_equal(options_from_args(args, &object, &err), HF_OK);
	in.object = object;
	if (options_parse(&in, &o, NULL, NULL, &err) != HF_OK)
		fail_msg("%s", err.cause);
	json_decref(object);
	return o;
}

static void
store_of_1_0_works(void **state)
{
	static const char *const args[] = { "limit=8B", "label.text=old",
		NULL };
	static const char *const both[] = { "a/b", "never/there" };
	struct hf_error err = { .status = HF_OK };
	struct hf_object o;
	struct store_keys keys;
	struct buf b = BUF_INIT;
	struct store *s;
	char label[32];
	int64_t clock;
	int n = 0;

	(void)state;
	assert_int_equal(
	    store_open(plugin, NULL, parse(args), &s, &err), HF_OK);
	assert_int_equal(store_check(s, finding, label, &err), HF_OK);
	assert_string_equal(label, "old");
	assert_int_equal(store_clock(s, &clock, &err), HF_OK);
	assert_true(clock > 0);
	assert_int_equal(
	    store_put_all(s, "a/b", HF_PUT_IF_ABSENT, "12345", 5, &err), HF_OK);
	assert_int_equal(
	    store_put_all(s, "a/b", HF_PUT_IF_ABSENT, "12345", 5, &err),
	    HF_E_EXISTS);
	assert_int_equal(
	    store_put_all(s, "big", 0, "123456789", 9, &err), HF_E_NOSPACE);
	assert_string_equal(error_get(&err, "hint"), "Raise the option limit.");
	assert_int_equal(store_stat(s, "a/b", &o, &err), HF_OK);
	assert_int_equal(o.size, 5);
	assert_int_equal(store_get_all(s, "a/b", 5, &b, &err), HF_OK);
	assert_string_equal((char *)b.data, "12345");
	assert_int_equal(store_list(s, "a/", count, &n, &err), HF_OK);
	assert_int_equal(n, 1);
	assert_int_equal(store_list_all(s, "", &keys, &err), HF_OK);
	assert_int_equal(keys.n, 1);
	assert_string_equal(keys.keys[0].key, "a/b");
	store_keys_free(&keys);
	assert_int_equal(store_sweep(s, "", 1, false, NULL, NULL, &err), HF_OK);
	assert_int_equal(store_remove_many(s, both, 2, &err), HF_OK);
	assert_int_equal(store_stat(s, "a/b", &o, &err), HF_E_NOTFOUND);
	buf_free(&b);
	store_close(s);
}

static void
filter_of_1_0_works(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct buf b = BUF_INIT;
	struct filter *f;
	struct xform *x;

	(void)state;
	assert_int_equal(
	    filter_open(plugin, "same", NULL, NULL, &f, &err), HF_OK);
	assert_string_equal(filter_suffix(f), ".same");
	assert_string_equal(filter_type(f), "abi-1-0");
	assert_false(filter_frames(f));
	assert_false(filter_parallel(f));
	for (int decode = 0; decode < 2; decode++) {
		b.len = 0;
		assert_int_equal(
		    xform_begin(f, decode != 0, "o", &x, &err), HF_OK);
		assert_int_equal(
		    xform_push(x, "hello ", 6, false, &b, &err), HF_OK);
		assert_int_equal(
		    xform_push(x, "world", 5, false, &b, &err), HF_OK);
		assert_int_equal(xform_push(x, NULL, 0, true, &b, &err), HF_OK);
		assert_int_equal(b.len, 11);
		assert_memory_equal(b.data, "hello world", 11);
		xform_end(x);
	}
	buf_free(&b);
	filter_close(f);
}

/* Its table ends before the functions of a log. */
static void
engine_of_1_1_works_and_keeps_no_log(void **state)
{
	struct hf_request r = { .struct_size = sizeof r, .kind = HF_KIND_FULL };
	struct hf_error err = { .status = HF_OK };
	struct memout *m = memout_new();
	struct hf_in *in = memout_in(m);
	struct engine *e;

	(void)state;
	assert_int_equal(
	    engine_open(engine_plugin_1_1, NULL, NULL, &e, &err), HF_OK);
	assert_int_equal(
	    engine_plugin_1_1->desc.engine->flags, HF_ENGINE_SERVER);
	assert_string_equal(
	    engine_plugin_1_1->desc.engine->by_hand, "psql -d NEW");
	assert_int_equal(engine_backup(e, &r, memout_out(m), &err), HF_OK);
	assert_int_equal(engine_restore(e, &r, &in, 1, &err), HF_OK);
	assert_int_equal(engine_log_kinds(e), 0);
	assert_int_equal(
	    engine_log_push(e, "f", memout_out(m), in, &err), HF_E_UNSUPPORTED);
	assert_int_equal(
	    engine_log_get(e, "n", "f", in, &err), HF_E_UNSUPPORTED);
	assert_int_equal(engine_log_ahead(e, "n", in, &err), HF_E_UNSUPPORTED);
	assert_int_equal(engine_log_behind(e, "f", memout_out(m), in, &err),
	    HF_E_UNSUPPORTED);
	assert_int_equal(engine_log_reach(e, &r, in, &err), HF_E_UNSUPPORTED);
	assert_int_equal(engine_log_spans(e, in, &in, 1, NULL, NULL, &err),
	    HF_E_UNSUPPORTED);
	assert_int_equal(engine_log_verify(e, in, &in, 1, NULL, NULL, &err),
	    HF_E_UNSUPPORTED);
	assert_int_equal(engine_log_surplus(e, in, &in, 1, 1, NULL, NULL, &err),
	    HF_E_UNSUPPORTED);
	engine_close(e);
	memout_free(m);
}

static void
log_of_1_2_works(void **state)
{
	char dir[] = "/tmp/hf-abi-XXXXXX", file[64], copy[64], line[32];
	struct hf_error err = { .status = HF_OK };
	struct memout *m = memlog_new(), *backup = memout_new();
	struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_FULL,
		.log = memout_in(m),
		.log_command = "get" };
	struct engine *e;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(file, sizeof file, "%s/0001", dir);
	(void)snprintf(copy, sizeof copy, "%s/copy", dir);
	assert_non_null(f = fopen(file, "w"));
	(void)fputs("committed", f);
	assert_int_equal(fclose(f), 0);

	assert_int_equal(
	    engine_open(engine_plugin_1_2, NULL, NULL, &e, &err), HF_OK);
	assert_int_equal(engine_log_kinds(e), HF_LOG_PUSH);
	assert_int_equal(engine_backup(e, &r, memout_out(backup), &err), HF_OK);
	assert_int_equal(
	    engine_log_push(e, file, memout_out(m), memout_in(m), &err), HF_OK);
	assert_true(memlog_has(m, "0001"));
	assert_int_equal(
	    engine_log_get(e, "0001", copy, memout_in(m), &err), HF_OK);
	assert_non_null(f = fopen(copy, "r"));
	assert_non_null(fgets(line, sizeof line, f));
	(void)fclose(f);
	assert_string_equal(line, "committed");
	assert_int_equal(
	    engine_log_get(e, "0002", copy, memout_in(m), &err), HF_E_NOTFOUND);
	assert_int_equal(
	    engine_log_behind(e, file, memout_out(m), memout_in(m), &err),
	    HF_E_UNSUPPORTED);
	engine_close(e);
	memout_free(m);
	memout_free(backup);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_1_0_has_moved),
		cmocka_unit_test(nothing_of_1_1_has_moved),
		cmocka_unit_test(nothing_of_1_2_has_moved),
		cmocka_unit_test(tables_know_every_field),
		cmocka_unit_test(store_of_1_0_works),
		cmocka_unit_test(filter_of_1_0_works),
		cmocka_unit_test(engine_of_1_1_works_and_keeps_no_log),
		cmocka_unit_test(log_of_1_2_works),
	};

	return cmocka_run_group_tests_name("abi", tests, setup, teardown);
}
