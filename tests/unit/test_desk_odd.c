/* The book of alerts where something is odd: one damaged record among sound ones, decoys that were asked for, sinks that
 * come, go and move while messages are on their way, no memory, and a store that gives nothing. What is wrong is told
 * once it can be told, and nothing is forgotten. */
#include "tests/support/failing.h"

#include "agent/alert_desk.h"
#include "agent/decoy.h"
#include "agent/deliver_wire.h"
#include "agent/link.h"
#include "core/clock.h"

#include <setjmp.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/support/desk_kit.h"
#include "tests/support/vault_kit.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B9G"
#define C "C2U2T02IU8J6B9GC2B9G"
#define D "C3U2T02IU8J6B9GC2B9G"
#define TOKEN "0123456789abcdef0123456789abcdef0123456"

static const struct settings settings = { .interval_s = 21600, .expiry_warning_s = { 30 * 86400 } };
static const struct sink ops = { .name = "ops", .type = SINK_WEBHOOK, .remind_s = 86400 },
			 chat = { .name = "chat", .type = SINK_SLACK, .remind_s = 86400 },
			 alive = { .name = "alive", .type = SINK_PING };

static void judge(struct vault *v, const char *pixel, enum verdict verdict, const char *belongs_to)
{
	struct error err;
	struct health_update u = { .pixel = "" };
	strcpy(u.pixel, pixel);
	u.health.current = (struct judgement){ .version = 1,
					       .verdict = verdict,
					       .evidence = { .probe = PROBE_TEST, .code = NO_CODE, .at = clock_wall() },
					       .checked_at = clock_wall() };
	strcpy(u.health.current.belongs_to, belongs_to);
	assert_true(vault_store_health(v, &u, 1, &err));
}

/* A is well, B refused, C has the token of A, D is a decoy. */
static struct vault *filled(void)
{
	struct vault *v = open_it();
	struct credential c;
	struct error err;
	if (vault_find(v, A, false, &c, &err))
		return v;
	put_token(v, A, TOKEN "0");
	put_token(v, B, TOKEN "1");
	put_token(v, C, TOKEN "2");
	put_token(v, D, TOKEN "3");
	put_label(v, D, DECOY_LABEL "=yes");
	judge(v, A, VERDICT_HEALTHY, "");
	judge(v, B, VERDICT_REVOKED, "");
	judge(v, C, VERDICT_MISMATCHED, A);
	return v;
}

/* ---- a desk, and whoever sends what it writes ---- */

struct bench {
	struct vault *v;
	struct alert_desk *d;
	struct deliver *deliver;
	int link[2];
};

static struct bench open_bench(const struct sink *sinks, size_t count)
{
	struct bench b = { .v = filled() };
	struct error err;
	bool is_ours;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, b.link), 0);
	assert_true(deliver_new(NULL, b.link[0], &b.deliver, &err));
	assert_true(alert_desk_new(b.v, &settings, b.deliver, &b.d, &err));
	assert_true(alert_desk_set_sinks(b.d, sinks, count, &err));
	assert_true(alert_desk_claim(b.d, 0, &is_ours, &err) && is_ours);
	return b;
}

static void close_bench(struct bench *b)
{
	alert_desk_free(b->d);
	deliver_free(b->deliver);
	close(b->link[0]);
	close(b->link[1]);
	vault_close(b->v);
}

static void look(struct bench *b)
{
	struct error err;
	if (!alert_desk_look(b->d, &err) || alert_desk_trouble(b->d, &err))
		fail_msg("look: %s", err.message);
}

/* What was sent: the messenger's descriptor, or -1. */
static int sent(const struct bench *b, char sink[SINK_NAME_MAX + 1])
{
	struct link_message m;
	int fd = -1;
	if (link_receive(b->link[1], &m, &fd) != LINK_GOT_MESSAGE)
		return -1;
	snprintf(sink, SINK_NAME_MAX + 1, "%.*s", (int)SINK_NAME_MAX, m.text);
	return fd;
}

