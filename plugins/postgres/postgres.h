/* SPDX-License-Identifier: BSD-2-Clause */
/* The postgres engine: what its files share.
 *
 * mode logical:
 *   dump/     backup: one snapshot, DDL by pg_dump, rows by parallel COPY
 *   load/     restore: a database built beside its target, then renamed
 *   inspect/  looking: at a source, at a restored copy, in a private server
 * mode physical:
 *   base/     backup: the server's tar files over a replication connection
 *   wal/      the log: pushed, followed, fetched, checked
 *   recover/  restore: a data directory that recovers to a moment, or one
 *             database out of it (by dump/ and load/)
 *   (here)    connections, child programs, SQL text, names, the stored layout,
 *             pg_control and backup_label
 *
 * A lower file never includes one of the folders; base/ and wal/ include
 * nothing of the others (but wal/ asks recover/ for a target), load/ nothing of
 * dump/ and the other way round.
 */
#ifndef HF_POSTGRES_POSTGRES_H
#define HF_POSTGRES_POSTGRES_H

#include <holdfast/plugin.h>

/* The core's services; set once, when the plugin is loaded. */
extern const struct hf_host *H;

/* The option table fills this.  Lists end in NULL; an absent one is NULL. */
struct conf {
	const char *conninfo; /* keywords or URI; NULL: libpq's defaults */
	const char *password; /* secret */
	const char *mode;     /* "logical" or "physical" */
	/* NULL: the one that conninfo names.  "*": all that allow connections
	 * and are no templates. */
	const char *const *databases;
	/* Patterns as those of pg_dump -n, -N, -t, -T. */
	const char *const *schemas, *const *exclude_schemas;
	const char *const *tables, *const *exclude_tables;
	const char *content; /* "all", "schema" or "data" */
	bool large_objects;  /* default true */
	bool role_passwords; /* default true: hashes of roles, where readable */
	int64_t jobs;        /* connections that copy; 0: max_streams */
	int64_t chunk_size;  /* bytes of heap and TOAST an object covers */
	int64_t lock_timeout; /* milliseconds */
	const char *encoding; /* of what is stored; NULL: the database's own */
	const char *bin_dir;  /* of pg_dump, ...; NULL: search */
	/* Where verify --deep restores to: NULL: a private server of its own;
	 * else the conninfo of one that may get throw-away databases. */
	const char *scratch;
	const char *run_as; /* user of a private server when we are root */

	/* mode physical */
	struct {
		bool stream;      /* holdfast run follows a slot */
		bool push;        /* archive_command is holdfast wal push */
		const char *slot; /* default "holdfast" */
		int64_t flush;    /* milliseconds between pieces, default 5 s */
		int64_t jobs;     /* segments at once, default 4 */
		int64_t wait;     /* for a backup's WAL to be archived, 1 min */
	} wal;
	const char *checkpoint; /* "fast" (default) or "spread" */
	int64_t max_rate;       /* bytes a second; 0: none */
	bool verify_checksums;  /* of pages, by the server; default true */
};

/* holdfast restore -o */
struct restore_conf {
	/* "table public.orders", "schema sales", ...; NULL: everything */
	const char *const *only;
	const char *database; /* of a backup that has several */
	bool no_owner;        /* objects belong to who restores */
	const char *role;     /* SET ROLE before anything is created */
	bool no_privileges;   /* no GRANT, no REVOKE */
	const char *globals;  /* "missing" (default) or "none" */
	bool tablespaces;     /* default true; false: the default one */
	bool analyze;         /* default true */
	/* "none", "quick" (default: rows as loaded, no invalid index) or
	 * "full" (also counts every table again and runs amcheck) */
	const char *check;
	int64_t jobs;                 /* 0: max_streams */
	int64_t maintenance_work_mem; /* bytes, for each; 0: the server's */

	/* mode physical; see recover/recover.h */
	const char *lsn, *xid, *name;
	const char *target;   /* "latest" or "immediate" */
	const char *timeline; /* "latest" (default), "current" or a number */
	bool inclusive;       /* default true */
	const char *action;   /* "pause" (default), "promote", "shutdown" */
	const char *const *tablespace; /* "OLD=NEW" */
	const char *restore_command;   /* instead of ours */
	const char *archive_mode;      /* "keep" (default) or "off" */
};

struct hf_engine {
	const struct hf_ctx *ctx;
	struct conf conf;
	struct server *server; /* the private one while it runs, see
				* inspect/server.h */
};

/* Record a failure with a hint (may be NULL).  Returns status. */
int postgres_fail_hint(struct hf_error *, int status, const char *hint,
    const char *fmt, ...) HF_PRINTF(4, 5);
/* HF_E_NOMEM */
int postgres_nomem(struct hf_error *);

#endif
