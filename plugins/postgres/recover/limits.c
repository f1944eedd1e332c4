/* SPDX-License-Identifier: BSD-2-Clause */
#include "limits.h"

#include <string.h>

/* PostgreSQL's src/include/catalog/pg_control.h.  The server's own marks of
 * the layout stand behind the settings, and say whether it is this one. */
#define AT_SETTINGS 180
#define AT_ALIGN 204 /* uint32: 8 */
#define AT_FLOAT 208 /* double: 1234567 */

bool
limits_parse(const void *bytes, size_t len, struct limits *l)
{
	const unsigned char *p = bytes;
	int32_t values[5];
	uint32_t align;
	double number;

	if (len < AT_FLOAT + sizeof number)
		return false;
	memcpy(&align, p + AT_ALIGN, sizeof align);
	memcpy(&number, p + AT_FLOAT, sizeof number);
	/* By the bits: no rounding is meant. */
	if (align != 8 || memcmp(&number, &(double){ 1234567.0 }, 8) != 0)
		return false;
	memcpy(values, p + AT_SETTINGS, sizeof values);
	*l = (struct limits){ values[0], values[1], values[2], values[3],
		values[4] };
	return l->max_connections > 0 && l->max_worker_processes >= 0 &&
	       l->max_wal_senders >= 0 && l->max_prepared_transactions >= 0 &&
	       l->max_locks_per_transaction > 0;
}
