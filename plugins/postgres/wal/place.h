/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose WAL is it?  archive_command and restore_command are run in the data
 * directory, with paths relative to it. */
#ifndef HF_POSTGRES_WAL_PLACE_H
#define HF_POSTGRES_WAL_PLACE_H

#include <holdfast/plugin.h>

struct control;

/* pg_control of the data directory that file (in pg_wal) belongs to: the one
 * above its folder as the path has it, so that a pg_wal that is a symbolic link
 * makes no difference; else the current folder's.  HF_E_NOTFOUND: neither. */
int place_control(const char *file, struct control *, struct hf_error *);

/* Where the last name of a path begins, and the folder before it ("." when it
 * has none).  False: too long. */
const char *place_base(const char *path);
bool place_folder(const char *path, char *out, size_t cap);

#endif
