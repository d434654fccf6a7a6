/* What one answer does to what we hold true: an answer that proves nothing changes nothing but the last attempt. */
#include "agent/ruling.h"
#include "agent/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW 1000000
#define HOUR 3600

static const struct settings settings = { .interval_s = 24 * HOUR, .confirm_delay_s = -1 };

static struct evidence says(int32_t code, const char *text, int64_t at)
{
	struct evidence e = { .probe = PROBE_TEST, .code = code, .http = 200, .at = at };
	strncpy(e.text, text, sizeof e.text - 1);
	return e;
}

static struct judgement proven(void)
{
	struct judgement j = { .version = 1 };
	struct evidence good = says(0, "OK", NOW - HOUR);
	ruling_apply(&j, RULING_VERDICT, VERDICT_HEALTHY, &good);
	return j;
}

static struct credential of_one(enum stage stage)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .last_number = 1, .version_count = 1 };
	c.versions[0] = (struct version){ .number = 1, .stage = stage, .digest = { 1 } };
	return c;
}

/* ---- evidence ---- */

static void evidence__of_an_answer_with_a_code_is_what_it_said(void **state)
{
	(void)state;
	struct answer a = {
		.body = BODY_CODE, .http = 200, .code = 40105, .at = NOW, .text = "no", .request_id = "2026"
	};
	struct evidence e = evidence_of(&a, PROBE_LIVE);
	assert_int_equal(e.code, 40105);
	assert_int_equal(e.probe, PROBE_LIVE);
	assert_int_equal(e.at, NOW);
	assert_string_equal(e.text, "no");
	assert_string_equal(e.request_id, "2026");
}

static void evidence__of_silence_says_what_came_instead(void **state)
{
	(void)state;
	static const struct {
		struct answer answer;
		const char *says;
	} silent[] = {
		{ { .transport = TRANSPORT_TIMEOUT }, "" },
		{ { .transport = TRANSPORT_CONNECT, .text = "port closed" }, ": port closed" },
		{ { .http = 302, .body = BODY_OTHER }, "HTTP 302, a redirect" },
		{ { .http = 200, .body = BODY_NONE }, "HTTP 200 with an empty answer" },
		{ { .http = 200, .body = BODY_ODD_JSON }, "JSON that holds no plain code" },
		{ { .http = 502, .body = BODY_OTHER }, "HTTP 502 with a page that is not JSON" },
	};
	for (size_t i = 0; i < COUNT_OF(silent); i++) {
		struct answer a = silent[i].answer;
		a.code = NO_CODE;
		struct evidence e = evidence_of(&a, PROBE_TEST);
		assert_int_equal(e.code, NO_CODE);
		assert_true(e.text[0]);
		if (!strstr(e.text, silent[i].says))
			fail_msg("%zu: %s", i, e.text);
	}
}

static void evidence__of_a_long_text_is_cut_and_ended(void **state)
{
	(void)state;
	struct answer a = { .transport = TRANSPORT_OTHER, .code = NO_CODE };
	memset(a.text, 'x', sizeof a.text - 1);
	struct evidence e = evidence_of(&a, PROBE_TEST);
	assert_true(strlen(e.text) < sizeof e.text);
	assert_non_null(strstr(e.text, "xxxx"));
}

/* ---- rulings ---- */

static void ruling__none_changes_nothing(void **state)
{
	(void)state;
	struct judgement j = proven(), before = j;
	struct evidence e = says(40105, "no", NOW);
	ruling_apply(&j, RULING_NONE, VERDICT_REVOKED, &e);
	assert_memory_equal(&j, &before, sizeof j);
}

static void ruling__transient_keeps_the_verdict_and_says_why(void **state)
{
	(void)state;
	struct judgement j = proven();
	struct evidence busy = says(50000, "internal error", NOW), silence = says(NO_CODE, "no address", NOW + 1);
	ruling_apply(&j, RULING_TRANSIENT, OUTCOME_UNKNOWN, &busy);
	assert_int_equal(j.verdict, VERDICT_HEALTHY);
	assert_int_equal(j.proven_at, NOW - HOUR);
	assert_int_equal(j.checked_at, NOW - HOUR);
	assert_int_equal(j.attempted_at, NOW);
	assert_string_equal(j.attempt_text, "TikTok answered 50000 \"internal error\"");
	ruling_apply(&j, RULING_TRANSIENT, OUTCOME_UNREACHABLE, &silence);
	assert_string_equal(j.attempt_text, "no address");
	assert_int_equal(j.last_outcome, OUTCOME_UNREACHABLE);
}

