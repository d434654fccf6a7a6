#include "core/json.h"

#include "core/clock.h"
#include "core/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct json_limits roomy = { .depth = 32, .nodes = 1000000 };

static void assert_written(struct buf *b, const char *expected)
{
	struct error err;
	assert_true(buf_ok(b, &err));
	buf_append(b, "", 1);
	assert_string_equal((const char *)b->at, expected);
	const char *why = "";
	if (!json_check(bytes_of_text(expected), roomy, &why))
		fail_msg("what was written does not pass the check: %s", why);
	buf_done(b);
}

static void json__commas_and_nesting_are_the_writers_business(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(4096);
	struct json j = JSON_INIT(&b);
	json_object(&j, NULL);
	json_int(&j, "schema", 1);
	json_array(&j, "pixels");
	json_object(&j, NULL);
	json_end_object(&j);
	json_object(&j, NULL);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_null(&j, "none");
	json_end_object(&j);
	json_int(&j, NULL, INT64_MIN);
	json_end_array(&j);
	json_array(&j, "empty");
	json_end_array(&j);
	json_text(&j, "after", "x");
	json_end_object(&j);
	assert_int_equal(j.depth, 0);
	assert_written(&b, "{\"schema\":1,\"pixels\":[{},{\"yes\":true,\"no\":false,\"none\":null},"
			   "-9223372036854775808],\"empty\":[],\"after\":\"x\"}");
}

static void json__a_document_may_be_a_single_value(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(64);
	struct json j = JSON_INIT(&b);
	json_text(&j, NULL, "alone");
	assert_written(&b, "\"alone\"");
}

static void json__text_is_escaped_in_values_and_keys(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(4096);
	struct json j = JSON_INIT(&b);
	json_object(&j, NULL);
	json_text(&j, "a\"b\\", "\"\\/\b\f\n\r\t\x01\x1f\x7f");
	json_text(&j, "c1",
		  "\xc2\x9b"
		  "31m");
	json_text(&j, "js", "\xe2\x80\xa8\xe2\x80\xa9");
	json_text(&j, "utf8", "M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x98\x80");
	json_end_object(&j);
	assert_written(&b, "{\"a\\\"b\\\\\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\",\"c1\":\"\\u009b31m\","
			   "\"js\":\"\\u2028\\u2029\",\"utf8\":\"M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x98\x80\"}");
}

static void json__bytes_that_are_not_utf8_become_the_replacement_character(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(4096);
	struct json j = JSON_INIT(&b);
	json_array(&j, NULL);
	json_text(&j, NULL,
		  "a\xff"
		  "b");
	json_text(&j, NULL, "\xc0\x80");
	json_text(&j, NULL, "\xed\xa0\x80");
	json_text(&j, NULL, "cut \xe2\x82");
	json_text_n(&j, NULL, bytes_of("n\0l", 3));
	json_text_n(&j, NULL, bytes_of(NULL, 0));
	json_end_array(&j);
	assert_written(&b, "[\"a\xef\xbf\xbd"
			   "b\",\"\xef\xbf\xbd\xef\xbf\xbd\",\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
			   "\"cut \xef\xbf\xbd\xef\xbf\xbd\",\"n\xef\xbf\xbdl\",\"\"]");
}

static void json__absent_values_and_times_that_never_were_are_null(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(4096);
	struct json j = JSON_INIT(&b);
	json_object(&j, NULL);
	json_text(&j, "text", NULL);
	json_time(&j, "never", 0);
	json_time(&j, "nonsense", INT64_MAX);
	json_time(&j, "before", -1);
	json_time(&j, "then", 1795406706);
	json_end_object(&j);
	assert_written(&b, "{\"text\":null,\"never\":null,\"nonsense\":null,\"before\":null,"
			   "\"then\":\"2026-11-23T04:05:06Z\"}");
}

static void json__what_does_not_fit_is_told_by_the_buf(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(8);
	struct json j = JSON_INIT(&b);
	struct error err;
	json_text(&j, NULL, "far too long for it");
	assert_false(buf_ok(&b, &err));
	buf_done(&b);
}

