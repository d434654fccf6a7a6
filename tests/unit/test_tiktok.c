#include "agent/tiktok.h"
#include "core/json.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW INT64_C(1795406706) /* 2026-11-23T04:05:06Z */
#define PIXEL "C0U2T02IU8J6B9GC2B90"
#define TOKEN "0123456789abcdef0123456789abcdef01234567"

/* --- requests --- */

static void request_is(const struct probe *probe, int64_t now, const char *wanted)
{
	struct buf body = BUF_INIT(TIKTOK_REQUEST_MAX);
	tiktok_request(probe, now, &body);
	buf_append(&body, "", 1);
	assert_false(body.is_bad);
	assert_string_equal((const char *)body.at, wanted);
	buf_done(&body);
}

static void request__dry_holds_no_event(void **state)
{
	(void)state;
	struct probe probe = { .kind = PROBE_DRY, .pixel = PIXEL, .test_code = "TEST12345" };
	request_is(&probe, NOW, "{\"event_source\":\"web\",\"event_source_id\":\"" PIXEL "\",\"data\":[]}");
}

#define USER                                                                                                           \
	"\"user\":{\"external_id\":\"190b1d0e63f01a6993b195d10513f391bf4ae6c2d3e51ab7e1ced6c5fe1d1b1c\",\"ip\":"       \
	"\"203.0.113.1\",\"user_agent\":\"pixelvault/0.1.0\"},"
#define PAGE "\"page\":{\"url\":\"https://example.com/pixelvault-check\"}"

static void request__test_is_one_custom_event_under_the_test_code(void **state)
{
	(void)state;
	struct probe probe = { .kind = PROBE_TEST, .pixel = PIXEL, .test_code = "TEST12345", .id = 7 };
	request_is(&probe, NOW,
		   "{\"event_source\":\"web\",\"event_source_id\":\"" PIXEL "\",\"test_event_code\":\"TEST12345\","
		   "\"data\":[{\"event\":\"PixelvaultCheck\",\"event_time\":1795406706,"
		   "\"event_id\":\"pixelvault-2026-11-23T04:05:06Z-7\"," USER PAGE "}]}");
}

static void request__live_has_no_test_code_and_an_id_fixed_for_the_day(void **state)
{
	(void)state;
	struct probe probe = { .kind = PROBE_LIVE, .pixel = PIXEL, .test_code = "TEST12345", .id = 7 };
	request_is(&probe, NOW,
		   "{\"event_source\":\"web\",\"event_source_id\":\"" PIXEL "\","
		   "\"data\":[{\"event\":\"PixelvaultCheck\",\"event_time\":1795406706,"
		   "\"event_id\":\"pixelvault-2026-11-23-" PIXEL "\"," USER PAGE "}]}");
}

static void event_id_of(enum probe_kind kind, uint64_t id, int64_t now, char ret[96])
{
	struct probe probe = { .kind = kind, .pixel = PIXEL, .test_code = "T", .id = id };
	struct buf body = BUF_INIT(TIKTOK_REQUEST_MAX);
	tiktok_request(&probe, now, &body);
	buf_append(&body, "", 1);
	const char *at = strstr((const char *)body.at, "\"event_id\":\"");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "\"event_id\":\"%95[^\"]", ret), 1);
	buf_done(&body);
}

static void request__live_ids_repeat_within_a_day_and_change_at_midnight_utc(void **state)
{
	(void)state;
	char morning[96], evening[96], tomorrow[96];
	event_id_of(PROBE_LIVE, 1, NOW - NOW % 86400, morning);
	event_id_of(PROBE_LIVE, 2, NOW - NOW % 86400 + 86399, evening);
	event_id_of(PROBE_LIVE, 3, NOW - NOW % 86400 + 86400, tomorrow);
	assert_string_equal(morning, evening);
	assert_string_not_equal(morning, tomorrow);
}

static void request__test_ids_differ_from_probe_to_probe(void **state)
{
	(void)state;
	char one[96], other[96];
	event_id_of(PROBE_TEST, 1, NOW, one);
	event_id_of(PROBE_TEST, 2, NOW, other);
	assert_string_not_equal(one, other);
}

