/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "../conn.h"
#include "../postgres.h"

#include <string.h>

#define LOOK                                                                \
	"Look at pg_stat_archiver and pg_replication_slots, at the log of " \
	"the server, and at the log of \"holdfast run\"."

/* archive_command: what the server thinks of it. */
static int
of_push(struct conn *c, struct text *out)
{
	PGresult *res;
	const char *mode, *command, *failed;
	int rc;

	rc = conn_query(c, &res, NULL,
	    "SELECT pg_catalog.current_setting('archive_mode'), "
	    "pg_catalog.current_setting('archive_command'), "
	    "CASE WHEN last_failed_time > coalesce(last_archived_time, "
	    "'-infinity') THEN last_failed_wal END "
	    "FROM pg_catalog.pg_stat_archiver");
	if (rc != HF_OK)
		return rc;
	mode = PQgetvalue(res, 0, 0);
	command = PQgetvalue(res, 0, 1);
	failed = PQgetvalue(res, 0, 2);
	if (strcmp(mode, "off") == 0)
		text_add(out,
		    "archive_mode is off: ALTER SYSTEM SET archive_mode = on; "
		    "and restart the server.");
	else if (command[0] == '\0' || strcmp(command, "(disabled)") == 0)
		text_add(out,
		    "archive_command is empty: ALTER SYSTEM SET "
		    "archive_command = 'holdfast wal push %p'; SELECT "
		    "pg_reload_conf();");
	else if (failed[0] != '\0')
		text_addf(out,
		    "archive_command failed at %s: the server's log has what "
		    "it printed.",
		    failed);
	else if (strstr(command, "wal push") == NULL)
		text_addf(out,
		    "archive_command is not \"holdfast wal push %%p\" but: %s",
		    command);
	else
		text_add(out,
		    "archive_command has not failed: it may be slow, or push "
		    "to another pipeline or sink than this one. On a standby "
		    "nothing arrives before its primary ends a segment: "
		    "SELECT pg_switch_wal() there, or archive_timeout.");
	PQclear(res);
	return HF_OK;
}

static int
of_stream(struct conn *c, const char *slot, struct text *out)
{
	PGresult *res;
	int rc;

	rc = conn_query_params(c, &res, NULL,
	    "SELECT active, wal_status FROM pg_catalog.pg_replication_slots "
	    "WHERE slot_name = $1",
	    1, &slot);
	if (rc != HF_OK)
		return rc;
	if (PQntuples(res) == 0)
		text_addf(out,
		    "There is no replication slot \"%s\": start \"holdfast "
		    "run\", which makes and follows it.",
		    slot);
	else if (strcmp(PQgetvalue(res, 0, 1), "lost") == 0)
		text_addf(out,
		    "The replication slot \"%s\" has lost WAL that it needed: "
		    "SELECT pg_drop_replication_slot('%s'); \"holdfast run\" "
		    "makes a new one.",
		    slot, slot);
	else if (PQgetvalue(res, 0, 0)[0] != 't')
		text_addf(out,
		    "Nobody follows the replication slot \"%s\": start "
		    "\"holdfast run\".",
		    slot);
	else
		text_addf(out,
		    "The replication slot \"%s\" is being followed: it may "
		    "be slow, or write to another pipeline or sink.",
		    slot);
	PQclear(res);
	return HF_OK;
}

void
trouble_text(const struct run *r, struct text *out)
{
	const struct conf *conf = &r->e->conf;
	struct conn *c;
	int rc;

	if (conn_open_any(r->e->ctx, r->info, &c, NULL) != HF_OK) {
		text_add(out, LOOK);
		return;
	}
	rc = conf->wal.stream ? of_stream(c, conf->wal.slot, out) : HF_OK;
	if (rc == HF_OK && conf->wal.push) {
		if (out->len > 0)
			text_add(out, " ");
		rc = of_push(c, out);
	}
	if (rc != HF_OK)
		text_add(out, LOOK);
	conn_close(c);
}
