/* agent/verdict.h - what TikTok's answer means, as data. Pure.
 *
 * The decision table of docs/tiktok.md row by row: HTTP 200 proves nothing, the body's integer `code` decides; the HTTP
 * status counts only where there is no such code. First row that fits. Nothing transient ever becomes a verdict. */
#ifndef AGENT_VERDICT_H
#define AGENT_VERDICT_H

#include "vault/health.h"

/* How far the exchange got. */
enum transport {
	TRANSPORT_OK = 0, /* an HTTP answer was read to its end */
	TRANSPORT_NAME,   /* no address for the host */
	TRANSPORT_CONNECT,
	TRANSPORT_TLS, /* handshake or certificate; no request was sent */
	TRANSPORT_TIMEOUT,
	TRANSPORT_CUT,     /* the connection ended inside the answer */
	TRANSPORT_TOO_BIG, /* more than we read of an answer */
	TRANSPORT_OTHER,
	TRANSPORT_NO_COURIER, /* our own courier died or could not start */
	TRANSPORT_COUNT
};

enum body_kind {
	BODY_NONE = 0, /* empty */
	BODY_CODE,     /* a JSON object with an integer `code` */
	BODY_ODD_JSON, /* begins like JSON, but no object with one integer `code`, or more than a strict reader takes */
	BODY_OTHER,    /* HTML, text, bytes */
	BODY_NAMED,    /* of Login Kit: a JSON object whose text `error` names what is wrong; it begins the answer's text */
};

/* One exchange, as the courier reports it. */
struct answer {
	enum transport transport;
	enum body_kind body;
	int32_t http; /* 0 = none */
	int32_t code; /* NO_CODE unless body is BODY_CODE */
	int64_t at;   /* wall clock when it ended */
	int32_t took_ms;
	char text[EVIDENCE_TEXT_MAX + 1]; /* TikTok's message or libcurl's reason, cleaned and without the token */
	char request_id[REQUEST_ID_MAX + 1];
};

/* What was asked. The endpoints other than event/track matter to OAuth tokens only. A refresh that brought a pair is no answer to be judged. */
/* ENDPOINT_PIXEL_LIST is pixel/list and bc/asset/get alike. */
enum endpoint { ENDPOINT_EVENT_TRACK, ENDPOINT_PIXEL_LIST, ENDPOINT_USER_INFO, ENDPOINT_REFRESH };

struct question_context {
	enum endpoint endpoint;
	enum probe_kind kind;
	bool was_healthy; /* this very pair was proven before */
	bool lists_pixel; /* PIXEL_LIST, code 0: the pixel was on one of the pages ... */
	bool is_unbound;  /* ... with relation UNBOUND, REJECTED or PENDING */
	bool is_list;     /* PIXEL_LIST: it is about the token that lists, and no Pixel in particular */
};

enum finding_flag {
	FINDING_LEAK_HINT = 1 << 0,      /* the token may be in strangers' hands */
	FINDING_ABOUT_THE_PAIR = 1 << 2, /* unknown, but this Pixel's affair alone: others may well be fine */
	FINDING_NOT_THE_PAIR =
		1 << 1, /* concerns our client, app or address, not this Pixel: say it once, end the sweep */
};

struct finding {
	enum verdict outcome;
	unsigned flags;
	const char *row;    /* "14", "20b": which line of the table decided */
	const char *advice; /* one sentence, or NULL when all is well */
};

struct finding verdict_judge(const struct answer *answer, const struct question_context *asked);

/* For docs and tests: the table itself. */
size_t verdict_row_count(void);
const char *verdict_row_name(size_t i);

/* The sentence for a verdict we hold, whatever row it came from. NULL for healthy. */
const char *verdict_advice(enum verdict v);

/* Why there was no answer, in words: "the certificate of the host could not be proven". */
const char *transport_text(enum transport t);

#endif