static void request__every_body_is_strict_json_and_fits_even_at_the_longest(void **state)
{
	(void)state;
	char pixel[PIXEL_CODE_MAX + 1], code[TEST_CODE_MAX + 1];
	const char *why;
	memset(pixel, 'Z', sizeof pixel - 1);
	memset(code, '"', sizeof code - 1);
	pixel[sizeof pixel - 1] = code[sizeof code - 1] = '\0';
	for (int kind = PROBE_DRY; kind <= PROBE_LIVE; kind++) {
		struct probe probe = {
			.kind = (enum probe_kind)kind, .pixel = pixel, .test_code = code, .id = UINT64_MAX
		};
		struct buf body = BUF_INIT(TIKTOK_REQUEST_MAX);
		tiktok_request(&probe, NOW, &body);
		assert_false(body.is_bad);
		assert_true(json_check(buf_bytes(&body), (struct json_limits){ 8, 64 }, &why));
		buf_done(&body);
	}
}

static void request__the_user_is_the_hash_of_a_constant(void **state)
{
	(void)state;
	uint8_t hash[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof hash + 1];
	crypto_hash_sha256(hash, (const uint8_t *)"pixelvault", 10);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	assert_non_null(strstr(USER, hex));
}

static void token__only_printable_ascii_without_blanks_may_be_sent(void **state)
{
	(void)state;
	assert_true(tiktok_token_is_sendable(bytes_of_text(TOKEN)));
	assert_true(tiktok_token_is_sendable(bytes_of_text("act.!~\"")));
	assert_false(tiktok_token_is_sendable(bytes_of("", 0)));
	for (int c = 0; c < 256; c++) {
		uint8_t token[] = { 'a', (uint8_t)c, 'b' };
		assert_int_equal(tiktok_token_is_sendable(bytes_of(token, 3)), c > 0x20 && c < 0x7f);
	}
}

/* --- answers --- */

static struct answer read_with(const char *body, size_t len, const char *token)
{
	struct answer a = { .http = 200 };
	uint8_t *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte read too far */
	memcpy(exact, body, len);
	tiktok_read(bytes_of(exact, len), bytes_of_text(token), &a);
	free(exact);
	return a;
}

static struct answer read_text(const char *body)
{
	return read_with(body, strlen(body), TOKEN);
}

static void answer__the_usual_one_is_read(void **state)
{
	(void)state;
	struct answer a = read_text("{\"code\":40105,\"message\":\"Access token is incorrect or has been revoked.\","
				    "\"request_id\":\"20261123040506ABCDEF\",\"data\":{}}");
	assert_int_equal(a.body, BODY_CODE);
	assert_int_equal(a.code, 40105);
	assert_string_equal(a.text, "Access token is incorrect or has been revoked.");
	assert_string_equal(a.request_id, "20261123040506ABCDEF");
}

static void answer__data_message_and_request_id_may_be_null_absent_or_odd(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"{\"code\":0}",
		"{\"code\":0,\"message\":null,\"request_id\":null,\"data\":null}",
		"{\"code\":0,\"message\":7,\"request_id\":[],\"data\":\"x\"}",
		" {\n\t\"code\" :\r 0 } ",
		"{\"data\":{\"code\":40105},\"code\":0}",
	};
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct answer a = read_text(bodies[i]);
		assert_int_equal(a.body, BODY_CODE);
		assert_int_equal(a.code, 0);
		assert_string_equal(a.text, "");
		assert_string_equal(a.request_id, "");
	}
}

static void answer__codes_of_up_to_nine_digits_are_read(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"code\":999999999}").code, 999999999);
	assert_int_equal(read_text("{\"code\":-1}").code, -1);
	assert_int_equal(read_text("{\"code\":20001}").code, 20001);
	assert_int_equal(read_text("{\"code\":-1}").body, BODY_CODE);
}

