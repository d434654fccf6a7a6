#include "agent/alert.h"

#include "agent/alert_own.h"
#include "agent/gravity.h"

#include <stdio.h>
#include <stdlib.h>

#define MINUTE 60
#define HOUR 3600
#define GROWTH_FIRST_S (5 * MINUTE)
#define GROWTH_MOST_S HOUR
#define HOLD_FIRST_S (10 * MINUTE)
#define HOLD_MOST_S (6 * HOUR)
#define RETRY_FIRST_S MINUTE
#define RETRY_MOST_S HOUR

bool alerts_new(struct alerts **ret, struct error *err)
{
	struct alerts *a = calloc(1, sizeof *a);
	if (a)
		a->causes = calloc(ALERT_CAUSES_ROOM, sizeof *a->causes);
	if (!a || !a->causes) {
		free(a);
		return fail_no_memory(err);
	}
	*ret = a;
	return true;
}

void alerts_free(struct alerts *a)
{
	if (!a)
		return;
	look_free(a->look);
	free(a->causes);
	free(a->members);
	free(a);
}

void alerts_freep(struct alerts **a)
{
	alerts_free(*a);
	*a = NULL;
}

/* ---- sinks ---- */

static bool fits(const struct alert_line *line, const struct cause *c)
{
	return !line->is_absent && alert_severity_of(c->kind, c->step) >= line->sink.least;
}

static bool is_referred_to(const struct alerts *a, size_t line)
{
	for (size_t i = 0; i < a->cause_count; i++)
		if (a->causes[i].slots[line].was_told || a->causes[i].slots[line].is_owed)
			return true;
	return false;
}

static size_t line_named(const struct alert_line *lines, size_t count, const char *name)
{
	size_t i = 0;
	while (i < count && strcmp(lines[i].sink.name, name) != 0)
		i++;
	return i;
}

static void move_slots(struct alerts *a, const size_t *was)
{
	for (size_t c = 0; c < a->cause_count; c++) {
		struct alert_slot slots[ALERT_SINKS_MAX];
		memcpy(slots, a->causes[c].slots, sizeof slots);
		memset(a->causes[c].slots, 0, sizeof slots);
		for (size_t i = 0; i < a->line_count; i++)
			if (was[i] < ALERT_SINKS_MAX)
				a->causes[c].slots[i] = slots[was[i]];
	}
}

void alerts_set_sinks(struct alerts *a, const struct alert_sink *sinks, size_t count)
{
	struct alert_line lines[ALERT_SINKS_MAX] = { { .tries = 0 } };
	size_t was[ALERT_SINKS_MAX], total = count < ALERT_SINKS_MAX ? count : ALERT_SINKS_MAX;
	for (size_t i = 0; i < total; i++) {
		size_t before = line_named(a->lines, a->line_count, sinks[i].name);
		bool is_known = before < a->line_count;
		was[i] = is_known ? before : ALERT_SINKS_MAX;
		if (is_known)
			lines[i] = a->lines[before];
		lines[i].sink = sinks[i];
		lines[i].is_busy = lines[i].is_absent = false;
	}
	/* Another program of this vault may read another configuration: what it owes is not ours to forget. */
	for (size_t i = 0; i < a->line_count && total < ALERT_SINKS_MAX; i++) {
		if (line_named(lines, total, a->lines[i].sink.name) < total || !is_referred_to(a, i))
			continue;
		lines[total] = a->lines[i];
		lines[total].is_absent = true;
		was[total++] = i;
	}
	memcpy(a->lines, lines, sizeof lines);
	a->line_count = total;
	move_slots(a, was);
}

/* ---- members ---- */

static int by_pixel(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int order = strcmp(x->pixel, y->pixel);
	return order ? order : x->cause < y->cause ? -1 : x->cause > y->cause;
}

