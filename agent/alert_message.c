#include "agent/alert_message.h"

const char *alert_event_name(enum alert_event event)
{
	static const char *const names[] = { "alert", "reminder", "recovery", "test" };
	return (unsigned)event < COUNT_OF(names) ? names[event] : "alert";
}

static const char *const severities[] = { "info", "warning", "critical" };

const char *alert_severity_name(enum alert_severity severity)
{
	return (unsigned)severity < COUNT_OF(severities) ? severities[severity] : "info";
}

bool alert_severity_by_name(const char *name, enum alert_severity *ret)
{
	for (size_t i = 0; i < COUNT_OF(severities); i++)
		if (strcmp(severities[i], name) == 0) {
			*ret = (enum alert_severity)i;
			return true;
		}
	return false;
}

const char *alert_kind_name(enum alert_kind kind)
{
	static const char *const names[] = { "test",  "refused", "due",	    "stand-in",	  "damaged",
					     "blind", "clock",	 "listing", "listing-due", "decoy" };
	return (unsigned)kind < COUNT_OF(names) ? names[kind] : "test";
}

bool alert_kind_has_verdict(enum alert_kind kind)
{
	return kind == ALERT_KIND_REFUSED || kind == ALERT_KIND_STAND_IN || kind == ALERT_KIND_LISTING;
}

bool alert_kind_is_due(enum alert_kind kind)
{
	return kind == ALERT_KIND_DUE || kind == ALERT_KIND_LISTING_DUE;
}

bool alert_kind_is_of_lists(enum alert_kind kind)
{
	return kind == ALERT_KIND_LISTING || kind == ALERT_KIND_LISTING_DUE;
}
