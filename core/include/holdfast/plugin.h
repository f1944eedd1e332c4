/* SPDX-License-Identifier: BSD-2-Clause */
/* holdfast/plugin.h: the whole contract between the core and a plugin.
 *
 * ABI RULES
 *  1. A struct that crosses the boundary starts with struct_size, set by the
 *     side that allocates it.  Fields are appended, never moved or re-typed.
 *  2. The reader copies min(its size, struct_size) over zeroed memory; zero or
 *     NULL always means "absent, use the default".
 *  3. Enumerators and flag bits are never renumbered.  A flag bit the callee
 *     does not know is refused with HF_E_UNSUPPORTED, never ignored.
 *  4. Arguments are borrowed for the call.  Nobody frees the other's memory.
 *  5. A plugin never calls exit, longjmps out, changes signals, locale, umask
 *     or cwd, writes to stdout/stderr, or opens an fd without O_CLOEXEC.
 *  6. Calls block.  0 is success, > 0 is HF_EOF, < 0 failed and filled err.
 *  7. Strings are UTF-8 and end in NUL.  Sizes are bytes, times Unix seconds
 *     (UTC), durations milliseconds, unless a field says otherwise.
 */
#ifndef HF_PLUGIN_H
#define HF_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_ABI_MAJOR 1 /* differs: the plugin is refused */
#define HF_ABI_MINOR 3 /* counts appended fields */

#if defined(__GNUC__)
#define HF_EXPORT __attribute__((visibility("default")))
#define HF_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define HF_EXPORT
#define HF_PRINTF(f, a)
#endif

/* Does the other side's struct have this function? */
#define HF_HAS(type, p, field)                                             \
	((p)->struct_size >= offsetof(type, field) + sizeof((p)->field) && \
	    (p)->field != NULL)

enum hf_status {
	HF_EOF = 1, /* no more data; not an error */
	HF_OK = 0,
	HF_E_INVALID = -1, /* bad option or request */
	HF_E_NOTFOUND = -2,
	HF_E_EXISTS = -3,    /* a conditional put lost, or a target is taken */
	HF_E_DENIED = -4,    /* credentials or permissions */
	HF_E_TRANSIENT = -5, /* the only status the core retries */
	HF_E_NOSPACE = -6,
	HF_E_CORRUPT = -7, /* integrity: never retried or ignored */
	HF_E_UNSUPPORTED = -8,
	HF_E_CANCELLED = -9,
	HF_E_NOMEM = -10,
	HF_E_IO = -11, /* any other failure of the world */
	HF_E_BUG = -12 /* somebody broke this contract */
};

enum hf_level { HF_LOG_ERROR, HF_LOG_WARN, HF_LOG_INFO, HF_LOG_DEBUG };

/* Which calls the core may overlap.  Zero is the safest. */
enum hf_threads {
	HF_THREADS_SERIAL = 0, /* one call at a time in the whole .so */
	HF_THREADS_INSTANCE,   /* instances overlap, calls on one do not */
	HF_THREADS_HANDLE      /* all overlap, except calls on one handle:
				* put, get, xform, writer, reader.  Needed by
				* an engine that starts threads, and by a
				* filter that is to run on all cores. */
};

/* Owned by the core, opaque to plugins. */
struct hf_ctx;   /* one configured instance: log, cancel */
struct hf_error; /* the caller's error slot */
struct hf_out;   /* a backup being written */
struct hf_in;    /* a backup being read */
struct hf_writer;
struct hf_reader;

/* Owned by the plugin; each .c file defines the ones it needs. */
struct hf_engine;
struct hf_filter;
struct hf_xform;
struct hf_store;
struct hf_put;
struct hf_get;

/* One object: filled by a store, or reported by it through hf_list_fn. */
struct hf_object {
	size_t struct_size;
	const char *key; /* only when listing; borrowed for the call */
	uint64_t size;
	int64_t mtime; /* Unix seconds, the store's clock */
	char etag[72]; /* version tag, "" when the store has none */
};
typedef int hf_list_fn(void *arg, const struct hf_object *); /* != 0 stops */

/* One thing that a check, an inspection or a doctor looked at. */
enum hf_verdict { HF_PASS = 0, HF_WARN = 1, HF_FAIL = 2 };
struct hf_finding {
	size_t struct_size;
	int32_t verdict;    /* enum hf_verdict */
	const char *check;  /* what was looked at: "integrity_check" */
	const char *result; /* what was seen: "ok" */
	const char *hint;   /* what to do about it, or NULL */
};
/* Returns HF_OK, or < 0 to stop the checks. */
typedef int hf_finding_fn(void *arg, const struct hf_finding *);

