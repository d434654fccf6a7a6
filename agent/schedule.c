#include "agent/schedule.h"

#include "core/clock.h"

#include <string.h>

#define DAY INT64_C(86400)
#define FIRST_RETRY_S 60
#define EXPIRY_SPREAD_S 3600

#define BREAKER_FIRST_S 1
#define BREAKER_SECOND_S 300
#define BREAKER_MEMORY_S 60
#define BREAKER_SKEW_S 120 /* longer than any question is on its way */
#define BREAKER_FORMAT 1

/* FNV-1a, then the finisher of splitmix64: FNV's high bits hardly move for texts that differ at their end, as Pixel
 * codes of one advertiser do. Nothing here is secret, so no key. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
	return hash ^ hash >> 31;
}

int64_t schedule_splay(const char *pixel, int64_t range)
{
	return range > 0 ? (int64_t)(hash_of(pixel) % (uint64_t)range) : 0;
}

/* The first moment after `after` that lies `offset` into an interval, counted from 1970. */
static int64_t next_slot(int64_t offset, int64_t interval_s, int64_t after)
{
	int64_t into = (after - offset) % interval_s;
	if (into < 0)
		into += interval_s;
	return after - into + interval_s;
}

static int64_t retry_delay(uint32_t failures, int64_t interval_s)
{
	int64_t delay = FIRST_RETRY_S;
	for (uint32_t i = 1; i < failures && delay < interval_s; i++)
		delay *= 2;
	return delay < interval_s ? delay : interval_s;
}

int64_t schedule_next(const char *pixel, const struct settings *settings, int64_t expires_at, int64_t after,
		      uint32_t failures)
{
	int64_t interval_s = settings->interval_s > 0 ? settings->interval_s : 1;
	int64_t next = failures ? after + retry_delay(failures, interval_s)
				: next_slot(schedule_splay(pixel, interval_s), interval_s, after);
	if (!expires_at)
		return next;
	/* Tokens stored together expire together: each looks a little later than the step, at a moment of its own. */
	int64_t later = schedule_splay(pixel, interval_s < EXPIRY_SPREAD_S ? interval_s : EXPIRY_SPREAD_S);
	for (size_t i = 0; i < SETTINGS_EXPIRY_STEPS && settings->expiry_warning_s[i]; i++) {
		int64_t at = expires_at - settings->expiry_warning_s[i] + later;
		if (at > after && at < next)
			next = at;
	}
	return next;
}

/* The last turn of the interval at or before a moment, counted from 1970. */
static int64_t turn_before(int64_t offset, int64_t interval_s, int64_t at)
{
	int64_t into = at - offset;
	return into >= 0 ? into / interval_s : -((interval_s - 1 - into) / interval_s);
}

uint64_t schedule_count(const struct schedule_times *times, int64_t after, int64_t until)
{
	int64_t interval_s = times->interval_s > 0 ? times->interval_s : 1;
	int64_t offset = schedule_splay(times->pixel, interval_s);
	int64_t later = schedule_splay(times->pixel, interval_s < EXPIRY_SPREAD_S ? interval_s : EXPIRY_SPREAD_S);
	if (until <= after)
		return 0;
	uint64_t count = (uint64_t)(turn_before(offset, interval_s, until) - turn_before(offset, interval_s, after));
	for (size_t i = 0; times->expires_at && i < SETTINGS_EXPIRY_STEPS && times->expiry_warning_s[i]; i++) {
		int64_t at = times->expires_at - times->expiry_warning_s[i] + later;
		count += at > after && at <= until && (at - offset) % interval_s != 0;
	}
	return count;
}

/* ---- the breaker ---- */

/* Nothing is asked while it is open, so whatever was asked before it reopened was asked before it opened. */
/* The clock was set back since it opened. By that clock neither the pause nor what was asked meanwhile would ever end,
 * so the note says nothing any more; the next throttle writes a new one. */
static bool is_of_another_time(const struct breaker *b, int64_t now)
{
	return b->opened_at - now > BREAKER_SKEW_S;
}

static bool is_old_news(const struct breaker *b, int64_t asked_at)
{
	return b->throttles && asked_at < b->open_until && !is_of_another_time(b, asked_at);
}

void breaker_throttled(struct breaker *b, int64_t asked_at, int64_t now)
{
	if (is_old_news(b, asked_at))
		return;
	if (b->throttles == 1 && asked_at - b->open_until > BREAKER_MEMORY_S)
		b->throttles = 0;
	b->throttles += b->throttles < UINT32_MAX;
	b->opened_at = now;
	b->open_until = b->throttles == 1   ? now + BREAKER_FIRST_S
			: b->throttles == 2 ? now + BREAKER_SECOND_S
					    : clock_next_midnight(now);
}

void breaker_answered(struct breaker *b, int64_t asked_at)
{
	if (!is_old_news(b, asked_at))
		*b = (struct breaker){ 0 };
}

int64_t breaker_pause_s(const struct breaker *b, int64_t now)
{
	int64_t pause = b->open_until - now, longest = b->open_until - b->opened_at;
	/* A clock set back must not close us out for longer than the pause ever was. */
	if (pause > longest)
		pause = longest;
	return b->throttles && pause > 0 && !is_of_another_time(b, now) ? pause : 0;
}

static void put_uint(uint8_t *to, size_t width, uint64_t value)
{
	for (size_t i = 0; i < width; i++, value >>= 8)
		to[i] = (uint8_t)value;
}

void breaker_encode(const struct breaker *b, uint8_t ret[24])
{
	put_uint(ret, 4, BREAKER_FORMAT);
	put_uint(ret + 4, 4, b->throttles);
	put_uint(ret + 8, 8, (uint64_t)b->opened_at);
	put_uint(ret + 16, 8, (uint64_t)b->open_until);
}

bool breaker_decode(struct bytes from, struct breaker *ret)
{
	struct breaker b = { 0 };
	uint32_t format;
	if (!bytes_take_u32(&from, &format) || format != BREAKER_FORMAT || !bytes_take_u32(&from, &b.throttles) ||
	    !bytes_take_i64(&from, &b.opened_at) || !bytes_take_i64(&from, &b.open_until) || from.len)
		return false;
	if (b.opened_at < 0 || b.open_until < b.opened_at || b.open_until - b.opened_at > DAY)
		return false;
	*ret = b;
	return true;
}
