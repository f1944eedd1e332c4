/* SPDX-License-Identifier: BSD-2-Clause */
/* The physical backup: BASE_BACKUP over a replication connection.
 *
 * Objects: base.tar, <oid>.tar a tablespace, backup_manifest: the server's own
 * bytes.  Facts, by which the others go: */
#ifndef HF_POSTGRES_BASE_H
#define HF_POSTGRES_BASE_H

#include <holdfast/plugin.h>

#define BASE_FACT_MODE "mode" /* "physical" */
#define BASE_FACT_SYSTEM "system_identifier"
#define BASE_FACT_VERSION "server_version" /* "150018" */
#define BASE_FACT_TIMELINE "timeline"      /* of start_lsn, decimal */
#define BASE_FACT_STOP_TIMELINE "stop_timeline"
#define BASE_FACT_START "start_lsn" /* of the backup: redo begins here */
#define BASE_FACT_STOP "stop_lsn"   /* consistent from here on */
#define BASE_FACT_SEGMENT_SIZE "wal_segment_size" /* bytes */
#define BASE_FACT_WAL "wal" /* "included" (in base.tar) or "log" */
#define BASE_FACT_CHECKSUMS "data_checksums" /* "on", "off" */
#define BASE_FACT_STOPPED "stop_time" /* Unix seconds, the server's clock */
/* Of an incremental one: its parent's start_lsn and timeline. */
#define BASE_FACT_FROM "incremental_from"
#define BASE_FACT_FROM_TIMELINE "incremental_from_timeline"
/* "tablespace.<oid>" = its path on the server */
#define BASE_FACT_TABLESPACE "tablespace."

#define BASE_TAR "base.tar"
#define BASE_MANIFEST "backup_manifest"

/* As hf_engine_ops.backup, with HF_KIND_FULL or (server 17 and later)
 * HF_KIND_INCR, and mode physical. */
int base_backup(struct hf_engine *, const struct hf_request *, struct hf_out *,
    struct hf_error *);
/* As hf_engine_ops.check: wal_level, max_wal_senders, archive_mode and
 * archive_command, slots and what they hold back, replication rights, full
 * page writes, each with the SQL to set it. */
int
base_check(struct hf_engine *, hf_finding_fn *, void *arg, struct hf_error *);

#endif
