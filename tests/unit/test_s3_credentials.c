/* SPDX-License-Identifier: BSD-2-Clause */
/* Where credentials come from: options, environment, files, and a small HTTP
 * server that plays a container's endpoint and an instance's metadata. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "credentials.h"
#include "plugin/host.h"
#include "profile.h"

/* ---- the server ---- */

static struct {
	int fd;
	unsigned short port;
	pthread_t thread;
	pthread_mutex_t lock;
	char seen[8][1024]; /* heads of requests */
	int n;
	char end[32];  /* "Expiration" of what is handed out */
	int documents; /* handed out so far */
	bool no_token;
} server = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
answer(int fd, const char *head)
{
	char body[512] = "", text[1024];
	int status = 200;

	pthread_mutex_lock(&server.lock);
	if (server.n < 8)
		(void)snprintf(server.seen[server.n++], sizeof *server.seen,
		    "%.1023s", head);
	if (strncmp(head, "PUT /latest/api/token ", 22) == 0) {
		(void)snprintf(body, sizeof body, "the-token");
		status = server.no_token ? 403 : 200;
	} else if (strstr(head, " /latest/") != NULL &&
		   strstr(head, "X-aws-ec2-metadata-token: the-token") ==
		       NULL) {
		status = 401;
	} else if (strstr(head, "security-credentials/ ") != NULL) {
		(void)snprintf(body, sizeof body, "backup-role\n");
	} else if (strstr(head, "security-credentials/backup-role ") != NULL ||
		   strstr(head, " /container ") != NULL) {
		(void)snprintf(body, sizeof body,
		    "{\"Code\": \"Success\", \"AccessKeyId\": \"AK%d\", "
		    "\"SecretAccessKey\": \"SK\", \"Token\": \"TK\", "
		    "\"Expiration\": \"%s\"}",
		    ++server.documents, server.end);
	} else {
		status = 404;
	}
	pthread_mutex_unlock(&server.lock);
	(void)snprintf(text, sizeof text,
	    "HTTP/1.1 %d x\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n"
	    "%s",
	    status, strlen(body), body);
	(void)!write(fd, text, strlen(text));
}

static void *
serve(void *arg)
{
	(void)arg;
	for (;;) {
		char head[2048];
		size_t n = 0;
		ssize_t got;
		int fd = accept(server.fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		while (n < sizeof head - 1 &&
		       (got = read(fd, head + n, sizeof head - 1 - n)) > 0) {
			n += (size_t)got;
			head[n] = '\0';
			if (strstr(head, "\r\n\r\n") != NULL) {
				answer(fd, head);
				break;
			}
		}
		(void)close(fd);
	}
}

static int
start(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;

	(void)state;
	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server.fd < 0 ||
	    bind(server.fd, (struct sockaddr *)&a, sizeof a) != 0 ||
	    listen(server.fd, 8) != 0 ||
	    getsockname(server.fd, (struct sockaddr *)&a, &len) != 0)
		return -1;
	server.port = ntohs(a.sin_port);
	return pthread_create(&server.thread, NULL, serve, NULL);
}

static int
end(void **state)
{
	(void)state;
	(void)shutdown(server.fd, SHUT_RDWR);
	(void)pthread_join(server.thread, NULL);
	return close(server.fd);
}

/* ---- surroundings ---- */

static char folder[64];

