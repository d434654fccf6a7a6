#include "tests/emulator/knob.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_number_up_to(const char *text, long max)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits < 10 && !text[digits] && strtol(text, NULL, 10) <= max;
}

static bool is_delay(const char *text)
{
	return is_number_up_to(text, 600000);
}

static bool is_code_or_off(const char *text)
{
	return !strcmp(text, "off") || is_number_up_to(text, 999999999);
}

static bool is_any(const char *text)
{
	return strlen(text) < KNOB_TEXT_MAX;
}

bool knob_throttle(const char *text, long *ret_limit, long *ret_window_ms, int *ret_code)
{
	long limit, window_ms, code;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	limit = strtol(text, &end, 10);
	if (*end != '/' || end[1] < '0' || end[1] > '9')
		return false;
	window_ms = strtol(end + 1, &end, 10);
	if (*end != ':' || !is_number_up_to(end + 1, 99999))
		return false;
	code = strtol(end + 1, NULL, 10);
	if (window_ms <= 0 || (code != 40100 && code != 40132 && code != 40133 && code != 40016 && code != 61000))
		return false;
	*ret_limit = limit;
	*ret_window_ms = window_ms;
	*ret_code = (int)code;
	return true;
}

static bool is_throttle(const char *text)
{
	long limit, window_ms;
	int code;

	return !strcmp(text, "off") || knob_throttle(text, &limit, &window_ms, &code);
}

const struct knob_row knob_rows[KNOB_COUNT] = {
	[KNOB_ORDER] = { "order", "token-first|params-first", "token-first", "which is checked first on every endpoint", NULL },
	[KNOB_DATA] = { "data", "object|null|absent", "object", "the data member of answers that carry nothing: {}, null, left out", NULL },
	[KNOB_REQUEST_ID] = { "request-id", "on|off", "on", "the request_id member of answers", NULL },
	[KNOB_ERROR_STATUS] = { "error-status", "200|400|401", "200", "HTTP status that comes with a code other than 0", NULL },
	[KNOB_EMPTY_DATA] = { "empty-data", "40002|0", "40002", "answer to data: []; with 0 the pixel right is checked first", NULL },
	[KNOB_EMPTY_DATA_TEXT] = { "empty-data-text", "TEXT", "Invalid value for data: Shorter than minimum length 1.",
				   "message of that 40002", is_any },
	[KNOB_MISMATCH_CODE] = { "mismatch-code", "40001|40002", "40001", "code next to \"No permission to operate pixel code\"", NULL },
	[KNOB_UNKNOWN_PIXEL] = { "unknown-pixel", "40001|40007", "40001", "code for a pixel that does not exist", NULL },
	[KNOB_USER_INFO] = { "user-info", "0|40001|40105", "0", "user/info asked with a kind=events token", NULL },
	[KNOB_TEST_CODE] = { "test-code", "ignored|refused-40002|refused-40001", "ignored", "what test_event_code does", NULL },
	[KNOB_OLD_TOKEN] = { "old-token", "works|dies", "works", "the old token after `regenerate`", NULL },
	[KNOB_REFRESH] = { "refresh", "rotates|keeps", "rotates", "the refresh token after a refresh", NULL },
	[KNOB_REFRESH_LOST] = { "refresh-lost", "off|on", "off", "on: the pair changes, then the connection closes without an answer", NULL },
	[KNOB_LOGIN_LIFE] = { "login-life", "86400|7200", "86400", "seconds a login token lives (its refresh token: 31536000|15552000)", NULL },
	[KNOB_ACCESS_LIFE] = { "access-life", "off|SECONDS", "off", "seconds that access tokens of a refresh live; off: as documented", is_code_or_off },
	[KNOB_EXPIRES_IN] = { "expires-in", "on|quoted|off", "on", "the lifetimes in answers to a refresh: numbers, texts, left out", NULL },
	[KNOB_DELAY_MS] = { "delay-ms", "MS", "0", "every answer waits so long, other connections go on", is_delay },
	[KNOB_THROTTLE] = { "throttle", "off|N/WINDOWMS:CODE", "off",
			    "after N requests in a window answer 40100, 40132, 40133, 40016 or 61000; all endpoints count together", is_throttle },
	[KNOB_THROTTLE_EDGE] = { "throttle-edge", "off|200|429", "off", "a throttled answer is HTML with this HTTP status", NULL },
	[KNOB_ALL] = { "all", "off|CODE", "off", "every event/track answers this code (before any other check)", is_code_or_off },
	[KNOB_CERT] = { "cert", "good|expired|not-yet|wrong-host|self-signed|foreign-ca|cn-only", "good", "server certificate of new connections", NULL },
	[KNOB_TLS] = { "tls", "1.2+|1.1-only|plaintext", "1.2+", "protocol of new connections", NULL },
};

int knob_find(const char *name)
{
	for (int i = 0; i < KNOB_COUNT; i++)
		if (!strcmp(knob_rows[i].name, name))
			return i;
	return -1;
}

/* The place of `text` among "a|b|c", or -1. */
static int choice_of(const char *values, const char *text)
{
	size_t len = strlen(text);

	for (int i = 0; *values; i++) {
		size_t word = strcspn(values, "|");

		if (word == len && !memcmp(values, text, len))
			return i;
		values += word + (values[word] == '|');
	}
	return -1;
}

bool knob_set(struct knob *knob, enum knob_id id, const char *text)
{
	const struct knob_row *row = &knob_rows[id];
	int choice = choice_of(row->values, text);

	if (row->check ? !row->check(text) : choice < 0)
		return false;
	(void)snprintf(knob->text, sizeof knob->text, "%s", text);
	knob->choice = choice;
	knob->number = strtol(text, NULL, 10);
	return true;
}

void knobs_reset(struct knob knobs[KNOB_COUNT])
{
	for (int i = 0; i < KNOB_COUNT; i++) {
		bool taken = knob_set(&knobs[i], (enum knob_id)i, knob_rows[i].initial);

		assert(taken);
		(void)taken;
	}
}
