#include "agent/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY INT64_C(86400)
#define NOW INT64_C(1795406706) /* 2026-11-23T04:05:06Z */
#define PIXEL "C0U2T02IU8J6B9GC2B90"

static const struct settings settings = { .interval_s = 21600, .expiry_warning_s = { 30 * DAY, 7 * DAY, DAY } };

static struct credential stored(void)
{
	struct credential c = { .pixel = PIXEL, .version_count = 1, .last_number = 1 };
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT, .stored_at = NOW - DAY };
	return c;
}

static struct health judged(enum verdict verdict)
{
	struct health h = { .current = { .version = 1, .verdict = verdict, .last_outcome = verdict } };
	h.current.attempted_at = h.current.checked_at = NOW - 60;
	h.current.evidence = (struct evidence){ .probe = PROBE_DRY, .code = 40105, .http = 200, .at = NOW - 60 };
	strcpy(h.current.evidence.text, "no");
	h.pending.evidence.code = NO_CODE;
	return h;
}

static void status__a_pixel_nobody_asked_about_speaks_of_nothing(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = { .current = { .version = 1 } };
	struct status_row row;
	status_of(&c, &h, &settings, NOW, &row);
	assert_null(row.speaking);
	assert_int_equal(row.verdict, VERDICT_UNCHECKED);
	assert_false(row.is_due);
	assert_non_null(strstr(row.advice, "check"));
}

static void status__a_healthy_pixel_needs_no_advice(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = judged(VERDICT_HEALTHY);
	struct status_row row;
	status_of(&c, &h, &settings, NOW, &row);
	assert_int_equal(row.verdict, VERDICT_HEALTHY);
	assert_string_equal(row.advice, "");
}

#define OWNER "C9AAAAAAAAAAAAAAAAA0"

static struct credential owner_of(struct health *h, enum verdict verdict, const char *belongs_to)
{
	struct credential c = stored();
	strcpy(c.pixel, OWNER);
	memset(c.versions[0].fingerprint, 7, sizeof c.versions[0].fingerprint);
	*h = judged(verdict);
	strcpy(h->current.belongs_to, belongs_to);
	return c;
}

static void status__a_stray_token_is_told_with_its_owner_and_the_command(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = judged(VERDICT_MISMATCHED), owners;
	struct status_row row;
	strcpy(h.current.belongs_to, OWNER);
	status_of(&c, &h, &settings, NOW, &row);
	assert_string_equal(status_owner(&row), OWNER);
	assert_non_null(strstr(row.advice, OWNER)); /* nothing is known of it */
	assert_non_null(strstr(row.advice, "vault put " PIXEL));
	struct credential owner = owner_of(&owners, VERDICT_EXPIRED, "");
	status_advise(&row, &owner, &owners);
	assert_non_null(strstr(row.advice, "vault move " PIXEL " " OWNER "; then its own: vault put " PIXEL));
	owner = owner_of(&owners, VERDICT_MISMATCHED, PIXEL);
	status_advise(&row, &owner, &owners);
	assert_non_null(strstr(row.advice, "vault swap " PIXEL " " OWNER));
	memcpy(owner.versions[0].fingerprint, c.versions[0].fingerprint, FINGERPRINT_LEN);
	status_advise(&row, &owner, &owners);
	assert_null(strstr(row.advice, "swap"));
	assert_non_null(strstr(row.advice, "vault put " PIXEL));
}

static void status__a_stray_of_nobody_known_needs_another_token(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = judged(VERDICT_MISMATCHED);
	struct status_row row;
	status_of(&c, &h, &settings, NOW, &row);
	assert_null(status_owner(&row));
	assert_non_null(strstr(row.advice, "vault put " PIXEL));
	char before[sizeof row.advice];
	strcpy(before, row.advice);
	status_advise(&row, &c, &h);
	assert_string_equal(row.advice, before);
}

static void status__a_stray_that_waits_is_told_beside_a_healthy_current_one(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = judged(VERDICT_HEALTHY), owners;
	struct status_row row;
	c.version_count = 2;
	c.versions[1] = (struct version){ .number = 2, .stage = STAGE_PENDING, .stored_at = NOW };
	memset(c.versions[1].fingerprint, 9, sizeof c.versions[1].fingerprint);
	h.pending = (struct judgement){ .version = 2, .verdict = VERDICT_MISMATCHED, .attempted_at = NOW };
	strcpy(h.pending.belongs_to, OWNER);
	struct credential owner = owner_of(&owners, VERDICT_HEALTHY, "");
	status_of(&c, &h, &settings, NOW, &row);
	assert_string_equal(status_owner(&row), OWNER);
	status_advise(&row, &owner, &owners);
	assert_non_null(strstr(row.advice, "version 2"));
	assert_non_null(strstr(row.advice, "vault move " PIXEL " " OWNER));
	assert_null(strstr(row.advice, "put"));
	owner = owner_of(&owners, VERDICT_MISMATCHED, PIXEL);
	status_advise(&row, &owner, &owners);
	assert_non_null(strstr(row.advice, "vault swap " PIXEL " " OWNER));
}

