/* SPDX-License-Identifier: BSD-2-Clause */
/* From a physical backup, full or with increments on it: a data directory that
 * recovers to a moment, or one database out of that moment. */
#ifndef HF_POSTGRES_RECOVER_H
#define HF_POSTGRES_RECOVER_H

#include "../wal/name.h"

struct restore_conf;

/* Where recovery is to end, out of request->until and restore_conf. */
enum recover_kind {
	RECOVER_LATEST, /* all the WAL there is */
	RECOVER_IMMEDIATE,
	RECOVER_TIME,
	RECOVER_LSN,
	RECOVER_XID,
	RECOVER_NAME
};
struct recover_target {
	enum recover_kind kind;
	char text[128];  /* as recovery_target_... takes it */
	int64_t time_us; /* of RECOVER_TIME */
	lsn_t lsn;
	uint32_t xid;
	bool inclusive;
	char timeline[16];  /* "latest", "current" or a number */
	const char *action; /* "pause", "promote", "shutdown" */
};
/* HF_E_INVALID when two are given, or one cannot be read. */
int recover_target(
    const struct hf_request *, struct recover_target *, struct hf_error *);

/* As hf_engine_ops.restore; what was done is the newest one's: its end, its
 * WAL, its tablespaces.  A target that is a path: a data directory.  A
 * conninfo: one database (restore_conf.database, else that of the source's
 * conninfo), recovered in a private server and copied there. */
int recover_run(struct hf_engine *, const struct hf_request *,
    struct hf_in *const *oldest_first, size_t n, struct hf_error *);

/* scratch, inspect, query and discard of a restored data directory. */
int recover_scratch(struct hf_engine *, const char *dir, char *target,
    size_t cap, struct hf_error *);
int recover_inspect(struct hf_engine *, const char *target, struct hf_in *,
    hf_finding_fn *, void *arg, struct hf_error *);
int recover_query(struct hf_engine *, const char *target, const char *sql,
    char *value, size_t cap, struct hf_error *);
void recover_discard(struct hf_engine *, const char *target);

#endif
