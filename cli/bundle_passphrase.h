/* cli/bundle_passphrase.h - the passphrase of an export file: from --passphrase-fd or --passphrase-file, else asked
 * for. */
#ifndef CLI_BUNDLE_PASSPHRASE_H
#define CLI_BUNDLE_PASSPHRASE_H

#include "cli/command.h"

/* is_new: chosen now, so it is asked for twice, and a short one is refused. */
must_check bool bundle_passphrase(struct invocation *inv, bool is_new, struct secret **ret, struct error *err);

#endif
