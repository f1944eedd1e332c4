/* SPDX-License-Identifier: BSD-2-Clause */
/* A temporary folder with a configuration, plugins and a repository in it. */
#ifndef HF_TESTS_SUPPORT_REPOFIX_H
#define HF_TESTS_SUPPORT_REPOFIX_H

#include "repo/repo.h"

struct repofix {
	char dir[64]; /* removed at the end */
	struct plugins *plugins;
	struct config *config;
	struct flow *flow;
	struct repo *repo; /* of pipeline "shop" */
	struct repo_events events;
	bool no_filters; /* configure none */
	bool stuck;      /* keep the plugins: a thread is in one */
	bool no_plugins; /* repo_env.plugins is NULL */
	/* What events told: "subject|verdict|check|result" lines. */
	char findings[65536];
	char results[4096]; /* "key=value" lines */
};

void repofix_begin(struct repofix *);
void repofix_end(struct repofix *);

/* Open pipeline "shop" afresh: engine and pipeline are members of the source
 * and of the pipeline, sinks the "sinks" object; "%D" in any stands for the
 * folder.  No thread runs between repofix_close and this. */
void repofix_open(struct repofix *, const char *sinks, const char *pipeline);
void repofix_close(struct repofix *);

/* With two `dir` sinks, a and b, and gzip. */
#define REPOFIX_TWO                                    \
	"{\"a\":{\"type\":\"dir\",\"path\":\"%D/a\"}," \
	"\"b\":{\"type\":\"dir\",\"path\":\"%D/b\"}}"
#define REPOFIX_ONE "{\"a\":{\"type\":\"dir\",\"path\":\"%D/a\"}}"

/* A backup that must work; its id. */
void repofix_backup(struct repofix *, char id[40]);

/* The path of a file of the folder; static memory, good for four calls. */
const char *
repofix_path(struct repofix *, const char *fmt, ...) HF_PRINTF(2, 3);

/* Every regular file below a folder, relative to it, sorted; NULL ends.
 * Free with repofix_files_free. */
char **repofix_files(const char *dir);
void repofix_files_free(char **);
/* One that contains the text, as a full path in static memory. */
const char *repofix_find(struct repofix *, const char *sub, const char *text);

void repofix_flip(const char *path, long offset, int bit);
long repofix_size(const char *path);
void repofix_truncate(const char *path, long size);
/* As if written so many seconds ago. */
void repofix_age(const char *path, long seconds);
bool repofix_exists(const char *path);
/* Are the files of two folders the same? */
bool repofix_same(const char *dir_a, const char *dir_b);

#endif
