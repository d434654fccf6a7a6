/* agent/accounts.h - the numbers behind the names of users and groups in [access ...].
 *
 * Names are looked up by who is outside the sandbox, the supervisor: inside it the programs that know names can neither be
 * loaded nor asked, and an /etc/passwd that was replaced, as useradd does, cannot be read. The keeper gets a table. */
#ifndef AGENT_ACCOUNTS_H
#define AGENT_ACCOUNTS_H

#include "core/buf.h"
#include "core/config.h"

#define ACCOUNTS_BYTES_MAX ((size_t)1 << 20)

/* Appends a line for each name in the rules that is somebody's: "user NAME NUMBER" or "group NAME NUMBER". config NULL =
 * no rules. Asks the system, which may take its time. */
void accounts_gather(const struct config *config, struct buf *ret);

/* A number is itself; a name is looked up in such lines, or (table NULL) by asking the system. */
bool accounts_find(const struct bytes *table, bool is_group, const char *name, uint32_t *ret);

#endif
