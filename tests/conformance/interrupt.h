/* SPDX-License-Identifier: BSD-2-Clause */
/* Ctrl-C ends the suite in good order: the case is killed, the store and the
 * scratch folder are cleared. */
#ifndef HF_CONFORM_INTERRUPT_H
#define HF_CONFORM_INTERRUPT_H

#include <stdbool.h>

void interrupt_watch(void);
bool interrupt_seen(void);
void interrupt_forget(void); /* so that clearing up can run */
void interrupt_reset(void);  /* in a child: as if never watched */

#endif
