/* Files of many tokens: what is read from each shape, and every fault with its row and column. */
#include "tests/support/failing.h"

#include "agent/intake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define P1 "C0U2T02IU8J6B9GC2B90"
#define P2 "C1U2T02IU8J6B9GC2B90"
#define P3 "C2U2T02IU8J6B9GC2B9G"
#define T1 "0123456789abcdef0123456789abcdef01234567"
#define T2 "1123456789abcdef0123456789abcdef01234567"
#define T3 "2123456789abcdef0123456789abcdef01234567"

struct read {
	struct secret *file;
	struct sheet sheet;
	struct intake in;
	struct error err;
	bool is_read;
};

static void read_done(struct read *r)
{
	if (r->is_read) {
		sheet_done(&r->sheet);
		intake_done(&r->in);
	}
	secret_freep(&r->file);
}

static void read_with(struct read *r, const char *text, const struct intake_request *request)
{
	struct bytes bytes = bytes_of_text(text);
	memset(r, 0, sizeof *r);
	assert_true(secret_copy(bytes, &r->file, &r->err));
	if (!sheet_read(r->file, sheet_guess(bytes), &r->sheet, &r->err))
		return;
	r->is_read = intake_read(&r->sheet, request, &r->in, &r->err);
	if (!r->is_read)
		sheet_done(&r->sheet);
}

static void read_text(struct read *r, const char *text)
{
	read_with(r, text, &(struct intake_request){ .map_count = 0 });
}

/* "ROW PIXEL TOKEN" a line, then "!ROW:COLUMN" for each fault and "?ROW:COLUMN" for each warning. */
static const char *told(struct read *r)
{
	static char text[4096];
	size_t used = 0;
	text[0] = '\0';
	if (!r->is_read) {
		snprintf(text, sizeof text, "error %d", r->err.code);
		return text;
	}
	for (size_t i = 0; i < intake_count(&r->in); i++) {
		const struct intake_entry *e = intake_entry_at(&r->in, i);
		used += (size_t)snprintf(text + used, sizeof text - used, "%zu %s %.*s\n", e->row, e->pixel, (int)e->token.len,
					 (const char *)e->token.at);
	}
	for (size_t i = 0; i < intake_problem_count(&r->in); i++) {
		const struct intake_problem *p = intake_problem_at(&r->in, i);
		assert_true(p->what[0] && (p->is_warning || p->hint[0]));
		used += (size_t)snprintf(text + used, sizeof text - used, "%c%zu:%zu\n", p->is_warning ? '?' : '!', p->row, p->column);
	}
	return text;
}

static void reads(const char *text, const char *expected)
{
	scoped(read_done) struct read r;
	read_text(&r, text);
	assert_string_equal(expected, told(&r));
}

/* The one fault of the file has these words. */
static void says(const char *text, const char *words)
{
	scoped(read_done) struct read r;
	read_text(&r, text);
	assert_true(r.is_read);
	if (!intake_problem_count(&r.in))
		fail_msg("nothing is wrong where '%s' should be", words);
	const struct intake_problem *p = intake_problem_at(&r.in, 0);
	if (!strstr(p->what, words))
		fail_msg("'%s' is not in '%s'", words, p->what);
}

static const char two[] = "2 " P1 " " T1 "\n3 " P2 " " T2 "\n";

static void csv_in_all_its_dialects(void **state)
{
	(void)state;
	reads("Pixel ID,Access Token\n" P1 "," T1 "\n" P2 "," T2 "\n", two);
	reads("\xef\xbb\xbfpixel_code;token\r\n" P1 ";" T1 "\r\n" P2 ";" T2 "\r\n", two);
	reads("TOKEN\tPIXEL\n" T1 "\t" P1 "\n" T2 "\t" P2, two);
	reads("\"Pixel\",\"Token\"\n\"" P1 "\",\"" T1 "\"\n\"" P2 "\",\"" T2 "\"\n", two);
	reads("Pixel,Note,Token\n" P1 ",\"a \"\"b\"\", c\nd\"," T1 "\n" P2 ",," T2 "\n", two);
	reads("sep=;\nPixel;Token\n" P1 ";" T1 "\n", "3 " P1 " " T1 "\n");
	reads("Pixel,Token\n\n,\n" P1 "," T1 "\n", "4 " P1 " " T1 "\n");
	reads(P1 "," T1 "\n" P2 "," T2 "\n", "1 " P1 " " T1 "\n2 " P2 " " T2 "\n");
	reads("\"" T1 "\",Berlin," P1 "\n", "1 " P1 " " T1 "\n");
	reads("Kennung,Geheimnis\n" P1 "," T1 "\n", "2 " P1 " " T1 "\n");
	reads("ABCDEFGH,shorttok\n", "error 2");
	reads("Pixel , Token\n" P1 " , \xc2\xa0" T1 "\n", "2 " P1 " " T1 "\n");
}

