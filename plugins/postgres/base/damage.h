/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages whose checksum does not agree, as the server warns of them. */
#ifndef HF_POSTGRES_BASE_DAMAGE_H
#define HF_POSTGRES_BASE_DAMAGE_H

#include <libpq-fe.h>

#include "../finding.h"

struct damage {
	const struct hf_ctx *ctx;
	struct names pages; /* "base/5/16384 block 3" */
	unsigned seen;      /* warnings that were taken */
};

/* As conn.notice; arg is the damage.  Takes the warnings of BASE_BACKUP that
 * name a file, in whatever language the server speaks: each is also logged. */
bool damage_notice(void *arg, const PGresult *);
/* The same, of the text of such a warning. */
bool damage_warning(struct damage *, const char *text);
/* HF_E_CORRUPT with what was found. */
int damage_fail(struct damage *, const char *label, struct hf_error *);
void damage_free(struct damage *);

#endif
