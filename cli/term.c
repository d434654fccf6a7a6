#include "cli/term.h"

#include "cli/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int open_tty(void)
{
	return open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

bool term_may_ask(const struct globals *globals)
{
	scoped(file_closep) int tty = globals->no_input ? -1 : open_tty();
	return tty >= 0;
}

bool term_show(const char *text, struct error *err)
{
	scoped(file_closep) int tty = open_tty();
	if (tty < 0)
		return fail(err, ERR_LOCKED, TXT_NO_TERMINAL_ANSWER);
	return file_write_all(tty, bytes_of_text(text), "/dev/tty", err);
}

/* ---- signals while a question stands: noted, answered after the terminal is itself again ---- */

static const int watched[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU };
static volatile sig_atomic_t caught[COUNT_OF(watched)];

static void note_signal(int number)
{
	for (size_t i = 0; i < COUNT_OF(watched); i++)
		if (watched[i] == number)
			caught[i] = 1;
}

static bool any_caught(void)
{
	for (size_t i = 0; i < COUNT_OF(watched); i++)
		if (caught[i])
			return true;
	return false;
}

struct guarded {
	int tty;
	struct termios before;
	struct sigaction handlers[COUNT_OF(watched)];
};

static bool guard(struct guarded *g, const struct question_on_tty *q)
{
	/* Without SA_RESTART: the read must come back. */
	struct sigaction note = { .sa_handler = note_signal };
	for (size_t i = 0; i < COUNT_OF(watched); i++) {
		caught[i] = 0;
		sigaction(watched[i], &note, &g->handlers[i]);
		/* What the shell told us to ignore (nohup) stays ignored. */
		if (g->handlers[i].sa_handler == SIG_IGN)
			sigaction(watched[i], &g->handlers[i], NULL);
	}
	if (tcgetattr(g->tty, &g->before) != 0)
		return false;
	struct termios quiet = g->before;
	quiet.c_lflag |= ICANON | ISIG;
	quiet.c_iflag |= ICRNL;
	if (q->echo == ECHO_OFF)
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	while (tcsetattr(g->tty, q->is_fresh ? TCSAFLUSH : TCSADRAIN, &quiet) != 0)
		if (errno != EINTR || any_caught())
			return false;
	return true;
}

/* Returns true when a stop signal was answered and the question must be put again. */
static bool unguard(struct guarded *g)
{
	bool was_stopped = false;
	while (tcsetattr(g->tty, TCSADRAIN, &g->before) != 0 && errno == EINTR && !any_caught())
		;
	for (size_t i = 0; i < COUNT_OF(watched); i++)
		sigaction(watched[i], &g->handlers[i], NULL);
	for (size_t i = 0; i < COUNT_OF(watched); i++) {
		if (!caught[i])
			continue;
		caught[i] = 0;
		kill(getpid(), watched[i]);
		was_stopped = was_stopped || watched[i] == SIGTSTP || watched[i] == SIGTTIN || watched[i] == SIGTTOU;
	}
	return was_stopped;
}

/* ---- a sitting ---- */

/* A signal handler can reach nothing but this. */
static struct {
	bool is_taken;
	int tty;
	struct termios before, quiet;
	struct sigaction handlers[COUNT_OF(watched)];
} seat;

/* Outside a question. A token that was pasted too early must reach neither the screen nor the shell. */
static void leave_seat(int number)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };
	int why = errno;
	(void)tcflush(seat.tty, TCIFLUSH);
	(void)tcsetattr(seat.tty, TCSANOW, &seat.before);
	if (number == SIGTSTP || number == SIGTTIN || number == SIGTTOU) {
		kill(getpid(), SIGSTOP);
		if (tcgetpgrp(seat.tty) == getpgrp())
			(void)tcsetattr(seat.tty, TCSANOW, &seat.quiet);
	} else {
		sigaction(number, &usual, NULL);
		kill(getpid(), number); /* when we are back from here */
	}
	errno = why;
}

