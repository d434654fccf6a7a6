/* As many questions are under way as pay: few while answers are quick, all that may while they are not. */
#include "agent/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FIRST 24
#define NEAR_US 800
#define FAR_US 50000

static void hear(struct window *w, unsigned answers, int64_t waited_us)
{
	while (answers--)
		window_answered(w, waited_us, false);
}

static void window__begins_with_a_few_and_never_with_more_than_may_be(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 64);
	assert_int_equal(w.size, FIRST);
	for (unsigned most = 1; most <= FIRST; most++) {
		window_init(&w, most);
		assert_int_equal(w.size, most);
		hear(&w, 100, FAR_US);
		assert_int_equal(window_full(&w, 1000000), -1);
		assert_int_equal(w.size, most);
	}
}

static void window__stays_as_it_is_while_answers_are_quick(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 64);
	hear(&w, 10000, NEAR_US);
	assert_int_equal(w.size, FIRST);
	hear(&w, 10000, WINDOW_QUICK_US - 1);
	assert_int_equal(w.size, FIRST);
}

static void window__doubles_with_each_round_of_answers_that_let_us_wait(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 150);
	hear(&w, FIRST - 1, WINDOW_QUICK_US);
	assert_int_equal(w.size, FIRST);
	hear(&w, 1, WINDOW_QUICK_US);
	assert_int_equal(w.size, 48);
	hear(&w, 47, FAR_US);
	assert_int_equal(w.size, 48);
	hear(&w, 1, FAR_US);
	assert_int_equal(w.size, 96);
	hear(&w, 96, FAR_US);
	assert_int_equal(w.size, 150);
	hear(&w, 1000, FAR_US);
	assert_int_equal(w.size, 150);
}

static void window__is_not_widened_while_one_of_a_round_was_quick(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 64);
	/* All the others wait for the handshakes beside theirs, which more handshakes would not mend. */
	for (int round = 0; round < 10; round++) {
		hear(&w, FIRST - 1, FAR_US);
		hear(&w, 1, NEAR_US);
		assert_int_equal(w.size, FIRST);
	}
}

static void window__is_as_wide_as_can_be_once_one_alone_let_us_wait_long(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 150);
	window_answered(&w, WINDOW_FAR_US - 1, true); /* a busy machine, perhaps */
	assert_int_equal(w.size, FIRST);
	window_answered(&w, WINDOW_FAR_US, false); /* beside others it waited for their handshakes, perhaps */
	assert_int_equal(w.size, FIRST);
	window_answered(&w, WINDOW_FAR_US, true);
	assert_int_equal(w.size, 150);
	assert_int_equal(window_full(&w, 1000), -1);
	window_reset(&w);
	assert_int_equal(w.size, FIRST);
}

static void window__begins_anew_after_a_rest(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 192);
	hear(&w, FIRST + 48 + 95, FAR_US);
	assert_int_equal(window_full(&w, 1000), 100);
	assert_int_equal(w.size, 96);
	window_reset(&w);
	assert_int_equal(w.size, FIRST);
	assert_int_equal(window_full(&w, 9000), 100);
	hear(&w, FIRST - 1, FAR_US);
	assert_int_equal(w.size, FIRST);
	hear(&w, 1, FAR_US);
	assert_int_equal(w.size, 48);
}

static void window__is_widened_while_no_answer_comes(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 192);
	assert_int_equal(window_full(&w, 1000), 100);
	assert_int_equal(window_full(&w, 1001), 99);
	assert_int_equal(window_full(&w, 1099), 1);
	assert_int_equal(w.size, FIRST);
	assert_int_equal(window_full(&w, 1100), 0);
	assert_int_equal(w.size, 48);
	assert_int_equal(window_full(&w, 5000), 100);
	assert_int_equal(window_full(&w, 5100), 0);
	assert_int_equal(w.size, 96);
	assert_int_equal(window_full(&w, 5101), 100);
	assert_int_equal(window_full(&w, 5201), 0);
	assert_int_equal(w.size, 192);
	assert_int_equal(window_full(&w, 9000), -1);
	assert_int_equal(w.size, 192);
}

static void window__counts_silence_from_the_last_answer(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 64);
	assert_int_equal(window_full(&w, 1000), 100);
	hear(&w, 1, NEAR_US);
	assert_int_equal(window_full(&w, 1099), 100);
	assert_int_equal(window_full(&w, 1198), 1);
	assert_int_equal(w.size, FIRST);
	/* An hour without a question is no silence. */
	hear(&w, 1, NEAR_US);
	assert_int_equal(window_full(&w, 3600000), 100);
	assert_int_equal(w.size, FIRST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window__begins_with_a_few_and_never_with_more_than_may_be),
		cmocka_unit_test(window__stays_as_it_is_while_answers_are_quick),
		cmocka_unit_test(window__doubles_with_each_round_of_answers_that_let_us_wait),
		cmocka_unit_test(window__is_not_widened_while_one_of_a_round_was_quick),
		cmocka_unit_test(window__is_as_wide_as_can_be_once_one_alone_let_us_wait_long),
		cmocka_unit_test(window__begins_anew_after_a_rest),
		cmocka_unit_test(window__is_widened_while_no_answer_comes),
		cmocka_unit_test(window__counts_silence_from_the_last_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
