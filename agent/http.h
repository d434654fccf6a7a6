/* agent/http.h - HTTPS requests, most with a token, many at once, as guarded as libcurl allows. The only file that knows
 * libcurl.
 *
 * It promises: https only, to the few URLs it was made with; certificate and host name always proven (there is no
 * switch); no redirect, proxy, netrc, cookie or environment; TLS 1.2 or newer; answers over 64 KiB (a list: what the request says), heads over 32 KiB
 * or 100 lines and exchanges over their time are broken off; the token stands in one request header only, kept in
 * locked memory and wiped when the answer has been taken. Connections are kept and reused, tokens leave no state on
 * them.
 *
 * Readiness comes from one epoll set, so that a hundred open exchanges cost no more a step than one. Not thread-safe.
 */
#ifndef AGENT_HTTP_H
#define AGENT_HTTP_H

#include "agent/verdict.h"
#include "core/bytes.h"
#include "core/error.h"

#define HTTP_TOKEN_MAX 4095

struct http;
struct exchange;

struct http_target {
	const char *base_url; /* https://host[:port][/path], no query, no final slash */
	const char *path;     /* appended to it; compiled in */
};
#define HTTP_TARGETS_MAX 5

struct http_settings {
	struct http_target targets[HTTP_TARGETS_MAX];
	size_t target_count;
	const char *ca_file;  /* "" = the system's bundle */
	int64_t connect_timeout_ms, timeout_ms;
	unsigned in_flight; /* 1-256 */
};

/* Once a process, and first. ERR_CONFIG for a URL or CA file that cannot be used; ERR_UNEXPECTED when this libcurl
 * lacks an option our safety rests on. Needs the secret arena: HTTP_SECRETS(in_flight) bytes of it. */
must_check bool http_new(const struct http_settings *settings, struct http **ret, struct error *err);
void http_free(struct http *h);
void http_freep(struct http **h);

/* The TCP port that connections to this target go to. */
uint16_t http_port(const struct http *h, size_t target);

#define HTTP_SECRETS(in_flight) ((size_t)(in_flight)*4160u)

struct http_request {
	uint64_t id;        /* yours, comes back with the answer */
	size_t target;      /* which of them */
	bool is_form;       /* the body is a form, else JSON */
	const char *query;  /* a GET with this behind the URL, and no body; NULL = a POST */
	size_t answer_max;  /* longer ones are broken off; 0 = 64 KiB */
	struct bytes body;  /* copied, and wiped when the answer was taken */
	struct bytes token; /* copied into locked memory; must be sendable (agent/tiktok.h); empty = no such header */
	bool is_fresh;      /* on a connection that no other request uses */
};

/* False when in_flight exchanges are open or memory is short; nothing was sent then. */
must_check bool http_start(struct http *h, const struct http_request *request);

/* Also wake up for a descriptor of the caller's: events as in epoll(7), 0 = not now. One only. */
void http_watch(struct http *h, int fd, uint32_t events);

/* Let things happen, for at most wait_ms (-1 = until something does). Returns what is ready on the watched descriptor.
 */
uint32_t http_work(struct http *h, int64_t wait_ms);

struct http_answer {
	struct exchange *exchange;
	uint64_t id;
	enum transport transport;
	int32_t status; /* 0 = none was read */
	int32_t took_ms;
	int64_t waited_us;  /* from asking to the end of the answer; of what could not be asked, all of it */
	struct bytes body;  /* empty unless transport is TRANSPORT_OK */
	struct bytes token; /* what was sent */
	const char *reason; /* libcurl's words when transport is not TRANSPORT_OK; foreign text in it */
};

/* A finished exchange, or false. What it points to is good until http_done. */
must_check bool http_next(struct http *h, struct http_answer *ret);
void http_done(struct http *h, const struct http_answer *answer); /* wipes it; its place is free again */

size_t http_open(const struct http *h); /* exchanges started and not yet http_done */

/* Nothing to do for a while: let go of what libcurl keeps of past requests. Connections stay. Only while none is open.
 */
void http_rest(struct http *h);

#endif
