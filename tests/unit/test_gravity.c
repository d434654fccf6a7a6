#include "agent/gravity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t weight_of(const char *text, bool *ret_is_bad)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .label_count = 1 };
	snprintf(c.labels[0].key, sizeof c.labels[0].key, WEIGHT_LABEL);
	snprintf(c.labels[0].value, sizeof c.labels[0].value, "%s", text);
	return gravity_weight(&c, ret_is_bad);
}

static void gravity__a_weight_is_a_number_with_three_decimals_at_most(void **state)
{
	static const struct {
		const char *text;
		uint32_t weight;
	} rows[] = {
		{ "0", 0 },
		{ "1", 1000 },
		{ "0.5", 500 },
		{ "2.05", 2050 },
		{ "2.005", 2005 },
		{ "007", 7000 },
		{ "1000000", 1000000000 },
		{ "1000000.000", 1000000000 },
		{ "0.001", 1 },
		{ "999999.999", 999999999 },
	};
	bool is_bad;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(weight_of(rows[i].text, &is_bad), rows[i].weight);
		assert_false(is_bad);
	}
}

static void gravity__anything_else_counts_as_one_and_is_bad(void **state)
{
	static const char *const rows[] = { "",     "-1",          "+1",      "1.",      ".5",       "1.0001",
					    "1e3",  "1000000.001", "1000001", "9999999", "99999999", "4294968",
					    "0x10", "1 ",          " 1",      "1,5",     "\xd9\xa1", "much" };
	bool is_bad;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(weight_of(rows[i], &is_bad), WEIGHT_ONE);
		assert_true(is_bad);
	}
}

static void gravity__without_the_label_it_is_one(void **state)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90" };
	bool is_bad;
	(void)state;
	assert_int_equal(gravity_weight(&c, &is_bad), WEIGHT_ONE);
	assert_false(is_bad);
}

static void gravity__equal_weights_keep_the_order_of_gravity(void **state)
{
	static const uint32_t weights[] = { 0, 1, WEIGHT_ONE, WEIGHT_MAX * WEIGHT_ONE };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(weights); i++)
		for (enum gravity g = GRAVITY_BAD; g < GRAVITY_HEALTHY; g++)
			assert_true(gravity_place(g, weights[i]) < gravity_place(g + 1, weights[i]));
}

static void gravity__weight_turns_the_order_where_the_product_says_so(void **state)
{
	(void)state;
	assert_true(gravity_place(GRAVITY_BAD, 1000) < gravity_place(GRAVITY_DUE, 10000));
	assert_true(gravity_place(GRAVITY_DUE, 10001) < gravity_place(GRAVITY_BAD, 1000));
	assert_true(gravity_place(GRAVITY_UNPROVEN, 1) < gravity_place(GRAVITY_HEALTHY, WEIGHT_MAX * WEIGHT_ONE));
	assert_true(gravity_place(GRAVITY_HEALTHY, 0) == gravity_place(GRAVITY_HEALTHY, WEIGHT_MAX * WEIGHT_ONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gravity__a_weight_is_a_number_with_three_decimals_at_most),
		cmocka_unit_test(gravity__anything_else_counts_as_one_and_is_bad),
		cmocka_unit_test(gravity__without_the_label_it_is_one),
		cmocka_unit_test(gravity__equal_weights_keep_the_order_of_gravity),
		cmocka_unit_test(gravity__weight_turns_the_order_where_the_product_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
