/* SPDX-License-Identifier: BSD-2-Clause */
/* A library that stands where the dynamic linker does not look. */
#include <holdfast/plugin.h>

HF_EXPORT int absent(void);

int
absent(void)
{
	return 42;
}