static void end_with(struct bench *b, int fd, enum delivery_outcome outcome, struct parcel *ret)
{
	static struct parcel parcel;
	struct receipt r = { .version = PARCEL_VERSION, .outcome = (int32_t)outcome };
	if (outcome != DELIVERY_DONE)
		strcpy(r.reason, "it said no");
	size_t got = 0;
	for (int i = 0; i < 1000 && got < sizeof parcel; i++) {
		ssize_t some = recv(fd, (uint8_t *)&parcel + got, sizeof parcel - got, MSG_DONTWAIT);
		got += some > 0 ? (size_t)some : 0;
		(void)alert_desk_turn(b->d);
	}
	assert_int_equal(got, sizeof parcel);
	if (ret)
		*ret = parcel;
	assert_int_equal(send(fd, &r, sizeof r, MSG_NOSIGNAL), sizeof r);
	close(fd);
	alert_desk_drain(b->d, clock_boot_ms() + 100);
}

/* ---- damage ---- */

static void desk__tells_the_damaged_from_the_sound_one_by_one(void **state)
{
	struct error err;
	(void)state;
	struct bench b = open_bench(&ops, 1);
	look(&b);
	assert_int_equal(count_of(b.d, "\"kind\":\"damaged\""), 0);
	size_t before = count_of(b.d, "\"kind\":\"refused\"");
	assert_true(before > 0);
	sqlite3 *db = sql_open();
	sql_do(db, "UPDATE kv SET v = zeroblob(length(v)) WHERE k = (SELECT max(k) FROM kv WHERE k LIKE 'e1/t/%')");
	sqlite3_close(db);
	look(&b); /* reads no token */
	assert_int_equal(count_of(b.d, "\"kind\":\"damaged\""), 0);
	alert_desk_doubt(b.d); /* and from now on each look reads all */
	look(&b);
	assert_int_equal(count_of(b.d, "\"kind\":\"damaged\""), 1);
	db = sql_open();
	sql_do(db, "UPDATE kv SET v = zeroblob(length(v)) WHERE k = (SELECT min(k) FROM kv WHERE k LIKE 'e1/m/%')");
	sqlite3_close(db);
	look(&b);
	assert_true(count_of(b.d, "\"kind\":\"damaged\"") == 2 || count_of(b.d, "2 Pixels") == 1);
	assert_false(alert_desk_trouble(b.d, &err));
	close_bench(&b);
}

static bool delete_one(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	if (!change_find(ch, context, &c, &exists, err) || !exists)
		return false;
	c.deleted_at = clock_wall();
	return change_store(ch, &c, err);
}

static void desk__of_what_was_removed_says_nothing_also_where_it_reads_all(void **state)
{
	(void)state;
	struct bench b = open_bench(&ops, 1);
	struct change_item item = { .fn = delete_one, .context = (void *)(uintptr_t)B };
	vault_change_all(b.v, &item, 1);
	assert_true(item.is_done);
	judge(b.v, C, VERDICT_HEALTHY, "");
	alert_desk_doubt(b.d);
	look(&b);
	assert_int_equal(count_of(b.d, "\"id\""), 0);
	close_bench(&b);
}

/* ---- decoys ---- */

static void mark(struct vault *v, const char *pixel, const char *consumer, int64_t at)
{
	struct error err;
	struct read_mark m = { .at = at, .version = 1 };
	strcpy(m.name, consumer);
	assert_true(vault_mark_read(v, pixel, &m, &err));
}

static void desk__of_a_decoy_tells_the_first_of_those_who_asked_lately(void **state)
{
	struct credential c;
	struct health h;
	struct error err;
	(void)state;
	struct bench b = open_bench(&ops, 1);
	look(&b);
	assert_int_equal(count_of(b.d, "\"kind\":\"decoy\""), 0);
	assert_true(alert_desk_is_decoy(b.d, D));
	assert_false(alert_desk_is_decoy(b.d, A));
	assert_true(vault_find(b.v, D, false, &c, &err) && vault_health(b.v, &c, &h, &err));
	assert_true(alert_desk_is_news(b.d, &c, &h)); /* a look will tell */
	c.label_count = 0; /* as long as the last look had it so */
	assert_true(alert_desk_is_news(b.d, &c, &h));
	int64_t now = clock_wall();
	mark(b.v, D, "long-ago", now - DECOY_ALARM_S - 60);
	look(&b);
	assert_int_equal(count_of(b.d, "\"kind\":\"decoy\""), 0);
	mark(b.v, D, "second", now - 50);
	mark(b.v, D, "first", now - 500);
	mark(b.v, D, "third", now - 5);
	look(&b);
	assert_int_equal(count_of(b.d, "\"kind\":\"decoy\""), 1);
	close_bench(&b);
}

