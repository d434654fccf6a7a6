/* agent/deliver, as the keeper has it: the test is the supervisor and the messengers, good ones and broken ones. */
#include "agent/deliver.h"
#include "agent/deliver_wire.h"
#include "agent/link.h"
#include "core/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct deliver *d;
static int supervisor;
static struct alert_message message;
static struct parcel parcel;

static int begin(void **state)
{
	(void)state;
	int pair[2];
	struct error err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	supervisor = pair[0];
	message.entry_count = 1;
	snprintf(message.title, sizeof message.title, "one Pixel");
	return deliver_new(NULL, pair[1], &d, &err) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	deliver_freep(&d);
	close(supervisor);
	return 0;
}

static void send_one(uint64_t id)
{
	struct delivery one = { .id = id, .type = SINK_WEBHOOK, .sink = "ops", .message = &message };
	deliver_send(d, &one);
}

/* What the supervisor gets for it: the messenger's descriptor. */
static int messenger(void)
{
	struct link_message m;
	int fd;
	assert_int_equal(link_receive(supervisor, &m, &fd), LINK_GOT_MESSAGE);
	assert_int_equal(m.kind, LINK_MESSENGER);
	assert_true(fd >= 0);
	return fd;
}

/* The parcel is written as far as the socket takes it, and the rest when there is room. */
static void read_parcel(int fd)
{
	struct delivery_result none;
	size_t got = 0;
	while (got < sizeof parcel) {
		assert_false(deliver_next(d, 0, &none));
		ssize_t some = recv(fd, (uint8_t *)&parcel + got, sizeof parcel - got, MSG_DONTWAIT);
		assert_true(some > 0);
		got += (size_t)some;
	}
}

static struct receipt receipt(enum delivery_outcome outcome, const char *reason)
{
	struct receipt r = { .version = PARCEL_VERSION, .outcome = (int32_t)outcome };
	snprintf(r.reason, sizeof r.reason, "%s", reason);
	return r;
}

static void answer(int fd, const struct receipt *r)
{
	assert_int_equal(send(fd, r, sizeof *r, MSG_NOSIGNAL), sizeof *r);
	close(fd);
}

static struct delivery_result next(void)
{
	struct delivery_result result;
	assert_true(deliver_next(d, 5000, &result));
	return result;
}

static void deliver__what_is_sent_comes_whole_and_its_outcome_comes_back(void **state)
{
	(void)state;
	send_one(7);
	int fd = messenger();
	read_parcel(fd);
	assert_int_equal(parcel.version, PARCEL_VERSION);
	assert_string_equal(parcel.sink, "ops");
	assert_string_equal(parcel.message.title, "one Pixel");
	struct receipt r = receipt(DELIVERY_LATER, "HTTP 429");
	r.retry_after_s = 30;
	answer(fd, &r);
	struct delivery_result result = next();
	assert_int_equal(result.id, 7);
	assert_int_equal(result.outcome, DELIVERY_LATER);
	assert_int_equal(result.retry_after_s, 30);
	assert_string_equal(result.reason, "HTTP 429");
	assert_int_equal(deliver_open(d), 0);
}

static void deliver__outcomes_come_in_the_order_of_their_coming(void **state)
{
	(void)state;
	int fds[DELIVER_OPEN_MAX];
	struct receipt r = receipt(DELIVERY_DONE, "");
	for (uint64_t i = 0; i < DELIVER_OPEN_MAX; i++) {
		assert_true(deliver_has_room(d));
		send_one(i);
		fds[i] = messenger();
	}
	assert_false(deliver_has_room(d));
	for (uint64_t i = DELIVER_OPEN_MAX; i-- > 0;) {
		answer(fds[i], &r);
		assert_int_equal(next().id, i);
	}
	assert_int_equal(deliver_wait_ms(d), INT64_MAX);
}

