/* SPDX-License-Identifier: BSD-2-Clause */
/* The public header alone, as C++. */
#include <holdfast/plugin.h>

static const struct hf_host *host;

static hf_plugin
make()
{
	hf_plugin p = {};

	p.struct_size = sizeof p;
	p.abi_major = HF_ABI_MAJOR;
	p.abi_minor = HF_ABI_MINOR;
	p.option_size = sizeof(hf_option);
	p.name = "header";
	return p;
}

static const hf_plugin plugin = make();

bool header_has_folder();

bool
header_has_folder()
{
	return HF_HAS(hf_host, host, folder);
}

extern "C" {
HF_REGISTER(plugin, host);
}
