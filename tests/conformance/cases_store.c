/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects of a store when one caller uses it; names are in
 * cases_store_names.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conform.h"
#include "data.h"
#include "storage.h"

#define OPS(s) (&(s)->plugin->store)

static struct hf_put *
begin(struct session *s, const char *key, uint32_t flags)
{
	struct hf_put_opts opts = { .struct_size = sizeof opts,
		.flags = flags };
	struct hf_put *put = NULL;

	expect(s, OPS(s)->put(s->store, key, &opts, &put, &s->err), HF_OK,
	    "put %s", key);
	CHECK(put != NULL, "put of %s gave no handle", key);
	return put;
}

static void
write_all(struct session *s, struct hf_put *put, const void *data, size_t len)
{
	expect(s, OPS(s)->put_write(put, data, len, &s->err), HF_OK,
	    "put_write of %zu bytes", len);
}

static void
commit(struct session *s, struct hf_put *put)
{
	struct hf_object o = { .struct_size = sizeof o };

	expect(s, OPS(s)->put_commit(put, &o, &s->err), HF_OK, "put_commit");
}

static void
invisible_before_commit(struct session *s)
{
	const char *key = storage_key(s, "a/object");
	uint8_t *data = data_new(DATA_RANDOM, 1, 3 * MIB);
	struct hf_put *put = begin(s, key, 0);

	storage_lacks(s, key);
	for (size_t i = 0; i < 3; i++) {
		write_all(s, put, data + i * MIB, MIB);
		storage_lacks(s, key);
	}
	commit(s, put);
	storage_has(s, key, data, 3 * MIB);
	CHECK(storage_listed(s, s->prefix, key, 3 * MIB) == 1,
	    "list does not give %s once after the commit", key);
	free(data);
}

static void
gone_after_abort(struct session *s)
{
	const char *key = storage_key(s, "aborted"), *old;
	uint8_t *data = data_new(DATA_RANDOM, 1, 2 * MIB);
	struct hf_put *put = begin(s, key, 0);

	OPS(s)->put_abort(put); /* nothing written */
	put = begin(s, key, 0);
	write_all(s, put, data, 2 * MIB);
	OPS(s)->put_abort(put);
	storage_lacks(s, key);

	old = storage_key(s, "old");
	storage_keep(s, old, "old", 3);
	put = begin(s, old, 0);
	write_all(s, put, data, 2 * MIB);
	OPS(s)->put_abort(put);
	storage_has(s, old, "old", 3);
	free(data);
}

static void
overwrite_replaces(struct session *s)
{
	const char *key = storage_key(s, "twice");
	uint8_t *data = data_new(DATA_TEXT, 2, MIB);
	struct hf_put *put;

	storage_keep(s, key, data, MIB);
	put = begin(s, key, 0);
	write_all(s, put, "new", 3);
	storage_has(s, key, data, MIB); /* still the old one */
	commit(s, put);
	storage_has(s, key, "new", 3);
	CHECK(storage_listed(s, s->prefix, key, 3) == 1,
	    "list does not give an overwritten object once");
	free(data);
}

static void
sizes(struct session *s)
{
	static const size_t all[] = { 0, 1, 2, 4095, 4096, 4097, 64 * KIB - 1,
		64 * KIB, 64 * KIB + 1, MIB - 1, MIB, MIB + 1, 5 * MIB,
		9 * MIB };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct hf_object o = { .struct_size = sizeof o };
		uint8_t *data = data_new(DATA_RANDOM, i + 1, all[i]);
		char name[32];
		const char *key;

		(void)snprintf(name, sizeof name, "size-%zu", all[i]);
		key = storage_key(s, name);
		expect(s,
		    storage_put(
			s, s->store, key, 0, data, all[i], MIB, &o, &s->err),
		    HF_OK, "put of %zu bytes", all[i]);
		CHECK(o.size == all[i],
		    "put_commit says %" PRIu64 " bytes, %zu were written",
		    o.size, all[i]);
		storage_has(s, key, data, all[i]);
		CHECK(storage_listed(s, s->prefix, key, (int64_t)all[i]) == 1,
		    "list does not give %s once", key);
		expect(
		    s, OPS(s)->remove(s->store, key, &s->err), HF_OK, "remove");
		free(data);
	}
}

