/* SPDX-License-Identifier: BSD-2-Clause */
/* What makes a restored data directory recover to where it is wanted: lines of
 * postgresql.auto.conf, which a server reads after all others. */
#ifndef HF_POSTGRES_RECOVER_SETTINGS_H
#define HF_POSTGRES_RECOVER_SETTINGS_H

#include "recover.h"

struct text;

/* name = 'value', quoted as the server reads it, with its line end. */
void settings_add(struct text *out, const char *name, const char *value);

/* former (may be NULL): what is in the file; its lines stay, but for those of
 * recovery.  restore_command: as the server is to have it. */
void settings_recovery(struct text *out, const char *former,
    const struct recover_target *, const char *restore_command);

/* Our command for it: log_command with "%f" and "%p", and its own '%'
 * doubled. */
void settings_command(struct text *out, const char *log_command);

/* For people: "to 2026-11-21 02:15:00+00, inclusive, timeline latest". */
void settings_describe(struct text *out, const struct recover_target *);

#endif
