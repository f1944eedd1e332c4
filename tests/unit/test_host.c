/* SPDX-License-Identifier: BSD-2-Clause */
/* The services that plugins get, and an engine that uses them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/engine.h"
#include "plugin/host.h"
#include "plugin/loader.h"

static const struct hf_host *const H = &host_table;

/* ---- a backup that remembers what reached it ---- */

static char calls[512];

static void
note(const char *call, const char *what)
{
	size_t len = strlen(calls);

	(void)snprintf(calls + len, sizeof calls - len, "%s(%s) ", call, what);
}

static struct hf_writer writer;
static struct hf_reader reader;

static int
out_begin(struct hf_out *out, const char *name, uint64_t hint,
    struct hf_writer **w, struct hf_error *err)
{
	(void)hint;
	(void)err;
	writer.ops = out->ops;
	*w = &writer;
	note("begin", name);
	return HF_OK;
}

static int
out_write(
    struct hf_writer *w, const void *buf, size_t len, struct hf_error *err)
{
	(void)w;
	(void)err;
	assert_int_equal(len, 3);
	note("write", buf);
	return HF_OK;
}

static int
out_commit(struct hf_writer *w, struct hf_error *err)
{
	(void)w;
	(void)err;
	note("commit", "");
	return HF_OK;
}

static void
out_abort(struct hf_writer *w)
{
	(void)w;
	note("abort", "");
}

static int
out_fact(struct hf_out *out, const char *key, const char *value,
    struct hf_error *err)
{
	(void)out;
	(void)value;
	(void)err;
	note("fact", key);
	return HF_OK;
}

static int
in_list(struct hf_in *in, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	struct hf_object o = { .struct_size = sizeof o, .key = "a" };

	(void)in;
	(void)err;
	return fn(arg, &o);
}

static int
in_open(struct hf_in *in, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **r, struct hf_error *err)
{
	(void)err;
	assert_int_equal(off, 1);
	assert_int_equal(len, 2);
	reader.ops = in->ops;
	*r = &reader;
	note("open", name);
	return HF_OK;
}

static int
in_read(
    struct hf_reader *r, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	(void)r;
	(void)err;
	memset(buf, 'x', cap);
	*n = cap;
	return HF_OK;
}

static void
in_close(struct hf_reader *r)
{
	(void)r;
	note("close", "");
}

static const char *
in_fact(struct hf_in *in, const char *key)
{
	(void)in;
	return strcmp(key, "lsn") == 0 ? "0/1" : NULL;
}

static const struct out_ops out_ops = {
	.begin = out_begin,
	.write = out_write,
	.commit = out_commit,
	.abort = out_abort,
	.fact = out_fact,
};
static const struct in_ops in_ops = {
	.list = in_list,
	.open = in_open,
	.read = in_read,
	.close = in_close,
	.fact = in_fact,
};

static int
setup(void **state)
{
	(void)state;
	calls[0] = '\0';
	return 0;
}

static int
seen(void *arg, const struct hf_object *o)
{
	*(bool *)arg = strcmp(o->key, "a") == 0;
	return 0;
}

static void
calls_reach_the_backup_behind_them(void **state)
{
	struct hf_out out = { &out_ops };
	struct hf_in in = { &in_ops };
	struct hf_writer *w;
	struct hf_reader *r;
	bool listed = false;
	char buf[4];
	size_t n;

	(void)state;
	assert_int_equal(H->out_begin(&out, "o", 0, &w, NULL), HF_OK);
	assert_int_equal(H->out_write(w, "abc", 3, NULL), HF_OK);
	assert_int_equal(H->out_write(w, NULL, 0, NULL), HF_OK);
	assert_int_equal(H->out_commit(w, NULL), HF_OK);
	H->out_abort(w);
	assert_int_equal(H->out_fact(&out, "k", "v", NULL), HF_OK);
	assert_int_equal(H->in_list(&in, seen, &listed, NULL), HF_OK);
	assert_true(listed);
	assert_int_equal(H->in_open(&in, "p", 1, 2, &r, NULL), HF_OK);
	assert_int_equal(H->in_read(r, buf, sizeof buf, &n, NULL), HF_OK);
	assert_int_equal(n, sizeof buf);
	H->in_close(r);
	assert_string_equal(H->in_fact(&in, "lsn"), "0/1");
	assert_string_equal(calls,
	    "begin(o) write(abc) commit() abort() fact(k) open(p) close() ");
}

