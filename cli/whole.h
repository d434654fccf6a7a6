/* cli/whole.h - the whole command line program, as cli/main.c loads it on first need: a shared object of its own, so
 * that what `get` and `run` through an agent never use is neither mapped nor relocated for them. It brings its own copy
 * of every module; nothing is shared with the front but libc and what is handed over here. */
#ifndef CLI_WHOLE_H
#define CLI_WHOLE_H

#include "core/process.h"

#define WHOLE_FILE "vault.so"
#define WHOLE_ENTRY "vault_main"

/* The front hardened the process; what was before only it has seen. */
struct handover {
	struct process_start start;
	bool is_stdout_closed;
};
typedef int vault_main_fn(int argc, char **argv, const struct handover *from);

/* Parse, open what the command needs, run it, tell how it ended. Returns the exit status. */
__attribute__((visibility("default"))) vault_main_fn vault_main;

#endif