static void json__a_strict_document_passes(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"0",
		"-0",
		"1",
		"-1.5e+10",
		"10E-2",
		"1.0",
		"true",
		"false",
		"null",
		"\"\"",
		"[]",
		"{}",
		" \t\r\n[ ] ",
		"[1, 2 ,3]",
		"{\"a\":1,\"b\":[{}]}",
		"{ \"a\" : { \"a\" : { \"a\" : 1 } } }",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uD83D\\ude00\"",
		"\"\\uffff\\ue000\"",
		"\"M\xc3\xbcller\"",
		"\"\x7f\"",
		"[{\"k\":1},{\"k\":2}]",
		"{\"a\":{\"b\":1},\"b\":{\"a\":1}}",
		"{\"\":1}",
		"\"\xef\xbb\xbf\"",
		"123456789012345678901234567890123456789012345678901234567890123",
		"{\"\xc3\xa4\":1,\"\xc3\x84\":2}",
		"\"\xf4\x8f\xbf\xbf\"",
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *why = "";
		if (!json_check(bytes_of_text(rows[i]), roomy, &why))
			fail_msg("%s: %s", rows[i], why);
		assert_string_equal(why, "");
	}
}

#define BAD(text_, why_)                                                                                               \
	{                                                                                                              \
		bytes_of_literal(text_), why_                                                                          \
	}
#define bytes_of_literal(text_)                                                                                        \
	{                                                                                                              \
		(const uint8_t *)(text_), sizeof(text_) - 1                                                            \
	}

static void json__everything_else_is_refused_with_its_reason(void **state)
{
	(void)state;
	static const struct {
		struct bytes text;
		const char *why;
	} rows[] = {
		BAD("", "no JSON value"),
		BAD(" ", "no JSON value"),
		BAD("x", "no JSON value"),
		BAD("-", "no JSON value"),
		BAD("+1", "no JSON value"),
		BAD(".5", "no JSON value"),
		BAD("tru", "no JSON value"),
		BAD("nulL", "no JSON value"),
		BAD("True", "no JSON value"),
		BAD("NaN", "no JSON value"),
		BAD("Infinity", "no JSON value"),
		BAD("'a'", "no JSON value"),
		BAD("[1,]", "no JSON value"),
		BAD("[,1]", "no JSON value"),
		BAD("{\"a\":}", "no JSON value"),
		BAD("/**/1", "no JSON value"),
		BAD("\xef\xbb\xbf{}", "byte order mark"),
		BAD("{} {}", "behind the value"),
		BAD("1 2", "behind the value"),
		BAD("truely", "behind the value"),
		BAD("01", "behind the value"),
		BAD("0x10", "behind the value"),
		BAD("[]]", "behind the value"),
		BAD("{}\0", "behind the value"),
		BAD("1//", "behind the value"),
		BAD("1.", "behind its point"),
		BAD("1.e5", "behind its point"),
		BAD("1e", "exponent"),
		BAD("1e+", "exponent"),
		BAD("[1", "without end"),
		BAD("[", "no JSON value"),
		BAD("{", "no string"),
		BAD("[1 2]", "without end"),
		BAD("{\"a\":1", "without end"),
		BAD("{\"a\":1]", "without end"),
		BAD("[1}", "without end"),
		BAD("{\"a\" 1}", "colon"),
		BAD("{a:1}", "no string"),
		BAD("{1:1}", "no string"),
		BAD("{\"a\":1,}", "no string"),
		BAD("\"a", "without end"),
		BAD("\"a\\\"", "without end"),
		BAD("\"\\", "escape"),
		BAD("\"\\x41\"", "escape"),
		BAD("\"\\u12\"", "hex"),
		BAD("\"\\u12g4\"", "hex"),
		BAD("\"\\u12:4\"", "hex"),
		BAD("\"\\u12/4\"", "hex"),
		BAD("\"\\U0041\"", "escape"),
		BAD("\"\\'\"", "escape"),
		BAD("\"a\nb\"", "control"),
		BAD("\"a\tb\"", "control"),
		BAD("\"a\0b\"", "control"),
		BAD("\"\\u0000\"", "u0000"),
		BAD("{\"a\\u0000b\":1}", "u0000"),
		BAD("\"\\ud800\"", "surrogate"),
		BAD("\"\\ud800x\"", "surrogate"),
		BAD("\"\\ud800\\n\"", "surrogate"),
		BAD("\"\\ud800\\u0041\"", "surrogate"),
		BAD("\"\\ud800\\ue000\"", "surrogate"),
		BAD("\"\\ud800\\u00\"", "surrogate"),
		BAD("\"\\udc00\\ud800\"", "surrogate"),
		BAD("\"\\ud83d\\ud83d\"", "surrogate"),
		BAD("\"\xff\"", "UTF-8"),
		BAD("\"\xc0\xaf\"", "UTF-8"),
		BAD("\"\xe0\x80\xaf\"", "UTF-8"),
		BAD("\"\xed\xa0\x80\"", "UTF-8"),
		BAD("\"\xf4\x90\x80\x80\"", "UTF-8"),
		BAD("\"\xf5\x80\x80\x80\"", "UTF-8"),
		BAD("\"\xe2\x82\"", "UTF-8"),
		BAD("\"\xc3", "UTF-8"),
		BAD("\xff", "no JSON value"),
		BAD("{\"code\":1,\"code\":2}", "twice"),
		BAD("{\"CODE\":0,\"code\":40001}", "twice"),
		BAD("{\"code\":1,\"c\\u006fde\":2}", "twice"),
		BAD("{\"c\\u004fde\":1,\"x\":{\"code\":1},\"code\":2}", "twice"),
		BAD("[[{\"\":1,\"\":1}]]", "twice"),
		BAD("{\"/\":1,\"\\/\":2}", "twice"),
		BAD("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", "twice"),
		BAD("1234567890123456789012345678901234567890123456789012345678901234", "number too long"),
		BAD("[0.0000000000000000000000000000000000000000000000000000000000000001]", "number too long"),
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *why = "";
		if (json_check(rows[i].text, roomy, &why))
			fail_msg("row %zu passed: %.*s", i, (int)rows[i].text.len, (const char *)rows[i].text.at);
		if (!strstr(why, rows[i].why))
			fail_msg("row %zu is '%s', not '%s'", i, why, rows[i].why);
	}
}

