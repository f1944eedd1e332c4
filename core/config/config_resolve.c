/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "base/error.h"
#include "item.h"
#include "plugin/options.h"
#include "raw.h"
#include "settings.h"

int
config_resolve(const struct config *c, const struct config_item *item,
    struct options **out, struct hf_error *err)
{
	struct problems problems = { 0 };
	int rc;

	*out = NULL;
	if (item->plugin == NULL)
		return error_fail(err, HF_E_INVALID,
		    "%s: the plugin of %s could not be loaded", c->raw->shown,
		    item->json_path);
	problems.text = c->raw->problems.text;
	rc = item_parse(c, item, true, 0, &problems, out, err);
	problem_sort(&problems);
	if (rc == HF_OK && problems.failed)
		rc = error_fail(err, HF_E_NOMEM, "no memory");
	else if (rc == HF_OK && problems.n > 0)
		rc = raw_fail(c, &problems.list[0], err);
	if (rc != HF_OK) {
		options_free(*out);
		*out = NULL;
	}
	problem_free(&problems);
	return rc;
}

static int
validate_item(
    struct config *c, const struct config_item *item, struct hf_error *err)
{
	struct options *options;
	int rc;

	if (item->plugin == NULL)
		return HF_OK;
	rc = item_parse(c, item, true, 0, &c->raw->problems, &options, err);
	options_free(options);
	return rc;
}

int
config_validate(struct config *c, struct hf_error *err)
{
	int rc;

	/* Without a document there is nothing to resolve. */
	if (c->merged == NULL)
		return raw_publish(c, err);
	rc = settings_validate(c, err);
	for (size_t i = 0; i < c->nfilters && rc == HF_OK; i++)
		rc = validate_item(c, &c->filters[i], err);
	for (size_t i = 0; i < c->nsinks && rc == HF_OK; i++)
		rc = validate_item(c, &c->sinks[i].item, err);
	for (size_t i = 0; i < c->npipelines; i++) {
		const struct config_pipeline *p = &c->pipelines[i];

		for (size_t j = 0; j < p->nsources && rc == HF_OK; j++)
			rc = validate_item(c, &p->sources[j], err);
	}
	if (rc == HF_E_NOMEM) {
		(void)raw_publish(c, NULL);
		return rc;
	}
	return raw_publish(c, err);
}
