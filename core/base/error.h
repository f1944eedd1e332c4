/* SPDX-License-Identifier: BSD-2-Clause */
/* The error slot: what failed, what it was part of, and what to do.
 *
 * The caller owns a slot and passes it down; whoever fails first records the
 * cause, callers above add a "while" frame if they know something new, and
 * nothing is printed until main renders the slot once.  A slot is plain
 * memory with fixed bounds, so recording works when malloc does not; texts
 * that do not fit are cut.  Every function takes NULL for "not wanted".
 */
#ifndef HF_BASE_ERROR_H
#define HF_BASE_ERROR_H

#include <holdfast/plugin.h>

#include <stdio.h>

#define ERROR_FRAMES 8
#define ERROR_NOTES 8

struct hf_error {
	int status; /* HF_OK: nothing recorded */
	char cause[768];
	int nframes;
	char frames[ERROR_FRAMES][256]; /* innermost first */
	int nnotes;
	struct {
		char key[24];
		char value[488];
	} notes[ERROR_NOTES];
};

/* Forget what was recorded. */
void error_clear(struct hf_error *);

/* Record a failure, replacing what the slot held.  Returns status. */
int
error_fail(struct hf_error *, int status, const char *fmt, ...) HF_PRINTF(3, 4);

/* The same with the status and the text of errnum: "...: No space left on
 * device".  Adds a hint where there is a usual one. */
int error_errno(struct hf_error *, int errnum, const char *fmt, ...)
    HF_PRINTF(3, 4);

/* Add an outer frame, "backing up app.db".  Returns the recorded status. */
int error_context(struct hf_error *, const char *fmt, ...) HF_PRINTF(2, 3);

/* Add a note; a key that is there is replaced. */
void error_note(struct hf_error *, const char *key, const char *value);
void error_hint(struct hf_error *, const char *fmt, ...) HF_PRINTF(2, 3);

/* NULL when there is none. */
const char *error_get(const struct hf_error *, const char *key);

/* Text over several lines, "error: CAUSE\n  while: ...\n  hint: ...\n".
 * what: the first line's subject, or NULL. */
void error_render(const struct hf_error *, const char *what, FILE *);

/* One line, for a log or a report: "while...: cause".  Always ends in NUL. */
void error_line(const struct hf_error *, char *buf, size_t cap);

/* "NOSPACE"; "UNKNOWN" for what is not a status. */
const char *error_status_name(int status);

/* The one table of errno to status. */
int error_from_errno(int errnum);

#endif
