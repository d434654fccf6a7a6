/* agent/post.h - one request or one mail to the sink of an alert, over TLS, by libcurl. Blocks for its time at most.
 *
 * As in agent/http.h: certificate and name always proven (there is no switch), TLS 1.2 or newer, no redirect, proxy,
 * netrc or environment; a request goes by https only; a mail goes encrypted (smtps, or STARTTLS which must succeed)
 * unless the caller says that its server is on this host. What the other side answers is counted and thrown away. */
#ifndef AGENT_POST_H
#define AGENT_POST_H

#include "agent/deliver.h"
#include "core/bytes.h"

#define POST_HEADERS_MAX 6

struct post {
	const char *url;     /* https; smtp or smtps for a mail */
	const char *ca_file; /* "" = the system's bundle */
	int64_t time_limit_s;
	struct bytes body; /* of a mail: all of it, lines ended by CR LF; of a request: empty = GET, else POST */
	const char *headers[POST_HEADERS_MAX + 1]; /* of a request; NULL-terminated */
	/* Of a mail; else NULL. */
	const char *from, *to;       /* to: blank-separated */
	const char *user, *password; /* NULL = none; borrowed from locked memory, but libcurl makes copies */
	bool is_plain;
};

/* Once a process, before post_send and before its sandbox. */
must_check bool post_open(struct error *err);

/* The TCP port it would go to. ERR_CONFIG for an address that cannot be used. */
must_check bool post_port(const char *url, uint16_t *ret, struct error *err);

/* Fills ret but its id. */
void post_send(const struct post *p, struct delivery_result *ret);

#endif