static void
writes_of_any_length(struct session *s)
{
	static const size_t chunks[] = { 1, 7, 511, 4096, 65537 };

	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
		size_t len = chunks[i] == 1 ? 20000 : 300 * KIB;
		uint8_t *data = data_new(DATA_RANDOM, i, len);
		const char *key = storage_key(s, "pieces");
		struct hf_put *put;

		expect(s,
		    storage_put(s, s->store, key, 0, data, len, chunks[i], NULL,
			&s->err),
		    HF_OK, "put in writes of %zu bytes", chunks[i]);
		storage_has(s, key, data, len);
		/* an empty write adds nothing */
		put = begin(s, key, 0);
		write_all(s, put, data, 0);
		write_all(s, put, data, 10);
		write_all(s, put, data, 0);
		commit(s, put);
		storage_has(s, key, data, 10);
		free(data);
	}
}

static void
range(struct session *s, const char *key, const uint8_t *data, size_t size,
    uint64_t off, uint64_t len, size_t cap)
{
	size_t want = size - (size_t)off, n;
	uint8_t *got;

	if (len < want)
		want = (size_t)len;
	expect(s,
	    storage_get(s, s->store, key, off, len, cap, &got, &n, &s->err),
	    HF_OK, "get of %" PRIu64 " bytes at %" PRIu64 " of %zu", len, off,
	    size);
	CHECK(n == want,
	    "a get of %" PRIu64 " bytes at %" PRIu64 " of %zu gave %zu", len,
	    off, size, n);
	CHECK(n == 0 || memcmp(got, data + off, n) == 0,
	    "a get of %" PRIu64 " bytes at %" PRIu64 " gave other bytes", len,
	    off);
	free(got);
}

static void
ranges(struct session *s)
{
	const size_t size = 2 * MIB + 17;
	const char *key = storage_key(s, "ranges");
	uint8_t *data = data_new(DATA_RANDOM, 5, size);
	const uint64_t offs[] = { 0, 1, 4095, 4096, MIB, size / 2, size - 1,
		size };
	const uint64_t lens[] = { 0, 1, 2, 4096, MIB, size - 1, size, size + 1,
		UINT64_MAX - 1, UINT64_MAX };
	struct hf_get *get = NULL;

	storage_keep(s, key, data, size);
	for (size_t i = 0; i < sizeof offs / sizeof offs[0]; i++)
		for (size_t k = 0; k < sizeof lens / sizeof lens[0]; k++)
			range(s, key, data, size, offs[i], lens[k], 0);
	range(s, key, data, size, 1000, 3000, 1);
	range(s, key, data, size, 0, UINT64_MAX, 8191);
	expect(s, OPS(s)->get(s->store, key, size + 1, 1, &get, &s->err),
	    HF_E_INVALID, "get past the end");
	expect(s,
	    OPS(s)->get(s->store, key, UINT64_MAX, UINT64_MAX, &get, &s->err),
	    HF_E_INVALID, "get far past the end");
	key = storage_key(s, "empty");
	storage_keep(s, key, "", 0);
	range(s, key, data, 0, 0, UINT64_MAX, 0);
	expect(s, OPS(s)->get(s->store, key, 1, 1, &get, &s->err), HF_E_INVALID,
	    "get past the end of an empty object");
	free(data);
}

static void
close_before_the_end(struct session *s)
{
	const char *key = storage_key(s, "half");
	uint8_t *data = data_new(DATA_RANDOM, 6, 2 * MIB), buf[100];

	storage_keep(s, key, data, 2 * MIB);
	for (int i = 0; i < 20; i++) {
		struct hf_get *get = NULL;
		size_t n = 0;

		expect(s,
		    OPS(s)->get(s->store, key, 0, UINT64_MAX, &get, &s->err),
		    HF_OK, "get");
		if (i % 2 == 0)
			expect(s,
			    OPS(s)->get_read(get, buf, sizeof buf, &n, &s->err),
			    HF_OK, "get_read");
		OPS(s)->get_close(get);
	}
	storage_has(s, key, data, 2 * MIB);
	free(data);
}

static void
missing_is_not_found(struct session *s)
{
	storage_lacks(s, storage_key(s, "never/was/there"));
	storage_keep(s, storage_key(s, "folder/inside"), "x", 1);
	/* what is only the beginning of keys is no object */
	storage_lacks(s, storage_key(s, "folder"));
	storage_lacks(s, storage_key(s, "folder/insid"));
}

