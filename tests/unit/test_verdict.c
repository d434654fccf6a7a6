#include "agent/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char pair_text[] = "No permission to operate pixel code: C0U2T02IU8J6B9GC2B90. You must be an admin or "
				"operator of this advertiser account.";

static struct answer with_code(int32_t code, const char *text)
{
	struct answer a = { .body = BODY_CODE, .http = 200, .code = code };
	snprintf(a.text, sizeof a.text, "%s", text);
	return a;
}

static struct answer with_body(int32_t http, enum body_kind body)
{
	return (struct answer){ .body = body, .http = http, .code = NO_CODE };
}

static struct finding judge(struct answer a, enum probe_kind kind)
{
	return verdict_judge(&a, &(struct question_context){ .kind = kind });
}

static struct finding judge_proven(struct answer a, enum probe_kind kind)
{
	return verdict_judge(&a, &(struct question_context){ .kind = kind, .was_healthy = true });
}

static void expect(struct finding f, const char *row, enum verdict outcome, unsigned flags)
{
	assert_string_equal(f.row, row);
	assert_int_equal(f.outcome, outcome);
	assert_int_equal(f.flags, flags);
	assert_true((f.advice == NULL) == (outcome == VERDICT_HEALTHY));
}

/* Every probe of event/track, whether the pair was proven before or not. */
static void expect_code(int32_t code, const char *row, enum verdict outcome, unsigned flags)
{
	static const enum probe_kind kinds[] = { PROBE_DRY, PROBE_TEST, PROBE_LIVE };
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		expect(judge(with_code(code, ""), kinds[i]), row, outcome, flags);
		expect(judge_proven(with_code(code, ""), kinds[i]), row, outcome, flags);
	}
}

static void expect_codes(const int32_t *codes, size_t count, const char *row, enum verdict outcome, unsigned flags)
{
	for (size_t i = 0; i < count; i++)
		expect_code(codes[i], row, outcome, flags);
}

static void row_2__an_exchange_that_failed_is_unreachable(void **state)
{
	(void)state;
	for (int t = TRANSPORT_OK + 1; t < TRANSPORT_COUNT; t++) {
		struct answer a = { .transport = (enum transport)t, .code = NO_CODE };
		expect(judge(a, PROBE_TEST), "2", OUTCOME_UNREACHABLE, 0);
		a.http = 200; /* a head came, and then no more */
		expect(judge(a, PROBE_TEST), "2", OUTCOME_UNREACHABLE, 0);
	}
}

static void row_2__a_server_error_without_a_code_is_unreachable_whatever_its_body(void **state)
{
	(void)state;
	static const int32_t statuses[] = { 500, 502, 503, 504, 599 };
	static const enum body_kind bodies[] = { BODY_NONE, BODY_ODD_JSON, BODY_OTHER };
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		for (size_t b = 0; b < COUNT_OF(bodies); b++)
			expect(judge(with_body(statuses[i], bodies[b]), PROBE_DRY), "2", OUTCOME_UNREACHABLE, 0);
}

static void row_2__a_redirect_without_a_code_is_unreachable(void **state)
{
	(void)state;
	static const enum body_kind bodies[] = { BODY_NONE, BODY_ODD_JSON, BODY_OTHER };
	for (int32_t http = 300; http < 400; http++)
		for (size_t b = 0; b < COUNT_OF(bodies); b++)
			expect(judge(with_body(http, bodies[b]), PROBE_TEST), "2", OUTCOME_UNREACHABLE, 0);
}

static void row_2__html_text_and_emptiness_are_unreachable(void **state)
{
	(void)state;
	static const int32_t statuses[] = { 200, 204, 400, 401, 403, 404, 405 };
	for (size_t i = 0; i < COUNT_OF(statuses); i++) {
		expect(judge(with_body(statuses[i], BODY_NONE), PROBE_TEST), "2", OUTCOME_UNREACHABLE, 0);
		if (statuses[i] < 404)
			expect(judge(with_body(statuses[i], BODY_OTHER), PROBE_TEST), "2", OUTCOME_UNREACHABLE, 0);
	}
}

