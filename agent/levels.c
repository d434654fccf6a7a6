#include "agent/levels.h"

#include "agent/decoy.h"
#include "agent/gravity.h"
#include "agent/metrics.h"
#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY INT64_C(86400)
#define SUM_MAX INT64_C(999999999999999999) /* the largest number that our readers of JSON take */

/* ---- the period ---- */

static bool month_begin(unsigned year, unsigned month, int64_t *ret)
{
	char text[CLOCK_TEXT_MAX];
	struct error unused;
	snprintf(text, sizeof text, "%04u-%02u-01", year, month);
	return clock_parse(text, ret, &unused);
}

static bool take_month(const char *text, int64_t *ret_from, int64_t *ret_until)
{
	if (strlen(text) != 7 || strspn(text, "0123456789") != 4 || text[4] != '-' || strspn(text + 5, "0123456789") != 2)
		return false;
	unsigned year = (unsigned)strtoul(text, NULL, 10), month = (unsigned)strtoul(text + 5, NULL, 10);
	return month_begin(year, month, ret_from) &&
	       month_begin(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, ret_until);
}

static bool last_month(int64_t now, struct levels_period *ret)
{
	char text[CLOCK_TEXT_MAX], month[8];
	int64_t this_month, next;
	snprintf(month, sizeof month, "%.7s", clock_format(now, text));
	if (!take_month(month, &this_month, &next))
		return false;
	snprintf(month, sizeof month, "%.7s", clock_format(this_month - DAY, text));
	return take_month(month, &ret->from, &ret->until);
}

int64_t levels_said(int64_t at)
{
	return at > 0 ? at : 1;
}

bool levels_period(const struct levels_ask *ask, int64_t now, struct levels_period *ret, struct error *err)
{
	*ret = (struct levels_period){ .from = ask->since, .until = ask->until ? ask->until : now, .now = now };
	if (ask->month && (ask->since || ask->until))
		return fail(err, ERR_USAGE, TXT_LEVELS_BOTH);
	if (ask->month && !take_month(ask->month, &ret->from, &ret->until))
		return fail(err, ERR_USAGE, TXT_LEVELS_MONTH);
	if (!ask->month && !ask->since && ask->until)
		return fail(err, ERR_USAGE, TXT_LEVELS_NO_SINCE);
	if (!ask->month && !ask->since && !last_month(now, ret))
		return fail(err, ERR_USAGE, TXT_LEVELS_FUTURE);
	if (ret->from >= now)
		return fail(err, ERR_USAGE, TXT_LEVELS_FUTURE);
	bool has_end = ask->until || ask->month || !ask->since;
	ret->is_over = has_end && ret->until <= now;
	if (ret->until > now)
		ret->until = now;
	if (ret->from >= ret->until)
		return fail(err, ERR_USAGE, TXT_LEVELS_ORDER);
	return true;
}

static bool is_before_end(const struct levels_period *p, int64_t at)
{
	return at < p->until || (!p->is_over && at == p->until);
}

/* ---- one Pixel ---- */

enum state { STATE_UNKNOWN, STATE_WORKING, STATE_DEAD };

struct walk {
	const struct credential *c;
	const struct health *h;
	const struct levels_period *period;
	struct levels *to;
	int64_t at[HEALTH_HISTORY_MAX]; /* of the entries, in order */
	int64_t current_since;          /* INT64_MAX = there is no current one */
	uint32_t current, speaks;       /* version numbers */
	uint32_t before;                /* spoke before the one that speaks */
	bool was_good;                  /* the one that speaks has been */
	enum state state;
	int64_t since;
	bool is_open; /* the last of `incidents` */
	struct incident incident;
};

static int64_t clipped(const struct walk *w, int64_t from, int64_t to)
{
	int64_t begin = from > w->to->from ? from : w->to->from;
	int64_t end = to < w->period->until ? to : w->period->until;
	return end > begin ? end - begin : 0;
}

static void pass(struct walk *w, int64_t to)
{
	if (to <= w->since)
		return;
	if (w->state == STATE_WORKING)
		w->to->working_s += clipped(w, w->since, to);
	if (w->state == STATE_DEAD)
		w->to->dead_s += clipped(w, w->since, to);
	w->since = to;
}

