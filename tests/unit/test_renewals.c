#include "agent/renewals.h"
#include "agent/ruling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1795406706)
#define NOW_MS INT64_C(5000000)
#define DAY INT64_C(86400)
#define PIXEL "C0U2T02IU8J6B9GC2B90"

static struct settings settings = { .interval_s = 6 * 3600, .confirm_delay_s = -1 };

/* Issued an hour ago, for a day. */
static struct credential pair(void)
{
	struct credential c = { .pixel = PIXEL, .last_number = 1, .version_count = 1 };
	struct version *v = &c.versions[0];
	*v = (struct version){ .number = 1, .stage = STAGE_CURRENT };
	v->digest[0] = v->renewal.digest[0] = 1;
	v->renewal.family = FAMILY_ACCOUNTS;
	v->renewal.issued_at = NOW - 3600;
	v->renewal.access_until = NOW - 3600 + DAY;
	return c;
}

static struct credential unfetched(void)
{
	struct credential c = pair();
	c.versions[0].stage = STAGE_PENDING;
	c.versions[0].digest[0] = 0;
	return c;
}

static enum renewal_need need(const struct credential *c, int64_t now)
{
	struct health h = { .counter = 0 };
	return renewal_need(c, &h, &settings, now);
}

static void due__at_half_of_the_life_that_was_given(void **state)
{
	(void)state;
	struct credential c = pair();
	int64_t half = NOW - 3600 + DAY / 2;
	assert_int_equal(renewal_due_at(&c, &settings), half);
	assert_int_equal(need(&c, half - 1), RENEWAL_NONE);
	assert_int_equal(need(&c, half), RENEWAL_DUE);
	assert_int_equal(need(&c, NOW - 3600 + DAY - 1), RENEWAL_DUE);
	assert_int_equal(need(&c, NOW - 3600 + DAY), RENEWAL_OVER);
}

static void due__an_interval_later_where_no_life_was_given(void **state)
{
	(void)state;
	struct credential c = pair();
	c.versions[0].renewal.access_until = 0;
	assert_int_equal(renewal_due_at(&c, &settings), NOW - 3600 + settings.interval_s);
	c.versions[0].renewal.access_until = NOW - 4000; /* before it was issued: a clock that was wrong */
	assert_int_equal(renewal_due_at(&c, &settings), NOW - 3600 + settings.interval_s);
}

static void due__never_for_what_a_person_renews(void **state)
{
	(void)state;
	struct credential plain = pair(), refused = pair(), replaced = pair(), none = { .pixel = PIXEL };
	bool was_lost;
	plain.versions[0].renewal = (struct renewal){ .family = FAMILY_PLAIN };
	assert_int_equal(renewal_due_at(&plain, &settings), 0);
	refused.versions[0].renewal.refused_at = NOW;
	assert_int_equal(renewal_due_at(&refused, &settings), 0);
	assert_int_equal(need(&refused, NOW + 2 * DAY), RENEWAL_NONE);
	assert_true(renewal_is_refused(&refused, &was_lost));
	assert_false(was_lost);
	refused.versions[0].renewal.asked_at = NOW - 1;
	assert_true(renewal_is_refused(&refused, &was_lost));
	assert_true(was_lost);
	replaced.versions[0].renewal.digest[0] = 0;
	assert_int_equal(renewal_due_at(&replaced, &settings), 0);
	assert_int_equal(renewal_due_at(&none, &settings), 0);
}

static void due__at_once_when_tiktok_said_that_it_has_run_out(void **state)
{
	(void)state;
	struct credential c = pair();
	struct health h = { .current = { .version = 1, .verdict = VERDICT_EXPIRED, .evidence = { .at = NOW } } };
	assert_int_equal(renewal_need(&c, &h, &settings, NOW), RENEWAL_OVER);
	h.current.evidence.at = NOW - 7200; /* of a token before this one */
	assert_int_equal(renewal_need(&c, &h, &settings, NOW), RENEWAL_NONE);
	h.current.evidence.at = NOW;
	h.current.verdict = VERDICT_REVOKED; /* no refresh mends that */
	assert_int_equal(renewal_need(&c, &h, &settings, NOW), RENEWAL_NONE);
}

static void due__a_pending_one_without_a_token_is_fetched_until_it_is_refused(void **state)
{
	(void)state;
	struct credential c = unfetched();
	struct health h = { .pending = { .version = 1 } };
	assert_int_equal(renewal_need(&c, &h, &settings, NOW), RENEWAL_OVER);
	assert_false(credential_promote(&c, 1, NOW));
	h.pending.verdict = VERDICT_EXPIRED;
	assert_int_equal(renewal_need(&c, &h, &settings, NOW), RENEWAL_NONE);
	/* Beside a current one that a person renews. */
	c = unfetched();
	c.versions[1] = c.versions[0];
	c.versions[1].number = 2;
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT };
	c.version_count = 2;
	assert_int_equal(need(&c, NOW), RENEWAL_OVER);
}

static void due__of_a_token_that_came_back_by_the_newest_pair_of_its_family(void **state)
{
	(void)state;
	struct credential c = pair();
	c.versions[1] = c.versions[0];
	c.versions[0].renewal.digest[0] = 0; /* replaced by version 2, and current again */
	c.versions[1].number = 2;
	c.versions[1].stage = STAGE_PREVIOUS;
	c.version_count = 2;
	assert_int_equal(credential_renewable(&c)->number, 2);
	assert_int_equal(need(&c, NOW + DAY), RENEWAL_OVER);
	c.versions[1].renewal.family = FAMILY_LOGIN; /* another authorisation */
	assert_null(credential_renewable(&c));
}

