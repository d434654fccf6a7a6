/* agent/client.h - talking to a running agent: HTTP/1.1 on its Unix socket, one request after another.
 *
 * Small on purpose: `vault get` through an agent must cost hardly more than a process that does nothing, so there is no
 * library in this, and no byte is read twice. Every wait has a deadline on the boot clock. What may hold a token is
 * received into locked memory and nowhere else. */
#ifndef AGENT_CLIENT_H
#define AGENT_CLIENT_H

#include "agent/reply.h"
#include "core/secret.h"

struct client;

/* True with *ret NULL when no agent listens at the path: there is no socket, or nobody behind it. Where path was only a
 * guess (is_told false) a socket that is closed to us is no agent of ours either, else ERR_DENIED. ERR_DENIED too when
 * socket or listener belong to neither root, nor us, nor user (name or number, "" = none): nothing is sent to them. */
must_check bool client_open(const char *path, const char *user, bool is_told, struct client **ret, struct error *err);
/* The same on a connected socket, which it takes over: for tests. */
must_check bool client_adopt(int fd, struct client **ret, struct error *err);
void client_free(struct client *c);
void client_freep(struct client **c);
/* To be polled for a stream's next piece: whatever client_some has returned, nothing more of it lies in memory. */
int client_fd(const struct client *c);

struct client_request {
	const char *method, *target; /* target: see target_* */
	const char *headers;         /* whole lines with their ends; NULL = none */
	struct bytes body;           /* borrowed, sent from where it lies */
	bool has_body;
	bool is_last;    /* no other follows: the agent may hang up with its answer, and is not woken for our end */
	int64_t wait_ms; /* until the answer begins, and once more until it is whole; 0 = as long as it takes */
};

/* Send it and read the answer's head. ret->headers is good until the body is read. Then one of the three below, unless
 * ret->framing is REPLY_NO_BODY; the next request after that. The secret arena must be open. */
must_check bool client_ask(struct client *c, const struct client_request *request, struct reply *ret,
			   struct error *err);

/* The whole body. A longer one than max is refused. */
must_check bool client_secret(struct client *c, size_t max, struct secret **ret, struct error *err);
must_check bool client_body(struct client *c, struct buf *ret, struct error *err);
/* Some more of it, appended, as soon as there is some; *ret_end when it was the last. */
must_check bool client_some(struct client *c, struct buf *ret, bool *ret_end, struct error *err);

/* client_ask, and where the answer is an error, that error. */
must_check bool client_demand(struct client *c, const struct client_request *request, struct reply *ret,
			      struct error *err);

/* A target is put together in a buf: path, then query pairs, encoded here. target_text is the whole, NULL when memory
 * ran out. */
void target_query(struct buf *target, const char *key, const char *value);
const char *target_text(struct buf *target);

#endif
