#include "agent/page.h"

#include "agent/page_text.h"
#include "agent/problem.h"
#include "core/clock.h"
#include "core/utf8.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define DAY_S 86400
#define STRIP_DAYS 30
#define STRIP_UNITS 360 /* wide */
#define STRIP_SLOTS (HEALTH_HISTORY_MAX + 1)

static const struct {
	const char *letter, *shape, *name;
} states[PAGE_STATES] = {
	[PAGE_BAD] = { "b", "\xe2\x9c\x95", "refused" },
	[PAGE_WATCH] = { "t", "\xe2\x96\xb2", "to look at" },
	[PAGE_UNPROVEN] = { "u", "\xe2\x97\x8b", "not proven" },
	[PAGE_GOOD] = { "g", "\xe2\x97\x8f", "healthy" },
};

enum page_state page_state_of(enum gravity gravity)
{
	switch (gravity) {
	case GRAVITY_BAD:
		return PAGE_BAD;
	case GRAVITY_UNCHECKED:
	case GRAVITY_UNPROVEN:
		return PAGE_UNPROVEN;
	case GRAVITY_HEALTHY:
		return PAGE_GOOD;
	default:
		return PAGE_WATCH;
	}
}

void page_count(struct page_counts *counts, const struct status_row *row)
{
	enum page_state state = page_state_of(gravity_of(row));
	counts->states[state]++;
	counts->lists[state] += name_is_list(row->credential->pixel);
}

static size_t total(const size_t counted[PAGE_STATES])
{
	size_t sum = 0;
	for (size_t i = 0; i < PAGE_STATES; i++)
		sum += counted[i];
	return sum;
}

static size_t in_need(const size_t counted[PAGE_STATES])
{
	return counted[PAGE_BAD] + counted[PAGE_WATCH];
}

/* ---- text ---- */

static const char *entity(uint32_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return utf8_is_harmful(c) ? "\xef\xbf\xbd" : NULL;
	}
}

/* Fit for an element and for an attribute in quotes. */
static void add_text(struct buf *out, const char *text)
{
	struct bytes rest = bytes_of_text(text);
	while (rest.len) {
		struct bytes before = rest;
		uint32_t c = 0;
		if (!utf8_take(&rest, &c))
			rest = bytes_of(rest.at + 1, rest.len - 1);
		const char *instead = entity(c);
		if (instead)
			buf_append_text(out, instead);
		else
			buf_append(out, before.at, before.len - rest.len);
	}
}

static void add_hash(struct buf *out, const char *text)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char coded[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_ORIGINAL)];
	crypto_hash_sha256(hash, (const uint8_t *)text, strlen(text));
	sodium_bin2base64(coded, sizeof coded, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL);
	buf_printf(out, " 'sha256-%s'", coded);
}

static void add_head(struct buf *out, bool is_loader)
{
	buf_append_text(out, "<!doctype html>\n" PAGE_HEAD
			     "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src");
	add_hash(out, PAGE_STYLE);
	buf_append_text(out, "; script-src");
	add_hash(out, PAGE_SCRIPT);
	/* What the loader writes into its place is bound by the loader's rules as well. */
	if (is_loader) {
		add_hash(out, LOADER_SCRIPT);
		buf_append_text(out, "; connect-src 'self'");
	}
	buf_append_text(out, "; base-uri 'none'; form-action 'none'\">\n<style>" PAGE_STYLE "</style>\n");
}

/* ---- the strip ---- */

struct stretch {
	int64_t from, to;
	enum verdict verdict;
};

/* What was held true when, within the days of the strip; nothing is said of the time before what is remembered. */
static size_t find_stretches(const struct health *h, int64_t now, struct stretch ret[STRIP_SLOTS])
{
	int64_t begin = now - STRIP_DAYS * (int64_t)DAY_S;
	size_t count = 0;
	for (size_t i = 0; i < h->history_count; i++) {
		int64_t from = h->history[i].at > begin ? h->history[i].at : begin;
		int64_t to = i + 1 < h->history_count ? h->history[i + 1].at : now;
		if (to > now)
			to = now;
		if (to > from)
			ret[count++] = (struct stretch){ .from = from, .to = to, .verdict = h->history[i].verdict };
	}
	return count;
}

static enum page_state strip_state(enum verdict v)
{
	return verdict_is_bad(v) ? PAGE_BAD : v == VERDICT_HEALTHY ? PAGE_GOOD : PAGE_UNPROVEN;
}

static void add_bars(struct buf *out, const struct stretch *stretches, size_t count, enum page_state state, int64_t now)
{
	static const int heights[PAGE_STATES] = { [PAGE_BAD] = 3, [PAGE_UNPROVEN] = 7, [PAGE_GOOD] = 12 };
	int64_t begin = now - STRIP_DAYS * (int64_t)DAY_S;
	bool has_any = false;
	for (size_t i = 0; i < count; i++) {
		if (strip_state(stretches[i].verdict) != state)
			continue;
		int64_t x = (stretches[i].from - begin) * STRIP_UNITS / (STRIP_DAYS * (int64_t)DAY_S);
		int64_t end = (stretches[i].to - begin) * STRIP_UNITS / (STRIP_DAYS * (int64_t)DAY_S);
		int64_t width = end > x ? end - x : 1;
		if (!has_any)
			buf_printf(out, "<path class=%s d=\"", states[state].letter);
		buf_printf(out, "M%d %dh%dV12h-%dz", (int)x, 12 - heights[state], (int)width, (int)width);
		has_any = true;
	}
	if (has_any)
		buf_append_text(out, "\"/>");
}

