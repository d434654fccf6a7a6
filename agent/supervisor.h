/* agent/supervisor.h - the process that people start: no key, no store, no network. It starts keeper and courier by
 * fork and exec (their command lines carry --keeper and --courier), starts a dead courier again and passes the new
 * socket to the keeper, hands signals on, speaks to systemd, and ends with the keeper. A keeper that is silent from its
 * start on is ended and another one started, until one speaks. */
#ifndef AGENT_SUPERVISOR_H
#define AGENT_SUPERVISOR_H

#include "core/error.h"

/* config is --config or NULL. Returns the exit status. */
int supervisor_main(const char *config);

#endif
