/* SPDX-License-Identifier: BSD-2-Clause */
/* The public header alone, as C. */
#include <holdfast/plugin.h>

static const struct hf_host *host;

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.name = "header",
};

HF_EXPORT bool header_has_folder(void);

bool
header_has_folder(void)
{
	return HF_HAS(struct hf_host, host, folder);
}

HF_REGISTER(plugin, host);
