/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of copying: backups that only sink a has, and looks at both. */
#ifndef HF_TESTS_SUPPORT_COPYKIT_H
#define HF_TESTS_SUPPORT_COPYKIT_H

#include <jansson.h>

#include "repo/repo.h"
#include "support/repofix.h"

#define FROM(options) "\"from\":{\"engine\":\"testengine\"" options "}"
#define TO_ONE ",\"to\":[\"a\"]"
#define TO_TWO ",\"to\":[\"a\",\"b\"]"
#define GZ ",\"through\":[\"gz\"]"
#define NO_VERIFY ",\"verify\":\"none\""
#define SMALL ",\"objects\":2,\"size\":3000,\"path\":\"%D/home\""
/* Some frames each: with an index. */
#define THREE ",\"objects\":3,\"size\":150000,\"path\":\"%D/home\""
/* Two sources, so that objects have prefixes. */
#define TWO_SOURCES                                                 \
	"\"from\":[{\"name\":\"x\",\"engine\":\"testengine\"" THREE \
	"},{\"name\":\"y\",\"engine\":\"testengine\",\"seed\":5" THREE "}]"
/* The second with a filter more. */
#define FILTERED                                       \
	"{\"a\":{\"type\":\"dir\",\"path\":\"%D/a\"}," \
	"\"b\":{\"type\":\"dir\",\"path\":\"%D/b\","   \
	"\"through\":[\"gz\"]}}"
#define THREE_SINKS                                    \
	"{\"a\":{\"type\":\"dir\",\"path\":\"%D/a\"}," \
	"\"b\":{\"type\":\"dir\",\"path\":\"%D/b\"},"  \
	"\"c\":{\"type\":\"dir\",\"path\":\"%D/c\"}}"

/* a and b without waiting for the disk; the layout is that of `dir`. */
#define COPYKIT_SINKS                                        \
	"{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\"}," \
	"\"b\":{\"type\":\"teststore\",\"path\":\"%D/b\"}}"

/* Of the test that runs. */
extern struct repofix copykit_fix;
/* What the last copy told. */
extern struct repo_copied copykit_told[64];
extern size_t copykit_ntold;

int copykit_setup(void **state);
int copykit_teardown(void **state);

void copykit_must(int rc, const struct hf_error *);

/* From a to b, unless the request says otherwise. */
int copykit_copy_with(
    struct repo_copy_request *, struct repo_copy_result *, struct hf_error *);
/* All that b lacks; or one of a. */
int copykit_copy(struct hf_error *);
int copykit_copy_id(const char *id, struct hf_error *);

/* A backup that only a gets; b is one of its sinks all the same. */
void copykit_backup_without_b(const char *pipeline, char id[40]);
/* Change the manifest of a sink, sealed again. */
void copykit_edit_manifest(size_t sink, const char *id,
    void (*edit)(json_t *, const char *), const char *arg);
/* For that: as if it held what has changed since that one. */
void copykit_set_parent(json_t *, const char *parent);
void copykit_flip_middle(const char *path);

void copykit_state_of(const char *id, size_t sink, enum repo_copy_state);
/* Whatever a sink lists is whole; how much that is. */
size_t copykit_all_whole(const char *sink);
void copykit_restore(const char *id, const char *sink, const char *target);

#endif
