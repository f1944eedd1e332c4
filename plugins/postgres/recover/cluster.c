/* SPDX-License-Identifier: BSD-2-Clause */
#include "cluster.h"

#include "../base/base.h"
#include "control.h"
#include "increment.h"
#include "inventory.h"
#include "label.h"
#include "manifest.h"
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
	struct chain *chain; /* NULL: a full backup alone */
	struct geometry geometry;
	uint64_t base_size;
	char *label;    /* of the last link, of a chain */
	char *manifest; /* NULL: there is none */
	bool group;

	/* Of the link that is being unpacked. */
	struct inventory *inventory;
	bool has_base, has_manifest;
	bool *has_space;
	struct unpack *unpacks; /* base.tar first */
	size_t n;
};

/* ---- before ---- */

static void
on_space(struct work *w, const char *oid)
{
	char prefix[40];

	for (size_t i = 0; i < w->spaces.n; i++)
		if (strcmp(w->spaces.all[i].oid, oid) == 0) {
			w->has_space[i] = true;
			return;
		}
	/* One that is gone in the last link is not read. */
	(void)snprintf(prefix, sizeof prefix, "pg_tblspc/%s/", oid);
	if (w->inventory != NULL)
		inventory_leave(w->inventory, prefix);
}

static int
on_object(void *arg, const struct hf_object *o)
{
	struct work *w = arg;
	char oid[16];

	if (strcmp(o->key, BASE_TAR) == 0) {
		w->has_base = true;
		w->base_size = o->size;
	} else if (strcmp(o->key, BASE_MANIFEST) == 0) {
		w->has_manifest = true;
	} else if (spaces_oid(o->key, oid)) {
		on_space(w, oid);
	}
	return 0;
}

static int
find_objects(struct work *w, struct hf_in *in, struct hf_error *err)
{
	int rc;

	w->has_base = w->has_manifest = false;
	if (w->spaces.n > 0)
		memset(w->has_space, 0, w->spaces.n * sizeof *w->has_space);
	rc = H->in_list(in, on_object, w, err);
	if (rc < 0)
		return rc;
	if (!w->has_base)
		return H->fail(
		    err, HF_E_CORRUPT, "the backup has no " BASE_TAR);
	return HF_OK;
}

/* What is to be where, and how large it is at least. */
static int
read_chain(struct work *w, struct hf_error *err)
{
	uint64_t wal, listed;
	int rc;

	if (w->c->links.n == 1)
		return HF_OK;
	if ((rc = chain_read(&w->c->links, &w->chain, err)) != HF_OK)
		return rc;
	listed = chain_listed(w->chain);
	wal = w->base_size > listed ? w->base_size - listed : 0;
	w->base_size = chain_room(w->chain, "") + wal;
	for (size_t i = 0; i < w->spaces.n; i++)
		w->spaces.all[i].size =
		    chain_room(w->chain, w->spaces.all[i].prefix);
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

/* ---- files ---- */

static void
plan(struct work *w, size_t link, const char *object,
    const struct folder *folder, const char *prefix)
{
	const struct links *l = &w->c->links;

	w->unpacks[w->n++] = (struct unpack){ .ctx = w->c->e->ctx,
		.in = l->all[link],
		.object = object,
		.folder = folder,
		.prefix = prefix,
		.inventory = w->inventory,
		.threads = WRITERS,
		.chain = w->chain,
		.link = link,
		.last = link == l->n - 1,
		.geometry = &w->geometry };
}

static int
task(void *arg, void *state, size_t n, struct hf_error *err)
{
	struct work *w = arg;

	(void)state;
	return unpack_run(&w->unpacks[n], err);
}

/* Its size in blocks is what increments are checked by, and it is the
 * server's that the facts name. */
static int
look_at_control(struct work *w, size_t link, struct hf_error *err)
{
	const struct unpack_kept *kept = &w->unpacks[0].control;
	const char *system =
	    H->in_fact(w->c->links.all[link], BASE_FACT_SYSTEM);
	struct control c;
	int rc;

	if (kept->bytes == NULL)
		return H->fail(
		    err, HF_E_CORRUPT, "the backup has no " FOLDER_CONTROL);
	rc = control_parse(kept->bytes, kept->len, FOLDER_CONTROL, &c, err);
	if (rc != HF_OK)
		return rc;
	if (system == NULL || strtoull(system, NULL, 10) != c.system_identifier)
		return H->fail(
		    err, HF_E_CORRUPT, FOLDER_CONTROL " is of another server");
	w->geometry = (struct geometry){ c.block_size, c.segment_blocks };
	return geometry_check(&w->geometry, err);
}

static int
after_link(struct work *w, size_t link, struct hf_error *err)
{
	struct unpack_kept *label = &w->unpacks[0].label;
	int rc = HF_OK;

	if (w->inventory != NULL)
		rc = inventory_complete(w->inventory, err);
	for (size_t i = 0; i < w->n; i++) {
		w->c->files += w->unpacks[i].files;
		w->c->bytes += w->unpacks[i].bytes;
	}
	w->group = w->unpacks[0].group;
	if (w->chain == NULL || rc != HF_OK ||
	    (rc = links_label(&w->c->links, link, label->bytes, err)) !=
		HF_OK ||
	    (rc = look_at_control(w, link, err)) != HF_OK)
		return rc;
	if (link == w->c->links.n - 1) {
		w->label = label->bytes;
		label->bytes = NULL;
	}
	return HF_OK;
}

static void
forget_link(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free(w->unpacks[i].label.bytes);
		free(w->unpacks[i].control.bytes);
	}
	w->n = 0;
	inventory_free(w->inventory);
	w->inventory = NULL;
}