static void answer__odd_json_has_no_code(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"{",
		"{}",
		"[]",
		"[{\"code\":0}]",
		"{\"message\":\"OK\"}",
		"{\"code\":\"0\"}",
		"{\"code\":0.0}",
		"{\"code\":40105.5}",
		"{\"code\":4e4}",
		"{\"code\":0e0}",
		"{\"code\":-0}",
		"{\"code\":00}",
		"{\"code\":+0}",
		"{\"code\":0x0}",
		"{\"code\":1e999}",
		"{\"code\":1000000000}",
		"{\"code\":7644201699552690194}",
		"{\"code\":null}",
		"{\"code\":true}",
		"{\"code\":[0]}",
		"{\"code\":{\"code\":0}}",
		"{\"code\":NaN}",
		"{\"code\":}",
		"{\"code\"}",
		"{\"code\":0,}",
		"{\"code\":0",
		"{\"code\":0}}",
		"{\"code\":0}{\"code\":0}",
		"{\"code\":0} x",
		"{\"code\":0,\"code\":40105}",
		"{\"code\":0,\"CODE\":40105}",
		"{\"Code\":0,\"code\":40105}",
		"{\"CODE\":0}",
		"{\"code \":0}",
		"{\"c\\u006fde\":0}",
		"{\"c\\u006fde\":0,\"code\":40105}",
		"{\"code\\u0000x\":0}",
		"{\"data\":{\"code\":0}}",
		"{'code':0}",
		"{code:0}",
		"{\"code\":0,\"message\":\"\xff\"}",
		"{\"code\":0,\"message\":\"\xc0\x80\"}",
		"{\"code\":0,\"message\":\"\xed\xa0\x80\"}",
		"{\"code\":0,\"message\":\"\\ud800\"}",
		"{\"code\":0,\"message\":\"a\nb\"}",
		"\xef\xbb\xbf{\"code\":0}",
		"\xef\xbb\xbf [0]",
		"null",
		"0",
		"\"code\"",
		"  {\"code\":\"0\"}",
	};
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct answer a = read_text(bodies[i]);
		assert_int_equal(a.body, BODY_ODD_JSON);
		assert_int_equal(a.code, NO_CODE);
		assert_non_null(strstr(a.text, "HTTP 200 with JSON"));
	}
}

static void answer__a_nul_byte_is_no_json(void **state)
{
	(void)state;
	static const char with_nul[] = "{\"code\":0}\0{\"code\":1}", in_key[] = "{\"code\0\":0}";
	assert_int_equal(read_with(with_nul, sizeof with_nul - 1, TOKEN).body, BODY_ODD_JSON);
	assert_int_equal(read_with(in_key, sizeof in_key - 1, TOKEN).body, BODY_ODD_JSON);
}

static struct answer read_repeated(const char *head, const char *part, size_t count, const char *tail)
{
	struct buf body = BUF_INIT(16u << 20);
	buf_append_text(&body, head);
	for (size_t i = 0; i < count; i++)
		buf_append_text(&body, part);
	buf_append_text(&body, tail);
	assert_false(body.is_bad);
	struct answer a = { .http = 200 };
	tiktok_read(buf_bytes(&body), bytes_of_text(TOKEN), &a);
	buf_done(&body);
	return a;
}

static void answer__depth_and_number_of_values_have_limits(void **state)
{
	(void)state;
	assert_int_equal(read_repeated("{\"code\":0,\"data\":", "[", 1000000, "").body, BODY_ODD_JSON);
	assert_int_equal(read_repeated("", "[", 1000000, "").body, BODY_ODD_JSON);
	assert_int_equal(read_repeated("{\"code\":0,\"data\":[0", ",0", 1000000, "]}").body, BODY_ODD_JSON);
	assert_int_equal(read_repeated("{\"code\":0,\"data\":[0", ",0", 4000, "]}").body, BODY_CODE);
	assert_int_equal(read_repeated("{\"code\":0,\"data\":", "[", 31, "0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}").body,
			 BODY_CODE);
	assert_int_equal(read_repeated("{\"code\":0,\"data\":", "[", 32, "0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}").body,
			 BODY_ODD_JSON);
}