/* ---- sinks that come and go ---- */

static void desk__knows_a_sink_by_its_name_while_a_message_is_on_its_way(void **state)
{
	char sink[SINK_NAME_MAX + 1];
	struct error err;
	struct parcel parcel;
	(void)state;
	const struct sink before[] = { ops, chat }, after[] = { chat };
	struct bench b = open_bench(before, 2);
	int fds[2];
	look(&b);
	(void)alert_desk_turn(b.d);
	for (size_t i = 0; i < 2; i++) {
		fds[i] = sent(&b, sink);
		assert_true(fds[i] >= 0);
		assert_string_equal(sink, before[i].name);
	}
	assert_true(alert_desk_set_sinks(b.d, after, 1, &err)); /* the first is named no more, the second moved up */
	end_with(&b, fds[1], DELIVERY_DONE, &parcel);
	assert_int_equal(parcel.type, SINK_SLACK);
	assert_int_equal(count_of(b.d, "\"sink\":\"chat\",\"told\":\"alert\""), 1);
	assert_int_equal(count_of(b.d, "\"sink\":\"ops\",\"told\":\"alert\""), 0);
	end_with(&b, fds[0], DELIVERY_DONE, &parcel); /* and it was told before it knew of that */
	assert_int_equal(count_of(b.d, "\"sink\":\"ops\",\"told\":\"alert\""), 1);
	assert_true(alert_desk_set_sinks(b.d, before, 2, &err));
	close_bench(&b);
}

struct told {
	size_t times, failed;
	enum error_code code;
};

static void keep_told(void *context, const struct delivery_result *r, const struct error *err)
{
	struct told *t = context;
	t->times++;
	t->failed += !r || r->outcome != DELIVERY_DONE;
	t->code = r ? ERR_NONE : err->code;
}

static void desk__that_ends_says_so_to_whoever_tries_a_sink(void **state)
{
	char sink[SINK_NAME_MAX + 1];
	struct told first = { .times = 0 }, many = { .times = 0 };
	(void)state;
	const struct sink both[] = { ops, alive };
	struct bench b = open_bench(both, 2);
	judge(b.v, B, VERDICT_HEALTHY, "");
	judge(b.v, C, VERDICT_HEALTHY, "");
	alert_desk_test(b.d, "ops", keep_told, &first);
	int fd = sent(&b, sink);
	end_with(&b, fd, DELIVERY_REFUSED, NULL);
	assert_int_equal(first.times, 1);
	assert_int_equal(first.failed, 1);
	alert_desk_test(b.d, "alive", keep_told, &first);
	fd = sent(&b, sink);
	assert_string_equal(sink, "alive");
	struct parcel parcel;
	end_with(&b, fd, DELIVERY_DONE, &parcel);
	assert_false(parcel.has_message);
	assert_int_equal(first.times, 2);
	assert_int_equal(first.failed, 1);
	/* More at a time than there is room for: those beyond are told at once. */
	for (size_t i = 0; i < DELIVER_OPEN_MAX + 2; i++)
		alert_desk_test(b.d, "ops", keep_told, &many);
	assert_int_equal(many.times, 2);
	assert_int_equal(many.code, ERR_CONFLICT);
	alert_desk_ping(b.d); /* waits for room */
	(void)alert_desk_turn(b.d);
	close_bench(&b);
	assert_int_equal(many.times, DELIVER_OPEN_MAX + 2);
	assert_int_equal(many.failed, DELIVER_OPEN_MAX + 2);
}

