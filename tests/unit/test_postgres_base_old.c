/* SPDX-License-Identifier: BSD-2-Clause */
/* Base backups of servers 13 and 14, whose way of sending is another one than
 * that of 15 and later: a walsender that follows a script. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/tar.h"
#include "crc32c.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/memout.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM UINT64_C(7312345678901234567)
#define START "0/2000028"
#define STOP "0/2000138"
#define MANIFEST "{ \"PostgreSQL-Backup-Manifest-Version\": 1 }\n"
#define MESSAGES_MAX 64

static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;

/* ---- messages of the server ---- */

struct script {
	uint8_t b[1 << 16];
	size_t n;
	size_t message[MESSAGES_MAX]; /* where they begin */
	size_t messages, open;
};

static void
bytes(struct script *s, const void *p, size_t n)
{
	assert_true(n <= sizeof s->b - s->n);
	memcpy(s->b + s->n, p, n);
	s->n += n;
}

static void
num(struct script *s, uint32_t v, size_t size)
{
	uint32_t big = htonl(v);

	bytes(s, (uint8_t *)&big + 4 - size, size);
}

static void
begin(struct script *s, char type)
{
	assert_true(s->messages < MESSAGES_MAX);
	s->message[s->messages++] = s->n;
	bytes(s, &type, 1);
	s->open = s->n;
	num(s, 0, 4);
}

static void
finish(struct script *s)
{
	uint32_t len = htonl((uint32_t)(s->n - s->open));

	memcpy(s->b + s->open, &len, 4);
}

static void
simple(struct script *s, char type, const char *text)
{
	begin(s, type);
	if (text != NULL)
		bytes(s, text, strlen(text) + 1);
	finish(s);
}

static void
parameter(struct script *s, const char *name, const char *value)
{
	begin(s, 'S');
	bytes(s, name, strlen(name) + 1);
	bytes(s, value, strlen(value) + 1);
	finish(s);
}

static void
ready(struct script *s)
{
	begin(s, 'Z');
	bytes(s, "I", 1);
	finish(s);
}

static void
failure(struct script *s, const char *state, const char *text)
{
	begin(s, 'E');
	bytes(s, "SERROR", 7);
	bytes(s, "VERROR", 7);
	bytes(s, "C", 1);
	bytes(s, state, 6);
	bytes(s, "M", 1);
	bytes(s, text, strlen(text) + 1);
	bytes(s, "", 1);
	finish(s);
}

/* Rows of that many columns, ended by NULL; "" is no value. */
static void
rows(struct script *s, unsigned columns, const char *const *values)
{
	begin(s, 'T');
	num(s, columns, 2);
	for (unsigned i = 0; i < columns; i++) {
		bytes(s, "name", 5);
		num(s, 0, 4);
		num(s, 0, 2);
		num(s, 25, 4);
		num(s, UINT16_MAX, 2);
		num(s, UINT32_MAX, 4);
		num(s, 0, 2);
	}
	finish(s);
	for (; *values != NULL; values += columns) {
		begin(s, 'D');
		num(s, columns, 2);
		for (unsigned i = 0; i < columns; i++) {
			size_t n = strlen(values[i]);

			num(s, n == 0 ? UINT32_MAX : (uint32_t)n, 4);
			bytes(s, values[i], n);
		}
		finish(s);
	}
	simple(s, 'C', "SELECT");
}

#define ROWS(s, columns, ...) \
	rows(s, columns, (const char *const[]){ __VA_ARGS__, NULL })

/* In parts, as a server sends it. */
static void
copy(struct script *s, const uint8_t *p, size_t n)
{
	begin(s, 'H');
	num(s, 0, 1);
	num(s, 0, 2);
	finish(s);
	for (size_t k; n > 0; p += k, n -= k) {
		k = n < 5000 ? n : 5000;
		begin(s, 'd');
		bytes(s, p, k);
		finish(s);
	}
	simple(s, 'c', NULL);
}

/* ---- what it sends ---- */

/* Without the empty blocks at the end: those versions leave them to us. */
struct tarball {
	uint8_t b[16 * 1024];
	size_t n;
};

