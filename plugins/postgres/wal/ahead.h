/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments that were fetched before the server asked for them. */
#ifndef HF_POSTGRES_WAL_AHEAD_H
#define HF_POSTGRES_WAL_AHEAD_H

struct fetch;
struct hf_engine;

/* Into path, if it is there; then HF_OK.  Waits a little for one that is just
 * arriving.  Any other status: fetch it from the log. */
int ahead_take(struct hf_engine *, const struct fetch *, const char *path);

#endif
