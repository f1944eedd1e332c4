/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/basekit.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/memout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
basekit_run(const char *fmt, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void
write_file(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

void
basekit_remove(const char *dir)
{
	basekit_run("rm -rf '%s' '%s'.*", dir, dir);
}

static void
extract_tar(const char *dir, const char *name, const void *bytes, size_t len)
{
	int digits = (int)strspn(name, "0123456789");
	char tar[256], to[256];

	(void)snprintf(tar, sizeof tar, "%s.%s", dir, name);
	(void)snprintf(to, sizeof to, "%s%s%.*s", dir, digits > 0 ? "." : "",
	    digits, name);
	write_file(tar, bytes, len);
	basekit_run("mkdir -p -m 700 '%s' && tar -xf '%s' -C '%s' && rm '%s'",
	    to, tar, to, tar);
	if (digits > 0)
		basekit_run("mkdir -p '%s/pg_tblspc' && "
			    "ln -sfn '%s' '%s/pg_tblspc/%.*s'",
		    dir, to, dir, digits, name);
}

void
basekit_extract(struct memout *m, const char *dir)
{
	char path[256];
	size_t len;

	basekit_remove(dir);
	basekit_run("mkdir -m 700 '%s'", dir);
	for (size_t i = 0; i < memout_count(m); i++) {
		const char *name = memout_name(m, i);
		void *bytes = memout_bytes(m, i, &len);

		if (strstr(name, ".tar") != NULL) {
			extract_tar(dir, name, bytes, len);
			continue;
		}
		(void)snprintf(path, sizeof path, "%s/%s", dir, name);
		write_file(path, bytes, len);
	}
}
