/* SPDX-License-Identifier: BSD-2-Clause */
/* A replication slot, followed into the log: against a real server, whose own
 * files say what must be there. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/logfix.h"
#include "support/memlog.h"
#include "support/pgkit.h"
#include "wal/history.h"
#include "wal/wal.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEG ((uint32_t)16 << 20)

static struct pgkit kit;
static char scratch[] = "/tmp/hf-follow-XXXXXX";
static struct hf_error err;

/* A log that can be out of reach for a while. */
struct gate {
	struct hf_out base;
	struct hf_out *inner;
	atomic_bool shut;
};

static int
gate_begin(struct hf_out *out, const char *name, uint64_t hint,
    struct hf_writer **w, struct hf_error *e)
{
	struct gate *g = (struct gate *)(void *)out;

	if (atomic_load(&g->shut))
		return error_fail(e, HF_E_TRANSIENT, "the sink is away");
	return host_table.out_begin(g->inner, name, hint, w, e);
}

static int
gate_remove(struct hf_out *out, const char *name, struct hf_error *e)
{
	struct gate *g = (struct gate *)(void *)out;

	return host_table.log_remove(g->inner, name, e);
}

static const struct out_ops gate_ops = { .begin = gate_begin,
	.remove = gate_remove };

struct follower {
	const struct pgkit *kit;
	struct memout *mem;
	struct gate gate;
	char conninfo[512];
	struct cancel cancel;
	struct hf_ctx ctx;
	struct hf_engine engine;
	struct hf_error err;
	pthread_t thread;
	int rc;
};

static void
prepare(struct follower *f, const struct pgkit *from, struct memout *mem)
{
	memset(f, 0, sizeof *f);
	f->kit = from;
	f->mem = mem;
	f->gate.base.ops = &gate_ops;
	if (mem != NULL)
		f->gate.inner = memout_out(mem);
	f->ctx = (struct hf_ctx){ .who = "source test",
		.cancel = &f->cancel,
		.state_dir = scratch,
		.scratch_dir = scratch };
	(void)snprintf(f->conninfo, sizeof f->conninfo, "%s",
	    pgkit_conninfo(from, "postgres"));
	f->engine = (struct hf_engine){ .ctx = &f->ctx,
		.conf = { .mode = "physical",
		    .conninfo = f->conninfo,
		    .wal = { .stream = true,
			.slot = "holdfast",
			.flush = 200,
			.jobs = 2 } } };
}

static int
follow(struct follower *f, struct hf_in *have)
{
	struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_LOG,
		.max_streams = 4,
		.log = have };

	return wal_follow(&f->engine, &r, &f->gate.base, &f->err);
}

static void *
follow_main(void *arg)
{
	struct follower *f = arg;

	f->rc = follow(f, memout_in(f->mem));
	return NULL;
}

static void
begin(struct follower *f, const struct pgkit *from, struct memout *mem)
{
	prepare(f, from, mem);
	assert_int_equal(pthread_create(&f->thread, NULL, follow_main, f), 0);
}

static int
end(struct follower *f, bool cancel)
{
	if (cancel)
		cancel_request(&f->cancel);
	assert_int_equal(pthread_join(f->thread, NULL), 0);
	return f->rc;
}

static void
end_ok(struct follower *f)
{
	if (end(f, true) != HF_OK)
		fail_msg("follow: %s", f->err.cause);
}

static void
nap(long ms)
{
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&ts, NULL);
}

/* ---- the server's side ---- */

static void
work(const struct pgkit *k, int segments)
{
	for (int i = 0; i < segments; i++)
		pgkit_sql(k, "postgres",
		    "INSERT INTO t SELECT g, repeat('x', 100) FROM "
		    "generate_series(1, 20000) g;"
		    "SELECT pg_switch_wal()");
	pgkit_sql(k, "postgres", "INSERT INTO t VALUES (0, 'last')");
}

/* Everything so far is confirmed: the slot holds no more of it.  After failures
 * the next attempt is up to fifteen seconds away. */