bool term_sit_down(struct error *err)
{
	struct sigaction leave = { .sa_handler = leave_seat, .sa_flags = SA_RESTART };
	sigfillset(&leave.sa_mask);
	seat.tty = open_tty();
	if (seat.tty < 0 || tcgetattr(seat.tty, &seat.before) != 0) {
		file_closep(&seat.tty);
		return fail(err, ERR_LOCKED, TXT_NO_TERMINAL_ANSWER);
	}
	seat.is_taken = true;
	seat.quiet = seat.before;
	seat.quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	for (size_t i = 0; i < COUNT_OF(watched); i++) {
		sigaction(watched[i], NULL, &seat.handlers[i]);
		if (seat.handlers[i].sa_handler != SIG_IGN)
			sigaction(watched[i], &leave, NULL);
	}
	(void)tcsetattr(seat.tty, TCSADRAIN, &seat.quiet);
	return true;
}

void term_get_up(void)
{
	if (!seat.is_taken)
		return;
	(void)tcsetattr(seat.tty, TCSAFLUSH, &seat.before);
	for (size_t i = 0; i < COUNT_OF(watched); i++)
		sigaction(watched[i], &seat.handlers[i], NULL);
	file_closep(&seat.tty);
	seat.is_taken = false;
}

/* ---- one line ---- */

enum line_end { LINE_WHOLE, LINE_NONE, LINE_TOO_LONG, LINE_INTERRUPTED, LINE_FAILED };

static enum line_end read_line(int tty, struct secret *line, size_t max, size_t *ret_len)
{
	uint8_t *at = secret_room(line);
	size_t len = 0;
	bool is_too_long = false;
	for (;;) {
		if (any_caught())
			return LINE_INTERRUPTED;
		ssize_t got = read(tty, at + len, max + 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return LINE_FAILED;
		len += (size_t)got;
		bool is_end = got == 0 || at[len - 1] == '\n';
		if (is_end && got)
			len--;
		if (is_end) {
			*ret_len = len;
			return is_too_long ? LINE_TOO_LONG : got || len ? LINE_WHOLE : LINE_NONE;
		}
		if (len == max + 1) {
			is_too_long = true;
			len = 0;
		}
	}
}

static bool has_more(int tty)
{
	struct pollfd waiting = { .fd = tty, .events = POLLIN };
	return poll(&waiting, 1, 50) == 1 && waiting.revents & POLLIN;
}

static bool is_blank(const struct secret *s, size_t len)
{
	const uint8_t *at = secret_reveal(s).at;
	for (size_t i = 0; i < len; i++)
		if (at[i] != ' ' && at[i] != '\t' && at[i] != '\r')
			return false;
	return true;
}

/* What follows the line, to its end, so that no part of a paste reaches the shell. True when it is more than blanks. */
static bool drain(const struct guarded *g)
{
	uint8_t part[256];
	bool has_text = false;
	/* A last line without an end is handed over only outside canonical mode. */
	struct termios raw = g->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(g->tty, TCSANOW, &raw) != 0)
		return false;
	while (has_more(g->tty)) {
		ssize_t got = read(g->tty, part, sizeof part);
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++)
			has_text = has_text || !strchr(" \t\r\n", part[i]);
	}
	wipe(part, sizeof part);
	return has_text;
}

/* A pasted text may begin and end with empty lines; the line between them is what counts. */
static enum line_end read_answer(const struct guarded *g, const struct question_on_tty *q, struct secret *line,
				 size_t *ret_len, bool *ret_is_several)
{
	enum line_end end = read_line(g->tty, line, q->max, ret_len);
	while (q->is_only_line && end == LINE_WHOLE && is_blank(line, *ret_len) && has_more(g->tty))
		end = read_line(g->tty, line, q->max, ret_len);
	*ret_is_several = q->is_only_line && end == LINE_WHOLE && drain(g);
	if (end == LINE_TOO_LONG)
		tcflush(g->tty, TCIFLUSH);
	return end;
}

