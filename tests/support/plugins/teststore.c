/* SPDX-License-Identifier: BSD-2-Clause */
/* A store for the repository's tests: files below a folder, and one call that
 * fails on demand, before or after it did its work. */
#include <holdfast/plugin.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct hf_host *H;

struct conf {
	const char *path;
	int64_t fail_at; /* the call that fails, 0: none */
	/* Or the first commit of such a key; with dead, all but the first. */
	const char *fail_key;
	bool exists;      /* as if somebody else had put the key */
	bool transient;   /* with a status that is tried again */
	bool after;       /* it does its work all the same */
	bool dead;        /* and so do all that follow */
	bool shared;      /* no put-if-absent */
	bool hang;        /* commits of data never come back */
	int64_t pause;    /* milliseconds, before each write */
	const char *down; /* while this file is there, every call fails */
	const char *gate; /* commits of such a key wait for a file */
};
struct hf_store {
	struct conf c;
	int64_t calls;
	bool key_failed;
};
struct hf_put {
	struct hf_store *s;
	char *key;
	bool if_absent;
	char *data;
	size_t len;
};
struct hf_get {
	struct hf_store *s;
	int fd;
	uint64_t left;
};

/* Does this call fail?  "<path>.hit" tells the test that one did. */
static bool
fault(struct hf_store *s)
{
	char mark[1024];
	int fd;

	s->calls++;
	if (s->c.down != NULL && access(s->c.down, F_OK) == 0)
		return true;
	if (s->c.fail_at == 0 || s->calls < s->c.fail_at ||
	    (s->calls > s->c.fail_at && !s->c.dead))
		return false;
	(void)snprintf(mark, sizeof mark, "%s.hit", s->c.path);
	fd = open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd);
	return true;
}

static int
failed(struct hf_store *s, const char *what, struct hf_error *err)
{
	return H->fail(err,
	    s->c.exists      ? HF_E_EXISTS
	    : s->c.transient ? HF_E_TRANSIENT
			     : HF_E_IO,
	    "call %lld (%s) failed as asked", (long long)s->calls, what);
}

static bool
path_of(const struct hf_store *s, const char *key, char path[4096])
{
	return snprintf(path, 4096, "%s/%s", s->c.path, key) < 4096;
}

