/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin that needs a library which is not found. */
#include <holdfast/plugin.h>

int absent(void);

HF_EXPORT const struct hf_plugin *hf_plugin_v1(const struct hf_host *h);

const struct hf_plugin *
hf_plugin_v1(const struct hf_host *h)
{
	(void)h;
	return absent() == 42 ? NULL : NULL;
}
