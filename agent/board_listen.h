/* agent/board_listen.h - status-listen: the socket for browsers on this machine, and the token that they prove
 * themselves by.
 *
 * Any user of this machine can connect there, so what is asked for needs the token: 32 random bytes, made by the agent,
 * in a file of its own in the state folder (0600). It stays until somebody deletes the file and starts the agent again.
 */
#ifndef AGENT_BOARD_LISTEN_H
#define AGENT_BOARD_LISTEN_H

#include "core/secret.h"

/* where as settings_check lets it through. ERR_CONFIG when it cannot be had. */
must_check bool board_listen(const char *where, int *ret_fd, struct error *err);

/* The token, as 64 hexadecimal digits: what the file says, or a new one. */
must_check bool board_token_make(const char *state_dir, struct secret **ret, struct error *err);
/* ERR_NOT_FOUND when no agent has made one, ERR_DENIED when it is not ours to read. */
must_check bool board_token_read(const char *state_dir, struct secret **ret, struct error *err);

#endif