static void ruling__one_refusal_is_a_suspicion_and_no_verdict(void **state)
{
	(void)state;
	struct judgement j = proven();
	struct evidence e = says(40105, "no", NOW);
	ruling_apply(&j, RULING_SUSPECT, VERDICT_REVOKED, &e);
	assert_int_equal(j.verdict, VERDICT_HEALTHY);
	assert_int_equal(j.suspected, VERDICT_REVOKED);
	assert_int_equal(j.suspected_at, NOW);
	assert_int_equal(j.evidence.code, 0);
	e.at = NOW + 60;
	ruling_apply(&j, RULING_SUSPECT, VERDICT_REVOKED, &e);
	assert_int_equal(j.suspected_at, NOW);
	ruling_apply(&j, RULING_SUSPECT, VERDICT_MISMATCHED, &e);
	assert_int_equal(j.suspected, VERDICT_MISMATCHED);
	assert_int_equal(j.suspected_at, NOW + 60);
	ruling_apply(&j, RULING_DISAGREED, VERDICT_HEALTHY, &e);
	assert_int_equal(j.suspected, VERDICT_UNCHECKED);
	assert_int_equal(j.verdict, VERDICT_HEALTHY);
	ruling_apply(&j, RULING_SUSPECT, VERDICT_REVOKED, &e);
	assert_int_equal(j.suspected_at, NOW + 60);
}

static void ruling__two_refusals_stand_and_end_the_suspicion(void **state)
{
	(void)state;
	struct judgement j = proven();
	struct evidence e = says(40105, "no", NOW);
	strcpy(j.belongs_to, "C1U2T02IU8J6B9GC2B90");
	ruling_apply(&j, RULING_SUSPECT, VERDICT_REVOKED, &e);
	ruling_apply(&j, RULING_VERDICT, VERDICT_REVOKED, &e);
	assert_int_equal(j.verdict, VERDICT_REVOKED);
	assert_int_equal(j.suspected, VERDICT_UNCHECKED);
	assert_int_equal(j.evidence.code, 40105);
	assert_int_equal(j.proven_at, NOW - HOUR);
	assert_string_equal(j.belongs_to, "");
}

static void ruling__unproven_never_takes_healthy_away_but_ends_a_bad_verdict(void **state)
{
	(void)state;
	struct judgement j = proven();
	struct evidence e = says(0, "OK", NOW);
	ruling_apply(&j, RULING_VERDICT, VERDICT_UNPROVEN, &e);
	assert_int_equal(j.verdict, VERDICT_HEALTHY);
	assert_int_equal(j.checked_at, NOW);
	j.verdict = VERDICT_EXPIRED;
	ruling_apply(&j, RULING_VERDICT, VERDICT_UNPROVEN, &e);
	assert_int_equal(j.verdict, VERDICT_UNPROVEN);
}

static void ruling__an_outage_is_nobodys_verdict(void **state)
{
	(void)state;
	struct judgement j = proven();
	struct evidence e = says(40105, "no", NOW);
	ruling_apply(&j, RULING_SUSPECT, VERDICT_REVOKED, &e);
	ruling_apply(&j, RULING_OUTAGE, VERDICT_REVOKED, &e);
	assert_int_equal(j.verdict, VERDICT_HEALTHY);
	assert_int_equal(j.last_outcome, OUTCOME_UNREACHABLE);
	assert_int_equal(j.suspected, VERDICT_UNCHECKED);
	assert_non_null(strstr(j.attempt_text, "outage"));
}

/* ---- written, and planned ---- */

static void ruling__is_not_written_for_a_version_that_went(void **state)
{
	(void)state;
	struct credential c = of_one(STAGE_RETIRED);
	struct health h = { .counter = 0 }, before = h;
	struct evidence e = says(0, "OK", NOW);
	assert_false(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_HEALTHY, &e, &settings));
	assert_false(ruling_write(&h, &c, 2, RULING_VERDICT, VERDICT_HEALTHY, &e, &settings));
	assert_memory_equal(&h, &before, sizeof h);
}

static void ruling__of_a_pending_version_does_not_touch_the_current_one(void **state)
{
	(void)state;
	struct credential c = of_one(STAGE_PENDING);
	struct health h = { .counter = 0 };
	struct evidence e = says(40105, "no", NOW);
	assert_true(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_REVOKED, &e, &settings));
	assert_int_equal(h.pending.verdict, VERDICT_REVOKED);
	assert_int_equal(h.current.version, 0);
	assert_int_equal(h.history_count, 1);
	assert_true(h.next_check_at > NOW);
}