bool term_ask(const struct question_on_tty *q, struct secret **ret, struct error *err)
{
	struct guarded g = { .tty = open_tty() };
	scoped(file_closep) int tty = g.tty;
	scoped(secret_freep) struct secret *line = NULL;
	if (tty < 0)
		return fail(err, ERR_LOCKED, TXT_NO_TERMINAL_ANSWER);
	if (!secret_new(q->max + 1, &line, err))
		return false;
	enum line_end end;
	size_t len = 0;
	bool is_several = false, was_stopped;
	do {
		bool is_ready = guard(&g, q);
		end = any_caught() ? LINE_INTERRUPTED : LINE_FAILED;
		if (is_ready && file_write_all(tty, bytes_of_text(q->prompt), "/dev/tty", err))
			end = read_answer(&g, q, line, &len, &is_several);
		if (is_ready && (q->echo == ECHO_OFF || end == LINE_INTERRUPTED))
			(void)!write(tty, "\n", 1);
		was_stopped = unguard(&g);
	} while (was_stopped && end == LINE_INTERRUPTED);
	if (end == LINE_FAILED || end == LINE_INTERRUPTED)
		return fail(err, ERR_LOCKED, TXT_ANSWER_UNREADABLE, strerror(errno));
	if (end == LINE_TOO_LONG)
		return fail(err, ERR_USAGE, TXT_ANSWER_TOO_LONG, q->max);
	if (is_several)
		return fail(err, ERR_MALFORMED, TXT_TOKEN_LINES);
	if (q->ret_has_left)
		*q->ret_has_left = end == LINE_NONE;
	if (!len && !q->may_be_empty)
		return fail(err, ERR_USAGE, TXT_ANSWER_NONE);
	secret_cut(line, len);
	*ret = take(line);
	return true;
}

/* ---- colours, width, progress ---- */

static bool is_dumb(void)
{
	const char *kind = getenv("TERM");
	return !kind || !*kind || strcmp(kind, "dumb") == 0;
}

bool term_wants_colour(enum colour_choice choice, int fd)
{
	const char *none = getenv("NO_COLOR");
	if (choice != COLOUR_AUTO)
		return choice == COLOUR_ALWAYS;
	return !(none && *none) && !is_dumb() && isatty(fd);
}

unsigned term_width(int fd)
{
	struct winsize size;
	if (!isatty(fd))
		return 0;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

void progress_begin(struct progress *p, const struct globals *globals)
{
	bool is_wanted = !globals->quiet && !globals->json && isatty(STDERR_FILENO) && !is_dumb();
	*p = (struct progress){ .is_on = is_wanted, .drawn_at_ms = -1000 };
}

void progress_show(struct progress *p, size_t done, size_t total, const char *what)
{
	char line[160], bar[21];
	int64_t now = p->is_on ? clock_boot_ms() : 0;
	if (!p->is_on || (now - p->drawn_at_ms < 100 && done < total))
		return;
	p->drawn_at_ms = now;
	size_t full = total ? done * 20 / total : 0;
	memset(bar, '.', 20);
	memset(bar, '#', full > 20 ? 20 : full);
	bar[20] = '\0';
	int len = snprintf(line, sizeof line, "\r[%s] %zu of %zu  %.60s", bar, done, total, what);
	size_t shown = len < 0 ? 0 : (size_t)len < sizeof line ? (size_t)len : sizeof line - 1;
	/* Blanks over what a longer line left; nothing a simple terminal would not know. */
	for (size_t at = shown; at < p->width && at < sizeof line - 1; at++)
		line[at] = ' ';
	size_t whole = shown > p->width ? shown : p->width;
	p->width = shown;
	(void)!write(STDERR_FILENO, line, whole < sizeof line ? whole : sizeof line - 1);
}

void progress_end(struct progress *p)
{
	char blank[160];
	if (!p->is_on || !p->width)
		return;
	memset(blank, ' ', sizeof blank);
	blank[0] = '\r';
	size_t len = p->width < sizeof blank - 2 ? p->width : sizeof blank - 2;
	blank[len + 1] = '\r';
	(void)!write(STDERR_FILENO, blank, len + 2);
	p->width = 0;
	p->is_on = false;
}

bool term_ask_passphrase(void *context, struct secret **ret, struct error *err)
{
	const struct invocation *inv = context;
	char prompt[PATH_MAX + sizeof ASK_PASSPHRASE];
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_LOCKED, TXT_LOCKED_NO_ASKING);
	snprintf(prompt, sizeof prompt, ASK_PASSPHRASE, inv->settings->vault_path);
	struct question_on_tty q = { .prompt = prompt, .echo = ECHO_OFF, .max = PASSPHRASE_MAX };
	return term_ask(&q, ret, err);
}
