/* SPDX-License-Identifier: BSD-2-Clause */
#include "raw.h"

#include "base/error.h"
#include "config.h"

int
raw_fail(const struct config *c, const struct config_problem *p,
    struct hf_error *err)
{
	const char *colon = *p->path == '\0' ? "" : ": ";

	if (p->line > 0)
		(void)error_fail(err, HF_E_INVALID, "%s:%d: %s%s%s",
		    c->raw->shown, p->line, p->path, colon, p->text);
	else
		(void)error_fail(err, HF_E_INVALID, "%s: %s%s%s", c->raw->shown,
		    p->path, colon, p->text);
	if (p->hint != NULL)
		error_hint(err, "%s", p->hint);
	return HF_E_INVALID;
}

int
raw_publish(struct config *c, struct hf_error *err)
{
	struct problems *problems = &c->raw->problems;

	problem_sort(problems);
	c->problems = problems->list;
	c->nproblems = problems->n;
	if (problems->failed)
		return error_fail(err, HF_E_NOMEM, "no memory");
	for (size_t i = 0; i < problems->n; i++)
		if (!problems->list[i].warning)
			return raw_fail(c, &problems->list[i], err);
	return HF_OK;
}
