/* cli/whole.h - the whole command line program, which cli/main.c becomes on first need, so that what `get` and `run` through
 * an agent never use is neither mapped nor relocated for them. Started by itself it is the same program. */
#ifndef CLI_WHOLE_H
#define CLI_WHOLE_H

#define WHOLE_FILE "vault-whole"

/* Parse, open what the command needs, run it, tell how it ended. Returns the exit status. */
int vault_main(int argc, char **argv);

#endif
