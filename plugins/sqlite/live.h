/* SPDX-License-Identifier: BSD-2-Clause */
/* The database that is about to be replaced: whole in one file, and locked. */
#ifndef HF_SQLITE_LIVE_H
#define HF_SQLITE_LIVE_H

#include "database.h"

enum live_state {
	/* Checkpointed, in rollback mode, EXCLUSIVE: nobody has it open in a
	 * transaction, and whoever waits will find that it has moved. */
	LIVE_HELD,
	LIVE_DAMAGED, /* SQLite cannot open it: nobody can use it either */
	LIVE_SHARED   /* others use it, and we were told to go on */
};

struct live {
	const struct hf_engine *engine;
	const char *path;
	enum live_state state;
	sqlite3 *db; /* NULL unless LIVE_HELD */
	struct database_wait wait;
	bool was_wal, force;
};

/* Look at it.  Refuses with HF_E_TRANSIENT while other processes have it
 * open, unless force. */
int live_open(const struct hf_engine *, const char *path, bool force,
    struct live *, struct hf_error *);

/* Lock it.  Called after was_wal was written down. */
int live_hold(struct live *, struct hf_error *);

/* Copy all of it to a new file, for a safety copy where there are no hard
 * links.  to must not exist. */
int live_copy(struct live *, const char *to, struct hf_error *);

/* Let go.  back: it still stands at its path, so give it its journal mode
 * back. */
void live_close(struct live *, bool back);

/* Best effort: put a database that we switched back into WAL mode. */
void live_set_wal(const char *path);

#endif
