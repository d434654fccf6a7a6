#include "agent/decoy.h"
#include "agent/forecast.h"
#include "agent/plan.h"
#include "agent/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1795406706)
#define NOW_MS INT64_C(5000000)
#define HOUR INT64_C(3600)

static struct settings settings = { .interval_s = 6 * HOUR, .confirm_delay_s = -1 };

static struct credential pixel_with(const char *code, enum stage stage)
{
	struct credential c = { .version_count = 1, .versions = { { .number = 1, .stage = stage } } };
	snprintf(c.pixel, sizeof c.pixel, "%s", code);
	return c;
}

static void note_at(struct plan *p, const char *code, int64_t next_check_at, enum verdict verdict,
		    enum verdict suspected)
{
	struct credential c = pixel_with(code, STAGE_CURRENT);
	struct health h = { .next_check_at = next_check_at,
			    .current = { .version = 1, .verdict = verdict, .suspected = suspected } };
	struct error err;
	assert_true(plan_note(p, &c, &h, &settings, NOW, NOW_MS, &err));
}

static struct plan *fresh(void)
{
	struct plan *p;
	struct error err;
	assert_true(plan_new(&p, &err));
	return p;
}

static void plan__gives_what_is_due_and_the_longest_overdue_first(void **state)
{
	(void)state;
	struct plan *p = fresh();
	const char *due[8];
	assert_int_equal(plan_next_ms(p), INT64_MAX);
	note_at(p, "C0LATER0000000000000", NOW + 100, VERDICT_HEALTHY, VERDICT_UNCHECKED);
	note_at(p, "C0SOON00000000000000", NOW + 10, VERDICT_HEALTHY, VERDICT_UNCHECKED);
	note_at(p, "C0FAR000000000000000", NOW + 5 * HOUR, VERDICT_HEALTHY, VERDICT_UNCHECKED);
	assert_int_equal(plan_next_ms(p), NOW_MS + 10000);
	assert_int_equal(plan_due(p, NOW_MS + 9999, due, 8), 0);
	assert_int_equal(plan_due(p, NOW_MS + 100000, due, 8), 2);
	assert_string_equal(due[0], "C0SOON00000000000000");
	assert_string_equal(due[1], "C0LATER0000000000000");
	assert_int_equal(plan_due(p, NOW_MS + 100000, due, 1), 1);
	plan_postpone(p, due, 1, NOW_MS + 200000);
	assert_int_equal(plan_next_ms(p), NOW_MS + 100000);
	plan_forget(p, "C0LATER0000000000000");
	assert_int_equal(plan_due(p, NOW_MS + 100000, due, 8), 0);
	assert_int_equal(plan_next_ms(p), NOW_MS + 200000);
	plan_free(p);
}

/* ---- what is shown of it ---- */

static struct forecast_row row_of(const struct health *h, int64_t expires_at, int64_t first_at)
{
	struct credential c = pixel_with("C0ONE000000000000000", STAGE_CURRENT);
	struct forecast_row row;
	c.versions[0].expires_at = expires_at;
	assert_true(forecast_row_of(&c, h, &settings, first_at, NOW, &row));
	return row;
}

static void forecast__says_why_a_pixel_is_asked_about(void **state)
{
	(void)state;
	struct health h = { .current = { .version = 1 } };
	assert_int_equal(row_of(&h, 0, NOW + 60).why, FORECAST_FIRST);
	h.current.attempted_at = NOW - 60;
	assert_int_equal(row_of(&h, 0, NOW + 60).why, FORECAST_INTERVAL);
	h.failures = 2;
	assert_int_equal(row_of(&h, 0, NOW + 60).why, FORECAST_RETRY);
	h.current.suspected = VERDICT_REVOKED;
	assert_int_equal(row_of(&h, 0, NOW + 60).why, FORECAST_SECOND_LOOK);
	h = (struct health){ .current = { .version = 1, .attempted_at = NOW - 60 } };
	settings.expiry_warning_s[0] = 24 * HOUR;
	int64_t expires_at = NOW + 27 * HOUR, step = schedule_next("C0ONE000000000000000", &settings, expires_at, NOW, 0);
	if (step != schedule_next("C0ONE000000000000000", &settings, 0, NOW, 0))
		assert_int_equal(row_of(&h, expires_at, step).why, FORECAST_EXPIRY);
	assert_int_equal(row_of(&h, 0, schedule_next("C0ONE000000000000000", &settings, 0, NOW, 0)).why, FORECAST_INTERVAL);
	settings.expiry_warning_s[0] = 0;
}

