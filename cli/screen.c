#include "cli/screen.h"

#include "cli/term.h"
#include "cli/text.h"
#include "core/file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH };
static volatile sig_atomic_t last_signal;

static struct {
	int tty;
	struct termios before;
	struct sigaction handlers[COUNT_OF(watched)];
	sigset_t mask; /* as it was; ours are let in only while we wait */
} screen = { .tty = -1 };

static void note(int number)
{
	/* What ends us is not forgotten for what only draws anew. */
	if (last_signal == 0 || last_signal == SIGWINCH || last_signal == SIGTSTP)
		last_signal = number;
}

static void write_out(const char *text)
{
	struct error unused;
	(void)!file_write_all(STDOUT_FILENO, bytes_of_text(text), "terminal", &unused);
}

static void take_terminal(void)
{
	struct termios keys = screen.before;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 0;
	keys.c_cc[VTIME] = 0;
	(void)tcsetattr(screen.tty, TCSADRAIN, &keys);
	write_out(ENTER);
}

static void give_terminal_back(void)
{
	write_out(LEAVE);
	(void)tcsetattr(screen.tty, TCSAFLUSH, &screen.before);
}

static void take_signals(void)
{
	struct sigaction action = { .sa_handler = note };
	sigset_t ours;
	sigemptyset(&ours);
	last_signal = 0;
	for (size_t i = 0; i < COUNT_OF(watched); i++) {
		sigaction(watched[i], &action, &screen.handlers[i]);
		if (screen.handlers[i].sa_handler == SIG_IGN)
			sigaction(watched[i], &screen.handlers[i], NULL);
		sigaddset(&ours, watched[i]);
	}
	sigprocmask(SIG_BLOCK, &ours, &screen.mask);
}

bool screen_open(struct error *err)
{
	const char *kind = getenv("TERM");
	bool can_draw = isatty(STDOUT_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
	screen.tty = can_draw ? open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
	if (screen.tty < 0 || tcgetattr(screen.tty, &screen.before) != 0) {
		file_closep(&screen.tty);
		return fail(err, ERR_USAGE, TXT_WATCH_NO_TERMINAL);
	}
	take_signals();
	take_terminal();
	return true;
}

void screen_close(void)
{
	if (screen.tty < 0)
		return;
	give_terminal_back();
	file_closep(&screen.tty);
	for (size_t i = 0; i < COUNT_OF(watched); i++)
		sigaction(watched[i], &screen.handlers[i], NULL);
	bool has_ended = last_signal && last_signal != SIGWINCH && last_signal != SIGTSTP;
	if (has_ended)
		raise(last_signal);
	sigprocmask(SIG_SETMASK, &screen.mask, NULL);
}

static enum screen_event answer_signal(void)
{
	int number = last_signal;
	if (number == SIGTSTP) {
		last_signal = 0;
		give_terminal_back();
		raise(SIGSTOP);
		take_terminal();
		return SCREEN_DRAW;
	}
	if (number != SIGWINCH)
		return SCREEN_LEAVE;
	last_signal = 0;
	return SCREEN_DRAW;
}

/* A terminal that is gone gives nothing for ever. */
static bool is_told_to_leave(void)
{
	char keys[64];
	ssize_t got = read(screen.tty, keys, sizeof keys);
	if (got <= 0)
		return true;
	return memchr(keys, 'q', (size_t)got) || memchr(keys, 'Q', (size_t)got) || memchr(keys, 4, (size_t)got);
}

enum screen_event screen_wait(int other_fd, int64_t timeout_ms)
{
	struct pollfd events[] = { { .fd = screen.tty, .events = POLLIN }, { .fd = other_fd, .events = POLLIN } };
	struct timespec until = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000 };
	int ready = ppoll(events, COUNT_OF(events), &until, &screen.mask);
	if (last_signal)
		return answer_signal();
	if (ready <= 0)
		return SCREEN_TIME;
	if (events[0].revents)
		return is_told_to_leave() ? SCREEN_LEAVE : SCREEN_DRAW;
	return SCREEN_OTHER;
}

unsigned screen_height(void)
{
	struct winsize size;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : 24;
}

void screen_draw(struct bytes lines)
{
	struct buf out = BUF_INIT((size_t)1 << 22);
	struct error unused;
	buf_append_text(&out, "\033[H");
	for (size_t i = 0; i < lines.len; i++) {
		bool is_last = i + 1 == lines.len;
		if (lines.at[i] == '\n')
			buf_append_text(&out, is_last ? "\033[K" : "\033[K\n");
		else
			buf_append(&out, &lines.at[i], 1);
	}
	buf_append_text(&out, "\033[J");
	if (!out.is_bad)
		(void)!file_write_all(STDOUT_FILENO, buf_bytes(&out), "terminal", &unused);
	buf_done(&out);
}
