#include "agent/alert_words.h"

#include "agent/problem.h"
#include "agent/renewals.h"
#include "agent/status.h"
#include "agent/text.h"
#include "agent/verdict.h"
#include "core/clock.h"

#include <stdarg.h>
#include <stdio.h>

bool cause_has_pixels(const struct cause *c)
{
	return c->kind != ALERT_KIND_BLIND && c->kind != ALERT_KIND_CLOCK;
}

/* ---- the title ---- */

static void add(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(char *text, size_t size, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;
	va_start(args, format);
	vsnprintf(text + len, size - len, format, args);
	va_end(args);
}

static void add_trouble(char *text, size_t size, const struct cause *c)
{
	char span[CLOCK_TEXT_MAX];
	switch (c->kind) {
	case ALERT_KIND_REFUSED:
	case ALERT_KIND_LISTING:
		add(text, size, "%s", verdict_name(c->verdict));
		break;
	case ALERT_KIND_DUE:
	case ALERT_KIND_LISTING_DUE:
		if (c->step > 0)
			add(text, size, SAY_ALERT_ENDS, clock_format_span(c->step, span));
		else
			add(text, size, "%s", c->step == ALERT_STEP_OLD ? SAY_ALERT_OLD : SAY_ALERT_ENDED);
		break;
	case ALERT_KIND_STAND_IN:
		add(text, size, SAY_ALERT_STAND_IN, verdict_name(c->verdict));
		break;
	case ALERT_KIND_DAMAGED:
		add(text, size, "%s", SAY_ALERT_DAMAGED);
		break;
	case ALERT_KIND_DECOY:
		add(text, size, "%s", SAY_ALERT_DECOY);
		break;
	case ALERT_KIND_BLIND:
		add(text, size, "%s", SAY_ALERT_BLIND);
		break;
	case ALERT_KIND_CLOCK:
		add(text, size, "%s", SAY_ALERT_CLOCK);
		break;
	case ALERT_KIND_NONE:
	case ALERT_KIND_COUNT:
		break;
	}
}

static void write_title(const struct cause *c, struct alert_message *m)
{
	char *text = m->title, span[CLOCK_TEXT_MAX];
	size_t size = sizeof m->title;
	bool is_recovery = m->event == ALERT_RECOVERY;
	size_t count = is_recovery ? m->ever : m->count;
	text[0] = '\0';
	if (is_recovery)
		add(text, size, SAY_ALERT_WELL, clock_format_span(m->ended_at - c->since, span));
	if (m->event == ALERT_REMINDER)
		add(text, size, SAY_ALERT_STILL, clock_format_span(m->at - c->since, span));
	if (cause_has_pixels(c)) {
		if (m->event == ALERT_RAISED && m->added && m->added < count)
			add(text, size, SAY_ALERT_MORE, m->added);
		add(text, size, "%zu %s%s: ", count, alert_kind_is_of_lists(c->kind) ? "listing token" : "Pixel",
		    count == 1 ? "" : "s");
	}
	add_trouble(text, size, c);
	if (c->has_label && count > 1)
		add(text, size, SAY_ALERT_LABEL, c->label.key, c->label.value);
	if (c->again && !is_recovery)
		add(text, size, SAY_ALERT_AGAIN, (unsigned)c->again, c->again == 1 ? "" : "s");
}

/* ---- what to do ---- */

static void write_advice(const struct cause *c, struct alert_message *m)
{
	const char *advice = NULL;
	if (m->event == ALERT_RECOVERY)
		return;
	if (c->kind == ALERT_KIND_REFUSED)
		advice = verdict_advice(c->verdict);
	else if (c->kind == ALERT_KIND_DUE || c->kind == ALERT_KIND_STAND_IN)
		advice = ADVISE_ALERT_ROTATE;
	else if (alert_kind_is_of_lists(c->kind))
		advice = ADVISE_ALERT_LISTING;
	else if (c->kind == ALERT_KIND_DAMAGED)
		advice = ADVISE_ALERT_DAMAGED;
	else if (c->kind == ALERT_KIND_DECOY)
		advice = ADVISE_ALERT_DECOY;
	else if (c->kind == ALERT_KIND_BLIND)
		advice = ADVISE_ALERT_BLIND;
	else if (c->kind == ALERT_KIND_CLOCK)
		advice = ADVISE_ALERT_CLOCK;
	if (c->has_label && m->count > 1)
		add(m->advice, sizeof m->advice, ADVISE_ALERT_LABEL, c->label.key, c->label.value);
	add(m->advice, sizeof m->advice, "%s", advice ? advice : "");
}

void alert_words(const struct cause *c, enum alert_event event, uint32_t number, int64_t now, struct alert_message *ret)
{
	*ret = (struct alert_message){ .event = event,
				       .severity = alert_severity_of(c->kind, c->step),
				       .kind = c->kind,
				       .number = number,
				       .verdict = c->verdict,
				       .at = now,
				       .since = c->since,
				       .ended_at = event == ALERT_RECOVERY ? c->ended_at : 0,
				       .again = c->again,
				       .count = event == ALERT_RECOVERY ? c->ever : c->bad,
				       .ever = c->ever,
				       .added = c->added,
				       .has_label = c->has_label,
				       .label = c->label };
	(void)alert_id(c->key, ret->id);
	if (!cause_has_pixels(c))
		ret->count = ret->ever = ret->added = 0;
	write_title(c, ret);
	write_advice(c, ret);
}

void alert_words_entry(const struct status_row *row, const struct member *m, enum alert_event event,
		       struct alert_message *ret)
{
	const struct credential *c = row->credential;
	const struct version *v = problem_version(c);
	struct alert_entry *e = &ret->entries[ret->entry_count++];
	*e = (struct alert_entry){ .verdict = row->verdict,
				   .since = m->since,
				   .expires_at = renewal_person_at(c),
				   .label_count = c->label_count };
	text_copy(e->pixel, sizeof e->pixel, c->pixel);
	if (v)
		(void)fingerprint_text(v->fingerprint, e->fingerprint);
	if (event != ALERT_RECOVERY)
		text_copy(e->advice, sizeof e->advice, row->advice);
	memcpy(e->labels, c->labels, c->label_count * sizeof c->labels[0]);
}

void alert_words_test(const char *sink, int64_t now, struct alert_message *ret)
{
	*ret = (struct alert_message){ .event = ALERT_TEST, .severity = SEVERITY_INFO, .at = now };
	snprintf(ret->title, sizeof ret->title, SAY_ALERT_TEST, sink);
}

/* ---- what became of an order ---- */

void alert_ack_json(struct json *j, const char *id, int64_t for_s)
{
	json_text(j, "id", id);
	if (for_s)
		json_int(j, "for", for_s);
	else
		json_null(j, "for");
}

void alert_test_json(struct json *j, const char *sink, const struct delivery_result *r)
{
	static const char *const outcomes[] = {
		[DELIVERY_DONE] = "delivered", [DELIVERY_LATER] = "later", [DELIVERY_REFUSED] = "refused"
	};
	json_text(j, "sink", sink);
	json_text(j, "outcome", outcomes[r->outcome]);
	json_text(j, "reason", r->reason[0] ? r->reason : NULL);
}
