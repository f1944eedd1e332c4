/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder that a restore makes: a data directory, or that of a tablespace.
 *
 * One that is not there is built beside, as ".NAME.holdfast-XXXXXX", and takes
 * its name at the end.  An empty one (a mount point, perhaps) is filled as it
 * is, with a file in it that says so until the end.  Whoever builds holds a
 * lock on the folder, so that what a killed restore left is known by it, and
 * removed by the next one.  Until the end the folder is ours alone; then it
 * gets its owner.
 */
#ifndef HF_POSTGRES_RECOVER_FOLDER_H
#define HF_POSTGRES_RECOVER_FOLDER_H

#include <sys/types.h>

#include <holdfast/plugin.h>

#define FOLDER_PATH 4096
#define FOLDER_MARK ".holdfast-restore"
#define FOLDER_CONTROL "global/pg_control"
/* Its name until all else is durable: what has no pg_control is no data
 * directory to any server. */
#define FOLDER_CONTROL_TMP "global/pg_control.holdfast"

struct owner {
	uid_t uid;
	gid_t gid;
	bool change; /* we are root */
};

struct folder {
	char path[FOLDER_PATH]; /* absolute */
	char work[320];         /* beside it; "": filled as it is */
	int parent, fd;
	struct owner owner;
	/* Of a folder that was there, to put back. */
	struct owner former;
	mode_t former_mode;
	bool begun, settled, done;
};

/* As root: user, who must exist; else we. */
int folder_owner(const char *user, struct owner *, struct hf_error *);

/* what: for messages, "the data directory".  HF_E_EXISTS: a server runs there,
 * another restore is at work, or there is something in it; HF_E_NOTFOUND: the
 * folder above is missing. */
int folder_open(const struct hf_ctx *, const char *path, const char *what,
    const struct owner *, struct folder *, struct hf_error *);
/* All of its file system onto the disk. */
int folder_sync(const struct folder *, struct hf_error *);
/* Mode and owner, the mark removed, the name taken, durably.  What remains can
 * still be undone by folder_close. */
int folder_settle(struct folder *, mode_t, struct hf_error *);
/* The last step of the data directory, before folder_settle. */
int folder_control(const struct folder *, struct hf_error *);
/* Unless done was set: as it was. */
void folder_close(struct folder *);

/* A small file in the folder, made anew, durably. */
int folder_put(const struct folder *, const char *name, const char *text,
    mode_t, struct hf_error *);
/* A small file whole, to be freed, with a NUL behind it; *text NULL: there is
 * none of that name.  len may be NULL. */
int folder_get(const struct folder *, const char *name, char **text,
    size_t *len, struct hf_error *);

#endif
