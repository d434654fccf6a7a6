/* agent/sure_clock.h - the wall clock for what cannot be undone: taking a token from everybody, deleting one. Pure.
 *
 * A wall clock that jumps forward is believed when it has stayed there for an hour; until then time goes on from before
 * the jump. A process that starts behind it cannot know of it. */
#ifndef AGENT_SURE_CLOCK_H
#define AGENT_SURE_CLOCK_H

#include <stdint.h>

#define SURE_CLOCK_TOLERANCE_S 300
#define SURE_CLOCK_BELIEVES_MS 3600000

struct sure_clock {
	int64_t wall, boot_ms; /* seen together, and believed; boot_ms 0 = nothing was seen yet */
	int64_t doubted_ms;    /* boot time: since then the wall clock is ahead of what it should say; 0 = it is not */
};

/* wall and boot_ms are read now. */
int64_t sure_clock_now(struct sure_clock *c, int64_t wall, int64_t boot_ms);

#endif
