/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine for the repository's tests: objects of given number, size and
 * seed, failures on demand, and a restore that can be compared. */
#include <holdfast/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct hf_host *H;

#define CHUNK 65536

/* The same once more as an engine of servers: its objects are scripts. */
#ifdef TESTENGINE_SERVER
#define NAME "testserver"
#define FLAGS HF_ENGINE_SERVER
#define BY_HAND "consume -d NEW"
#define OBJECT "%03lld-part.sql"
#else
#define NAME "testengine"
#define FLAGS 0
#define BY_HAND NULL
#define OBJECT "part %lld.bin"
#endif

struct conf {
	const char *path; /* where it restores to in place */
	int64_t objects, size, seed, facts;
	int64_t fail_at;  /* the object (1 is the first) that fails, 0: none */
	int64_t exit_at;  /* the same for the end of the process */
	const char *wait; /* "X.waiting" is made, then X is waited for */
	bool sick;        /* inspect finds something */
	/* It keeps a log, and a backup ends when this object is in it. */
	const char *needs;
};
struct restore_conf {
	const char *tell;
	const char *const *only;
	const char *role, *database;
	bool no_owner;
};
struct hf_engine {
	const struct hf_ctx *ctx;
	struct conf c;
};

static uint64_t
next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Half of the bytes' bits are noise, so that a compressor has work. */
static void
fill(uint64_t *x, uint8_t *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)('a' + (next(x) & 15));
}

static uint64_t
start(int64_t seed, int64_t object)
{
	return (uint64_t)seed * 1000003 + (uint64_t)object * 7919 + 1;
}

static int
eng_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **out,
    struct hf_error *err)
{
	struct hf_engine *e = calloc(1, sizeof *e);

	if (e == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	e->ctx = ctx;
	e->c = *(const struct conf *)conf;
	*out = e;
	return HF_OK;
}

static void
eng_close(struct hf_engine *e)
{
	free(e);
}

static int
eng_check(
    struct hf_engine *e, hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = e->c.sick ? HF_FAIL : HF_PASS,
		.check = "source",
		.result = e->c.sick ? "sick" : "ok" };

	(void)err;
	return cb(arg, &f);
}

static void
object_name(int64_t n, char name[32])
{
	(void)snprintf(name, 32, OBJECT, (long long)n);
}

static int
wait_for(struct hf_engine *e, struct hf_error *err)
{
	char mark[1024];
	int fd;

	(void)snprintf(mark, sizeof mark, "%s.waiting", e->c.wait);
	fd = open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return H->fail_errno(err, errno, "%s", mark);
	(void)close(fd);
	while (access(e->c.wait, F_OK) != 0)
		if (!H->sleep(e->ctx, 5))
			return H->fail(err, HF_E_CANCELLED, "cancelled");
	return HF_OK;
}

static int
write_object(
    struct hf_engine *e, int64_t n, struct hf_out *out, struct hf_error *err)
{
	uint64_t x = start(e->c.seed, n);
	struct hf_writer *w;
	uint8_t buf[CHUNK];
	char name[32];
	int rc;

	object_name(n, name);
	if ((rc = H->out_begin(out, name, (uint64_t)e->c.size, &w, err)) !=
	    HF_OK)
		return rc;
	for (int64_t done = 0; done < e->c.size;) {
		size_t len = e->c.size - done < CHUNK
				 ? (size_t)(e->c.size - done)
				 : CHUNK;

		fill(&x, buf, len);
		done += (int64_t)len;
		if ((rc = H->out_write(w, buf, len, err)) != HF_OK) {
			H->out_abort(w);
			return rc;
		}
		H->progress(e->ctx, (uint64_t)(n * e->c.size + done),
		    (uint64_t)(e->c.objects * e->c.size));
		if (n + 1 == e->c.exit_at)
			_exit(9);
		if (n + 1 == e->c.fail_at) {
			H->out_abort(w);
			return H->fail(
			    err, HF_E_IO, "object %s failed as asked", name);
		}
	}
	return H->out_commit(w, err);
}

static int
no_fact(void *arg, const char *key, const char *value)
{
	(void)arg;
	(void)key;
	(void)value;
	return 0;
}

static int
look_for(struct hf_engine *e, const struct hf_request *rq, struct hf_error *err)
{
	int rc = H->log_facts(rq->log, e->c.needs, no_fact, NULL, err);

	if (rc != HF_E_NOTFOUND)
		return rc;
	return H->fail(err, HF_E_IO, "%s does not arrive", e->c.needs);
}

static int
eng_backup(struct hf_engine *e, const struct hf_request *rq, struct hf_out *out,
    struct hf_error *err)
{
	char text[32];
	int rc = HF_OK;

