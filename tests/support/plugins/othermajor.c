/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin for a later major version: only its symbol is known here. */
#include <holdfast/plugin.h>

HF_EXPORT const void *hf_plugin_v2(const void *host);

const void *
hf_plugin_v2(const void *host)
{
	return host;
}
