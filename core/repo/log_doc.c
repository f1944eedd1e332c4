/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/log_private.h"

#define FORMAT 1
#define NAME_LIMIT 200
#define DOC_SUFFIX ".json"

bool
log_valid_name(const char *name)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789._-";
	size_t len = strlen(name);

	if (len == 0 || len > NAME_LIMIT)
		return false;
	for (;;) {
		size_t n = strspn(name, plain);

		if (n == 0 || name[0] == '.' ||
		    (name[n] != '/' && name[n] != '\0'))
			return false;
		if (name[n] == '\0')
			return true;
		name += n + 1;
	}
}

int
log_check_name(const char *name, struct hf_error *err)
{
	if (log_valid_name(name))
		return HF_OK;
	return error_fail(err, HF_E_INVALID,
	    "an object of a log cannot be named \"%.100s\"", name);
}

char *
log_doc_key(const struct repo_log *log, const char *name)
{
	return text_format("%s%s" DOC_SUFFIX, log->prefix, name);
}

bool
log_doc_name(
    const struct repo_log *log, const char *key, const char **name, size_t *len)
{
	size_t prefix = strlen(log->prefix), all = strlen(key);
	size_t suffix = sizeof DOC_SUFFIX - 1;

	if (all <= prefix + suffix ||
	    strcmp(key + all - suffix, DOC_SUFFIX) != 0)
		return false;
	*name = key + prefix;
	*len = all - prefix - suffix;
	return true;
}

void
log_doc_free(struct log_doc *d)
{
	if (d == NULL)
		return;
	manifest_object_clear(&d->object);
	json_decref(d->facts);
	free(d->name);
	free(d);
}

bool
log_doc_same(const struct log_doc *d, uint64_t raw_size, const char *sha)
{
	return d->object.raw_size == raw_size &&
	       strcmp(d->object.raw_sha256, sha) == 0;
}

static int
check_format(const json_t *json, struct hf_error *err)
{
	json_int_t format = json_integer_value(json_object_get(json, "format"));
	const json_t *features = json_object_get(json, "features");

	if (format < 1)
		return error_fail(
		    err, HF_E_CORRUPT, "a document without a format");
	if (format == FORMAT && json_array_size(features) == 0)
		return HF_OK;
	(void)error_fail(err, HF_E_UNSUPPORTED,
	    "a document of format %lld, or with features, that this program "
	    "does not know",
	    (long long)format);
	error_hint(err, "Use a later version of " PROGRAM_NAME ".");
	return HF_E_UNSUPPORTED;
}

static bool
texts_only(json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (!json_is_string(value))
			return false;
	}
	return json_is_object(object);
}

static int
from_json(const struct repo_log *log, const char *name, const json_t *json,
    struct log_doc *d, struct hf_error *err)
{
	const char *own = json_string_value(json_object_get(json, "name"));
	char *prefix;
	int rc;

	if ((rc = check_format(json, err)) != HF_OK)
		return rc;
	d->facts = json_incref(json_object_get(json, "facts"));
	if (own == NULL || strcmp(own, name) != 0 || !texts_only(d->facts))
		return error_fail(err, HF_E_CORRUPT,
		    "a document of another name, or whose facts are none");
	d->written_ms = repo_get_time(json, "written");
	/* What somebody planted must not make us read or remove the data of
	 * others. */
	prefix = text_format("%s%s-", log->prefix, name);
	if (prefix == NULL || (d->name = strdup(name)) == NULL)
		rc = repo_nomem(err);
	else
		rc = manifest_object_from_json(
		    json_object_get(json, "object"), prefix, &d->object, err);
	free(prefix);
	return rc;
}

int
log_doc_get(struct repo_log *log, size_t sink, struct store *store,
    const char *name, struct log_doc **out, struct hf_error *err)
{
	char *key = log_doc_key(log, name);
	struct log_doc *d = calloc(1, sizeof *d);
	json_t *json = NULL;
	int rc;

	*out = NULL;
	if (key == NULL || d == NULL) {
		rc = repo_nomem(err);
		goto err0;
	}
	if ((rc = doc_get(store, key, &json, err)) != HF_OK ||
	    (rc = from_json(log, name, json, d, err)) != HF_OK)
		goto err0;
	json_decref(json);
	free(key);
	*out = d;
	return HF_OK;

err0:
	if (rc == HF_E_CORRUPT || rc == HF_E_UNSUPPORTED)
		(void)error_context(
		    err, "reading %s in %s", key, log->r->sinks[sink].who);
	if (rc == HF_E_CORRUPT)
		error_hint(err,
		    "If the source still has this object, remove that file: "
		    "the next push writes it again.");
	json_decref(json);
	log_doc_free(d);
	free(key);
	return rc;
}

static json_t *
to_json(const struct repo_log *log, const struct log_doc *d)
{
	char host[256];
	json_t *json;

	repo_host(host, sizeof host);
	json = json_pack("{s:i, s:[], s:s, s:o, s:s, s:o, s:{s:s, s:s}}",
	    "format", FORMAT, "features", "name", d->name, "pipeline",
	    repo_text(log->r->pipeline->name), "written",
	    repo_time(d->written_ms).s, "host", repo_text(host), "program",
	    "name", PROGRAM_NAME, "version", host_table.version);
	if (json == NULL)
		return NULL;
	if (json_object_set(json, "facts", d->facts) == 0 &&
	    json_object_set_new(
		json, "object", manifest_object_to_json(&d->object)) == 0)
		return json;
	json_decref(json);
	return NULL;
}

int
log_doc_put(struct repo_log *log, struct store *store, const struct log_doc *d,
    struct hf_error *err)
{
	char *key = log_doc_key(log, d->name);
	json_t *json = to_json(log, d);
	int rc;

	if (key == NULL || json == NULL)
		rc = repo_nomem(err);
	else
		rc = doc_put(store, key, HF_PUT_IF_ABSENT, json, err);
	json_decref(json);
	free(key);
	return rc;
}

int
log_doc_remove_data(
    struct store *store, const struct manifest_object *o, struct hf_error *err)
{
	const char *keys[] = { o->key, o->index_key };

	return store_remove_many(
	    store, keys, o->index_key == NULL ? 1 : 2, err);
}
