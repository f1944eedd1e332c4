/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of settings, and bodies of DO, as SQL. */
#ifndef HF_POSTGRES_DUMP_SETTINGS_H
#define HF_POSTGRES_DUMP_SETTINGS_H

#include <stddef.h>

struct text;

/* A value as pg_db_role_setting has it, as SET ... TO takes it: a literal, or
 * several for a setting that is a list of names. */
void settings_value(struct text *, const char *name, const char *value);
/* A dollar quote that is not in body. */
void settings_tag(char *tag, size_t cap, const char *body);

#endif
