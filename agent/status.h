/* agent/status.h - one Pixel as people and scripts see it: the row of the board and the JSON object. Pure.
 *
 * Both faces (CLI and socket) print these; so they cannot disagree. */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/settings.h"
#include "core/json.h"
#include "vault/vault.h"

struct status_row {
	const struct credential *credential;
	const struct health *health;
	const struct judgement *speaking; /* NULL: never asked */
	enum verdict verdict;
	bool is_due;           /* expires within the longest warning step, or older than max-age */
	int64_t next_check_at; /* 0 = none planned */
	int64_t renew_at;      /* when its pair of tokens is renewed; 0 = by a person only */
	bool is_unlisted;      /* a list that held it says that it does no longer */
	char advice[400];      /* "" when there is nothing to do */
};

void status_of(const struct credential *c, const struct health *h, const struct settings *settings, int64_t now,
	       struct status_row *ret);

/* The other Pixel that the advice has to do with, as it was found to own the token; NULL = none. */
const char *status_owner(const struct status_row *row);
/* The advice once more, with what is known of that Pixel: only then is it known which command helps. NULL: nothing is. */
void status_advise(struct status_row *row, const struct credential *owner, const struct health *health);
/* Another Pixel holds the same token, which may be well: advice where there is nothing more pressing. */
void status_share(struct status_row *row, const char *other);

/* Why it needs a new token, the gravest first; NEED_NONE: it does not. max_age_s: 0 = what the settings say. */
enum need { NEED_BAD, NEED_EXPIRES, NEED_OLD, NEED_ASKED, NEED_NONE };
enum need status_need(const struct status_row *row, const struct settings *settings, int64_t max_age_s, int64_t now);
const char *need_name(enum need need); /* "bad", "expires", "old", "asked" */
/* Is the version that speaks for it older? */
bool status_is_older(const struct credential *c, int64_t max_age_s, int64_t now);

/* Only that: cheaper than a row. */
bool status_is_due(const struct credential *c, const struct settings *settings, int64_t now);

/* The object of `status`: pixel, labels, verdict, evidence, last_attempt, checked_at, proven_at, next_check_at,
 * current, pending, previous, standby, rotation, renewal, listings, advice. key NULL inside an array. */
void status_json(struct json *j, const struct status_row *row);

/* null unless TikTok was asked. Serves `put` and `history` too. */
void status_evidence_json(struct json *j, const char *key, const struct evidence *e);

/* How far its rotation has come; false: there is none. from, to: NULL = no such version. */
struct rotation_facts {
	enum rotation step;
	int64_t since;
	const struct version *from, *to;
};
bool status_rotation(const struct credential *c, struct rotation_facts *ret);
/* "rotation": null, or step, since, from, to. Serves `history` too. */
void status_rotation_json(struct json *j, const struct credential *c);

/* "listings": what lists say of it: listing, says, own, readings, since, at. Serves `history` too. */
void status_sights_json(struct json *j, const struct health *h);
/* The object of a listing token: listing, verdict, evidence, last_attempt, checked_at, proven_at, next_check_at, current,
 * pending, advice. */
void status_list_json(struct json *j, const struct status_row *row);

/* Everything people filter by, in one place: any of the names (none = all), and all of the labels. */
bool status_matches(const struct credential *c, const char *const *pixels, size_t pixel_count,
		    const struct label *labels, size_t label_count);

#endif