static void status__a_shared_token_is_told_only_where_nothing_presses_more(void **state)
{
	(void)state;
	struct credential c = stored();
	static const enum verdict calm[] = { VERDICT_HEALTHY, VERDICT_UNPROVEN, VERDICT_UNCHECKED };
	struct status_row row;
	for (size_t i = 0; i < 3; i++) {
		struct health h = judged(calm[i]);
		status_of(&c, &h, &settings, NOW, &row);
		status_share(&row, OWNER);
		assert_non_null(strstr(row.advice, "vault put " PIXEL ", or vault put " OWNER));
	}
	struct health h = judged(VERDICT_REVOKED);
	status_of(&c, &h, &settings, NOW, &row);
	status_share(&row, OWNER);
	assert_null(strstr(row.advice, OWNER));
}

static void status__a_refused_pending_token_shows_in_the_advice_only(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = judged(VERDICT_HEALTHY);
	struct status_row row;
	c.version_count = 2;
	c.versions[1] = (struct version){ .number = 2, .stage = STAGE_PENDING, .stored_at = NOW };
	h.pending = (struct judgement){ .version = 2, .verdict = VERDICT_EXPIRED, .attempted_at = NOW };
	status_of(&c, &h, &settings, NOW, &row);
	assert_int_equal(row.verdict, VERDICT_HEALTHY);
	assert_non_null(strstr(row.advice, "version 2"));
	assert_non_null(strstr(row.advice, "expired"));
	/* Without a current token it is all there is. */
	c.versions[0].stage = STAGE_PREVIOUS;
	status_of(&c, &h, &settings, NOW, &row);
	assert_int_equal(row.verdict, VERDICT_EXPIRED);
}

static void status__due_means_expiring_within_the_longest_step_or_too_old(void **state)
{
	(void)state;
	struct credential c = stored();
	struct settings s = settings;
	c.versions[0].expires_at = NOW + 30 * DAY + 1;
	assert_false(status_is_due(&c, &s, NOW));
	c.versions[0].expires_at = NOW + 30 * DAY;
	assert_true(status_is_due(&c, &s, NOW));
	c.versions[0].expires_at = NOW - 5 * DAY;
	assert_true(status_is_due(&c, &s, NOW));
	c.versions[0].expires_at = 0;
	s.max_age_s = DAY;
	assert_false(status_is_due(&c, &s, NOW));
	assert_true(status_is_due(&c, &s, NOW + 1));
	c.version_count = 0;
	assert_false(status_is_due(&c, &s, NOW + 1));
}

static void status__expiry_is_said_with_its_date(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = judged(VERDICT_HEALTHY);
	struct status_row row;
	c.versions[0].expires_at = NOW + 3 * DAY;
	status_of(&c, &h, &settings, NOW, &row);
	assert_true(row.is_due);
	assert_non_null(strstr(row.advice, "2026-11-26:"));
}

static void assert_json(const struct status_row *row, const char *expected)
{
	struct buf out = BUF_INIT(65536);
	struct json j = JSON_INIT(&out);
	status_json(&j, row);
	buf_append(&out, "", 1);
	assert_string_equal((const char *)out.at, expected);
	buf_done(&out);
}

static void status__json_has_every_member_and_invents_none(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = { .current = { .version = 1 } };
	struct status_row row;
	char advice[200], expected[2048], fingerprint[FINGERPRINT_TEXT_MAX];
	c.label_count = 1;
	strcpy(c.labels[0].key, "brand");
	strcpy(c.labels[0].value, "acme");
	status_of(&c, &h, &settings, NOW, &row);
	strcpy(advice, row.advice);
	fingerprint_text(c.versions[0].fingerprint, fingerprint);
	snprintf(expected, sizeof expected,
		 "{\"pixel\":\"" PIXEL "\",\"labels\":{\"brand\":\"acme\"},\"verdict\":\"unchecked\",\"evidence\":null,"
		 "\"last_attempt\":null,\"checked_at\":null,\"proven_at\":null,\"next_check_at\":null,"
		 "\"current\":{\"version\":1,\"fingerprint\":\"%s\",\"stored_at\":\"2026-11-22T04:05:06Z\","
		 "\"expires_at\":null},\"pending\":null,\"previous\":null,\"standby\":null,\"rotation\":null,\"renewal\":null,\"listings\":[],\"advice\":\"%s\"}",
		 fingerprint, advice);
	assert_json(&row, expected);
}

static void status__json_gives_the_evidence_and_the_last_attempt(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = judged(VERDICT_REVOKED);
	struct status_row row;
	struct buf out = BUF_INIT(65536);
	struct json j = JSON_INIT(&out);
	h.current.last_outcome = OUTCOME_UNREACHABLE;
	h.current.attempted_at = NOW;
	status_of(&c, &h, &settings, NOW, &row);
	status_json(&j, &row);
	buf_append(&out, "", 1);
	const char *text = (const char *)out.at;
	assert_non_null(strstr(text, "\"evidence\":{\"probe\":\"dry\",\"code\":40105,\"message\":\"no\","
				     "\"request_id\":null,\"at\":\"2026-11-23T04:04:06Z\"}"));
	assert_non_null(strstr(text, "\"last_attempt\":{\"outcome\":\"unreachable\",\"at\":\"2026-11-23T04:05:06Z\"}"));
	assert_non_null(strstr(text, "\"verdict\":\"revoked\""));
	buf_done(&out);
}

