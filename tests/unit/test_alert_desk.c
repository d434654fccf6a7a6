/* The book of alerts in a real vault: one keeper, few commits, nothing lost with its process. */
#include "agent/alert_desk.h"
#include "agent/deliver_wire.h"
#include "agent/link.h"
#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/desk_kit.h"
#include "tests/support/vault_kit.h"

static const struct settings settings = { .interval_s = 21600, .expiry_warning_s = { 30 * 86400 } };
static const struct sink hook = { .name = "ops", .type = SINK_WEBHOOK, .remind_s = 86400 };

static const char *code_of(size_t i, char ret[PIXEL_CODE_MAX + 1])
{
	snprintf(ret, PIXEL_CODE_MAX + 1, "C%019zu", i);
	return ret;
}

static void store(struct vault *v, size_t count)
{
	struct error err;
	struct change_item items[100];
	struct put_job jobs[100];
	char codes[100][PIXEL_CODE_MAX + 1];
	for (size_t at = 0; at < count; at += 100) {
		size_t n = count - at < 100 ? count - at : 100;
		for (size_t i = 0; i < n; i++) {
			jobs[i] = (struct put_job){ .pixel = code_of(at + i, codes[i]),
						    .token = "0123456789abcdef0123456789abcdef01234567",
						    .label = (at + i) % 3 ? "minted-by=bert" : "minted-by=anna",
						    .is_promoted = true,
						    .now = 1700000000 };
			items[i] = (struct change_item){ .fn = put_one, .context = &jobs[i] };
		}
		vault_change_all(v, items, n);
		assert_true(items[n - 1].is_done);
		assert_true(vault_anchor_audit(v, &err));
	}
}

/* As a sweep does it: many in one commit. */
static void judge(struct vault *v, size_t from, size_t to, enum verdict verdict)
{
	struct error err;
	struct health_update *updates = calloc(to - from, sizeof *updates);
	assert_non_null(updates);
	for (size_t i = from; i < to; i++) {
		struct health_update *u = &updates[i - from];
		code_of(i, u->pixel);
		u->health.current =
			(struct judgement){ .version = 1,
					    .verdict = verdict,
					    .evidence = { .probe = PROBE_TEST, .code = NO_CODE, .at = clock_wall() },
					    .checked_at = clock_wall() };
	}
	assert_true(vault_store_health(v, updates, to - from, &err));
	free(updates);
}

static struct alert_desk *desk_of(struct vault *v, bool is_ours)
{
	struct alert_desk *d;
	struct error err;
	bool was_claimed;
	assert_true(alert_desk_new(v, &settings, NULL, &d, &err));
	assert_true(alert_desk_set_sinks(d, &hook, 1, &err));
	assert_true(alert_desk_claim(d, 0, &was_claimed, &err));
	assert_int_equal(was_claimed, is_ours);
	return d;
}

static void look(struct alert_desk *d)
{
	struct error err;
	if (!alert_desk_look(d, &err))
		fail_msg("look: %s", err.message);
	assert_false(alert_desk_trouble(d, &err));
}

static uint64_t revision(struct vault *v)
{
	struct vault_position at;
	struct error err;
	assert_true(vault_position(v, &at, &err));
	return at.rev;
}

static void desk__takes_what_a_sweep_found_in_one_commit_and_nothing_new_in_none(void **state)
{
	(void)state;
	struct vault *v = open_it();
	store(v, 300);
	struct alert_desk *d = desk_of(v, true);
	look(d);
	uint64_t before = revision(v);
	for (size_t i = 0; i < 300; i += 3)
		judge(v, i, i + 1, VERDICT_REVOKED);
	before += 100;
	assert_int_equal(revision(v), before);
	look(d);
	assert_int_equal(revision(v), before + 1);
	assert_int_equal(count_of(d, "\"id\""), 1);
	assert_int_equal(count_of(d, "all have the label minted-by=anna"), 1);
	look(d);
	assert_int_equal(revision(v), before + 1);
	alert_desk_free(d);
	vault_close(v);
}

