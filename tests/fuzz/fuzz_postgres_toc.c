/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as what pg_restore --list prints: refused with a reason, or every
 * entry is its line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plugin/host.h"
#include "postgres.h"
#include "toc.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "fuzz_postgres_toc: %s\n", what);
	abort();
}

static void
look_at(const struct toc_entry *e)
{
	size_t line = strlen(e->line), kind = strlen(e->kind);
	size_t rest = strlen(e->rest);

	if (e->id < 0 || kind == 0 || line < kind + rest + 1)
		die("an entry of nothing");
	if (strcmp(e->line + line - rest, e->rest) != 0 ||
	    e->line[line - rest - 1] != ' ' ||
	    strncmp(e->line + line - rest - 1 - kind, e->kind, kind) != 0)
		die("an entry that is not its line");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_error err = { 0 };
	struct toc toc;

	H = &host_table;
	if (toc_read((const char *)data, size, &toc, &err) != HF_OK) {
		if (err.status == HF_OK || err.cause[0] == '\0' || toc.n != 0)
			die("refused without a reason");
		return 0;
	}
	for (size_t i = 0; i < toc.n; i++)
		look_at(&toc.entries[i]);
	toc_clear(&toc);
	return 0;
}