static void
stat_fields(struct session *s)
{
	const char *key = storage_key(s, "stat");
	struct hf_object a = { .struct_size = sizeof a }, b = a, c = a;
	int64_t now = (int64_t)time(NULL);

	expect(s, storage_put(s, s->store, key, 0, "12345", 5, 0, &a, &s->err),
	    HF_OK, "put");
	expect(s, OPS(s)->stat(s->store, key, &b, &s->err), HF_OK, "stat");
	CHECK(b.size == 5, "stat says %" PRIu64 " bytes, not 5", b.size);
	CHECK(b.mtime > now - 86400 && b.mtime < now + 86400,
	    "stat says the object was made at %" PRId64 ", now is %" PRId64,
	    b.mtime, now);
	CHECK(memchr(b.etag, '\0', sizeof b.etag) != NULL,
	    "the etag does not end");
	CHECK(strcmp(a.etag, b.etag) == 0,
	    "put_commit says etag \"%s\" and stat says \"%s\"", a.etag, b.etag);
	if (b.etag[0] == '\0')
		return;
	storage_keep(s, key, "other", 5);
	expect(s, OPS(s)->stat(s->store, key, &c, &s->err), HF_OK, "stat");
	CHECK(strcmp(b.etag, c.etag) != 0,
	    "another content has the same etag \"%s\"", c.etag);
}

static void
if_absent(struct session *s)
{
	const char *key = storage_key(s, "once");
	struct hf_put_opts opts = { .struct_size = sizeof opts,
		.flags = HF_PUT_IF_ABSENT };
	struct hf_put *put = NULL;

	if ((OPS(s)->caps(s->store) & HF_CAP_IF_ABSENT) == 0) {
		expect(s, OPS(s)->put(s->store, key, &opts, &put, &s->err),
		    HF_E_UNSUPPORTED,
		    "put if absent, which caps does not promise");
		return;
	}
	expect(s,
	    storage_put(s, s->store, key, HF_PUT_IF_ABSENT, "first", 5, 0, NULL,
		&s->err),
	    HF_OK, "put if absent of a new key");
	storage_has(s, key, "first", 5);
	for (int i = 0; i < 3; i++) {
		expect(s,
		    storage_put(s, s->store, key, HF_PUT_IF_ABSENT, "second", 6,
			0, NULL, &s->err),
		    HF_E_EXISTS, "put if absent of a key that is there");
		storage_has(s, key, "first", 5);
	}
	/* the very same bytes are no excuse either */
	expect(s,
	    storage_put(s, s->store, key, HF_PUT_IF_ABSENT, "first", 5, 0, NULL,
		&s->err),
	    HF_E_EXISTS, "put if absent of the same content");
	expect(s, OPS(s)->remove(s->store, key, &s->err), HF_OK, "remove");
	expect(s,
	    storage_put(s, s->store, key, HF_PUT_IF_ABSENT, "third", 5, 0, NULL,
		&s->err),
	    HF_OK, "put if absent after the key was removed");
	storage_has(s, key, "third", 5);
}

static void
if_absent_decides_at_commit(struct session *s)
{
	const char *key = storage_key(s, "late");
	struct hf_put *put;

	if ((OPS(s)->caps(s->store) & HF_CAP_IF_ABSENT) == 0)
		verdict_skip("caps does not promise put if absent");
	put = begin(s, key, HF_PUT_IF_ABSENT);
	write_all(s, put, "loser", 5);
	storage_keep(s, key, "winner", 6);
	expect(s, OPS(s)->put_commit(put, NULL, &s->err), HF_E_EXISTS,
	    "commit if absent after another put of the key");
	storage_has(s, key, "winner", 6);
}

static void
if_match(struct session *s)
{
	const char *key = storage_key(s, "matched");
	struct hf_object o = { .struct_size = sizeof o };
	struct hf_put_opts opts = { .struct_size = sizeof opts };
	struct hf_put *put = NULL;
	int status;

	if ((OPS(s)->caps(s->store) & HF_CAP_IF_MATCH) == 0) {
		opts.if_match = "some-etag";
		expect(s, OPS(s)->put(s->store, key, &opts, &put, &s->err),
		    HF_E_UNSUPPORTED,
		    "put if match, which caps does not promise");
		return;
	}
	expect(s, storage_put(s, s->store, key, 0, "1", 1, 0, &o, &s->err),
	    HF_OK, "put");
	opts.if_match = o.etag;
	for (int i = 0; i < 2; i++) {
		status = OPS(s)->put(s->store, key, &opts, &put, &s->err);
		if (status == HF_OK) {
			write_all(s, put, i == 0 ? "2" : "3", 1);
			status = OPS(s)->put_commit(put, NULL, &s->err);
		}
		/* the second time the etag is stale */
		expect(s, status, i == 0 ? HF_OK : HF_E_EXISTS,
		    "put if match with a%s etag", i == 0 ? "" : " stale");
	}
	storage_has(s, key, "2", 1);
}

