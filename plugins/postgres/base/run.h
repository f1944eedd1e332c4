/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a base backup share:
 *
 *   base.c      the order of things, and the facts
 *   command.c   BASE_BACKUP, in the words of each version
 *   parent.c    what an incremental one builds on
 *   receive.c   what the server sends, into objects
 *   tar.c       looking at a tar stream that passes
 *   damage.c    pages whose checksum does not agree
 *   archived.c  does the WAL that the backup needs arrive in the log?
 *   trouble.c   why it does not, as far as the server can say
 *   check.c     doctor
 */
#ifndef HF_POSTGRES_BASE_RUN_H
#define HF_POSTGRES_BASE_RUN_H

#include "../control.h"
#include "../text.h"
#include "../wal/needs.h"
#include "damage.h"

struct conn;
struct conninfo;

/* One backup. */
struct run {
	struct hf_engine *e;
	struct hf_in *log; /* NULL: the WAL goes into the backup */
	struct hf_out *out;
	struct conninfo *info;
	struct conn *c; /* the walsender's */
	bool typed;     /* the protocol of 15 and later */

	/* Of the server, before it begins. */
	uint64_t system;
	uint32_t segment_size, now_timeline;
	lsn_t now; /* where it writes */

	struct needs parent; /* backup NULL: a full one */

	/* Of the backup, as the server tells it. */
	lsn_t start, stop;
	uint32_t start_timeline, stop_timeline;
	struct control control; /* of base.tar; version 0: not seen yet */
	struct damage damage;
	char **tablespaces; /* their OIDs in the order of the server; the data
			     * directory is "" */
	size_t ntablespaces;

	uint64_t done, total; /* bytes; total is an estimate */
};

/* The only row of a command of the walsender, with so many fields at least;
 * PQclear it, also after a failure. */
int base_row(struct conn *, const char *command, int fields, PGresult **,
    struct hf_error *);

/* From here on: UPLOAD_MANIFEST, and WAL summaries. */
#define PARENT_SERVER 170000
/* The hint where summarize_wal is off. */
#define PARENT_SUMMARIZE \
	"ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();"

/* Can there be an incremental backup of this server on that one?
 * HF_E_UNSUPPORTED says why not.  Then r->parent is set. */
int parent_fits(struct run *, struct hf_in *parent, struct hf_error *);
/* Its manifest to the server.  HF_E_UNSUPPORTED: the server cannot use it;
 * HF_E_CORRUPT: the parent's copy is damaged. */
int parent_upload(struct run *, struct hf_error *);
/* Of the backup_label that came: does it begin where the server said, and build
 * on the parent, or, a full one, on nothing?  HF_E_CORRUPT. */
int parent_label(const struct run *, const char *text, struct hf_error *);

/* Start it: where the backup begins, its tablespaces (told as facts), and no
 * object yet.  HF_E_UNSUPPORTED: the server has no increment on the
 * parent. */
int receive_begin(struct run *, struct hf_error *);
/* The tar files and the manifest, to the server's last word. */
int receive_all(struct run *, struct hf_error *);

/* Between the two, while nothing was copied: does what the server wrote before
 * the start arrive in the log?  Waits for wal.wait; the failure says why not.
 * At the start of a backup a primary ends the segment it writes, so that there
 * is one to arrive, and no right but REPLICATION is needed for that. */
int archived_begins(struct run *, struct hf_error *);
/* Wait until the log has all from start to stop. */
int archived_whole(struct run *, struct hf_error *);

/* Into out: what the server knows of why WAL does not arrive in the log, and
 * what to do.  Failures are no failure: then it says where to look. */
void trouble_text(const struct run *, struct text *out);

#endif
