/* SPDX-License-Identifier: BSD-2-Clause */
#include "sqlstate.h"

#include <holdfast/plugin.h>
#include <string.h>

/* code: whole, or the beginning of it.  The first that fits counts. */
static const struct {
	const char *code;
	int status;
	const char *hint;
} codes[] = {
	{ "08", HF_E_IO,
	    "Look at the server's log, and at what stands between it and "
	    "here: firewalls and proxies end idle connections." },
	{ "0A", HF_E_UNSUPPORTED, NULL },
	{ "22021", HF_E_INVALID,
	    "The text is not valid in this encoding. Leave the option "
	    "\"encoding\" out: the dump then has the database's own." },
	{ "22P05", HF_E_INVALID,
	    "This encoding cannot hold all of the data. Leave the option "
	    "\"encoding\" out: the dump then has the database's own." },
	{ "22023", HF_E_INVALID, NULL },
	{ "25006", HF_E_INVALID,
	    "This is a standby, or a transaction or server that is read "
	    "only." },
	{ "28", HF_E_DENIED, NULL },
	{ "3D000", HF_E_NOTFOUND, NULL },
	{ "3F000", HF_E_NOTFOUND, NULL },
	{ "40001", HF_E_TRANSIENT, NULL },
	{ "40P01", HF_E_TRANSIENT, NULL },
	{ "42501", HF_E_DENIED,
	    "Membership in pg_read_all_data lets a role read every table: "
	    "GRANT pg_read_all_data TO the role (server 14 and later)." },
	{ "42704", HF_E_NOTFOUND, NULL },
	{ "42P01", HF_E_NOTFOUND, NULL },
	{ "42P04", HF_E_EXISTS, NULL },
	{ "42P06", HF_E_EXISTS, NULL },
	{ "42P07", HF_E_EXISTS, NULL },
	{ "42710", HF_E_EXISTS, NULL },
	{ "53100", HF_E_NOSPACE, "The server's disk is full." },
	{ "53200", HF_E_IO, "The server has no memory left." },
	{ "53300", HF_E_TRANSIENT,
	    "Raise max_connections of the server, or lower the option "
	    "\"jobs\"." },
	{ "55P03", HF_E_IO,
	    "Somebody holds a lock that excludes reading: pg_locks and "
	    "pg_stat_activity say who. Raise the option \"lock_timeout\" to "
	    "wait longer." },
	{ "57014", HF_E_IO,
	    "Somebody cancelled it: pg_cancel_backend(), or a time limit of "
	    "the server or a proxy." },
	{ "57P01", HF_E_IO,
	    "The server is shutting down, or somebody called "
	    "pg_terminate_backend()." },
	{ "57P02", HF_E_IO,
	    "A process of the server crashed; its log says which and why." },
	{ "57P03", HF_E_TRANSIENT, NULL },
	{ "57P04", HF_E_NOTFOUND, "Somebody dropped the database." },
	{ "XX001", HF_E_CORRUPT,
	    "A table is damaged: its server's disk or memory may be failing. "
	    "Keep the earlier backups; pg_amcheck finds what else is." },
	{ "XX002", HF_E_CORRUPT,
	    "An index is damaged: REINDEX makes it new; pg_amcheck finds "
	    "what else is." },
};

static const size_t ncodes = sizeof codes / sizeof *codes;

static size_t
find(const char *sqlstate)
{
	size_t i;

	for (i = 0; i < ncodes; i++)
		if (strncmp(sqlstate, codes[i].code, strlen(codes[i].code)) ==
		    0)
			break;
	return i;
}

int
sqlstate_status(const char *sqlstate)
{
	size_t i = find(sqlstate);

	return i < ncodes ? codes[i].status : HF_E_IO;
}

const char *
sqlstate_hint(const char *sqlstate, const char *message)
{
	size_t i = find(sqlstate);

	/* Of 40001 and 57014; its words are those of an English server. */
	if (strstr(message, "conflict with recovery") != NULL)
		return "This is a standby, and replay had to remove what the "
		       "dump still reads: set hot_standby_feedback = on, or "
		       "raise max_standby_streaming_delay, or dump the "
		       "primary.";
	return i < ncodes ? codes[i].hint : NULL;
}

#define LOOK_AT_HBA                                                    \
	"pg_hba.conf decides who may connect from where and how; its " \
	"server's log says which line was used."

/* Either may be "": the first entry counts of which both fit.  Words of the
 * server (those with a code) only make a case finer, since it may speak
 * another language; words of libpq are English, as this program's locale. */
struct refusal {
	const char *code, *words;
	struct sqlstate_refusal refusal;
};

static const struct refusal of_replication[] = {
	{ "28", "pg_hba.conf",
	    { HF_E_DENIED, "pg_hba.conf has no line for replication",
		"Add a line to it, \"host replication ROLE ADDRESS "
		"scram-sha-256\" (\"all\" as database does not cover it), then "
		"SELECT pg_reload_conf()." } },
	{ "42501", "",
	    { HF_E_DENIED, "the role has no right to replicate",
		"ALTER ROLE ... REPLICATION gives it." } },
	{ "53300", "max_wal_senders",
	    { HF_E_TRANSIENT, "all of max_wal_senders are in use",
		"ALTER SYSTEM SET max_wal_senders = ... and a restart of the "
		"server allow more; pg_stat_replication says who has them." } },
};

