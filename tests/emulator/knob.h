/* tests/emulator/knob.h - the switches for what we do not know about TikTok, and for outages.
 * Each knob is one row: name, values, default, help. `--help`, `knobs` and the checks read the same rows.
 * A value is kept as its text; `choice` is its place among the values, `number` what the text starts with as a number. */
#ifndef EMULATOR_KNOB_H
#define EMULATOR_KNOB_H

#include <stdbool.h>
#include <stddef.h>

enum knob_id {
	KNOB_ORDER, KNOB_DATA, KNOB_REQUEST_ID, KNOB_ERROR_STATUS,
	KNOB_EMPTY_DATA, KNOB_EMPTY_DATA_TEXT, KNOB_MISMATCH_CODE, KNOB_UNKNOWN_PIXEL, KNOB_USER_INFO, KNOB_TEST_CODE,
	KNOB_OLD_TOKEN, KNOB_REFRESH, KNOB_REFRESH_LOST, KNOB_LOGIN_LIFE, KNOB_ACCESS_LIFE, KNOB_EXPIRES_IN,
	KNOB_DELAY_MS, KNOB_THROTTLE, KNOB_THROTTLE_EDGE, KNOB_ALL,
	KNOB_CERT, KNOB_TLS,
	KNOB_COUNT
};

enum { KNOB_TEXT_MAX = 256 };

struct knob {
	char text[KNOB_TEXT_MAX];
	int choice;
	long number;
};

struct knob_row {
	const char *name;
	const char *values; /* "a|b|c"; a word in capitals stands for any text that its check takes */
	const char *initial;
	const char *help;
	bool (*check)(const char *text); /* NULL: one of the values exactly */
};

extern const struct knob_row knob_rows[KNOB_COUNT];

enum { /* choices, in the order of the row's values */
	ORDER_TOKEN_FIRST = 0, ORDER_PARAMS_FIRST,
	DATA_OBJECT = 0, DATA_NULL, DATA_ABSENT,
	REQUEST_ID_ON = 0, REQUEST_ID_OFF,
	TEST_CODE_IGNORED = 0, TEST_CODE_40002, TEST_CODE_40001,
	OLD_TOKEN_WORKS = 0, OLD_TOKEN_DIES,
	REFRESH_ROTATES = 0, REFRESH_KEEPS,
	REFRESH_LOST_OFF = 0, REFRESH_LOST_ON,
	EXPIRES_IN_ON = 0, EXPIRES_IN_QUOTED, EXPIRES_IN_OFF,
	EDGE_OFF = 0, EDGE_200, EDGE_429,
	CERT_GOOD = 0, CERT_EXPIRED, CERT_NOT_YET, CERT_WRONG_HOST, CERT_SELF_SIGNED, CERT_FOREIGN_CA, CERT_CN_ONLY, CERT_COUNT,
	TLS_MODERN = 0, TLS_ONE_ONE, TLS_PLAINTEXT
};

int knob_find(const char *name); /* -1 = no such knob */

/* False, with nothing changed, when the row does not take this text. */
bool knob_set(struct knob *knob, enum knob_id id, const char *text);

void knobs_reset(struct knob knobs[KNOB_COUNT]);

/* The parts of throttle=N/WINDOWMS:CODE; false for "off". */
bool knob_throttle(const char *text, long *ret_limit, long *ret_window_ms, int *ret_code);

#endif