static void ruling__failures_count_in_a_row_and_one_answer_ends_them(void **state)
{
	(void)state;
	struct credential c = of_one(STAGE_CURRENT);
	struct health h = { .counter = 0 };
	struct evidence e = says(0, "OK", NOW);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_true(ruling_write(&h, &c, 1, RULING_TRANSIENT, OUTCOME_UNREACHABLE, &e, &settings));
		assert_int_equal(h.failures, i);
	}
	h.failures = UINT32_MAX;
	assert_true(ruling_write(&h, &c, 1, RULING_OUTAGE, VERDICT_REVOKED, &e, &settings));
	assert_int_equal(h.failures, UINT32_MAX);
	assert_true(ruling_write(&h, &c, 1, RULING_NONE, VERDICT_HEALTHY, &e, &settings));
	assert_int_equal(h.failures, UINT32_MAX);
	assert_true(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_HEALTHY, &e, &settings));
	assert_int_equal(h.failures, 0);
}

static void plan__a_suspicion_is_looked_at_again_after_its_delay(void **state)
{
	(void)state;
	struct credential c = of_one(STAGE_CURRENT);
	struct health h = { .counter = 0 };
	struct evidence e = says(40105, "no", NOW);
	struct settings quick = settings;
	assert_true(ruling_write(&h, &c, 1, RULING_SUSPECT, VERDICT_REVOKED, &e, &settings));
	assert_int_equal(h.next_check_at, NOW + SCHEDULE_CONFIRM_DELAY_S);
	quick.confirm_delay_s = 5;
	ruling_plan(&h, &c, &quick, NOW);
	assert_int_equal(h.next_check_at, NOW + 5);
	ruling_plan(&h, &c, &quick, NOW + HOUR); /* overdue: at once, and never in the past */
	assert_int_equal(h.next_check_at, NOW + HOUR + 1);
}

static void plan__a_list_is_read_again_before_its_pixels_are_due(void **state)
{
	(void)state;
	struct credential c = of_one(STAGE_CURRENT);
	struct health h = { .counter = 0 };
	strcpy(c.pixel, "bc:1234567");
	ruling_plan(&h, &c, &settings, NOW);
	assert_int_equal(h.next_check_at, NOW + settings.interval_s * 9 / 10);
}

static void plan__what_a_list_proved_is_due_by_itself_late_in_the_interval(void **state)
{
	(void)state;
	struct credential c = of_one(STAGE_CURRENT);
	struct health h = { .counter = 0 };
	struct evidence e = says(0, "OK", NOW);
	e.probe = PROBE_LISTING;
	assert_true(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_HEALTHY, &e, &settings));
	assert_true(h.next_check_at > NOW + settings.interval_s * 9 / 10);
	assert_true(h.next_check_at <= NOW + settings.interval_s);
}

/* Only what the list said just now speaks for the whole interval: not what it said before another question, nor what
 * another question said. */
static void plan__what_a_list_said_before_is_due_as_any_other(void **state)
{
	(void)state;
	struct credential c = of_one(STAGE_CURRENT);
	struct health listed = { .counter = 0 }, h;
	struct evidence e = says(0, "OK", NOW);
	const int64_t usual = schedule_next(c.pixel, &settings, 0, NOW + HOUR, 0);
	e.probe = PROBE_LISTING;
	assert_true(ruling_write(&listed, &c, 1, RULING_VERDICT, VERDICT_HEALTHY, &e, &settings));
	ruling_plan(&listed, &c, &settings, NOW + HOUR);
	assert_int_equal(listed.next_check_at, usual);
	h = listed;
	h.current.evidence.at = NOW + HOUR; /* the same list, and not yet believed */
	ruling_plan(&h, &c, &settings, NOW + HOUR);
	assert_int_equal(h.next_check_at, usual);
	h.current.checked_at = NOW + HOUR;
	ruling_plan(&h, &c, &settings, NOW + HOUR);
	assert_int_not_equal(h.next_check_at, usual);
	h.current.evidence.probe = PROBE_TEST;
	ruling_plan(&h, &c, &settings, NOW + HOUR);
	assert_int_equal(h.next_check_at, usual);
	h.current.evidence.probe = PROBE_LISTING;
	c.versions[0].expires_at = NOW + 3000 * HOUR; /* a date that TikTok gave: as for any token with one */
	ruling_plan(&h, &c, &settings, NOW + HOUR);
	assert_int_equal(h.next_check_at, schedule_next(c.pixel, &settings, NOW + 3000 * HOUR, NOW + HOUR, 0));
}

