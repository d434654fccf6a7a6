/* agent/notify.h - what a service tells systemd: ready, reloading, stopping, still alive. Without systemd nothing
 * happens.
 *
 * The protocol is one datagram a message to the socket in NOTIFY_SOCKET, spoken here by hand: libsystemd would bring
 * a dozen libraries into the process. Source: sd_notify(3), sd_watchdog_enabled(3). */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int fd; /* -1: nobody listens */
	struct sockaddr_un to;
	socklen_t to_len;
	int64_t watchdog_ms; /* how often notify_alive must be called at least; 0 = no watchdog */
	int64_t pinged_ms;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void notify_open(struct notify *ret);
void notify_close(struct notify *n);

/* A status line; line ends and other control characters in it are made harmless, as each line is a message. */
void notify_ready(struct notify *n, const char *status);
void notify_status(struct notify *n, const char *status);
void notify_reloading(struct notify *n); /* notify_ready ends it */
void notify_stopping(struct notify *n);
/* May be called at any pace: sends no more than the watchdog needs. */
void notify_alive(struct notify *n, int64_t now_boot_ms);

#endif
