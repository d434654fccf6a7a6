/* cli/term.h - the terminal: asking without echo, colours, progress, width.
 *
 * Questions go to /dev/tty, never to stdin or stdout, so that X=$(vault get P) and echo T | vault put P may still ask
 * for a passphrase. What is typed is read with read(2) into a secret. The terminal is put back as it was on every way
 * out, also when Ctrl-C or Ctrl-Z ends or stops us in the middle of a question. */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include "cli/command.h"

/* Is there a terminal to ask on, and may we? */
bool term_may_ask(const struct globals *globals);

enum echo { ECHO_OFF, ECHO_ON };

/* One line, without its end. ERR_LOCKED when there is no terminal; ERR_USAGE for nothing, for more than max, and with
 * is_only_line for a paste of several lines. */
struct question_on_tty {
	const char *prompt;
	enum echo echo;
	size_t max;
	bool is_only_line;
	bool may_be_empty;
	bool is_fresh; /* what was typed or pasted before the question is no answer to it */
	bool *ret_has_left; /* NULL, or set when Ctrl-D was the answer */
};
must_check bool term_ask(const struct question_on_tty *q, struct secret **ret, struct error *err);

/* A sitting of many questions: until it ends, what is typed or pasted is not shown between them either, nor left over for
 * the shell. Signals that end or stop us find the terminal as it was. One at a time. */
must_check bool term_sit_down(struct error *err);
void term_get_up(void);

/* The passphrase of the vault of the settings; context is the invocation. Fits ask_passphrase_fn. */
must_check bool term_ask_passphrase(void *context, struct secret **ret, struct error *err);

/* Text that must not end up in a file or log. */
must_check bool term_show(const char *text, struct error *err);

bool term_wants_colour(enum colour_choice choice, int fd);
unsigned term_width(int fd); /* 0 = not a terminal */

/* A bar on stderr that draws over itself; does nothing where is_on is false. */
struct progress {
	bool is_on;
	int64_t drawn_at_ms;
	size_t width;
};
void progress_begin(struct progress *p, const struct globals *globals);
void progress_show(struct progress *p, size_t done, size_t total, const char *what);
void progress_end(struct progress *p);

#endif
