#include "agent/forecast.h"

#include "agent/renewals.h"

#include <stdlib.h>
#include <string.h>

#define HOUR INT64_C(3600)
#define DAY INT64_C(86400)

void forecast_done(struct forecast *f)
{
	buf_done(&f->rows);
}

void forecast_begin(struct forecast *f, const struct settings *settings, int64_t now, int64_t span_s)
{
	buf_clear(&f->rows);
	f->now = now;
	f->span_s = span_s;
	f->breaker = (struct breaker){ 0 };
	f->pace = (struct settings_pace){
		.rate = settings->rate ? settings->rate : 1,
		.in_flight = settings->in_flight,
		.interval_s = settings->interval_s,
		.confirm_delay_s =
			settings->confirm_delay_s >= 0 ? settings->confirm_delay_s : SCHEDULE_CONFIRM_DELAY_S,
	};
	memcpy(f->pace.expiry_warning_s, settings->expiry_warning_s, sizeof f->pace.expiry_warning_s);
}

/* ---- one Pixel ---- */

static uint8_t questions_of(const struct credential *c, const struct health *h)
{
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	bool is_open = pending && version_has_token(pending) && !verdict_is_bad(h->pending.verdict);
	return (uint8_t)((credential_staged(c, STAGE_CURRENT) != NULL) + is_open);
}

static enum forecast_why why_of(const struct credential *c, const struct health *h, const struct settings *settings,
				int64_t expires_at, int64_t first_at)
{
	const struct judgement *j = health_speaking(h, c);
	if (j && j->suspected != VERDICT_UNCHECKED)
		return FORECAST_SECOND_LOOK;
	if (h->failures)
		return FORECAST_RETRY;
	if (!j || !j->attempted_at)
		return FORECAST_FIRST;
	/* Between the last turn of the interval and the next lies only what an expiry adds. */
	bool is_step = expires_at && schedule_next(c->pixel, settings, 0, first_at - 1, 0) != first_at &&
		       schedule_next(c->pixel, settings, expires_at, first_at - 1, 0) == first_at;
	return is_step ? FORECAST_EXPIRY : FORECAST_INTERVAL;
}

bool forecast_row_of(const struct credential *c, const struct health *h, const struct settings *settings,
		     int64_t first_at, int64_t now, struct forecast_row *ret)
{
	const struct version *v = credential_staged(c, STAGE_CURRENT);
	const struct judgement *j = health_speaking(h, c);
	*ret = (struct forecast_row){ .at = first_at,
				      .proven_at = j ? j->proven_at : 0,
				      .attempted_at = j ? j->attempted_at : 0 };
	memcpy(ret->pixel, c->pixel, sizeof ret->pixel);
	if (!v)
		v = credential_staged(c, STAGE_PENDING);
	ret->expires_at = v ? v->expires_at : 0; /* as agent/ruling.c has it */
	if (first_at) {
		ret->questions = questions_of(c, h);
		ret->why = (uint8_t)why_of(c, h, settings, ret->expires_at, first_at);
	}
	enum renewal_need need = renewal_need(c, h, settings, now);
	ret->renewal_at = need == RENEWAL_NONE ? renewal_due_at(c, settings) : now;
	return first_at || ret->renewal_at;
}

bool forecast_add(struct forecast *f, const struct forecast_row *row, struct error *err)
{
	buf_append(&f->rows, row, sizeof *row);
	return buf_ok(&f->rows, err);
}

size_t forecast_count(const struct forecast *f)
{
	return f->rows.len / sizeof(struct forecast_row);
}

const struct forecast_row *forecast_at(const struct forecast *f, size_t i)
{
	return (const struct forecast_row *)(const void *)f->rows.at + i; /* malloced: aligned for anything */
}

static int64_t next_of(const struct forecast_row *r)
{
	return !r->at ? r->renewal_at : !r->renewal_at || r->at < r->renewal_at ? r->at : r->renewal_at;
}

static int by_time(const void *a, const void *b)
{
	const struct forecast_row *x = a, *y = b;
	int64_t at = next_of(x), other = next_of(y);
	return at != other ? (at > other) - (at < other) : strcmp(x->pixel, y->pixel);
}

void forecast_sort(struct forecast *f)
{
	if (forecast_count(f) > 1)
		qsort(f->rows.at, forecast_count(f), sizeof(struct forecast_row), by_time);
}

/* ---- what it comes to ---- */

static size_t hours_of(const struct forecast *f)
{
	size_t hours = (size_t)((f->span_s + HOUR - 1) / HOUR);
	return hours < FORECAST_HOURS_MAX ? hours : FORECAST_HOURS_MAX;
}

/* From the first time on, in [from, until). */
static uint64_t times_between(const struct forecast *f, const struct forecast_row *r, int64_t from, int64_t until)
{
	struct schedule_times times = { .pixel = r->pixel,
					.interval_s = f->pace.interval_s,
					.expires_at = r->expires_at,
					.expiry_warning_s = f->pace.expiry_warning_s };
	bool is_first_here = r->at >= from && r->at < until;
	int64_t after = r->at > from - 1 ? r->at : from - 1;
	return is_first_here + (until - 1 > after ? schedule_count(&times, after, until - 1) : 0);
}

