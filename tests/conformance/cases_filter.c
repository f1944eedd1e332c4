/* SPDX-License-Identifier: BSD-2-Clause */
/* What a filter does, step by step, with buffers of every size. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "conform.h"
#include "data.h"

#define OPS(s) (&(s)->plugin->filter)
#define NAME "conform/object"

/* What comes out may not grow without bound, whatever goes in. */
#define OUTPUT_MAX (96 * MIB)

struct way {
	size_t in, out; /* bytes a step takes and gives at most */
};

/* Where a stream stands after its steps. */
struct flow {
	struct buf got;
	int status;  /* HF_EOF, or the failure */
	size_t used; /* of the input */
};

static const char *
direction(bool decode)
{
	return decode ? "decode" : "encode";
}

/* Sizes that the callee has to set, whatever stood there. */
#define UNSET ((size_t)1 << 40)

/* One step, and what holds for each: never more than was offered, and some
 * progress. */
static int
one_step(struct session *s, struct hf_xform *x, struct hf_step *step,
    bool decode, struct hf_error *err)
{
	int status;

	step->src_used = step->dst_len = UNSET;
	status = OPS(s)->step(x, step, err);
	CHECK(status <= HF_EOF, "%s: step returned %d", direction(decode),
	    status);
	if (status < HF_OK) {
		step->src_used = step->dst_len = 0;
		return status;
	}
	CHECK(step->src_used != UNSET && step->dst_len != UNSET,
	    "%s: step did not set src_used and dst_len", direction(decode));
	CHECK(step->src_used <= step->src_len, "%s: step used %zu bytes of %zu",
	    direction(decode), step->src_used, step->src_len);
	CHECK(step->dst_len <= step->dst_cap,
	    "%s: step gave %zu bytes into room for %zu", direction(decode),
	    step->dst_len, step->dst_cap);
	CHECK(status != HF_OK || step->src_used > 0 || step->dst_len > 0,
	    "%s: step made no progress (%zu bytes of input, room for %zu%s) "
	    "and said OK",
	    direction(decode), step->src_len, step->dst_cap,
	    step->last ? ", last" : "");
	return status;
}

/* A whole stream.  What a step borrows is gone after it: in and out are
 * scribbled over each time. */
static struct flow
transform(struct session *s, bool decode, const uint8_t *src, size_t len,
    struct way way, struct hf_error *err)
{
	struct flow f = { .got = BUF_INIT };
	struct hf_xform *x = NULL;
	size_t in_cap = way.in < len ? way.in : len, kept = 0;
	uint8_t *in = data_alloc(in_cap), *dst = data_alloc(way.out);

	expect_in(s, err, OPS(s)->begin(s->filter, decode, NAME, &x, err),
	    HF_OK, "begin to %s", direction(decode));
	do {
		size_t n = len - f.used < in_cap ? len - f.used : in_cap;
		struct hf_step step = { .struct_size = sizeof step,
			.src = in,
			.src_len = n,
			.dst = dst,
			.dst_cap = way.out,
			.last = f.used + n == len };

		if (n > kept)
			memcpy(in, src + f.used, n);
		f.status = one_step(s, x, &step, decode, err);
		f.used += step.src_used;
		(void)buf_append(&f.got, dst, step.dst_len, NULL);
		CHECK(f.got.len < OUTPUT_MAX, "%s: the output does not end",
		    direction(decode));
		/* a step that takes nothing is shown the same again */
		kept = step.src_used == 0 ? n : 0;
		if (kept == 0 && n > 0)
			memset(in, 0xdd, n);
		memset(dst, 0xdd, way.out < 4096 ? way.out : 4096);
	} while (f.status == HF_OK);
	OPS(s)->end(x);
	free(in);
	free(dst);
	return f;
}

/* As the core decodes: where frames may follow each other, a decoder may take
 * several in one stream or end with each, and then the next stream goes on
 * with the rest. */