static void deliver__a_messenger_that_ends_without_a_word_or_in_the_middle_of_it(void **state)
{
	(void)state;
	struct receipt r = receipt(DELIVERY_DONE, "");
	for (size_t len = 0; len < sizeof r; len += 50) {
		send_one(len);
		int fd = messenger();
		read_parcel(fd);
		assert_int_equal(send(fd, &r, len, MSG_NOSIGNAL), len);
		close(fd);
		struct delivery_result result = next();
		assert_int_equal(result.outcome, DELIVERY_LATER);
		assert_non_null(strstr(result.reason, "without a word"));
	}
}

static void deliver__a_receipt_that_no_messenger_of_ours_writes_is_not_believed(void **state)
{
	(void)state;
	struct receipt bad[6];
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		bad[i] = receipt(DELIVERY_DONE, "");
	bad[0].version++;
	bad[1].outcome = 3;
	bad[2].outcome = -1;
	bad[3].retry_after_s = -1;
	memset(bad[4].reason, 'x', sizeof bad[4].reason);
	snprintf(bad[5].reason, sizeof bad[5].reason, "x\x1b[31m");
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		send_one(i);
		int fd = messenger();
		read_parcel(fd);
		answer(fd, &bad[i]);
		struct delivery_result result = next();
		assert_int_equal(result.outcome, DELIVERY_LATER);
		assert_non_null(strstr(result.reason, "another version"));
	}
}

static void deliver__a_supervisor_that_does_not_listen(void **state)
{
	(void)state;
	close(supervisor);
	supervisor = -1;
	send_one(1);
	struct delivery_result result = next();
	assert_int_equal(result.outcome, DELIVERY_LATER);
	assert_non_null(strstr(result.reason, "does not listen"));
}

static void deliver__nothing_under_way_is_nothing_to_wait_for(void **state)
{
	(void)state;
	struct delivery_result result;
	int64_t before = clock_boot_ms();
	assert_false(deliver_next(d, 60000, &result));
	assert_in_range(clock_boot_ms() - before, 0, 1000);
	send_one(1);
	assert_false(deliver_next(d, 20, &result));
	assert_in_range(deliver_wait_ms(d), 50000, 80000);
	close(messenger());
	assert_int_equal(next().outcome, DELIVERY_LATER);
}

#define DESCRIPTORS 64

/* A process that is being started has all our descriptors for a moment: so the end of a delivery is not the end of its
 * socket, and what still happens on that concerns nobody. */
static void deliver__what_is_over_says_nothing_more_while_another_process_is_started(void **state)
{
	(void)state;
	bool was_open[DESCRIPTORS];
	int held[DESCRIPTORS];
	size_t count = 0;
	struct delivery_result none;
	for (int i = 0; i < DESCRIPTORS; i++)
		was_open[i] = fcntl(i, F_GETFD) >= 0;
	send_one(7);
	for (int i = 0; i < DESCRIPTORS; i++)
		if (!was_open[i] && fcntl(i, F_GETFD) >= 0)
			held[count++] = fcntl(i, F_DUPFD_CLOEXEC, DESCRIPTORS);
	int first = messenger();
	read_parcel(first);
	struct receipt r = receipt(DELIVERY_DONE, "");
	answer(first, &r);
	assert_int_equal(next().id, 7);
	send_one(8);
	send_one(9); /* the place of the first one is taken, the next one's is not */
	int second = messenger(), third = messenger();
	read_parcel(second);
	read_parcel(third);
	answer(second, &r);
	assert_int_equal(next().id, 8);
	assert_false(deliver_next(d, 50, &none));
	answer(third, &r);
	assert_int_equal(next().id, 9);
	assert_int_equal(deliver_open(d), 0);
	while (count)
		close(held[--count]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(deliver__##name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(what_is_over_says_nothing_more_while_another_process_is_started),
		TEST(what_is_sent_comes_whole_and_its_outcome_comes_back),
		TEST(outcomes_come_in_the_order_of_their_coming),
		TEST(a_messenger_that_ends_without_a_word_or_in_the_middle_of_it),
		TEST(a_receipt_that_no_messenger_of_ours_writes_is_not_believed),
		TEST(a_supervisor_that_does_not_listen),
		TEST(nothing_under_way_is_nothing_to_wait_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