/* Folders that the core lends to a plugin; they exist, mode 0700. */
enum hf_folder {
	HF_FOLDER_STATE = 0, /* kept between runs */
	HF_FOLDER_SCRATCH    /* large temporary files of this run */
};

/* ---- services the core lends to plugins; callable from any thread ---- */
struct hf_host {
	size_t struct_size;
	uint32_t abi_major, abi_minor;
	const char *version;

	/* event: a stable id for machines, "sqlite.fallback" */
	void (*log)(const struct hf_ctx *, int level, const char *event,
	    const char *fmt, ...) HF_PRINTF(4, 5);
	bool (*cancelled)(const struct hf_ctx *);
	/* Sleep, but wake when cancelled: false then. */
	bool (*sleep)(const struct hf_ctx *, int64_t ms);
	/* Bytes of this instance's work; total 0 = unknown. */
	void (*progress)(const struct hf_ctx *, uint64_t done, uint64_t total);
	/* What a restore or a check did, for the report and the operator:
	 * "safety_copy" = "/data/app.db.before-restore-..." */
	void (*result)(
	    const struct hf_ctx *, const char *key, const char *value);
	/* NULL when the core has no such folder.  Valid until close. */
	const char *(*folder)(const struct hf_ctx *, int which);

	/* Each returns the status, so: return H->fail(err, HF_E_IO, "..."); */
	int (*fail)(struct hf_error *, int status, const char *fmt, ...)
	    HF_PRINTF(3, 4);
	int (*fail_errno)(struct hf_error *, int errnum, const char *fmt, ...)
	    HF_PRINTF(3, 4);
	/* "while ..." around an existing error */
	int (*fail_context)(struct hf_error *, const char *fmt, ...)
	    HF_PRINTF(2, 3);
	/* key: "hint", "sqlstate", "http", "request-id", ... */
	void (*fail_note)(
	    struct hf_error *, const char *key, const char *value);

	/* Backup: the engine pushes.  Several writers may be open at once.
	 * out_write() blocks = backpressure.  After out_commit() returns
	 * HF_OK the object is durable in every sink still in the backup;
	 * commit (even failed) and abort consume the writer.  name: any
	 * UTF-8, unique in the backup, parts joined by '/'. */
	int (*out_begin)(struct hf_out *, const char *name, uint64_t size_hint,
	    struct hf_writer **w, struct hf_error *);
	int (*out_write)(
	    struct hf_writer *, const void *buf, size_t len, struct hf_error *);
	int (*out_commit)(struct hf_writer *, struct hf_error *);
	void (*out_abort)(struct hf_writer *);
	/* For the manifest: LSN, page size.  The same key again replaces. */
	int (*out_fact)(struct hf_out *, const char *key, const char *value,
	    struct hf_error *);

	/* Restore and incremental: the engine pulls, with ranges.  The list
	 * gives names as out_begin had them, and raw sizes.  Reading to the
	 * end of a whole object proves its hash: HF_E_CORRUPT instead of
	 * HF_EOF when it does not agree.  len UINT64_MAX = to the end. */
	int (*in_list)(
	    struct hf_in *, hf_list_fn *, void *arg, struct hf_error *);
	int (*in_open)(struct hf_in *, const char *name, uint64_t off,
	    uint64_t len, struct hf_reader **r, struct hf_error *);
	int (*in_read)(struct hf_reader *, void *buf, size_t cap, size_t *n,
	    struct hf_error *);
	void (*in_close)(struct hf_reader *);
	/* NULL when unknown.  Valid as long as the hf_in. */
	const char *(*in_fact)(struct hf_in *, const char *key);

	/* ---- since 1.1 ---- */

	/* An error slot for a thread of the plugin's own: a slot has one
	 * writer at a time, so threads cannot share that of the call.  NULL:
	 * no memory, which every call takes as "nobody listens". */
	struct hf_error *(*fail_new)(void);
	void (*fail_free)(struct hf_error *); /* NULL is a no-op */
	/* Empties from into to (may be NULL) and returns its status. */
	int (*fail_move)(struct hf_error *to, struct hf_error *from);

	/* ---- since 1.2: logs ---- */

