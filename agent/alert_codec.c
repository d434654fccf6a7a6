/* The book of alerts as it lies in the vault (docs/format.md): two documents, as the first changes with each message
 * that is sent, and the second, which may be large, only with what is wrong. */
#include "agent/alert_own.h"
#include "agent/gravity.h"

#include <stdlib.h>

#define FORMAT 1

enum slot_flags { SLOT_TOLD = 1, SLOT_OWED = 2 };
enum cause_flags { CAUSE_LABEL = 1, CAUSE_RECOVERED = 2 };

/* ---- to bytes ---- */

static void put_slot(struct buf *out, size_t line, const struct alert_slot *s)
{
	buf_append_uint(out, 1, line);
	buf_append_uint(out, 1, (s->was_told ? SLOT_TOLD : 0u) | (s->is_owed ? SLOT_OWED : 0u));
	buf_append_uint(out, 1, s->told);
	buf_append_uint(out, 8, (uint64_t)s->told_at);
	buf_append_uint(out, 1, s->owed);
	buf_append_uint(out, 4, s->number);
}

static void put_slots(struct buf *out, const struct alerts *a, const struct cause *c)
{
	uint64_t count = 0;
	for (size_t i = 0; i < a->line_count; i++)
		count += c->slots[i].was_told || c->slots[i].is_owed;
	buf_append_uint(out, 1, count);
	for (size_t i = 0; i < a->line_count; i++)
		if (c->slots[i].was_told || c->slots[i].is_owed)
			put_slot(out, i, &c->slots[i]);
}

static void put_cause(struct buf *out, const struct alerts *a, const struct cause *c)
{
	const int64_t times[] = { c->step,    c->since,    c->opened_at, c->grown_at,   c->released_at,
				  c->well_at, c->ended_at, c->acked_at,  c->acked_until };
	buf_append_uint(out, 8, c->key);
	buf_append_uint(out, 1, c->kind);
	buf_append_uint(out, 1, c->verdict);
	buf_append_uint(out, 1, (c->has_label ? CAUSE_LABEL : 0u) | (c->has_recovered ? CAUSE_RECOVERED : 0u));
	if (c->has_label) {
		buf_append_counted(out, 1, c->label.key);
		buf_append_counted(out, 1, c->label.value);
	}
	for (size_t i = 0; i < COUNT_OF(times); i++)
		buf_append_uint(out, 8, (uint64_t)times[i]);
	buf_append_uint(out, 4, c->releases);
	buf_append_uint(out, 4, c->number);
	buf_append_uint(out, 4, c->again);
	buf_append_uint(out, 4, c->told_count);
	buf_append_uint(out, 4, c->added);
	put_slots(out, a, c);
}

static void put_member(struct buf *out, const struct member *m)
{
	buf_append_counted(out, 1, m->pixel);
	buf_append_uint(out, 2, m->cause);
	buf_append_uint(out, 1, m->is_bad);
	buf_append_uint(out, 8, (uint64_t)m->since);
	buf_append_uint(out, 4, m->version);
}

bool alerts_encode(const struct alerts *a, struct buf *causes, struct buf *members, struct error *err)
{
	buf_append_uint(causes, 1, FORMAT);
	buf_append_uint(causes, 4, a->member_count);
	buf_append_uint(causes, 1, a->line_count);
	for (size_t i = 0; i < a->line_count; i++) {
		buf_append_counted(causes, 1, a->lines[i].sink.name);
		buf_append_uint(causes, 4, a->lines[i].tries);
		buf_append_uint(causes, 8, (uint64_t)a->lines[i].next_at);
	}
	buf_append_uint(causes, 2, a->cause_count);
	for (size_t i = 0; i < a->cause_count; i++)
		put_cause(causes, a, &a->causes[i]);
	for (size_t i = 0; i < a->member_count; i++)
		put_member(members, &a->members[i]);
	return buf_ok(causes, err) && buf_ok(members, err);
}

/* ---- from bytes ---- */

static bool take_below(struct bytes *from, size_t width, uint64_t limit, uint64_t *ret)
{
	return bytes_take_uint(from, width, ret) && *ret < limit;
}

/* No clock was ever so far back that the time since then is no number. */
static bool take_time(struct bytes *from, int64_t *ret)
{
	return bytes_take_i64(from, ret) && *ret > INT64_MIN / 2;
}

static bool take_slot(struct bytes *from, size_t lines, struct cause *c)
{
	uint64_t line, flags, told, owed;
	struct alert_slot s;
	if (!take_below(from, 1, lines, &line) || !take_below(from, 1, 4, &flags) ||
	    !take_below(from, 1, ALERT_EVENT_COUNT, &told) || !take_time(from, &s.told_at) ||
	    !take_below(from, 1, ALERT_EVENT_COUNT, &owed) || !bytes_take_u32(from, &s.number))
		return false;
	s.was_told = flags & SLOT_TOLD;
	s.is_owed = flags & SLOT_OWED;
	s.told = (enum alert_event)told;
	s.owed = (enum alert_event)owed;
	c->slots[line] = s;
	return true;
}

