/* SPDX-License-Identifier: BSD-2-Clause */
#include "cluster.h"

#include "../base/base.h"
#include "inventory.h"
#include "postgres.h"
#include "settings.h"
#include "spaces.h"
#include "stored.h"
#include "text.h"
#include "unpack.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define AUTO_CONF "postgresql.auto.conf"
#define WRITERS 2 /* of each tar file: with them reading goes on */
#define SLACK ((uint64_t)16 << 20)

struct work {
	struct cluster *c;
	struct folder folder;
	struct spaces spaces;
	struct inventory *inventory;
	uint64_t base_size;
	bool has_base, has_manifest;
	struct unpack *unpacks; /* base.tar first */
	size_t n;
};

/* ---- before ---- */

static int
on_object(void *arg, const struct hf_object *o)
{
	struct work *w = arg;

	if (strcmp(o->key, BASE_TAR) == 0) {
		w->has_base = true;
		w->base_size = o->size;
	} else if (strcmp(o->key, BASE_MANIFEST) == 0) {
		w->has_manifest = true;
	}
	return 0;
}

static int
find_objects(struct work *w, struct hf_error *err)
{
	int rc = H->in_list(w->c->in, on_object, w, err);

	if (rc < 0)
		return rc;
	if (!w->has_base)
		return H->fail(
		    err, HF_E_CORRUPT, "the backup has no " BASE_TAR);
	return HF_OK;
}

/* A disk that will be full is found before anything is written. */
static int
check_room(const struct work *w, const struct folder *p, uint64_t more,
    struct hf_error *err)
{
	struct statvfs fs;
	struct stat st, other;
	uint64_t need = more + SLACK;

	if (fstatvfs(p->fd, &fs) != 0 || fstat(p->fd, &st) != 0)
		return H->fail_errno(err, errno, "looking at %s", p->path);
	/* All that goes to the same disk. */
	for (size_t i = 0; i < w->spaces.n; i++)
		if (&w->spaces.all[i].folder != p &&
		    fstat(w->spaces.all[i].folder.fd, &other) == 0 &&
		    other.st_dev == st.st_dev)
			need += w->spaces.all[i].size;
	if (&w->folder != p && fstat(w->folder.fd, &other) == 0 &&
	    other.st_dev == st.st_dev)
		need += w->base_size;
	if (fs.f_blocks > 0 && (uint64_t)fs.f_bavail * fs.f_frsize < need)
		return H->fail(err, HF_E_NOSPACE,
		    "%s: %" PRIu64 " MiB are needed there, %" PRIu64
		    " MiB are free",
		    p->path, need >> 20,
		    (uint64_t)fs.f_bavail * fs.f_frsize >> 20);
	return HF_OK;
}

static int
check_rooms(const struct work *w, struct hf_error *err)
{
	int rc = check_room(w, &w->folder, w->base_size, err);

	for (size_t i = 0; i < w->spaces.n && rc == HF_OK; i++)
		rc = check_room(
		    w, &w->spaces.all[i].folder, w->spaces.all[i].size, err);
	return rc;
}

static int
read_inventory(struct work *w, char **text, struct hf_error *err)
{
	size_t len;
	int rc;

	*text = NULL;
	if (!w->has_manifest)
		return HF_OK;
	rc = stored_read(w->c->in, "", BASE_MANIFEST, text, &len, err);
	if (rc == HF_OK)
		rc = inventory_parse(*text, len, &w->inventory, err);
	return rc;
}

/* ---- files ---- */

static void
plan(struct work *w, struct unpack *u, const char *object, uint64_t size,
    const struct folder *folder, const char *prefix)
{
	*u = (struct unpack){ .ctx = w->c->e->ctx,
		.in = w->c->in,
		.object = object,
		.size = size,
		.folder = folder,
		.prefix = prefix,
		.inventory = w->inventory,
		.threads = WRITERS };
	w->n++;
}