static void answer__what_is_not_json_is_told_apart_from_nothing(void **state)
{
	(void)state;
	assert_int_equal(read_text("").body, BODY_NONE);
	assert_int_equal(read_text(" \r\n\t").body, BODY_NONE);
	assert_int_equal(read_text("404 page not found").body, BODY_OTHER);
	assert_int_equal(read_text("<html>502 Bad Gateway</html>").body, BODY_OTHER);
	assert_int_equal(read_text("\x1f\x8b\x08").body, BODY_OTHER);
	assert_int_equal(read_text("code:0").body, BODY_OTHER);
	assert_int_equal(read_text("\xef\xbb\xbf<html>").body, BODY_OTHER);
	assert_string_equal(read_text("<html>").text, "HTTP 200 with a body that is not JSON");
	assert_string_equal(read_text("").text, "HTTP 200 with an empty body");
	assert_int_equal(read_text("<html>").code, NO_CODE);
}

static void answer__an_earlier_one_leaves_nothing_behind(void **state)
{
	(void)state;
	struct answer a = read_text("{\"code\":0,\"message\":\"old\",\"request_id\":\"old\"}");
	tiktok_read(bytes_of_text("{\"code\":1}"), bytes_of_text(TOKEN), &a);
	assert_int_equal(a.code, 1);
	assert_string_equal(a.text, "");
	assert_string_equal(a.request_id, "");
}

/* --- texts --- */

static void text__the_token_is_never_in_it(void **state)
{
	(void)state;
	struct answer a = read_text("{\"code\":40105,\"message\":\"token " TOKEN " is wrong: " TOKEN TOKEN
				    "!\",\"request_id\":\"" TOKEN "\"}");
	assert_string_equal(a.text, "token [token] is wrong: [token][token]!");
	assert_string_equal(a.request_id, "[token]");
}

static void text__an_escaped_token_is_found_too(void **state)
{
	(void)state;
	struct answer a = read_text(
		"{\"code\":1,\"message\":\"\\u0030\\u0031\\u0032\\u0033456789abcdef0123456789abcdef01234567\"}");
	assert_string_equal(a.text, "[token]");
}

static void text__the_beginning_of_a_token_is_taken_out_from_eight_bytes_on(void **state)
{
	(void)state;
	assert_string_equal(read_text("{\"code\":1,\"message\":\"0123456789... is wrong\"}").text,
			    "[token]... is wrong");
	assert_string_equal(read_text("{\"code\":1,\"message\":\"01234567\"}").text, "[token]");
	assert_string_equal(read_text("{\"code\":1,\"message\":\"0123456 x\"}").text, "0123456 x");
}

static void text__a_token_across_the_cut_is_taken_out_as_well(void **state)
{
	(void)state;
	for (size_t before = EVIDENCE_TEXT_MAX - 60; before <= EVIDENCE_TEXT_MAX + 1; before++) {
		struct answer a = read_repeated("{\"code\":1,\"message\":\"", "x", before, TOKEN "\"}");
		assert_null(strstr(a.text, "01234567"));
		assert_true(strlen(a.text) <= EVIDENCE_TEXT_MAX);
	}
}

static void text__only_printable_ascii_comes_through(void **state)
{
	(void)state;
	struct answer a = read_text("{\"code\":1,\"message\":\"a\\n\\u001b[2Jb\\u007f\\u009b\xe2\x80\xae"
				    "c\xc3\xa9\"}");
	assert_string_equal(a.text, "a??[2Jb??????c??");
}

static void text__is_cut_to_its_size(void **state)
{
	(void)state;
	struct answer a = read_repeated("{\"code\":1,\"message\":\"", "y", 5000, "\"}");
	assert_int_equal(strlen(a.text), EVIDENCE_TEXT_MAX);
	a = read_repeated("{\"code\":1,\"request_id\":\"", "y", 5000, "\"}");
	assert_int_equal(strlen(a.request_id), REQUEST_ID_MAX);
}

