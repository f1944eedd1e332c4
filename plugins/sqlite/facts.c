/* SPDX-License-Identifier: BSD-2-Clause */
#include "facts.h"

#include "code.h"
#include "sqlite.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool
add_column(EVP_MD_CTX *md, sqlite3_stmt *st, int i)
{
	const void *text = sqlite3_column_text(st, i);
	int n = sqlite3_column_bytes(st, i);
	uint8_t head[5];

	/* Length first, so that no two schemas read the same; 0xff is NULL. */
	head[0] = text == NULL ? 0xff : 0;
	head[1] = (uint8_t)(n >> 24);
	head[2] = (uint8_t)(n >> 16);
	head[3] = (uint8_t)(n >> 8);
	head[4] = (uint8_t)n;
	if (EVP_DigestUpdate(md, head, sizeof head) != 1)
		return false;
	return n == 0 || EVP_DigestUpdate(md, text, (size_t)n) == 1;
}

static int
hash_rows(EVP_MD_CTX *md, sqlite3_stmt *st, int64_t *tables)
{
	const char *type;
	int i, rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		type = (const char *)sqlite3_column_text(st, 0);
		if (type != NULL && strcmp(type, "table") == 0)
			(*tables)++;
		for (i = 0; i < 4; i++)
			if (!add_column(md, st, i))
				return SQLITE_NOMEM;
	}
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
facts_schema(sqlite3 *db, char hex[FACTS_HASH], int64_t *tables)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	sqlite3_stmt *st = NULL;
	EVP_MD_CTX *md;
	unsigned n = 0, i;
	int rc;

	*tables = 0;
	hex[0] = '\0';
	if ((md = EVP_MD_CTX_new()) == NULL)
		return SQLITE_NOMEM;
	rc = sqlite3_prepare_v2(db,
	    "SELECT type, name, tbl_name, sql FROM main.sqlite_master"
	    " ORDER BY type, name, tbl_name, sql",
	    -1, &st, NULL);
	if (rc != SQLITE_OK)
		goto done;
	rc = SQLITE_NOMEM;
	if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		goto done;
	if ((rc = hash_rows(md, st, tables)) != SQLITE_OK)
		goto done;
	rc = SQLITE_NOMEM;
	if (EVP_DigestFinal_ex(md, sum, &n) != 1 || n != 32)
		goto done;
	for (i = 0; i < n; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	rc = SQLITE_OK;
done:
	(void)sqlite3_finalize(st);
	EVP_MD_CTX_free(md);
	return rc;
}

int
facts_number(
    struct hf_out *out, const char *key, int64_t value, struct hf_error *err)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%" PRId64, value);
	return H->out_fact(out, key, text, err);
}

/* Each is asked for with "PRAGMA main.NAME". */
static const char *const pragmas[] = { "encoding", "user_version",
	"application_id", "auto_vacuum", "schema_version", "freelist_count",
	NULL };

static int
tell_pragmas(struct source *s, struct hf_out *out, struct hf_error *err)
{
	char sql[64], text[64];
	size_t i;
	int rc;

	for (i = 0; pragmas[i] != NULL; i++) {
		(void)snprintf(sql, sizeof sql, "PRAGMA main.%s", pragmas[i]);
		rc = database_text(s->db, sql, text, sizeof text);
		if (rc != SQLITE_OK)
			return code_fail(
			    s->db, rc, err, "%s of %s", pragmas[i], s->path);
		if ((rc = H->out_fact(out, pragmas[i], text, err)) != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
tell_file(struct source *s, struct hf_out *out, struct hf_error *err)
{
	char mode[8];
	struct stat st;
	int rc;

	if ((rc = H->out_fact(out, "path", s->engine->conf.path, err)) != HF_OK)
		return rc;
	if (stat(s->path, &st) != 0)
		return HF_OK; /* gone by now: nothing to tell */
	(void)snprintf(
	    mode, sizeof mode, "%04o", (unsigned)(st.st_mode & 07777));
	if ((rc = H->out_fact(out, "file_mode", mode, err)) != HF_OK ||
	    (rc = facts_number(out, "file_uid", st.st_uid, err)) != HF_OK)
		return rc;
	return facts_number(out, "file_gid", st.st_gid, err);
}

int
facts_tell(struct source *s, struct hf_out *out, struct hf_error *err)
{
	char hash[FACTS_HASH];
	int64_t tables;
	int rc;

	if ((rc = H->out_fact(
		 out, "sqlite_version", sqlite3_libversion(), err)) != HF_OK ||
	    (rc = H->out_fact(out, "journal_mode", s->wal ? "wal" : "delete",
		 err)) != HF_OK ||
	    (rc = facts_number(out, "page_size", s->page_size, err)) != HF_OK ||
	    (rc = facts_number(out, "page_count", s->page_count, err)) !=
		HF_OK ||
	    (rc = tell_file(s, out, err)) != HF_OK ||
	    (rc = tell_pragmas(s, out, err)) != HF_OK)
		return rc;
	/* Nobody may insist on a check of what cannot be parsed. */
	if (s->odd_schema &&
	    (rc = H->out_fact(out, "schema_readable", "no", err)) != HF_OK)
		return rc;
	rc = facts_schema(s->db, hash, &tables);
	if (rc != SQLITE_OK)
		return code_fail(
		    s->db, rc, err, "reading the schema of %s", s->path);
	if ((rc = H->out_fact(out, "schema_sha256", hash, err)) != HF_OK)
		return rc;
	return facts_number(out, "tables", tables, err);
}
