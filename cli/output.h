/* cli/output.h - what leaves the program, and how a failure is told.
 *
 * stdout is data only and whole or an error: a full disk or a reader that went away is never silent. Lines for people
 * go to stderr. With --json a failure is one object on stdout and nothing else anywhere, so lines for people are held
 * back until the outcome is known, and dropped when it is not 0. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "cli/command.h"

/* "vault: ..." on stderr, unless -q. Control characters that arguments bring along become '?'. */
void say(struct invocation *inv, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same also with -q: for problems that are the purpose of the command. hint NULL: no second line. */
void say_problem(struct invocation *inv, const char *hint, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Asked before process_harden opens /dev/null in its place: data for a closed stdout is lost data. */
must_check bool output_is_closed(void);

/* Straight to stdout, for tokens: no copy is kept. ERR_STORAGE, or ERR_UNEXPECTED when the reader is gone. */
must_check bool output_write(struct invocation *inv, struct bytes data, struct error *err);

/* Notes held back go out now: another program takes over this process. */
void output_release(struct invocation *inv);

/* The end of every run: inv->out to stdout, or the failure told in its style. Returns the exit status. */
int output_finish(struct invocation *inv, bool is_done, struct error *err);

/* {"schema":1 ... }: every object of ours begins and ends like this. */
void output_json_begin(struct json *j);
void output_json_end(struct invocation *inv, struct json *j);

#endif
