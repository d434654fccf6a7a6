/* What is due of versions on their way out, and when the worker looks. */
#include "agent/tend.h"
#include "agent/upkeep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail

#define NOW 1800000000
#define NOW_MS 5000000

static const struct settings settings = { .interval_s = 3600,
					  .confirm_delay_s = 600,
					  .failover = true,
					  .grace_s = 86400,
					  .purge_after_s = 30 * 86400 };

static const struct version v1 = { .number = 1, .stage = STAGE_RETIRED, .taken_at = NOW },
			    v2 = { .number = 2, .stage = STAGE_RETIRED, .taken_at = NOW },
			    v3 = { .number = 3, .stage = STAGE_STANDBY, .staged_at = NOW };

/* 1 previous, 2 current. */
static struct credential two(void)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .last_number = 2, .version_count = 2 };
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_PREVIOUS };
	c.versions[1] = (struct version){ .number = 2, .stage = STAGE_CURRENT };
	return c;
}

static struct health judged(enum verdict verdict)
{
	struct health h = { .counter = 1 };
	h.current.version = 2;
	h.current.verdict = verdict;
	return h;
}

static struct credential taken(void)
{
	struct credential c = two();
	c.versions[0].stage = STAGE_RETIRED;
	c.versions[0].taken_at = NOW;
	return c;
}

static void stand_in__is_the_previous_one_of_a_current_one_that_is_refused(void **state)
{
	(void)state;
	struct credential c = two();
	for (int verdict = 0; verdict < OUTCOME_COUNT; verdict++) {
		struct health h = judged((enum verdict)verdict);
		const struct version *v = upkeep_stand_in(&c, &h);
		assert_int_equal(v != NULL, verdict_is_bad((enum verdict)verdict));
		assert_true(!v || v->number == 1);
	}
}

static void stand_in__is_none_that_was_refused_itself(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_REVOKED);
	health_fade(&h, 1)->verdict = VERDICT_HEALTHY;
	assert_non_null(upkeep_stand_in(&c, &h));
	health_fade(&h, 1)->verdict = VERDICT_REVOKED;
	assert_null(upkeep_stand_in(&c, &h));
	health_fade(&h, 1)->verdict = VERDICT_MISMATCHED;
	assert_null(upkeep_stand_in(&c, &h));
}

static void stand_in__refused_when_it_was_asked_may_come_an_interval_later(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_REVOKED);
	assert_true(upkeep_stand_in_at(&c.versions[0], &h, &settings, NOW) <= NOW);
	assert_false(upkeep_note_answer(&h, &c.versions[0], VERDICT_REVOKED, &settings, NOW));
	assert_int_equal(upkeep_stand_in(&c, &h)->number, 1);
	assert_int_equal(upkeep_stand_in_at(&c.versions[0], &h, &settings, NOW), NOW + 3600);
	assert_int_equal(upkeep_at(&c, &h, &settings, NOW), NOW + 3600);
	assert_false(upkeep_note_answer(&h, &c.versions[0], VERDICT_HEALTHY, &settings, NOW + 3600));
	assert_true(upkeep_stand_in_at(&c.versions[0], &h, &settings, NOW) <= NOW);
}

static void stand_in__needs_both_and_a_verdict_on_this_very_version(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_REVOKED);
	h.current.version = 1;
	assert_null(upkeep_stand_in(&c, &h));
	h = judged(VERDICT_REVOKED);
	c.versions[0].stage = STAGE_RETIRED;
	assert_null(upkeep_stand_in(&c, &h));
	c = two();
	c.versions[1].stage = STAGE_PENDING;
	assert_null(upkeep_stand_in(&c, &h));
}

static void stand_in__is_rather_the_standby_one(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_REVOKED);
	c.versions[c.version_count++] = (struct version){ .number = 3, .stage = STAGE_STANDBY, .staged_at = NOW };
	assert_int_equal(upkeep_stand_in(&c, &h)->number, 3);
	health_fade(&h, 3)->verdict = VERDICT_EXPIRED;
	assert_int_equal(upkeep_stand_in(&c, &h)->number, 1);
	health_fade(&h, 1)->verdict = VERDICT_EXPIRED;
	assert_null(upkeep_stand_in(&c, &h));
}

