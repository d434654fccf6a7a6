#include "agent/pace.h"
#include "agent/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define NOW INT64_C(1795406706) /* 2026-11-23T04:05:06Z */
#define PIXEL "C0U2T02IU8J6B9GC2B90"

static struct settings usual(void)
{
	return (struct settings){ .interval_s = 6 * HOUR,
				  .expiry_warning_s = { 30 * DAY, 14 * DAY, 7 * DAY, 3 * DAY, DAY } };
}

static void schedule__splay_follows_from_the_code_and_spreads_evenly(void **state)
{
	(void)state;
	unsigned counts[10] = { 0 };
	assert_int_equal(schedule_splay(PIXEL, 1000), schedule_splay(PIXEL, 1000));
	assert_int_equal(schedule_splay(PIXEL, 0), 0);
	for (int i = 0; i < 10000; i++) {
		char pixel[32];
		snprintf(pixel, sizeof pixel, "C9TEST%013d0", i);
		int64_t at = schedule_splay(pixel, 10);
		assert_in_range(at, 0, 9);
		counts[at]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(counts[i], 850, 1150);
}

static void schedule__each_interval_has_one_slot_and_it_lies_ahead(void **state)
{
	(void)state;
	struct settings s = usual();
	int64_t first = schedule_next(PIXEL, &s, 0, NOW, 0);
	assert_in_range(first, NOW + 1, NOW + 6 * HOUR);
	assert_int_equal(schedule_next(PIXEL, &s, 0, first - 1, 0), first);
	assert_int_equal(schedule_next(PIXEL, &s, 0, first, 0), first + 6 * HOUR);
	/* A host that slept for days is not owed what it missed. */
	assert_in_range(schedule_next(PIXEL, &s, 0, first + 10 * DAY, 0), first + 10 * DAY + 1,
			first + 10 * DAY + 6 * HOUR);
}

static void schedule__failures_back_off_from_a_minute_to_the_interval(void **state)
{
	(void)state;
	struct settings s = usual();
	assert_int_equal(schedule_next(PIXEL, &s, 0, NOW, 1), NOW + 60);
	assert_int_equal(schedule_next(PIXEL, &s, 0, NOW, 2), NOW + 120);
	assert_int_equal(schedule_next(PIXEL, &s, 0, NOW, 5), NOW + 960);
	assert_int_equal(schedule_next(PIXEL, &s, 0, NOW, 20), NOW + 6 * HOUR);
	assert_int_equal(schedule_next(PIXEL, &s, 0, NOW, UINT32_MAX), NOW + 6 * HOUR);
	s.interval_s = 1;
	assert_int_equal(schedule_next(PIXEL, &s, 0, NOW, 3), NOW + 1);
}

static void schedule__a_known_expiry_adds_its_steps(void **state)
{
	(void)state;
	struct settings s = usual();
	s.interval_s = 90 * DAY;
	s.expiry_warning_s[5] = 0;
	int64_t expires_at = NOW + 40 * DAY, at = NOW;
	static const int64_t steps[] = { 30, 14, 7, 3, 1 };
	int64_t usual_slot = schedule_next(PIXEL, &s, 0, NOW, 0);
	for (size_t i = 0; i < 5; i++) {
		int64_t step = expires_at - steps[i] * DAY;
		if (usual_slot > at && usual_slot < step)
			continue;
		at = schedule_next(PIXEL, &s, expires_at, at, 0);
		assert_in_range(at, step, step + HOUR);
	}
	/* Nothing more once it has expired. */
	assert_int_equal(schedule_next(PIXEL, &s, expires_at, expires_at + DAY, 0),
			 schedule_next(PIXEL, &s, 0, expires_at + DAY, 0));
}

/* As if schedule_next were asked again and again. */
static uint64_t count_one_by_one(const char *pixel, const struct settings *s, int64_t expires_at, int64_t after, int64_t until)
{
	uint64_t count = 0;
	for (int64_t at = schedule_next(pixel, s, expires_at, after, 0); at <= until; count++)
		at = schedule_next(pixel, s, expires_at, at, 0);
	return count;
}

static void schedule__counting_ahead_agrees_with_asking_again_and_again(void **state)
{
	static const char *const pixels[] = { "C0U2T02IU8J6B9GC2B90", "C1U2T02IU8J6B9GC2B9G", "D00000000000000000G0" };
	static const int64_t intervals[] = { 1, 7, 600, 6 * 3600, 86400, 90 * 86400 };
	const int64_t now = 1800000000;
	(void)state;
	for (size_t p = 0; p < COUNT_OF(pixels); p++)
		for (size_t i = 0; i < COUNT_OF(intervals); i++)
			for (int64_t end = 0; end < 40 * 86400; end += 86400 * 3 + 17) {
				struct settings s = { .interval_s = intervals[i],
						      .expiry_warning_s = { 30 * 86400, 14 * 86400, 7 * 86400, 3 * 86400, 86400 } };
				int64_t expires_at = end ? now + end : 0, until = now + intervals[i] * 40 + 977;
				struct schedule_times times = { pixels[p], intervals[i], expires_at, s.expiry_warning_s };
				assert_int_equal(schedule_count(&times, now, until),
						 count_one_by_one(pixels[p], &s, expires_at, now, until));
				assert_int_equal(schedule_count(&times, until, now), 0);
			}
}

static void breaker__pauses_grow_from_a_second_to_midnight(void **state)
{
	(void)state;
	struct breaker b = { 0 };
	assert_int_equal(breaker_pause_s(&b, NOW), 0);
	breaker_throttled(&b, NOW, NOW);
	assert_int_equal(breaker_pause_s(&b, NOW), 1);
	assert_int_equal(breaker_pause_s(&b, NOW + 1), 0);
	breaker_throttled(&b, NOW + 30, NOW + 31);
	assert_int_equal(breaker_pause_s(&b, NOW + 31), 300);
	breaker_throttled(&b, NOW + 2000, NOW + 2000);
	assert_int_equal(b.open_until % DAY, 0);
	assert_in_range(b.open_until, NOW + 2001, NOW + DAY);
}

static void breaker__a_second_throttle_long_after_is_a_first_again(void **state)
{
	(void)state;
	struct breaker b = { 0 };
	breaker_throttled(&b, NOW, NOW);
	breaker_throttled(&b, NOW + 62, NOW + 62);
	assert_int_equal(breaker_pause_s(&b, NOW + 62), 1);
	breaker_throttled(&b, NOW + 63 + 60, NOW + 63 + 60);
	assert_int_equal(breaker_pause_s(&b, NOW + 63 + 60), 300);
}

static void breaker__any_other_answer_closes_it_but_not_one_asked_before(void **state)
{
	(void)state;
	struct breaker b = { 0 };
	breaker_throttled(&b, NOW, NOW);
	breaker_throttled(&b, NOW, NOW + 1); /* on its way when the first came back */
	assert_int_equal(b.throttles, 1);
	breaker_answered(&b, NOW - 1);
	assert_int_equal(b.throttles, 1);
	breaker_answered(&b, NOW + 5);
	assert_int_equal(b.throttles, 0);
	breaker_throttled(&b, NOW + 6, NOW + 6);
	assert_int_equal(breaker_pause_s(&b, NOW + 6), 1);
}

static void breaker__a_clock_set_back_never_closes_us_out_for_longer(void **state)
{
	(void)state;
	struct breaker b = { 0 };
	breaker_throttled(&b, NOW, NOW);
	assert_int_equal(breaker_pause_s(&b, NOW - 60), 1);
}

static void breaker__a_clock_set_far_back_lets_us_ask_and_believe_the_answer(void **state)
{
	(void)state;
	struct breaker b = { 0 };
	breaker_throttled(&b, NOW, NOW);
	breaker_throttled(&b, NOW + 2, NOW + 2);
	assert_int_equal(breaker_pause_s(&b, NOW - 100 * DAY), 0);
	breaker_throttled(&b, NOW - 100 * DAY, NOW - 100 * DAY);
	assert_true(breaker_pause_s(&b, NOW - 100 * DAY) > 0);
	b = (struct breaker){ .throttles = 2, .opened_at = NOW, .open_until = NOW + 300 };
	breaker_answered(&b, NOW - 100 * DAY);
	assert_int_equal(b.throttles, 0);
}

static void breaker__survives_being_written_down_and_refuses_nonsense(void **state)
{
	(void)state;
	struct breaker b = { 0 }, back = { 0 };
	uint8_t note[24];
	breaker_throttled(&b, NOW, NOW);
	breaker_encode(&b, note);
	assert_true(breaker_decode(bytes_of(note, sizeof note), &back));
	assert_int_equal(back.throttles, 1);
	assert_int_equal(back.opened_at, NOW);
	assert_int_equal(back.open_until, NOW + 1);
	assert_false(breaker_decode(bytes_of(note, 23), &back));
	assert_false(breaker_decode(bytes_of("", 0), &back));
	note[22] = 0x7f; /* open for ages */
	assert_false(breaker_decode(bytes_of(note, sizeof note), &back));
	note[22] = 0;
	note[0] = 9; /* another format */
	assert_false(breaker_decode(bytes_of(note, sizeof note), &back));
}

static void pace__a_slow_rate_is_even(void **state)
{
	(void)state;
	struct pace p;
	pace_init(&p, 5, 1000);
	assert_int_equal(pace_wait_ms(&p, 1000), 0);
	pace_take(&p);
	assert_int_equal(pace_wait_ms(&p, 1000), 200);
	assert_int_equal(pace_wait_ms(&p, 1199), 1);
	assert_int_equal(pace_wait_ms(&p, 1200), 0);
	/* An idle hour saves nothing up. */
	assert_int_equal(pace_wait_ms(&p, 3600000), 0);
	pace_take(&p);
	assert_int_equal(pace_wait_ms(&p, 3600000), 200);
}

static void pace__holds_its_rate_over_a_second(void **state)
{
	(void)state;
	static const unsigned rates[] = { 1, 3, 7, 100, 333, 1000, 9999 };
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		struct pace p;
		unsigned taken = 0;
		pace_init(&p, rates[i], 0);
		for (int64_t now = 0; now < 10000; now++)
			while (pace_wait_ms(&p, now) == 0) {
				pace_take(&p);
				taken++;
			}
		assert_in_range(taken, 10 * rates[i] - rates[i] / 100, 10 * rates[i] + rates[i] / 100 + 1);
	}
}

