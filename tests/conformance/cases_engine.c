/* SPDX-License-Identifier: BSD-2-Clause */
/* What an engine does when nothing fails. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/key.h"
#include "base/text.h"
#include "conform.h"
#include "data.h"
#include "engines.h"

#define OPS(s) (&(s)->plugin->engine)

static int
see_finding(void *arg, const struct hf_finding *f)
{
	CHECK(f->struct_size >= offsetof(struct hf_finding, hint),
	    "a finding has a struct_size of %zu", f->struct_size);
	CHECK(f->check != NULL && f->result != NULL,
	    "a finding has no check or no result");
	CHECK(f->verdict != HF_FAIL, "check found %s: %s", f->check, f->result);
	++*(size_t *)arg;
	return HF_OK;
}

static void
check(struct session *s)
{
	size_t n = 0;

	if (OPS(s)->check == NULL)
		verdict_skip("it has no check");
	for (int i = 0; i < 2; i++)
		expect(s, OPS(s)->check(s->engine, see_finding, &n, &s->err),
		    HF_OK, "check");
	CHECK(n > 0, "check found nothing to say");
}

static void
backup(struct session *s)
{
	struct memio m;
	uint64_t bytes = 0;

	memio_init(&m);
	expect(s, engines_backup(s, &m, 4), HF_OK, "backup");
	engines_none_open(&m, "backup");
	CHECK(m.committed > 0, "the backup has no objects");
	for (struct memio_object *o = m.objects; o != NULL; o = o->next) {
		char key[KEY_MAX + 1];

		CHECK(o->name[0] != '/' && o->name[strlen(o->name) - 1] != '/',
		    "the name \"%s\" begins or ends with '/'", o->name);
		CHECK(strstr(o->name, "//") == NULL,
		    "the name \"%s\" has an empty part", o->name);
		CHECK(key_escape(o->name, key, sizeof key),
		    "the name \"%s\" is too long for a key", o->name);
		bytes += o->data.len;
	}
	verdict_note(
	    "%zu objects, %llu bytes", m.committed, (unsigned long long)bytes);
	memio_clear(&m);
}

static void
restore_and_inspect(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX];
	struct memio m;

	engines_keep(s, &m);
	engines_target(s, "copy", dir, target);
	expect(s, engines_restore(s, &m, target, 0, 4), HF_OK, "restore");
	engines_none_open(&m, "restore");
	engines_sound(s, target, &m);
	engines_sound(s, target, NULL);
	memio_clear(&m);
}

/* The option that names the source: the only required path. */
static const struct hf_option *
source_option(struct session *s)
{
	const struct hf_plugin *d = &s->plugin->desc;
	const struct hf_option *o, *found = NULL;

	for (size_t i = 0;
	     d->options != NULL &&
	     (o = options_at(d->options, d->option_size, i)) != NULL;
	     i++) {
		if ((o->flags & HF_OPT_REQUIRED) == 0 ||
		    o->type != HF_OPT_PATH || (o->flags & HF_OPT_LIST) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = o;
	}
	return found;
}

static void
backup_of_the_copy(struct session *s)
{
	const struct hf_option *o = source_option(s);
	char dir[TARGET_MAX], target[TARGET_MAX], scratch[TARGET_MAX];
	struct memio first, second;
	const char *path, *base;
	json_t *object;

	if (o == NULL || strchr(o->name, '.') != NULL)
		verdict_skip("no one option names its source");
	memcpy(&path, (const char *)options_conf(s->options) + o->offset,
	    sizeof path);
	base = strrchr(path, '/');
	engines_keep(s, &first);
	engines_target(s, "copy", dir, scratch);
	/* objects may well be named after the source */
	(void)snprintf(target, sizeof target, "%.2000s/%.2000s", dir,
	    base == NULL ? path : base + 1);
	expect(s, engines_restore(s, &first, target, 0, 4), HF_OK, "restore");
	object = json_deep_copy(s->setup->object);
	CHECK(json_object_set_new(object, o->name, json_string(target)) == 0,
	    "the suite has no memory");
	session_close(s);
	expect(s, session_open(s, CASE_ENGINE, object), HF_OK,
	    "open the restored copy");
	engines_keep(s, &second);
	engines_same_objects(&first, &second);
	memio_clear(&first);
	memio_clear(&second);
	json_decref(object);
}

static void
as_many_streams_as_allowed(struct session *s)
{
	static const uint32_t streams[] = { 1, 2, 8 };
	char name[16], dir[TARGET_MAX], target[TARGET_MAX];

	for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
		struct memio m;

		memio_init(&m);
		expect(s, engines_backup(s, &m, streams[i]), HF_OK,
		    "backup with max_streams %u", streams[i]);
		CHECK(m.most_open <= streams[i],
		    "backup had %zu writers open, %u are allowed", m.most_open,
		    streams[i]);
		memio_reset(&m);
		(void)snprintf(name, sizeof name, "copy-%u", streams[i]);
		engines_target(s, name, dir, target);
		expect(s, engines_restore(s, &m, target, 0, streams[i]), HF_OK,
		    "restore with max_streams %u", streams[i]);
		CHECK(m.most_open <= streams[i],
		    "restore had %zu readers open, %u are allowed", m.most_open,
		    streams[i]);
		engines_sound(s, target, &m);
		memio_clear(&m);
	}
}

