/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include <string.h>

#include "../postgres.h"

uint32_t
wal_kinds(struct hf_engine *e)
{
	uint32_t kinds = 0;

	if (strcmp(e->conf.mode, "physical") != 0)
		return 0;
	if (e->conf.wal.stream)
		kinds |= HF_LOG_FOLLOW;
	if (e->conf.wal.push)
		kinds |= HF_LOG_PUSH;
	return kinds;
}
