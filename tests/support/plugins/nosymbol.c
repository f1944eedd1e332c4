/* SPDX-License-Identifier: BSD-2-Clause */
/* A library that is no plugin. */
#include <holdfast/plugin.h>

HF_EXPORT int nosymbol(void);

int
nosymbol(void)
{
	return 0;
}