static void keep_incident(struct walk *w)
{
	const struct incident *i = &w->incident;
	bool reaches_in = is_before_end(w->period, i->refused_at) &&
			  (!i->repaired_at || i->repaired_at > w->to->from);
	if (w->is_open && reaches_in && w->to->incident_count < COUNT_OF(w->to->incidents))
		w->to->incidents[w->to->incident_count++] = *i;
	w->is_open = false;
}

/* The last proof that is known of a version, if it was before `by`. */
static int64_t proof_before(const struct walk *w, uint32_t version, int64_t by)
{
	const struct fading *f = health_fading(w->h, version);
	int64_t at = w->h->current.version == version   ? w->h->current.proven_at
		     : w->h->pending.version == version ? w->h->pending.proven_at
		     : f                                ? f->proven_at
							: 0;
	return at <= by ? at : 0;
}

/* The last good answer that is known of a version; 0 = none. */
static int64_t last_good(const struct walk *w, uint32_t version)
{
	const struct fading *f = health_fading(w->h, version);
	return !f ? 0 : f->refused_at || verdict_is_bad(f->verdict) ? f->proven_at : f->checked_at;
}

/* A token gives way while it works: it was seen to until the last answer about it. */
static void leave(struct walk *w, int64_t at)
{
	int64_t seen = w->state == STATE_WORKING ? last_good(w, w->speaks) : 0;
	if (seen && seen >= w->since && seen < at) {
		pass(w, seen);
		w->state = STATE_UNKNOWN;
	}
	pass(w, at);
}

/* A second look confirms what a first one found: when that was is known of the last time. */
static int64_t refusal_before(const struct walk *w, uint32_t version, int64_t least, int64_t by)
{
	const struct judgement *j = w->h->current.version == version ? &w->h->current : &w->h->pending;
	return j->version == version && j->suspected_at > least && j->suspected_at < by ? j->suspected_at : by;
}

static void break_down(struct walk *w, uint32_t version, enum verdict verdict, int64_t at)
{
	int64_t proven = w->state == STATE_WORKING ? proof_before(w, version, at) : 0;
	if (proven < w->since)
		proven = 0;
	int64_t refused = refusal_before(w, version, proven > w->since ? proven : w->since, at);
	if (proven) {
		pass(w, proven);
		w->state = STATE_UNKNOWN;
		w->to->perhaps_dead_s += clipped(w, proven, refused);
	}
	pass(w, refused);
	w->state = STATE_DEAD;
	if (!w->is_open)
		w->incident = (struct incident){ .version = version,
						 .verdict = verdict,
						 .proven_at = proven,
						 .refused_at = refused,
						 .verdict_at = at };
	w->is_open = true;
}

/* A pair that is renewed no more is called expired while its token may still work. */
static enum state state_of(const struct health_change *e)
{
	if (!e || e->verdict == VERDICT_UNCHECKED || e->probe == PROBE_REFRESH)
		return STATE_UNKNOWN;
	return verdict_is_bad(e->verdict) ? STATE_DEAD : STATE_WORKING;
}

static void become(struct walk *w, const struct health_change *e, int64_t at)
{
	enum state state = state_of(e);
	if (state == w->state)
		return;
	if (state == STATE_DEAD) {
		break_down(w, e->version, e->verdict, at);
		return;
	}
	pass(w, at);
	w->state = state;
	if (state != STATE_WORKING)
		return;
	w->was_good = true;
	if (w->is_open)
		w->incident.repaired_at = at;
	keep_incident(w);
}

/* Only of tokens in use is found that they died: the good word about another one meanwhile was of one that stood by. */
static bool is_found_dead_later(const struct walk *w, size_t i)
{
	for (size_t k = i + 1; k < w->h->history_count; k++)
		if (w->h->history[k].version == w->speaks)
			return state_of(&w->h->history[k]) == STATE_DEAD;
	return false;
}