	/* A log is what a pipeline keeps between its backups: objects that
	 * arrive one by one (WAL segments), each whole and durable on its own.
	 * It is written and read by the functions above, but so:
	 *   name       parts of [A-Za-z0-9._-] joined by '/', 200 bytes at
	 *              most, no part begins with a dot; never used for other
	 *              bytes again
	 *   out_commit HF_OK: every sink that the pipeline requires has it
	 *              durably.  Also when it was there with the same bytes;
	 *              with others HF_E_EXISTS, and nothing is changed.  A
	 *              failure is of this object alone: try again later
	 *   in_list    the names, in their order (strcmp), size 0 = unknown;
	 *              what arrives meanwhile may be missing
	 *   in_open    HF_E_NOTFOUND: no sink has it (all could be asked);
	 *              a damaged copy is read from another sink if it can be
	 * Any number of threads may use one log at once.  A backup is shown
	 * of it what every sink has that must; all others, what any has. */

	/* A fact of the object that this writer makes; before out_commit. */
	int (*writer_fact)(struct hf_writer *, const char *key,
	    const char *value, struct hf_error *);
	/* Remove an object of a log from all sinks; a missing one is HF_OK. */
	int (*log_remove)(
	    struct hf_out *log, const char *name, struct hf_error *);
	/* Its facts, one call each, in the order told, and then two more:
	 * "raw_size" and "raw_sha256".  fn != 0 stops. */
	int (*log_facts)(struct hf_in *log, const char *name,
	    int (*fn)(void *arg, const char *key, const char *value), void *arg,
	    struct hf_error *);

	/* ---- since 1.2: a backup of the plugin's own ---- */

	/* In files of a folder that exists and is its own: what is written to
	 * out can then be read from in, by the functions above, until it is
	 * closed, which removes it.  Without filters, sinks and hashes. */
	int (*spool_open)(const char *folder, struct hf_out **, struct hf_in **,
	    struct hf_error *);
	void (*spool_close)(struct hf_out *); /* NULL is a no-op */

	/* ---- since 1.3 ---- */

	/* As in_list, but only the names that begin with prefix: of a long log
	 * no more than that is asked for. */
	int (*log_list)(struct hf_in *log, const char *prefix, hf_list_fn *,
	    void *arg, struct hf_error *);
};

/* ---- configuration: declared, so the core parses, checks and explains ---- */
enum hf_opt_type {
	HF_OPT_STRING = 1, /* const char * */
	HF_OPT_PATH,       /* const char *, made absolute */
	HF_OPT_ENUM,       /* const char *, one of choices "a|b|c" */
	HF_OPT_BOOL,       /* bool */
	HF_OPT_INT,        /* int64_t, choices "1..9" */
	HF_OPT_SIZE,       /* int64_t bytes, "16MiB" */
	HF_OPT_DURATION    /* int64_t milliseconds, "90s" */
};
#define HF_OPT_REQUIRED (1u << 0)
#define HF_OPT_SECRET (1u << 1) /* redacted; {"env"} or {"file"} only */
/* STRING, PATH and ENUM only: const char *const *, NULL ends */
#define HF_OPT_LIST (1u << 2)

/* name: [a-z][a-z0-9_]*, or "wal.slot" for { "wal": { "slot": ... } }.
 * Strings stay valid until close.  An absent option without def is
 * NULL, false or 0.  def of a LIST: its items, '|' between them. */
struct hf_option {
	const char *name; /* NULL ends the table */
	uint32_t type, flags;
	size_t offset; /* into the plugin's config struct */
	const char *def, *choices, *help;
};

/* ---- engine: one database product ---- */
#define HF_KIND_FULL (1u << 0)
/* What has changed since request.parent (itself full or incremental; its facts
 * and objects can be read).  HF_E_UNSUPPORTED before the first out_begin: it
 * cannot be done on that parent now, the error says why, and the core asks for
 * HF_KIND_FULL instead.  Restored from itself and all that it builds on. */
#define HF_KIND_INCR (1u << 1)
#define HF_KIND_LOG (1u << 2) /* runs until cancelled, then HF_OK */

#define HF_RESTORE_IN_PLACE (1u << 0) /* replace, after a safety copy */
#define HF_RESTORE_FORCE (1u << 1)    /* even while others use the target */

struct hf_request {
	size_t struct_size;
	uint32_t kind;
	uint32_t max_streams;     /* writers or readers open at once, >= 1 */
	struct hf_in *parent;     /* NULL unless HF_KIND_INCR */
	uint32_t flags;           /* HF_RESTORE_* */
	const char *target;       /* restore: where to; NULL = the source */
	const char *until;        /* restore: point in time, or NULL */
	const void *restore_conf; /* parsed by restore_options, or NULL */