static void standby__is_asked_about_once_an_interval_and_never_deleted(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_HEALTHY);
	c.versions[c.version_count++] = (struct version){ .number = 3, .stage = STAGE_STANDBY, .staged_at = NOW };
	const struct version *v = &c.versions[2];
	assert_int_equal(upkeep_at(&c, &h, &settings, NOW), NOW);
	for (int64_t i = 0; i < 1000; i++) {
		assert_int_equal(upkeep_of_idle(v, &h, &settings, NOW + i * 3600, NOW + i * 3600), UPKEEP_ASK);
		(void)upkeep_note_answer(&h, &v3, VERDICT_REVOKED, &settings, NOW + i * 3600);
		assert_int_equal(upkeep_of_idle(v, &h, &settings, NOW + i * 3600 + 3599, NOW + i * 3600 + 3599), UPKEEP_LEAVE);
	}
	assert_int_equal(upkeep_at(&c, &h, &settings, NOW + 999 * 3600), NOW + 1000 * 3600);
}

static void taken__is_asked_about_once_an_interval_and_deleted_at_its_time(void **state)
{
	(void)state;
	struct credential c = taken();
	struct health h = judged(VERDICT_HEALTHY);
	const struct version *v = &c.versions[0];
	assert_int_equal(upkeep_of_idle(v, &h, &settings, NOW, NOW), UPKEEP_ASK);
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_HEALTHY, &settings, NOW));
	assert_int_equal(upkeep_of_idle(v, &h, &settings, NOW + 3599, NOW + 3599), UPKEEP_LEAVE);
	assert_int_equal(upkeep_of_idle(v, &h, &settings, NOW + 3600, NOW + 3600), UPKEEP_ASK);
	assert_int_equal(upkeep_of_idle(v, &h, &settings, NOW + 30 * 86400 - 1, NOW + 30 * 86400 - 1), UPKEEP_ASK);
	assert_int_equal(upkeep_of_idle(v, &h, &settings, NOW + 30 * 86400, NOW + 30 * 86400), UPKEEP_DELETE);
	struct settings never = settings;
	never.purge_after_s = 0;
	assert_int_equal(upkeep_of_idle(v, &h, &never, NOW + 3000LL * 86400, NOW + 3000LL * 86400), UPKEEP_ASK);
	assert_int_equal(upkeep_of_idle(&c.versions[1], &h, &settings, NOW + 30 * 86400, NOW + 30 * 86400), UPKEEP_LEAVE);
	c.versions[0].taken_at = 0; /* pushed out by newer ones: nobody asked for its end */
	assert_int_equal(upkeep_of_idle(v, &h, &settings, NOW + 30 * 86400, NOW + 30 * 86400), UPKEEP_LEAVE);
}

static void taken__is_dead_when_it_was_refused_twice_with_the_delay_between(void **state)
{
	(void)state;
	struct credential c = taken();
	struct health h = judged(VERDICT_HEALTHY);
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW));
	assert_int_equal(upkeep_of_idle(&c.versions[0], &h, &settings, NOW + 599, NOW + 599), UPKEEP_LEAVE);
	assert_int_equal(upkeep_of_idle(&c.versions[0], &h, &settings, NOW + 600, NOW + 600), UPKEEP_ASK);
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW + 599)); /* by hand, too early */
	assert_true(upkeep_note_answer(&h, &v1, VERDICT_EXPIRED, &settings, NOW + 600));
}

static void taken__that_answers_between_two_refusals_is_alive(void **state)
{
	(void)state;
	struct health h = judged(VERDICT_HEALTHY);
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW));
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_HEALTHY, &settings, NOW + 600));
	assert_int_equal(health_fading(&h, 1)->proven_at, NOW + 600);
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW + 1200));
	/* Nothing transient speaks for or against it. */
	for (int outcome = OUTCOME_THROTTLED; outcome < OUTCOME_COUNT; outcome++)
		assert_false(upkeep_note_answer(&h, &v1, (enum verdict)outcome, &settings, NOW + 1900));
	assert_true(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW + 1900));
	/* Of another Pixel, or without permission: the token lives. */
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_MISMATCHED, &settings, NOW + 2600));
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_NO_PERMISSION, &settings, NOW + 3600));
}

static void taken__is_not_dead_while_the_current_one_is_refused_too(void **state)
{
	(void)state;
	struct health h = judged(VERDICT_REVOKED);
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW));
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW + 600));
	h.current.verdict = VERDICT_HEALTHY;
	h.current.suspected = VERDICT_REVOKED;
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW + 1200));
	h.current.suspected = VERDICT_UNCHECKED;
	assert_true(upkeep_note_answer(&h, &v1, VERDICT_REVOKED, &settings, NOW + 1200));
}

