/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of the source that pg_control has: a copy that recovers must not
 * have lower ones. */
#ifndef HF_POSTGRES_RECOVER_LIMITS_H
#define HF_POSTGRES_RECOVER_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limits {
	int32_t max_connections, max_worker_processes, max_wal_senders,
	    max_prepared_transactions, max_locks_per_transaction;
};

/* Of the bytes of the file.  False: its layout is not the known one (that of
 * 13 to 17). */
bool limits_parse(const void *, size_t len, struct limits *);

#endif
