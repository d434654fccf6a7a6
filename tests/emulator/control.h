/* tests/emulator/control.h - how a test steers the emulator: one command a line over a Unix socket, answered by any number
 * of lines and then "ok" or "error: text". The commands are rows; --help prints them. */
#ifndef EMULATOR_CONTROL_H
#define EMULATOR_CONTROL_H

#include <stdbool.h>

#include "tests/emulator/world.h"

struct control_hooks {
	void *context;
	void (*drop)(void *context);
	void (*stop)(void *context);
};

/* Answer one command line (it is cut up). Adds the answer with its last line to `out`; takes the world's lock itself.
 * False: it was `quit`, to be obeyed once the answer is sent. */
bool control_run(struct world *w, const struct control_hooks *hooks, char *line, struct text *out);

/* Serve one client until it leaves. Does not close fd. */
void control_serve(int fd, struct world *w, const struct control_hooks *hooks);

/* The socket DIR/control, listening (an old one is replaced). -1 = explained on stderr. */
int control_listen(const char *dir);

/* `ctl`: send the words as one command, or with "-" each line of stdin; print the answers. Returns the exit status. */
int control_client(const char *dir, int count, char **words);

void control_help(struct text *out);

#endif
