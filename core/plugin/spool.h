/* SPDX-License-Identifier: BSD-2-Clause */
/* A backup of a plugin's own, in files of a folder: written, then read, in one
 * run.  What stands behind the host table's spool_open and spool_close. */
#ifndef HF_PLUGIN_SPOOL_H
#define HF_PLUGIN_SPOOL_H

#include <holdfast/plugin.h>

/* folder: exists, and is its own.  Objects are read back as they were written;
 * there are no hashes.  in and out live until spool_close. */
int spool_open(
    const char *folder, struct hf_out **, struct hf_in **, struct hf_error *);
/* Removes its files.  NULL is a no-op. */
void spool_close(struct hf_out *);

#endif