static int
task(void *arg, void *state, size_t n, struct hf_error *err)
{
	struct work *w = arg;

	(void)state;
	return unpack_run(&w->unpacks[n], err);
}

static int
unpack_all(struct work *w, struct hf_error *err)
{
	static const struct workers_ops ops = { .task = task };
	const struct hf_request *r = w->c->req;
	unsigned streams = r->max_streams > 0 ? r->max_streams : 1;
	int rc;

	w->unpacks = calloc(w->spaces.n + 1, sizeof *w->unpacks);
	if (w->unpacks == NULL)
		return postgres_nomem(err);
	plan(w, &w->unpacks[0], BASE_TAR, w->base_size, &w->folder, "");
	for (size_t i = 0; i < w->spaces.n; i++) {
		const struct space *s = &w->spaces.all[i];

		plan(w, &w->unpacks[i + 1], s->object, s->size, &s->folder,
		    s->prefix);
	}
	if ((rc = workers_run(streams, w->n, &ops, w, err)) != HF_OK)
		return rc;
	if (w->inventory != NULL &&
	    (rc = inventory_complete(w->inventory, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < w->n; i++) {
		w->c->files += w->unpacks[i].files;
		w->c->bytes += w->unpacks[i].bytes;
	}
	return HF_OK;
}

/* ---- settings ---- */

/* Debian keeps a server's configuration elsewhere, where no backup of the
 * server's own sees it: with these the copy starts, and recovers. */
static int
put_configuration(struct work *w, mode_t mode, struct hf_error *err)
{
	const struct limits *l = &w->c->limits;
	struct text t = { 0 };
	int rc;

	text_add(&t,
	    "# By holdfast restore: the server's own configuration was "
	    "not below its data\n# directory.  Put that in place of "
	    "this file, pg_hba.conf and pg_ident.conf.\n");
	if (w->c->has_limits)
		text_addf(&t,
		    "max_connections = %d\nmax_worker_processes = %d\n"
		    "max_wal_senders = %d\nmax_prepared_transactions = %d\n"
		    "max_locks_per_transaction = %d\n",
		    l->max_connections, l->max_worker_processes,
		    l->max_wal_senders, l->max_prepared_transactions,
		    l->max_locks_per_transaction);
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = folder_put(
		    &w->folder, "postgresql.conf", text_get(&t), mode, err);
	text_free(&t);
	return rc;
}

/* Where one of the three is missing. */
static int
configure(struct work *w, mode_t mode, struct hf_error *err)
{
	static const char hba[] =
	    "# By holdfast restore; see postgresql.conf.\n"
	    "local all all peer\n"
	    "local replication all peer\n";
	const struct folder *p = &w->folder;
	int rc = HF_OK;

	w->c->configured = faccessat(p->fd, "postgresql.conf", F_OK, 0) == 0;
	if (!w->c->configured)
		rc = put_configuration(w, mode, err);
	if (rc == HF_OK && faccessat(p->fd, "pg_hba.conf", F_OK, 0) != 0)
		rc = folder_put(p, "pg_hba.conf", hba, mode, err);
	if (rc == HF_OK && faccessat(p->fd, "pg_ident.conf", F_OK, 0) != 0)
		rc = folder_put(p, "pg_ident.conf", "", mode, err);
	return rc;
}

static int
read_limits(struct work *w, struct hf_error *err)
{
	size_t len = 0;
	char *bytes;
	int rc = folder_get(&w->folder, FOLDER_CONTROL_TMP, &bytes, &len, err);

	if (rc != HF_OK)
		return rc;
	if (bytes == NULL)
		return H->fail(
		    err, HF_E_CORRUPT, "the backup has no " FOLDER_CONTROL);
	w->c->has_limits = limits_parse(bytes, len, &w->c->limits);
	free(bytes);
	return HF_OK;
}

static int
settings(
    struct work *w, mode_t mode, const char *manifest, struct hf_error *err)
{
	const struct restore_conf *conf = w->c->req->restore_conf;
	const struct folder *p = &w->folder;
	struct text text = { 0 };
	char *former = NULL;
	int rc;

	if ((rc = read_limits(w, err)) != HF_OK)
		return rc;
	if (w->c->below == NULL &&
	    ((rc = configure(w, mode, err)) != HF_OK ||
		(rc = folder_get(p, AUTO_CONF, &former, NULL, err)) != HF_OK))
		return rc;
	settings_recovery(&text, former, w->c->target, w->c->restore_command);
	if (conf != NULL && conf->archive_mode != NULL &&
	    strcmp(conf->archive_mode, "off") == 0)
		settings_add(&text, "archive_mode", "off");
	if ((rc = text_ok(&text, err)) == HF_OK)
		rc = folder_put(p, AUTO_CONF, text_get(&text), mode, err);
	text_free(&text);
	free(former);
	if (rc != HF_OK)
		return rc;
	if (unlinkat(p->fd, "standby.signal", 0) != 0 && errno != ENOENT)
		return H->fail_errno(
		    err, errno, "removing %s/standby.signal", p->path);
	if ((rc = folder_put(p, "recovery.signal", "", mode, err)) != HF_OK)
		return rc;
	/* So that pg_verifybackup can look at it. */
	return manifest == NULL
		   ? HF_OK
		   : folder_put(p, BASE_MANIFEST, manifest, mode, err);
}

/* ---- the end ---- */

/* Everything is on the disk before pg_control makes it a data directory. */
static int
finish(struct work *w, bool group, struct hf_error *err)
{
	mode_t mode = group ? 0750 : 0700;
	int rc = folder_sync(&w->folder, err);

	for (size_t i = 0; i < w->spaces.n && rc == HF_OK; i++)
		rc = folder_sync(&w->spaces.all[i].folder, err);
	for (size_t i = 0; i < w->spaces.n && rc == HF_OK; i++)
		rc = folder_settle(&w->spaces.all[i].folder, mode, err);
	if (rc == HF_OK && (rc = folder_control(&w->folder, err)) == HF_OK)
		rc = folder_settle(&w->folder, mode, err);
	return rc;
}

static int
begin(struct work *w, struct hf_error *err)
{
	struct cluster *c = w->c;
	const struct restore_conf *conf = c->req->restore_conf;
	struct owner owner;
	int rc;

	if ((rc = find_objects(w, err)) != HF_OK ||
	    (rc = folder_owner(c->e->conf.run_as, &owner, err)) != HF_OK ||
	    (rc = spaces_list(c->in, conf == NULL ? NULL : conf->tablespace,
		 c->below, c->dir, &w->spaces, err)) != HF_OK ||
	    (rc = folder_open(c->e->ctx, c->dir, "the data directory", &owner,
		 &w->folder, err)) != HF_OK ||
	    (rc = spaces_open(&w->spaces, c->e->ctx, &owner, err)) != HF_OK)
		return rc;
	return check_rooms(w, err);
}

int
cluster_restore(struct cluster *c, struct hf_error *err)
{
	struct work w = { .c = c, .folder = { .parent = -1, .fd = -1 } };
	char *manifest = NULL;
	bool group;
	int rc;

	if ((rc = begin(&w, err)) != HF_OK ||
	    (rc = read_inventory(&w, &manifest, err)) != HF_OK ||
	    (rc = unpack_all(&w, err)) != HF_OK ||
	    (rc = spaces_link(&w.spaces, &w.folder, err)) != HF_OK)
		goto out;
	group = w.unpacks[0].group;
	rc = settings(&w, group ? 0640 : 0600, manifest, err);
	if (rc == HF_OK)
		rc = finish(&w, group, err);
out:
	/* Both or none. */
	w.folder.done = rc == HF_OK;
	spaces_close(&w.spaces, rc == HF_OK);
	folder_close(&w.folder);
	inventory_free(w.inventory);
	free(w.unpacks);
	free(manifest);
	return rc;
}
