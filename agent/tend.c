#include "agent/tend.h"

#include "agent/pixel_map.h"
#include "agent/upkeep.h"

#include <stdlib.h>
#include <string.h>

struct tended {
	char pixel[PIXEL_CODE_MAX + 1];
	int64_t at_ms;         /* when there is something to do */
	int64_t looked_ms, not_before_ms; /* it was looked at a moment ago */
	int64_t deadline_ms;              /* of a retirement: looked at then, whatever was a moment ago */
	bool wants_failover;
};

struct tend {
	struct pixel_map map;
};

bool tend_new(struct tend **ret, struct error *err)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? true : fail_no_memory(err);
}

static struct tended *tended_at(const struct tend *t, size_t i)
{
	return (struct tended *)(uintptr_t)pixel_map_at(&t->map, i);
}

void tend_clear(struct tend *t)
{
	pixel_map_empty(&t->map);
	*t = (struct tend){ .map.count = 0 };
}

void tend_free(struct tend *t)
{
	if (t)
		tend_clear(t);
	free(t);
}

static struct tended *find(const struct tend *t, const char *pixel)
{
	return (struct tended *)(uintptr_t)pixel_map_find(&t->map, pixel);
}

/* The wall clock may be set: it is not trusted for longer than a day. */
static int64_t in_boot_time(int64_t at, int64_t now, int64_t now_ms)
{
	int64_t wait_s = at > now ? at - now : 0;
	return now_ms + (wait_s < 86400 ? wait_s : 86400) * 1000;
}

bool tend_note(struct tend *t, const struct credential *c, const struct health *h, const struct settings *settings, int64_t now,
	       int64_t now_ms, struct error *err)
{
	int64_t at = upkeep_at(c, h, settings, now);
	if (at == INT64_MAX) {
		tend_forget(t, c->pixel);
		return true;
	}
	struct tended *tended = pixel_map_make(&t->map, c->pixel, sizeof *tended, err);
	if (!tended)
		return false;
	/* Senders fail until then: whatever it was looked at for a moment ago, this is news. */
	bool wants_failover = settings->failover && upkeep_stand_in(c, h);
	if (wants_failover && !tended->wants_failover)
		tended->not_before_ms = 0;
	tended->wants_failover = wants_failover;
	const struct version *retiring = upkeep_retiring(c);
	tended->at_ms = in_boot_time(at, now, now_ms);
	/* Once it is over it was looked at, and is not a reason to look again and again. */
	if (!retiring || retiring->retire_by > now)
		tended->deadline_ms = in_boot_time(retiring ? retiring->retire_by : INT64_MAX, now, now_ms);
	return true;
}

void tend_forget(struct tend *t, const char *pixel)
{
	pixel_map_drop(&t->map, pixel);
}

void tend_hurry(struct tend *t, const char *pixel)
{
	struct tended *tended = find(t, pixel);
	if (tended)
		tended->at_ms = tended->not_before_ms = 0;
}

static int64_t due_ms(const struct tended *tended)
{
	int64_t at_ms = tended->at_ms > tended->not_before_ms ? tended->at_ms : tended->not_before_ms;
	bool is_deadline_near = tended->deadline_ms > tended->looked_ms && tended->deadline_ms < at_ms;
	return is_deadline_near ? tended->deadline_ms : at_ms;
}

const char *tend_due(struct tend *t, int64_t now_ms)
{
	for (size_t i = 0; i < t->map.room; i++) {
		struct tended *tended = tended_at(t, i);
		if (!tended || due_ms(tended) > now_ms)
			continue;
		tended->looked_ms = now_ms;
		tended->not_before_ms = now_ms + TEND_PAUSE_MS;
		return tended->pixel;
	}
	return NULL;
}
