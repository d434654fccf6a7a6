/* The terminal: the program is alone with a terminal of its own, and types on it what it is then asked for. */
#include "tests/support/failing.h"

#include "cli/term.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include <cmocka.h>

static int master = -1, slave = -1;
static struct termios usual;

static void type_text(const char *text)
{
	assert_int_equal(write(master, text, strlen(text)), strlen(text));
}

/* All that is on the screen by now. */
static const char *screen(void)
{
	static char shown[65536];
	size_t len = 0;
	struct pollfd some = { .fd = master, .events = POLLIN };
	while (len < sizeof shown - 1 && poll(&some, 1, 0) == 1 && some.revents & POLLIN) {
		ssize_t got = read(master, shown + len, sizeof shown - 1 - len);
		assert_true(got > 0);
		len += (size_t)got;
	}
	shown[len] = '\0';
	return shown;
}

static int fresh(void **state)
{
	(void)state;
	failing_stop();
	(void)screen();
	tcflush(slave, TCIOFLUSH);
	return tcsetattr(slave, TCSANOW, &usual);
}

static void is_as_before(void)
{
	struct termios now;
	assert_int_equal(tcgetattr(slave, &now), 0);
	assert_int_equal(now.c_lflag, usual.c_lflag);
	assert_int_equal(now.c_iflag, usual.c_iflag);
}

static struct error asked;

static bool ask(const struct question_on_tty *q, struct secret **ret)
{
	bool is_done = term_ask(q, ret, &asked);
	is_as_before();
	return is_done;
}

static void assert_answer(const struct question_on_tty *q, const char *typed, const char *expected)
{
	scoped(secret_freep) struct secret *answer = NULL;
	type_text(typed);
	if (!ask(q, &answer))
		fail_msg("%s", asked.message);
	assert_int_equal(secret_len(answer), strlen(expected));
	assert_memory_equal(secret_reveal(answer).at, expected, strlen(expected));
}

static void assert_refused(const struct question_on_tty *q, const char *typed, enum error_code code)
{
	struct secret *answer = NULL;
	type_text(typed);
	assert_false(ask(q, &answer));
	assert_null(answer);
	assert_int_equal(asked.code, code);
}

/* Nothing of a refused paste is left for the shell. */
static void assert_nothing_left(void)
{
	int waiting = -1;
	assert_int_equal(ioctl(slave, FIONREAD, &waiting), 0);
	assert_int_equal(waiting, 0);
}

/* ---- one question ---- */

static void term__a_line_is_taken_without_its_end_and_not_shown(void **state)
{
	(void)state;
	struct question_on_tty q = { .prompt = "Word: ", .echo = ECHO_OFF, .max = 8 };
	assert_answer(&q, "12345678\n", "12345678");
	assert_non_null(strstr(screen(), "Word: "));
	assert_refused(&q, "123456789\n", ERR_USAGE);
	assert_refused(&q, "123456789abcdefghijklmnopqrstuvw\n", ERR_USAGE);
	assert_nothing_left();
	assert_refused(&q, "\n", ERR_USAGE);
	q.may_be_empty = true;
	assert_answer(&q, "\n", "");
}

static void term__the_end_of_input_is_told_apart_from_an_empty_line(void **state)
{
	(void)state;
	bool has_left = false;
	struct question_on_tty q = { .prompt = "?", .echo = ECHO_ON, .max = 8, .may_be_empty = true, .ret_has_left = &has_left };
	assert_answer(&q, "\004", "");
	assert_true(has_left);
	assert_answer(&q, "\n", "");
	assert_false(has_left);
	/* Ctrl-D behind some text hands it over, and a second one ends it. */
	assert_answer(&q, "abc\004\004", "abc");
	assert_false(has_left);
}

