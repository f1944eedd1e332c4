/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "postgres.h"

const struct hf_host *H;

int
postgres_fail_hint(
    struct hf_error *err, int status, const char *hint, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	H->fail(err, status, "%s", text);
	if (hint != NULL)
		H->fail_note(err, "hint", hint);
	return status;
}

int
postgres_nomem(struct hf_error *err)
{
	return H->fail(err, HF_E_NOMEM, "no memory");
}
