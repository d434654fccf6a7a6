#include "core/buf.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static void buf__holds_what_was_appended_in_order(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(64);
	struct error err;
	buf_append(&b, "ab", 2);
	buf_append_text(&b, "cd");
	buf_append_zeros(&b, 2);
	buf_append_uint(&b, 4, 0x11223344);
	buf_printf(&b, "%d-%s", 7, "x");
	buf_append(&b, NULL, 0);
	buf_append_zeros(&b, 0);
	assert_true(buf_ok(&b, &err));
	assert_int_equal(buf_bytes(&b).len, 13);
	assert_memory_equal(b.at,
			    "abcd\0\0\x44\x33\x22\x11"
			    "7-x",
			    13);
	buf_done(&b);
}

static void buf__the_ceiling_holds_for_any_size(void **state)
{
	(void)state;
	static const size_t ceilings[] = { 0, 1, 10, 255, 256, 257, 1000, 5000 };
	for (size_t i = 0; i < COUNT_OF(ceilings); i++) {
		struct buf b = { .max = ceilings[i] };
		struct error err;
		for (size_t n = 0; n < ceilings[i]; n++)
			buf_append(&b, "x", 1);
		assert_true(buf_ok(&b, &err));
		assert_int_equal(b.len, ceilings[i]);
		buf_append(&b, "y", 1);
		assert_false(buf_ok(&b, &err));
		assert_int_equal(err.code, ERR_UNEXPECTED);
		assert_int_equal(b.len, ceilings[i]);
		buf_done(&b);
	}
}

static void buf__what_does_not_fit_is_left_out_whole_and_all_after_it(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(8);
	struct error err;
	buf_append_text(&b, "1234");
	buf_append_text(&b, "56789");
	buf_append_text(&b, "5");
	buf_append_uint(&b, 1, 1);
	buf_append_zeros(&b, 1);
	buf_printf(&b, "x");
	assert_null(buf_room(&b, 1));
	assert_false(buf_ok(&b, &err));
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.at, "1234", 4);
	buf_done(&b);
}

static void buf__sizes_near_the_end_of_size_t_do_not_wrap(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1024);
	buf_append_text(&b, "x");
	assert_null(buf_room(&b, SIZE_MAX));
	assert_true(b.is_bad);
	buf_clear(&b);
	assert_null(buf_room(&b, SIZE_MAX - 1));
	buf_done(&b);
}

static void buf__room_is_there_to_be_filled(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(100000);
	for (int i = 0; i < 10; i++) {
		uint8_t *room = buf_room(&b, 10000);
		assert_non_null(room);
		memset(room, 'a' + i, 10000);
		b.len += 10000;
	}
	for (int i = 0; i < 100000; i++)
		assert_int_equal(b.at[i], 'a' + i / 10000);
	assert_null(buf_room(&b, 1));
	buf_done(&b);
}

static void buf__clearing_empties_and_makes_good_again(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(4);
	struct error err;
	buf_append_text(&b, "abcd");
	buf_append_text(&b, "e");
	buf_clear(&b);
	assert_true(buf_ok(&b, &err));
	assert_int_equal(b.len, 0);
	assert_memory_equal(b.at, "\0\0\0\0", 4);
	buf_append_text(&b, "wxyz");
	assert_true(buf_ok(&b, &err));
	assert_memory_equal(b.at, "wxyz", 4);
	buf_done(&b);
	buf_clear(&b);
	buf_append_text(&b, "abcd");
	assert_true(buf_ok(&b, &err));
	buf_done(&b);
	buf_done(&b);
}

/* The kernel reads what a freed block still holds, without the sanitizers' objection. */
static void read_freed(const void *at, void *to, size_t len)
{
	int fd = open("/proc/self/mem", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, to, len, (off_t)(uintptr_t)at), (ssize_t)len);
	close(fd);
}

static void buf__nothing_is_left_behind_when_it_moves_or_goes(void **state)
{
	(void)state;
	static const char secret[] = "a-token-that-must-not-stay-behind";
	char left[224];
	struct buf b = BUF_INIT(65536);
	for (int i = 0; i < 6; i++)
		buf_append_text(&b, secret);
	const uint8_t *first = b.at;
	buf_append_zeros(&b, 4096);
	assert_ptr_not_equal(first, b.at);
	read_freed(first, left, sizeof left);
	assert_null(memmem(left, sizeof left, secret + 10, 8));
	const uint8_t *second = b.at;
	buf_done(&b);
	read_freed(second, left, sizeof left);
	assert_null(memmem(left, sizeof left, secret + 10, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf__holds_what_was_appended_in_order),
		cmocka_unit_test(buf__the_ceiling_holds_for_any_size),
		cmocka_unit_test(buf__what_does_not_fit_is_left_out_whole_and_all_after_it),
		cmocka_unit_test(buf__sizes_near_the_end_of_size_t_do_not_wrap),
		cmocka_unit_test(buf__room_is_there_to_be_filled),
		cmocka_unit_test(buf__clearing_empties_and_makes_good_again),
		cmocka_unit_test(buf__nothing_is_left_behind_when_it_moves_or_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
