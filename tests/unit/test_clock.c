#include "core/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <cmocka.h>

static void clock__moments_print_as_rfc_3339_in_utc(void **state)
{
	(void)state;
	char text[CLOCK_TEXT_MAX];
	assert_string_equal(clock_format(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_format(951782400, text), "2000-02-29T00:00:00Z");
	assert_string_equal(clock_format(1795406706, text), "2026-11-23T04:05:06Z");
	assert_string_equal(clock_format(253402300799, text), "9999-12-31T23:59:59Z");
}

static void clock__moments_outside_1970_to_9999_print_as_a_dash(void **state)
{
	(void)state;
	char text[CLOCK_TEXT_MAX];
	assert_string_equal(clock_format(-1, text), "-");
	assert_string_equal(clock_format(253402300800, text), "-");
	assert_string_equal(clock_format(INT64_MAX, text), "-");
	assert_string_equal(clock_format(INT64_MIN, text), "-");
}

static void clock__dates_agree_with_the_c_library_and_read_back(void **state)
{
	(void)state;
	struct error err;
	for (int64_t at = 0; at <= 253402300799; at += 86400 * 11 + 12345) {
		char ours[CLOCK_TEXT_MAX], theirs[CLOCK_TEXT_MAX];
		time_t moment = (time_t)at;
		int64_t back;
		struct tm tm;
		strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&moment, &tm));
		assert_string_equal(clock_format(at, ours), theirs);
		assert_true(clock_parse(ours, &back, &err));
		assert_int_equal(back, at);
	}
}

static void clock__a_time_zone_of_the_machine_changes_nothing(void **state)
{
	(void)state;
	char text[CLOCK_TEXT_MAX];
	struct error err;
	int64_t at;
	setenv("TZ", "America/New_York", 1);
	tzset();
	assert_true(clock_parse("2026-11-23", &at, &err));
	assert_string_equal(clock_format(at, text), "2026-11-23T00:00:00Z");
	unsetenv("TZ");
	tzset();
}

static void clock__every_form_of_rfc_3339_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t at;
	} rows[] = {
		{ "2026-11-23", 1795392000 },
		{ "2026-11-23T04:05:06Z", 1795406706 },
		{ "2026-11-23t04:05:06z", 1795406706 },
		{ "2026-11-23 04:05:06Z", 1795406706 },
		{ "2026-11-23T04:05:06.999999999999Z", 1795406706 },
		{ "2026-11-23T05:05:06+01:00", 1795406706 },
		{ "2026-11-22T23:05:06.5-05:00", 1795406706 },
		{ "2026-11-23T04:05:06-00:00", 1795406706 },
		{ "2016-12-31T23:59:60Z", 1483228800 },
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "2024-02-29", 1709164800 },
		{ "2000-02-29", 951782400 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct error err;
		int64_t at = -7;
		if (!clock_parse(rows[i].text, &at, &err))
			fail_msg("%s: %s", rows[i].text, err.message);
		assert_int_equal(at, rows[i].at);
	}
}

static void clock__what_is_no_moment_is_refused_and_leaves_the_result_alone(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",
		"x",
		"2026",
		"2026-11",
		"2026-11-2",
		"2026-13-01",
		"2026-00-01",
		"2026-11-00",
		"2026-11-31",
		"2026-02-29",
		"1900-02-29",
		"2100-02-29",
		"26-11-23",
		"+026-11-23",
		" 2026-11-23",
		"2026-11-23 ",
		"2026-11-23T",
		"2026-11-23T04:05",
		"2026-11-23T04:05:06",
		"2026-11-23T24:00:00Z",
		"2026-11-23T04:60:00Z",
		"2026-11-23T04:05:60Z",
		"2026-11-23T04:59:61Z",
		"2026-11-23T04:05:06.Z",
		"2026-11-23T04:05:06,5Z",
		"2026-11-23T04:05:06ZZ",
		"2026-11-23T04:05:06+1:00",
		"2026-11-23T04:05:06+0100",
		"2026-11-23T04:05:06+24:00",
		"2026-11-23T04:05:06+01:60",
		"2026-11-23T04:05:06 Z",
		"2026-11-23Z",
		"2026-11-23+01:00",
		"1969-12-31",
		"1970-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
		"0000-01-01",
		"2026/11/23",
		"2026-11-23_04:05:06Z",
		"tomorrow",
		"1795406706",
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct error err = { .code = ERR_NONE };
		int64_t at = -7;
		if (clock_parse(rows[i], &at, &err))
			fail_msg("'%s' was read as %lld", rows[i], (long long)at);
		assert_int_equal(err.code, ERR_USAGE);
		assert_true(err.message[0] && err.hint[0]);
		assert_int_equal(at, -7);
	}
}

