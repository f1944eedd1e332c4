/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/repo_private.h"

/* How many of the newest backups are looked at when the newest is another
 * host's. */
#define LOOK 5

static struct manifest *
load(const struct repo_sink *s, const char *key)
{
	struct manifest *m = NULL;
	json_t *doc = NULL;

	if (doc_get(s->store, key, &doc, NULL) != HF_OK ||
	    manifest_from_json(doc, &m, NULL) != HF_OK)
		m = NULL;
	json_decref(doc);
	return m;
}

static const char *
or_none(const char *s)
{
	return s == NULL ? "" : s;
}

static bool
other_environment(
    const struct repo *r, const struct manifest *m, char *text, size_t cap)
{
	const char *ours = or_none(r->env.config->environment),
		   *theirs = or_none(m->environment);

	if (strcmp(ours, theirs) == 0)
		return false;
	(void)snprintf(text, cap,
	    "the newest backup (%s, host %s) is of environment \"%s\", this is "
	    "\"%s\"",
	    m->id, or_none(m->host), theirs, ours);
	return true;
}

/* A new host that goes on where an old one stopped is a machine that was
 * replaced; two that take turns are two fleets. */
static bool
took_turns(const struct repo_sink *s, const struct store_keys *keys, size_t at,
    const struct manifest *newest, const char *host, char *text, size_t cap)
{
	bool found = false;

	for (size_t n = 0; at > 0 && n < LOOK && !found; at--, n++) {
		struct manifest *m = load(s, keys->keys[at - 1].key);

		found = m != NULL && strcmp(or_none(m->host), host) == 0;
		if (found)
			(void)snprintf(text, cap,
			    "host %s has made backup %s of a pipeline of this "
			    "name, after %s of this host",
			    or_none(newest->host), newest->id, m->id);
		manifest_free(m);
	}
	return found;
}

bool
fleets_share(struct repo *r, size_t sink, char *text, size_t cap)
{
	const struct repo_sink *s = &r->sinks[sink];
	char *prefix = repo_key(r->pipeline->name, "catalog/");
	struct store_keys keys = { 0 };
	struct manifest *m = NULL;
	bool found = false;
	char host[64];
	size_t at;

	if (prefix == NULL ||
	    store_list_all(s->store, prefix, &keys, NULL) != HF_OK)
		goto out;
	for (at = keys.n; at > 0 && m == NULL; at--)
		m = load(s, keys.keys[at - 1].key);
	if (m == NULL)
		goto out;
	repo_host(host, sizeof host);
	found = other_environment(r, m, text, cap) ||
		(strcmp(or_none(m->host), host) != 0 &&
		    took_turns(s, &keys, at, m, host, text, cap));
out:
	manifest_free(m);
	store_keys_free(&keys);
	free(prefix);
	return found;
}