static void forecast__counts_what_is_overdue_now_and_once(void **state)
{
	(void)state;
	struct forecast f = FORECAST_INIT;
	struct forecast_sums sums = { .probes = 0 };
	struct buf out = BUF_INIT(65536);
	struct json j = JSON_INIT(&out);
	struct health h = { .current = { .version = 1, .attempted_at = NOW - 60, .proven_at = NOW - 60 } };
	struct forecast_row row = row_of(&h, 0, NOW - 5);
	forecast_begin(&f, &settings, NOW, 24 * HOUR);
	forecast_json_begin(&j, &f);
	forecast_json_add(&j, &f, &row, &sums);
	forecast_json_end(&j, &f, &sums);
	assert_int_equal(sums.overdue, 1);
	assert_int_equal(sums.probes, 5); /* now, and four times in a day */
	assert_int_equal(sums.probes, sums.questions);
	uint64_t hours = 0;
	for (size_t i = 0; i < 24; i++)
		hours += sums.hours[i];
	assert_int_equal(hours, 5);
	assert_string_equal(sums.canary, "C0ONE000000000000000");
	buf_done(&out);
	forecast_done(&f);
}

/* The first of a thousand moments at which a step before the end lies between two turns of the interval. */
static void forecast__says_when_it_is_the_end_that_is_looked_at(void **state)
{
	static const char code[] = "C0ONE000000000000000";
	struct health h = { .current = { .version = 1, .attempted_at = NOW - 60 } };
	int64_t expires_at = NOW + 25 * HOUR, step = 0;
	(void)state;
	settings.expiry_warning_s[0] = 24 * HOUR;
	do {
		expires_at += 1009;
		step = schedule_next(code, &settings, expires_at, NOW, 0);
	} while (step == schedule_next(code, &settings, 0, NOW, 0) && expires_at < NOW + 300 * HOUR);
	assert_true(expires_at < NOW + 300 * HOUR);
	struct forecast_row row = row_of(&h, expires_at, step);
	assert_int_equal(row.why, FORECAST_EXPIRY);
	assert_int_equal(row.expires_at, expires_at);
	assert_int_equal(row_of(&h, expires_at, step + 60).why, FORECAST_INTERVAL);
	settings.expiry_warning_s[0] = 0;
}

static void forecast__asks_about_each_token_that_may_still_be_good(void **state)
{
	struct credential c = pixel_with("C0ONE000000000000000", STAGE_CURRENT);
	struct health h = { .current = { .version = 1, .attempted_at = NOW - 60 } };
	struct forecast_row row;
	(void)state;
	c.version_count = 2;
	c.versions[1] = (struct version){ .number = 2, .stage = STAGE_PENDING };
	assert_true(forecast_row_of(&c, &h, &settings, NOW + 60, NOW, &row));
	assert_int_equal(row.questions, 2);
	h.pending = (struct judgement){ .version = 2, .verdict = VERDICT_REVOKED };
	assert_true(forecast_row_of(&c, &h, &settings, NOW + 60, NOW, &row));
	assert_int_equal(row.questions, 1);
	h.pending.verdict = VERDICT_UNCHECKED;
	c.versions[1].renewal.family = FAMILY_ACCOUNTS; /* and its first token was not fetched yet */
	assert_true(forecast_row_of(&c, &h, &settings, NOW + 60, NOW, &row));
	assert_int_equal(row.questions, 1);
}

static void forecast__of_a_pixel_whose_first_token_waits_is_of_that_one(void **state)
{
	struct credential c = pixel_with("C0ONE000000000000000", STAGE_PENDING);
	struct health h = { .pending = { .version = 1 } };
	struct forecast_row row;
	(void)state;
	c.versions[0].expires_at = NOW + 99;
	assert_true(forecast_row_of(&c, &h, &settings, NOW + 60, NOW, &row));
	assert_int_equal(row.expires_at, NOW + 99);
	assert_int_equal(row.questions, 1);
	c.version_count = 0; /* it has none any more */
	h = (struct health){ .failures = 0 };
	assert_false(forecast_row_of(&c, &h, &settings, 0, NOW, &row));
	assert_int_equal(row.expires_at + row.proven_at + row.attempted_at, 0);
	assert_true(forecast_row_of(&c, &h, &settings, NOW + 60, NOW, &row));
	assert_int_equal(row.why, FORECAST_FIRST);
}

static struct forecast_row renewed_at(const char *pixel, int64_t at, int64_t renewal_at)
{
	struct forecast_row row = { .at = at, .renewal_at = renewal_at, .questions = 1, .why = FORECAST_SECOND_LOOK };
	snprintf(row.pixel, sizeof row.pixel, "%s", pixel);
	return row;
}

