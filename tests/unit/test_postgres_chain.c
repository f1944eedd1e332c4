/* SPDX-License-Identifier: BSD-2-Clause */
/* A full base backup and increments on it, restored as one; what is wrong with
 * them is told, and nothing written or left.  No server. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/chainrun.h"

static void
a_chain_becomes_one_data_directory(void **state)
{
	(void)state;
	chainkit_link(&kit);
	chainrun_whole(
	    "base/5/1", 4, "abcd"); /* overwritten, extended, truncated */
	chainrun_whole("base/5/1.1", 3, "efg");
	chainrun_whole("base/5/2", 2, "hi"); /* dropped */
	chainrun_whole(
	    "base/5/3", 2, "jk"); /* dropped, and new under its name */
	chainrun_whole("base/5/4", 1, "l");  /* never touched */
	chainrun_whole("base/5/5", 2, "mn"); /* whole again */
	chainrun_whole("base/5/6", 3, "opq");
	chainrun_whole(IN_SPACE "7", 2, "rs"); /* of a tablespace that goes */
	chainkit_file(&kit, "pg_xact", "one", 3);
	chainrun_wal(0);
	chainkit_done(&kit);

	chainkit_link(&kit);
	chainrun_increment("base/5/1", 4, 2, NUMBERS(1, 5), "BF");
	chainrun_increment("base/5/1.1", 1, 0, NULL, "");
	chainrun_whole("base/5/3", 1, "K");
	chainrun_increment("base/5/4", 1, 0, NULL, "");
	chainrun_whole("base/5/5", 1, "M");
	chainrun_increment("base/5/6", 1, 0, NULL, ""); /* to one block */
	chainrun_whole("base/5/8", 1, "t");
	chainkit_file(&kit, "pg_xact", "two two", 7);
	chainrun_wal(1);
	chainkit_done(&kit);

	chainkit_link(&kit);
	chainrun_increment("base/5/1", 6, 1, NUMBERS(0), "A");
	chainrun_increment("base/5/1.1", 2, 1, NUMBERS(3), "G");
	chainrun_increment("base/5/3", 1, 1, NUMBERS(1), "L");
	chainrun_increment("base/5/4", 1, 0, NULL, "");
	chainrun_increment("base/5/5", 1, 1, NUMBERS(1), "N");
	chainrun_increment(
	    "base/5/6", 3, 1, NUMBERS(2), "Q"); /* and longer again */
	chainrun_increment("base/5/8", 1, 0, NULL, "");
	chainrun_whole(
	    IN_SPACE "9", 2, "uv"); /* and comes again, with another file */
	chainkit_file(&kit, "pg_xact", "3", 1);
	chainrun_wal(2);
	chainkit_done(&kit);

	chainrun_must(chainrun_restore());
	chainrun_file_is("base/5/1", BLOCKS("ABcd\0F"));
	chainrun_file_is("base/5/1.1", BLOCKS("e\0\0G"));
	chainrun_file_is("base/5/3", BLOCKS("KL"));
	chainrun_file_is("base/5/4", BLOCKS("l"));
	chainrun_file_is("base/5/5", BLOCKS("MN"));
	chainrun_file_is("base/5/6", BLOCKS("o\0Q"));
	chainrun_file_is("base/5/8", BLOCKS("t"));
	chainrun_file_is(IN_SPACE "9", BLOCKS("uv"));
	assert_false(chainrun_has("base/5/2"));
	assert_false(chainrun_has(IN_SPACE "7"));
	assert_false(chainrun_has("base/5/INCREMENTAL.1"));
	assert_true(chainrun_has("pg_wal/000000010000000000000004"));
	assert_false(chainrun_has("pg_wal/000000010000000000000002"));
	assert_true(chainrun_has("global/pg_control"));
	chainrun_label_is_of(2);
	/* backup_label, tablespace_map, PG_VERSION, pg_control, pg_xact and
	 * eight relations; besides: WAL, the manifest, four of the
	 * configuration and recovery.signal. */
	assert_int_equal(chainrun_manifest(), 13);
	assert_int_equal(chainrun_count(), 13 + 7);
	chainrun_clear();

	/* Each of the moments before is there too. */
	chainrun_must(chainrun_order("01"));
	chainrun_file_is("base/5/1", BLOCKS("aBcd\0F"));
	chainrun_file_is("base/5/1.1", BLOCKS("e"));
	chainrun_file_is("base/5/6", BLOCKS("o"));
	assert_false(chainrun_has(IN_SPACE "7"));
	chainrun_label_is_of(1);
	assert_true(chainrun_manifest() > 0);
	chainrun_clear();
	chainrun_must(chainrun_order("0"));
	chainrun_file_is("base/5/1", BLOCKS("abcd"));
	chainrun_file_is(IN_SPACE "7", BLOCKS("rs"));
	chainrun_label_is_of(0);
	chainrun_clear();
	chainrun_nothing_is_left();
	chainkit_free(&kit);
}

