/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's backup_manifest: which files make up a base backup, with their
 * sizes and checksums.  What is written by a restore is held against it, so
 * that a tar file that lost one is found. */
#ifndef HF_POSTGRES_RECOVER_INVENTORY_H
#define HF_POSTGRES_RECOVER_INVENTORY_H

#include <holdfast/plugin.h>

struct inventory;

/* HF_E_CORRUPT: it cannot be read.  text is borrowed for the call. */
int inventory_parse(
    const char *text, size_t len, struct inventory **, struct hf_error *);
void inventory_free(struct inventory *);

/* A file that was written: its path below the data directory ("pg_tblspc/OID/"
 * before that of a tablespace).  From any thread, once for each file. 
 * HF_E_CORRUPT: size or checksum is another. */
int inventory_seen(struct inventory *, const char *path, uint64_t size,
    uint32_t crc32c, struct hf_error *);
/* HF_E_CORRUPT names files that were not seen. */
int inventory_complete(const struct inventory *, struct hf_error *);
size_t inventory_count(const struct inventory *);

#endif