static struct flow
decode(struct session *s, const uint8_t *src, size_t len, struct way way,
    struct hf_error *err)
{
	struct flow f = transform(s, true, src, len, way, err);

	while (f.status == HF_EOF && f.used > 0 && f.used < len &&
	       (OPS(s)->flags & HF_FILTER_FRAMES) != 0) {
		struct flow more =
		    transform(s, true, src + f.used, len - f.used, way, err);

		(void)buf_append(&f.got, more.got.data, more.got.len, NULL);
		buf_free(&more.got);
		f.status = more.status;
		if (more.used == 0)
			break;
		f.used += more.used;
	}
	return f;
}

static const struct way wide = { 64 * KIB, 64 * KIB };

static struct buf
encode_way(struct session *s, const uint8_t *src, size_t len, struct way way)
{
	struct flow f = transform(s, false, src, len, way, &s->err);

	expect(s, f.status, HF_EOF, "encode %zu bytes", len);
	CHECK(
	    f.used == len, "encode ended after %zu bytes of %zu", f.used, len);
	return f.got;
}

static struct buf
encode(struct session *s, const uint8_t *src, size_t len)
{
	return encode_way(s, src, len, wide);
}

static void
decodes_to(struct session *s, const struct buf *packed, const uint8_t *want,
    size_t len, struct way way)
{
	struct flow f = decode(s, packed->data, packed->len, way, &s->err);

	expect(s, f.status, HF_EOF,
	    "decode %zu bytes, %zu in and %zu out a step", packed->len, way.in,
	    way.out);
	CHECK(f.used == packed->len,
	    "decode ended after %zu bytes of %zu without an error", f.used,
	    packed->len);
	CHECK(
	    f.got.len == len, "decode gave %zu bytes, not %zu", f.got.len, len);
	CHECK(len == 0 || memcmp(f.got.data, want, len) == 0,
	    "decode gave other bytes than went in");
	buf_free(&f.got);
}

/* ---- round trips ---- */

static void
round_trip(struct session *s, const uint8_t *data, size_t len, struct way there,
    struct way back)
{
	struct buf packed = encode_way(s, data, len, there);

	decodes_to(s, &packed, data, len, back);
	buf_free(&packed);
}

static void
round_trips(struct session *s)
{
	static const size_t lens[] = { 0, 1, 2, 1000, 64 * KIB, MIB + 1,
		3 * MIB };
	static const size_t ways[] = { 1, 13, 4096, 64 * KIB };

	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++)
		for (int kind = 0; kind < DATA_KINDS; kind++) {
			uint8_t *data =
			    data_new((enum data_kind)kind, i, lens[i]);
			/* a step a byte is slow; small streams show it */
			size_t first = lens[i] > 64 * KIB ? 2 : 0;

			for (size_t a = first; a < 4; a++)
				for (size_t b = first; b < 4; b++) {
					struct way w = { ways[a], ways[b] };

					round_trip(s, data, lens[i], w, w);
				}
			free(data);
		}
}

static void
one_large_step(struct session *s)
{
	for (int kind = 0; kind < DATA_KINDS; kind++) {
		uint8_t *data = data_new((enum data_kind)kind, 3, 3 * MIB);

		round_trip(s, data, 3 * MIB, (struct way){ 3 * MIB, 8 * MIB },
		    (struct way){ 8 * MIB, 8 * MIB });
		round_trip(s, data, 256 * KIB, (struct way){ MIB, 100 },
		    (struct way){ MIB, 1000 });
		free(data);
	}
}

static void
sample_file(struct session *s)
{
	struct buf data = BUF_INIT, packed;

	if (s->setup->sample == NULL)
		verdict_skip("no --filter-sample was given");
	expect(s, file_read(s->setup->sample, 1024 * MIB, &data, &s->err),
	    HF_OK, "read the sample");
	packed = encode(s, data.data, data.len);
	verdict_note("%zu bytes became %zu", data.len, packed.len);
	decodes_to(s, &packed, data.data, data.len, wide);
	buf_free(&packed);
	buf_free(&data);
}