static void text__cleaning_needs_no_token_and_no_room(void **state)
{
	(void)state;
	char small[1] = "x", tiny[4];
	tiktok_clean(bytes_of_text("abc"), bytes_of("", 0), small, sizeof small);
	assert_string_equal(small, "");
	tiktok_clean(bytes_of_text("abcdef"), bytes_of("", 0), tiny, sizeof tiny);
	assert_string_equal(tiny, "abc");
	tiktok_clean(bytes_of_text(TOKEN), bytes_of_text(TOKEN), tiny, sizeof tiny);
	assert_string_equal(tiny, "[to");
}

/* --- refreshes --- */

#define SECRET "app-secret-of-ours"
#define REFRESH "rft.fedcba9876543210fedcba9876543210fedcba98"
#define ACCESS "act.00112233445566778899aabbccddeeff00112233"

static struct grant grant_of(const char *id, const char *secret, const char *refresh)
{
	return (struct grant){ bytes_of_text(id), bytes_of_text(secret), bytes_of_text(refresh) };
}

static void refresh_is(enum family family, const struct grant *g, const char *wanted)
{
	struct buf body = BUF_INIT(TIKTOK_REFRESH_MAX);
	tiktok_refresh_request(family, g, &body);
	buf_append(&body, "", 1);
	assert_false(body.is_bad);
	assert_string_equal((const char *)body.at, wanted);
	buf_done(&body);
}

static void refresh__asks_each_family_in_its_own_way(void **state)
{
	(void)state;
	struct grant g = grant_of("701", "s\"e\\c&r=t", REFRESH);
	refresh_is(FAMILY_ACCOUNTS, &g,
		   "{\"grant_type\":\"refresh_token\",\"client_id\":\"701\",\"client_secret\":\"s\\\"e\\\\c&r=t\","
		   "\"refresh_token\":\"" REFRESH "\"}");
	refresh_is(FAMILY_LOGIN, &g,
		   "grant_type=refresh_token&client_key=701&client_secret=s%22e%5Cc%26r%3Dt&refresh_token=" REFRESH);
}

static void refresh__the_longest_of_all_fits(void **state)
{
	(void)state;
	static char id[CLIENT_ID_MAX + 1], secret[CLIENT_SECRET_MAX + 1], refresh[REFRESH_TOKEN_MAX + 1];
	memset(id, '%', CLIENT_ID_MAX);
	memset(secret, '"', CLIENT_SECRET_MAX);
	memset(refresh, '\\', REFRESH_TOKEN_MAX);
	struct grant g = grant_of(id, secret, refresh);
	for (enum family f = FAMILY_ACCOUNTS; f <= FAMILY_LOGIN; f++) {
		struct buf body = BUF_INIT(TIKTOK_REFRESH_MAX);
		tiktok_refresh_request(f, &g, &body);
		assert_false(body.is_bad);
		buf_done(&body);
	}
}

static bool read_pair(enum family family, int http, const char *body, struct answer *ret, struct token_pair *pair)
{
	struct grant g = grant_of("701", SECRET, REFRESH);
	*ret = (struct answer){ .http = http };
	*pair = (struct token_pair){ 0 };
	return tiktok_read_pair(family, bytes_of_text(body), &g, ret, pair);
}

static void pair__is_read_from_either_shape(void **state)
{
	(void)state;
	struct answer a;
	struct token_pair p;
	assert_true(read_pair(FAMILY_ACCOUNTS, 200,
			      "{\"code\":0,\"message\":\"OK\",\"data\":{\"access_token\":\"" ACCESS "\",\"expires_in\":86400,"
			      "\"refresh_token\":\"rft.new.new\",\"refresh_token_expires_in\":\"31527314\"}}",
			      &a, &p));
	assert_int_equal(p.access_len, strlen(ACCESS));
	assert_memory_equal(p.access, ACCESS, p.access_len);
	assert_int_equal(p.refresh_len, strlen("rft.new.new"));
	assert_int_equal(p.life_s, 86400);
	assert_int_equal(p.refresh_life_s, 31527314);
	assert_true(read_pair(FAMILY_LOGIN, 200,
			      "{\"access_token\":\"" ACCESS "\",\"expires_in\":7200,\"refresh_token\":\"rft.new.new\","
			      "\"refresh_expires_in\":15552000,\"token_type\":\"Bearer\"}",
			      &a, &p));
	assert_int_equal(p.life_s, 7200);
	assert_int_equal(p.refresh_life_s, 15552000);
}

