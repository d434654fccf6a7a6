/* plan: what will be asked when, and what that costs of the budget. Asks nobody. */
#include "cli/output.h"
#include "cli/select.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY INT64_C(86400)

static int64_t member_time(struct bytes object, const char *key)
{
	char text[CLOCK_TEXT_MAX];
	struct error unused;
	int64_t at = 0;
	member_text(object, key, text, sizeof text);
	return text[0] && clock_parse(text, &at, &unused) ? at : 0;
}

/* ---- a row for each Pixel, in the order of time ---- */

static const char *why_words(const char *why)
{
	static const struct {
		const char *name, *words;
	} all[] = { { "interval", PLAN_INTERVAL },
		    { "first", PLAN_FIRST },
		    { "second-look", PLAN_SECOND_LOOK },
		    { "retry", PLAN_RETRY },
		    { "expiry", PLAN_EXPIRY } };
	for (size_t i = 0; i < COUNT_OF(all); i++)
		if (strcmp(all[i].name, why) == 0)
			return all[i].words;
	return PLAN_NO_PROBE;
}

static void add_time(struct table *table, int64_t at, int64_t now)
{
	char text[CLOCK_TEXT_MAX], span[CLOCK_TEXT_MAX], words[2 * CLOCK_TEXT_MAX + 16];
	if (!at)
		snprintf(words, sizeof words, "-");
	else if (at <= now)
		snprintf(words, sizeof words, "now");
	else
		snprintf(words, sizeof words, "%s (in %s)", clock_format(at, text), clock_format_span(at - now, span));
	table_cell(table, words, at && at <= now ? TINT_WARN : TINT_NONE);
}

static void add_row(struct table *table, struct bytes row, int64_t now, unsigned rank)
{
	char pixel[PIXEL_CODE_MAX + 1], why[16], text[24];
	member_text(row, "pixel", pixel, sizeof pixel);
	member_text(row, "why", why, sizeof why);
	table_row(table, rank);
	add_time(table, member_time(row, "at"), now);
	table_cell(table, pixel, TINT_NONE);
	table_cell(table, why_words(why), strcmp(why, "second-look") == 0 ? TINT_WARN : TINT_NONE);
	snprintf(text, sizeof text, "%lld", (long long)member_int(row, "questions"));
	table_cell(table, text, TINT_NONE);
	add_time(table, member_time(row, "renewal_at"), now);
}

static bool print_rows(struct invocation *inv, struct bytes object, struct error *err)
{
	static const char *const headings[] = { "NEXT", "PIXEL", "WHY", "QUESTIONS", "RENEWAL" };
	unsigned width = term_width(STDOUT_FILENO), rank = 0;
	struct bytes rows, row;
	struct table table;
	int64_t now = member_time(object, "from");
	table_init(&table, width ? headings : NULL, COUNT_OF(headings));
	if (json_find_raw(object, "pixels", &rows))
		while (member_next(&rows, &row))
			add_row(&table, row, now, rank++);
	bool is_done = buf_ok(&table.cells, err) &&
		       (!table.count || table_print(&table, term_wants_colour(inv->globals.colour, STDOUT_FILENO),
						    width, &inv->out, err));
	table_done(&table);
	return is_done;
}

/* ---- what it comes to ---- */

static void print_peak(struct invocation *inv, struct bytes object)
{
	struct bytes peak;
	char from[CLOCK_TEXT_MAX], span[CLOCK_TEXT_MAX];
	if (!json_find_raw(object, "peak_hour", &peak) || !member_int(peak, "questions"))
		return;
	member_text(peak, "from", from, sizeof from);
	buf_printf(&inv->out, PLAN_PEAK, from, (long long)member_int(peak, "questions"),
		   clock_format_span(member_int(peak, "takes_s"), span));
}

static void print_breaker(struct invocation *inv, struct bytes object)
{
	struct bytes breaker;
	char until[CLOCK_TEXT_MAX];
	if (!json_find_raw(object, "breaker", &breaker))
		return;
	member_text(breaker, "open_until", until, sizeof until);
	if (until[0])
		buf_printf(&inv->out, PLAN_BREAKER_OPEN, until, (long long)member_int(breaker, "throttles"));
	else
		buf_append_text(&inv->out, PLAN_BREAKER_CLOSED);
}

static void print_sums(struct invocation *inv, struct bytes object, int64_t span_s)
{
	char span[CLOCK_TEXT_MAX], delay[CLOCK_TEXT_MAX], interval[CLOCK_TEXT_MAX], canary[PIXEL_CODE_MAX + 1];
	long long rate = (long long)member_int(object, "rate"), day = (long long)member_int(object, "first_day");
	member_text(object, "canary", canary, sizeof canary);
	buf_printf(&inv->out, PLAN_TOTAL, clock_format_span(span_s, span), (long long)member_int(object, "questions"),
		   (long long)member_int(object, "probes"), (long long)member_int(object, "renewals"));
	if (span_s >= DAY)
		buf_printf(&inv->out, PLAN_DAY, day, rate * DAY, (double)day * 100 / (double)(rate * DAY));
	print_peak(inv, object);
	buf_printf(&inv->out, PLAN_LIMITS, rate, (long long)member_int(object, "in_flight"),
		   clock_format_span(member_int(object, "interval_s"), interval));
	buf_printf(&inv->out, PLAN_CONFIRM, (long long)member_int(object, "second_looks"),
		   clock_format_span(member_int(object, "confirm_delay_s"), delay));
	if (canary[0])
		buf_printf(&inv->out, PLAN_CANARY, canary);
	print_breaker(inv, object);
}

bool cmd_plan(struct invocation *inv, struct error *err)
{
	const struct given *span = option_find(inv, "for");
	scoped(buf_done) struct buf object = BUF_INIT(SOURCE_PLAN_BYTES_MAX);
	struct selection which;
	if (!select_read(inv, &which, err))
		return false;
	struct plan_request request = { .pixels = which.pixels,
					.pixel_count = which.pixel_count,
					.labels = which.labels,
					.label_count = which.label_count,
					.span_s = span ? span->number : FORECAST_SPAN_S };
	if (request.span_s < 1 || request.span_s > FORECAST_SPAN_MAX_S)
		return fail(err, ERR_USAGE, TXT_PLAN_SPAN);
	if (!source_plan(inv, &request, &object, err))
		return false;
	if (inv->globals.json) {
		buf_append(&inv->out, object.at, object.len);
		return true;
	}
	if (!inv->globals.quiet && !print_rows(inv, buf_bytes(&object), err))
		return false;
	print_sums(inv, buf_bytes(&object), request.span_s);
	return true;
}