static void desk__is_one_persons_and_the_book_the_next_ones(void **state)
{
	(void)state;
	struct vault *v = open_it(), *other = open_it();
	struct error err;
	store(v, 3);
	judge(v, 0, 1, VERDICT_EXPIRED);
	struct alert_desk *first = desk_of(v, true), *second = desk_of(other, false);
	look(first);
	assert_int_equal(count_of(second, "\"waits\":\"alert\""), 1); /* reads along */
	look(second);
	assert_false(alert_desk_ack(second, "7Q2M-9FKD", 0, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	alert_desk_free(second);
	alert_desk_free(first);
	second = desk_of(other, true);
	uint64_t before = revision(other);
	look(second);
	assert_int_equal(revision(other), before); /* nothing is new to it */
	assert_int_equal(count_of(second, "\"waits\":\"alert\""), 1);
	alert_desk_free(second);
	vault_close(other);
	vault_close(v);
}

static void desk__is_not_misled_by_a_record_that_does_not_open(void **state)
{
	(void)state;
	struct vault *v = open_it();
	store(v, 3);
	judge(v, 0, 1, VERDICT_EXPIRED);
	struct alert_desk *d = desk_of(v, true);
	look(d);
	sqlite3 *db = sql_open();
	sql_do(db, "UPDATE kv SET v = zeroblob(length(v)) WHERE k LIKE 'e1/m/%'");
	sqlite3_close(db);
	look(d);
	assert_int_equal(count_of(d, "\"kind\":\"damaged\""), 1);
	assert_int_equal(count_of(d, "\"kind\":\"refused\""), 1);
	assert_int_equal(count_of(d, "\"state\":\"open\""), 2);
	alert_desk_free(d);
	vault_close(v);
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void desk__stands_a_storm_of_ten_thousand(void **state)
{
	(void)state;
	struct vault *v = open_it();
	size_t count = getenv("UNDER_VALGRIND") ? 300 : 10000;
	store(v, count);
	struct alert_desk *d = desk_of(v, true);
	double looking = 0;
	for (int round = 0; round < 3; round++)
		for (int well = 0; well < 2; well++) {
			judge(v, 0, count, well ? VERDICT_HEALTHY : VERDICT_REVOKED);
			uint64_t before = revision(v);
			double began = now_s();
			look(d);
			looking += now_s() - began;
			assert_in_range(revision(v) - before, 0, 1);
		}
	print_message("a look at %zu Pixels takes %.0f ms\n", count, looking / 6 * 1000);
	/* However it was grouped: a few causes, each of which owes its sink one message. */
	assert_in_range(count_of(d, "\"id\""), 1, 3);
	assert_in_range(count_of(d, "\"waits\":\"alert\"") + count_of(d, "\"waits\":\"recovery\""), 1, 3);
	assert_int_equal(count_of(d, "\"state\":\"open\""), 0);
	alert_desk_free(d);
	vault_close(v);
}

/* A sweep ended well and the settings are read anew before the ping was sent: whose is it? */
static void desk__owes_a_ping_to_the_sink_of_that_name_wherever_it_stands_after_a_reload(void **state)
{
	(void)state;
	static const struct sink before[] = { { .name = "alive", .type = SINK_PING }, { .name = "gone", .type = SINK_PING } },
				 after[] = { { .name = "new", .type = SINK_PING }, { .name = "alive", .type = SINK_PING } };
	struct vault *v = open_it();
	struct deliver *deliver;
	struct alert_desk *d;
	struct link_message message;
	struct error err;
	int link[2], fd;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
	assert_true(deliver_new(NULL, link[0], &deliver, &err));
	assert_true(alert_desk_new(v, &settings, deliver, &d, &err));
	assert_true(alert_desk_set_sinks(d, before, COUNT_OF(before), &err));
	alert_desk_ping(d);
	assert_true(alert_desk_set_sinks(d, after, COUNT_OF(after), &err));
	(void)alert_desk_turn(d);
	assert_int_equal(link_receive(link[1], &message, &fd), LINK_GOT_MESSAGE);
	assert_string_equal(message.text, "alive");
	close(fd);
	assert_int_equal(link_receive(link[1], &message, &fd), LINK_GOT_NOTHING);
	alert_desk_free(d);
	deliver_free(deliver);
	close(link[0]);
	close(link[1]);
	vault_close(v);
}

static void book__is_whole_or_not_there(void **state)
{
	(void)state;
	struct vault *v = open_it();
	struct error err;
	struct buf book = BUF_INIT(1 << 20);
	static uint8_t text[40000];
	size_t parts;
	memset(text, 'x', sizeof text);
	struct book b = { "long", bytes_of(text, sizeof text), 0 };
	assert_true(vault_book(v, "long", &book, &parts, &err));
	assert_int_equal(book.len + parts, 0);
	assert_true(vault_store_books(v, &b, 1, &err));
	assert_true(vault_book(v, "long", &book, &parts, &err));
	assert_true(bytes_equal(buf_bytes(&book), b.value));
	assert_int_equal(parts, 3);
	b = (struct book){ "long", bytes_of("y", 1), parts };
	assert_true(vault_store_books(v, &b, 1, &err));
	assert_true(vault_book(v, "long", &book, &parts, &err));
	assert_true(bytes_equal(buf_bytes(&book), bytes_of("y", 1)));
	assert_int_equal(parts, 1);
	b = (struct book){ "long", bytes_of(text, sizeof text), parts };
	assert_true(vault_store_books(v, &b, 1, &err));
	sqlite3 *db = sql_open();
	sql_do(db, "CREATE TEMP TABLE old AS SELECT v FROM kv WHERE k = 'e1/a/long-1'");
	assert_true(vault_store_books(v, &b, 1, &err));
	sql_do(db, "UPDATE kv SET v = (SELECT v FROM old) WHERE k = 'e1/a/long-1'"); /* of another writing */
	assert_true(vault_book(v, "long", &book, &parts, &err));
	assert_int_equal(book.len, 0);
	sql_do(db, "DELETE FROM kv WHERE k = 'e1/a/long-1'");
	assert_true(vault_book(v, "long", &book, &parts, &err));
	assert_int_equal(book.len, 0);
	sqlite3_close(db);
	buf_done(&book);
	vault_close(v);
}

struct tested {
	size_t told;
	enum error_code code;
};

static void keep_tested(void *context, const struct delivery_result *result, const struct error *err)
{
	struct tested *t = context;
	t->told++;
	t->code = err && !result ? err->code : ERR_NONE;
}

/* What became of a message of a desk that is gone is not taken for what became of the next desk's: an alert would count as told. */
static void desk__is_not_told_of_what_another_one_sent(void **state)
{
	(void)state;
	static const struct sink sinks[] = { { .name = "slow", .type = SINK_WEBHOOK }, { .name = "other", .type = SINK_WEBHOOK } };
	struct receipt receipt = { .version = PARCEL_VERSION, .outcome = DELIVERY_DONE };
	struct tested first = { .told = 0 }, second = { .told = 0 };
	struct vault *v = open_it();
	struct deliver *deliver;
	struct alert_desk *d;
	struct link_message m;
	struct error err;
	int link[2], messengers[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
	assert_true(deliver_new(NULL, link[0], &deliver, &err));
	for (size_t i = 0; i < 2; i++) {
		assert_true(alert_desk_new(v, &settings, deliver, &d, &err));
		assert_true(alert_desk_set_sinks(d, sinks, COUNT_OF(sinks), &err));
		alert_desk_test(d, sinks[i].name, keep_tested, i ? &second : &first);
		(void)alert_desk_turn(d);
		assert_int_equal(link_receive(link[1], &m, &messengers[i]), LINK_GOT_MESSAGE);
		if (i == 0)
			alert_desk_free(d);
	}
	assert_int_equal(first.told, 1); /* that it was cut short */
	assert_int_equal(write(messengers[0], &receipt, sizeof receipt), sizeof receipt);
	close(messengers[0]);
	for (int i = 0; i < 5; i++)
		(void)alert_desk_turn(d);
	assert_int_equal(second.told, 0);
	assert_int_equal(write(messengers[1], &receipt, sizeof receipt), sizeof receipt);
	close(messengers[1]);
	for (int i = 0; i < 5; i++)
		(void)alert_desk_turn(d);
	assert_int_equal(second.told, 1);
	assert_int_equal(second.code, ERR_NONE);
	alert_desk_free(d);
	deliver_free(deliver);
	close(link[0]);
	close(link[1]);
	vault_close(v);
}

/* By who keeps it, of an alert that stands, with an id that is one. */
static void book__is_acknowledged_in_by_its_keeper_alone(void **state)
{
	struct error err;
	struct buf text = BUF_INIT((size_t)1 << 20);
	struct json j = JSON_INIT(&text);
	struct tested tested = { .told = 0 };
	char id[16] = "";
	bool is_ours;
	(void)state;
	struct vault *v = open_it(), *other = open_it();
	store(v, 3);
	judge(v, 0, 1, VERDICT_REVOKED);
	struct alert_desk *d = desk_of(v, true), *second = desk_of(other, false);
	assert_true(alert_desk_claim(d, 0, &is_ours, &err) && is_ours); /* it is already */
	look(d);
	json_object(&j, NULL);
	assert_true(alert_desk_json(d, &j, &err));
	json_end_object(&j);
	buf_append(&text, "", 1);
	const char *at = strstr((const char *)text.at, "\"id\":\"");
	assert_non_null(at);
	snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 6, "\""), at + 6);
	assert_false(alert_desk_ack(d, "nonsense!", 0, &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_false(alert_desk_ack(d, "7Q2M-9FKD", 0, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(alert_desk_ack(second, id, 0, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_true(alert_desk_ack(d, id, 3600, &err));
	assert_true(alert_desk_ack(d, id, 0, &err));
	judge(v, 0, 1, VERDICT_HEALTHY);
	look(d);
	alert_desk_test(d, "nobody", keep_tested, &tested);
	assert_int_equal(tested.code, ERR_NOT_FOUND);
	alert_desk_test(d, "ops", keep_tested, &tested); /* nothing can be sent here */
	assert_int_equal(tested.code, ERR_CONFLICT);
	assert_int_equal(tested.told, 2);
	buf_done(&text);
	alert_desk_free(d);
	alert_desk_free(second);
	vault_close(other);
	vault_close(v);
}

/* More than a message names: the gravest are named, and the rest counted. */
static void desk__names_the_gravest_in_a_message_and_counts_the_rest(void **state)
{
	int pair[2];
	struct error err;
	struct deliver *deliver;
	struct alert_desk *d;
	bool is_ours;
	(void)state;
	struct vault *v = open_it();
	store(v, 100);
	put_label(v, "C0000000000000000007", "weight=50");
	judge(v, 0, 100, VERDICT_REVOKED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_true(deliver_new(NULL, pair[0], &deliver, &err));
	assert_true(alert_desk_new(v, &settings, deliver, &d, &err) && alert_desk_set_sinks(d, &hook, 1, &err));
	assert_true(alert_desk_claim(d, 0, &is_ours, &err) && is_ours);
	look(d);
	(void)alert_desk_turn(d);
	assert_true(deliver_open(deliver) > 0); /* handed to the supervisor, to be taken to a messenger */
	alert_desk_finish(d, clock_boot_ms() + 10);
	alert_desk_drain(d, clock_boot_ms() + 10);
	alert_desk_free(d);
	deliver_free(deliver);
	close(pair[0]);
	close(pair[1]);
	vault_close(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(desk__takes_what_a_sweep_found_in_one_commit_and_nothing_new_in_none,
						vault_make, scratch_remove),
		cmocka_unit_test_setup_teardown(desk__is_one_persons_and_the_book_the_next_ones, vault_make,
						scratch_remove),
		cmocka_unit_test_setup_teardown(desk__is_not_misled_by_a_record_that_does_not_open, vault_make,
						scratch_remove),
		cmocka_unit_test_setup_teardown(desk__owes_a_ping_to_the_sink_of_that_name_wherever_it_stands_after_a_reload,
						vault_make, scratch_remove),
		cmocka_unit_test_setup_teardown(desk__stands_a_storm_of_ten_thousand, vault_make, scratch_remove),
		cmocka_unit_test_setup_teardown(desk__is_not_told_of_what_another_one_sent, vault_make, scratch_remove),
		cmocka_unit_test_setup_teardown(book__is_acknowledged_in_by_its_keeper_alone, vault_make, scratch_remove),
		cmocka_unit_test_setup_teardown(desk__names_the_gravest_in_a_message_and_counts_the_rest, vault_make,
						scratch_remove),
		cmocka_unit_test_setup_teardown(book__is_whole_or_not_there, vault_make, scratch_remove),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
