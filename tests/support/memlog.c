/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/memlog.h"

#include "plugin/host.h"

#include <stdio.h>
#include <string.h>

struct memout *
memlog_new(void)
{
	struct memout *m = memout_new();

	memout_log(m);
	return m;
}

int
memlog_put(struct memout *m, const char *name, const void *data, size_t len,
    const char *const *facts)
{
	const struct hf_host *h = &host_table;
	struct hf_writer *w;
	int rc;

	if ((rc = h->out_begin(memout_out(m), name, len, &w, NULL)) != HF_OK)
		return rc;
	if (len > 0 && (rc = h->out_write(w, data, len, NULL)) != HF_OK)
		goto err;
	for (; facts != NULL && *facts != NULL; facts += 2)
		if ((rc = h->writer_fact(w, facts[0], facts[1], NULL)) != HF_OK)
			goto err;
	return h->out_commit(w, NULL);
err:
	h->out_abort(w);
	return rc;
}

int
memlog_remove(struct memout *m, const char *name)
{
	return host_table.log_remove(memout_out(m), name, NULL);
}

void *
memlog_get(struct memout *m, const char *name, size_t *size)
{
	for (size_t i = 0, n = memout_count(m); i < n; i++)
		if (strcmp(memout_name(m, i), name) == 0)
			return memout_bytes(m, i, size);
	return NULL;
}

bool
memlog_has(struct memout *m, const char *name)
{
	for (size_t i = 0, n = memout_count(m); i < n; i++)
		if (strcmp(memout_name(m, i), name) == 0)
			return true;
	return false;
}

struct wanted {
	const char *key;
	char *value;
	size_t cap;
};

static int
take(void *arg, const char *key, const char *value)
{
	struct wanted *w = arg;

	if (strcmp(key, w->key) == 0)
		(void)snprintf(w->value, w->cap, "%s", value);
	return 0;
}

const char *
memlog_fact(struct memout *m, const char *name, const char *key, char *value,
    size_t cap)
{
	struct wanted w = { .key = key, .value = value, .cap = cap };

	value[0] = '\0';
	(void)host_table.log_facts(memout_in(m), name, take, &w, NULL);
	return value;
}
