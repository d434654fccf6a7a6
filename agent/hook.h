/* agent/hook.h - runs the command of an exec sink: no shell, an environment of PATH and LANG, the event as JSON on
 * standard input, no other descriptor, a process group of its own that is killed when its time is over.
 *
 * Only what nobody but root and we could have put there is run: the program, the folder it lies in and all folders
 * above belong to one of us and are not writable by others. */
#ifndef AGENT_HOOK_H
#define AGENT_HOOK_H

#include "agent/deliver.h"
#include "core/bytes.h"

#include <limits.h>

/* The program that a command would run, without links. ERR_CONFIG says why it may not be run. */
must_check bool hook_find(const char *command, char ret[PATH_MAX], struct error *err);

/* Waits for its end. Exit status 0 is DELIVERY_DONE; anything else, and a command that may not be run, DELIVERY_LATER
 * with the reason: a person may put it right. */
void hook_run(const char *command, int64_t time_limit_s, struct bytes event, struct delivery_result *ret);

#endif
