/* SPDX-License-Identifier: BSD-2-Clause */
#include "doc.h"

#include <stdlib.h>
#include <string.h>

#include <holdfast/plugin.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sha256.h"
#include "plugin/store.h"

/* The seal is text, not structure, so that it can be made and checked with
 * any tool: what is hashed is the document as it would be without it. */
#define END "\n}\n"
#define SEAL ",\n  \"sha256\": \""
#define SEAL_END "\"" END
#define SEAL_LEN (sizeof SEAL - 1 + SHA256_HEX - 1 + sizeof SEAL_END - 1)

int
doc_seal(const json_t *object, struct buf *out, struct hf_error *err)
{
	struct sha256 *sha = NULL;
	char hex[SHA256_HEX];
	char *dump = NULL;
	size_t len;
	int rc;

	if (!json_is_object(object) || json_object_size(object) == 0 ||
	    json_object_get(object, "sha256") != NULL)
		return error_fail(
		    err, HF_E_BUG, "a document that cannot be sealed");
	if ((dump = json_dumps(object, JSON_INDENT(2))) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a document");
	/* It ends in END but for the line feed.  A manifest may be large: it
	 * is not copied more often than it has to be. */
	len = strlen(dump) + 1 - (sizeof END - 1);
	if (len + SEAL_LEN > DOC_MAX) {
		rc = error_fail(err, HF_E_UNSUPPORTED,
		    "a document of %zu bytes could never be read again, at "
		    "most %u",
		    len, DOC_MAX);
		goto out;
	}
	if ((rc = sha256_new(&sha, err)) != HF_OK)
		goto out;
	sha256_update(sha, dump, len);
	sha256_update(sha, END, sizeof END - 1);
	sha256_final(sha, hex);
	sha256_free(sha);
	if ((rc = buf_reserve(out, out->len + len + SEAL_LEN + 1, err)) ==
		HF_OK &&
	    (rc = buf_append(out, dump, len, err)) == HF_OK &&
	    (rc = buf_puts(out, SEAL, err)) == HF_OK &&
	    (rc = buf_puts(out, hex, err)) == HF_OK)
		rc = buf_puts(out, SEAL_END, err);
out:
	free(dump);
	return rc;
}

static int
check_seal(const char *text, size_t len, const char *what, struct hf_error *err)
{
	struct sha256 *sha = NULL;
	char hex[SHA256_HEX];
	const char *tail;
	int rc;

	if (len <= SEAL_LEN)
		return error_fail(err, HF_E_CORRUPT,
		    "%s: damaged: too short to be whole (%zu bytes)", what,
		    len);
	tail = text + len - SEAL_LEN;
	if (memcmp(tail, SEAL, sizeof SEAL - 1) != 0 ||
	    memcmp(text + len - (sizeof SEAL_END - 1), SEAL_END,
		sizeof SEAL_END - 1) != 0)
		return error_fail(err, HF_E_CORRUPT,
		    "%s: damaged: it does not end in its sha256", what);
	if ((rc = sha256_new(&sha, err)) != HF_OK)
		return rc;
	sha256_update(sha, text, len - SEAL_LEN);
	sha256_update(sha, END, sizeof END - 1);
	sha256_final(sha, hex);
	sha256_free(sha);
	if (memcmp(tail + sizeof SEAL - 1, hex, SHA256_HEX - 1) != 0)
		return error_fail(err, HF_E_CORRUPT,
		    "%s: damaged: its sha256 does not agree with its text",
		    what);
	return HF_OK;
}

int
doc_open(const char *text, size_t len, const char *what, json_t **out,
    struct hf_error *err)
{
	json_error_t why;
	json_t *doc;
	int rc;

	if ((rc = check_seal(text, len, what, err)) != HF_OK)
		return rc;
	doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (doc == NULL && json_error_code(&why) == json_error_out_of_memory)
		return error_fail(err, HF_E_NOMEM, "no memory for %s", what);
	if (!json_is_object(doc)) {
		json_decref(doc);
		return error_fail(err, HF_E_CORRUPT,
		    "%s: damaged: sealed, but not JSON: %s", what,
		    doc == NULL ? why.text : "not an object");
	}
	/* The seal is not content: what was sealed is what comes back. */
	(void)json_object_del(doc, "sha256");
	*out = doc;
	return HF_OK;
}

int
doc_put(struct store *store, const char *key, unsigned flags, const json_t *doc,
    struct hf_error *err)
{
	struct buf text = BUF_INIT;
	int rc;

	if ((rc = doc_seal(doc, &text, err)) == HF_OK)
		rc = store_put_all(store, key, flags, text.data, text.len, err);
	buf_free(&text);
	return rc;
}

int
doc_get(
    struct store *store, const char *key, json_t **out, struct hf_error *err)
{
	struct buf text = BUF_INIT;
	int rc;

	if ((rc = store_get_all(store, key, DOC_MAX, &text, err)) == HF_OK)
		rc = doc_open((const char *)text.data, text.len, key, out, err);
	buf_free(&text);
	return rc;
}
