/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a contents.json: refused with a reason, or written and read
 * back the same.  And any bytes as a name: a part of an object's name. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "layout.h"
#include "plugin/host.h"
#include "postgres.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "fuzz_postgres_contents: %s\n", what);
	abort();
}

static char *
written(const struct contents *c, size_t *len)
{
	struct hf_error err = { 0 };
	char *json = NULL;

	if (contents_write(c, &json, len, &err) != HF_OK)
		die("what was taken cannot be written");
	return json;
}

static void
round_trip(const struct contents *c)
{
	struct hf_error err = { 0 };
	struct contents back;
	size_t len = 0, len2 = 0;
	char *json = written(c, &len), *again;

	if (contents_read(json, len, &back, &err) != HF_OK) {
		error_render(&err, NULL, stderr);
		die("what was written cannot be read");
	}
	again = written(&back, &len2);
	if (len != len2 || memcmp(json, again, len) != 0)
		die("it is not what was written");
	contents_clear(&back);
	free(json);
	free(again);
}

static void
escape(const uint8_t *data, size_t size)
{
	char *name = malloc(size + 1);
	struct text t = { 0 };

	if (name == NULL)
		die("no memory");
	memcpy(name, data, size);
	name[size] = '\0';
	layout_escape(&t, name);
	if (strlen(text_get(&t)) < strlen(name) ||
	    strpbrk(text_get(&t), "./\n") != NULL)
		die("a name that is no part of one");
	text_free(&t);
	free(name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_error err = { 0 };
	struct contents c;

	H = &host_table;
	if (contents_read((const char *)data, size, &c, &err) == HF_OK)
		round_trip(&c);
	else if (err.status == HF_OK || err.cause[0] == '\0' ||
		 c.tables != NULL)
		die("refused without a reason");
	contents_clear(&c);
	escape(data, size);
	return 0;
}
