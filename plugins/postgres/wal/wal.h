/* SPDX-License-Identifier: BSD-2-Clause */
/* The WAL archive, as the engine's table has it.
 *
 *   push.c    archive_command: a file into the log; behind.c  those that wait
 *   get.c     restore_command: a file out of the log, the next ones ahead
 *   follow.c  a replication slot, streamed into the log
 *   spans.c   what can be restored: windows, gaps, reaching a target
 *   verify.c  reading all of it; surplus.c  what nothing needs
 *   archive.c, segment.c, name.c  what they stand on
 */
#ifndef HF_POSTGRES_WAL_H
#define HF_POSTGRES_WAL_H

#include "name.h"

/* Each as hf_engine_ops has it. */
uint32_t wal_kinds(struct hf_engine *);
int wal_push(struct hf_engine *, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *);
int wal_behind(struct hf_engine *, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *);
int wal_get(struct hf_engine *, const char *name, const char *file,
    struct hf_in *log, struct hf_error *);
int wal_ahead(
    struct hf_engine *, const char *name, struct hf_in *log, struct hf_error *);
int wal_reach(struct hf_engine *, const struct hf_request *,
    struct hf_in *backup, struct hf_error *);
int
wal_spans(struct hf_engine *, struct hf_in *log, struct hf_in *const *backups,
    size_t n, hf_span_fn *, void *arg, struct hf_error *);
int
wal_verify(struct hf_engine *, struct hf_in *log, struct hf_in *const *backups,
    size_t n, hf_finding_fn *, void *arg, struct hf_error *);
int
wal_surplus(struct hf_engine *, struct hf_in *log, struct hf_in *const *kept,
    size_t n, size_t whole, hf_list_fn *, void *arg, struct hf_error *);
/* backup() with HF_KIND_LOG: until cancelled. */
int wal_follow(struct hf_engine *, const struct hf_request *,
    struct hf_out *log, struct hf_error *);

/* One whole file of the log into memory, for the others of this plugin.  Of a
 * segment (not of a piece or a .partial) the length and the header are checked:
 * it is what its name says, else HF_E_CORRUPT.  To be freed. */
int wal_read(struct hf_in *log, const char *name, void **, size_t *len,
    struct hf_error *);
struct archive;
/* A segment, or as much of it as its pieces give; see archive_pieces. */
int wal_read_any(struct hf_in *log, const struct archive *, uint32_t timeline,
    uint64_t segno, void **, size_t *len, struct hf_error *);

#endif