static void
until_confirmed(const struct pgkit *k)
{
	bool yes = false;
	char *lsn = pgkit_psql(k, "postgres",
	    "SELECT CASE WHEN pg_is_in_recovery() THEN "
	    "pg_last_wal_receive_lsn() ELSE pg_current_wal_flush_lsn() END");
	char sql[160];

	(void)snprintf(sql, sizeof sql,
	    "SELECT restart_lsn >= '%s' FROM pg_replication_slots WHERE "
	    "slot_name = 'holdfast'",
	    lsn);
	for (int i = 0; i < 400 && !yes; i++) {
		char *is = pgkit_psql(k, "postgres", sql);

		yes = strcmp(is, "t") == 0;
		free(is);
		if (!yes)
			nap(100);
	}
	if (!yes)
		fail_msg("never confirmed: %s", lsn);
	free(lsn);
}

static uint64_t
confirmed(const struct pgkit *k)
{
	return (uint64_t)pgkit_int(k, "postgres",
	    "SELECT coalesce((SELECT restart_lsn - '0/0' FROM "
	    "pg_replication_slots WHERE slot_name = 'holdfast'), 0)::bigint");
}

static uint8_t *
server_file(const struct pgkit *k, const char *file)
{
	char path[160];
	uint8_t *bytes;
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/data/pg_wal/%s", k->dir, file);
	if ((f = fopen(path, "re")) == NULL)
		return NULL;
	assert_non_null(bytes = calloc(1, SEG));
	assert_true(fread(bytes, 1, SEG, f) > 0);
	(void)fclose(f);
	return bytes;
}

/* ---- what the log has ---- */

struct seen {
	const struct pgkit *kit;
	size_t segments, pieces, histories;
	uint64_t last;         /* segment; 0: none */
	uint64_t begin, until; /* gapless */
	uint32_t timeline;
	bool killed; /* so that pieces of whole segments may be left */
};

/* One object against the server's file; objects come in the order of names. */
static void
see(struct seen *s, const char *name, const void *data, size_t size)
{
	struct wal_name n, whole;
	uint64_t system, at;
	char file[WAL_FILE_MAX];
	uint8_t *theirs;

	assert_true(wal_name_of_log(name, SEG, &system, &n));
	if (n.kind == WAL_HISTORY) {
		s->histories++;
		return;
	}
	whole = n;
	whole.kind = WAL_SEGMENT;
	wal_name_file(&whole, SEG, file);
	if ((theirs = server_file(s->kit, file)) == NULL)
		fail_msg("the server has no %s", file);
	at = n.segno * SEG + (n.kind == WAL_PIECE ? n.offset : 0);
	if (n.kind == WAL_SEGMENT) {
		assert_int_equal(size, SEG);
		s->segments++;
		s->last = n.segno;
	} else {
		assert_int_equal(n.kind, WAL_PIECE);
		s->pieces++;
	}
	assert_true(n.offset + size <= SEG);
	if (memcmp(theirs + n.offset, data, size) != 0)
		fail_msg("%s is not what the server has", name);
	free(theirs);
	if (n.kind == WAL_PIECE && s->segments > 0 && n.segno <= s->last &&
	    n.timeline == s->timeline) {
		/* It was not yet removed. */
		assert_true(s->killed);
		return;
	}
	if (s->timeline != n.timeline) {
		s->timeline = n.timeline;
		if (s->begin == 0)
			s->begin = at;
		assert_true(at <= s->until || s->until == 0);
	} else if (at != s->until) {
		fail_msg("there is a gap before %s", name);
	}
	s->until = at + size;
}

static struct seen
look(const struct pgkit *k, struct memout *mem)
{
	struct seen s = { .kit = k };
	const char *last = "", *next;
	size_t size;

	do {
		next = NULL;
		for (size_t i = 0, n = memout_count(mem); i < n; i++)
			if (strcmp(memout_name(mem, i), last) > 0 &&
			    (next == NULL ||
				strcmp(memout_name(mem, i), next) < 0))
				next = memout_name(mem, i);
		if (next != NULL) {
			const void *data = memlog_get(mem, next, &size);

			see(&s, next, data, size);
			last = next;
		}
	} while (next != NULL);
	return s;
}

