#include "core/error.h"

#include "core/log.h"
#include "core/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#undef fail /* cmocka's takes nothing and means something else */

static void error__the_exit_codes_keep_their_numbers_and_names(void **state)
{
	(void)state;
	/* design.md, section 5: users script against these. */
	static const char *const names[] = { "ok",        "unexpected", "usage",   "not-found",  "locked",
					     "denied",    "wrong-key",  "damaged", "conflict",   "unreachable",
					     "expired",   "mismatched", "partial", "bad-config", "due",
					     "malformed", "unclear",    "storage" };
	assert_int_equal(ERR_COUNT, COUNT_OF(names));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		assert_string_equal(error_name((enum error_code)i), names[i]);
		assert_true(error_meaning((enum error_code)i)[0]);
	}
}

static void error__a_code_out_of_range_is_unexpected(void **state)
{
	(void)state;
	assert_string_equal(error_name((enum error_code)ERR_COUNT), "unexpected");
	assert_string_equal(error_meaning((enum error_code) - 1), error_meaning(ERR_UNEXPECTED));
}

static void error__failing_fills_everything_and_is_false(void **state)
{
	(void)state;
	struct error err;
	memset(&err, 0x5a, sizeof err);
	assert_false(fail(&err, ERR_EXPIRED, "'%s' has %d", "100%s stays", "x", 5));
	assert_int_equal(err.code, ERR_EXPIRED);
	assert_null(err.class);
	assert_string_equal(err.message, "'x' has 5");
	assert_string_equal(err.hint, "100%s stays");
	assert_false(fail_class(&err, ERR_DAMAGED, "rolled-back", "m", "h"));
	assert_string_equal(err.class, "rolled-back");
	assert_false(fail_no_memory(&err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	assert_null(err.class);
}

static void error__of_a_call_that_does_not_wait_some_pass(void **state)
{
	(void)state;
	assert_true(error_is_passing(EAGAIN));
	assert_true(error_is_passing(EINTR));
	assert_false(error_is_passing(EPIPE));
	assert_false(error_is_passing(0));
}

static void error__control_characters_of_arguments_become_question_marks(void **state)
{
	(void)state;
	struct error err;
	assert_false(fail(&err, ERR_USAGE, "'%s'", "", "a\x1b[31m\nb\r\t\x7f"));
	assert_string_equal(err.message, "'a?[31m?b??"
					 "?'");
	assert_false(fail(&err, ERR_USAGE, "'%s'", "",
			  "\xc2\x9b"
			  "31m M\xc3\xbcller"));
	assert_string_equal(err.message, "'?"
					 "?31m M\xc3\xbcller'");
	assert_false(fail(&err, ERR_USAGE, "'%s'", "",
			  "\x9b"
			  "31m"));
	assert_string_equal(err.message, "'?31m'");
}

static void error__a_message_too_long_is_cut_and_still_utf8(void **state)
{
	(void)state;
	struct error err;
	char text[1001];
	for (size_t shift = 0; shift < 3; shift++) {
		for (size_t i = 0; i + 1 < sizeof text; i++)
			text[i] = "\xe2\x82\xac"[i % 3];
		text[sizeof text - 1] = '\0';
		assert_false(fail(&err, ERR_USAGE, "%.*s%s", "", (int)shift, "xx", text));
		assert_int_equal(strlen(err.message), sizeof err.message - 1);
		assert_true(utf8_is_valid(bytes_of_text(err.message)));
	}
}

/* What is written to stderr while the log speaks. */
static char *log_of(void (*speak)(void), bool is_journal)
{
	static char text[4096];
	char path[] = "/tmp/test_error.XXXXXX";
	int file = mkstemp(path), saved = dup(STDERR_FILENO);
	assert_true(file >= 0 && saved >= 0);
	unlink(path);
	dup2(file, STDERR_FILENO);
	struct stat st;
	fstat(file, &st);
	char stream[64];
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + !is_journal);
	setenv("JOURNAL_STREAM", stream, 1);
	speak();
	unsetenv("JOURNAL_STREAM");
	dup2(saved, STDERR_FILENO);
	ssize_t len = pread(file, text, sizeof text - 1, 0);
	assert_true(len >= 0);
	text[len] = '\0';
	close(file);
	close(saved);
	return text;
}

static void say_some(void)
{
	struct error err;
	log_open("vault-agent", LOG_WARNING);
	log_line(LOG_INFO, "not told");
	log_line(LOG_WARNING, "pixel '%s'", "C9\n<3>forged\x1b[2J");
	(void)!fail(&err, ERR_DENIED, "not allowed", "ask for it");
	log_error(&err);
	err.hint[0] = '\0';
	log_error(&err);
}

static void log__one_line_an_event_with_the_program_in_front(void **state)
{
	(void)state;
	assert_string_equal(log_of(say_some, false), "vault-agent: pixel 'C9?<3>forged?[2J'\n"
						     "vault-agent: not allowed\n  hint: ask for it\n"
						     "vault-agent: not allowed\n");
}

static void log__the_journal_gets_the_level_in_front(void **state)
{
	(void)state;
	assert_string_equal(log_of(say_some, true), "<4>vault-agent: pixel 'C9?<3>forged?[2J'\n"
						    "<3>vault-agent: not allowed\n<3>  hint: ask for it\n"
						    "<3>vault-agent: not allowed\n");
}

static void say_much(void)
{
	log_open("vault-agent", LOG_INFO);
	char text[3000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_line(LOG_INFO, "%s", text);
}

static void log__a_line_too_long_is_cut_and_still_a_line(void **state)
{
	(void)state;
	const char *text = log_of(say_much, false);
	assert_in_range(strlen(text), 900, 1024);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error__the_exit_codes_keep_their_numbers_and_names),
		cmocka_unit_test(error__a_code_out_of_range_is_unexpected),
		cmocka_unit_test(error__failing_fills_everything_and_is_false),
		cmocka_unit_test(error__of_a_call_that_does_not_wait_some_pass),
		cmocka_unit_test(error__control_characters_of_arguments_become_question_marks),
		cmocka_unit_test(error__a_message_too_long_is_cut_and_still_utf8),
		cmocka_unit_test(log__one_line_an_event_with_the_program_in_front),
		cmocka_unit_test(log__the_journal_gets_the_level_in_front),
		cmocka_unit_test(log__a_line_too_long_is_cut_and_still_a_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