/* The first of the members with this code, or where it would stand. */
static size_t first_member(const struct alerts *a, const char *pixel)
{
	size_t low = 0, high = a->member_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(a->members[middle].pixel, pixel) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_member(const struct alerts *a, size_t i, size_t end, const char *pixel)
{
	return i < end && strcmp(a->members[i].pixel, pixel) == 0;
}

/* That an older token stands in is over when another one serves, not when the record of the dead one is gone. */
static enum alert_kind kind_of(const struct member *m, const struct cause *c, const struct alert_fact *f)
{
	bool stays = c->kind == ALERT_KIND_STAND_IN && m->is_bad && m->version == f->version &&
		     (f->kind == ALERT_KIND_NONE || f->kind == ALERT_KIND_DUE);
	return stays ? ALERT_KIND_STAND_IN : f->kind;
}

bool alerts_is_news(const struct alerts *a, const struct alert_fact *f)
{
	bool is_held = f->kind == ALERT_KIND_NONE;
	for (size_t i = first_member(a, f->pixel); is_member(a, i, a->member_count, f->pixel); i++) {
		const struct member *m = &a->members[i];
		const struct cause *c = &a->causes[m->cause];
		if (m->is_bad && !cause_matches(c, kind_of(m, c, f), f->step))
			return true;
		is_held = is_held || m->is_bad;
	}
	return !is_held;
}

bool alerts_is_quiet(const struct alerts *a)
{
	for (size_t i = 0; i < a->cause_count; i++)
		if (!a->causes[i].ended_at)
			return false;
	return true;
}

/* ---- a look ---- */

void alerts_drop(struct alerts *a)
{
	look_free(a->look);
	a->look = NULL;
}

bool alerts_begin(struct alerts *a, struct error *err)
{
	alerts_drop(a);
	a->look = calloc(1, sizeof *a->look);
	if (!a->look)
		return fail_no_memory(err);
	for (size_t i = 0; i < a->member_count; i++)
		a->members[i].is_seen = false;
	return true;
}

/* It is in that trouble no longer: is it well, or did it only become worse? */
static void leave(struct cause *c, struct member *m, enum alert_kind now, int64_t step)
{
	bool is_worse = now != ALERT_KIND_NONE && alert_severity_of(now, step) >= alert_severity_of(c->kind, c->step);
	m->is_bad = false;
	c->has_recovered = c->has_recovered || !is_worse;
}

/* Of two causes that a Pixel belongs to, or did: the open one counts, else the one that ended last. */
static bool is_rather(const struct cause *a, const struct cause *b)
{
	return !a->ended_at || (b->ended_at && a->ended_at >= b->ended_at);
}

/* What is remembered of the Pixel, beside what is true now. */
static void compare(struct alerts *a, const struct alert_fact *fact, struct found *f)
{
	for (size_t i = first_member(a, fact->pixel); is_member(a, i, a->member_count, fact->pixel); i++) {
		struct member *m = &a->members[i];
		struct cause *c = &a->causes[m->cause];
		enum alert_kind kind = kind_of(m, c, fact);
		m->is_seen = true;
		m->weight = fact->weight;
		if (!cause_matches(c, kind, fact->step)) {
			if (m->is_bad)
				leave(c, m, kind, fact->step);
			continue;
		}
		bool is_taken = f->cause != NO_CAUSE && is_rather(&a->causes[f->cause], c);
		if (is_taken)
			continue;
		f->kind = kind;
		f->cause = m->cause;
		f->member = i;
		f->is_fresh = c->ended_at != 0;
		if (!c->ended_at && !m->is_bad) {
			m->is_bad = true;
			m->since = fact->since;
		}
	}
}

/* Lists have names of their own, and no Pixel code begins with a star. */
static bool is_pixel(const char *name)
{
	return name[0] != '*' && !name_is_list(name);
}

bool alerts_note(struct alerts *a, const struct alert_fact *fact, struct error *err)
{
	struct look *l = a->look;
	struct found f = { .kind = fact->kind,
			   .verdict = fact->verdict,
			   .step = fact->step,
			   .since = fact->since,
			   .version = fact->version,
			   .weight = fact->weight,
			   .cause = NO_CAUSE,
			   .is_fresh = true };
	text_copy(f.pixel, sizeof f.pixel, fact->pixel);
	l->pixels += is_pixel(fact->pixel);
	compare(a, fact, &f);
	bool is_in_trouble = f.kind != ALERT_KIND_NONE;
	return look_add_labels(l, fact, is_in_trouble, &f.labels_at, &f.label_count, err) &&
	       (!is_in_trouble || look_add_found(l, &f, err));
}

static bool note_starred(struct alerts *a, const char *star, enum alert_kind kind, int64_t since, struct error *err)
{
	struct alert_fact fact = { .pixel = star, .kind = kind, .since = since, .weight = WEIGHT_ONE };
	return alerts_note(a, &fact, err);
}

bool alerts_note_general(struct alerts *a, enum alert_kind kind, int64_t since, struct error *err)
{
	return note_starred(a, kind == ALERT_KIND_CLOCK ? ALERT_PIXEL_CLOCK : ALERT_PIXEL_BLIND, kind, since, err);
}

bool alerts_note_unreadable(struct alerts *a, int64_t since, struct error *err)
{
	a->look->is_incomplete = true;
	return note_starred(a, ALERT_PIXEL_UNREADABLE, ALERT_KIND_DAMAGED, since, err);
}

/* Removed meanwhile. */
static void leave_unseen(struct alerts *a)
{
	for (size_t i = 0; i < a->member_count; i++) {
		struct member *m = &a->members[i];
		bool may_be_unread = a->look->is_incomplete && m->pixel[0] != '*';
		if (m->is_bad && !m->is_seen && !may_be_unread)
			leave(&a->causes[m->cause], m, ALERT_KIND_NONE, 0);
	}
}

static void count_members(struct alerts *a)
{
	for (size_t i = 0; i < a->cause_count; i++)
		a->causes[i].bad = a->causes[i].ever = 0;
	for (size_t i = 0; i < a->member_count; i++) {
		struct cause *c = &a->causes[a->members[i].cause];
		c->ever++;
		c->bad += a->members[i].is_bad;
	}
}

static void count_risk(struct alerts *a, int64_t now)
{
	const struct look *l = a->look;
	a->at_risk = 0;
	for (size_t i = 0; i < l->found_count; i++) {
		const struct found *f = &l->found[i];
		bool is_lost = f->kind == ALERT_KIND_REFUSED || f->kind == ALERT_KIND_DAMAGED;
		if (is_lost && now > f->since)
			a->at_risk += (double)f->weight / WEIGHT_ONE * (double)(now - f->since) / HOUR;
	}
}

static bool is_any_news(const struct alerts *a)
{
	for (size_t i = 0; i < a->look->found_count; i++)
		if (a->look->found[i].is_fresh)
			return true;
	return false;
}

bool alerts_end(struct alerts *a, alert_draw_fn *draw, int64_t now, bool *ret_changed, struct error *err)
{
	size_t bad_before = 0, bad_after = 0;
	leave_unseen(a);
	for (size_t i = 0; i < a->cause_count; i++)
		bad_before += a->causes[i].bad;
	bool has_news = is_any_news(a);
	bool is_done = alerts_group(a, draw, now, err);
	count_risk(a, now);
	alerts_drop(a);
	if (a->member_count)
		qsort(a->members, a->member_count, sizeof *a->members, by_pixel);
	count_members(a);
	for (size_t i = 0; i < a->cause_count; i++)
		bad_after += a->causes[i].bad;
	a->looked_at = now;
	bool has_ticked = alerts_tick(a, now);
	*ret_changed = has_news || has_ticked || bad_before != bad_after;
	return is_done;
}

/* ---- what is to be told ---- */

static int64_t doubled(int64_t first, uint32_t times, int64_t most)
{
	int64_t ret = first;
	while (times-- && ret < most)
		ret *= 2;
	return ret < most ? ret : most;
}

static int64_t growth_gap(const struct cause *c)
{
	return doubled(GROWTH_FIRST_S, c->releases ? c->releases - 1 : 0, GROWTH_MOST_S);
}

static int64_t hold_of(const struct cause *c)
{
	return c->again ? doubled(HOLD_FIRST_S, c->again - 1, HOLD_MOST_S) : 0;
}

bool cause_is_acked(const struct cause *c, int64_t now)
{
	bool ends = c->acked_until != INT64_MAX, was_ahead = c->acked_at - now > CLOCK_SLACK_S;
	return c->acked_at && now < c->acked_until && !(ends && was_ahead);
}

static void owe(struct cause *c, size_t line, enum alert_event event)
{
	c->slots[line].is_owed = true;
	c->slots[line].owed = event;
	c->slots[line].number = c->number;
}

static void release_alert(struct alerts *a, struct cause *c, int64_t now)
{
	c->number++;
	c->added = c->bad > c->told_count ? c->bad - c->told_count : 0;
	c->told_count = c->bad;
	c->released_at = now;
	if (c->grown_at > now)
		c->grown_at = now;
	c->releases++;
	for (size_t i = 0; i < a->line_count; i++)
		if (fits(&a->lines[i], c))
			owe(c, i, ALERT_RAISED);
}

/* Those who were told, or were to be, that something is wrong. All of it only became worse: another cause tells that.
 */
static void end_cause(struct alerts *a, struct cause *c, int64_t now)
{
	c->ended_at = now;
	c->acked_at = c->acked_until = 0;
	c->number++;
	for (size_t i = 0; i < a->line_count; i++) {
		struct alert_slot *slot = &c->slots[i];
		bool believes_bad = slot->is_owed || (slot->was_told && slot->told != ALERT_RECOVERY);
		if (c->has_recovered && believes_bad)
			owe(c, i, ALERT_RECOVERY);
		else
			slot->is_owed = false;
	}
}

static bool tick_well(struct alerts *a, struct cause *c, int64_t now)
{
	bool is_new = !c->well_at;
	if (is_new)
		c->well_at = now;
	if (!is_over(c->well_at, hold_of(c), now))
		return is_new;
	end_cause(a, c, now);
	return true;
}

static bool remind(struct alerts *a, struct cause *c, int64_t now)
{
	bool is_any = false;
	for (size_t i = 0; i < a->line_count; i++) {
		struct alert_slot *slot = &c->slots[i];
		int64_t every_s = a->lines[i].sink.remind_s;
		if (slot->is_owed || !fits(&a->lines[i], c))
			continue;
		/* A sink that is new here is told what stands. */
		bool is_new = !slot->was_told, is_due = !is_new && every_s && is_over(slot->told_at, every_s, now);
		if (!is_new && !is_due)
			continue;
		if (!is_any)
			c->number++;
		owe(c, i, is_new ? ALERT_RAISED : ALERT_REMINDER);
		is_any = true;
	}
	return is_any;
}

static bool tick_bad(struct alerts *a, struct cause *c, int64_t now)
{
	bool was_well = c->well_at != 0, was_acked = c->acked_at && !cause_is_acked(c, now);
	c->well_at = 0;
	c->has_recovered = c->has_recovered && !was_well;
	if (was_acked)
		c->acked_at = c->acked_until = 0;
	bool has_grown = c->bad > c->told_count && c->grown_at >= c->released_at;
	if (!c->released_at || (has_grown && is_over(c->released_at, growth_gap(c), now))) {
		release_alert(a, c, now);
		return true;
	}
	bool has_reminded = !cause_is_acked(c, now) && remind(a, c, now);
	return was_well || was_acked || has_reminded;
}

/* ---- what is forgotten ---- */

static bool is_owed_any(const struct alerts *a, const struct cause *c)
{
	for (size_t i = 0; i < a->line_count; i++)
		if (c->slots[i].is_owed && !a->lines[i].is_absent)
			return true;
	return false;
}

static bool is_past(const struct alerts *a, const struct cause *c, int64_t now)
{
	bool is_crowded = a->cause_count >= ALERT_CAUSES_MAX;
	return c->ended_at && !is_owed_any(a, c) && (is_crowded || is_over(c->ended_at, ALERT_KEEP_S, now));
}

static bool forget_past(struct alerts *a, int64_t now)
{
	uint32_t moved[ALERT_CAUSES_ROOM];
	size_t kept = 0, members = 0, causes = a->cause_count;
	bool is_crowded = false;
	for (size_t i = 0; i < causes; i++)
		is_crowded = is_crowded || is_past(a, &a->causes[i], now);
	if (!is_crowded)
		return false;
	for (size_t i = 0; i < causes; i++) {
		bool goes = is_past(a, &a->causes[i], now);
		moved[i] = goes ? NO_CAUSE : (uint32_t)kept;
		if (!goes)
			a->causes[kept++] = a->causes[i];
	}
	for (size_t i = 0; i < a->member_count; i++) {
		struct member m = a->members[i];
		m.cause = moved[m.cause];
		if (m.cause != NO_CAUSE)
			a->members[members++] = m;
	}
	a->cause_count = kept;
	a->member_count = members;
	return true;
}

bool alerts_tick(struct alerts *a, int64_t now)
{
	bool has_changed = false;
	for (size_t i = 0; i < a->cause_count; i++) {
		struct cause *c = &a->causes[i];
		if (!c->ended_at)
			has_changed |= c->bad ? tick_bad(a, c, now) : tick_well(a, c, now);
	}
	return forget_past(a, now) || has_changed;
}

static void sooner(int64_t *at, int64_t candidate)
{
	if (candidate < *at)
		*at = candidate;
}

static int64_t cause_next_at(const struct alerts *a, const struct cause *c, int64_t now)
{
	int64_t at = INT64_MAX;
	if (c->ended_at)
		return is_owed_any(a, c) ? INT64_MAX : c->ended_at + ALERT_KEEP_S;
	if (!c->bad)
		return c->well_at + hold_of(c);
	if (c->bad > c->told_count && c->grown_at >= c->released_at)
		sooner(&at, c->released_at + growth_gap(c));
	if (cause_is_acked(c, now)) {
		sooner(&at, c->acked_until);
		return at;
	}
	for (size_t i = 0; i < a->line_count; i++)
		if (a->lines[i].sink.remind_s && c->slots[i].was_told && !c->slots[i].is_owed && fits(&a->lines[i], c))
			sooner(&at, c->slots[i].told_at + a->lines[i].sink.remind_s);
	return at;
}

int64_t alerts_next_at(const struct alerts *a, int64_t now)
{
	int64_t at = INT64_MAX;
	for (size_t i = 0; i < a->cause_count; i++) {
		sooner(&at, cause_next_at(a, &a->causes[i], now));
		for (size_t k = 0; k < a->line_count; k++)
			if (a->causes[i].slots[k].is_owed && !a->lines[k].is_busy && !a->lines[k].is_absent)
				sooner(&at, a->lines[k].next_at);
	}
	return at;
}

/* ---- sending ---- */

static bool is_ready(const struct alert_line *line, int64_t now)
{
	return !line->is_busy && !line->is_absent && (now >= line->next_at || line->next_at - now > RETRY_MOST_S);
}

/* The gravest first, then the oldest. */
static const struct cause *most_urgent(const struct alerts *a, size_t line)
{
	const struct cause *ret = NULL;
	for (size_t i = 0; i < a->cause_count; i++) {
		const struct cause *c = &a->causes[i];
		if (c->slots[line].is_owed &&
		    (!ret || alert_severity_of(c->kind, c->step) > alert_severity_of(ret->kind, ret->step)))
			ret = c;
	}
	return ret;
}

bool alerts_next(struct alerts *a, int64_t now, struct alert_due *ret)
{
	for (size_t i = 0; i < a->line_count; i++) {
		const struct cause *c = is_ready(&a->lines[i], now) ? most_urgent(a, i) : NULL;
		if (!c)
			continue;
		*ret = (struct alert_due){ i, c->key, c->slots[i].owed, c->slots[i].number };
		a->lines[i].is_busy = true;
		return true;
	}
	return false;
}

struct cause *alerts_find(const struct alerts *a, uint64_t key)
{
	for (size_t i = 0; i < a->cause_count; i++)
		if (a->causes[i].key == key)
			return &a->causes[i];
	return NULL;
}

/* One that may have arrived all the same counts as told: the recovery is owed too. */
static void settle_slot(struct alert_slot *slot, const struct alert_due *due, bool is_over_with, int64_t now)
{
	slot->was_told = true;
	slot->told = due->event;
	slot->told_at = now;
	if (is_over_with && slot->is_owed && slot->number == due->number)
		slot->is_owed = false;
}

void alerts_done(struct alerts *a, const struct alert_due *due, const struct alert_answer *answer, int64_t now)
{
	struct cause *c = alerts_find(a, due->key);
	struct alert_line *line = &a->lines[due->line];
	bool is_later = answer->outcome == ALERT_LATER;
	line->is_busy = false;
	text_copy(line->trouble, sizeof line->trouble, answer->outcome == ALERT_DELIVERED ? "" : answer->reason);
	line->tries = is_later ? line->tries + 1 : 0;
	line->next_at = is_later ? now + doubled(RETRY_FIRST_S, line->tries - 1, RETRY_MOST_S) : 0;
	if (is_later && answer->pause_s > line->next_at - now)
		line->next_at = now + (answer->pause_s < RETRY_MOST_S ? answer->pause_s : RETRY_MOST_S);
	if (c)
		settle_slot(&c->slots[due->line], due, !is_later, now);
}

/* ---- for people ---- */

static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const char *alert_id(uint64_t key, char ret[ALERT_ID_MAX])
{
	size_t at = 0;
	for (unsigned i = 0; i < 8; i++) {
		if (i == 4)
			ret[at++] = '-';
		ret[at++] = letters[key >> (35 - 5 * i) & 31];
	}
	ret[at] = '\0';
	return ret;
}

bool alert_id_parse(const char *text, uint64_t *ret)
{
	size_t digits = 0;
	*ret = 0;
	for (; *text; text++) {
		char c = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
		const char *at = strchr(letters, c);
		if (c == '-' && digits == 4)
			continue;
		if (!at || ++digits > 8)
			return false;
		*ret = *ret << 5 | (uint64_t)(at - letters);
	}
	return digits == 8;
}

void alerts_ack(struct cause *c, int64_t now, int64_t until)
{
	c->acked_at = now;
	c->acked_until = until;
}
