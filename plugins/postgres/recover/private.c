/* SPDX-License-Identifier: BSD-2-Clause */
#include "private.h"

#include "../base/base.h"
#include "../inspect/server.h"
#include "cluster.h"
#include "conn.h"
#include "conninfo.h"
#include "feed.h"
#include "postgres.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL 50 /* milliseconds */
#define ROLE_SQL "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10"

bool
private_is(const struct hf_engine *e, const char *target)
{
	return e->server != NULL && strcmp(server_data(e->server), target) == 0;
}

/* ---- recovering ---- */

/* The line that says why, out of a log: not one of those that who asked too
 * early got. */
static void
reason(const char *said, char *buf, size_t cap)
{
	static const char early[] = "the database system is ";
	const char *at = said;

	(void)snprintf(buf, cap, "it does not say why");
	while (at != NULL && *at != '\0') {
		const char *mark = strstr(at, "FATAL: ");
		const char *panic = strstr(at, "PANIC: ");

		if (mark == NULL || (panic != NULL && panic < mark))
			mark = panic;
		if (mark == NULL)
			return;
		mark += sizeof "FATAL: " - 1;
		mark += strspn(mark, " ");
		size_t n = strcspn(mark, "\n");
		if (strncmp(mark, early, sizeof early - 1) != 0) {
			(void)snprintf(buf, cap, "%.*s", (int)n, mark);
			return;
		}
		at = mark + n;
	}
}

static int
ended(struct hf_engine *e, struct hf_error *err)
{
	char *said = server_said(e->server), why[512];

	reason(said, why, sizeof why);
	free(said);
	if (strstr(why, "before configured recovery target") != NULL)
		return postgres_fail_hint(err, HF_E_NOTFOUND,
		    "\"holdfast list\" shows what can be reached.",
		    "the WAL ends before the moment that was asked for");
	return H->fail(
	    err, HF_E_IO, "a private server ended in its recovery: %s", why);
}

static int
wait_for_it(struct hf_engine *e, struct hf_error *err)
{
	int rc;

	while ((rc = server_poll(e->server, NULL)) == HF_EOF)
		if (!H->sleep(e->ctx, POLL))
			return H->fail(err, HF_E_CANCELLED,
			    "cancelled while a private server recovered");
	return rc == HF_OK ? HF_OK : ended(e, err);
}

/* Nothing of the source's own may be done by the copy: no archiving, no jobs
 * of extensions.  What it replays must fit.  It opens when it is there and not
 * before, so the other limits of a standby do not bind it. */
static int
launch(struct hf_engine *e, const struct cluster *c, int version,
    struct hf_error *err)
{
	const char *settings[] = { "wal_level=replica", "archive_mode=off",
		"hot_standby=off", NULL, NULL };
	char prepared[64];
	size_t n = 3;

	(void)snprintf(prepared, sizeof prepared,
	    "max_prepared_transactions=%d",
	    c->has_limits ? c->limits.max_prepared_transactions : 100);
	settings[n++] = prepared;
	settings[n] = NULL;
	return server_launch(e->server, &e->conf, version, settings, err);
}

int
private_again(struct hf_engine *e, int version, struct hf_error *err)
{
	const struct cluster none = { .e = e };
	int rc = launch(e, &none, version, err);

	return rc == HF_OK ? wait_for_it(e, err) : rc;
}

/* ---- who is its superuser? ---- */

static int
ask_role(struct hf_engine *e, const char *as, char **role, struct hf_error *err)
{
	struct conninfo *info = NULL;
	struct text target = { 0 };
	struct conn *c = NULL;
	int rc;

	*role = NULL;
	if ((rc = server_set_role(e->server, as, err)) != HF_OK)
		return rc;
	server_target(e->server, &target);
	if ((rc = text_ok(&target, err)) == HF_OK &&
	    (rc = conninfo_target(&e->conf, text_get(&target), &info, err)) ==
		HF_OK &&
	    (rc = conn_open(e->ctx, info, "template1", NULL, &c, err)) == HF_OK)
		rc = conn_value(c, role, err, ROLE_SQL);
	conn_close(c);
	conninfo_free(info);
	text_free(&target);
	return rc;
}