static void pair__what_is_not_said_is_not_assumed(void **state)
{
	(void)state;
	static const char *const lives[] = { "", ",\"expires_in\":0", ",\"expires_in\":-5", ",\"expires_in\":\"soon\"",
					     ",\"expires_in\":1e9", ",\"expires_in\":99999999999999999999" };
	for (size_t i = 0; i < COUNT_OF(lives); i++) {
		struct answer a;
		struct token_pair p;
		char body[300];
		snprintf(body, sizeof body, "{\"code\":0,\"data\":{\"access_token\":\"" ACCESS "\"%s}}", lives[i]);
		assert_true(read_pair(FAMILY_ACCOUNTS, 200, body, &a, &p));
		assert_int_equal(p.life_s, 0);
		assert_int_equal(p.refresh_len, 0);
	}
}

static void pair__there_is_none_without_a_token_that_can_be_sent(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"{\"code\":0,\"data\":{}}",
		"{\"code\":0}",
		"{\"code\":0,\"data\":null}",
		"{\"code\":0,\"data\":{\"access_token\":\"\"}}",
		"{\"code\":0,\"data\":{\"access_token\":\"act. with a blank\"}}",
		"{\"code\":0,\"data\":{\"access_token\":\"act.\\nX-Header: 1\"}}",
		"{\"code\":0,\"data\":{\"access_token\":5}}",
		"{\"code\":40107,\"data\":{\"access_token\":\"" ACCESS "\"}}",
		"{\"access_token\":\"" ACCESS "\"}",
		"[{\"access_token\":\"" ACCESS "\"}]",
		"{\"code\":0,\"data\":{\"access_token\":\"" ACCESS "\"",
		"<html>",
	};
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct answer a;
		struct token_pair p;
		assert_false(read_pair(FAMILY_ACCOUNTS, 200, bodies[i], &a, &p));
	}
}

static void pair__login_kit_names_its_errors(void **state)
{
	(void)state;
	struct answer a;
	struct token_pair p;
	assert_false(read_pair(FAMILY_LOGIN, 400,
			       "{\"error\":\"invalid_grant\",\"error_description\":\"Refresh token is gone.\",\"log_id\":\"L1\"}", &a, &p));
	assert_int_equal(a.body, BODY_NAMED);
	assert_int_equal(a.code, NO_CODE);
	assert_string_equal(a.text, "invalid_grant: Refresh token is gone.");
	assert_string_equal(a.request_id, "L1");
	assert_false(read_pair(FAMILY_LOGIN, 400, "{\"error\":\"invalid_client\",\"access_token\":\"" ACCESS "\"}", &a, &p));
	assert_string_equal(a.text, "invalid_client");
	assert_false(read_pair(FAMILY_ACCOUNTS, 400, "{\"error\":\"invalid_grant\"}", &a, &p));
	assert_int_equal(a.body, BODY_ODD_JSON);
}

static void pair__nothing_that_was_sent_comes_back_in_a_text(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"{\"code\":40107,\"message\":\"no " REFRESH " of " SECRET "!\"}",
		"{\"error\":\"invalid_grant\",\"error_description\":\"no " REFRESH " of " SECRET "!\"}",
	};
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct answer a;
		struct token_pair p;
		assert_false(read_pair(FAMILY_LOGIN, 400, bodies[i], &a, &p));
		assert_non_null(strstr(a.text, "no [token] of [token]!"));
		assert_null(strstr(a.text, "app-secret"));
		assert_null(strstr(a.text, "rft."));
	}
}