static void
twice_the_same(struct session *s)
{
	struct memio a, b;

	engines_keep(s, &a);
	engines_keep(s, &b);
	engines_same_objects(&a, &b);
	memio_clear(&a);
	memio_clear(&b);
}

static void
unknown_requests_refused(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX], before[STATE_MAX],
	    after[STATE_MAX];
	struct memio m, kept;

	memio_init(&m);
	for (unsigned bit = 0; bit < 32; bit++) {
		struct hf_request req = { .struct_size = sizeof req,
			.kind = 1u << bit,
			.max_streams = 1 };

		if ((OPS(s)->kinds & req.kind) == 0)
			expect(s,
			    OPS(s)->backup(s->engine, &req, &m.out, &s->err),
			    HF_E_UNSUPPORTED,
			    "backup of a kind that it does not have, bit %u",
			    bit);
		req.kind = HF_KIND_FULL;
		req.flags = 1u << bit;
		if (bit >= 2)
			expect(s,
			    OPS(s)->backup(s->engine, &req, &m.out, &s->err),
			    HF_E_UNSUPPORTED,
			    "backup with the unknown flag bit %u", bit);
	}
	CHECK(m.begun == 0, "a refused backup wrote objects");
	memio_clear(&m);
	engines_keep(s, &kept);
	engines_target(s, "copy", dir, target);
	engines_state(s, dir, target, before);
	for (unsigned bit = 2; bit < 32; bit++)
		expect(s, engines_restore(s, &kept, target, 1u << bit, 1),
		    HF_E_UNSUPPORTED, "restore with the unknown flag bit %u",
		    bit);
	engines_state(s, dir, target, after);
	CHECK(strcmp(before, after) == 0, "a refused restore left something");
	memio_clear(&kept);
}

static void
taken_target_refused(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX], before[STATE_MAX],
	    after[STATE_MAX];
	struct memio m;

	engines_keep(s, &m);
	engines_target(s, "copy", dir, target);
	expect(s, engines_restore(s, &m, target, 0, 4), HF_OK, "restore");
	engines_state(s, dir, target, before);
	for (int i = 0; i < 2; i++) {
		expect(s,
		    engines_restore(
			s, &m, target, i == 0 ? 0 : HF_RESTORE_FORCE, 4),
		    HF_E_EXISTS, "restore to a target that is taken");
		engines_none_open(&m, "a refused restore");
		engines_state(s, dir, target, after);
		CHECK(strcmp(before, after) == 0,
		    "a refused restore changed the target");
	}
	engines_sound(s, target, &m);
	memio_clear(&m);
}

static void
replaced_in_place(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX];
	struct memio m;

	engines_keep(s, &m);
	engines_target(s, "copy", dir, target);
	for (int i = 0; i < 3; i++) {
		expect(s,
		    engines_restore(s, &m, target, HF_RESTORE_IN_PLACE, 4),
		    HF_OK, "restore in place, the %d. time", i + 1);
		engines_none_open(&m, "restore in place");
		engines_sound(s, target, &m);
	}
	memio_clear(&m);
}

static void
restore_options(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX];
	struct options *options = NULL;
	struct options_input in = { .table = OPS(s)->restore_options,
		.stride = s->plugin->desc.option_size,
		.conf_size = OPS(s)->restore_conf_size,
		.base_dir = s->setup->work,
		.resolve = true };
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = 4,
		.target = target };
	const struct hf_option *o;
	struct memio m;
	struct hf_in *const ins[] = { &m.in };

	if (in.table == NULL)
		verdict_skip("its restore takes no options");
	for (size_t i = 0; (o = options_at(in.table, in.stride, i)) != NULL;
	     i++) {
		CHECK(o->help != NULL && o->help[0] != '\0',
		    "restore option %s has no help", o->name);
		CHECK((o->flags & HF_OPT_REQUIRED) == 0,
		    "restore option %s is required: verify and drill know "
		    "none",
		    o->name);
	}
	expect(s, options_parse(&in, &options, NULL, NULL, &s->err), HF_OK,
	    "parse the defaults");
	engines_keep(s, &m);
	engines_target(s, "copy", dir, target);
	req.restore_conf = options_conf(options);
	expect(s, OPS(s)->restore(s->engine, &req, ins, 1, &s->err), HF_OK,
	    "restore with all options at their defaults");
	engines_sound(s, target, &m);
	options_free(options);
	memio_clear(&m);
}

