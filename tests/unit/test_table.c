#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_prints(const struct table *t, bool has_colour, unsigned width, const char *expected)
{
	struct buf out = BUF_INIT(1 << 20);
	struct error err;
	assert_true(table_print(t, has_colour, width, &out, &err));
	buf_append(&out, "", 1);
	assert_string_equal((const char *)out.at, expected);
	buf_done(&out);
}

static void add(struct table *t, unsigned rank, const char *one, const char *two, const char *three)
{
	table_row(t, rank);
	table_cell(t, one, TINT_NONE);
	table_cell(t, two, TINT_NONE);
	if (three)
		table_cell(t, three, TINT_NONE);
}

static void table__columns_are_as_wide_as_their_widest_cell(void **state)
{
	(void)state;
	static const char *const headings[] = { "A", "LONGER", "C" };
	scoped(table_done) struct table t;
	table_init(&t, headings, 3);
	add(&t, 0, "one", "x", "y");
	add(&t, 0, "1", "seven77", NULL);
	assert_prints(&t, false, 0, "A    LONGER   C\none  x        y\n1    seven77\n");
}

static void table__rows_come_by_rank_then_by_first_cell(void **state)
{
	(void)state;
	scoped(table_done) struct table t;
	table_init(&t, NULL, 2);
	add(&t, 1, "b", "", NULL);
	add(&t, 1, "a", "", NULL);
	add(&t, 0, "z", "", NULL);
	table_sort(&t);
	assert_prints(&t, false, 0, "z\na\nb\n");
}

static void table__nothing_in_it_prints_nothing(void **state)
{
	(void)state;
	scoped(table_done) struct table t;
	table_init(&t, NULL, 2);
	table_sort(&t);
	assert_prints(&t, false, 0, "");
}

static void table__what_a_terminal_would_act_on_is_a_question_mark(void **state)
{
	(void)state;
	scoped(table_done) struct table t;
	table_init(&t, NULL, 2);
	add(&t, 0, "a\033[2Jb\n",
	    "\xe2\x80\xae"
	    "evil \xff\xc2\x9b.",
	    NULL);
	assert_prints(&t, false, 0, "a?[2Jb?  ?evil ??.\n");
}

static void table__widths_count_characters_not_bytes(void **state)
{
	(void)state;
	assert_int_equal(table_text_width(""), 0);
	assert_int_equal(table_text_width("Gr\xc3\xb6\xc3\x9f"
					  "e"),
			 5);
	assert_int_equal(table_text_width("\xe5\xba\x97"), 2);
	assert_int_equal(table_text_width("e\xcc\x81"), 1);
	assert_int_equal(table_text_width("\xc3"), 1);
	scoped(table_done) struct table t;
	table_init(&t, NULL, 2);
	add(&t, 0, "\xc3\xb6", "x", NULL);
	add(&t, 0, "ab", "x", NULL);
	assert_prints(&t, false, 0, "\xc3\xb6   x\nab  x\n");
}

static void utf8_of(uint32_t c, char ret[5])
{
	size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t heads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	memset(ret, 0, 5);
	for (size_t i = len; i-- > 1; c >>= 6)
		ret[i] = (char)(0x80 | (c & 0x3f));
	ret[0] = (char)(heads[len] | c);
}

/* The first and the last of each kind, and their neighbours. */
static void table__wide_characters_take_two_columns_and_combining_ones_none(void **state)
{
	(void)state;
	static const struct {
		uint32_t from, to;
		unsigned width, before, after;
	} kinds[] = {
		{ 0x300, 0x36f, 0, 1, 1 },     { 0xfe00, 0xfe0f, 0, 1, 1 },   { 0x1100, 0x115f, 2, 1, 1 },   { 0x2e80, 0xa4cf, 2, 1, 1 },
		{ 0xac00, 0xd7a3, 2, 1, 1 },   { 0xf900, 0xfaff, 2, 1, 1 },   { 0xfe30, 0xfe6f, 2, 1, 1 },   { 0xff00, 0xff60, 2, 1, 1 },
		{ 0x1f300, 0x1faff, 2, 1, 1 }, { 0x20000, 0x3fffd, 2, 1, 1 },
	};
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		char text[5];
		utf8_of(kinds[i].from, text);
		assert_int_equal(table_text_width(text), kinds[i].width);
		utf8_of(kinds[i].to, text);
		assert_int_equal(table_text_width(text), kinds[i].width);
		utf8_of(kinds[i].from - 1, text);
		assert_int_equal(table_text_width(text), kinds[i].before);
		utf8_of(kinds[i].to + 1, text);
		assert_int_equal(table_text_width(text), kinds[i].after);
	}
}

