/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains of the kit restored by the postgres engine, and what came of it.  A
 * header alone: it stands on that engine, which only its tests have.  Every
 * failure is a failed cmocka assertion. */
#ifndef HF_TESTS_CHAINRUN_H
#define HF_TESTS_CHAINRUN_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/cancel.h"
#include "base/error.h"
#include "crc32c.h"
#include "digest.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "recover/inventory.h"
#include "recover/recover.h"
#include "support/chainkit.h"
#include "support/memout.h"

#define BLOCK CHAINKIT_BLOCK
#define SEGMENT CHAINKIT_SEGMENT
#define IN_SPACE "pg_tblspc/" CHAINKIT_SPACE "/PG_17/"

static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;
static char dir[] = "/tmp/hf-chain-XXXXXX";
static char data[64], space[64];
static struct chainkit kit;

static inline void
chainrun_assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- restoring ---- */

static inline int
chainrun_links(struct hf_in *const *in, size_t n)
{
	struct hf_engine e = { .ctx = &ctx,
		.conf = { .mode = "physical", .run_as = "postgres" } };
	char map[96];
	const char *maps[] = { map, NULL };
	const struct restore_conf conf = { .inclusive = true,
		.tablespace = H->in_fact(in[n - 1],
				  BASE_FACT_TABLESPACE CHAINKIT_SPACE) == NULL
				  ? NULL
				  : maps };
	const struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_FULL,
		.max_streams = 2,
		.target = data,
		.restore_conf = &conf };

	(void)snprintf(map, sizeof map, CHAINKIT_SPACE "=%s", space);
	error_clear(&err);
	return recover_run(&e, &r, in, n, &err);
}

/* The links of the kit, in an order: "012". */
static inline int
chainrun_order(const char *order)
{
	struct hf_in *in[CHAINKIT_MAX];
	size_t n = strlen(order);

	for (size_t i = 0; i < n; i++)
		in[i] = memout_in(kit.links[order[i] - '0']);
	return chainrun_links(in, n);
}

static inline int
chainrun_restore(void)
{
	static const char all[] = "01234567";
	char order[CHAINKIT_MAX + 1];

	(void)snprintf(order, sizeof order, "%.*s", (int)kit.n, all);
	return chainrun_order(order);
}

static inline void
chainrun_must(int rc)
{
	if (rc != HF_OK)
		fail_msg(
		    "%s: %s", err.nframes > 0 ? err.frames[0] : "", err.cause);
}

static inline void
chainrun_refused(int rc, int status, const char *says)
{
	if (rc != status)
		fail_msg("%d, not %d (%s): %s", rc, status, says, err.cause);
	chainrun_assert_has(err.cause, says);
}

static inline void
chainrun_clear(void)
{
	char command[192];

	(void)snprintf(
	    command, sizeof command, "rm -rf '%s' '%s'", data, space);
	assert_int_equal(system(command), 0);
}

/* What a case that failed has left is in no other's way. */
static inline int
chainrun_anew(void **state)
{
	(void)state;
	chainkit_free(&kit);
	chainrun_clear();
	return 0;
}

static inline void
chainrun_nothing_is_left(void)
{
	/* Empty folders alone can be removed. */
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
}

/* ---- looking at it ---- */

/* A whole file, with a NUL behind it, to be freed; NULL: it is not there. */
static inline char *
chainrun_slurp(const char *name, size_t *len)
{
	char path[256], *bytes = NULL;
	struct stat st;
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", data, name);
	if ((f = fopen(path, "rb")) == NULL)
		return NULL;
	assert_int_equal(fstat(fileno(f), &st), 0);
	bytes = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(bytes);
	*len = fread(bytes, 1, (size_t)st.st_size, f);
	assert_int_equal(*len, st.st_size);
	(void)fclose(f);
	return bytes;
}

static inline bool
chainrun_has(const char *name)
{
	size_t len;
	char *bytes = chainrun_slurp(name, &len);

	free(bytes);
	return bytes != NULL;
}

/* blocks: a byte each. */
static inline void
chainrun_file_is(const char *name, uint32_t n, const unsigned char *blocks)
{
	unsigned char expected[BLOCK];
	size_t len = 0;
	char *bytes = chainrun_slurp(name, &len);

	if (bytes == NULL)
		fail_msg("%s is missing", name);
	if (len != (size_t)n * BLOCK)
		fail_msg("%s has %zu bytes, not %u blocks", name, len, n);
	for (uint32_t b = 0; b < n; b++) {
		memset(expected, blocks[b], sizeof expected);
		if (memcmp(bytes + b * BLOCK, expected, BLOCK) != 0)
			fail_msg("%s: block %u is %u, not %u", name, b,
			    (unsigned char)bytes[b * BLOCK], blocks[b]);
	}
	free(bytes);
}

