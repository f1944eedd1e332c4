/* SPDX-License-Identifier: BSD-2-Clause */
/* Values that must never be seen in a log, an error, a report or a manifest. */
#ifndef HF_BASE_SECRET_H
#define HF_BASE_SECRET_H

/* Remember a value (copied).  Values under 4 bytes are not remembered: they
 * would blank out ordinary text.  Thread-safe. */
void secret_add(const char *value);

/* The same for the passwords in the text of a place: "host=db password=X",
 * "postgresql://user:X@host/db?password=X". */
void secret_add_within(const char *place);

/* Overwrite each remembered value in text with '*'.  Thread-safe. */
void secret_scrub(char *text);

/* Wipe and forget all. */
void secret_forget(void);

#endif
