#include "core/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void bytes__are_taken_from_the_front(void **state)
{
	(void)state;
	struct bytes from = bytes_of_text("abcdef"), part;
	char copy[3] = "";
	assert_true(bytes_take(&from, 2, &part));
	assert_true(bytes_equal(part, bytes_of_text("ab")));
	assert_true(bytes_take_copy(&from, copy, 2));
	assert_string_equal(copy, "cd");
	assert_true(bytes_take(&from, 0, &part));
	assert_int_equal(part.len, 0);
	assert_true(bytes_take(&from, 2, &part));
	assert_int_equal(from.len, 0);
}

static void bytes__a_short_input_is_false_and_leaves_all_as_it_was(void **state)
{
	(void)state;
	struct bytes from = bytes_of_text("abc"), part = { NULL, 77 };
	char copy[8] = "before";
	uint64_t value = 99;
	uint32_t word = 98;
	assert_false(bytes_take(&from, 4, &part));
	assert_false(bytes_take(&from, SIZE_MAX, &part));
	assert_false(bytes_take_copy(&from, copy, 4));
	assert_false(bytes_take_uint(&from, 8, &value));
	assert_false(bytes_take_u32(&from, &word));
	assert_int_equal(from.len, 3);
	assert_int_equal(part.len, 77);
	assert_string_equal(copy, "before");
	assert_int_equal(value, 99);
	assert_int_equal(word, 98);
}

static void bytes__integers_are_little_endian(void **state)
{
	(void)state;
	static const uint8_t raw[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c,
				       0x0d, 0x0e, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct bytes from = bytes_of(raw, sizeof raw);
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	assert_true(bytes_take_u8(&from, &u8));
	assert_int_equal(u8, 0x01);
	assert_true(bytes_take_u16(&from, &u16));
	assert_int_equal(u16, 0x0302);
	assert_true(bytes_take_u32(&from, &u32));
	assert_int_equal(u32, 0x07060504);
	from = bytes_of(raw, 8);
	assert_true(bytes_take_u64(&from, &u64));
	assert_true(u64 == UINT64_C(0x0807060504030201));
	from = bytes_of(raw + 15, 8);
	assert_true(bytes_take_i64(&from, &i64));
	assert_true(i64 == -1);
	assert_int_equal(from.len, 0);
}

static void bytes__views_are_equal_by_length_and_content(void **state)
{
	(void)state;
	assert_true(bytes_equal(bytes_of(NULL, 0), bytes_of("x", 0)));
	assert_true(bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0b", 3)));
	assert_false(bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0c", 3)));
	assert_false(bytes_equal(bytes_of_text("ab"), bytes_of_text("abc")));
}

static void text__a_span_ends_where_another_letter_stands(void **state)
{
	(void)state;
	assert_int_equal(text_span("aab", "a"), 2);
	assert_int_equal(text_span("aa", "ab"), 2);
	assert_int_equal(text_span("", "a"), 0);
	assert_int_equal(text_span("b", ""), 0);
	assert_int_equal(text_until("ab=c=", '='), 2);
	assert_int_equal(text_until("ab", '='), 2);
	assert_true(text_is_only_of("", "a"));
	assert_false(text_is_only_of("ab", "a"));
}

static void text__a_number_is_digits_alone_and_keeps_its_bound(void **state)
{
	static const char *const none[] = { "", "-1", "+1", " 1", "1 ", "0x1", "256", "2560", "99999999999999999999" };
	uint64_t number = 7;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(text_take_number(none[i], 255, &number));
	assert_int_equal(number, 7);
	assert_true(text_take_number("0255", 255, &number));
	assert_int_equal(number, 255);
	assert_false(text_take_number("9", 5, &number));
	assert_true(text_take_number("18446744073709551615", UINT64_MAX, &number));
	assert_true(number == UINT64_MAX);
	assert_false(text_take_number("18446744073709551616", UINT64_MAX, &number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes__are_taken_from_the_front),
		cmocka_unit_test(bytes__a_short_input_is_false_and_leaves_all_as_it_was),
		cmocka_unit_test(bytes__integers_are_little_endian),
		cmocka_unit_test(bytes__views_are_equal_by_length_and_content),
		cmocka_unit_test(text__a_span_ends_where_another_letter_stands),
		cmocka_unit_test(text__a_number_is_digits_alone_and_keeps_its_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
