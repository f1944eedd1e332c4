/* SPDX-License-Identifier: BSD-2-Clause */
/* A store that keeps all objects in one SQLite file: easy to carry about, to
 * query and to hand to somebody, and nothing in it is ever half written.
 *
 * An object is a row of `objects` that points to a body, and a body is pieces
 * of at most 1 MiB.  Pieces are written as they come; the row that makes them
 * an object is written in the transaction of the commit, so that a body whose
 * put never ended is seen by nobody and cleared when it is a day old.
 */
#include <holdfast/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (1 << 20)

static const struct hf_host *H;

struct conf {
	const char *path;
	int64_t busy_timeout;
};

struct hf_store {
	const struct conf *conf; /* valid until close */
	sqlite3 *db;
};

struct hf_put {
	struct hf_store *store;
	char *key;
	bool if_absent;
	char if_match[72];
	int64_t body, pieces, size;
	size_t len; /* of buf */
	uint8_t buf[PIECE];
};

/* A get has a connection of its own, and so a snapshot of its own: what is put
 * while it reads does not touch it. */
struct hf_get {
	sqlite3 *db;
	sqlite3_blob *blob; /* the piece that is being read, or NULL */
	int64_t body, piece;
	uint64_t at, end;
};

/* ---- SQLite ---- */

/* The one table of SQLite's codes to statuses. */
static int
failed(sqlite3 *db, struct hf_error *err, const char *doing)
{
	int code = db == NULL ? SQLITE_NOMEM : sqlite3_extended_errcode(db);
	int status;

	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		status = HF_E_TRANSIENT;
		break;
	case SQLITE_FULL:
		status = HF_E_NOSPACE;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		status = HF_E_CORRUPT;
		break;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		status = HF_E_DENIED;
		break;
	case SQLITE_NOMEM:
		status = HF_E_NOMEM;
		break;
	default:
		status = HF_E_IO;
	}
	return H->fail(err, status, "%s: %s", doing,
	    db == NULL ? "out of memory" : sqlite3_errmsg(db));
}

static int
run(sqlite3 *db, const char *sql, struct hf_error *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(db, err, sql);
	return HF_OK;
}

