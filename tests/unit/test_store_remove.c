/* SPDX-License-Identifier: BSD-2-Clause */
/* Many objects go at once, and so does what dead writers left. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "plugin/store.h"
#include "support/memstore.h"

static struct memstore mem;
static struct hf_error err;

static int
setup(void **state)
{
	(void)state;
	error_clear(&err);
	memstore_open(&mem, "b", false);
	for (int i = 0; i < 4; i++) {
		char key[] = "a/0";

		key[2] = (char)('0' + i);
		assert_int_equal(
		    store_put_all(mem.store, key, 0, "x", 1, &err), HF_OK);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	memstore_close(&mem);
	memstore_reset();
	return 0;
}

static const char *const keys[] = { "a/0", "a/2", "a/none" };

static void
many_keys_go_in_one_request(void **state)
{
	unsigned long before = memstore_calls("b", MEMSTORE_REMOVE);

	(void)state;
	assert_int_equal(store_remove_many(mem.store, keys, 3, &err), HF_OK);
	assert_int_equal(memstore_calls("b", MEMSTORE_REMOVE), before + 1);
	assert_int_equal(memstore_count("b"), 2);
	assert_int_equal(store_remove_many(mem.store, keys, 0, &err), HF_OK);
	assert_int_equal(memstore_calls("b", MEMSTORE_REMOVE), before + 1);
}

static void
store_without_it_removes_one_by_one(void **state)
{
	unsigned long before = memstore_calls("b", MEMSTORE_REMOVE);

	(void)state;
	memstore_close(&mem);
	memstore_open(&mem, "b", true);
	assert_int_equal(store_remove_many(mem.store, keys, 3, &err), HF_OK);
	assert_int_equal(memstore_calls("b", MEMSTORE_REMOVE), before + 3);
	assert_int_equal(memstore_count("b"), 2);
	memstore_fail("b", MEMSTORE_REMOVE, 1, 1, HF_E_DENIED);
	assert_int_equal(
	    store_remove_many(mem.store, keys, 3, &err), HF_E_DENIED);
}

static void
removing_many_is_tried_again_and_its_failure_told(void **state)
{
	(void)state;
	memstore_fail("b", MEMSTORE_REMOVE, 1, 1, HF_E_TRANSIENT);
	assert_int_equal(store_remove_many(mem.store, keys, 3, &err), HF_OK);
	assert_int_equal(memstore_count("b"), 2);
	memstore_fail("b", MEMSTORE_REMOVE, 1, 1, HF_E_DENIED);
	assert_int_equal(
	    store_remove_many(mem.store, keys, 3, &err), HF_E_DENIED);
	assert_int_equal(err.status, HF_E_DENIED);
}

static void
invalid_key_stops_it_before_anything_goes(void **state)
{
	static const char *const bad[] = { "a/0", "../x" };

	(void)state;
	assert_int_equal(
	    store_remove_many(mem.store, bad, 2, &err), HF_E_INVALID);
	assert_int_equal(memstore_count("b"), 4);
}

static int
count(void *arg, const struct hf_object *o)
{
	assert_int_equal(o->struct_size, sizeof *o);
	++*(int *)arg;
	return 0;
}

static int
stop(void *arg, const struct hf_object *o)
{
	(void)o;
	++*(int *)arg;
	return 42;
}

static void
sweep_finds_the_old_ones_below_the_prefix(void **state)
{
	int n = 0;

	(void)state;
	memstore_leave("b", "a/old", 100);
	memstore_leave("b", "a/young", 300);
	memstore_leave("b", "c/old", 100);
	assert_int_equal(
	    store_sweep(mem.store, "a/", 200, true, count, &n, &err), HF_OK);
	assert_int_equal(
	    store_sweep(mem.store, "a/", 200, true, NULL, NULL, &err), HF_OK);
	assert_int_equal(
	    store_sweep(mem.store, "a/", 200, false, count, &n, &err), HF_OK);
	assert_int_equal(n, 2);
	assert_int_equal(
	    store_sweep(mem.store, "a/", 200, true, count, &n, &err), HF_OK);
	assert_int_equal(n, 2);
	assert_int_equal(
	    store_sweep(mem.store, "", 400, true, stop, &n, &err), 42);
	assert_int_equal(n, 3);
	assert_int_equal(memstore_count("b"), 4);
	assert_int_equal(
	    store_sweep(mem.store, "../", 1, true, count, &n, &err),
	    HF_E_INVALID);
}

static void
sweep_of_a_store_that_leaves_nothing_is_ok(void **state)
{
	int n = 0;

	(void)state;
	memstore_leave("b", "a/old", 100);
	memstore_close(&mem);
	memstore_open(&mem, "b", true);
	assert_int_equal(
	    store_sweep(mem.store, "", 200, false, count, &n, &err), HF_OK);
	assert_int_equal(n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    many_keys_go_in_one_request, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    store_without_it_removes_one_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    removing_many_is_tried_again_and_its_failure_told, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    invalid_key_stops_it_before_anything_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    sweep_finds_the_old_ones_below_the_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    sweep_of_a_store_that_leaves_nothing_is_ok, setup,
		    teardown),
	};

	return cmocka_run_group_tests_name("store_remove", tests, NULL, NULL);
}
