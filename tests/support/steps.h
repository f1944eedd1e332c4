/* SPDX-License-Identifier: BSD-2-Clause */
/* Kill a piece of work at each of its steps.
 *
 * The work runs in a child under ptrace(); a step is a system call that
 * changes a file or a folder.  So nothing in the program has to know of the
 * test, and no step can be forgotten. */
#ifndef HF_TESTS_STEPS_H
#define HF_TESTS_STEPS_H

#include <stdbool.h>

struct steps {
	/* In the child; its result is the child's exit code. */
	int (*work)(void *arg);
	void *arg;
	unsigned kill_at; /* before the n-th step (from 1); 0: never */
	/* In the parent, when the call of that number has returned; may be
	 * NULL. */
	void (*after)(void *arg, long syscall_number);
	unsigned n; /* out: steps seen */
};

/* The exit code; -1 when it was killed as told, -2 when it died otherwise,
 * -3 when this system does not allow tracing. */
int steps_run(struct steps *);

#endif