static void desk__passes_over_a_ping_that_does_not_arrive(void **state)
{
	char sink[SINK_NAME_MAX + 1];
	struct error err;
	(void)state;
	struct bench b = open_bench(&alive, 1);
	alert_desk_ping(b.d);
	(void)alert_desk_turn(b.d);
	end_with(&b, sent(&b, sink), DELIVERY_LATER, NULL);
	(void)alert_desk_turn(b.d);
	assert_int_equal(sent(&b, sink), -1); /* the next sweep owes another one */
	assert_false(alert_desk_trouble(b.d, &err));
	struct settings other = settings;
	other.interval_s = 60;
	alert_desk_set_settings(b.d, &other);
	look(&b);
	close_bench(&b);
}

/* ---- nothing that can be had ---- */

#ifndef IS_SANITIZED
static const struct fault {
	enum failing_kind kind;
	int error;
	size_t step;
} faults[] = { { FAIL_MEMORY, ENOMEM, 7 }, { FAIL_READS, EIO, 3 }, { FAIL_WRITES, ENOSPC, 2 }, { FAIL_SYNCS, EIO, 1 } };

/* A look, what it sends, a sink that is tried, and what is shown. Each trouble is told. */
static bool works(struct bench *b, struct told *told, struct error *err)
{
	struct buf text = BUF_INIT((size_t)1 << 20);
	struct json j = JSON_INIT(&text);
	bool is_done = alert_desk_look(b->d, err) && !alert_desk_trouble(b->d, err);
	(void)alert_desk_turn(b->d);
	alert_desk_test(b->d, "chat", keep_told, told);
	json_object(&j, NULL);
	is_done = is_done && alert_desk_json(b->d, &j, err) && !alert_desk_trouble(b->d, err);
	json_end_object(&j);
	buf_done(&text);
	return is_done;
}

static void forget_sent(const struct bench *b)
{
	char sink[SINK_NAME_MAX + 1];
	for (int fd; (fd = sent(b, sink)) >= 0;)
		close(fd);
}

static void desk__that_can_have_nothing_forgets_nothing(void **state)
{
	const struct sink both[] = { ops, chat };
	(void)state;
	for (size_t f = 0; f < COUNT_OF(faults); f++) {
		bool fails = true;
		for (size_t n = 1; fails; n += failing_all() && f ? 1 : failing_all() ? 3 : faults[f].step) {
			struct bench b = open_bench(both, 2);
			struct told told = { .times = 0 };
			struct error err = { .code = ERR_NONE };
			failing_from(faults[f].kind, faults[f].error, n, FAIL_EVER);
			bool is_done = works(&b, &told, &err);
			fails = failing_stop() > 0;
			if (!is_done && (!fails || err.code == ERR_NONE || !err.message[0] || !err.hint[0]))
				fail_msg("kind %zu, point %zu: code %d \"%s\"", f, n, err.code, err.message);
			forget_sent(&b);
			(void)alert_desk_trouble(b.d, &err);
			if (!alert_desk_look(b.d, &err) || count_of(b.d, "\"kind\":\"refused\"") == 0)
				fail_msg("kind %zu, point %zu, afterwards: %s", f, n, err.message);
			close_bench(&b);
			assert_int_equal(told.times, 1);
			sqlite3 *db = sql_open(); /* begun anew */
			sql_do(db, "DELETE FROM kv WHERE k LIKE 'e1/a/%'");
			sqlite3_close(db);
		}
	}
}
#endif

int main(void)
{
#define TESTED(name) cmocka_unit_test_setup_teardown(name, vault_make_in_memory, scratch_remove)
	const struct CMUnitTest tests[] = {
		TESTED(desk__tells_the_damaged_from_the_sound_one_by_one),
		TESTED(desk__of_what_was_removed_says_nothing_also_where_it_reads_all),
		TESTED(desk__of_a_decoy_tells_the_first_of_those_who_asked_lately),
		TESTED(desk__knows_a_sink_by_its_name_while_a_message_is_on_its_way),
		TESTED(desk__that_ends_says_so_to_whoever_tries_a_sink),
		TESTED(desk__passes_over_a_ping_that_does_not_arrive),
#ifndef IS_SANITIZED
		TESTED(desk__that_can_have_nothing_forgets_nothing),
#endif
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
