/* SPDX-License-Identifier: BSD-2-Clause */
/* Removing what the retention of a pipeline does not keep, and what nobody
 * needs: data of dead runs, unfinished uploads, old reports. */
#ifndef HF_REPO_PRUNE_H
#define HF_REPO_PRUNE_H

#include "repo/repo.h"
#include "repo/retention.h"

struct prune_backup {
	char id[40];
	struct retention_item rule; /* keep, why */
	size_t copies;              /* that there were */
	size_t removed;             /* copies that are gone, or would be */
	uint64_t stored;            /* bytes of all copies */
};
struct prune_sink {
	const char *name;
	struct hf_error why; /* what it could not do; HF_OK: all done */
	size_t uploads;      /* unfinished ones */
	size_t garbage;      /* objects of the log that nothing names */
	size_t reports;
};
struct prune_result {
	char id[40]; /* of this run, as a backup has one */
	int64_t started_ms, ended_ms;
	struct prune_backup *backups; /* oldest first */
	size_t nbackups;
	struct prune_sink *sinks;
	size_t nsinks;
	size_t logs;              /* objects of logs */
	struct hf_error logs_why; /* why none of a log was removed */
};

/* Under the leases of all sinks: manifests first, then their data, then
 * leftovers and reports, then logs; last a report.  A sink that fails does not
 * keep the others from going on, and one that could not be listed is not
 * touched; but nothing of a log is removed unless every sink was pruned, and no
 * report unless every sink was listed.  A backup no manifest of which can be
 * read, and a copy with a manifest that cannot, stay.
 * HF_E_EXISTS: another run holds a lease; nothing was removed anywhere.
 * dry_run: nothing is removed or written, and no lease is taken.  result is
 * valid whatever it returns. */
int repo_prune(
    struct repo *, bool dry_run, struct prune_result *, struct hf_error *);
void prune_result_clear(struct prune_result *);

#endif
