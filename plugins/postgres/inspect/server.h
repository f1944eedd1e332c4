/* SPDX-License-Identifier: BSD-2-Clause */
/* A private PostgreSQL server: no TCP, a socket in a folder of mode 0700, no
 * durability; for throw-away restores. */
#ifndef HF_POSTGRES_SERVER_H
#define HF_POSTGRES_SERVER_H

#include <holdfast/plugin.h>

struct conf;
struct server;
struct text;

/* initdb and start, at least version at_least (a server's version number).
 * It lives in a new folder below dir; when we are root it runs as
 * conf->run_as, below /var/tmp if that user cannot reach dir.  It ends with
 * the thread that started it, even by a kill. */
int server_start(const struct hf_ctx *, const struct conf *, const char *dir,
    int at_least, struct server **, struct hf_error *);
/* The folders alone, for a data directory that the caller makes; what else
 * belongs to it goes below server_folder. */
int server_place(const struct hf_ctx *, const struct conf *, const char *dir,
    struct server **, struct hf_error *);
const char *server_data(const struct server *); /* not made yet */
const char *server_folder(const struct server *);
/* Whose the files are; NULL: ours. */
const char *server_user(const struct server *);
/* Start on the data directory, by programs of this very version.  Its own
 * postgresql.conf and pg_hba.conf are not read.  settings: more "name=value",
 * NULL ends.  It may take long to answer: see server_poll. */
int server_launch(struct server *, const struct conf *, int version,
    const char *const *settings, struct hf_error *);
/* HF_OK: it answers; HF_EOF: not yet; HF_E_IO: it has ended, and its last
 * words. */
int server_poll(struct server *, struct hf_error *);
/* Shut down cleanly; server_launch may follow. */
void server_halt(struct server *);
/* Who is asked as from now on; "postgres" at first. */
int server_set_role(struct server *, const char *, struct hf_error *);
/* The last that it said, to be freed; NULL: nothing. */
char *server_said(const struct server *);
/* A program of PostgreSQL, as the server's user; its messages come with the
 * failure, and in *said (to be freed). */
int server_program(struct server *, const struct conf *, int version,
    const char *name, const char *const *args, char **said, struct hf_error *);

/* "host=/... port=5432 user=... dbname=postgres" */
const char *server_conninfo(const struct server *);
/* The same without a database, for a target that is laid over a source's
 * settings: what could not hold for a local socket is unset there (TLS,
 * hostaddr, channel_binding, options, ...). */
void server_target(const struct server *, struct text *);
/* " keyword='value'" as libpq quotes it, to the end of out. */
void server_keyword(struct text *out, const char *keyword, const char *value);
/* Stop at once and remove its folder; NULL is a no-op. */
void server_stop(struct server *);

#endif
