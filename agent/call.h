/* agent/call.h - one request and its answer, without a socket.
 *
 * The listener fills the first half from HTTP and sends the second half; the api reads the one and writes the other. So
 * tests and fuzzers call the api straight. A call is answered exactly once: at once, or later, by whoever kept it. When
 * the peer is gone before that, the keeper of the call is told (call_keep) and must forget it. */
#ifndef AGENT_CALL_H
#define AGENT_CALL_H

#include "agent/access.h"
#include "core/buf.h"
#include "core/secret.h"

#include <sys/types.h>

enum call_method { METHOD_GET, METHOD_HEAD, METHOD_PUT, METHOD_POST, METHOD_DELETE, METHOD_OTHER };
enum call_method call_method_of(const char *text);

/* Who called connect, by the kernel's word, once. */
struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	bool is_web; /* came to status-listen: nothing above is known, and no rule speaks of it */
	const struct access_view *view; /* NULL for such a one */
};

#define CALL_SEGMENTS_MAX 5
#define CALL_PARAMS_FEW 8
#define CALL_TARGET_SHORT 256
#define CALL_TARGET_MAX 32768
#define CALL_HEADERS_MAX 10

struct call_param {
	const char *name, *value; /* value "" when there was no '=' */
};

enum stream_step {
	STREAM_MORE, /* something was added */
	STREAM_WAIT, /* nothing now; call_wake says when */
	STREAM_END,
	STREAM_FAIL, /* break off, so that the reader notices */
};
/* An answer that is made piece by piece: fill adds a few KB at a time. */
struct call_stream {
	enum stream_step (*fill)(void *context, struct buf *out);
	void (*free)(void *context); /* always called once, whatever becomes of the call */
	void *context;
};

enum call_answer_kind { ANSWER_EMPTY, ANSWER_SECRET, ANSWER_BUF, ANSWER_STREAM };

struct call {
	/* the request */
	enum call_method method;
	const struct peer *peer;
	/* How a peer that names itself nowhere is remembered (agent/consumer.h): room for CONSUMER_NAME_MAX + 1, beside the
	 * peer and as long there; "" until somebody asked. NULL = it is not kept. */
	char *unnamed;
	const char *segments[CALL_SEGMENTS_MAX]; /* of the path, decoded */
	size_t segment_count;
	struct call_param *params; /* of the query, decoded */
	size_t param_count;
	struct secret *body; /* NULL = none */
	const char *(*header)(const struct call *call, const char *name); /* NULL = not sent */
	/* the answer */
	int status;
	const char *type; /* a literal; NULL = no body */
	struct {
		const char *name; /* a literal */
		const char *value;
	} headers[CALL_HEADERS_MAX];
	size_t header_count;
	enum call_answer_kind kind;
	struct secret *secret;
	struct buf buf;
	struct call_stream stream;
	bool is_answered;
	/* whose it is */
	const void *route;           /* the api's */
	void (*tally)(struct call *call); /* told when the answer is made; may be NULL */
	void *tallies;
	void *keeper;                /* call_keep */
	void (*gone)(void *keeper);
	void (*deliver)(struct call *call); /* the listener's */
	void (*wake)(struct call *call);
	void *owner;
	/* room, so that a usual request needs no memory of its own */
	char target_room[CALL_TARGET_SHORT];
	char *target; /* malloced when it is longer */
	struct call_param param_room[CALL_PARAMS_FEW];
	char value_room[512];
	size_t value_used;
};

void call_reset(struct call *call); /* everything but peer, unnamed, header, deliver, wake and owner; wipes what belongs to it */

/* Takes "/v1/pixels/P/token?version=3" apart. ERR_USAGE when it is no such thing: a bad escape, a NUL, too many parts.
 * In the query '+' is a blank. */
must_check bool call_parse_target(struct call *call, const char *target, struct error *err);

/* NULL = not given. A name given twice is for the caller to refuse: see call_param_count. */
const char *call_param(const struct call *call, const char *name);
size_t call_param_count(const struct call *call, const char *name);

/* ---- the answer ---- */

/* In front of the answer. name is a literal; what does not fit is left out. */
void call_header(struct call *call, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a value that is there already: a copy of it is kept. */
void call_header_copy(struct call *call, const char *name, const char *value);
/* The same for a value that lives as long as the call's answer, such as a literal. */
void call_header_text(struct call *call, const char *name, const char *value);

void call_answer(struct call *call, int status); /* no body */
void call_answer_secret(struct call *call, int status, const char *type, struct secret *body); /* takes body over */
void call_answer_buf(struct call *call, int status, const char *type, struct buf *body); /* takes what is in it over */
void call_answer_stream(struct call *call, int status, const char *type, const struct call_stream *stream);
/* application/problem+json; nothing but the error. status 0 = the one that fits the code. */
void call_answer_problem(struct call *call, int status, const struct error *err);
int call_status_of(enum error_code code);
/* The members of the problem object. */
struct json;
void call_problem_json(struct json *j, int status, const struct error *err);

/* It will be answered later by `keeper`; gone(keeper) is called when that has no more sense. */
void call_keep(struct call *call, void *keeper, void (*gone)(void *keeper));

#endif
