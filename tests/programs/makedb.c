/* SPDX-License-Identifier: BSD-2-Clause */
/* makedb PATH MIB [SEED [PAGE_SIZE]]: an application's database of that size,
 * in WAL mode and checkpointed: orders, items, JSON events, messages in words
 * of Zipf's distribution.  gzip -6 makes about 1 of 2.4 of it.  The same
 * arguments give the same content. */
#include <sqlite3.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 20000, TEXT = 1200 };

static uint64_t state;
static char words[WORDS][16];
static double weight[WORDS];

static uint64_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double
uniform(void)
{
	return (double)(rnd() >> 11) / 9007199254740992.0;
}

static void
make_words(void)
{
	static const char *const syllables[] = { "an", "be", "con", "der", "el",
		"for", "ga", "hi", "in", "ka", "le", "mo", "na", "or", "pre",
		"qu", "re", "sta", "ti", "un", "ver", "wa", "xi", "yo", "ze",
		"th", "er", "ing", "ion", "s" };
	double sum = 0;

	for (int i = 0; i < WORDS; i++) {
		int n = 1 + (int)(rnd() % 4);

		words[i][0] = '\0';
		for (int k = 0; k < n; k++)
			strncat(words[i], syllables[rnd() % 30],
			    sizeof words[i] - strlen(words[i]) - 1);
		weight[i] = sum += 1.0 / (double)(i + 1);
	}
	for (int i = 0; i < WORDS; i++)
		weight[i] /= sum;
}

static const char *
word(void)
{
	double u = uniform();
	int lo = 0, hi = WORDS - 1;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (weight[mid] < u)
			lo = mid + 1;
		else
			hi = mid;
	}
	return words[lo];
}

static const char *
sentence(int nwords)
{
	static char text[TEXT];
	size_t len = 0;

	for (int i = 0; i < nwords && len + 20 < sizeof text; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s",
		    word(), rnd() % 9 == 0 ? ", " : " ");
	return text;
}

static void
check(sqlite3 *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
		return;
	(void)fprintf(stderr, "makedb: %s\n", sqlite3_errmsg(db));
	exit(1);
}

static void
run(sqlite3 *db, sqlite3_stmt *st)
{
	check(db, sqlite3_step(st));
	check(db, sqlite3_reset(st));
}

/* One order with its items, an event and a message. */
static void
fill(sqlite3 *db, sqlite3_stmt *const st[4], int64_t id)
{
	int64_t when = 1700000000000 + id * 1733 + (int64_t)(rnd() % 1000);
	char json[400];

	sqlite3_bind_int64(st[0], 1, id);
	sqlite3_bind_int64(st[0], 2, (int64_t)(rnd() % 50000));
	sqlite3_bind_int64(st[0], 3, when);
	sqlite3_bind_double(st[0], 4, (double)(rnd() % 1000000) / 100);
	sqlite3_bind_text(
	    st[0], 5, rnd() % 5 ? "paid" : "open", -1, SQLITE_STATIC);
	run(db, st[0]);
	for (uint64_t n = 1 + rnd() % 4; n > 0; n--) {
		sqlite3_bind_int64(st[1], 1, id);
		sqlite3_bind_int64(st[1], 2, (int64_t)(rnd() % 9000));
		sqlite3_bind_int64(st[1], 3, (int64_t)(1 + rnd() % 5));
		sqlite3_bind_double(st[1], 4, (double)(rnd() % 50000) / 100);
		run(db, st[1]);
	}
	(void)snprintf(json, sizeof json,
	    "{\"session\":\"%016llx%016llx\",\"ip\":\"10.%d.%d.%d\",\"agent\":"
	    "\"%s\",\"ms\":%d}",
	    (unsigned long long)rnd(), (unsigned long long)rnd(),
	    (int)(rnd() % 256), (int)(rnd() % 256), (int)(rnd() % 256), word(),
	    (int)(rnd() % 5000));
	sqlite3_bind_int64(st[2], 1, when);
	sqlite3_bind_text(st[2], 2, json, -1, SQLITE_STATIC);
	run(db, st[2]);
	sqlite3_bind_int64(st[3], 1, id);
	sqlite3_bind_text(
	    st[3], 2, sentence(20 + (int)(rnd() % 60)), -1, SQLITE_STATIC);
	run(db, st[3]);
}

static int64_t
size_of(sqlite3 *db)
{
	sqlite3_stmt *st;
	int64_t size;

	check(db, sqlite3_prepare_v2(db,
		      "SELECT page_count * page_size FROM pragma_page_count, "
		      "pragma_page_size",
		      -1, &st, NULL));
	check(db, sqlite3_step(st));
	size = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return size;
}

int
main(int argc, char **argv)
{
	static const char *const inserts[] = {
		"INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
		"INSERT INTO items VALUES (?, ?, ?, ?)",
		"INSERT INTO events(at, body) VALUES (?, ?)",
		"INSERT INTO messages VALUES (?, ?)"
	};
	int64_t want = argc > 2 ? strtoll(argv[2], NULL, 10) << 20 : 0;
	sqlite3_stmt *st[4];
	char setup[1024];
	sqlite3 *db;

	if (want <= 0 && !(argc > 2 && strcmp(argv[2], "0") == 0)) {
		(void)fprintf(
		    stderr, "usage: makedb PATH MIB [SEED [PAGE_SIZE]]\n");
		return 2;
	}
	state = argc > 3 ? strtoull(argv[3], NULL, 10) + 88172645463325252ULL
			 : 88172645463325252ULL;
	make_words();
	(void)snprintf(setup, sizeof setup,
	    "PRAGMA page_size=%s; PRAGMA synchronous=OFF;"
	    "PRAGMA journal_mode=OFF; PRAGMA cache_size=-100000;"
	    "PRAGMA user_version=7; PRAGMA application_id=1215652932;"
	    "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INT, at INT,"
	    " amount REAL, status TEXT);"
	    "CREATE TABLE items(order_id INT, product INT, n INT, price REAL);"
	    "CREATE TABLE events(id INTEGER PRIMARY KEY, at INT, body TEXT);"
	    "CREATE TABLE messages(order_id INT, body TEXT);",
	    argc > 4 ? argv[4] : "4096");
	check(NULL, sqlite3_open(argv[1], &db));
	check(db, sqlite3_exec(db, setup, NULL, NULL, NULL));
	for (int i = 0; i < 4; i++)
		check(db, sqlite3_prepare_v2(db, inserts[i], -1, &st[i], NULL));
	/* The indexes add about an eighth. */
	for (int64_t id = 1; size_of(db) < want / 9 * 8;) {
		check(db, sqlite3_exec(db, "BEGIN", NULL, NULL, NULL));
		for (int i = 0; i < 500; i++, id++)
			fill(db, st, id);
		check(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
	}
	for (int i = 0; i < 4; i++)
		(void)sqlite3_finalize(st[i]);
	check(db, sqlite3_exec(db,
		      "CREATE INDEX orders_customer ON orders(customer, at);"
		      "CREATE INDEX items_order ON items(order_id);"
		      "CREATE INDEX events_at ON events(at);"
		      "PRAGMA journal_mode=WAL;",
		      NULL, NULL, NULL));
	return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
