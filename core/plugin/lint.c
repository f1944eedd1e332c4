/* SPDX-License-Identifier: BSD-2-Clause */
#include "lint.h"

#include <string.h>

#include "base/error.h"
#include "base/key.h"
#include "plugin/loader.h"

/* Larger than any table will grow: the field was not set. */
#define SIZE_SANE 65536
#define SUFFIX_MAX 32

void
lint_copy(void *dst, size_t size, const void *src)
{
	size_t theirs;

	memcpy(&theirs, src, sizeof theirs);
	if (theirs > size)
		theirs = size;
	memset(dst, 0, size);
	memcpy(dst, src, theirs);
	memcpy(dst, &theirs, sizeof theirs);
}

bool
lint_name(const char *name)
{
	size_t i;

	if (name == NULL || name[0] < 'a' || name[0] > 'z')
		return false;
	for (i = 0; name[i] != '\0'; i++) {
		char c = name[i];

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
			return false;
	}
	return i <= 64;
}

struct required {
	const char *name;
	bool there;
};

static int
lint_required(
    const struct required *r, size_t n, const char *table, struct hf_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!r[i].there)
			return error_fail(err, HF_E_INVALID, "%s.%s is missing",
			    table, r[i].name);
	return HF_OK;
}

static int
lint_size(size_t size, size_t least, const char *table, struct hf_error *err)
{
	if (size >= least && size <= SIZE_SANE)
		return HF_OK;
	return error_fail(err, HF_E_INVALID,
	    "%s%sstruct_size is %zu, not the size of the struct", table,
	    *table == '\0' ? "" : ".", size);
}

static bool
any_log(const struct hf_engine_ops *o)
{
	return o->log_push != NULL || o->log_get != NULL ||
	       o->log_ahead != NULL || o->log_reach != NULL ||
	       o->log_spans != NULL || o->log_verify != NULL ||
	       o->log_surplus != NULL || o->log_behind != NULL;
}

static int
lint_engine(const struct hf_plugin *d, struct hf_error *err)
{
	const uint32_t known = HF_KIND_FULL | HF_KIND_INCR | HF_KIND_LOG;
	struct hf_engine_ops o;
	int rc;

	if ((rc = lint_size(d->engine->struct_size,
		 offsetof(struct hf_engine_ops, check), "engine", err)) !=
	    HF_OK)
		return rc;
	lint_copy(&o, sizeof o, d->engine);
	const struct required r[] = { { "open", o.open != NULL },
		{ "close", o.close != NULL }, { "backup", o.backup != NULL },
		{ "restore", o.restore != NULL },
		/* What was made must be cleared away again. */
		{ "discard", o.scratch == NULL || o.discard != NULL },
		/* A log that cannot be read keeps nothing. */
		{ "log_get", o.log_kinds == NULL || o.log_get != NULL },
		{ "log_kinds", o.log_kinds != NULL || !any_log(&o) } };

	if ((rc = lint_required(r, sizeof r / sizeof *r, "engine", err)) !=
	    HF_OK)
		return rc;
	if (o.kinds == 0 || (o.kinds & ~known) != 0)
		return error_fail(err, HF_E_INVALID,
		    "engine.kinds 0x%x is not a set of HF_KIND_*", o.kinds);
	if ((o.flags & ~HF_ENGINE_SERVER) != 0)
		return error_fail(err, HF_E_INVALID,
		    "engine.flags 0x%x has bits that this core does not know",
		    o.flags);
	if (o.by_hand != NULL && *o.by_hand == '\0')
		return error_fail(err, HF_E_INVALID, "engine.by_hand is empty");
	return lint_options(o.restore_options, d->option_size,
	    o.restore_conf_size, "engine.restore_options", err);
}

static bool
suffix_valid(const char *s)
{
	char key[1 + SUFFIX_MAX + 1] = "x";
	size_t len = strlen(s);

	if (s[0] != '.' || len < 2 || len > SUFFIX_MAX ||
	    strchr(s, '/') != NULL)
		return false;
	memcpy(key + 1, s, len + 1);
	return key_valid(key);
}

static int
lint_filter(const struct hf_plugin *d, struct hf_error *err)
{
	struct hf_filter_ops o;
	int rc;

	if ((rc = lint_size(d->filter->struct_size,
		 offsetof(struct hf_filter_ops, open), "filter", err)) != HF_OK)
		return rc;
	lint_copy(&o, sizeof o, d->filter);
	const struct required r[] = { { "suffix", o.suffix != NULL },
		{ "open", o.open != NULL }, { "close", o.close != NULL },
		{ "begin", o.begin != NULL }, { "step", o.step != NULL },
		{ "end", o.end != NULL } };

	if ((rc = lint_required(r, sizeof r / sizeof *r, "filter", err)) !=
	    HF_OK)
		return rc;
	if ((o.flags & ~HF_FILTER_FRAMES) != 0)
		return error_fail(err, HF_E_INVALID,
		    "filter.flags 0x%x has bits that this core does not know",
		    o.flags);
	if (!suffix_valid(o.suffix))
		return error_fail(err, HF_E_INVALID,
		    "filter.suffix \"%.64s\" is not a dot and 1 to %d of the "
		    "characters of a key",
		    o.suffix, SUFFIX_MAX - 1);
	return HF_OK;
}

