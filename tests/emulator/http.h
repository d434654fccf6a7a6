/* tests/emulator/http.h - HTTP/1.1 as a server needs it here: requests in, answers out in one write.
 * Takes bodies with Content-Length and chunked, up to 16 MiB, heads up to 64 KiB, pipelining, Expect: 100-continue. */
#ifndef EMULATOR_HTTP_H
#define EMULATOR_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "tests/emulator/stream.h"
#include "tests/emulator/text.h"

struct request {
	const char *method, *path;
	const char *query;         /* still encoded; "" = none */
	const char *token;         /* value of Access-Token, NULL = no such header */
	bool has_authorization, keep_alive;
	const char *head;          /* as it came, with the blank line */
	size_t head_len;
	const char *body;
	size_t body_len;
};

struct answer {
	int status;                /* 0 = close without a word */
	const char *type;          /* Content-Type */
	const char *extra;         /* more header lines, each with its CRLF; "" = none */
	struct text body;
	bool has_code;             /* it is JSON with this return code */
	int code;
};

struct http_reader {
	struct stream *stream;
	struct text in;            /* what came and is not used up */
	struct text words;         /* the head again, cut into strings */
	size_t used;               /* bytes of `in` that belong to the last request */
	size_t received;           /* application bytes; the caller may clear it */
	bool is_dry;               /* an impatient stream had no more */
};

/* LATER: nothing has come yet. PARTIAL: the beginning of a request has; ask again when reads may wait.
 * Both come from an impatient stream only. */
enum http_read { HTTP_REQUEST, HTTP_END, HTTP_NONSENSE, HTTP_LATER, HTTP_PARTIAL };

/* The next request; its pointers are good until the next call. */
enum http_read http_read(struct http_reader *r, struct request *ret);
void http_reader_done(struct http_reader *r);

/* A head and, when body is not NULL, the body after it, in one write. `logid` is the X-TT-LOGID. */
bool http_write(struct stream *s, const struct answer *a, bool keep_alive, const char *logid);

/* The moment in UTC, as HTTP writes it and as 14 digits; good until this thread asks again. */
struct http_clock {
	time_t second;
	char date[40], digits[16];
};
const struct http_clock *http_now(void);

/* Only the head. `length` below 0: no Content-Length. */
void http_head(struct text *out, const struct answer *a, bool keep_alive, const char *logid, long length);

#endif
