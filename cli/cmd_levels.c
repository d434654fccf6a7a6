/* levels: how long Pixels had a working token, and how soon a dead one was noticed and mended. Asks nobody. */
#include "agent/levels.h"
#include "cli/output.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEVELS_BYTES_MAX ((size_t)1 << 30)
#define WORST_MAX 10u
#define SHARE_MAX 32

struct survey {
	struct invocation *inv;
	const struct levels_ask *ask;
	struct levels_period period;
	bool has_period;
	struct levels_sums sums;
	struct buf all; /* struct levels */
};

static void survey_done(struct survey *s)
{
	levels_sums_done(&s->sums);
	buf_done(&s->all);
}

/* The clock that counts is known with the first Pixel. */
static bool take_period(struct survey *s, int64_t now, struct error *err)
{
	s->has_period = true;
	return levels_period(s->ask, now, &s->period, err);
}

static bool add_pixel(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct survey *s = context;
	struct levels l;
	if (!s->has_period && !take_period(s, s->inv->clock, err))
		return false;
	if (!levels_of(c, h, &s->period, &l))
		return true;
	buf_append(&s->all, &l, sizeof l);
	return buf_ok(&s->all, err) && levels_add(&s->sums, &l, &s->period, err);
}

static int by_pixel(const void *a, const void *b)
{
	const struct levels *x = a, *y = b;
	return strcmp(x->pixel, y->pixel);
}

/* What cost most; of equal ones what was longest not known to work. */
static int by_harm(const void *a, const void *b)
{
	const struct levels *x = a, *y = b;
	int64_t p = levels_at_risk_s(x), q = levels_at_risk_s(y);
	if (p == q) {
		p = x->dead_s;
		q = y->dead_s;
	}
	return p != q ? (p < q ? 1 : -1) : by_pixel(a, b);
}

static void print_json(struct invocation *inv, struct survey *s, const struct levels *all, size_t count)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	levels_json_begin(&j, &s->period);
	for (size_t i = 0; i < count; i++)
		levels_json_add(&j, &all[i], &s->period);
	levels_json_end(&j, &s->sums);
	output_json_end(inv, &j);
}

/* ---- for people ---- */

/* Rounded down, so that 100 % means all of it. */
static const char *share(int64_t part, int64_t whole, char text[SHARE_MAX])
{
	int64_t hundredths = whole > 0 ? (int64_t)((__int128)part * 10000 / whole) : 0;
	snprintf(text, SHARE_MAX, "%lld.%02lld %%", (long long)(hundredths / 100), (long long)(hundredths % 100));
	return text;
}

static const char *hours(int64_t seconds, char text[SHARE_MAX])
{
	int64_t tenths = seconds / 360;
	snprintf(text, SHARE_MAX, "%lld.%lld", (long long)(tenths / 10), (long long)(tenths % 10));
	return text;
}

static void print_times(struct invocation *inv, const char *what, const struct levels_times *t)
{
	char mean[CLOCK_TEXT_MAX], most[CLOCK_TEXT_MAX];
	if (t->count)
		buf_printf(&inv->out, LEVELS_TIMES, what, clock_format_span(t->sum_s / (int64_t)t->count, mean),
			   clock_format_span(t->max_s, most), (unsigned long long)t->count);
	else
		buf_printf(&inv->out, LEVELS_NO_TIMES, what);
}

static void print_ages(struct invocation *inv, struct levels_sums *sums)
{
	char median[CLOCK_TEXT_MAX], oldest[CLOCK_TEXT_MAX];
	struct levels_ages ages;
	levels_ages(sums, &ages);
	if (ages.tokens)
		buf_printf(&inv->out, LEVELS_AGES, clock_format_span(ages.median_s, median),
			   clock_format_span(ages.oldest_s, oldest), (unsigned long long)ages.over_90d,
			   (unsigned long long)ages.over_180d, (unsigned long long)ages.over_365d);
}

static void print_sums(struct invocation *inv, struct survey *s)
{
	struct levels_sums *sums = &s->sums;
	int64_t whole = sums->working_s + sums->dead_s + sums->unknown_s;
	char from[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX], a[SHARE_MAX], b[SHARE_MAX];
	if (!sums->pixels) {
		buf_printf(&inv->out, LEVELS_NONE, clock_format(s->period.from, from), clock_format(s->period.until, until));
		return;
	}
	buf_printf(&inv->out, LEVELS_HEAD, clock_format(s->period.from, from), clock_format(s->period.until, until),
		   (unsigned long long)sums->pixels);
	buf_printf(&inv->out, LEVELS_WORKING, share(sums->working_s, whole, a));
	buf_printf(&inv->out, LEVELS_DEAD, share(sums->dead_s, whole, a));
	buf_printf(&inv->out, LEVELS_UNKNOWN, share(sums->unknown_s, whole, a));
	buf_printf(&inv->out, LEVELS_AT_RISK, hours(sums->at_risk_s, a), hours(sums->at_risk_most_s, b));
	buf_printf(&inv->out, LEVELS_INCIDENTS, (unsigned long long)sums->incidents, (unsigned long long)sums->open);
	print_times(inv, LEVELS_DETECT, &sums->detect);
	print_times(inv, LEVELS_REPAIR, &sums->repair);
	print_ages(inv, sums);
	if (sums->cut)
		buf_printf(&inv->out, LEVELS_CUT, (unsigned long long)sums->cut);
	if (sums->clock_unsure)
		buf_printf(&inv->out, LEVELS_CLOCK, (unsigned long long)sums->clock_unsure);
}

