/* SPDX-License-Identifier: BSD-2-Clause */
#include "server.h"

#include "home.h"
#include "postgres.h"
#include "program.h"
#include "text.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_TIMEOUT 60000 /* milliseconds */
#define POLL 50
#define STOP_TIMEOUT 5000
#define TAIL 2048

struct server {
	const struct hf_ctx *ctx;
	struct home home;
	struct child *child;
	char **env; /* one block */
	struct text conninfo;
};

extern char **environ;

void
server_keyword(struct text *out, const char *keyword, const char *value)
{
	text_addf(out, "%s%s='", out->len > 0 ? " " : "", keyword);
	for (; *value != '\0'; value++) {
		if (*value == '\'' || *value == '\\')
			text_add(out, "\\");
		text_add_n(out, value, 1);
	}
	text_add(out, "'");
}

/* Ours, without PG*: PGPORT, PGDATA and others would speak to the server
 * too. */
static char **
make_env(void)
{
	size_t n = 0, k = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	if ((env = calloc(n + 2, sizeof *env)) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "PG", 2) != 0 &&
		    strncmp(environ[i], "LC_ALL=", 7) != 0)
			env[k++] = environ[i];
	env[k] = (char *)(uintptr_t) "LC_ALL=C";
	return env;
}

static int
server_initdb(struct server *s, struct program *initdb, struct hf_error *err)
{
	/* By argv[0] they find what belongs to them. */
	char *argv[] = { initdb->path, "-D", s->home.data, "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", NULL };
	struct child_options options = { .path = initdb->path,
		.argv = argv,
		.env = s->env,
		.in = -1,
		.out = -1,
		.user = s->home.switch_user ? s->home.user : NULL,
		.dir = "/",
		.death_signal = SIGKILL };
	struct child *child;
	int rc;

	if ((rc = child_start(s->ctx, &options, &child, err)) != HF_OK)
		return rc;
	return child_wait(child, "initdb of a private server", err);
}

/* A value of a list of folders: quotes keep a comma or a blank inside. */
static void
add_folder(struct text *out, const char *setting, const char *path)
{
	text_addf(out, "%s=\"", setting);
	for (; *path != '\0'; path++) {
		if (*path == '"')
			text_add(out, "\"");
		text_add_n(out, path, 1);
	}
	text_add(out, "\"");
}

/* Nothing here has to survive a crash. */
static int
server_child(struct server *s, struct program *postgres, struct hf_error *err)
{
	static char *const settings[] = { "listen_addresses=", "fsync=off",
		"full_page_writes=off", "synchronous_commit=off",
		"wal_level=minimal", "max_wal_senders=0", "max_connections=100",
		"max_locks_per_transaction=1024", "shared_buffers=128MB",
		"max_wal_size=2GB", "checkpoint_timeout=1h",
		"log_checkpoints=off", "autovacuum=off", "jit=off",
		"max_logical_replication_workers=0",
		"shared_preload_libraries=", "client_min_messages=warning",
		/* Containers have a small /dev/shm. */
		"dynamic_shared_memory_type=mmap", "logging_collector=off",
		"log_destination=stderr",
		/* Statements can have hashes of passwords. */
		"log_min_error_statement=panic" };
	enum { N = sizeof settings / sizeof *settings };
	char *argv[2 * N + 16];
	struct text sockets = { 0 };
	struct child_options options = { .path = postgres->path,
		.argv = argv,
		.env = s->env,
		.in = -1,
		.out = -1,
		.user = s->home.switch_user ? s->home.user : NULL,
		.dir = "/",
		.death_signal = SIGQUIT };
	size_t n = 0;
	int rc;

	add_folder(&sockets, "unix_socket_directories", s->home.socket);
	argv[n++] = postgres->path;
	argv[n++] = "-D";
	argv[n++] = s->home.data;
	argv[n++] = "-p";
	argv[n++] = "5432";
	for (size_t i = 0; i < N; i++) {
		argv[n++] = "-c";
		argv[n++] = settings[i];
	}
	argv[n++] = "-c";
	argv[n++] = sockets.s;
	argv[n] = NULL;
	if ((rc = text_ok(&sockets, err)) == HF_OK)
		rc = child_start(s->ctx, &options, &s->child, err);
	text_free(&sockets);
	return rc;
}

/* The last that it said, which is its log. */
static void
server_tail(const struct server *s, char *buf, size_t cap)
{
	char *said = child_stderr(s->child);
	size_t n = said == NULL ? 0 : strlen(said);

	while (n > 0 && said[n - 1] == '\n')
		said[--n] = '\0';
	(void)snprintf(buf, cap, "%s",
	    said == NULL ? ""
	    : n >= cap   ? said + n - cap + 1
			 : said);
	free(said);
}

