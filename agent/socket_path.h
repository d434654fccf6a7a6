/* agent/socket_path.h - the agent's sockets as files: made privately, in a folder that nobody else can change, and
 * looked at again later. Who connects is the listener's. */
#ifndef AGENT_SOCKET_PATH_H
#define AGENT_SOCKET_PATH_H

#include "core/error.h"

#include <sys/types.h>

/* A listening socket of ours at path: private until its mode is set, group (-1 = leave), a stale one removed after
 * nobody answered there. The folder must belong to us or root and must not be writable by others. The caller removes
 * the file in the end.
 *   errors  ERR_CONFLICT when somebody listens there, or it is no socket; ERR_CONFIG for a path or folder that will not
 *           do */
must_check bool socket_path_bind(const char *path, mode_t mode, gid_t group, int *ret_fd, struct error *err);
/* Does the path still lead to this listening socket? For a look once a minute. True when there is no telling. */
bool socket_path_leads_to(const char *path, int fd);

#endif
