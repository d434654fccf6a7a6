#include "agent/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define JSON "application/json"
#define PLAIN "text/plain"

static void expect(const char *accept, bool is_json)
{
	if (accept_prefers(accept, JSON, PLAIN) != is_json)
		fail_msg("Accept: %s", accept ? accept : "(none)");
}

static void accept__who_does_not_say_gets_the_usual(void **state)
{
	(void)state;
	expect(NULL, false);
	expect("", false);
	expect("*/*", false);
	expect("text/*, application/*", false);
	expect("image/png", false);
	expect(" , ,", false);
}

static void accept__who_names_a_type_gets_it(void **state)
{
	(void)state;
	expect(JSON, true);
	expect("Application/JSON", true);
	expect("application/json;charset=utf-8", true);
	expect("application/json, text/plain, */*", true); /* a common default of clients */
	expect("text/html,application/json", true);
	expect("application/*", true);
	expect("application/jsonp", false);
	expect("xapplication/json", false);
	expect("application/problem+json", false);
}

static void accept__the_greater_weight_wins(void **state)
{
	(void)state;
	expect("application/json;q=0.5, text/plain", false);
	expect("application/json;q=0.5, text/plain;q=0.4", true);
	expect("application/json;q=0.501, text/plain;q=0.5", true);
	expect("application/json ; q=0.2 , text/plain ;Q=0.3", false);
	expect("application/json;q=0.9, */*", false);
	expect("text/plain;q=0.5, */*", true);
	expect("text/plain;q=0, */*;q=0.1", true);
}

static void accept__a_weight_of_zero_refuses(void **state)
{
	(void)state;
	expect("application/json;q=0", false);
	expect("application/json;q=0.000", false);
	expect("application/json;q=0, */*", false);
	expect("application/json;q=0, text/plain;q=0", false);
}

static void accept__the_closest_range_decides(void **state)
{
	(void)state;
	expect("*/*, application/json;q=0", false);
	expect("application/json;q=0.1, application/*;q=1, text/plain;q=0.5", false);
	expect("application/*;q=0.1, application/json, text/plain;q=0.5", true);
	expect("text/*;q=0.9, text/plain;q=0.1, application/json;q=0.5", true);
}

static void accept__what_is_no_weight_counts_for_nothing(void **state)
{
	static const char *const wrong[] = { "", "x", "2", "1.1", "-1", ".5", "0.5x", "1.0001", "0,5" };
	char text[80];
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		snprintf(text, sizeof text, "application/json;q=%s", wrong[i]);
		expect(text, false);
	}
}

static void accept__quoted_marks_divide_nothing(void **state)
{
	(void)state;
	expect("text/html;a=\",application/json;q=1\"", false);
	expect("text/html;a=\"\\\",\", application/json", true);
	expect("application/json;a=\";q=0\"", true);
	expect("text/html;a=\"application/json", false);
	expect("text/html;a=\"\\", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept__who_does_not_say_gets_the_usual),
		cmocka_unit_test(accept__who_names_a_type_gets_it),
		cmocka_unit_test(accept__the_greater_weight_wins),
		cmocka_unit_test(accept__a_weight_of_zero_refuses),
		cmocka_unit_test(accept__the_closest_range_decides),
		cmocka_unit_test(accept__what_is_no_weight_counts_for_nothing),
		cmocka_unit_test(accept__quoted_marks_divide_nothing),
	};
	return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
