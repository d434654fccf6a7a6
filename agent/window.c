#include "agent/window.h"

static void look_again(struct window *w)
{
	w->heard = 0;
	w->quickest_us = INT64_MAX;
}

void window_init(struct window *w, unsigned most)
{
	*w = (struct window){ .most = most };
	window_reset(w);
}

void window_reset(struct window *w)
{
	w->size = w->most < WINDOW_FIRST ? w->most : WINDOW_FIRST;
	w->full_at_ms = 0;
	look_again(w);
}

static void widen_to(struct window *w, unsigned size)
{
	w->size = size;
	w->full_at_ms = 0;
	look_again(w);
}

static void widen(struct window *w)
{
	widen_to(w, w->size > w->most / 2 ? w->most : 2 * w->size);
}

void window_answered(struct window *w, int64_t waited_us, bool is_alone)
{
	if (is_alone && waited_us >= WINDOW_FAR_US) {
		widen_to(w, w->most);
		return;
	}
	w->full_at_ms = 0;
	w->heard++;
	if (waited_us < w->quickest_us)
		w->quickest_us = waited_us;
	if (w->heard < w->size)
		return;
	if (w->quickest_us >= WINDOW_QUICK_US)
		widen(w);
	else
		look_again(w);
}

int64_t window_full(struct window *w, int64_t now_ms)
{
	if (w->size == w->most)
		return -1;
	if (!w->full_at_ms)
		w->full_at_ms = now_ms;
	if (now_ms - w->full_at_ms < WINDOW_STILL_MS)
		return w->full_at_ms + WINDOW_STILL_MS - now_ms;
	widen(w);
	return 0;
}