static void taken__that_was_refused_as_the_current_one_needs_one_more_refusal(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_REVOKED);
	h.current.evidence.at = h.current.checked_at = NOW - 86400;
	c.versions[1].stage = STAGE_RETIRED;
	c.versions[1].taken_at = NOW;
	c.versions[0].stage = STAGE_CURRENT;
	health_align(&h, &c);
	assert_int_equal(upkeep_of_idle(&c.versions[1], &h, &settings, NOW, NOW), UPKEEP_ASK);
	assert_true(upkeep_note_answer(&h, &v2, VERDICT_REVOKED, &settings, NOW));
}

static void at__is_the_earliest_of_all(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_HEALTHY);
	assert_true(upkeep_at(&c, &h, &settings, NOW) == INT64_MAX);
	h = judged(VERDICT_REVOKED);
	assert_int_equal(upkeep_at(&c, &h, &settings, NOW), NOW);
	struct settings off = settings;
	off.failover = false;
	assert_true(upkeep_at(&c, &h, &off, NOW) == INT64_MAX);
	c.versions[0].retire_by = NOW + 500;
	assert_int_equal(upkeep_at(&c, &h, &off, NOW), NOW); /* somebody may have moved on */
	c = taken();
	h = judged(VERDICT_HEALTHY);
	assert_int_equal(upkeep_at(&c, &h, &settings, NOW), NOW);
	assert_false(upkeep_note_answer(&h, &v1, VERDICT_HEALTHY, &settings, NOW));
	assert_int_equal(upkeep_at(&c, &h, &settings, NOW), NOW + 3600);
	off.purge_after_s = 60;
	assert_int_equal(upkeep_at(&c, &h, &off, NOW), NOW + 60);
}

/* ---- when the worker looks ---- */

static struct tend *noted(const struct credential *c, const struct health *h)
{
	struct tend *t;
	struct error err;
	assert_true(tend_new(&t, &err));
	assert_true(tend_note(t, c, h, &settings, NOW, NOW_MS, &err));
	return t;
}

static void taken__is_not_deleted_by_a_clock_that_is_not_believed(void **state)
{
	(void)state;
	struct credential c = taken();
	struct health h = judged(VERDICT_HEALTHY);
	health_fade(&h, 1)->checked_at = NOW + 40 * 86400;
	assert_int_equal(upkeep_of_idle(&c.versions[0], &h, &settings, NOW + 40 * 86400, NOW + 60), UPKEEP_LEAVE);
	assert_int_equal(upkeep_of_idle(&c.versions[0], &h, &settings, NOW + 40 * 86400, NOW + 40 * 86400), UPKEEP_DELETE);
}

static void asked__by_a_clock_that_was_ahead_it_is_asked_about_again(void **state)
{
	(void)state;
	struct credential c = taken();
	struct health h = judged(VERDICT_HEALTHY);
	health_fade(&h, 1)->checked_at = NOW + 40 * 86400;
	assert_int_equal(upkeep_of_idle(&c.versions[0], &h, &settings, NOW + 60, NOW + 60), UPKEEP_ASK);
	health_fade(&h, 1)->refused_at = NOW + 40 * 86400;
	assert_int_equal(upkeep_of_idle(&c.versions[0], &h, &settings, NOW + 60, NOW + 60), UPKEEP_ASK);
	assert_false(upkeep_note_answer(&h, &c.versions[0], VERDICT_REVOKED, &settings, NOW + 60));
	assert_true(upkeep_note_answer(&h, &c.versions[0], VERDICT_REVOKED, &settings, NOW + 660));
	c = two();
	h = judged(VERDICT_REVOKED);
	health_fade(&h, 1)->checked_at = health_fade(&h, 1)->refused_at = NOW + 40 * 86400;
	assert_int_equal(upkeep_stand_in_at(&c.versions[0], &h, &settings, NOW), NOW);
}

static void retiring__is_the_one_whose_deadline_is_first(void **state)
{
	(void)state;
	struct credential c = two();
	assert_null(upkeep_retiring(&c));
	c.versions[1] = (struct version){ .number = 2, .stage = STAGE_PREVIOUS, .retire_by = NOW + 5 };
	assert_int_equal(upkeep_retiring(&c)->number, 2);
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_RETIRED, .retire_by = NOW };
	assert_int_equal(upkeep_retiring(&c)->number, 1);
}