/* ---- what is refused ---- */

/* A full backup and two increments, of one relation. */
static void
three_links(void)
{
	chainkit_link(&kit);
	chainrun_whole("base/5/1", 2, "ab");
	chainkit_done(&kit);
	for (int i = 0; i < 2; i++) {
		chainkit_link(&kit);
		chainrun_increment("base/5/1", 2, 1, NUMBERS(1), "x");
		chainkit_done(&kit);
	}
}

static void
links_that_do_not_fit_are_refused_before_anything_is_written(void **state)
{
	static const struct {
		const char *order, *says;
	} orders[] = {
		{ "02", "increment 1 of 1 does not build on the one before" },
		{ "021", "increment 1 of 2 does not build on the one before" },
		{ "10", "builds is missing" },
		{ "1", "builds is missing" },
		{ "12", "builds is missing" },
		{ "011", "increment 2 of 2 does not build on the one before" },
		{ "00", "does not say on what it builds" },
	};
	static const struct {
		const char *key, *value, *says;
	} facts[] = {
		{ BASE_FACT_SYSTEM, "7234567890123456780", "another server" },
		{ BASE_FACT_VERSION, "180001", "another version" },
		{ BASE_FACT_VERSION, NULL, "another version" },
		{ BASE_FACT_SEGMENT_SIZE, "1048576", "another size" },
		{ BASE_FACT_FROM, "0/1", "does not build on" },
		{ BASE_FACT_FROM, NULL, "does not say on what" },
		{ BASE_FACT_FROM, "x", "does not say on what" },
		{ BASE_FACT_FROM_TIMELINE, "2", "does not build on" },
		{ BASE_FACT_START, NULL, BASE_FACT_START },
	};

	(void)state;
	three_links();
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		chainrun_refused(chainrun_order(orders[i].order), HF_E_CORRUPT,
		    orders[i].says);
		chainrun_nothing_is_left();
	}
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
		char *was = NULL;
		const char *before = memout_fact(kit.links[2], facts[i].key);

		if (before != NULL)
			was = strdup(before);
		memout_set_fact(kit.links[2], facts[i].key, facts[i].value);
		chainrun_refused(
		    chainrun_restore(), HF_E_CORRUPT, facts[i].says);
		chainrun_nothing_is_left();
		memout_set_fact(kit.links[2], facts[i].key, was);
		free(was);
	}
	/* An older server makes no increments, whatever facts say. */
	for (size_t k = 0; k < 3; k++)
		memout_set_fact(kit.links[k], BASE_FACT_VERSION, "150018");
	chainrun_refused(
	    chainrun_restore(), HF_E_CORRUPT, "makes no increments");
	for (size_t k = 0; k < 3; k++)
		memout_set_fact(kit.links[k], BASE_FACT_VERSION, "170005");
	/* What is inside says otherwise. */
	memout_set_fact(kit.links[1], BASE_FACT_START, "0/5000028");
	memout_set_fact(kit.links[1], BASE_FACT_STOP, "0/5000028");
	memout_set_fact(kit.links[2], BASE_FACT_FROM, "0/5000028");
	chainrun_refused(chainrun_restore(), HF_E_CORRUPT, "begins elsewhere");
	chainrun_nothing_is_left();
	for (size_t k = 0; k < 3; k++)
		memout_set_fact(
		    kit.links[k], BASE_FACT_SYSTEM, "7234567890123456780");
	chainrun_refused(chainrun_restore(), HF_E_CORRUPT,
	    "pg_control is of another server");
	chainrun_nothing_is_left();
	chainkit_free(&kit);
}

enum damage {
	NO_BASE,
	BASE_IS_AN_INCREMENT,
	DROPPED_BETWEEN,
	WHOLE_AND_INCREMENT,
	WHOLE_IN_THE_TAR,
	INCREMENT_IN_THE_TAR,
	UNLISTED_INCREMENT,
	LOST,
	LOST_LONG_AGO,
	OTHER_BYTES,
	OTHER_BYTES_LONG_AGO,
	TWICE,
	WHOLE_TWICE,
	NO_MANIFEST,
	NO_TAR,
	BAD_MAGIC,
	MANY_BLOCKS,
	FAR_BLOCK,
	CUT,
	NO_LABEL,
	LABEL_OF_A_FULL_ONE,
	LABEL_OF_ANOTHER,
	LABEL_OF_ANOTHER_TIMELINE,
	FULL_ONE_IS_NONE,
	LEADS_OUT
};

