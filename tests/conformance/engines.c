/* SPDX-License-Identifier: BSD-2-Clause */
#include "engines.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data.h"

#define OPS(s) (&(s)->plugin->engine)

int
engines_backup(struct session *s, struct memio *m, uint32_t max_streams)
{
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = max_streams };

	return OPS(s)->backup(s->engine, &req, &m->out, &s->err);
}

void
engines_none_open(const struct memio *m, const char *what)
{
	CHECK(m->open == 0,
	    "%s: %zu writers or readers were neither committed, aborted nor "
	    "closed",
	    what, m->open);
}

void
engines_keep(struct session *s, struct memio *m)
{
	memio_init(m);
	expect(s, engines_backup(s, m, 4), HF_OK, "backup");
	engines_none_open(m, "backup");
	CHECK(m->objects != NULL, "the backup has no objects");
	memio_reset(m);
}

void
engines_target(struct session *s, const char *name, char *dir, char *target)
{
	(void)snprintf(dir, TARGET_MAX, "%s/%s", s->dir, name);
	CHECK(mkdir(dir, 0700) == 0, "cannot make the folder %s", dir);
	if (OPS(s)->scratch == NULL || OPS(s)->restore == NULL)
		verdict_skip("it has no scratch or no restore");
	expect(s, OPS(s)->scratch(s->engine, dir, target, TARGET_MAX, &s->err),
	    HF_OK, "scratch");
	CHECK(memchr(target, '\0', TARGET_MAX) != NULL && target[0] != '\0',
	    "scratch named no target");
}

int
engines_restore(struct session *s, struct memio *m, const char *target,
    uint32_t flags, uint32_t max_streams)
{
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = max_streams,
		.flags = flags,
		.target = target };
	struct hf_in *const ins[] = { &m->in };

	return OPS(s)->restore(s->engine, &req, ins, 1, &s->err);
}

void
engines_state(struct session *s, const char *dir, const char *target,
    char state[STATE_MAX])
{
	char value[1024] = "";
	int status;

	if ((OPS(s)->flags & HF_ENGINE_SERVER) == 0) {
		data_tree(dir, state);
		return;
	}
	if (OPS(s)->query == NULL || s->setup->query == NULL) {
		(void)snprintf(state, STATE_MAX, "unknown without --query");
		return;
	}
	status = OPS(s)->query(
	    s->engine, target, s->setup->query, value, sizeof value, &s->err);
	(void)snprintf(state, STATE_MAX, "%s: %.1000s",
	    status == HF_OK ? "answers" : "no answer",
	    status == HF_OK ? value : "");
	error_clear(&s->err);
}

static int
no_failure(void *arg, const struct hf_finding *f)
{
	CHECK(f->check != NULL && f->result != NULL,
	    "a finding has no check or no result");
	CHECK(f->verdict != HF_FAIL, "inspect of a restored copy found %s: %s",
	    f->check, f->result);
	++*(size_t *)arg;
	return HF_OK;
}

void
engines_sound(struct session *s, const char *target, struct memio *m)
{
	size_t n = 0;

	if (OPS(s)->inspect == NULL)
		return;
	expect(s,
	    OPS(s)->inspect(s->engine, target, m == NULL ? NULL : &m->in,
		no_failure, &n, &s->err),
	    HF_OK, "inspect");
	CHECK(n > 0, "inspect looked at nothing");
	if (m != NULL)
		engines_none_open(m, "inspect");
}

static const struct memio_object *
find(const struct memio *m, const char *name)
{
	const struct memio_object *o = m->objects;

	while (o != NULL && strcmp(o->name, name) != 0)
		o = o->next;
	return o;
}

void
engines_same_objects(const struct memio *a, const struct memio *b)
{
	const struct memio_object *o;

	for (o = a->objects; o != NULL; o = o->next)
		CHECK(find(b, o->name) != NULL,
		    "the second backup has no object \"%s\"", o->name);
	for (o = b->objects; o != NULL; o = o->next)
		CHECK(find(a, o->name) != NULL,
		    "the first backup has no object \"%s\"", o->name);
}