static void tend__what_has_nothing_to_do_is_not_kept(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_REVOKED);
	struct error err;
	struct tend *t = noted(&c, &h);
	assert_string_equal(tend_due(t, NOW_MS), c.pixel);
	h = judged(VERDICT_HEALTHY);
	assert_true(tend_note(t, &c, &h, &settings, NOW, NOW_MS, &err));
	assert_null(tend_due(t, INT64_MAX));
	tend_free(t);
}

static void tend__waits_a_pause_but_not_past_the_deadline(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_HEALTHY);
	c.versions[0].retire_by = NOW + 10;
	struct tend *t = noted(&c, &h);
	assert_non_null(tend_due(t, NOW_MS));
	assert_null(tend_due(t, NOW_MS + 9999));
	assert_non_null(tend_due(t, NOW_MS + 10000));
	assert_null(tend_due(t, NOW_MS + 10001));
	assert_null(tend_due(t, NOW_MS + 9999 + TEND_PAUSE_MS));
	tend_hurry(t, "ABCDEFGH"); /* nobody we know */
	assert_null(tend_due(t, NOW_MS + 10001));
	tend_hurry(t, c.pixel);
	assert_non_null(tend_due(t, NOW_MS + 10001));
	tend_free(t);
}

static void tend__a_failover_does_not_wait_for_what_was_looked_at_before(void **state)
{
	(void)state;
	struct credential c = two();
	struct health h = judged(VERDICT_HEALTHY);
	struct error err;
	c.versions[0].retire_by = NOW + 86400;
	struct tend *t = noted(&c, &h);
	assert_non_null(tend_due(t, NOW_MS));
	h = judged(VERDICT_REVOKED);
	assert_true(tend_note(t, &c, &h, &settings, NOW + 1, NOW_MS + 1000, &err));
	assert_non_null(tend_due(t, NOW_MS + 1000));
	/* Tried in vain: not again and again. */
	assert_true(tend_note(t, &c, &h, &settings, NOW + 2, NOW_MS + 2000, &err));
	assert_null(tend_due(t, NOW_MS + 2000));
	assert_non_null(tend_due(t, NOW_MS + 1000 + TEND_PAUSE_MS));
	tend_free(t);
}

static void tend__no_clock_keeps_it_away_for_longer_than_a_day(void **state)
{
	(void)state;
	struct credential c = taken();
	struct health h = judged(VERDICT_HEALTHY);
	c.versions[0].taken_at = NOW + 3650LL * 86400;
	struct tend *t = noted(&c, &h);
	assert_null(tend_due(t, NOW_MS + 86400000 - 1));
	assert_non_null(tend_due(t, NOW_MS + 86400000));
	tend_clear(t);
	assert_null(tend_due(t, INT64_MAX));
	tend_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stand_in__is_the_previous_one_of_a_current_one_that_is_refused),
		cmocka_unit_test(stand_in__is_none_that_was_refused_itself),
		cmocka_unit_test(stand_in__refused_when_it_was_asked_may_come_an_interval_later),
		cmocka_unit_test(stand_in__needs_both_and_a_verdict_on_this_very_version),
		cmocka_unit_test(stand_in__is_rather_the_standby_one),
		cmocka_unit_test(standby__is_asked_about_once_an_interval_and_never_deleted),
		cmocka_unit_test(taken__is_asked_about_once_an_interval_and_deleted_at_its_time),
		cmocka_unit_test(taken__is_dead_when_it_was_refused_twice_with_the_delay_between),
		cmocka_unit_test(taken__that_answers_between_two_refusals_is_alive),
		cmocka_unit_test(taken__is_not_dead_while_the_current_one_is_refused_too),
		cmocka_unit_test(taken__that_was_refused_as_the_current_one_needs_one_more_refusal),
		cmocka_unit_test(taken__is_not_deleted_by_a_clock_that_is_not_believed),
		cmocka_unit_test(asked__by_a_clock_that_was_ahead_it_is_asked_about_again),
		cmocka_unit_test(retiring__is_the_one_whose_deadline_is_first),
		cmocka_unit_test(at__is_the_earliest_of_all),
		cmocka_unit_test(tend__what_has_nothing_to_do_is_not_kept),
		cmocka_unit_test(tend__waits_a_pause_but_not_past_the_deadline),
		cmocka_unit_test(tend__a_failover_does_not_wait_for_what_was_looked_at_before),
		cmocka_unit_test(tend__no_clock_keeps_it_away_for_longer_than_a_day),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
