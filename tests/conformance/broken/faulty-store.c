/* SPDX-License-Identifier: BSD-2-Clause */
/* A store that keeps objects as files and, when told so, breaks one rule.  It
 * proves the conformance suite: with fault=none every case passes, with any
 * other fault the case that guards the rule fails.  Not for real data: it does
 * not fsync. */
#include <holdfast/plugin.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct hf_host *H;
static void *volatile lost; /* so that no compiler saves the malloc */

struct conf {
	const char *path, *fault, *token;
};

struct hf_store {
	const struct hf_ctx *ctx;
	char root[2000];
	const char *fault;
	int stray;
};

struct hf_put {
	struct hf_store *store;
	char temp[2100], path[2600];
	int fd;
	bool if_absent;
};

struct hf_get {
	int fd;
	uint64_t left;
	bool hangs;
};

static bool
has(const struct hf_store *s, const char *fault)
{
	return strcmp(s->fault, fault) == 0;
}

static void *
wait_for_ever(void *arg)
{
	for (;;)
		(void)pause();
	return arg;
}

static void
ignore_signal(int number)
{
	(void)number;
}

static int
spoil_process(struct hf_store *s, struct hf_error *err)
{
	pthread_t thread;

	if (has(s, "umask"))
		(void)umask(0);
	if (has(s, "cwd") && chdir("/") != 0)
		return H->fail_errno(err, errno, "cannot go to /");
	if (has(s, "signal"))
		(void)signal(SIGUSR2, ignore_signal);
	if (has(s, "thread") &&
	    pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
		return H->fail(err, HF_E_IO, "cannot start a thread");
	if (has(s, "cloexec"))
		s->stray = open("/dev/null", O_RDONLY);
	return HF_OK;
}

static int
store_open(const struct hf_ctx *ctx, const void *conf, struct hf_store **out,
    struct hf_error *err)
{
	const struct conf *c = conf;
	struct hf_store *s = calloc(1, sizeof *s);
	char temp[2100];
	int status;

	if (s == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	s->ctx = ctx;
	s->fault = c->fault;
	s->stray = -1;
	(void)snprintf(s->root, sizeof s->root, "%.1990s", c->path);
	(void)snprintf(temp, sizeof temp, "%s/.temp", s->root);
	if ((mkdir(s->root, 0700) != 0 && errno != EEXIST) ||
	    (mkdir(temp, 0700) != 0 && errno != EEXIST)) {
		status = H->fail_errno(
		    err, errno, "cannot make the folder %s", temp);
		free(s);
		return status;
	}
	if (has(s, "secret") && c->token != NULL)
		H->log(ctx, HF_LOG_INFO, "faulty.open", "using %s", c->token);
	status = spoil_process(s, err);
	if (status != HF_OK) {
		free(s);
		return status;
	}
	*out = s;
	return HF_OK;
}

static void
store_close(struct hf_store *s)
{
	if (s->stray >= 0)
		(void)close(s->stray);
	free(s);
}

static uint32_t
store_caps(struct hf_store *s)
{
	(void)s;
	return HF_CAP_RANGE | HF_CAP_IF_ABSENT;
}

static int
store_clock(struct hf_store *s, int64_t *now, struct hf_error *err)
{
	(void)err;
	*now = (int64_t)time(NULL) - (has(s, "clock") ? 100000 : 0);
	return HF_OK;
}

static void
make_parents(char *path, size_t root)
{
	for (char *p = path + root + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
}

/* The beginning of the key stands in it, for sweep. */
static void
name_temp(const struct hf_store *s, const char *key, char *temp, size_t cap)
{
	size_t root = strlen(s->root) + strlen("/.temp/");

	(void)snprintf(temp, cap, "%s/.temp/%.80s~XXXXXX", s->root, key);
	for (char *p = temp + root; *p != '\0'; p++)
		if (*p == '/')
			*p = '!';
}

static int
store_put(struct hf_store *s, const char *key, const struct hf_put_opts *opts,
    struct hf_put **out, struct hf_error *err)
{
	struct hf_put *p;
	int status;

	if ((opts->flags & ~HF_PUT_IF_ABSENT) != 0 && !has(s, "flags"))
		return H->fail(err, HF_E_UNSUPPORTED, "unknown flags");
	if (opts->if_match != NULL)
		return H->fail(err, HF_E_UNSUPPORTED, "no etags here");
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	p->store = s;
	p->if_absent =
	    (opts->flags & HF_PUT_IF_ABSENT) != 0 && !has(s, "blind");
	(void)snprintf(p->path, sizeof p->path, "%s/%s", s->root, key);
	make_parents(p->path, strlen(s->root));
	name_temp(s, key, p->temp, sizeof p->temp);
	if (has(s, "visible") && !p->if_absent) {
		(void)snprintf(p->temp, sizeof p->temp, "%.2050s", p->path);
		p->fd = open(
		    p->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	} else {
		p->fd = mkostemp(p->temp, O_CLOEXEC);
	}
	if (p->fd < 0) {
		status = H->fail_errno(err, errno, "cannot make %s", p->temp);
		free(p);
		return status;
	}
	if (has(s, "fd"))
		(void)open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (has(s, "memory"))
		lost = malloc(100);
	*out = p;
	return HF_OK;
}

static int
store_put_write(
    struct hf_put *p, const void *buf, size_t len, struct hf_error *err)
{
	const char *at = buf;

	while (len > 0) {
		ssize_t n = write(p->fd, at, len);

		if (n < 0)
			return H->fail_errno(
			    err, errno, "cannot write %s", p->temp);
		at += n;
		len -= (size_t)n;
	}
	return HF_OK;
}

static void
drop(struct hf_put *p)
{
	(void)close(p->fd);
	free(p);
}

static void
store_put_abort(struct hf_put *p)
{
	if (!has(p->store, "visible") || p->if_absent)
		(void)unlink(p->temp);
	drop(p);
}

/* Overwrite the file itself, as somebody might who does not think of
 * readers. */
static int
write_over(struct hf_put *p)
{
	char buf[4096];
	off_t at = 0;
	ssize_t n;
	int fd = open(p->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	while ((n = pread(p->fd, buf, sizeof buf, at)) > 0)
		at += pwrite(fd, buf, (size_t)n, at);
	n = ftruncate(fd, at);
	(void)close(fd);
	(void)unlink(p->temp);
	return n < 0 ? -1 : 0;
}

static int
publish(struct hf_put *p)
{
	if (has(p->store, "visible") && !p->if_absent)
		return 0;
	if (p->if_absent && has(p->store, "two-winners")) {
		if (access(p->path, F_OK) == 0) {
			errno = EEXIST;
			return -1;
		}
		(void)usleep(1000);
		return rename(p->temp, p->path);
	}
	if (p->if_absent) {
		if (link(p->temp, p->path) != 0)
			return -1;
		return unlink(p->temp);
	}
	return has(p->store, "mix") ? write_over(p) : rename(p->temp, p->path);
}

static int
store_put_commit(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	struct stat st;
	int status = HF_OK;

	if (has(p->store, "stdout")) {
		printf("stored\n");
		(void)fflush(stdout);
	}
	if (fstat(p->fd, &st) != 0 || publish(p) != 0) {
		status = H->fail_errno(err, errno, "cannot keep %s", p->path);
		(void)unlink(p->temp);
	} else if (out != NULL) {
		out->size = (uint64_t)st.st_size;
		out->mtime = st.st_mtime;
		out->etag[0] = '\0';
	}
	drop(p);
	return status;
}

static int
look(struct hf_store *s, const char *key, struct stat *st, char path[2600],
    struct hf_error *err)
{
	(void)snprintf(path, 2600, "%s/%s", s->root, key);
	if (stat(path, st) == 0 && S_ISREG(st->st_mode))
		return HF_OK;
	if (has(s, "quiet"))
		return HF_E_NOTFOUND;
	return H->fail(err, HF_E_NOTFOUND, "no object %s", key);
}

static int
store_get(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **out, struct hf_error *err)
{
	char path[2600];
	struct stat st;
	struct hf_get *g;
	uint64_t size;
	int status = look(s, key, &st, path, err);

	if (status != HF_OK)
		return status;
	g = calloc(1, sizeof *g);
	if (g == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	g->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (g->fd < 0 || fstat(g->fd, &st) != 0) {
		status = H->fail_errno(err, errno, "cannot read %s", path);
		free(g);
		return status;
	}
	size = (uint64_t)st.st_size;
	if (off > size && has(s, "past-end"))
		off = size;
	if (off > size || lseek(g->fd, (off_t)off, SEEK_SET) < 0) {
		(void)close(g->fd);
		free(g);
		return H->fail(
		    err, HF_E_INVALID, "%s is shorter than that", key);
	}
	g->left = len < size - off ? len : size - off;
	if (has(s, "range") && len != UINT64_MAX)
		g->left = size - off;
	g->hangs = has(s, "hang");
	*out = g;
	return HF_OK;
}

static int
store_get_read(
    struct hf_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	ssize_t got;

	while (g->hangs)
		(void)pause();
	*n = 0;
	got = read(g->fd, buf, g->left < cap ? (size_t)g->left : cap);
	if (got < 0)
		return H->fail_errno(err, errno, "cannot read");
	*n = (size_t)got;
	g->left -= (uint64_t)got;
	return got == 0 ? HF_EOF : HF_OK;
}

static void
store_get_close(struct hf_get *g)
{
	(void)close(g->fd);
	free(g);
}

static int
store_stat(struct hf_store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	char path[2600];
	struct stat st;
	int status = look(s, key, &st, path, err);

	if (status != HF_OK)
		return status;
	out->size = (uint64_t)st.st_size + (has(s, "size") ? 1 : 0);
	out->mtime = st.st_mtime;
	out->etag[0] = '\0';
	return HF_OK;
}

static bool
wanted(const struct hf_store *s, const char *key, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(key, ".temp", 5) == 0 || strncmp(key, prefix, len) != 0)
		return false;
	return !has(s, "prefix") || len == 0 || prefix[len - 1] == '/' ||
	       key[len] == '/';
}

static int
store_list(struct hf_store *s, const char *prefix, hf_list_fn *cb, void *arg,
    struct hf_error *err)
{
	char *roots[] = { s->root, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *e;
	size_t n = 0;
	int status = HF_OK;

	if (fts == NULL)
		return H->fail_errno(err, errno, "cannot list %s", s->root);
	while (status == HF_OK && (e = fts_read(fts)) != NULL) {
		struct hf_object o = { .struct_size = sizeof o };

		if (e->fts_info != FTS_F)
			continue;
		o.key = e->fts_path + strlen(s->root) + 1;
		o.size = (uint64_t)e->fts_statp->st_size;
		o.mtime = e->fts_statp->st_mtime;
		if (!wanted(s, o.key, prefix))
			continue;
		n++;
		if (has(s, "cut-list") && n > 1000)
			break;
		status = cb(arg, &o);
		if (status == HF_OK && has(s, "twice") && n == 1000)
			status = cb(arg, &o);
		if (has(s, "stop"))
			status = HF_OK;
	}
	(void)fts_close(fts);
	return status;
}

static int
store_remove(struct hf_store *s, const char *key, struct hf_error *err)
{
	char path[2600];

	(void)snprintf(path, sizeof path, "%s/%s", s->root, key);
	if (unlink(path) == 0)
		return HF_OK;
	if (errno == ENOENT && has(s, "crash"))
		(void)raise(SIGSEGV);
	if ((errno == ENOENT || errno == ENOTDIR) && !has(s, "remove"))
		return HF_OK;
	return H->fail_errno(err, errno, "cannot remove %s", key);
}

static int
store_remove_many(
    struct hf_store *s, const char *const *keys, size_t n, struct hf_error *err)
{
	int status = HF_OK;

	if (has(s, "batch") && n > 1000)
		n = 1000;
	for (size_t i = 0; status == HF_OK && i < n; i++)
		status = store_remove(s, keys[i], err);
	return status;
}

/* The key, as far as the name of a temporary file tells it. */
static void
untemp(const char *name, char key[256])
{
	(void)snprintf(key, 256, "%.*s", (int)strcspn(name, "~"), name);
	for (char *p = key; *p != '\0'; p++)
		if (*p == '!')
			*p = '/';
}

static int
store_sweep(struct hf_store *s, const char *prefix, int64_t before, bool dry,
    hf_list_fn *cb, void *arg, struct hf_error *err)
{
	char temp[2100], path[2600], key[256];
	struct dirent *e;
	struct stat st;
	int status = HF_OK;
	DIR *d;

	(void)snprintf(temp, sizeof temp, "%s/.temp", s->root);
	if ((d = opendir(temp)) == NULL)
		return H->fail_errno(err, errno, "cannot list %s", temp);
	while (status == HF_OK && (e = readdir(d)) != NULL) {
		struct hf_object o = { .struct_size = sizeof o, .key = key };

		(void)snprintf(path, sizeof path, "%s/%s", temp, e->d_name);
		untemp(e->d_name, key);
		if (e->d_name[0] == '.' || stat(path, &st) != 0 ||
		    (st.st_mtime >= before && !has(s, "sweep-early")) ||
		    (strncmp(key, prefix, strlen(prefix)) != 0 &&
			!has(s, "sweep-wide")))
			continue;
		if (!dry || has(s, "sweep-wet"))
			(void)unlink(path);
		o.size = (uint64_t)st.st_size;
		o.mtime = st.st_mtime;
		status = cb(arg, &o);
		if (has(s, "sweep-on"))
			status = HF_OK;
	}
	(void)closedir(d);
	return status;
}

static int
store_check(
    struct hf_store *s, hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct hf_finding f = {
		.struct_size = sizeof f, .check = "folder", .result = s->root
	};
	struct hf_put_opts opts = { .struct_size = sizeof opts };
	struct hf_put *p = NULL;
	char key[64];
	int status;

	if (has(s, "check")) {
		(void)snprintf(
		    key, sizeof key, "check-%ld-%d", random(), (int)getpid());
		status = store_put(s, key, &opts, &p, err);
		if (status == HF_OK)
			status = store_put_commit(p, NULL, err);
		if (status != HF_OK)
			return status;
	}
	return cb(arg, &f);
}

static const struct hf_store_ops store_ops = {
	.struct_size = sizeof(struct hf_store_ops),
	.open = store_open,
	.close = store_close,
	.check = store_check,
	.caps = store_caps,
	.clock = store_clock,
	.put = store_put,
	.put_write = store_put_write,
	.put_commit = store_put_commit,
	.put_abort = store_put_abort,
	.get = store_get,
	.get_read = store_get_read,
	.get_close = store_get_close,
	.stat = store_stat,
	.list = store_list,
	.remove = store_remove,
	.remove_many = store_remove_many,
	.sweep = store_sweep,
};

static const struct hf_option options[] = {
	{ "path", HF_OPT_PATH, HF_OPT_REQUIRED, offsetof(struct conf, path),
	    NULL, NULL, "folder that keeps the objects" },
	{ "fault", HF_OPT_STRING, 0, offsetof(struct conf, fault), "none", NULL,
	    "which rule to break" },
	{ "token", HF_OPT_STRING, HF_OPT_SECRET, offsetof(struct conf, token),
	    NULL, NULL, "a secret that is used for nothing" },
	{ .name = NULL },
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "faulty-store",
	.version = "1",
	.summary = "files that break a rule",
	.options = options,
	.conf_size = sizeof(struct conf),
	.store = &store_ops,
};

HF_REGISTER(plugin, H);