static void json__every_document_cut_short_is_refused(void **state)
{
	(void)state;
	static const char whole[] = "{\"a\":[1.5e3,\"\\u00e4\xc3\xa4\\\\\",true,null],\"b\":{\"c\":-7}}";
	const char *why;
	for (size_t len = 0; len < sizeof whole - 1; len++) {
		/* A block of its own, so that the sanitizer sees a read past the end. */
		char *cut = malloc(len ? len : 1);
		assert_non_null(cut);
		memcpy(cut, whole, len);
		assert_false(json_check(bytes_of(cut, len), roomy, &why));
		free(cut);
	}
	assert_true(json_check(bytes_of_text(whole), roomy, &why));
}

static void json__depth_and_count_of_values_are_limited(void **state)
{
	(void)state;
	const char *why = "";
	assert_true(json_check(bytes_of_text("[[1]]"), (struct json_limits){ 2, 3 }, &why));
	assert_false(json_check(bytes_of_text("[[1]]"), (struct json_limits){ 1, 3 }, &why));
	assert_string_equal(why, "nested too deeply");
	assert_false(json_check(bytes_of_text("{\"a\":[]}"), (struct json_limits){ 1, 3 }, &why));
	assert_false(json_check(bytes_of_text("[[1]]"), (struct json_limits){ 2, 2 }, &why));
	assert_string_equal(why, "too many values");
	assert_true(json_check(bytes_of_text("1"), (struct json_limits){ 0, 1 }, &why));
	assert_false(json_check(bytes_of_text("1"), (struct json_limits){ 0, 0 }, &why));
}

static void fill_repeated(struct buf *b, const char *part, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_append_text(b, part);
}

static void json__a_million_brackets_do_not_break_the_stack(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(8u << 20);
	const char *why;
	fill_repeated(&b, "[", 1u << 20);
	assert_false(json_check(buf_bytes(&b), (struct json_limits){ SIZE_MAX, SIZE_MAX }, &why));
	assert_string_equal(why, "nested too deeply");
	buf_clear(&b);
	fill_repeated(&b, "{\"a\":", 1u << 20);
	assert_false(json_check(buf_bytes(&b), (struct json_limits){ SIZE_MAX, SIZE_MAX }, &why));
	buf_done(&b);
}

