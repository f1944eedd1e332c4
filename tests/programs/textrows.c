/* SPDX-License-Identifier: BSD-2-Clause */
/* textrows MIB [SEED [FIRST_ID]]: COPY text of about that size, rows of a
 * table of messages:
 *   id bigint, at timestamptz, account int, kind text, attributes json,
 *   body text
 * Words are a few thousand of Zipf's distribution, which follow each other
 * with preferences, as in prose and in logs; one row in a hundred is long
 * enough for TOAST.  gzip -6 makes about 1 of 3 of it.  The same arguments give
 * the same rows. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORDS = 6000, DRAW = 1 << 18, NEXT = 12, ROW = 64 * 1024 };

static uint64_t state;
static char words[WORDS][24];
static uint16_t draw[DRAW];
static uint16_t next[WORDS][NEXT];

static uint32_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20);
}

static void
make_words(void)
{
	static const char *const syllables[] = { "an", "be", "con", "der", "el",
		"for", "ga", "hi", "in", "ka", "le", "mo", "na", "or", "pre",
		"qu", "re", "sta", "ti", "un", "ver", "wa", "xi", "yo", "ze",
		"th", "er", "ing", "ion", "s" };
	double sum = 0, upto = 0;
	size_t at = 0;

	for (unsigned i = 0; i < WORDS; i++) {
		/* Common words are short. */
		unsigned n = (i > 300 ? 3 : i > 30 ? 2 : 1) + rnd() % 3;

		for (unsigned k = 0; k < n; k++)
			strncat(words[i], syllables[rnd() % 30],
			    sizeof words[i] - strlen(words[i]) - 1);
		sum += 1.0 / (i + 3);
	}
	for (unsigned i = 0; i < WORDS; i++) {
		upto += 1.0 / (i + 3) / sum;
		while (at < DRAW && (double)at < upto * DRAW)
			draw[at++] = (uint16_t)i;
	}
	for (unsigned i = 0; i < WORDS; i++)
		for (unsigned k = 0; k < NEXT; k++)
			next[i][k] = draw[rnd() % DRAW];
}

/* n words into to, which has room for them; returns where they end. */
static char *
text(char *to, unsigned n)
{
	unsigned w = draw[rnd() % DRAW], left = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(words[w]);

		memcpy(to, words[w], len);
		if (left == 0) {
			*to = (char)(*to - 'a' + 'A');
			left = 4 + rnd() % 16;
		}
		to += len;
		if (--left == 0)
			*to++ = '.';
		*to++ = ' ';
		w = rnd() % 8 < 3 ? next[w][rnd() % NEXT] : draw[rnd() % DRAW];
	}
	return to - 1;
}

static size_t
row(char *to, uint64_t id, uint64_t *ms)
{
	static const char *const kinds[] = { "message", "message", "note",
		"invoice.paid", "login", "ticket", "ticket.closed", "report" };
	char stamp[32], *end = to;
	struct tm tm;
	time_t t;

	*ms += 200 + rnd() % 2000;
	t = (time_t)(*ms / 1000);
	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		abort();
	end += snprintf(end, 512,
	    "%llu\t%s.%03u+00\t%u\t%s\t{\"ip\": \"10.%u.%u.%u\", \"ms\": %u, "
	    "\"tags\": [\"%s\", \"%s\"], \"agent\": \"%s/%u\", "
	    "\"request\": \"%08x%08x\"}\t",
	    (unsigned long long)id, stamp, (unsigned)(*ms % 1000),
	    rnd() % 20000, kinds[rnd() % 8], rnd() % 4, rnd() % 256,
	    rnd() % 256, rnd() % 5000, words[draw[rnd() % DRAW]],
	    words[draw[rnd() % DRAW]], words[rnd() % 40], rnd() % 4, rnd(),
	    rnd());
	end =
	    text(end, rnd() % 100 == 0 ? 600 + rnd() % 1000 : 20 + rnd() % 100);
	*end++ = '\n';
	return (size_t)(end - to);
}

int
main(int argc, char **argv)
{
	uint64_t want = argc > 1 ? strtoull(argv[1], NULL, 10) << 20 : 0;
	uint64_t id = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	uint64_t ms = 1700000000000;
	static char buf[ROW];

	if (want == 0 || argc > 4) {
		(void)fprintf(
		    stderr, "usage: textrows MIB [SEED [FIRST_ID]]\n");
		return 2;
	}
	/* Every seed has the same words. */
	state = 88172645463325252ULL;
	make_words();
	state +=
	    argc > 2 ? strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ULL : 0;
	for (uint64_t done = 0, n; done < want; done += n) {
		n = row(buf, id++, &ms);
		if (fwrite(buf, 1, n, stdout) != n) {
			perror("textrows");
			return 1;
		}
	}
	if (fflush(stdout) != 0) {
		perror("textrows");
		return 1;
	}
	return 0;
}
