/* SPDX-License-Identifier: BSD-2-Clause */
/* pg_control: what a data directory says of itself.
 *
 * Layout: PostgreSQL's src/include/catalog/pg_control.h.  Its beginning
 * (system identifier, versions, state, checkpoint) has not changed between 13
 * and 18 but for what is said in control.c; the CRC is looked for at the
 * places where those versions have it.
 */
#ifndef HF_POSTGRES_CONTROL_H
#define HF_POSTGRES_CONTROL_H

#include <holdfast/plugin.h>

struct control {
	uint64_t system_identifier;
	uint32_t version;          /* pg_control_version: 1300 */
	uint32_t catalog;          /* catalog_version_no: 202209061 */
	bool shut_down;            /* cleanly, so that no recovery is needed */
	uint64_t checkpoint, redo; /* LSNs */
	uint32_t timeline;         /* of the checkpoint */
	uint32_t block_size, segment_blocks; /* of relations */
	uint32_t wal_segment_size;
	bool data_checksums;
};

/* From the bytes of the file (8192), or from DIR/global/pg_control.  name: for
 * messages.  HF_E_CORRUPT: bad CRC, HF_E_UNSUPPORTED: a version that is not
 * known, HF_E_NOTFOUND: no such file. */
int control_parse(const void *, size_t len, const char *name, struct control *,
    struct hf_error *);
int control_read(const char *datadir, struct control *, struct hf_error *);

#endif
