/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/sha256.h"
#include "plugin/host.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/readme.h"
#include "repo/repo_private.h"

#define REPO_FORMAT 1
#define README_KEY "README.txt"
#define README_MAX (1u << 20)

/* README.txt carries its own hash, so that every version of the program can
 * check the text of every other one, and put back one that was lost. */
#define README_SEAL "SHA-256 of the lines above: "
#define README_SEAL_LEN (sizeof README_SEAL - 1 + SHA256_HEX - 1 + 1)

static const struct {
	uint32_t bit;
	const char *name;
} caps[] = {
	{ HF_CAP_RANGE, "range" },
	{ HF_CAP_IF_ABSENT, "if-absent" },
	{ HF_CAP_IF_MATCH, "if-match" },
};

static int
too_new(json_int_t format, struct hf_error *err)
{
	(void)error_fail(err, HF_E_UNSUPPORTED,
	    REPO_KEY ": the repository has format %lld, this program knows "
		     "formats up to %d",
	    (long long)format, REPO_FORMAT);
	error_hint(err, "Use a later version of " PROGRAM_NAME ".");
	return HF_E_UNSUPPORTED;
}

static int
check_format(const json_t *doc, struct hf_error *err)
{
	const json_t *format = json_object_get(doc, "format");

	if (!json_is_integer(format) || json_integer_value(format) < 1)
		return error_fail(
		    err, HF_E_CORRUPT, REPO_KEY ": damaged: it has no format");
	if (json_integer_value(format) > REPO_FORMAT)
		return too_new(json_integer_value(format), err);
	return HF_OK;
}

static int
read_repo(struct store *store, struct hf_error *err)
{
	json_t *doc = NULL;
	int rc;

	if ((rc = doc_get(store, REPO_KEY, &doc, err)) == HF_OK)
		rc = check_format(doc, err);
	json_decref(doc);
	return rc;
}

/* HF_E_EXISTS is fine: whoever was first wrote the same. */
static int
put_once(struct store *store, const char *key, const struct buf *text,
    struct hf_error *err)
{
	bool exclusive = (store_caps(store) & HF_CAP_IF_ABSENT) != 0;
	int rc = store_put_all(store, key, exclusive ? HF_PUT_IF_ABSENT : 0,
	    text->data, text->len, err);

	if (rc != HF_E_EXISTS)
		return rc;
	error_clear(err);
	return HF_OK;
}

static int
put_repo(struct store *store, struct hf_error *err)
{
	struct buf text = BUF_INIT;
	json_t *doc, *list = json_array();
	uint32_t have = store_caps(store);
	int rc;

	for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
		if (have & caps[i].bit)
			(void)json_array_append_new(
			    list, json_string(caps[i].name));
	doc = json_pack("{s:i, s:s, s:{s:s, s:s}, s:o}", "format", REPO_FORMAT,
	    "created", text_utc(text_now()).s, "program", "name", PROGRAM_NAME,
	    "version", host_table.version, "capabilities", list);
	if (doc == NULL)
		return repo_nomem(err);
	if ((rc = doc_seal(doc, &text, err)) == HF_OK)
		rc = put_once(store, REPO_KEY, &text, err);
	buf_free(&text);
	json_decref(doc);
	return rc;
}

static int
readme_text(struct buf *out, struct hf_error *err)
{
	char hex[SHA256_HEX];
	int rc;

	for (const char *const *line = readme_lines; *line != NULL; line++)
		if ((rc = buf_puts(out, *line, err)) != HF_OK ||
		    (rc = buf_puts(out, "\n", err)) != HF_OK)
			return rc;
	if ((rc = sha256_of(out->data, out->len, hex, err)) != HF_OK ||
	    (rc = buf_puts(out, README_SEAL, err)) != HF_OK ||
	    (rc = buf_puts(out, hex, err)) != HF_OK)
		return rc;
	return buf_puts(out, "\n", err);
}

static int
put_readme(struct store *store, struct hf_error *err)
{
	struct buf text = BUF_INIT;
	int rc;

	if ((rc = readme_text(&text, err)) == HF_OK)
		rc = put_once(store, README_KEY, &text, err);
	buf_free(&text);
	return rc;
}

int
layout_ready(
    const struct repo *r, const struct repo_sink *s, struct hf_error *err)
{
	struct hf_object object = { .struct_size = sizeof object };
	struct store *store = s->store;
	int rc = read_repo(store, err);

	if (rc == HF_E_NOTFOUND) {
		error_clear(err);
		if ((rc = known_refuse(r, s, err)) != HF_OK ||
		    (rc = repo_sink_shareable(store, s->name, err)) != HF_OK)
			return rc;
		if ((rc = put_readme(store, err)) != HF_OK ||
		    (rc = put_repo(store, err)) != HF_OK)
			return error_context(err, "preparing the repository");
		rc = read_repo(store, err);
	}
	if (rc == HF_E_CORRUPT) {
		/* Nothing in it is needed to write or to read a backup, so a
		 * flipped bit here is no reason to go without one. */
		log_write(HF_LOG_WARN, "repo.damaged", s->who,
		    "%s; remove it, and the next backup writes it again",
		    err == NULL ? REPO_KEY " is damaged" : err->cause);
		error_clear(err);
		rc = HF_OK;
	}
	if (rc != HF_OK)
		return rc;
	if ((rc = store_stat(store, README_KEY, &object, err)) ==
	    HF_E_NOTFOUND) {
		error_clear(err);
		rc = put_readme(store, err);
	}
	if (rc == HF_OK)
		known_remember(r, s);
	return rc;
}

int
layout_readable(struct store *store, struct hf_error *err)
{
	/* Its own slot: only one answer of this is of interest. */
	struct hf_error why = { 0 };

	if (read_repo(store, &why) != HF_E_UNSUPPORTED)
		return HF_OK;
	if (err != NULL)
		*err = why;
	return HF_E_UNSUPPORTED;
}

static void
hint_again(struct hf_error *err, const char *key)
{
	error_hint(err,
	    "No backup depends on it: remove %s, and the next backup writes "
	    "it again.",
	    key);
}

int
layout_verify_repo(struct store *store, struct hf_error *err)
{
	int rc = read_repo(store, err);

	if (rc == HF_E_CORRUPT || rc == HF_E_NOTFOUND)
		hint_again(err, REPO_KEY);
	return rc;
}

int
layout_verify_readme(struct store *store, struct hf_error *err)
{
	struct buf text = BUF_INIT;
	char hex[SHA256_HEX];
	const char *tail;
	int rc;

	if ((rc = store_get_all(store, README_KEY, README_MAX, &text, err)) !=
	    HF_OK)
		goto out;
	rc = HF_E_CORRUPT;
	if (text.len <= README_SEAL_LEN)
		goto damaged;
	tail = (const char *)text.data + text.len - README_SEAL_LEN;
	if (sha256_of(text.data, text.len - README_SEAL_LEN, hex, err) != HF_OK)
		goto out;
	if (tail[-1] != '\n' || tail[README_SEAL_LEN - 1] != '\n' ||
	    memcmp(tail, README_SEAL, sizeof README_SEAL - 1) != 0 ||
	    memcmp(tail + sizeof README_SEAL - 1, hex, SHA256_HEX - 1) != 0)
		goto damaged;
	rc = HF_OK;
out:
	if (rc == HF_E_NOTFOUND)
		hint_again(err, README_KEY);
	buf_free(&text);
	return rc;
damaged:
	(void)error_fail(err, HF_E_CORRUPT,
	    README_KEY ": damaged: its text and its last line do not agree");
	goto out;
}
