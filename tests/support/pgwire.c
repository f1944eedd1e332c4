/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/pgwire.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/tarkit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATA_MAX 5000 /* of a message, so that there are several */
#define CONTROL 8192

void
pgwire_bytes(struct pgwire *s, const void *p, size_t n)
{
	assert_true(n <= sizeof s->b - s->n);
	memcpy(s->b + s->n, p, n);
	s->n += n;
}

void
pgwire_num(struct pgwire *s, uint32_t v, size_t size)
{
	uint32_t big = htonl(v);

	pgwire_bytes(s, (uint8_t *)&big + 4 - size, size);
}

void
pgwire_begin(struct pgwire *s, char type)
{
	assert_true(s->messages < PGWIRE_MESSAGES);
	s->message[s->messages++] = s->n;
	pgwire_bytes(s, &type, 1);
	s->open = s->n;
	pgwire_num(s, 0, 4);
}

void
pgwire_finish(struct pgwire *s)
{
	uint32_t len = htonl((uint32_t)(s->n - s->open));

	memcpy(s->b + s->open, &len, 4);
}

static void
string(struct pgwire *s, const char *text)
{
	pgwire_bytes(s, text, strlen(text) + 1);
}

void
pgwire_simple(struct pgwire *s, char type, const char *text)
{
	pgwire_begin(s, type);
	if (text != NULL)
		string(s, text);
	pgwire_finish(s);
}

static void
parameter(struct pgwire *s, const char *name, const char *value)
{
	pgwire_begin(s, 'S');
	string(s, name);
	string(s, value);
	pgwire_finish(s);
}

void
pgwire_ready(struct pgwire *s)
{
	pgwire_begin(s, 'Z');
	pgwire_bytes(s, "I", 1);
	pgwire_finish(s);
}

void
pgwire_greeting(struct pgwire *s, const char *version)
{
	pgwire_begin(s, 'R');
	pgwire_num(s, 0, 4);
	pgwire_finish(s);
	parameter(s, "server_version", version);
	parameter(s, "server_encoding", "UTF8");
	parameter(s, "client_encoding", "UTF8");
	parameter(s, "standard_conforming_strings", "on");
	pgwire_begin(s, 'K');
	pgwire_num(s, 4711, 4);
	pgwire_num(s, 1, 4);
	pgwire_finish(s);
	pgwire_ready(s);
}

static void
field(struct pgwire *s, const char *kind, const char *text)
{
	pgwire_bytes(s, kind, 1);
	string(s, text);
}

void
pgwire_failure(
    struct pgwire *s, const char *severity, const char *state, const char *text)
{
	pgwire_begin(s, 'E');
	field(s, "S", severity);
	field(s, "V", severity);
	field(s, "C", state);
	field(s, "M", text);
	pgwire_bytes(s, "", 1);
	pgwire_finish(s);
}

void
pgwire_rows(struct pgwire *s, unsigned columns, const char *const *values)
{
	pgwire_begin(s, 'T');
	pgwire_num(s, columns, 2);
	for (unsigned i = 0; i < columns; i++) {
		string(s, "name");
		pgwire_num(s, 0, 4);
		pgwire_num(s, 0, 2);
		pgwire_num(s, 25, 4);
		pgwire_num(s, UINT16_MAX, 2);
		pgwire_num(s, UINT32_MAX, 4);
		pgwire_num(s, 0, 2);
	}
	pgwire_finish(s);
	for (; *values != NULL; values += columns) {
		pgwire_begin(s, 'D');
		pgwire_num(s, columns, 2);
		for (unsigned i = 0; i < columns; i++) {
			size_t n = strlen(values[i]);

			pgwire_num(s, n == 0 ? UINT32_MAX : (uint32_t)n, 4);
			pgwire_bytes(s, values[i], n);
		}
		pgwire_finish(s);
	}
	pgwire_simple(s, 'C', "SELECT");
}

void
pgwire_copy_begin(struct pgwire *s, char type)
{
	pgwire_begin(s, type);
	pgwire_num(s, 0, 1);
	pgwire_num(s, 0, 2);
	pgwire_finish(s);
}

void
pgwire_data(struct pgwire *s, char kind, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t k; n > 0; p += k, n -= k) {
		k = n < DATA_MAX ? n : DATA_MAX;
		pgwire_begin(s, 'd');
		if (kind != '\0')
			pgwire_bytes(s, &kind, 1);
		pgwire_bytes(s, p, k);
		pgwire_finish(s);
	}
}

/* ---- pg_control ---- */