static void term__of_a_paste_the_one_line_counts(void **state)
{
	(void)state;
	struct question_on_tty q = { .prompt = "?", .echo = ECHO_OFF, .max = 64, .is_only_line = true };
	assert_answer(&q, "\n \t \n\ntoken\n\n \t\n", "token");
	assert_nothing_left();
	assert_answer(&q, "token\n", "token");
	assert_refused(&q, "one\ntwo\n", ERR_MALFORMED);
	assert_nothing_left();
	/* A last line without an end. */
	assert_refused(&q, "one\ntwo", ERR_MALFORMED);
	assert_nothing_left();
	assert_answer(&q, "token\n  ", "token");
	assert_nothing_left();
	/* Blank lines alone are what was entered. */
	assert_answer(&q, "\n  \n", "  ");
	assert_refused(&q, "\n\n", ERR_USAGE);
}

static void term__calls_that_fail_are_told_and_leave_the_terminal_as_it_was(void **state)
{
	(void)state;
	struct question_on_tty q = { .prompt = "?", .echo = ECHO_OFF, .max = 64 };
#ifdef IS_SANITIZED
	skip();
#endif
	static const struct {
		enum failing_kind kind;
		int error;
		enum error_code code;
	} faults[] = { { FAIL_OPENS, ENXIO, ERR_LOCKED }, { FAIL_READS, EIO, ERR_LOCKED }, { FAIL_MEMORY, ENOMEM, ERR_STORAGE } };
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		if (faults[i].kind == FAIL_MEMORY && getenv("UNDER_VALGRIND"))
			continue; /* memory is its own there */
		struct secret *answer = NULL;
		type_text("word\n");
		failing_from(faults[i].kind, faults[i].error, 1, 1);
		bool is_done = term_ask(&q, &answer, &asked);
		assert_int_equal(failing_stop(), 1);
		assert_false(is_done);
		assert_null(answer);
		is_as_before();
		if (faults[i].kind != FAIL_MEMORY)
			assert_int_equal(asked.code, faults[i].code);
		assert_int_equal(tcflush(slave, TCIFLUSH), 0);
	}
	struct secret *answer = NULL;
	failing_from(FAIL_WRITES, EIO, 1, 1);
	bool is_done = term_ask(&q, &answer, &asked);
	assert_int_equal(failing_stop(), 1);
	assert_false(is_done);
	is_as_before();
	/* A read that a signal of somebody else's breaks off is done again. */
	failing_from(FAIL_READS, EINTR, 1, 1);
	assert_answer(&q, "word\n", "word");
	assert_int_equal(failing_stop(), 1);
	/* What follows a line cannot be read: the line stands. */
	q.is_only_line = true;
	failing_from(FAIL_READS, EIO, 2, 2);
	assert_answer(&q, "word\n\n", "word");
	assert_int_equal(failing_stop(), 1);
	struct error err;
	failing_from(FAIL_OPENS, ENXIO, 1, FAIL_EVER);
	assert_false(term_show("text", &err));
	assert_int_equal(err.code, ERR_LOCKED);
	assert_false(term_sit_down(&err));
	assert_int_equal(err.code, ERR_LOCKED);
	assert_false(term_may_ask(&(struct globals){ .quiet = false }));
	failing_stop();
	term_get_up(); /* nobody sits: nothing is done */
	is_as_before();
	assert_true(term_may_ask(&(struct globals){ .quiet = false }));
	assert_false(term_may_ask(&(struct globals){ .no_input = true }));
}

/* ---- signals ---- */

static const int watched[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU };
static volatile sig_atomic_t heard, types_then;

static void hear(int number)
{
	heard = number;
	if (types_then)
		(void)!write(master, "word\n", 5);
}

static timer_t knock_soon(int number)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number };
	struct itimerspec soon = { .it_value = { .tv_nsec = 200000000 } }; /* the question is put by then */
	timer_t timer;
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
	return timer;
}

