/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's backup_manifest: which files make up a base backup, with their
 * sizes and checksums.  What a restore reads is held against it, so that a tar
 * file that lost one is found. */
#ifndef HF_POSTGRES_RECOVER_INVENTORY_H
#define HF_POSTGRES_RECOVER_INVENTORY_H

#include <holdfast/plugin.h>

struct inventory;

struct inventory_file {
	const char *path;
	uint64_t size;
	uint32_t crc;
	bool has_crc;   /* other algorithms are left to the object's own hash */
	char mtime[24]; /* as the server wrote it; "": it did not */
};

/* HF_E_CORRUPT: it cannot be read.  text is borrowed for the call. */
int inventory_parse(
    const char *text, size_t len, struct inventory **, struct hf_error *);
void inventory_free(struct inventory *);

/* A file that was read: its path below the data directory ("pg_tblspc/OID/"
 * before that of a tablespace).  From any thread.  HF_E_CORRUPT: size or
 * checksum is another, or it was seen before. */
int inventory_seen(struct inventory *, const char *path, uint64_t size,
    uint32_t crc32c, struct hf_error *);
/* HF_E_CORRUPT names files that were not seen. */
int inventory_complete(const struct inventory *, struct hf_error *);
/* Files whose paths begin so are not missed by inventory_complete. */
void inventory_leave(struct inventory *, const char *prefix);

/* In the order of their paths (strcmp). */
size_t inventory_count(const struct inventory *);
const struct inventory_file *inventory_get(const struct inventory *, size_t);
/* NULL: it is not in it. */
const struct inventory_file *
inventory_find(const struct inventory *, const char *path);
/* Its "WAL-Ranges" as JSON; "[]" where it has none. */
const char *inventory_wal(const struct inventory *);

#endif
