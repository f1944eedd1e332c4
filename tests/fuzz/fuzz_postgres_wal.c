/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a WAL segment, as a history, and as the name of a WAL file:
 * refused with a reason, or read; a name that is read is written the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plugin/host.h"
#include "postgres.h"
#include "wal/history.h"
#include "wal/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "fuzz_postgres_wal: %s\n", what);
	abort();
}

static int
look_at(void *arg, const struct segment_event *e)
{
	lsn_t *last = arg;

	if (e->end <= e->start || e->start < *last)
		die("an event out of order");
	if (e->name != NULL && strlen(e->name) > 63)
		die("a name that does not end");
	*last = e->start;
	return 0;
}

static void
walk(const uint8_t *data, size_t size)
{
	struct hf_error err = { 0 };
	struct segment_facts facts;
	struct segment_header h;
	struct segment_walk *w;
	lsn_t last = 0;
	int rc;

	segment_facts(data, size, &facts);
	rc = segment_header(data, size, "fuzz", &h, &err);
	if ((rc == HF_OK) == (err.cause[0] != '\0'))
		die("a header without a reason");
	error_clear(&err);
	if (segment_walk_new(look_at, &last, &w, &err) != HF_OK)
		die("no memory");
	rc = segment_walk_feed(w, data, size, "fuzz", &err);
	if ((rc < HF_OK) != (err.cause[0] != '\0'))
		die("refused without a reason");
	segment_walk_free(w);
}

static void
name(const uint8_t *data, size_t size)
{
	char text[WAL_LOG_MAX + 8], back[WAL_LOG_MAX];
	struct wal_name n;
	uint64_t system;
	uint32_t segment = (uint32_t)1 << (20 + size % 11);
	lsn_t lsn;

	size = size < sizeof text - 1 ? size : sizeof text - 1;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)lsn_parse(text, &lsn);
	if (wal_name_of_log(text, segment, &system, &n)) {
		wal_name_log(&n, system, segment, back);
		if (strcmp(text, back) != 0)
			die("a name that is written otherwise");
	}
}

static void
history(const uint8_t *data, size_t size)
{
	struct history h;
	char why[WHY_MAX] = "";

	if (history_parse(data, size, 9, &h, why) == HF_OK) {
		if (h.n == 0 || history_end(&h, h.entries[0].timeline) == 0)
			die("a history of nothing");
		history_clear(&h);
	} else if (why[0] == '\0') {
		die("a history refused without a reason");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	H = &host_table;
	walk(data, size);
	name(data, size);
	history(data, size);
	return 0;
}