static void env_in_all_its_dialects(void **state)
{
	(void)state;
	reads("# tokens\nTIKTOK_TOKEN_" P1 "=" T1 "\n\nexport TOKEN_" P2 "=\"" T2 "\" # two\n" P3 " = '" T3 "'\r\nPORT=80\n",
	      "2 " P1 " " T1 "\n4 " P2 " " T2 "\n5 " P3 " " T3 "\n");
	reads("TOKEN_" P1 "=" T1 " # a comment\nTEST_CODE_" P1 "=TEST1\n", "1 " P1 " " T1 "\n");
	reads("TOKEN_" P1 "=\"" T1 "\n", "!1:2\n");
	reads("TOKEN_" P1 "=${OTHER}\n", "!1:2\n");
	reads("TOKEN_" P1 "=" T1 "\nnonsense\n", "1 " P1 " " T1 "\n!2:0\n");
	reads("TOKEN_" P1 "=" T1 "\nOLD_" P1 "=" T2 "\n", "1 " P1 " " T1 "\n2 " P1 " " T2 "\n!2:1\n");
	reads("TEST_CODE_" P1 "=TEST1\nX_" P2 "=" T2 "\n", "2 " P2 " " T2 "\n!1:0\n");
	reads("PORT=80\n", "error 2");
}

static void json_in_its_three_shapes(void **state)
{
	(void)state;
	static const char both[] = "1 " P1 " " T1 "\n2 " P2 " " T2 "\n";
	reads("{\"" P1 "\":\"" T1 "\",\"" P2 "\":\"" T2 "\"}", both);
	reads("[{\"pixel\":\"" P1 "\",\"token\":\"" T1 "\"},{\"access_token\":null,\"token\":\"" T2 "\",\"pixel\":\"" P2 "\"}]", "error 2");
	reads("[{\"pixel\":\"" P1 "\",\"token\":\"" T1 "\"},{\"token\":\"" T2 "\",\"pixel\":\"" P2 "\"}]", both);
	reads("{\"schema\":1,\"pixels\":[{\"pixel\":\"" P1 "\",\"token\":\"" T1 "\",\"labels\":{\"a\":\"b\"}},"
	      "{\"pixel\":\"" P2 "\",\"token\":\"\\u0031123456789abcdef0123456789abcdef01234567\"}]}", both);
	reads("{\"" P1 "\":{\"token\":\"" T1 "\"},\"" P2 "\":\"" T2 "\"}", both);
	reads("{\"" P1 "\":\"" T1 "\"", "error 15");
	reads("{\"" P1 "\":\"" T1 "\",\"" P1 "\":\"" T2 "\"}", "error 15");
	reads("[1,2]", "error 2");
	reads("[{\"pixel\":6912345678901234567,\"token\":\"" T1 "\"}]", "!1:1\n");
}

static void what_comes_along(void **state)
{
	(void)state;
	scoped(read_done) struct read r;
	static const char *const maps[] = { "Brand=label.brand", "5=none" };
	read_with(&r, "Pixel,Token,Expires,Test Code,Token,Labels,label.shop,Brand\n" P1 "," T1 ",2031-02-03,TEST1,x,a=1; b=2,berlin,acme\n",
		  &(struct intake_request){ .maps = maps, .map_count = 2 });
	assert_true(r.is_read);
	const struct intake_entry *e = intake_entry_at(&r.in, 0);
	const struct label *labels = intake_labels(&r.in, e);
	assert_int_equal(1927843200, e->expires_at);
	assert_string_equal("TEST1", e->test_code);
	assert_int_equal(4, e->label_count);
	assert_string_equal("b", labels[1].key);
	assert_string_equal("2", labels[1].value);
	assert_string_equal("shop", labels[2].key);
	assert_string_equal("acme", labels[3].value);
}

