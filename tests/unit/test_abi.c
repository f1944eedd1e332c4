/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin made with the header of version 1.0 works with this core, and
 * nothing that 1.0 fixed has moved. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "layout.h"
#include "plugin/filter.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "plugin/store.h"

static struct plugin *plugin;

static int
setup(void **state)
{
	struct hf_error err = { .status = HF_OK };
	char path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

	(void)state;
	if (n <= 0)
		return -1;
	path[n] = '\0';
	(void)snprintf(strrchr(path, '/'), 64, "/../test-plugins/abi-1-0.so");
	if (plugin_open_file(path, &plugin, &err) == HF_OK)
		return 0;
	(void)fprintf(stderr, "%s\n", err.cause);
	return -1;
}

static int
teardown(void **state)
{
	(void)state;
	plugin_close(plugin);
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

static void
nothing_of_1_0_has_moved(void **state)
{
	const char *parent = NULL;
	int structs = 0, fields = 0, numbers = 0;

	(void)state;
	for (const struct layout *l = layout_1_0; l->name != NULL; l++) {
		const struct layout *n;

		if (l->kind == LAYOUT_STRUCT) {
			parent = l->name;
			n = now(NULL, l);
			if (n->value < l->value)
				fail_msg("struct %s has shrunk", l->name);
			structs++;
		} else if (l->kind == LAYOUT_FIELD) {
			n = now(parent, l);
			if (n->value != l->value || n->size != l->size)
				fail_msg("%s.%s was at %lld (%zu bytes), is "
					 "at %lld (%zu)",
				    parent, l->name, l->value, l->size,
				    n->value, n->size);
			fields++;
		} else {
			n = now(NULL, l);
			if (n->value != l->value)
				fail_msg("%s was %lld, is %lld", l->name,
				    l->value, n->value);
			numbers++;
		}
	}
	assert_int_equal(structs, 11);
	assert_int_equal(fields, 116);
	assert_int_equal(numbers, 47);
	assert_string_equal(symbol_1_0, symbol_now);
}

/* A field that the table forgot would be a hole larger than padding. */
static void
table_of_1_0_knows_every_field(void **state)
{
	long long end = 0, size = 0;

	(void)state;
	for (const struct layout *l = layout_1_0; l->name != NULL; l++) {
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
	assert_int_equal(store_remove(s, "a/b", &err), HF_OK);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_1_0_has_moved),
		cmocka_unit_test(table_of_1_0_knows_every_field),
		cmocka_unit_test(store_of_1_0_works),
		cmocka_unit_test(filter_of_1_0_works),
	};

	return cmocka_run_group_tests_name("abi", tests, setup, teardown);
}
