/* agent/levels.h - service levels: how long Pixels had a working token, and how soon a dead one was noticed and mended.
 * Pure: read from what the vault keeps of each Pixel, the last HEALTH_HISTORY_MAX changes of verdict and the times in its
 * versions and judgements.
 *
 * Nothing is guessed. Time of which nothing is kept is not known; so is the time between the last proof and the first refusal
 * of a token that died, and the time since the last answer about one that is well, or until another took its place. Refused
 * pending tokens are no incidents: consumers never got them. When a Pixel's present token became current is stored; of
 * earlier ones it is taken for the moment of their first good verdict, or of the one that brought them back.
 *
 *     levels_period, levels_json_begin, then levels_of, levels_add and levels_json_add for each Pixel, levels_json_end */
#ifndef AGENT_LEVELS_H
#define AGENT_LEVELS_H

#include "core/json.h"
#include "vault/health.h"

/* Half open, unless it lasts until now; Unix seconds. until is no later than now. */
struct levels_period {
	int64_t from, until, now;
	bool is_over; /* what happens at `until` is not in it; one that lasts until now has what happens now */
};

/* What somebody asked for: since and until (0 = not said), or a month "2026-10" (NULL = not said); nothing: the last whole
 * month. Months are UTC's. ERR_USAGE. */
struct levels_ask {
	int64_t since, until;
	const char *month;
};
int64_t levels_said(int64_t at); /* a time that was said is never "not said", not even that of 1970 */
must_check bool levels_period(const struct levels_ask *ask, int64_t now, struct levels_period *ret, struct error *err);

/* Times are 0 where they are not known, or (repaired_at) where it goes on. */
struct incident {
	uint32_t version;
	enum verdict verdict;
	int64_t proven_at;   /* it worked last then */
	int64_t refused_at;  /* known dead since then */
	int64_t verdict_at;  /* the refusal was confirmed */
	int64_t repaired_at; /* a token worked again */
};

struct levels {
	char pixel[PIXEL_CODE_MAX + 1];
	uint32_t weight;         /* thousandths */
	int64_t from;            /* the period's beginning, or when the Pixel was stored */
	int64_t known_since;     /* the first verdict that is kept; 0 = none */
	bool is_cut;             /* older verdicts were dropped, and they would have been of the period */
	bool is_clock_unsure;    /* the times that are kept are not in order: the clock was set back */
	int64_t working_s, dead_s, unknown_s;
	int64_t perhaps_dead_s;  /* of unknown_s: between last proof and first refusal */
	int64_t token_stored_at; /* of the current token; 0 = none */
	size_t incident_count;   /* those that reach into the period */
	struct incident incidents[HEALTH_HISTORY_MAX];
};

/* False: the Pixel was stored after the period. */
bool levels_of(const struct credential *c, const struct health *h, const struct levels_period *period, struct levels *ret);
int64_t levels_at_risk_s(const struct levels *l);      /* weight times seconds with a dead token */
int64_t levels_at_risk_most_s(const struct levels *l); /* the same, had each died right after its last proof */

/* An incident counts where it was noticed, or mended, within the period. -1: not known, or not then. */
int64_t incident_detect_s(const struct incident *i, const struct levels_period *period);
int64_t incident_repair_s(const struct incident *i, const struct levels_period *period);

struct levels_times {
	uint64_t count;
	int64_t sum_s, max_s;
};
struct levels_sums {
	uint64_t pixels, cut, clock_unsure, incidents, open;
	int64_t working_s, dead_s, unknown_s, at_risk_s, at_risk_most_s;
	struct levels_times detect, repair;
	struct buf ages; /* int64_t, seconds */
};
#define LEVELS_SUMS_INIT                                                                                               \
	{                                                                                                              \
		.ages = BUF_INIT((size_t)1 << 30)                                                                      \
	}
void levels_sums_done(struct levels_sums *s);
must_check bool levels_add(struct levels_sums *s, const struct levels *l, const struct levels_period *period,
			   struct error *err);

/* Of the tokens in use now. */
struct levels_ages {
	uint64_t tokens, over_90d, over_180d, over_365d;
	int64_t median_s, oldest_s;
};
void levels_ages(struct levels_sums *s, struct levels_ages *ret);

/* The object of `vault levels --json`, behind {"schema":1. */
void levels_json_begin(struct json *j, const struct levels_period *period);
void levels_json_add(struct json *j, const struct levels *l, const struct levels_period *period);
void levels_json_end(struct json *j, struct levels_sums *s);

/* Of the last 30 days, for metrics. */
#define LEVELS_METRICS_S (30 * INT64_C(86400))
void levels_metrics(struct levels_sums *s, struct buf *out);

#endif
