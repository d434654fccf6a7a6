#include "agent/problem.h"

#include "agent/renewals.h"
#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>

bool problem_is_transient(const struct status_row *row, int64_t since)
{
	return row->speaking && verdict_is_transient(row->speaking->last_outcome) &&
	       row->speaking->attempted_at >= since;
}

const struct version *problem_version(const struct credential *c)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	return current ? current : credential_staged(c, STAGE_PENDING);
}

const char *problem_ago(int64_t at, int64_t now, char *text, size_t size)
{
	char span[CLOCK_TEXT_MAX];
	if (!at)
		return "-";
	snprintf(text, size, "%s%s%s", at > now ? "in " : "", clock_format_span(at > now ? at - now : now - at, span),
		 at > now ? "" : " ago");
	return text;
}

void problem_words(const struct status_row *row, char *text, size_t size)
{
	const struct version *current = credential_staged(row->credential, STAGE_CURRENT);
	const struct version *pending = credential_staged(row->credential, STAGE_PENDING);
	bool is_suspected = row->speaking && row->speaking->suspected != VERDICT_UNCHECKED;
	char waiting[32] = "";
	if (pending)
		snprintf(waiting, sizeof waiting, current ? ", v%u pending" : " (pending)", pending->number);
	snprintf(text, size, "%s%s%s%s%s", verdict_name(row->verdict), row->is_due ? ", due" : "",
		 is_suspected ? ", perhaps " : "", is_suspected ? verdict_name(row->speaking->suspected) : "", waiting);
}

const char *problem_evidence(const struct judgement *j, char *text, size_t size)
{
	const char *probe = j ? probe_name(j->evidence.probe) : NULL;
	if (!probe)
		return "-";
	if (j->evidence.code != NO_CODE)
		snprintf(text, size, "%s %d", probe, (int)j->evidence.code);
	else if (j->evidence.http)
		snprintf(text, size, "%s http %d", probe, (int)j->evidence.http);
	else
		snprintf(text, size, "%s", probe);
	return text;
}

static void describe_bad(const struct status_row *row, char *text, size_t size)
{
	const struct evidence *e = &row->speaking->evidence;
	int len = snprintf(text, size, "%s: %s", row->credential->pixel, verdict_name(row->verdict));
	size_t at = (size_t)len;
	if (e->code != NO_CODE)
		at += (size_t)snprintf(text + at, size - at, ": TikTok answered %d", (int)e->code);
	if (at < size && e->text[0])
		at += (size_t)snprintf(text + at, size - at, " \"%.120s\"", e->text);
	if (at < size && row->speaking->belongs_to[0])
		at += (size_t)snprintf(text + at, size - at, "; the token belongs to %s", row->speaking->belongs_to);
	if (at < size && verdict_is_transient(row->speaking->last_outcome))
		snprintf(text + at, size - at, "; asked again in vain: %s", row->speaking->attempt_text);
}

static void describe_transient(const struct status_row *row, char *text, size_t size)
{
	static const char *const words[OUTCOME_COUNT] = {
		[OUTCOME_THROTTLED] = "TikTok throttles us",
		[OUTCOME_UNREACHABLE] = "no answer of TikTok's to go by",
		[OUTCOME_UNKNOWN] = "TikTok's answer could not be judged",
	};
	const char *why = row->speaking->attempt_text;
	snprintf(text, size, "%s: %s%s%s; what is known stays: %s", row->credential->pixel,
		 words[row->speaking->last_outcome], why[0] ? ": " : "", why, verdict_name(row->verdict));
}

static void describe_due(const struct status_row *row, int64_t now, char *text, size_t size)
{
	const struct version *v = problem_version(row->credential);
	int64_t at = renewal_person_at(row->credential);
	const char *what = credential_renewable(row->credential) ? "its refresh token " : "";
	char when[64], exact[CLOCK_TEXT_MAX];
	if (at)
		snprintf(text, size, "%s: %s%s %s (%s)", row->credential->pixel, what, at > now ? "expires" : "expired",
			 problem_ago(at, now, when, sizeof when), clock_format(at, exact));
	else
		snprintf(text, size, "%s: stored %s, it is time for a new token", row->credential->pixel,
			 problem_ago(v ? v->stored_at : 0, now, when, sizeof when));
}

bool problem_of(const struct status_row *row, int64_t asked_since, int64_t now, char *text, size_t size)
{
	if (verdict_is_bad(row->verdict) && row->speaking)
		describe_bad(row, text, size);
	else if (problem_is_transient(row, asked_since))
		describe_transient(row, text, size);
	else if (row->is_due)
		describe_due(row, now, text, size);
	else
		return false;
	return true;
}

const char *problem_hint(const struct status_row *row)
{
	return row->advice[0] ? row->advice : HINT_ASKED_AGAIN;
}
