/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "control.h"
#include "crc32c.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/pgkit.h"

#include <stdio.h>
#include <string.h>

static struct pgkit kit;
static struct hf_error err;

static void
put(unsigned char *p, size_t at, uint64_t value, size_t len)
{
	memcpy(p + at, &value, len);
}

/* As a server writes it; crc: where it has its CRC. */
static void
make(unsigned char p[8192], uint32_t version, size_t crc)
{
	memset(p, 0, 8192);
	put(p, 0, UINT64_C(7312345678901234567), 8);
	put(p, 8, version, 4);
	put(p, 12, 202209061, 4);
	put(p, 16, 1, 4);
	put(p, 32, 0x2000060, 8);
	put(p, 40, 0x2000028, 8);
	put(p, 48, 3, 4);
	put(p, 204, 8, 4);
	put(p, 228, 16 << 20, 4);
	put(p, 252, 1, 4);
	put(p, crc, crc32c(0, p, crc), 4);
}

static void
the_crc_is_the_one_of_the_standard(void **state)
{
	uint32_t part;

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	part = crc32c(0, "12345678", 8);
	assert_int_equal(crc32c(part, "9", 1), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void
each_version_is_read(void **state)
{
	static const struct {
		uint32_t version;
		size_t crc;
	} known[] = { { 1300, 288 }, { 1700, 288 }, { 1800, 292 } };
	unsigned char p[8192];
	struct control c;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		make(p, known[i].version, known[i].crc);
		assert_int_equal(
		    control_parse(p, sizeof p, "it", &c, &err), HF_OK);
		assert_true(
		    c.system_identifier == UINT64_C(7312345678901234567));
		assert_int_equal(c.version, known[i].version);
		assert_int_equal(c.catalog, 202209061);
		assert_true(c.shut_down && c.data_checksums);
		assert_int_equal(c.checkpoint, 0x2000060);
		assert_int_equal(c.redo, 0x2000028);
		assert_int_equal(c.timeline, 3);
		assert_int_equal(c.wal_segment_size, 16 << 20);
	}
}

static void
a_changed_byte_is_found(void **state)
{
	unsigned char p[8192];
	struct control c;

	(void)state;
	for (size_t at = 12; at < 292; at += 7) {
		make(p, 1300, 288);
		p[at] ^= 0x10;
		assert_int_equal(
		    control_parse(p, sizeof p, "it", &c, &err), HF_E_CORRUPT);
	}
	make(p, 1300, 288);
	assert_int_equal(control_parse(p, 200, "it", &c, &err), HF_E_CORRUPT);
}

static void
an_unknown_version_is_refused(void **state)
{
	unsigned char p[8192];
	struct control c;

	(void)state;
	make(p, 4711, 288);
	assert_int_equal(
	    control_parse(p, sizeof p, "it", &c, &err), HF_E_UNSUPPORTED);
	assert_non_null(strstr(err.cause, "4711"));
}

static void
that_of_a_server_is_read(void **state)
{
	struct control c;
	char path[96];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/data", kit.dir);
	assert_int_equal(control_read(path, &c, &err), HF_OK);
	assert_true(c.system_identifier ==
		    (uint64_t)pgkit_int(&kit, "postgres",
			"SELECT system_identifier FROM pg_control_system()"));
	assert_int_equal(c.timeline, 1);
	assert_int_equal(c.wal_segment_size, 16 << 20);
	assert_true(c.data_checksums);
	assert_false(c.shut_down);
	pgkit_halt(&kit, 2);
	assert_int_equal(control_read(path, &c, &err), HF_OK);
	assert_true(c.shut_down);
	pgkit_stop(&kit);
	assert_int_equal(control_read(path, &c, &err), HF_E_NOTFOUND);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_crc_is_the_one_of_the_standard),
		cmocka_unit_test(each_version_is_read),
		cmocka_unit_test(a_changed_byte_is_found),
		cmocka_unit_test(an_unknown_version_is_refused),
		cmocka_unit_test(that_of_a_server_is_read),
	};

	int rc;

	H = &host_table;
	if ((rc = pgkit_start_physical(&kit)) != 0)
		return rc;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	pgkit_stop(&kit);
	return rc;
}