static void spreadsheet_damage_is_found_where_it_is(void **state)
{
	(void)state;
#define HEAD "Pixel,Token\n"
	says(HEAD "6.91235E+18," T1 "\n", "rounded");
	says(HEAD P1 ",1.23457E+39\n", "rounded");
	says(HEAD "\"6,91235E+18\"," T1 "\n", "rounded");
	says(HEAD "6912345678901234567," T1 "\n", "numeric Pixel ID");
	says(HEAD P1 ",6912345678901234567\n", "number such as");
	says(HEAD T1 "," P1 "\n", "swapped");
	says(HEAD P1 ",0123456789abcdef...\n", "cut off");
	says(HEAD P1 ",0123456789abcdef\xe2\x80\xa6\n", "cut off");
	says(HEAD P1 ",########\n", "cut off");
	says(HEAD P1 ",#REF!\n", "error value");
	says(HEAD P1 ",\xe2\x80\x9c" T1 "\n", "typographic");
	says(HEAD P1 ",\"=\"\"" T1 "\"\"\"\n", "formula");
	says(HEAD "c0u2t02iu8j6b9gc2b90," T1 "\n", "lower case");
	says(HEAD "," T1 "\n", "no Pixel code");
	says(HEAD P1 ",\n", "empty");
	says(HEAD P1 "," T1 " x\n", "blank");
	says(HEAD P1 ",short\n", "short");
	says(HEAD P1 ",\"" T1 "\" x\n", "closing quote");
	says(HEAD P1 ",a\"b\n", "quote in the middle");
	says("Pixel,Token,Expires\n" P1 "," T1 ",31/12/2027\n", "one meaning");
	says("Pixel,Token,Expires\n" P1 "," T1 ",46053\n", "one meaning");
	says("Pixel,Token,Labels\n" P1 "," T1 ",Shop=x\n", "label");
	says("Pixel,Token,Test Code\n" P1 "," T1 ",a b\n", "test code");
	reads(HEAD P1 ",\"\"\"\"\"" T1 "\"\"\"\"\"\n", "2 " P1 " " T1 "\n");
	reads(HEAD "'" P1 ",'" T1 "\n", "2 " P1 " " T1 "\n?2:1\n?2:2\n");
	reads(HEAD "\xe2\x80\x9c" P1 "\xe2\x80\x9d,\xe2\x80\x9c" T1 "\xe2\x80\x9d\n", "2 " P1 " " T1 "\n");
}

/* A row whose values have no usual shape is not taken for a header when columns are named by their number. */
static void no_row_is_lost_as_a_header(void **state)
{
	(void)state;
	static const char *const maps[] = { "1=pixel", "2=token" };
	scoped(read_done) struct read r;
	read_with(&r, "ABCDEFGH,shorttoken\nABCDEFGI,shorttoken2\n", &(struct intake_request){ .maps = maps, .map_count = 2 });
	assert_string_equal("1 ABCDEFGH shorttoken\n2 ABCDEFGI shorttoken2\n", told(&r));
}

static void repetitions_are_found(void **state)
{
	(void)state;
	scoped(read_done) struct read r;
	reads(HEAD P1 "," T1 "\n" P1 "," T2 "\n" P2 "," T3 "\n" P1 "," T1 "\n",
	      "2 " P1 " " T1 "\n3 " P1 " " T2 "\n4 " P2 " " T3 "\n5 " P1 " " T1 "\n!3:1\n!5:1\n");
	reads(HEAD P1 "," T1 "\n" P2 "," T1 "\n", "2 " P1 " " T1 "\n3 " P2 " " T1 "\n!3:2\n");
	read_with(&r, HEAD P1 "," T1 "\n" P2 "," T1 "\n", &(struct intake_request){ .allow_shared = true });
	assert_int_equal(0, intake_problem_count(&r.in));
}

static void every_wrong_row_is_counted_once(void **state)
{
	(void)state;
	scoped(read_done) struct read r;
	read_text(&r, "Pixel,Token,Expires\nx,y,z\n" P1 "," T1 ",\nbad," T2 ",never\n");
	assert_int_equal(2, r.in.wrong_rows);
	assert_int_equal(5, intake_problem_count(&r.in));
}

static void a_shorter_token_among_many_is_worth_a_word(void **state)
{
	(void)state;
	char text[1024];
	size_t used = (size_t)snprintf(text, sizeof text, HEAD);
	for (int i = 0; i < 8; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "C%dU2T02IU8J6B9GC2B90,%d%.*s\n", i, i, i == 3 ? 20 : 39, T1);
	scoped(read_done) struct read r;
	read_text(&r, text);
	assert_int_equal(1, intake_problem_count(&r.in));
	assert_true(intake_problem_at(&r.in, 0)->is_warning);
	assert_int_equal(5, intake_problem_at(&r.in, 0)->row);
}