static void row_3__a_404_text_and_a_405_page_are_our_client_not_the_pair(void **state)
{
	(void)state;
	expect(judge(with_body(404, BODY_OTHER), PROBE_DRY), "3", OUTCOME_UNKNOWN, FINDING_NOT_THE_PAIR);
	expect(judge(with_body(405, BODY_OTHER), PROBE_DRY), "3", OUTCOME_UNKNOWN, FINDING_NOT_THE_PAIR);
}

static void row_3__codes_about_version_and_route_are_our_client_not_the_pair(void **state)
{
	(void)state;
	static const int32_t codes[] = { 40006, 40008, 40010, 40051, 40400, 41001 };
	expect_codes(codes, COUNT_OF(codes), "3", OUTCOME_UNKNOWN, FINDING_NOT_THE_PAIR);
}

static void row_4__throttling_codes_are_throttled(void **state)
{
	(void)state;
	static const int32_t codes[] = { 40100, 40016, 40133, 61000, 51021 };
	expect_codes(codes, COUNT_OF(codes), "4", OUTCOME_THROTTLED, 0);
}

static void row_4__http_429_is_throttled_whatever_the_body(void **state)
{
	(void)state;
	for (int b = BODY_NONE; b <= BODY_OTHER; b++) {
		struct answer a = with_body(429, (enum body_kind)b);
		a.code = b == BODY_CODE ? 40105 : NO_CODE;
		expect(judge(a, PROBE_TEST), "4", OUTCOME_THROTTLED, 0);
		a.code = b == BODY_CODE ? 0 : NO_CODE;
		expect(judge(a, PROBE_TEST), "4", OUTCOME_THROTTLED, 0);
	}
}

static void row_5__a_throttled_pixel_hints_at_a_leak(void **state)
{
	(void)state;
	expect_code(40132, "5", OUTCOME_THROTTLED, FINDING_LEAK_HINT);
}

static void row_6__an_accepted_event_proves_the_pair(void **state)
{
	(void)state;
	static const enum probe_kind kinds[] = { PROBE_TEST, PROBE_LIVE, PROBE_REPORT };
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		expect(judge(with_code(0, "OK"), kinds[i]), "6", VERDICT_HEALTHY, 0);
		expect(judge(with_code(20001, "Partial success"), kinds[i]), "6", VERDICT_HEALTHY, 0);
	}
	expect(judge(with_code(0, "OK"), PROBE_NONE), "24", OUTCOME_UNKNOWN, 0);
}

static struct finding judge_listing(int32_t code, bool lists_pixel, bool is_unbound)
{
	struct answer a = with_code(code, "OK");
	return verdict_judge(&a, &(struct question_context){ .endpoint = ENDPOINT_PIXEL_LIST,
							     .kind = PROBE_LISTING,
							     .lists_pixel = lists_pixel,
							     .is_unbound = is_unbound });
}

static void row_7__a_listing_that_holds_the_pixel_is_healthy(void **state)
{
	(void)state;
	expect(judge_listing(0, true, false), "7", VERDICT_HEALTHY, 0);
	struct answer a = { .body = BODY_CODE, .http = 200 };
	struct question_context of_the_list = { .endpoint = ENDPOINT_PIXEL_LIST, .kind = PROBE_LISTING, .is_list = true };
	expect(verdict_judge(&a, &of_the_list), "7", VERDICT_HEALTHY, 0);
	expect(judge_listing(40001, true, false), "24", OUTCOME_UNKNOWN, 0);
}

static struct finding judge_user_info(int32_t code)
{
	struct answer a = with_code(code, "");
	return verdict_judge(&a, &(struct question_context){ .endpoint = ENDPOINT_USER_INFO });
}

static void row_8__user_info_alone_proves_no_pair(void **state)
{
	(void)state;
	expect(judge_user_info(0), "8", VERDICT_UNPROVEN, 0);
}