static void json__an_object_holds_at_most_256_keys(void **state)
{
	(void)state;
	for (int count = 256; count <= 257; count++) {
		struct buf b = BUF_INIT(65536);
		const char *why = "";
		for (int i = 0; i < count; i++)
			buf_printf(&b, "%s\"k%d\":{\"k%d\":0}", i ? "," : "{", i, i);
		buf_append_text(&b, "}");
		assert_int_equal(json_check(buf_bytes(&b), roomy, &why), count == 256);
		assert_string_equal(why, count == 256 ? "" : "too many keys in one object");
		buf_done(&b);
	}
}

static void json__the_check_of_four_mebibytes_takes_no_time_to_speak_of(void **state)
{
	(void)state;
	static const char *const parts[] = { "1,", "\"\\u0041\",", "{\"a\":0,\"b\":0,\"c\":0},", "        " };
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		struct buf b = BUF_INIT(16u << 20);
		const char *why;
		buf_append_text(&b, "[");
		fill_repeated(&b, parts[i], (4u << 20) / strlen(parts[i]));
		buf_append_text(&b, "0]");
		int64_t before = clock_boot_ms();
		assert_true(json_check(buf_bytes(&b), (struct json_limits){ 4, SIZE_MAX }, &why));
		assert_in_range(clock_boot_ms() - before, 0, 5000);
		buf_done(&b);
	}
}

static void json__top_level_members_are_found_as_they_were_written(void **state)
{
	(void)state;
	static const char text[] = " {\"code\" : 40001 , \"message\":\"a \\\"}, b\",\"data\":{\"code\":1,\"l\":[1,{}]},"
				   "\"list\":[ 1, [2] ],\"c\\u006fdes\":5,\"last\":null\n} ";
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "code", "40001" },
		{ "message", "\"a \\\"}, b\"" },
		{ "data", "{\"code\":1,\"l\":[1,{}]}" },
		{ "list", "[ 1, [2] ]" },
		{ "last", "null" },
		{ "l", NULL },
		{ "CODE", NULL },
		{ "cod", NULL },
		{ "codes", NULL },
		{ "c\\u006fdes", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bytes raw = { NULL, 0 };
		bool found = json_find_raw(bytes_of_text(text), rows[i].key, &raw);
		assert_int_equal(found, rows[i].value != NULL);
		assert_true(!found || bytes_equal(raw, bytes_of_text(rows[i].value)));
	}
}

