/* SPDX-License-Identifier: BSD-2-Clause */
/* WAL for a private server, out of the log, by a thread.
 *
 * The server runs as another user, who reads neither our configuration nor our
 * sinks.  So its restore_command is a script that asks us, by a FIFO in a
 * folder that it can read and not write, and copies what we put there.  The
 * segment that will be asked for next is fetched while this one is replayed.
 */
#ifndef HF_POSTGRES_RECOVER_FEED_H
#define HF_POSTGRES_RECOVER_FEED_H

#include <holdfast/plugin.h>

struct feed;

struct feed_source {
	struct hf_in *log; /* NULL: there is no WAL but the backup's */
	uint64_t system;
	uint32_t segment_size;
};

/* Below folder (which exists), and whoever may enter that can ask. */
int feed_start(const struct hf_ctx *, const struct feed_source *,
    const char *folder, struct feed **, struct hf_error *);
/* For restore_command. */
const char *feed_command(const struct feed *);
/* Ends the thread.  The failure to fetch something, if there was one: the
 * server has stopped because of it.  *segments: so many were given.  NULL is
 * a no-op. */
int feed_stop(struct feed *, size_t *segments, struct hf_error *);

#endif