/* The same for who does not see it. */
static void add_strip_words(struct buf *out, const struct stretch *stretches, size_t count)
{
	char span[CLOCK_TEXT_MAX];
	buf_append_text(out, "Last 30 days:");
	if (!count)
		buf_append_text(out, " nothing known");
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s %s for %s", i ? "," : "", verdict_name(stretches[i].verdict),
			   clock_format_span(stretches[i].to - stretches[i].from, span));
}

static void add_strip(struct buf *out, const struct health *h, int64_t now)
{
	struct stretch stretches[STRIP_SLOTS];
	size_t count = find_stretches(h, now, stretches);
	buf_printf(out, "<svg viewBox=\"0 0 %d 12\" preserveAspectRatio=none role=img aria-label=\"", STRIP_UNITS);
	add_strip_words(out, stretches, count);
	buf_append_text(out, "\">");
	for (enum page_state s = 0; s < PAGE_STATES; s++)
		if (s != PAGE_WATCH)
			add_bars(out, stretches, count, s, now);
	buf_append_text(out, "</svg>");
}

/* ---- a row ---- */

static void add_labels(struct buf *out, const struct credential *c)
{
	if (!c->label_count)
		return;
	buf_append_text(out, "<span class=l>");
	for (size_t i = 0; i < c->label_count; i++) {
		buf_append_text(out, i ? " <bdi>" : "<bdi>");
		add_text(out, c->labels[i].key);
		buf_append_text(out, "=");
		add_text(out, c->labels[i].value);
		buf_append_text(out, "</bdi>");
	}
	buf_append_text(out, "</span>");
}

static void add_when(struct buf *out, const struct status_row *row, int64_t now)
{
	const struct judgement *j = row->speaking;
	const struct version *v = problem_version(row->credential);
	char text[CLOCK_TEXT_MAX + 8];
	buf_append_text(out, "<span class=w>");
	if (j && j->proven_at)
		buf_printf(out, "proven %s", problem_ago(j->proven_at, now, text, sizeof text));
	else
		buf_append_text(out, "never proven");
	if (v && version_ends_at(v))
		buf_printf(out, ", %s %s", version_ends_at(v) > now ? "ends" : "ended",
			   problem_ago(version_ends_at(v), now, text, sizeof text));
	buf_append_text(out, "</span>");
}

static void add_summary(struct buf *out, const struct status_row *row, enum page_state state, int64_t now)
{
	char words[128];
	problem_words(row, words, sizeof words);
	buf_printf(out, "<details class=%s><summary><b>%s ", states[state].letter, states[state].shape);
	add_text(out, words);
	buf_append_text(out, "</b> <code>");
	add_text(out, row->credential->pixel);
	buf_append_text(out, "</code> ");
	add_strip(out, row->health, now);
	add_when(out, row, now);
	add_labels(out, row->credential);
	if (row->advice[0]) {
		buf_append_text(out, "<span class=a>");
		add_text(out, row->advice);
		buf_append_text(out, "</span>");
	}
	buf_append_text(out, "</summary><dl>");
}

static void add_fact(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "<dt>%s<dd>", name);
	add_text(out, text);
}

static void add_moment(struct buf *out, const char *name, int64_t at)
{
	char text[CLOCK_TEXT_MAX];
	if (at)
		add_fact(out, name, clock_format(at, text));
}

static void add_evidence(struct buf *out, const struct judgement *j)
{
	char text[64], at[CLOCK_TEXT_MAX];
	add_fact(out, "Evidence", problem_evidence(j, text, sizeof text));
	if (j->evidence.text[0]) {
		buf_append_text(out, ": ");
		add_text(out, j->evidence.text);
	}
	if (j->evidence.at)
		buf_printf(out, ", %s", clock_format(j->evidence.at, at));
	if (j->evidence.request_id[0]) {
		buf_append_text(out, ", request ");
		add_text(out, j->evidence.request_id);
	}
}

static void add_judgement(struct buf *out, const struct judgement *j)
{
	if (j->evidence.at)
		add_evidence(out, j);
	add_moment(out, "Last proven", j->proven_at);
	add_moment(out, "Last checked", j->checked_at);
	if (verdict_is_transient(j->last_outcome)) {
		add_fact(out, "Last attempt", verdict_name(j->last_outcome));
		buf_append_text(out, j->attempt_text[0] ? ": " : "");
		add_text(out, j->attempt_text);
	}
}