static void clock__spans_print_in_one_unit_rounded_down(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds;
		const char *text;
	} rows[] = {
		{ 0, "0s" },
		{ 45, "45s" },
		{ 59, "59s" },
		{ 60, "1m" },
		{ 3599, "59m" },
		{ 3600, "1h" },
		{ 10801, "3h" },
		{ 86399, "23h" },
		{ 86400, "1d" },
		{ 1036800, "12d" },
		{ -45, "45s" },
		{ -7200, "2h" },
		{ INT64_MAX, "106751991167300d" },
		{ INT64_MIN, "106751991167300d" },
	};
	char text[CLOCK_TEXT_MAX];
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_string_equal(clock_format_span(rows[i].seconds, text), rows[i].text);
}

static void clock__spans_are_read_with_their_unit(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "0d", 0 },
		{ "1s", 1 },
		{ "90s", 90 },
		{ "5m", 300 },
		{ "6h", 21600 },
		{ "30d", 2592000 },
		{ "3650d", 315360000 },
		{ "315360000s", 315360000 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t seconds = -7;
		if (!clock_parse_span(rows[i].text, &seconds))
			fail_msg("'%s' was refused", rows[i].text);
		assert_int_equal(seconds, rows[i].seconds);
	}
}

static void clock__what_is_no_span_is_refused_and_leaves_the_result_alone(void **state)
{
	(void)state;
	static const char *const rows[] = { "",
					    "s",
					    "5",
					    "00",
					    "-5s",
					    "+5s",
					    " 5s",
					    "5s ",
					    "5 s",
					    "5w",
					    "5S",
					    "1h30m",
					    "5ss",
					    "0x5s",
					    "1.5h",
					    "3651d",
					    "87601h",
					    "315360001s",
					    "99999999999999999999s",
					    "18446744073709551616s" };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t seconds = -7;
		if (clock_parse_span(rows[i], &seconds))
			fail_msg("'%s' was read as %lld", rows[i], (long long)seconds);
		assert_int_equal(seconds, -7);
	}
}

static void clock__the_next_midnight_is_always_later(void **state)
{
	(void)state;
	assert_int_equal(clock_next_midnight(0), 86400);
	assert_int_equal(clock_next_midnight(1), 86400);
	assert_int_equal(clock_next_midnight(86399), 86400);
	assert_int_equal(clock_next_midnight(86400), 172800);
	assert_int_equal(clock_next_midnight(-1), 0);
	assert_int_equal(clock_next_midnight(-86400), 0);
}

static void ignore_signal(int number)
{
	(void)number;
}

static void clock__a_sleep_is_whole_through_signals(void **state)
{
	(void)state;
	struct sigaction on_alarm = { .sa_handler = ignore_signal };
	struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = { { 0, 0 }, { 0, 0 } };
	sigaction(SIGALRM, &on_alarm, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	int64_t before = clock_boot_ms();
	clock_sleep_ms(60);
	int64_t took = clock_boot_ms() - before;
	setitimer(ITIMER_REAL, &never, NULL);
	assert_in_range(took, 59, 10000);
}

static void clock__a_sleep_of_nothing_returns(void **state)
{
	(void)state;
	clock_sleep_ms(0);
	clock_sleep_ms(-5);
}

static void clock__wall_time_is_the_systems(void **state)
{
	(void)state;
	int64_t difference = clock_wall() - (int64_t)time(NULL);
	assert_true(difference >= -1 && difference <= 1);
}

/* Neither cut anywhere, nor with another character in the place of any. */
static void parse__of_a_moment_that_is_not_whole_is_refused(void **state)
{
	(void)state;
	static const char whole[] = "2024-02-29T23:59:60.25+05:30";
	int64_t at;
	struct error err;
	assert_true(clock_parse(whole, &at, &err));
	for (size_t cut = 1; cut < sizeof whole - 1; cut++) {
		char text[sizeof whole];
		snprintf(text, sizeof text, "%.*s", (int)cut, whole);
		if (cut != 10 && clock_parse(text, &at, &err)) /* the date alone is one */
			fail_msg("'%s' was taken", text);
		strcpy(text, whole);
		text[cut] = '?';
		if (clock_parse(text, &at, &err))
			fail_msg("'%s' was taken", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse__of_a_moment_that_is_not_whole_is_refused),
		cmocka_unit_test(clock__moments_print_as_rfc_3339_in_utc),
		cmocka_unit_test(clock__moments_outside_1970_to_9999_print_as_a_dash),
		cmocka_unit_test(clock__dates_agree_with_the_c_library_and_read_back),
		cmocka_unit_test(clock__a_time_zone_of_the_machine_changes_nothing),
		cmocka_unit_test(clock__every_form_of_rfc_3339_is_read),
		cmocka_unit_test(clock__what_is_no_moment_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(clock__spans_print_in_one_unit_rounded_down),
		cmocka_unit_test(clock__spans_are_read_with_their_unit),
		cmocka_unit_test(clock__what_is_no_span_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(clock__the_next_midnight_is_always_later),
		cmocka_unit_test(clock__a_sleep_is_whole_through_signals),
		cmocka_unit_test(clock__a_sleep_of_nothing_returns),
		cmocka_unit_test(clock__wall_time_is_the_systems),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