/* Does this verdict make its version the one that speaks? A rollback notes a good one of an earlier version. */
static bool takes_over(const struct walk *w, size_t i)
{
	const struct health_change *e = &w->h->history[i];
	const struct version *v = credential_numbered(w->c, e->version);
	bool is_good = state_of(e) == STATE_WORKING, is_first = !w->speaks;
	if (v && v->stage == STAGE_STANDBY)
		return false;
	/* What spoke before may have been dropped: then a refused one may never have been given to anybody. */
	if (is_first)
		return is_good || w->h->history_count < HEALTH_HISTORY_MAX ||
		       (v && (v->stage == STAGE_CURRENT || v->stage == STAGE_PREVIOUS));
	if (e->version == w->current || (e->version < w->speaks && e->version != w->before))
		return false;
	return is_good ? !w->was_good || !is_found_dead_later(w, i) : !w->was_good && e->version > w->speaks;
}

static const struct health_change *last_word(const struct walk *w, uint32_t version, size_t before)
{
	for (size_t i = before; i-- > 0;)
		if (w->h->history[i].version == version)
			return &w->h->history[i];
	return NULL;
}

static void hear(struct walk *w, size_t i)
{
	const struct health_change *e = &w->h->history[i];
	if (e->version != w->speaks && (w->speaks != w->current || !w->current || w->at[i] < w->current_since) &&
	    takes_over(w, i)) {
		leave(w, w->at[i]);
		w->before = w->speaks;
		w->speaks = e->version;
		w->was_good = false;
	}
	if (e->version == w->speaks)
		become(w, e, w->at[i]);
}

static void switch_to_current(struct walk *w, size_t entries_before)
{
	const struct health_change *e = last_word(w, w->current, entries_before);
	if (w->speaks == w->current)
		return;
	leave(w, w->current_since);
	w->speaks = w->current;
	w->was_good = false;
	/* Dead either way is one incident; a proof of one token says nothing of another. */
	if (state_of(e) == STATE_DEAD && w->state != STATE_DEAD)
		w->state = STATE_UNKNOWN;
	become(w, e, w->current_since);
}

/* A clock that was set back leaves times that are not in order: what was written later was later. */
static void put_in_order(struct walk *w)
{
	int64_t most = w->period->now;
	for (size_t i = w->h->history_count; i-- > 0;) {
		if (w->h->history[i].at > most)
			w->to->is_clock_unsure = true;
		else
			most = w->h->history[i].at;
		w->at[i] = most;
	}
}

/* Until when what is well was seen to be. */
static int64_t seen_until(const struct walk *w)
{
	const struct judgement *j = health_speaking(w->h, w->c);
	int64_t at = j ? j->checked_at : last_good(w, w->speaks);
	return at < w->since ? w->since : at < w->period->now ? at : w->period->now;
}

static void walk_over(struct walk *w)
{
	bool has_switched = false;
	for (size_t i = 0; i < w->h->history_count; i++) {
		if (!has_switched && w->at[i] >= w->current_since) {
			switch_to_current(w, i);
			has_switched = true;
		}
		hear(w, i);
	}
	if (!has_switched && w->current)
		switch_to_current(w, w->h->history_count);
	pass(w, w->state == STATE_WORKING ? seen_until(w) : w->period->now);
	keep_incident(w);
}

bool levels_of(const struct credential *c, const struct health *h, const struct levels_period *period, struct levels *ret)
{
	bool is_unusable;
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	*ret = (struct levels){ .from = c->created_at > period->from ? c->created_at : period->from,
				.weight = gravity_weight(c, &is_unusable),
				.token_stored_at = current ? current->stored_at : 0 };
	if (decoy_is(c) || (period->is_over && !is_before_end(period, ret->from)))
		return false;
	if (ret->from > period->until)
		ret->from = period->until;
	snprintf(ret->pixel, sizeof ret->pixel, "%s", c->pixel);
	struct walk w = { .c = c, .h = h, .period = period, .to = ret, .current_since = INT64_MAX };
	if (current) {
		w.current = current->number;
		w.current_since = current->staged_at < period->now ? current->staged_at : period->now;
	}
	put_in_order(&w);
	if (h->history_count) {
		ret->known_since = w.at[0];
		ret->is_cut = h->history_count == HEALTH_HISTORY_MAX && w.at[0] > ret->from;
	}
	walk_over(&w);
	ret->unknown_s = period->until - ret->from - ret->working_s - ret->dead_s;
	return true;
}

static int64_t weighed(uint32_t weight, int64_t seconds)
{
	return seconds / WEIGHT_ONE * weight + seconds % WEIGHT_ONE * weight / WEIGHT_ONE;
}

