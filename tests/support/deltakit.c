/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/deltakit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "repo/repo_private.h"

#define BLOCK 512

static struct repofix *const x = &copykit_fix;

static size_t
length(unsigned n)
{
	static const size_t lengths[] = { 40000, 41500, 38000, 43001, 43001 };

	return lengths[n % (sizeof lengths / sizeof *lengths)];
}

static uint8_t *
contents(unsigned n, size_t *len)
{
	uint8_t *data = calloc(1, 65536);
	size_t was = length(0);

	assert_non_null(data);
	for (size_t i = 0; i < was; i++)
		data[i] = (uint8_t)('a' + (i * 7 + i / BLOCK) % 23);
	for (unsigned k = 1; k <= n; k++) {
		*len = length(k);
		if (*len < was)
			memset(data + *len, 0, was - *len);
		was = *len;
		memset(data + (6 + k % 60) * BLOCK, 'A' + (int)k % 26, BLOCK);
		/* The same one each time: an order that is wrong shows. */
		memset(data + 5 * BLOCK, 'A' + (int)k % 26, BLOCK);
	}
	*len = length(n);
	return data;
}

void
deltakit_write(unsigned n)
{
	size_t len;
	uint8_t *data = contents(n, &len);
	struct hf_error err = { 0 };

	copykit_must(
	    file_write(repofix_path(x, "home"), data, len, &err), &err);
	free(data);
}

bool
deltakit_is(const char *path, unsigned n)
{
	struct buf have = BUF_INIT;
	size_t len;
	uint8_t *want = contents(n, &len);
	bool is = file_read(path, 1 << 20, &have, NULL) == HF_OK &&
		  have.len == len && memcmp(have.data, want, len) == 0;

	buf_free(&have);
	free(want);
	return is;
}

void
deltakit_backup(enum repo_backup_kind kind, struct repo_backup_result *res)
{
	struct hf_error err = { 0 };

	copykit_must(repo_backup(x->repo, kind, res, &err), &err);
	assert_true(res->published);
	assert_false(res->partial);
}

void
deltakit_chain(size_t n, char (*ids)[40])
{
	struct repo_backup_result res;

	for (size_t i = 0; i < n; i++) {
		deltakit_write((unsigned)i);
		deltakit_backup(REPO_BACKUP_CONFIGURED, &res);
		assert_string_equal(res.parent, i == 0 ? "" : ids[i - 1]);
		memcpy(ids[i], res.id, sizeof res.id);
		repo_backup_result_clear(&res);
	}
}

int
deltakit_restore(const char *id, const char *sink,
    struct repo_restore_result *res, struct hf_error *err)
{
	struct repo_restore_options opts = { .sink = sink,
		.target = repofix_path(x, "out") };
	struct repo_backup_entry e;
	int rc;

	error_clear(err);
	(void)unlink(opts.target);
	copykit_must(catalog_entry(x->repo, id, &e, err), err);
	rc = repo_restore(x->repo, &e, &opts, res, err);
	assert_int_equal(rc, err->status);
	catalog_entry_clear(&e, repo_sinks(x->repo));
	return rc;
}

void
deltakit_restores(const char *id, const char *sink, unsigned n)
{
	struct repo_restore_result res;
	struct hf_error err = { 0 };

	copykit_must(deltakit_restore(id, sink, &res, &err), &err);
	repo_restore_result_clear(&res);
	assert_true(deltakit_is(repofix_path(x, "out"), n));
}

const char *
deltakit_object(const char *sink, const char *id, const char *name)
{
	char sub[128];
	const char *path;

	(void)snprintf(sub, sizeof sub, "%s/shop/data/%s", sink, id);
	path = repofix_find(x, sub, name);
	assert_non_null(path);
	return path;
}

void
deltakit_lose(const char *sink, const char *id)
{
	const char *path = repofix_path(x, "%s/shop/catalog/%s.json", sink, id);

	assert_int_equal(unlink(path), 0);
}

static void
set_started(json_t *doc, const char *days)
{
	int64_t ms = text_now() - strtoll(days, NULL, 10) * 86400000;

	(void)json_object_set_new(doc, "started", json_string(repo_time(ms).s));
}

void
deltakit_age(size_t sink, const char *id, const char *days)
{
	copykit_edit_manifest(sink, id, set_started, days);
}
