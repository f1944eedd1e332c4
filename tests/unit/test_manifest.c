/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "repo/manifest.h"

#define ID "20261121T021500Z-7f3a91c2"
#define PREFIX "shop/data/" ID "/"
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* As another program might write it. */
static const char sample[] =
    "{\"format\":1,\"features\":[],\"id\":\"" ID "\",\"pipeline\":\"shop\","
    "\"kind\":\"full\",\"started\":\"2026-11-21T02:15:00.250Z\","
    "\"ended\":\"2026-11-21T02:16:00Z\",\"host\":\"db1\","
    "\"program\":{\"name\":\"holdfast\",\"version\":\"0.1.0\"},"
    "\"labels\":{\"app\":\"7\"},\"sinks\":[\"nas\",\"offsite\"],"
    "\"sources\":[{\"name\":\"main\",\"engine\":\"sqlite\","
    "\"engine_version\":\"1\",\"prefix\":\"main/\","
    "\"facts\":{\"page_size\":\"4096\",\"user_version\":\"3\"},"
    "\"objects\":[{\"name\":\"gr\\u00f6\\u00dfe.db\",\"key\":\"" PREFIX
    "main/app.db.gz\",\"raw_size\":3000000,\"raw_sha256\":\"" HASH "\","
    "\"stored_size\":1000000,\"stored_sha256\":\"" HASH "\","
    "\"filters\":[{\"name\":\"gz\",\"type\":\"gzip\"}],"
    "\"frame_size\":1048576,\"index\":{\"key\":\"" PREFIX
    "main/app.db.gz.frames\",\"size\":12,\"sha256\":\"" HASH "\"}},"
    "{\"name\":\"b\",\"key\":\"" PREFIX "main/b\",\"raw_size\":5,"
    "\"raw_sha256\":\"" HASH "\",\"stored_size\":5,\"stored_sha256\":\"" HASH
    "\",\"filters\":[],\"frame_size\":0}]}],"
    "\"checks\":[{\"check\":\"stored\",\"verdict\":\"pass\","
    "\"result\":\"ok\"}],\"something_new\":true}";

static json_t *
parse(void)
{
	json_t *json = json_loads(sample, 0, NULL);

	assert_non_null(json);
	return json;
}

static json_t *
object(json_t *json, size_t n)
{
	return json_array_get(
	    json_object_get(
		json_array_get(json_object_get(json, "sources"), 0), "objects"),
	    n);
}

static int
status_of(const json_t *json)
{
	struct manifest *m = NULL;
	struct hf_error err = { 0 };
	int rc = manifest_from_json(json, &m, &err);

	assert_int_equal(rc, err.status);
	manifest_free(m);
	return rc;
}

static void
what_is_written_reads_the_same(void **state)
{
	struct manifest *m = NULL, *again = NULL;
	json_t *json = parse(), *out = NULL, *twice = NULL;

	(void)state;
	assert_int_equal(manifest_from_json(json, &m, NULL), HF_OK);
	assert_string_equal(m->id, ID);
	assert_int_equal(m->started_ms, 1795227300250);
	assert_int_equal(m->ended_ms, 1795227360000);
	assert_string_equal(m->sources[0].facts[0], "page_size");
	assert_string_equal(m->sources[0].facts[3], "3");
	assert_null(m->sources[0].facts[4]);
	assert_string_equal(m->sources[0].objects[0].name, "gr\xc3\xb6\xc3\x9f"
							   "e.db");
	assert_int_equal(m->sources[0].objects[0].index_size, 12);
	assert_null(m->sources[0].objects[1].index_key);
	assert_int_equal(manifest_raw_size(m), 3000005);
	assert_int_equal(manifest_stored_size(m), 1000005);
	assert_int_equal(manifest_to_json(m, &out, NULL), HF_OK);
	assert_int_equal(manifest_from_json(out, &again, NULL), HF_OK);
	assert_int_equal(manifest_to_json(again, &twice, NULL), HF_OK);
	assert_true(json_equal(out, twice));
	/* Member by member, all that was read was written. */
	assert_int_equal(json_object_del(json, "something_new"), 0);
	json_object_set_new(
	    json, "ended", json_string("2026-11-21T02:16:00.000Z"));
	assert_true(json_equal(json, out));
	manifest_free(m);
	manifest_free(again);
	json_decref(json);
	json_decref(out);
	json_decref(twice);
}

