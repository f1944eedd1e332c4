/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/repofix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "flow/flow.h"
#include "plugin/loader.h"

static void
check(int rc, const struct hf_error *err)
{
	if (rc == HF_OK)
		return;
	error_render(err, NULL, stderr);
	fail_msg("status %d", rc);
}

static void
add_line(char *text, size_t cap, const char *line)
{
	size_t len = strlen(text);

	if (len + strlen(line) + 2 < cap)
		(void)snprintf(text + len, cap - len, "%s\n", line);
}

static void
on_finding(void *arg, const char *subject, const struct hf_finding *f)
{
	struct repofix *x = arg;
	char line[1024];

	(void)snprintf(line, sizeof line, "%s|%d|%s|%s", subject, f->verdict,
	    f->check, f->result);
	add_line(x->findings, sizeof x->findings, line);
}

static void
on_result(void *arg, const char *key, const char *value)
{
	struct repofix *x = arg;
	char line[1024];

	(void)snprintf(line, sizeof line, "%s=%s", key, value);
	add_line(x->results, sizeof x->results, line);
}

/* <build>/test-plugins, from this program's place in <build>/bin. */
static void
plugin_dir(char *buf, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", buf, cap - 32);
	char *slash;

	assert_true(n > 0);
	buf[n] = '\0';
	for (int i = 0; i < 2; i++) {
		slash = strrchr(buf, '/');
		assert_non_null(slash);
		*slash = '\0';
	}
	(void)strncat(buf, "/test-plugins", 31);
}