int64_t levels_at_risk_s(const struct levels *l)
{
	return weighed(l->weight, l->dead_s);
}

int64_t levels_at_risk_most_s(const struct levels *l)
{
	return weighed(l->weight, l->dead_s + l->perhaps_dead_s);
}

static bool is_within(const struct levels_period *p, int64_t at)
{
	return at >= p->from && is_before_end(p, at);
}

int64_t incident_detect_s(const struct incident *i, const struct levels_period *period)
{
	return i->proven_at && is_within(period, i->verdict_at) ? i->verdict_at - i->proven_at : -1;
}

int64_t incident_repair_s(const struct incident *i, const struct levels_period *period)
{
	return i->repaired_at && is_within(period, i->repaired_at) ? i->repaired_at - i->verdict_at : -1;
}

/* ---- all of them ---- */

void levels_sums_done(struct levels_sums *s)
{
	buf_done(&s->ages);
}

static void add_up(int64_t *sum, int64_t more)
{
	*sum = more > SUM_MAX - *sum ? SUM_MAX : *sum + more;
}

static void add_time(struct levels_times *t, int64_t seconds)
{
	if (seconds < 0)
		return;
	t->count++;
	add_up(&t->sum_s, seconds);
	if (seconds > t->max_s)
		t->max_s = seconds;
}

bool levels_add(struct levels_sums *s, const struct levels *l, const struct levels_period *period, struct error *err)
{
	s->pixels++;
	s->cut += l->is_cut;
	s->clock_unsure += l->is_clock_unsure;
	add_up(&s->working_s, l->working_s);
	add_up(&s->dead_s, l->dead_s);
	add_up(&s->unknown_s, l->unknown_s);
	add_up(&s->at_risk_s, levels_at_risk_s(l));
	add_up(&s->at_risk_most_s, levels_at_risk_most_s(l));
	for (size_t i = 0; i < l->incident_count; i++) {
		const struct incident *one = &l->incidents[i];
		s->incidents++;
		s->open += !one->repaired_at || !is_before_end(period, one->repaired_at);
		add_time(&s->detect, incident_detect_s(one, period));
		add_time(&s->repair, incident_repair_s(one, period));
	}
	if (l->token_stored_at) {
		int64_t age = l->token_stored_at < period->now ? period->now - l->token_stored_at : 0;
		buf_append(&s->ages, &age, sizeof age);
	}
	return buf_ok(&s->ages, err);
}

