/* agent/tend.h - which Pixels have versions on their way out, and when the worker shall look at them (agent/upkeep.h). Few
 * do at a time, so a list that is walked is enough. Pure: the time comes in as an argument, in boot time. */
#ifndef AGENT_TEND_H
#define AGENT_TEND_H

#include "agent/settings.h"
#include "vault/health.h"

struct tend;
must_check bool tend_new(struct tend **ret, struct error *err);
void tend_free(struct tend *t);
void tend_clear(struct tend *t);

/* What is known of a Pixel now; when nothing is to be done about it, it is forgotten. now is wall time. */
must_check bool tend_note(struct tend *t, const struct credential *c, const struct health *h, const struct settings *settings,
			  int64_t now, int64_t now_ms, struct error *err);
void tend_forget(struct tend *t, const char *pixel);
/* Something happened that may end what is waited for: look at it at once. */
void tend_hurry(struct tend *t, const char *pixel);

/* One that is due, not again before TEND_PAUSE_MS unless tend_hurry says so; NULL = none. */
#define TEND_PAUSE_MS 30000
const char *tend_due(struct tend *t, int64_t now_ms);

#endif