static void row_9__an_empty_token_is_malformed(void **state)
{
	(void)state;
	expect_code(40104, "9", VERDICT_MALFORMED, 0);
}

static void row_10__an_incorrect_token_on_event_track_is_revoked(void **state)
{
	(void)state;
	expect_code(40105, "10", VERDICT_REVOKED, 0);
}

static void row_11__the_same_on_another_endpoint_condemns_nothing(void **state)
{
	(void)state;
	expect(judge_user_info(40105), "11", OUTCOME_UNKNOWN, 0);
	expect(judge_listing(40105, false, false), "11", OUTCOME_UNKNOWN, 0);
}

static void row_12__an_expired_token_is_expired(void **state)
{
	(void)state;
	expect_code(40102, "12", VERDICT_EXPIRED, 0);
}

static void row_13__a_dead_refresh_token_is_expired(void **state)
{
	(void)state;
	static const int32_t codes[] = { 40103, 40107 };
	expect_codes(codes, COUNT_OF(codes), "13", VERDICT_EXPIRED, 0);
}

static void row_14__a_pair_never_proven_is_mismatched_under_either_code_and_in_any_case(void **state)
{
	(void)state;
	static const int32_t codes[] = { 40001, 40002 };
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		expect(judge(with_code(codes[i], pair_text), PROBE_DRY), "14", VERDICT_MISMATCHED, 0);
		expect(judge(with_code(codes[i], pair_text), PROBE_TEST), "14", VERDICT_MISMATCHED, 0);
		expect(judge(with_code(codes[i], "NO PERMISSION TO OPERATE PIXEL CODE: X"), PROBE_LIVE), "14",
		       VERDICT_MISMATCHED, 0);
	}
}

static void row_14__a_pair_proven_before_has_lost_its_permission(void **state)
{
	(void)state;
	expect(judge_proven(with_code(40001, pair_text), PROBE_DRY), "14", VERDICT_NO_PERMISSION, 0);
	expect(judge_proven(with_code(40002, pair_text), PROBE_TEST), "14", VERDICT_NO_PERMISSION, 0);
}

static void row_14__a_refused_pair_is_not_taken_for_the_left_out_data(void **state)
{
	(void)state;
	struct answer a = with_code(40002, "No permission to operate pixel code: X. See data.");
	expect(judge(a, PROBE_DRY), "14", VERDICT_MISMATCHED, 0);
}

static void row_14__other_texts_under_40001_are_not_a_mismatch(void **state)
{
	(void)state;
	expect(judge(with_code(40001, ""), PROBE_TEST), "24", OUTCOME_UNKNOWN, 0);
	expect(judge(with_code(40001, "No permission."), PROBE_TEST), "24", OUTCOME_UNKNOWN, 0);
	expect(judge(with_code(40003, pair_text), PROBE_TEST), "24", OUTCOME_UNKNOWN, 0);
}

static void row_15__a_missing_scope_is_no_permission_and_never_a_mismatch(void **state)
{
	(void)state;
	static const int32_t codes[] = { 40130, 40118, 40125 };
	struct answer a = with_code(40001, "advertiser does not grant you /pixel/list/:GET permission");
	expect(judge(a, PROBE_TEST), "15", VERDICT_NO_PERMISSION, 0);
	expect_codes(codes, COUNT_OF(codes), "15", VERDICT_NO_PERMISSION, 0);
}

static void row_16__a_complete_listing_without_the_pixel_is_a_mismatch(void **state)
{
	(void)state;
	expect(judge_listing(0, false, false), "16", VERDICT_MISMATCHED, 0);
}

static void row_17__a_withdrawn_link_is_no_permission(void **state)
{
	(void)state;
	expect(judge_listing(0, true, true), "17", VERDICT_NO_PERMISSION, 0);
}

