/* agent/schedule.h - when to ask again. Pure: times come in as arguments.
 *
 * Each Pixel is asked once per interval, at an offset of its own that follows from its code, so that a restart or a
 * thousand Pixels stored in one minute cause no stampede; and also when a known expiry is 30, 14, 7, 3 and 1 days away.
 */
#ifndef AGENT_SCHEDULE_H
#define AGENT_SCHEDULE_H

#include "agent/settings.h"
#include "vault/health.h"

/* The first moment after `after` at which this Pixel is due. */
int64_t schedule_next(const char *pixel, const struct settings *settings, int64_t expires_at, int64_t after,
		      uint32_t failures);

/* How many such moments lie behind `after`, up to `until`: as often as schedule_next, asked again and again with no
 * failures, would name one. */
struct schedule_times {
	const char *pixel;
	int64_t interval_s, expires_at;
	const int64_t *expiry_warning_s; /* SETTINGS_EXPIRY_STEPS of them, as in the settings */
};
uint64_t schedule_count(const struct schedule_times *times, int64_t after, int64_t until);

/* Between a refusal and the second look that decides, where nobody said otherwise. */
#define SCHEDULE_CONFIRM_DELAY_S 600

/* A number below `range` that follows from the Pixel code alone. */
int64_t schedule_splay(const char *pixel, int64_t range);

/* Throttling. First throttle: 1 s; a second within 60 s after it reopened: 5 min; a third: until 00:00 UTC. Any other
 * answer closes it. Kept in the vault, so that a program that crashes and restarts cannot hammer. */
struct breaker {
	uint32_t throttles;            /* in a row */
	int64_t opened_at, open_until; /* wall clock seconds; 0 = closed */
};
void breaker_throttled(struct breaker *b, int64_t asked_at,
		       int64_t now); /* answers asked before it opened do not count */
void breaker_answered(struct breaker *b, int64_t asked_at);
int64_t breaker_pause_s(const struct breaker *b, int64_t now); /* 0 = may ask */
void breaker_encode(const struct breaker *b, uint8_t ret[24]);
must_check bool breaker_decode(struct bytes from, struct breaker *ret);

#endif
