/* agent/forecast.h - what will be asked when, and what that costs of the budget: `vault plan`. Pure: the times come in as
 * arguments, and so does when each Pixel is due first (agent/plan.h). What is due later follows from agent/schedule.h, as
 * long as every answer is good; each refusal is asked about once more, behind confirm-delay.
 *
 * It is shown as JSON, a Pixel at a time, so that a hundred thousand of them are made piece by piece:
 *
 *     forecast_json_begin, forecast_json_add for each row the reader may see, forecast_json_end */
#ifndef AGENT_FORECAST_H
#define AGENT_FORECAST_H

#include "agent/schedule.h"
#include "core/json.h"

#define FORECAST_SPAN_S INT64_C(86400)         /* where nobody says otherwise */
#define FORECAST_SPAN_MAX_S (90 * INT64_C(86400))
#define FORECAST_HOURS_MAX (90 * 24 + 1)

enum forecast_why { FORECAST_INTERVAL, FORECAST_FIRST, FORECAST_SECOND_LOOK, FORECAST_RETRY, FORECAST_EXPIRY };

struct forecast_row {
	char pixel[PIXEL_CODE_MAX + 1];
	int64_t at;         /* when it is asked about next, wall time */
	int64_t expires_at; /* 0 = unknown */
	int64_t renewal_at; /* when its pair is renewed; 0 = never */
	int64_t proven_at, attempted_at;
	uint8_t questions;  /* each time: one for each token that is asked about */
	uint8_t why;
};

/* What is the same for all rows; filled by whoever collects them. */
struct forecast {
	int64_t now, span_s;
	struct breaker breaker;
	struct settings_pace {
		unsigned rate, in_flight;
		int64_t interval_s, confirm_delay_s;
		int64_t expiry_warning_s[SETTINGS_EXPIRY_STEPS];
	} pace;
	struct buf rows; /* struct forecast_row, the next one first */
};

#define FORECAST_INIT                                                                                                  \
	{                                                                                                              \
		.rows = BUF_INIT((size_t)1 << 30)                                                                      \
	}
void forecast_done(struct forecast *f);

/* The row of a Pixel that is due first at first_at; 0 = its token is not asked about. False: nothing is planned for it. */
must_check bool forecast_row_of(const struct credential *c, const struct health *h, const struct settings *settings,
				int64_t first_at, int64_t now, struct forecast_row *ret);
void forecast_begin(struct forecast *f, const struct settings *settings, int64_t now, int64_t span_s);
must_check bool forecast_add(struct forecast *f, const struct forecast_row *row, struct error *err);
void forecast_sort(struct forecast *f);
size_t forecast_count(const struct forecast *f);
const struct forecast_row *forecast_at(const struct forecast *f, size_t i);

/* What the rows that were shown come to. */
struct forecast_sums {
	uint64_t probes, questions, second_looks, renewals, overdue;
	uint64_t hours[FORECAST_HOURS_MAX]; /* questions */
	char canary[PIXEL_CODE_MAX + 1];
	int64_t canary_proven_at, asked_at;
};
void forecast_json_begin(struct json *j, const struct forecast *f);
void forecast_json_add(struct json *j, const struct forecast *f, const struct forecast_row *row,
		       struct forecast_sums *sums);
void forecast_json_end(struct json *j, const struct forecast *f, const struct forecast_sums *sums);

#endif