/* A statement with up to three values: each of types is 's' or 'i'. */
static int
prepare(sqlite3 *db, sqlite3_stmt **out, struct hf_error *err, const char *sql,
    const char *types, ...)
{
	va_list ap;

	if (sqlite3_prepare_v2(db, sql, -1, out, NULL) != SQLITE_OK)
		return failed(db, err, sql);
	va_start(ap, types);
	for (int i = 1; *types != '\0'; i++, types++)
		if (*types == 's')
			(void)sqlite3_bind_text(*out, i,
			    va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		else
			(void)sqlite3_bind_int64(*out, i, va_arg(ap, int64_t));
	va_end(ap);
	return HF_OK;
}

/* Step a statement that gives no rows, and finalize it. */
static int
finish(sqlite3 *db, sqlite3_stmt *st, struct hf_error *err, const char *doing)
{
	int status = HF_OK;

	if (sqlite3_step(st) != SQLITE_DONE)
		status = failed(db, err, doing);
	(void)sqlite3_finalize(st);
	return status;
}

static int
connect_to(const struct conf *c, sqlite3 **out, struct hf_error *err)
{
	sqlite3 *db = NULL;
	int status;

	if (sqlite3_open_v2(c->path, &db, SQLITE_OPEN_READWRITE, NULL) !=
	    SQLITE_OK) {
		status = failed(db, err, "opening the cabinet");
		(void)sqlite3_close(db);
		return status;
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, (int)c->busy_timeout);
	*out = db;
	return HF_OK;
}

/* ---- life ---- */

static int
cabinet_validate(const void *conf, struct hf_error *err)
{
	const struct conf *c = conf;

	if (c->busy_timeout <= 3600 * 1000)
		return HF_OK;
	(void)H->fail(err, HF_E_INVALID, "busy_timeout is longer than an hour");
	H->fail_note(err, "hint", "Write a minute or two.");
	return HF_E_INVALID;
}

static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;" /* a commit is durable */
    "CREATE TABLE IF NOT EXISTS bodies("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS pieces("
    "  id INTEGER PRIMARY KEY, body INTEGER NOT NULL, n INTEGER NOT NULL,"
    "  data BLOB NOT NULL, UNIQUE(body, n));"
    "CREATE TABLE IF NOT EXISTS objects("
    "  key TEXT PRIMARY KEY, body INTEGER NOT NULL UNIQUE,"
    "  size INTEGER NOT NULL, mtime INTEGER NOT NULL) WITHOUT ROWID;"
    /* what a killed process left */
    "BEGIN IMMEDIATE;"
    "DELETE FROM bodies WHERE started < strftime('%s', 'now') - 86400"
    "  AND id NOT IN (SELECT body FROM objects);"
    "DELETE FROM pieces WHERE body NOT IN (SELECT id FROM bodies);"
    "COMMIT;";

static void
cabinet_close(struct hf_store *s)
{
	(void)sqlite3_close(s->db);
	free(s);
}

static int
cabinet_open(const struct hf_ctx *ctx, const void *conf, struct hf_store **out,
    struct hf_error *err)
{
	const struct conf *c = conf;
	struct hf_store *s;
	int fd, status;

	(void)ctx;
	/* Made here for its mode.  One that is there is not opened: closing
	 * it would drop the locks of SQLite's own descriptors. */
	fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return H->fail_errno(err, errno, "cannot make %s", c->path);
	if (fd >= 0)
		(void)close(fd);
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	s->conf = c;
	status = connect_to(c, &s->db, err);
	if (status == HF_OK)
		status = run(s->db, schema, err);
	if (status != HF_OK) {
		(void)H->fail_context(err, "opening %s", c->path);
		cabinet_close(s);
		return status;
	}
	*out = s;
	return HF_OK;
}

static uint32_t
cabinet_caps(struct hf_store *s)
{
	(void)s;
	return HF_CAP_RANGE | HF_CAP_IF_ABSENT | HF_CAP_IF_MATCH;
}

static int
cabinet_check(
    struct hf_store *s, hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.check = "cabinet",
		.result = "can be written" };
	int status = run(s->db, "BEGIN IMMEDIATE", err);

	if (status != HF_OK) {
		f.verdict = HF_FAIL;
		f.result = sqlite3_errmsg(s->db);
		f.hint = "Look at the mode of the file and its folder.";
		return cb(arg, &f);
	}
	(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return cb(arg, &f);
}

/* ---- put ---- */

static int
remove_body(sqlite3 *db, int64_t body, struct hf_error *err)
{
	static const char *const steps[] = {
		"DELETE FROM pieces WHERE body = ?1",
		"DELETE FROM bodies WHERE id = ?1"
	};
	int status = HF_OK;

	for (size_t i = 0; i < 2 && status == HF_OK; i++) {
		sqlite3_stmt *st;

		status = prepare(db, &st, err, steps[i], "i", body);
		if (status == HF_OK)
			status = finish(db, st, err, "removing a body");
	}
	return status;
}

/* What cannot be removed now is cleared by a later open. */
static void
cabinet_put_abort(struct hf_put *p)
{
	(void)remove_body(p->store->db, p->body, NULL);
	free(p->key);
	free(p);
}

static int
cabinet_put(struct hf_store *s, const char *key, const struct hf_put_opts *opts,
    struct hf_put **out, struct hf_error *err)
{
	struct hf_put *p;
	int status;

	if ((opts->flags & ~HF_PUT_IF_ABSENT) != 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "put flags 0x%x are not known", opts->flags);
	p = calloc(1, sizeof *p);
	if (p == NULL || (p->key = strdup(key)) == NULL) {
		free(p);
		return H->fail(err, HF_E_NOMEM, "out of memory");
	}
	p->store = s;
	p->if_absent = (opts->flags & HF_PUT_IF_ABSENT) != 0;
	if (opts->if_match != NULL)
		(void)snprintf(
		    p->if_match, sizeof p->if_match, "%s", opts->if_match);
	status = run(s->db,
	    "INSERT INTO bodies(started) VALUES(strftime('%s', 'now'))", err);
	if (status != HF_OK) {
		free(p->key);
		free(p);
		return status;
	}
	p->body = sqlite3_last_insert_rowid(s->db);
	*out = p;
	return HF_OK;
}

static int
flush_piece(struct hf_put *p, struct hf_error *err)
{
	sqlite3 *db = p->store->db;
	sqlite3_stmt *st;
	int status = prepare(db, &st, err,
	    "INSERT INTO pieces(body, n, data) VALUES(?1, ?2, ?3)", "ii",
	    p->body, p->pieces);

	if (status != HF_OK)
		return status;
	(void)sqlite3_bind_blob(st, 3, p->buf, (int)p->len, SQLITE_STATIC);
	status = finish(db, st, err, "storing a piece");
	p->pieces++;
	p->len = 0;
	return status;
}

static int
cabinet_put_write(
    struct hf_put *p, const void *buf, size_t len, struct hf_error *err)
{
	const uint8_t *from = buf;

	while (len > 0) {
		size_t n = sizeof p->buf - p->len;
		int status;

		if (n > len)
			n = len;
		memcpy(p->buf + p->len, from, n);
		p->len += n;
		p->size += (int64_t)n;
		from += n;
		len -= n;
		if (p->len == sizeof p->buf &&
		    (status = flush_piece(p, err)) != HF_OK)
			return status;
	}
	return HF_OK;
}

static void
tell_etag(int64_t body, struct hf_object *o)
{
	(void)snprintf(o->etag, sizeof o->etag, "%" PRId64, body);
}

/* Inside the transaction: what stands under the key now?  0: nothing. */
static int
present_body(struct hf_put *p, int64_t *body, struct hf_error *err)
{
	sqlite3 *db = p->store->db;
	sqlite3_stmt *st;
	int rc, status = prepare(db, &st, err,
		    "SELECT body FROM objects WHERE key = ?1", "s", p->key);

	if (status != HF_OK)
		return status;
	rc = sqlite3_step(st);
	*body = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		status = failed(db, err, "looking for the key");
	(void)sqlite3_finalize(st);
	return status;
}

static int
publish(struct hf_put *p, struct hf_error *err)
{
	sqlite3 *db = p->store->db;
	struct hf_object now = { .struct_size = sizeof now };
	sqlite3_stmt *st;
	int64_t old;
	int status = present_body(p, &old, err);

	if (status != HF_OK)
		return status;
	tell_etag(old, &now);
	if ((p->if_absent && old != 0) ||
	    (p->if_match[0] != '\0' && strcmp(p->if_match, now.etag) != 0))
		return H->fail(
		    err, HF_E_EXISTS, "%s is there in another version", p->key);
	status = remove_body(db, old, err);
	if (status == HF_OK)
		status = prepare(db, &st, err,
		    "REPLACE INTO objects(key, body, size, mtime) "
		    "VALUES(?1, ?2, ?3, strftime('%s', 'now'))",
		    "sii", p->key, p->body, p->size);
	if (status == HF_OK)
		status = finish(db, st, err, "storing the object");
	return status;
}

static int
cabinet_stat(struct hf_store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	sqlite3_stmt *st;
	int rc, status = prepare(s->db, &st, err,
		    "SELECT size, mtime, body FROM objects WHERE key = ?1", "s",
		    key);

	if (status != HF_OK)
		return status;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		out->size = (uint64_t)sqlite3_column_int64(st, 0);
		out->mtime = sqlite3_column_int64(st, 1);
		tell_etag(sqlite3_column_int64(st, 2), out);
	} else if (rc == SQLITE_DONE) {
		status = H->fail(err, HF_E_NOTFOUND, "no object %s", key);
	} else {
		status = failed(s->db, err, "looking for the key");
	}
	(void)sqlite3_finalize(st);
	return status;
}

static int
cabinet_put_commit(
    struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	struct hf_store *s = p->store;
	int status = run(s->db, "BEGIN IMMEDIATE", err);

	if (status != HF_OK) {
		cabinet_put_abort(p);
		return status;
	}
	if (p->len > 0)
		status = flush_piece(p, err);
	if (status == HF_OK)
		status = publish(p, err);
	if (status == HF_OK && out != NULL)
		status = cabinet_stat(s, p->key, out, err);
	if (status == HF_OK)
		status = run(s->db, "COMMIT", err);
	if (status != HF_OK) {
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		cabinet_put_abort(p);
		return status;
	}
	free(p->key);
	free(p);
	return HF_OK;
}

/* ---- get ---- */

static void
cabinet_get_close(struct hf_get *g)
{
	(void)sqlite3_blob_close(g->blob);
	(void)sqlite3_close(g->db);
	free(g);
}

static int
find_object(struct hf_get *g, const char *key, uint64_t off, uint64_t len,
    struct hf_error *err)
{
	struct hf_store view = { .db = g->db };
	struct hf_object o = { .struct_size = sizeof o };
	int status = run(g->db, "BEGIN", err);

	if (status == HF_OK)
		status = cabinet_stat(&view, key, &o, err);
	if (status != HF_OK)
		return status;
	if (off > o.size)
		return H->fail(err, HF_E_INVALID,
		    "%s has %" PRIu64 " bytes, asked for from %" PRIu64, key,
		    o.size, off);
	g->body = (int64_t)strtoll(o.etag, NULL, 10);
	g->piece = -1;
	g->at = off;
	g->end = len < o.size - off ? off + len : o.size;
	return HF_OK;
}

static int
cabinet_get(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **out, struct hf_error *err)
{
	struct hf_get *g = calloc(1, sizeof *g);
	int status;

	if (g == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	status = connect_to(s->conf, &g->db, err);
	if (status == HF_OK)
		status = find_object(g, key, off, len, err);
	if (status != HF_OK) {
		cabinet_get_close(g);
		return status;
	}
	*out = g;
	return HF_OK;
}

static int
open_piece(struct hf_get *g, int64_t n, struct hf_error *err)
{
	sqlite3_stmt *st;
	int status = prepare(g->db, &st, err,
	    "SELECT id FROM pieces WHERE body = ?1 AND n = ?2", "ii", g->body,
	    n);
	int64_t id;

	if (status != HF_OK)
		return status;
	if (sqlite3_step(st) != SQLITE_ROW) {
		(void)sqlite3_finalize(st);
		return H->fail(err, HF_E_CORRUPT,
		    "piece %" PRId64 " of the object is missing", n);
	}
	id = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_blob_close(g->blob);
	g->blob = NULL;
	if (sqlite3_blob_open(
		g->db, "main", "pieces", "data", id, 0, &g->blob) != SQLITE_OK)
		return failed(g->db, err, "opening a piece");
	g->piece = n;
	return HF_OK;
}

static int
cabinet_get_read(
    struct hf_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	int64_t piece = (int64_t)(g->at / PIECE);
	size_t off = (size_t)(g->at % PIECE);
	int status;

	*n = 0;
	if (g->at == g->end)
		return HF_EOF;
	if (piece != g->piece && (status = open_piece(g, piece, err)) != HF_OK)
		return status;
	if (cap > PIECE - off)
		cap = PIECE - off;
	if (cap > g->end - g->at)
		cap = (size_t)(g->end - g->at);
	if (sqlite3_blob_read(g->blob, buf, (int)cap, (int)off) != SQLITE_OK)
		return failed(g->db, err, "reading a piece");
	g->at += cap;
	*n = cap;
	return HF_OK;
}

/* ---- list, remove ---- */

static int
cabinet_list(struct hf_store *s, const char *prefix, hf_list_fn *cb, void *arg,
    struct hf_error *err)
{
	sqlite3_stmt *st;
	int rc, status = prepare(s->db, &st, err,
		    "SELECT key, size, mtime, body FROM objects "
		    "WHERE key >= ?1 AND key < ?1 || char(127)",
		    "s", prefix);

	if (status != HF_OK)
		return status;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && status == HF_OK) {
		struct hf_object o = { .struct_size = sizeof o };

		o.key = (const char *)sqlite3_column_text(st, 0);
		o.size = (uint64_t)sqlite3_column_int64(st, 1);
		o.mtime = sqlite3_column_int64(st, 2);
		tell_etag(sqlite3_column_int64(st, 3), &o);
		status = cb(arg, &o);
	}
	if (status == HF_OK && rc != SQLITE_DONE)
		status = failed(s->db, err, "listing");
	(void)sqlite3_finalize(st);
	return status;
}

static int
cabinet_remove(struct hf_store *s, const char *key, struct hf_error *err)
{
	static const char *const steps[] = {
		"DELETE FROM pieces WHERE body = "
		"(SELECT body FROM objects WHERE key = ?1)",
		"DELETE FROM bodies WHERE id = "
		"(SELECT body FROM objects WHERE key = ?1)",
		"DELETE FROM objects WHERE key = ?1"
	};
	int status = run(s->db, "BEGIN IMMEDIATE", err);

	if (status != HF_OK)
		return status;
	for (size_t i = 0; i < 3 && status == HF_OK; i++) {
		sqlite3_stmt *st;

		status = prepare(s->db, &st, err, steps[i], "s", key);
		if (status == HF_OK)
			status = finish(s->db, st, err, "removing");
	}
	if (status == HF_OK)
		status = run(s->db, "COMMIT", err);
	if (status != HF_OK)
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

/* ---- descriptor ---- */

static const struct hf_store_ops store = {
	.struct_size = sizeof(struct hf_store_ops),
	.open = cabinet_open,
	.close = cabinet_close,
	.check = cabinet_check,
	.caps = cabinet_caps,
	.put = cabinet_put,
	.put_write = cabinet_put_write,
	.put_commit = cabinet_put_commit,
	.put_abort = cabinet_put_abort,
	.get = cabinet_get,
	.get_read = cabinet_get_read,
	.get_close = cabinet_get_close,
	.stat = cabinet_stat,
	.list = cabinet_list,
	.remove = cabinet_remove,
};

static const struct hf_option options[] = {
	{ .name = "path",
	    .type = HF_OPT_PATH,
	    .flags = HF_OPT_REQUIRED,
	    .offset = offsetof(struct conf, path),
	    .help = "the SQLite file that keeps the objects; made when it is "
		    "not there" },
	{ .name = "busy_timeout",
	    .type = HF_OPT_DURATION,
	    .offset = offsetof(struct conf, busy_timeout),
	    .def = "30s",
	    .help = "how long to wait while another process writes" },
	{ .name = NULL },
};

static const struct hf_plugin cabinet = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_INSTANCE,
	.name = "cabinet",
	.version = "1.0",
	.summary = "keeps objects as rows of one SQLite file",
	.help = "Range reads, put if absent and put if match are all there.  "
		"A copy of the file made by SQLite's own tools is a copy of "
		"the whole store.",
	.options = options,
	.conf_size = sizeof(struct conf),
	.validate = cabinet_validate,
	.store = &store,
};

HF_REGISTER(cabinet, H);
