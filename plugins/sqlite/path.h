/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of files beside a database, and durable changes of its folder. */
#ifndef HF_SQLITE_PATH_H
#define HF_SQLITE_PATH_H

#include <holdfast/plugin.h>

#include <stdbool.h>
#include <sys/stat.h>

/* What SQLite keeps beside a database: "-wal", "-shm", "-journal"; NULL
 * ends. */
extern const char *const path_sidecars[];

/* path followed by suffix in new memory; NULL and err without memory. */
char *path_with(const char *path, const char *suffix, struct hf_error *);

/* Size of path + suffix; -1 when it is not there or not a plain file. */
int64_t path_size(const char *path, const char *suffix);

/* Is something called path + suffix, whatever it is? */
bool path_exists(const char *path, const char *suffix);

/* The last component; points into path. */
const char *path_base(const char *path);

/* The folder of path, "." or "/" too, in new memory. */
char *path_folder(const char *path, struct hf_error *);

/* An absolute path whose folder's links are resolved and, when path itself is
 * there, its own too: what must be replaced is the file, not a link to it.
 * New memory in *out. */
int path_resolve(const char *path, char **out, struct hf_error *);

/* Make changes in the folder of path durable. */
int path_sync_folder(const char *path, struct hf_error *);

/* Unlink path + suffix; not being there is fine. */
int path_unlink(const char *path, const char *suffix, struct hf_error *);

/* "file:..." with path escaped, and immutable=1: for files that nobody else
 * uses.  New memory. */
char *path_immutable_uri(const char *path, struct hf_error *);

#endif