static void
same_bytes_twice(struct session *s)
{
	uint8_t *data = data_new(DATA_TEXT, 4, 100000);
	struct buf a = encode(s, data, 100000), b = encode(s, data, 100000);
	struct buf c = encode_way(s, data, 100000, (struct way){ 7, 99 });

	verdict_note("the same input gives %s bytes",
	    a.len == b.len && memcmp(a.data, b.data, a.len) == 0 ? "the same"
								 : "other");
	verdict_note("the same input in other steps gives %s bytes",
	    a.len == c.len && memcmp(a.data, c.data, a.len) == 0 ? "the same"
								 : "other");
	verdict_note("100,000 bytes of text became %zu", a.len);
	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
	free(data);
}

/* ---- damage ---- */

static struct buf
small_stream(struct session *s, enum data_kind kind, size_t len)
{
	uint8_t *data = data_new(kind, 6, len);
	struct buf packed = encode(s, data, len);

	free(data);
	return packed;
}

static void
cut(struct session *s, const struct buf *packed, size_t at, struct way way)
{
	/* in memory of its own length, so that reading on is seen */
	uint8_t *part = data_alloc(at);
	struct flow f;

	if (at > 0)
		memcpy(part, packed->data, at);
	f = decode(s, part, at, way, &s->err);
	/* an end that leaves bytes unused is taken for damage by the core */
	CHECK(f.status != HF_EOF || f.used < at,
	    "a stream of %zu bytes cut after %zu decodes without an error",
	    packed->len, at);
	if (f.status != HF_EOF)
		expect(s, f.status, HF_E_CORRUPT,
		    "decode a stream of %zu bytes cut after %zu", packed->len,
		    at);
	buf_free(&f.got);
	free(part);
}

static void
truncation(struct session *s)
{
	static const size_t lens[] = { 0, 1, 1000 };

	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++)
		for (int kind = 0; kind < DATA_KINDS; kind++) {
			struct buf p =
			    small_stream(s, (enum data_kind)kind, lens[i]);

			for (size_t at = 0; at < p.len; at++) {
				cut(s, &p, at, wide);
				cut(s, &p, at, (struct way){ 3, 5 });
			}
			buf_free(&p);
		}
}

static void
trailing_bytes(struct session *s)
{
	static const uint8_t junk[] = "no part of the stream";
	uint8_t *data = data_new(DATA_TEXT, 8, 1000);
	struct buf p = encode(s, data, 1000);
	size_t whole = p.len;

	(void)buf_append(&p, junk, sizeof junk, NULL);
	for (size_t extra = 1; extra <= sizeof junk; extra++) {
		struct flow f = decode(s, p.data, whole + extra, wide, &s->err);

		/* an error, or an end that leaves the rest unused: the core
		 * takes that for damage */
		CHECK(f.status != HF_EOF || f.used < whole + extra,
		    "a stream with %zu foreign bytes behind it decodes "
		    "without an error",
		    extra);
		if (f.status != HF_EOF)
			expect(s, f.status, HF_E_CORRUPT,
			    "decode with foreign bytes at the end");
		buf_free(&f.got);
	}
	buf_free(&p);
	free(data);
}

/* Some words for damage are right, one never is. */
static void
damaged(struct session *s, int status)
{
	CHECK(status != HF_E_TRANSIENT,
	    "damage was called transient: it would be tried again");
	expect(s, status, EXPECT_FAILURE, "decode a damaged stream");
}

