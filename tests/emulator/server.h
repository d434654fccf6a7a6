/* tests/emulator/server.h - the listeners and their connections (at most CONNECTION_MAX; more wait in the kernel's queue).
 * Two TLS listeners on 127.0.0.1: the API, and "the other host" that redirects point at. The control socket is a third.
 * One worker answers what can be answered at once (that is what makes it fast); whatever may take time, a handshake, a
 * delay, half a request, a fault, gets a thread for as long as it takes, so nobody waits for somebody else.
 * Quiet connections are kept for ever. Runs until server_stop, a signal, or the end of stdin if asked to watch it. */
#ifndef EMULATOR_SERVER_H
#define EMULATOR_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/emulator/tls.h"
#include "tests/emulator/world.h"

enum { CONNECTION_MAX = 2000 };

struct server;

/* Takes neither world nor tls. Blocks SIGINT and SIGTERM for the whole process. NULL = explained on stderr. */
struct server *server_new(struct world *world, struct tls *tls, uint16_t port);
uint16_t server_port(const struct server *s);
uint16_t server_other_port(const struct server *s);

/* Serve; `control` is a listening Unix socket (taken over). False: some connections would not end in time. */
bool server_run(struct server *s, int control, bool watch_stdin);
void server_free(struct server *s);

/* From any thread. */
void server_stop(struct server *s);
void server_drop(struct server *s); /* close the API connections that are open now */

#endif
