/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/logfix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/host.h"

#define H (&host_table)

void
logfix_begin(struct logfix *l)
{
	memset(l, 0, sizeof *l);
	repofix_begin(&l->x);
}

void
logfix_end(struct logfix *l)
{
	logfix_close(l);
	repofix_end(&l->x);
}

void
logfix_open(struct logfix *l, const char *sinks, const char *pipeline)
{
	char text[1024];

	logfix_close(l);
	(void)snprintf(text, sizeof text,
	    "\"from\":{\"engine\":\"testengine\"},%s", pipeline);
	repofix_open(&l->x, sinks, text);
	assert_int_equal(repo_log_open(l->x.repo, &l->log, &l->err), HF_OK);
}

void
logfix_close(struct logfix *l)
{
	repo_log_close(l->log);
	l->log = NULL;
	repofix_close(&l->x);
}

void
logfix_mark(struct logfix *l, const char *name, bool there)
{
	const char *path = repofix_path(&l->x, "%s", name);
	FILE *f;

	if (!there) {
		(void)unlink(path);
		return;
	}
	assert_non_null(f = fopen(path, "w"));
	(void)fclose(f);
}

int
logfix_push(struct logfix *l, const char *name, const void *data, size_t len,
    struct hf_error *err)
{
	const uint8_t *p = data;
	struct hf_writer *w;
	int rc;

	error_clear(err);
	rc = H->out_begin(repo_log_out(l->log), name, len, &w, err);
	if (rc != HF_OK)
		return rc;
	if ((rc = H->writer_fact(w, "lsn", "0/0", err)) != HF_OK ||
	    (rc = H->writer_fact(w, "lsn", "0/1", err)) != HF_OK)
		goto err0;
	for (size_t at = 0; at < len;) {
		size_t n = len - at > 100000 ? 100000 : len - at;

		if ((rc = H->out_write(w, p + at, n, err)) != HF_OK)
			goto err0;
		at += n;
	}
	return H->out_commit(w, err);

err0:
	H->out_abort(w);
	return rc;
}

int
logfix_push_text(struct logfix *l, const char *name, const char *text)
{
	return logfix_push(l, name, text, strlen(text), &l->err);
}

int
logfix_get(struct logfix *l, const char *name, const void *data, size_t len,
    struct hf_error *err)
{
	const uint8_t *want = data;
	uint8_t buf[4096];
	struct hf_reader *r;
	size_t at = 0, n;
	int rc;

	error_clear(err);
	rc = H->in_open(repo_log_in(l->log), name, 0, UINT64_MAX, &r, err);
	if (rc != HF_OK)
		return rc;
	while ((rc = H->in_read(r, buf, sizeof buf, &n, err)) == HF_OK) {
		if (n == 0 || n > len - at || memcmp(buf, want + at, n) != 0) {
			rc = HF_E_BUG;
			break;
		}
		at += n;
	}
	H->in_close(r);
	if (rc == HF_EOF)
		return at == len ? HF_OK : HF_E_BUG;
	return rc;
}

int
logfix_get_text(struct logfix *l, const char *name, const char *text)
{
	return logfix_get(l, name, text, strlen(text), &l->err);
}

static int
add_name(void *arg, const struct hf_object *o)
{
	char *names = arg;
	size_t len = strlen(names);

	assert_int_equal(o->size, 0);
	(void)snprintf(names + len, 1024 - len, "%s ", o->key);
	return 0;
}

const char *
logfix_names(struct logfix *l)
{
	static char names[1024];

	names[0] = '\0';
	assert_int_equal(
	    H->in_list(repo_log_in(l->log), add_name, names, &l->err), HF_OK);
	return names;
}

size_t
logfix_files(struct logfix *l, const char *sink, const char *text)
{
	char **list = repofix_files(repofix_path(&l->x, "%s/shop/wal", sink));
	size_t n = 0;

	for (char **p = list; *p != NULL; p++)
		n += strstr(*p, text) != NULL;
	repofix_files_free(list);
	return n;
}

const char *
logfix_file(struct logfix *l, const char *sink, const char *text)
{
	char sub[64];
	const char *path;

	assert_int_equal(logfix_files(l, sink, text), 1);
	(void)snprintf(sub, sizeof sub, "%s/shop/wal", sink);
	path = repofix_find(&l->x, sub, text);
	assert_non_null(path);
	return path;
}