static void
discarding(struct session *s)
{
	const bool server = (OPS(s)->flags & HF_ENGINE_SERVER) != 0;
	char dir[TARGET_MAX], target[TARGET_MAX], before[STATE_MAX],
	    after[STATE_MAX];
	struct memio m;

	if (OPS(s)->discard == NULL)
		verdict_skip("it has no discard");
	engines_keep(s, &m);
	engines_target(s, "copy", dir, target);
	engines_state(s, dir, target, before);
	OPS(s)->discard(s->engine, target); /* nothing there yet */
	/* A server may have been started for the target, and is gone with
	 * it. */
	if (server)
		engines_target(s, "copy again", dir, target);
	expect(s, engines_restore(s, &m, target, 0, 4), HF_OK, "restore");
	engines_sound(s, target, &m);
	OPS(s)->discard(s->engine, target);
	engines_state(s, dir, target, after);
	CHECK(strcmp(before, after) == 0, "discard left something in %s", dir);
	OPS(s)->discard(s->engine, target);
	if (server)
		engines_target(s, "and again", dir, target);
	expect(s, engines_restore(s, &m, target, 0, 4), HF_OK,
	    "restore to where something was discarded");
	memio_clear(&m);
}

static void
small_rooms(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX], room[64];
	const size_t caps[] = { 1, 2, 5 };
	struct memio m;

	engines_target(s, "copy", dir, target);
	for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
		memset(room, 0x55, sizeof room);
		expect(s,
		    OPS(s)->scratch(s->engine, dir, room, caps[i], &s->err),
		    EXPECT_FAILURE, "scratch with room for %zu bytes", caps[i]);
		for (size_t k = caps[i]; k < sizeof room; k++)
			CHECK(room[k] == 0x55,
			    "scratch wrote past the room that it was given");
	}
	if (OPS(s)->query == NULL || s->setup->query == NULL)
		return;
	engines_keep(s, &m);
	expect(s, engines_restore(s, &m, target, 0, 4), HF_OK, "restore");
	memset(room, 0x55, sizeof room);
	(void)OPS(s)->query(
	    s->engine, target, s->setup->query, room, 1, &s->err);
	error_clear(&s->err);
	for (size_t k = 1; k < sizeof room; k++)
		CHECK(room[k] == 0x55,
		    "query wrote past the room that it was given");
	memio_clear(&m);
}

static void
answers_a_query(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX], value[1024] = "", again[1024];
	struct memio m;

	if (s->setup->query == NULL)
		verdict_skip("no --query was given");
	CHECK(OPS(s)->query != NULL, "it has no query");
	engines_keep(s, &m);
	engines_target(s, "copy", dir, target);
	expect(s, engines_restore(s, &m, target, 0, 4), HF_OK, "restore");
	for (int i = 0; i < 2; i++)
		expect(s,
		    OPS(s)->query(s->engine, target, s->setup->query,
			i == 0 ? value : again, sizeof value, &s->err),
		    HF_OK, "query");
	CHECK(memchr(value, '\0', sizeof value) != NULL,
	    "the answer does not end");
	CHECK(value[0] != '\0', "the answer is empty");
	CHECK(strcmp(value, again) == 0,
	    "the second answer is \"%s\", the "
	    "first was \"%s\"",
	    again, value);
	verdict_note("answer: %s", value);
	expect(s,
	    OPS(s)->query(s->engine, target, "this is no statement", value,
		sizeof value, &s->err),
	    EXPECT_FAILURE, "query of what is no statement");
	engines_sound(s, target, &m);
	memio_clear(&m);
}

static int
count_failures(void *arg, const struct hf_finding *f)
{
	*(size_t *)arg += f->verdict == HF_FAIL;
	return HF_OK;
}

static void
missing_target(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX], value[64];
	size_t failures = 0;
	int status;

	engines_target(s, "nothing", dir, target);
	if (OPS(s)->inspect != NULL) {
		status = OPS(s)->inspect(s->engine, target, NULL,
		    count_failures, &failures, &s->err);
		CHECK(status != HF_OK || failures > 0,
		    "inspect finds nothing wrong with a target that is not "
		    "there");
		if (status != HF_OK)
			expect(s, status, EXPECT_FAILURE, "inspect");
	}
	if (OPS(s)->query != NULL)
		expect(s,
		    OPS(s)->query(s->engine, target, "SELECT 1", value,
			sizeof value, &s->err),
		    EXPECT_FAILURE, "query of a target that is not there");
}

/* ---- other kinds ---- */

