/* SPDX-License-Identifier: BSD-2-Clause */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;
static const int watched[] = { SIGINT, SIGTERM, SIGHUP };

#define NWATCHED (sizeof watched / sizeof watched[0])

static void
on_signal(int number)
{
	(void)number;
	seen = 1;
}

void
interrupt_watch(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	for (size_t i = 0; i < NWATCHED; i++)
		(void)sigaction(watched[i], &act, NULL);
}

bool
interrupt_seen(void)
{
	return seen != 0;
}

void
interrupt_forget(void)
{
	seen = 0;
}

void
interrupt_reset(void)
{
	struct sigaction act = { .sa_handler = SIG_DFL };

	for (size_t i = 0; i < NWATCHED; i++)
		(void)sigaction(watched[i], &act, NULL);
}