static void table__a_long_cell_does_not_push_the_others_away(void **state)
{
	(void)state;
	char text[101], expected[128];
	scoped(table_done) struct table t;
	table_init(&t, NULL, 2);
	memset(text, 'x', 100);
	text[100] = '\0';
	add(&t, 0, "a", "one", NULL);
	add(&t, 0, text, "two", NULL);
	snprintf(expected, sizeof expected, "a%61sone\n", "");
	struct buf out = BUF_INIT(4096);
	struct error err;
	assert_true(table_print(&t, false, 0, &out, &err));
	assert_memory_equal(out.at, expected, strlen(expected));
	buf_done(&out);
}

static void table__a_row_without_cells_is_an_empty_line(void **state)
{
	(void)state;
	scoped(table_done) struct table t;
	table_init(&t, NULL, 1);
	table_row(&t, 1);
	table_row(&t, 1);
	table_row(&t, 0);
	table_cell(&t, "a", TINT_NONE);
	table_row(&t, 1);
	table_cell(&t, "", TINT_BAD);
	table_sort(&t);
	assert_prints(&t, true, 0, "a\n\n\n\n");
}

static void table__lines_are_cut_to_the_terminal(void **state)
{
	(void)state;
	scoped(table_done) struct table t;
	table_init(&t, NULL, 2);
	add(&t, 0, "abc", "defgh", NULL);
	assert_prints(&t, false, 10, "abc  defgh\n");
	assert_prints(&t, false, 9, "abc  def\xe2\x80\xa6\n");
	assert_prints(&t, false, 3, "abc\n");
	for (unsigned width = 1; width < 12; width++) {
		struct buf out = BUF_INIT(4096);
		struct error err;
		assert_true(table_print(&t, false, width, &out, &err));
		out.at[out.len - 1] = '\0';
		assert_true(table_text_width((const char *)out.at) <= width);
		buf_done(&out);
	}
}

static void table__colour_changes_no_width(void **state)
{
	(void)state;
	scoped(table_done) struct table t;
	table_init(&t, NULL, 2);
	table_row(&t, 0);
	table_cell(&t, "bad", TINT_BAD);
	table_cell(&t, "x", TINT_NONE);
	assert_prints(&t, true, 0, "\033[1;31mbad\033[0m  x\n");
	assert_prints(&t, false, 0, "bad  x\n");
}

static void table__surplus_cells_are_ignored(void **state)
{
	(void)state;
	scoped(table_done) struct table t;
	table_init(&t, NULL, 1);
	table_row(&t, 0);
	table_cell(&t, "a", TINT_NONE);
	table_cell(&t, "b", TINT_NONE);
	assert_prints(&t, false, 0, "a\n");
}

static void table__a_hundred_thousand_rows_are_sorted_and_printed(void **state)
{
	(void)state;
	scoped(table_done) struct table t;
	struct buf out = BUF_INIT(1 << 24);
	struct error err;
	char name[16];
	table_init(&t, NULL, 2);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof name, "P%06u", i * 7919u % 100000u);
		add(&t, 0, name, "x", NULL);
	}
	table_sort(&t);
	assert_true(table_print(&t, false, 0, &out, &err));
	assert_int_equal(out.len, 100000 * 11);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof name, "P%06u  x\n", i);
		assert_memory_equal(out.at + i * 11, name, 11);
	}
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table__columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(table__rows_come_by_rank_then_by_first_cell),
		cmocka_unit_test(table__nothing_in_it_prints_nothing),
		cmocka_unit_test(table__what_a_terminal_would_act_on_is_a_question_mark),
		cmocka_unit_test(table__widths_count_characters_not_bytes),
		cmocka_unit_test(table__wide_characters_take_two_columns_and_combining_ones_none),
		cmocka_unit_test(table__a_long_cell_does_not_push_the_others_away),
		cmocka_unit_test(table__a_row_without_cells_is_an_empty_line),
		cmocka_unit_test(table__lines_are_cut_to_the_terminal),
		cmocka_unit_test(table__colour_changes_no_width),
		cmocka_unit_test(table__surplus_cells_are_ignored),
		cmocka_unit_test(table__a_hundred_thousand_rows_are_sorted_and_printed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