void
repofix_begin(struct repofix *x)
{
	struct hf_error err = { 0 };
	char own[4096];
	const char *dirs[] = { own, NULL };

	memset(x, 0, sizeof *x);
	log_setup(HF_LOG_ERROR, false);
	(void)snprintf(x->dir, sizeof x->dir, "/tmp/holdfast-repo-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	plugin_dir(own, sizeof own);
	check(plugins_new(&x->plugins, dirs, &err), &err);
	x->events = (struct repo_events){
		.finding = on_finding, .result = on_result, .arg = x
	};
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

/* What a thread that never comes back still uses; known here, so that it is
 * no leak. */
static struct plugins *volatile kept[8]; /* volatile: never read */
static size_t nkept;

void
repofix_end(struct repofix *x)
{
	repofix_close(x);
	if (x->stuck && nkept < sizeof kept / sizeof *kept)
		kept[nkept++] = x->plugins;
	else
		plugins_free(x->plugins);
	(void)nftw(x->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
expand(struct buf *out, const char *dir, const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (p[0] == '%' && p[1] == 'D') {
			assert_int_equal(buf_puts(out, dir, NULL), HF_OK);
			p++;
		} else {
			assert_int_equal(buf_append(out, p, 1, NULL), HF_OK);
		}
}

void
repofix_open(struct repofix *x, const char *sinks, const char *pipeline)
{
	struct flow_options options = { .workers = 2, .frame_size = 65536 };
	struct hf_error err = { 0 };
	struct buf text = BUF_INIT;
	struct repo_env env;
	char path[128];
	FILE *f;

	repofix_close(x);
	expand(&text, x->dir,
	    "{\"version\":1,\"state_dir\":\"%D/state\",\"scratch_dir\":"
	    "\"%D/scratch\",\"frame_size\":\"64KiB\",\"workers\":2,"
	    "\"environment\":\"test\",");
	if (!x->no_filters)
		expand(
		    &text, x->dir, "\"filters\":{\"gz\":{\"type\":\"gzip\"}},");
	expand(&text, x->dir, "\"sinks\":");
	expand(&text, x->dir, sinks);
	expand(&text, x->dir, ",\"pipelines\":{\"shop\":{");
	expand(&text, x->dir, pipeline);
	expand(&text, x->dir, "}}}");
	/* Of its own, where a test forks. */
	(void)snprintf(
	    path, sizeof path, "%s/fleet-%d.json", x->dir, (int)getpid());
	/* Not file_write, which would wait for the disk. */
	assert_non_null(f = fopen(path, "w"));
	assert_int_equal(fwrite(text.data, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
	buf_free(&text);
	check(config_load(path, x->plugins, &x->config, &err), &err);
	check(flow_new(&options, &x->flow, &err), &err);
	env = (struct repo_env){ .config = x->config,
		.flow = x->flow,
		.events = &x->events,
		.plugins = x->no_plugins ? NULL : x->plugins };
	check(repo_open(&env, config_pipeline(x->config, "shop", NULL),
		  &x->repo, &err),
	    &err);
}

void
repofix_close(struct repofix *x)
{
	repo_close(x->repo);
	x->repo = NULL;
	if (x->flow != NULL)
		flow_free(x->flow);
	x->flow = NULL;
	if (x->config != NULL)
		config_free(x->config);
	x->config = NULL;
}

void
repofix_backup(struct repofix *x, char id[40])
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };

	check(repo_backup(x->repo, REPO_BACKUP_CONFIGURED, &res, &err), &err);
	assert_true(res.published);
	assert_false(res.partial);
	memcpy(id, res.id, 40);
	repo_backup_result_clear(&res);
}

const char *
repofix_path(struct repofix *x, const char *fmt, ...)
{
	static char room[4][4096];
	static unsigned turn;
	char *path = room[turn++ % 4];
	va_list ap;
	int n = snprintf(path, sizeof room[0], "%s/", x->dir);

	va_start(ap, fmt);
	(void)vsnprintf(path + n, sizeof room[0] - (size_t)n, fmt, ap);
	va_end(ap);
	return path;
}

/* nftw knows no argument. */
static char **files;
static size_t nfiles, skip;

static int
add_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	files = realloc(files, (nfiles + 2) * sizeof *files);
	assert_non_null(files);
	files[nfiles] = strdup(path + skip);
	assert_non_null(files[nfiles]);
	files[++nfiles] = NULL;
	return 0;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
repofix_files(const char *dir)
{
	char **list;

	files = calloc(1, sizeof *files);
	assert_non_null(files);
	nfiles = 0;
	skip = strlen(dir) + 1;
	(void)nftw(dir, add_file, 16, FTW_PHYS);
	qsort(files, nfiles, sizeof *files, by_text);
	list = files;
	files = NULL;
	return list;
}

void
repofix_files_free(char **list)
{
	for (char **p = list; *p != NULL; p++)
		free(*p);
	free(list);
}

const char *
repofix_find(struct repofix *x, const char *sub, const char *text)
{
	char **list = repofix_files(repofix_path(x, "%s", sub));
	const char *found = NULL;

	for (char **p = list; *p != NULL && found == NULL; p++)
		if (strstr(*p, text) != NULL)
			found = repofix_path(x, "%s/%s", sub, *p);
	repofix_files_free(list);
	return found;
}

void
repofix_flip(const char *path, long offset, int bit)
{
	unsigned char c;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, offset), 1);
	c = (unsigned char)(c ^ (1u << bit));
	assert_int_equal(pwrite(fd, &c, 1, offset), 1);
	assert_int_equal(close(fd), 0);
}

long
repofix_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (long)st.st_size;
}

void
repofix_truncate(const char *path, long size)
{
	assert_int_equal(truncate(path, size), 0);
}

void
repofix_age(const char *path, long seconds)
{
	struct timespec ts[2];

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &ts[0]), 0);
	ts[0].tv_sec -= seconds;
	ts[1] = ts[0];
	assert_int_equal(utimensat(AT_FDCWD, path, ts, 0), 0);
}

bool
repofix_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool
same_file(const char *a, const char *b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	bool same = file_read(a, 1u << 30, &x, NULL) == HF_OK &&
		    file_read(b, 1u << 30, &y, NULL) == HF_OK &&
		    x.len == y.len && memcmp(x.data, y.data, x.len) == 0;

	buf_free(&x);
	buf_free(&y);
	return same;
}

bool
repofix_same(const char *dir_a, const char *dir_b)
{
	char **a = repofix_files(dir_a), **b = repofix_files(dir_b);
	char path_a[4096], path_b[4096];
	bool same = true;
	size_t i;

	for (i = 0; same && a[i] != NULL && b[i] != NULL; i++) {
		(void)snprintf(path_a, sizeof path_a, "%s/%s", dir_a, a[i]);
		(void)snprintf(path_b, sizeof path_b, "%s/%s", dir_b, b[i]);
		same = strcmp(a[i], b[i]) == 0 && same_file(path_a, path_b);
	}
	same = same && a[i] == NULL && b[i] == NULL && i > 0;
	repofix_files_free(a);
	repofix_files_free(b);
	return same;
}
