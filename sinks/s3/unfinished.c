/* SPDX-License-Identifier: BSD-2-Clause */
#include "unfinished.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "request.h"
#include "xml.h"

#define NAME_MAX_LEN 3072
#define ID_MAX 1024
#define MINE_MAX 64

struct listing {
	unfinished_fn *fn;
	void *arg;
	int64_t begun;
	bool more;
	char key[NAME_MAX_LEN], id[ID_MAX];
	char next_key[NAME_MAX_LEN], next_id[ID_MAX];
};

static void
keep(char *to, size_t cap, const char *text)
{
	(void)snprintf(to, cap, "%s", text);
}

static int
on_element(void *arg, const char *path, const char *text)
{
	static const char root[] = "ListMultipartUploadsResult/";
	struct listing *l = arg;
	struct unfinished u = { .key = l->key, .id = l->id };
	struct tm tm = { 0 };

	if (strncmp(path, root, sizeof root - 1) != 0)
		return HF_OK;
	path += sizeof root - 1;
	if (strcmp(path, "Upload/Key") == 0)
		keep(l->key, sizeof l->key, text);
	else if (strcmp(path, "Upload/UploadId") == 0)
		keep(l->id, sizeof l->id, text);
	else if (strcmp(path, "Upload/Initiated") == 0)
		l->begun = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL
			       ? 0
			       : (int64_t)timegm(&tm);
	else if (strcmp(path, "IsTruncated") == 0)
		l->more = strcmp(text, "true") == 0;
	else if (strcmp(path, "NextKeyMarker") == 0)
		keep(l->next_key, sizeof l->next_key, text);
	else if (strcmp(path, "NextUploadIdMarker") == 0)
		keep(l->next_id, sizeof l->next_id, text);
	else if (strcmp(path, "Upload") == 0) {
		u.begun = l->begun;
		return l->fn(l->arg, &u);
	}
	return HF_OK;
}

/* One page; markers in the order in which they are signed. */
static int
list_page(struct hf_store *s, struct listing *l, const char *prefix,
    bool unstoppable, int64_t *now, struct hf_error *err)
{
	char key[3 * NAME_MAX_LEN], id[3 * ID_MAX], *query;
	struct request r = { .method = "GET", .unstoppable = unstoppable };
	struct answer a = { 0 };
	int rc;

	request_encode(l->next_key, key, sizeof key);
	request_encode(l->next_id, id, sizeof id);
	if (asprintf(&query, "%s%s%sprefix=%s%s%s&uploads=",
		*key == '\0' ? "" : "key-marker=", key, *key == '\0' ? "" : "&",
		prefix, *id == '\0' ? "" : "&upload-id-marker=", id) < 0)
		return H->fail(err, HF_E_NOMEM, "no memory");
	l->more = false;
	l->next_key[0] = l->next_id[0] = '\0';
	r.query = query;
	rc = request_run(s, &r, &a, "listing unfinished uploads", err);
	if (rc == HF_OK)
		rc = xml_walk(
		    a.body == NULL ? "" : a.body, a.len, on_element, l, err);
	if (rc == HF_OK && l->more && l->next_key[0] == '\0')
		l->more = false;
	if (now != NULL)
		*now = a.date;
	answer_clear(&a);
	free(query);
	return rc;
}

int
unfinished_list(struct hf_store *s, const char *prefix, bool unstoppable,
    unfinished_fn *fn, void *arg, int64_t *now, struct hf_error *err)
{
	struct listing *l = calloc(1, sizeof *l);
	char encoded[NAME_MAX_LEN];
	int rc;

	if (l == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	l->fn = fn;
	l->arg = arg;
	request_encode(prefix, encoded, sizeof encoded);
	do
		rc = list_page(s, l, encoded, unstoppable, now, err);
	while (rc == HF_OK && l->more);
	free(l);
	return rc;
}

int
unfinished_abort(
    struct hf_store *s, const char *key, const char *id, struct hf_error *err)
{
	char encoded[3 * ID_MAX], query[sizeof encoded + 16], what[600];
	struct request r = { .method = "DELETE",
		.key = key,
		.query = query,
		.unstoppable = true };
	struct answer a = { 0 };
	int rc;

	request_encode(id, encoded, sizeof encoded);
	(void)snprintf(query, sizeof query, "uploadId=%s", encoded);
	(void)snprintf(what, sizeof what, "aborting an upload of %s", key);
	rc = request_run(s, &r, &a, what, err);
	if (a.status == 404)
		rc = HF_OK;
	answer_clear(&a);
	return rc;
}

struct mine {
	const char *key;
	char *ids[MINE_MAX];
	size_t n;
};

static int
on_mine(void *arg, const struct unfinished *u)
{
	struct mine *m = arg;

	if (strcmp(u->key, m->key) == 0 && m->n < MINE_MAX &&
	    (m->ids[m->n] = strdup(u->id)) != NULL)
		m->n++;
	return HF_OK;
}

int
unfinished_abort_all(struct hf_store *s, const char *key, struct hf_error *err)
{
	struct mine m = { .n = 0 };
	char *whole;
	int rc, one;

	if (asprintf(&whole, "%s%s%s",
		s->conf.prefix == NULL ? "" : s->conf.prefix,
		s->conf.prefix == NULL ? "" : "/", key) < 0)
		return H->fail(err, HF_E_NOMEM, "no memory");
	m.key = whole;
	rc = unfinished_list(s, whole, true, on_mine, &m, NULL, err);
	for (size_t i = 0; i < m.n; i++) {
		one = unfinished_abort(
		    s, key, m.ids[i], rc == HF_OK ? err : NULL);
		if (rc == HF_OK)
			rc = one;
		free(m.ids[i]);
	}
	free(whole);
	return rc;
}
