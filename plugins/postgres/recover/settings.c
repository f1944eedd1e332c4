/* SPDX-License-Identifier: BSD-2-Clause */
#include "settings.h"

#include "postgres.h"
#include "text.h"

#include <string.h>
#include <strings.h>

/* Of recovery, as far as they could lead it elsewhere.  An archive cleaned up
 * by the copy would be that of a standby that lives. */
static const char *const recovery[] = { "restore_command",
	"archive_cleanup_command", "recovery_end_command", "recovery_target",
	"recovery_target_action", "recovery_target_inclusive",
	"recovery_target_lsn", "recovery_target_name", "recovery_target_time",
	"recovery_target_timeline", "recovery_target_xid" };

void
settings_add(struct text *out, const char *name, const char *value)
{
	text_addf(out, "%s = '", name);
	for (; *value != '\0'; value++) {
		if (*value == '\n') {
			text_add(out, "\\n");
			continue;
		}
		if (*value == '\'')
			text_add(out, "'");
		if (*value == '\\')
			text_add(out, "\\");
		text_add_n(out, value, 1);
	}
	text_add(out, "'\n");
}

/* "name = value" or "name value", in any case. */
static bool
is_recovery(const char *line)
{
	size_t n;

	line += strspn(line, " \t");
	n = strcspn(line, " \t=\r\n");
	for (size_t i = 0; i < sizeof recovery / sizeof *recovery; i++)
		if (strlen(recovery[i]) == n &&
		    strncasecmp(recovery[i], line, n) == 0)
			return true;
	return false;
}

static void
keep_others(struct text *out, const char *former)
{
	while (*former != '\0') {
		size_t n = strcspn(former, "\n");

		if (!is_recovery(former)) {
			text_add_n(out, former, n);
			text_add(out, "\n");
		}
		former += n;
		if (*former == '\n')
			former++;
	}
}

static const char *
target_setting(enum recover_kind kind)
{
	switch (kind) {
	case RECOVER_IMMEDIATE:
		return "recovery_target";
	case RECOVER_TIME:
		return "recovery_target_time";
	case RECOVER_LSN:
		return "recovery_target_lsn";
	case RECOVER_XID:
		return "recovery_target_xid";
	case RECOVER_NAME:
		return "recovery_target_name";
	case RECOVER_LATEST:
		break;
	}
	return NULL;
}

static bool
has_side(enum recover_kind kind)
{
	return kind == RECOVER_TIME || kind == RECOVER_LSN ||
	       kind == RECOVER_XID;
}

void
settings_recovery(struct text *out, const char *former,
    const struct recover_target *t, const char *restore_command)
{
	static const char *const targets[] = { "recovery_target",
		"recovery_target_lsn", "recovery_target_name",
		"recovery_target_time", "recovery_target_xid" };
	const char *target = target_setting(t->kind);

	if (former != NULL)
		keep_others(out, former);
	/* The empty ones overrule what postgresql.conf may have, and stand
	 * first: the server takes one target, the last. */
	text_add(out, "# Recovery, by holdfast restore.\n");
	settings_add(out, "archive_cleanup_command", "");
	settings_add(out, "recovery_end_command", "");
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
		if (target == NULL || strcmp(targets[i], target) != 0)
			settings_add(out, targets[i], "");
	settings_add(out, "restore_command", restore_command);
	settings_add(out, "recovery_target_timeline", t->timeline);
	settings_add(out, "recovery_target_inclusive",
	    has_side(t->kind) && !t->inclusive ? "off" : "on");
	settings_add(out, "recovery_target_action", t->action);
	if (target != NULL)
		settings_add(out, target,
		    t->kind == RECOVER_IMMEDIATE ? "immediate" : t->text);
}

void
settings_command(struct text *out, const char *log_command)
{
	for (; *log_command != '\0'; log_command++) {
		if (*log_command == '%')
			text_add(out, "%");
		text_add_n(out, log_command, 1);
	}
	text_add(out, " \"%f\" \"%p\"");
}

void
settings_describe(struct text *out, const struct recover_target *t)
{
	static const char *const what[] = {
		[RECOVER_LATEST] = "the end of the WAL there is",
		[RECOVER_IMMEDIATE] = "the end of the backup",
		[RECOVER_TIME] = "time ",
		[RECOVER_LSN] = "LSN ",
		[RECOVER_XID] = "transaction ",
		[RECOVER_NAME] = "restore point ",
	};

	text_addf(out, "%s%s", what[t->kind], t->text);
	if (has_side(t->kind) && !t->inclusive)
		text_add(out, ", exclusive");
	if (strcmp(t->timeline, "latest") != 0 && t->kind != RECOVER_IMMEDIATE)
		text_addf(out, ", timeline %s", t->timeline);
}
