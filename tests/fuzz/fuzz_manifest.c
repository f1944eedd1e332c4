/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a document of a repository, and as a manifest: reading must
 * answer, and a manifest that was taken is written and read back the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/key.h"
#include "repo/doc.h"
#include "repo/manifest.h"
#include "repo/owner.h"
#include "repo/repo_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "fuzz_manifest: %s\n", what);
	abort();
}

static void
must(int rc, const struct hf_error *err, const char *what)
{
	if (rc == HF_OK)
		return;
	error_render(err, NULL, stderr);
	die(what);
}

/* Nothing that a manifest names may lie outside its own folder. */
static void
look_at_keys(const struct manifest *m)
{
	char *prefix = manifest_data_prefix(m->pipeline, m->id);

	if (prefix == NULL)
		die("no prefix for what was taken");
	for (size_t s = 0; s < m->nsources; s++)
		for (size_t i = 0; i < m->sources[s].nobjects; i++) {
			const struct manifest_object *o =
			    &m->sources[s].objects[i];

			if (!key_valid(o->key) ||
			    strncmp(o->key, prefix, strlen(prefix)) != 0)
				die("a key of somebody else");
			if (o->index_key != NULL &&
			    (!key_valid(o->index_key) ||
				strncmp(o->index_key, prefix, strlen(prefix)) !=
				    0))
				die("an index of somebody else");
		}
	free(prefix);
}

static void
round_trip(const struct manifest *m)
{
	struct hf_error err = { 0 };
	struct manifest *again = NULL;
	json_t *json = NULL, *back = NULL, *twice = NULL;
	struct buf text = BUF_INIT;

	must(manifest_to_json(m, &json, &err), &err, "writing");
	must(doc_seal(json, &text, &err), &err, "sealing");
	must(doc_open((const char *)text.data, text.len, "it", &back, &err),
	    &err, "opening");
	if (!json_equal(json, back))
		die("the document is not what was sealed");
	must(manifest_from_json(back, &again, &err), &err, "reading back");
	must(manifest_to_json(again, &twice, &err), &err, "writing again");
	if (!json_equal(json, twice))
		die("the manifest is not what was written");
	manifest_free(again);
	json_decref(json);
	json_decref(back);
	json_decref(twice);
	buf_free(&text);
}

static void
try_manifest(const json_t *json)
{
	struct hf_error err = { 0 };
	struct manifest *m = NULL;
	struct buf sums = BUF_INIT;

	if (manifest_from_json(json, &m, &err) != HF_OK) {
		if (err.status == HF_OK || err.cause[0] == '\0')
			die("refused without a reason");
		return;
	}
	if (!manifest_valid_id(m->id))
		die("an id that is none");
	(void)manifest_raw_size(m);
	(void)manifest_stored_size(m);
	must(sums_text(m, &sums, &err), &err, "SHA256SUMS");
	buf_free(&sums);
	look_at_keys(m);
	round_trip(m);
	manifest_free(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_error err = { 0 };
	struct owner owner;
	json_t *doc = NULL;

	if (doc_open((const char *)data, size, "it", &doc, &err) == HF_OK)
		try_manifest(doc);
	else if (err.status == HF_OK || doc != NULL)
		die("refused without a reason");
	json_decref(doc);
	/* No fuzzer finds a hash: behind the seal too. */
	doc =
	    json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(doc)) {
		(void)json_object_del(doc, "sha256");
		owner_from_json(doc, &owner);
		(void)owner_is_dead(&owner);
		try_manifest(doc);
	}
	json_decref(doc);
	return 0;
}