/* Not always "postgres"; any role may ask. */
static int
find_role(struct hf_engine *e, struct hf_error *err)
{
	struct conninfo *source = NULL;
	char *role = NULL;
	const char *user;
	int rc = ask_role(e, "postgres", &role, NULL);

	if (rc != HF_OK &&
	    (rc = conninfo_source(&e->conf, &source, err)) == HF_OK) {
		user = conninfo_get(source, "user");
		rc = ask_role(e, user == NULL ? "postgres" : user, &role, err);
	}
	if (rc == HF_OK && role == NULL)
		rc = H->fail(err, HF_E_IO, "the server has no first role");
	if (rc == HF_OK)
		rc = server_set_role(e->server, role, err);
	if (rc != HF_OK)
		(void)H->fail_context(err, "asking the recovered server");
	free(role);
	conninfo_free(source);
	return rc;
}

/* ---- all of it ---- */

static int
read_source(const struct hf_request *r, struct hf_in *in,
    struct feed_source *source, int *version, struct hf_error *err)
{
	const char *system = H->in_fact(in, BASE_FACT_SYSTEM);
	const char *size = H->in_fact(in, BASE_FACT_SEGMENT_SIZE);
	const char *number = H->in_fact(in, BASE_FACT_VERSION);

	if (system == NULL || size == NULL || number == NULL)
		return H->fail(err, HF_E_CORRUPT,
		    "the backup's facts do not say which server it is of");
	*source = (struct feed_source){ .log = r->log,
		.system = strtoull(system, NULL, 10),
		.segment_size = (uint32_t)strtoul(size, NULL, 10) };
	*version = (int)strtol(number, NULL, 10);
	/* As the server allows it: 1 MiB to 1 GiB. */
	if (source->segment_size < (uint32_t)1 << 20 ||
	    source->segment_size > (uint32_t)1 << 30 ||
	    (source->segment_size & (source->segment_size - 1)) != 0)
		return H->fail(err, HF_E_CORRUPT,
		    "the backup's fact " BASE_FACT_SEGMENT_SIZE
		    " is no size of a segment: %s",
		    size);
	return HF_OK;
}

static int
recover(struct hf_engine *e, struct cluster *c, struct feed *feed, int version,
    struct hf_error *err)
{
	struct hf_error *why = H->fail_new();
	size_t segments = 0;
	int rc, fed;

	c->restore_command = feed_command(feed);
	if ((rc = cluster_restore(c, why)) == HF_OK &&
	    (rc = launch(e, c, version, why)) == HF_OK)
		rc = wait_for_it(e, why);
	/* What could not be fetched is why the server stopped. */
	fed = feed_stop(feed, &segments, rc == HF_OK ? NULL : err);
	if (rc != HF_OK) {
		if (fed == HF_OK)
			(void)H->fail_move(err, why);
		else
			rc = fed;
	}
	H->fail_free(why);
	H->log(e->ctx, HF_LOG_DEBUG, "postgres.recovered",
	    "a private server in %s: %zu segments from the log",
	    server_folder(e->server), segments);
	return rc;
}

int
private_fill(struct hf_engine *e, const struct hf_request *r,
    const struct links *links, const struct recover_target *wanted,
    struct hf_error *err)
{
	struct recover_target t = *wanted;
	struct cluster c = { .e = e,
		.req = r,
		.links = *links,
		.dir = server_data(e->server),
		.target = &t,
		.below = server_folder(e->server) };
	struct feed_source source;
	struct feed *feed = NULL;
	int rc, version = 0;

	t.action = "promote";
	if ((rc = read_source(r, links_last(links), &source, &version, err)) ==
		HF_OK &&
	    (rc = feed_start(e->ctx, &source, server_folder(e->server), &feed,
		 err)) == HF_OK &&
	    (rc = recover(e, &c, feed, version, err)) == HF_OK)
		rc = find_role(e, err);
	return rc;
}