static void row_18__a_lost_advertiser_is_no_permission(void **state)
{
	(void)state;
	static const int32_t codes[] = { 40106, 40114, 40119, 40300, 40301 };
	expect_codes(codes, COUNT_OF(codes), "18", VERDICT_NO_PERMISSION, 0);
	struct answer a = with_code(40001, "advertiser 7000000000000000001 doesn't exist or has been deleted.");
	expect(judge(a, PROBE_TEST), "18", VERDICT_NO_PERMISSION, 0);
	a = with_code(40001, "The advertiser does not exist.");
	expect(judge(a, PROBE_TEST), "18", VERDICT_NO_PERMISSION, 0);
	a = with_code(40001, "The advertiser is busy.");
	assert_string_not_equal(judge(a, PROBE_TEST).row, "18");
}

static void row_19__app_credentials_are_not_the_pair(void **state)
{
	(void)state;
	static const int32_t codes[] = { 40101, 40110, 40113, 40115, 40116, 40124 };
	expect_codes(codes, COUNT_OF(codes), "19", OUTCOME_UNKNOWN, FINDING_NOT_THE_PAIR);
}

static void row_20__something_that_does_not_exist_is_unknown_but_about_this_pair(void **state)
{
	(void)state;
	expect_code(40007, "20", OUTCOME_UNKNOWN, FINDING_ABOUT_THE_PAIR);
}

static void row_20b__a_dry_probe_that_is_accepted_proves_nothing(void **state)
{
	(void)state;
	expect(judge(with_code(0, "OK"), PROBE_DRY), "20b", VERDICT_UNPROVEN, 0);
	expect(judge(with_code(20001, "OK"), PROBE_DRY), "20b", VERDICT_UNPROVEN, 0);
	expect(judge_proven(with_code(0, "OK"), PROBE_DRY), "20b", VERDICT_UNPROVEN, 0);
}

static void row_20b__a_dry_probe_refused_for_its_missing_data_is_unproven(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"Invalid value for data: Shorter than minimum length 1.",
		"data: Shorter than minimum length 1.",
		"Missing required field(s): data.",
		"data",
		"DATA: Length must be between 1 and 1000.",
		"\"data\" must not be empty",
		"data: Missing data for required field.",
		"{'data': ['Missing data for required field.']}",
		"Missing data for the request.",
	};
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		expect(judge(with_code(40002, texts[i]), PROBE_DRY), "20b", VERDICT_UNPROVEN, 0);
}

static void row_20b__only_for_dry_probes(void **state)
{
	(void)state;
	struct answer a = with_code(40002, "Invalid value for data: Shorter than minimum length 1.");
	expect(judge(a, PROBE_TEST), "21", OUTCOME_UNKNOWN, FINDING_ABOUT_THE_PAIR);
	expect(judge(a, PROBE_LIVE), "21", OUTCOME_UNKNOWN, FINDING_ABOUT_THE_PAIR);
}

static void row_21__another_field_named_is_not_the_left_out_one(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"Invalid value for event_source: must be web, app or offline.",
		"event_source_id: Missing data for required field.",
		"advertiser_ids: missing DATA for required field.",
		"Invalid value for metadata: too long.",
		"Invalid value for user_data: not a valid string.",
		"Invalid value for data_source: not a valid string.",
		"data.0.event: Not a valid string",
		"user.data: Not a valid string",
		"The database is busy",
		"data-source: Not a valid string",
	};
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		expect(judge(with_code(40002, texts[i]), PROBE_DRY), "21", OUTCOME_UNKNOWN, FINDING_ABOUT_THE_PAIR);
}

static void row_21__faults_in_our_request_are_unknown_but_about_this_pair(void **state)
{
	(void)state;
	static const int32_t codes[] = { 40000, 40002, 40062, 40063 };
	expect_codes(codes, COUNT_OF(codes), "21", OUTCOME_UNKNOWN, FINDING_ABOUT_THE_PAIR);
}

static void row_22__a_barred_country_is_unreachable_and_not_the_pair(void **state)
{
	(void)state;
	expect_code(41000, "22", OUTCOME_UNREACHABLE, FINDING_NOT_THE_PAIR);
}

