/* agent/listener.h - HTTP/1.1 on Unix sockets, for the keeper's event loop: limits, time limits, and who is calling.
 *
 * The only place that knows libmicrohttpd; a connection is given to it with the first request that is not of the usual
 * kind (agent/fast_path.h). It accepts by itself, so that the kernel is asked once who connected; that struct peer never
 * changes. Nothing waits here: all descriptors lie in the keeper's epoll set. A passed descriptor is never received:
 * there is no recvmsg.
 *
 * Limits: 1,024 connections, 256 of one user; above that a connection of that user, above the first one of the user who
 * has the most, is closed, the one that has been idle longest, and the newcomer is served. A request's head is complete 2 s
 * after its first byte, the request after 5 s; 30 s idle, 5 s in which a reader reads nothing: then the connection is
 * closed; one that lets usual answers lie until the next finds no room in the kernel, at once. What is held by the api
 * (waiting, /v1/events) has no time limit. A stalled head that began less than half a second behind an answer and of
 * which not another byte comes counts as idle. Bodies: what `begin` allows, at most 64 KiB, before any memory is taken.
 *
 * The loop:
 *
 *     listener_new(&setup, &l, &err)          setup.epoll_fd: events of ours carry data.u64 in [tag, tag + 64),
 *                                             or the address of a connection
 *     listener_add(l, socket, &err)           for each listening socket (also one that systemd made)
 *     for (;;) {
 *         n = epoll_wait(epoll_fd, events, .., listener_has_more(l) ? 0 : api_wait_ms(api, 250))
 *         now = clock_boot_ms(); api_begin_turn(api, now)
 *         for each event: ours -> listener_event(l, data.u64, events); worker_fd -> take news: api_finish, api_progress, ...
 *         listener_turn(l, now)               requests are served here, by setup.begin and setup.serve
 *         api_end_turn(api, now)              audit turn ends, durable reads, timers
 *         listener_turn(l, now)               only if listener_has_more(l): what end_turn answered
 *     }
 *     listener_reload(l, access)              after SIGHUP: every peer's view is made anew
 *     listener_stop(l)                        no newcomers, idle ones closed; listener_count() says who is left
 *     listener_free(l)                        before api_free
 */
#ifndef AGENT_LISTENER_H
#define AGENT_LISTENER_H

#include "agent/call.h"

#include <stdint.h>

struct listener;

struct listener_limits {
	unsigned connections, per_user; /* 0 = 1,024 and 256; only downward */
};

struct listener_setup {
	int epoll_fd;
	uint64_t tag;
	const struct access *access; /* borrowed until listener_reload or listener_free */
	struct listener_limits limits;
	/* The head is there. May answer (then the rest is not read); else *ret_body_max is how long a body may be. */
	void (*begin)(void *context, struct call *call, size_t *ret_body_max);
	/* All is there. Answers or keeps it, or leaves it to settle. */
	void (*serve)(void *context, struct call *call);
	/* Behind one or more calls of serve: answers what those left to it. */
	void (*settle)(void *context);
	/* Of a connection that is not HTTP (listener_add_raw): the descriptor belongs to the taker. */
	void (*raw)(void *context, int fd, const struct peer *peer);
	void *context;
};

must_check bool listener_new(const struct listener_setup *setup, struct listener **ret, struct error *err);
void listener_free(struct listener *l);

/* Take over a listening, non-blocking socket. */
must_check bool listener_add(struct listener *l, int fd, struct error *err);
/* One whose connections go to `raw` instead (credentials). */
must_check bool listener_add_raw(struct listener *l, int fd, struct error *err);

/* One on loopback TCP (status-listen): who is at the other end is not known, peer.is_web. */
must_check bool listener_add_web(struct listener *l, int fd, struct error *err);

void listener_event(struct listener *l, uint64_t tag, uint32_t events);
void listener_turn(struct listener *l, int64_t now_ms);
bool listener_has_more(const struct listener *l); /* call listener_turn again without waiting */

/* The old access may be freed afterwards. */
void listener_reload(struct listener *l, const struct access *access);
void listener_stop(struct listener *l);
size_t listener_count(const struct listener *l); /* connections */

#endif
