/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "repo/repo_private.h"

static bool
usable(const struct repo_catalog *c, const struct repo_backup_entry *e)
{
	for (size_t s = 0; s < c->nsinks; s++)
		if (e->copies[s].state == REPO_COPY_PRESENT)
			return true;
	return false;
}

/* A sink that could not be listed may have what was asked for. */
static void
hint_sinks(const struct repo_catalog *c, struct hf_error *err)
{
	for (size_t s = 0; s < c->nsinks; s++)
		if (c->sink_errors[s].status != HF_OK) {
			char line[400];

			error_line(&c->sink_errors[s], line, sizeof line);
			error_note(err, "sink", line);
		}
}

static int
none(const struct repo_catalog *c, struct hf_error *err)
{
	(void)error_fail(err, HF_E_NOTFOUND,
	    c->n == 0 ? "there is no backup"
		      : "there is no backup whose manifest can be read");
	hint_sinks(c, err);
	return HF_E_NOTFOUND;
}

/* The newest of those that had ended by at_ms (0: any). */
static int
pick_newest(const struct repo_catalog *c, int64_t at_ms,
    const struct repo_backup_entry **out, struct hf_error *err)
{
	const struct repo_backup_entry *best = NULL, *oldest = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct repo_backup_entry *e = &c->entries[i];

		if (!usable(c, e))
			continue;
		if (oldest == NULL || e->ended_ms < oldest->ended_ms)
			oldest = e;
		if (at_ms == 0 || e->ended_ms <= at_ms)
			best = e;
	}
	if (oldest == NULL)
		return none(c, err);
	if (best != NULL) {
		*out = best;
		return HF_OK;
	}
	(void)error_fail(err, HF_E_NOTFOUND,
	    "no backup had ended by %s: the oldest is %s, which ended %s",
	    text_utc(at_ms).s, oldest->id, text_utc(oldest->ended_ms).s);
	hint_sinks(c, err);
	return HF_E_NOTFOUND;
}

int
repo_pick(const struct repo_catalog *c, const char *selector, int64_t at_ms,
    const struct repo_backup_entry **out, struct hf_error *err)
{
	const struct repo_backup_entry *found = NULL;
	size_t len = selector == NULL ? 0 : strlen(selector);

	if (at_ms != 0 || len == 0 || strcmp(selector, "latest") == 0)
		return pick_newest(c, at_ms, out, err);
	for (size_t i = 0; i < c->n; i++) {
		const struct repo_backup_entry *e = &c->entries[i];

		if (strncmp(e->id, selector, len) != 0)
			continue;
		if (e->id[len] == '\0') {
			found = e;
			break;
		}
		if (found != NULL) {
			(void)error_fail(err, HF_E_INVALID,
			    "\"%s\" fits more than one backup: %s, %s",
			    selector, found->id, e->id);
			error_hint(err, "Type more of the id.");
			return HF_E_INVALID;
		}
		found = e;
	}
	if (found == NULL) {
		if (c->n == 0)
			return none(c, err);
		(void)error_fail(err, HF_E_NOTFOUND,
		    "there is no backup \"%s\": there are %zu, from %s to %s",
		    selector, c->n, c->entries[0].id, c->entries[c->n - 1].id);
		error_hint(err, "List them with: " PROGRAM_NAME " list");
		hint_sinks(c, err);
		return HF_E_NOTFOUND;
	}
	*out = found;
	return HF_OK;
}