static int
see_log(void *arg, const struct hf_object *o)
{
	static uint8_t bytes[(16 << 20) + 1];
	void **both = arg;
	struct hf_reader *r;
	size_t len = 0, n;
	int rc;

	assert_int_equal(
	    host_table.in_open(both[1], o->key, 0, UINT64_MAX, &r, &err),
	    HF_OK);
	while ((rc = host_table.in_read(
		    r, bytes + len, sizeof bytes - len, &n, &err)) == HF_OK)
		len += n;
	assert_int_equal(rc, HF_EOF);
	host_table.in_close(r);
	see(both[0], o->key, bytes, len);
	return 0;
}

static void
drop_slot(const struct pgkit *k)
{
	pgkit_until(k, "postgres",
	    "SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE "
	    "active)");
	pgkit_sql(k, "postgres",
	    "SELECT pg_drop_replication_slot(slot_name) FROM "
	    "pg_replication_slots");
}

/* ---- */

static void
the_log_gets_what_the_server_has(void **state)
{
	struct memout *mem = memlog_new();
	struct follower f;
	struct seen s;

	(void)state;
	begin(&f, &kit, mem);
	pgkit_until(&kit, "postgres",
	    "SELECT count(*) = 1 FROM pg_replication_slots WHERE active");
	work(&kit, 3);
	until_confirmed(&kit);
	end_ok(&f);
	s = look(&kit, mem);
	assert_true(s.segments >= 3);
	assert_true(s.pieces >= 1);
	assert_true(s.until >= confirmed(&kit));
	/* Again, from where it ended. */
	begin(&f, &kit, mem);
	work(&kit, 2);
	until_confirmed(&kit);
	end_ok(&f);
	assert_int_equal(look(&kit, mem).segments, s.segments + 2);
	assert_true(look(&kit, mem).until >= confirmed(&kit));
	memout_free(mem);
	drop_slot(&kit);
}

static void
one_slot_has_one_follower(void **state)
{
	struct memout *mem = memlog_new();
	struct follower f, g;
	bool hint = false;

	(void)state;
	begin(&f, &kit, mem);
	pgkit_until(&kit, "postgres",
	    "SELECT count(*) = 1 FROM pg_replication_slots WHERE active");
	begin(&g, &kit, mem);
	assert_int_equal(end(&g, false), HF_E_TRANSIENT);
	assert_non_null(strstr(g.err.cause, "slot holdfast is in use"));
	for (int i = 0; i < g.err.nnotes; i++)
		hint |= strcmp(g.err.notes[i].key, "hint") == 0;
	assert_true(hint);
	end_ok(&f);
	memout_free(mem);
	drop_slot(&kit);
}

static void
a_server_that_restarts_is_followed_again(void **state)
{
	static const int signals[] = { SIGINT, SIGQUIT };
	struct memout *mem = memlog_new();
	struct follower f;

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&f, &kit, mem);
		pgkit_until(&kit, "postgres",
		    "SELECT count(*) = 1 FROM pg_replication_slots WHERE "
		    "active");
		work(&kit, 1);
		until_confirmed(&kit);
		pgkit_halt(&kit, signals[i]);
		assert_int_equal(end(&f, false), HF_E_TRANSIENT);
		pgkit_resume(&kit);
	}
	begin(&f, &kit, mem);
	work(&kit, 1);
	until_confirmed(&kit);
	end_ok(&f);
	assert_true(look(&kit, mem).until >= confirmed(&kit));
	memout_free(mem);
	drop_slot(&kit);
}