static int
unpack_link(struct work *w, size_t link, struct hf_error *err)
{
	static const struct workers_ops ops = { .task = task };
	const struct links *l = &w->c->links;
	unsigned streams = w->c->req->max_streams;
	int rc = HF_OK;

	if (w->chain != NULL || w->has_manifest)
		rc = links_inventory(l, link, &w->inventory,
		    w->chain == NULL ? &w->manifest : NULL, err);
	if (rc != HF_OK || (rc = find_objects(w, l->all[link], err)) != HF_OK)
		return rc;
	plan(w, link, BASE_TAR, &w->folder, "");
	for (size_t i = 0; i < w->spaces.n; i++) {
		const struct space *s = &w->spaces.all[i];

		if (w->has_space[i])
			plan(w, link, s->object, &s->folder, s->prefix);
	}
	rc = workers_run(streams > 0 ? streams : 1, w->n, &ops, w, err);
	return rc == HF_OK ? after_link(w, link, err) : rc;
}

static int
unpack_all(struct work *w, struct hf_error *err)
{
	const struct links *l = &w->c->links;
	char name[64];
	int rc = HF_OK;

	w->unpacks = calloc(w->spaces.n + 1, sizeof *w->unpacks);
	if (w->unpacks == NULL)
		return postgres_nomem(err);
	for (size_t k = 0; k < l->n && rc == HF_OK; k++) {
		rc = unpack_link(w, k, err);
		forget_link(w);
		if (rc != HF_OK && l->n > 1) {
			links_name(l, k, name, sizeof name);
			(void)H->fail_context(err, "restoring %s", name);
		}
	}
	return rc;
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

/* Of a chain: recovery begins where the last link says, and it is none that
 * builds on another one any more. */
static int
put_label(struct work *w, mode_t mode, struct hf_error *err)
{
	struct text plain = { 0 };
	int rc;

	label_plain(w->label, &plain);
	if ((rc = text_ok(&plain, err)) == HF_OK)
		rc = folder_put(
		    &w->folder, "backup_label", text_get(&plain), mode, err);
	text_free(&plain);
	return rc;
}

/* So that pg_verifybackup can look at it.  Nobody does so with a private copy,
 * for which all that was changed would be read once more. */
static int
put_manifest(struct work *w, mode_t mode, struct hf_error *err)
{
	const struct cluster *c = w->c;
	const struct manifest m = { .ctx = c->e->ctx,
		.chain = w->chain,
		.folder = &w->folder,
		.spaces = &w->spaces,
		.system = H->in_fact(links_last(&c->links), BASE_FACT_SYSTEM),
		.threads = c->req->max_streams };
	struct text made = { 0 };
	int rc = HF_OK;

	if (w->chain == NULL) {
		if (w->manifest != NULL)
			rc = folder_put(
			    &w->folder, BASE_MANIFEST, w->manifest, mode, err);
	} else if (c->below == NULL) {
		if ((rc = manifest_write(&m, &made, err)) == HF_OK)
			rc = folder_put(&w->folder, BASE_MANIFEST,
			    text_get(&made), mode, err);
		text_free(&made);
	}
	return rc;
}

static int
settings(struct work *w, mode_t mode, struct hf_error *err)
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
	return folder_put(p, "recovery.signal", "", mode, err);
}

/* ---- the end ---- */

/* Everything is on the disk before pg_control makes it a data directory. */
static int
finish(struct work *w, struct hf_error *err)
{
	mode_t mode = w->group ? 0750 : 0700;
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
	struct hf_in *last = links_last(&c->links);
	struct owner owner;
	int rc;

	if ((rc = folder_owner(c->e->conf.run_as, &owner, err)) != HF_OK ||
	    (rc = spaces_list(last, conf == NULL ? NULL : conf->tablespace,
		 c->below, c->dir, &w->spaces, err)) != HF_OK)
		return rc;
	w->has_space = calloc(w->spaces.n + 1, sizeof *w->has_space);
	if (w->has_space == NULL)
		return postgres_nomem(err);
	if ((rc = find_objects(w, last, err)) != HF_OK ||
	    (rc = read_chain(w, err)) != HF_OK ||
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
	mode_t mode;
	int rc;

	if ((rc = begin(&w, err)) != HF_OK ||
	    (rc = unpack_all(&w, err)) != HF_OK ||
	    (rc = spaces_link(&w.spaces, &w.folder, err)) != HF_OK)
		goto out;
	mode = w.group ? 0640 : 0600;
	if (w.chain != NULL && (rc = put_label(&w, mode, err)) != HF_OK)
		goto out;
	if ((rc = settings(&w, mode, err)) == HF_OK &&
	    (rc = put_manifest(&w, mode, err)) == HF_OK)
		rc = finish(&w, err);
out:
	/* Both or none. */
	w.folder.done = rc == HF_OK;
	spaces_close(&w.spaces, rc == HF_OK);
	folder_close(&w.folder);
	chain_free(w.chain);
	free(w.has_space);
	free(w.unpacks);
	free(w.label);
	free(w.manifest);
	return rc;
}