static void
bit_flips(struct session *s)
{
	const size_t len = 400;
	uint8_t *data = data_new(DATA_TEXT, 9, len);
	struct buf p = encode(s, data, len);
	size_t found = 0, other = 0, same = 0;

	for (size_t bit = 0; bit < p.len * 8; bit++) {
		struct flow f;

		p.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		f = decode(s, p.data, p.len, wide, &s->err);
		if (f.status != HF_EOF) {
			damaged(s, f.status);
			found++;
		} else if (f.used < p.len) {
			found++;
		} else if (f.got.len == len &&
			   memcmp(f.got.data, data, len) == 0) {
			same++;
		} else {
			other++;
		}
		buf_free(&f.got);
		p.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	verdict_note("of %zu flipped bits %zu were found, %zu gave the same "
		     "output, %zu gave another one unnoticed",
	    p.len * 8, found, same, other);
	buf_free(&p);
	free(data);
}

static void
noise(struct session *s)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		size_t len = (seed * 37) % 3000 + 1;
		uint8_t *data = data_new(DATA_RANDOM, seed + 77, len);
		struct flow f = decode(s, data, len, wide, &s->err);

		if (f.status != HF_EOF)
			damaged(s, f.status);
		buf_free(&f.got);
		free(data);
	}
}

/* ---- frames ---- */

static void
frames(struct session *s)
{
	uint8_t *data = data_new(DATA_TEXT, 10, 200000);
	static const size_t cuts[] = { 0, 1, 70000, 70000, 199999, 200000 };
	struct buf all = BUF_INIT;

	if ((OPS(s)->flags & HF_FILTER_FRAMES) == 0)
		verdict_skip("it does not promise frames");
	for (size_t i = 0; i + 1 < sizeof cuts / sizeof cuts[0]; i++) {
		size_t len = cuts[i + 1] - cuts[i];
		struct buf one = encode(s, data + cuts[i], len);

		decodes_to(s, &one, data + cuts[i], len, wide);
		(void)buf_append(&all, one.data, one.len, NULL);
		buf_free(&one);
	}
	decodes_to(s, &all, data, 200000, wide);
	decodes_to(s, &all, data, 200000, (struct way){ 1, 4096 });
	decodes_to(s, &all, data, 200000, (struct way){ 4096, 3 });
	decodes_to(s, &all, data, 200000, (struct way){ MIB, MIB });
	buf_free(&all);
	free(data);
}

/* A cut inside any but the first frame is seen as well; a cut between two is
 * for the core, which knows sizes. */
static void
cut_frames(struct session *s)
{
	uint8_t *data = data_new(DATA_TEXT, 11, 300);
	struct buf one, both = BUF_INIT;

	if ((OPS(s)->flags & HF_FILTER_FRAMES) == 0)
		verdict_skip("it does not promise frames");
	one = encode(s, data, 300);
	(void)buf_append(&both, one.data, one.len, NULL);
	(void)buf_append(&both, one.data, one.len, NULL);
	for (size_t at = one.len + 1; at < both.len; at++) {
		cut(s, &both, at, wide);
		cut(s, &both, at, (struct way){ 5, 3 });
	}
	buf_free(&both);
	buf_free(&one);
	free(data);
}

/* ---- life ---- */

static void
end_early(struct session *s, int i)
{
	bool decode = i % 2 == 1;
	uint8_t *data = data_new(DATA_TEXT, 12, 64 * KIB), dst[100];
	struct buf packed = encode(s, data, 64 * KIB);
	struct hf_xform *x = NULL;
	struct hf_step step = { .struct_size = sizeof step,
		.src = decode ? packed.data : data,
		.src_len = decode ? packed.len / 2 : 30000,
		.dst = dst,
		.dst_cap = sizeof dst };

	expect(s, OPS(s)->begin(s->filter, decode, NAME, &x, &s->err), HF_OK,
	    "begin to %s", direction(decode));
	if (i % 3 != 0)
		expect(s, one_step(s, x, &step, decode, &s->err), HF_OK,
		    "the first step to %s", direction(decode));
	OPS(s)->end(x);
	buf_free(&packed);
	free(data);
}

static void
end_at_any_point(struct session *s)
{
	expect_settles(s, end_early, "ending a stream in the middle");
}

