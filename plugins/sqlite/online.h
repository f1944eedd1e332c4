/* SPDX-License-Identifier: BSD-2-Clause */
/* The slow way that works with any VFS: one held read transaction and the
 * online backup API, by way of a file in the scratch folder. */
#ifndef HF_SQLITE_ONLINE_H
#define HF_SQLITE_ONLINE_H

#include "source.h"

struct hf_writer;
struct watch;

struct online {
	char *path; /* of the scratch file */
	int fd;
	int64_t size;
};

/* Copy the source, in whose read transaction we are, to a scratch file.  The
 * transaction may be ended afterwards. */
int online_take(
    struct source *, struct watch *, struct online *, struct hf_error *);

/* Send the file on. */
int online_send(const struct source *, struct online *, struct hf_writer *,
    struct hf_error *);

void online_end(struct online *); /* removes the file */

#endif