static int
bare(void **state)
{
	static const char *const names[] = { "AWS_ACCESS_KEY_ID",
		"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE",
		"AWS_SHARED_CREDENTIALS_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)unsetenv(names[i]);
	(void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	(void)setenv("HOME", "/nonexistent", 1);
	(void)snprintf(folder, sizeof folder, "/tmp/holdfast-s3-XXXXXX");
	server.n = server.documents = 0;
	server.no_token = false;
	(void)snprintf(server.end, sizeof server.end, "2099-01-01T00:00:00Z");
	return mkdtemp(folder) == NULL;
}

static int
clear(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/credentials", folder);
	(void)unlink(path);
	(void)snprintf(path, sizeof path, "%s/config", folder);
	(void)unlink(path);
	return rmdir(folder);
}

static void
keep(const char *name, const char *variable, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	if (variable != NULL)
		(void)setenv(variable, path, 1);
}

static void
at_server(const char *variable, const char *path)
{
	char url[128];

	(void)snprintf(
	    url, sizeof url, "http://127.0.0.1:%u%s", server.port, path);
	(void)setenv(variable, url, 1);
}

static void
expect(const struct conf *conf, const char *access, const char *secret,
    const char *token, const char *source)
{
	struct credentials *c;
	struct identity who;
	char text[768];

	assert_int_equal(credentials_new(NULL, conf, &c, NULL), HF_OK);
	assert_int_equal(credentials_get(c, false, &who, NULL), HF_OK);
	assert_string_equal(who.access_key, access);
	assert_string_equal(who.secret_key, secret);
	assert_string_equal(who.session_token, token);
	credentials_source(c, text, sizeof text);
	assert_non_null(strstr(text, source));
	credentials_free(c);
}

static void
expect_none(const struct conf *conf)
{
	struct hf_error err = { 0 };
	struct credentials *c;
	struct identity who;

	assert_int_equal(credentials_new(NULL, conf, &c, NULL), HF_OK);
	assert_int_equal(credentials_get(c, false, &who, &err), HF_E_DENIED);
	assert_non_null(strstr(err.cause, "no S3 credentials"));
	error_clear(&err);
	credentials_free(c);
}

/* ---- tests ---- */

static const char file_text[] = "# a comment\n"
				"[default]\n"
				"aws_access_key_id = DA\n"
				"aws_secret_access_key=DS\n"
				"[ other ]\r\n"
				"aws_access_key_id=OA\r\n"
				"aws_secret_access_key = OS/+=\r\n"
				"aws_session_token = OT\r\n"
				"s3 =\n"
				"  region = not-this\n";

static void
options_come_before_the_environment_and_that_before_files(void **state)
{
	struct conf conf = { .access_key = "A", .secret_key = "S" };
	struct conf none = { .bucket = NULL };
	struct conf profile = { .profile = "other" };

	(void)state;
	keep("credentials", "AWS_SHARED_CREDENTIALS_FILE", file_text);
	expect(&none, "DA", "DS", "", "profile default of ");
	(void)setenv("AWS_ACCESS_KEY_ID", "EA", 1);
	expect(&none, "DA", "DS", "", "profile default of ");
	(void)setenv("AWS_SECRET_ACCESS_KEY", "ES", 1);
	(void)setenv("AWS_SESSION_TOKEN", "ET", 1);
	expect(&none, "EA", "ES", "ET", "environment");
	expect(&profile, "OA", "OS/+=", "OT", "profile other of ");
	expect(&conf, "A", "S", "", "options");
}

static void
profiles_are_found_in_both_files(void **state)
{
	struct conf none = { .bucket = NULL };
	struct conf conf = { .profile = "ci" };
	char region[64];

	(void)state;
	keep("credentials", "AWS_SHARED_CREDENTIALS_FILE", file_text);
	keep("config", "AWS_CONFIG_FILE",
	    "[default]\nregion = eu-central-1\naws_session_token = STALE\n"
	    "[profile ci]\naws_access_key_id=CA\naws_secret_access_key=CS\n"
	    "region=eu-west-1\n");
	/* The token of one file does not belong to the keys of the other. */
	expect(&none, "DA", "DS", "", "profile default");
	expect(&conf, "CA", "CS", "", "profile ci of ");
	assert_true(credentials_region(&none, region, sizeof region));
	assert_string_equal(region, "eu-central-1");
	assert_true(credentials_region(&conf, region, sizeof region));
	assert_string_equal(region, "eu-west-1");
	(void)setenv("AWS_REGION", "us-west-2", 1);
	assert_true(credentials_region(&conf, region, sizeof region));
	assert_string_equal(region, "us-west-2");
}

static void
nobody_is_an_error_that_says_where_it_looked(void **state)
{
	struct conf none = { .bucket = NULL };
	struct conf profile = { .profile = "nobody" };

	(void)state;
	expect_none(&none);
	keep("credentials", "AWS_SHARED_CREDENTIALS_FILE", file_text);
	expect_none(&profile);
}

static void
a_line_break_in_a_key_makes_no_header(void **state)
{
	struct conf conf = { .access_key = "A\r\nx: y", .secret_key = "S" };

	(void)state;
	expect_none(&conf);
}

static void
a_container_hands_out_keys(void **state)
{
	struct conf none = { .bucket = NULL };

	(void)state;
	at_server("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/container");
	keep("credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	    "Bearer xyz\n");
	expect(&none, "AK1", "SK", "TK", "container");
	assert_non_null(
	    strstr(server.seen[0], "\r\nAuthorization: Bearer xyz\r\n"));
}

static void
an_instance_hands_out_keys_for_a_token(void **state)
{
	struct conf none = { .bucket = NULL };

	(void)state;
	at_server("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
	expect_none(&none); /* switched off */
	(void)unsetenv("AWS_EC2_METADATA_DISABLED");
	expect(&none, "AK1", "SK", "TK", "instance");
	assert_int_equal(server.n, 3);
	assert_non_null(
	    strstr(server.seen[0], "X-aws-ec2-metadata-token-ttl-seconds: "));
	server.no_token = true;
	expect_none(&none);
}

static void
keys_that_end_soon_are_renewed_and_kept_when_there_are_no_others(void **state)
{
	struct conf none = { .bucket = NULL };
	time_t soon = time(NULL) + 60;
	struct credentials *c;
	struct identity who;
	struct tm tm;

	(void)state;
	(void)gmtime_r(&soon, &tm);
	(void)strftime(
	    server.end, sizeof server.end, "%Y-%m-%dT%H:%M:%SZ", &tm);
	at_server("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/container");
	assert_int_equal(credentials_new(NULL, &none, &c, NULL), HF_OK);
	assert_int_equal(credentials_get(c, false, &who, NULL), HF_OK);
	assert_string_equal(who.access_key, "AK1");
	/* They end within five minutes: asked for again, but not each time. */
	assert_int_equal(credentials_get(c, false, &who, NULL), HF_OK);
	assert_string_equal(who.access_key, "AK2");
	assert_int_equal(credentials_get(c, false, &who, NULL), HF_OK);
	assert_string_equal(who.access_key, "AK2");
	/* The service said that they have expired. */
	assert_int_equal(credentials_get(c, true, &who, NULL), HF_OK);
	assert_string_equal(who.access_key, "AK3");
	at_server("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/gone");
	assert_int_equal(credentials_get(c, true, &who, NULL), HF_OK);
	assert_string_equal(who.access_key, "AK3");
	credentials_free(c);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bare, clear)
	const struct CMUnitTest tests[] = {
		TEST(options_come_before_the_environment_and_that_before_files),
		TEST(profiles_are_found_in_both_files),
		TEST(nobody_is_an_error_that_says_where_it_looked),
		TEST(a_line_break_in_a_key_makes_no_header),
		TEST(a_container_hands_out_keys),
		TEST(an_instance_hands_out_keys_for_a_token),
		TEST(
		    keys_that_end_soon_are_renewed_and_kept_when_there_are_no_others),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, start, end);
}