static void
make_parents(char *path)
{
	for (char *p = strchr(path + 1, '/'); p != NULL;
	     p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
}

static int
st_open(const struct hf_ctx *ctx, const void *conf, struct hf_store **out,
    struct hf_error *err)
{
	struct hf_store *s = calloc(1, sizeof *s);

	(void)ctx;
	if (s == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	s->c = *(const struct conf *)conf;
	*out = s;
	return HF_OK;
}

static void
st_close(struct hf_store *s)
{
	free(s);
}

static uint32_t
st_caps(struct hf_store *s)
{
	return HF_CAP_RANGE | (s->c.shared ? 0 : HF_CAP_IF_ABSENT);
}

static int
st_clock(struct hf_store *s, int64_t *now, struct hf_error *err)
{
	if (fault(s))
		return failed(s, "clock", err);
	*now = (int64_t)time(NULL);
	return HF_OK;
}

static int
st_put(struct hf_store *s, const char *key, const struct hf_put_opts *o,
    struct hf_put **out, struct hf_error *err)
{
	struct hf_put *p;

	if (fault(s))
		return failed(s, "put", err);
	if ((o->flags & HF_PUT_IF_ABSENT) && s->c.shared)
		return H->fail(err, HF_E_UNSUPPORTED, "no put-if-absent");
	if ((p = calloc(1, sizeof *p)) == NULL ||
	    (p->key = strdup(key)) == NULL) {
		free(p);
		return H->fail(err, HF_E_NOMEM, "no memory");
	}
	p->s = s;
	p->if_absent = (o->flags & HF_PUT_IF_ABSENT) != 0;
	*out = p;
	return HF_OK;
}

static int
st_put_write(
    struct hf_put *p, const void *buf, size_t len, struct hf_error *err)
{
	char *grown;
	struct timespec pause = { .tv_sec = p->s->c.pause / 1000,
		.tv_nsec = p->s->c.pause % 1000 * 1000000 };

	if (fault(p->s))
		return failed(p->s, "put_write", err);
	(void)nanosleep(&pause, NULL);
	if ((grown = realloc(p->data, p->len + len + 1)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	memcpy(grown + p->len, buf, len);
	p->data = grown;
	p->len += len;
	return HF_OK;
}

static void
st_put_abort(struct hf_put *p)
{
	free(p->data);
	free(p->key);
	free(p);
}

static int
commit(struct hf_put *p, struct hf_error *err)
{
	char path[4096], temp[4200];
	int fd, rc = HF_OK;

	if (!path_of(p->s, p->key, path))
		return H->fail(err, HF_E_INVALID, "%s: too long", p->key);
	make_parents(path);
	(void)snprintf(temp, sizeof temp, "%s/.put-XXXXXX", p->s->c.path);
	if ((fd = mkostemp(temp, O_CLOEXEC)) < 0)
		return H->fail_errno(err, errno, "%s", temp);
	if (write(fd, p->data, p->len) != (ssize_t)p->len)
		rc = H->fail_errno(err, errno, "%s", temp);
	(void)close(fd);
	if (rc == HF_OK && p->if_absent && link(temp, path) != 0)
		rc = H->fail_errno(err, errno, "%s", p->key);
	if (rc == HF_OK && !p->if_absent && rename(temp, path) != 0)
		rc = H->fail_errno(err, errno, "%s", p->key);
	(void)unlink(temp);
	return rc;
}

/* "<path>.waiting" is made, then "<path>.open" is waited for. */
static void
wait_at_gate(const struct hf_store *s)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	char mark[1024];
	int fd;

	(void)snprintf(mark, sizeof mark, "%s.waiting", s->c.path);
	fd = open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(mark, sizeof mark, "%s.open", s->c.path);
	while (access(mark, F_OK) != 0)
		(void)nanosleep(&pause, NULL);
}

static int
st_put_commit(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	bool bad = fault(p->s);
	int rc = HF_OK;

	(void)out;
	while (p->s->c.hang && (strstr(p->key, "data/") != NULL ||
				   strstr(p->key, "wal/") != NULL))
		(void)pause();
	if (p->s->c.gate != NULL && strstr(p->key, p->s->c.gate) != NULL)
		wait_at_gate(p->s);
	if (p->s->c.fail_key != NULL &&
	    strstr(p->key, p->s->c.fail_key) != NULL) {
		bad = p->s->key_failed == p->s->c.dead;
		p->s->key_failed = true;
	}
	if (!bad || p->s->c.after)
		rc = commit(p, err);
	if (bad)
		rc = failed(p->s, "put_commit", err);
	st_put_abort(p);
	return rc;
}

static int
st_get(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **out, struct hf_error *err)
{
	char path[4096];
	struct hf_get *g;
	struct stat st;

	if (fault(s))
		return failed(s, "get", err);
	if (!path_of(s, key, path) || (g = calloc(1, sizeof *g)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	g->s = s;
	g->left = len;
	if ((g->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
		free(g);
		return H->fail_errno(err, errno, "%s", key);
	}
	if (fstat(g->fd, &st) != 0 || off > (uint64_t)st.st_size ||
	    lseek(g->fd, (off_t)off, SEEK_SET) < 0) {
		(void)close(g->fd);
		free(g);
		return H->fail(err, HF_E_INVALID, "%s: past its end", key);
	}
	*out = g;
	return HF_OK;
}

static int
st_get_read(
    struct hf_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	ssize_t got;

	*n = 0;
	if (fault(g->s))
		return failed(g->s, "get_read", err);
	if (cap > g->left)
		cap = (size_t)g->left;
	if ((got = read(g->fd, buf, cap)) < 0)
		return H->fail_errno(err, errno, "reading");
	g->left -= (uint64_t)got;
	*n = (size_t)got;
	return got > 0 ? HF_OK : HF_EOF;
}

static void
st_get_close(struct hf_get *g)
{
	(void)close(g->fd);
	free(g);
}

static int
st_stat(struct hf_store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	char path[4096];
	struct stat st;

	if (fault(s))
		return failed(s, "stat", err);
	if (!path_of(s, key, path) || stat(path, &st) != 0)
		return H->fail(err, HF_E_NOTFOUND, "%s: not there", key);
	out->size = (uint64_t)st.st_size;
	out->mtime = (int64_t)st.st_mtime;
	return HF_OK;
}

/* key: of the folder, grows and shrinks. */
static int
walk(const char *root, char *key, const char *prefix, hf_list_fn *cb, void *arg)
{
	char path[4096];
	size_t len = strlen(key);
	struct dirent *e;
	struct stat st;
	int rc = HF_OK;
	DIR *d;

	(void)snprintf(path, sizeof path, "%.2000s/%.2000s", root, key);
	if ((d = opendir(path)) == NULL)
		return HF_OK;
	while (rc == HF_OK && (e = readdir(d)) != NULL) {
		struct hf_object o = { .struct_size = sizeof o, .key = key };

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(key + len, 1024 - len, "%s%s",
		    len > 0 ? "/" : "", e->d_name);
		(void)snprintf(path, sizeof path, "%.2000s/%.2000s", root, key);
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			rc = walk(root, key, prefix, cb, arg);
		else if (strncmp(key, prefix, strlen(prefix)) == 0) {
			o.size = (uint64_t)st.st_size;
			o.mtime = (int64_t)st.st_mtime;
			rc = cb(arg, &o);
		}
		key[len] = '\0';
	}
	(void)closedir(d);
	return rc;
}

static int
st_list(struct hf_store *s, const char *prefix, hf_list_fn *cb, void *arg,
    struct hf_error *err)
{
	char key[1024] = "";

	if (fault(s))
		return failed(s, "list", err);
	return walk(s->c.path, key, prefix, cb, arg);
}

static int
st_remove(struct hf_store *s, const char *key, struct hf_error *err)
{
	char path[4096];
	bool bad = fault(s);

	if ((!bad || s->c.after) && path_of(s, key, path))
		(void)unlink(path);
	return bad ? failed(s, "remove", err) : HF_OK;
}

#define OPT(field, type, flags, def, help)                                  \
	{                                                                   \
#field, HF_OPT_##type, flags, offsetof(struct conf, field), \
		    def, NULL, help                                         \
	}
static const struct hf_option options[] = {
	OPT(path, PATH, HF_OPT_REQUIRED, NULL, "the folder"),
	OPT(fail_at, INT, 0, "0", "the call that fails"),
	OPT(fail_key, STRING, 0, NULL, "a text in the key whose commit fails"),
	OPT(exists, BOOL, 0, "false", "failures say that the key was taken"),
	OPT(transient, BOOL, 0, "false", "failures may be tried again"),
	OPT(after, BOOL, 0, "false", "it does its work all the same"),
	OPT(dead, BOOL, 0, "false", "all that follow fail too"),
	OPT(hang, BOOL, 0, "false", "commits of data never come back"),
	OPT(pause, DURATION, 0, "0s", "how long each write waits first"),
	OPT(shared, BOOL, 0, "false", "no put-if-absent"),
	OPT(down, PATH, 0, NULL, "a file; while it is there all calls fail"),
	OPT(gate, STRING, 0, NULL, "a text in the key whose commit waits"),
	{ 0 },
};

static const struct hf_store_ops store = {
	.struct_size = sizeof store,
	.open = st_open,
	.close = st_close,
	.caps = st_caps,
	.clock = st_clock,
	.put = st_put,
	.put_write = st_put_write,
	.put_commit = st_put_commit,
	.put_abort = st_put_abort,
	.get = st_get,
	.get_read = st_get_read,
	.get_close = st_get_close,
	.stat = st_stat,
	.list = st_list,
	.remove = st_remove,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_INSTANCE,
	.name = "teststore",
	.version = "1",
	.summary = "files, with a call that fails on demand",
	.options = options,
	.conf_size = sizeof(struct conf),
	.store = &store,
};

HF_REGISTER(plugin, H);