static void
unknown_flags_refused(struct session *s)
{
	const char *key = storage_key(s, "flags");

	for (unsigned bit = 1; bit < 32; bit++) {
		struct hf_put_opts opts = { .struct_size = sizeof opts,
			.flags = 1u << bit };
		struct hf_put *put = NULL;

		expect(s, OPS(s)->put(s->store, key, &opts, &put, &s->err),
		    HF_E_UNSUPPORTED, "put with the unknown flag bit %u", bit);
	}
	storage_lacks(s, key);
}

/* A later core has longer structs; what follows is not this plugin's. */
static void
longer_structs(struct session *s)
{
	const char *key = storage_key(s, "longer");
	struct {
		struct hf_put_opts opts;
		uint8_t later[64];
	} in;
	struct {
		struct hf_object object;
		uint8_t later[64];
	} out;
	struct hf_put *put = NULL;

	memset(&in, 0xee, sizeof in);
	memset(&in.opts, 0, sizeof in.opts);
	in.opts.struct_size = sizeof in;
	memset(&out, 0xee, sizeof out);
	memset(&out.object, 0, sizeof out.object);
	out.object.struct_size = sizeof out;
	expect(s, OPS(s)->put(s->store, key, &in.opts, &put, &s->err), HF_OK,
	    "put with longer options");
	write_all(s, put, "x", 1);
	expect(s, OPS(s)->put_commit(put, &out.object, &s->err), HF_OK,
	    "put_commit with a longer object");
	expect(s, OPS(s)->stat(s->store, key, &out.object, &s->err), HF_OK,
	    "stat with a longer object");
	CHECK(out.object.struct_size == sizeof out,
	    "the struct_size was changed, which is the caller's");
	for (size_t i = 0; i < sizeof out.later; i++)
		CHECK(out.later[i] == 0xee,
		    "stat wrote behind the fields that it knows");
}

static void
several_puts_at_once(struct session *s)
{
	enum { N = 12 };
	struct hf_put *puts[N];
	uint8_t *data = data_new(DATA_RANDOM, 9, N * 64 * KIB);
	char name[32];

	for (size_t i = 0; i < N; i++) {
		(void)snprintf(name, sizeof name, "open-%zu", i);
		puts[i] = begin(s, storage_key(s, name), 0);
	}
	for (size_t part = 0; part < 4; part++)
		for (size_t i = 0; i < N; i++)
			write_all(s, puts[i],
			    data + i * 64 * KIB + part * 16 * KIB, 16 * KIB);
	for (size_t i = N; i-- > 0;) {
		if (i % 4 == 3)
			OPS(s)->put_abort(puts[i]);
		else
			commit(s, puts[i]);
	}
	for (size_t i = 0; i < N; i++) {
		(void)snprintf(name, sizeof name, "open-%zu", i);
		if (i % 4 == 3)
			storage_lacks(s, storage_key(s, name));
		else
			storage_has(s, storage_key(s, name),
			    data + i * 64 * KIB, 64 * KIB);
	}
	free(data);
}

static void
same_key_twice_at_once(struct session *s)
{
	const char *key = storage_key(s, "both");
	uint8_t *a = data_new(DATA_RANDOM, 10, MIB);
	uint8_t *b = data_new(DATA_RANDOM, 11, MIB);
	struct hf_put *first = begin(s, key, 0), *second = begin(s, key, 0);

	for (size_t at = 0; at < MIB; at += 128 * KIB) {
		write_all(s, first, a + at, 128 * KIB);
		write_all(s, second, b + at, 128 * KIB);
	}
	commit(s, first);
	storage_has(s, key, a, MIB);
	commit(s, second);
	storage_has(s, key, b, MIB);
	free(a);
	free(b);
}

static void
clocks(struct session *s)
{
	struct hf_object o = { .struct_size = sizeof o };
	const char *key = storage_key(s, "clock");
	int64_t before = 0, after = 0, local = (int64_t)time(NULL);

	if (OPS(s)->clock == NULL)
		verdict_skip("it has no clock of its own");
	expect(s, OPS(s)->clock(s->store, &before, &s->err), HF_OK, "clock");
	CHECK(before > local - 900 && before < local + 900,
	    "its clock says %" PRId64 ", here it is %" PRId64, before, local);
	storage_keep(s, key, "x", 1);
	expect(s, OPS(s)->clock(s->store, &after, &s->err), HF_OK, "clock");
	CHECK(after >= before,
	    "its clock runs backwards: %" PRId64 " after %" PRId64, after,
	    before);
	expect(s, OPS(s)->stat(s->store, key, &o, &s->err), HF_OK, "stat");
	CHECK(o.mtime >= before - 2 && o.mtime <= after + 2,
	    "an object made between %" PRId64 " and %" PRId64
	    " by its clock has the time %" PRId64,
	    before, after, o.mtime);
}