	(void)snprintf(text, sizeof text, "%lld", (long long)e->c.seed);
	if ((rc = H->out_fact(out, "seed", text, err)) != HF_OK)
		return rc;
	(void)snprintf(text, sizeof text, "%lld", (long long)e->c.size);
	if ((rc = H->out_fact(out, "size", text, err)) != HF_OK)
		return rc;
	for (int64_t n = 0; n < e->c.facts && rc == HF_OK; n++) {
		(void)snprintf(text, sizeof text, "rows.%lld", (long long)n);
		rc = H->out_fact(out, text, text + 5, err);
	}
	for (int64_t n = 0; n < e->c.objects && rc == HF_OK; n++)
		rc = write_object(e, n, out, err);
	if (rc == HF_OK && e->c.wait != NULL)
		rc = wait_for(e, err);
	if (rc == HF_OK && e->c.needs != NULL)
		rc = look_for(e, rq, err);
	return rc;
}

static uint32_t
eng_log_kinds(struct hf_engine *e)
{
	return e->c.needs != NULL ? HF_LOG_PUSH : 0;
}

/* Every backup can be brought anywhere. */
static int
eng_log_reach(struct hf_engine *e, const struct hf_request *rq,
    struct hf_in *backup, struct hf_error *err)
{
	(void)e;
	(void)rq;
	(void)backup;
	(void)err;
	return HF_OK;
}

static int
read_object(struct hf_engine *e, struct hf_in *in, const char *name,
    const char *target, struct hf_error *err)
{
	char path[4096];
	struct hf_reader *r;
	uint8_t buf[CHUNK];
	size_t n;
	int rc, fd;

	(void)e;
	if (snprintf(path, sizeof path, "%s/%s", target, name) >=
	    (int)sizeof path)
		return H->fail(err, HF_E_INVALID, "%s: too long", target);
	if ((rc = H->in_open(in, name, 0, UINT64_MAX, &r, err)) != HF_OK)
		return rc;
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = H->fail_errno(err, errno, "%s", path);
		goto out;
	}
	while ((rc = H->in_read(r, buf, sizeof buf, &n, err)) == HF_OK)
		if (write(fd, buf, n) != (ssize_t)n) {
			rc = H->fail_errno(err, errno, "%s", path);
			break;
		}
	(void)close(fd);
out:
	H->in_close(r);
	return rc == HF_EOF ? HF_OK : rc;
}

static int
eng_log_get(struct hf_engine *e, const char *name, const char *file,
    struct hf_in *log, struct hf_error *err)
{
	return read_object(e, log, name, file, err);
}

struct walk {
	struct hf_engine *e;
	struct hf_in *in;
	const char *target;
	struct hf_error *err;
};

static int
each(void *arg, const struct hf_object *o)
{
	struct walk *w = arg;

	return read_object(w->e, w->in, o->key, w->target, w->err);
}

static void
clear(struct hf_engine *e, const char *target)
{
	char path[4096], name[32];

	for (int64_t n = 0; n < e->c.objects; n++) {
		object_name(n, name);
		if (snprintf(path, sizeof path, "%s/%s", target, name) <
		    (int)sizeof path)
			(void)unlink(path);
	}
	(void)rmdir(target);
}

/* Every option that was given. */
static void
tell(struct hf_engine *e, const struct restore_conf *conf)
{
	char key[32];

	if (conf == NULL)
		return;
	if (conf->tell != NULL)
		H->result(e->ctx, "told", conf->tell);
	for (int i = 0; conf->only != NULL && conf->only[i] != NULL; i++) {
		(void)snprintf(key, sizeof key, "only_%d", i);
		H->result(e->ctx, key, conf->only[i]);
	}
	if (conf->role != NULL)
		H->result(e->ctx, "role", conf->role);
	if (conf->database != NULL)
		H->result(e->ctx, "database", conf->database);
	if (conf->no_owner)
		H->result(e->ctx, "no_owner", "yes");
}

static int
eng_restore(struct hf_engine *e, const struct hf_request *rq,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	const struct restore_conf *conf = rq->restore_conf;
	const char *target = rq->target != NULL ? rq->target : e->c.path;
	struct walk w = { e, in[0], target, err };
	int rc;

	if (n != 1 || target == NULL)
		return H->fail(err, HF_E_INVALID, "nowhere to restore to");
	if (rq->flags & HF_RESTORE_IN_PLACE)
		clear(e, target);
	if (mkdir(target, 0700) != 0)
		return H->fail_errno(err, errno, "cannot make %s", target);
	rc = H->in_list(in[0], each, &w, err);
	if (rc != HF_OK) {
		clear(e, target);
		/* As engines do: in words of their own. */
		return H->fail(err, HF_E_IO, "the copy could not be written");
	}
	H->result(e->ctx, "target", target);
	tell(e, conf);
	return HF_OK;
}