static uint32_t
crc32c(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (; n > 0; p++, n--) {
		crc ^= *p;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

/* In the order of this machine, as a server does it. */
static void
put(uint8_t *p, uint64_t value, size_t len)
{
	memcpy(p, &value, len);
}

void
pgwire_control(struct tarkit *t, uint64_t system, uint32_t version,
    uint32_t catalog, uint64_t checkpoint)
{
	uint8_t p[CONTROL] = { 0 };

	put(p, system, 8);
	put(p + 8, version, 4);
	put(p + 12, catalog, 4);
	put(p + 16, 6, 4);
	put(p + 32, checkpoint, 8);
	put(p + 40, checkpoint, 8);
	put(p + 48, 1, 4);
	put(p + 204, 8, 4);
	put(p + 228, 16 << 20, 4);
	put(p + 288, crc32c(p, 288), 4);
	tarkit_add(t, "global/pg_control", TARKIT_FILE, NULL, p, sizeof p);
}

/* ---- the server ---- */

/* Who comes beside the connection that is served: queries, and requests to
 * cancel, which wait until they are closed. */
static void
send_away(const struct pgwire_server *s)
{
	int fd = accept(s->listener, NULL, NULL);

	if (fd != -1)
		(void)close(fd);
}

static bool
receive(const struct pgwire_server *s, int fd, void *p, size_t n)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = s->listener, .events = POLLIN } };
	size_t at = 0;
	ssize_t k;

	while (at < n) {
		if (poll(fds, 2, -1) < 0)
			return false;
		if (fds[1].revents != 0) {
			send_away(s);
			if ((fds[1].revents & POLLHUP) != 0)
				fds[1].fd = -1;
		}
		if (fds[0].revents == 0)
			continue;
		k = recv(fd, (uint8_t *)p + at, n - at, 0);
		if (k <= 0)
			return false;
		at += (size_t)k;
	}
	return true;
}

/* False: it goes away, as it was told to or because nobody listens. */
static bool
say(int fd, const struct pgwire *s, size_t cut)
{
	size_t n = s->n < cut ? s->n : cut;

	for (size_t at = 0; at < n;) {
		ssize_t k = send(fd, s->b + at, n - at, MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		at += (size_t)k;
	}
	return cut > s->n;
}

/* A startup packet; is it one for replication? */
static bool
greet(const struct pgwire_server *s, int fd)
{
	char text[2048];
	uint32_t head[2];
	size_t n;

	for (;;) {
		if (!receive(s, fd, head, sizeof head))
			return false;
		if (ntohl(head[1]) == 196608)
			break;
		/* SSL, GSS: no. */
		if (send(fd, "N", 1, MSG_NOSIGNAL) != 1)
			return false;
	}
	n = ntohl(head[0]);
	if (n < 8 || n - 8 > sizeof text || !receive(s, fd, text, n - 8))
		return false;
	return memmem(text, n - 8, "replication\0true", 17) != NULL;
}

static const struct pgwire_answer *
find(const struct pgwire_server *s, const char *command)
{
	for (size_t i = 0; i < s->nanswers; i++)
		if (strncmp(command, s->answers[i].command,
			strlen(s->answers[i].command)) == 0)
			return &s->answers[i];
	return NULL;
}

static bool
answer(struct pgwire_server *s, int fd, const char *command)
{
	const struct pgwire_answer *a = find(s, command);

	if (a != NULL)
		return a->say == NULL || say(fd, a->say, a->cut);
	s->odd = true;
	return false;
}

static void
keep(struct pgwire_server *s, const void *p, size_t n)
{
	s->received = realloc(s->received, s->nreceived + n + 1);
	if (s->received == NULL)
		abort();
	memcpy(s->received + s->nreceived, p, n);
	s->nreceived += n;
}

/* One message of the client.  False: it has gone, or the server goes. */
static bool
hear(struct pgwire_server *s, int fd)
{
	uint8_t type;
	uint32_t len;
	char *text;
	bool go;

	if (!receive(s, fd, &type, 1) || !receive(s, fd, &len, 4))
		return false;
	len = ntohl(len) - 4;
	if (len > 1 << 24 || (text = calloc(1, len + 1)) == NULL)
		return false;
	go = receive(s, fd, text, len);
	if (!go || type == 'X') {
		go = false;
	} else if (type == 'd') {
		keep(s, text, len);
		if (s->nreceived == len && find(s, "CopyData") != NULL)
			go = answer(s, fd, "CopyData");
	} else if (type == 'c' || type == 'f') {
		go = answer(s, fd, type == 'c' ? "CopyDone" : "CopyFail");
	} else if (type == 'Q') {
		(void)snprintf(s->command, sizeof s->command, "%s", text);
		go = answer(s, fd, text);
	} else {
		s->odd = true;
		go = false;
	}
	free(text);
	return go;
}

static void *
run(void *arg)
{
	struct pgwire_server *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) != -1) {
		if (greet(s, fd) && say(fd, s->greeting, PGWIRE_WHOLE))
			while (hear(s, fd))
				;
		(void)close(fd);
	}
	return NULL;
}

void
pgwire_serve(struct pgwire_server *s)
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
	assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

void
pgwire_stop(struct pgwire_server *s)
{
	(void)shutdown(s->listener, SHUT_RDWR);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	(void)close(s->listener);
	if (s->odd)
		fail_msg("it was asked: %s", s->command);
}
