/* core/clock.h - two clocks, never mixed.
 *
 * Wall time (Unix seconds, UTC) is what people and TikTok mean: expiry, "checked at". It may jump. Boot time
 * (milliseconds, goes on while suspended, never back) is what waiting, pacing and deadlines use. Code that decides gets
 * its `now` as an argument. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "core/error.h"

#include <stdint.h>

int64_t clock_wall(void); /* Unix seconds */
int64_t clock_boot_ms(void);
void clock_sleep_ms(int64_t ms); /* whole, through signals */

#define CLOCK_TEXT_MAX 32

/* 2026-11-23T04:05:06Z. Years 1970-9999; anything else prints as "-". */
const char *clock_format(int64_t at, char text[CLOCK_TEXT_MAX]);

/* RFC 3339: date, T or t or a blank, time, optional fraction (dropped), Z or an offset. A date alone is midnight UTC.
 * ERR_USAGE says what is wrong. */
must_check bool clock_parse(const char *text, int64_t *ret, struct error *err);

/* "45s", "3h", "12d": how long ago or until, for people; one unit, rounded down. */
const char *clock_format_span(int64_t seconds, char text[CLOCK_TEXT_MAX]);

/* An integer with s, m, h or d behind it, or a bare 0. At most 10 years. */
must_check bool clock_parse_span(const char *text, int64_t *ret_s);

/* The next 00:00 UTC after at. */
int64_t clock_next_midnight(int64_t at);

#endif