static bool take_numbers(struct bytes *from, struct cause *c)
{
	uint32_t told_count, added;
	int64_t *const times[] = { &c->step,    &c->since,    &c->opened_at, &c->grown_at,   &c->released_at,
				   &c->well_at, &c->ended_at, &c->acked_at,  &c->acked_until };
	for (size_t i = 0; i < COUNT_OF(times); i++)
		if (!take_time(from, times[i]))
			return false;
	if (!bytes_take_u32(from, &c->releases) || !bytes_take_u32(from, &c->number) ||
	    !bytes_take_u32(from, &c->again) || !bytes_take_u32(from, &told_count) || !bytes_take_u32(from, &added))
		return false;
	c->told_count = told_count;
	c->added = added;
	return true;
}

static bool take_cause(struct bytes *from, size_t lines, struct cause *c)
{
	uint64_t kind, verdict, flags, slots;
	*c = (struct cause){ .key = 0 };
	if (!bytes_take_u64(from, &c->key) || !take_below(from, 1, ALERT_KIND_COUNT, &kind) ||
	    !take_below(from, 1, OUTCOME_COUNT, &verdict) || !take_below(from, 1, 4, &flags))
		return false;
	c->kind = (enum alert_kind)kind;
	c->verdict = (enum verdict)verdict;
	c->has_label = flags & CAUSE_LABEL;
	c->has_recovered = flags & CAUSE_RECOVERED;
	if (c->has_label && (!bytes_take_counted(from, 1, c->label.key, sizeof c->label.key) ||
			     !bytes_take_counted(from, 1, c->label.value, sizeof c->label.value)))
		return false;
	if (!take_numbers(from, c) || !take_below(from, 1, lines + 1, &slots))
		return false;
	for (uint64_t i = 0; i < slots; i++)
		if (!take_slot(from, lines, c))
			return false;
	return true;
}

static bool take_lines(struct bytes *from, struct alerts *a)
{
	uint64_t count;
	if (!take_below(from, 1, ALERT_SINKS_MAX + 1, &count))
		return false;
	for (a->line_count = 0; a->line_count < count; a->line_count++) {
		struct alert_line *line = &a->lines[a->line_count];
		*line = (struct alert_line){ .tries = 0 };
		if (!bytes_take_counted(from, 1, line->sink.name, sizeof line->sink.name) ||
		    !bytes_take_u32(from, &line->tries) || !take_time(from, &line->next_at))
			return false;
	}
	return true;
}

static bool take_member(struct bytes *from, const struct alerts *a, const struct member *before, struct member *m)
{
	uint64_t cause, is_bad;
	*m = (struct member){ .weight = WEIGHT_ONE };
	if (!bytes_take_counted(from, 1, m->pixel, sizeof m->pixel) || !take_below(from, 2, a->cause_count, &cause) ||
	    !take_below(from, 1, 2, &is_bad) || !take_time(from, &m->since) || !bytes_take_u32(from, &m->version))
		return false;
	m->cause = (uint32_t)cause;
	m->is_bad = is_bad != 0;
	a->causes[cause].ever++;
	a->causes[cause].bad += m->is_bad;
	return !before || strcmp(before->pixel, m->pixel) <= 0;
}

static bool take_members(struct bytes from, struct alerts *a, uint32_t count)
{
	/* Each takes sixteen bytes at the least: no room is made for what cannot be there. */
	if (count > from.len / 16)
		return false;
	struct member *members = calloc((size_t)count + 1, sizeof *members);
	if (!members)
		return false;
	free(a->members);
	a->members = members;
	a->member_room = (size_t)count + 1;
	for (a->member_count = 0; a->member_count < count; a->member_count++) {
		size_t i = a->member_count;
		if (!take_member(&from, a, i ? &members[i - 1] : NULL, &members[i]))
			return false;
	}
	return from.len == 0;
}

static bool take_all(struct alerts *a, struct bytes causes, struct bytes members)
{
	uint64_t format, count;
	uint32_t member_count;
	if (!bytes_take_uint(&causes, 1, &format) || format != FORMAT ||
	    !bytes_take_u32(&causes, &member_count) || !take_lines(&causes, a) ||
	    !take_below(&causes, 2, ALERT_CAUSES_ROOM + 1, &count))
		return false;
	for (a->cause_count = 0; a->cause_count < count; a->cause_count++)
		if (!take_cause(&causes, a->line_count, &a->causes[a->cause_count]))
			return false;
	return causes.len == 0 && take_members(members, a, member_count);
}

bool alerts_decode(struct alerts *a, struct bytes causes, struct bytes members)
{
	if (take_all(a, causes, members))
		return true;
	a->line_count = a->cause_count = a->member_count = 0;
	return false;
}