static void
newer_formats_and_unknown_features_are_refused(void **state)
{
	json_t *json = parse();

	(void)state;
	json_object_set_new(json, "format", json_integer(2));
	assert_int_equal(status_of(json), HF_E_UNSUPPORTED);
	json_object_set_new(json, "format", json_integer(1));
	json_object_set_new(json, "features", json_pack("[s]", "zpatch"));
	assert_int_equal(status_of(json), HF_E_UNSUPPORTED);
	json_object_set_new(
	    json, "features", json_pack("[s,s]", "incremental", "zpatch"));
	assert_int_equal(status_of(json), HF_E_UNSUPPORTED);
	json_object_set_new(json, "features", json_pack("[i]", 1));
	assert_int_equal(status_of(json), HF_E_UNSUPPORTED);
	json_object_set_new(json, "format", json_string("1"));
	assert_int_equal(status_of(json), HF_E_CORRUPT);
	json_decref(json);
}

#define OLDER "20261121T021459Z-ffffffff"

static void
set(json_t *object, const char *name, const char *value)
{
	if (value == NULL)
		(void)json_object_del(object, name);
	else
		(void)json_object_set_new(object, name, json_string(value));
}

/* Without its parent, or with one too many, something else would be restored
 * than was backed up. */
static void
kind_and_parent_must_agree(void **state)
{
	static const struct {
		const char *kind, *parent, *source;
		int status;
	} cases[] = {
		{ "incremental", OLDER, "incremental", HF_OK },
		{ "full", NULL, NULL, HF_OK },
		{ "incremental", NULL, "incremental", HF_E_CORRUPT },
		{ "incremental", OLDER, NULL, HF_E_CORRUPT },
		{ "full", OLDER, NULL, HF_E_CORRUPT },
		{ "full", NULL, "incremental", HF_E_CORRUPT },
		{ "full", OLDER, "incremental", HF_E_CORRUPT },
		{ "incremental", OLDER, "full", HF_E_CORRUPT },
		{ "partial", NULL, NULL, HF_E_CORRUPT },
		/* A ring needs a parent that is not older. */
		{ "incremental", ID, "incremental", HF_E_CORRUPT },
		{ "incremental", "20261121T021501Z-00000000", "incremental",
		    HF_E_CORRUPT },
		{ "incremental", "../x", "incremental", HF_E_CORRUPT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *json = parse(), *out = NULL;
		struct manifest *m = NULL;
		struct hf_error err = { 0 };

		set(json, "kind", cases[i].kind);
		set(json, "parent", cases[i].parent);
		set(json_array_get(json_object_get(json, "sources"), 0), "kind",
		    cases[i].source);
		assert_int_equal(
		    manifest_from_json(json, &m, &err), cases[i].status);
		if (m != NULL) {
			assert_int_equal(
			    manifest_to_json(m, &out, NULL), HF_OK);
			/* Who does not know what it means must not guess. */
			assert_int_equal(
			    json_array_size(json_object_get(out, "features")),
			    cases[i].parent == NULL ? 0 : 1);
			assert_int_equal(status_of(out), HF_OK);
		}
		manifest_free(m);
		json_decref(out);
		json_decref(json);
	}
}

static void
keys_outside_the_backup_are_refused(void **state)
{
	static const char *const bad[] = { "", "app.db", "/etc/passwd",
		"shop/data/20261121T021500Z-00000000/app.db",
		"other/data/" ID "/app.db", PREFIX, PREFIX "../../x",
		PREFIX "SHA256SUMS", PREFIX "a//b", PREFIX ".hidden",
		PREFIX "a b", "shop/catalog/" ID ".json" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		json_t *json = parse();

		json_object_set_new(
		    object(json, 0), "key", json_string(bad[i]));
		assert_int_equal(status_of(json), HF_E_CORRUPT);
		json_decref(json);
		json = parse();
		json_object_set_new(json_object_get(object(json, 0), "index"),
		    "key", json_string(bad[i]));
		assert_int_equal(status_of(json), HF_E_CORRUPT);
		json_decref(json);
	}
}

static void
one_key_for_two_objects_is_refused(void **state)
{
	json_t *json = parse();

	(void)state;
	json_object_set_new(object(json, 1), "key",
	    json_string(PREFIX "main/app.db.gz.frames"));
	assert_int_equal(status_of(json), HF_E_CORRUPT);
	json_decref(json);
}

static void
sizes_and_hashes_that_cannot_be_are_refused(void **state)
{
	static const char *const hashes[] = { "", "abc",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
		"abcdeF",
		HASH "0" };
	static const char *const sizes[] = { "raw_size", "stored_size",
		"frame_size" };
	json_t *json;

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
		json = parse();
		json_object_set_new(
		    object(json, 0), "raw_sha256", json_string(hashes[i]));
		assert_int_equal(status_of(json), HF_E_CORRUPT);
		json_decref(json);
	}
	for (size_t i = 0; i < 3; i++) {
		json = parse();
		json_object_set_new(
		    object(json, 0), sizes[i], json_integer(-1));
		assert_int_equal(status_of(json), HF_E_CORRUPT);
		json_object_set_new(
		    object(json, 0), sizes[i], json_integer(INT64_MAX));
		assert_int_equal(status_of(json), HF_E_CORRUPT);
		json_object_del(object(json, 0), sizes[i]);
		assert_int_equal(status_of(json), HF_E_CORRUPT);
		json_decref(json);
	}
	json = parse();
	for (size_t i = 0; i < 2; i++)
		json_object_set_new(
		    object(json, i), "raw_size", json_integer(INT64_MAX / 4));
	json_object_set_new(
	    object(json, 0), "stored_size", json_integer(INT64_MAX / 4));
	assert_int_equal(status_of(json), HF_E_CORRUPT);
	json_decref(json);
}

