/* SPDX-License-Identifier: BSD-2-Clause */
/* One database on its way out: what the files of dump/ share.
 *
 *   dump.c           all databases, one after the other
 *   database.c       one database, from its snapshot to contents.json
 *   snapshot.c       the coordinator: transaction, snapshot, facts
 *   locks.c          tables locked, and proved to be those of the snapshot
 *   schema.c         DDL by pg_dump
 *   tables.c         which tables, their columns and sizes
 *   belongs.c        which entries of the archive belong to a table
 *   cut.c            tables cut into tasks
 *   copy.c           rows, on several connections
 *   large_objects.c, sequences.c, refresh.c
 *   settings.c       what belongs to the database itself
 *   globals.c        roles and tablespaces
 *   object.c         an object being written
 */
#ifndef HF_POSTGRES_DUMP_RUN_H
#define HF_POSTGRES_DUMP_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "conn.h"
#include "layout.h"
#include "postgres.h"
#include "program.h"
#include "text.h"
#include "toc.h"

/* A table whose rows are copied. */
struct source {
	uint32_t oid;
	char *schema, *name; /* UTF-8, for people and contents.json */
	/* SQL in the encoding of what is stored: "public"."orders"; the
	 * columns as "("id", "n")", "" when it has none; what COPY loads into,
	 * from itself but for some partitions. */
	char *sql, *columns, *into;
	char *filter;  /* "WHERE ..." of an extension, or NULL */
	uint64_t size; /* heap and TOAST, by the server's files */
	uint64_t blocks;
	bool heap;
	bool absent;    /* unlogged, on a standby: nobody can read it */
	unsigned parts; /* that it is cut into */
	size_t table;   /* which of contents.tables it is */
};

struct run {
	struct hf_engine *engine;
	const struct conf *conf;
	const struct hf_ctx *ctx;
	struct hf_out *out;
	unsigned jobs;

	struct conninfo *info;
	const char *database; /* by which it was asked for, or NULL */
	char *prefix;         /* of objects: "", "shop/" */

	/* The coordinator: holds snapshot and locks to the end. */
	struct conn *conn;
	char *snapshot;
	int64_t block_size;
	bool rows, whole; /* are rows copied; is nothing left out */

	struct program pg_dump, pg_restore;
	int archive; /* schema.dump, an unlinked file; -1: none */
	struct toc toc;

	struct source *sources; /* by oid */
	size_t nsources;
	/* contents.tables has the same tables in the same order. */
	struct contents contents;
	pthread_mutex_t lock; /* of the pieces in contents */
	uint64_t estimate;    /* bytes to copy */
	atomic_uint_fast64_t copied;
};

/* Of one database, all but globals. */
int database_dump(struct run *, struct hf_error *);

/* snapshot.c */
/* Connect, lock the tables of a whole database, and export a snapshot. */
int snapshot_begin(struct run *, struct hf_error *);
/* HF_OK: the transaction was alive to this end, so its locks held. */
int snapshot_end(struct run *, struct hf_error *);
/* Roll back and disconnect, after a failure. */
void snapshot_drop(struct run *);
/* A further connection in the same snapshot; again: after a failure of its
 * transaction. */
int snapshot_join(
    struct run *, const atomic_bool *stop, struct conn **, struct hf_error *);
int snapshot_again(const struct run *, struct conn *, struct hf_error *);
/* What is known when all is done. */
int snapshot_facts(struct run *, struct hf_error *);
int snapshot_fact(
    const struct run *, const char *key, const char *value, struct hf_error *);

/* locks.c */
/* Before the snapshot: every table of the database. */
int locks_early(struct run *, struct hf_error *);
/* The tables to be copied; HF_E_TRANSIENT when one is no longer the one that
 * the snapshot knows. */
int locks_take(struct run *, struct hf_error *);
/* "ONLY a, b" of n tables, to the end of sql. */
void
locks_list(struct text *sql, const struct source *const *sources, size_t n);

/* schema.c */
/* Run pg_dump, and read what it dumped. */
int schema_dump(struct run *, struct hf_error *);
/* schema.dump, 010-pre-data.sql and 900-post-data.sql. */
int schema_store(struct run *, struct hf_error *);

/* tables.c */
/* The OIDs of one kind of entry, NULL: of all, as "{1,2,3}". */
int tables_oids(const struct toc *, uint32_t catalog, const char *kind,
    struct text *, struct hf_error *);
int tables_find(struct run *, struct hf_error *);
/* Sizes, which need the locks. */
int tables_measure(struct run *, struct hf_error *);
void tables_clear(struct run *);
/* The n-th table for messages: "table public.orders" */
const char *tables_label(const struct source *, char *buf, size_t cap);

/* belongs.c */
int belongs_find(struct run *, struct hf_error *);

/* copy.c */
int copy_all(struct run *, struct hf_error *);

int sequences_store(struct run *, struct hf_error *);
int refresh_store(struct run *, struct hf_error *);
int settings_store(struct run *, struct hf_error *);

#endif