/* --- pages of lists --- */

static void query_is(const char *list, uint32_t page, const char *wanted)
{
	struct buf query = BUF_INIT(TIKTOK_QUERY_MAX);
	tiktok_list_query(list, page, &query);
	buf_append(&query, "", 1);
	assert_false(query.is_bad);
	assert_string_equal((const char *)query.at, wanted);
	buf_done(&query);
}

static void list__each_kind_is_asked_for_in_its_largest_pages(void **state)
{
	(void)state;
	query_is("bc:71234", 1, "bc_id=71234&asset_type=PIXEL&page=1&page_size=50");
	query_is("advertiser:12345678901234567890", LIST_PAGES_MAX, "advertiser_id=12345678901234567890&page=20000&page_size=20");
}

#define INFO(page, pages, total) ",\"page_info\":{\"page\":" page ",\"page_size\":50,\"total_page\":" pages ",\"total_number\":" total "}}}"
#define ASSETS(rows) "{\"code\":0,\"message\":\"OK\",\"data\":{\"list\":[" rows "]" INFO("1", "1", "3")

static bool read_page(const char *body, uint32_t page, struct answer *ret, struct list_page *ret_page)
{
	*ret = (struct answer){ .http = 200 };
	*ret_page = (struct list_page){ .page = 0 };
	return tiktok_read_page(bytes_of_text(body), bytes_of_text(TOKEN), page, ret, ret_page);
}

static void list__relations_are_read_and_unknown_ones_are_not_guessed(void **state)
{
	(void)state;
	static const struct {
		const char *row;
		uint8_t kind;
	} rows[] = {
		{ "\"relation_status\":\"BOUND\"", SIGHT_LISTED },
		{ "\"relation_status\":\"UNBOUND\"", SIGHT_UNBOUND },
		{ "\"relation_status\":\"PENDING\"", SIGHT_PENDING },
		{ "\"relation_status\":\"REJECTED\"", SIGHT_REJECTED },
		{ "\"relation_status\":\"bound\"", 0 },
		{ "\"relation_status\":null", 0 },
		{ "\"asset_ownership\":{\"asset_relation_status\":null}", SIGHT_LISTED },
		{ "\"asset_ownership\":{\"asset_relation_status\":\"TRANSFERRED\"}", SIGHT_LISTED },
		{ "\"asset_ownership\":{\"asset_relation_status\":\"SHARED\"}", SIGHT_LISTED },
		{ "\"asset_ownership\":{\"asset_relation_status\":\"UNBOUND\"}", SIGHT_UNBOUND },
		{ "\"asset_ownership\":{}", 0 },
		{ "\"asset_ownership\":[]", 0 },
	};
	struct answer a;
	struct list_page page;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[512];
		snprintf(body, sizeof body, ASSETS("{\"pixel_code\":\"" PIXEL "\",%s}"), rows[i].row);
		assert_true(read_page(body, 1, &a, &page));
		assert_int_equal(page.count, 1);
		assert_string_equal(page.rows[0].pixel, PIXEL);
		assert_int_equal(page.rows[0].kind, rows[i].kind);
	}
}

static void list__rows_without_a_pixel_code_are_counted(void **state)
{
	(void)state;
	struct answer a;
	struct list_page page;
	assert_true(read_page(ASSETS("{},7,{\"pixel_code\":7644201699552690194},{\"pixel_code\":\"short\"},{\"pixel_code\":null}"), 1, &a, &page));
	assert_int_equal(page.count, 0);
	assert_int_equal(page.unreadable, 5);
}

static void list__numbers_may_come_quoted(void **state)
{
	(void)state;
	struct answer a;
	struct list_page page;
	assert_true(read_page("{\"code\":0,\"data\":{\"pixels\":[]" INFO("\"2\"", "\"3\"", "\"45\""), 2, &a, &page));
	assert_int_equal(page.pages, 3);
	assert_int_equal(page.total, 45);
}

