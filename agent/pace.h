/* agent/pace.h - how fast we may ask: a token bucket on the boot clock. Pure: the time comes in as an argument.
 *
 * Slow rates are even (no burst: five a second is one each 200 ms); a rate that a timer cannot follow may come in
 * bursts of a hundredth of a second's worth. */
#ifndef AGENT_PACE_H
#define AGENT_PACE_H

#include <stdint.h>

struct pace {
	int64_t rate;         /* per second */
	int64_t level, at_ms; /* thousandths of a question we may ask, and when that was true */
};

void pace_init(struct pace *p, unsigned rate, int64_t now_ms);
int64_t pace_wait_ms(struct pace *p, int64_t now_ms); /* 0 = may ask now */
void pace_take(struct pace *p);

#endif