static void pace__a_great_rate_does_not_wait_for_a_timer(void **state)
{
	(void)state;
	struct pace p;
	pace_init(&p, 100000, 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(pace_wait_ms(&p, 0), 0);
		pace_take(&p);
	}
	assert_int_equal(pace_wait_ms(&p, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schedule__splay_follows_from_the_code_and_spreads_evenly),
		cmocka_unit_test(schedule__each_interval_has_one_slot_and_it_lies_ahead),
		cmocka_unit_test(schedule__failures_back_off_from_a_minute_to_the_interval),
		cmocka_unit_test(schedule__a_known_expiry_adds_its_steps),
		cmocka_unit_test(schedule__counting_ahead_agrees_with_asking_again_and_again),
		cmocka_unit_test(breaker__pauses_grow_from_a_second_to_midnight),
		cmocka_unit_test(breaker__a_second_throttle_long_after_is_a_first_again),
		cmocka_unit_test(breaker__any_other_answer_closes_it_but_not_one_asked_before),
		cmocka_unit_test(breaker__a_clock_set_back_never_closes_us_out_for_longer),
		cmocka_unit_test(breaker__a_clock_set_far_back_lets_us_ask_and_believe_the_answer),
		cmocka_unit_test(breaker__survives_being_written_down_and_refuses_nonsense),
		cmocka_unit_test(pace__a_slow_rate_is_even),
		cmocka_unit_test(pace__holds_its_rate_over_a_second),
		cmocka_unit_test(pace__a_great_rate_does_not_wait_for_a_timer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
