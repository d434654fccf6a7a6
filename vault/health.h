/* vault/health.h - what we hold true about a Pixel's tokens, and why. Pure.
 *
 * A verdict is what we believe; an outcome is what one probe said. Transient outcomes (throttled, unreachable, unknown)
 * change "last attempt", never the verdict. A bad verdict becomes ours only after a second probe agreed; until then it
 * stands as `suspected`. Health is kept outside the vault's inventory: losing or replaying it changes no token, it can
 * only age what we show. */
#ifndef VAULT_HEALTH_H
#define VAULT_HEALTH_H

#include "core/buf.h"
#include "core/error.h"
#include "vault/credential.h"

#include <stdint.h>

/* The verdicts, then the transient outcomes. Numbers are stored: only add. */
enum verdict {
	VERDICT_UNCHECKED = 0,
	VERDICT_HEALTHY,
	VERDICT_UNPROVEN,
	VERDICT_EXPIRED,
	VERDICT_REVOKED,
	VERDICT_MISMATCHED,
	VERDICT_NO_PERMISSION,
	VERDICT_MALFORMED,
	OUTCOME_THROTTLED,
	OUTCOME_UNREACHABLE,
	OUTCOME_UNKNOWN,
	OUTCOME_COUNT
};

const char *verdict_name(enum verdict v); /* "healthy", "no-permission", "throttled", ... */
bool verdict_is_bad(enum verdict v);      /* expired .. malformed */
bool verdict_is_transient(enum verdict v);
enum error_code verdict_exit(enum verdict v); /* 10, 11, 15, 9, 16, or ERR_NONE */

enum probe_kind { PROBE_NONE = 0, PROBE_DRY, PROBE_TEST, PROBE_LIVE, PROBE_LISTING, PROBE_REPORT, PROBE_REFRESH };
const char *probe_name(enum probe_kind kind); /* "dry", ...; NULL for none */

#define EVIDENCE_TEXT_MAX 256
#define REQUEST_ID_MAX 64
#define ATTEMPT_TEXT_MAX 160
#define NO_CODE INT32_MIN /* no integer `code` in the answer */

struct evidence {
	enum probe_kind probe;
	int32_t code; /* TikTok's, or NO_CODE */
	int32_t http; /* status, 0 = none */
	int64_t at;
	char text[EVIDENCE_TEXT_MAX + 1]; /* cleaned, never holds the token */
	char request_id[REQUEST_ID_MAX + 1];
};

/* What we think of one version's token. All zero = never asked. */
struct judgement {
	uint32_t version; /* 0 = none */
	enum verdict verdict;
	struct evidence evidence; /* of the verdict */
	enum verdict last_outcome;
	int64_t attempted_at;                    /* of the last outcome; 0 = never */
	char attempt_text[ATTEMPT_TEXT_MAX + 1]; /* why the last outcome is none of the verdicts; "" otherwise */
	int64_t checked_at;                      /* last time TikTok's answer could be judged */
	int64_t proven_at;                       /* last time this pair was proven healthy */
	enum verdict suspected;                  /* VERDICT_UNCHECKED = nothing outstanding */
	int64_t suspected_at;
	char belongs_to[PIXEL_CODE_MAX + 1]; /* another stored Pixel this token was found to work for; "" = unknown */
};

/* What is known of a version that is current or pending no more: may consumers be given it again, does TikTok still take
 * it? Kept of the previous one and of those that were retired last. */
#define FADING_MAX 4
struct fading {
	uint32_t version;
	enum verdict verdict; /* the last one, also of probes since then */
	int64_t proven_at, checked_at;
	int64_t refused_at; /* the first of the refusals in a row; 0 = the last answer was none */
};

/* What a listing token's list last said of the Pixel. Numbers are stored: only add. */
enum sight_kind { SIGHT_LISTED = 1, SIGHT_UNBOUND, SIGHT_PENDING, SIGHT_REJECTED, SIGHT_ABSENT, SIGHT_KIND_COUNT };
#define SIGHTS_MAX 4
struct sight {
	char list[LIST_NAME_MAX + 1]; /* whose */
	enum sight_kind kind;
	bool is_own;    /* the list was read with the very token that is the Pixel's current one */
	uint8_t times;  /* so many readings in a row said the same; stops at 255 */
	int64_t since, at; /* the first and the last of them */
};

#define HEALTH_HISTORY_MAX 16

struct health_change {
	int64_t at;
	uint32_t version;
	enum verdict verdict;
	enum probe_kind probe;
	int32_t code;
};

struct health {
	uint64_t counter; /* +1 per write */
	struct judgement current, pending;
	uint32_t failures; /* transient outcomes in a row; drives the schedule's back-off */
	int64_t next_check_at;
	size_t history_count;
	struct health_change history[HEALTH_HISTORY_MAX]; /* oldest first */
	int64_t reported_at; /* a consumer's report last made us ask; 0 = never */
	size_t fading_count;
	struct fading fading[FADING_MAX]; /* the one that faded last at the end */
	size_t sight_count;
	struct sight sights[SIGHTS_MAX]; /* by name */
};

/* Make the judgements speak of the credential's present versions: a promoted pending brings its judgement along, what
 * was current fades, one that is gone is forgotten. Call after loading, before use. */
void health_align(struct health *h, const struct credential *c);

/* What is known of a previous or retired version; NULL = nothing. */
const struct fading *health_fading(const struct health *h, uint32_t version);
/* The same, made when it is not there: the oldest gives way. */
struct fading *health_fade(struct health *h, uint32_t version);

const char *sight_name(enum sight_kind kind); /* "listed", "unbound", ... */
/* NULL = this list never said anything of the Pixel. */
const struct sight *health_sight(const struct health *h, const char *list);
/* A whole reading of this list says so. Where there is no place, the sight that is oldest gives way. */
void health_see(struct health *h, const char *list, enum sight_kind kind, bool is_own, int64_t at);
void health_unsee(struct health *h, const char *list);

/* The judgement that speaks for the Pixel: of current, of pending when there is no current; NULL when neither. */
const struct judgement *health_speaking(const struct health *h, const struct credential *c);

void health_remember(struct health *h, const struct judgement *j); /* appends to history when the verdict changed */
/* Of one that takes the place of another: also when its verdict is what it was, so that the history tells since when. */
void health_remember_in_force(struct health *h, const struct judgement *j);

must_check bool health_encode(const struct health *h, struct buf *out, struct error *err);
must_check bool health_decode(struct bytes from, struct health *ret); /* false: not ours, treat as never asked */

#endif