	/* ---- since 1.2 ---- */
	struct hf_in *log; /* the pipeline's log, or NULL: it keeps none */
	/* The shell command that brings an object of the log into a file, to
	 * which " NAME FILE" is added; NULL without a log. */
	const char *log_command;
};

/* How a source's log comes about. */
#define HF_LOG_FOLLOW \
	(1u << 0)             /* backup(HF_KIND_LOG), while the service runs */
#define HF_LOG_PUSH (1u << 1) /* the database hands files to log_push */
/* What log_push tells the host (result) when other files wait. */
#define HF_LOG_WAITING "log_waiting"

/* A stretch of time that backups and log make up: any moment of it can be
 * restored. */
struct hf_span {
	size_t struct_size;
	int64_t from, to;         /* Unix seconds; to 0: not known */
	const char *first, *last; /* in the engine's own terms: LSNs */
	const char *backup; /* the fact "backup" of the one it begins with */
	const char *gap; /* what is missing behind it; NULL: it is the newest */

	/* ---- since 1.3 ---- */

	/* Moments beside the newest ones, which a restore reaches only when it
	 * is asked for this branch: "timeline 1".  NULL: what it reaches by
	 * itself. */
	const char *branch;
};
typedef int hf_span_fn(void *arg, const struct hf_span *); /* != 0 stops */

/* A target names a place on a server ("host=db dbname=shop"), not a path: the
 * core makes no folder for it and puts nothing of several sources below one. */
#define HF_ENGINE_SERVER (1u << 0)

struct hf_engine_ops {
	size_t struct_size;
	uint32_t kinds;
	int (*open)(const struct hf_ctx *, const void *conf,
	    struct hf_engine **, struct hf_error *);
	void (*close)(struct hf_engine *);
	/* Optional.  Can this source be backed up?  Reads only. */
	int (*check)(
	    struct hf_engine *, hf_finding_fn *, void *arg, struct hf_error *);
	int (*backup)(struct hf_engine *, const struct hf_request *,
	    struct hf_out *, struct hf_error *);
	/* A target that exists and is not empty is refused with HF_E_EXISTS
	 * unless HF_RESTORE_IN_PLACE.  A failure leaves the target as it
	 * was.  oldest_first: a full backup, and the increments on it, each on
	 * the one before. */
	int (*restore)(struct hf_engine *, const struct hf_request *,
	    struct hf_in *const *oldest_first, size_t n, struct hf_error *);

	/* Verify and drill: name a throw-away target under dir; look inside
	 * a restored one (in: its backup, for facts; may be NULL); answer one
	 * SQL with its first value; clear it away.  inspect returns HF_OK
	 * when it could look, whatever it found: verdicts say the rest. */
	int (*scratch)(struct hf_engine *, const char *dir, char *target,
	    size_t cap, struct hf_error *);
	int (*inspect)(struct hf_engine *, const char *target, struct hf_in *in,
	    hf_finding_fn *, void *arg, struct hf_error *);
	int (*query)(struct hf_engine *, const char *target, const char *sql,
	    char *value, size_t cap, struct hf_error *);
	void (*discard)(struct hf_engine *, const char *target);

	/* What `holdfast restore -o name=value` takes: as hf_plugin.options.
	 * NULL: nothing. */
	const struct hf_option *restore_options;
	size_t restore_conf_size;

	/* ---- since 1.1 ---- */
	uint32_t flags; /* HF_ENGINE_* */
	/* Of an engine whose objects *.sql are, in the order of their names,
	 * one script: the shell command that reads it, "psql -d NEW", for
	 * those who restore by hand.  NULL: objects are files on their own. */
	const char *by_hand;

	/* ---- since 1.2: all optional; for engines that keep a log ---- */

