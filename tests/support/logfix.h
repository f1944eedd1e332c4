/* SPDX-License-Identifier: BSD-2-Clause */
/* The log of pipeline "shop", in a folder that is removed at the end. */
#ifndef HF_TESTS_SUPPORT_LOGFIX_H
#define HF_TESTS_SUPPORT_LOGFIX_H

#include "base/error.h"
#include "repo/log.h"
#include "support/repofix.h"

struct logfix {
	struct repofix x;
	struct repo_log *log;
	struct hf_error err; /* of the last call */
};

#define LOGFIX_ONE "\"to\":[\"a\"]"
#define LOGFIX_TWO "\"to\":[\"a\",\"b\"]"
#define LOGFIX_GZ ",\"through\":[\"gz\"]"
#define LOGFIX_ANY ",\"require\":\"any\""

/* Two teststores; while the file a.down or b.down is there, that one fails. */
#define LOGFIX_DOWN                                                       \
	"{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\",\"down\":"      \
	"\"%D/a.down\"},\"b\":{\"type\":\"teststore\",\"path\":\"%D/b\"," \
	"\"down\":\"%D/b.down\"}}"

void logfix_begin(struct logfix *);
void logfix_end(struct logfix *);
/* Afresh, as another process would. */
void logfix_open(struct logfix *, const char *sinks, const char *pipeline);
void logfix_close(struct logfix *);

/* Make or remove the file, "b.down". */
void logfix_mark(struct logfix *, const char *name, bool there);

/* One object with the fact "lsn" = "0/1". */
int logfix_push(
    struct logfix *, const char *name, const void *, size_t, struct hf_error *);
int logfix_push_text(struct logfix *, const char *name, const char *text);
/* The object's bytes are these: HF_OK, HF_E_BUG when they are others, or what
 * reading came to. */
int logfix_get(
    struct logfix *, const char *name, const void *, size_t, struct hf_error *);
int logfix_get_text(struct logfix *, const char *name, const char *text);
/* All names, each followed by a space; static memory. */
const char *logfix_names(struct logfix *);

/* Files below <sink>/shop/wal whose name contains the text. */
size_t logfix_files(struct logfix *, const char *sink, const char *text);
/* The path of the only one. */
const char *logfix_file(struct logfix *, const char *sink, const char *text);

#endif