static void
caps_known(struct session *s)
{
	uint32_t caps = OPS(s)->caps(s->store);

	CHECK((caps & ~(uint32_t)(HF_CAP_RANGE | HF_CAP_IF_ABSENT |
				  HF_CAP_IF_MATCH)) == 0,
	    "caps has unknown bits: 0x%x", caps);
	CHECK(OPS(s)->caps(s->store) == caps, "caps changes");
	verdict_note("caps:%s%s%s", (caps & HF_CAP_RANGE) != 0 ? " range" : "",
	    (caps & HF_CAP_IF_ABSENT) != 0 ? " if-absent" : "",
	    (caps & HF_CAP_IF_MATCH) != 0 ? " if-match" : "");
}

static int
see_finding(void *arg, const struct hf_finding *f)
{
	CHECK(f->struct_size >= offsetof(struct hf_finding, hint),
	    "a finding has a struct_size of %zu", f->struct_size);
	CHECK(f->check != NULL && f->result != NULL,
	    "a finding has no check or no result");
	CHECK(f->verdict == HF_PASS || f->verdict == HF_WARN ||
		  f->verdict == HF_FAIL,
	    "the finding %s has the verdict %d", f->check, f->verdict);
	CHECK(f->verdict != HF_FAIL, "check found %s: %s", f->check, f->result);
	++*(size_t *)arg;
	return HF_OK;
}

static int
count_all(void *arg, const struct hf_object *o)
{
	(void)o;
	++*(size_t *)arg;
	return 0;
}

static int
stop_checks(void *arg, const struct hf_finding *f)
{
	(void)f;
	++*(size_t *)arg;
	return HF_E_CANCELLED;
}

static void
check_leaves_nothing(struct session *s)
{
	size_t before = 0, after = 0, n = 0;

	if (OPS(s)->check == NULL)
		verdict_skip("it has no check");
	expect(s, OPS(s)->list(s->store, "", count_all, &before, &s->err),
	    HF_OK, "list of everything");
	for (int i = 0; i < 3; i++)
		expect(s, OPS(s)->check(s->store, see_finding, &n, &s->err),
		    HF_OK, "check");
	CHECK(n > 0, "check found nothing to say");
	expect(s, OPS(s)->list(s->store, "", count_all, &after, &s->err), HF_OK,
	    "list of everything");
	CHECK(before == after,
	    "there were %zu objects before check and %zu after it", before,
	    after);
	n = 0;
	(void)OPS(s)->check(s->store, stop_checks, &n, &s->err);
	error_clear(&s->err);
	CHECK(n == 1, "check went on after the callback had stopped it");
}

static void
put_get_remove(struct session *s, int i)
{
	const char *key = storage_key(s, "loop");
	const char *missing = storage_key(s, "loop-missing");
	struct hf_put *put;

	(void)i;
	storage_keep(s, key, "x", 1);
	put = begin(s, key, 0);
	write_all(s, put, "y", 1);
	OPS(s)->put_abort(put);
	storage_has(s, key, "x", 1);
	storage_lacks(s, missing);
	expect(s, OPS(s)->remove(s->store, key, &s->err), HF_OK, "remove");
}

static void
uses_no_memory(struct session *s)
{
	expect_settles(s, put_get_remove, "put, get, list and remove");
}

const struct conform_case cases_store[] = {
	{ "invisible before commit", invisible_before_commit },
	{ "gone after abort", gone_after_abort },
	{ "an overwrite replaces, at commit", overwrite_replaces },
	{ "objects of many sizes", sizes },
	{ "writes of any length", writes_of_any_length },
	{ "ranges and their edges", ranges },
	{ "a get may be closed before its end", close_before_the_end },
	{ "a missing key is not found", missing_is_not_found },
	{ "stat tells size, time and version", stat_fields },
	{ "put if absent refuses a key that is there", if_absent },
	{ "put if absent decides at commit", if_absent_decides_at_commit },
	{ "put if match refuses a stale etag", if_match },
	{ "unknown put flags are refused", unknown_flags_refused },
	{ "structs of a later core are understood", longer_structs },
	{ "several puts at once", several_puts_at_once },
	{ "two puts of one key at once: one whole content",
	    same_key_twice_at_once },
	{ "its clock agrees with the times of its objects", clocks },
	{ "caps says what is so", caps_known },
	{ "check leaves nothing behind", check_leaves_nothing },
	{ "puts and gets do not use up memory", uses_no_memory },
	{ NULL, NULL },
};