static void row_23__server_trouble_is_unreachable(void **state)
{
	(void)state;
	static const int32_t codes[] = { 50000, 50002, 51000, 51012, 51039, 51305, 52000, 53103, 60001 };
	expect_codes(codes, COUNT_OF(codes), "23", OUTCOME_UNREACHABLE, 0);
	expect_code(49999, "24", OUTCOME_UNKNOWN, 0);
	expect_code(53104, "24", OUTCOME_UNKNOWN, 0);
}

static void row_24__anything_else_is_unknown(void **state)
{
	(void)state;
	static const int32_t codes[] = { 1, -1, 40003, 40009, 40014, 40050, 40131, 40200, 40700, 70001, 999999999 };
	expect_codes(codes, COUNT_OF(codes), "24", OUTCOME_UNKNOWN, 0);
}

static void row_24__json_without_one_plain_code_is_unknown(void **state)
{
	(void)state;
	static const int32_t statuses[] = { 200, 400, 401, 404, 405 };
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		expect(judge(with_body(statuses[i], BODY_ODD_JSON), PROBE_TEST), "24", OUTCOME_UNKNOWN, 0);
}

static void a_code__counts_whatever_the_http_status(void **state)
{
	(void)state;
	static const int32_t statuses[] = { 200, 302, 400, 401, 404, 405, 500, 502 };
	for (size_t i = 0; i < COUNT_OF(statuses); i++) {
		struct answer a = with_code(40105, "");
		a.http = statuses[i];
		expect(judge(a, PROBE_TEST), "10", VERDICT_REVOKED, 0);
		a = with_code(0, "OK");
		a.http = statuses[i];
		expect(judge(a, PROBE_TEST), "6", VERDICT_HEALTHY, 0);
	}
}

static void never__a_bad_verdict_without_a_code(void **state)
{
	(void)state;
	for (int t = 0; t < TRANSPORT_COUNT; t++)
		for (int b = 0; b <= BODY_OTHER; b++)
			for (int32_t http = 0; http < 600; http++) {
				struct answer a = { .transport = (enum transport)t,
						    .body = (enum body_kind)b,
						    .http = http,
						    .code = NO_CODE };
				if (b == BODY_CODE && t == TRANSPORT_OK)
					continue;
				assert_true(verdict_is_transient(judge(a, PROBE_TEST).outcome));
			}
}

static void never__healthy_from_http_200_alone(void **state)
{
	(void)state;
	for (int b = 0; b <= BODY_OTHER; b++)
		assert_true(judge(with_body(200, (enum body_kind)b), PROBE_LIVE).outcome != VERDICT_HEALTHY);
	for (int32_t code = 1; code < 70100; code++) {
		bool is_partial = code == 20001;
		assert_true((judge(with_code(code, ""), PROBE_LIVE).outcome == VERDICT_HEALTHY) == is_partial);
	}
}

static void never__a_dry_probe_proves_the_pair(void **state)
{
	(void)state;
	for (int32_t code = 0; code < 70100; code++)
		assert_true(judge(with_code(code, "data"), PROBE_DRY).outcome != VERDICT_HEALTHY);
}

static void never__expired_from_time_outs_server_errors_html_throttling_or_country(void **state)
{
	(void)state;
	struct answer late = { .transport = TRANSPORT_TIMEOUT, .code = NO_CODE };
	assert_int_equal(judge_proven(late, PROBE_TEST).outcome, OUTCOME_UNREACHABLE);
	assert_int_equal(judge_proven(with_body(503, BODY_OTHER), PROBE_TEST).outcome, OUTCOME_UNREACHABLE);
	assert_int_equal(judge_proven(with_body(200, BODY_OTHER), PROBE_TEST).outcome, OUTCOME_UNREACHABLE);
	assert_int_equal(judge_proven(with_code(40100, "token"), PROBE_TEST).outcome, OUTCOME_THROTTLED);
	assert_int_equal(judge_proven(with_code(41000, "token"), PROBE_TEST).outcome, OUTCOME_UNREACHABLE);
	for (int32_t code = 0; code < 70100; code++) {
		enum verdict v = judge(with_code(code, "expired token"), PROBE_TEST).outcome;
		assert_true((v == VERDICT_EXPIRED) == (code == 40102 || code == 40103 || code == 40107));
	}
}

