/* SPDX-License-Identifier: BSD-2-Clause */
#include "why.h"

#include <stdarg.h>
#include <stdio.h>

int
why_say(char why[WHY_MAX], int status, const char *fmt, ...)
{
	va_list ap;

	if (why == NULL)
		return status;
	va_start(ap, fmt);
	(void)vsnprintf(why, WHY_MAX, fmt, ap);
	va_end(ap);
	return status;
}
