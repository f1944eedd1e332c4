/* SPDX-License-Identifier: BSD-2-Clause */
#include "command.h"

#include "../postgres.h"

#include <inttypes.h>
#include <string.h>

#define RATE_MIN 32 /* kB/s, MAX_RATE_LOWER of the server */
#define RATE_MAX 1048576

static int
rate(const struct conf *conf, int64_t *kb, struct hf_error *err)
{
	*kb = conf->max_rate / 1024;
	if (conf->max_rate > 0 && *kb < RATE_MIN)
		return H->fail(err, HF_E_INVALID,
		    "max_rate: a server sends %dKiB a second at least",
		    RATE_MIN);
	if (*kb > RATE_MAX)
		*kb = RATE_MAX;
	return HF_OK;
}

/* 13 and 14: words in a fixed order of their own. */
static void
old_words(struct text *t, const struct conf *conf, bool wal, int64_t kb)
{
	text_add(t, "BASE_BACKUP LABEL 'holdfast' PROGRESS");
	if (strcmp(conf->checkpoint, "fast") == 0)
		text_add(t, " FAST");
	if (wal)
		text_add(t, " WAL");
	text_add(t, " NOWAIT");
	if (kb > 0)
		text_addf(t, " MAX_RATE %" PRId64, kb);
	text_add(t, " TABLESPACE_MAP");
	if (!conf->verify_checksums)
		text_add(t, " NOVERIFY_CHECKSUMS");
	text_add(t, " MANIFEST 'yes'");
}

static void
new_words(struct text *t, const struct conf *conf, bool wal, bool incremental,
    int64_t kb)
{
	text_add(t, "BASE_BACKUP (LABEL 'holdfast', PROGRESS");
	text_addf(t, ", CHECKPOINT '%s'", conf->checkpoint);
	if (wal)
		text_add(t, ", WAL");
	/* Whether the WAL is archived is seen in the log, and better. */
	text_add(t, ", WAIT false");
	if (kb > 0)
		text_addf(t, ", MAX_RATE %" PRId64, kb);
	text_add(t, ", TABLESPACE_MAP");
	if (!conf->verify_checksums)
		text_add(t, ", VERIFY_CHECKSUMS false");
	text_add(t, ", MANIFEST 'yes', TARGET 'client'");
	if (incremental)
		text_add(t, ", INCREMENTAL");
	text_add(t, ")");
}

int
command_text(struct text *t, const struct conf *conf, int version, bool wal,
    bool incremental, struct hf_error *err)
{
	int64_t kb;
	int rc;

	if ((rc = rate(conf, &kb, err)) != HF_OK)
		return rc;
	if (version < COMMAND_TYPED)
		old_words(t, conf, wal, kb);
	else
		new_words(t, conf, wal, incremental, kb);
	return text_ok(t, err);
}
