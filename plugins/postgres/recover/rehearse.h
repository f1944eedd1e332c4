/* SPDX-License-Identifier: BSD-2-Clause */
/* Can the server's user fetch WAL?  When root restores, another user recovers:
 * one that may not be able to read our configuration, its secrets or the sinks.
 */
#ifndef HF_POSTGRES_RECOVER_REHEARSE_H
#define HF_POSTGRES_RECOVER_REHEARSE_H

struct cluster;

/* Run request->log_command once, as the server's user and in the restored data
 * directory, for the segment with which recovery begins.  A warning and a
 * result "wal" say when that does not work; it is no failure, what was restored
 * is whole.  Only as root, and with our own command. */
void rehearse_fetch(const struct cluster *);

#endif