static void
a_log_that_is_away_loses_nothing(void **state)
{
	struct memout *mem = memlog_new();
	struct follower f;
	uint64_t held;
	char *pid, sql[160];

	(void)state;
	pgkit_sql(
	    &kit, "postgres", "ALTER SYSTEM SET wal_sender_timeout = '2s'");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
	begin(&f, &kit, mem);
	pgkit_until(&kit, "postgres",
	    "SELECT count(*) = 1 FROM pg_replication_slots WHERE active");
	work(&kit, 1);
	until_confirmed(&kit);
	held = confirmed(&kit);
	pid = pgkit_psql(
	    &kit, "postgres", "SELECT active_pid FROM pg_replication_slots");
	atomic_store(&f.gate.shut, true);
	work(&kit, 8);
	nap(5000);
	/* Nothing confirmed, and no more taken in than there is room for. */
	assert_int_equal(confirmed(&kit), held);
	assert_true(pgkit_int(&kit, "postgres",
			"SELECT (sent_lsn - '0/0')::bigint FROM "
			"pg_stat_replication") < (long long)held + 7 * SEG);
	atomic_store(&f.gate.shut, false);
	until_confirmed(&kit);
	/* The connection was never given up. */
	(void)snprintf(sql, sizeof sql,
	    "SELECT active_pid = %s FROM pg_replication_slots", pid);
	pgkit_until(&kit, "postgres", sql);
	free(pid);
	end_ok(&f);
	assert_true(look(&kit, mem).until >= confirmed(&kit));
	memout_free(mem);
	drop_slot(&kit);
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM RESET wal_sender_timeout");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
}

/* It waits for a follower that takes all it sends, and this one cannot. */
static void
a_log_that_is_away_does_not_keep_a_server_from_stopping(void **state)
{
	struct memout *mem = memlog_new();
	struct follower f;
	time_t began;

	(void)state;
	begin(&f, &kit, mem);
	pgkit_until(&kit, "postgres",
	    "SELECT count(*) = 1 FROM pg_replication_slots WHERE active");
	work(&kit, 1);
	until_confirmed(&kit);
	atomic_store(&f.gate.shut, true);
	pgkit_sql(&kit, "postgres", "INSERT INTO t VALUES (1, 'more')");
	nap(500);
	began = time(NULL);
	pgkit_halt(&kit, SIGINT);
	assert_true(time(NULL) - began < 40);
	assert_int_equal(end(&f, false), HF_E_TRANSIENT);
	pgkit_resume(&kit);
	begin(&f, &kit, mem);
	until_confirmed(&kit);
	end_ok(&f);
	assert_true(look(&kit, mem).until >= confirmed(&kit));
	memout_free(mem);
	drop_slot(&kit);
}

/* Two servers of one system went different ways on one timeline. */
static void
other_bytes_in_the_log_are_an_error(void **state)
{
	struct memout *mem = memlog_new();
	struct follower f;
	char *name = NULL;
	uint8_t *data;
	size_t size;

	(void)state;
	begin(&f, &kit, mem);
	work(&kit, 1);
	until_confirmed(&kit);
	end_ok(&f);
	for (size_t i = 0; i < memout_count(mem); i++)
		if (strstr(memout_name(mem, i), ".from-") != NULL)
			name = strdup(memout_name(mem, i));
	assert_non_null(name);
	data = memlog_get(mem, name, &size);
	data[size / 2] ^= 1;
	begin(&f, &kit, mem);
	assert_int_equal(end(&f, false), HF_E_EXISTS);
	assert_non_null(strstr(f.err.cause, "other bytes"));
	free(name);
	memout_free(mem);
	drop_slot(&kit);
}

