/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit codes: the one place where a status becomes one. */
#ifndef HF_CLI_EXIT_H
#define HF_CLI_EXIT_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,   /* the command line or the configuration */
	EXIT_PARTIAL = 3, /* a sink is missing */
	EXIT_DAMAGED = 4, /* a verification failed */
	EXIT_STALE = 5,   /* older than the pipeline's rpo */
	EXIT_NOTFOUND = 10,
	EXIT_LOCKED = 11,
	EXIT_DENIED = 12,
	EXIT_UNABLE = 126, /* "wal get": not a word about whether it is there */
	EXIT_INTERRUPTED = 130
};

/* The code of a status (enum hf_status). */
int exit_from_status(int status);

/* The one that says more of two: what failed outright over what was done by
 * half, and 1 for two failures of different kinds. */
int exit_worst(int a, int b);

/* "partial"; for JSON. */
const char *exit_name(int code);

#endif
