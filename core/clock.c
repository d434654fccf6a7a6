#include "core/clock.h"

#include "core/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY INT64_C(86400)
#define SPAN_MAX (3650 * DAY)
#define LAST_MOMENT INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

int64_t clock_wall(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

int64_t clock_boot_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void clock_sleep_ms(int64_t ms)
{
	struct timespec until;
	if (ms <= 0)
		return;
	/* An absolute end: a signal that comes again and again must not stretch the sleep. */
	clock_gettime(CLOCK_BOOTTIME, &until);
	int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
	until.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
	until.tv_nsec = (long)(ns % 1000000000);
	while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* Days and dates by hand: gmtime and timegm look at TZ and its files, which a sandboxed process cannot open. Years are
 * counted from March, so that the leap day is the last of its year. Source: Howard Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms". */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
	if (month <= 2)
		year--;
	int64_t era = year / 400, year_of_era = year % 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_of_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	days += 719468;
	int64_t era = days / 146097, day_of_era = days % 146097;
	int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	*ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
	*ret_year = (int)(year + era * 400 + (*ret_month <= 2));
}

static void put_digits(char *to, size_t count, int number)
{
	for (; count; number /= 10)
		to[--count] = (char)('0' + number % 10);
}

const char *clock_format(int64_t at, char text[CLOCK_TEXT_MAX])
{
	if (at < 0 || at > LAST_MOMENT) {
		memcpy(text, "-", 2);
		return text;
	}
	int year, month, day, second = (int)(at % DAY);
	date_of_days(at / DAY, &year, &month, &day);
	memcpy(text, "YYYY-MM-DDThh:mm:ssZ", sizeof "YYYY-MM-DDThh:mm:ssZ");
	put_digits(text, 4, year);
	put_digits(text + 5, 2, month);
	put_digits(text + 8, 2, day);
	put_digits(text + 11, 2, second / 3600);
	put_digits(text + 14, 2, second / 60 % 60);
	put_digits(text + 17, 2, second % 60);
	return text;
}

static bool take_char(const char **from, const char *one_of)
{
	if (!**from || !strchr(one_of, **from))
		return false;
	(*from)++;
	return true;
}

static bool take_digits(const char **from, int count, int64_t *ret)
{
	int64_t value = 0;
	for (int i = 0; i < count; i++) {
		char c = (*from)[i];
		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (c - '0');
	}
	*from += count;
	*ret = value;
	return true;
}

static bool take_date(const char **from, int64_t *ret_days)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t year, month, day;
	if (!take_digits(from, 4, &year) || !take_char(from, "-") || !take_digits(from, 2, &month) ||
	    !take_char(from, "-") || !take_digits(from, 2, &day))
		return false;
	if (month < 1 || month > 12)
		return false;
	bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	if (day < 1 || day > lengths[month - 1] + (month == 2 && is_leap))
		return false;
	*ret_days = days_of_date(year, month, day);
	return true;
}

static bool take_time(const char **from, int64_t *ret_s)
{
	int64_t hour, minute, second, ignored;
	if (!take_digits(from, 2, &hour) || !take_char(from, ":") || !take_digits(from, 2, &minute) ||
	    !take_char(from, ":") || !take_digits(from, 2, &second))
		return false;
	/* 60 is a leap second: the moment after 59, as Unix time counts it. */
	if (hour > 23 || minute > 59 || second > 59 + (minute == 59))
		return false;
	if (take_char(from, ".")) {
		if (!take_digits(from, 1, &ignored))
			return false;
		while (take_digits(from, 1, &ignored))
			;
	}
	*ret_s = hour * 3600 + minute * 60 + second;
	return true;
}

static bool take_offset(const char **from, int64_t *ret_s)
{
	int64_t hour, minute, sign = **from == '-' ? -1 : 1;
	*ret_s = 0;
	if (take_char(from, "Zz"))
		return true;
	if (!take_char(from, "+-") || !take_digits(from, 2, &hour) || !take_char(from, ":") ||
	    !take_digits(from, 2, &minute) || hour > 23 || minute > 59)
		return false;
	*ret_s = sign * (hour * 3600 + minute * 60);
	return true;
}

bool clock_parse(const char *text, int64_t *ret, struct error *err)
{
	const char *at = text;
	int64_t days, time_s = 0, offset_s = 0;
	if (!take_date(&at, &days))
		return fail(err, ERR_USAGE, TXT_TIME_NOT_A_DATE, text);
	if (*at && (!take_char(&at, "Tt ") || !take_time(&at, &time_s)))
		return fail(err, ERR_USAGE, TXT_TIME_NOT_A_TIME, text);
	bool is_date_alone = at - text == 10;
	if ((!is_date_alone && !take_offset(&at, &offset_s)) || *at)
		return fail(err, ERR_USAGE, TXT_TIME_NO_OFFSET, text);
	int64_t moment = days * DAY + time_s - offset_s;
	if (moment < 0 || moment > LAST_MOMENT)
		return fail(err, ERR_USAGE, TXT_TIME_OUT_OF_RANGE, text);
	*ret = moment;
	return true;
}

const char *clock_format_span(int64_t seconds, char text[CLOCK_TEXT_MAX])
{
	uint64_t s = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
	if (s < 60)
		snprintf(text, CLOCK_TEXT_MAX, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(text, CLOCK_TEXT_MAX, "%" PRIu64 "m", s / 60);
	else if (s < (uint64_t)DAY)
		snprintf(text, CLOCK_TEXT_MAX, "%" PRIu64 "h", s / 3600);
	else
		snprintf(text, CLOCK_TEXT_MAX, "%" PRIu64 "d", s / (uint64_t)DAY);
	return text;
}

static int64_t unit_of(const char *text)
{
	if (strlen(text) != 1)
		return 0;
	switch (*text) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return DAY;
	default:
		return 0;
	}
}

bool clock_parse_span(const char *text, int64_t *ret_s)
{
	int64_t value = 0, digit;
	const char *at = text;
	while (take_digits(&at, 1, &digit)) {
		value = value * 10 + digit;
		if (value > SPAN_MAX)
			return false;
	}
	if (at == text)
		return false;
	int64_t unit = strcmp(text, "0") == 0 ? 1 : unit_of(at);
	if (unit == 0 || value > SPAN_MAX / unit)
		return false;
	*ret_s = value * unit;
	return true;
}

int64_t clock_next_midnight(int64_t at)
{
	int64_t into_day = at % DAY;
	return at - into_day + (into_day < 0 ? 0 : DAY);
}