static void add_incident(struct table *t, const struct incident *i)
{
	char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX], words[2 * CLOCK_TEXT_MAX + 8];
	if (i->proven_at)
		snprintf(words, sizeof words, "%s .. %s", clock_format(i->proven_at, from), clock_format(i->refused_at, to));
	else
		snprintf(words, sizeof words, LEVELS_BY, clock_format(i->refused_at, to));
	table_cell(t, words, TINT_NONE);
	table_cell(t, clock_format(i->verdict_at, from), TINT_NONE);
	table_cell(t, i->repaired_at ? clock_format(i->repaired_at, to) : LEVELS_NOT_YET, i->repaired_at ? TINT_NONE : TINT_BAD);
}

static void add_row(struct table *t, const struct levels *l, unsigned rank)
{
	char text[SHARE_MAX];
	int64_t whole = l->working_s + l->dead_s + l->unknown_s;
	table_row(t, rank);
	table_cell(t, l->pixel, TINT_NONE);
	table_cell(t, share(l->working_s, whole, text), TINT_NONE);
	table_cell(t, share(l->dead_s, whole, text), l->dead_s ? TINT_BAD : TINT_NONE);
	table_cell(t, hours(levels_at_risk_s(l), text), TINT_NONE);
	snprintf(text, sizeof text, "%zu", l->incident_count);
	table_cell(t, text, TINT_NONE);
	if (l->incident_count)
		add_incident(t, &l->incidents[l->incident_count - 1]);
}

/* Those that had an incident; where somebody names a few Pixels, each of them. */
static bool print_worst(struct invocation *inv, struct levels *all, size_t count, struct error *err)
{
	static const char *const headings[] = { "PIXEL", "WORKING", "DEAD", "AT RISK", "INCIDENTS", "LAST BROKE", "FOUND", "MENDED" };
	bool shows_all = inv->arg_count && count <= WORST_MAX;
	size_t shown = 0;
	int64_t rest_s = 0;
	char text[SHARE_MAX];
	struct table t;
	table_init(&t, headings, COUNT_OF(headings));
	if (count)
		qsort(all, count, sizeof *all, by_harm);
	for (size_t i = 0; i < count; i++)
		if (shown < WORST_MAX && (shows_all || all[i].dead_s || all[i].incident_count)) {
			add_row(&t, &all[i], (unsigned)shown++);
		} else {
			rest_s += levels_at_risk_s(&all[i]);
		}
	if (shown)
		buf_append_text(&inv->out, "\n");
	bool is_done = buf_ok(&t.cells, err) &&
		       (!shown || table_print(&t, term_wants_colour(inv->globals.colour, STDOUT_FILENO),
					      term_width(STDOUT_FILENO), &inv->out, err));
	table_done(&t);
	if (shown && count > shown)
		buf_printf(&inv->out, LEVELS_REST, count - shown, hours(rest_s, text));
	return is_done;
}

bool cmd_levels(struct invocation *inv, struct error *err)
{
	const struct given *since = option_find(inv, "since"), *until = option_find(inv, "until");
	struct levels_ask ask = { .since = since ? levels_said(since->number) : 0,
				  .until = until ? levels_said(until->number) : 0,
				  .month = option_text(inv, "month") };
	scoped(survey_done) struct survey s = {
		.inv = inv, .ask = &ask, .sums = LEVELS_SUMS_INIT, .all = BUF_INIT(LEVELS_BYTES_MAX)
	};
	struct selection which;
	if (!select_read(inv, &which, err) || !select_each(inv, &which, true, add_pixel, &s, err))
		return false;
	if (!s.has_period && !take_period(&s, inv->clock ? inv->clock : clock_wall(), err))
		return false;
	struct levels *all = (struct levels *)(void *)s.all.at;
	size_t count = s.all.len / sizeof *all;
	if (count)
		qsort(all, count, sizeof *all, by_pixel);
	if (inv->globals.json) {
		print_json(inv, &s, all, count);
		return true;
	}
	print_sums(inv, &s);
	return inv->globals.quiet || print_worst(inv, all, count, err);
}