/* Its access token works for a while yet, and a person is needed all the same. */
static void ruling__a_token_that_is_renewed_no_more_stays_expired_while_it_works(void **state)
{
	(void)state;
	struct credential c = of_one(STAGE_CURRENT);
	struct health h = { .counter = 0 };
	struct evidence refused = says(40103, "expired", NOW), good = says(0, "OK", NOW + HOUR);
	c.versions[0].renewal =
		(struct renewal){ .family = FAMILY_ACCOUNTS, .issued_at = 5, .refused_at = NOW, .digest = { 1 } };
	assert_true(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_EXPIRED, &refused, &settings));
	assert_true(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_UNPROVEN, &good, &settings));
	assert_int_equal(h.current.verdict, VERDICT_EXPIRED);
	assert_int_equal(h.current.last_outcome, VERDICT_UNPROVEN);
	assert_int_equal(h.current.checked_at, NOW + HOUR);
	assert_int_equal(h.current.proven_at, 0);
	assert_int_equal(h.current.evidence.code, 40103);
	good.at += HOUR;
	assert_true(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_HEALTHY, &good, &settings));
	assert_int_equal(h.current.verdict, VERDICT_EXPIRED);
	assert_int_equal(h.current.proven_at, NOW + 2 * HOUR);
}

static void evidence__of_a_named_error_is_its_text(void **state)
{
	(void)state;
	struct answer a = { .body = BODY_NAMED, .http = 400, .code = NO_CODE, .text = "invalid_grant: expired" };
	struct evidence e = evidence_of(&a, PROBE_REFRESH);
	assert_string_equal(e.text, "invalid_grant: expired");
	a.transport = TRANSPORT_TIMEOUT;
	e = evidence_of(&a, PROBE_REFRESH);
	assert_string_not_equal(e.text, "invalid_grant: expired");
}

static void apply__no_ruling_changes_nothing(void **state)
{
	(void)state;
	struct judgement j = proven(), before = j;
	struct evidence bad = says(40105, "no", NOW);
	ruling_apply(&j, RULING_NONE, VERDICT_REVOKED, &bad);
	assert_memory_equal(&j, &before, sizeof j);
}

/* A Pixel with no version is asked about again all the same; a suspicion is looked into before that, but never in the
 * past. */
static void plan__a_suspicion_comes_first(void **state)
{
	(void)state;
	struct credential none = { .pixel = "C0U2T02IU8J6B9GC2B90" }, c = of_one(STAGE_CURRENT);
	struct health h = { .counter = 0 };
	ruling_plan(&h, &none, &settings, NOW);
	assert_true(h.next_check_at > NOW);
	h.current.suspected = VERDICT_REVOKED;
	h.current.suspected_at = NOW - HOUR;
	ruling_plan(&h, &c, &settings, NOW);
	assert_int_equal(h.next_check_at, NOW + 1);
	h.current.suspected_at = NOW + 1000 * HOUR; /* a clock that was set back */
	ruling_plan(&h, &c, &settings, NOW);
	assert_true(h.next_check_at < NOW + 1000 * HOUR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan__what_a_list_said_before_is_due_as_any_other),
		cmocka_unit_test(ruling__a_token_that_is_renewed_no_more_stays_expired_while_it_works),
		cmocka_unit_test(evidence__of_a_named_error_is_its_text),
		cmocka_unit_test(apply__no_ruling_changes_nothing),
		cmocka_unit_test(plan__a_suspicion_comes_first),
		cmocka_unit_test(evidence__of_an_answer_with_a_code_is_what_it_said),
		cmocka_unit_test(evidence__of_silence_says_what_came_instead),
		cmocka_unit_test(evidence__of_a_long_text_is_cut_and_ended),
		cmocka_unit_test(ruling__none_changes_nothing),
		cmocka_unit_test(ruling__transient_keeps_the_verdict_and_says_why),
		cmocka_unit_test(ruling__one_refusal_is_a_suspicion_and_no_verdict),
		cmocka_unit_test(ruling__two_refusals_stand_and_end_the_suspicion),
		cmocka_unit_test(ruling__unproven_never_takes_healthy_away_but_ends_a_bad_verdict),
		cmocka_unit_test(ruling__an_outage_is_nobodys_verdict),
		cmocka_unit_test(ruling__is_not_written_for_a_version_that_went),
		cmocka_unit_test(ruling__of_a_pending_version_does_not_touch_the_current_one),
		cmocka_unit_test(ruling__failures_count_in_a_row_and_one_answer_ends_them),
		cmocka_unit_test(plan__a_suspicion_is_looked_at_again_after_its_delay),
		cmocka_unit_test(plan__a_list_is_read_again_before_its_pixels_are_due),
		cmocka_unit_test(plan__what_a_list_proved_is_due_by_itself_late_in_the_interval),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
