/* SPDX-License-Identifier: BSD-2-Clause */
/* What the engine cases do over and over. */
#ifndef HF_CONFORM_ENGINES_H
#define HF_CONFORM_ENGINES_H

#include "conform.h"
#include "memio.h"

#define TARGET_MAX 4096

/* A full backup into an empty m with that many streams.  m's counters start
 * again, what may fail in it stays. */
int engines_backup(struct session *, struct memio *, uint32_t max_streams);

/* The same, and it has to work; m is initialised here. */
void engines_keep(struct session *, struct memio *);

/* After any call: every writer and reader was given back. */
void engines_none_open(const struct memio *, const char *what);

/* A new empty folder of that name and a target in it.  Skips the case when
 * the engine has no scratch. */
void
engines_target(struct session *, const char *name, char *dir, char *target);

int engines_restore(struct session *, struct memio *, const char *target,
    uint32_t flags, uint32_t max_streams);

/* What stands at a target, to be compared with later: of a path a hash over
 * its folder; of a place on a server, whose files are nobody's business, the
 * answer to --query. */
#define STATE_MAX 1200
void engines_state(struct session *, const char *dir, const char *target,
    char state[STATE_MAX]);

/* inspect finds nothing wrong with the target. */
void engines_sound(struct session *, const char *target, struct memio *);

/* Both have the same objects, by name. */
void engines_same_objects(const struct memio *, const struct memio *);

#endif