/* The slot was given up, or dropped: there is a gap, and it goes on. */
static void
wal_that_is_gone_is_skipped(void **state)
{
	struct memout *mem = memlog_new();
	struct follower f;
	struct wal_name n;
	uint64_t system, first = 0, held;

	(void)state;
	begin(&f, &kit, mem);
	work(&kit, 1);
	until_confirmed(&kit);
	end_ok(&f);
	held = confirmed(&kit);
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET wal_keep_size = 0");
	pgkit_sql(&kit, "postgres",
	    "ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
	work(&kit, 8);
	pgkit_sql(&kit, "postgres", "CHECKPOINT");
	work(&kit, 1);
	pgkit_sql(&kit, "postgres", "CHECKPOINT");
	pgkit_until(&kit, "postgres",
	    "SELECT wal_status = 'lost' FROM pg_replication_slots");
	begin(&f, &kit, mem);
	pgkit_until(
	    &kit, "postgres", "SELECT count(*) = 1 FROM pg_stat_replication");
	work(&kit, 2);
	nap(1500);
	end_ok(&f);
	for (size_t i = 0; i < memout_count(mem); i++)
		if (wal_name_of_log(memout_name(mem, i), SEG, &system, &n) &&
		    n.segno > held / SEG + 1 && (first == 0 || n.segno < first))
			first = n.segno;
	assert_true(first > held / SEG + 1);
	drop_slot(&kit);
	begin(&f, &kit, mem);
	work(&kit, 1);
	until_confirmed(&kit);
	end_ok(&f);
	memout_free(mem);
	drop_slot(&kit);
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET wal_keep_size = '2GB'");
	pgkit_sql(
	    &kit, "postgres", "ALTER SYSTEM RESET max_slot_wal_keep_size");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
}

/* ---- a standby that is promoted ---- */

static int
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

static void
make_standby(struct pgkit *b)
{
	char cmd[1024];

	*b = kit;
	(void)snprintf(b->dir, sizeof b->dir, "/tmp/hf-pg-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->port = free_port();
	b->pid = 0;
	(void)snprintf(cmd, sizeof cmd,
	    "chmod 755 %s && { [ $(id -u) -ne 0 ] || chown postgres: %s; } && "
	    "cd / && AS=''; [ $(id -u) -ne 0 ] || AS='setpriv --reuid postgres "
	    "--regid postgres --clear-groups'; $AS %s/pg_basebackup -D %s/data "
	    "-R -c fast -X stream -d 'host=%s port=%d user=postgres' && "
	    "echo 'hot_standby = on' | $AS tee -a %s/data/postgresql.conf "
	    ">/dev/null",
	    b->dir, b->dir, b->bin, b->dir, kit.dir, kit.port, b->dir);
	assert_int_equal(system(cmd), 0);
	pgkit_resume(b);
}

/* A piece of timeline 1, of the segment in which it was left. */
static const char *
old_piece(struct memout *mem, lsn_t left, size_t from, size_t to)
{
	static const char *const facts[] = { "wal_segment_size", "16777216",
		NULL };
	static char name[2][WAL_LOG_MAX];
	uint8_t *bytes = calloc(1, to - from);
	struct wal_name n;
	uint64_t system;

	assert_non_null(bytes);
	assert_true(wal_name_of_log(memout_name(mem, 0), SEG, &system, &n));
	n = (struct wal_name){ .kind = WAL_PIECE,
		.timeline = 1,
		.segno = left / SEG,
		.offset = (uint32_t)from };
	wal_name_log(&n, system, SEG, name[from > 0]);
	assert_int_equal(
	    memlog_put(mem, name[from > 0], bytes, to - from, facts), HF_OK);
	free(bytes);
	return name[from > 0];
}

static lsn_t
where_left(struct memout *mem)
{
	struct history h;
	char why[WHY_MAX];
	lsn_t left = 0;
	size_t size;

	for (size_t i = 0; i < memout_count(mem); i++)
		if (strstr(memout_name(mem, i), "00000002.history") != NULL) {
			const void *p = memout_bytes(mem, i, &size);

			assert_int_equal(
			    history_parse(p, size, 2, &h, why), HF_OK);
			left = history_end(&h, 1);
			history_clear(&h);
		}
	assert_true(left % SEG > 40);
	return left;
}

/* Those of the old primary go when the new one's segment has all of them. */
static void
old_pieces(const struct pgkit *b, struct memout *mem)
{
	lsn_t left = where_left(mem);
	const char *first, *second = NULL;
	struct follower f;

	for (int i = 0; i < 2; i++) {
		first = old_piece(mem, left, 0, 40);
		if (i == 1)
			second = old_piece(mem, left, 40, left % SEG + 1);
		begin(&f, b, mem);
		work(b, 1);
		until_confirmed(b);
		end_ok(&f);
		assert_int_equal(memlog_has(mem, first), i == 1);
	}
	assert_true(memlog_has(mem, second));
}

static void
a_promotion_is_followed(void **state)
{
	struct memout *mem = memlog_new();
	struct follower f;
	struct pgkit b;
	struct seen s;

	(void)state;
	make_standby(&b);
	begin(&f, &b, mem);
	pgkit_until(&b, "postgres",
	    "SELECT count(*) = 1 FROM pg_replication_slots WHERE active");
	work(&kit, 2);
	until_confirmed(&b);
	pgkit_sql(&b, "postgres", "SELECT pg_promote()");
	work(&b, 2);
	until_confirmed(&b);
	end_ok(&f);
	s = look(&b, mem);
	assert_int_equal(s.timeline, 2);
	assert_int_equal(s.histories, 1);
	assert_true(s.segments >= 3);
	assert_true(s.until >= confirmed(&b));
	/* One that begins later finds the way too. */
	begin(&f, &b, mem);
	work(&b, 1);
	until_confirmed(&b);
	end_ok(&f);
	assert_true(look(&b, mem).until > s.until);
	old_pieces(&b, mem);
	memout_free(mem);
	pgkit_stop(&b);
}

/* ---- killed ---- */

static pid_t
follow_apart(struct logfix *x)
{
	static struct follower f;
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid != 0)
		return pid;
	logfix_open(x, REPOFIX_ONE, LOGFIX_ONE);
	repo_log_prepare(x->log);
	prepare(&f, &kit, NULL);
	f.gate.inner = repo_log_out(x->log);
	_exit(follow(&f, repo_log_in(x->log)) == HF_OK ? 0 : 1);
}

static void
kill_it(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	pgkit_until(&kit, "postgres",
	    "SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE "
	    "active)");
}

static void
a_follower_that_is_killed_leaves_no_gap(void **state)
{
	struct logfix *x = calloc(1, sizeof *x);
	const char *is_long = getenv("HOLDFAST_TEST_LONG");
	int rounds = is_long != NULL && strcmp(is_long, "1") == 0 ? 60 : 5;
	uint64_t made;
	struct seen s;
	void *both[2];
	pid_t pid;

	(void)state;
	assert_non_null(x);
	logfix_begin(x);
	/* Here, so that it is known from where on it was confirmed. */
	pgkit_sql(&kit, "postgres",
	    "SELECT pg_create_physical_replication_slot('holdfast', true)");
	made = confirmed(&kit);
	for (int i = 0; i <= rounds; i++) {
		pid = follow_apart(x);
		pgkit_until(&kit, "postgres",
		    "SELECT count(*) = 1 FROM pg_replication_slots WHERE "
		    "active");
		work(&kit, i % 2);
		if (i < rounds)
			nap((long)(rand() % 700));
		else
			until_confirmed(&kit);
		kill_it(pid);
		/* All that it confirmed is there, and nothing else than what
		 * the server has. */
		logfix_open(x, REPOFIX_ONE, LOGFIX_ONE);
		s = (struct seen){ .kit = &kit, .killed = true };
		both[0] = &s;
		both[1] = repo_log_in(x->log);
		assert_int_equal(
		    host_table.in_list(both[1], see_log, both, &err), HF_OK);
		assert_true(
		    s.until >= confirmed(&kit) || confirmed(&kit) == made);
		logfix_close(x);
	}
	assert_true(s.segments > 0);
	logfix_end(x);
	free(x);
	drop_slot(&kit);
}

static int
start_server(void **state)
{
	(void)state;
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET wal_keep_size = '2GB'");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
	pgkit_sql(&kit, "postgres", "CREATE TABLE t (a int, b text)");
	return 0;
}

static int
stop_server(void **state)
{
	(void)state;
	pgkit_stop(&kit);
	return rmdir(scratch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_gets_what_the_server_has),
		cmocka_unit_test(one_slot_has_one_follower),
		cmocka_unit_test(a_server_that_restarts_is_followed_again),
		cmocka_unit_test(a_log_that_is_away_loses_nothing),
		cmocka_unit_test(
		    a_log_that_is_away_does_not_keep_a_server_from_stopping),
		cmocka_unit_test(other_bytes_in_the_log_are_an_error),
		cmocka_unit_test(a_follower_that_is_killed_leaves_no_gap),
		cmocka_unit_test(a_promotion_is_followed),
		cmocka_unit_test(wal_that_is_gone_is_skipped),
	};
	int rc;

	H = &host_table;
	if (pgkit_start_physical(&kit) == 77)
		return 77;
	if (mkdtemp(scratch) == NULL)
		return 1;
	rc = cmocka_run_group_tests(tests, start_server, stop_server);
	(void)rmdir(scratch);
	return rc;
}