static void json__nothing_is_found_in_what_is_no_object(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",     " ", "1",      "[]",      "{}",       "[{\"a\":1}]", "\"{\\\"a\\\":1}\"",
		"null", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\"1}",    "{\"b\":1 \"a\":2}",
		"{\"a"
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bytes raw = { NULL, 7 };
		if (json_find_raw(bytes_of_text(rows[i]), "a", &raw))
			fail_msg("found in %s", rows[i]);
		assert_int_equal(raw.len, 7);
	}
}

static void json__a_member_nobody_knows_is_found(void **state)
{
	(void)state;
	static const struct {
		const char *text, *other; /* NULL: all are known */
	} rows[] = {
		{ "{}", NULL },
		{ "[\"c\"]", NULL },
		{ " { \"a\" : {\"c\":1} , \"bb\":[\"c\",{}] } ", NULL },
		{ "{\"bb\":1}", NULL },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "b" },
		{ "{\"a bb\":1}", "a bb" },
		{ "{\"\":1}", "" },
		{ "{\"\\u0061\":1}", "\\u0061" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bytes other = bytes_of_text("as it was");
		assert_int_equal(json_find_other(bytes_of_text(rows[i].text), "a bb", &other), rows[i].other != NULL);
		assert_true(bytes_equal(other, bytes_of_text(rows[i].other ? rows[i].other : "as it was")));
	}
}

static void json__a_raw_value_says_what_it_says(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *text; /* NULL: refused */
	} rows[] = {
		{ "\"\"", "" },
		{ "\"abc\"", "abc" },
		{ "\"a\\\"b\\\\c\\/d\\n\"", "a\"b\\c/d\n" },
		{ "\"\\u00e4\\u20ac\\ud83d\\ude00\"", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\"0123456789abcd\"", "0123456789abcd" },
		{ "\"0123456789abcdef\"", NULL },
		{ "\"\\u0000\"", NULL },
		{ "\"\\ud83d\"", NULL },
		{ "\"\\x\"", NULL },
		{ "\"", NULL },
		{ "", NULL },
		{ "5", NULL },
		{ "null", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[16] = "as it was";
		bool is_text = json_as_text(bytes_of_text(rows[i].raw), text, sizeof text);
		assert_int_equal(is_text, rows[i].text != NULL);
		if (is_text)
			assert_string_equal(text, rows[i].text);
	}
}

static void json__raw_numbers_and_truths(void **state)
{
	(void)state;
	int64_t number = 7;
	bool truth = false;
	assert_true(json_as_int(bytes_of_text("-40105"), &number));
	assert_int_equal(number, -40105);
	assert_true(json_as_int(bytes_of_text("999999999999999999"), &number));
	static const char *const no_numbers[] = { "", "-", "1.5", "1e3", "\"1\"", "null", "1000000000000000000" };
	for (size_t i = 0; i < COUNT_OF(no_numbers); i++)
		assert_false(json_as_int(bytes_of_text(no_numbers[i]), &number));
	assert_int_equal(number, 999999999999999999);
	assert_true(json_as_bool(bytes_of_text("true"), &truth));
	assert_true(truth);
	assert_true(json_as_bool(bytes_of_text("false"), &truth));
	assert_false(truth);
	assert_false(json_as_bool(bytes_of_text("0"), &truth));
}

static void utf8__text_of_strangers_is_safe_to_print(void **state)
{
	(void)state;
	char text[] = "a\x1b[31m\nb\x7f \xc2\x9b"
		      "2J \xc3\xa4\xff\xe2\x82\xac \xe2\x82";
	utf8_defang(text);
	assert_string_equal(text, "a?[31m?b? ??2J \xc3\xa4?\xe2\x82\xac ??");
	assert_true(utf8_is_valid(bytes_of_text(text)));
}

/* First and last of each range, and what stands beside it. */
static void utf8__what_turns_or_hides_text_is_harmful_and_its_neighbours_are_not(void **state)
{
	(void)state;
	static const uint32_t harmful[] = { 0,      0x1f,   0x7f,   0x9f,   0x2028, 0x2029,
					    0x202a, 0x202e, 0x2066, 0x2069, 0xfeff };
	static const uint32_t fine[] = { 0x20, 0x7e, 0xa0, 0x2027, 0x202f, 0x2065, 0x206a, 0xfefe, 0xff00, 0x1f600 };
	for (size_t i = 0; i < COUNT_OF(harmful); i++)
		if (!utf8_is_harmful(harmful[i]))
			fail_msg("U+%04x is let through", (unsigned)harmful[i]);
	for (size_t i = 0; i < COUNT_OF(fine); i++)
		if (utf8_is_harmful(fine[i]))
			fail_msg("U+%04x is refused", (unsigned)fine[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json__commas_and_nesting_are_the_writers_business),
		cmocka_unit_test(json__a_document_may_be_a_single_value),
		cmocka_unit_test(utf8__what_turns_or_hides_text_is_harmful_and_its_neighbours_are_not),
		cmocka_unit_test(json__text_is_escaped_in_values_and_keys),
		cmocka_unit_test(json__bytes_that_are_not_utf8_become_the_replacement_character),
		cmocka_unit_test(json__absent_values_and_times_that_never_were_are_null),
		cmocka_unit_test(json__what_does_not_fit_is_told_by_the_buf),
		cmocka_unit_test(json__a_strict_document_passes),
		cmocka_unit_test(json__everything_else_is_refused_with_its_reason),
		cmocka_unit_test(json__every_document_cut_short_is_refused),
		cmocka_unit_test(json__depth_and_count_of_values_are_limited),
		cmocka_unit_test(json__a_million_brackets_do_not_break_the_stack),
		cmocka_unit_test(json__an_object_holds_at_most_256_keys),
		cmocka_unit_test(json__the_check_of_four_mebibytes_takes_no_time_to_speak_of),
		cmocka_unit_test(json__top_level_members_are_found_as_they_were_written),
		cmocka_unit_test(json__nothing_is_found_in_what_is_no_object),
		cmocka_unit_test(json__a_member_nobody_knows_is_found),
		cmocka_unit_test(json__a_raw_value_says_what_it_says),
		cmocka_unit_test(json__raw_numbers_and_truths),
		cmocka_unit_test(utf8__text_of_strangers_is_safe_to_print),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