static int by_number(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

void levels_ages(struct levels_sums *s, struct levels_ages *ret)
{
	int64_t *ages = (int64_t *)(void *)s->ages.at;
	size_t count = s->ages.len / sizeof *ages;
	*ret = (struct levels_ages){ .tokens = count };
	if (!count)
		return;
	qsort(ages, count, sizeof *ages, by_number);
	ret->median_s = ages[(count - 1) / 2];
	ret->oldest_s = ages[count - 1];
	for (size_t i = 0; i < count; i++) {
		ret->over_90d += ages[i] > 90 * DAY;
		ret->over_180d += ages[i] > 180 * DAY;
		ret->over_365d += ages[i] > 365 * DAY;
	}
}

/* ---- JSON ---- */

void levels_json_begin(struct json *j, const struct levels_period *period)
{
	json_time(j, "from", period->from);
	json_time(j, "until", period->until);
	json_array(j, "pixels");
}

static void seconds_json(struct json *j, const char *key, int64_t seconds)
{
	if (seconds < 0)
		json_null(j, key);
	else
		json_int(j, key, seconds);
}

static void incident_json(struct json *j, const struct incident *i, const struct levels_period *period)
{
	json_object(j, NULL);
	json_int(j, "version", i->version);
	json_text(j, "verdict", verdict_name(i->verdict));
	json_time(j, "proven_at", i->proven_at);
	json_time(j, "refused_at", i->refused_at);
	json_time(j, "verdict_at", i->verdict_at);
	json_time(j, "repaired_at", i->repaired_at);
	seconds_json(j, "detect_s", incident_detect_s(i, period));
	seconds_json(j, "repair_s", incident_repair_s(i, period));
	json_end_object(j);
}

void levels_json_add(struct json *j, const struct levels *l, const struct levels_period *period)
{
	json_object(j, NULL);
	json_text(j, "pixel", l->pixel);
	json_int(j, "weight_thousandths", l->weight);
	json_time(j, "from", l->from);
	json_time(j, "known_since", l->known_since);
	json_bool(j, "history_cut", l->is_cut);
	json_bool(j, "clock_unsure", l->is_clock_unsure);
	json_int(j, "working_s", l->working_s);
	json_int(j, "dead_s", l->dead_s);
	json_int(j, "unknown_s", l->unknown_s);
	json_int(j, "perhaps_dead_s", l->perhaps_dead_s);
	json_int(j, "at_risk_s", levels_at_risk_s(l));
	json_int(j, "at_risk_most_s", levels_at_risk_most_s(l));
	json_time(j, "token_stored_at", l->token_stored_at);
	json_array(j, "incidents");
	for (size_t i = 0; i < l->incident_count; i++)
		incident_json(j, &l->incidents[i], period);
	json_end_array(j);
	json_end_object(j);
}

static void times_json(struct json *j, const char *key, const struct levels_times *t)
{
	json_object(j, key);
	json_int(j, "count", (int64_t)t->count);
	json_int(j, "sum_s", t->sum_s);
	json_int(j, "max_s", t->max_s);
	json_end_object(j);
}

void levels_json_end(struct json *j, struct levels_sums *s)
{
	struct levels_ages ages;
	levels_ages(s, &ages);
	json_end_array(j);
	json_int(j, "working_s", s->working_s);
	json_int(j, "dead_s", s->dead_s);
	json_int(j, "unknown_s", s->unknown_s);
	json_int(j, "at_risk_s", s->at_risk_s);
	json_int(j, "at_risk_most_s", s->at_risk_most_s);
	json_int(j, "history_cut", (int64_t)s->cut);
	json_int(j, "clock_unsure", (int64_t)s->clock_unsure);
	json_int(j, "incidents", (int64_t)s->incidents);
	json_int(j, "open", (int64_t)s->open);
	times_json(j, "detect", &s->detect);
	times_json(j, "repair", &s->repair);
	json_object(j, "token_ages");
	json_int(j, "tokens", (int64_t)ages.tokens);
	json_int(j, "median_s", ages.median_s);
	json_int(j, "oldest_s", ages.oldest_s);
	json_int(j, "over_90d", (int64_t)ages.over_90d);
	json_int(j, "over_180d", (int64_t)ages.over_180d);
	json_int(j, "over_365d", (int64_t)ages.over_365d);
	json_end_object(j);
}

/* ---- metrics ---- */

void levels_metrics(struct levels_sums *s, struct buf *out)
{
	struct levels_ages ages;
	levels_ages(s, &ages);
	metrics_gauge(out, "levels_working_seconds", "Last 30 days: seconds with a working token, of all Pixels.", s->working_s);
	metrics_gauge(out, "levels_dead_seconds", "Last 30 days: seconds with a dead token, of all Pixels.", s->dead_s);
	metrics_gauge(out, "levels_unknown_seconds", "Last 30 days: seconds of which it is not known.", s->unknown_s);
	metrics_gauge(out, "levels_at_risk_hours", "Last 30 days: label weight times hours with a dead token.", s->at_risk_s / 3600);
	metrics_gauge(out, "levels_incidents", "Last 30 days: times that a Pixel's token was dead.", (int64_t)s->incidents);
	metrics_gauge(out, "levels_detect_count", "Incidents of the last 30 days whose time to detect is known.", (int64_t)s->detect.count);
	metrics_gauge(out, "levels_detect_seconds_sum", "Last proof to confirmed refusal, of those together.", s->detect.sum_s);
	metrics_gauge(out, "levels_detect_seconds_max", "The longest of them.", s->detect.max_s);
	metrics_gauge(out, "levels_repair_count", "Incidents that were mended in the last 30 days.", (int64_t)s->repair.count);
	metrics_gauge(out, "levels_repair_seconds_sum", "Confirmed refusal to a working token, of those together.", s->repair.sum_s);
	metrics_gauge(out, "levels_repair_seconds_max", "The longest of them.", s->repair.max_s);
	metrics_gauge(out, "token_age_seconds_median", "Age of the tokens in use.", ages.median_s);
	metrics_gauge(out, "token_age_seconds_max", "Age of the oldest token in use.", ages.oldest_s);
}
