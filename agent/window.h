/* agent/window.h - how many questions may be under way at once: as many as pay. Pure: the time comes in as an argument.
 *
 * Each question that is under way beside others needs a connection, whose handshake costs far more than a question does.
 * So it begins with a few, and doubles up to `most` while that is what makes for speed: when even the quickest of as many
 * answers as may be under way let us wait (the other side is far away, or thinks), or when none came for a tenth of a
 * second. An answer to a question that was under way alone, as a sweep's first, is delayed by no other: when that one let us
 * wait long, as many as may be are under way at once. It never becomes smaller by itself: the connections are there. Whoever
 * rests begins anew. */
#ifndef AGENT_WINDOW_H
#define AGENT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_FIRST 24u
#define WINDOW_QUICK_US 6000 /* with 24 under way, 4,000 answers a second */
#define WINDOW_FAR_US 20000   /* no machine beside ours takes so long */
#define WINDOW_STILL_MS 100

struct window {
	unsigned size, most;
	unsigned heard;      /* answers since it was looked at last ... */
	int64_t quickest_us; /* ... and how long the quickest let us wait */
	int64_t full_at_ms;  /* since when it is full and silent; 0 = it is not */
};

void window_init(struct window *w, unsigned most);
void window_reset(struct window *w); /* with a few again */

/* An answer, or the end of an attempt. waited_us: from asking to its end; of what could not be asked, all of it. is_alone:
 * nothing else is under way. */
void window_answered(struct window *w, int64_t waited_us, bool is_alone);

/* To be called whenever all that may be under way is. Silence counts from the first such call behind an answer. Returns how
 * long to wait for an answer before calling again; 0 = it is wider now; -1 = it is as wide as it gets. */
int64_t window_full(struct window *w, int64_t now_ms);

#endif
