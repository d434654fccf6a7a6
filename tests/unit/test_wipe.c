#include "core/wipe.h"

#include "core/scoped.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MARK 0xa7

/* The kernel reads what a freed block still holds, without the sanitizers' objection. The allocator may keep a few
 * words of its own at the front. */
static size_t marks_left(const void *at, size_t len)
{
	uint8_t left[4096];
	size_t count = 0;
	int fd = open("/proc/self/mem", O_RDONLY);
	assert_true(fd >= 0 && len <= sizeof left);
	assert_int_equal(pread(fd, left, len, (off_t)(uintptr_t)at), (ssize_t)len);
	close(fd);
	for (size_t i = 0; i < len; i++)
		count += left[i] == MARK;
	return count;
}

static void wipe__overwrites_exactly_its_range(void **state)
{
	(void)state;
	uint8_t at[5] = { 1, 2, 3, 4, 5 };
	wipe(at + 1, 3);
	assert_memory_equal(at, "\x01\0\0\0\x05", 5);
	wipe(NULL, 0);
}

static void wipe__the_way_these_tests_look_at_freed_memory_sees_what_plain_free_leaves(void **state)
{
	(void)state;
	uint8_t *at = malloc(2000);
	assert_non_null(at);
	memset(at, MARK, 2000);
	__asm__ volatile("" : : "r"(at) : "memory"); /* or the compiler leaves out what nobody reads */
	volatile uintptr_t where = (uintptr_t)at;
	free(at);
	assert_in_range(marks_left((const void *)where, 2000), 1000, 2000);
}

static void wipe__a_freed_block_holds_nothing(void **state)
{
	(void)state;
	uint8_t *at = wipe_malloc(2000);
	assert_non_null(at);
	memset(at, MARK, 2000);
	wipe_free(at);
	assert_in_range(marks_left(at, 2000), 0, 4);
	wipe_free(NULL);
}

static void wipe__a_block_that_moved_holds_nothing_where_it_was(void **state)
{
	(void)state;
	uint8_t *at = wipe_malloc(2000);
	assert_non_null(at);
	memset(at, MARK, 2000);
	uint8_t *moved = wipe_realloc(at, 4000);
	assert_non_null(moved);
	assert_ptr_not_equal(at, moved);
	assert_in_range(marks_left(at, 2000), 0, 4);
	assert_int_equal(marks_left(moved, 2000), 2000);
	wipe_free(moved);
	assert_in_range(marks_left(moved, 2000), 0, 4);
}

static void wipe__a_block_cut_short_is_wiped_whole_when_freed(void **state)
{
	(void)state;
	uint8_t *at = wipe_malloc(2000);
	assert_non_null(at);
	memset(at, MARK, 2000);
	uint8_t *same = wipe_realloc(at, 1500), *less = wipe_realloc(same, 10);
	assert_non_null(less);
	assert_int_equal(marks_left(less, 10), 10);
	wipe_free(less);
	assert_in_range(marks_left(at, 2000), 0, 4);
}

static void wipe__blocks_behave_like_those_of_malloc(void **state)
{
	(void)state;
	uint8_t *zeros = wipe_calloc(30, 10);
	assert_non_null(zeros);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(zeros[i], 0);
	zeros = wipe_realloc(zeros, 10000);
	assert_non_null(zeros);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(zeros[i], 0);
	assert_in_range(wipe_size(zeros), 10000, 20000);
	assert_int_equal(wipe_size(NULL), 0);
	wipe_free(zeros);
	void *fresh = wipe_realloc(NULL, 16), *empty = wipe_malloc(0);
	assert_true(fresh && empty);
	wipe_free(fresh);
	wipe_free(empty);
	void *of_nothing = wipe_calloc(5, 0);
	assert_non_null(of_nothing);
	assert_int_equal(wipe_size(of_nothing), 0);
	wipe_free(of_nothing);
	for (size_t len = 0; len < 70; len++) {
		scoped(wipe_freep) void *at = wipe_malloc(len);
		assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
	}
	char *copy = wipe_strdup("text");
	assert_string_equal(copy, "text");
	wipe_freep(&copy);
	assert_null(copy);
}

static void wipe__sizes_that_overflow_give_no_block(void **state)
{
	(void)state;
	volatile size_t huge = SIZE_MAX;
	assert_null(wipe_malloc(huge));
	assert_null(wipe_malloc(huge - 8));
	assert_null(wipe_calloc(huge / 2, 3));
	assert_null(wipe_calloc(huge, huge));
	void *at = wipe_malloc(8);
	assert_non_null(at);
	memset(at, MARK, 8);
	assert_null(wipe_realloc(at, huge));
	assert_int_equal(marks_left(at, 8), 8);
	wipe_free(at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wipe__overwrites_exactly_its_range),
		cmocka_unit_test(wipe__the_way_these_tests_look_at_freed_memory_sees_what_plain_free_leaves),
		cmocka_unit_test(wipe__a_freed_block_holds_nothing),
		cmocka_unit_test(wipe__a_block_that_moved_holds_nothing_where_it_was),
		cmocka_unit_test(wipe__a_block_cut_short_is_wiped_whole_when_freed),
		cmocka_unit_test(wipe__blocks_behave_like_those_of_malloc),
		cmocka_unit_test(wipe__sizes_that_overflow_give_no_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
