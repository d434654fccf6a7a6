/* tests/support/desk_kit.h - what a book of alerts says. Include it behind cmocka.h. */
#ifndef TESTS_SUPPORT_DESK_KIT_H
#define TESTS_SUPPORT_DESK_KIT_H

#include "agent/alert_desk.h"
#include "core/json.h"

#include <string.h>

/* How often a piece of text stands in it. */
static inline size_t count_of(struct alert_desk *d, const char *what)
{
	struct buf text = BUF_INIT((size_t)64 << 20);
	struct json j = JSON_INIT(&text);
	struct error err;
	size_t count = 0;
	json_object(&j, NULL);
	assert_true(alert_desk_json(d, &j, &err));
	json_end_object(&j);
	buf_append(&text, "", 1);
	for (const char *at = (const char *)text.at; (at = strstr(at, what)); at++)
		count++;
	buf_done(&text);
	return count;
}

#endif
