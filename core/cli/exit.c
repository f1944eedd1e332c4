/* SPDX-License-Identifier: BSD-2-Clause */
#include "exit.h"

#include <holdfast/plugin.h>

int
exit_from_status(int status)
{
	switch (status) {
	case HF_OK:
	case HF_EOF:
		return EXIT_DONE;
	case HF_E_INVALID:
		return EXIT_USAGE;
	case HF_E_NOTFOUND:
		return EXIT_NOTFOUND;
	case HF_E_DENIED:
		return EXIT_DENIED;
	case HF_E_CORRUPT:
		return EXIT_DAMAGED;
	case HF_E_CANCELLED:
		return EXIT_INTERRUPTED;
	default: /* the command knows when HF_E_EXISTS is a lease */
		return EXIT_FAILED;
	}
}

static int
rank(int code)
{
	switch (code) {
	case EXIT_DONE:
		return 0;
	case EXIT_STALE:
		return 1;
	case EXIT_PARTIAL:
		return 2;
	case EXIT_LOCKED:
		return 3;
	case EXIT_DAMAGED:
		return 4;
	case EXIT_INTERRUPTED:
		return 6;
	default:
		return 5;
	}
}

int
exit_worst(int a, int b)
{
	if (rank(a) == rank(b))
		return a == b ? a : EXIT_FAILED;
	return rank(a) > rank(b) ? a : b;
}

const char *
exit_name(int code)
{
	switch (code) {
	case EXIT_DONE:
		return "done";
	case EXIT_USAGE:
		return "usage";
	case EXIT_PARTIAL:
		return "partial";
	case EXIT_DAMAGED:
		return "damaged";
	case EXIT_STALE:
		return "stale";
	case EXIT_NOTFOUND:
		return "not found";
	case EXIT_LOCKED:
		return "locked";
	case EXIT_DENIED:
		return "denied";
	case EXIT_INTERRUPTED:
		return "interrupted";
	default:
		return "failed";
	}
}