static void person__is_needed_when_the_refresh_token_ends_not_the_token(void **state)
{
	(void)state;
	struct credential c = pair();
	c.versions[0].expires_at = NOW + 5;
	assert_int_equal(renewal_person_at(&c), 0);
	c.versions[0].renewal.refresh_until = NOW + 300 * DAY;
	assert_int_equal(renewal_person_at(&c), NOW + 300 * DAY);
	c.versions[0].renewal = (struct renewal){ .family = FAMILY_PLAIN };
	assert_int_equal(renewal_person_at(&c), NOW + 5);
}

static void verdict__of_a_refused_pair_stays_while_its_token_lasts(void **state)
{
	(void)state;
	struct credential c = pair();
	struct health h = { .current = { .version = 1, .verdict = VERDICT_EXPIRED } };
	struct evidence good = { .probe = PROBE_TEST, .code = 0, .at = NOW };
	c.versions[0].renewal.refused_at = NOW - 10;
	assert_true(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_HEALTHY, &good, &settings));
	assert_int_equal(h.current.verdict, VERDICT_EXPIRED);
	assert_int_equal(h.current.proven_at, NOW);
	assert_int_equal(h.current.last_outcome, VERDICT_HEALTHY);
	c.versions[0].renewal.refused_at = 0;
	assert_true(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_HEALTHY, &good, &settings));
	assert_int_equal(h.current.verdict, VERDICT_HEALTHY);
}

static void note(struct renewals *r, const char *pixel, int64_t issued_at, int64_t asked_at)
{
	struct credential c = pair();
	struct health h = { .counter = 0 };
	struct error err;
	snprintf(c.pixel, sizeof c.pixel, "%s", pixel);
	c.versions[0].renewal.issued_at = issued_at;
	c.versions[0].renewal.access_until = issued_at + 200;
	c.versions[0].renewal.asked_at = asked_at;
	assert_true(renewals_note(r, &c, &h, &settings, NOW, NOW_MS, &err));
}

static void planned__the_longest_overdue_first_and_none_too_soon_again(void **state)
{
	(void)state;
	struct renewals *r;
	struct error err;
	assert_true(renewals_new(&r, &err));
	assert_null(renewals_due(r, INT64_MAX));
	note(r, "C0LATER0000000000000", NOW - 90, 0);
	note(r, "C0SOON00000000000000", NOW - 95, 0);
	note(r, "C0ASKED0000000000000", NOW - 150, NOW - 1);
	assert_null(renewals_due(r, NOW_MS + 4999));
	assert_string_equal(renewals_due(r, NOW_MS + 20000), "C0SOON00000000000000");
	renewals_postpone(r, "C0SOON00000000000000", NOW_MS + 60000);
	assert_string_equal(renewals_due(r, NOW_MS + 20000), "C0LATER0000000000000");
	note(r, "C0SOON00000000000000", NOW - 95, 0); /* what is learnt of it does not shorten the rest */
	renewals_forget(r, "C0LATER0000000000000");
	assert_null(renewals_due(r, NOW_MS + 20000));
	/* Whose last question is open waits: it may be under way in another process. */
	assert_string_equal(renewals_due(r, NOW_MS + 61000), "C0SOON00000000000000");
	renewals_forget(r, "C0SOON00000000000000");
	assert_null(renewals_due(r, NOW_MS + (renewal_retry_s(&settings) - 2) * 1000));
	assert_string_equal(renewals_due(r, NOW_MS + renewal_retry_s(&settings) * 1000), "C0ASKED0000000000000");
	renewals_free(r);
}

static void planned__a_plain_one_is_forgotten(void **state)
{
	(void)state;
	struct renewals *r;
	struct credential c = pair();
	struct health h = { .counter = 0 };
	struct error err;
	assert_true(renewals_new(&r, &err));
	note(r, PIXEL, NOW - 1000, 0);
	assert_string_equal(renewals_due(r, NOW_MS), PIXEL);
	c.versions[0].renewal = (struct renewal){ .family = FAMILY_PLAIN };
	assert_true(renewals_note(r, &c, &h, &settings, NOW, NOW_MS, &err));
	assert_null(renewals_due(r, INT64_MAX));
	renewals_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due__at_half_of_the_life_that_was_given),
		cmocka_unit_test(due__an_interval_later_where_no_life_was_given),
		cmocka_unit_test(due__never_for_what_a_person_renews),
		cmocka_unit_test(due__at_once_when_tiktok_said_that_it_has_run_out),
		cmocka_unit_test(due__a_pending_one_without_a_token_is_fetched_until_it_is_refused),
		cmocka_unit_test(due__of_a_token_that_came_back_by_the_newest_pair_of_its_family),
		cmocka_unit_test(person__is_needed_when_the_refresh_token_ends_not_the_token),
		cmocka_unit_test(verdict__of_a_refused_pair_stays_while_its_token_lasts),
		cmocka_unit_test(planned__the_longest_overdue_first_and_none_too_soon_again),
		cmocka_unit_test(planned__a_plain_one_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
