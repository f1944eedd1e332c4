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
