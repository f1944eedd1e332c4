/* SPDX-License-Identifier: BSD-2-Clause */
/* A backup and all that it builds on: one of increments is restored from the
 * full backup that it began with and every increment since.
 *
 * Each link is read from a sink of its own choice, so that a chain of which
 * every sink has lost another link can still be restored. */
#ifndef HF_REPO_LINKS_H
#define HF_REPO_LINKS_H

#include "repo/repo.h"

struct links;
struct manifest;

/* ---- in a catalogue ---- */

/* Fills in what each copy lacks in its own sink. */
void links_settle(struct repo_catalog *);
/* Is there a readable copy of each link in some sink (sink NULL), or in that
 * one?  id gets the first that is missing, and may be NULL. */
bool links_whole(const struct repo *, const struct repo_catalog *,
    const struct repo_backup_entry *, const char *sink, char id[40]);
/* In some sink, and one that no check has found bad? */
bool links_good(const struct repo *, const struct repo_catalog *,
    const struct repo_backup_entry *);

/* ---- one to read ---- */

struct links_hooks {
	/* Raw bytes read so far, of all links; any thread; may be NULL. */
	void (*progress)(void *arg, uint64_t done);
	/* A copy of a link turned out bad, and is left; may be NULL. */
	int (*left)(
	    void *arg, const char *id, size_t sink, const struct hf_error *why);
	void *arg;
};

/* e is borrowed; sink: only from that one, or NULL. */
int
links_open(struct repo *, const struct repo_backup_entry *e, const char *sink,
    const struct links_hooks *, struct links **, struct hf_error *);
void links_close(struct links *);

/* Finds the links of one source.  HF_E_NOTFOUND: one is missing; the error
 * says who needs it. */
int links_source(struct links *, const char *source, struct hf_error *);
/* Raw bytes of the source in its older links, and in all. */
uint64_t links_size(const struct links *);

/* A reading of each link from the best copy that is left.  When a link has
 * none left, what the first one failed of. */
int links_read(struct links *, struct hf_error *);
/* Oldest first, of the last links_read. */
struct hf_in *const *links_ins(const struct links *, size_t *n);
/* After a failure: was it that of copies that were read?  Then those are left,
 * and links_read may find better ones. */
bool links_failed(struct links *);
/* Cheap questions only, of what links_read chose: is every object there with
 * its size?  As links_failed where it is not: HF_EOF, try again. */
int links_look(struct links *, struct hf_error *);
/* Where the backup itself is read from. */
size_t links_sink(const struct links *);

/* Are all objects of a backup in one sink, with their sizes?  source NULL: of
 * all.  By one listing. */
int links_look_at(struct repo *, size_t sink, const struct manifest *,
    const char *source, struct hf_error *);

#endif