static int
lint_store(const struct hf_plugin *d, struct hf_error *err)
{
	struct hf_store_ops o;
	int rc;

	if ((rc = lint_size(d->store->struct_size,
		 offsetof(struct hf_store_ops, close), "store", err)) != HF_OK)
		return rc;
	lint_copy(&o, sizeof o, d->store);
	const struct required r[] = { { "open", o.open != NULL },
		{ "close", o.close != NULL }, { "caps", o.caps != NULL },
		{ "put", o.put != NULL }, { "put_write", o.put_write != NULL },
		{ "put_commit", o.put_commit != NULL },
		{ "put_abort", o.put_abort != NULL }, { "get", o.get != NULL },
		{ "get_read", o.get_read != NULL },
		{ "get_close", o.get_close != NULL },
		{ "stat", o.stat != NULL }, { "list", o.list != NULL },
		{ "remove", o.remove != NULL } };

	return lint_required(r, sizeof r / sizeof *r, "store", err);
}

static int
lint_version(const struct hf_plugin *d, struct hf_error *err)
{
	if (d->abi_major != HF_ABI_MAJOR) {
		(void)error_fail(err, HF_E_INVALID,
		    "it is made for version %u of the plugin interface, this "
		    "program has %d",
		    d->abi_major, HF_ABI_MAJOR);
		error_hint(err, "Get the plugin's release for this version.");
		return HF_E_INVALID;
	}
	/* Unsigned, so that a later HF_ABI_MINOR needs no change here. */
	if (d->min_host_minor > (uint32_t)HF_ABI_MINOR) {
		(void)error_fail(err, HF_E_INVALID,
		    "it needs version %d.%u of the plugin interface, this "
		    "program has %d.%d",
		    HF_ABI_MAJOR, d->min_host_minor, HF_ABI_MAJOR,
		    HF_ABI_MINOR);
		error_hint(err, "Use a newer release of Holdfast.");
		return HF_E_INVALID;
	}
	return HF_OK;
}

static int
lint_head(const struct hf_plugin *d, const char *name, struct hf_error *err)
{
	if (!lint_name(d->name))
		return error_fail(err, HF_E_INVALID,
		    "name \"%.64s\" is not a plugin's name ([a-z][a-z0-9-]*)",
		    d->name == NULL ? "" : d->name);
	if (name != NULL && strcmp(name, d->name) != 0)
		return error_fail(err, HF_E_INVALID,
		    "it calls itself \"%.64s\", so the file must be %.64s.so",
		    d->name, d->name);
	if (d->version == NULL || *d->version == '\0')
		return error_fail(err, HF_E_INVALID, "version is missing");
	if (d->summary == NULL || *d->summary == '\0')
		return error_fail(err, HF_E_INVALID, "summary is missing");
	if (d->threads < HF_THREADS_SERIAL || d->threads > HF_THREADS_HANDLE)
		return error_fail(err, HF_E_INVALID,
		    "threads %d is not one of HF_THREADS_*", d->threads);
	if (d->engine == NULL && d->filter == NULL && d->store == NULL)
		return error_fail(err, HF_E_INVALID,
		    "it is neither an engine nor a filter nor a store");
	/* An engine's backup() is one long call that waits for the filters
	 * and stores behind it: with one lock for all, it would wait for
	 * ever. */
	if (d->threads == HF_THREADS_SERIAL && d->engine != NULL &&
	    (d->filter != NULL || d->store != NULL))
		return error_fail(err, HF_E_INVALID,
		    "threads HF_THREADS_SERIAL cannot be kept by a plugin that "
		    "is an engine and a filter or store");
	return HF_OK;
}

int
plugin_lint(
    const struct hf_plugin *desc, const char *name, struct hf_error *err)
{
	struct hf_plugin d;
	int rc;

	if (desc == NULL)
		return error_fail(
		    err, HF_E_INVALID, "it gave no description of itself");
	if ((rc = lint_size(desc->struct_size,
		 offsetof(struct hf_plugin, version), "", err)) != HF_OK)
		return rc;
	lint_copy(&d, sizeof d, desc);
	if ((rc = lint_version(&d, err)) != HF_OK ||
	    (rc = lint_head(&d, name, err)) != HF_OK ||
	    (rc = lint_options(d.options, d.option_size, d.conf_size, "options",
		 err)) != HF_OK)
		return rc;
	if (d.engine != NULL && (rc = lint_engine(&d, err)) != HF_OK)
		return rc;
	if (d.filter != NULL && (rc = lint_filter(&d, err)) != HF_OK)
		return rc;
	if (d.store != NULL && (rc = lint_store(&d, err)) != HF_OK)
		return rc;
	return HF_OK;
}
