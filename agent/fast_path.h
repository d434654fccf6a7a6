/* agent/fast_path.h - the usual request for a token, taken apart and answered without the HTTP library.
 *
 * A read is asked for thousands of times a second, always in the same few lines. Those are recognised here, from the bytes
 * as they lie in the kernel's buffer; whatever is not exactly of that kind is nobody's here, and goes to the library as if
 * this file did not exist: so there is one place that decides what odd HTTP means, and it is not this one.
 *
 * Of the kind are requests
 *     - that came whole, with nothing behind them, in at most FAST_HEAD_MAX bytes, each line ended by CR LF;
 *     - GET /v1/pixels/CODE/token HTTP/1.1, CODE of letters and digits, without a query;
 *     - with Host, and of the headers Accept, Accept-Encoding, Accept-Language, If-None-Match, User-Agent, X-Consumer and
 *       Connection (keep-alive or close) each at most once, and no others;
 *     - whose values are printable ASCII without blanks around them.
 *
 * The answer is, byte for byte, what the library would have sent (RFC 9112). */
#ifndef AGENT_FAST_PATH_H
#define AGENT_FAST_PATH_H

#include "agent/call.h"

#define FAST_HEAD_MAX 512
#define FAST_HEADERS_MAX 8

struct fast_head {
	char text[FAST_HEAD_MAX]; /* as received, cut into strings */
	const char *target;
	struct {
		const char *name, *value;
	} headers[FAST_HEADERS_MAX];
	size_t header_count;
	bool is_last; /* Connection: close */
};

/* Is this such a request? When it is not, h is worth nothing, and nothing of the request stays in it. */
must_check bool fast_head_parse(struct fast_head *h, struct bytes request);
const char *fast_head_find(const struct fast_head *h, const char *name); /* NULL = not sent */

/* Everything that is sent for an answered call, at most size bytes. 0: it does not fit, or is a stream. is_last: the
 * connection is closed behind it. reason: the status's phrase. */
size_t fast_answer(const struct call *call, bool is_last, const char *reason, uint8_t *room, size_t size);

#endif