static void
member(struct tarball *t, const char *name, const void *p, size_t n)
{
	uint8_t *h = t->b + t->n;
	unsigned sum = 0;

	assert_true(t->n + 1024 + n <= sizeof t->b);
	(void)snprintf((char *)h, 100, "%s", name);
	(void)snprintf((char *)h + 100, 8, "%07o", 0600U);
	(void)snprintf((char *)h + 108, 8, "%07o", 0U);
	(void)snprintf((char *)h + 116, 8, "%07o", 0U);
	(void)snprintf((char *)h + 124, 12, "%011o", (unsigned)n);
	(void)snprintf((char *)h + 136, 12, "%011o", 0U);
	h[156] = '0';
	memcpy(h + 257, "ustar", 6);
	memcpy(h + 263, "00", 2);
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += h[i];
	(void)snprintf((char *)h + 148, 8, "%06o", sum);
	memcpy(h + TAR_BLOCK, p, n);
	t->n += TAR_BLOCK + (n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

static void
put(uint8_t *p, uint64_t value, size_t len)
{
	memcpy(p, &value, len);
}

static void
add_control(struct tarball *t)
{
	uint8_t p[TAR_CONTROL] = { 0 };

	put(p, SYSTEM, 8);
	put(p + 8, 1300, 4);
	put(p + 12, 202007201, 4);
	put(p + 16, 6, 4);
	put(p + 32, 0x2000060, 8);
	put(p + 40, 0x2000028, 8);
	put(p + 48, 1, 4);
	put(p + 204, 8, 4);
	put(p + 228, 16 << 20, 4);
	put(p + 288, crc32c(0, p, 288), 4);
	member(t, "global/pg_control", p, sizeof p);
}

static struct tarball base, space;
static struct script greeting, identify, size, backup_answer;

static void
make_scripts(void)
{
	member(&base, "backup_label", "START WAL LOCATION\n", 19);
	member(&base, "PG_VERSION", "13\n", 3);
	add_control(&base);
	member(&space, "PG_13_202007201/1/1", "rows", 4);

	begin(&greeting, 'R');
	num(&greeting, 0, 4);
	finish(&greeting);
	parameter(&greeting, "server_version", "13.22");
	parameter(&greeting, "server_encoding", "UTF8");
	parameter(&greeting, "client_encoding", "UTF8");
	parameter(&greeting, "standard_conforming_strings", "on");
	begin(&greeting, 'K');
	num(&greeting, 4711, 4);
	num(&greeting, 1, 4);
	finish(&greeting);
	ready(&greeting);

	ROWS(&identify, 4, "7312345678901234567", "1", START, "");
	ready(&identify);
	ROWS(&size, 1, "16MB");
	ready(&size);

	ROWS(&backup_answer, 2, START, "1");
	ROWS(&backup_answer, 3, "16385", "/srv/space", "1", "", "", "9");
	copy(&backup_answer, space.b, space.n);
	copy(&backup_answer, base.b, base.n);
	copy(&backup_answer, (const uint8_t *)MANIFEST, strlen(MANIFEST));
	ROWS(&backup_answer, 2, STOP, "1");
	simple(&backup_answer, 'C', "SELECT");
	ready(&backup_answer);
}

/* ---- the walsender ---- */

struct sender {
	int listener, port;
	pthread_t thread;
	const struct script *answer; /* to BASE_BACKUP */
	size_t cut;                  /* it goes away after so many bytes */
	char command[512];           /* that it was asked */
	bool odd;                    /* something that it does not know */
};

static bool
receive(int fd, void *p, size_t n)
{
	return recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static bool
answer(int fd, const struct script *s, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = send(fd, s->b + at, n - at, MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		at += (size_t)k;
	}
	return true;
}

/* A startup packet; is it one for replication? */
static bool
greet(int fd, bool *replication)
{
	char text[2048];
	uint32_t head[2];
	size_t n;

	for (;;) {
		if (!receive(fd, head, sizeof head))
			return false;
		if (ntohl(head[1]) == 196608)
			break;
		/* SSL, GSS: no. */
		if (send(fd, "N", 1, MSG_NOSIGNAL) != 1)
			return false;
	}
	n = ntohl(head[0]);
	if (n < 8 || n - 8 > sizeof text || !receive(fd, text, n - 8))
		return false;
	*replication = memmem(text, n - 8, "replication\0true", 17) != NULL;
	return true;
}

/* True: all was said.  The connection stays open, as others come beside it. */
static bool
serve(struct sender *s, int fd)
{
	char text[512];
	uint8_t type;
	uint32_t len;
	bool go = answer(fd, &greeting, greeting.n);

	while (go && receive(fd, &type, 1) && receive(fd, &len, 4)) {
		len = ntohl(len) - 4;
		if (type != 'Q' || len > sizeof text ||
		    !receive(fd, text, len)) {
			s->odd = true;
			return false;
		}
		if (strcmp(text, "IDENTIFY_SYSTEM") == 0) {
			go = answer(fd, &identify, identify.n);
		} else if (strcmp(text, "SHOW wal_segment_size") == 0) {
			go = answer(fd, &size, size.n);
		} else if (strncmp(text, "BASE_BACKUP ", 12) == 0) {
			(void)snprintf(
			    s->command, sizeof s->command, "%s", text);
			return answer(fd, s->answer, s->cut) &&
			       s->cut == s->answer->n;
		} else {
			s->odd = true;
			return false;
		}
	}
	return false;
}

/* Who does not replicate is sent away. */
static void *
sender_main(void *arg)
{
	struct sender *s = arg;
	bool replication;
	int fd, kept = -1;

	while ((fd = accept(s->listener, NULL, NULL)) != -1) {
		if (greet(fd, &replication) && replication && serve(s, fd))
			kept = fd;
		else
			(void)close(fd);
	}
	if (kept != -1)
		(void)close(kept);
	return NULL;
}

static void
sender_begin(struct sender *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->listener != -1);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(
	    getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(listen(s->listener, 8), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, sender_main, s), 0);
}

static void
sender_end(struct sender *s)
{
	(void)shutdown(s->listener, SHUT_RDWR);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	(void)close(s->listener);
	assert_false(s->odd);
}

/* Its first cut bytes. */
static int
backup(
    const struct script *answer_, size_t cut, struct memout *m, char *command)
{
	struct sender s = { .answer = answer_, .cut = cut };
	struct hf_engine e = { .ctx = &ctx };
	struct hf_request r = {
		.struct_size = sizeof r, .kind = HF_KIND_FULL, .max_streams = 4
	};
	char info[128];
	int rc;

	sender_begin(&s);
	(void)snprintf(info, sizeof info,
	    "hostaddr=127.0.0.1 host=old port=%d user=postgres "
	    "sslmode=disable gssencmode=disable",
	    s.port);
	e.conf = (struct conf){ .conninfo = info,
		.mode = "physical",
		.checkpoint = "fast",
		.verify_checksums = true };
	error_clear(&err);
	rc = base_backup(&e, &r, memout_out(m), &err);
	sender_end(&s);
	if (command != NULL)
		(void)snprintf(command, sizeof s.command, "%s", s.command);
	assert_int_equal(memout_open(m), 0);
	return rc;
}

/* ---- */

static void
assert_object(
    struct memout *m, const char *name, const void *p, size_t n, size_t zeros)
{
	static const uint8_t zero[2 * TAR_BLOCK];
	size_t len;

	for (size_t i = 0; i < memout_count(m); i++) {
		const uint8_t *got = memout_bytes(m, i, &len);

		if (strcmp(memout_name(m, i), name) != 0)
			continue;
		assert_int_equal(len, n + zeros);
		assert_memory_equal(got, p, n);
		if (zeros > 0)
			assert_memory_equal(got + n, zero, zeros);
		return;
	}
	fail_msg("no %s", name);
}

static void
a_backup_of_the_old_protocol_is_whole(void **state)
{
	struct memout *m = memout_new();
	long long before = (long long)time(NULL);
	char command[512];

	(void)state;
	if (backup(&backup_answer, backup_answer.n, m, command) != HF_OK)
		fail_msg("backup: %s", err.cause);
	assert_string_equal(command,
	    "BASE_BACKUP LABEL 'holdfast' PROGRESS FAST WAL NOWAIT "
	    "TABLESPACE_MAP MANIFEST 'yes'");
	assert_int_equal(memout_count(m), 3);
	assert_object(m, "base.tar", base.b, base.n, 1024);
	assert_object(m, "16385.tar", space.b, space.n, 1024);
	assert_object(m, "backup_manifest", MANIFEST, strlen(MANIFEST), 0);
	assert_string_equal(memout_fact(m, BASE_FACT_START), START);
	assert_string_equal(memout_fact(m, BASE_FACT_STOP), STOP);
	assert_string_equal(memout_fact(m, BASE_FACT_VERSION), "130022");
	assert_string_equal(memout_fact(m, "tablespace.16385"), "/srv/space");
	/* Nobody could be asked for the time: it is not before the end. */
	assert_true(
	    strtoll(memout_fact(m, BASE_FACT_STOPPED), NULL, 10) > before);
	memout_free(m);
}

static void
assert_none(const struct script *s, size_t cut)
{
	struct memout *m = memout_new();
	int rc = backup(s, cut, m, NULL);

	if (rc == HF_OK)
		fail_msg("after %zu of %zu bytes it was a backup", cut, s->n);
	assert_int_equal(rc, HF_E_IO);
	assert_null(memout_fact(m, BASE_FACT_STOP));
	memout_free(m);
}

static void
a_server_that_goes_away_is_never_a_backup(void **state)
{
	const struct script *s = &backup_answer;

	(void)state;
	for (size_t i = 0; i < s->messages; i++) {
		size_t end = i + 1 < s->messages ? s->message[i + 1] : s->n;

		assert_none(s, s->message[i]);
		assert_none(s, s->message[i] + (end - s->message[i]) / 2);
		assert_none(s, end - 1);
	}
}

static void
a_server_that_fails_is_never_a_backup(void **state)
{
	struct script *s = calloc(1, sizeof *s);
	struct memout *m;

	(void)state;
	assert_non_null(s);
	/* Before each message, but ReadyForQuery. */
	for (size_t i = 0; i + 1 < backup_answer.messages; i++) {
		memset(s, 0, sizeof *s);
		bytes(s, backup_answer.b, backup_answer.message[i]);
		failure(s, "58030", "could not read file \"base/1/1\"");
		ready(s);
		m = memout_new();
		if (backup(s, s->n, m, NULL) == HF_OK)
			fail_msg("it failed before message %zu", i);
		if (strstr(err.cause, "could not read file") == NULL)
			fail_msg("message %zu: %s", i, err.cause);
		assert_null(memout_fact(m, BASE_FACT_STOP));
		memout_free(m);
	}
	free(s);
}

/* Its COPY ends as if all were there. */
static void
a_stream_that_is_short_is_never_a_backup(void **state)
{
	static const size_t lost[] = { 1, TAR_BLOCK, TAR_CONTROL,
		TAR_CONTROL + TAR_BLOCK };
	struct script *s = calloc(1, sizeof *s);

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < 6; i++) {
		struct memout *m = memout_new();

		memset(s, 0, sizeof *s);
		ROWS(s, 2, START, "1");
		ROWS(s, 3, "16385", "/srv/space", "1", "", "", "9");
		copy(s, space.b, space.n - (i == 4 ? 100 : 0));
		copy(s, base.b, base.n - (i < 4 ? lost[i] : 0));
		copy(s, (const uint8_t *)MANIFEST,
		    strlen(MANIFEST) - (i == 5 ? 3 : 0));
		ROWS(s, 2, STOP, "1");
		simple(s, 'C', "SELECT");
		ready(s);
		assert_int_not_equal(backup(s, s->n, m, NULL), HF_OK);
		assert_null(memout_fact(m, BASE_FACT_STOP));
		memout_free(m);
	}
	free(s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_of_the_old_protocol_is_whole),
		cmocka_unit_test(a_server_that_goes_away_is_never_a_backup),
		cmocka_unit_test(a_server_that_fails_is_never_a_backup),
		cmocka_unit_test(a_stream_that_is_short_is_never_a_backup),
	};

	H = &host_table;
	make_scripts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
