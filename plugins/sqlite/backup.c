/* SPDX-License-Identifier: BSD-2-Clause */
#include "backup.h"

#include "code.h"
#include "direct.h"
#include "facts.h"
#include "online.h"
#include "path.h"
#include "sqlite.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at p, 0 when it is none. */
static size_t
utf8_length(const unsigned char *p)
{
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* The file's own name.  Names of objects are UTF-8, those of files need not
 * be: other bytes become '_'. */
static char *
object_name(const char *path, struct hf_error *err)
{
	char *name = path_with(path_base(path), "", err);
	char *p;
	size_t n;

	for (p = name; p != NULL && *p != '\0'; p += n)
		if ((n = utf8_length((const unsigned char *)p)) == 0) {
			*p = '_';
			n = 1;
		}
	return name;
}

/* The object is begun, the transaction open. */
static int
send_direct(struct direct *d, struct hf_writer *w, struct hf_error *err)
{
	struct source *s = d->source;
	struct watch watch;
	int rc;

	rc = watch_start(
	    &watch, s, s->wal ? NULL : d->db, s->wal ? d->wal : NULL, err);
	if (rc != HF_OK)
		return rc;
	rc = direct_copy(d, &watch, w, err);
	watch_stop(&watch);
	return rc;
}

static int
run_direct(struct direct *d, struct hf_out *out, const char *name,
    struct hf_error *err)
{
	struct source *s = d->source;
	struct hf_writer *w = NULL;
	int rc;

	if ((rc = facts_tell(s, out, err)) != HF_OK ||
	    (rc = H->out_fact(out, "method", "direct", err)) != HF_OK)
		goto end;
	if (s->wal) {
		rc = facts_number(out, "wal_frames", d->index.max_frame, err);
		if (rc != HF_OK)
			goto end;
	}
	rc = H->out_begin(out, name,
	    (uint64_t)s->page_count * (uint64_t)s->page_size, &w, err);
	if (rc != HF_OK)
		goto end;
	rc = send_direct(d, w, err);
	/* Nobody need wait for what the sinks still have to do. */
	source_end(s);
	if (rc != HF_OK) {
		H->out_abort(w);
		return rc;
	}
	if ((rc = H->out_commit(w, err)) != HF_OK)
		return rc;
	return facts_number(out, "change_counter", d->change_counter, err);
end:
	source_end(s);
	return rc;
}

/* Copy to scratch under the transaction, then send without it. */
static int
take_online(struct source *s, struct online *o, struct hf_out *out,
    struct hf_error *err)
{
	sqlite3_file *f = NULL;
	struct watch watch;
	int rc;

	if ((rc = source_begin(s, err)) != HF_OK)
		return rc;
	if ((rc = facts_tell(s, out, err)) != HF_OK)
		goto end;
	(void)sqlite3_file_control(
	    s->db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	if (s->wal || (f != NULL && f->pMethods == NULL))
		f = NULL;
	if ((rc = watch_start(&watch, s, f, NULL, err)) != HF_OK)
		goto end;
	rc = online_take(s, &watch, o, err);
	watch_stop(&watch);
end:
	source_end(s);
	return rc;
}

static int
run_online(struct source *s, struct hf_out *out, const char *name,
    struct hf_error *err)
{
	struct hf_writer *w = NULL;
	struct online o;
	int rc;

	if ((rc = take_online(s, &o, out, err)) != HF_OK)
		return rc;
	if ((rc = H->out_fact(out, "method", "api", err)) != HF_OK)
		goto done;
	rc = H->out_begin(out, name, (uint64_t)o.size, &w, err);
	if (rc != HF_OK)
		goto done;
	if ((rc = online_send(s, &o, w, err)) != HF_OK)
		H->out_abort(w);
	else
		rc = H->out_commit(w, err);
done:
	online_end(&o);
	return rc;
}

static int
run(struct source *s, struct hf_out *out, const char *name,
    struct hf_error *err)
{
	const struct hf_engine *e = s->engine;
	struct direct d;
	char why[128] = "";
	int rc;

	if (strcmp(e->conf.method, "api") == 0)
		return run_online(s, out, name, err);
	rc = direct_begin(s, &d, why, sizeof why, err);
	if (rc == HF_OK) {
		rc = run_direct(&d, out, name, err);
		direct_end(&d);
		return rc;
	}
	if (rc != HF_E_UNSUPPORTED || why[0] == '\0')
		return rc;
	if (strcmp(e->conf.method, "direct") == 0)
		return sqlite_fail_hint(err, HF_E_UNSUPPORTED,
		    "Set method to \"auto\" to use the backup API then.",
		    "%s cannot be read directly: %s", s->path, why);
	H->log(e->ctx, HF_LOG_WARN, "sqlite.fallback",
	    "%s: %s; using the backup API and a scratch file", s->path, why);
	return run_online(s, out, name, err);
}

static void
warn_if_moved(const struct source *s)
{
	int moved = 0;

	if (sqlite3_file_control(
		s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	    moved != 0)
		H->log(s->engine->ctx, HF_LOG_WARN, "sqlite.moved",
		    "%s was moved or replaced during the backup, which has "
		    "the content of the file that stood there before",
		    s->path);
}

int
backup_run(struct hf_engine *e, const struct hf_request *req,
    struct hf_out *out, struct hf_error *err)
{
	struct source s;
	char *name;
	int rc;

	if (req->flags != 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "unknown backup flags 0x%x", req->flags);
	if (req->kind != HF_KIND_FULL || req->parent != NULL || req->flags != 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "the sqlite engine makes full backups only");
	if ((name = object_name(e->conf.path, err)) == NULL)
		return HF_E_NOMEM;
	if ((rc = source_open(e, &s, err)) == HF_OK) {
		rc = run(&s, out, name, err);
		warn_if_moved(&s);
		source_close(&s);
	}
	free(name);
	return rc;
}