static const struct refusal refusals[] = {
	{ "28P01", "",
	    { HF_E_DENIED, "wrong password, or no such role",
		"Set the option \"password\", PGPASSWORD or a line in "
		".pgpass." } },
	{ "28", "pg_hba.conf",
	    { HF_E_DENIED, "pg_hba.conf lets nobody in from here",
		"Add a line for this role, database and address to "
		"pg_hba.conf, then SELECT pg_reload_conf()." } },
	{ "28", "does not exist",
	    { HF_E_DENIED, "no such role",
		"CREATE ROLE ... LOGIN makes one; \"user\" of conninfo or "
		"PGUSER names another." } },
	{ "28", "not permitted to log in",
	    { HF_E_DENIED, "the role may not log in",
		"ALTER ROLE ... LOGIN allows it." } },
	{ "28", "Peer authentication",
	    { HF_E_DENIED, "the role is not the user of this process",
		"Run as the system user of that name, or connect by TCP "
		"(\"host=localhost\") with a password." } },
	{ "28", "",
	    { HF_E_DENIED, "the server does not let this role in",
		LOOK_AT_HBA } },
	{ "3D000", "",
	    { HF_E_NOTFOUND, "no such database",
		"\"dbname\" of conninfo or PGDATABASE names it; without them "
		"it is that of the role." } },
	{ "42501", "",
	    { HF_E_DENIED, "the role may not connect to this database",
		"GRANT CONNECT ON DATABASE ... TO the role allows it." } },
	{ "53300", "",
	    { HF_E_TRANSIENT, "the server has too many connections",
		"Raise max_connections of the server (or the limit of the "
		"role or database), or lower the option \"jobs\"." } },
	{ "57P03", "",
	    { HF_E_TRANSIENT, "the server takes no connections at the moment",
		"It is starting, stopping or recovering; its log says what "
		"it is doing." } },
	{ "55000", "",
	    { HF_E_DENIED, "the database takes no connections",
		"ALTER DATABASE ... ALLOW_CONNECTIONS true allows them." } },
	{ "08", "", { HF_E_TRANSIENT, "the connection was lost", NULL } },
	{ "57P", "",
	    { HF_E_TRANSIENT, "the server ended the connection",
		"Its log says why." } },
	{ "", "no password supplied",
	    { HF_E_DENIED, "the server asks for a password and there is none",
		"Set the option \"password\", PGPASSWORD or a line in "
		".pgpass." } },
	{ "", "server does not support SSL",
	    { HF_E_UNSUPPORTED, "the server does not speak TLS",
		"Set ssl = on at the server; or, where the way to it is safe "
		"otherwise, sslmode=prefer in conninfo." } },
	{ "", "certificate",
	    { HF_E_DENIED, "TLS was refused",
		"sslrootcert in conninfo names the authority that signed the "
		"server's certificate; \"host\" must be the name in it." } },
	{ "", "SSL",
	    { HF_E_DENIED, "TLS was refused",
		"Look at the sslmode, sslrootcert, sslcert and sslkey of "
		"conninfo, and at the server's log." } },
	{ "", "Temporary failure in name resolution",
	    { HF_E_TRANSIENT, "the host's name cannot be looked up now",
		"Look at the DNS of this machine." } },
	{ "", "could not translate host name",
	    { HF_E_IO, "unknown host",
		"Check \"host\" of conninfo (or PGHOST) and the DNS." } },
	{ "", "definition of service",
	    { HF_E_NOTFOUND, "no such service",
		"pg_service.conf defines them; PGSERVICEFILE names another "
		"file." } },
	{ "", "Connection refused",
	    { HF_E_TRANSIENT, "no server there",
		"Check \"host\" and \"port\" of conninfo (or PGHOST, PGPORT), "
		"that the server runs, and its listen_addresses." } },
	{ "", "No such file or directory",
	    { HF_E_TRANSIENT, "no server there",
		"Check \"host\" and \"port\" of conninfo: without a host it "
		"is a socket of this machine; and that the server runs." } },
	{ "", "Permission denied",
	    { HF_E_DENIED, "the server's socket or a file is not for us",
		NULL } },
	{ "", "timeout expired",
	    { HF_E_TRANSIENT, "the server does not answer",
		"Check \"host\" and \"port\" of conninfo and what stands "
		"between: firewalls, routes." } },
	{ "", "out of memory", { HF_E_NOMEM, "no memory", NULL } },
	{ "", "invalid ",
	    { HF_E_INVALID, "libpq refuses a setting",
		"Check conninfo and the PG* variables." } },
};

static const struct sqlstate_refusal *
look_up(const struct refusal *table, size_t n, const char *sqlstate,
    const char *message)
{
	for (size_t i = 0; i < n; i++) {
		const char *code = table[i].code;

		if ((code[0] == '\0') != (sqlstate[0] == '\0') ||
		    strncmp(sqlstate, code, strlen(code)) != 0)
			continue;
		if (strstr(message, table[i].words) != NULL)
			return &table[i].refusal;
	}
	return NULL;
}

struct sqlstate_refusal
sqlstate_refusal(const char *sqlstate, const char *message)
{
	static const struct sqlstate_refusal other = { HF_E_TRANSIENT,
		"no connection", "Look at the server's log." };
	const struct sqlstate_refusal *why = look_up(
	    refusals, sizeof refusals / sizeof *refusals, sqlstate, message);

	if (why != NULL)
		return *why;
	if (sqlstate[0] != '\0')
		return (struct sqlstate_refusal){ sqlstate_status(sqlstate),
			"the server refuses",
			sqlstate_hint(sqlstate, message) };
	return other;
}

struct sqlstate_refusal
sqlstate_refusal_replication(const char *sqlstate, const char *message)
{
	const struct sqlstate_refusal *why = look_up(of_replication,
	    sizeof of_replication / sizeof *of_replication, sqlstate, message);

	return why != NULL ? *why : sqlstate_refusal(sqlstate, message);
}