static int
log_fact_of(struct hf_writer *w, const char *key, const char *value,
    struct hf_error *err)
{
	(void)w;
	(void)err;
	note(key, value);
	return HF_OK;
}

static int
log_remove(struct hf_out *out, const char *name, struct hf_error *err)
{
	(void)out;
	(void)err;
	note("remove", name);
	return HF_OK;
}

static int
log_facts(struct hf_in *in, const char *name, host_fact_fn *fn, void *arg,
    struct hf_error *err)
{
	(void)in;
	(void)err;
	note("facts", name);
	return fn(arg, "lsn", "0/1");
}

static int
told(void *arg, const char *key, const char *value)
{
	(void)arg;
	note(key, value);
	return 42;
}

static void
calls_of_a_log_reach_the_log_and_nothing_else(void **state)
{
	static const struct out_ops log_out_ops = { .writer_fact = log_fact_of,
		.remove = log_remove };
	static const struct in_ops log_in_ops = { .facts = log_facts };
	struct hf_error err = { .status = HF_OK };
	struct hf_out log = { &log_out_ops }, out = { &out_ops };
	struct hf_in log_in = { &log_in_ops }, in = { &in_ops };
	struct hf_writer w = { &log_out_ops }, plain = { &out_ops };

	(void)state;
	assert_int_equal(H->writer_fact(&w, "lsn", "0/2", &err), HF_OK);
	assert_int_equal(H->log_remove(&log, "0001", &err), HF_OK);
	assert_int_equal(H->log_facts(&log_in, "0002", told, NULL, &err), 42);
	assert_string_equal(
	    calls, "lsn(0/2) remove(0001) facts(0002) lsn(0/1) ");
	assert_int_equal(
	    H->writer_fact(&plain, "k", "v", &err), HF_E_UNSUPPORTED);
	assert_non_null(strstr(err.cause, "this is not a log"));
	assert_int_equal(H->log_remove(&out, "n", &err), HF_E_UNSUPPORTED);
	assert_int_equal(
	    H->log_facts(&in, "n", told, NULL, &err), HF_E_UNSUPPORTED);
	assert_int_equal(H->writer_fact(NULL, "k", "v", &err), HF_E_BUG);
	assert_int_equal(H->writer_fact(&w, "", "v", &err), HF_E_BUG);
	assert_int_equal(H->writer_fact(&w, "k", NULL, &err), HF_E_BUG);
	assert_int_equal(H->log_remove(NULL, "n", &err), HF_E_BUG);
	assert_int_equal(H->log_remove(&log, "", &err), HF_E_BUG);
	assert_int_equal(H->log_facts(NULL, "n", told, NULL, &err), HF_E_BUG);
	assert_int_equal(
	    H->log_facts(&log_in, "n", NULL, NULL, &err), HF_E_BUG);
}

static void
calls_that_break_the_contract_are_bugs(void **state)
{
	struct hf_error err = { .status = HF_OK };
	struct hf_out out = { &out_ops }, empty = { NULL };
	struct hf_in in = { &in_ops };
	struct hf_writer *w = NULL;
	struct hf_reader *r = NULL;
	size_t n = 7;
	char c;

	(void)state;
	assert_int_equal(H->out_begin(NULL, "o", 0, &w, &err), HF_E_BUG);
	assert_non_null(strstr(err.cause, "out_begin() with no backup"));
	assert_int_equal(H->out_begin(&empty, "o", 0, &w, &err), HF_E_BUG);
	assert_int_equal(H->out_begin(&out, NULL, 0, &w, &err), HF_E_BUG);
	assert_int_equal(H->out_begin(&out, "", 0, &w, &err), HF_E_BUG);
	assert_int_equal(H->out_begin(&out, "o", 0, NULL, &err), HF_E_BUG);
	assert_null(w);
	assert_int_equal(H->out_write(NULL, "a", 1, &err), HF_E_BUG);
	writer.ops = &out_ops;
	assert_int_equal(H->out_write(&writer, NULL, 1, &err), HF_E_BUG);
	assert_int_equal(H->out_commit(NULL, &err), HF_E_BUG);
	H->out_abort(NULL);
	assert_int_equal(H->out_fact(NULL, "k", "v", &err), HF_E_BUG);
	assert_int_equal(H->out_fact(&out, "k", NULL, &err), HF_E_BUG);
	assert_int_equal(H->in_list(NULL, seen, NULL, &err), HF_E_BUG);
	assert_int_equal(H->in_list(&in, NULL, NULL, &err), HF_E_BUG);
	assert_int_equal(H->in_open(NULL, "o", 0, 1, &r, &err), HF_E_BUG);
	assert_int_equal(H->in_open(&in, NULL, 0, 1, &r, &err), HF_E_BUG);
	assert_null(r);
	assert_int_equal(H->in_read(NULL, &c, 1, &n, &err), HF_E_BUG);
	assert_int_equal(n, 0);
	reader.ops = &in_ops;
	assert_int_equal(H->in_read(&reader, &c, 0, &n, &err), HF_E_BUG);
	H->in_close(NULL);
	assert_null(H->in_fact(NULL, "k"));
	assert_null(H->in_fact(&in, NULL));
	assert_string_equal(calls, "");
}

