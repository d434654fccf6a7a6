/* cli/shred.h - a file that held tokens in clear is overwritten and deleted.
 *
 * It is the file that was read: a path that leads to another one by now, a link, or a file with a second name is left
 * alone. What this cannot reach (copies, spare blocks of SSDs, snapshots, backups, git) is said by whoever calls it. */
#ifndef CLI_SHRED_H
#define CLI_SHRED_H

#include "core/error.h"

#include <sys/stat.h>

must_check bool shred_file(const char *path, const struct stat *as_read, struct error *err);

#endif
