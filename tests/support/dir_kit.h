/* SPDX-License-Identifier: BSD-2-Clause */
/* A sink folder for the tests of the dir store: a new one for each test.  The
 * names are short because they are the words of which those tests are made. */
#ifndef HF_TESTS_DIR_KIT_H
#define HF_TESTS_DIR_KIT_H

#include <stddef.h>

struct hf_error;
struct store;

#define MIB ((size_t)1 << 20)

extern char scratch[64]; /* the test's own folder */
extern char root[128];   /* the sink in it; open_store makes it */

/* For cmocka: of the group, with the plugin's file, and of each test. */
int dir_kit_load(const char *file);
int dir_kit_unload(void **state);
int dir_kit_setup(void **state);
int dir_kit_teardown(void **state);

/* Print the cause and fail the test, unless it is HF_OK. */
void must(int rc, const struct hf_error *);

/* min_free: as in a configuration. */
int try_open(
    const char *path, const char *min_free, struct store **, struct hf_error *);
struct store *open_at(const char *path);
struct store *open_store(void); /* the root's, without a reserve */

/* The path of a name in the root; good for eight calls. */
const char *at(const char *name);

void put(struct store *, const char *key, const char *text);
void assert_holds(struct store *, const char *key, const char *text);
void assert_missing(struct store *, const char *key);

/* The keys of a prefix, sorted, a space between them. */
void assert_lists(struct store *, const char *prefix, const char *want);

/* Names in a folder, dot names included. */
size_t count_names(const char *path);

#endif
