/* agent/alert_round.h - alerts of a program that comes and goes: behind its check it looks, sends what is due, and
 * leaves the rest to the next one. Where an agent runs on the vault, that one does it. */
#ifndef AGENT_ALERT_ROUND_H
#define AGENT_ALERT_ROUND_H

#include "agent/alert_desk.h"

struct alert_round {
	const char *config; /* --config, or NULL */
	bool has_news;    /* something is wrong, or was done about it: look, also when the book says that all is well */
	bool pings;       /* the sweep was a good one, of all Pixels */
	int64_t until_ms; /* boot clock */
	struct buf *metrics; /* what is to be counted is appended; NULL = nothing */
};

/* False: something could not be noted or told; the check itself is as it was. */
must_check bool alert_round(struct vault *v, const struct settings *settings, const struct alert_round *r,
			    struct error *err);
/* A desk with the sinks of the configuration, for who has none. Both are the caller's. */
must_check bool alert_round_open(struct vault *v, const struct settings *settings, const char *config,
				 struct deliver **ret_deliver, struct alert_desk **ret, struct error *err);

#endif