static void files_that_are_something_else(void **state)
{
	(void)state;
	reads("", "error 2");
	reads("\xff\xfe" "p", "error 2");
	reads("PK\x03\x04", "error 2");
	reads("Pixel,Token\n", "error 2");
	reads("a,b\nc,d\n", "error 2");
	reads("Pixel,Token,Access Token\n" P1 "," T1 "," T2 "\n", "error 2");
	reads("Pixel,Token\n\"" P1 "," T1 "\n", "error 15");
}

static void a_map_that_is_wrong_is_named(void **state)
{
	(void)state;
	static const char *const wrong[] = { "Token", "=token", "Token=", "Token=secret", "9=token", "Nothing=token", "Token=label.A" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		scoped(read_done) struct read r;
		read_with(&r, HEAD P1 "," T1 "\n", &(struct intake_request){ .maps = &wrong[i], .map_count = 1 });
		assert_false(r.is_read);
		assert_int_equal(ERR_USAGE, r.err.code);
	}
}

static int open_arena(void **state)
{
	struct error err;
	(void)state;
	return secret_arena_open(SECRET_ARENA_LARGE, &err) ? 0 : -1;
}

#ifndef IS_SANITIZED
/* No row is left out without a word: all of them are read, or why not is said. */
static void a_file_that_memory_is_short_for_is_read_whole_or_not_at_all(void **state)
{
	static const char *const files[] = {
		"pixel,token,test-code,expires,shop\n" P1 "," T1 ",TEST1,2030-01-01,berlin\n" P2 "," T2 ",,,\n" P3 "," T2 ",x y,never,\n",
		P1 ";" T1 "\n" P2 ";" T2 "\n",
		"PIXEL_A=" P1 "\nTOKEN_A='" T1 "'\nexport PIXEL_B=" P2 "\nTOKEN_B=\"" T2 "\"\nOTHER=1\n",
		"[{\"pixel\":\"" P1 "\",\"token\":\"" T1 "\"},{\"pixel\":\"" P2 "\",\"token\":\"\\u0031" T2 "\"}]",
		"{\"" P1 "\":\"" T1 "\",\"" P2 "\":{\"token\":\"" T2 "\"}}",
	};
	static const struct intake_request request = { .map_count = 0 };
	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct read r;
		char whole[4096];
		read_text(&r, files[i]);
		snprintf(whole, sizeof whole, "%s", told(&r));
		read_done(&r);
		for (size_t n = 1, failed = 1; failed; n++) {
			memset(&r, 0, sizeof r);
			struct bytes bytes = bytes_of_text(files[i]);
			assert_true(secret_copy(bytes, &r.file, &r.err));
			failing_from(FAIL_MEMORY, ENOMEM, n, n % 2 ? n : FAIL_EVER);
			bool is_sheet = sheet_read(r.file, sheet_guess(bytes), &r.sheet, &r.err);
			r.is_read = is_sheet && intake_read(&r.sheet, &request, &r.in, &r.err);
			failed = failing_stop();
			if (is_sheet && !r.is_read)
				sheet_done(&r.sheet);
			if (r.is_read)
				assert_string_equal(told(&r), whole);
			else
				assert_true(strncmp(whole, "error", 5) == 0 || (failed && r.err.message[0] && r.err.hint[0]));
			read_done(&r);
		}
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_in_all_its_dialects),
		cmocka_unit_test(env_in_all_its_dialects),
		cmocka_unit_test(json_in_its_three_shapes),
		cmocka_unit_test(what_comes_along),
		cmocka_unit_test(spreadsheet_damage_is_found_where_it_is),
		cmocka_unit_test(no_row_is_lost_as_a_header),
		cmocka_unit_test(repetitions_are_found),
		cmocka_unit_test(every_wrong_row_is_counted_once),
		cmocka_unit_test(a_shorter_token_among_many_is_worth_a_word),
		cmocka_unit_test(files_that_are_something_else),
		cmocka_unit_test(a_map_that_is_wrong_is_named),
#ifndef IS_SANITIZED
		cmocka_unit_test(a_file_that_memory_is_short_for_is_read_whole_or_not_at_all),
#endif
	};
	return cmocka_run_group_tests(tests, open_arena, NULL);
}
