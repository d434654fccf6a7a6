/* cli/watch.h - status --watch: the board on the terminal, drawn again as things change, until q or Ctrl-C.
 *
 * Through an agent its events say when; directly the vault is looked at every two seconds. What goes wrong meanwhile
 * (the agent restarts, the vault is locked) is said in the first line, and tried again. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "cli/select.h"

must_check bool watch_board(struct invocation *inv, const struct selection *which, struct error *err);

#endif
