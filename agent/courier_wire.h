/* agent/courier_wire.h - what keeper and courier say to each other. Both are the same build on one host, so messages
 * are structs as they lie in memory, of fixed sizes; the version stands first in each, for the moment in which an
 * upgrade has replaced one program and not the other.
 *
 * keeper -> courier: one courier_config, then any number of courier_probe.
 * courier -> keeper: one courier_answer per probe, in any order; behind the answer to a refresh that brought a pair of
 * tokens, one courier_pair; behind one that brought a page of a list, one courier_page. One refresh or list is under way at a time.
 * And between answers, once: that it would make room for another courier. It goes on answering until the keeper ends it, when
 * nothing is open. (It never ends by itself: a question may be on its way.)
 *
 * The courier trusts the keeper. The keeper trusts nothing it reads here (agent/courier.c checks every field). */
#ifndef AGENT_COURIER_WIRE_H
#define AGENT_COURIER_WIRE_H

#include "agent/tiktok.h"

#include <limits.h>

#define COURIER_VERSION 0x70760004u
#define COURIER_FD 3
#define COURIER_IN_FLIGHT_MAX 256

struct courier_config {
	uint32_t version, in_flight;
	int64_t connect_timeout_ms, timeout_ms;
	char base_url[512];
	char login_url[512];
	char ca_file[PATH_MAX]; /* "" = the system's bundle */
};

/* Followed by room for the token, of one of two sizes: most tokens are short, and 10,000 questions with room for the
 * longest are 40 MB to copy. The bytes behind token_len are zero. A refresh has what vault/grant.h packs in its place. */
struct courier_probe {
	uint32_t version;
	uint16_t token_len, is_fresh;
	uint64_t id;
	int32_t kind; /* enum probe_kind */
	char pixel[PIXEL_CODE_MAX + 1];
	char test_code[TEST_CODE_MAX + 1];
	uint8_t family; /* of a refresh: enum family */
	uint8_t zero;
	uint32_t page; /* of a list, which stands in pixel */
	uint32_t zero_too;
};

#define COURIER_ROOM_SHORT 124u
#define COURIER_ROOM_LONG (TOKEN_MAX + 1u)
#define COURIER_PROBE_MAX (sizeof(struct courier_probe) + COURIER_ROOM_LONG)

static inline size_t courier_token_room(size_t token_len)
{
	return token_len <= COURIER_ROOM_SHORT ? COURIER_ROOM_SHORT : COURIER_ROOM_LONG;
}

/* What follows an answer. */
enum courier_behind { BEHIND_NOTHING, BEHIND_PAIR, BEHIND_PAGE };

struct courier_answer {
	uint32_t version;
	int32_t transport, body, http, code, took_ms; /* as in struct answer */
	uint64_t id;
	char text[EVIDENCE_TEXT_MAX + 1];
	char request_id[REQUEST_ID_MAX + 1];
	uint8_t behind; /* enum courier_behind */
	uint8_t leaves; /* 1: no answer, but the wish to make room; all else is zero */
	uint8_t zero[156];
};

struct courier_pair {
	uint32_t version, zero;
	uint64_t id;
	struct token_pair pair;
};

struct courier_page {
	uint32_t version, zero;
	uint64_t id;
	struct list_page page;
	uint8_t pad[4];
};

_Static_assert(sizeof(struct courier_probe) == 136 && COURIER_PROBE_MAX == 4232, "fixed on the wire");
_Static_assert(sizeof(struct courier_answer) == 512, "fixed on the wire");
_Static_assert(sizeof(struct courier_pair) == 6184, "fixed on the wire");
_Static_assert(sizeof(struct courier_page) == 2144, "fixed on the wire");

#endif
