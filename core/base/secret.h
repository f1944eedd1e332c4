/* SPDX-License-Identifier: BSD-2-Clause */
/* Values that must never be seen in a log, an error, a report or a manifest. */
#ifndef HF_BASE_SECRET_H
#define HF_BASE_SECRET_H

/* Remember a value (copied).  Values under 4 bytes are not remembered: they
 * would blank out ordinary text.  Thread-safe. */
void secret_add(const char *value);

/* Overwrite each remembered value in text with '*'.  Thread-safe. */
void secret_scrub(char *text);

/* Wipe and forget all. */
void secret_forget(void);

#endif