/* What comes next of a Pixel is a question or a renewal; only what lies within the span is counted. */
static void forecast__puts_questions_and_renewals_in_their_order(void **state)
{
	struct forecast f = FORECAST_INIT;
	struct forecast_sums sums = { .probes = 0 };
	struct buf out = BUF_INIT(65536);
	struct json j = JSON_INIT(&out);
	struct error err;
	(void)state;
	forecast_begin(&f, &settings, NOW, 24 * HOUR);
	forecast_sort(&f); /* of nothing */
	const struct forecast_row rows[] = { renewed_at("C0FOUR", NOW + 40 * HOUR, NOW + 30 * HOUR), renewed_at("C0TWO", NOW + 9, NOW + 2),
					     renewed_at("C0ONE", 0, NOW + 1), renewed_at("C0THREE", NOW + 3, NOW + 7),
					     renewed_at("C0LAST", NOW + 50 * HOUR, 0) };
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_true(forecast_add(&f, &rows[i], &err));
	forecast_sort(&f);
	assert_string_equal(forecast_at(&f, 0)->pixel, "C0ONE");
	assert_string_equal(forecast_at(&f, 1)->pixel, "C0TWO");
	assert_string_equal(forecast_at(&f, 2)->pixel, "C0THREE");
	assert_string_equal(forecast_at(&f, 3)->pixel, "C0FOUR");
	assert_string_equal(forecast_at(&f, 4)->pixel, "C0LAST");
	forecast_json_begin(&j, &f);
	for (size_t i = 0; i < forecast_count(&f); i++)
		forecast_json_add(&j, &f, forecast_at(&f, i), &sums);
	forecast_json_end(&j, &f, &sums);
	assert_int_equal(sums.renewals, 3);
	assert_int_equal(sums.second_looks, 2); /* the others come after the span */
	assert_int_equal(sums.overdue, 0);
	buf_done(&out);
	forecast_done(&f);
}

static void plan__a_wall_clock_that_jumps_neither_stops_nor_storms(void **state)
{
	(void)state;
	struct plan *p = fresh();
	const char *due[8];
	/* Written down before the clock was set back by ten years: within one interval all the same. */
	note_at(p, "C0AHEAD0000000000000", NOW + 10 * 365 * 24 * HOUR, VERDICT_HEALTHY, VERDICT_UNCHECKED);
	assert_in_range(plan_next_ms(p), NOW_MS + 1, NOW_MS + 6 * HOUR * 1000);
	/* The clock set forward: overdue, so now, once. */
	note_at(p, "C0BEHIND000000000000", 1, VERDICT_HEALTHY, VERDICT_UNCHECKED);
	assert_int_equal(plan_due(p, NOW_MS, due, 8), 1);
	plan_free(p);
}

static void plan__written_down_by_a_longer_interval_they_are_spread_over_the_new_one(void **state)
{
	(void)state;
	struct plan *p = fresh();
	char code[PIXEL_CODE_MAX + 1];
	int64_t at_ms, least_ms = INT64_MAX, most_ms = 0;
	for (int i = 0; i < 100; i++) {
		snprintf(code, sizeof code, "C0LONG%014d", i);
		note_at(p, code, NOW + 1000 * HOUR, VERDICT_HEALTHY, VERDICT_UNCHECKED);
		assert_true(plan_look(p, code, &at_ms));
		assert_in_range(at_ms - NOW_MS, 1, 6 * HOUR * 1000);
		least_ms = at_ms < least_ms ? at_ms : least_ms;
		most_ms = at_ms > most_ms ? at_ms : most_ms;
	}
	assert_true(most_ms - least_ms > 4 * HOUR * 1000);
	plan_free(p);
}

static void plan__never_planned_is_due_within_the_interval(void **state)
{
	(void)state;
	struct plan *p = fresh();
	for (int i = 0; i < 200; i++) {
		char code[32];
		snprintf(code, sizeof code, "C9TEST%013d0", i);
		note_at(p, code, 0, VERDICT_UNCHECKED, VERDICT_UNCHECKED);
	}
	const char *due[256];
	assert_in_range(plan_due(p, NOW_MS + 3 * HOUR * 1000, due, 256), 60, 140);
	assert_int_equal(plan_due(p, NOW_MS + 6 * HOUR * 1000, due, 256), 200);
	plan_free(p);
}

static void plan__a_suspect_brings_controls_along(void **state)
{
	(void)state;
	struct plan *p = fresh();
	const char *due[16];
	note_at(p, "C0SUSPECT00000000000", NOW, VERDICT_HEALTHY, VERDICT_REVOKED);
	note_at(p, "C0BAD000000000000000", NOW + HOUR, VERDICT_REVOKED, VERDICT_UNCHECKED);
	for (int i = 0; i < 9; i++) {
		char code[32];
		snprintf(code, sizeof code, "C9TEST%013d0", i);
		note_at(p, code, NOW + HOUR, i % 2 ? VERDICT_HEALTHY : VERDICT_UNPROVEN, VERDICT_UNCHECKED);
	}
	assert_int_equal(plan_due(p, NOW_MS, due, 16), 1 + PLAN_CONTROLS);
	assert_string_equal(due[0], "C0SUSPECT00000000000");
	for (int i = 1; i <= PLAN_CONTROLS; i++)
		assert_memory_equal(due[i], "C9TEST", 6);
	plan_free(p);
}