static void term__a_signal_is_answered_when_the_terminal_is_itself_again(void **state)
{
	(void)state;
	struct question_on_tty q = { .prompt = "?", .echo = ECHO_OFF, .max = 64 };
	for (size_t i = 0; i < COUNT_OF(watched); i++) {
		bool stops = watched[i] == SIGTSTP || watched[i] == SIGTTIN || watched[i] == SIGTTOU;
		struct sigaction mine = { .sa_handler = hear }, before, after;
		assert_int_equal(sigaction(watched[i], &mine, &before), 0);
		heard = 0;
		types_then = stops;
		timer_t timer = knock_soon(watched[i]);
		if (stops) /* put again when we go on, and answered */
			assert_answer(&q, "", "word");
		else
			assert_refused(&q, "", ERR_LOCKED);
		assert_int_equal(heard, watched[i]);
		timer_delete(timer);
		assert_int_equal(sigaction(watched[i], &before, &after), 0);
		assert_ptr_equal(after.sa_handler, hear);
	}
}

static void term__what_is_ignored_stays_ignored(void **state)
{
	(void)state;
	struct question_on_tty q = { .prompt = "?", .echo = ECHO_ON, .max = 64 };
	struct sigaction ignored = { .sa_handler = SIG_IGN }, before, after;
	struct error err;
	assert_int_equal(sigaction(SIGTERM, &ignored, &before), 0);
	assert_true(term_sit_down(&err));
	assert_int_equal(raise(SIGTERM), 0);
	term_get_up();
	assert_int_equal(raise(SIGTERM), 0);
	assert_answer(&q, "word\n", "word");
	assert_int_equal(sigaction(SIGTERM, &before, &after), 0);
	assert_ptr_equal(after.sa_handler, SIG_IGN);
}

/* ---- a sitting ---- */

static void term__a_sitting_shows_nothing_and_leaves_nothing(void **state)
{
	(void)state;
	struct error err;
	struct termios now;
	assert_true(term_sit_down(&err));
	assert_int_equal(tcgetattr(slave, &now), 0);
	assert_int_equal(now.c_lflag & ECHO, 0);
	type_text("pasted too early\n");
	assert_int_equal(poll(&(struct pollfd){ .fd = slave, .events = POLLIN }, 1, 10000), 1); /* the kernel hands it over in its own time */
	assert_string_equal(screen(), "");
	term_get_up();
	is_as_before();
	assert_nothing_left();
}