static void
failing_with_success_is_a_bug(void **state)
{
	struct hf_error err = { .status = HF_OK };

	(void)state;
	assert_int_equal(H->fail(&err, HF_E_IO, "%d", 5), HF_E_IO);
	assert_string_equal(err.cause, "5");
	assert_int_equal(H->fail_context(&err, "in %s", "x"), HF_E_IO);
	H->fail_note(&err, "http", "503");
	H->fail_note(&err, NULL, "503");
	assert_string_equal(error_get(&err, "http"), "503");
	assert_int_equal(H->fail(&err, HF_OK, "x"), HF_E_BUG);
	assert_int_equal(H->fail(&err, 3, "x"), HF_E_BUG);
	assert_int_equal(H->fail(&err, -99, "x"), HF_E_BUG);
	assert_int_equal(H->fail(NULL, HF_E_DENIED, "x"), HF_E_DENIED);
	assert_int_equal(
	    H->fail_errno(&err, ENOSPC, "cannot %s", "write"), HF_E_NOSPACE);
	assert_non_null(strstr(err.cause, "cannot write: "));
}

static void
got_result(void *arg, const char *key, const char *value)
{
	(void)snprintf(arg, 32, "%s=%s", key, value);
}

static void
context_gives_folders_results_and_cancelling(void **state)
{
	char dir[] = "/tmp/hf-host-XXXXXX", sub[64], text[32] = "";
	struct cancel cancel = { 0 };
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(sub, sizeof sub, "%s/state", dir);
	struct hf_ctx ctx = { .who = "sink nas",
		.cancel = &cancel,
		.state_dir = sub,
		.result = got_result,
		.arg = text };

	assert_string_equal(H->folder(&ctx, HF_FOLDER_STATE), sub);
	assert_int_equal(stat(sub, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_null(H->folder(&ctx, HF_FOLDER_SCRATCH));
	assert_null(H->folder(&ctx, 99));
	assert_null(H->folder(NULL, HF_FOLDER_STATE));
	H->result(&ctx, "safety_copy", "/x");
	assert_string_equal(text, "safety_copy=/x");
	H->progress(&ctx, 1, 2);
	assert_false(H->cancelled(&ctx));
	assert_true(H->sleep(&ctx, 1));
	cancel_request(&cancel);
	assert_true(H->cancelled(&ctx));
	assert_false(H->sleep(&ctx, 60000));
	assert_false(H->cancelled(NULL));
	assert_int_equal(rmdir(sub), 0);
	/* A folder that cannot be made is none. */
	ctx.state_dir = "/proc/no/such/place";
	assert_null(H->folder(&ctx, HF_FOLDER_STATE));
	assert_int_equal(rmdir(dir), 0);
}

/* ---- the wrapper of an engine ---- */

static int endless;

static int
eng_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **e,
    struct hf_error *err)
{
	(void)conf;
	(void)err;
	assert_string_equal(ctx->who, "pipeline shop");
	*e = NULL;
	return HF_OK;
}

static void
eng_close(struct hf_engine *e)
{
	(void)e;
	note("closed", "");
}

static int
eng_backup(struct hf_engine *e, const struct hf_request *r, struct hf_out *out,
    struct hf_error *err)
{
	(void)e;
	(void)out;
	(void)err;
	assert_int_equal(r->struct_size, sizeof *r);
	assert_int_equal(r->max_streams, 1);
	note("backup", "");
	return HF_OK;
}

static int
eng_restore(struct hf_engine *e, const struct hf_request *r,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	(void)e;
	(void)r;
	(void)in;
	(void)n;
	return H->fail(err, HF_E_EXISTS, "it is there");
}

static int
eng_scratch(struct hf_engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	(void)e;
	(void)err;
	if (endless)
		memset(target, 'x', cap);
	else
		(void)snprintf(target, cap, "%s/t", dir);
	return HF_OK;
}

static int
eng_query(struct hf_engine *e, const char *target, const char *sql, char *value,
    size_t cap, struct hf_error *err)
{
	(void)e;
	(void)target;
	(void)err;
	(void)snprintf(value, cap, "%s", sql);
	return HF_OK;
}

static void
eng_discard(struct hf_engine *e, const char *target)
{
	(void)e;
	note("discard", target);
}

static const struct hf_engine_ops engine_ops = {
	.struct_size = sizeof engine_ops,
	.kinds = HF_KIND_FULL | HF_KIND_INCR,
	.open = eng_open,
	.close = eng_close,
	.backup = eng_backup,
	.restore = eng_restore,
	.scratch = eng_scratch,
	.query = eng_query,
	.discard = eng_discard,
};

static bool invalid;

static int
eng_validate(const void *conf, struct hf_error *err)
{
	assert_non_null(conf);
	return invalid ? H->fail(err, HF_E_INVALID, "a and b") : HF_OK;
}

static const struct hf_plugin engine_desc = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "eng",
	.version = "1",
	.summary = "an engine",
	.validate = eng_validate,
	.engine = &engine_ops,
};