static void the_table__has_every_row_in_it(void **state)
{
	(void)state;
	static const char *const names[] = { "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",   "10", "11", "12", "13",
					     "14", "15", "16", "17", "18", "19", "20", "20b", "21", "22", "23", "24" };
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		bool is_there = false;
		for (size_t r = 0; r < verdict_row_count(); r++)
			is_there = is_there || strcmp(verdict_row_name(r), names[i]) == 0;
		assert_true(is_there);
	}
	assert_null(verdict_row_name(verdict_row_count()));
	assert_string_equal(verdict_row_name(verdict_row_count() - 1), "24");
}

/* struct status_row holds 200 bytes of it. */
static void advice__is_one_short_sentence_for_all_but_healthy(void **state)
{
	(void)state;
	for (int v = 0; v < OUTCOME_COUNT; v++) {
		const char *advice = verdict_advice((enum verdict)v);
		assert_true((advice == NULL) == (v == VERDICT_HEALTHY));
		assert_true(!advice || strlen(advice) < 200);
	}
	for (int32_t code = 0; code < 70100; code++) {
		const char *advice = judge(with_code(code, pair_text), PROBE_TEST).advice;
		assert_true(!advice || strlen(advice) < 200);
	}
}

/* What another program sent, or a store held, may be a number that is none of them: nobody is condemned for it. */
static void never__a_verdict_from_a_kind_that_nobody_knows(void **state)
{
	(void)state;
	struct answer odd_body = with_code(40105, ""), odd_transport = with_code(40105, "");
	odd_body.body = (enum body_kind)40;
	odd_transport.transport = (enum transport)40;
	odd_transport.body = (enum body_kind)40;
	expect(judge(odd_body, PROBE_TEST), "24", OUTCOME_UNKNOWN, 0);
	expect(judge(odd_transport, PROBE_TEST), "24", OUTCOME_UNKNOWN, 0);
	expect(judge(with_code(0, ""), (enum probe_kind)40), "24", OUTCOME_UNKNOWN, 0);
	assert_string_equal(verdict_advice((enum verdict)OUTCOME_COUNT), verdict_advice(OUTCOME_UNKNOWN));
}

static void transport__each_has_its_words(void **state)
{
	(void)state;
	for (int t = 0; t < TRANSPORT_COUNT; t++)
		assert_true(strlen(transport_text((enum transport)t)) > 0);
	assert_non_null(transport_text((enum transport)99));
}

static struct answer named(const char *text)
{
	struct answer a = { .body = BODY_NAMED, .http = 400, .code = NO_CODE };
	snprintf(a.text, sizeof a.text, "%s", text);
	return a;
}

static struct finding judge_refresh(const char *text)
{
	struct answer a = named(text);
	return verdict_judge(&a, &(struct question_context){ .endpoint = ENDPOINT_REFRESH, .kind = PROBE_REFRESH });
}

