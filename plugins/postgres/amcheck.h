/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking into the pages of a database with its server's own amcheck. */
#ifndef HF_POSTGRES_AMCHECK_H
#define HF_POSTGRES_AMCHECK_H

#include <holdfast/plugin.h>

struct conn;
struct findings;

/* One finding "amcheck": every valid B-tree index (bt_index_check), and with
 * server 14 every table (verify_heapam).  The connection must not be in a
 * transaction.  Where the extension is not installed it is created in a
 * transaction that is rolled back; without superuser rights, or where the
 * server has no amcheck, the finding is a warning.  HF_OK when it could look,
 * whatever it found. */
int amcheck_run(struct conn *, struct findings *, struct hf_error *);

#endif