static void
incremental(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX];
	struct memio full, incr;
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_INCR,
		.max_streams = 4,
		.parent = &full.in };
	struct hf_in *const chain[] = { &full.in, &incr.in };
	int rc;

	if ((OPS(s)->kinds & HF_KIND_INCR) == 0)
		verdict_skip("it makes no incremental backups");
	engines_keep(s, &full);
	memio_init(&incr);
	rc = OPS(s)->backup(s->engine, &req, &incr.out, &s->err);
	if (rc == HF_E_UNSUPPORTED && incr.objects == NULL) {
		memio_clear(&full);
		memio_clear(&incr);
		verdict_skip("it makes no increments with this configuration "
			     "on this parent");
	}
	expect(s, rc, HF_OK, "incremental backup");
	engines_none_open(&incr, "incremental backup");
	engines_none_open(&full, "incremental backup");
	engines_target(s, "copy", dir, target);
	req = (struct hf_request){ .struct_size = sizeof req,
		.kind = HF_KIND_INCR,
		.max_streams = 4,
		.target = target };
	expect(s, OPS(s)->restore(s->engine, &req, chain, 2, &s->err), HF_OK,
	    "restore of a full and an incremental backup");
	engines_sound(s, target, &incr);
	memio_clear(&full);
	memio_clear(&incr);
}

struct logging {
	struct session *s;
	struct memio m;
	int status;
	atomic_bool back;
};

static void *
run_log(void *arg)
{
	struct logging *l = arg;
	struct hf_request req = {
		.struct_size = sizeof req, .kind = HF_KIND_LOG, .max_streams = 1
	};

	l->status =
	    OPS(l->s)->backup(l->s->engine, &req, &l->m.out, &l->s->err);
	atomic_store(&l->back, true);
	return NULL;
}

static void
log_until_cancelled(struct session *s)
{
	struct logging l = { .s = s };
	pthread_t thread;

	if ((OPS(s)->kinds & HF_KIND_LOG) == 0)
		verdict_skip("it keeps no log");
	if (HF_HAS(struct hf_engine_ops, OPS(s), log_kinds) &&
	    (OPS(s)->log_kinds(s->engine) & HF_LOG_FOLLOW) == 0)
		verdict_skip("it follows no log with this configuration");
	memio_init(&l.m);
	CHECK(pthread_create(&thread, NULL, run_log, &l) == 0,
	    "the suite cannot start a thread");
	(void)nanosleep(&(struct timespec){ .tv_sec = 2 }, NULL);
	CHECK(!atomic_load(&l.back), "the log ended before it was cancelled");
	cancel_request(&s->cancel);
	(void)pthread_join(thread, NULL);
	expect(s, l.status, HF_OK, "the log, cancelled");
	engines_none_open(&l.m, "the log");
	memio_clear(&l.m);
}

/* ---- two at once ---- */

static void *
run_backup(void *arg)
{
	struct session *s = arg;
	struct memio m;

	engines_keep(s, &m);
	memio_clear(&m);
	return NULL;
}

static void
two_at_once(struct session *s)
{
	struct session other = { .setup = s->setup, .dir = s->dir };
	pthread_t thread;

	if (s->plugin->desc.threads < HF_THREADS_INSTANCE)
		verdict_skip("its thread level forbids overlapping calls");
	other.plugin = s->plugin;
	other.ctx = s->ctx;
	other.ctx.arg = &other;
	other.ctx.cancel = &other.cancel;
	expect(&other, session_open(&other, CASE_ENGINE, NULL), HF_OK,
	    "open a second instance");
	CHECK(pthread_create(&thread, NULL, run_backup, &other) == 0,
	    "the suite cannot start a thread");
	(void)run_backup(s);
	(void)pthread_join(thread, NULL);
	session_close(&other);
}

const struct conform_case cases_engine[] = {
	{ "check finds its source fit", check },
	{ "a backup has objects and gives back every writer", backup },
	{ "what was restored is sound", restore_and_inspect },
	{ "a backup of the restored copy has the same objects",
	    backup_of_the_copy },
	{ "two backups have the same objects", twice_the_same },
	{ "never more streams than allowed", as_many_streams_as_allowed },
	{ "unknown kinds and flags are refused", unknown_requests_refused },
	{ "a target that is taken is refused and left alone",
	    taken_target_refused },
	{ "a target is replaced in place when told so", replaced_in_place },
	{ "its restore options have sound defaults", restore_options },
	{ "discard removes what was restored", discarding },
	{ "writes no further than the room it is given", small_rooms },
	{ "answers a query", answers_a_query },
	{ "a target that is not there is no sound one", missing_target },
	{ "an incremental backup restores", incremental },
	{ "a log runs until it is cancelled", log_until_cancelled },
	{ "two backups at once", two_at_once },
	{ NULL, NULL },
};
