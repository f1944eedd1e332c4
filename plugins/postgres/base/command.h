/* SPDX-License-Identifier: BSD-2-Clause */
/* BASE_BACKUP, as a version of the server understands it. */
#ifndef HF_POSTGRES_BASE_COMMAND_H
#define HF_POSTGRES_BASE_COMMAND_H

#include "../text.h"

struct conf;

#define COMMAND_TYPED 150000 /* from here on: one stream of typed messages */

/* version: 150004.  wal: the WAL that the backup needs goes into base.tar.
 * incremental (17 and later): on the manifest that was uploaded.
 * HF_E_INVALID: max_rate is none that a server takes. */
int command_text(struct text *, const struct conf *, int version, bool wal,
    bool incremental, struct hf_error *);

#endif