static void
missing_members_are_refused(void **state)
{
	static const char *const needed[] = { "format", "id", "pipeline",
		"kind", "started", "ended", "sources" };

	(void)state;
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		json_t *json = parse();

		json_object_del(json, needed[i]);
		assert_int_equal(status_of(json), HF_E_CORRUPT);
		json_decref(json);
	}
}

static void
ids_sort_by_time_and_tell_it(void **state)
{
	static const char *const bad[] = { "", "latest", ID "0",
		"20261121T021500Z-7f3a91c", "20261121T021500Z-7F3A91C2",
		"20261121t021500Z-7f3a91c2", "20261321T021500Z-7f3a91c2",
		"2026112 T021500Z-7f3a91c2", "20261121T021500Z/7f3a91c2",
		"../../../../etc/passwd1234" };
	char a[32], b[32];

	(void)state;
	manifest_new_id(1795227300999, a);
	manifest_new_id(1795227300999, b);
	assert_true(manifest_valid_id(a));
	assert_string_not_equal(a, b);
	assert_int_equal(strncmp(a, "20261121T021500Z-", 17), 0);
	assert_int_equal(manifest_id_time(a), 1795227300000);
	manifest_new_id(1795227301000, b);
	assert_true(strcmp(a, b) < 0);
	/* In one second too: what builds on another sorts behind it. */
	manifest_new_id(1795227301001, a);
	assert_true(strcmp(b, a) < 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(manifest_valid_id(bad[i]));
		assert_int_equal(manifest_id_time(bad[i]), -1);
	}
}

static void
keys_are_where_the_format_says(void **state)
{
	char *key = manifest_key("shop", ID);
	char *prefix = manifest_data_prefix("my shop", ID);

	(void)state;
	assert_string_equal(key, "shop/catalog/" ID ".json");
	assert_string_equal(prefix, "my=20shop/data/" ID "/");
	free(key);
	free(prefix);
}

static void
facts_that_are_not_text_are_made_text(void **state)
{
	json_t *json = parse(), *out = NULL;
	struct manifest *m = NULL;
	const json_t *facts;

	(void)state;
	assert_int_equal(manifest_from_json(json, &m, NULL), HF_OK);
	free(m->sources[0].facts[1]);
	m->sources[0].facts[1] = strdup("a\xff\xc3\xa9\xed\xa0\x80z");
	assert_int_equal(manifest_to_json(m, &out, NULL), HF_OK);
	facts = json_object_get(
	    json_array_get(json_object_get(out, "sources"), 0), "facts");
	assert_string_equal(
	    json_string_value(json_object_get(facts, "page_size")),
	    "a?\xc3\xa9???z");
	/* A name is another matter: it has to come back as it was. */
	json_decref(out);
	free(m->sources[0].objects[0].name);
	m->sources[0].objects[0].name = strdup("a\xff");
	assert_int_equal(manifest_to_json(m, &out, NULL), HF_E_INVALID);
	manifest_free(m);
	json_decref(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_reads_the_same),
		cmocka_unit_test(kind_and_parent_must_agree),
		cmocka_unit_test(
		    newer_formats_and_unknown_features_are_refused),
		cmocka_unit_test(keys_outside_the_backup_are_refused),
		cmocka_unit_test(one_key_for_two_objects_is_refused),
		cmocka_unit_test(sizes_and_hashes_that_cannot_be_are_refused),
		cmocka_unit_test(missing_members_are_refused),
		cmocka_unit_test(ids_sort_by_time_and_tell_it),
		cmocka_unit_test(keys_are_where_the_format_says),
		cmocka_unit_test(facts_that_are_not_text_are_made_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
