/* SPDX-License-Identifier: BSD-2-Clause */
#include "attributes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "request.h"

#define TAGS_COUNT 10

void
attributes_add(struct attributes *a, const char *fmt, const char *value)
{
	if (value == NULL || *value == '\0' || a->n == 10)
		return;
	(void)snprintf(a->lines[a->n], sizeof a->lines[a->n], fmt, value);
	a->list[a->n] = a->lines[a->n];
	a->n++;
}

int
attributes_tags(
    const char *const *tags, char *text, size_t cap, struct hf_error *err)
{
	size_t n = 0, count = 0;

	text[0] = '\0';
	for (; tags != NULL && *tags != NULL; tags++, count++) {
		const char *value = strchr(*tags, '=');
		char name[512], encoded[3 * sizeof name];
		size_t len = value == NULL ? 0 : (size_t)(value - *tags);

		if (len == 0 || len > 128 || strlen(value + 1) > 256 ||
		    count == TAGS_COUNT)
			return H->fail(err, HF_E_INVALID,
			    "tags must be at most ten of the form \"name="
			    "value\", names of 128 bytes, values of 256");
		(void)snprintf(name, sizeof name, "%.*s", (int)len, *tags);
		request_encode(name, encoded, sizeof encoded);
		n += (size_t)snprintf(
		    text + n, cap - n, "%s%s=", n > 0 ? "&" : "", encoded);
		request_encode(value + 1, encoded, sizeof encoded);
		if (n < cap)
			n += (size_t)snprintf(text + n, cap - n, "%s", encoded);
		if (n >= cap)
			return H->fail(err, HF_E_INVALID,
			    "tags are longer than %zu bytes together", cap - 1);
	}
	return HF_OK;
}

void
attributes_fill(struct hf_store *s, bool locked, struct attributes *a)
{
	const struct conf *c = &s->conf;
	char until[32], tags[TAGS_MAX];

	a->n = 0;
	memset(a->list, 0, sizeof a->list);
	attributes_add(a, "x-amz-storage-class: %s", c->storage_class);
	if (strcmp(c->sse, "none") != 0)
		attributes_add(a, "x-amz-server-side-encryption: %s", c->sse);
	attributes_add(
	    a, "x-amz-server-side-encryption-aws-kms-key-id: %s", c->kms_key);
	/* Checked when the options were. */
	if (attributes_tags(c->tags, tags, sizeof tags, NULL) == HF_OK)
		attributes_add(a, "x-amz-tagging: %s", tags);
	if (locked && c->lock > 0) {
		time_t end = (time_t)(request_time(s) + (c->lock + 999) / 1000);
		struct tm tm;

		(void)gmtime_r(&end, &tm);
		(void)strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &tm);
		attributes_add(a, "x-amz-object-lock-mode: %s", c->lock_mode);
		attributes_add(
		    a, "x-amz-object-lock-retain-until-date: %s", until);
	}
}