static size_t nfiles;

static inline int
chainrun_count_one(const char *path, const struct stat *st, int type)
{
	(void)path;
	(void)st;
	nfiles += type == FTW_F;
	return 0;
}

static inline size_t
chainrun_count(void)
{
	nfiles = 0;
	assert_int_equal(ftw(data, chainrun_count_one, 16), 0);
	return nfiles;
}

/* Size and sum of every file that it names are those on the disk, and its own
 * sum is right. */
static inline size_t
chainrun_manifest(void)
{
	static const char mark[] = "\"Manifest-Checksum\": \"";
	size_t len = 0, n;
	char *text = chainrun_slurp("backup_manifest", &len), *at;
	struct inventory *m;
	struct digest *d = digest_new();
	char hex[DIGEST_HEX];

	assert_non_null(text);
	assert_int_equal(inventory_parse(text, len, &m, &err), HF_OK);
	n = inventory_count(m);
	for (size_t i = 0; i < n; i++) {
		const struct inventory_file *f = inventory_get(m, i);
		char *bytes = chainrun_slurp(f->path, &len);

		if (bytes == NULL)
			fail_msg("%s is in the manifest alone", f->path);
		assert_int_equal(f->size, len);
		assert_true(f->has_crc && f->crc == crc32c(0, bytes, len));
		assert_true(strlen(f->mtime) == 23);
		free(bytes);
	}
	inventory_free(m);
	at = strstr(text, mark);
	assert_non_null(at);
	digest_add(d, text, (size_t)(at - text));
	assert_int_equal(digest_end(d, hex), 0);
	assert_memory_equal(at + sizeof mark - 1, hex, DIGEST_HEX - 1);
	assert_string_equal(at + sizeof mark - 1 + DIGEST_HEX - 1, "\"}\n");
	chainrun_assert_has(
	    text, "\"System-Identifier\": " CHAINKIT_SYSTEM ",\n");
	chainrun_assert_has(
	    text, "\"PostgreSQL-Backup-Manifest-Version\": 2,\n");
	chainrun_assert_has(text, "\"End-LSN\":\"0/2000100\"");
	free(text);
	return n;
}

static inline void
chainrun_label_is_of(size_t link)
{
	char line[32];
	size_t len;
	char *text = chainrun_slurp("backup_label", &len);

	assert_non_null(text);
	(void)snprintf(line, sizeof line, "LABEL: link %zu\n", link);
	chainrun_assert_has(text, line);
	assert_null(strstr(text, "INCREMENTAL"));
	free(text);
}

/* ---- by hand ---- */

static inline void
chainrun_whole(const char *path, uint32_t n, const char *values)
{
	unsigned char bytes[SEGMENT * BLOCK] = { 0 };

	for (uint32_t b = 0; b < n; b++)
		memset(bytes + b * BLOCK, values[b], BLOCK);
	chainkit_file(&kit, path, bytes, (size_t)n * BLOCK);
}

static inline void
chainrun_increment(const char *path, uint32_t keep, uint32_t n,
    const uint32_t *numbers, const char *values)
{
	unsigned char bytes[SEGMENT * BLOCK] = { 0 };

	for (uint32_t b = 0; b < n; b++)
		memset(bytes + b * BLOCK, values[b], BLOCK);
	chainkit_increment(&kit, path, keep, n, numbers, bytes);
}

#define NUMBERS(...)        \
	(const uint32_t[])  \
	{                   \
		__VA_ARGS__ \
	}
#define BLOCKS(s) (sizeof(s) - 1), (const unsigned char *)(s)

static inline void
chainrun_wal(size_t link)
{
	char path[64];

	(void)snprintf(
	    path, sizeof path, "pg_wal/0000000100000000000000%02zX", link + 2);
	chainkit_stored(&kit, path, "wal", 3);
}

/* Of main, before and after the tests: a folder for them. */
static inline bool
chainrun_begin(void)
{
	H = &host_table;
	if (mkdtemp(dir) == NULL)
		return false;
	(void)snprintf(data, sizeof data, "%s/data", dir);
	(void)snprintf(space, sizeof space, "%s/space", dir);
	return true;
}

static inline void
chainrun_end(void)
{
	(void)rmdir(dir);
}

#endif
