/* SPDX-License-Identifier: BSD-2-Clause */
/* How a case's process tells its parent what it found. */
#ifndef HF_CONFORM_VERDICT_H
#define HF_CONFORM_VERDICT_H

/* Where to write lines, each a letter and a text: 'F' failed, 'S' skipped,
 * 'N' note, 'P' passed.  -1: to the log (a process started by again_run). */
void verdict_to(int fd);

void verdict_pass(void);

#endif
