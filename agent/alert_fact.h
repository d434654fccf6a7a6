/* agent/alert_fact.h - what is wrong with one Pixel, or listing token, as far as alerts go: one thing, the gravest.
 * Pure. */
#ifndef AGENT_ALERT_FACT_H
#define AGENT_ALERT_FACT_H

#include "agent/alert_message.h"
#include "agent/settings.h"

#define ALERT_STEP_ENDED 0  /* of ALERT_KIND_DUE: it ended already */
#define ALERT_STEP_OLD (-1) /* it is older than max-age; nobody said when it ends */

struct alert_fact {
	const char *pixel;
	const struct label *labels;
	size_t label_count;
	enum alert_kind kind; /* ALERT_KIND_NONE: nothing is wrong */
	enum verdict verdict; /* of those that alert_kind_has_verdict */
	int64_t step;         /* of due: the shortest warning step that is reached, in seconds, or one of the above */
	int64_t since;
	uint32_t version; /* the one that serves; 0 = none */
	uint32_t weight;  /* as gravity_weight has it, in thousandths */
	int64_t checked_at, attempted_at;
	uint32_t failures; /* attempts in vain, in a row */
};

/* Points into c. Of a decoy: that nothing is wrong; whether somebody asked for it, the marks of its readers tell. */
void alert_fact_of(const struct credential *c, const struct health *h, const struct settings *settings, int64_t now,
		   struct alert_fact *ret);
enum alert_severity alert_severity_of(enum alert_kind kind, int64_t step);

#endif