static int
eng_scratch(struct hf_engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	(void)e;
	if (snprintf(target, cap, "%s/copy", dir) >= (int)cap)
		return H->fail(err, HF_E_INVALID, "too long");
	return HF_OK;
}

/* Is the file what the seed makes? */
static bool
same(const char *path, int64_t seed, int64_t object, int64_t size)
{
	uint64_t x = start(seed, object);
	uint8_t want[CHUNK], have[CHUNK];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0;

	for (int64_t done = 0; ok && done < size;) {
		size_t len =
		    size - done < CHUNK ? (size_t)(size - done) : CHUNK;

		fill(&x, want, len);
		ok = read(fd, have, len) == (ssize_t)len &&
		     memcmp(want, have, len) == 0;
		done += (int64_t)len;
	}
	if (ok)
		ok = read(fd, have, 1) == 0;
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

static int
eng_inspect(struct hf_engine *e, const char *target, struct hf_in *in,
    hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.check = "contents",
		.result = "as written" };
	char path[4096], name[32];
	const char *fact;

	(void)err;
	for (int64_t n = 0; n < e->c.objects; n++) {
		object_name(n, name);
		(void)snprintf(path, sizeof path, "%.4000s/%s", target, name);
		if (!same(path, e->c.seed, n, e->c.size))
			f.verdict = HF_FAIL;
	}
	if (in == NULL || H->in_fact(in, "seed") == NULL || e->c.sick)
		f.verdict = HF_FAIL;
	for (int64_t n = 0; in != NULL && n < e->c.facts; n++) {
		(void)snprintf(name, sizeof name, "rows.%lld", (long long)n);
		fact = H->in_fact(in, name);
		if (fact == NULL || strcmp(fact, name + 5) != 0)
			f.verdict = HF_FAIL;
	}
	if (f.verdict == HF_FAIL)
		f.result = "something else";
	return cb(arg, &f);
}

static void
eng_discard(struct hf_engine *e, const char *target)
{
	clear(e, target);
}

#define OPT(field, type, def, help)                                          \
	{                                                                    \
#field, HF_OPT_##type, 0, offsetof(struct conf, field), def, \
		    NULL, help                                               \
	}
static const struct hf_option options[] = {
	OPT(path, PATH, NULL, "where it restores to in place"),
	OPT(objects, INT, "1", "how many objects it writes"),
	OPT(size, INT, "1000", "bytes of each object"),
	OPT(seed, INT, "1", "what the bytes are made from"),
	OPT(facts, INT, "0", "how many facts it tells beyond seed and size"),
	OPT(fail_at, INT, "0", "the object that fails"),
	OPT(exit_at, INT, "0", "the object at which the process ends"),
	OPT(wait, PATH, NULL, "a file to wait for"),
	OPT(sick, BOOL, "false", "inspections find something"),
	OPT(needs, STRING, NULL, "what must be in the log"),
	{ 0 },
};
static const struct hf_option restore_options[] = {
	{ "tell", HF_OPT_STRING, 0, offsetof(struct restore_conf, tell), NULL,
	    NULL, "a text that the restore repeats" },
#ifdef TESTENGINE_SERVER
	{ "only", HF_OPT_STRING, HF_OPT_LIST,
	    offsetof(struct restore_conf, only), NULL, NULL, "repeated" },
	{ "role", HF_OPT_STRING, 0, offsetof(struct restore_conf, role), NULL,
	    NULL, "repeated" },
	{ "database", HF_OPT_STRING, 0, offsetof(struct restore_conf, database),
	    NULL, NULL, "repeated" },
	{ "no_owner", HF_OPT_BOOL, 0, offsetof(struct restore_conf, no_owner),
	    NULL, NULL, "repeated" },
#endif
	{ 0 },
};

static const struct hf_engine_ops engine = {
	.struct_size = sizeof engine,
	.kinds = HF_KIND_FULL,
	.open = eng_open,
	.close = eng_close,
	.check = eng_check,
	.backup = eng_backup,
	.restore = eng_restore,
	.scratch = eng_scratch,
	.inspect = eng_inspect,
	.discard = eng_discard,
	.restore_options = restore_options,
	.restore_conf_size = sizeof(struct restore_conf),
	.flags = FLAGS,
	.by_hand = BY_HAND,
	.log_kinds = eng_log_kinds,
	.log_get = eng_log_get,
	.log_reach = eng_log_reach,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = NAME,
	.version = "1",
	.summary = "makes objects for tests",
	.options = options,
	.conf_size = sizeof(struct conf),
	.engine = &engine,
};

HF_REGISTER(plugin, H);