static int
server_wait(struct server *s, struct hf_error *err)
{
	const char *const keywords[] = { "host", "port", "user", "dbname",
		"hostaddr", "sslmode", NULL };
	const char *const values[] = { s->home.socket, "5432", "postgres",
		"postgres", "", "disable", NULL };
	char tail[TAIL];

	for (int64_t ms = 0; ms < START_TIMEOUT; ms += POLL) {
		if (PQpingParams(keywords, values, 0) == PQPING_OK)
			return HF_OK;
		if (child_ended(s->child)) {
			server_tail(s, tail, sizeof tail);
			return H->fail(err, HF_E_IO,
			    "a private server ended while it started: %s",
			    tail);
		}
		if (!H->sleep(s->ctx, POLL))
			return H->fail(err, HF_E_CANCELLED,
			    "cancelled while a private server started");
	}
	server_tail(s, tail, sizeof tail);
	return H->fail(err, HF_E_IO,
	    "a private server does not answer within %d s: %s",
	    START_TIMEOUT / 1000, tail);
}

static int
find_programs(const struct conf *conf, int at_least, struct program *initdb,
    struct program *postgres, struct hf_error *err)
{
	int rc = program_find(conf, "initdb", at_least, initdb, err);

	if (rc == HF_OK)
		rc = program_find(
		    conf, "postgres", initdb->version, postgres, err);
	if (rc == HF_OK && postgres->version / 10000 != initdb->version / 10000)
		return H->fail(err, HF_E_NOTFOUND,
		    "%s and %s are not of one version", initdb->path,
		    postgres->path);
	return rc;
}

int
server_start(const struct hf_ctx *ctx, const struct conf *conf, const char *dir,
    int at_least, struct server **out, struct hf_error *err)
{
	struct program initdb, postgres;
	struct server *s;
	int rc;

	*out = NULL;
	rc = find_programs(conf, at_least, &initdb, &postgres, err);
	if (rc != HF_OK) {
		H->fail_context(err, "looking for a server's programs (or let "
				     "\"scratch\" name a server that may get "
				     "throw-away databases)");
		return rc;
	}
	if ((s = calloc(1, sizeof *s)) == NULL)
		return postgres_nomem(err);
	s->ctx = ctx;
	s->home.locks[0] = s->home.locks[1] = -1;
	home_sweep(conf->run_as);
	if ((rc = home_make(dir, conf->run_as, &s->home, err)) != HF_OK)
		goto fail;
	server_keyword(&s->conninfo, "host", s->home.socket);
	text_add(&s->conninfo, " port=5432 user=postgres dbname=postgres");
	if ((rc = text_ok(&s->conninfo, err)) != HF_OK)
		goto fail;
	if ((s->env = make_env()) == NULL) {
		rc = postgres_nomem(err);
		goto fail;
	}
	if ((rc = server_initdb(s, &initdb, err)) != HF_OK ||
	    (rc = server_child(s, &postgres, err)) != HF_OK ||
	    (rc = server_wait(s, err)) != HF_OK)
		goto fail;
	H->log(ctx, HF_LOG_DEBUG, "postgres.private_server",
	    "server %d in %s, as %s", postgres.version, s->home.roots[0],
	    s->home.user);
	*out = s;
	return HF_OK;
fail:
	server_stop(s);
	return rc;
}

const char *
server_conninfo(const struct server *s)
{
	return text_get(&s->conninfo);
}

void
server_target(const struct server *s, struct text *out)
{
	static const struct {
		const char *keyword, *value;
	} settings[] = {
		{ "port", "5432" },
		{ "user", "postgres" },
		{ "hostaddr", "" },
		{ "options", "" },
		{ "sslmode", "disable" },
		{ "gssencmode", "disable" },
		{ "channel_binding", "disable" },
		{ "target_session_attrs", "any" },
		{ "require_auth", "" },
	};
	PQconninfoOption *known = PQconndefaults();

	server_keyword(out, "host", s->home.socket);
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		for (const PQconninfoOption *o = known;
		     o != NULL && o->keyword != NULL; o++)
			if (strcmp(o->keyword, settings[i].keyword) == 0)
				server_keyword(out, settings[i].keyword,
				    settings[i].value);
	PQconninfoFree(known);
}

void
server_stop(struct server *s)
{
	if (s == NULL)
		return;
	if (s->child != NULL)
		child_stop(s->child, SIGQUIT, STOP_TIMEOUT);
	home_remove(&s->home);
	text_free(&s->conninfo);
	free(s->env);
	free(s);
}
