#include "agent/alert_fact.h"

#include "agent/decoy.h"
#include "agent/gravity.h"
#include "agent/renewals.h"
#include "agent/status.h"
#include "agent/upkeep.h"

#define DAY 86400

enum alert_severity alert_severity_of(enum alert_kind kind, int64_t step)
{
	switch (kind) {
	case ALERT_KIND_REFUSED:
	case ALERT_KIND_DAMAGED:
	case ALERT_KIND_DECOY:
		return SEVERITY_CRITICAL;
	case ALERT_KIND_DUE:
		return step != ALERT_STEP_OLD && step <= (int64_t)3 * DAY ? SEVERITY_CRITICAL : SEVERITY_WARNING;
	case ALERT_KIND_STAND_IN:
	case ALERT_KIND_BLIND:
	case ALERT_KIND_CLOCK:
	case ALERT_KIND_LISTING: /* its Pixels are asked about one by one then; nobody's events are lost */
	case ALERT_KIND_LISTING_DUE:
		return SEVERITY_WARNING;
	case ALERT_KIND_NONE:
	case ALERT_KIND_COUNT:
		break;
	}
	return SEVERITY_INFO;
}

static int64_t step_of(const struct credential *c, const struct settings *settings, int64_t now, int64_t *ret_since)
{
	int64_t at = renewal_person_at(c), step = ALERT_STEP_OLD;
	*ret_since = now;
	if (!at)
		return step;
	if (at <= now) {
		*ret_since = at;
		return ALERT_STEP_ENDED;
	}
	for (size_t i = 0; i < SETTINGS_EXPIRY_STEPS && settings->expiry_warning_s[i]; i++)
		if (at - now <= settings->expiry_warning_s[i]) {
			step = settings->expiry_warning_s[i];
			*ret_since = at - step;
		}
	return step;
}

/* When the verdict became what it is: a probe that finds the same again moves its evidence on. */
static int64_t bad_since(const struct health *h, const struct judgement *j)
{
	int64_t since = j->evidence.at;
	for (size_t i = h->history_count; i-- > 0 && verdict_is_bad(h->history[i].verdict);)
		if (h->history[i].version == j->version)
			since = h->history[i].at;
	return since;
}

void alert_fact_of(const struct credential *c, const struct health *h, const struct settings *settings, int64_t now,
		   struct alert_fact *ret)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	const struct judgement *j = health_speaking(h, c);
	bool is_bad_weight; /* the board tells it */
	*ret = (struct alert_fact){ .pixel = c->pixel,
				    .labels = c->labels,
				    .label_count = c->label_count,
				    .version = current ? current->number : 0,
				    .weight = gravity_weight(c, &is_bad_weight),
				    .checked_at = j ? j->checked_at : 0,
				    .attempted_at = j ? j->attempted_at : 0,
				    .failures = h->failures };
	if (decoy_is(c))
		return; /* what TikTok says of it concerns nobody; who asked for it stands elsewhere */
	bool is_list = name_is_list(c->pixel);
	const struct fading *f = is_list ? NULL : upkeep_refused_newer(c, h);
	if (j && verdict_is_bad(j->verdict)) {
		ret->kind = is_list ? ALERT_KIND_LISTING : ALERT_KIND_REFUSED;
		ret->verdict = j->verdict;
		ret->since = bad_since(h, j);
	} else if (current && f) {
		ret->kind = ALERT_KIND_STAND_IN;
		ret->verdict = f->verdict;
		ret->since = current->staged_at;
	} else if (status_is_due(c, settings, now)) {
		ret->kind = is_list ? ALERT_KIND_LISTING_DUE : ALERT_KIND_DUE;
		ret->step = step_of(c, settings, now, &ret->since);
	}
}
