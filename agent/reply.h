/* agent/reply.h - what an agent's answer says: head, chunks, events, problem, records. Pure: bytes in, no socket.
 *
 * Stricter than HTTP asks for: the other side is a program of ours, so whatever it would never write (folded lines, two
 * lengths, a body without length) is somebody else's and refused. */
#ifndef AGENT_REPLY_H
#define AGENT_REPLY_H

#include "core/buf.h"
#include "core/error.h"
#include "vault/credential.h"
#include "vault/health.h"

#define REPLY_HEAD_MAX 16384
#define RECORDS_TYPE "application/x-pixelvault-records"

enum reply_framing { REPLY_NO_BODY, REPLY_LENGTH, REPLY_CHUNKED };

struct reply {
	int status;
	enum reply_framing framing;
	uint64_t length;
	bool is_last;         /* the connection ends with it */
	struct bytes headers; /* their lines; borrowed */
};

enum reply_state { REPLY_CUT, REPLY_WHOLE, REPLY_NONSENSE };

/* The head at the front of from. REPLY_WHOLE: ret is filled and *ret_len is how long the head is. REPLY_CUT: there is
 * no end yet. */
enum reply_state reply_head(struct bytes from, struct reply *ret, size_t *ret_len);

/* The value of a header, without blanks around it; the name in any case. */
must_check bool reply_header(const struct reply *r, const char *name, struct bytes *ret);
/* The same as a number, 0 when there is none. */
int64_t reply_number(const struct reply *r, const char *name);

/* Chunked decoding, as the bytes come. Starts zeroed. */
struct chunks {
	enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_DONE } state;
	uint64_t left;
	char line[32];
	size_t line_len;
};
/* Takes all that it can use of from, and appends what was in it to out. False: nonsense. */
must_check bool chunks_take(struct chunks *c, struct bytes *from, struct buf *out);

/* One server-sent event from the front; false when there is no whole one yet. Comments are passed over. */
struct event {
	struct bytes name, data; /* borrowed; of data only the first line */
};
must_check bool event_take(struct bytes *from, struct event *ret);

/* The error that a problem object tells, as the direct way would have told it; one of ours when it is no problem of an
 * agent's. Always false, as fail(). */
must_check bool reply_fail(int status, struct bytes body, struct error *err);

/* The number of a verdict or stage by its name; -1 = no such. */
int verdict_by_name(struct bytes name);
int stage_by_name(struct bytes name);

/* Records (see the protocol's document). records_begin takes the mark at the front; each call of records_take one
 * Pixel, or sets *ret_end. False: nonsense. */
must_check bool records_begin(struct bytes *from);
must_check bool records_take(struct bytes *from, struct credential *c, struct health *h, bool *ret_end);

#endif