static void
raw(const char *path, const unsigned char *bytes, size_t len)
{
	chainkit_file(&kit, path, bytes, len);
}

static void
last_link(enum damage how)
{
	static const char one[] = "base/5/INCREMENTAL.1";
	unsigned char bytes[CHAINKIT_ENCODED], block[BLOCK] = { 'x' };
	size_t len = chainkit_encode(bytes, 2, 1, NUMBERS(1), block);
	const uint32_t number = 8, many = 9;

	if (how != WHOLE_IN_THE_TAR && how != LOST && how != OTHER_BYTES &&
	    how != INCREMENT_IN_THE_TAR && how != UNLISTED_INCREMENT &&
	    how < BAD_MAGIC)
		raw(one, bytes, len);
	if (how == NO_BASE)
		chainrun_increment("base/5/7", 2, 1, NUMBERS(1), "x");
	else if (how == DROPPED_BETWEEN)
		chainrun_increment("base/5/2", 1, 0, NULL, "");
	else if (how == WHOLE_AND_INCREMENT || how == WHOLE_IN_THE_TAR)
		chainkit_stored(&kit, "base/5/1", "x", 1);
	if (how == WHOLE_AND_INCREMENT)
		chainkit_listed(&kit, "base/5/1", "x", 1);
	if (how == WHOLE_IN_THE_TAR || how == LOST || how == OTHER_BYTES)
		chainkit_listed(&kit, one, bytes, len);
	if (how == INCREMENT_IN_THE_TAR)
		chainkit_listed(&kit, "base/5/1", "x", 1);
	if (how == INCREMENT_IN_THE_TAR || how == UNLISTED_INCREMENT ||
	    how == TWICE)
		chainkit_stored(&kit, one, bytes, len);
	if (how == WHOLE_TWICE)
		chainkit_stored(&kit, "PG_VERSION", "17\n", 3);
	if (how == LEADS_OUT)
		chainkit_stored(&kit, "base/../../INCREMENTAL.x", "x", 1);
	if (how == BAD_MAGIC)
		bytes[0] = 0;
	else if (how == MANY_BLOCKS)
		memcpy(bytes + 4, &many, 4);
	else if (how == FAR_BLOCK)
		memcpy(bytes + 12, &number, 4);
	else if (how == CUT)
		len -= 1;
	if (how == OTHER_BYTES) {
		bytes[len - 1] ^= 1;
		chainkit_stored(&kit, one, bytes, len);
	}
	if (how >= BAD_MAGIC)
		raw(one, bytes, len);
}

#define FULL_LABEL(n)                                                \
	"START WAL LOCATION: 0/" n "000028 (file 000000010000000000" \
	"000002)\nSTART TIMELINE: 1\n"
#define FROM(lsn, timeline)               \
	"INCREMENTAL FROM LSN: " lsn "\n" \
	"INCREMENTAL FROM TLI: " timeline "\n"

static const char *
label_of(enum damage how, size_t link)
{
	if (how == FULL_ONE_IS_NONE && link == 0)
		return FULL_LABEL("2") FROM("0/1000028", "1");
	if (link < 2)
		return NULL;
	switch (how) {
	case NO_LABEL:
		return "";
	case LABEL_OF_A_FULL_ONE:
		return FULL_LABEL("6");
	case LABEL_OF_ANOTHER:
		return FULL_LABEL("6") FROM("0/2000028", "1");
	case LABEL_OF_ANOTHER_TIMELINE:
		return FULL_LABEL("6") FROM("0/4000028", "2");
	default:
		return NULL;
	}
}

static void
damaged_chain(enum damage how)
{
	kit.label = label_of(how, 0);
	chainkit_link(&kit);
	if (how == BASE_IS_AN_INCREMENT)
		chainrun_increment("base/5/1", 2, 0, NULL, "");
	else
		chainrun_whole("base/5/1", 2, "ab");
	chainrun_whole("base/5/2", 1, "c");
	chainrun_whole("base/5/3", 1, "d"); /* later whole again */
	if (how == LOST_LONG_AGO)
		chainkit_listed(&kit, "base/5/9", "x", 1);
	if (how == OTHER_BYTES_LONG_AGO) {
		chainkit_stored(&kit, "base/5/9", "y", 1);
		chainkit_listed(&kit, "base/5/9", "x", 1);
	}
	chainkit_done(&kit);
	kit.label = label_of(how, 1);
	chainkit_link(&kit);
	chainrun_increment("base/5/1", 2, 1, NUMBERS(0), "y");
	chainkit_done(&kit);
	kit.label = label_of(how, 2);
	chainkit_link(&kit);
	chainrun_whole("base/5/3", 1, "e");
	last_link(how);
	chainkit_done(&kit);
}

