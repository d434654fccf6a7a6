#include "agent/pace.h"

#define ONE 1000 /* a question, in thousandths: a rate of n per second is then n thousandths per millisecond */

static int64_t most(const struct pace *p)
{
	return p->rate < 200 ? ONE : p->rate / 100 * ONE;
}

void pace_init(struct pace *p, unsigned rate, int64_t now_ms)
{
	*p = (struct pace){ .rate = rate ? rate : 1, .at_ms = now_ms };
	p->level = most(p);
}

int64_t pace_wait_ms(struct pace *p, int64_t now_ms)
{
	int64_t passed_ms = now_ms - p->at_ms;
	/* More than a second's worth never fits, and a long sleep must not overflow the product. */
	if (passed_ms > 1000)
		passed_ms = 1000;
	if (passed_ms > 0)
		p->level += passed_ms * p->rate;
	if (p->level > most(p))
		p->level = most(p);
	p->at_ms = now_ms;
	return p->level >= ONE ? 0 : (ONE - p->level + p->rate - 1) / p->rate;
}

void pace_take(struct pace *p)
{
	p->level -= ONE;
}