/* By name and not by number; a longer name is another error. */
static void row_13_and_19__what_login_kit_names(void **state)
{
	(void)state;
	static const char *const dead[] = { "invalid_grant", "invalid_grant: Refresh token is invalid or expired." };
	static const char *const app[] = { "invalid_client", "invalid_client: wrong", "unauthorized_client: no" };
	static const char *const other[] = { "invalid_grants", "invalid_clientele", "server_error", "" };
	for (size_t i = 0; i < COUNT_OF(dead); i++)
		expect(judge_refresh(dead[i]), "13", VERDICT_EXPIRED, 0);
	for (size_t i = 0; i < COUNT_OF(app); i++)
		expect(judge_refresh(app[i]), "19", OUTCOME_UNKNOWN, FINDING_NOT_THE_PAIR);
	for (size_t i = 0; i < COUNT_OF(other); i++)
		expect(judge_refresh(other[i]), "24", OUTCOME_UNKNOWN, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_13_and_19__what_login_kit_names),
		cmocka_unit_test(row_2__an_exchange_that_failed_is_unreachable),
		cmocka_unit_test(row_2__a_server_error_without_a_code_is_unreachable_whatever_its_body),
		cmocka_unit_test(row_2__a_redirect_without_a_code_is_unreachable),
		cmocka_unit_test(row_2__html_text_and_emptiness_are_unreachable),
		cmocka_unit_test(row_3__a_404_text_and_a_405_page_are_our_client_not_the_pair),
		cmocka_unit_test(row_3__codes_about_version_and_route_are_our_client_not_the_pair),
		cmocka_unit_test(row_4__throttling_codes_are_throttled),
		cmocka_unit_test(row_4__http_429_is_throttled_whatever_the_body),
		cmocka_unit_test(row_5__a_throttled_pixel_hints_at_a_leak),
		cmocka_unit_test(row_6__an_accepted_event_proves_the_pair),
		cmocka_unit_test(row_7__a_listing_that_holds_the_pixel_is_healthy),
		cmocka_unit_test(row_8__user_info_alone_proves_no_pair),
		cmocka_unit_test(row_9__an_empty_token_is_malformed),
		cmocka_unit_test(row_10__an_incorrect_token_on_event_track_is_revoked),
		cmocka_unit_test(row_11__the_same_on_another_endpoint_condemns_nothing),
		cmocka_unit_test(row_12__an_expired_token_is_expired),
		cmocka_unit_test(row_13__a_dead_refresh_token_is_expired),
		cmocka_unit_test(row_14__a_pair_never_proven_is_mismatched_under_either_code_and_in_any_case),
		cmocka_unit_test(row_14__a_pair_proven_before_has_lost_its_permission),
		cmocka_unit_test(row_14__a_refused_pair_is_not_taken_for_the_left_out_data),
		cmocka_unit_test(row_14__other_texts_under_40001_are_not_a_mismatch),
		cmocka_unit_test(row_15__a_missing_scope_is_no_permission_and_never_a_mismatch),
		cmocka_unit_test(row_16__a_complete_listing_without_the_pixel_is_a_mismatch),
		cmocka_unit_test(row_17__a_withdrawn_link_is_no_permission),
		cmocka_unit_test(row_18__a_lost_advertiser_is_no_permission),
		cmocka_unit_test(row_19__app_credentials_are_not_the_pair),
		cmocka_unit_test(row_20__something_that_does_not_exist_is_unknown_but_about_this_pair),
		cmocka_unit_test(row_20b__a_dry_probe_that_is_accepted_proves_nothing),
		cmocka_unit_test(row_20b__a_dry_probe_refused_for_its_missing_data_is_unproven),
		cmocka_unit_test(row_20b__only_for_dry_probes),
		cmocka_unit_test(row_21__another_field_named_is_not_the_left_out_one),
		cmocka_unit_test(row_21__faults_in_our_request_are_unknown_but_about_this_pair),
		cmocka_unit_test(row_22__a_barred_country_is_unreachable_and_not_the_pair),
		cmocka_unit_test(row_23__server_trouble_is_unreachable),
		cmocka_unit_test(row_24__anything_else_is_unknown),
		cmocka_unit_test(row_24__json_without_one_plain_code_is_unknown),
		cmocka_unit_test(a_code__counts_whatever_the_http_status),
		cmocka_unit_test(never__a_bad_verdict_without_a_code),
		cmocka_unit_test(never__a_verdict_from_a_kind_that_nobody_knows),
		cmocka_unit_test(never__healthy_from_http_200_alone),
		cmocka_unit_test(never__a_dry_probe_proves_the_pair),
		cmocka_unit_test(never__expired_from_time_outs_server_errors_html_throttling_or_country),
		cmocka_unit_test(the_table__has_every_row_in_it),
		cmocka_unit_test(advice__is_one_short_sentence_for_all_but_healthy),
		cmocka_unit_test(transport__each_has_its_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