	/* HF_LOG_* of this configuration; 0: it keeps none. */
	uint32_t (*log_kinds)(struct hf_engine *);
	/* `holdfast wal push FILE`: HF_OK when the log has it durably. */
	int (*log_push)(struct hf_engine *, const char *file,
	    struct hf_out *log, struct hf_in *have, struct hf_error *);
	/* `holdfast wal get NAME FILE`: verified, written beside FILE, renamed.
	 * HF_E_NOTFOUND alone means that the log has no such object. */
	int (*log_get)(struct hf_engine *, const char *name, const char *file,
	    struct hf_in *log, struct hf_error *);
	/* In a process of its own, after log_get: fetch what will be asked for
	 * next into HF_FOLDER_STATE. */
	int (*log_ahead)(struct hf_engine *, const char *name,
	    struct hf_in *log, struct hf_error *);
	/* Can this backup, with request->log, be brought to what request asks
	 * for (until, restore_conf)?  HF_E_NOTFOUND: no; says why, and the
	 * nearest that can be reached. */
	int (*log_reach)(struct hf_engine *, const struct hf_request *,
	    struct hf_in *backup, struct hf_error *);
	/* What can be restored, oldest first.  backups: oldest first too. */
	int (*log_spans)(struct hf_engine *, struct hf_in *log,
	    struct hf_in *const *backups, size_t n, hf_span_fn *, void *arg,
	    struct hf_error *);
	/* Read every object, and prove that they belong together. */
	int (*log_verify)(struct hf_engine *, struct hf_in *log,
	    struct hf_in *const *backups, size_t n, hf_finding_fn *, void *arg,
	    struct hf_error *);
	/* The objects that nothing needs: not to restore any of the backups
	 * kept (oldest first), and not to reach any moment after the end of
	 * kept[whole] (whole == n: no moment is promised).  Only what is older
	 * than the oldest backup's needs or lies between two; never what is
	 * newer than the newest. */
	int (*log_surplus)(struct hf_engine *, struct hf_in *log,
	    struct hf_in *const *kept, size_t n, size_t whole, hf_list_fn *,
	    void *arg, struct hf_error *);

	/* ---- since 1.3: optional ---- */

	/* In a process of its own, after a log_push that told the result
	 * HF_LOG_WAITING: bring along what waits behind that file, and leave
	 * in HF_FOLDER_STATE what answers the next log_push at once. */
	int (*log_behind)(struct hf_engine *, const char *file,
	    struct hf_out *log, struct hf_in *have, struct hf_error *);
};

/* ---- filter: a reversible byte transform, blind to engines and stores ---- */
struct hf_step {
	size_t struct_size;
	const uint8_t *src;
	size_t src_len, src_used;
	uint8_t *dst;
	size_t dst_cap, dst_len;
	bool last; /* no input follows src */
};

/* Pieces transformed apart and laid end to end decode as one stream (gzip
 * members, zstd frames): the core cuts objects into frames, runs them on
 * many threads and reads a range without decoding what stands before it. */
#define HF_FILTER_FRAMES (1u << 0)

struct hf_filter_ops {
	size_t struct_size;
	uint32_t flags;
	const char *suffix; /* added to object keys: ".gz" */
	int (*open)(const struct hf_ctx *, const void *conf,
	    struct hf_filter **, struct hf_error *);
	void (*close)(struct hf_filter *);
	/* name: the object's name, for ciphers to authenticate */
	int (*begin)(struct hf_filter *, bool decode, const char *name,
	    struct hf_xform **, struct hf_error *);
	/* src_used and dst_len are set by the callee.  Must progress: use
	 * input or give output.  HF_EOF: finished, all output given.  HF_OK
	 * with dst full: call again.  last with the stream unfinished and
	 * nothing left to emit: HF_E_CORRUPT when decoding. */
	int (*step)(struct hf_xform *, struct hf_step *, struct hf_error *);
	void (*end)(struct hf_xform *); /* at any point */
};

/* ---- store: a place that keeps named objects ---- */
#define HF_CAP_RANGE (1u << 0) /* get seeks without reading */
#define HF_CAP_IF_ABSENT (1u << 1)
#define HF_CAP_IF_MATCH (1u << 2)

#define HF_PUT_IF_ABSENT (1u << 0) /* else commit: HF_E_EXISTS */

struct hf_put_opts {
	size_t struct_size;
	uint32_t flags;
	const char *if_match; /* replace only this etag */
	uint64_t size_hint;   /* 0 = unknown */
};

/* Keys: [A-Za-z0-9._=/-], at most 512 bytes, no empty component, none that
 * starts with a dot.  The core checks them, both ways.
 *
 * open makes nothing.  Where the place itself is missing (a folder, which may
 * be a disk that is not mounted) and the first put would make it, open answers
 * HF_OK; until then stat, get, list and clock answer HF_E_NOTFOUND and say
 * what is missing.  list says so of nothing else: a place that is there
 * and empty is HF_OK. */