static void status__names_are_any_and_labels_are_all(void **state)
{
	(void)state;
	struct credential c = stored();
	const char *const names[] = { "C9AAAAAAAAAAAAAAAAA0", PIXEL };
	struct label labels[] = { { "brand", "acme" }, { "env", "prod" } };
	c.label_count = 1;
	c.labels[0] = labels[0];
	assert_true(status_matches(&c, NULL, 0, NULL, 0));
	assert_true(status_matches(&c, names, 2, labels, 1));
	assert_false(status_matches(&c, names, 1, NULL, 0));
	assert_false(status_matches(&c, NULL, 0, labels, 2));
}

static void status__who_needs_a_new_token_and_why(void **state)
{
	(void)state;
	struct credential c = stored();
	struct health h = judged(VERDICT_HEALTHY);
	struct settings s = settings;
	struct status_row row;
	s.max_age_s = 0;
	c.versions[0].stored_at = NOW - DAY;
	status_of(&c, &h, &s, NOW, &row);
	assert_int_equal(status_need(&row, &s, 0, NOW), NEED_NONE);
	assert_int_equal(status_need(&row, &s, DAY, NOW), NEED_NONE);
	assert_int_equal(status_need(&row, &s, DAY - 1, NOW), NEED_OLD);
	credential_want_new(&c, true, NOW);
	status_of(&c, &h, &s, NOW, &row);
	assert_false(row.is_due); /* a wish is no alarm */
	assert_non_null(strstr(row.advice, "vault rotate"));
	assert_int_equal(status_need(&row, &s, 0, NOW), NEED_ASKED);
	assert_int_equal(status_need(&row, &s, 60, NOW), NEED_OLD);
	c.versions[0].expires_at = NOW + 1;
	assert_int_equal(status_need(&row, &s, 60, NOW), NEED_EXPIRES);
	h = judged(VERDICT_REVOKED);
	status_of(&c, &h, &s, NOW, &row);
	assert_int_equal(status_need(&row, &s, 60, NOW), NEED_BAD);
	assert_string_equal(need_name(NEED_BAD), "bad");
}

static void assert_rotation(const struct credential *c, enum rotation step, int64_t since, uint32_t from, uint32_t to)
{
	struct rotation_facts r;
	assert_int_equal(status_rotation(c, &r), step != ROTATION_NONE);
	assert_int_equal(r.step, step);
	assert_int_equal(r.since, since);
	assert_int_equal(r.from ? r.from->number : 0, from);
	assert_int_equal(r.to ? r.to->number : 0, to);
}

static void status__a_rotation_is_shown_step_by_step(void **state)
{
	(void)state;
	struct credential c = stored();
	struct version fresh = { .stored_at = NOW };
	struct error err;
	uint32_t number, dropped;
	struct rotation_facts r;
	assert_false(status_rotation(&c, &r));
	credential_want_new(&c, true, NOW + 1);
	assert_rotation(&c, ROTATION_DUE, NOW + 1, 1, 0);
	assert_true(credential_add(&c, &fresh, NOW + 2, &number, &dropped, &err));
	assert_rotation(&c, ROTATION_CAPTURED, NOW + 2, 1, 2);
	assert_true(credential_promote(&c, 2, NOW + 3));
	assert_rotation(&c, ROTATION_PROMOTED, NOW + 3, 1, 2);
	assert_true(credential_retire(&c, 1, NOW + 4));
	assert_rotation(&c, ROTATION_RETIRED, NOW + 4, 1, 2);
	c.is_destroyed = true;
	assert_false(status_rotation(&c, &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status__a_pixel_nobody_asked_about_speaks_of_nothing),
		cmocka_unit_test(status__a_healthy_pixel_needs_no_advice),
		cmocka_unit_test(status__a_stray_token_is_told_with_its_owner_and_the_command),
		cmocka_unit_test(status__a_stray_of_nobody_known_needs_another_token),
		cmocka_unit_test(status__a_stray_that_waits_is_told_beside_a_healthy_current_one),
		cmocka_unit_test(status__a_shared_token_is_told_only_where_nothing_presses_more),
		cmocka_unit_test(status__a_refused_pending_token_shows_in_the_advice_only),
		cmocka_unit_test(status__due_means_expiring_within_the_longest_step_or_too_old),
		cmocka_unit_test(status__expiry_is_said_with_its_date),
		cmocka_unit_test(status__json_has_every_member_and_invents_none),
		cmocka_unit_test(status__json_gives_the_evidence_and_the_last_attempt),
		cmocka_unit_test(status__names_are_any_and_labels_are_all),
		cmocka_unit_test(status__who_needs_a_new_token_and_why),
		cmocka_unit_test(status__a_rotation_is_shown_step_by_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
