/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/store.h"
#include "repo/log_private.h"

static struct repo_log *
log_of(struct hf_in *in)
{
	return ((struct log_in *)(void *)in)->log;
}

static bool
counts(const struct repo_log *log, size_t sink)
{
	return log->counts == NULL || log->counts(log->counts_arg, sink);
}

/* Sinks that must have an object. */
static size_t
wanted(const struct repo_log *log)
{
	size_t n = 0, want = log_required(log);

	for (size_t i = 0; i < log->r->nsinks; i++)
		n += counts(log, i);
	return n < want ? n : want;
}

/* name NULL: it could not be asked at all. */
static void
hold_back(struct repo_log *log, size_t sink, const char *name,
    const struct hf_error *why)
{
	(void)pthread_mutex_lock(&log->lock);
	log->held.sink = sink;
	log->held.is = true;
	(void)snprintf(log->held.name, sizeof log->held.name, "%s",
	    name == NULL ? "" : name);
	if (why != NULL)
		error_line(why, log->held.why, sizeof log->held.why);
	(void)pthread_mutex_unlock(&log->lock);
}

/* ---- names ---- */

struct column {
	struct store_keys names;
	size_t at;
	bool listed;
};

/* A sink that cannot be listed has nothing that one could rely on. */
static int
read_columns(struct repo_log *log, const char *prefix, struct column *columns,
    struct hf_error *err)
{
	for (size_t i = 0; i < log->r->nsinks; i++) {
		struct hf_error why = { .status = HF_OK };
		int rc;

		if (!counts(log, i))
			continue;
		rc = log_keep_list(log, i, prefix, &columns[i].names, &why);
		if (log_ends_all(rc)) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		columns[i].listed = rc == HF_OK;
		if (rc != HF_OK)
			hold_back(log, i, NULL, &why);
	}
	return HF_OK;
}

/* The smallest name that is left; have: how many have it, lacks: one that was
 * listed and does not. */
static const char *
next_name(struct column *columns, size_t n, size_t *have, size_t *lacks)
{
	const char *name = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct column *c = &columns[i];

		if (c->at < c->names.n &&
		    (name == NULL ||
			strcmp(c->names.keys[c->at].key, name) < 0))
			name = c->names.keys[c->at].key;
	}
	*have = 0;
	*lacks = n;
	for (size_t i = 0; i < n && name != NULL; i++) {
		struct column *c = &columns[i];

		if (c->at < c->names.n &&
		    strcmp(c->names.keys[c->at].key, name) == 0) {
			c->at++;
			++*have;
		} else if (c->listed) {
			*lacks = i;
		}
	}
	return name;
}

static int
safe_below(struct hf_in *in, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	struct repo_log *log = log_of(in);
	size_t n = log->r->nsinks, want = wanted(log), have, lacks;
	struct column *columns = calloc(n + 1, sizeof *columns);
	const char *name;
	int rc;

	if (columns == NULL)
		return repo_nomem(err);
	rc = read_columns(log, prefix, columns, err);
	while (rc == HF_OK &&
	       (name = next_name(columns, n, &have, &lacks)) != NULL) {
		struct hf_object o = { .struct_size = sizeof o, .key = name };

		if (have >= want)
			rc = fn(arg, &o);
		else if (lacks < n)
			hold_back(log, lacks, name, NULL);
	}
	for (size_t i = 0; i < n; i++)
		store_keys_free(&columns[i].names);
	free(columns);
	return rc;
}

static int
safe_list(struct hf_in *in, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	return safe_below(in, "", fn, arg, err);
}

/* ---- one name ---- */

/* The document of one sink; HF_E_NOTFOUND: it does not have it. */
static int
ask(struct repo_log *log, size_t sink, const char *name, struct log_doc **d,
    struct hf_error *err)
{
	struct store *store;
	int rc = log_sink_read(log, sink, &store, err);

	*d = NULL;
	return rc == HF_OK ? log_doc_get(log, sink, store, name, d, err) : rc;
}

/* How many have it, the first document, and one that does not (nsinks: none).
 * Only what ends everything is a failure. */
static int
count(struct repo_log *log, const char *name, size_t *have, size_t *lacks,
    struct log_doc **first, struct hf_error *err)
{
	*have = 0;
	*lacks = log->r->nsinks;
	for (size_t i = 0; i < log->r->nsinks; i++) {
		struct hf_error why = { .status = HF_OK };
		struct log_doc *d;
		int rc;

		if (!counts(log, i))
			continue;
		rc = ask(log, i, name, &d, &why);
		if (log_ends_all(rc)) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		*have += rc == HF_OK;
		if (rc == HF_OK && *first == NULL)
			*first = d;
		else
			log_doc_free(d);
		if (rc == HF_E_NOTFOUND)
			*lacks = i;
		else if (rc != HF_OK)
			hold_back(log, i, NULL, &why);
	}
	return HF_OK;
}

static int
safe_facts(struct hf_in *in, const char *name, host_fact_fn *fn, void *arg,
    struct hf_error *err)
{
	struct repo_log *log = log_of(in);
	struct log_doc *d = NULL;
	size_t have, lacks;
	int rc;

	if ((rc = log_check_name(name, err)) != HF_OK)
		return rc;
	if ((rc = count(log, name, &have, &lacks, &d, err)) == HF_OK) {
		if (d != NULL && have >= wanted(log))
			rc = log_tell_facts(d, fn, arg);
		else
			rc = error_fail(err, HF_E_NOTFOUND,
			    "not every sink that must have %s has it", name);
	}
	if (rc == HF_E_NOTFOUND && d != NULL && lacks < log->r->nsinks)
		hold_back(log, lacks, name, NULL);
	log_doc_free(d);
	return rc;
}

const struct in_ops log_safe_ops = {
	.list = safe_list,
	.list_below = safe_below,
	.open = log_read_open,
	.fact = log_read_no_fact,
	.facts = safe_facts,
};

/* ---- why not ---- */

void
repo_log_held_back(struct repo_log *log, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct log_doc *d = NULL;
	struct log_held held;
	const char *who;

	(void)pthread_mutex_lock(&log->lock);
	held = log->held;
	(void)pthread_mutex_unlock(&log->lock);
	if (!held.is || !counts(log, held.sink))
		return;
	who = log->r->sinks[held.sink].who;
	/* Meanwhile it may have arrived. */
	if (held.name[0] == '\0')
		(void)error_context(
		    err, "%s could not be asked: %s", who, held.why);
	else if (ask(log, held.sink, held.name, &d, &why) != HF_OK)
		(void)error_context(err,
		    "%s does not have %s of the log, which others have", who,
		    held.name);
	log_doc_free(d);
}

struct hf_in *
repo_log_safe(
    struct repo_log *log, bool (*fn)(void *arg, size_t sink), void *arg)
{
	log->counts = fn;
	log->counts_arg = arg;
	return &log->safe.base;
}
