/* SPDX-License-Identifier: BSD-2-Clause */
#include "server.h"

#include "home.h"
#include "postgres.h"
#include "program.h"
#include "text.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_TIMEOUT 60000 /* milliseconds */
#define POLL 50
#define STOP_TIMEOUT 5000
#define HALT_TIMEOUT 600000 /* a shutdown writes all that is dirty */
#define TAIL 2048
#define MORE 24 /* settings of the caller's */

struct server {
	const struct hf_ctx *ctx;
	struct home home;
	struct child *child;
	char **env; /* one block */
	char role[64];
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

/* Nothing here has to survive a crash.  more: settings that overrule these. */
static int
server_child(struct server *s, struct program *postgres,
    const char *const *more, struct hf_error *err)
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
	char *argv[2 * N + 2 * MORE + 16];
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
	for (size_t i = 0; more != NULL && more[i] != NULL && i < MORE; i++) {
		argv[n++] = "-c";
		argv[n++] = (char *)(uintptr_t)more[i];
	}
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

static bool
server_answers(const struct server *s)
{
	const char *const keywords[] = { "host", "port", "user", "dbname",
		"hostaddr", "sslmode", NULL };
	const char *const values[] = { s->home.socket, "5432", "postgres",
		"postgres", "", "disable", NULL };

	return PQpingParams(keywords, values, 0) == PQPING_OK;
}

static int
server_wait(struct server *s, struct hf_error *err)
{
	char tail[TAIL];

	for (int64_t ms = 0; ms < START_TIMEOUT; ms += POLL) {
		if (server_answers(s))
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
server_set_role(struct server *s, const char *role, struct hf_error *err)
{
	if (strlen(role) >= sizeof s->role)
		return H->fail(err, HF_E_INVALID, "%s: too long", role);
	(void)snprintf(s->role, sizeof s->role, "%s", role);
	text_reset(&s->conninfo);
	server_keyword(&s->conninfo, "host", s->home.socket);
	text_add(&s->conninfo, " port=5432");
	server_keyword(&s->conninfo, "user", role);
	text_add(&s->conninfo, " dbname=postgres");
	return text_ok(&s->conninfo, err);
}

int
server_place(const struct hf_ctx *ctx, const struct conf *conf, const char *dir,
    struct server **out, struct hf_error *err)
{
	struct server *s;
	int rc;

	*out = NULL;
	if ((s = calloc(1, sizeof *s)) == NULL)
		return postgres_nomem(err);
	s->ctx = ctx;
	s->home.locks[0] = s->home.locks[1] = -1;
	home_sweep(dir, conf->run_as);
	rc = home_make(dir, conf->run_as, &s->home, err);
	if (rc == HF_OK)
		rc = server_set_role(s, "postgres", err);
	if (rc == HF_OK && (s->env = make_env()) == NULL)
		rc = postgres_nomem(err);
	if (rc == HF_OK)
		*out = s;
	else
		server_stop(s);
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
	if ((rc = server_place(ctx, conf, dir, &s, err)) != HF_OK)
		return rc;
	if ((rc = server_initdb(s, &initdb, err)) != HF_OK ||
	    (rc = server_child(s, &postgres, NULL, err)) != HF_OK ||
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
	server_keyword(out, "user", s->role);
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		for (const PQconninfoOption *o = known;
		     o != NULL && o->keyword != NULL; o++)
			if (strcmp(o->keyword, settings[i].keyword) == 0)
				server_keyword(out, settings[i].keyword,
				    settings[i].value);
	PQconninfoFree(known);
}

/* ---- on a data directory that is there ---- */

const char *
server_data(const struct server *s)
{
	return s->home.data;
}

const char *
server_folder(const struct server *s)
{
	return s->home.roots[0];
}

const char *
server_user(const struct server *s)
{
	return s->home.switch_user ? s->home.user : NULL;
}

/* The data directory was made by this major version, and no other will do. */
static int
find_exactly(const struct conf *conf, const char *name, int version,
    struct program *p, struct hf_error *err)
{
	int rc = program_find(conf, name, version, p, err);

	if (rc == HF_OK && p->version / 10000 != version / 10000)
		rc = postgres_fail_hint(err, HF_E_NOTFOUND,
		    "Install the server's package of that version on this "
		    "machine.",
		    "the data directory is of version %d, and there is no %s "
		    "of that version; the nearest is %d",
		    version / 10000, name, p->version / 10000);
	return rc;
}

/* A file of the server's folder, which the server's user reads. */
static int
write_file(const struct server *s, const char *name, const char *text,
    struct hf_error *err)
{
	int dir = tree_open(AT_FDCWD, s->home.roots[0]), fd = -1;
	size_t len = strlen(text);
	int rc = HF_OK;

	if (dir >= 0)
		(void)unlinkat(dir, name, 0);
	if (dir < 0 ||
	    (fd = openat(dir, name,
		 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) <
		0 ||
	    write(fd, text, len) != (ssize_t)len || fchmod(fd, 0644) != 0)
		rc = H->fail_errno(
		    err, errno, "writing %s/%s", s->home.roots[0], name);
	if (fd >= 0)
		(void)close(fd);
	if (dir >= 0)
		(void)close(dir);
	return rc;
}

int
server_launch(struct server *s, const struct conf *conf, int version,
    const char *const *settings, struct hf_error *err)
{
	const char *all[MORE + 1] = { NULL };
	struct text config = { 0 }, hba = { 0 };
	struct program postgres;
	size_t n = 2;
	int rc;

	text_addf(&config, "config_file=%s/config", s->home.roots[0]);
	text_addf(&hba, "hba_file=%s/hba", s->home.roots[0]);
	all[0] = text_get(&config);
	all[1] = text_get(&hba);
	for (; settings != NULL && *settings != NULL && n < MORE; settings++)
		all[n++] = *settings;
	if ((rc = text_ok(&config, err)) == HF_OK &&
	    (rc = text_ok(&hba, err)) == HF_OK &&
	    (rc = find_exactly(conf, "postgres", version, &postgres, err)) ==
		HF_OK &&
	    (rc = write_file(s, "config", "", err)) == HF_OK &&
	    (rc = write_file(s, "hba", "local all all trust\n", err)) == HF_OK)
		rc = server_child(s, &postgres, all, err);
	text_free(&config);
	text_free(&hba);
	return rc;
}

int
server_poll(struct server *s, struct hf_error *err)
{
	char tail[TAIL];

	if (server_answers(s))
		return HF_OK;
	if (!child_ended(s->child))
		return HF_EOF;
	server_tail(s, tail, sizeof tail);
	return H->fail(err, HF_E_IO, "a private server ended: %s", tail);
}

char *
server_said(const struct server *s)
{
	return s->child == NULL ? NULL : child_stderr(s->child);
}

void
server_halt(struct server *s)
{
	child_stop(s->child, SIGINT, HALT_TIMEOUT);
	s->child = NULL;
}

int
server_program(struct server *s, const struct conf *conf, int version,
    const char *name, const char *const *args, char **said,
    struct hf_error *err)
{
	struct program program;
	char *argv[16];
	struct child_options options = { .path = program.path,
		.argv = argv,
		.env = s->env,
		.in = -1,
		.out = -1,
		.user = s->home.switch_user ? s->home.user : NULL,
		.dir = "/",
		.death_signal = SIGKILL };
	struct child *child;
	size_t n = 0;
	int rc = find_exactly(conf, name, version, &program, err);

	*said = NULL;
	if (rc != HF_OK)
		return rc;
	argv[n++] = program.path;
	for (; *args != NULL && n < 15; args++)
		argv[n++] = (char *)(uintptr_t)*args;
	argv[n] = NULL;
	if ((rc = child_start(s->ctx, &options, &child, err)) != HF_OK)
		return rc;
	while (!child_ended(child) && H->sleep(s->ctx, POLL))
		;
	*said = child_stderr(child);
	return child_wait(child, name, err);
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
