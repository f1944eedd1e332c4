/* SPDX-License-Identifier: BSD-2-Clause */
#include "catalog_view.h"

#include "cli/render.h"
#include "repo/manifest.h"

const struct manifest *
catalog_view_manifest(
    const struct repo_backup_entry *e, size_t nsinks, size_t *sink)
{
	for (size_t i = 0; i < nsinks; i++) {
		if (e->copies[i].state != REPO_COPY_PRESENT ||
		    e->copies[i].manifest == NULL)
			continue;
		if (sink != NULL)
			*sink = i;
		return e->copies[i].manifest;
	}
	return NULL;
}

const struct repo_check *
catalog_view_check(const struct repo_backup_entry *e, size_t nsinks)
{
	const struct repo_check *newest = NULL;

	for (size_t i = 0; i < nsinks; i++) {
		const struct repo_check *c = &e->copies[i].check;

		if (c->at_ms == 0)
			continue;
		/* Of one verify's results a failure is the news. */
		if (newest == NULL || (newest->passed && !c->passed) ||
		    (newest->passed == c->passed && c->at_ms > newest->at_ms))
			newest = c;
	}
	return newest;
}

const struct repo_check *
catalog_view_proved(const struct repo_backup_entry *e, size_t nsinks)
{
	const struct repo_check *newest = NULL;

	for (size_t i = 0; i < nsinks; i++) {
		const struct repo_check *c = &e->copies[i].proved;

		if (c->at_ms != 0 &&
		    (newest == NULL || c->at_ms > newest->at_ms))
			newest = c;
	}
	return newest;
}

const char *
catalog_view_state(enum repo_copy_state state)
{
	switch (state) {
	case REPO_COPY_PRESENT:
		return "ok";
	case REPO_COPY_ABSENT:
		return "missing";
	case REPO_COPY_DAMAGED:
		return "DAMAGED";
	default:
		return "unreachable";
	}
}

const char *
catalog_view_trouble(const struct repo_copy *c)
{
	if (c->state != REPO_COPY_PRESENT)
		return catalog_view_state(c->state);
	if (c->lacks[0] == '\0')
		return NULL;
	return c->lacks_damaged ? "parent DAMAGED" : "parent MISSING";
}

/* NULL when there was none. */
static json_t *
check_json(const struct repo_check *c)
{
	if (c->at_ms == 0)
		return NULL;
	return json_pack("{s:s, s:o, s:b, s:o*}", "kind", c->kind, "at",
	    render_json_time(c->at_ms), "passed", (int)c->passed, "detail",
	    c->detail[0] == '\0' ? NULL : render_string(c->detail));
}

/* What it builds on and this sink does not have in good order. */
static json_t *
lacks_json(const struct repo_copy *c)
{
	if (c->lacks[0] == '\0')
		return NULL;
	return json_pack("{s:s, s:s}", "id", c->lacks, "state",
	    c->lacks_damaged ? "damaged" : "absent");
}

static json_t *
copies_json(
    const struct repo *repo, const struct repo_backup_entry *e, size_t nsinks)
{
	static const char *const states[] = { "absent", "present", "damaged",
		"unreachable" };
	json_t *list = json_array();

	for (size_t i = 0; i < nsinks; i++) {
		const struct repo_copy *c = &e->copies[i];

		(void)json_array_append_new(list,
		    json_pack("{s:s, s:s, s:o*, s:o*, s:o*}", "sink",
			repo_sink_name(repo, i), "state", states[c->state],
			"check", check_json(&c->check), "proved",
			check_json(&c->proved), "lacks", lacks_json(c)));
	}
	return list;
}

json_t *
catalog_view_json(
    const struct repo *repo, const struct repo_backup_entry *e, size_t nsinks)
{
	const struct manifest *m = catalog_view_manifest(e, nsinks, NULL);
	json_t *doc = json_pack("{s:s, s:o, s:o}", "id", e->id, "started",
	    render_json_time(e->started_ms), "ended",
	    render_json_time(e->ended_ms));

	if (m != NULL) {
		(void)json_object_set_new(doc, "kind", render_string(m->kind));
		if (m->parent != NULL)
			(void)json_object_set_new(
			    doc, "parent", render_string(m->parent));
		(void)json_object_set_new(doc, "raw_bytes",
		    json_integer((json_int_t)manifest_raw_size(m)));
		(void)json_object_set_new(doc, "stored_bytes",
		    json_integer((json_int_t)manifest_stored_size(m)));
	}
	(void)json_object_set_new(doc, "copies", copies_json(repo, e, nsinks));
	return doc;
}

json_t *
catalog_view_errors(const struct repo *repo, const struct repo_catalog *catalog)
{
	json_t *list = NULL;

	for (size_t i = 0; i < catalog->nsinks; i++) {
		if (catalog->sink_errors[i].status == HF_OK)
			continue;
		if (list == NULL)
			list = json_array();
		(void)json_array_append_new(list,
		    json_pack("{s:s, s:o}", "sink", repo_sink_name(repo, i),
			"error", render_json_error(&catalog->sink_errors[i])));
	}
	return list;
}
