/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of restores to a PostgreSQL server: one that is started for the
 * program, a database "shop" on it, and a backup of that. */
#ifndef HF_TESTS_SUPPORT_POSTGRES_LOADKIT_H
#define HF_TESTS_SUPPORT_POSTGRES_LOADKIT_H

#include <stdbool.h>

#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "postgres.h"
#include "support/memout.h"
#include "support/pgkit.h"

extern struct loadkit {
	struct pgkit pg;
	struct memout *shop; /* the backup, which all tests share */
	char scratch[64];
	struct hf_ctx ctx;
	struct cancel cancel;
	struct hf_error err;
	char safety[256]; /* what the last restore told of a safety copy */
	/* Of the next backup or restore; each test begins with the defaults. */
	struct restore_conf conf;
	const char *user;
	int64_t chunk_size;
	const char *const *databases;
} loadkit;

#define LOADKIT_TEST(f) cmocka_unit_test_setup(f, loadkit_reset)
int loadkit_reset(void **state);
/* Of a group: the server and the backup.  Where no server is to be had the
 * program ends, skipped. */
int loadkit_begin(void **state);
int loadkit_end(void **state);

struct memout *loadkit_backup(const char *dbname, const char *content);
/* target: a name on the server. */
int loadkit_restore(struct memout *, const char *target, uint32_t flags);
void loadkit_restore_ok(struct memout *, const char *target, uint32_t flags);
/* What the last one told; "": nothing. */
const char *loadkit_result(const char *key);
void loadkit_result_has(const char *key, const char *part);
void loadkit_error_has(const char *part);

/* All that pg_dump says of a database, its lines sorted: rows that came in
 * parallel have no order.  To be freed. */
char *loadkit_dumped(const char *dbname);
/* It says the same of both. */
void loadkit_same(const char *a, const char *b);
bool loadkit_exists(const char *dbname);
void loadkit_drop(const char *dbname);
/* Nothing under a temporary name, no file, nobody connected. */
void loadkit_nothing_left(void);
/* A copy of the backup with one object changed: every from in it becomes to. */
struct memout *
loadkit_spoiled(const char *object, const char *from, const char *to);
/* Another process is connected, and stays until it is thrown out. */
void loadkit_hold(const char *dbname);

#endif