static void plan__where_all_are_suspected_they_are_each_others_controls(void **state)
{
	(void)state;
	struct plan *p = fresh();
	const char *due[16];
	note_at(p, "C0SUSPECT00000000000", NOW, VERDICT_HEALTHY, VERDICT_REVOKED);
	note_at(p, "C0BAD000000000000000", NOW + HOUR, VERDICT_REVOKED, VERDICT_UNCHECKED);
	note_at(p, "C9TEST00000000000000", NOW + HOUR, VERDICT_HEALTHY, VERDICT_EXPIRED);
	note_at(p, "C9TEST00000000000001", NOW + HOUR, VERDICT_UNPROVEN, VERDICT_REVOKED);
	assert_int_equal(plan_due(p, NOW_MS, due, 16), 3);
	note_at(p, "C0CLEAR0000000000000", NOW + HOUR, VERDICT_HEALTHY, VERDICT_UNCHECKED);
	assert_int_equal(plan_due(p, NOW_MS, due, 16), 4);
	assert_string_equal(due[1], "C0CLEAR0000000000000");
	plan_free(p);
}

static void plan__what_nobody_was_given_is_not_asked_about(void **state)
{
	(void)state;
	struct plan *p = fresh();
	struct error err;
	const char *due[4];
	struct health h = { .next_check_at = NOW, .pending = { .version = 1, .verdict = VERDICT_REVOKED } };
	struct credential refused = pixel_with("C0REFUSED00000000000", STAGE_PENDING);
	struct credential open = pixel_with("C0OPEN00000000000000", STAGE_PENDING);
	struct credential retired = pixel_with("C0RETIRED00000000000", STAGE_RETIRED);
	assert_true(plan_note(p, &refused, &h, &settings, NOW, NOW_MS, &err));
	assert_true(plan_note(p, &retired, &h, &settings, NOW, NOW_MS, &err));
	h.pending.verdict = VERDICT_UNCHECKED;
	assert_true(plan_note(p, &open, &h, &settings, NOW, NOW_MS, &err));
	assert_int_equal(plan_due(p, NOW_MS, due, 4), 1);
	assert_string_equal(due[0], "C0OPEN00000000000000");
	plan_free(p);
}

static void plan__a_decoy_is_not_asked_about(void **state)
{
	(void)state;
	struct plan *p = fresh();
	struct error err;
	const char *due[4];
	struct health h = { .next_check_at = NOW };
	struct credential decoy = pixel_with("C0DECOY0000000000000", STAGE_CURRENT);
	assert_true(plan_note(p, &decoy, &h, &settings, NOW, NOW_MS, &err));
	assert_int_equal(plan_due(p, NOW_MS, due, 4), 1);
	decoy.label_count = 1;
	snprintf(decoy.labels[0].key, sizeof decoy.labels[0].key, DECOY_LABEL);
	assert_true(plan_note(p, &decoy, &h, &settings, NOW, NOW_MS, &err));
	assert_int_equal(plan_due(p, NOW_MS, due, 4), 0);
	assert_int_equal(plan_next_ms(p), INT64_MAX);
	plan_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan__gives_what_is_due_and_the_longest_overdue_first),
		cmocka_unit_test(forecast__says_why_a_pixel_is_asked_about),
		cmocka_unit_test(forecast__counts_what_is_overdue_now_and_once),
		cmocka_unit_test(forecast__says_when_it_is_the_end_that_is_looked_at),
		cmocka_unit_test(forecast__asks_about_each_token_that_may_still_be_good),
		cmocka_unit_test(forecast__of_a_pixel_whose_first_token_waits_is_of_that_one),
		cmocka_unit_test(forecast__puts_questions_and_renewals_in_their_order),
		cmocka_unit_test(plan__a_wall_clock_that_jumps_neither_stops_nor_storms),
		cmocka_unit_test(plan__written_down_by_a_longer_interval_they_are_spread_over_the_new_one),
		cmocka_unit_test(plan__never_planned_is_due_within_the_interval),
		cmocka_unit_test(plan__a_suspect_brings_controls_along),
		cmocka_unit_test(plan__where_all_are_suspected_they_are_each_others_controls),
		cmocka_unit_test(plan__what_nobody_was_given_is_not_asked_about),
		cmocka_unit_test(plan__a_decoy_is_not_asked_about),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
