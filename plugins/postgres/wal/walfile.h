/* SPDX-License-Identifier: BSD-2-Clause */
/* A WAL file that the server has finished: what it is, and its way into the
 * log. */
#ifndef HF_POSTGRES_WAL_WALFILE_H
#define HF_POSTGRES_WAL_WALFILE_H

#include "mark.h"
#include "name.h"

struct walfile {
	const char *path, *file; /* file: its last part; both the caller's */
	int fd;
	uint64_t system, size;
	uint32_t segment_size;
	struct wal_name name;
	char log_name[WAL_LOG_MAX];
};

/* Is it whole, and what its name says?  HF_E_INVALID: no name of a WAL file;
 * HF_E_CORRUPT: another content than the name says. */
int walfile_open(struct walfile *, const char *path, struct hf_error *);
void walfile_close(struct walfile *);

/* HF_OK: every sink that is required has it; mark (may be NULL) then knows it.
 * Other bytes under its name: HF_E_EXISTS with both hashes. */
int walfile_put(struct walfile *, struct hf_out *log, struct hf_in *have,
    struct mark *, struct hf_error *);

#endif