/* A stop signal within a sitting: the terminal is as it was while we stand, and quiet again when we go on. */
static void term__who_is_stopped_in_a_sitting_leaves_the_terminal_meanwhile(void **state)
{
	(void)state;
	static const int stops[] = { SIGTSTP, SIGTTIN, SIGTTOU };
	for (size_t i = 0; i < COUNT_OF(stops); i++) {
		struct error err;
		int status;
		pid_t child = fork();
		if (child == 0) {
			struct termios now;
			if (!term_sit_down(&err) || raise(stops[i]) != 0 || tcgetattr(slave, &now) != 0 || now.c_lflag & ECHO)
				_exit(1);
			term_get_up();
			_exit(tcgetattr(slave, &now) != 0 || !(now.c_lflag & ECHO));
		}
		assert_true(child > 0);
		assert_int_equal(waitpid(child, &status, WUNTRACED), child);
		assert_true(WIFSTOPPED(status));
		is_as_before();
		assert_int_equal(kill(child, SIGCONT), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* ---- colours, width, progress ---- */

static void term__colour_is_for_terminals_that_can(void **state)
{
	(void)state;
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	assert_true(term_wants_colour(COLOUR_AUTO, slave));
	assert_false(term_wants_colour(COLOUR_NEVER, slave));
	assert_true(term_wants_colour(COLOUR_ALWAYS, -1));
	assert_false(term_wants_colour(COLOUR_AUTO, -1));
	setenv("NO_COLOR", "", 1);
	assert_true(term_wants_colour(COLOUR_AUTO, slave));
	setenv("NO_COLOR", "1", 1);
	assert_false(term_wants_colour(COLOUR_AUTO, slave));
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	assert_false(term_wants_colour(COLOUR_AUTO, slave));
	setenv("TERM", "", 1);
	assert_false(term_wants_colour(COLOUR_AUTO, slave));
	unsetenv("TERM");
	assert_false(term_wants_colour(COLOUR_AUTO, slave));
	setenv("TERM", "xterm", 1);
}

static void term__a_terminal_that_does_not_say_its_width_has_eighty(void **state)
{
	(void)state;
	struct winsize size = { .ws_row = 24, .ws_col = 0 };
	assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
	assert_int_equal(term_width(slave), 80);
	size.ws_col = 123;
	assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
	assert_int_equal(term_width(slave), 123);
	assert_int_equal(term_width(-1), 0);
}

static void term__progress_draws_over_itself_and_goes(void **state)
{
	(void)state;
	struct progress p;
	struct globals globals = { .quiet = false };
	char shown[512];
	int before = dup(STDERR_FILENO);
	assert_int_equal(dup2(slave, STDERR_FILENO), STDERR_FILENO);
	progress_begin(&p, &globals);
	progress_end(&p); /* nothing was drawn */
	progress_begin(&p, &globals);
	progress_show(&p, 0, 0, "a long name of something");
	snprintf(shown, sizeof shown, "%s", screen());
	assert_string_equal(shown, "\r[....................] 0 of 0  a long name of something");
	progress_show(&p, 1, 2, "too soon");
	assert_string_equal(screen(), "");
	/* The last is drawn at once; a shorter line blanks the longer one; more than all of it is all of it. */
	progress_show(&p, 5, 2, "b");
	snprintf(shown, sizeof shown, "%s", screen());
	size_t len = strlen("\r[####################] 5 of 2  b"), longer = strlen("\r[....................] 0 of 0  a long name of something");
	assert_memory_equal(shown, "\r[####################] 5 of 2  b", len);
	assert_int_equal(strlen(shown), longer);
	assert_int_equal(strspn(shown + len, " "), longer - len);
	progress_end(&p);
	snprintf(shown, sizeof shown, "%s", screen());
	assert_int_equal(shown[0], '\r');
	assert_true(strspn(shown + 1, " ") >= len - 1);
	assert_int_equal(shown[strlen(shown) - 1], '\r');
	progress_show(&p, 2, 2, "over");
	assert_string_equal(screen(), "");
	globals.quiet = true;
	progress_begin(&p, &globals);
	progress_show(&p, 2, 2, "quiet");
	assert_string_equal(screen(), "");
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	close(before);
}

/* In a session of its own the terminal that is opened first becomes ours. */
static bool take_terminal(void)
{
	if (setsid() < 0 || (master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
		return false;
	slave = open(ptsname(master), O_RDWR | O_CLOEXEC);
	return slave >= 0 && tcgetattr(slave, &usual) == 0;
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(term__a_line_is_taken_without_its_end_and_not_shown, fresh),
		cmocka_unit_test_setup(term__the_end_of_input_is_told_apart_from_an_empty_line, fresh),
		cmocka_unit_test_setup(term__of_a_paste_the_one_line_counts, fresh),
		cmocka_unit_test_setup(term__calls_that_fail_are_told_and_leave_the_terminal_as_it_was, fresh),
		cmocka_unit_test_setup(term__a_signal_is_answered_when_the_terminal_is_itself_again, fresh),
		cmocka_unit_test_setup(term__what_is_ignored_stays_ignored, fresh),
		cmocka_unit_test_setup(term__a_sitting_shows_nothing_and_leaves_nothing, fresh),
		cmocka_unit_test_setup(term__who_is_stopped_in_a_sitting_leaves_the_terminal_meanwhile, fresh),
		cmocka_unit_test_setup(term__colour_is_for_terminals_that_can, fresh),
		cmocka_unit_test_setup(term__a_terminal_that_does_not_say_its_width_has_eighty, fresh),
		cmocka_unit_test_setup(term__progress_draws_over_itself_and_goes, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		struct error err;
		alarm(60);
		if (!take_terminal() || !secret_arena_open(SECRET_ARENA_SMALL, &err))
			return 2;
		return run();
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}
