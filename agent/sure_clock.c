#include "agent/sure_clock.h"

int64_t sure_clock_now(struct sure_clock *c, int64_t wall, int64_t boot_ms)
{
	int64_t expected = c->wall + (boot_ms - c->boot_ms) / 1000;
	if (c->boot_ms && wall > expected + SURE_CLOCK_TOLERANCE_S) {
		if (!c->doubted_ms)
			c->doubted_ms = boot_ms;
		if (boot_ms - c->doubted_ms < SURE_CLOCK_BELIEVES_MS)
			return expected;
	}
	*c = (struct sure_clock){ .wall = wall, .boot_ms = boot_ms };
	return wall;
}
