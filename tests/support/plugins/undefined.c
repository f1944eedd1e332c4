/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin that uses a function which nothing has. */
#include <holdfast/plugin.h>

int function_that_nothing_has(void);

HF_EXPORT const struct hf_plugin *hf_plugin_v1(const struct hf_host *h);

const struct hf_plugin *
hf_plugin_v1(const struct hf_host *h)
{
	(void)h;
	return function_that_nothing_has() == 0 ? NULL : NULL;
}