static void add_version(struct buf *out, const struct credential *c, enum stage stage)
{
	const struct version *v = credential_staged(c, stage);
	char text[FINGERPRINT_TEXT_MAX], at[CLOCK_TEXT_MAX];
	if (!v)
		return;
	buf_printf(out, "<dt>Token, %s<dd>v%u", stage_name(stage), v->number);
	if (version_has_token(v))
		buf_printf(out, ", %s", fingerprint_text(v->fingerprint, text));
	buf_printf(out, ", stored %s", clock_format(v->stored_at, at));
	if (version_ends_at(v))
		buf_printf(out, ", ends %s", clock_format(version_ends_at(v), at));
}

static void add_history(struct buf *out, const struct health *h)
{
	char at[CLOCK_TEXT_MAX];
	for (size_t i = h->history_count; i > 0; i--) {
		const struct health_change *change = &h->history[i - 1];
		buf_printf(out, "%s%s %s", i == h->history_count ? "<dt>History<dd>" : "<br>",
			   clock_format(change->at, at), verdict_name(change->verdict));
		if (change->code != NO_CODE && change->code != 0)
			buf_printf(out, " (%d)", (int)change->code);
	}
}

void page_row(struct buf *out, const struct status_row *row, int64_t now)
{
	static const enum stage stages[] = { STAGE_CURRENT, STAGE_PENDING, STAGE_STANDBY, STAGE_PREVIOUS };
	bool is_bad_weight;
	add_summary(out, row, page_state_of(gravity_of(row)), now);
	if (name_is_list(row->credential->pixel))
		add_fact(out, "Listing token",
			 list_is_center(row->credential->pixel) ? "reads the Pixels of a Business Center"
								: "reads the Pixels of an ad account");
	if (row->speaking)
		add_judgement(out, row->speaking);
	add_moment(out, "Next check", row->next_check_at);
	for (size_t i = 0; i < COUNT_OF(stages); i++)
		add_version(out, row->credential, stages[i]);
	add_history(out, row->health);
	(void)gravity_weight(row->credential, &is_bad_weight);
	if (is_bad_weight)
		add_fact(out, "Weight", "the label weight is no number from 0 to 1000000: it counts as 1");
	buf_append_text(out, "</dl></details>\n");
}

/* ---- the page ---- */

static void add_choice(struct buf *out, const char *letter, const char *shape, const char *name, size_t count)
{
	buf_printf(out, "<label><input type=radio name=s value=\"%s\"%s> %s %s (%zu)</label>\n", letter,
		   letter[0] ? "" : " checked", shape, name, count);
}

static void add_filter(struct buf *out, const struct page_counts *counts)
{
	buf_append_text(out, PAGE_FILTER);
	add_choice(out, "", "", "all", total(counts->states));
	for (size_t i = 0; i < PAGE_STATES; i++)
		add_choice(out, states[i].letter, states[i].shape, states[i].name, counts->states[i]);
	buf_append_text(out, "</fieldset></div>\n<p id=n role=status></p>\n");
}

/* "1 of 2 Pixels and 0 of 1 listing token need you" */
static void add_need(struct buf *out, const struct page_counts *counts)
{
	size_t need = in_need(counts->states), lists = total(counts->lists), pixels = total(counts->states) - lists;
	buf_printf(out, "%zu of %zu Pixel%s", need - in_need(counts->lists), pixels, pixels == 1 ? "" : "s");
	if (lists)
		buf_printf(out, " and %zu of %zu listing token%s", in_need(counts->lists), lists,
			   lists == 1 ? "" : "s");
	buf_printf(out, " need%s you", need == 1 && !lists ? "s" : "");
}

void page_begin(struct buf *out, const struct page_counts *counts, int64_t now)
{
	char at[CLOCK_TEXT_MAX];
	size_t all = total(counts->states);
	clock_format(now, at);
	add_head(out, false);
	buf_append_text(out, "<title>");
	add_need(out, counts);
	buf_append_text(out, " - pixelvault</title></head>\n<body><header><h1>pixelvault: ");
	add_need(out, counts);
	buf_append_text(out, "</h1>\n<p>");
	for (size_t i = 0; i < PAGE_STATES; i++)
		buf_printf(out, "%s%s&nbsp;%zu&nbsp;%s", i ? ", " : "", states[i].shape, counts->states[i],
			   states[i].name);
	buf_printf(out, ".</p>\n<p>As of <time id=m datetime=\"%s\">%s</time>. <span id=o role=status></span></p>\n",
		   at, at);
	buf_append_text(out, all ? PAGE_LEGEND : PAGE_NONE);
	add_filter(out, counts);
	buf_append_text(out, "</header>\n<main id=r aria-label=Pixels>\n");
}

void page_fold(struct buf *out, size_t i)
{
	if (i == PAGE_ROWS_SHOWN)
		buf_append_text(out, PAGE_FOLD);
}

void page_end(struct buf *out, size_t rows)
{
	buf_append_text(out, rows > PAGE_ROWS_SHOWN ? "</script>\n" : "</main>\n");
	buf_append_text(out, "<script>" PAGE_SCRIPT "</script></body></html>\n");
}

void page_loader(struct buf *out)
{
	add_head(out, true);
	buf_append_text(out, LOADER_BODY LOADER_SCRIPT "</script></body></html>\n");
}