struct hf_store_ops {
	size_t struct_size;
	int (*open)(const struct hf_ctx *, const void *conf, struct hf_store **,
	    struct hf_error *);
	void (*close)(struct hf_store *);
	/* Optional.  Can objects be kept here?  Leaves nothing behind. */
	int (*check)(
	    struct hf_store *, hf_finding_fn *, void *arg, struct hf_error *);
	uint32_t (*caps)(struct hf_store *);
	/* Optional.  Unix seconds by the clock that gives mtime. */
	int (*clock)(struct hf_store *, int64_t *now, struct hf_error *);

	/* Invisible until put_commit, then whole, durable and listed at once.
	 * put_commit (even failed) and put_abort consume the handle.  out may
	 * be NULL. */
	int (*put)(struct hf_store *, const char *key,
	    const struct hf_put_opts *, struct hf_put **, struct hf_error *);
	int (*put_write)(
	    struct hf_put *, const void *buf, size_t len, struct hf_error *);
	int (*put_commit)(
	    struct hf_put *, struct hf_object *out, struct hf_error *);
	void (*put_abort)(struct hf_put *);

	/* len UINT64_MAX = to the end; off past the end: HF_E_INVALID.
	 * get_read: HF_OK with *n > 0, or HF_EOF with *n == 0. */
	int (*get)(struct hf_store *, const char *key, uint64_t off,
	    uint64_t len, struct hf_get **, struct hf_error *);
	int (*get_read)(struct hf_get *, void *buf, size_t cap, size_t *n,
	    struct hf_error *);
	void (*get_close)(struct hf_get *);

	int (*stat)(struct hf_store *, const char *key, struct hf_object *out,
	    struct hf_error *);
	/* Each committed key that starts with prefix (a string, it need not
	 * end at a '/'), once, in any order. */
	int (*list)(struct hf_store *, const char *prefix, hf_list_fn *,
	    void *arg, struct hf_error *);
	/* A missing key is HF_OK. */
	int (*remove)(struct hf_store *, const char *key, struct hf_error *);

	/* ---- since 1.2, both optional ---- */

	/* As remove for each, in as few requests as the store can.  After a
	 * failure some may be gone. */
	int (*remove_many)(struct hf_store *, const char *const *keys, size_t n,
	    struct hf_error *);
	/* What writers that died left and list does not show: unfinished
	 * uploads, temporary files.  Each that was begun before this moment
	 * (Unix seconds, the store's clock) is told, and removed unless dry;
	 * only below prefix, and only what this kind of store wrote. */
	int (*sweep)(struct hf_store *, const char *prefix, int64_t before,
	    bool dry, hf_list_fn *, void *arg, struct hf_error *);
};

/* ---- the descriptor each .so returns ---- */
struct hf_plugin {
	size_t struct_size;
	uint32_t abi_major, abi_minor; /* of the header compiled against */
	uint32_t min_host_minor;       /* oldest core it can run under */
	int32_t threads;
	const char *name; /* [a-z][a-z0-9-]*, and the file is NAME.so */
	const char *version, *summary, *help;

	const struct hf_option *options; /* NULL: it has none */
	size_t option_size, conf_size;
	int (*validate)(const void *conf, struct hf_error *); /* optional */

	int (*load)(struct hf_error *); /* optional, once, one thread */
	void (*unload)(void);

	const struct hf_engine_ops *engine; /* at least one of these */
	const struct hf_filter_ops *filter;
	const struct hf_store_ops *store;
};

#define HF_PLUGIN_INIT                                                      \
	.struct_size = sizeof(struct hf_plugin), .abi_major = HF_ABI_MAJOR, \
	.abi_minor = HF_ABI_MINOR, .option_size = sizeof(struct hf_option)

/* The one exported symbol; its name carries the major version. */
typedef const struct hf_plugin *hf_plugin_fn(const struct hf_host *);
#define HF_PLUGIN_SYMBOL "hf_plugin_v1"
#define HF_REGISTER(desc, host_var)                                       \
	HF_EXPORT const struct hf_plugin *hf_plugin_v1(                   \
	    const struct hf_host *host_);                                 \
	const struct hf_plugin *hf_plugin_v1(const struct hf_host *host_) \
	{                                                                 \
		(host_var) = host_;                                       \
		return &(desc);                                           \
	}                                                                 \
	struct hf_plugin /* swallow the semicolon */

#ifdef __cplusplus
}
#endif
#endif /* HF_PLUGIN_H */
