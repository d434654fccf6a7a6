/* What cannot be undone does not follow a wall clock that jumps. */
#include "agent/sure_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WALL 1800000000
#define BOOT 5000000
#define DAY 86400
#define HOUR 3600

static void sure_clock__goes_as_the_wall_clock_does(void **state)
{
	(void)state;
	struct sure_clock c = { 0 };
	assert_int_equal(sure_clock_now(&c, WALL, BOOT), WALL);
	assert_int_equal(sure_clock_now(&c, WALL + 40 * DAY, BOOT + 40 * DAY * 1000LL), WALL + 40 * DAY);
	assert_int_equal(sure_clock_now(&c, WALL + 40 * DAY + 300, BOOT + 40 * DAY * 1000LL), WALL + 40 * DAY + 300);
}

static void sure_clock__does_not_jump_forward_for_an_hour(void **state)
{
	(void)state;
	struct sure_clock c = { 0 };
	(void)sure_clock_now(&c, WALL, BOOT);
	assert_int_equal(sure_clock_now(&c, WALL + 40 * DAY, BOOT + 1000), WALL + 1);
	assert_int_equal(sure_clock_now(&c, WALL + 40 * DAY + HOUR, BOOT + HOUR * 1000), WALL + HOUR);
	/* It is right again. */
	assert_int_equal(sure_clock_now(&c, WALL + HOUR + 2, BOOT + (HOUR + 2) * 1000), WALL + HOUR + 2);
	/* An hour of doubt begins anew with each jump. */
	assert_int_equal(sure_clock_now(&c, WALL + 40 * DAY, BOOT + (HOUR + 3) * 1000), WALL + HOUR + 3);
	assert_int_equal(sure_clock_now(&c, WALL + 40 * DAY, BOOT + (2 * HOUR + 2) * 1000), WALL + 2 * HOUR + 2);
}

static void sure_clock__believes_what_stays(void **state)
{
	(void)state;
	struct sure_clock c = { 0 };
	(void)sure_clock_now(&c, WALL, BOOT);
	(void)sure_clock_now(&c, WALL + 40 * DAY, BOOT + 1000);
	assert_int_equal(sure_clock_now(&c, WALL + 40 * DAY + HOUR, BOOT + 1000 + HOUR * 1000), WALL + 40 * DAY + HOUR);
	assert_int_equal(sure_clock_now(&c, WALL + 40 * DAY + HOUR + 5, BOOT + 6000 + HOUR * 1000),
			 WALL + 40 * DAY + HOUR + 5);
}

static void sure_clock__follows_one_that_is_set_back(void **state)
{
	(void)state;
	struct sure_clock c = { 0 };
	(void)sure_clock_now(&c, WALL, BOOT);
	assert_int_equal(sure_clock_now(&c, WALL - DAY, BOOT + 1000), WALL - DAY);
	assert_int_equal(sure_clock_now(&c, WALL + DAY, BOOT + 2000), WALL - DAY + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sure_clock__goes_as_the_wall_clock_does),
		cmocka_unit_test(sure_clock__does_not_jump_forward_for_an_hour),
		cmocka_unit_test(sure_clock__believes_what_stays),
		cmocka_unit_test(sure_clock__follows_one_that_is_set_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