static void list__what_is_no_page_of_ours_is_no_answer(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"{\"code\":0}",
		"{\"code\":0,\"data\":null}",
		"{\"code\":0,\"data\":{\"list\":[]}}",
		"{\"code\":0,\"data\":{\"list\":{}" INFO("1", "1", "0"),
		"{\"code\":0,\"data\":{\"list\":[]" INFO("2", "2", "0"),
		"{\"code\":0,\"data\":{\"list\":[]" INFO("1", "-1", "0"),
		"{\"code\":0,\"data\":{\"list\":[]" INFO("1", "1.5", "0"),
		"{\"code\":0,\"data\":{\"list\":[]" INFO("1", "20001", "0"),
		"{\"code\":0,\"data\":{\"list\":[]" INFO("1", "1", "99999999999"),
	};
	struct answer a;
	struct list_page page;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		assert_false(read_page(bodies[i], 1, &a, &page));
		assert_int_equal(a.body, BODY_ODD_JSON);
		assert_int_equal(a.code, NO_CODE);
	}
	assert_false(read_page("{\"code\":40001,\"message\":\"no " TOKEN "\"}", 1, &a, &page));
	assert_int_equal(a.code, 40001);
	assert_string_equal(a.text, "no [token]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list__each_kind_is_asked_for_in_its_largest_pages),
		cmocka_unit_test(list__relations_are_read_and_unknown_ones_are_not_guessed),
		cmocka_unit_test(list__rows_without_a_pixel_code_are_counted),
		cmocka_unit_test(list__numbers_may_come_quoted),
		cmocka_unit_test(list__what_is_no_page_of_ours_is_no_answer),
		cmocka_unit_test(request__dry_holds_no_event),
		cmocka_unit_test(request__test_is_one_custom_event_under_the_test_code),
		cmocka_unit_test(request__live_has_no_test_code_and_an_id_fixed_for_the_day),
		cmocka_unit_test(request__live_ids_repeat_within_a_day_and_change_at_midnight_utc),
		cmocka_unit_test(request__test_ids_differ_from_probe_to_probe),
		cmocka_unit_test(request__every_body_is_strict_json_and_fits_even_at_the_longest),
		cmocka_unit_test(request__the_user_is_the_hash_of_a_constant),
		cmocka_unit_test(token__only_printable_ascii_without_blanks_may_be_sent),
		cmocka_unit_test(answer__the_usual_one_is_read),
		cmocka_unit_test(answer__data_message_and_request_id_may_be_null_absent_or_odd),
		cmocka_unit_test(answer__codes_of_up_to_nine_digits_are_read),
		cmocka_unit_test(answer__odd_json_has_no_code),
		cmocka_unit_test(answer__a_nul_byte_is_no_json),
		cmocka_unit_test(answer__depth_and_number_of_values_have_limits),
		cmocka_unit_test(answer__what_is_not_json_is_told_apart_from_nothing),
		cmocka_unit_test(answer__an_earlier_one_leaves_nothing_behind),
		cmocka_unit_test(text__the_token_is_never_in_it),
		cmocka_unit_test(text__an_escaped_token_is_found_too),
		cmocka_unit_test(text__the_beginning_of_a_token_is_taken_out_from_eight_bytes_on),
		cmocka_unit_test(text__a_token_across_the_cut_is_taken_out_as_well),
		cmocka_unit_test(text__only_printable_ascii_comes_through),
		cmocka_unit_test(text__is_cut_to_its_size),
		cmocka_unit_test(text__cleaning_needs_no_token_and_no_room),
		cmocka_unit_test(refresh__asks_each_family_in_its_own_way),
		cmocka_unit_test(refresh__the_longest_of_all_fits),
		cmocka_unit_test(pair__is_read_from_either_shape),
		cmocka_unit_test(pair__what_is_not_said_is_not_assumed),
		cmocka_unit_test(pair__there_is_none_without_a_token_that_can_be_sent),
		cmocka_unit_test(pair__login_kit_names_its_errors),
		cmocka_unit_test(pair__nothing_that_was_sent_comes_back_in_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