static void
a_chain_that_is_damaged_is_refused_and_leaves_nothing(void **state)
{
	static const struct {
		enum damage how;
		const char *says, *where;
	} cases[] = {
		{ NO_BASE, "increment of base/5/7 builds on", "increment 1" },
		{ BASE_IS_AN_INCREMENT, "base/5/1 builds on", "full backup" },
		{ DROPPED_BETWEEN, "of base/5/2 builds on", "increment 1" },
		{ WHOLE_AND_INCREMENT, "whole and as an increment", NULL },
		{ WHOLE_IN_THE_TAR, "base/5/1 is a whole file", "of 2" },
		{ INCREMENT_IN_THE_TAR, "INCREMENTAL.1 is an increment",
		    "increment 2 of 2" },
		{ UNLISTED_INCREMENT, "not in the backup_manifest", "2 of 2" },
		{ LOST, "not in the backup: base/5/INCREMENTAL.1", "2 of 2" },
		{ LOST_LONG_AGO, "not in the backup: base/5/9", "full" },
		{ OTHER_BYTES, "INCREMENTAL.1: its checksum", "2 of 2" },
		{ OTHER_BYTES_LONG_AGO, "base/5/9: its checksum", "full" },
		{ TWICE, "twice", "increment 2 of 2" },
		{ WHOLE_TWICE, "twice", "increment 2 of 2" },
		{ BAD_MAGIC, "base/5/INCREMENTAL.1: it does not begin",
		    "increment 2 of 2" },
		{ MANY_BLOCKS, "INCREMENTAL.1: it says that it has 9",
		    "increment 2 of 2" },
		{ FAR_BLOCK, "INCREMENTAL.1: it has block 8", "2 of 2" },
		{ CUT, "INCREMENTAL.1: it is cut", "increment 2 of 2" },
		{ NO_LABEL, "has no backup_label", "increment 2 of 2" },
		{ LABEL_OF_A_FULL_ONE, "is no increment, by its backup_label",
		    "increment 2 of 2" },
		{ LABEL_OF_ANOTHER, "builds on another backup", "2 of 2" },
		{ LABEL_OF_ANOTHER_TIMELINE, "builds on another backup",
		    "2 of 2" },
		{ FULL_ONE_IS_NONE, "full backup is an increment, by its",
		    "restoring the full backup" },
		{ LEADS_OUT, "leads out", "increment 2 of 2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char frames[1024] = "";

		damaged_chain(cases[i].how);
		chainrun_refused(
		    chainrun_restore(), HF_E_CORRUPT, cases[i].says);
		for (int f = 0; f < err.nframes; f++)
			(void)snprintf(frames + strlen(frames),
			    sizeof frames - strlen(frames), "%s\n",
			    err.frames[f]);
		if (cases[i].where != NULL)
			chainrun_assert_has(frames, cases[i].where);
		chainrun_nothing_is_left();
		chainkit_free(&kit);
	}
}

static void
a_link_without_its_tar_or_manifest_is_refused(void **state)
{
	static const char *const names[] = { BASE_MANIFEST, BASE_TAR };

	(void)state;
	three_links();
	for (size_t k = 0; k < 3; k++) {
		struct memout *m = kit.links[k];

		for (size_t i = 0; i < 2; i++) {
			memout_lose(m, names[i], HF_E_NOTFOUND);
			assert_true(chainrun_restore() < 0);
			chainrun_nothing_is_left();
		}
		memout_lose(m, NULL, 0);
		/* Or a read fails, in the middle of it. */
		for (unsigned n = 1; n <= 4; n++) {
			memout_fail(m, MEMOUT_READ, n, HF_E_IO);
			assert_int_equal(chainrun_restore(), HF_E_IO);
			memout_fail(m, MEMOUT_READ, 0, 0);
			chainrun_nothing_is_left();
		}
	}
	chainrun_must(chainrun_restore());
	chainrun_file_is("base/5/1", BLOCKS("ax"));
	chainrun_clear();
	chainrun_nothing_is_left();
	chainkit_free(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    a_chain_becomes_one_data_directory, chainrun_anew),
		cmocka_unit_test_setup(
		    links_that_do_not_fit_are_refused_before_anything_is_written,
		    chainrun_anew),
		cmocka_unit_test_setup(
		    a_chain_that_is_damaged_is_refused_and_leaves_nothing,
		    chainrun_anew),
		cmocka_unit_test_setup(
		    a_link_without_its_tar_or_manifest_is_refused,
		    chainrun_anew),
	};
	int failed;

	if (!chainrun_begin())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	chainrun_end();
	return failed;
}