static uint64_t count_row(const struct forecast *f, const struct forecast_row *row, struct forecast_sums *sums)
{
	struct forecast_row r = *row;
	uint64_t probes = 0;
	if (!r.at)
		return 0;
	/* What is overdue is asked about now. */
	if (r.at < f->now)
		r.at = f->now;
	for (size_t i = 0, hours = hours_of(f); i < hours; i++) {
		int64_t from = f->now + (int64_t)i * HOUR, until = from + HOUR;
		if (until > f->now + f->span_s)
			until = f->now + f->span_s;
		uint64_t times = times_between(f, &r, from, until);
		sums->hours[i] += times * r.questions;
		probes += times;
	}
	sums->probes += probes;
	sums->questions += probes * r.questions;
	sums->overdue += row->at <= f->now;
	sums->second_looks += row->why == FORECAST_SECOND_LOOK && probes;
	return probes;
}

static bool is_renewed(const struct forecast *f, const struct forecast_row *row)
{
	return row->renewal_at && row->renewal_at < f->now + f->span_s;
}

static void note_canary(const struct forecast_row *row, struct forecast_sums *sums)
{
	if (!row->at || row->proven_at <= sums->canary_proven_at)
		return;
	sums->canary_proven_at = row->proven_at;
	memcpy(sums->canary, row->pixel, sizeof sums->canary);
}

/* ---- as JSON ---- */

static const char *why_name(unsigned why)
{
	static const char *const names[] = { [FORECAST_INTERVAL] = "interval",
					     [FORECAST_FIRST] = "first",
					     [FORECAST_SECOND_LOOK] = "second-look",
					     [FORECAST_RETRY] = "retry",
					     [FORECAST_EXPIRY] = "expiry" };
	return why < COUNT_OF(names) ? names[why] : "interval";
}

void forecast_json_begin(struct json *j, const struct forecast *f)
{
	json_object(j, NULL);
	json_int(j, "schema", 1);
	json_time(j, "from", f->now);
	json_time(j, "until", f->now + f->span_s);
	json_array(j, "pixels");
}

void forecast_json_add(struct json *j, const struct forecast *f, const struct forecast_row *row,
		       struct forecast_sums *sums)
{
	uint64_t probes = count_row(f, row, sums);
	sums->renewals += is_renewed(f, row);
	note_canary(row, sums);
	if (row->attempted_at > sums->asked_at)
		sums->asked_at = row->attempted_at;
	json_object(j, NULL);
	json_text(j, "pixel", row->pixel);
	json_time(j, "at", row->at);
	json_text(j, "why", row->at ? why_name(row->why) : NULL);
	json_int(j, "probes", (int64_t)probes);
	json_int(j, "questions", (int64_t)(probes * row->questions));
	json_time(j, "expires_at", row->expires_at);
	json_time(j, "renewal_at", row->renewal_at);
	json_end_object(j);
}

static void peak_members(struct json *j, const struct forecast *f, const struct forecast_sums *sums)
{
	size_t peak = 0;
	for (size_t i = 1, hours = hours_of(f); i < hours; i++)
		if (sums->hours[i] > sums->hours[peak])
			peak = i;
	json_object(j, "peak_hour");
	json_time(j, "from", f->now + (int64_t)peak * HOUR);
	json_int(j, "questions", (int64_t)sums->hours[peak]);
	/* So long it takes at the configured rate. */
	json_int(j, "takes_s", (int64_t)((sums->hours[peak] + f->pace.rate - 1) / f->pace.rate));
	json_end_object(j);
}

static void breaker_members(struct json *j, const struct forecast *f)
{
	int64_t pause_s = breaker_pause_s(&f->breaker, f->now);
	json_object(j, "breaker");
	json_text(j, "state", pause_s ? "open" : "closed");
	json_int(j, "throttles", f->breaker.throttles);
	json_time(j, "open_until", pause_s ? f->now + pause_s : 0);
	json_end_object(j);
}

void forecast_json_end(struct json *j, const struct forecast *f, const struct forecast_sums *sums)
{
	uint64_t first_day = 0;
	for (size_t i = 0; i < hours_of(f) && i < DAY / HOUR; i++)
		first_day += sums->hours[i];
	json_end_array(j);
	json_int(j, "probes", (int64_t)sums->probes);
	json_int(j, "questions", (int64_t)sums->questions);
	json_int(j, "first_day", (int64_t)first_day);
	peak_members(j, f, sums);
	json_int(j, "second_looks", (int64_t)sums->second_looks);
	json_int(j, "renewals", (int64_t)sums->renewals);
	json_int(j, "overdue", (int64_t)sums->overdue);
	json_time(j, "last_asked_at", sums->asked_at);
	json_text(j, "canary", sums->canary[0] ? sums->canary : NULL);
	json_int(j, "rate", f->pace.rate);
	json_int(j, "in_flight", f->pace.in_flight);
	json_int(j, "interval_s", f->pace.interval_s);
	json_int(j, "confirm_delay_s", f->pace.confirm_delay_s);
	breaker_members(j, f);
	json_end_object(j);
	buf_append_text(j->out, "\n");
}
