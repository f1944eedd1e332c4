/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a server is: libpq's connection keywords, with our defaults.
 *
 * All that psql accepts is accepted: keywords, URIs, PG* variables, service
 * files, .pgpass, TLS settings.  But for one: other programs must be able to
 * connect too, and of all secrets only the password can be handed to them, by
 * their environment.  So another one (sslpassword) is refused; in a service
 * file, which they read themselves, it works.  No secret is ever in
 * conninfo_text, which goes into arguments.
 */
#ifndef HF_POSTGRES_CONNINFO_H
#define HF_POSTGRES_CONNINFO_H

#include <holdfast/plugin.h>

struct conf;
struct conninfo;

/* Of the source: conf->conninfo and conf->password, and where the user said
 * nothing connect_timeout, keepalives that find a dead network within two
 * minutes, fallback_application_name=holdfast.  HF_E_INVALID names the bad
 * keyword, or the secret that cannot be handed on, never its value. */
int conninfo_source(const struct conf *, struct conninfo **, struct hf_error *);

/* Of a restore's target: a URI or keywords laid over the source's (keywords
 * not given are the source's; its password only when neither host, hostaddr,
 * port nor user differ), or a plain database name on the source's server.
 * NULL: the source itself.  dbname is unset when target gives none: then
 * conninfo_get(c, "dbname") is NULL. */
int conninfo_target(const struct conf *, const char *target, struct conninfo **,
    struct hf_error *);

int
conninfo_copy(const struct conninfo *, struct conninfo **, struct hf_error *);
void conninfo_free(struct conninfo *);

/* NULL: not set.  Valid until set again or freed. */
const char *conninfo_get(const struct conninfo *, const char *keyword);
/* value NULL unsets. */
int conninfo_set(struct conninfo *, const char *keyword, const char *value,
    struct hf_error *);

/* For PQconnectStartParams: two arrays that end in NULL, borrowed until the
 * next conninfo_set. */
void conninfo_params(const struct conninfo *, const char *const **keywords,
    const char *const **values);

/* "keyword='value' ..." without secrets, for an argument -d of pg_dump and
 * for messages.  To be freed. */
char *conninfo_text(const struct conninfo *, struct hf_error *);

/* The environment of a child: ours, LC_ALL=C so that its messages can be
 * read, without PGOPTIONS-like surprises removed (they are the user's), and
 * PGPASSWORD when a password is set.  One block, to be freed with free(). */
char **conninfo_env(const struct conninfo *, struct hf_error *);

#endif
