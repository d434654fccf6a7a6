/* cli/restore_only.h - restore --only: single Pixels, once a person has seen what becomes of each. */
#ifndef CLI_RESTORE_ONLY_H
#define CLI_RESTORE_ONLY_H

#include "cli/command.h"

/* From this backup, unlocked and proven. */
must_check bool restore_only(struct invocation *inv, struct vault *backup, struct error *err);

/* "yes", typed or given as --yes (cli/cmd_restore.c). */
must_check bool restore_confirm(struct invocation *inv, const char *prompt, struct error *err);

#endif