static const struct hf_plugin *
describe(const struct hf_host *h)
{
	assert_ptr_equal(h, &host_table);
	return &engine_desc;
}

static void
engine_requests_are_checked(void **state)
{
	struct hf_ctx ctx = { .who = "pipeline shop" };
	struct hf_request r = { .kind = HF_KIND_FULL };
	struct hf_error err = { .status = HF_OK };
	struct hf_in in = { &in_ops }, *ins[] = { &in };
	struct plugin *p;
	struct engine *e;
	char text[16];

	(void)state;
	assert_int_equal(plugin_open_static(describe, &p, &err), HF_OK);
	invalid = true;
	assert_int_equal(engine_open(p, &ctx, NULL, &e, &err), HF_E_INVALID);
	assert_string_equal(err.cause, "a and b");
	assert_null(e);
	invalid = false;
	assert_int_equal(engine_open(p, &ctx, NULL, &e, &err), HF_OK);
	assert_ptr_equal(engine_plugin(e), p);
	assert_int_equal(engine_backup(e, &r, NULL, &err), HF_OK);
	r.kind = HF_KIND_INCR;
	assert_int_equal(engine_backup(e, &r, NULL, &err), HF_E_BUG);
	r.kind = HF_KIND_LOG;
	assert_int_equal(engine_backup(e, &r, NULL, &err), HF_E_UNSUPPORTED);
	r.kind = HF_KIND_FULL | HF_KIND_INCR;
	assert_int_equal(engine_backup(e, &r, NULL, &err), HF_E_BUG);
	r = (struct hf_request){ .kind = HF_KIND_FULL, .flags = 1u << 9 };
	assert_int_equal(engine_restore(e, &r, ins, 1, &err), HF_E_UNSUPPORTED);
	r.flags = HF_RESTORE_IN_PLACE;
	assert_int_equal(engine_restore(e, &r, ins, 0, &err), HF_E_BUG);
	assert_int_equal(engine_restore(e, &r, ins, 1, &err), HF_E_EXISTS);
	assert_int_equal(engine_check(e, NULL, NULL, &err), HF_OK);
	assert_int_equal(
	    engine_inspect(e, "t", &in, NULL, NULL, &err), HF_E_UNSUPPORTED);
	assert_int_equal(
	    engine_scratch(e, "/d", text, sizeof text, &err), HF_OK);
	assert_string_equal(text, "/d/t");
	endless = 1;
	assert_int_equal(
	    engine_scratch(e, "/d", text, sizeof text, &err), HF_E_BUG);
	endless = 0;
	assert_int_equal(
	    engine_query(e, "t", "1", text, sizeof text, &err), HF_OK);
	assert_string_equal(text, "1");
	engine_discard(e, "t");
	engine_close(e);
	engine_close(NULL);
	assert_string_equal(calls, "backup() discard(t) closed() ");
	plugin_close(p);
	plugin_close(NULL);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(calls_reach_the_backup_behind_them),
		T(calls_of_a_log_reach_the_log_and_nothing_else),
		T(calls_that_break_the_contract_are_bugs),
		T(failing_with_success_is_a_bug),
		T(context_gives_folders_results_and_cancelling),
		T(engine_requests_are_checked),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
