/* cli/own_file.h - files that no command may write over because somebody named them as its target: the vault and what
 * lies beside it, its anchor and audit log, what opens it, and the configuration. */
#ifndef CLI_OWN_FILE_H
#define CLI_OWN_FILE_H

#include "agent/settings.h"

/* ERR_CONFLICT for a path that is one of them, under whatever name. */
must_check bool own_file_spare(const struct settings *s, const char *path, struct error *err);

#endif
