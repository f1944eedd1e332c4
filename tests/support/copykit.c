/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/copykit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "repo/doc.h"
#include "repo/repo_private.h"

struct repofix copykit_fix;

struct repo_copied copykit_told[64];
size_t copykit_ntold;

int
copykit_setup(void **state)
{
	(void)state;
	repofix_begin(&copykit_fix);
	return 0;
}

int
copykit_teardown(void **state)
{
	(void)state;
	repofix_end(&copykit_fix);
	return 0;
}

void
copykit_must(int rc, const struct hf_error *err)
{
	if (rc == HF_OK)
		return;
	error_render(err, NULL, stderr);
	fail_msg("status %d", rc);
}

static void
on_told(void *arg, const struct repo_copied *c)
{
	(void)arg;
	assert_true(copykit_ntold < sizeof copykit_told / sizeof *copykit_told);
	copykit_told[copykit_ntold++] = *c;
}

int
copykit_copy_with(struct repo_copy_request *q, struct repo_copy_result *res,
    struct hf_error *err)
{
	int rc;

	error_clear(err);
	copykit_ntold = 0;
	q->from = q->from == NULL ? "a" : q->from;
	q->to = q->to == NULL ? "b" : q->to;
	q->told = on_told;
	rc = repo_copy(copykit_fix.repo, q, res, err);
	assert_int_equal(rc, err->status);
	return rc;
}

int
copykit_copy(struct hf_error *err)
{
	struct repo_copy_request q = { .from = "a" };
	struct repo_copy_result res;

	return copykit_copy_with(&q, &res, err);
}

int
copykit_copy_id(const char *id, struct hf_error *err)
{
	struct repo_copy_request q = { .ids = &id, .nids = 1 };
	struct repo_copy_result res;

	return copykit_copy_with(&q, &res, err);
}

void
copykit_state_of(const char *id, size_t sink, enum repo_copy_state state)
{
	struct repo_backup_entry e;
	struct hf_error err = { 0 };

	copykit_must(catalog_entry(copykit_fix.repo, id, &e, &err), &err);
	assert_int_equal(e.copies[sink].state, state);
	catalog_entry_clear(&e, repo_sinks(copykit_fix.repo));
}

size_t
copykit_all_whole(const char *sink)
{
	struct repo_verify_result v;
	struct repo_catalog c;
	struct hf_error err = { 0 };
	size_t at = strcmp(sink, "a") == 0 ? 0 : 1, n = 0;

	copykit_must(repo_list(copykit_fix.repo, &c, &err), &err);
	assert_int_equal(c.sink_errors[at].status, HF_OK);
	for (size_t i = 0; i < c.n; i++) {
		if (c.entries[i].copies[at].state == REPO_COPY_ABSENT)
			continue;
		assert_int_equal(
		    c.entries[i].copies[at].state, REPO_COPY_PRESENT);
		copykit_must(repo_verify(copykit_fix.repo, &c.entries[i], sink,
				 false, &v, &err),
		    &err);
		repo_verify_result_clear(&v);
		n++;
	}
	repo_catalog_clear(&c);
	return n;
}

void
copykit_restore(const char *id, const char *sink, const char *target)
{
	struct repo_restore_options opts = { .target = target, .sink = sink };
	struct repo_restore_result res;
	struct repo_backup_entry e;
	struct hf_error err = { 0 };

	copykit_must(catalog_entry(copykit_fix.repo, id, &e, &err), &err);
	copykit_must(
	    repo_restore(copykit_fix.repo, &e, &opts, &res, &err), &err);
	assert_string_equal(res.sink, sink);
	repo_restore_result_clear(&res);
	catalog_entry_clear(&e, repo_sinks(copykit_fix.repo));
}

void
copykit_backup_without_b(const char *pipeline, char id[40])
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	const char *b = repofix_path(&copykit_fix, "b"),
		   *away = repofix_path(&copykit_fix, "b.away");
	bool had = repofix_exists(b);

	if (had)
		assert_int_equal(rename(b, away), 0);
	copykit_must(file_write(b, "x", 1, &err), &err);
	repofix_open(&copykit_fix, COPYKIT_SINKS, pipeline);
	copykit_must(
	    repo_backup(copykit_fix.repo, REPO_BACKUP_CONFIGURED, &res, &err),
	    &err);
	assert_true(res.published && res.sinks[0].ok && !res.sinks[1].ok);
	memcpy(id, res.id, 40);
	repo_backup_result_clear(&res);
	assert_int_equal(unlink(b), 0);
	if (had)
		assert_int_equal(rename(away, b), 0);
	repofix_open(&copykit_fix, COPYKIT_SINKS, pipeline);
}

void
copykit_edit_manifest(size_t sink, const char *id,
    void (*edit)(json_t *, const char *), const char *arg)
{
	struct hf_error err = { 0 };
	char *key = manifest_key("shop", id);
	json_t *doc = NULL;

	copykit_must(open_sink(copykit_fix.repo, sink, &err), &err);
	copykit_must(
	    doc_get(copykit_fix.repo->sinks[sink].store, key, &doc, &err),
	    &err);
	(void)json_object_del(doc, "sha256");
	edit(doc, arg);
	copykit_must(
	    doc_put(copykit_fix.repo->sinks[sink].store, key, 0, doc, &err),
	    &err);
	json_decref(doc);
	free(key);
}

void
copykit_set_parent(json_t *doc, const char *parent)
{
	json_t *source = json_array_get(json_object_get(doc, "sources"), 0);

	(void)json_object_set_new(doc, "parent", json_string(parent));
	(void)json_object_set_new(doc, "kind", json_string("incremental"));
	(void)json_object_set_new(source, "kind", json_string("incremental"));
	(void)json_object_set_new(
	    doc, "features", json_pack("[s]", "incremental"));
}

void
copykit_flip_middle(const char *path)
{
	repofix_flip(path, repofix_size(path) / 2, 2);
}