static void
fail_to_decode(struct session *s, int i)
{
	struct buf p = small_stream(s, DATA_TEXT, 5000);
	struct flow f = decode(s, p.data, p.len - 1, wide, &s->err);

	(void)i;
	if (f.status == HF_EOF)
		verdict_skip("a cut stream does not fail");
	expect(s, f.status, HF_E_CORRUPT, "decode a cut stream");
	buf_free(&f.got);
	buf_free(&p);
}

static void
end_after_failure(struct session *s)
{
	expect_settles(s, fail_to_decode, "a stream that fails");
}

struct worker {
	struct session *s;
	uint64_t seed;
};

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct hf_error err = { .status = HF_OK };
	size_t len = 300 * KIB + (size_t)w->seed;
	uint8_t *data = data_new(DATA_TEXT, w->seed, len);

	for (int i = 0; i < 5; i++) {
		struct flow f = transform(w->s, false, data, len, wide, &err),
			    back;

		expect_in(w->s, &err, f.status, HF_EOF,
		    "encode in one of many threads");
		back = decode(w->s, f.got.data, f.got.len, wide, &err);
		expect_in(w->s, &err, back.status, HF_EOF,
		    "decode in one of many threads");
		CHECK(back.got.len == len &&
			  memcmp(back.got.data, data, len) == 0,
		    "a thread got back other bytes than it gave");
		buf_free(&f.got);
		buf_free(&back.got);
	}
	free(data);
	return NULL;
}

static void
many_streams(struct session *s)
{
	enum { N = 8 };
	struct hf_xform *x[N];
	struct worker workers[N];
	pthread_t threads[N];

	/* open at once is always allowed, overlapping calls are not */
	for (size_t i = 0; i < N; i++)
		expect(s,
		    OPS(s)->begin(s->filter, i % 2 == 0, NAME, &x[i], &s->err),
		    HF_OK, "begin the %zu. stream beside others", i + 1);
	for (size_t i = 0; i < N; i++)
		OPS(s)->end(x[i]);
	if (!session_parallel(s))
		verdict_note("its thread level keeps it on one core");
	for (size_t i = 0; i < N; i++) {
		workers[i] = (struct worker){ .s = s, .seed = i + 1 };
		if (!session_parallel(s))
			(void)work(&workers[i]);
		else
			CHECK(pthread_create(
				  &threads[i], NULL, work, &workers[i]) == 0,
			    "the suite cannot start a thread");
	}
	for (size_t i = 0; session_parallel(s) && i < N; i++)
		(void)pthread_join(threads[i], NULL);
}

static void
suffix(struct session *s)
{
	const char *text = OPS(s)->suffix;

	CHECK((OPS(s)->flags & ~HF_FILTER_FRAMES) == 0,
	    "its flags have unknown bits: 0x%x", OPS(s)->flags);
	if (text == NULL || text[0] == '\0')
		verdict_skip("it has no suffix");
	CHECK(text[0] == '.' && text[1] != '\0' && strlen(text) <= 16,
	    "the suffix \"%s\" is not a dot and up to 15 more", text);
	CHECK(strspn(text + 1,
		  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		  "0123456789_=-.") == strlen(text + 1),
	    "the suffix \"%s\" has characters that a key may not have", text);
}

const struct conform_case cases_filter[] = {
	{ "its suffix can stand in a key", suffix },
	{ "round trips of many sizes in steps of many sizes", round_trips },
	{ "round trips in one large step", one_large_step },
	{ "brings back the sample file", sample_file },
	{ "the same input twice", same_bytes_twice },
	{ "a stream cut at any byte is damaged", truncation },
	{ "foreign bytes behind a stream are noticed", trailing_bytes },
	{ "every flipped bit ends in an error or an end", bit_flips },
	{ "random bytes end in an error or an end", noise },
	{ "frames laid end to end decode as one and each alone", frames },
	{ "a cut inside a later frame is damage", cut_frames },
	{ "a stream may be ended at any point", end_at_any_point },
	{ "a failed stream leaves nothing behind", end_after_failure },
	{ "many streams at once", many_streams },
	{ NULL, NULL },
};
