/* agent/credentials.h - tokens for systemd units: the other side of LoadCredential=NAME:/run/pixelvault/credentials.sock.
 *
 * systemd (uid 0) connects from an address that names unit and credential: "\0RANDOM/unit/UNIT/CREDENTIAL". The
 * credential's name is a Pixel code; its current token is written, nothing else, and the connection closed. Everybody
 * else, and everything else, gets nothing. */
#ifndef AGENT_CREDENTIALS_H
#define AGENT_CREDENTIALS_H

#include "agent/api.h"

/* For listener_setup.raw by way of the keeper: answers and closes fd, at once and without waiting. */
void credentials_serve(struct api *api, int fd, const struct peer *peer);

/* The address as getpeername gave it, len bytes of sun_path. unit and pixel have room for what follows. */
#define CREDENTIALS_UNIT_MAX 255
must_check bool credentials_parse(struct bytes address, char unit[CREDENTIALS_UNIT_MAX + 1],
				  char pixel[PIXEL_CODE_MAX + 1]);

#endif
